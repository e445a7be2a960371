/** A captured packet's bytes as dissectors read them: reading behind their end ends the line with `[|proto]`. */
import { formatIpv4, type Ipv4 } from "../../../base/addr.ts";

/** The capture ends in the middle of something. */
export class Truncated extends Error {
  override name = "Truncated";
}

/** A stretch of a packet. */
export class Bytes {
  readonly data: Uint8Array;
  readonly #view: DataView;

  constructor(data: Uint8Array) {
    this.data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get length(): number {
    return this.data.length;
  }

  #need(at: number, size: number): void {
    if (at < 0 || at + size > this.data.length) throw new Truncated();
  }

  u8(at: number): number {
    this.#need(at, 1);
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    this.#need(at, 2);
    return this.#view.getUint16(at);
  }

  u32(at: number): number {
    this.#need(at, 4);
    return this.#view.getUint32(at);
  }

  /** What is there of a stretch; nothing beyond the end. */
  from(at: number, size = Number.MAX_SAFE_INTEGER): Bytes {
    return new Bytes(this.data.subarray(at, Math.min(this.data.length, at + size)));
  }

  ip(at: number): Ipv4 {
    return this.u32(at);
  }

  ipText(at: number): string {
    return formatIpv4(this.u32(at));
  }

  macText(at: number): string {
    this.#need(at, 6);
    return Array.from(this.data.subarray(at, at + 6), hexByte).join(":");
  }

  isZero(at: number, size: number): boolean {
    this.#need(at, size);
    return this.data.subarray(at, at + size).every((byte) => byte === 0);
  }
}

/** Two hexadecimal digits. */
export function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** A number in hexadecimal, `0x` not included. */
export function hex(value: number, width = 0): string {
  return `0x${value.toString(16).padStart(width, "0")}`;
}

/** The Internet checksum over several pieces, all but the last of even length (RFC 1071): 0 when one inside is right. */
export function checksum(...pieces: readonly Uint8Array[]): number {
  let sum = 0;
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += 2) sum += ((piece[at] as number) << 8) | (piece[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** What a checksum field should have been, from what it is and what the sum over all gave (tcpdump's in_cksum_shouldbe). */
export function shouldBe(field: number, sum: number): number {
  let should = field + sum;
  should = (should & 0xffff) + (should >>> 16);
  return (should & 0xffff) + (should >>> 16);
}

const MOST_COLUMNS = 16;

/** `-x` and `-X`: rows of 16 bytes (print-ascii.c hex_and_ascii_print). */
export function hexDump(data: Uint8Array, ascii: boolean): string {
  let out = "";
  for (let at = 0; at < data.length; at += MOST_COLUMNS) {
    const row = data.subarray(at, at + MOST_COLUMNS);
    let columns = "";
    for (let i = 0; i < row.length; i += 2)
      columns += ` ${hexByte(row[i] as number)}${row[i + 1] === undefined ? "" : hexByte(row[i + 1] as number)}`;
    const text = Array.from(row, (byte) => (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    out += `\n\t0x${at.toString(16).padStart(4, "0")}: ${ascii ? `${columns.padEnd(40)}  ${text}` : columns}`;
  }
  return out;
}

/** `-A`: the bytes as text (print-ascii.c ascii_print). */
export function asciiDump(data: Uint8Array): string {
  let out = "\n";
  for (const [at, byte] of data.entries()) {
    // A carriage return before a newline is left out, and one that has less than two bytes behind it.
    if (byte === 13 && (data[at + 1] === 10 || at >= data.length - 2)) continue;
    const shown = byte === 9 || byte === 10 || (byte >= 0x20 && byte < 0x7f);
    out += shown ? String.fromCharCode(byte) : ".";
  }
  return out;
}
