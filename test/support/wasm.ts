/**
 * The bare kernel for tests below src/kernel: exports, memory, and a few helpers. The module is
 * build/kernel.wasm (`npm run build:wasm`); KERNEL_WASM names another one.
 */
import { readFileSync } from "node:fs";

// biome-ignore lint/suspicious/noExplicitAny: tests call exports by name
export type Exports = Record<string, any>;

/** The library's types have no WebAssembly without the DOM's; tests need little of it. */
// biome-ignore lint/suspicious/noExplicitAny: see above
const { Memory, Module, Instance } = (globalThis as any).WebAssembly;

export interface RawKernel {
  readonly x: Exports;
  readonly memory: { readonly buffer: ArrayBufferLike };
  u8(): Uint8Array;
  view(): DataView;
  /** Puts a name into scratch as 16 zero-padded bytes. */
  name(text: string): void;
  /** Copies bytes to an address. */
  put(at: number, bytes: Uint8Array): void;
  /** Copies bytes from an address. */
  get(at: number, length: number): Uint8Array;
}

let compiled: object | undefined;

export function kernelModule(): object {
  const path = process.env["KERNEL_WASM"] ?? new URL("../../build/kernel.wasm", import.meta.url);
  compiled ??= new Module(readFileSync(path)) as object;
  return compiled;
}

/** A fresh instance, booted as worker `worker`. */
export function loadKernel(worker = 0): RawKernel {
  const memory = new Memory({ initial: 256, maximum: 32767, shared: true });
  const abort = (message: number, file: number, line: number, column: number): never => {
    const text = (at: number): string => {
      const view = new DataView(memory.buffer);
      const length = at === 0 ? 0 : view.getUint32(at - 4, true) / 2;
      let out = "";
      for (let i = 0; i < length; i++) out += String.fromCharCode(view.getUint16(at + 2 * i, true));
      return out;
    };
    throw new Error(`kernel: ${text(message)} at ${text(file)}:${line}:${column}`);
  };
  const instance = new Instance(kernelModule(), { env: { memory, abort } });
  const x = instance.exports as Exports;
  x["boot"](worker);
  const u8 = () => new Uint8Array(memory.buffer);
  return {
    x,
    memory,
    u8,
    view: () => new DataView(memory.buffer),
    name(text) {
      const at = x["scratch"]();
      u8().fill(0, at, at + 16);
      for (let i = 0; i < text.length; i++) u8()[at + i] = text.charCodeAt(i);
    },
    put: (at, bytes) => u8().set(bytes, at),
    get: (at, length) => u8().slice(at, at + length),
  };
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function unhex(text: string): Uint8Array {
  return Uint8Array.from((text.replace(/\s/g, "").match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)));
}
