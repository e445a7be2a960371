/** Devices, their addresses, and what bridges and vxlan devices have learned or been told. */
import { formatCidr, formatIpv4, formatMac } from "../../../base/addr.ts";
import type { LinkInfo, NetNs } from "../../../kernel/types.ts";
import { below, flagsText, stateText } from "../../../shell/tools/link-text.ts";
import { deviceNames } from "./namespaces.ts";
import { address, duration, type HostTable, KEY, number, OWN, text, VOLATILE } from "./table.ts";

const LINKS = [
  number("index", OWN),
  text("name", KEY),
  text("kind"),
  text("state"),
  text("flags"),
  number("mtu"),
  text("master"),
  text("address", OWN),
  text("peer", OWN),
  text("details"),
  ...["rx packets", "rx bytes", "rx dropped", "tx packets", "tx bytes", "tx dropped"].map((name) =>
    number(name, VOLATILE),
  ),
];

function details({ vxlan, bridge }: LinkInfo): string {
  if (vxlan !== undefined) {
    const flags = (["learning", "proxy", "l2miss", "l3miss"] as const).filter((flag) => vxlan[flag]);
    return `vxlan id ${vxlan.vni} dstport ${vxlan.port} ${flags.join(" ")}`;
  }
  return bridge === undefined ? "" : `${bridge.portCount} ports`;
}

/** `ip -s link`. */
export function links(ns: NetNs): HostTable {
  const nameOf = deviceNames(ns);
  const rows = ns.link.list().map((link) => {
    const { stats } = link;
    const peer = below(ns, link)?.text ?? "";
    const where = link.peerNs === undefined || link.peerNs === ns ? "" : ` in ${link.peerNs.name}`;
    return [
      ...[link.index, link.name, link.kind, stateText(link), flagsText(ns, link, "iproute2"), link.mtu],
      ...[nameOf(link.master), formatMac(link.mac), `${peer}${where}`, details(link)],
      ...[stats.rxPackets, stats.rxBytes, stats.rxDropped, stats.txPackets, stats.txBytes, stats.txDropped],
    ];
  });
  return { columns: LINKS, rows };
}

const ADDRESSES = [text("dev", KEY), address("inet", KEY), address("brd"), text("scope")];

/** `ip address`, IPv4 only: the emulation has no IPv6. */
export function addresses(ns: NetNs): HostTable {
  const nameOf = deviceNames(ns);
  const rows = ns.addr.list().map(({ dev, addr, broadcast, scope }) => {
    return [nameOf(dev), formatCidr(addr), broadcast === undefined ? "" : formatIpv4(broadcast), scope];
  });
  return { columns: ADDRESSES, rows };
}

const FDB = [
  text("mac", KEY),
  text("dev", KEY),
  address("dst", { ...KEY, towards: true }),
  text("owner", KEY),
  text("state"),
  duration("used", VOLATILE),
  duration("updated", VOLATILE),
];

/** `bridge -s fdb show`: entries of vxlan devices (`self`) and of bridges (`master br0`). */
export function fdb(ns: NetNs, now: number): HostTable {
  const nameOf = deviceNames(ns);
  const byIndex = new Map(ns.link.list().map((link) => [link.index, link]));
  const rows = ns.fdb.list().map((entry) => {
    const link = byIndex.get(entry.dev);
    // A bridge's own entries name the bridge itself as their master, as bridge(8) does.
    const master = link?.kind === "bridge" ? link.index : (link?.master ?? 0);
    const owner = entry.owner === "self" ? "self" : `master ${nameOf(master)}`;
    return [
      ...[formatMac(entry.mac), nameOf(entry.dev), entry.dst === undefined ? "" : formatIpv4(entry.dst), owner],
      ...[entry.permanent ? "permanent" : "", now - entry.used, now - entry.updated],
    ];
  });
  const own = ns.host.root.addr.list().map(({ addr }) => formatIpv4(addr.ip));
  return { columns: FDB, rows, addresses: own };
}
