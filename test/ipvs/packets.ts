/** Packets by hand for the tests of IPVS: sent by raw sockets, seen by taps. */
import { formatIpv4 } from "../../src/base/addr.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { NetNs } from "../../src/kernel/types.ts";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

/** Sum of 16-bit words, folded. */
export function sum(bytes: Uint8Array, start: number, end: number, from = 0): number {
  let total = from;
  for (let i = start; i < end; i += 2) total += ((bytes[i] ?? 0) << 8) | (i + 1 < end ? (bytes[i + 1] ?? 0) : 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** A TCP segment without data; its checksum is for these addresses. */
export function tcp(src: number, sport: number, dst: number, dport: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint32(4, 1000);
  view.setUint8(12, 0x50);
  view.setUint8(13, flags);
  view.setUint16(14, 64240);
  view.setUint16(16, ~sum(bytes, 0, 20, pseudo(src, dst, 6, 20)) & 0xffff);
  return bytes;
}

/** A UDP datagram without checksum. */
export function bareUdp(sport: number, dport: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint16(4, bytes.length);
  bytes.set(data, 8);
  return bytes;
}

function pseudo(src: number, dst: number, protocol: number, length: number): number {
  return (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff) + protocol + length;
}

/** CRC32c (RFC 9260 appendix A), bit by bit. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** An SCTP packet of one chunk, of type, flags and value. */
export function sctp(
  sport: number,
  dport: number,
  tag: number,
  type: number,
  value: readonly number[] = [],
  flags = 0,
): Uint8Array {
  const bytes = new Uint8Array(16 + ((value.length + 3) & ~3));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint32(4, tag);
  view.setUint8(12, type);
  view.setUint8(13, flags);
  view.setUint16(14, 4 + value.length);
  bytes.set(value, 16);
  view.setUint32(8, crc32c(bytes), true);
  return bytes;
}

/** The value of INIT and INIT ACK: the sender's tag, and what else must be there. */
export function initValue(tag: number): number[] {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, tag);
  view.setUint32(4, 65536);
  view.setUint32(8, 0x000a000a);
  view.setUint32(12, 1);
  return [...bytes];
}

function sctpRight(bytes: Uint8Array, header: number): boolean {
  const packet = bytes.slice(header);
  const view = new DataView(packet.buffer);
  const crc = view.getUint32(8, true);
  view.setUint32(8, 0);
  return crc32c(packet) === crc;
}

/** The checksums of an IPv4 packet with TCP, UDP, SCTP or ICMP are right. */
export function checksumsRight(bytes: Uint8Array): boolean {
  const header = ((bytes[0] ?? 0) & 15) * 4;
  if (sum(bytes, 0, header) !== 0xffff) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const protocol = bytes[9] ?? 0;
  if (protocol === 132) return sctpRight(bytes, header);
  if (protocol === 1) return sum(bytes, header, bytes.length) === 0xffff;
  if (protocol !== 6 && protocol !== 17) return true;
  const from = pseudo(view.getUint32(12), view.getUint32(16), protocol, bytes.length - header);
  return sum(bytes, header, bytes.length, from) === 0xffff;
}

/** An IP packet that a device received or sent. */
export interface SeenPacket {
  readonly outgoing: boolean;
  readonly ttl: number;
  readonly protocol: number;
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly bytes: Uint8Array;
  readonly dstMac: string;
}

/** Returns what passed the device since the last call, IP only. */
export function watch(kernel: Kernel, ns: NetNs, dev = "eth0"): () => SeenPacket[] {
  const tap = ns.link.tap(dev, 2000);
  return () => {
    kernel.takeCapture();
    const seen: SeenPacket[] = [];
    for (let frame = tap.tryRecv(); frame !== undefined; frame = tap.tryRecv()) {
      if (frame.data[12] !== 8 || frame.data[13] !== 0) continue;
      const total = new DataView(frame.data.buffer).getUint16(16);
      const bytes = frame.data.slice(14, 14 + total);
      const view = new DataView(bytes.buffer);
      const header = (view.getUint8(0) & 15) * 4;
      seen.push({
        outgoing: frame.outgoing,
        ttl: view.getUint8(8),
        protocol: view.getUint8(9),
        src: formatIpv4(view.getUint32(12)),
        dst: formatIpv4(view.getUint32(16)),
        sport: view.getUint16(header),
        dport: view.getUint16(header + 2),
        bytes,
        dstMac: Array.from(frame.data.slice(0, 6), (byte) => byte.toString(16).padStart(2, "0")).join(":"),
      });
    }
    return seen;
  };
}

/** Sends `payload` as a packet of a protocol. */
export function sendRaw(ns: NetNs, protocol: number, payload: Uint8Array, dst: number): void {
  const socket = ns.socket.raw(protocol);
  socket.sendTo(payload, dst);
  socket.close();
}
