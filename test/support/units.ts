/** What lies below the kernel's border, for unit tests: assembly/units.ts, compiled when its sources are newer. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Exports } from "./wasm.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUILT = join(ROOT, "build/units.wasm");

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function newestSource(): number {
  const files = readdirSync(join(ROOT, "assembly"), { recursive: true, encoding: "utf8" });
  return Math.max(
    ...files.filter((name) => name.endsWith(".ts")).map((name) => modified(join(ROOT, "assembly", name))),
  );
}

/** Path of the module; UNITS_WASM names another one. */
export function unitsModule(): string {
  const given = process.env["UNITS_WASM"];
  if (given !== undefined) return given;
  if (modified(BUILT) < newestSource()) {
    // Test files run in parallel: each compiles for itself, and the rename is atomic.
    const out = `build/units.${process.pid}.wasm`;
    const args = [join(ROOT, "node_modules/assemblyscript/bin/asc.js"), "assembly/units.ts", "--target", "release"];
    execFileSync(process.execPath, [...args, "--outFile", out], { cwd: ROOT });
    renameSync(join(ROOT, out), BUILT);
  }
  return BUILT;
}

export interface Units {
  readonly x: Exports;
  u8(): Uint8Array;
  view(): DataView;
}

/** A fresh instance. */
export function loadUnits(): Units {
  // biome-ignore lint/suspicious/noExplicitAny: the library's types have no WebAssembly
  const { Memory, Module, Instance } = (globalThis as any).WebAssembly;
  const memory = new Memory({ initial: 256, maximum: 32767, shared: true });
  const abort = (_message: number, _file: number, line: number, column: number): never => {
    throw new Error(`assertion at ${line}:${column}`);
  };
  const x = new Instance(new Module(readFileSync(unitsModule())), { env: { memory, abort } }).exports as Exports;
  x["boot"](0);
  return { x, u8: () => new Uint8Array(memory.buffer), view: () => new DataView(memory.buffer) };
}
