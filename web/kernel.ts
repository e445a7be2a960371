/** The kernel's code, fetched once from beside the page. */
import kernelUrl from "../build/kernel.wasm?url";
import { compileKernel, type WasmModule } from "../src/kernel/wasm.ts";

let module: Promise<WasmModule> | undefined;

async function fetchKernel(): Promise<WasmModule> {
  const response = await fetch(new URL(kernelUrl, import.meta.url));
  if (!response.ok) throw new Error(`the kernel could not be loaded: ${response.status} ${response.statusText}`);
  return await compileKernel(new Uint8Array(await response.arrayBuffer()));
}

/** Loads and compiles it, the first time. */
export function loadKernel(): Promise<WasmModule> {
  module ??= fetchKernel();
  return module;
}
