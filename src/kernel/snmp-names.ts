/**
 * Names of the counters, by the index constants SNMP_* of assembly/inet/snmp.ts: those of /proc/net/snmp and
 * /proc/net/netstat, with the protocol in front (net/ipv4/proc.c).
 */

const IP = (
  "InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests " +
  "OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates"
).split(" ");
const ICMP = (
  "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos " +
  "InEchoReps InTimestamps InTimestampReps OutMsgs OutErrors OutDestUnreachs OutTimeExcds OutParmProbs " +
  "OutRedirects OutEchos OutEchoReps OutTimestampReps"
).split(" ");
const UDP = "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors".split(" ");
const IP_EXT = "InNoRoutes InTruncatedPkts InCsumErrors ReasmOverlaps".split(" ");

const TCP = (
  "ActiveOpens PassiveOpens AttemptFails EstabResets InSegs OutSegs RetransSegs InErrs OutRsts " + "InCsumErrors"
).split(" ");
const TCP_EXT = (
  "DelayedACKLost DelayedACKs ListenDrops ListenOverflows OfoPruned PAWSActive PAWSEstab PruneCalled " +
  "RcvPruned TCPAbortOnClose TCPAbortOnData TCPAbortOnTimeout TCPAckCompressed TCPACKSkipped " +
  "TCPAutoCorking TCPChallengeACK TCPDSACKIgnoredOld TCPDSACKOfoRecv TCPDSACKOfoSent TCPDSACKOldSent " +
  "TCPDSACKRecv TCPDSACKUndo TCPFastRetrans TCPFromZeroWindowAdv TCPFullUndo TCPHPAcks " +
  "TCPLossProbeRecovery TCPLossProbes TCPLossUndo TCPOFODrop TCPOFOMerge TCPOFOQueue TCPPartialUndo " +
  "TCPPureAcks TCPRcvCoalesce TCPRcvQDrop TCPReqQFullDrop TCPRetransFail TCPSACKDiscard TCPSackRecovery " +
  "TCPSACKReneging TCPSACKReorder TCPSlowStartRetrans TCPSpuriousRTOs TCPSYNChallenge TCPSynRetrans " +
  "TcpTimeoutRehash TCPTimeouts TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPWinProbe TCPZeroWindowDrop " +
  "TW OutOfWindowIcmps"
).split(" ");

const SCTP = (
  "CurrEstab ActiveEstabs PassiveEstabs Aborteds Shutdowns OutOfBlues ChecksumErrors OutCtrlChunks OutOrderChunks " +
  "OutUnorderChunks InCtrlChunks InOrderChunks InUnorderChunks FragUsrMsgs ReasmUsrMsgs OutSCTPPacks InSCTPPacks " +
  "T1InitExpireds T1CookieExpireds T2ShutdownExpireds T3RtxExpireds T4RtoExpireds T5ShutdownGuardExpireds " +
  "DelaySackExpireds AutocloseExpireds T3Retransmits PmtudRetransmits FastRetransmits InPktSoftirq InPktBacklog " +
  "InPktDiscards InDataChunkDiscards"
).split(" ");

function prefixed(prefix: string, names: readonly string[]): string[] {
  return names.map((name) => prefix + name);
}

/** The names of the counters from index 0 on. */
export const SNMP_NAMES: readonly string[] = [
  ...prefixed("Ip", IP),
  ...prefixed("Icmp", ICMP),
  ...prefixed("Udp", UDP),
  ...prefixed("IpExt", IP_EXT),
  "TcpExtIPReversePathFilter",
  "IcmpOutRateLimitGlobal",
  "IcmpOutRateLimitHost",
  "NeighTableFulls",
];

/** Index of the first counter of TCP, and the names of its counters from there on. */
export const SNMP_TCP_FIRST = 64;
export const SNMP_TCP_NAMES: readonly string[] = [...prefixed("Tcp", TCP), ...prefixed("TcpExt", TCP_EXT)];

/** Index of the first counter of SCTP (/proc/net/sctp/snmp), and the names of its counters from there on. */
export const SNMP_SCTP_FIRST = 128;
export const SNMP_SCTP_NAMES: readonly string[] = prefixed("Sctp", SCTP);
