/** The browser's side of the scheduler (src/scheduler/platform.ts). */
import { UserError } from "../src/base/errors.ts";
import type { Platform, WorkerThread } from "../src/scheduler/platform.ts";

/** The headers with which a server isolates the page from other origins. */
export const ISOLATION = "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";

/**
 * What hosts run in the workers that startWorker() starts: their entry (worker.ts) brings it along, and imports nothing
 * of this name.
 */
export const MACHINES = "web/worker.ts";

/** Most workers that this page can have: several share memory, which a page that isn't isolated may not. */
export function mostWorkers(): number {
  return globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
}

/** Web workers, started from the session's own. */
export function browserPlatform(): Platform {
  return { cpus: mostWorkers, clock: () => performance.now(), startWorker };
}

function startWorker(index: number): WorkerThread {
  if (!globalThis.crossOriginIsolated)
    throw new UserError(`workers: the page isn't isolated from other origins (headers ${ISOLATION}): expected 1`);
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: `hosts ${index}` });
  const died = new Promise<never>((_, reject) => {
    const fail = (why: string): void => reject(new Error(`worker ${index} ended: ${why}`));
    worker.addEventListener("error", (event) => fail(event.message || "it could not be started"));
    worker.addEventListener("messageerror", () => fail("a message could not be read"));
  });
  died.catch(() => {}); // reported by whoever waits for the worker
  return { endpoint: worker, died, terminate: async () => worker.terminate() };
}

/**
 * What keeps the emulation from running in this browser; undefined when nothing does. The kernel's memory is a shared
 * one, which a single worker can have without the page being isolated from other origins: only the global name
 * SharedArrayBuffer is hidden then.
 */
export function missing(): string | undefined {
  if (typeof WebAssembly === "undefined") return "This browser has no WebAssembly, which the emulation runs in.";
  try {
    new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    return undefined;
  } catch {
    return `This browser gives the page no shared memory. Serve it with the headers ${ISOLATION} ("swarmwire view" sends them).`;
  }
}
