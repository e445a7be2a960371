/** One host's terminal, typed on by the page's user: what `swarmwire shell` does on a real one. */
import { UserError } from "../../../src/base/errors.ts";
import { SEC } from "../../../src/base/time.ts";
import { lastLine, type OpenTerminal, openAfter, TYPED_LIMIT, TypedOutput } from "../../../src/lab/open-terminal.ts";
import type { LateOutput } from "../../../src/lab/run.ts";
import type { CommandOutcome, LabSession, TerminalInput } from "../../../src/lab/session.ts";
import { incomplete } from "../../../src/shell/sh/sh.ts";

/** Where the terminal's text and prompt go. */
export interface ShellOutput {
  print(text: string): void;
  prompt(prompt: string | undefined): void;
}

/** Told whether something typed runs. */
export type OnTyped = (typed: boolean) => void;

/** A host's terminal. Commands are run one after the other by whoever holds it. */
export class HostShell {
  readonly #host: string;
  readonly #session: LabSession;
  readonly #typed: OnTyped;
  readonly #out: ShellOutput;
  #open: OpenTerminal | undefined;
  /** The terminal on which a command runs now. */
  #busy: number | undefined;
  /** Lines of a command that isn't whole yet. */
  #begun = "";
  /** The last line of what was printed. */
  #tail = "";

  constructor(host: string, session: LabSession, typed: OnTyped, out: ShellOutput) {
    this.#host = host;
    this.#session = session;
    this.#typed = typed;
    this.#out = out;
  }

  /** Something runs that Ctrl-C is for. */
  get busy(): boolean {
    return this.#busy !== undefined;
  }

  #print(text: string): void {
    this.#tail = lastLine(this.#tail + text);
    if (text !== "") this.#out.print(text);
  }

  /** Shows where to type. */
  prompt(): void {
    if (this.#open === undefined && this.#tail !== "") this.#print("\n");
    this.#tail = "";
    this.#out.prompt(this.#prompt);
  }

  get #prompt(): string {
    return this.#begun !== "" ? "> " : (this.#open?.tail ?? `${this.#host}$ `);
  }

  /** Shows what was typed when nobody typed it now. */
  #echo(text: string): void {
    this.#out.prompt(undefined);
    this.#out.print(text);
  }

  /** A line was typed. @param again it was typed in an earlier life of the run: the page doesn't show it yet */
  async line(line: string, again: boolean): Promise<void> {
    if (again) this.#echo(`${this.#prompt}${line}\n`);
    const open = this.#open;
    if (open !== undefined) await this.#type({ command: line, into: open.key });
    else if (incomplete(`${this.#begun}${line}`)) this.#begun += `${line}\n`;
    else {
      const command = this.#begun + line;
      this.#begun = "";
      if (command.trim() !== "") await this.#type({ command });
    }
    this.prompt();
  }

  /** Ctrl-C or Ctrl-D while nothing runs: for the program that waits, if one does. */
  async key(key: "interrupt" | "eof", again: boolean): Promise<void> {
    if (again && key === "interrupt") this.#echo(`${this.#prompt}^C\n`);
    this.#begun = "";
    if (this.#open !== undefined) await this.#type({ key, into: this.#open.key });
    this.prompt();
  }

  /** Ctrl-C while something runs. */
  interrupt(again: boolean): void {
    if (again) this.#out.print("^C");
    if (this.#busy !== undefined) this.#session.interrupt(this.#host, this.#busy);
  }

  /** Types, and shows what comes until it ends or waits. */
  async #type(input: TerminalInput): Promise<void> {
    const { cluster } = this.#session;
    const open = this.#open;
    this.#open = undefined;
    const typed = new TypedOutput(input);
    const show = (_stream: string, output: string): void => this.#print(typed.take(output));
    this.#typed(true);
    try {
      const outcome = await this.#session.command(this.#host, input, cluster.now + TYPED_LIMIT, show, (id) => {
        this.#busy = open?.key ?? id;
      });
      this.#keep(open, outcome, typed.tail);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#print(`${error.message}\n`);
    } finally {
      this.#busy = undefined;
      this.#typed(false);
    }
    await this.#session.wait(SEC);
  }

  #keep(open: OpenTerminal | undefined, outcome: CommandOutcome, tail: string): void {
    this.#open = openAfter(outcome, open, tail);
    if (outcome.refused !== undefined) this.#print(`${outcome.refused}\n`);
    else if (this.#open === undefined && outcome.exit === undefined && !this.#session.stopped) {
      this.#print("\nno end after an hour of virtual time; interrupted\n");
      this.#session.hangup(this.#host, open?.key ?? outcome.id);
    }
  }

  /** Output that nobody waits for. @returns whether it was this terminal's */
  late({ terminal, text }: LateOutput): boolean {
    const open = this.#open;
    if (open === undefined || open.container !== terminal) return false;
    const all = open.tail + text;
    const head = all.lastIndexOf("\n") + 1;
    open.tail = all.slice(head);
    if (head > 0) this.#out.print(all.slice(0, head));
    this.#out.prompt(open.tail);
    return true;
  }

  /** What ran on a terminal has ended. */
  closed(terminal: string | undefined): void {
    if (this.#open === undefined || this.#open.container !== terminal) return;
    this.#open = undefined;
    this.prompt();
  }
}
