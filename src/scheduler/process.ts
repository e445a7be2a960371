/**
 * Programs of an emulated host. A program is a generator: it yields what it waits for and is stepped by
 * the host's scheduler in virtual time, never by JavaScript's event loop. All programs of one host run
 * one at a time, in an order that depends on nothing but the host's own history.
 */
import type { Random } from "../base/random.ts";
import type { Time } from "../base/time.ts";
import { Waiters } from "../base/waiters.ts";
import type { Upkeep } from "./quiet.ts";

/** Something that can wake a waiting process. Waking says "look again"; the process re-checks its condition. */
export interface Waitable {
  /** Registers a waiter; the scheduler calls it, programs don't. */
  addWaiter(waiter: Waiter): void;
  removeWaiter(waiter: Waiter): void;
}

/** The scheduler's side of a wait. */
export interface Waiter {
  /** Called by a Waitable when its state changed. Idempotent until the process has run. */
  wake(source: Waitable): void;
}

/** What a process yields: any of the sources, or the deadline (absolute virtual time), whichever comes first. */
export interface Wait {
  readonly on?: readonly Waitable[];
  readonly until?: Time;
  /**
   * The deadline is periodic upkeep (a probe, a heartbeat, a ticker that finds nothing to do), not an appointment:
   * it doesn't keep quiet time from being skipped. When time was skipped the wait ends with TIME_SKIPPED.
   */
  readonly upkeep?: boolean;
}

/**
 * A program. `yield wait` gives back the source that woke it, or undefined when the deadline came.
 * A killed process gets `return()`: its `finally` blocks run and must not yield.
 */
export type Proc<T = void> = Generator<Wait, T, Waitable | undefined>;

/** The usual Waitable: a set of waiters and a notify(). */
export class Signal implements Waitable {
  readonly #waiters = new Waiters<Waitable>();

  addWaiter(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  removeWaiter(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /** Somebody waits for it now. */
  get awaited(): boolean {
    return this.#waiters.size > 0;
  }

  /** Wakes everyone that waits, in the order in which they began to wait. */
  notify(): void {
    this.#waiters.wake(this);
  }
}

/**
 * What ends an upkeep wait when quiet time was skipped (quiet.ts): the clock stands later than the deadline, which
 * has not come. The program finds out what is next as if it had been waiting all along.
 */
export const TIME_SKIPPED: Waitable = new Signal();

/** An unbounded queue between two processes of one host. */
export class Channel<T> extends Signal {
  readonly #items: T[] = [];
  #closed = false;

  push(item: T): void {
    this.#items.push(item);
    this.notify();
  }

  tryPop(): T | undefined {
    return this.#items.shift();
  }

  get length(): number {
    return this.#items.length;
  }

  includes(item: T): boolean {
    return this.#items.includes(item);
  }

  close(): void {
    this.#closed = true;
    this.notify();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * The next item; undefined when the deadline came or the channel was closed and is empty.
   * @param upkeep the deadline is upkeep's (Wait.upkeep): undefined may also mean that quiet time was skipped
   */
  *pop(until?: Time, upkeep = false): Proc<T | undefined> {
    for (;;) {
      if (this.#items.length > 0) return this.tryPop();
      if (this.#closed) return undefined;
      const source = yield until === undefined ? { on: [this] } : { on: [this], until, upkeep };
      if (source === undefined || source === TIME_SKIPPED) return this.tryPop();
    }
  }
}

/** A running program. */
export interface Process<T = unknown> {
  /** A number that it is given when somebody asks for it first; from 1, per host. */
  readonly pid: number;
  readonly name: string;
  readonly done: boolean;
  /** The generator's return value once done; undefined if it was killed. */
  readonly result: T | undefined;
  readonly killed: boolean;
  /** What the program threw, once done; undefined when it returned or was killed. */
  readonly error: unknown;
  /** Notified once, when the process is done. */
  readonly exited: Waitable;
  /** Ends the process now; its `finally` blocks run. No effect when done. */
  kill(): void;
}

/** What every program of a host is given: time, chance and processes. */
export interface HostRuntime {
  readonly hostName: string;
  /** Position of the host in the lab, from 0. */
  readonly hostIndex: number;
  now(): Time;
  /** The host's random stream; take a fork by a label of your own. */
  readonly random: Random;
  /**
   * Takes part in skipping quiet time from now on: says when its part of the host is at rest, and how a rest changes it.
   * @returns ends it
   */
  addUpkeep(upkeep: Upkeep): () => void;
  /** Starts a program; it first runs when the current one yields, at the same virtual time. */
  spawn<T>(name: string, program: Proc<T>): Process<T>;
}

/** Waits for a span of virtual time. */
export function* sleep(host: HostRuntime, ns: Time): Proc<void> {
  const until = host.now() + ns;
  while (host.now() < until) yield { until };
}

/** Waits until a process is done (or the deadline); returns true when it is done. */
export function* join(process: Process<unknown>, until?: Time): Proc<boolean> {
  while (!process.done) {
    const source = yield until === undefined ? { on: [process.exited] } : { on: [process.exited], until };
    if (source === undefined) return process.done;
  }
  return true;
}
