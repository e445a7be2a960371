/** The dissectors' files, from the folder beside the page. */
import { type Progress, unpacked } from "./unpack.ts";
import type { Wiregasm, WiregasmLoader } from "./wiregasm.ts";

/** The script that makes instances: written for CommonJS, it leaves its function where such a module would. */
async function loader(url: string): Promise<WiregasmLoader> {
  const scope = globalThis as { module?: { exports: unknown }; exports?: unknown };
  const exported = { exports: {} as unknown };
  scope.module = exported;
  scope.exports = exported.exports;
  try {
    await import(/* @vite-ignore */ url);
  } finally {
    delete scope.module;
    delete scope.exports;
  }
  if (typeof exported.exports !== "function") throw new Error(`${url}: not the script of the dissectors`);
  return exported.exports as WiregasmLoader;
}

/** Fetches all of it. @returns what makes instances, without fetching anything again */
export async function fetchDissectors(folder: string, progress: Progress): Promise<() => Promise<Wiregasm>> {
  let bytes = 0;
  const came = (count: number): void => {
    bytes += count;
    progress(bytes);
  };
  const open = async (name: string) => unpacked(await fetch(`${folder}${name}`), came);
  const headers = { "Content-Type": "application/wasm" };
  const [code, data, load] = await Promise.all([
    open("wiregasm.wasm.gz").then((stream) => WebAssembly.compileStreaming(new Response(stream, { headers }))),
    open("wiregasm.data.gz").then((stream) => new Response(stream).arrayBuffer()),
    loader(`${folder}wiregasm.js`),
  ]);
  return () =>
    new Promise<Wiregasm>((resolve, reject) => {
      load({
        locateFile: (path) => path,
        getPreloadedPackage: () => data,
        instantiateWasm: (imports, done) => {
          WebAssembly.instantiate(code, imports as WebAssembly.Imports).then(done, reject);
          return {};
        },
        print: () => {},
        printErr: () => {},
        handleStatus: () => {},
      }).then(resolve, reject);
    });
}
