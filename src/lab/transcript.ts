/** A run as its terminals show it: prompts, what was typed, what came; for a screen, a pipe or a page. */
import { formatDuration } from "../base/time.ts";
import { formatLinks } from "./fabric.ts";
import type { LabObserver, LabResult, LateOutput, PassedKind, StepResult } from "./run.ts";
import { Screen } from "./screen.ts";

/** Where a transcript goes. */
export interface TranscriptOutput {
  print(text: string): void;
  /** An expectation didn't hold: one line, without its newline. */
  failed?(text: string): void;
}

/** Reasons under which a packet ends as it should, and not as a loss. */
const CONSUMED = /_CONSUMED$/;

/** Switch links that the end of a run lists at most. */
const MOST_LINKS = 32;

/** Packets that were lost, by reason. */
export function lossesOf(drops: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(drops).filter(([reason, count]) => count > 0 && !CONSUMED.test(reason));
}

function nameOf(host: string, terminal: string | undefined): string {
  return terminal === undefined ? host : `${host}/${terminal}`;
}

/** Writes what it observes as one text. */
export class Transcript implements LabObserver {
  readonly #out: TranscriptOutput;
  /** Where a terminal would redraw its lines; undefined when there is one. */
  readonly #screen: Screen | undefined;
  #atLineStart = true;
  /** The terminal whose output stands last, `host/container`, while it is open. */
  #terminal: string | undefined;

  /** @param redraws what it is printed on obeys control sequences */
  constructor(out: TranscriptOutput, redraws: boolean) {
    this.#out = out;
    this.#screen = redraws ? undefined : new Screen();
  }

  #print(text: string): void {
    if (text === "") return;
    this.#out.print(text);
    this.#atLineStart = text.endsWith("\n");
  }

  /** Begins a line, unless one has just begun. */
  newLine(): void {
    if (!this.#atLineStart) this.#print("\n");
  }

  stepStarted(_step: number, host: string, terminal: string | undefined, command: string): void {
    const text = command.replace(/\n+$/, "");
    if (terminal === undefined) {
      this.newLine();
      this.#print(`${host}$ ${text}\n`);
      return;
    }
    // The prompt stands there already when the same terminal was left last.
    if (this.#terminal !== nameOf(host, terminal) || this.#atLineStart) {
      this.newLine();
      this.#print(`[${nameOf(host, terminal)}] / # `);
    }
    this.#print(`${text}\n`);
  }

  output(_stream: "stdout" | "stderr", text: string): void {
    this.#print(this.#screen?.write(text) ?? text);
  }

  lateOutput({ host, terminal, text }: LateOutput): void {
    const name = nameOf(host, terminal);
    if (this.#terminal !== name || this.#atLineStart) {
      this.newLine();
      this.#print(`[${name}] `);
    }
    this.#print(text);
    this.#terminal = name;
  }

  terminalClosed({ host, terminal }: { readonly host: string; readonly terminal: string | undefined }): void {
    if (this.#terminal !== nameOf(host, terminal)) return;
    this.newLine();
    this.#terminal = undefined;
  }

  stepEnded(result: StepResult): void {
    this.#print(this.#screen?.end() ?? "");
    this.#terminal = result.open === undefined ? undefined : nameOf(result.host, result.open);
    for (const failure of result.failures) {
      this.newLine();
      const prompt = `${nameOf(result.host, result.terminal)}$ ${result.command.trim()}`;
      this.#out.failed?.(`✗ step ${result.step + 1} (${prompt}): ${failure}`);
    }
  }

  passed(_step: number, kind: PassedKind, detail: string): void {
    this.newLine();
    this.#terminal = undefined;
    this.#print(kind === "wait" ? `# ${formatDuration(Number(detail))} pass\n` : `# ${kind}: ${detail}\n`);
  }

  /**
   * What a user typed beside the lab's steps, and what came of it.
   * @param typed.prompt what stood in the last line of the host's own terminal, where a program waited
   * @param typed.open the container whose terminal it left open
   */
  typed(typed: {
    readonly host: string;
    readonly terminal: string | undefined;
    readonly prompt: string | undefined;
    readonly command: string;
    readonly output: string;
    readonly open: string | undefined;
  }): void {
    if (typed.terminal === undefined && typed.prompt !== undefined)
      this.#print(`${this.#atLineStart ? typed.prompt : ""}${typed.command}\n`);
    else this.stepStarted(-1, typed.host, typed.terminal, typed.command);
    this.output("stdout", typed.output);
    this.#print(this.#screen?.end() ?? "");
    this.#terminal = typed.open === undefined ? undefined : nameOf(typed.host, typed.open);
  }

  /** What the run came to, in a few lines. */
  finished(result: LabResult): void {
    this.newLine();
    const { counters, steps } = result;
    const failed = steps.filter((step) => step.failures.length > 0).length;
    const drops = lossesOf(counters.drops).map(([reason, count]) => `${count} ${reason}`);
    const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
    this.#print(
      `\n${count(steps.length, "command")}, ${failed === 0 ? "all as expected" : `${failed} not as expected`}; ${formatDuration(result.end)} of virtual time, ${count(counters.framesCarried, "frame")} on the wire, ${count(counters.events, "event")}.\n`,
    );
    if (drops.length > 0) this.#print(`Dropped: ${drops.join(", ")}.\n`);
    if (counters.links.length > 0) this.#print(`\n${formatLinks(counters.links, MOST_LINKS)}\n`);
    if (result.cut) this.#print("Stopped before the end of the last step.\n");
  }
}
