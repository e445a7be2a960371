/** The headers of a packet as fields by name: what is compared between two stages of its life. */
import { formatIpv4, formatMac } from "../../../src/base/addr.ts";

/** A header. */
export interface Layer {
  /** "Ethernet", "IPv4", "VXLAN" … */
  readonly name: string;
  /** Field names with their values as people read them. */
  readonly fields: readonly (readonly [string, string])[];
}

const TYPE = { ipv4: 0x0800, arp: 0x0806 } as const;
const PROTOCOL = { icmp: 1, ipip: 4, tcp: 6, udp: 17, esp: 50, sctp: 132 } as const;
const VXLAN_PORT = 4789;
const TCP_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"] as const;

/** The headers of a packet that may be cut off: as many as are whole. @param atIp it begins at an IPv4 (or ARP) header */
export function layersOf(bytes: Uint8Array, atIp = false): Layer[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out: Layer[] = [];
  if (!atIp) ethernet(view, 0, out);
  else if (view.byteLength > 0 && view.getUint8(0) >> 4 === 4) ipv4(view, 0, out);
  else arp(view, 0, out);
  return out;
}

function mac(view: DataView, at: number): string {
  return formatMac(view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2));
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

function ethernet(view: DataView, at: number, out: Layer[]): void {
  if (at + 14 > view.byteLength) return;
  const type = view.getUint16(at + 12);
  out.push({
    name: "Ethernet",
    fields: [
      ["destination", mac(view, at)],
      ["source", mac(view, at + 6)],
      ["type", hex(type, 4)],
    ],
  });
  if (type === TYPE.arp) arp(view, at + 14, out);
  else if (type === TYPE.ipv4) ipv4(view, at + 14, out);
}

function arp(view: DataView, at: number, out: Layer[]): void {
  if (at + 28 > view.byteLength) return;
  out.push({
    name: "ARP",
    fields: [
      ["operation", view.getUint16(at + 6) === 1 ? "request" : "reply"],
      ["sender MAC", mac(view, at + 8)],
      ["sender IP", formatIpv4(view.getUint32(at + 14))],
      ["target MAC", mac(view, at + 18)],
      ["target IP", formatIpv4(view.getUint32(at + 24))],
    ],
  });
}

function ipv4(view: DataView, at: number, out: Layer[]): void {
  if (at + 20 > view.byteLength) return;
  const fragment = view.getUint16(at + 6);
  const protocol = view.getUint8(at + 9);
  const flags = `${fragment & 0x4000 ? "DF " : ""}${fragment & 0x2000 ? "MF " : ""}offset ${(fragment & 0x1fff) * 8}`;
  out.push({
    name: "IPv4",
    fields: [
      ["source", formatIpv4(view.getUint32(at + 12))],
      ["destination", formatIpv4(view.getUint32(at + 16))],
      ["TTL", String(view.getUint8(at + 8))],
      ["protocol", String(protocol)],
      ["DS field", hex(view.getUint8(at + 1), 2)],
      ["identification", hex(view.getUint16(at + 4), 4)],
      ["fragment", flags],
      ["length", String(view.getUint16(at + 2))],
      ["checksum", hex(view.getUint16(at + 10), 4)],
    ],
  });
  const next = at + 4 * (view.getUint8(at) & 15);
  if ((fragment & 0x1fff) !== 0) return;
  if (protocol === PROTOCOL.udp) udp(view, next, out);
  else if (protocol === PROTOCOL.tcp) tcp(view, next, out);
  else if (protocol === PROTOCOL.icmp) icmp(view, next, out);
  else if (protocol === PROTOCOL.esp) esp(view, next, out);
  else if (protocol === PROTOCOL.sctp) sctp(view, next, out);
  else if (protocol === PROTOCOL.ipip) ipv4(view, next, out);
}

function ports(view: DataView, at: number): [string, string][] {
  return [
    ["source port", String(view.getUint16(at))],
    ["destination port", String(view.getUint16(at + 2))],
  ];
}

function udp(view: DataView, at: number, out: Layer[]): void {
  if (at + 8 > view.byteLength) return;
  const rest: [string, string][] = [
    ["length", String(view.getUint16(at + 4))],
    ["checksum", hex(view.getUint16(at + 6), 4)],
  ];
  out.push({ name: "UDP", fields: [...ports(view, at), ...rest] });
  if (view.getUint16(at + 2) === VXLAN_PORT) vxlan(view, at + 8, out);
}

function vxlan(view: DataView, at: number, out: Layer[]): void {
  if (at + 8 > view.byteLength) return;
  const fields: [string, string][] = [
    ["flags", hex(view.getUint8(at), 2)],
    ["VNI", String(view.getUint32(at + 4) >>> 8)],
  ];
  out.push({ name: "VXLAN", fields });
  ethernet(view, at + 8, out);
}

function tcp(view: DataView, at: number, out: Layer[]): void {
  if (at + 20 > view.byteLength) return;
  const bits = view.getUint8(at + 13);
  const rest: [string, string][] = [
    ["sequence number", String(view.getUint32(at + 4))],
    ["acknowledgment number", String(view.getUint32(at + 8))],
    ["flags", TCP_FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0).join(", ")],
    ["window", String(view.getUint16(at + 14))],
    ["checksum", hex(view.getUint16(at + 16), 4)],
  ];
  out.push({ name: "TCP", fields: [...ports(view, at), ...rest] });
}

function icmp(view: DataView, at: number, out: Layer[]): void {
  if (at + 8 > view.byteLength) return;
  const type = view.getUint8(at);
  const fields: [string, string][] = [
    ["type", String(type)],
    ["code", String(view.getUint8(at + 1))],
    ["checksum", hex(view.getUint16(at + 2), 4)],
  ];
  if (type === 0 || type === 8)
    fields.push(["identifier", hex(view.getUint16(at + 4), 4)], ["sequence number", String(view.getUint16(at + 6))]);
  out.push({ name: "ICMP", fields });
}

function esp(view: DataView, at: number, out: Layer[]): void {
  if (at + 8 > view.byteLength) return;
  const fields: [string, string][] = [
    ["SPI", hex(view.getUint32(at), 8)],
    ["sequence number", String(view.getUint32(at + 4))],
  ];
  out.push({ name: "ESP", fields });
}

function sctp(view: DataView, at: number, out: Layer[]): void {
  if (at + 12 > view.byteLength) return;
  const rest: [string, string][] = [
    ["verification tag", hex(view.getUint32(at + 4), 8)],
    ["checksum", hex(view.getUint32(at + 8), 8)],
  ];
  out.push({ name: "SCTP", fields: [...ports(view, at), ...rest] });
}
