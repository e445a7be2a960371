/** Neighbours and routes, and the sysctls that decide about them. */
import { formatCidr, formatIpv4, formatMac } from "../../../base/addr.ts";
import { KernelError } from "../../../base/errors.ts";
import type { NetNs } from "../../../kernel/types.ts";
import { deviceNames } from "./namespaces.ts";
import { address, duration, type HostTable, KEY, number, type Row, text, VOLATILE } from "./table.ts";

const NEIGHBOURS = [
  address("address", KEY),
  text("dev", KEY),
  text("lladdr"),
  text("state"),
  duration("used", VOLATILE),
  duration("confirmed", VOLATILE),
  duration("updated", VOLATILE),
  number("probes", VOLATILE),
];

/** `ip -s neigh`, with those that `ip` hides (NOARP, NONE). */
export function neighbours(ns: NetNs, now: number): HostTable {
  const nameOf = deviceNames(ns);
  const rows = ns.neigh.list().map(({ ip, dev, mac, state, used, confirmed, updated, probes }) => {
    const what = [formatIpv4(ip), nameOf(dev), mac === undefined ? "" : formatMac(mac), state];
    return [...what, ...[used, confirmed, updated].map((then) => Math.max(0, now - then)), probes];
  });
  return { columns: NEIGHBOURS, rows };
}

const ROUTES = [
  text("table", KEY),
  text("type", KEY),
  address("destination", KEY),
  address("via"),
  text("dev", KEY),
  text("proto"),
  text("scope"),
  address("src"),
  number("metric", KEY),
];

/** `ip route show table all`. */
export function routes(ns: NetNs): HostTable {
  const nameOf = deviceNames(ns);
  const rows = (["main", "local"] as const).flatMap((table) =>
    ns.route.list(table).map(({ dst, via, dev, src, scope, protocol, type, metric }): Row => {
      const to = dst.prefix === 0 ? "default" : dst.prefix === 32 ? formatIpv4(dst.ip) : formatCidr(dst);
      const how = [via === undefined ? "" : formatIpv4(via), nameOf(dev), protocol, scope];
      return [table, type, to, ...how, src === undefined ? "" : formatIpv4(src), metric];
    }),
  );
  return { columns: ROUTES, rows };
}

/** Those that decide about what is seen in these tables; per device and per namespace. */
const SYSCTLS: readonly string[] = [
  ..."ip_forward ip_default_ttl ip_no_pmtu_disc ip_nonlocal_bind icmp_ratelimit icmp_msgs_per_sec ipfrag_time"
    .split(" ")
    .map((name) => `net.ipv4.${name}`),
  "net.ipv4.ip_local_port_range.min",
  "net.ipv4.ip_local_port_range.max",
  ...[1, 2, 3].map((n) => `net.ipv4.neigh.default.gc_thresh${n}`),
  "net.bridge.bridge-nf-call-iptables",
  ..."max count tcp_loose tcp_be_liberal tcp_timeout_established tcp_timeout_time_wait tcp_timeout_close_wait udp_timeout udp_timeout_stream icmp_timeout generic_timeout"
    .split(" ")
    .map((name) => `net.netfilter.nf_conntrack_${name}`),
];
const IPVS_SYSCTLS = "conntrack conn_reuse_mode expire_nodest_conn expire_quiescent_template sloppy_tcp".split(" ");
const DEVICE_SYSCTLS = "forwarding rp_filter accept_local route_localnet arp_ignore arp_announce proxy_arp".split(" ");
const NEIGH_SYSCTLS = "base_reachable_time_ms gc_stale_time ucast_solicit mcast_solicit".split(" ");
const COUNT = "net.netfilter.nf_conntrack_count";

const VALUES = [text("name", KEY), number("value")];

/** `sysctl net`: those of the values that matter here. */
export function sysctls(ns: NetNs): HostTable {
  // IPVS' are unknown until something of it is there, as without its module; asking for one would load it.
  const ipvs = ns.ipvs.services().length > 0 ? IPVS_SYSCTLS.map((name) => `net.ipv4.vs.${name}`) : [];
  const devices = ns.link.list().map(({ name }) => name.replaceAll(".", "/"));
  const names = [
    ...SYSCTLS,
    ...ipvs,
    ...["all", "default", ...devices].flatMap((dev) => DEVICE_SYSCTLS.map((name) => `net.ipv4.conf.${dev}.${name}`)),
    ...["default", ...devices].flatMap((dev) => NEIGH_SYSCTLS.map((name) => `net.ipv4.neigh.${dev}.${name}`)),
  ];
  const rows = names.flatMap((name): Row[] => {
    // It is a counter among settings.
    if (name === COUNT) return [];
    const value = read(ns, name);
    return value === undefined ? [] : [[name, value]];
  });
  return { columns: VALUES, rows };
}

function read(ns: NetNs, name: string): number | undefined {
  try {
    return ns.sysctlGet(name);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
