/**
 * What all sockets share: the record's common part, ownership by namespaces, waking programs, and memory
 * accounting (include/net/sock.h). Protocols embed Sock at the start of their own record.
 */
import { EAGAIN } from "../abi";
import { snmpReady } from "../inet/snmp";
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { Skb, consumeSkb, dropSkb, skbCost } from "../memory/skb";
import { NetNs } from "../link/netns";
import { Host } from "../sim/host";
import { rawDestroy } from "./raw";
import { sctpDestroy } from "./sctp-assoc";
import { tcpDestroy, tcpWfree } from "./tcp";
import { appReady } from "./tcp-app";
import { TcpSock } from "./tcp-sock";
import { tcpNsExit } from "./tcp-timewait";
import { udpDestroy } from "./udp";

/** Sock.type */
export const SOCK_UDP: u32 = 1;
export const SOCK_TCP: u32 = 2;
export const SOCK_ICMP: u32 = 3;
export const SOCK_RAW: u32 = 4;
export const SOCK_SCTP: u32 = 5;

// Sock.flags
/** The program closed it; it lives on only inside the kernel (TCP). */
export const SOCK_DEAD: u32 = 1;
/** It stands in the wake list. */
export const SOCK_WAKE_PENDING: u32 = 2;
export const SOCK_BROADCAST: u32 = 4;
/** Counts and frees what it receives instead of waking a program (benchmarks). */
export const SOCK_SINK: u32 = 8;
/** Owned by the kernel itself (a vxlan device's UDP socket): programs never see it. */
export const SOCK_KERNEL: u32 = 16;
/** A TCP socket with a program inside of the kernel behind it (socket/tcp-app), which hears its news. */
export const SOCK_APP: u32 = 32;

/** Path MTU discovery (IP_PMTUDISC_*) */
export const PMTUDISC_DONT: u32 = 0;
export const PMTUDISC_WANT: u32 = 1;
export const PMTUDISC_DO: u32 = 2;

/** What all sockets share (struct sock, struct inet_sock). */
@unmanaged
export class Sock {
  // Link in the protocol's hash table (memory/hashtable) stands first.
  hnext: u32;
  hhash: u32;
  type: u32;
  flags: u32;
  ns: usize;
  host: usize;
  nsNext: usize; // next socket of the namespace
  localIp: u32; // 0 = any
  remoteIp: u32; // 0 = not connected
  localPort: u32;
  remotePort: u32;
  protocol: u32; // IPPROTO_*
  err: u32; // pending error (positive errno), taken by takeError
  ttl: u32; // 0 = the namespace's default
  tos: u32;
  pmtuDisc: u32;
  mark: u32;
  txhash: u32; // flow hash of a connected socket, 0 = none
  ipid: u32; // per-socket IP id counter (16 bit)
  // Receive queue of Skb, linked by Skb.next
  rxHead: usize;
  rxTail: usize;
  rxBytes: u32; // truesize queued
  rxMax: u32; // SO_RCVBUF
  rxCount: u32;
  txBytes: u32; // truesize sent and not yet freed
  txMax: u32; // SO_SNDBUF
  // Cached route of a connected socket (inet/route): valid while its generation equals the namespace's.
  dstDev: usize;
  dstNextHop: u32;
  dstType: u32;
  dstMtu: u32;
  dstGen: u32;
  /** The path MTU came from a router that reported less than min_pmtu: DF is not set. */
  dstLocked: u32;
  /** MTU of the device when the route was cached; another value makes it stale. */
  dstDevMtu: u32;
  /** Encapsulation handler of a kernel UDP socket: (skb: usize) => void, 0 = none. */
  encap: usize;
  /** Size of the record once it was closed while packets of it are still under way (sockFree); 0 = open. */
  freeSize: u32;
  rxPackets: u64;
  rxTotal: u64;
  /** Address of the word that points here: NetNs.sockets or a socket's nsNext. */
  nsPprev: usize;
}

/** net.core.rmem_default / wmem_default. */
const RMEM_DEFAULT: u32 = 212992;

/** Fills the common part of a fresh, zeroed record and links it to its namespace. */
export function sockInit(sk: Sock, ns: NetNs, type: u32, protocol: u32): void {
  snmpReady(ns);
  sk.type = type;
  sk.protocol = protocol;
  sk.ns = changetype<usize>(ns);
  sk.host = ns.host;
  sk.pmtuDisc = PMTUDISC_WANT;
  sk.rxMax = RMEM_DEFAULT;
  sk.txMax = RMEM_DEFAULT;
  sk.nsNext = ns.sockets;
  sk.nsPprev = changetype<usize>(ns) + offsetof<NetNs>("sockets");
  if (sk.nsNext != 0) changetype<Sock>(sk.nsNext).nsPprev = changetype<usize>(sk) + offsetof<Sock>("nsNext");
  ns.sockets = changetype<usize>(sk);
}

/** Unlinks a socket from its namespace. */
export function sockUnlink(sk: Sock): void {
  store<u32>(sk.nsPprev, <u32>sk.nsNext);
  if (sk.nsNext != 0) changetype<Sock>(sk.nsNext).nsPprev = sk.nsPprev;
}

/** Closes and frees every socket of a dying namespace, without a word on the wire. */
export function socketNsExit(ns: NetNs): void {
  while (ns.sockets != 0) {
    const sk = changetype<Sock>(ns.sockets);
    if (sk.type == SOCK_UDP) udpDestroy(sk);
    else if (sk.type == SOCK_TCP) tcpDestroy(sk);
    else if (sk.type == SOCK_SCTP) sctpDestroy(sk);
    else rawDestroy(sk);
  }
  tcpNsExit(ns);
}

// ---------------------------------------------------------------------------------------------- waking

/** Sockets with news for their programs: an array of pointers that run()'s caller reads and clears. */
let wakes: usize = 0;
let wakesCapacity: u32 = 0;
/** Sockets on the list of those with news. */
export let wakeCount: u32 = 0;

/** Tells the program behind a socket to look again (sk_data_ready, sk_state_change, sk_write_space). */
export function sockWake(sk: Sock): void {
  if (sk.flags & (SOCK_WAKE_PENDING | SOCK_DEAD | SOCK_KERNEL)) return;
  sk.flags |= SOCK_WAKE_PENDING;
  if (sk.flags & SOCK_APP) {
    appWake(sk);
    return;
  }
  if (wakeCount == wakesCapacity) growWakes();
  store<u32>(wakes + (<usize>wakeCount << 2), <u32>changetype<usize>(sk));
  wakeCount++;
}

function growWakes(): void {
  const size = wakesCapacity == 0 ? 256 : wakesCapacity * 2;
  const block = kmallocRaw(<usize>size << 2);
  if (wakesCapacity != 0) {
    memory.copy(block, wakes, <usize>wakesCapacity << 2);
    kfree(wakes, <usize>wakesCapacity << 2);
  }
  wakes = block;
  wakesCapacity = size;
}

/** Address of the wake list (u32 socket handles; 0 = a socket that was freed since). */
export function wakeList(): usize {
  return wakes;
}

/** The program has taken the list. */
export function clearWakes(): void {
  for (let i: u32 = 0; i < wakeCount; i++) {
    const sk = <usize>load<u32>(wakes + (<usize>i << 2));
    if (sk != 0) changetype<Sock>(sk).flags &= ~SOCK_WAKE_PENDING;
  }
  wakeCount = 0;
}

/** Takes a socket that is about to be freed out of the wake list. */
export function forgetWake(sk: Sock): void {
  if (!(sk.flags & SOCK_WAKE_PENDING)) return;
  if (sk.flags & SOCK_APP) {
    appForget(sk);
    return;
  }
  for (let i: u32 = 0; i < wakeCount; i++) {
    const at = wakes + (<usize>i << 2);
    if (<usize>load<u32>(at) == changetype<usize>(sk)) store<u32>(at, 0);
  }
}

/** Sockets with news for the kernel's own programs, as `wakes`; each stands there once. */
let apps: usize = 0;
let appsCapacity: u32 = 0;
/** Sockets on that list. */
export let appCount: u32 = 0;

function appWake(sk: Sock): void {
  if (appCount == appsCapacity) {
    const size = appsCapacity == 0 ? 64 : appsCapacity * 2;
    const block = kmallocRaw(<usize>size << 2);
    if (appsCapacity != 0) {
      memory.copy(block, apps, <usize>appsCapacity << 2);
      kfree(apps, <usize>appsCapacity << 2);
    }
    apps = block;
    appsCapacity = size;
  }
  store<u32>(apps + (<usize>appCount << 2), <u32>changetype<usize>(sk));
  appCount++;
}

function appForget(sk: Sock): void {
  for (let i: u32 = 0; i < appCount; i++) {
    const at = apps + (<usize>i << 2);
    if (<usize>load<u32>(at) == changetype<usize>(sk)) store<u32>(at, 0);
  }
  sk.flags &= ~SOCK_WAKE_PENDING;
}

/** Tells the kernel's own programs of their sockets' news, in order, and of what that brings them. */
export function appsRun(): void {
  for (let i: u32 = 0; i < appCount; i++) {
    const sk = <usize>load<u32>(apps + (<usize>i << 2));
    if (sk == 0) continue;
    store<u32>(apps + (<usize>i << 2), 0);
    changetype<Sock>(sk).flags &= ~SOCK_WAKE_PENDING;
    appReady(changetype<TcpSock>(sk));
  }
  appCount = 0;
}

/** Sets the pending error and wakes the program. */
export function sockError(sk: Sock, errno: u32): void {
  sk.err = errno;
  sockWake(sk);
}

// ---------------------------------------------------------------------------------------------- queues

/** Queues a received packet; false (and nothing done) when the receive buffer is full. */
export function sockQueueRcv(sk: Sock, skb: Skb): bool {
  if (sk.rxBytes + skbCost(skb.len) > sk.rxMax) return false;
  skb.next = 0;
  skb.dev = 0; // which may be gone before a program reads
  if (sk.rxTail == 0) sk.rxHead = changetype<usize>(skb);
  else changetype<Skb>(sk.rxTail).next = <u32>changetype<usize>(skb);
  sk.rxTail = changetype<usize>(skb);
  sk.rxBytes += skbCost(skb.len);
  sk.rxCount++;
  return true;
}

/** Takes the first queued packet, or 0. The caller consumes it. */
export function sockDequeue(sk: Sock): usize {
  const head = sk.rxHead;
  if (head == 0) return 0;
  const skb = changetype<Skb>(head);
  sk.rxHead = <usize>skb.next;
  if (sk.rxHead == 0) sk.rxTail = 0;
  sk.rxBytes -= skbCost(skb.len);
  sk.rxCount--;
  return head;
}

/** Drops what is queued. */
export function sockPurge(sk: Sock, reason: u32): void {
  for (let p = sockDequeue(sk); p != 0; p = sockDequeue(sk)) dropSkb(changetype<Skb>(p), reason);
}

/** Charges a packet to the socket that sends it (skb_set_owner_w); given back when the packet ends or leaves the host. */
export function chargeSkb(sk: Sock, skb: Skb): void {
  skb.sk = changetype<usize>(sk);
  skb.truesize = skb.size;
  sk.txBytes += skb.size;
}

/** `truesize` bytes that were charged to the socket have left (sock_wfree, tcp_wfree). */
export function sockUncharge(sk: Sock, truesize: u32): void {
  if (sk.type == SOCK_TCP) {
    tcpWfree(sk, truesize);
    return;
  }
  const wasFull = sk.txBytes >= sk.txMax;
  sk.txBytes -= truesize;
  if (sk.freeSize != 0) {
    if (sk.txBytes == 0) kfree(changetype<usize>(sk), sk.freeSize);
  } else if (wasFull && sk.txBytes < sk.txMax) sockWake(sk);
}

/** Frees a socket's record of `size` bytes, or leaves that to the last packet that is charged to it (sk_free, sock_wfree). */
export function sockFree(sk: Sock, size: u32): void {
  if (sk.txBytes == 0) kfree(changetype<usize>(sk), size);
  else sk.freeSize = size;
}

// ---------------------------------------------------------------------------------------------- border

/** Takes the pending error: 0 or a positive errno. */
export function sockTakeError(handle: usize): i32 {
  const sk = changetype<Sock>(handle);
  const err = sk.err;
  sk.err = 0;
  return <i32>err;
}
