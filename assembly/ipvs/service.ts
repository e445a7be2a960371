/**
 * Virtual services and their destinations (net/netfilter/ipvs/ip_vs_ctl.c). A new destination goes to the head of its
 * service's list; a deleted one to the trash, where its connections keep it, and whence it comes back with them when it is
 * added again.
 */
import {
  EEXIST, EINVAL, ENOENT, ERANGE, ESRCH, IPPROTO_TCP, RTN_LOCAL, RTN_UNICAST, VD_ADDR, VD_LOWER, VD_METHOD, VD_PORT, VD_UPPER, VD_WEIGHT, VSCTL_EXPIRE_NODEST_CONN, VS_ADDR,
  VS_CONN_F_FWD_MASK, VS_CONN_F_INACTIVE, VS_CONN_F_MASQ, VS_CONN_F_NOOUTPUT, VS_FLAGS, VS_FWMARK, VS_NETMASK, VS_PORT, VS_PROTO, VS_SCHED, VS_SCHEDS, VS_TIMEOUT,
} from "../abi";
import { jhash3 } from "../hash/jhash";
import { fibAddrType } from "../inet/fib";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { linkNext, tableFirst, tableInsert, tableRemove } from "../memory/hashtable";
import { nfUpdateHooks } from "../netfilter/netfilter";
import { now } from "../sim/event";
import { timerMod } from "../sim/timer";
import { DEST_AVAILABLE, DEST_OVERLOAD, Dest, DestStats, IpvsNs, SECOND, STATS, Service, Trashed, vsCtl } from "./records";
import { schedAddDest, schedBind, schedDelDest, schedUnbind, schedUpdDest } from "./sched";

/** IP_VS_DEST_TRASH_PERIOD. */
const TRASH_PERIOD: i64 = 120 * SECOND;
/** One jiffy (HZ = 250): when the work for deleted destinations runs. */
const JIFFY: i64 = 4_000_000;

// ------------------------------------------------------------------------------------------------ services

@inline
function serviceHash(protocol: u32, addr: u32, port: u32): u32 {
  return jhash3(addr, port, protocol, 0);
}

/** __ip_vs_service_find: the service of exactly this key, 0 = none. */
export function serviceByKey(vs: IpvsNs, protocol: u32, addr: u32, port: u32): usize {
  for (let p = tableFirst(vs.services, serviceHash(protocol, addr, port)); p != 0; p = linkNext(p)) {
    const svc = changetype<Service>(p);
    if (svc.addr == addr && svc.port == port && svc.protocol == protocol) return p;
  }
  return 0;
}

/** __ip_vs_svc_fwm_find. */
export function serviceByMark(vs: IpvsNs, mark: u32): usize {
  for (let p = tableFirst(vs.marks, mark); p != 0; p = linkNext(p)) if (changetype<Service>(p).fwmark == mark) return p;
  return 0;
}

/** ip_vs_service_find: the service that a packet belongs to. */
export function serviceFind(vs: IpvsNs, mark: u32, protocol: u32, addr: u32, port: u32): usize {
  if (mark != 0) {
    const marked = serviceByMark(vs, mark);
    if (marked != 0) return marked;
  }
  const exact = serviceByKey(vs, protocol, addr, port);
  if (exact != 0) return exact;
  return vs.anyPort != 0 ? serviceByKey(vs, protocol, addr, 0) : 0;
}

/** The service that a VS_* record names. */
export function serviceOfRecord(vs: IpvsNs, record: usize): usize {
  const mark = load<u32>(record, VS_FWMARK);
  if (mark != 0) return serviceByMark(vs, mark);
  return serviceByKey(vs, load<u32>(record, VS_PROTO), load<u32>(record, VS_ADDR), load<u32>(record, VS_PORT));
}

function activate(vs: IpvsNs): void {
  const ns = changetype<NetNs>(vs.ns);
  ns.ipvs = vs.count != 0 ? changetype<usize>(vs) : 0;
  nfUpdateHooks(ns);
}

/** IPVS_CMD_NEW_SERVICE (ip_vs_add_service). */
export function serviceAdd(vs: IpvsNs, record: usize): i32 {
  if (serviceOfRecord(vs, record) != 0) return -EEXIST;
  if (load<u32>(record, VS_SCHED) >= <u32>VS_SCHEDS) return -ENOENT;
  const at = kmalloc(offsetof<Service>());
  const svc = changetype<Service>(at);
  svc.vs = changetype<usize>(vs);
  svc.fwmark = load<u32>(record, VS_FWMARK);
  svc.protocol = svc.fwmark != 0 ? <u32>IPPROTO_TCP : load<u32>(record, VS_PROTO);
  if (svc.fwmark == 0) {
    svc.addr = load<u32>(record, VS_ADDR);
    svc.port = load<u32>(record, VS_PORT);
    if (svc.port == 0) vs.anyPort++;
    tableInsert(vs.services, at, serviceHash(svc.protocol, svc.addr, svc.port));
  } else tableInsert(vs.marks, at, svc.fwmark);
  svc.flags = load<u32>(record, VS_FLAGS);
  svc.timeout = load<u32>(record, VS_TIMEOUT);
  svc.netmask = load<u32>(record, VS_NETMASK);
  svc.generation = ++vs.generation;
  svc.listNext = vs.first;
  if (vs.first != 0) changetype<Service>(vs.first).listPrev = at;
  vs.first = at;
  vs.count++;
  schedBind(svc, load<u32>(record, VS_SCHED));
  if (vs.count == 1) activate(vs);
  return 0;
}

/** IPVS_CMD_SET_SERVICE (ip_vs_edit_service). */
export function serviceEdit(vs: IpvsNs, record: usize): i32 {
  const found = serviceOfRecord(vs, record);
  if (found == 0) return -ESRCH;
  const sched = load<u32>(record, VS_SCHED);
  if (sched >= <u32>VS_SCHEDS) return -ENOENT;
  const svc = changetype<Service>(found);
  svc.flags = load<u32>(record, VS_FLAGS);
  svc.timeout = load<u32>(record, VS_TIMEOUT);
  svc.netmask = load<u32>(record, VS_NETMASK);
  if (sched != svc.sched) {
    schedUnbind(svc);
    schedBind(svc, sched);
  }
  return 0;
}

/** __ip_vs_del_service. */
export function serviceDel(vs: IpvsNs, svc: Service): void {
  const at = changetype<usize>(svc);
  schedUnbind(svc);
  while (svc.first != 0) {
    const dest = changetype<Dest>(svc.first);
    unlinkDest(svc, dest);
    toTrash(vs, svc, dest);
  }
  tableRemove(svc.fwmark != 0 ? vs.marks : vs.services, at);
  if (svc.fwmark == 0 && svc.port == 0) vs.anyPort--;
  if (svc.listPrev != 0) changetype<Service>(svc.listPrev).listNext = svc.listNext;
  else vs.first = svc.listNext;
  if (svc.listNext != 0) changetype<Service>(svc.listNext).listPrev = svc.listPrev;
  vs.count--;
  kfree(at, offsetof<Service>());
  if (vs.count == 0) activate(vs);
}

// ------------------------------------------------------------------------------------------------ destinations

/** ip_vs_lookup_dest. */
export function destFind(svc: Service, addr: u32, port: u32): usize {
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const dest = changetype<Dest>(p);
    if (dest.addr == addr && dest.port == port) return p;
  }
  return 0;
}

/** ip_vs_trash_get_dest: a deleted destination of this service's key; taken out of the trash. */
function trashTake(vs: IpvsNs, svc: Service, addr: u32, port: u32): usize {
  for (let p = vs.trash; p != 0; p = changetype<Dest>(p).next) {
    const dest = changetype<Dest>(p);
    const trashed = changetype<Trashed>(dest.svc);
    if (dest.addr != addr || dest.port != port || trashed.fwmark != svc.fwmark || trashed.protocol != svc.protocol) continue;
    if (svc.fwmark == 0 && (trashed.addr != svc.addr || trashed.port != svc.port)) continue;
    trashUnlink(vs, dest);
    return p;
  }
  return 0;
}

function trashUnlink(vs: IpvsNs, dest: Dest): void {
  if (dest.prev != 0) changetype<Dest>(dest.prev).next = dest.next;
  else vs.trash = dest.next;
  if (dest.next != 0) changetype<Dest>(dest.next).prev = dest.prev;
  kfree(dest.svc, offsetof<Trashed>());
}

function destFree(dest: Dest): void {
  if (dest.stats != 0) kfree(dest.stats, offsetof<DestStats>());
  kfree(changetype<usize>(dest), offsetof<Dest>());
}

/** __ip_vs_del_dest: what still points to it finds it in the trash. */
function toTrash(vs: IpvsNs, svc: Service, dest: Dest): void {
  const trashed = changetype<Trashed>(kmalloc(offsetof<Trashed>()));
  trashed.protocol = svc.protocol;
  trashed.addr = svc.addr;
  trashed.port = svc.port;
  trashed.fwmark = svc.fwmark;
  trashed.idleStart = -1;
  dest.svc = changetype<usize>(trashed);
  if (vs.trash == 0) timerMod(vs.trashTimer, now + TRASH_PERIOD / 2);
  dest.prev = 0;
  dest.next = vs.trash;
  if (vs.trash != 0) changetype<Dest>(vs.trash).prev = changetype<usize>(dest);
  vs.trash = changetype<usize>(dest);
  if (vsCtl(vs, VSCTL_EXPIRE_NODEST_CONN)) timerMod(vs.nodestTimer, now + JIFFY);
}

/** ip_vs_dest_trash_expire: (vs: usize) => void of the namespace's timer. */
export function trashExpire(arg: usize): void {
  const vs = changetype<IpvsNs>(arg);
  let p = vs.trash;
  while (p != 0) {
    const dest = changetype<Dest>(p);
    p = dest.next;
    if (dest.refs != 0) continue;
    const trashed = changetype<Trashed>(dest.svc);
    if (trashed.idleStart < 0) trashed.idleStart = now;
    else if (now >= trashed.idleStart + TRASH_PERIOD) {
      trashUnlink(vs, dest);
      destFree(dest);
    }
  }
  if (vs.trash != 0) timerMod(vs.trashTimer, now + TRASH_PERIOD / 2);
}

/** What ip_vs_add_dest and ip_vs_edit_dest refuse. */
function refusedDest(record: usize): i32 {
  if (load<i32>(record, VD_WEIGHT) < 0) return -ERANGE;
  if (load<u32>(record, VD_LOWER) > load<u32>(record, VD_UPPER)) return -ERANGE;
  return 0;
}

/** __ip_vs_update_dest. */
function updateDest(svc: Service, dest: Dest, record: usize, add: bool): void {
  dest.weight = load<i32>(record, VD_WEIGHT);
  if (add || dest.weight != 0) dest.lastWeight = dest.weight;
  const method = load<u32>(record, VD_METHOD) & VS_CONN_F_FWD_MASK;
  dest.connFlags = method | VS_CONN_F_INACTIVE | (method == <u32>VS_CONN_F_MASQ ? 0 : VS_CONN_F_NOOUTPUT);
  if (dest.generation != svc.generation) {
    if (dest.generation != 0) clearDestStats(dest);
    dest.generation = svc.generation;
  }
  dest.svc = changetype<usize>(svc);
  dest.flags |= <u16>DEST_AVAILABLE;
  const upper = load<u32>(record, VD_UPPER);
  if (upper == 0 || upper > dest.upper) dest.flags &= <u16>~DEST_OVERLOAD;
  dest.upper = upper;
  dest.lower = load<u32>(record, VD_LOWER);
  if (add) {
    linkDest(svc, dest);
    schedAddDest(svc, dest);
  } else schedUpdDest(svc, dest);
}

function linkDest(svc: Service, dest: Dest): void {
  const at = changetype<usize>(dest);
  dest.prev = 0;
  dest.next = svc.first;
  if (svc.first != 0) changetype<Dest>(svc.first).prev = at;
  else svc.last = at;
  svc.first = at;
  svc.dests++;
}

function unlinkDest(svc: Service, dest: Dest): void {
  dest.flags &= <u16>~DEST_AVAILABLE;
  dest.svc = 0;
  if (dest.prev != 0) changetype<Dest>(dest.prev).next = dest.next;
  else svc.first = dest.next;
  if (dest.next != 0) changetype<Dest>(dest.next).prev = dest.prev;
  else svc.last = dest.prev;
  svc.dests--;
}

/** IPVS_CMD_NEW_DEST (ip_vs_add_dest). */
export function destAdd(vs: IpvsNs, svc: Service, record: usize): i32 {
  const refused = refusedDest(record);
  if (refused != 0) return refused;
  const addr = load<u32>(record, VD_ADDR);
  const port = load<u32>(record, VD_PORT);
  if (destFind(svc, addr, port) != 0) return -EEXIST;
  const old = trashTake(vs, svc, addr, port);
  if (old != 0) {
    updateDest(svc, changetype<Dest>(old), record, true);
    return 0;
  }
  const type = fibAddrType(changetype<NetNs>(vs.ns), addr);
  if (type != <u32>RTN_LOCAL && type != <u32>RTN_UNICAST) return -EINVAL;
  const dest = changetype<Dest>(kmalloc(offsetof<Dest>()));
  dest.addr = addr;
  dest.port = <u16>port;
  updateDest(svc, dest, record, true);
  return 0;
}

/** IPVS_CMD_SET_DEST (ip_vs_edit_dest). */
export function destEdit(svc: Service, record: usize): i32 {
  const refused = refusedDest(record);
  if (refused != 0) return refused;
  const found = destFind(svc, load<u32>(record, VD_ADDR), load<u32>(record, VD_PORT));
  if (found == 0) return -ENOENT;
  updateDest(svc, changetype<Dest>(found), record, false);
  return 0;
}

/** IPVS_CMD_DEL_DEST (ip_vs_del_dest). */
export function destDel(vs: IpvsNs, svc: Service, addr: u32, port: u32): i32 {
  const found = destFind(svc, addr, port);
  if (found == 0) return -ENOENT;
  const dest = changetype<Dest>(found);
  const before = dest.prev;
  unlinkDest(svc, dest);
  schedDelDest(svc, dest, before);
  toTrash(vs, svc, dest);
  return 0;
}

// ------------------------------------------------------------------------------------------------ counters, end

/** ip_vs_zero_stats: five counters at `at`. */
export function clearStats(at: usize): void {
  memory.fill(at, 0, STATS);
}

function clearDestStats(dest: Dest): void {
  if (dest.stats != 0) clearStats(dest.stats);
}

/** ip_vs_zero_service. */
export function serviceZero(svc: Service): void {
  clearStats(changetype<usize>(svc) + offsetof<Service>("conns"));
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) clearDestStats(changetype<Dest>(p));
}

/** The namespace goes: its connections are gone already. */
export function servicesFree(vs: IpvsNs): void {
  while (vs.first != 0) {
    const svc = changetype<Service>(vs.first);
    schedUnbind(svc);
    while (svc.first != 0) {
      const dest = changetype<Dest>(svc.first);
      unlinkDest(svc, dest);
      destFree(dest);
    }
    tableRemove(svc.fwmark != 0 ? vs.marks : vs.services, changetype<usize>(svc));
    vs.first = svc.listNext;
    kfree(changetype<usize>(svc), offsetof<Service>());
  }
  while (vs.trash != 0) {
    const dest = changetype<Dest>(vs.trash);
    trashUnlink(vs, dest);
    destFree(dest);
  }
}
