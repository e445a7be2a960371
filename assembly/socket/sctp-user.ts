/**
 * What programs do with an SCTP socket: bind, listen, connect, accept, send and receive messages, shut down, close, abort
 * (net/sctp/socket.c). Errors are negative errno.
 */
import {
  EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EALREADY, EINVAL, EISCONN, EMSGSIZE, ENETUNREACH, ENOTCONN, EPIPE, RTN_BROADCAST, RTN_MULTICAST,
  SCTP_CLOSED, SCTP_COOKIE_ECHOED, SCTP_COOKIE_WAIT, SCTP_ESTABLISHED, SCTP_LISTEN, SYS_IP_NONLOCAL_BIND,
} from "../abi";
import { isLocalAddr } from "../inet/addr";
import { sysctl } from "../inet/inet";
import { RtResult, routeLookup } from "../inet/route";
import { SNMP_SCTP_FRAGUSRMSGS, snmpInc } from "../inet/snmp";
import { now } from "../sim/event";
import { rand32 } from "../sim/host";
import { timerMod, timerPending } from "../sim/timer";
import { CAUSE_USER_ABORT, DATA_B, DATA_E, DATA_U, SACK_HLEN } from "../wire/sctp";
import { assocEnd, assocReset, newTag, sctpDestroy, sctpReap, sendFrom, startShutdown } from "./sctp-assoc";
import {
  SCTP_MAX_BACKLOG, SCTP_RTO_INITIAL, SF_BOUND, SF_NOSPACE, SF_RCV_SHUT, SF_SND_SHUT, TX_FRAGMENT,
} from "./sctp-const";
import { readMessage, windowUpdate } from "./sctp-data";
import { flush, fragPoint, sendAbort, sendInit, syncPmtu } from "./sctp-output";
import { SctpSock, SctpTx, readPurge, sackTimer, sctpHost, sctpNs, t1Timer, txData, txNew } from "./sctp-sock";
import { assocInsert, assocLookup, portInsert, sctpConflict, sctpEphemeral } from "./sctp-tables";
import { SOCK_DEAD, SOCK_KERNEL, forgetWake } from "./socket";

/** Binds; ip 0 = any, port 0 = an ephemeral one (sctp_do_bind, sctp_get_port_local). */
export function userBind(sk: SctpSock, ip: u32, port: u32): i32 {
  if (sk.state != SCTP_CLOSED || sk.sf & SF_BOUND || port > 0xffff) return -EINVAL;
  const ns = sctpNs(sk);
  if (ip != 0 && !isLocalAddr(ns, ip) && sysctl(ns, SYS_IP_NONLOCAL_BIND) == 0) return -EADDRNOTAVAIL;
  let chosen = port;
  if (port == 0) chosen = sctpEphemeral(ns);
  else if (sctpConflict(sk.ns, ip, port, changetype<usize>(sk))) chosen = 0;
  if (chosen == 0) return -EADDRINUSE;
  sk.localIp = ip;
  sk.localPort = chosen;
  portInsert(sk);
  return 0;
}

/** Listens; a backlog of 0 still lets one association wait (sctp_inet_listen). */
export function userListen(sk: SctpSock, backlog: u32): i32 {
  sk.backlog = backlog < SCTP_MAX_BACKLOG ? backlog : SCTP_MAX_BACKLOG;
  if (sk.state == SCTP_LISTEN) return 0;
  if (sk.state != SCTP_CLOSED || sk.remotePort != 0) return -EINVAL;
  if (!(sk.sf & SF_BOUND)) {
    const err = userBind(sk, 0, 0);
    if (err != 0) return err;
  }
  if (sctpConflict(sk.ns, sk.localIp, sk.localPort, changetype<usize>(sk))) return -EADDRINUSE;
  sk.state = SCTP_LISTEN;
  return 0;
}

/** Takes an association from the queue: its handle, or -EAGAIN, -EINVAL (sctp_accept). */
export function userAccept(sk: SctpSock): i32 {
  if (sk.state != SCTP_LISTEN) return -EINVAL;
  const p = sk.acceptHead;
  if (p == 0) return -EAGAIN;
  const child = changetype<SctpSock>(p);
  sk.acceptHead = child.acceptNext;
  if (sk.acceptHead == 0) sk.acceptTail = 0;
  sk.acceptCount--;
  child.parent = 0;
  child.acceptNext = 0;
  child.flags &= ~SOCK_KERNEL;
  return <i32>p;
}

/** Starts an association: INIT (__sctp_connect, sctp_sf_do_prm_asoc). */
export function userConnect(sk: SctpSock, ip: u32, port: u32): i32 {
  if (sk.state == SCTP_COOKIE_WAIT || sk.state == SCTP_COOKIE_ECHOED) return -EALREADY;
  if (sk.state != SCTP_CLOSED) return -EISCONN;
  if (port == 0 || port > 0xffff) return -EINVAL;
  const dst = ip == 0 ? 0x7f000001 : ip;
  const err = routeLookup(sctpNs(sk), dst, sk.localIp, 0);
  if (err != 0) return err;
  if (RtResult.rtType == RTN_BROADCAST || RtResult.rtType == RTN_MULTICAST) return -ENETUNREACH;
  const src = RtResult.rtSrc;
  if (!(sk.sf & SF_BOUND)) {
    const bound = userBind(sk, 0, 0);
    if (bound != 0) return bound;
  }
  const local = sk.localIp == 0 ? src : sk.localIp;
  if (assocLookup(sk.ns, local, sk.localPort, dst, port) != 0) return -EADDRNOTAVAIL;
  readPurge(sk);
  assocReset(sk);
  sk.localIp = local;
  sk.remoteIp = dst;
  sk.remotePort = port;
  sk.dstGen = 0;
  syncPmtu(sk);
  sk.myTag = newTag(sctpNs(sk));
  sendFrom(sk, rand32(sctpHost(sk)));
  sk.state = SCTP_COOKIE_WAIT;
  assocInsert(sk);
  sendInit(sk);
  timerMod(t1Timer(sk), now + SCTP_RTO_INITIAL);
  return 0;
}

// ---------------------------------------------------------------------------------------------- messages

/**
 * Queues one message of `len` bytes, whole or not at all (sctp_sendmsg): its length, or -EAGAIN when the buffer is full, -EMSGSIZE,
 * -EINVAL (no bytes, no such stream), -EPIPE, -ENOTCONN, the pending error.
 */
export function userSend(sk: SctpSock, from: usize, len: u32, stream: u32, ppid: u32, unordered: bool): i32 {
  if (sk.err != 0) {
    const err = <i32>sk.err;
    sk.err = 0;
    return -err;
  }
  if (sk.sf & SF_SND_SHUT) return -EPIPE;
  if (sk.state == SCTP_COOKIE_WAIT || sk.state == SCTP_COOKIE_ECHOED) return -EAGAIN;
  if (sk.state != SCTP_ESTABLISHED) return -ENOTCONN;
  if (len == 0 || stream >= sk.outStreams) return -EINVAL;
  if (len > sk.sndBuf) return -EMSGSIZE;
  if (sk.sndUsed >= sk.sndBuf) {
    sk.sf |= SF_NOSPACE;
    return -EAGAIN;
  }
  queueMessage(sk, from, len, stream, ppid, unordered);
  flush(sk);
  return <i32>len;
}

/** Cuts a message into chunks (sctp_datamsg_from_user). */
function queueMessage(sk: SctpSock, from: usize, len: u32, stream: u32, ppid: u32, unordered: bool): void {
  syncPmtu(sk);
  const most = fragPoint(sk);
  let part = most;
  // Room for the SACK that will go along with the first fragment.
  if (len > most && sk.txFirst == 0 && timerPending(sackTimer(sk))) part -= SACK_HLEN;
  const ssnAt = sk.outSsn + (<usize>stream << 1);
  const ssn = <u32>load<u16>(ssnAt);
  if (!unordered) store<u16>(ssnAt, <u16>(ssn + 1));
  const cut = len > part;
  if (cut) snmpInc(sctpNs(sk), SNMP_SCTP_FRAGUSRMSGS);
  let at: u32 = 0;
  while (at < len) {
    const size = len - at < part ? len - at : part;
    const tx = txNew(size);
    memory.copy(txData(tx), from + at, size);
    tx.tsn = sk.nextTsn++;
    tx.flags = (at == 0 ? DATA_B : 0) | (at + size == len ? DATA_E : 0) | (unordered ? DATA_U : 0);
    tx.stream = stream;
    tx.ssn = unordered ? 0 : ssn;
    tx.ppid = ppid;
    tx.tf = cut ? TX_FRAGMENT : 0;
    if (sk.txLast == 0) sk.txFirst = changetype<usize>(tx);
    else changetype<SctpTx>(sk.txLast).next = changetype<usize>(tx);
    sk.txLast = changetype<usize>(tx);
    if (sk.txNew == 0) sk.txNew = changetype<usize>(tx);
    sk.unsentBytes += size;
    sk.sndUsed += size;
    at += size;
    part = most;
  }
}

/** Copies up to `max` bytes of a message: how many; 0 = end of stream; -EAGAIN nothing yet; the pending error; -ENOTCONN (sctp_recvmsg). */
export function userRecv(sk: SctpSock, into: usize, max: u32): i32 {
  const copied = readMessage(sk, into, max);
  if (copied != 0) {
    windowUpdate(sk);
    return <i32>copied;
  }
  if (sk.err != 0) {
    const err = <i32>sk.err;
    sk.err = 0;
    return -err;
  }
  if (max == 0 || sk.sf & SF_RCV_SHUT) return 0;
  if (sk.state == SCTP_CLOSED || sk.state == SCTP_LISTEN) return -ENOTCONN;
  return -EAGAIN;
}

// ---------------------------------------------------------------------------------------------- the end

/** shutdown(SHUT_WR): SHUTDOWN behind what is queued. SCTP knows no half-closed association (sctp_shutdown). */
export function userShutdown(sk: SctpSock): i32 {
  if (sk.state == SCTP_CLOSED || sk.state == SCTP_LISTEN) return -ENOTCONN;
  startShutdown(sk);
  return 0;
}

function abortNow(sk: SctpSock): void {
  if (sk.state >= <u32>SCTP_COOKIE_ECHOED && sk.state != SCTP_LISTEN) sendAbort(sk, CAUSE_USER_ABORT, 0, 0);
  assocEnd(sk, 0);
}

/** Closes a listener: who waits in its queue is aborted. */
function stopListening(sk: SctpSock): void {
  for (let p = sk.acceptHead; p != 0; p = changetype<SctpSock>(p).acceptNext) abortNow(changetype<SctpSock>(p));
}

/** The program gives the socket up; the handle is invalid from here on. What was not read is lost, and the peer is told so (sctp_close). */
export function userClose(sk: SctpSock): void {
  forgetWake(sk);
  sk.flags |= SOCK_DEAD;
  if (sk.state == SCTP_LISTEN) {
    stopListening(sk);
    sctpDestroy(sk);
    return;
  }
  const unread = sk.readFirst != 0 || sk.pendFirst != 0;
  readPurge(sk);
  if (unread) abortNow(sk);
  else startShutdown(sk);
  sctpReap(sk);
}

/** ABORT at once, then as userClose. */
export function userAbort(sk: SctpSock): void {
  forgetWake(sk);
  sk.flags |= SOCK_DEAD;
  if (sk.state == SCTP_LISTEN) stopListening(sk);
  else abortNow(sk);
  sctpDestroy(sk);
}
