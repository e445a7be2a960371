/** The terminals of a lab that runs: the user's typing and the lab's own on them, side by side. */
import { lastLine } from "../../../src/lab/open-terminal.ts";
import type { ClosedTerminal, LateOutput, StepResult } from "../../../src/lab/run.ts";
import type { LabSession } from "../../../src/lab/session.ts";
import type { SessionEvent } from "../protocol.ts";
import type { TerminalEntry } from "./protocol.ts";
import { Screen } from "./screen.ts";
import { HostShell, type Typed, type TypedCommand } from "./shell.ts";

/** Labs of up to so many hosts have all their terminals open at first. */
const OPEN_AT_ONCE = 8;

/** What terminals need of the emulation. */
export interface TerminalsParts {
  readonly session: LabSession;
  readonly tell: (event: SessionEvent) => void;
  /** Told of each command that was typed, at its end. */
  readonly typed: (command: TypedCommand) => void;
  /** Somebody watches what comes, or nobody does any more. */
  readonly watch: (watched: boolean) => void;
}

/** All terminals, by their names. */
export class Terminals {
  readonly #session: LabSession;
  readonly #parts: TerminalsParts;
  readonly #shells = new Map<string, HostShell>();
  /** Things to do where no time passes. */
  #between: (() => void)[] = [];
  /** The terminal of the step that runs, and the step's request. */
  #step: { readonly shell: HostShell; id: number } | undefined;
  #watched = false;

  constructor(hosts: readonly string[], parts: TerminalsParts) {
    this.#session = parts.session;
    this.#parts = parts;
    if (hosts.length <= OPEN_AT_ONCE) for (const host of hosts) this.#show(this.#own(host));
  }

  /** A host's own terminal: there, whether it is shown or not, as soon as anything happens on it. */
  #own(host: string): HostShell {
    return this.#shells.get(host) ?? this.#add({ name: host, host }, true);
  }

  /** @param program the shell of a container */
  #add(entry: TerminalEntry, kept: boolean, program = "sh"): HostShell {
    const { session, tell, typed } = this.#parts;
    const { name, container } = entry;
    const begin = container === undefined ? {} : { begin: `docker exec -it ${container} ${program}` };
    const shell = new HostShell(entry, { session, screen: new Screen(name, tell), typed, kept, ...begin });
    this.#shells.set(name, shell);
    if (container === undefined) shell.prompt();
    return shell;
  }

  #show(shell: HostShell): void {
    if (shell.screen.shown) return;
    this.#parts.tell({ kind: "terminal", terminal: shell.entry });
    shell.screen.show();
  }

  // ------------------------------------------------------------------------------------------ the user

  /**
   * Opens a terminal.
   * @param program with which a container's terminal begins
   * @returns its name
   */
  open(host: string, container: string | undefined, program: string, another = false): string {
    const first = container === undefined ? host : `${host}/${container}`;
    let name = first;
    for (let n = 2; another && this.#shells.has(name); n++) name = `${first} (${n})`;
    const known = this.#shells.get(name);
    if (known !== undefined) this.#show(known);
    else if (container === undefined) this.#show(this.#add({ name, host }, name === host));
    else {
      const made = this.#add({ name, host, container }, false, program);
      this.#show(made);
      made.input("begin");
    }
    return name;
  }

  /** Closes one. A host's own, and those that the lab's steps have opened, are there again when they are opened again. */
  close(name: string): void {
    const shell = this.#shells.get(name);
    if (shell === undefined) return;
    shell.screen.hide();
    if (shell === this.#step?.shell || shell.kept) return;
    this.#shells.delete(name);
    this.#between.push(() => shell.close());
  }

  /** Something is typed on a terminal. */
  input(name: string, typed: Typed): void {
    this.#shells.get(name)?.input(typed);
  }

  /** What Tab looks at there; undefined where no shell waits. */
  completes(
    name: string,
  ): { readonly host: string; readonly container: string | undefined; readonly cwd: string | undefined } | undefined {
    const shell = this.#shells.get(name);
    const waits = shell !== undefined && (shell.entry.container === undefined || shell.container !== undefined);
    return waits ? { host: shell.entry.host, container: shell.container, cwd: shell.cwd } : undefined;
  }

  // ------------------------------------------------------------------------------------------ time

  /** Something that was typed runs, or waits for it. */
  get pending(): boolean {
    return this.#between.length > 0 || [...this.#shells.values()].some((shell) => shell.pending);
  }

  /** Types what waits; to be called where no time passes, and often. */
  flush(): void {
    for (const action of this.#between.splice(0)) action();
    let watched = false;
    for (const shell of this.#shells.values()) {
      shell.flush();
      watched ||= shell.busy;
    }
    if (watched !== this.#watched) this.#parts.watch(watched);
    this.#watched = watched;
  }

  /**
   * Lets time pass as long as anything runs that was typed, and a second after it.
   * @param over ends it before
   */
  async pass(over: () => boolean): Promise<void> {
    const session = this.#session;
    for (;;) {
      this.flush();
      if (over() || session.stopped || !this.pending) return;
      const shells = [...this.#shells.values()];
      const busy = shells.filter((shell) => shell.busy);
      if (busy.length > 0) await session.slice(Infinity, () => busy.some((shell) => !shell.busy));
      else await session.wait(Math.max(...shells.map((shell) => shell.restEnd ?? 0)) - session.cluster.now);
    }
  }

  // ------------------------------------------------------------------------------------ the lab's steps

  /** A step is typed on a host, or on the terminal of a container there. */
  stepStarted(host: string, terminal: string | undefined, command: string): void {
    const shell = (terminal === undefined ? undefined : this.#shells.get(`${host}/${terminal}`)) ?? this.#own(host);
    this.#step = { shell, id: 0 };
    shell.stepStarted(command.replace(/\n+$/, ""));
  }

  /** The request of the step that runs. */
  stepPosted(host: string, id: number): void {
    if (this.#step?.shell.entry.host !== host) return;
    this.#step.id = id;
    this.#step.shell.stepPosted(id);
  }

  /** What the step prints. */
  stepOutput(text: string): void {
    this.#step?.shell.screen.print(text);
  }

  /** A step has ended. The terminal that it leaves open is one of its own. */
  stepEnded(result: StepResult): void {
    const step = this.#step;
    this.#step = undefined;
    if (step === undefined) return;
    const { shell, id } = step;
    for (const failure of result.failures) {
      shell.screen.newLine();
      shell.screen.print(`✗ step ${result.step + 1}: ${failure}\n`);
    }
    const { host, terminal, stdout, stderr, open: container } = result;
    const tail = lastLine(stdout + stderr);
    const name = `${host}/${container}`;
    if (container !== undefined && terminal !== container) {
      shell.screen.eraseTail();
      const own = this.#shells.get(name) ?? this.#add({ name, host, container }, true);
      own.adopt(container, tail, id);
      own.prompt();
      if (shell.screen.shown) this.#show(own);
    }
    shell.stepEnded(shell.entry.name === name ? container : undefined, tail, id);
  }

  // -------------------------------------------------------------------------------------- late output

  /** A terminal on which nobody waits for anything prints something. */
  late({ host, terminal, id, text }: LateOutput): void {
    const shell = this.#byLast(id);
    if (shell !== undefined) shell.late(text);
    else this.#own(host).screen.print(terminal === undefined ? text : `[${host}/${terminal}] ${text}`);
  }

  /** What ran on a terminal has ended. */
  closed({ id }: ClosedTerminal): void {
    this.#byLast(id)?.ended();
  }

  #byLast(id: number): HostShell | undefined {
    return [...this.#shells.values()].find((shell) => shell.isOpen(id));
  }
}
