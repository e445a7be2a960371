/** The browser's side of the scheduler (src/scheduler/platform.ts). */
import { UserError } from "../src/base/errors.ts";
import type { Platform } from "../src/scheduler/platform.ts";

/** One worker, the session's own. */
export function browserPlatform(): Platform {
  return {
    cpus: () => 1,
    clock: () => performance.now(),
    startWorker() {
      throw new UserError("workers: in a browser, expected 1");
    },
  };
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
    const isolation = "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";
    return `This browser gives the page no shared memory. Serve it with the headers ${isolation} ("swarmwire view" sends them).`;
  }
}
