/** What differs between Node and a browser: starting workers, and the clock of profiles. One adapter each implements it. */
import type { Endpoint } from "comlink";
import type { Clock } from "./profile.ts";

/** A worker thread that serves WorkerApi on its endpoint. */
export interface WorkerThread {
  readonly endpoint: Endpoint;
  /** Rejects when the thread dies; never resolves. */
  readonly died: Promise<never>;
  terminate(): Promise<void>;
}

/** What a place to run (Node, a page) gives: CPUs and worker threads. */
export interface Platform {
  /** Number of CPUs: the most workers that make sense. */
  cpus(): number;
  /** Wall time, for profiles and for parts of a run that end by it (pace.ts): nothing that is emulated sees it. */
  readonly clock: Clock;
  /** Starts a worker thread. @param index for its name in a debugger */
  startWorker(index: number): WorkerThread;
}
