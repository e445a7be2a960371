/**
 * SCTP's front door (RFC 9260; net/sctp/input.c): demultiplexing of received packets, what comes out of the blue, ICMP errors.
 * One-to-one sockets over IPv4, one address at each end: INIT lists no addresses, those of a peer are not used. The parts
 * behind it: sctp-sock (record), sctp-tables, sctp-init (handshake and cookies), sctp-input (chunks by state), sctp-data
 * (received messages, SACKs), sctp-ack (received SACKs, windows), sctp-output, sctp-assoc (begin and end), sctp-timer,
 * sctp-user and sctp-border.
 */
import {
  DROP_OTHERHOST, DROP_PKT_TOO_SMALL, DROP_SCTP_CHUNK, DROP_SCTP_CSUM, DROP_SCTP_NO_SOCKET, ENOPROTOOPT, RTN_LOCAL, SCTP_COOKIE_WAIT, DELIVER_SCTP,
} from "../abi";
import {
  SNMP_SCTP_CHECKSUMERRORS, SNMP_SCTP_INCTRLCHUNKS, SNMP_SCTP_INPKTDISCARDS, SNMP_SCTP_INSCTPPACKS, SNMP_SCTP_OUTOFBLUES, snmpInc,
} from "../inet/snmp";
import { markDeliver, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { PACKET_HOST, SKB_CSUM_OK, Skb, consumeSkb, dropSkb } from "../memory/skb";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_PROT_UNREACH } from "../wire/icmp";
import {
  CAUSE_STALE_COOKIE, CHUNK_ABORT, CHUNK_COOKIE_ACK, CHUNK_COOKIE_ECHO, CHUNK_ERROR, CHUNK_HLEN, CHUNK_INIT, CHUNK_SHUTDOWN_ACK,
  CHUNK_SHUTDOWN_COMPLETE, FLAG_T, INIT_HLEN, PARAM_HLEN, SCTP_HLEN, get16, get32, pad4, sctpChecksum,
} from "../wire/sctp";
import { retransmitAll } from "./sctp-ack";
import { assocEnd, sctpReap } from "./sctp-assoc";
import { cookieEchoIn, initDrop, initIn } from "./sctp-init";
import { assocRcv } from "./sctp-input";
import { replyBare, syncPmtu } from "./sctp-output";
import { SctpSock } from "./sctp-sock";
import { assocLookup, sctpListener } from "./sctp-tables";

/** Receives a packet: skb.nh at the IP header, skb.data at the SCTP header (sctp_rcv). Ends it. */
export function sctpRcv(skb: Skb): void {
  const ns = changetype<NetNs>(changetype<NetDev>(skb.dev).ns);
  if (skb.pktType != PACKET_HOST || skb.rtType != RTN_LOCAL) {
    dropSkb(skb, DROP_OTHERHOST);
    return;
  }
  snmpInc(ns, SNMP_SCTP_INSCTPPACKS);
  skb.th = skb.data;
  if (skb.len < SCTP_HLEN + CHUNK_HLEN) {
    snmpInc(ns, SNMP_SCTP_INPKTDISCARDS);
    dropSkb(skb, DROP_PKT_TOO_SMALL);
    return;
  }
  if (!(skb.flags & SKB_CSUM_OK) && sctpChecksum(skb.th, skb.len) != load<u32>(skb.th, 8)) {
    snmpInc(ns, SNMP_SCTP_CHECKSUMERRORS);
    snmpInc(ns, SNMP_SCTP_INPKTDISCARDS);
    dropSkb(skb, DROP_SCTP_CSUM);
    return;
  }
  if (marking) markDeliver(skb, DELIVER_SCTP, get16(skb.th + 2), get16(skb.th));
  const reason = demux(ns, skb);
  if (reason == 0) consumeSkb(skb);
  else dropSkb(skb, reason);
}

/** Hands a packet to its association, its listener, or to nobody: why it is dropped, 0 = it was taken. */
function demux(ns: NetNs, skb: Skb): u32 {
  const th = skb.th;
  const src = get32(skb.nh + 12);
  const dst = get32(skb.nh + 16);
  const at = assocLookup(changetype<usize>(ns), dst, get16(th + 2), src, get16(th));
  if (at != 0) {
    const sk = changetype<SctpSock>(at);
    const reason = assocRcv(ns, sk, skb);
    sctpReap(sk);
    return reason;
  }
  const chunk = th + SCTP_HLEN;
  const type: u32 = load<u8>(chunk);
  const length = get16(chunk + 2);
  if (length < CHUNK_HLEN || SCTP_HLEN + length > skb.len) {
    snmpInc(ns, SNMP_SCTP_INPKTDISCARDS);
    return DROP_SCTP_CHUNK;
  }
  const listener = sctpListener(changetype<usize>(ns), dst, get16(th + 2));
  if (listener != 0 && (type == CHUNK_INIT || type == CHUNK_COOKIE_ECHO)) {
    snmpInc(ns, SNMP_SCTP_INCTRLCHUNKS);
    return toListener(ns, skb, listener, chunk, type, length);
  }
  return outOfTheBlue(ns, skb, chunk);
}

function toListener(ns: NetNs, skb: Skb, listener: usize, chunk: usize, type: u32, length: u32): u32 {
  if (type == CHUNK_INIT) {
    // Alone in its packet, and with the tag 0 (RFC 9260 §8.5.1 A).
    if (length < INIT_HLEN || SCTP_HLEN + pad4(length) < skb.len) return DROP_SCTP_CHUNK;
    const tag = get32(skb.th + 4);
    if (tag != 0) {
      replyBare(ns, skb, CHUNK_ABORT, FLAG_T, tag);
      return DROP_SCTP_CHUNK;
    }
    initIn(ns, skb, chunk, length, listener, 0);
    return initDrop;
  }
  const child = cookieEchoIn(ns, skb, chunk, length, 0);
  if (child == 0) return initDrop;
  // What is bundled behind the cookie is for the new association.
  const rest = pad4(length);
  if (SCTP_HLEN + rest + CHUNK_HLEN > skb.len) return 0;
  memory.copy(skb.th + rest, skb.th, SCTP_HLEN);
  skb.th += rest;
  skb.data += rest;
  skb.len -= rest;
  const sk = changetype<SctpSock>(child);
  const reason = assocRcv(ns, sk, skb);
  sctpReap(sk);
  return reason;
}

/** A packet for nobody (sctp_rcv_ootb, sctp_sf_ootb): ABORT, but not to everything. */
function outOfTheBlue(ns: NetNs, skb: Skb, first: usize): u32 {
  snmpInc(ns, SNMP_SCTP_OUTOFBLUES);
  const end = skb.th + <usize>skb.len;
  const tag = get32(skb.th + 4);
  let shutdownAck = false;
  for (let at = first; at + CHUNK_HLEN <= end; ) {
    const type: u32 = load<u8>(at);
    const length = get16(at + 2);
    if (length < CHUNK_HLEN || at + length > end) break;
    if (type == CHUNK_ABORT || type == CHUNK_SHUTDOWN_COMPLETE || type == CHUNK_COOKIE_ACK) return DROP_SCTP_NO_SOCKET;
    if (type == CHUNK_INIT && (at != first || length < INIT_HLEN)) return DROP_SCTP_NO_SOCKET;
    if (type == CHUNK_ERROR && length >= CHUNK_HLEN + PARAM_HLEN && get16(at + CHUNK_HLEN) == CAUSE_STALE_COOKIE) return DROP_SCTP_NO_SOCKET;
    if (type == CHUNK_SHUTDOWN_ACK) shutdownAck = true;
    at += pad4(length);
  }
  if (shutdownAck) replyBare(ns, skb, CHUNK_SHUTDOWN_COMPLETE, FLAG_T, tag);
  else if (<u32>load<u8>(first) == CHUNK_INIT && tag == 0) replyBare(ns, skb, CHUNK_ABORT, 0, get32(first + 4));
  else replyBare(ns, skb, CHUNK_ABORT, FLAG_T, tag);
  return DROP_SCTP_NO_SOCKET;
}

/** An ICMP error quotes a packet of ours: `ip` and `th` point to the quoted headers, `length` bytes from th (sctp_v4_err). */
export function sctpErr(skb: Skb, ip: usize, th: usize, length: u32, type: u32, code: u32): void {
  if (length < 8) return;
  const ns = changetype<NetDev>(skb.dev).ns;
  const at = assocLookup(ns, get32(ip + 12), get16(th), get32(ip + 16), get16(th + 2));
  if (at == 0) return;
  const sk = changetype<SctpSock>(at);
  const tag = get32(th + 4);
  // Only a packet that we sent has the peer's tag; an INIT has none, but our own in it, if so much is quoted.
  if (tag == 0) {
    const chunk = th + SCTP_HLEN;
    if (sk.state != SCTP_COOKIE_WAIT || length < SCTP_HLEN + 8 || <u32>load<u8>(chunk) != CHUNK_INIT || get32(chunk + 4) != sk.myTag) return;
  } else if (tag != sk.peerTag) return;
  if (type != ICMP_DEST_UNREACH) return;
  if (code == ICMP_FRAG_NEEDED) {
    const before = sk.pmtu;
    sk.dstGen = 0;
    syncPmtu(sk);
    if (sk.pmtu < before && sk.flight != 0) retransmitAll(sk);
  } else if (code == ICMP_PROT_UNREACH && sk.state == SCTP_COOKIE_WAIT) assocEnd(sk, ENOPROTOOPT);
  sctpReap(sk);
}
