/** The dissectors' files, from the folder beside the page. */
import type { Wiregasm, WiregasmLoader } from "./wiregasm.ts";

/** RFC 1952 §2.3.1. */
const GZIP = [0x1f, 0x8b] as const;

/** Told how many bytes came so far. */
export type Progress = (bytes: number) => void;

/**
 * A packed file, unpacked. Some servers say that such a file is encoded, and then the browser has unpacked it already:
 * its first bytes tell.
 * @param came told of each piece, as it came
 */
export async function unpacked(response: Response, came: Progress): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  if (!response.ok || response.body === null)
    throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
  const reader = response.body.getReader();
  const first = await reader.read();
  if (first.done) throw new Error(`${response.url}: empty`);
  const packed = first.value[0] === GZIP[0] && first.value[1] === GZIP[1];
  came(first.value.length);
  let held: Uint8Array<ArrayBuffer> | undefined = first.value;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      if (held !== undefined) {
        controller.enqueue(held);
        held = undefined;
        return;
      }
      const { done, value } = await reader.read();
      if (done) {
        controller.close();
        return;
      }
      came(value.length);
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return packed ? stream.pipeThrough(new DecompressionStream("gzip")) : stream;
}

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
          WebAssembly.instantiate(code, imports).then(done, reject);
          return {};
        },
        print: () => {},
        printErr: () => {},
        handleStatus: () => {},
      }).then(resolve, reject);
    });
}
