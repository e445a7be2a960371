/**
 * IPVS's connections (net/netfilter/ipvs/ip_vs_conn.c): one table of the worker, hashed by the client's side; look-ups in
 * both directions; birth, counters of the destination, expiry.
 */
import {
  IPPROTO_UDP, VSCTL_CONNTRACK, VSCTL_EXPIRE_QUIESCENT_TEMPLATE, VS_CONN_F_FWD_MASK, VS_CONN_F_INACTIVE, VS_CONN_F_MASQ, VS_CONN_F_NFCT, VS_CONN_F_ONE_PACKET,
  VS_CONN_F_TEMPLATE,
} from "../abi";
import { jhash3 } from "../hash/jhash";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { ctKillTuple } from "../netfilter/netfilter";
import { now } from "../sim/event";
import { timerDel, timerInit, timerMod } from "../sim/timer";
import { Conn, DEST_AVAILABLE, DEST_OVERLOAD, Dest, IpvsNs, SECOND, destStats, destTotal, vsCtl } from "./records";

/** Pseudo protocol of the templates of a fwmark service (IPPROTO_IP). */
export const IPPROTO_IP: u32 = 0;
/** State of a template: a connection of it was answered (IP_VS_CTPL_S_ASSURED). */
export const CTPL_ASSURED: u32 = 1;
/** Timeout until the first packet sets the protocol's. */
const NEW_TIMEOUT: i64 = 3 * SECOND;
/** A connection that others belong to is asked again after this. */
const CONTROL_TIMEOUT: i64 = 60 * SECOND;
/** Port of an invalidated template. */
const INVALID_PORT: u32 = 0xffff;

let table = changetype<HashTable>(0);

/** Called once at start-up. */
export function connInit(): void {
  table = tableNew(10);
}

/** ip_vs_conn_hashkey without the namespace's part. */
@inline
export function connHashKey(addr: u32, port: u32, protocol: u32, rnd: u32): u32 {
  return jhash3(bswap<u32>(addr), <u32>bswap<u16>(<u16>port), protocol, rnd);
}

@inline
function hashOf(vs: IpvsNs, addr: u32, port: u32, protocol: u32): u32 {
  return connHashKey(addr, port, protocol, vs.rnd) ^ changetype<NetNs>(vs.ns).id;
}

@inline
function linkOf(cp: Conn): usize {
  return changetype<usize>(cp) + offsetof<Conn>("hNext");
}

@inline
function connOf(link: usize): Conn {
  return changetype<Conn>(link - offsetof<Conn>("hNext"));
}

function connHash(cp: Conn): void {
  if (cp.flags & VS_CONN_F_ONE_PACKET) return;
  cp.hashed = 1;
  tableInsert(table, linkOf(cp), hashOf(changetype<IpvsNs>(cp.vs), cp.caddr, cp.cport, cp.protocol));
}

function connUnhash(cp: Conn): void {
  if (cp.hashed == 0) return;
  cp.hashed = 0;
  tableRemove(table, linkOf(cp));
}

/** The entry's place in Linux's table of 4096 buckets, which is the order of /proc/net/ip_vs_conn. */
export function connBucket(cp: Conn): u32 {
  return hashOf(changetype<IpvsNs>(cp.vs), cp.caddr, cp.cport, cp.protocol) & 4095;
}

/** __ip_vs_conn_in_get: the connection of a packet from client to virtual address, 0 = none. */
export function connInGet(vs: IpvsNs, protocol: u32, caddr: u32, cport: u32, vaddr: u32, vport: u32): usize {
  // Port 0 belongs to entries whose client port isn't known yet, which only the FTP helper makes.
  if (cport == 0) return 0;
  const hash = hashOf(vs, caddr, cport, protocol);
  for (let p = tableFirst(table, hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) != hash) continue;
    const cp = connOf(p);
    if (cp.cport == cport && cp.vport == vport && cp.caddr == caddr && cp.vaddr == vaddr && cp.protocol == protocol && cp.vs == changetype<usize>(vs)) return changetype<usize>(cp);
  }
  return 0;
}

/** ip_vs_conn_out_get: the connection of a packet from a server (`saddr`) to the client. */
export function connOutGet(vs: IpvsNs, protocol: u32, saddr: u32, sport: u32, caddr: u32, cport: u32): usize {
  const hash = hashOf(vs, caddr, cport, protocol);
  for (let p = tableFirst(table, hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) != hash) continue;
    const cp = connOf(p);
    if (cp.cport != cport || cp.caddr != caddr || cp.protocol != protocol || cp.vs != changetype<usize>(vs)) continue;
    const masq = (cp.flags & VS_CONN_F_FWD_MASK) == <u32>VS_CONN_F_MASQ;
    if (masq ? cp.dport == sport && cp.daddr == saddr : cp.vport == sport && cp.vaddr == saddr) return changetype<usize>(cp);
  }
  return 0;
}

/** ip_vs_ct_in_get: a template. */
export function templateGet(vs: IpvsNs, protocol: u32, caddr: u32, vaddr: u32, vport: u32): usize {
  const hash = hashOf(vs, caddr, 0, protocol);
  for (let p = tableFirst(table, hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) != hash) continue;
    const cp = connOf(p);
    if (!(cp.flags & VS_CONN_F_TEMPLATE) || cp.vs != changetype<usize>(vs)) continue;
    if (cp.cport == 0 && cp.vport == vport && cp.caddr == caddr && cp.vaddr == vaddr && cp.protocol == protocol) return changetype<usize>(cp);
  }
  return 0;
}

/** ip_vs_check_template: may new connections follow it? If not, it is made unfindable. */
export function templateValid(ct: Conn): bool {
  const dest = changetype<Dest>(ct.dest);
  const vs = changetype<IpvsNs>(ct.vs);
  if (dest.flags & DEST_AVAILABLE && !(vsCtl(vs, VSCTL_EXPIRE_QUIESCENT_TEMPLATE) && dest.weight == 0)) return true;
  if (ct.vport != INVALID_PORT) {
    connUnhash(ct);
    ct.dport = INVALID_PORT;
    ct.vport = INVALID_PORT;
    ct.cport = 0;
    connHash(ct);
  }
  return false;
}

/** ip_vs_bind_dest. */
function bindDest(cp: Conn, dest: Dest): void {
  dest.refs++;
  destStats(dest);
  cp.dest = changetype<usize>(dest);
  let flags = dest.connFlags;
  if (cp.protocol != <u32>IPPROTO_UDP) flags &= ~VS_CONN_F_ONE_PACKET;
  cp.flags |= flags;
  if (cp.flags & VS_CONN_F_TEMPLATE) dest.persistent++;
  else if (cp.flags & VS_CONN_F_INACTIVE) dest.inactive++;
  else dest.active++;
  if (dest.upper != 0 && destTotal(dest) >= <i32>dest.upper) dest.flags |= <u16>DEST_OVERLOAD;
}

/** ip_vs_unbind_dest. */
function unbindDest(cp: Conn): void {
  const dest = changetype<Dest>(cp.dest);
  if (cp.flags & VS_CONN_F_TEMPLATE) dest.persistent--;
  else if (cp.flags & VS_CONN_F_INACTIVE) dest.inactive--;
  else dest.active--;
  const total = destTotal(dest);
  const below = dest.lower != 0 ? total < <i32>dest.lower : dest.upper == 0 || total * 4 < <i32>dest.upper * 3;
  if (below) dest.flags &= <u16>~DEST_OVERLOAD;
  dest.refs--;
  cp.dest = 0;
}

/** The destination's counters follow a change between active and inactive. */
@inline
export function connSetActive(cp: Conn, active: bool): void {
  const dest = changetype<Dest>(cp.dest);
  if (active == !(cp.flags & VS_CONN_F_INACTIVE)) return;
  if (active) {
    dest.active++;
    dest.inactive--;
    cp.flags &= ~VS_CONN_F_INACTIVE;
  } else {
    dest.active--;
    dest.inactive++;
    cp.flags |= VS_CONN_F_INACTIVE;
  }
}

/** ip_vs_conn_new. Its timer isn't armed: the caller's connPut does that. */
export function connNew(
  vs: IpvsNs, protocol: u32, caddr: u32, cport: u32, vaddr: u32, vport: u32, daddr: u32, dport: u32, flags: u32, dest: Dest, fwmark: u32,
): Conn {
  const cp = changetype<Conn>(kmalloc(offsetof<Conn>()));
  timerInit(cp, nsHost(changetype<NetNs>(vs.ns)), changetype<usize>(connExpire), changetype<usize>(cp));
  cp.vs = changetype<usize>(vs);
  cp.protocol = protocol;
  cp.caddr = caddr;
  cp.cport = cport;
  cp.vaddr = vaddr;
  cp.vport = vport;
  cp.daddr = daddr;
  cp.dport = dport;
  cp.fwmark = fwmark;
  cp.flags = flags;
  cp.timeout = NEW_TIMEOUT;
  bindDest(cp, dest);
  if (vsCtl(vs, VSCTL_CONNTRACK)) cp.flags |= VS_CONN_F_NFCT;
  cp.listNext = vs.conns;
  if (vs.conns != 0) changetype<Conn>(vs.conns).listPrev = changetype<usize>(cp);
  vs.conns = changetype<usize>(cp);
  vs.connCount++;
  connHash(cp);
  return cp;
}

/** ip_vs_control_add. */
export function controlAdd(cp: Conn, ct: Conn): void {
  cp.control = changetype<usize>(ct);
  ct.controlled++;
}

/** ip_vs_control_assure_ct: the template's server has answered. */
@inline
export function controlAssure(cp: Conn): void {
  if (cp.control == 0) return;
  const ct = changetype<Conn>(cp.control);
  if (ct.flags & VS_CONN_F_TEMPLATE) ct.state |= CTPL_ASSURED;
}

/** ip_vs_conn_put: the packet is through; the timer begins anew. An entry for one packet ends. */
@inline
export function connPut(cp: Conn): void {
  if (cp.flags & VS_CONN_F_ONE_PACKET) connExpire(changetype<usize>(cp));
  else timerMod(cp, now + cp.timeout);
}

/** ip_vs_conn_expire_now: it goes with the next timer tick; until then a newer entry of the same key comes first. */
export function connExpireNow(cp: Conn): void {
  if (cp.expires > now) timerMod(cp, now);
}

function unlist(vs: IpvsNs, cp: Conn): void {
  if (cp.listPrev != 0) changetype<Conn>(cp.listPrev).listNext = cp.listNext;
  else vs.conns = cp.listNext;
  if (cp.listNext != 0) changetype<Conn>(cp.listNext).listPrev = cp.listPrev;
  vs.connCount--;
}

/** ip_vs_conn_expire: (cp: usize) => void of the connection's timer. */
function connExpire(arg: usize): void {
  const cp = changetype<Conn>(arg);
  if (cp.controlled != 0) {
    cp.timeout = CONTROL_TIMEOUT;
    timerMod(cp, now + CONTROL_TIMEOUT);
    return;
  }
  const vs = changetype<IpvsNs>(cp.vs);
  connUnhash(cp);
  timerDel(cp);
  unlist(vs, cp);
  let useless: usize = 0;
  if (cp.control != 0) {
    const ct = changetype<Conn>(cp.control);
    ct.controlled--;
    // Deleted, not expired: its template goes along unless it has served.
    if (cp.timeout == 0 && ct.controlled == 0 && (!(ct.flags & VS_CONN_F_TEMPLATE) || !(ct.state & CTPL_ASSURED))) useless = cp.control;
  }
  if (cp.flags & VS_CONN_F_NFCT && !(cp.flags & VS_CONN_F_ONE_PACKET)) ctKillTuple(changetype<NetNs>(vs.ns), cp.protocol, cp.caddr, cp.cport, cp.vaddr, cp.vport);
  unbindDest(cp);
  kfree(arg, offsetof<Conn>());
  if (useless != 0) connDel(changetype<Conn>(useless));
}

/** ip_vs_conn_del: ends it now, and the template that it belongs to if nothing else does. */
export function connDel(cp: Conn): void {
  if (cp.control != 0) cp.timeout = 0;
  connExpire(changetype<usize>(cp));
}

/** ip_vs_expire_nodest_conn_flush: (vs: usize) => void of the namespace's timer. Ends what leads to deleted destinations. */
export function expireNodest(arg: usize): void {
  const vs = changetype<IpvsNs>(arg);
  let p = vs.conns;
  while (p != 0) {
    const cp = changetype<Conn>(p);
    p = cp.listNext;
    if (changetype<Dest>(cp.dest).flags & DEST_AVAILABLE || cp.controlled != 0) continue;
    const control = cp.control;
    // Its template may stand anywhere in the list, and go along.
    const before = vs.connCount;
    connDel(cp);
    if (control != 0 && before - vs.connCount == 1 && changetype<Conn>(control).controlled == 0) connDel(changetype<Conn>(control));
    if (before - vs.connCount > 1 || control != 0) p = vs.conns;
  }
}

/** The namespace goes. */
export function connsFree(vs: IpvsNs): void {
  while (vs.conns != 0) {
    const cp = changetype<Conn>(vs.conns);
    connUnhash(cp);
    timerDel(cp);
    unlist(vs, cp);
    changetype<Dest>(cp.dest).refs--;
    kfree(changetype<usize>(cp), offsetof<Conn>());
  }
}

/** Skipped time passes for all connections of the worker: nothing but traffic renews them (see quiet.ts). */
export function connsAge(by: i64): void {
  for (let i: u32 = 0; i <= table.mask; i++) {
    for (let p = tableFirst(table, i); p != 0; p = linkNext(p)) {
      const cp = connOf(p);
      if (cp.expires >= 0) timerMod(cp, cp.expires - by);
    }
  }
}
