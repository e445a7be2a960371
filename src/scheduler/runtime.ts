/**
 * The scheduler of programs: steps the generators of all hosts of one worker in virtual time. It is to
 * programs what the kernel's event queue is to packets, and takes its notion of a run queue from Linux
 * (kernel/sched: a process is either running, runnable or waiting).
 *
 * How the loop that also drives the Wasm kernel uses it:
 *
 *     for (;;) {
 *       scheduler.runReady();                       // programs react; they send packets and set timers
 *       const t = min(scheduler.nextTimer(), end);  // FOREVER when no program has a deadline
 *       const reached = kernel.run(t);              // packets until t, or until one wakes a socket's waiter
 *       scheduler.advance(reached);                 // sets the clock, fires the deadlines that are due
 *     }
 *
 * Order: within a host first in, first out; between hosts by host index; deadlines by (time, host index,
 * per-host counter). Nothing here depends on which other hosts the worker carries.
 */
import { assert } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { FOREVER, type Time } from "../base/time.ts";
import {
  type HostRuntime,
  type Proc,
  type Process,
  Signal,
  TIME_SKIPPED,
  type Wait,
  type Waitable,
  type Waiter,
} from "./process.ts";
import type { Upkeep } from "./quiet.ts";

/** Steps of one host's programs at one instant after which it is taken to spin without end. */
const SPIN_LIMIT = 5_000_000;

/** Told of a program that ended by an exception. */
export type OnProgramError = (host: ScheduledHost, process: Process, error: unknown) => void;

/** The scheduler of one worker's hosts. */
export class HostScheduler {
  readonly #onError: OnProgramError;
  readonly #timers = new TimerHeap();
  #ready: ScheduledHost[] = [];
  #now: Time;
  #disturbed: Time;

  /**
   * @param onError called once for each program that ends by an exception
   * @param start virtual time at which the run begins
   */
  constructor(onError: OnProgramError, start: Time = 0) {
    this.#onError = onError;
    this.#now = start;
    this.#disturbed = start;
  }

  /** The present virtual time, as of the last advance(). */
  get now(): Time {
    return this.#now;
  }

  /**
   * Adds a host. A HostOs is this with its kernel: `Object.assign(scheduler.createHost(…), { kernel })`.
   * @param index the host's position in the lab, unique in this scheduler
   * @param random the host's random stream
   */
  createHost(name: string, index: number, random: Random): ScheduledHost {
    return new ScheduledHost(name, index, random, {
      now: () => this.#now,
      timers: this.#timers,
      hostReady: (host) => this.#ready.push(host),
      onError: this.#onError,
    });
  }

  /** The earliest deadline of any program; FOREVER when there is none. */
  nextTimer(): Time {
    return this.#timers.first()?.timerTime ?? FOREVER;
  }

  /** Whether a program is runnable now. */
  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  /**
   * Sets the clock, which never goes back, and fires no deadline: a packet has woken a program at an instant at
   * which deadlines may be due too, but other packets of that instant come before them.
   */
  setClock(now: Time): void {
    assert(now >= this.#now, "virtual time goes forward", this.#now, now);
    this.#now = now;
  }

  /** Sets the clock, which never goes back, and makes every program runnable whose deadline has come. */
  advance(now: Time): void {
    this.setClock(now);
    for (let task = this.#timers.first(); task !== undefined && task.timerTime <= now; task = this.#timers.first()) {
      if (!task.upkeep) this.#disturbed = now;
      task.expire();
    }
  }

  /** When a deadline came last that wasn't upkeep's, or disturb() was called. */
  get disturbed(): Time {
    return this.#disturbed;
  }

  /** Something happens now that isn't upkeep: a command, a fault. */
  disturb(): void {
    this.#disturbed = this.#now;
  }

  /** The earliest deadline that isn't upkeep's. */
  nextAppointment(): Time {
    return this.#timers.all().reduce((next, task) => (task.upkeep ? next : Math.min(next, task.timerTime)), FOREVER);
  }

  /** Sets the clock forward over quiet time: every upkeep wait ends with TIME_SKIPPED, in the order of the deadlines. */
  skipTo(to: Time): void {
    this.setClock(to);
    const waiting = this.#timers.all().filter((task) => task.upkeep);
    for (const task of waiting.sort((a, b) => (before(a, b) ? -1 : 1))) task.wake(TIME_SKIPPED);
  }

  /** Runs programs until every run queue is empty: hosts in order of index, each to its rest. */
  runReady(): void {
    while (this.#ready.length > 0) {
      const hosts = this.#ready.sort((a, b) => a.hostIndex - b.hostIndex);
      this.#ready = [];
      for (const host of hosts) host.runToRest();
    }
  }
}

/** What a host needs of its scheduler. */
interface SchedulerCore {
  readonly now: () => Time;
  readonly timers: TimerHeap;
  readonly hostReady: (host: ScheduledHost) => void;
  readonly onError: OnProgramError;
}

/** One host's programs. */
export class ScheduledHost implements HostRuntime {
  readonly hostName: string;
  readonly hostIndex: number;
  readonly random: Random;
  readonly #core: SchedulerCore;
  readonly #tasks = new Map<number, Task>();
  #runQueue: Task[] = [];
  readonly #upkeep: Upkeep[] = [];
  #queued = false;
  #nextNumber = 1;
  #nextPid = 1;
  #nextTimerSequence = 0;

  /** Made by HostScheduler.createHost. */
  constructor(name: string, index: number, random: Random, core: SchedulerCore) {
    this.hostName = name;
    this.hostIndex = index;
    this.random = random;
    this.#core = core;
  }

  now(): Time {
    return this.#core.now();
  }

  spawn<T>(name: string, program: Proc<T>): Process<T> {
    const task = new Task(this.#nextNumber++, name, program as Proc<unknown>, {
      now: this.#core.now,
      hostIndex: this.hostIndex,
      timers: this.#core.timers,
      timerSequence: () => this.#nextTimerSequence++,
      makeReady: (ready) => this.#makeReady(ready),
      nextPid: () => this.#nextPid++,
      ended: (ended) => this.#ended(ended),
    });
    this.#tasks.set(task.number, task);
    this.#makeReady(task);
    return task as Process as Process<T>;
  }

  addUpkeep(upkeep: Upkeep): () => void {
    this.#upkeep.push(upkeep);
    return () => {
      const at = this.#upkeep.indexOf(upkeep);
      if (at >= 0) this.#upkeep.splice(at, 1);
    };
  }

  /** In the order in which they were added. */
  get upkeep(): readonly Upkeep[] {
    return this.#upkeep;
  }

  /** The programs that run, in the order in which they were started. */
  processes(): readonly Process[] {
    return [...this.#tasks.values()];
  }

  /** Kills every program in the order in which they were started; `finally` blocks run, so sockets are closed properly: a shutdown. */
  killAll(): void {
    for (const task of [...this.#tasks.values()]) task.kill();
  }

  /** Power loss: every program ends at once and no `finally` block runs. */
  crash(): void {
    for (const task of [...this.#tasks.values()]) task.drop();
  }

  /** Runs the programs of the run queue until it is empty. */
  runToRest(): void {
    for (let steps = 0; this.#runQueue.length > 0; ) {
      const batch = this.#runQueue;
      this.#runQueue = [];
      for (const task of batch) {
        task.step();
        steps++;
        assert(steps < SPIN_LIMIT, "programs come to rest", this.hostName, task.name);
      }
    }
    this.#queued = false;
  }

  #makeReady(task: Task): void {
    this.#runQueue.push(task);
    if (this.#queued) return;
    this.#queued = true;
    this.#core.hostReady(this);
  }

  #ended(task: Task): void {
    this.#tasks.delete(task.number);
    if (task.error !== undefined) this.#core.onError(this, task, task.error);
  }
}

/** What a process needs of its host. */
interface TaskCore {
  readonly now: () => Time;
  readonly hostIndex: number;
  readonly timers: TimerHeap;
  readonly timerSequence: () => number;
  readonly makeReady: (task: Task) => void;
  readonly nextPid: () => number;
  readonly ended: (task: Task) => void;
}

type TaskState = "ready" | "running" | "waiting" | "done";

const NO_SOURCES: readonly Waitable[] = [];

/** One process: a generator, what it waits for, and its place in the timer heap. */
class Task implements Process, Waiter {
  /** Order of its start on its host. */
  readonly number: number;
  readonly name: string;
  readonly exited = new Signal();
  readonly #program: Proc<unknown>;
  readonly #core: TaskCore;
  readonly hostIndex: number;
  #state: TaskState = "ready";
  #sources: readonly Waitable[] = NO_SOURCES;
  #wokenBy: Waitable | undefined;
  #killed = false;
  #pid: number | undefined;
  result: unknown;
  error: unknown;
  /** Deadline while in the timer heap; see TimerHeap. */
  timerTime: Time = FOREVER;
  timerSequence = 0;
  /** Whether the deadline is upkeep's, see Wait. */
  upkeep = false;
  /** Position in the timer heap, -1 when not in it. */
  timerSlot = -1;

  constructor(number: number, name: string, program: Proc<unknown>, core: TaskCore) {
    this.number = number;
    this.name = name;
    this.#program = program;
    this.#core = core;
    this.hostIndex = core.hostIndex;
  }

  get pid(): number {
    this.#pid ??= this.#core.nextPid();
    return this.#pid;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  get killed(): boolean {
    return this.#killed;
  }

  wake(source: Waitable): void {
    if (this.#state === "waiting") this.#resume(source);
  }

  /** The deadline came. */
  expire(): void {
    this.#resume(undefined);
  }

  /** Runs the program up to its next yield. */
  step(): void {
    if (this.#state !== "ready") return;
    this.#state = "running";
    const source = this.#wokenBy;
    this.#wokenBy = undefined;
    let step: IteratorResult<Wait, unknown>;
    try {
      step = this.#program.next(source);
    } catch (error) {
      this.#end(error ?? new Error(`${this.name} threw ${String(error)}`));
      return;
    }
    if (step.done === true) {
      this.result = step.value;
      this.#end(undefined);
    } else if (this.#killed) this.#return();
    else this.#wait(step.value);
  }

  kill(): void {
    if (this.#state === "done" || this.#killed) return;
    this.#killed = true;
    // A program that kills itself is in the middle of a step, and ends at its next yield.
    if (this.#state !== "running") this.#return();
  }

  /** Ends the process without running its `finally` blocks. */
  drop(): void {
    if (this.#state === "done") return;
    this.#killed = true;
    this.#end(undefined);
  }

  #resume(source: Waitable | undefined): void {
    this.#stopWaiting();
    this.#wokenBy = source;
    this.#state = "ready";
    this.#core.makeReady(this);
  }

  #wait(wait: Wait): void {
    if (wait.until !== undefined && wait.until <= this.#core.now()) {
      this.#resume(undefined);
      return;
    }
    this.#state = "waiting";
    this.#sources = wait.on ?? NO_SOURCES;
    for (const source of this.#sources) source.addWaiter(this);
    if (wait.until !== undefined && wait.until < FOREVER) {
      this.timerTime = wait.until;
      this.timerSequence = this.#core.timerSequence();
      this.upkeep = wait.upkeep === true;
      this.#core.timers.add(this);
    }
  }

  #stopWaiting(): void {
    for (const source of this.#sources) source.removeWaiter(this);
    this.#sources = NO_SOURCES;
    if (this.timerSlot >= 0) this.#core.timers.remove(this);
  }

  #return(): void {
    this.#stopWaiting();
    this.#state = "running";
    let error: unknown;
    try {
      const step = this.#program.return(undefined);
      if (step.done !== true) error = new Error(`${this.name} waits in a finally block while being killed`);
    } catch (thrown) {
      error = thrown;
    }
    this.#end(error);
  }

  #end(error: unknown): void {
    this.#stopWaiting();
    this.#state = "done";
    this.error = error;
    this.#core.ended(this);
    this.exited.notify();
  }
}

/** A binary heap of waiting processes by (deadline, host index, per-host counter), with removal from the middle. */
class TimerHeap {
  readonly #heap: Task[] = [];

  first(): Task | undefined {
    return this.#heap[0];
  }

  /** Everything in the heap, in no particular order. */
  all(): readonly Task[] {
    return this.#heap;
  }

  add(task: Task): void {
    this.#heap.push(task);
    this.#up(task, this.#heap.length - 1);
  }

  remove(task: Task): void {
    const slot = task.timerSlot;
    task.timerSlot = -1;
    const last = this.#heap.pop() as Task;
    if (last === task) return;
    this.#up(last, slot);
    this.#down(last, last.timerSlot);
  }

  #up(task: Task, from: number): void {
    let slot = from;
    while (slot > 0) {
      const parentSlot = (slot - 1) >> 1;
      const parent = this.#heap[parentSlot] as Task;
      if (!before(task, parent)) break;
      this.#place(parent, slot);
      slot = parentSlot;
    }
    this.#place(task, slot);
  }

  #down(task: Task, from: number): void {
    let slot = from;
    for (;;) {
      let childSlot = 2 * slot + 1;
      if (childSlot >= this.#heap.length) break;
      let child = this.#heap[childSlot] as Task;
      const right = this.#heap[childSlot + 1];
      if (right !== undefined && before(right, child)) {
        child = right;
        childSlot++;
      }
      if (!before(child, task)) break;
      this.#place(child, slot);
      slot = childSlot;
    }
    this.#place(task, slot);
  }

  #place(task: Task, slot: number): void {
    this.#heap[slot] = task;
    task.timerSlot = slot;
  }
}

function before(a: Task, b: Task): boolean {
  if (a.timerTime !== b.timerTime) return a.timerTime < b.timerTime;
  if (a.hostIndex !== b.hostIndex) return a.hostIndex < b.hostIndex;
  return a.timerSequence < b.timerSequence;
}
