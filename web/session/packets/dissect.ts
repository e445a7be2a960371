/**
 * One line about a frame, for the packet list: the innermost packet that can be read, and the tunnels around it.
 * Lengths are checked before fields are read; what doesn't fit is called by the last layer that did.
 */
import { formatIpv4, formatMac } from "../../../src/base/addr.ts";

/** What is said of a frame. */
export interface Dissection {
  source: string;
  destination: string;
  protocol: string;
  summary: string;
}

const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
/** IANA's protocol numbers. */
const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, esp: 50, sctp: 132 } as const;
/** UDP ports with a name (RFC 7348 §8; Docker's own). */
const UDP_NAMES: Readonly<Record<number, string>> = { 53: "DNS", 4789: "VXLAN", 7946: "gossip" };
const TCP_NAMES: Readonly<Record<number, string>> = { 80: "HTTP", 2377: "swarm", 7946: "gossip" };
const ICMP_TYPES: Readonly<Record<number, string>> = {
  0: "Echo reply",
  3: "Destination unreachable",
  8: "Echo request",
  11: "Time exceeded",
};
const TCP_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"] as const;
const VXLAN_PORT = 4789;

/** A frame from its Ethernet header on. */
export function dissect(frame: Uint8Array): Dissection {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const out: Dissection = { source: "", destination: "", protocol: "Ethernet", summary: "" };
  ethernet(view, 0, out, "");
  return out;
}

function mac(view: DataView, at: number): string {
  return formatMac(view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2));
}

/** @param around the tunnels that the frame stands in */
function ethernet(view: DataView, at: number, out: Dissection, around: string): void {
  if (at + 14 > view.byteLength) return;
  out.destination = mac(view, at);
  out.source = mac(view, at + 6);
  const type = view.getUint16(at + 12);
  out.protocol = "Ethernet";
  out.summary = `${around}type 0x${type.toString(16).padStart(4, "0")}`;
  if (type === ETHERTYPE.arp) arp(view, at + 14, out, around);
  else if (type === ETHERTYPE.ipv4) ipv4(view, at + 14, out, around);
  else if (type === ETHERTYPE.ipv6) out.protocol = "IPv6";
}

function arp(view: DataView, at: number, out: Dissection, around: string): void {
  out.protocol = "ARP";
  if (at + 28 > view.byteLength) return;
  const sender = formatIpv4(view.getUint32(at + 14));
  const target = formatIpv4(view.getUint32(at + 24));
  out.summary =
    view.getUint16(at + 6) === 1
      ? `${around}Who has ${target}? Tell ${sender}`
      : `${around}${sender} is at ${mac(view, at + 8)}`;
}

function ipv4(view: DataView, at: number, out: Dissection, around: string): void {
  out.protocol = "IPv4";
  if (at + 20 > view.byteLength) return;
  out.source = formatIpv4(view.getUint32(at + 12));
  out.destination = formatIpv4(view.getUint32(at + 16));
  const protocol = view.getUint8(at + 9);
  const fragment = view.getUint16(at + 6) & 0x1fff;
  const payload = at + 4 * (view.getUint8(at) & 15);
  const end = Math.min(view.byteLength, at + view.getUint16(at + 2));
  out.summary = `${around}protocol ${protocol}`;
  if (fragment !== 0) out.summary = `${around}fragment at ${fragment * 8}, protocol ${protocol}`;
  else if (protocol === PROTOCOL.icmp) icmp(view, payload, end, out, around);
  else if (protocol === PROTOCOL.udp) udp(view, payload, end, out, around);
  else if (protocol === PROTOCOL.tcp) tcp(view, payload, end, out, around);
  else if (protocol === PROTOCOL.esp) esp(view, payload, end, out, around);
  else if (protocol === PROTOCOL.sctp) out.protocol = "SCTP";
}

function icmp(view: DataView, at: number, end: number, out: Dissection, around: string): void {
  out.protocol = "ICMP";
  if (at + 8 > end) return;
  const type = view.getUint8(at);
  const code = view.getUint8(at + 1);
  const name = ICMP_TYPES[type] ?? `type ${type}`;
  const echo = type === 0 || type === 8;
  out.summary = `${around}${name}${echo ? ` id=${view.getUint16(at + 4)} seq=${view.getUint16(at + 6)}` : ` code=${code}`}`;
}

function udp(view: DataView, at: number, end: number, out: Dissection, around: string): void {
  out.protocol = "UDP";
  if (at + 8 > end) return;
  const source = view.getUint16(at);
  const destination = view.getUint16(at + 2);
  out.protocol = UDP_NAMES[destination] ?? UDP_NAMES[source] ?? "UDP";
  out.summary = `${around}${source} → ${destination} len=${view.getUint16(at + 4) - 8}`;
  if (destination !== VXLAN_PORT || at + 16 > end) return;
  const vni = view.getUint32(at + 12) >>> 8;
  ethernet(view, at + 16, out, `${around}VXLAN ${vni} ${out.source} → ${out.destination} | `);
}

function tcp(view: DataView, at: number, end: number, out: Dissection, around: string): void {
  out.protocol = "TCP";
  if (at + 20 > end) return;
  const source = view.getUint16(at);
  const destination = view.getUint16(at + 2);
  const bits = view.getUint8(at + 13);
  const length = Math.max(0, end - at - 4 * (view.getUint8(at + 12) >>> 4));
  if (length > 0) out.protocol = TCP_NAMES[destination] ?? TCP_NAMES[source] ?? "TCP";
  const flags = TCP_FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0).join(",");
  const numbers = `seq=${view.getUint32(at + 4)} ack=${view.getUint32(at + 8)} win=${view.getUint16(at + 14)}`;
  out.summary = `${around}${source} → ${destination} [${flags}] ${numbers} len=${length}`;
}

function esp(view: DataView, at: number, end: number, out: Dissection, around: string): void {
  out.protocol = "ESP";
  if (at + 8 > end) return;
  out.summary = `${around}SPI 0x${view.getUint32(at).toString(16).padStart(8, "0")} seq=${view.getUint32(at + 4)}`;
}
