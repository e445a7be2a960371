/**
 * The option list at the end of a pcapng block (draft-ietf-opsawg-pcapng §3.5 "Options"):
 *
 *   0      2      4                4+length, padded with zeros to 4
 *   | code | length | value …      |
 *
 * closed by opt_endofopt (code 0, length 0) if there is any option at all.
 */
import { OPT_COMMENT } from "./constants.ts";

const encoder = new TextEncoder();

/** The most bytes that an option's value may have: its length is 16 bits wide. */
export const MAX_OPTION_BYTES = 65535;

/** `length` rounded up to a multiple of 4. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

/** Options gathered before their block is reserved, so that its length is known. */
export class OptionList {
  #codes: number[] = [];
  #values: Uint8Array[] = [];
  #size = 0;
  #littleEndian: boolean;

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  /** Bytes of the list with its end mark; 0 if it is empty. */
  get size(): number {
    return this.#size === 0 ? 0 : this.#size + 4;
  }

  /** Adds a value as it is. */
  raw(code: number, value: Uint8Array): void {
    if (value.length > MAX_OPTION_BYTES) {
      throw new RangeError(`option ${code} has ${value.length} bytes; a pcapng option holds ${MAX_OPTION_BYTES}`);
    }
    this.#codes.push(code);
    this.#values.push(value);
    this.#size += 4 + padded(value.length);
  }

  /** Adds a UTF-8 string, unless undefined. */
  text(code: number, value: string | undefined): void {
    if (value !== undefined) this.raw(code, encoder.encode(value));
  }

  /** Adds one opt_comment for each string. */
  comments(value: string | readonly string[] | undefined): void {
    if (value === undefined) return;
    for (const one of typeof value === "string" ? [value] : value) this.text(OPT_COMMENT, one);
  }

  /** Adds a 32-bit number. */
  u32(code: number, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, this.#littleEndian);
    this.raw(code, bytes);
  }

  /** Adds a 64-bit number, unless undefined. */
  u64(code: number, value: number | undefined, name: string): void {
    if (value === undefined) return;
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${name} must be an integer from 0 to 2^53-1, got ${value}`);
    }
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), this.#littleEndian);
    this.raw(code, bytes);
  }

  /** Adds a time in the layout of a packet's: the high 32 bits first, in any byte order. */
  time(code: number, high: number, low: number): void {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, high, this.#littleEndian);
    view.setUint32(4, low, this.#littleEndian);
    this.raw(code, bytes);
  }

  /** Writes the list at `at` and returns where it ends. */
  emit(bytes: Uint8Array, view: DataView, at: number): number {
    if (this.#size === 0) return at;
    for (const [i, value] of this.#values.entries()) {
      view.setUint16(at, this.#codes[i]!, this.#littleEndian);
      view.setUint16(at + 2, value.length, this.#littleEndian);
      bytes.set(value, at + 4);
      const end = at + 4 + padded(value.length);
      bytes.fill(0, at + 4 + value.length, end);
      at = end;
    }
    view.setUint32(at, 0, this.#littleEndian);
    return at + 4;
  }
}
