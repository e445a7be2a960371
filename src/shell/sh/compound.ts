/** Compound commands: groups, subshells, if, case, for, while and until (POSIX.1-2017 Shell Command Language §2.9.4). */
import { MS, type Time, US } from "../../base/time.ts";
import { type Proc, sleep } from "../../scheduler/process.ts";
import { LeaveLoop } from "./flow.ts";
import type { Shell } from "./interpret.ts";
import { matchesPattern } from "./pattern.ts";
import type { Io } from "./state.ts";
import type { CompoundCommand, List } from "./syntax.ts";

/**
 * Virtual time that a turn of a loop takes beside its commands, by the turns before it: those of a loop that has come
 * this far are longer, so that one without end doesn't need millions of them for each minute.
 */
const LOOP_COSTS: readonly (readonly [turns: number, cost: Time])[] = [
  [100_000, 10 * US],
  [150_000, 1 * MS],
  [Number.POSITIVE_INFINITY, 20 * MS],
];

/** Runs the compound commands of one shell. */
export class CompoundRunner {
  readonly #shell: Shell;
  /** Loops that it is in, one in the other, in the present function. */
  loops = 0;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  *run(command: CompoundCommand, io: Io): Proc<number> {
    switch (command.kind) {
      case "group": {
        if (command.subshell) return yield* this.#subshell(command.body, io);
        yield* this.#shell.list(command.body, io);
        return this.#shell.status;
      }
      case "if":
        for (const { condition, body } of command.branches) {
          yield* this.#shell.condition(condition, io);
          if (this.#shell.status !== 0) continue;
          this.#shell.status = 0;
          yield* this.#shell.list(body, io);
          return this.#shell.status;
        }
        this.#shell.status = 0;
        yield* this.#shell.list(command.otherwise, io);
        return this.#shell.status;
      case "case":
        return yield* this.#case(command, io);
      case "for":
        return yield* this.#for(command, io);
      case "loop":
        return yield* this.#loop(command, io);
      case "function":
        return 0;
    }
  }

  *#subshell(body: List, io: Io): Proc<number> {
    const child = this.#shell.fork("", io, false, (shell) => shell.list(body, shell.io));
    try {
      return yield* this.#shell.await(child);
    } finally {
      child.signal("SIGKILL");
    }
  }

  *#case(command: CompoundCommand & { kind: "case" }, io: Io): Proc<number> {
    const subject = yield* this.#shell.expander.text(command.subject);
    for (const { patterns, body } of command.branches) {
      for (const pattern of patterns) {
        if (!matchesPattern(yield* this.#shell.expander.pattern(pattern), subject)) continue;
        this.#shell.status = 0;
        yield* this.#shell.list(body, io);
        return this.#shell.status;
      }
    }
    return 0;
  }

  *#for(command: CompoundCommand & { kind: "for" }, io: Io): Proc<number> {
    const items: string[] = [];
    if (command.items === undefined) for (const item of this.#shell.state.positional) items.push(item);
    else
      for (const word of command.items) for (const item of yield* this.#shell.expander.fields(word)) items.push(item);
    this.#shell.status = 0;
    for (const item of items) {
      this.#shell.assign(command.name, item);
      if (yield* this.#turn(command.body, io)) break;
    }
    return this.#shell.status;
  }

  *#loop(command: CompoundCommand & { kind: "loop" }, io: Io): Proc<number> {
    let status = 0;
    for (let turns = 0; ; turns++) {
      yield* this.#shell.condition(command.condition, io);
      if ((this.#shell.status === 0) === command.until) return status;
      const over = yield* this.#turn(command.body, io);
      status = this.#shell.status;
      if (over) return status;
      yield* this.#pause((LOOP_COSTS.find(([most]) => turns < most) as readonly [number, Time])[1]);
    }
  }

  /** Even a loop of builtins takes time; without it virtual time would stand still for ever. */
  *#pause(cost: Time): Proc<void> {
    const { os, signals } = this.#shell.context;
    const until = os.now() + cost;
    if (!this.#shell.interactive && this.#shell.state.traps.size === 0) yield* sleep(os, cost);
    else while (os.now() < until && signals.length === 0) yield { on: [signals], until };
    yield* this.#shell.runTraps();
  }

  /** One turn of a loop; true when the loop is over. */
  *#turn(body: List, io: Io): Proc<boolean> {
    this.loops++;
    try {
      yield* this.#shell.list(body, io);
      return false;
    } catch (error) {
      if (!(error instanceof LeaveLoop)) throw error;
      this.#shell.status = 0;
      if (error.depth > 1 && this.loops > 1) throw new LeaveLoop(error.again, error.depth - 1);
      return !error.again;
    } finally {
      this.loops--;
    }
  }
}
