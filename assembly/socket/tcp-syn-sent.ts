/** The answer to a SYN of ours: SYN-ACK, refusal, simultaneous open (net/ipv4/tcp_input.c tcp_rcv_synsent_state_process; RFC 9293 3.10.7.3). */
import { DROP_TCP_FLAGS, DROP_TCP_INVALID_SEQUENCE, DROP_TCP_RESET, TCP_ESTABLISHED, TCP_SYN_RECV } from "../abi";
import { SNMP_TCPEXT_PAWSACTIVE, snmpInc } from "../inet/snmp";
import { NetNs } from "../link/netns";
import { Skb, consumeSkb, dropSkb } from "../memory/skb";
import { now } from "../sim/event";
import { timerMod } from "../sim/timer";
import {
  TCPHDR_ACK, TCPHDR_RST, TCPHDR_SYN, TCPOLEN_TSTAMP_ALIGNED, TCP_HLEN, after, between, optMss, optSackPerm, optSawTs,
  optWscale, parseTcpOptions, tcpWindow,
} from "../wire/tcp";
import { sockWake } from "./socket";
import { tcpSendReset } from "./tcp";
import { FLAG_SLOWPATH, storeTsRecent, tcpAck } from "./tcp-ack";
import { sendSynAck } from "./tcp-minisocks";
import { sendAck, syncMss } from "./tcp-output";
import { initRcvMss } from "./tcp-rcvwin";
import { TF_KEEPALIVE, TF_SACK_OK, TF_TS_OK, TF_WSCALE_OK } from "./tcp-const";
import { TcpSock, keepTimer, maxU, minU, tcpTimeStamp } from "./tcp-sock";
import { initTransfer, takeTimestamps, tcpReset } from "./tcp-input";

/** The answer to our SYN; ends the packet (tcp_rcv_synsent_state_process). */
export function synSent(tp: TcpSock, skb: Skb): void {
  const flags = skb.cb2;
  parseTcpOptions(skb.th, false);
  takeTimestamps(tp);
  if (flags & TCPHDR_ACK) {
    const bad =
      !after(skb.cb3, tp.sndUna) || after(skb.cb3, tp.sndNxt) ||
      (tp.sawTs && tp.rcvTsecr != 0 && !between(tp.rcvTsecr, tp.retransStamp, tcpTimeStamp(tp)));
    if (bad) {
      snmpInc(changetype<NetNs>(tp.ns), SNMP_TCPEXT_PAWSACTIVE);
      tcpSendReset(changetype<NetNs>(tp.ns), skb);
      dropSkb(skb, DROP_TCP_INVALID_SEQUENCE);
      return;
    }
    if (flags & TCPHDR_RST) {
      tcpReset(tp);
      consumeSkb(skb);
      return;
    }
    if (!(flags & TCPHDR_SYN)) {
      dropSkb(skb, DROP_TCP_FLAGS);
      return;
    }
    connected(tp, skb);
    return;
  }
  if (flags & TCPHDR_RST || !(flags & TCPHDR_SYN)) {
    dropSkb(skb, flags & TCPHDR_RST ? DROP_TCP_RESET : DROP_TCP_FLAGS);
    return;
  }
  // Simultaneous open (RFC 9293 figure 8).
  peerSyn(tp, skb);
  tp.state = TCP_SYN_RECV;
  tp.sndWnd = tcpWindow(skb.th);
  tp.sndWl1 = skb.cb0;
  tp.maxWindow = tp.sndWnd;
  syncMss(tp, tp.pmtu);
  initRcvMss(tp);
  sendSynAck(tp);
  consumeSkb(skb);
}

/** Options and sequence number of the peer's SYN. */
function peerSyn(tp: TcpSock, skb: Skb): void {
  tp.rcvNxt = skb.cb0 + 1;
  tp.rcvWup = skb.cb0 + 1;
  tp.copiedSeq = tp.rcvNxt;
  tp.mssClamp = optMss != 0 ? maxU(optMss, 48) : 536;
  if (optSackPerm) tp.tf |= TF_SACK_OK;
  if (optWscale >= 0) {
    tp.tf |= TF_WSCALE_OK;
    tp.sndWscale = <u32>optWscale;
  } else {
    tp.sndWscale = 0;
    tp.rcvWscale = 0;
    tp.windowClamp = minU(tp.windowClamp, 65535);
  }
  tp.headerLen = TCP_HLEN;
  if (optSawTs) {
    tp.tf |= TF_TS_OK;
    tp.headerLen += TCPOLEN_TSTAMP_ALIGNED;
    storeTsRecent(tp);
  }
}

/** A good SYN-ACK: the connection stands (tcp_finish_connect). */
function connected(tp: TcpSock, skb: Skb): void {
  tp.sndWl1 = skb.cb0;
  tcpAck(tp, skb, FLAG_SLOWPATH);
  peerSyn(tp, skb);
  tp.sndWnd = tcpWindow(skb.th);
  tp.maxWindow = maxU(tp.maxWindow, tp.sndWnd);
  if (tp.tf & TF_TS_OK) tp.advmss -= TCPOLEN_TSTAMP_ALIGNED;
  syncMss(tp, tp.pmtu);
  initRcvMss(tp);
  tp.state = TCP_ESTABLISHED;
  tp.lrcvTime = now;
  initTransfer(tp);
  tp.lsndTime = now;
  if (tp.tf & TF_KEEPALIVE) timerMod(keepTimer(tp), now + tp.kaTime);
  sockWake(tp);
  sendAck(tp);
  consumeSkb(skb);
}
