/** How tools name devices and their flags (netdevice(7) flags as iproute2 and busybox print them). */
import { formatMac } from "../../base/addr.ts";
import type { LinkInfo, NetNs } from "../../kernel/types.ts";

/** Name of a device by index; `ifN` when it is not in the namespace (ll_index_to_name). */
export function deviceName(ns: NetNs, index: number): string {
  return ns.link.list().find((link) => link.index === index)?.name ?? `if${index}`;
}

/** `eth0@if15`: a veth's peer by name if it is in the same namespace, else by index; a vxlan moved away from its socket's namespace names itself. */
export function linkLabel(ns: NetNs, link: LinkInfo): string {
  if (link.kind === "veth" && link.peerIndex !== 0) {
    return `${link.name}@${link.peerNs === ns ? deviceName(ns, link.peerIndex) : `if${link.peerIndex}`}`;
  }
  // rtnl_fill_ifinfo gives IFLA_LINK of a device in another namespace than its link; a vxlan's link is itself.
  if (link.kind === "vxlan" && link.peerNs !== undefined && link.peerNs !== ns) return `${link.name}@if${link.index}`;
  return link.name;
}

/** Flags in the order in which print_link_flags has them. */
export function linkFlags(_ns: NetNs, link: LinkInfo): string[] {
  const flags: string[] = [];
  if (link.up && !link.carrier) flags.push("NO-CARRIER");
  if (link.kind === "loopback") flags.push("LOOPBACK");
  else flags.push("BROADCAST", "MULTICAST");
  if (link.promisc) flags.push("PROMISC");
  if (link.up) flags.push("UP");
  if (link.up && link.carrier) flags.push("LOWER_UP");
  return flags;
}

/** The link-layer broadcast address. */
export function broadcastMac(link: LinkInfo): string {
  return formatMac(link.kind === "loopback" ? 0 : 0xffffffffffff);
}

/** IFLA_OPERSTATE as `state` shows it. */
export function operState(link: LinkInfo): string {
  if (!link.up) return "DOWN";
  if (link.kind === "loopback" || link.kind === "vxlan") return "UNKNOWN";
  if (link.kind === "veth" && !link.carrier) return "LOWERLAYERDOWN";
  return link.carrier ? "UP" : "DOWN";
}
