/**
 * The border of SCTP: what `src/kernel` calls. Handles are socket addresses; results below 0 are negative errno. A handle is
 * valid until sctpClose or sctpAbort, or until its namespace is destroyed.
 *
 * A socket stands in the wake list when it became readable (a message, the end, an association to accept), writable after a
 * refused send, established, or failed.
 */
import {
  SCTPINFO_CTSN, SCTPINFO_CWND, SCTPINFO_FRAG_POINT, SCTPINFO_INSTREAMS, SCTPINFO_MTU, SCTPINFO_MY_TAG, SCTPINFO_NEXT_TSN, SCTPINFO_OUTSTREAMS,
  SCTPINFO_PEER_TAG, SCTPINFO_PENDING, SCTPINFO_RECORD, SCTPINFO_RETRANS, SCTPINFO_RTO, SCTPINFO_RWND, SCTPINFO_SRTT,
  SCTPINFO_SSTHRESH, SCTPINFO_STATE, SCTPINFO_UNACKED, SCTPMSG_DATA, SCTPMSG_FLAGS, SCTPMSG_F_EOR, SCTPMSG_F_UNORDERED,
  SCTPMSG_PPID, SCTPMSG_SSN, SCTPMSG_STREAM, SCTPMSG_TSN, SCTPREC_HANDLE, SCTPREC_LOCAL_IP, SCTPREC_LOCAL_PORT,
  SCTPREC_RECORD, SCTPREC_REMOTE_IP, SCTPREC_REMOTE_PORT, SCTPREC_RXQ, SCTPREC_STATE, SCTPREC_TXQ, SCTP_LISTEN,
} from "../abi";
import { softirq } from "../link/netdev";
import { NetNs } from "../link/netns";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { DATA_U } from "../wire/sctp";
import { sctpNew } from "./sctp-assoc";
import { SF_NODELAY } from "./sctp-const";
import { readEnd, readFlags, readPpid, readSsn, readStream, readTsn } from "./sctp-data";
import { flush, fragPoint } from "./sctp-output";
import { SctpSock, SctpTx } from "./sctp-sock";
import { userAbort, userAccept, userBind, userClose, userConnect, userListen, userRecv, userSend, userShutdown } from "./sctp-user";
import { SOCK_SCTP, Sock } from "./socket";
import { NS_PER_MS } from "./tcp-const";

@inline
function sock(handle: usize): SctpSock {
  return changetype<SctpSock>(handle);
}

/** A new one-to-one socket in a namespace: its handle. The first one on a host loads the module. */
export function sctpOpen(ns: usize): usize {
  return changetype<usize>(sctpNew(changetype<NetNs>(ns)));
}

/** 0, -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL. ip 0 = any, port 0 = ephemeral. */
export function sctpBind(handle: usize, ip: u32, port: u32): i32 {
  return userBind(sock(handle), ip, port);
}

/** 0 or -EADDRINUSE, -EINVAL. */
export function sctpListen(handle: usize, backlog: u32): i32 {
  return userListen(sock(handle), backlog);
}

/** Starts an association: 0, or -ENETUNREACH, -EADDRNOTAVAIL, -EISCONN, -EALREADY. Then wait and look at sctpState. */
export function sctpConnect(handle: usize, ip: u32, port: u32): i32 {
  const err = userConnect(sock(handle), ip, port);
  softirq();
  return err;
}

/** Handle of an association that completed its handshake, or -EAGAIN, -EINVAL. */
export function sctpAccept(handle: usize): i32 {
  return userAccept(sock(handle));
}

/** Sends `len` bytes at `from` as one message: `len`, or -EAGAIN when the buffer is full, -EMSGSIZE, -EINVAL, -EPIPE, the pending error. */
export function sctpSend(handle: usize, from: usize, len: u32, stream: u32, ppid: u32, unordered: u32): i32 {
  const taken = userSend(sock(handle), from, len, stream, ppid, unordered != 0);
  softirq();
  return taken;
}

/**
 * Up to `max` bytes of the first message, behind a SCTPMSG_* header in scratch: how many, 0 = the end, -EAGAIN nothing yet, else the
 * pending error.
 */
export function sctpRecv(handle: usize, max: u32): i32 {
  const out = scratch();
  const most = max < SCRATCH_SIZE - SCTPMSG_DATA ? max : SCRATCH_SIZE - SCTPMSG_DATA;
  const got = userRecv(sock(handle), out + SCTPMSG_DATA, most);
  if (got > 0) {
    store<u32>(out, readStream, SCTPMSG_STREAM);
    store<u32>(out, readSsn, SCTPMSG_SSN);
    store<u32>(out, readPpid, SCTPMSG_PPID);
    store<u32>(out, readTsn, SCTPMSG_TSN);
    store<u32>(out, (readEnd ? SCTPMSG_F_EOR : 0) | (readFlags & DATA_U ? SCTPMSG_F_UNORDERED : 0), SCTPMSG_FLAGS);
  }
  softirq();
  return got;
}

/** Ends sending, and with it the association: SHUTDOWN behind what is queued. 0 or -ENOTCONN. */
export function sctpShutdown(handle: usize): i32 {
  const err = userShutdown(sock(handle));
  softirq();
  return err;
}

/** Closes; what is queued is still sent. The handle is gone. */
export function sctpClose(handle: usize): void {
  userClose(sock(handle));
  softirq();
}

/** ABORT at once. The handle is gone. */
export function sctpAbort(handle: usize): void {
  userAbort(sock(handle));
  softirq();
}

/** SCTP_CLOSED … SCTP_LISTEN of abi.ts. */
export function sctpState(handle: usize): u32 {
  return sock(handle).state;
}

/** Addresses and ports, own and peer's: four u32 in scratch, 0 where there is none. */
export function sctpNames(handle: usize): usize {
  const sk = sock(handle);
  const out = scratch();
  store<u32>(out, sk.localIp);
  store<u32>(out, sk.localPort, 4);
  store<u32>(out, sk.remoteIp, 8);
  store<u32>(out, sk.remotePort, 12);
  return out;
}

/** Bytes queued for sending and not yet acknowledged. */
export function sctpUnacked(handle: usize): u32 {
  return sock(handle).sndUsed;
}

/** SCTP_NODELAY. */
export function sctpSetNoDelay(handle: usize, on: u32): void {
  const sk = sock(handle);
  if (!on) {
    sk.sf &= ~SF_NODELAY;
    return;
  }
  sk.sf |= SF_NODELAY;
  flush(sk);
  softirq();
}

/** Writes a SCTPINFO_* record to scratch; returns its size. */
export function sctpInfo(handle: usize): u32 {
  const sk = sock(handle);
  const at = scratch();
  let unacked: u32 = 0;
  for (let p = sk.txFirst; p != 0 && p != sk.txNew; p = changetype<SctpTx>(p).next) unacked++;
  store<u32>(at, sk.state, SCTPINFO_STATE);
  store<u32>(at, sk.peerRwnd, SCTPINFO_RWND);
  store<u32>(at, unacked, SCTPINFO_UNACKED);
  store<u32>(at, sk.pendCount, SCTPINFO_PENDING);
  store<u32>(at, sk.inStreams, SCTPINFO_INSTREAMS);
  store<u32>(at, sk.outStreams, SCTPINFO_OUTSTREAMS);
  store<u32>(at, sk.pmtu == 0 ? 0 : fragPoint(sk), SCTPINFO_FRAG_POINT);
  store<u32>(at, sk.cwnd, SCTPINFO_CWND);
  store<u32>(at, sk.ssthresh, SCTPINFO_SSTHRESH);
  store<u32>(at, <u32>(sk.srtt / NS_PER_MS), SCTPINFO_SRTT);
  store<u32>(at, <u32>(sk.rto / NS_PER_MS), SCTPINFO_RTO);
  store<u32>(at, sk.pmtu, SCTPINFO_MTU);
  store<u32>(at, sk.retransmitted, SCTPINFO_RETRANS);
  store<u32>(at, sk.myTag, SCTPINFO_MY_TAG);
  store<u32>(at, sk.peerTag, SCTPINFO_PEER_TAG);
  store<u32>(at, sk.nextTsn, SCTPINFO_NEXT_TSN);
  store<u32>(at, sk.ctsn, SCTPINFO_CTSN);
  return SCTPINFO_RECORD;
}

/**
 * Writes SCTPREC_* records of a namespace's sockets to scratch, newest first, those that nobody accepted yet among them, beginning
 * with the `cursor`-th. Returns how many; call again with cursor + count until 0.
 */
export function sctpDump(nsHandle: usize, cursor: u32): u32 {
  const out = scratch();
  const room = SCRATCH_SIZE / SCTPREC_RECORD;
  let index: u32 = 0;
  let count: u32 = 0;
  for (let p = changetype<NetNs>(nsHandle).sockets; p != 0 && count < room; p = changetype<Sock>(p).nsNext) {
    if (changetype<Sock>(p).type != SOCK_SCTP || index++ < cursor) continue;
    const sk = changetype<SctpSock>(p);
    const listening = sk.state == SCTP_LISTEN;
    const at = out + <usize>(count++ * SCTPREC_RECORD);
    store<u32>(at, <u32>p, SCTPREC_HANDLE);
    store<u32>(at, sk.state, SCTPREC_STATE);
    store<u32>(at, sk.localIp, SCTPREC_LOCAL_IP);
    store<u32>(at, sk.localPort, SCTPREC_LOCAL_PORT);
    store<u32>(at, sk.remoteIp, SCTPREC_REMOTE_IP);
    store<u32>(at, sk.remotePort, SCTPREC_REMOTE_PORT);
    store<u32>(at, listening ? sk.acceptCount : sk.readBytes, SCTPREC_RXQ);
    store<u32>(at, listening ? sk.backlog : sk.sndUsed, SCTPREC_TXQ);
  }
  return count;
}
