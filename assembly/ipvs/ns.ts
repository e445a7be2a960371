/** IPVS's state of a namespace: made when something first needs it, freed with the namespace (ip_vs_ctl.c ip_vs_control_net_init). */
import {
  VSCTL_AMEMTHRESH, VSCTL_AM_DROPRATE, VSCTL_CONN_REUSE_MODE, VSCTL_COUNT, VSCTL_PMTU_DISC, VSCTL_RUN_ESTIMATION, VSCTL_SNAT_REROUTE, VSCTL_SYNC_PERIOD, VSCTL_SYNC_PORTS,
  VSCTL_SYNC_QLEN_MAX, VSCTL_SYNC_THRESHOLD, VSCTL_SYNC_VERSION,
} from "../abi";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { tableFree, tableNew } from "../memory/hashtable";
import { timerDel, timerNew, Timer } from "../sim/timer";
import { randOf } from "../sim/host";
import { connsFree, expireNodest } from "./conn";
import { IpvsNs, TIMEOUTS, TIMEOUT_SCTP, TIMEOUT_TCP, TIMEOUT_UDP } from "./records";
import { servicesFree, trashExpire } from "./service";

/** What the perturbation of the host's table is drawn for. */
const IPVS_SALT: u32 = 0x69707673;

function setCtl(vs: IpvsNs, index: u32, value: u32): void {
  store<u32>(vs.ctl + (<usize>index << 2), value);
}

/** Defaults of net.ipv4.vs.* of a machine with 1 to 4 GiB of memory. */
function defaultCtls(vs: IpvsNs): void {
  setCtl(vs, VSCTL_AMEMTHRESH, 1024);
  setCtl(vs, VSCTL_AM_DROPRATE, 10);
  setCtl(vs, VSCTL_SNAT_REROUTE, 1);
  setCtl(vs, VSCTL_SYNC_VERSION, 1);
  setCtl(vs, VSCTL_SYNC_PORTS, 1);
  setCtl(vs, VSCTL_SYNC_QLEN_MAX, 23249);
  setCtl(vs, VSCTL_SYNC_THRESHOLD, 3);
  setCtl(vs, VSCTL_SYNC_PERIOD, 50);
  setCtl(vs, VSCTL_PMTU_DISC, 1);
  setCtl(vs, VSCTL_CONN_REUSE_MODE, 1);
  setCtl(vs, VSCTL_RUN_ESTIMATION, 1);
}

/** tcp_timeouts by state, in seconds (ip_vs_proto_tcp.c). */
const TCP_TIMEOUTS: usize = memory.data<u32>([2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120]);
/** sctp_timeouts by state, in seconds (ip_vs_proto_sctp.c). */
const SCTP_TIMEOUTS: usize = memory.data<u32>([2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61]);
const UDP_TIMEOUT: u32 = 300;

function defaultTimeouts(vs: IpvsNs): void {
  memory.copy(vs.timeouts + (<usize>TIMEOUT_TCP << 2), TCP_TIMEOUTS, <usize>(TIMEOUT_UDP - TIMEOUT_TCP) << 2);
  store<u32>(vs.timeouts + (<usize>TIMEOUT_UDP << 2), UDP_TIMEOUT);
  memory.copy(vs.timeouts + (<usize>TIMEOUT_SCTP << 2), SCTP_TIMEOUTS, <usize>(TIMEOUTS - TIMEOUT_SCTP) << 2);
}

/** The namespace's record, made on first use. */
export function ipvsMake(ns: NetNs): IpvsNs {
  if (ns.vs != 0) return changetype<IpvsNs>(ns.vs);
  const vs = changetype<IpvsNs>(kmalloc(offsetof<IpvsNs>()));
  const host = nsHost(ns);
  vs.ns = changetype<usize>(ns);
  vs.services = tableNew(2);
  vs.marks = tableNew(2);
  vs.ctl = kmalloc(VSCTL_COUNT << 2);
  vs.timeouts = kmalloc(<usize>TIMEOUTS << 2);
  vs.rnd = randOf(host, 0, IPVS_SALT);
  vs.trashTimer = timerNew(host, changetype<usize>(trashExpire), changetype<usize>(vs));
  vs.nodestTimer = timerNew(host, changetype<usize>(expireNodest), changetype<usize>(vs));
  defaultCtls(vs);
  defaultTimeouts(vs);
  ns.vs = changetype<usize>(vs);
  return vs;
}

/** The namespace goes, its devices are gone: frees all that IPVS has of it. */
export function ipvsNsExit(ns: NetNs): void {
  if (ns.vs == 0) return;
  const vs = changetype<IpvsNs>(ns.vs);
  connsFree(vs);
  servicesFree(vs);
  timerDel(vs.trashTimer);
  timerDel(vs.nodestTimer);
  kfree(changetype<usize>(vs.trashTimer), offsetof<Timer>());
  kfree(changetype<usize>(vs.nodestTimer), offsetof<Timer>());
  tableFree(vs.services);
  tableFree(vs.marks);
  kfree(vs.ctl, VSCTL_COUNT << 2);
  kfree(vs.timeouts, <usize>TIMEOUTS << 2);
  kfree(changetype<usize>(vs), offsetof<IpvsNs>());
  ns.vs = 0;
  ns.ipvs = 0;
}
