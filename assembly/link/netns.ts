/**
 * Network namespaces. Each layer keeps its own record per namespace (inet, netfilter, …) and makes it in
 * its …NsInit, frees it in its …NsExit.
 */
import { DEV_LOOPBACK } from "../abi";
import { inetNsExit, inetNsInit } from "../inet/inet";
import { ipvsNsExit } from "../ipvs/ns";
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { nfNsExit, nfNsInit } from "../netfilter/netfilter";
import { socketNsExit } from "../socket/socket";
import { Host } from "../sim/host";
import { xfrmNsExit } from "../xfrm/state";
import { NetDev, devCreate, devDestroy } from "./netdev";
import { vxlanNsExit } from "./vxlan";

/** A network namespace (struct net). */
@unmanaged
export class NetNs {
  host: usize;
  /** First device in order of creation (NetDev.nsNext). */
  devs: usize;
  lastDev: usize;
  loopback: usize;
  /** Last ifindex handed out here. */
  lastIfindex: u32;
  /** Host-unique number, from 0 (the root); part of hash keys. */
  id: u32;
  /** inet/: addresses, routes, sysctls, SNMP counters (InetNs). */
  inet: usize;
  /** netfilter/: tables and conntrack state (NfNs); */
  nf: usize;
  /** Bit h set: some table, conntrack or IPVS listens at hook h. Zero skips netfilter altogether. */
  nfHooks: u32;
  /** net.bridge.bridge-nf-call-iptables. */
  brNfCall: u32;
  /** First socket of the namespace (Sock.nsNext). */
  sockets: usize;
  /** ipvs/: services, connections and sysctls (IpvsNs), 0 until something needs them; `ipvs`: the same while there are services. */
  vs: usize;
  ipvs: usize;
  /** xfrm/: states and policies (XfrmNs), 0 until something needs them; XFRM_FLAG_*: what is to be asked. */
  xfrm: usize;
  xfrmFlags: u32;
  dying: u32;
  /** Parked namespaces of the host: the program that made it keeps nothing of it. Next one, and where the pointer to this one is; 0 = not parked. */
  parkNext: usize;
  parkPprev: usize;
  /** Its name while it is parked: bytes, and how many. */
  parkName: usize;
  parkNameLength: u32;
}

/** Namespaces that this kernel has now. */
export let namespaces: u32 = 0;

/** Makes a namespace with its loopback (down). */
export function nsCreate(host: Host): NetNs {
  namespaces++;
  const ns = changetype<NetNs>(kmalloc(offsetof<NetNs>()));
  ns.host = changetype<usize>(host);
  ns.id = host.namespaces++;
  ns.brNfCall = 1;
  inetNsInit(ns);
  nfNsInit(ns);
  const lo = devCreate(ns, DEV_LOOPBACK, 1);
  store<u16>(changetype<usize>(lo) + offsetof<NetDev>("name"), 0x6f6c); // "lo"
  lo.mtu = 65536;
  ns.loopback = changetype<usize>(lo);
  return ns;
}

/** Parks a namespace under a name of `length` bytes at `name`. */
export function nsPark(ns: NetNs, name: usize, length: u32): void {
  assert(ns.parkPprev == 0, "the namespace is not parked");
  const head = changetype<usize>(nsHost(ns)) + offsetof<Host>("parked");
  ns.parkNext = <usize>load<u32>(head);
  ns.parkPprev = head;
  if (ns.parkNext != 0) changetype<NetNs>(ns.parkNext).parkPprev = changetype<usize>(ns) + offsetof<NetNs>("parkNext");
  store<u32>(head, <u32>changetype<usize>(ns));
  ns.parkName = kmallocRaw(length);
  ns.parkNameLength = length;
  memory.copy(ns.parkName, name, length);
}

/** Takes a namespace out of its host's parked ones, if it is one. */
export function nsUnpark(ns: NetNs): void {
  if (ns.parkPprev == 0) return;
  store<u32>(ns.parkPprev, <u32>ns.parkNext);
  if (ns.parkNext != 0) changetype<NetNs>(ns.parkNext).parkPprev = ns.parkPprev;
  ns.parkPprev = 0;
  kfree(ns.parkName, ns.parkNameLength);
}

/**
 * Destroys a namespace: sockets first, then devices (the loopback last, as others' routes lead to it; tunnels whose socket
 * was here wherever they are), then the layers' records. NICs must have been moved out.
 */
export function nsDestroy(ns: NetNs): void {
  ns.dying = 1;
  nsUnpark(ns);
  vxlanNsExit(ns);
  socketNsExit(ns);
  while (ns.devs != 0) {
    const next = changetype<NetDev>(ns.devs).nsNext;
    devDestroy(changetype<NetDev>(ns.devs == ns.loopback && next != 0 ? next : ns.devs));
  }
  xfrmNsExit(ns);
  ipvsNsExit(ns);
  nfNsExit(ns);
  inetNsExit(ns);
  const host = nsHost(ns);
  if (host.root == changetype<usize>(ns)) {
    // The machine goes down: its kernel starts anew.
    host.root = 0;
    host.esp4 = 0;
    host.xfrmIndex = 0;
  }
  kfree(changetype<usize>(ns), offsetof<NetNs>());
  namespaces--;
}

/** The host that a namespace is on. */
@inline
export function nsHost(ns: NetNs): Host {
  return changetype<Host>(ns.host);
}
