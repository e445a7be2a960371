/**
 * The kernel's memory as TypeScript reads it. Views are short-lived: the memory grows, and a view of the old
 * buffer does not see the new pages. So everybody asks for the view again after each call into the module.
 */

import type { Mac } from "../base/addr.ts";
import { assert, type Errno, errnoName, KernelError } from "../base/errors.ts";
import type { WasmMemory } from "./wasm.ts";

/** Bytes of a device name, with its zero (IFNAMSIZ). */
export const NAME_SIZE = 16;

/** Reads and writes the kernel's memory; views are renewed when it has grown. */
export class KernelMemory {
  readonly memory: WasmMemory;
  #buffer: SharedArrayBuffer;
  #view: DataView;
  #bytes: Uint8Array;

  constructor(memory: WasmMemory) {
    this.memory = memory;
    this.#buffer = memory.buffer;
    this.#view = new DataView(this.#buffer);
    this.#bytes = new Uint8Array(this.#buffer);
  }

  /** A view of the whole memory, valid until the next call into the module. */
  get view(): DataView {
    if (this.memory.buffer !== this.#buffer) this.#renew();
    return this.#view;
  }

  /** The whole memory as bytes, valid until the next call into the module. */
  get bytes(): Uint8Array {
    if (this.memory.buffer !== this.#buffer) this.#renew();
    return this.#bytes;
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  i32(at: number): number {
    return this.view.getInt32(at, true);
  }

  /** A 64-bit integer as a number; exact up to 2^53. */
  u64(at: number): number {
    const view = this.view;
    return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  }

  /** A signed 64-bit integer as a number; exact up to 2^53. */
  i64(at: number): number {
    const view = this.view;
    return view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  }

  f64(at: number): number {
    return this.view.getFloat64(at, true);
  }

  /** A copy of bytes: survives the next call. */
  copy(at: number, length: number): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(at, at + length);
  }

  /** Copies bytes to the beginning of an array; returns that part of it. */
  copyInto(into: Uint8Array, at: number, length: number): Uint8Array {
    into.set(this.bytes.subarray(at, at + length));
    return into.subarray(0, length);
  }

  /** Reads a zero-padded name. A decoder costs more than so few bytes. */
  name(at: number, size = NAME_SIZE): string {
    const { bytes } = this;
    let name = "";
    for (let i = at; i < at + size && bytes[i] !== 0; i++) name += String.fromCharCode(bytes[i] as number);
    return name;
  }

  /** Writes a name, zero-padded. The caller has checked its length. */
  putName(at: number, name: string, size = NAME_SIZE): void {
    assert(name.length < size, "name fits", name);
    const bytes = this.bytes;
    bytes.fill(0, at, at + size);
    for (let i = 0; i < name.length; i++) bytes[at + i] = name.charCodeAt(i) & 255;
  }

  #renew(): void {
    this.#buffer = this.memory.buffer;
    this.#view = new DataView(this.#buffer);
    this.#bytes = new Uint8Array(this.#buffer);
  }
}

/** Throws KernelError for a negative result; returns it otherwise. */
export function check(result: number, operation: string): number {
  if (result < 0) throw new KernelError(errnoName(-result), operation);
  return result;
}

/** Refuses an operation. */
export function refuse(code: Errno, operation: string): never {
  throw new KernelError(code, operation);
}

/** The first 16 bits of a MAC address. */
export function macHigh(mac: Mac): number {
  return Math.floor(mac / 2 ** 32);
}

/** The last 32 bits of a MAC address. */
export function macLow(mac: Mac): number {
  return mac >>> 0;
}
