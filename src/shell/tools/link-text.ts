/** How ip(8) words a device: flags, state, the details of `-d` (iproute2 6.1 ip/ipaddress.c, iplink_*.c; busybox libiproute). */
import { formatMac } from "../../base/addr.ts";
import { SEC } from "../../base/time.ts";
import type { LinkInfo, NetNs } from "../../kernel/types.ts";

/** The name of a device in a namespace; `if5` where it has none. */
export function deviceName(ns: NetNs, index: number): string {
  return ns.link.list().find((link) => link.index === index)?.name ?? `if${index}`;
}

/** The device's index behind `@`: its peer, or the lower device's in another namespace. */
interface Below {
  readonly text: string;
  /** The peer's namespace as a number of this one's, when it is another. */
  readonly netnsId: number | undefined;
  /** The lower device is known here and down, or not known at all (busybox). */
  readonly known: LinkInfo | undefined;
}

/** Other namespaces that this one's devices lead to, in order of the devices: their positions are the link-netnsids. */
function neighboursOf(ns: NetNs): NetNs[] {
  const found: NetNs[] = [];
  for (const link of ns.link.list()) {
    const other = link.peerNs;
    if (other !== undefined && other !== ns && !found.includes(other)) found.push(other);
  }
  return found;
}

/** What a device stands on (`@if5`): a veth's peer. */
export function below(ns: NetNs, link: LinkInfo): Below | undefined {
  if (link.kind !== "veth" && link.kind !== "vxlan") return undefined;
  if (link.peerNs === undefined || link.peerNs === ns) {
    if (link.kind === "vxlan" || link.peerIndex === 0) return undefined;
    const known = ns.link.list().find((other) => other.index === link.peerIndex);
    return { text: known?.name ?? `if${link.peerIndex}`, netnsId: undefined, known };
  }
  const index = link.kind === "vxlan" ? link.index : link.peerIndex;
  return { text: `if${index}`, netnsId: neighboursOf(ns).indexOf(link.peerNs), known: undefined };
}

/** `<BROADCAST,MULTICAST,UP,LOWER_UP>`. */
export function flagsText(ns: NetNs, link: LinkInfo, style: "busybox" | "iproute2"): string {
  const flags: string[] = [];
  if (link.up && !link.carrier) flags.push("NO-CARRIER");
  if (link.kind === "loopback") flags.push("LOOPBACK");
  else flags.push("BROADCAST", "MULTICAST");
  if (link.promisc) flags.push("PROMISC");
  if (link.up) flags.push("UP");
  if (link.up && link.carrier) flags.push("LOWER_UP");
  const lower = below(ns, link);
  const masked = style === "busybox" ? lower !== undefined && lower.known?.up !== true : lower?.known?.up === false;
  if (masked) flags.push("M-DOWN");
  return flags.join(",");
}

/** IFLA_OPERSTATE. */
export function stateText(link: LinkInfo): string {
  if (!link.up) return "DOWN";
  if (link.kind === "loopback" || link.kind === "vxlan") return "UNKNOWN";
  if (link.carrier) return "UP";
  return link.kind === "veth" ? "LOWERLAYERDOWN" : "DOWN";
}

/** Queueing discipline. */
export function qdiscText(link: LinkInfo): string {
  if (link.kind === "nic") return link.up ? "fq_codel" : "noop";
  return link.up ? "noqueue" : "noop";
}

/** Transmit queue length; undefined where `ip` doesn't show one. */
export function queueLength(link: LinkInfo): number | undefined {
  return link.kind === "loopback" || link.kind === "nic" ? 1000 : undefined;
}

/** `ether` or `loopback`. */
export function linkType(link: LinkInfo): string {
  return link.kind === "loopback" ? "loopback" : "ether";
}

/** Link-level broadcast address. */
export function broadcastMac(link: LinkInfo): string {
  return link.kind === "loopback" ? "00:00:00:00:00:00" : "ff:ff:ff:ff:ff:ff";
}

/** A bridge's ID: priority 0x8000 and its address without leading zeros in the bytes. */
function bridgeId(link: LinkInfo): string {
  const bytes = formatMac(link.mac).split(":");
  return `8000.${bytes.map((byte) => Number.parseInt(byte, 16).toString(16)).join(":")}`;
}

function bridgeDetails(link: LinkInfo): string {
  const id = bridgeId(link);
  const ageing = Math.round(((link.bridge?.ageing ?? 300 * SEC) / SEC) * 100);
  return (
    `bridge forward_delay 1500 hello_time 200 max_age 2000 ageing_time ${ageing} stp_state 0 priority 32768 vlan_filtering 0 ` +
    `vlan_protocol 802.1Q bridge_id ${id} designated_root ${id} root_port 0 root_path_cost 0 topology_change 0 ` +
    "topology_change_detected 0 hello_timer    0.00 tcn_timer    0.00 topology_change_timer    0.00 gc_timer    0.00 " +
    `vlan_default_pvid ${link.bridge?.defaultPvid ?? 1} ` +
    "vlan_stats_enabled 0 vlan_stats_per_port 0 group_fwd_mask 0 group_address 01:80:c2:00:00:00 " +
    "mcast_snooping 1 no_linklocal_learn 0 mcast_vlan_snooping 0 mcast_router 1 mcast_query_use_ifaddr 0 mcast_querier 0 " +
    "mcast_hash_elasticity 16 mcast_hash_max 4096 mcast_last_member_count 2 mcast_startup_query_count 2 " +
    "mcast_last_member_interval 100 mcast_membership_interval 26000 mcast_querier_interval 25500 mcast_query_interval 12500 " +
    "mcast_query_response_interval 1000 mcast_startup_query_interval 3124 mcast_stats_enabled 0 mcast_igmp_version 2 " +
    "mcast_mld_version 1 nf_call_iptables 0 nf_call_ip6tables 0 nf_call_arptables 0 "
  );
}

function vxlanDetails(link: LinkInfo): string {
  const config = link.vxlan;
  if (config === undefined) return "vxlan ";
  const words = [`vxlan id ${config.vni} srcport 0 0 dstport ${config.port}`];
  if (!config.learning) words.push("nolearning");
  if (config.proxy) words.push("proxy");
  if (config.l2miss) words.push("l2miss");
  if (config.l3miss) words.push("l3miss");
  if (config.tos !== 0) words.push(`tos 0x${config.tos.toString(16)}`);
  words.push(`ttl ${config.ttl === 0 ? "auto" : config.ttl}`, `ageing ${Math.round(config.ageing / SEC)}`);
  words.push(config.udpCsum ? "udpcsum" : "noudpcsum", "noudp6zerocsumtx", "noudp6zerocsumrx");
  return `${words.join(" ")} `;
}

function portDetails(bridge: LinkInfo, link: LinkInfo): string {
  const id = bridgeId(bridge);
  const cost = link.kind === "vxlan" || link.kind === "nic" ? 100 : 2;
  const port = 0x8000 + link.portNo;
  return (
    `bridge_slave state ${link.up && link.carrier ? "forwarding" : "disabled"} priority 32 cost ${cost} hairpin off guard off root_block off ` +
    `fastleave off learning on flood on port_id 0x${port.toString(16)} port_no 0x${link.portNo.toString(16)} designated_port ${port} ` +
    `designated_cost 0 designated_bridge ${id} designated_root ${id} hold_timer    0.00 message_age_timer    0.00 ` +
    "forward_delay_timer    0.00 topology_change_ack 0 config_pending 0 proxy_arp off proxy_arp_wifi off mcast_router 1 " +
    "mcast_fast_leave off mcast_flood on bcast_flood on mcast_to_unicast off neigh_suppress off group_fwd_mask 0 " +
    "group_fwd_mask_str 0x0 vlan_tunnel off isolated off locked off "
  );
}

/** The largest TSO size: software devices take 512 KiB, a bridge what all its ports take. */
function tsoMax(ns: NetNs, link: LinkInfo): number {
  const large = (one: LinkInfo) => one.kind === "veth" || one.kind === "loopback";
  if (link.kind !== "bridge") return large(link) ? 524280 : 65536;
  const ports = ns.link.list().filter((other) => other.master === link.index);
  return ports.length > 0 && ports.every(large) ? 524280 : 65536;
}

/** What `-d` adds behind the addresses of `link/…`. @param forLink `ip link`, which also shows the address generation mode */
export function detailsText(ns: NetNs, link: LinkInfo, forLink: boolean): string {
  const limits = link.kind === "loopback" ? "minmtu 0 maxmtu 0" : "minmtu 68 maxmtu 65535";
  const master = link.master === 0 ? undefined : ns.link.list().find((other) => other.index === link.master);
  const port = master === undefined ? 0 : 1;
  let text = `promiscuity ${port + (link.promisc ? 1 : 0)}  allmulti ${port} ${limits} `;
  if (link.kind === "bridge") text += `\n    ${bridgeDetails(link)}`;
  else if (link.kind === "vxlan") text += `\n    ${vxlanDetails(link)}`;
  else if (link.kind === "veth") text += "\n    veth ";
  if (master !== undefined) text += `\n    ${portDetails(master, link)}`;
  if (forLink) text += "addrgenmode eui64 ";
  text += `numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535 tso_max_size ${tsoMax(ns, link)} tso_max_segs 65535 gro_max_size 65536 `;
  return link.kind === "nic" ? `${text}parentbus virtio parentdev virtio0 ` : text;
}

/** The counters of `-s`. */
export function statsText(link: LinkInfo): string {
  const { stats } = link;
  const rows = [
    [
      "RX",
      ["bytes", "packets", "errors", "dropped", "missed", "mcast"],
      [stats.rxBytes, stats.rxPackets, stats.rxErrors, stats.rxDropped, 0, 0],
    ],
    [
      "TX",
      ["bytes", "packets", "errors", "dropped", "carrier", "collsns"],
      [stats.txBytes, stats.txPackets, stats.txErrors, stats.txDropped, 0, 0],
    ],
  ] as const;
  const least = [10, 7, 6, 7, 7, 7];
  const widths = least.map((width, at) => Math.max(width, ...rows.map(([, , values]) => String(values[at]).length)));
  const lines = rows.flatMap(([direction, names, values]) => {
    const head = names.map((name, at) => name.padStart((widths[at] as number) - (at === 0 ? 4 : 0))).join(" ");
    const numbers = values.map((value, at) => String(value).padStart(widths[at] as number)).join(" ");
    return [`    ${direction}: ${head}           `, `    ${numbers} `];
  });
  return lines.join("\n");
}
