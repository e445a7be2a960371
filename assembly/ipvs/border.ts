/**
 * IPVS's border: the generic netlink family IPVS and net.ipv4.vs.*. Namespaces are NetNs handles; a service (VS_*), a
 * destination (VD_*) and connections (VC_*) cross in scratch. Errors are negative errno.
 */
import {
  EINVAL, ENOENT, ESRCH, VC_BUCKET, VC_CADDR, VC_CPORT, VC_DADDR, VC_DPORT, VC_EXPIRES, VC_FLAGS, VC_FWMARK, VC_PROTO, VC_RECORD, VC_STATE, VC_VADDR, VC_VPORT, VD_ACTIVE,
  VD_ADDR, VD_INACTIVE, VD_LOWER, VD_METHOD, VD_PERSISTENT, VD_PORT, VD_RECORD, VD_STATS, VD_UPPER, VD_WEIGHT, VSCTL_COUNT, VS_ADDR, VS_BUCKET, VS_CONN_F_FWD_MASK, VS_FLAGS,
  VS_FWMARK, VS_HANDLE, VS_NETMASK, VS_PORT, VS_PROTO, VS_RECORD, VS_SCHED, VS_STATS, VS_TIMEOUT,
} from "../abi";
import { NetNs } from "../link/netns";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { now } from "../sim/event";
import { connBucket } from "./conn";
import { ipvsMake } from "./ns";
import { Conn, Dest, IpvsNs, STATS, Service, TIMEOUT_TCP, TIMEOUT_UDP, vsOf } from "./records";
import { clearStats, destAdd, destDel, destEdit, serviceAdd, serviceDel, serviceEdit, serviceOfRecord, serviceZero } from "./service";
import { S_TCP_FIN_WAIT } from "./state";

/** A state of TCP whose timeout is set by hand. */
const S_TCP_ESTABLISHED: u32 = 1;

@inline
function vs(ns: usize): IpvsNs {
  return ipvsMake(changetype<NetNs>(ns));
}

/** `ipvsadm -A`: -EEXIST; -ENOENT for a scheduler that there isn't. */
export function ipvsServiceAdd(ns: usize): i32 {
  return serviceAdd(vs(ns), scratch());
}

/** `ipvsadm -E`: -ESRCH, -ENOENT. */
export function ipvsServiceSet(ns: usize): i32 {
  return serviceEdit(vs(ns), scratch());
}

/** `ipvsadm -D`: -ESRCH. */
export function ipvsServiceDel(ns: usize): i32 {
  const found = serviceOfRecord(vs(ns), scratch());
  if (found == 0) return -ESRCH;
  serviceDel(vs(ns), changetype<Service>(found));
  return 0;
}

/** `ipvsadm -a`: the service's record, and behind it the destination's. -ESRCH; -EEXIST; -EINVAL, -ERANGE. */
export function ipvsDestAdd(ns: usize): i32 {
  const found = serviceOfRecord(vs(ns), scratch());
  return found == 0 ? -ESRCH : destAdd(vs(ns), changetype<Service>(found), scratch() + VS_RECORD);
}

/** `ipvsadm -e`: -ESRCH; -ENOENT; -ERANGE. */
export function ipvsDestSet(ns: usize): i32 {
  const found = serviceOfRecord(vs(ns), scratch());
  return found == 0 ? -ESRCH : destEdit(changetype<Service>(found), scratch() + VS_RECORD);
}

/** `ipvsadm -d`: -ESRCH; -ENOENT. */
export function ipvsDestDel(ns: usize): i32 {
  const found = serviceOfRecord(vs(ns), scratch());
  if (found == 0) return -ESRCH;
  const record = scratch() + VS_RECORD;
  return destDel(vs(ns), changetype<Service>(found), load<u32>(record, VD_ADDR), load<u32>(record, VD_PORT));
}

/** `ipvsadm -C`. */
export function ipvsFlush(ns: usize): void {
  const net = changetype<NetNs>(ns);
  if (net.vs == 0) return;
  while (vsOf(net).first != 0) serviceDel(vsOf(net), changetype<Service>(vsOf(net).first));
}

/** `ipvsadm -Z`, all services. */
export function ipvsZeroAll(ns: usize): void {
  const net = changetype<NetNs>(ns);
  if (net.vs == 0) return;
  for (let p = vsOf(net).first; p != 0; p = changetype<Service>(p).listNext) serviceZero(changetype<Service>(p));
  clearStats(net.vs + offsetof<IpvsNs>("conns0"));
}

/** `ipvsadm -Z` of the service in scratch: -ESRCH. */
export function ipvsZero(ns: usize): i32 {
  const found = serviceOfRecord(vs(ns), scratch());
  if (found == 0) return -ESRCH;
  serviceZero(changetype<Service>(found));
  return 0;
}

/** Its bucket in Linux's table, which is the order of listing (ip_vs_svc_hashkey, ip_vs_svc_fwm_hashkey). */
function bucketOf(svc: Service): u32 {
  if (svc.fwmark != 0) return svc.fwmark & 255;
  return (svc.protocol ^ svc.addr ^ (svc.port >> 8) ^ svc.port) & 255;
}

function writeService(svc: Service, at: usize): void {
  store<u32>(at, svc.fwmark, VS_FWMARK);
  store<u32>(at, svc.protocol, VS_PROTO);
  store<u32>(at, svc.addr, VS_ADDR);
  store<u32>(at, svc.port, VS_PORT);
  store<u32>(at, svc.sched, VS_SCHED);
  store<u32>(at, svc.flags, VS_FLAGS);
  store<u32>(at, svc.timeout, VS_TIMEOUT);
  store<u32>(at, svc.netmask, VS_NETMASK);
  store<u32>(at, bucketOf(svc), VS_BUCKET);
  store<u32>(at, <u32>changetype<usize>(svc), VS_HANDLE);
  memory.copy(at + VS_STATS, changetype<usize>(svc) + offsetof<Service>("conns"), STATS);
}

/** Writes VS_* records to scratch, newest first, leaving out the first `skip`; returns how many. */
export function ipvsServiceDump(ns: usize, skip: u32): u32 {
  const net = changetype<NetNs>(ns);
  if (net.vs == 0) return 0;
  let written: u32 = 0;
  for (let p = vsOf(net).first; p != 0; p = changetype<Service>(p).listNext) {
    if (skip != 0) {
      skip--;
      continue;
    }
    if ((written + 1) * VS_RECORD > SCRATCH_SIZE) break;
    writeService(changetype<Service>(p), scratch() + written++ * VS_RECORD);
  }
  return written;
}

function writeDest(dest: Dest, at: usize): void {
  store<u32>(at, dest.addr, VD_ADDR);
  store<u32>(at, dest.port, VD_PORT);
  store<u32>(at, dest.connFlags & VS_CONN_F_FWD_MASK, VD_METHOD);
  store<i32>(at, dest.weight, VD_WEIGHT);
  store<u32>(at, dest.upper, VD_UPPER);
  store<u32>(at, dest.lower, VD_LOWER);
  store<i32>(at, dest.active, VD_ACTIVE);
  store<i32>(at, dest.inactive, VD_INACTIVE);
  store<i32>(at, dest.persistent, VD_PERSISTENT);
  if (dest.stats != 0) memory.copy(at + VD_STATS, dest.stats, STATS);
  else memory.fill(at + VD_STATS, 0, STATS);
}

/** The destinations of a service (its VS_HANDLE) as VD_* records, in the order of its list. */
export function ipvsDestDump(service: usize, skip: u32): u32 {
  let written: u32 = 0;
  for (let p = changetype<Service>(service).first; p != 0; p = changetype<Dest>(p).next) {
    if (skip != 0) {
      skip--;
      continue;
    }
    if ((written + 1) * VD_RECORD > SCRATCH_SIZE) break;
    writeDest(changetype<Dest>(p), scratch() + written++ * VD_RECORD);
  }
  return written;
}

function writeConn(cp: Conn, at: usize): void {
  store<u32>(at, cp.protocol, VC_PROTO);
  store<u32>(at, cp.caddr, VC_CADDR);
  store<u32>(at, cp.cport, VC_CPORT);
  store<u32>(at, cp.vaddr, VC_VADDR);
  store<u32>(at, cp.vport, VC_VPORT);
  store<u32>(at, cp.daddr, VC_DADDR);
  store<u32>(at, cp.dport, VC_DPORT);
  store<u32>(at, cp.fwmark, VC_FWMARK);
  store<u32>(at, cp.state, VC_STATE);
  store<u32>(at, cp.flags, VC_FLAGS);
  store<u32>(at, connBucket(cp), VC_BUCKET);
  store<i64>(at, cp.expires - now, VC_EXPIRES);
}

/** Connections as VC_* records, newest first. */
export function ipvsConnDump(ns: usize, skip: u32): u32 {
  const net = changetype<NetNs>(ns);
  if (net.vs == 0) return 0;
  let written: u32 = 0;
  for (let p = vsOf(net).conns; p != 0; p = changetype<Conn>(p).listNext) {
    if (skip != 0) {
      skip--;
      continue;
    }
    if ((written + 1) * VC_RECORD > SCRATCH_SIZE) break;
    writeConn(changetype<Conn>(p), scratch() + written++ * VC_RECORD);
  }
  return written;
}

/** /proc/net/ip_vs_stats: five u64 in scratch. */
export function ipvsStats(ns: usize): usize {
  const to = scratch();
  memory.copy(to, changetype<usize>(vs(ns)) + offsetof<IpvsNs>("conns0"), STATS);
  return to;
}

function setTimeout(at: IpvsNs, index: u32, seconds: u32): void {
  if (seconds != 0) store<u32>(at.timeouts + (<usize>index << 2), seconds);
}

/** `ipvsadm --set`, seconds; 0 = unchanged. -EINVAL beyond what a jiffies counter holds (ip_vs_set_timeout). */
export function ipvsTimeoutsSet(ns: usize, tcp: u32, tcpFin: u32, udp: u32): i32 {
  const most: u32 = i32.MAX_VALUE / 250;
  if (tcp > most || tcpFin > most || udp > most) return -EINVAL;
  const at = vs(ns);
  setTimeout(at, TIMEOUT_TCP + S_TCP_ESTABLISHED, tcp);
  setTimeout(at, TIMEOUT_TCP + S_TCP_FIN_WAIT, tcpFin);
  setTimeout(at, TIMEOUT_UDP, udp);
  return 0;
}

/** 0 TCP, 1 TCP after FIN, 2 UDP. */
export function ipvsTimeout(ns: usize, which: u32): u32 {
  const index = which == 0 ? TIMEOUT_TCP + S_TCP_ESTABLISHED : which == 1 ? TIMEOUT_TCP + S_TCP_FIN_WAIT : TIMEOUT_UDP;
  return load<u32>(vs(ns).timeouts + (<usize>index << 2));
}

/** net.ipv4.vs.*, VSCTL_*. */
export function ipvsSysctlGet(ns: usize, index: u32): u32 {
  return index < <u32>VSCTL_COUNT ? load<u32>(vs(ns).ctl + (<usize>index << 2)) : 0;
}

/** -ENOENT for an index that there isn't. */
export function ipvsSysctlSet(ns: usize, index: u32, value: u32): i32 {
  if (index >= <u32>VSCTL_COUNT) return -ENOENT;
  store<u32>(vs(ns).ctl + (<usize>index << 2), value);
  return 0;
}
