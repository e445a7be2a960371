/**
 * Counters per namespace: /proc/net/snmp and /proc/net/netstat (net/ipv4/proc.c). The index constants are
 * plain integers in the order of the table of names in the face; an index never changes its meaning.
 */
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { InetNs } from "./inet";

/** Ip */
export const SNMP_IP_IN_RECEIVES = 0;
export const SNMP_IP_IN_HDR_ERRORS = 1;
export const SNMP_IP_IN_ADDR_ERRORS = 2;
export const SNMP_IP_FORW_DATAGRAMS = 3;
export const SNMP_IP_IN_UNKNOWN_PROTOS = 4;
export const SNMP_IP_IN_DISCARDS = 5;
export const SNMP_IP_IN_DELIVERS = 6;
export const SNMP_IP_OUT_REQUESTS = 7;
export const SNMP_IP_OUT_DISCARDS = 8;
export const SNMP_IP_OUT_NO_ROUTES = 9;
export const SNMP_IP_REASM_TIMEOUT = 10;
export const SNMP_IP_REASM_REQDS = 11;
export const SNMP_IP_REASM_OKS = 12;
export const SNMP_IP_REASM_FAILS = 13;
export const SNMP_IP_FRAG_OKS = 14;
export const SNMP_IP_FRAG_FAILS = 15;
export const SNMP_IP_FRAG_CREATES = 16;
/** Icmp */
export const SNMP_ICMP_IN_MSGS = 17;
export const SNMP_ICMP_IN_ERRORS = 18;
export const SNMP_ICMP_IN_CSUM_ERRORS = 19;
export const SNMP_ICMP_IN_DEST_UNREACHS = 20;
export const SNMP_ICMP_IN_TIME_EXCDS = 21;
export const SNMP_ICMP_IN_PARM_PROBS = 22;
export const SNMP_ICMP_IN_SRC_QUENCHS = 23;
export const SNMP_ICMP_IN_REDIRECTS = 24;
export const SNMP_ICMP_IN_ECHOS = 25;
export const SNMP_ICMP_IN_ECHO_REPS = 26;
export const SNMP_ICMP_IN_TIMESTAMPS = 27;
export const SNMP_ICMP_IN_TIMESTAMP_REPS = 28;
export const SNMP_ICMP_OUT_MSGS = 29;
export const SNMP_ICMP_OUT_ERRORS = 30;
export const SNMP_ICMP_OUT_DEST_UNREACHS = 31;
export const SNMP_ICMP_OUT_TIME_EXCDS = 32;
export const SNMP_ICMP_OUT_PARM_PROBS = 33;
export const SNMP_ICMP_OUT_REDIRECTS = 34;
export const SNMP_ICMP_OUT_ECHOS = 35;
export const SNMP_ICMP_OUT_ECHO_REPS = 36;
export const SNMP_ICMP_OUT_TIMESTAMP_REPS = 37;
/** Udp */
export const SNMP_UDP_IN_DATAGRAMS = 38;
export const SNMP_UDP_NO_PORTS = 39;
export const SNMP_UDP_IN_ERRORS = 40;
export const SNMP_UDP_OUT_DATAGRAMS = 41;
export const SNMP_UDP_RCVBUF_ERRORS = 42;
export const SNMP_UDP_SNDBUF_ERRORS = 43;
export const SNMP_UDP_IN_CSUM_ERRORS = 44;
/** IpExt */
export const SNMP_IPEXT_IN_NO_ROUTES = 45;
export const SNMP_IPEXT_IN_TRUNCATED_PKTS = 46;
export const SNMP_IPEXT_IN_CSUM_ERRORS = 47;
export const SNMP_IPEXT_REASM_OVERLAPS = 48;
export const SNMP_TCPEXT_IP_REVERSE_PATH_FILTER = 49;
/** Limits of error rates (IcmpOutRateLimitGlobal, IcmpOutRateLimitHost). */
export const SNMP_ICMP_RATELIMIT_GLOBAL = 50;
export const SNMP_ICMP_RATELIMIT_HOST = 51;
/** Neighbours that could not be made (neigh table_fulls), per namespace. */
export const SNMP_NEIGH_TABLE_FULLS = 52;

/** Tcp and TcpExt from here on. */
export const SNMP_TCP_FIRST = 64;

/** Room for all counters. */
export const SNMP_COUNT = 160;

/**
 * What a namespace's counters point to before it counts anything: zeros, which nobody may write. The first packet that a
 * namespace's IP takes (ipRcv), a bridge in it shows to netfilter, or a socket in it may send calls snmpReady() first,
 * so that counting itself never has to look.
 */
export const SNMP_NONE: usize = memory.data(160 * 8, 16);

/** Gives a namespace counters of its own. */
@inline
export function snmpReady(ns: NetNs): void {
  if (changetype<InetNs>(ns.inet).snmp == SNMP_NONE) snmpMake(ns);
}

function snmpMake(ns: NetNs): void {
  changetype<InetNs>(ns.inet).snmp = kmalloc(SNMP_COUNT << 3);
}

/** Frees the counters of a namespace that goes. */
export function snmpFree(ns: NetNs): void {
  const snmp = changetype<InetNs>(ns.inet).snmp;
  if (snmp != SNMP_NONE) kfree(snmp, SNMP_COUNT << 3);
}

/** Counts that went astray, to a namespace without counters: always 0. */
export function snmpStray(): f64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < <u32>SNMP_COUNT; i++) sum += load<u64>(SNMP_NONE + (<usize>i << 3));
  return <f64>sum;
}

/** Counts one (IP_INC_STATS, NET_INC_STATS and their like). */
@inline
export function snmpInc(ns: NetNs, index: u32): void {
  const at = changetype<InetNs>(ns.inet).snmp + (<usize>index << 3);
  store<u64>(at, load<u64>(at) + 1);
}

/** Tcp (names as in /proc/net/snmp: TcpActiveOpens …) */
export const SNMP_TCP_ACTIVEOPENS = 64; // TcpActiveOpens
export const SNMP_TCP_PASSIVEOPENS = 65; // TcpPassiveOpens
export const SNMP_TCP_ATTEMPTFAILS = 66; // TcpAttemptFails
export const SNMP_TCP_ESTABRESETS = 67; // TcpEstabResets
export const SNMP_TCP_INSEGS = 68; // TcpInSegs
export const SNMP_TCP_OUTSEGS = 69; // TcpOutSegs
export const SNMP_TCP_RETRANSSEGS = 70; // TcpRetransSegs
export const SNMP_TCP_INERRS = 71; // TcpInErrs
export const SNMP_TCP_OUTRSTS = 72; // TcpOutRsts
export const SNMP_TCP_CSUMERRORS = 73; // TcpInCsumErrors
/** TcpExt (names as in /proc/net/netstat) */
export const SNMP_TCPEXT_DELAYEDACKLOST = 74; // DelayedACKLost
export const SNMP_TCPEXT_DELAYEDACKS = 75; // DelayedACKs
export const SNMP_TCPEXT_LISTENDROPS = 76; // ListenDrops
export const SNMP_TCPEXT_LISTENOVERFLOWS = 77; // ListenOverflows
export const SNMP_TCPEXT_OFOPRUNED = 78; // OfoPruned
export const SNMP_TCPEXT_PAWSACTIVE = 79; // PAWSActive
export const SNMP_TCPEXT_PAWSESTAB = 80; // PAWSEstab
export const SNMP_TCPEXT_PRUNECALLED = 81; // PruneCalled
export const SNMP_TCPEXT_RCVPRUNED = 82; // RcvPruned
export const SNMP_TCPEXT_TCPABORTONCLOSE = 83; // TCPAbortOnClose
export const SNMP_TCPEXT_TCPABORTONDATA = 84; // TCPAbortOnData
export const SNMP_TCPEXT_TCPABORTONTIMEOUT = 85; // TCPAbortOnTimeout
export const SNMP_TCPEXT_TCPACKCOMPRESSED = 86; // TCPAckCompressed
export const SNMP_TCPEXT_TCPACKSKIPPED = 87; // TCPACKSkipped
export const SNMP_TCPEXT_TCPAUTOCORKING = 88; // TCPAutoCorking
export const SNMP_TCPEXT_TCPCHALLENGEACK = 89; // TCPChallengeACK
export const SNMP_TCPEXT_TCPDSACKIGNOREDOLD = 90; // TCPDSACKIgnoredOld
export const SNMP_TCPEXT_TCPDSACKOFORECV = 91; // TCPDSACKOfoRecv
export const SNMP_TCPEXT_TCPDSACKOFOSENT = 92; // TCPDSACKOfoSent
export const SNMP_TCPEXT_TCPDSACKOLDSENT = 93; // TCPDSACKOldSent
export const SNMP_TCPEXT_TCPDSACKRECV = 94; // TCPDSACKRecv
export const SNMP_TCPEXT_TCPDSACKUNDO = 95; // TCPDSACKUndo
export const SNMP_TCPEXT_TCPFASTRETRANS = 96; // TCPFastRetrans
export const SNMP_TCPEXT_TCPFROMZEROWINDOWADV = 97; // TCPFromZeroWindowAdv
export const SNMP_TCPEXT_TCPFULLUNDO = 98; // TCPFullUndo
export const SNMP_TCPEXT_TCPHPACKS = 99; // TCPHPAcks
export const SNMP_TCPEXT_TCPLOSSPROBERECOVERY = 100; // TCPLossProbeRecovery
export const SNMP_TCPEXT_TCPLOSSPROBES = 101; // TCPLossProbes
export const SNMP_TCPEXT_TCPLOSSUNDO = 102; // TCPLossUndo
export const SNMP_TCPEXT_TCPOFODROP = 103; // TCPOFODrop
export const SNMP_TCPEXT_TCPOFOMERGE = 104; // TCPOFOMerge
export const SNMP_TCPEXT_TCPOFOQUEUE = 105; // TCPOFOQueue
export const SNMP_TCPEXT_TCPPARTIALUNDO = 106; // TCPPartialUndo
export const SNMP_TCPEXT_TCPPUREACKS = 107; // TCPPureAcks
export const SNMP_TCPEXT_TCPRCVCOALESCE = 108; // TCPRcvCoalesce
export const SNMP_TCPEXT_TCPRCVQDROP = 109; // TCPRcvQDrop
export const SNMP_TCPEXT_TCPREQQFULLDROP = 110; // TCPReqQFullDrop
export const SNMP_TCPEXT_TCPRETRANSFAIL = 111; // TCPRetransFail
export const SNMP_TCPEXT_TCPSACKDISCARD = 112; // TCPSACKDiscard
export const SNMP_TCPEXT_TCPSACKRECOVERY = 113; // TCPSackRecovery
export const SNMP_TCPEXT_TCPSACKRENEGING = 114; // TCPSACKReneging
export const SNMP_TCPEXT_TCPSACKREORDER = 115; // TCPSACKReorder
export const SNMP_TCPEXT_TCPSLOWSTARTRETRANS = 116; // TCPSlowStartRetrans
export const SNMP_TCPEXT_TCPSPURIOUSRTOS = 117; // TCPSpuriousRTOs
export const SNMP_TCPEXT_TCPSYNCHALLENGE = 118; // TCPSYNChallenge
export const SNMP_TCPEXT_TCPSYNRETRANS = 119; // TCPSynRetrans
export const SNMP_TCPEXT_TCPTIMEOUTREHASH = 120; // TcpTimeoutRehash
export const SNMP_TCPEXT_TCPTIMEOUTS = 121; // TCPTimeouts
export const SNMP_TCPEXT_TCPTOZEROWINDOWADV = 122; // TCPToZeroWindowAdv
export const SNMP_TCPEXT_TCPWANTZEROWINDOWADV = 123; // TCPWantZeroWindowAdv
export const SNMP_TCPEXT_TCPWINPROBE = 124; // TCPWinProbe
export const SNMP_TCPEXT_TCPZEROWINDOWDROP = 125; // TCPZeroWindowDrop
export const SNMP_TCPEXT_TW = 126; // TW
export const SNMP_TCPEXT_OUTOFWINDOWICMPS = 127; // OutOfWindowIcmps

/** Sctp (names as in /proc/net/sctp/snmp: SctpCurrEstab …; net/sctp/proc.c) */
export const SNMP_SCTP_CURRESTAB = 128; // SctpCurrEstab
export const SNMP_SCTP_ACTIVEESTABS = 129; // SctpActiveEstabs
export const SNMP_SCTP_PASSIVEESTABS = 130; // SctpPassiveEstabs
export const SNMP_SCTP_ABORTEDS = 131; // SctpAborteds
export const SNMP_SCTP_SHUTDOWNS = 132; // SctpShutdowns
export const SNMP_SCTP_OUTOFBLUES = 133; // SctpOutOfBlues
export const SNMP_SCTP_CHECKSUMERRORS = 134; // SctpChecksumErrors
export const SNMP_SCTP_OUTCTRLCHUNKS = 135; // SctpOutCtrlChunks
export const SNMP_SCTP_OUTORDERCHUNKS = 136; // SctpOutOrderChunks
export const SNMP_SCTP_OUTUNORDERCHUNKS = 137; // SctpOutUnorderChunks
export const SNMP_SCTP_INCTRLCHUNKS = 138; // SctpInCtrlChunks
export const SNMP_SCTP_INORDERCHUNKS = 139; // SctpInOrderChunks
export const SNMP_SCTP_INUNORDERCHUNKS = 140; // SctpInUnorderChunks
export const SNMP_SCTP_FRAGUSRMSGS = 141; // SctpFragUsrMsgs
export const SNMP_SCTP_REASMUSRMSGS = 142; // SctpReasmUsrMsgs
export const SNMP_SCTP_OUTSCTPPACKS = 143; // SctpOutSCTPPacks
export const SNMP_SCTP_INSCTPPACKS = 144; // SctpInSCTPPacks
export const SNMP_SCTP_T1INITEXPIREDS = 145; // SctpT1InitExpireds
export const SNMP_SCTP_T1COOKIEEXPIREDS = 146; // SctpT1CookieExpireds
export const SNMP_SCTP_T2SHUTDOWNEXPIREDS = 147; // SctpT2ShutdownExpireds
export const SNMP_SCTP_T3RTXEXPIREDS = 148; // SctpT3RtxExpireds
export const SNMP_SCTP_T4RTOEXPIREDS = 149; // SctpT4RtoExpireds
export const SNMP_SCTP_T5SHUTDOWNGUARDEXPIREDS = 150; // SctpT5ShutdownGuardExpireds
export const SNMP_SCTP_DELAYSACKEXPIREDS = 151; // SctpDelaySackExpireds
export const SNMP_SCTP_AUTOCLOSEEXPIREDS = 152; // SctpAutocloseExpireds
export const SNMP_SCTP_T3RETRANSMITS = 153; // SctpT3Retransmits
export const SNMP_SCTP_PMTUDRETRANSMITS = 154; // SctpPmtudRetransmits
export const SNMP_SCTP_FASTRETRANSMITS = 155; // SctpFastRetransmits
export const SNMP_SCTP_INPKTSOFTIRQ = 156; // SctpInPktSoftirq
export const SNMP_SCTP_INPKTBACKLOG = 157; // SctpInPktBacklog
export const SNMP_SCTP_INPKTDISCARDS = 158; // SctpInPktDiscards
export const SNMP_SCTP_INDATACHUNKDISCARDS = 159; // SctpInDataChunkDiscards

/** One less of a number that goes both ways (SCTP_DEC_STATS). */
@inline
export function snmpDec(ns: NetNs, index: u32): void {
  const at = changetype<InetNs>(ns.inet).snmp + (<usize>index << 3);
  store<u64>(at, load<u64>(at) - 1);
}
