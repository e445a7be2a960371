/** One terminal, typed on by the page's user and by the lab's steps: what `swarmwire shell` does on a real one. */
import { FOREVER, MS, SEC, type Time } from "../../../src/base/time.ts";
import {
  lastLine,
  type OpenTerminal,
  openAfter,
  promptDirectory,
  TYPED_LIMIT,
  TypedOutput,
} from "../../../src/lab/open-terminal.ts";
import type { CommandOutcome, LabSession, TerminalInput } from "../../../src/lab/session.ts";
import { incomplete } from "../../../src/shell/sh/sh.ts";
import type { TypedRun } from "../labs/run-records.ts";
import type { TerminalEntry } from "./protocol.ts";
import type { Screen } from "./screen.ts";

/** What is typed: a line, a key, or the command with which a container's terminal begins. */
export type Typed =
  /** `shown`: the page shows it behind the prompt already. */
  | { readonly kind: "line"; readonly line: string; readonly shown: boolean }
  | { readonly kind: "key"; readonly key: "interrupt" | "eof" }
  | { readonly kind: "begin" };

/** A command that was typed and has come to its end, or waits. */
export interface TypedCommand {
  readonly host: string;
  /** The container on whose terminal it was typed. */
  readonly terminal: string | undefined;
  /** What stood in the last line, where a program waited. */
  readonly prompt: string | undefined;
  readonly command: string;
  readonly output: string;
  /** The container whose terminal is open now. */
  readonly open: string | undefined;
}

/** What a shell is made of. */
export interface ShellParts {
  readonly session: LabSession;
  readonly screen: Screen;
  /** The command with which a container's terminal begins, and begins anew. */
  readonly begin?: string;
  /** It stays when the page closes it: the host's own, and what the lab's steps type on. */
  readonly kept: boolean;
  /** Told of each command that was typed. */
  readonly typed: (command: TypedCommand) => void;
  /** Told of each line that begins to run; it says later how that ended. */
  readonly began?: ((run: TypedRun) => void) | undefined;
}

/** A command under way. */
interface Running {
  readonly id: number;
  /** Its terminal's first request. */
  readonly key: number;
  readonly limit: Time;
  /** When the answer came. */
  answered: Time | undefined;
  /** The lab goes on beside it. */
  left: boolean;
}

/** A terminal. */
export class HostShell {
  readonly entry: TerminalEntry;
  readonly screen: Screen;
  readonly kept: boolean;
  readonly #session: LabSession;
  readonly #begin: string | undefined;
  readonly #typed: (command: TypedCommand) => void;
  readonly #began: ((run: TypedRun) => void) | undefined;
  #open: OpenTerminal | undefined;
  /** The last request on the open terminal. */
  #last = 0;
  #running: Running | undefined;
  /** Until then time passes behind a command before the next one is typed. */
  #rest: Time | undefined;
  /** The request of a lab's step that runs here; 0 where it isn't known yet. */
  #step: number | undefined;
  /** Lines of a command that isn't whole yet. */
  #begun = "";

  constructor(entry: TerminalEntry, { session, screen, begin, kept, typed, began }: ShellParts) {
    this.entry = entry;
    this.screen = screen;
    this.kept = kept;
    this.#session = session;
    this.#begin = begin;
    this.#typed = typed;
    this.#began = began;
  }

  /** The container whose terminal is open here now. */
  get container(): string | undefined {
    return this.#open?.container;
  }

  /** The directory that its shell's prompt names. */
  get cwd(): string | undefined {
    return promptDirectory(this.#open?.tail);
  }

  /** Time passes for what was typed here. */
  get awaited(): boolean {
    return this.pending && this.#running?.left !== true;
  }

  /** Nobody lets time pass any more for what runs here. */
  leave(): void {
    if (this.#running !== undefined) this.#running.left = true;
  }

  /** Something that was typed runs. */
  get busy(): boolean {
    return this.#running !== undefined && this.#running.answered === undefined;
  }

  /** It runs, or has just ended. */
  get pending(): boolean {
    return this.#running !== undefined || this.#rest !== undefined;
  }

  /** When it changes by itself at the latest, though no answer comes. */
  get due(): Time {
    return this.#rest ?? this.#running?.limit ?? FOREVER;
  }

  /** Takes note of the time; to be called where none passes, and when something is due. */
  look(): void {
    const { now } = this.#session.cluster;
    const running = this.#running;
    if (running !== undefined && running.answered === undefined && now >= running.limit) this.#giveUp(running, now);
    if (running?.answered !== undefined) {
      this.#running = undefined;
      // Whoever lets time pass for an answer sees it at the next whole millisecond; a second passes behind it.
      this.#rest = (Math.floor(running.answered / MS) + 1) * MS + SEC;
    }
    if (this.#rest === undefined || now < this.#rest) return;
    this.#rest = undefined;
    this.prompt();
  }

  /**
   * Something is typed; to be called where no time passes.
   * @param again it was typed in an earlier life of the run: the page doesn't show it yet
   * @returns false where it has to wait for the end of what runs here
   */
  type(typed: Typed, again: boolean): boolean {
    const runs = this.#step ?? (this.#running?.answered === undefined ? this.#running?.key : undefined);
    if (typed.kind === "key" && typed.key === "interrupt" && runs !== undefined) {
      this.screen.echo("^C", again);
      if (runs !== 0) this.#session.interrupt(this.entry.host, runs);
      return true;
    }
    if (runs !== undefined || this.pending) return false;
    const shown = typed.kind === "line" ? typed.line : typed.kind === "key" && typed.key === "interrupt" ? "^C" : "";
    const unseen = again || (typed.kind === "line" && !typed.shown);
    if (typed.kind !== "begin") this.screen.echo(`${this.#prompt}${shown}\n`, unseen);
    this.#take(typed);
    return true;
  }

  /** Shows where to type. */
  prompt(): void {
    if (this.pending || this.#step !== undefined) return;
    if (this.#open === undefined) this.screen.newLine();
    this.screen.prompt(this.#prompt);
  }

  get #prompt(): string {
    const { host, container } = this.entry;
    const own = container === undefined ? `${host}$ ` : "[no shell runs; Enter starts one] ";
    return this.#begun !== "" ? "> " : (this.#open?.tail ?? own);
  }

  #take(typed: Typed): void {
    const open = this.#open;
    if (typed.kind === "begin") this.#execute();
    else if (typed.kind === "key") {
      this.#begun = "";
      if (open === undefined) this.prompt();
      else this.#start({ key: typed.key, into: open.key }, typed.key === "interrupt" ? "^C" : "^D");
    } else if (open !== undefined) this.#start({ command: typed.line, into: open.key }, typed.line);
    else if (this.#begin !== undefined) this.#execute();
    else this.#line(typed.line);
  }

  /** Opens the shell of a container. */
  #execute(): void {
    const command = this.#begin ?? "";
    this.screen.prompt(undefined);
    this.screen.newLine();
    this.screen.print(`${this.entry.host}$ ${command}\n`);
    this.#start({ command }, command);
  }

  #line(line: string): void {
    if (incomplete(`${this.#begun}${line}`)) {
      this.#begun += `${line}\n`;
      this.prompt();
      return;
    }
    const command = this.#begun + line;
    this.#begun = "";
    if (command.trim() === "") this.prompt();
    else this.#start({ command }, command);
  }

  #start(input: TerminalInput, command: string): void {
    const { host } = this.entry;
    const open = this.#open;
    this.#open = undefined;
    const typed = new TypedOutput(input);
    const start = this.#session.cluster.now;
    const run: TypedRun = {
      ...{ start, host, terminal: open?.container, command, answer: open !== undefined },
      end: undefined,
      exit: undefined,
    };
    if ("command" in input) this.#began?.(run);
    const show = (_stream: string, output: string): void => this.screen.print(typed.take(output));
    const ended = (outcome: CommandOutcome): void => {
      running.answered = outcome.answered ?? 0;
      run.end = running.answered;
      run.exit = outcome.exit;
      this.#open = openAfter(outcome, open, typed.tail);
      this.#last = outcome.id;
      if (outcome.refused !== undefined) this.screen.print(`${outcome.refused}\n`);
      const output = outcome.refused === undefined ? typed.text : `${outcome.refused}\n`;
      const { container: terminal, tail: prompt } = open ?? { container: undefined, tail: undefined };
      this.#typed({ host, terminal, prompt, command, output, open: this.#open?.container });
    };
    const limit = this.#session.cluster.now + TYPED_LIMIT;
    const id = this.#session.begin(host, input, show, ended);
    const running: Running = { id, key: open?.key ?? id, limit, answered: undefined, left: false };
    this.#running = running;
  }

  #giveUp(running: Running, now: Time): void {
    running.answered = now;
    this.screen.newLine();
    this.screen.print("no end after an hour of virtual time; interrupted\n");
    this.#session.giveUp(this.entry.host, running.id, running.key);
  }

  /** Ends what runs or waits here; to be called where no time passes. */
  close(): void {
    const { host } = this.entry;
    if (this.#running !== undefined && this.#running.answered === undefined)
      this.#session.giveUp(host, this.#running.id, this.#running.key);
    else if (this.#open !== undefined) this.#session.hangup(host, this.#open.key);
  }

  // ------------------------------------------------------------------------------------ the lab's steps

  /** A step's command is typed here. */
  stepStarted(command: string): void {
    this.#step = 0;
    this.screen.prompt(undefined);
    const { host, container } = this.entry;
    if (container === undefined) this.screen.newLine();
    this.screen.print(`${container === undefined ? `${host}$ ` : (this.#open?.tail ?? "")}${command}\n`);
  }

  /** Its request, for Ctrl-C. */
  stepPosted(id: number): void {
    this.#step = id;
  }

  /** It has ended. @param container whose terminal is open now, @param tail the last line of what it printed */
  stepEnded(container: string | undefined, tail: string, last: number): void {
    this.#step = undefined;
    if (this.entry.container !== undefined)
      if (container === undefined) this.#open = undefined;
      else this.adopt(container, tail, last);
    this.prompt();
  }

  /** A terminal that a step has left open is this one. @param last the last request there, if not the first one too */
  adopt(container: string, tail: string, last: number): void {
    this.#open = { key: this.#open?.key ?? last, container, tail: tail === "" ? (this.#open?.tail ?? "") : tail };
    this.#last = last;
  }

  // -------------------------------------------------------------------------------------- late output

  /** Whether that request is the last one on the terminal that is open here. */
  isOpen(last: number): boolean {
    return this.#open !== undefined && this.#last === last;
  }

  /** Output of the open terminal that nobody waits for. */
  late(text: string): void {
    const open = this.#open;
    if (open === undefined) return;
    const all = open.tail + text;
    open.tail = lastLine(all);
    this.screen.print(all.slice(0, all.length - open.tail.length));
    this.prompt();
  }

  /** What ran on the open terminal has ended. */
  ended(): void {
    this.#open = undefined;
    this.prompt();
  }
}
