/** The entry of a web worker that runs a part of the hosts: serves the coordinator, which is in the session's worker. */
import type { Endpoint } from "comlink";
import { createMachine } from "../src/lab/machine.ts";
import { serveWorker } from "../src/scheduler/worker-api.ts";

serveWorker(self as unknown as Endpoint, createMachine, { clock: () => performance.now() });
