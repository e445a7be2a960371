/** The prompt of `swarmwire shell`: lines go to the terminals of a lab's hosts. */
import { createInterface, type Interface } from "node:readline";
import { UserError } from "../base/errors.ts";
import { parseDuration, SEC } from "../base/time.ts";
import {
  lastLine,
  type OpenTerminal,
  openAfter,
  promptDirectory,
  TYPED_LIMIT,
  TypedOutput,
} from "../lab/open-terminal.ts";
import type { LateOutput } from "../lab/run.ts";
import { Screen } from "../lab/screen.ts";
import type { CommandOutcome, LabSession, TerminalInput } from "../lab/session.ts";
import { incomplete } from "../shell/sh/sh.ts";
import { HISTORY_SIZE, readHistory, writeHistory } from "./history.ts";
import { localWords } from "./local-words.ts";

/** The commands that are not a host's. */
export const LOCAL_HELP = `  @host2     go to another host; its open terminal is as you left it
  @hosts     list the hosts
  @wait 1h   let virtual time pass
  Ctrl-C     interrupts what runs; Ctrl-D leaves a container's shell, then swarmwire
`;

/** One user's prompt. */
export class Repl {
  readonly #session: LabSession;
  readonly #watch: (watched: boolean) => void;
  readonly #watched = process.stdin.isTTY === true;
  /** Newest first. */
  #history: string[];
  #readline: Interface;
  #host: string;
  /** One a host. */
  readonly #open = new Map<string, OpenTerminal>();
  /** The terminal on which a command runs now. */
  #busy: number | undefined;
  /** Actions under way or waiting. */
  #running = 0;
  #last: Promise<unknown> = Promise.resolve();
  #atLineStart = true;
  /** Lines of a command that isn't whole yet. */
  #begun = "";

  /** @param watch told when a command begins, whose output somebody watches, and when it has ended */
  constructor(session: LabSession, watch: (watched: boolean) => void) {
    this.#session = session;
    this.#watch = watch;
    this.#host = session.plan.hosts[0]?.name ?? "";
    this.#history = this.#watched ? readHistory() : [];
    this.#readline = this.#listen();
    session.observe({
      lateOutput: (late) => this.#late(late),
      terminalClosed: ({ host, terminal }) => this.#closed(host, terminal),
    });
  }

  #listen(): Interface {
    const readline = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: this.#watched,
      historySize: HISTORY_SIZE,
      history: this.#history,
      removeHistoryDuplicates: true,
      completer: (line: string, answer: (error: null, result: [string[], string]) => void) => {
        void this.#complete(line).then((result) => answer(null, result));
      },
    });
    readline.on("SIGINT", () => void this.#interrupt(readline));
    readline.on("history", (lines: string[]) => {
      this.#history = lines;
    });
    return readline;
  }

  /** Reads and runs lines until the end of input. */
  async run(): Promise<void> {
    for (;;) {
      this.#prompt();
      for await (const line of this.#readline) {
        if (!this.#watched) this.#write(`${line}\n`);
        else this.#atLineStart = true;
        await this.#serially(() => this.#line(line));
        this.#prompt();
      }
      // Ctrl-D closed the input: it is for the shell whose command isn't whole, or the program that waits, if one does.
      const open = this.#open.get(this.#host);
      const begun = this.#takeBegun();
      if (open === undefined && begun === "") break;
      await this.#serially(() =>
        open === undefined ? this.#execute(begun) : this.#type({ key: "eof", into: open.key }),
      );
      if (!this.#watched) break;
      this.#readline = this.#listen();
    }
    this.#newLine();
    if (this.#watched) writeHistory(this.#history);
  }

  async #line(line: string): Promise<void> {
    const open = this.#open.get(this.#host);
    const text = line.trim();
    try {
      if (text.startsWith("@") && this.#begun === "") await this.#local(text.slice(1));
      else if (open !== undefined) await this.#type({ command: line, into: open.key });
      else if (incomplete(`${this.#begun}${line}`)) this.#begun += `${line}\n`;
      else await this.#execute(this.#takeBegun() + line);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#write(`${error.message}\n`);
    }
  }

  #takeBegun(): string {
    const begun = this.#begun;
    this.#begun = "";
    return begun;
  }

  async #execute(command: string): Promise<void> {
    if (command.trim() !== "") await this.#type({ command });
  }

  #write(text: string): void {
    if (text === "") return;
    process.stdout.write(text);
    this.#atLineStart = text.endsWith("\n");
  }

  #newLine(): void {
    if (!this.#atLineStart) this.#write("\n");
  }

  /** The host's prompt, or the line that the open terminal's program left. */
  #prompt(): void {
    const open = this.#open.get(this.#host);
    if (open === undefined) this.#newLine();
    const text = this.#begun !== "" ? "> " : open === undefined ? `${this.#host}$ ` : open.tail;
    if (!this.#watched) {
      // The program's own prompt stands there already, unless something came between.
      if (open === undefined || this.#atLineStart) this.#write(text);
      return;
    }
    this.#readline.setPrompt(text);
    this.#readline.prompt();
    this.#atLineStart = false;
  }

  async #local(text: string): Promise<void> {
    const [word = "", argument] = text.split(/\s+/);
    const { hosts } = this.#session.plan;
    if (word === "help") this.#write(LOCAL_HELP);
    else if (word === "hosts") this.#write(hosts.map((host) => `${host.name}\n`).join(""));
    else if (word === "wait") {
      const span = parseDuration(argument ?? "");
      if (span === undefined) throw new UserError("@wait: expected a time like 10s or 12h");
      await this.#pass(span);
    } else if (hosts.some((host) => host.name === word)) this.#host = word;
    else throw new UserError(`there is no host ${word}; @hosts lists them, @help says more`);
  }

  /** Types on a terminal of the present host, and shows what comes until it ends or waits. */
  async #type(input: TerminalInput): Promise<void> {
    const host = this.#host;
    const open = "into" in input ? this.#open.get(host) : undefined;
    this.#open.delete(host);
    const screen = process.stdout.isTTY ? undefined : new Screen();
    const typed = new TypedOutput(input);
    const show = (_stream: string, output: string): void => {
      const text = typed.take(output);
      this.#write(screen?.write(text) ?? text);
    };
    this.#watch(true);
    const { cluster } = this.#session;
    const outcome = await this.#session.command(host, input, cluster.now + TYPED_LIMIT, show, (id) => {
      this.#busy = open?.key ?? id;
    });
    this.#busy = undefined;
    this.#write(screen?.end() ?? "");
    if (outcome.refused !== undefined) this.#write(`${outcome.refused}\n`);
    this.#keep(host, open, outcome, typed.tail);
    await this.#pass(SEC);
  }

  #keep(host: string, open: OpenTerminal | undefined, outcome: CommandOutcome, tail: string): void {
    const after = openAfter(outcome, open, tail);
    if (after !== undefined) this.#open.set(host, after);
    else if (outcome.exit === undefined && outcome.refused === undefined) {
      this.#newLine();
      this.#write("swarmwire: no end after an hour of virtual time; interrupted\n");
      this.#session.hangup(host, open?.key ?? outcome.id);
    }
  }

  /** Lets time pass, at any speed. */
  async #pass(span: number): Promise<void> {
    this.#watch(false);
    await this.#session.wait(span);
  }

  /** Does one thing after the other: only one can let time pass. */
  #serially<T>(action: () => Promise<T>): Promise<T> {
    this.#running++;
    const result = this.#last.then(action).finally(() => this.#running--);
    this.#last = result.catch(() => {}); // whoever asked hears of it
    return result;
  }

  /** Ctrl-C. */
  async #interrupt(readline: Interface): Promise<void> {
    const host = this.#host;
    if (this.#busy !== undefined) {
      this.#write("^C");
      this.#session.interrupt(host, this.#busy);
      return;
    }
    if (this.#running > 0) return;
    process.stdout.write("^C\n");
    this.#atLineStart = true;
    this.#begun = "";
    // What was typed so far is given up.
    readline.write(null, { ctrl: true, name: "e" });
    readline.write(null, { ctrl: true, name: "u" });
    const open = this.#open.get(host);
    if (open !== undefined) await this.#serially(() => this.#type({ key: "interrupt", into: open.key }));
    this.#prompt();
  }

  #late({ host, terminal, text }: LateOutput): void {
    const open = this.#open.get(host);
    if (open !== undefined && open.container === terminal) {
      open.tail = lastLine(open.tail + text);
      if (host === this.#host) {
        this.#write(text);
        return;
      }
    }
    const name = terminal === undefined ? host : `${host}/${terminal}`;
    this.#newLine();
    this.#write(`[${name}] ${text}`);
  }

  #closed(host: string, terminal: string | undefined): void {
    const open = this.#open.get(host);
    if (open === undefined || open.container !== terminal) return;
    this.#open.delete(host);
    this.#newLine();
  }

  /** What Tab offers: looked at without an effect, but not while time passes. */
  async #complete(line: string): Promise<[string[], string]> {
    if (this.#running > 0) return [[], line];
    if (line.startsWith("@")) {
      const hosts = this.#session.plan.hosts.map(({ name }) => name);
      return localWords(line, hosts);
    }
    const open = this.#open.get(this.#host);
    if (open !== undefined && open.container === undefined) return [[], line];
    const query = { kind: "completion", line, container: open?.container, cwd: promptDirectory(open?.tail) } as const;
    const [offered] = await this.#session.inspect([this.#host], query);
    return offered === undefined ? [[], line] : [[...offered.candidates], offered.word];
  }
}
