/** What a namespace holds, as plain data that two kernels can be compared by: what `ip`, `bridge`, `iptables-save` and `ipvsadm` show. */
import { formatCidr, formatIpv4, formatMac, type Mac } from "../../src/base/addr.ts";
import type { LinkInfo, NetNs, Rule, TableName } from "../../src/kernel/types.ts";

const TABLES: readonly TableName[] = ["raw", "mangle", "nat", "filter"];

export interface NamespaceState {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly neighbours: readonly string[];
  readonly fdb: readonly string[];
  readonly iptables: Readonly<Record<string, readonly string[]>>;
  readonly ipvs: readonly string[];
  readonly xfrm: readonly string[];
  readonly sysctls: Readonly<Record<string, number | string>>;
}

const SYSCTLS = [
  "net.ipv4.ip_forward",
  "net.ipv4.vs.conntrack",
  "net.ipv4.vs.conn_reuse_mode",
  "net.ipv4.vs.expire_nodest_conn",
  "net.ipv4.vs.expire_quiescent_template",
  "net.ipv4.neigh.default.gc_thresh1",
  "net.ipv4.neigh.default.gc_thresh2",
  "net.ipv4.neigh.default.gc_thresh3",
  "net.bridge.bridge-nf-call-iptables",
];

/**
 * The state of a namespace. What chance decides, or what depends on the ingress network, is left out or named by what it
 * stands for: ifindexes; names of the veths in the host's namespace; MACs of what Docker and the kernel give random ones
 * (bridges, vxlan devices, veths outside of containers); the ports of the containers' DNS servers; neighbours and FDB entries
 * that were learnt.
 * @param nameOfNs what a namespace is called
 */
export function stateOf(ns: NetNs, nameOfNs: (ns: NetNs) => string): NamespaceState {
  const all = ns.link.list();
  const isRoot = ns === ns.host.root;
  const overlay = all.some(({ kind }) => kind === "vxlan");
  const nameOf = (link: LinkInfo): string =>
    isRoot && link.kind === "veth" && link.peerNs !== undefined ? `veth to ${nameOfNs(link.peerNs)}` : link.name;
  const links = all.filter(({ peerNs }) => peerNs?.name !== "ingress_sbox");
  const random = new Map(
    links
      .filter(({ kind }) => kind === "bridge" || kind === "vxlan" || (kind === "veth" && (isRoot || overlay)))
      .map((link) => [link.mac, `of ${nameOf(link)}`]),
  );
  const macOf = (mac: Mac): string => random.get(mac) ?? formatMac(mac);
  const names = new Map(links.map((link) => [link.index, nameOf(link)]));
  const dev = (index: number): string => names.get(index) ?? (index === 0 ? "-" : `?${index}`);
  return {
    links: links.map((link) => linkText(link, nameOf(link), random.has(link.mac), dev, nameOfNs)).sort(),
    addresses: ns.addr
      .list()
      .map((a) => `${dev(a.dev)} ${formatCidr(a.addr)} ${formatIpv4(a.broadcast ?? 0)} ${a.scope}`),
    routes: routesOf(ns, dev),
    neighbours: ns.neigh
      .list()
      .filter(({ state }) => state === "PERMANENT")
      .map((n) => `${dev(n.dev)} ${formatIpv4(n.ip)} ${formatMac(n.mac ?? 0)}`)
      .sort(),
    fdb: ns.fdb
      .list()
      .filter(({ permanent, dev: index }) => permanent && names.has(index))
      .map((f) => `${dev(f.dev)} ${macOf(f.mac)} ${f.owner} ${formatIpv4(f.dst ?? 0)}`)
      .sort(),
    iptables: Object.fromEntries(TABLES.map((table) => [table, rulesOf(ns, table)])),
    ipvs: ns.ipvs.services().map((service) =>
      JSON.stringify({
        id: service.id,
        scheduler: service.scheduler,
        persistent: service.persistent,
        flags: service.schedulerFlags,
        destinations: service.destinations.map(
          (d) => `${formatIpv4(d.address)}:${d.port} ${d.forwarding} ${d.weight} ${d.upper ?? 0} ${d.lower ?? 0}`,
        ),
      }),
    ),
    xfrm: [
      ...ns.xfrm.stateList().map((s) => JSON.stringify({ ...s, added: 0, aead: { ...s.aead, key: [...s.aead.key] } })),
      ...ns.xfrm.policyList().map((p) => JSON.stringify({ ...p, added: 0, index: 0 })),
    ].sort(),
    sysctls: Object.fromEntries(SYSCTLS.map((name) => [name, sysctl(ns, name)])),
  };
}

function linkText(
  l: LinkInfo,
  name: string,
  randomMac: boolean,
  dev: (index: number) => string,
  nameOfNs: (ns: NetNs) => string,
): string {
  return JSON.stringify({
    name,
    kind: l.kind,
    mac: randomMac ? "random" : formatMac(l.mac),
    mtu: l.mtu,
    up: l.up,
    carrier: l.carrier,
    promisc: l.promisc,
    master: dev(l.master),
    peer: l.peerNs === undefined ? undefined : nameOfNs(l.peerNs),
    vxlan: l.vxlan,
    bridge: l.bridge === undefined ? undefined : { ageing: l.bridge.ageing, defaultPvid: l.bridge.defaultPvid },
  });
}

function routesOf(ns: NetNs, dev: (index: number) => string): string[] {
  const routes = (["main", "local"] as const).flatMap((table) => ns.route.list(table));
  return routes
    .map((r) =>
      JSON.stringify({
        ...r,
        dev: dev(r.dev),
        dst: formatCidr(r.dst),
        via: formatIpv4(r.via ?? 0),
        src: formatIpv4(r.src ?? 0),
      }),
    )
    .sort();
}

function rulesOf(ns: NetNs, table: TableName): string[] {
  return (ns.iptables.list(table) ?? []).flatMap((chain) => [
    `:${chain.name} ${chain.policy ?? "-"}`,
    ...chain.rules.map((rule) => `-A ${chain.name} ${JSON.stringify(plainRule(rule), ephemeralPorts)}`),
  ]);
}

/** Pairs of one port that the kernel drew. */
function ephemeralPorts(_key: string, value: unknown): unknown {
  if (!Array.isArray(value) || value.length !== 2) return value;
  return value[0] === value[1] && value[0] >= 32_768 && value[0] < 61_000 ? "ephemeral" : value;
}

function plainRule({ match, target, comment }: Rule): Rule {
  return { match, ...(target === undefined ? {} : { target }), ...(comment === undefined ? {} : { comment }) };
}

function sysctl(ns: NetNs, name: string): number | string {
  try {
    return ns.sysctlGet(name);
  } catch {
    return "unknown";
  }
}
