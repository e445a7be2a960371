/** The ends of a packet, as tables look it up. */
import type { Mac } from "../../../src/base/addr.ts";
import type { End } from "../../../src/lab/inspect/entry-ref.ts";

/** Of the outermost IPv4 header. */
export interface Flow {
  readonly protocol: number;
  readonly source: End;
  readonly destination: End;
  /** Of ESP. */
  readonly spi: number;
}

const PORTS: readonly number[] = [6, 17, 132];
const ICMP = 1;
const ESP = 50;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Undefined where there is no IPv4 header at the front. */
export function flowOf(bytes: Uint8Array, atIp: boolean): Flow | undefined {
  const data = view(bytes);
  const at = atIp ? 0 : 14;
  if (data.byteLength < at + 20 || data.getUint8(at) >> 4 !== 4) return undefined;
  if (!atIp && data.getUint16(12) !== 0x0800) return undefined;
  const protocol = data.getUint8(at + 9);
  const next = at + 4 * (data.getUint8(at) & 15);
  const first = (data.getUint16(at + 6) & 0x1fff) === 0 && data.byteLength >= next + 8;
  const hasPorts = first && PORTS.includes(protocol);
  // Connection tracking keeps an echo's id where a source port is.
  const source = hasPorts ? data.getUint16(next) : first && protocol === ICMP ? data.getUint16(next + 4) : 0;
  return {
    protocol,
    source: { ip: data.getUint32(at + 12), port: source },
    destination: { ip: data.getUint32(at + 16), port: hasPorts ? data.getUint16(next + 2) : 0 },
    spi: first && protocol === ESP ? data.getUint32(next) : 0,
  };
}

/** Destination and source of a frame. */
export function macsOf(frame: Uint8Array): { readonly destination: Mac; readonly source: Mac } | undefined {
  if (frame.length < 14) return undefined;
  const data = view(frame);
  const mac = (at: number): Mac => data.getUint16(at) * 2 ** 32 + data.getUint32(at + 2);
  return { destination: mac(0), source: mac(6) };
}

/** A packet as a frame: one that begins at its IPv4 or ARP header gets an Ethernet header of zeroes. */
export function asFrame(bytes: Uint8Array, atIp: boolean): Uint8Array {
  if (!atIp) return bytes;
  const frame = new Uint8Array(14 + bytes.length);
  frame.set(bytes, 14);
  const isIp = bytes.length > 0 && (bytes[0] ?? 0) >> 4 === 4;
  frame.set([0x08, isIp ? 0x00 : 0x06], 12);
  return frame;
}
