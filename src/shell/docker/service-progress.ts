/**
 * Waiting for a service to converge, and showing it (docker/cli cli/command/service/progress/progress.go, moby
 * pkg/streamformatter, pkg/jsonmessage; 20.10).
 */
import { assert } from "../../base/errors.ts";
import { MS, SEC, type Time } from "../../base/time.ts";
import { parseRfc3339 } from "../../base/wall-clock.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { Proc, Waitable } from "../../scheduler/process.ts";
import { type Invocation, objectError, StatusError } from "./command.ts";
import { dieOf } from "./common.ts";
import { at, type JsonObject, num, text } from "./format/json.ts";
import { truncateId } from "./format/table.ts";
import { required } from "./task.ts";

const POLL = 200 * MS;
const DEFAULT_MONITOR = 5 * SEC;
const MAX_BARS = 20;
/** Columns of the state's word: those of `preparing`. */
const STATE_WIDTH = 9;
const BAR_CELLS = 50;
const MAX_ERROR = 75;

/** States in their order; those behind `running` are final. */
const STATES: readonly string[] = [
  "",
  "new",
  "allocated",
  "pending",
  "assigned",
  "accepted",
  "preparing",
  "ready",
  "starting",
  "running",
  "complete",
  "shutdown",
  "failed",
  "rejected",
];
const RUNNING = STATES.indexOf("running");
const stateNumber = (state: string): number => Math.max(0, STATES.indexOf(state));
const isTerminal = (state: string): boolean => stateNumber(state) > RUNNING;

/**
 * The display (pkg/jsonmessage DisplayJSONMessagesStream). On a terminal each ID has its line, redrawn in place. Elsewhere
 * every message is a line, but bars are left out.
 */
class Display {
  readonly #write: (text: string) => void;
  readonly #terminal: boolean;
  /** IDs in the order of their lines. */
  readonly #lines: string[] = [];

  constructor(write: (text: string) => void, terminal: boolean) {
    this.#write = write;
    this.#terminal = terminal;
  }

  /** @param current of 9 steps, for a bar */
  action(id: string, action: string, current?: number): void {
    if (!this.#terminal) {
      if (current === undefined) this.#write(`${id}: ${action}\n`);
      return;
    }
    const known = this.#lines.includes(id);
    if (!known) this.#lines.push(id);
    const up = this.#lines.length - this.#lines.indexOf(id);
    const line = `${id}: ${action} ${current === undefined ? "" : bar(current)}`;
    this.#write(`${known ? "" : "\n"}\x1b[${up}A\x1b[2K\r${line}\r\x1b[${up}B`);
  }

  message(id: string, message: string): void {
    this.#lines.length = 0;
    this.#write(`${id === "" ? "" : `${id}: `}${message}\n`);
  }
}

function bar(current: number): string {
  const filled = Math.min(BAR_CELLS, Math.floor(Math.trunc((current / RUNNING) * 100) / 2));
  return `[${"=".repeat(filled)}>${" ".repeat(BAR_CELLS - filled)}] `;
}

/** What one kind of service shows of its tasks. */
interface Updater {
  /** @returns converged */
  update(
    service: JsonObject,
    tasks: readonly JsonObject[],
    activeNodes: ReadonlySet<string>,
    rollback: boolean,
  ): boolean;
}

function overall(display: Display, done: number, of: number, rollback: boolean): void {
  display.action("overall progress", `${rollback ? "rolling back update: " : ""}${done} out of ${of} tasks`);
}

function truncated(error: string): string {
  const line = error.replaceAll("\n", " ");
  return line.length > MAX_ERROR ? `${line.slice(0, MAX_ERROR - 1)}…` : line;
}

function showTask(display: Display, id: string, task: JsonObject, rollback: boolean): void {
  const error = text(task, "Status", "Err");
  const state = text(task, "Status", "State");
  if (error !== "") display.action(id, truncated(error));
  else if (!isTerminal(text(task, "DesiredState")) && !isTerminal(state)) {
    const number = stateNumber(state);
    display.action(id, state.padEnd(STATE_WIDTH), rollback ? RUNNING - number : number);
  }
}

/** Of the tasks of one slot, or node, the one that should live longest; then the one that came least far. */
function choose(
  tasks: readonly JsonObject[],
  keyOf: (task: JsonObject) => string,
  counts: (task: JsonObject) => boolean,
): Map<string, JsonObject> {
  const chosen = new Map<string, JsonObject>();
  for (const task of tasks) {
    const [desired, state] = [stateNumber(text(task, "DesiredState")), stateNumber(text(task, "Status", "State"))];
    if (desired === 0 || state === 0 || !counts(task)) continue;
    const other = chosen.get(keyOf(task));
    if (other !== undefined) {
      const otherDesired = stateNumber(text(other, "DesiredState"));
      if (otherDesired < desired) continue;
      if (otherDesired === desired && stateNumber(text(other, "Status", "State")) <= state) continue;
    }
    chosen.set(keyOf(task), task);
  }
  return new Map([...chosen].sort(([a], [b]) => Number(a) - Number(b) || (a < b ? -1 : 1)));
}

const runs = (task: JsonObject): boolean =>
  !isTerminal(text(task, "DesiredState")) && text(task, "Status", "State") === "running";

function replicatedUpdater(display: Display): Updater {
  const slots = new Map<string, number>();
  let initialized = false;
  let done = false;
  return {
    update(service, tasks, activeNodes, rollback) {
      const replicas = num(service, "Spec", "Mode", "Replicated", "Replicas");
      if (!initialized) {
        overall(display, 0, replicas, rollback);
        for (let slot = 1; slot <= replicas && replicas <= MAX_BARS; slot++) display.action(`${slot}/${replicas}`, " ");
        initialized = true;
      }
      const isActive = (task: JsonObject): boolean =>
        text(task, "NodeID") === "" || activeNodes.has(text(task, "NodeID"));
      const bySlot = choose(tasks, (task) => String(num(task, "Slot")), isActive);
      if ([...bySlot.values()].some((task) => text(task, "Status", "State") !== "running")) done = false;
      let running = 0;
      for (const [slot, task] of bySlot) {
        const shown = slots.get(slot) ?? slots.size + 1;
        slots.set(slot, shown);
        if (runs(task)) running++;
        if (!done && replicas <= MAX_BARS && shown <= replicas)
          showTask(display, `${shown}/${replicas}`, task, rollback);
      }
      if (!done) overall(display, running, replicas, rollback);
      done ||= running === replicas;
      return running === replicas;
    },
  };
}

function globalUpdater(display: Display): Updater {
  let initialized = false;
  let done = false;
  return {
    update(_service, tasks, activeNodes, rollback) {
      const byNode = choose(
        tasks,
        (task) => text(task, "NodeID"),
        () => true,
      );
      const count = byNode.size;
      if (!initialized) {
        if (count === 0) {
          display.action("overall progress", "waiting for new tasks");
          return false;
        }
        overall(display, 0, count, rollback);
        initialized = true;
      }
      if ([...byNode.values()].some((task) => text(task, "Status", "State") !== "running")) done = false;
      let running = 0;
      for (const [node, task] of byNode) {
        if (!activeNodes.has(node)) continue;
        if (runs(task)) running++;
        if (!done && count <= MAX_BARS) showTask(display, truncateId(node), task, rollback);
      }
      if (!done) overall(display, running, count, rollback);
      done ||= running === count;
      return running === count;
    },
  };
}

/** Jobs: tasks that have completed count (progress/progress.go replicatedJobProgressUpdater, in short). */
function jobUpdater(display: Display): Updater {
  return {
    update(service, tasks) {
      const job = at(service, "Spec", "Mode", "ReplicatedJob");
      const total = job === undefined ? tasks.length : num(job, "TotalCompletions");
      const completed = tasks.filter((task) => text(task, "Status", "State") === "complete").length;
      display.action("job progress", `${completed} out of ${total} complete`);
      return total > 0 && completed >= total;
    },
  };
}

function updaterOf(service: JsonObject, display: Display): Updater {
  const mode = at(service, "Spec", "Mode");
  if (at(mode, "Replicated", "Replicas") !== undefined) return replicatedUpdater(display);
  if (at(mode, "Global") !== undefined) return globalUpdater(display);
  if (at(mode, "ReplicatedJob") !== undefined || at(mode, "GlobalJob") !== undefined) return jobUpdater(display);
  throw new StatusError(1, "unrecognized service mode");
}

/** What is kept between two looks at a service. */
class Progress {
  readonly #invocation: Invocation;
  readonly #id: string;
  readonly #display: Display;
  #updater: Updater | undefined;
  #converged = false;
  #convergedAt: Time | undefined;
  #monitor: Time = DEFAULT_MONITOR;
  #rollback = false;
  #last = "";

  constructor(invocation: Invocation, id: string, display: Display) {
    this.#invocation = invocation;
    this.#id = id;
    this.#display = display;
  }

  /** @returns whether to look no more */
  *look(): Proc<boolean> {
    const { engine, context } = this.#invocation;
    const display = this.#display;
    const now = (): Time => context.os.now();
    const service = yield* inspectService(this.#invocation, this.#id);
    this.#monitor = num(service, "Spec", "UpdateConfig", "Monitor") || this.#monitor;
    this.#updater ??= updaterOf(service, display);
    if (this.#updateEnded(service)) return true;
    if (this.#converged && now() - (this.#convergedAt ?? now()) >= this.#monitor) {
      display.action("verify", "Service converged");
      if (this.#last !== "") display.message("rollback", this.#last);
      return true;
    }
    const filters = { "_up-to-date": ["true"], service: [this.#id] };
    const tasks = yield* required(engine.taskList?.bind(engine))(filters);
    const nodes = yield* engine.nodeList();
    const active = nodes.filter((node) => text(node, "Status", "State") !== "down").map((node) => text(node, "ID"));
    this.#converged = this.#updater.update(service, tasks, new Set(active), this.#rollback);
    if (this.#converged) {
      if (service["JobStatus"] !== undefined) {
        display.message("", "job complete");
        return true;
      }
      this.#convergedAt ??= now();
      const wait = this.#monitor - (now() - this.#convergedAt);
      // Go's clock has always moved on a little since.
      const seconds = Math.max(1, Math.ceil(wait / SEC));
      if (wait >= 0) display.action("verify", `Waiting ${seconds} seconds to verify that tasks are stable...`);
    } else {
      if (this.#convergedAt !== undefined) display.action("verify", "Detected task failure");
      this.#convergedAt = undefined;
    }
    return false;
  }

  /** Follows the update's status. @throws StatusError for one that was paused */
  #updateEnded(service: JsonObject): boolean {
    const message = text(service, "UpdateStatus", "Message");
    switch (text(service, "UpdateStatus", "State")) {
      case "updating":
        this.#rollback = false;
        break;
      case "completed":
        return !this.#converged;
      case "paused":
        throw new StatusError(1, `service update paused: ${message}`);
      case "rollback_started":
        if (!this.#rollback && message !== "") this.#display.action("rollback", message);
        this.#rollback = true;
        break;
      case "rollback_paused":
        throw new StatusError(1, `service rollback paused: ${message}`);
      case "rollback_completed":
        if (!this.#converged) this.#last = message;
        this.#rollback = true;
        break;
    }
    return false;
  }

  get converged(): boolean {
    return this.#converged;
  }
}

/** A service's details; an unknown one is named by the client. */
export function* inspectService(invocation: Invocation, id: string): Proc<JsonObject> {
  const { engine } = invocation;
  try {
    return yield* required(engine.serviceInspect?.bind(engine))(id);
  } catch (error) {
    throw objectError(error, "service", id);
  }
}

/** Waits for what ends a pause; true when Ctrl-C came first. @throws StatusError when another signal ends the client */
function* ctrlC(context: ProgramContext, on: readonly Waitable[], over: () => boolean, until?: Time): Proc<boolean> {
  const wait = { on: [...on, context.signals], ...(until === undefined ? {} : { until }) };
  while (!over()) {
    yield wait;
    const signal = context.signals.tryPop();
    if (signal === "SIGINT") return true;
    dieOf(signal);
  }
  return false;
}

/** A look whose error is told, not thrown: nobody catches what a process throws. */
function* settled(progress: Progress): Proc<{ readonly ended: boolean } | { readonly error: unknown }> {
  try {
    return { ended: yield* progress.look() };
  } catch (error) {
    return { error };
  }
}

/**
 * Looks once, as a process of its own: Ctrl-C is noticed while the engine has not answered, too.
 * @returns whether there is nothing more to wait for; undefined when Ctrl-C came
 */
function* lookOnce({ context }: Invocation, progress: Progress): Proc<boolean | undefined> {
  const looking = context.os.spawn("docker service progress", settled(progress));
  try {
    if (yield* ctrlC(context, [looking.exited], () => looking.done)) return undefined;
  } finally {
    looking.kill();
  }
  const { result } = looking;
  assert(result !== undefined, "a look that ended by itself");
  if ("error" in result) throw result.error;
  return result.ended;
}

/** Waits until the service's tasks run and go on running (waitOnService); Ctrl-C leaves it to itself. */
export function* waitOnService(invocation: Invocation, id: string, quiet: boolean): Proc<void> {
  const { context, out } = invocation;
  const display = new Display(quiet ? () => {} : out, context.tty);
  const service = yield* inspectService(invocation, id);
  const progress = new Progress(invocation, text(service, "ID"), display);
  for (;;) {
    const ended = yield* lookOnce(invocation, progress);
    if (ended === true) return;
    const until = context.os.now() + POLL;
    if (ended === false && !(yield* ctrlC(context, [], () => context.os.now() >= until, until))) continue;
    if (!progress.converged) {
      display.message("", "Operation continuing in background.");
      display.message("", `Use \`docker service ps ${id}\` to check progress.`);
    }
    return;
  }
}

/** How long ago a moment of the API was, in words; "" for none. */
export function agoText(invocation: Invocation, moment: string, words: (span: Time) => string): string {
  const time = parseRfc3339(moment);
  return time === undefined ? "" : `${words(Math.max(0, invocation.context.os.now() - time)).toLowerCase()} ago`;
}
