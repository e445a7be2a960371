/**
 * A worker thread's entry under Node: serves the coordinator (src/scheduler/cluster.ts).
 *
 * What runs on the emulated hosts is given from above. The coordinator names a module that exports
 * `createMachine`, and the worker imports it; to bind it at build time instead, import it here and pass it as
 * the second argument.
 */
import { heapInUse, parentEndpoint, wallClock } from "./scheduler/node-adapter.ts";
import { serveWorker } from "./scheduler/worker-api.ts";

serveWorker(parentEndpoint(), undefined, { clock: wallClock, heap: heapInUse });
