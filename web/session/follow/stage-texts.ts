/** What is said of a mark: a title, a detail, and the table entry behind it. */
import { formatIpv4, formatMac } from "../../../src/base/addr.ts";
import type { MarkedEnd, PacketMark } from "../../../src/kernel/marks.ts";
import { DROP_REASON_TEXTS } from "../../../src/kernel/reason-texts.ts";
import type { EntryRef } from "../../../src/lab/inspect/entry-ref.ts";
import { type Flow, flowOf, macsOf } from "./flow.ts";
import type { StageKind } from "./protocol.ts";

/** What is known of the packet when a mark is read. */
export interface Known {
  /** Of its outermost IPv4 header. */
  readonly flow: Flow | undefined;
  /** The rule that decided last, where nothing has said yet what it did. */
  readonly rule: (PacketMark & { readonly kind: "rule" }) | undefined;
}

/** What a stage says. */
export interface StageText {
  readonly kind: StageKind;
  readonly title: string;
  readonly detail: string;
  readonly ref: EntryRef | undefined;
}

const PROTOCOLS: Readonly<Record<number, "tcp" | "udp" | "sctp">> = { 6: "tcp", 17: "udp", 132: "sctp" };
const ICMP_NAMES: Readonly<Record<number, string>> = {
  0: "echo reply",
  3: "destination unreachable",
  5: "redirect",
  8: "echo request",
  11: "time exceeded",
};
const BROADCAST = 0xffffffffffff;

function endText({ ip, port }: MarkedEnd): string {
  return `${formatIpv4(ip)}:${port}`;
}

function isMulticast(mac: number): boolean {
  return Math.floor(mac / 2 ** 40) % 2 === 1;
}

type Of<K extends PacketMark["kind"]> = Extract<PacketMark, { readonly kind: K }>;

/** Names a rule as `iptables -L --line-numbers` does. */
export function ruleName({ table, chain, number, target }: Of<"rule">): string {
  return number === 0 ? `policy ${target} of ${table} ${chain}` : `${target}, rule ${number} of ${table} ${chain}`;
}

/** The entry that a rule is. */
export function ruleRef({ table, chain, number }: Of<"rule">): EntryRef {
  return { table: "iptables", name: table, chain, number };
}

/** Says what a mark is. */
export function markText(mark: PacketMark, known: Known): StageText {
  switch (mark.kind) {
    case "cause":
      return { kind: "decision", title: "sent because of another packet", detail: "", ref: undefined };
    case "output":
    case "route":
      return routeText(mark, known);
    case "neighbour":
      return neighbourText(mark);
    case "bridge":
      return bridgeText(mark);
    case "vxlan-out":
    case "vxlan-in":
      return vxlanText(mark);
    case "nat":
      return natText(mark, known);
    case "rule":
      return {
        kind: mark.target === "DROP" || mark.target === "REJECT" ? "decision" : "change",
        title: mark.target,
        detail: ruleName(mark),
        ref: ruleRef(mark),
      };
    case "ipvs":
      return ipvsText(mark);
    case "esp-out":
    case "esp-in":
      return espText(mark);
    case "fragment":
      return {
        kind: "change",
        title: "fragmented",
        detail: `${mark.length} bytes into pieces of at most ${mark.mtu}`,
        ref: undefined,
      };
    case "reassembled":
      return { kind: "change", title: "reassembled", detail: `${mark.length} bytes`, ref: undefined };
    case "deliver":
      return deliverText(mark);
    case "drop":
      return dropText(mark, known);
  }
}

function routeText(mark: Of<"output"> | Of<"route">, { flow }: Known): StageText {
  const sent = mark.kind === "output" ? flowOf(mark.packet.bytes, mark.packet.atIp) : undefined;
  const destination = (sent ?? flow)?.destination.ip;
  const via =
    mark.route === "local"
      ? "local"
      : destination === mark.nextHop
        ? `on link, dev ${mark.device}`
        : `via ${formatIpv4(mark.nextHop)} dev ${mark.device}`;
  const to = destination === undefined ? "" : `${formatIpv4(destination)} `;
  const ref: EntryRef | undefined = destination === undefined ? undefined : { table: "routes", ip: destination };
  const title = mark.kind === "output" ? "output" : "route";
  return { kind: "decision", title, detail: `${to}${mark.route === "unicast" ? via : mark.route}`, ref };
}

function neighbourText({ ip, state, mac, waits, device }: Of<"neighbour">): StageText {
  const ref: EntryRef = { table: "neighbours", device, ip };
  if (waits) return { kind: "wait", title: "waits for ARP", detail: `who has ${formatIpv4(ip)}? (${state})`, ref };
  return { kind: "decision", title: "neighbour", detail: `${formatIpv4(ip)} is at ${formatMac(mac)} (${state})`, ref };
}

function bridgeText({ choice, ports, mac, device }: Of<"bridge">): StageText {
  const ref: EntryRef | undefined = isMulticast(mac) ? undefined : { table: "fdb", device, mac };
  const of = mac === BROADCAST ? "broadcast" : isMulticast(mac) ? "multicast" : formatMac(mac);
  if (choice === "local") return { kind: "decision", title: "bridge: up", detail: `${of} is the bridge's own`, ref };
  if (choice === "port") return { kind: "decision", title: "bridge FDB", detail: `${of} → port ${device}`, ref };
  const why = isMulticast(mac) ? of : `no entry for ${of}`;
  return { kind: "decision", title: `flooded to ${ports} ${ports === 1 ? "port" : "ports"}`, detail: why, ref };
}

function vxlanText(mark: Of<"vxlan-out"> | Of<"vxlan-in">): StageText {
  const { vni, remote, own, mac, device } = mark;
  if (mark.kind === "vxlan-in") {
    const detail = `VNI ${vni}, from VTEP ${formatIpv4(remote)} to ${formatIpv4(own)}`;
    return { kind: "change", title: "VXLAN decap", detail, ref: { table: "fdb", device, mac } };
  }
  const entry = mark.entry === "default" ? "default entry" : `${formatMac(mac)}, ${mark.entry}`;
  const detail = `VNI ${vni}, to VTEP ${formatIpv4(remote)} (FDB: ${entry})`;
  return {
    kind: "change",
    title: "VXLAN encap",
    detail,
    ref: { table: "fdb", device, mac: mark.entry === "default" ? 0 : mac },
  };
}

function natText({ end, from, to, protocol }: Of<"nat">, { rule, flow }: Known): StageText {
  const title = end === "source" ? "SNAT" : "DNAT";
  const what = `${end} ${endText(from)} → ${endText(to)}`;
  if (rule !== undefined) return { kind: "change", title, detail: `${what} (${ruleName(rule)})`, ref: ruleRef(rule) };
  const source = end === "source" ? from : (flow?.source ?? from);
  const destination = end === "destination" ? from : (flow?.destination ?? from);
  return {
    kind: "change",
    title,
    detail: `${what} (tracked connection)`,
    ref: { table: "conntrack", protocol, source, destination },
  };
}

function ipvsText(mark: Of<"ipvs">): StageText {
  const { fwmark, service, client, destination, method, reply, scheduled, protocol } = mark;
  const name = fwmark === 0 ? endText(service) : `FWM ${fwmark}`;
  const ref: EntryRef = { table: "ipvs", fwmark, protocol: PROTOCOLS[protocol] ?? "tcp", service };
  if (reply) {
    const detail = `${name}: source ${endText(destination)} → ${endText(service)}, to ${endText(client)}`;
    return { kind: "change", title: "IPVS reply", detail, ref };
  }
  const how = scheduled ? "chosen by the scheduler" : "connection entry";
  return { kind: "change", title: "IPVS", detail: `${name} → ${endText(destination)} (${method}; ${how})`, ref };
}

function espText({ kind, spi, sequence, source, destination }: Of<"esp-out" | "esp-in">): StageText {
  const what = `SPI 0x${spi.toString(16).padStart(8, "0")}, sequence ${sequence}, ${formatIpv4(source)} → ${formatIpv4(destination)}`;
  const title = kind === "esp-out" ? "ESP seal" : "ESP open";
  return { kind: "change", title, detail: what, ref: { table: "xfrm-states", spi, destination } };
}

function deliverText({ to, local, remote, device }: Of<"deliver">): StageText {
  if (to === "ICMP") {
    const name = ICMP_NAMES[local.port] ?? `type ${local.port}`;
    return { kind: "deliver", title: "delivered: ICMP", detail: `${name}, to the kernel`, ref: undefined };
  }
  if (to === "ARP") {
    const asked = local.port === 1;
    const detail = asked ? `request for ${formatIpv4(local.ip)}` : `reply from ${formatIpv4(remote.ip)}`;
    const ref: EntryRef = { table: "neighbours", device, ip: remote.ip };
    return { kind: "deliver", title: "delivered: ARP", detail, ref };
  }
  if (to === "ARP proxy") {
    const ref: EntryRef = { table: "neighbours", device, ip: local.ip };
    return { kind: "deliver", title: "answered by the VXLAN device", detail: `for ${formatIpv4(local.ip)}`, ref };
  }
  if (to === "raw")
    return { kind: "deliver", title: "delivered: raw socket", detail: `id or protocol ${local.port}`, ref: undefined };
  const protocol = to === "UDP" ? "udp" : to === "SCTP" ? "sctp" : "tcp";
  const detail = `${endText(local)} from ${endText(remote)}`;
  return { kind: "deliver", title: `delivered: ${to}`, detail, ref: { table: "sockets", protocol, port: local.port } };
}

function dropText(mark: Of<"drop">, known: Known): StageText {
  const text = DROP_REASON_TEXTS[mark.reason] ?? "";
  const rule = mark.reason === "NETFILTER_DROP" && known.rule !== undefined ? `: ${ruleName(known.rule)}` : "";
  return { kind: "drop", title: `dropped: ${mark.reason}`, detail: `${text}${rule}`, ref: dropRef(mark, known) };
}

/** The entry, or the place where there is none, behind a drop. */
function dropRef(mark: Of<"drop">, known: Known): EntryRef | undefined {
  const { reason, device, nextHop, packet } = mark;
  const flow = flowOf(packet.bytes, packet.atIp) ?? known.flow;
  const macs = packet.atIp ? undefined : macsOf(packet.bytes);
  if (reason.startsWith("NEIGH_")) return { table: "neighbours", device, ip: nextHop };
  if (reason === "NETFILTER_DROP" && known.rule !== undefined) return ruleRef(known.rule);
  if (reason === "VXLAN_L2MISS" || reason === "BRIDGE_NO_PORT" || reason === "VXLAN_REMOTE_ZERO")
    return macs && { table: "fdb", device, mac: macs.destination };
  if (reason === "VXLAN_MAC_MOVED") return macs && { table: "fdb", device, mac: macs.source };
  if (flow === undefined) return undefined;
  const { protocol, source, destination, spi } = flow;
  const name = PROTOCOLS[protocol];
  if (reason.startsWith("XFRM_IN")) return { table: "xfrm-states", spi, destination: destination.ip };
  if (reason === "IPVS")
    return { table: "ipvs", fwmark: mark.packetMark, protocol: name ?? "tcp", service: destination };
  if (reason === "IP_RPFILTER") return { table: "routes", ip: source.ip };
  if (reason === "DEV_DOWN" || (reason === "PKT_TOO_BIG" && mark.route === "none"))
    return device === "" ? undefined : { table: "links", device };
  if (ROUTE_REASONS.has(reason)) return { table: "routes", ip: destination.ip };
  if (reason.startsWith("NF_CT_") || reason === "NETFILTER_DROP")
    return { table: "conntrack", protocol, source, destination };
  if (/^(UDP|TCP|SCTP|SOCKET)_/.test(reason) && name !== undefined)
    return { table: "sockets", protocol: name, port: destination.port };
  return undefined;
}

const ROUTE_REASONS: ReadonlySet<string> = new Set([
  "IP_OUTNOROUTES",
  "IP_INNOROUTES",
  "IP_INADDRERRORS",
  "PKT_TOO_BIG",
]);
