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
 *
 * Steps take no virtual time, but a program that takes very many at one instant has a busy CPU: its next step comes
 * later, so that time goes on whatever programs do.
 */
import { assert } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { FOREVER, MS, type Time } from "../base/time.ts";
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
import { before, type Timed, TimerHeap } from "./timer-heap.ts";

/** Steps of one program at one instant after which it waits for the CPU. */
const TASK_STEPS = 10_000;
/** Steps of all programs of a host at one instant after which each of them waits for the CPU before its next one. */
const HOST_STEPS = 200_000;
/** How long a program waits for a busy CPU at first; twice as long each time that it does nothing but compute again. */
const CPU_WAIT = 1 * MS;
const MOST_CPU_WAIT = 128 * MS;

/** Told of a program that ended by an exception. */
export type OnProgramError = (host: ScheduledHost, process: Process, error: unknown) => void;

/** The scheduler of one worker's hosts. */
export class HostScheduler {
  readonly #onError: OnProgramError;
  readonly #timers = new TimerHeap<Task>();
  #ready: ScheduledHost[] = [];
  /** The list that runReady() works on; the two change places. */
  #running: ScheduledHost[] = [];
  #now: Time;
  #disturbed: Time;
  #lastRun: Time;

  /**
   * @param onError called once for each program that ends by an exception
   * @param start virtual time at which the run begins
   */
  constructor(onError: OnProgramError, start: Time = 0) {
    this.#onError = onError;
    this.#now = start;
    this.#disturbed = start;
    this.#lastRun = start;
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

  /** When programs ran last, or disturb() was called. */
  get lastRun(): Time {
    return this.#lastRun;
  }

  /** Something happens now that isn't upkeep: a command, a fault. */
  disturb(): void {
    this.#disturbed = this.#now;
    this.#lastRun = this.#now;
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
    if (this.#ready.length > 0) this.#lastRun = this.#now;
    while (this.#ready.length > 0) {
      const hosts = this.#ready;
      this.#ready = this.#running;
      this.#running = hosts;
      if (hosts.length > 1) hosts.sort(byIndex);
      for (const host of hosts) host.runToRest();
      empty(hosts);
    }
  }
}

/** Takes everything out of a list, but leaves it its memory: lists are filled again at every wake. */
function empty(list: unknown[]): void {
  while (list.length > 0) list.pop();
}

function byIndex(a: ScheduledHost, b: ScheduledHost): number {
  return a.hostIndex - b.hostIndex;
}

/** What a host needs of its scheduler. */
interface SchedulerCore {
  readonly now: () => Time;
  readonly timers: TimerHeap<Task>;
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
  readonly #runQueue: Task[] = [];
  readonly #upkeep: Upkeep[] = [];
  #queued = false;
  #nextNumber = 1;
  #nextPid = 1;
  #nextTimerSequence = 0;
  /** The instant of the last step, and the steps at it. */
  #instant: Time = -1;
  #steps = 0;

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
      busy: () => this.#steps >= HOST_STEPS && this.#instant === this.#core.now(),
      nextPid: () => this.#nextPid++,
      ended: (ended) => this.#ended(ended),
    });
    this.#tasks.set(task.number, task);
    task.start();
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
    const now = this.#core.now();
    if (now !== this.#instant) {
      this.#instant = now;
      this.#steps = 0;
    }
    // It grows while it is worked through: first in, first out.
    const queue = this.#runQueue;
    for (let i = 0; i < queue.length; i++) {
      this.#steps++;
      queue[i]?.step();
    }
    empty(queue);
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
  readonly timers: TimerHeap<Task>;
  readonly timerSequence: () => number;
  readonly makeReady: (task: Task) => void;
  /** Whether the host's programs have used this instant up. */
  readonly busy: () => boolean;
  readonly nextPid: () => number;
  readonly ended: (task: Task) => void;
}

/** `busy`: it could run, but waits for the CPU until a deadline in the timer heap. */
type TaskState = "ready" | "running" | "waiting" | "busy" | "done";

const NO_SOURCES: readonly Waitable[] = [];

/** One process: a generator, what it waits for, and its place in the timer heap. */
class Task implements Process, Waiter, Timed {
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
  /** The instant of its last step, and its steps at it. */
  #instant: Time = -1;
  #steps = 0;
  /** Its last wait for the CPU, and when that was over. */
  #cpuWait: Time = 0;
  #cpuSince: Time = -1;
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

  /** Makes it runnable for the first time. */
  start(): void {
    this.#run();
  }

  wake(source: Waitable): void {
    if (this.#state === "waiting") this.#resume(source);
  }

  /** The deadline came, or the CPU is free. */
  expire(): void {
    if (this.#state === "waiting") {
      this.#resume(undefined);
      return;
    }
    this.#stopWaiting();
    this.#run();
  }

  /** Runs the program up to its next yield. */
  step(): void {
    if (this.#state !== "ready") return;
    this.#state = "running";
    const now = this.#core.now();
    this.#steps = this.#instant === now ? this.#steps + 1 : 1;
    this.#instant = now;
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
    this.#run();
  }

  /** To the run queue; later when this program or its host has a busy CPU. */
  #run(): void {
    const now = this.#core.now();
    if ((this.#steps < TASK_STEPS || this.#instant !== now) && !this.#core.busy()) {
      this.#state = "ready";
      this.#core.makeReady(this);
      return;
    }
    this.#state = "busy";
    this.#cpuWait = this.#cpuSince === now ? Math.min(2 * this.#cpuWait, MOST_CPU_WAIT) : CPU_WAIT;
    this.#cpuSince = now + this.#cpuWait;
    this.#setTimer(this.#cpuSince, false);
  }

  #setTimer(time: Time, upkeep: boolean): void {
    this.timerTime = time;
    this.timerSequence = this.#core.timerSequence();
    this.upkeep = upkeep;
    this.#core.timers.add(this);
  }

  #wait(wait: Wait): void {
    if (wait.until !== undefined && wait.until <= this.#core.now()) {
      this.#resume(undefined);
      return;
    }
    this.#state = "waiting";
    this.#sources = wait.on ?? NO_SOURCES;
    for (const source of this.#sources) source.addWaiter(this);
    if (wait.until !== undefined && wait.until < FOREVER) this.#setTimer(wait.until, wait.upkeep === true);
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
