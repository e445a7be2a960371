/** What the leader's components have in common: a program each, and what they are given. */
import type { Random } from "../../base/random.ts";
import type { HostRuntime, Proc } from "../../scheduler/process.ts";
import type { MemoryStore } from "../store/memory.ts";

/** A log line of the daemon, as logrus would write it; counted and shown by whoever listens. */
export type Log = (level: "debug" | "info" | "warning" | "error", message: string) => void;

/** What a part of the manager works with. */
export interface ComponentContext {
  readonly os: HostRuntime;
  readonly store: MemoryStore;
  /** The manager's random stream; components fork it by their name. */
  readonly random: Random;
  readonly log: Log;
}

/**
 * A component of the leader. The constructor must subscribe to the store before anything is read; `run` is
 * its loop, and its `finally` block unsubscribes.
 */
export interface Component {
  readonly name: string;
  run(): Proc<void>;
}
