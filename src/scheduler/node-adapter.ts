/** The Node side of the scheduler: worker threads, CPUs, and the kernel's file. The only file here with node:*. */
import { readFile } from "node:fs/promises";
import { availableParallelism, freemem } from "node:os";
import { parentPort, Worker } from "node:worker_threads";
import type { Endpoint } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { assert, UserError } from "../base/errors.ts";
import { compileKernel, type WasmModule } from "../kernel/wasm.ts";
import type { Platform } from "./platform.ts";
import type { Clock } from "./profile.ts";

/** Places where the kernel may stand, seen from this file: in the source tree, and in dist/src. */
const KERNEL_PLACES = ["../../build/kernel.wasm", "../../../build/kernel.wasm"];

/** Reads and compiles the kernel. @param url where it is; by default beside the package's files */
export async function loadKernel(url?: URL): Promise<WasmModule> {
  const places = url === undefined ? KERNEL_PLACES.map((place) => new URL(place, import.meta.url)) : [url];
  for (const place of places) {
    const bytes = await readFile(place).catch(() => undefined);
    if (bytes !== undefined) return compileKernel(bytes);
  }
  throw new UserError(`the kernel was not found at ${places.join(" or ")}: run npm run build:wasm`);
}

/** Bytes that this process may still take: what the machine has free, or less where a control group limits it. */
export function availableMemory(): number {
  // Since Node 20.13.
  const { availableMemory: available } = process as { availableMemory?: () => number };
  return Math.min(available?.() ?? freemem(), freemem());
}

/** Bytes of this thread's JavaScript heap in use. */
export const heapInUse = (): number => process.memoryUsage().heapUsed;

/** Wall time, for profiles. */
export const wallClock: Clock = () => performance.now();

/** How worker threads are made. */
export interface WorkerLimits {
  /** Megabytes of JavaScript's heap in a worker, after which it ends with ERR_WORKER_OUT_OF_MEMORY. Default: Node's own. */
  readonly maxHeapMb?: number;
}

/** @param entry the compiled worker.js; by default the one two folders up from this file */
export function nodePlatform(
  entry: URL = new URL("../worker.js", import.meta.url),
  limits: WorkerLimits = {},
): Platform {
  const resourceLimits = limits.maxHeapMb === undefined ? {} : { maxOldGenerationSizeMb: limits.maxHeapMb };
  return {
    cpus: availableParallelism,
    clock: wallClock,
    startWorker(index) {
      const worker = new Worker(entry, { name: `swarmwire-${index}`, resourceLimits });
      const died = new Promise<never>((_, reject) => {
        worker.on("error", reject);
        worker.on("messageerror", reject);
        worker.on("exit", (code) => reject(new Error(`worker ${index} ended with code ${code}`)));
      });
      died.catch(() => {}); // reported by whoever waits for the worker
      return {
        endpoint: nodeEndpoint(worker),
        died,
        terminate: async () => {
          await worker.terminate();
        },
      };
    },
  };
}

/** In a worker thread: the endpoint to the coordinator. */
export function parentEndpoint(): Endpoint {
  assert(parentPort !== null, "this module runs in a worker thread");
  return nodeEndpoint(parentPort);
}
