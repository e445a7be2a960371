/** sysctl(8) and /proc/net/snmp of a namespace: names here, numbers in the kernel. */
import * as abi from "../../assembly/abi.ts";
import { deviceOf } from "./links.ts";
import { check, refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import { SNMP_NAMES, SNMP_SCTP_FIRST, SNMP_SCTP_NAMES, SNMP_TCP_FIRST, SNMP_TCP_NAMES } from "./snmp-names.ts";

/** net.ipv4.NAME (net/ipv4/sysctl_net_ipv4.c, route.c, ip_fragment.c). */
const IPV4: Record<string, number> = {
  ip_forward: abi.SYS_IP_FORWARD,
  ip_default_ttl: abi.SYS_IP_DEFAULT_TTL,
  ip_nonlocal_bind: abi.SYS_IP_NONLOCAL_BIND,
  ip_no_pmtu_disc: abi.SYS_IP_NO_PMTU_DISC,
  ip_forward_use_pmtu: abi.SYS_FORWARD_USE_PMTU,
  "route.min_pmtu": abi.SYS_MIN_PMTU,
  "route.mtu_expires": abi.SYS_MTU_EXPIRES,
  icmp_echo_ignore_all: abi.SYS_ICMP_ECHO_IGNORE_ALL,
  icmp_echo_ignore_broadcasts: abi.SYS_ICMP_ECHO_IGNORE_BROADCASTS,
  icmp_ratelimit: abi.SYS_ICMP_RATELIMIT,
  icmp_ratemask: abi.SYS_ICMP_RATEMASK,
  icmp_msgs_per_sec: abi.SYS_ICMP_MSGS_PER_SEC,
  icmp_msgs_burst: abi.SYS_ICMP_MSGS_BURST,
  icmp_errors_use_inbound_ifaddr: abi.SYS_ICMP_ERRORS_USE_INBOUND_IFADDR,
  ipfrag_time: abi.SYS_IPFRAG_TIME,
  ipfrag_high_thresh: abi.SYS_IPFRAG_HIGH_THRESH,
  ipfrag_max_dist: abi.SYS_IPFRAG_MAX_DIST,
  "neigh.default.gc_thresh1": abi.SYS_GC_THRESH1,
  "neigh.default.gc_thresh2": abi.SYS_GC_THRESH2,
  "neigh.default.gc_thresh3": abi.SYS_GC_THRESH3,
  // ip_local_port_range holds two numbers; a sysctl is one number here, so each has a name.
  "ip_local_port_range.min": abi.SYS_LOCAL_PORT_MIN,
  "ip_local_port_range.max": abi.SYS_LOCAL_PORT_MAX,
};

/** net.ipv4.conf.DEV.NAME (net/ipv4/devinet.c). */
const CONF: Record<string, number> = {
  forwarding: abi.CONF_FORWARDING,
  rp_filter: abi.CONF_RP_FILTER,
  accept_redirects: abi.CONF_ACCEPT_REDIRECTS,
  secure_redirects: abi.CONF_SECURE_REDIRECTS,
  send_redirects: abi.CONF_SEND_REDIRECTS,
  shared_media: abi.CONF_SHARED_MEDIA,
  accept_local: abi.CONF_ACCEPT_LOCAL,
  route_localnet: abi.CONF_ROUTE_LOCALNET,
  arp_ignore: abi.CONF_ARP_IGNORE,
  arp_announce: abi.CONF_ARP_ANNOUNCE,
  arp_filter: abi.CONF_ARP_FILTER,
  arp_notify: abi.CONF_ARP_NOTIFY,
  arp_accept: abi.CONF_ARP_ACCEPT,
  proxy_arp: abi.CONF_PROXY_ARP,
  log_martians: abi.CONF_LOG_MARTIANS,
  promote_secondaries: abi.CONF_PROMOTE_SECONDARIES,
};

/** net.ipv4.neigh.DEV.NAME (net/core/neighbour.c); the kernel keeps times in ms, `scale` ms are one unit of the name. */
const NEIGH: Record<string, { id: number; scale: number }> = {
  base_reachable_time_ms: { id: abi.CONF_BASE_REACHABLE_MS, scale: 1 },
  base_reachable_time: { id: abi.CONF_BASE_REACHABLE_MS, scale: 1000 },
  retrans_time_ms: { id: abi.CONF_RETRANS_MS, scale: 1 },
  delay_first_probe_time: { id: abi.CONF_DELAY_FIRST_PROBE_MS, scale: 1000 },
  gc_stale_time: { id: abi.CONF_GC_STALE_MS, scale: 1000 },
  locktime: { id: abi.CONF_LOCKTIME_MS, scale: 10 }, // in USER_HZ
  ucast_solicit: { id: abi.CONF_UCAST_SOLICIT, scale: 1 },
  mcast_solicit: { id: abi.CONF_MCAST_SOLICIT, scale: 1 },
  mcast_resolicit: { id: abi.CONF_MCAST_RESOLICIT, scale: 1 },
  unres_qlen_bytes: { id: abi.CONF_UNRES_QLEN_BYTES, scale: 1 },
};

/** net.netfilter.nf_conntrack_NAME (net/netfilter/nf_conntrack_standalone.c); timeouts in seconds. */
const CONNTRACK: Record<string, number> = {
  tcp_timeout_syn_sent: abi.CTL_TCP_SYN_SENT,
  tcp_timeout_syn_recv: abi.CTL_TCP_SYN_RECV,
  tcp_timeout_established: abi.CTL_TCP_ESTABLISHED,
  tcp_timeout_fin_wait: abi.CTL_TCP_FIN_WAIT,
  tcp_timeout_close_wait: abi.CTL_TCP_CLOSE_WAIT,
  tcp_timeout_last_ack: abi.CTL_TCP_LAST_ACK,
  tcp_timeout_time_wait: abi.CTL_TCP_TIME_WAIT,
  tcp_timeout_close: abi.CTL_TCP_CLOSE,
  tcp_timeout_max_retrans: abi.CTL_TCP_MAX_RETRANS_TIMEOUT,
  tcp_timeout_unacknowledged: abi.CTL_TCP_UNACKNOWLEDGED,
  sctp_timeout_closed: abi.CTL_SCTP_CLOSED,
  sctp_timeout_cookie_wait: abi.CTL_SCTP_COOKIE_WAIT,
  sctp_timeout_cookie_echoed: abi.CTL_SCTP_COOKIE_ECHOED,
  sctp_timeout_established: abi.CTL_SCTP_ESTABLISHED,
  sctp_timeout_shutdown_sent: abi.CTL_SCTP_SHUTDOWN_SENT,
  sctp_timeout_shutdown_recd: abi.CTL_SCTP_SHUTDOWN_RECD,
  sctp_timeout_shutdown_ack_sent: abi.CTL_SCTP_SHUTDOWN_ACK_SENT,
  sctp_timeout_heartbeat_sent: abi.CTL_SCTP_HEARTBEAT_SENT,
  udp_timeout: abi.CTL_UDP,
  udp_timeout_stream: abi.CTL_UDP_STREAM,
  icmp_timeout: abi.CTL_ICMP,
  generic_timeout: abi.CTL_GENERIC,
  tcp_loose: abi.CTL_TCP_LOOSE,
  tcp_be_liberal: abi.CTL_TCP_BE_LIBERAL,
  tcp_max_retrans: abi.CTL_TCP_MAX_RETRANS,
  checksum: abi.CTL_CHECKSUM,
  tcp_ignore_invalid_rst: abi.CTL_TCP_IGNORE_INVALID_RST,
  max: abi.CTL_MAX,
  count: abi.CTL_COUNT,
};

/** net.ipv4.vs.NAME (net/netfilter/ipvs/ip_vs_ctl.c vs_vars). */
const IPVS: Record<string, number> = {
  amemthresh: abi.VSCTL_AMEMTHRESH,
  am_droprate: abi.VSCTL_AM_DROPRATE,
  drop_entry: abi.VSCTL_DROP_ENTRY,
  drop_packet: abi.VSCTL_DROP_PACKET,
  conntrack: abi.VSCTL_CONNTRACK,
  secure_tcp: abi.VSCTL_SECURE_TCP,
  snat_reroute: abi.VSCTL_SNAT_REROUTE,
  sync_version: abi.VSCTL_SYNC_VERSION,
  sync_ports: abi.VSCTL_SYNC_PORTS,
  sync_persist_mode: abi.VSCTL_SYNC_PERSIST_MODE,
  sync_qlen_max: abi.VSCTL_SYNC_QLEN_MAX,
  sync_sock_size: abi.VSCTL_SYNC_SOCK_SIZE,
  cache_bypass: abi.VSCTL_CACHE_BYPASS,
  expire_nodest_conn: abi.VSCTL_EXPIRE_NODEST_CONN,
  sloppy_tcp: abi.VSCTL_SLOPPY_TCP,
  sloppy_sctp: abi.VSCTL_SLOPPY_SCTP,
  expire_quiescent_template: abi.VSCTL_EXPIRE_QUIESCENT_TEMPLATE,
  sync_refresh_period: abi.VSCTL_SYNC_REFRESH_PERIOD,
  sync_retries: abi.VSCTL_SYNC_RETRIES,
  nat_icmp_send: abi.VSCTL_NAT_ICMP_SEND,
  pmtu_disc: abi.VSCTL_PMTU_DISC,
  backup_only: abi.VSCTL_BACKUP_ONLY,
  conn_reuse_mode: abi.VSCTL_CONN_REUSE_MODE,
  schedule_icmp: abi.VSCTL_SCHEDULE_ICMP,
  ignore_tunneled: abi.VSCTL_IGNORE_TUNNELED,
  run_estimation: abi.VSCTL_RUN_ESTIMATION,
  // Two numbers, each with a name here, as ip_local_port_range.
  "sync_threshold.min": abi.VSCTL_SYNC_THRESHOLD,
  "sync_threshold.max": abi.VSCTL_SYNC_PERIOD,
};

const BRIDGE_NF = "net.bridge.bridge-nf-call-iptables";

/** One sysctl: how it is read and written. */
interface Entry {
  get(): number;
  set(value: number): number;
}

function find(ns: Namespace, name: string): Entry {
  const { exports } = ns.kernel;
  if (name === BRIDGE_NF) {
    return {
      get: () => exports.netnsGetBrNf(ns.handle),
      set: (value) => {
        exports.netnsSetBrNf(ns.handle, value);
        return 0;
      },
    };
  }
  const conntrack = CONNTRACK[after(name, "net.netfilter.nf_conntrack_")];
  if (conntrack !== undefined) {
    return {
      get: () => exports.nfCtSysctlGet(ns.handle, conntrack),
      set: (value) => exports.nfCtSysctlSet(ns.handle, conntrack, value),
    };
  }
  const ipvs = IPVS[after(name, "net.ipv4.vs.")];
  if (ipvs !== undefined) {
    return {
      get: () => exports.ipvsSysctlGet(ns.handle, ipvs) >>> 0,
      set: (value) => exports.ipvsSysctlSet(ns.handle, ipvs, value),
    };
  }
  const ipv4 = IPV4[after(name, "net.ipv4.")];
  if (ipv4 !== undefined) {
    // The neighbour table's limits are the host's: they stand in the root namespace (net/core/neighbour.c).
    const { handle } = name.includes(".gc_thresh") ? ns.owner.root : ns;
    return {
      get: () => exports.inetSysctlGet(handle, ipv4) >>> 0,
      set: (value) => exports.inetSysctlSet(handle, ipv4, value),
    };
  }
  return perDevice(ns, name);
}

function after(name: string, prefix: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : "";
}

/** net.ipv4.conf.DEV.NAME and net.ipv4.neigh.DEV.NAME. A dot in a device's name is written as a slash, as sysctl(8) wants it. */
function perDevice(ns: Namespace, name: string): Entry {
  const match = /^net\.ipv4\.(conf|neigh)\.([^.]+)\.([a-z_]+)$/.exec(name);
  const key = match?.[3] as string;
  const found =
    match?.[1] === "neigh"
      ? NEIGH[key]
      : match?.[1] === "conf" && key in CONF
        ? { id: CONF[key] as number, scale: 1 }
        : undefined;
  if (match === null || found === undefined) refuse("ENOENT", `sysctl ${name}`);
  const which = deviceOrAll(ns, (match[2] as string).replaceAll("/", "."), name);
  const { exports } = ns.kernel;
  return {
    get: () => (exports.inetConfGet(ns.handle, which, found.id) >>> 0) / found.scale,
    set: (value) => exports.inetConfSet(ns.handle, which, found.id, value * found.scale),
  };
}

function deviceOrAll(ns: Namespace, device: string, name: string): number {
  if (device === "all") return abi.CONF_ALL;
  if (device === "default") return abi.CONF_DEFAULT;
  try {
    return deviceOf(ns, device, `sysctl ${name}`);
  } catch {
    return refuse("ENOENT", `sysctl ${name}`);
  }
}

/** Reads a sysctl. @throws KernelError ENOENT for an unknown name */
export function getSysctl(ns: Namespace, name: string): number {
  return find(ns, name).get();
}

/** Writes a sysctl. @throws KernelError ENOENT, EINVAL, EPERM (read-only) */
export function setSysctl(ns: Namespace, name: string, value: number): void {
  check(find(ns, name).set(value), `sysctl ${name}`);
}

/** All counters of a namespace, by name. */
export function readSnmp(ns: Namespace): Record<string, number> {
  const { exports, mem } = ns.kernel;
  const at = exports.snmpCounters(ns.handle);
  const out: Record<string, number> = {};
  SNMP_NAMES.forEach((name, i) => {
    out[name] = mem.u64(at + 8 * i);
  });
  SNMP_TCP_NAMES.forEach((name, i) => {
    out[name] = mem.u64(at + 8 * (SNMP_TCP_FIRST + i));
  });
  SNMP_SCTP_NAMES.forEach((name, i) => {
    out[name] = mem.u64(at + 8 * (SNMP_SCTP_FIRST + i));
  });
  return out;
}
