/**
 * One line about a frame, for the packet list: the innermost packet that can be read, in tcpdump's words, and the
 * tunnels around it. Sequence numbers are those of the segment (tcpdump's -S), so that a line says the same wherever
 * the reading begins. What a field doesn't fit into is called by the last layer that did.
 */
import { formatIpv4 } from "../../../src/base/addr.ts";
import { Bytes } from "../../../src/shell/tools/tcpdump/bytes.ts";
import { type Names, Printer } from "../../../src/shell/tools/tcpdump/print.ts";

/** What is said of a frame. */
export interface Dissection {
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly summary: string;
}

const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
/** IANA's protocol numbers. */
const PROTOCOL = { tcp: 6, udp: 17 } as const;
const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP", 50: "ESP", 132: "SCTP" };
/** UDP ports with a name (RFC 7348 §8; Docker's own). */
const UDP_NAMES: Readonly<Record<number, string>> = { 53: "DNS", 4789: "VXLAN", 7946: "gossip" };
const TCP_NAMES: Readonly<Record<number, string>> = { 53: "DNS", 80: "HTTP", 2377: "swarm", 7946: "gossip" };
const VXLAN_PORT = 4789;
/** Ethernet, IPv4 without options, UDP, VXLAN: what stands before the frame within at least. */
const VXLAN_HEADERS = 8 + 8;

const NUMERIC: Names = { host: () => undefined, port: () => undefined, numeric: true };
const ONE_LINE = new Printer({ verbose: 0, linkLevel: false, quick: false, absolute: true }, NUMERIC);
const VERBOSE = new Printer({ verbose: 2, linkLevel: true, quick: false, absolute: true }, NUMERIC);

/** A frame from its Ethernet header on. @param length on the wire, where not all of it was captured */
export function dissect(frame: Uint8Array, length: number = frame.length): Dissection {
  return ethernet(new Bytes(frame), length, "");
}

/** All that tcpdump says of a frame with -e -vv. */
export function describeFrame(frame: Uint8Array, length: number = frame.length): string {
  return VERBOSE.frame(frame, length);
}

/** @param around the tunnels that the frame stands in */
function ethernet(frame: Bytes, length: number, around: string): Dissection {
  if (frame.length < 14) return { source: "", destination: "", protocol: "Ethernet", summary: `${around}cut off` };
  const [source, destination] = [frame.macText(6), frame.macText(0)];
  const type = frame.u16(12);
  const said = ONE_LINE.frame(frame.data, length);
  if (type === ETHERTYPE.arp)
    return { source, destination, protocol: "ARP", summary: around + said.replace(/^ARP, /, "") };
  if (type === ETHERTYPE.ipv4) return ipv4(frame, said, around) ?? cut("IPv4", source, destination, around, said);
  if (type === ETHERTYPE.ipv6) return { source, destination, protocol: "IPv6", summary: around + said };
  const summary = `${around}ethertype 0x${type.toString(16).padStart(4, "0")}, length ${length}`;
  return { source, destination, protocol: "Ethernet", summary };
}

function cut(protocol: string, source: string, destination: string, around: string, said: string): Dissection {
  return { source, destination, protocol, summary: around + said };
}

/** @param said tcpdump's line; undefined where the header isn't whole */
function ipv4(frame: Bytes, said: string, around: string): Dissection | undefined {
  const packet = frame.from(14);
  if (packet.length < 20 || packet.u8(0) >>> 4 !== 4) return undefined;
  const [source, destination] = [formatIpv4(packet.u32(12)), formatIpv4(packet.u32(16))];
  const number = packet.u8(9);
  const header = 4 * (packet.u8(0) & 15);
  const first = (packet.u16(6) & 0x1fff) === 0;
  const total = Math.max(header, packet.u16(2));
  const payload = packet.from(header, total - header);
  const ported = first && payload.length >= 8 && (number === PROTOCOL.tcp || number === PROTOCOL.udp);
  const ports = ported ? ([payload.u16(0), payload.u16(2)] as const) : undefined;
  if (ports?.[1] === VXLAN_PORT && number === PROTOCOL.udp && payload.length >= VXLAN_HEADERS + 14) {
    const vni = payload.u32(12) >>> 8;
    const inner = payload.from(VXLAN_HEADERS);
    return ethernet(inner, inner.length, `${around}VXLAN ${vni} ${source} → ${destination} | `);
  }
  const protocol = protocolName(number, payload, ports);
  // The line names the ends first, which have columns of their own: their ports stay.
  const colon = said.indexOf(": ");
  const rest = colon < 0 ? said.replace(/^IP /, "") : said.slice(colon + 2).trimStart();
  const ends = ports === undefined ? "" : `${ports[0]} → ${ports[1]} `;
  return { source, destination, protocol, summary: around + ends + rest.replaceAll("\n", " ") };
}

function protocolName(number: number, payload: Bytes, ports: readonly [number, number] | undefined): string {
  const name = PROTOCOL_NAMES[number] ?? "IPv4";
  if (ports === undefined) return name;
  const [source, destination] = ports;
  if (number === PROTOCOL.udp) return UDP_NAMES[destination] ?? UDP_NAMES[source] ?? name;
  if (payload.length < 20 || payload.length <= 4 * (payload.u8(12) >>> 4)) return name;
  return TCP_NAMES[destination] ?? TCP_NAMES[source] ?? name;
}
