/** The terminals of a lab that runs: the user's typing and the lab's own on them, side by side. */
import { FOREVER, type Time } from "../../../src/base/time.ts";
import { lastLine } from "../../../src/lab/open-terminal.ts";
import type { ClosedTerminal, LateOutput, StepResult } from "../../../src/lab/run.ts";
import type { LabSession } from "../../../src/lab/session.ts";
import type { TypedRun } from "../labs/run-records.ts";
import type { SessionEvent } from "../protocol.ts";
import type { TerminalEntry } from "./protocol.ts";
import { Screen } from "./screen.ts";
import { HostShell, type Typed, type TypedCommand } from "./shell.ts";

/** Labs of up to so many hosts have all their terminals open at first. */
const OPEN_AT_ONCE = 8;

/** What a user does on a terminal, for the journal. */
export type TerminalAction = { readonly terminal: TerminalEntry } & (
  | Typed
  /** It is closed: what runs there ends. */
  | { readonly kind: "close" }
);

/** What terminals need of the emulation. */
export interface TerminalsParts {
  readonly session: LabSession;
  readonly tell: (event: SessionEvent) => void;
  /** Told of each command that was typed, at its end. */
  readonly typed: (command: TypedCommand) => void;
  /** Told of each line that begins to run. */
  readonly began?: ((run: TypedRun) => void) | undefined;
}

/** All terminals, by their names. */
export class Terminals {
  readonly #session: LabSession;
  readonly #parts: TerminalsParts;
  readonly #shells = new Map<string, HostShell>();
  /** The terminal of the step that runs, and the step's request. */
  #step: { readonly shell: HostShell; id: number } | undefined;

  /** @param shown those that were shown in an earlier life of the run */
  constructor(hosts: readonly string[], parts: TerminalsParts, shown?: readonly TerminalEntry[]) {
    this.#session = parts.session;
    this.#parts = parts;
    const first = hosts.length <= OPEN_AT_ONCE ? hosts.map((host) => ({ name: host, host })) : [];
    for (const entry of shown ?? first) this.#show(this.#of(entry));
  }

  /** Those that the page shows. */
  get shown(): readonly TerminalEntry[] {
    return [...this.#shells.values()].filter(({ screen }) => screen.shown).map(({ entry }) => entry);
  }

  #of(entry: TerminalEntry): HostShell {
    return this.#shells.get(entry.name) ?? this.#add(entry, entry.name === entry.host);
  }

  /** A host's own terminal: there, whether it is shown or not, as soon as anything happens on it. */
  #own(host: string): HostShell {
    return this.#of({ name: host, host });
  }

  #add(entry: TerminalEntry, kept: boolean): HostShell {
    const { session, tell, typed, began } = this.#parts;
    const { name, container, program = "sh" } = entry;
    const begin = container === undefined ? {} : { begin: `docker exec -it ${container} ${program}` };
    const shell = new HostShell(entry, { session, screen: new Screen(name, tell), typed, began, kept, ...begin });
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
   * Shows a terminal, which has no effect on what happens.
   * @param program with which a container's terminal begins
   * @returns whose it is, and whether its shell has to begin yet
   */
  open(
    host: string,
    container: string | undefined,
    program: string,
    another = false,
  ): { readonly entry: TerminalEntry; readonly begins: boolean } {
    const first = container === undefined ? host : `${host}/${container}`;
    let name = first;
    for (let n = 2; another && this.#shells.has(name); n++) name = `${first} (${n})`;
    const known = this.#shells.get(name);
    const shell = known ?? this.#of(container === undefined ? { name, host } : { name, host, container, program });
    this.#show(shell);
    return { entry: shell.entry, begins: known === undefined && container !== undefined };
  }

  /**
   * The page doesn't show a terminal any more.
   * @returns it, if it is to be closed: not a host's own, and not one that the lab's steps have opened
   */
  hide(name: string): TerminalEntry | undefined {
    const shell = this.#shells.get(name);
    shell?.screen.hide();
    return shell === undefined || shell.kept || shell === this.#step?.shell ? undefined : shell.entry;
  }

  /** A terminal by its name. */
  entry(name: string): TerminalEntry | undefined {
    return this.#shells.get(name)?.entry;
  }

  /**
   * Something is done on a terminal; to be called where no time passes.
   * @param again it was done in an earlier life of the run
   * @returns false where it has to wait
   */
  act(action: TerminalAction, again: boolean): boolean {
    const { terminal } = action;
    if (action.kind !== "close") return this.#of(terminal).type(action, again);
    this.#shells.get(terminal.name)?.close();
    this.#shells.delete(terminal.name);
    return true;
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

  /** Something that was typed runs, or has just ended. */
  get pending(): boolean {
    return [...this.#shells.values()].some((shell) => shell.pending);
  }

  /** When one of them changes by itself at the latest. */
  get due(): Time {
    return Math.min(FOREVER, ...[...this.#shells.values()].map((shell) => shell.due));
  }

  /** Takes note of the time; to be called where none passes, and when something is due. */
  look(): void {
    for (const shell of this.#shells.values()) shell.look();
  }

  /**
   * Lets time pass as long as anything runs that was typed, and a second after it.
   * @param over ends it before: what runs then is no longer waited for, and goes on whenever time does
   */
  async pass(over: () => boolean): Promise<void> {
    const session = this.#session;
    for (;;) {
      this.look();
      const awaited = [...this.#shells.values()].filter((shell) => shell.awaited);
      if (session.stopped || awaited.length === 0) return;
      if (over()) {
        for (const shell of awaited) shell.leave();
        return;
      }
      const busy = awaited.filter((shell) => shell.busy);
      const due = Math.min(...awaited.map((shell) => shell.due));
      if (busy.length > 0) await session.slice(due, () => over() || busy.some((shell) => !shell.busy));
      else await session.wait(due - session.cluster.now);
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
