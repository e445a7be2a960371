/** What a namespace holds, as plain data that two kernels can be compared by: what `ip`, `bridge`, `iptables-save` and `ipvsadm` show. */
import { formatCidr, formatIpv4, formatMac } from "../../src/base/addr.ts";
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
 * @param nameOf what a device is called: veths of the root namespace have random names, and all their MACs in
 *   namespaces of networks are random
 */
export function stateOf(
  ns: NetNs,
  nameOf: (link: LinkInfo) => string,
  macOf: (link: LinkInfo) => string,
): NamespaceState {
  const links = ns.link.list();
  const names = new Map(links.map((link) => [link.index, nameOf(link)]));
  const dev = (index: number): string => names.get(index) ?? (index === 0 ? "-" : `?${index}`);
  const text = (value: unknown): string => JSON.stringify(value);
  return {
    links: links
      .map((l) =>
        text({
          name: nameOf(l),
          kind: l.kind,
          mac: macOf(l),
          mtu: l.mtu,
          up: l.up,
          carrier: l.carrier,
          promisc: l.promisc,
          master: dev(l.master),
          portNo: l.portNo > 0,
          peer: l.peerNs?.name,
          vxlan: l.vxlan,
          bridge: l.bridge,
        }),
      )
      .sort(),
    addresses: ns.addr
      .list()
      .map((a) => `${dev(a.dev)} ${formatCidr(a.addr)} ${formatIpv4(a.broadcast ?? 0)} ${a.scope}`),
    routes: (["main", "local"] as const)
      .flatMap((table) =>
        ns.route.list(table).map((r) =>
          text({
            ...r,
            dev: dev(r.dev),
            dst: formatCidr(r.dst),
            via: formatIpv4(r.via ?? 0),
            src: formatIpv4(r.src ?? 0),
          }),
        ),
      )
      .sort(),
    neighbours: ns.neigh
      .list()
      .map((n) => `${dev(n.dev)} ${formatIpv4(n.ip)} ${formatMac(n.mac ?? 0)} ${n.state}`)
      .sort(),
    fdb: ns.fdb
      .list()
      .map((f) => `${dev(f.dev)} ${formatMac(f.mac)} ${f.owner} ${formatIpv4(f.dst ?? 0)} ${f.permanent}`)
      .sort(),
    iptables: Object.fromEntries(
      TABLES.map((table) => [
        table,
        (ns.iptables.list(table) ?? []).flatMap((chain) => [
          `:${chain.name} ${chain.policy ?? "-"}`,
          ...chain.rules.map((rule) => `-A ${chain.name} ${text({ ...plainRule(rule) })}`),
        ]),
      ]),
    ),
    ipvs: ns.ipvs.services().map((service) =>
      text({
        id: service.id,
        scheduler: service.scheduler,
        persistent: service.persistent,
        flags: service.schedulerFlags,
        destinations: service.destinations.map((d) => `${formatIpv4(d.address)}:${d.port} ${d.forwarding} ${d.weight}`),
      }),
    ),
    xfrm: [
      ...ns.xfrm.stateList().map((s) => text({ ...s, stats: undefined, aead: { ...s.aead, key: [...s.aead.key] } })),
      ...ns.xfrm.policyList().map((p) => text(p)),
    ].sort(),
    sysctls: Object.fromEntries(SYSCTLS.map((name) => [name, sysctl(ns, name)])),
  };
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
