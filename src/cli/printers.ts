/** What `swarmwire run` prints: a terminal's screen, or JSON lines. */
import { formatDuration, type Time } from "../base/time.ts";
import { formatLinks } from "../lab/fabric.ts";
import type { LabObserver, LabResult, LateOutput, PassedKind, StepResult } from "../lab/run.ts";
import { Screen } from "../lab/screen.ts";
import { formatProfile, profileJson } from "./profile.ts";
import type { Progress } from "./progress.ts";
import { type TraceFile, traceText } from "./trace.ts";

/** A stream to print to. */
export type Out = Pick<NodeJS.WriteStream, "write"> & { readonly isTTY?: boolean };

/** A printer hears of everything, and of the end. */
export interface Printer extends LabObserver {
  finished(result: LabResult, trace: TraceFile | undefined): void;
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

/** What a person sees. */
export class TerminalPrinter implements Printer {
  readonly #quiet: boolean;
  readonly #progress: Progress;
  readonly #out: Out;
  /** Where a terminal would redraw its lines; undefined when there is one. */
  readonly #screen: Screen | undefined;
  #atLineStart = true;
  /** The terminal whose output stands last, `host/container`, while it is open. */
  #terminal: string | undefined;

  /**
   * @param quiet failures only
   * @param out where to; standard output, unless that is for the trace
   */
  constructor(quiet: boolean, progress: Progress, out: Out = process.stdout) {
    this.#quiet = quiet;
    this.#out = out;
    this.#screen = out.isTTY === true ? undefined : new Screen();
    this.#progress = progress;
  }

  #print(text: string): void {
    if (this.#quiet || text === "") return;
    this.#progress.clear();
    this.#out.write(text);
    this.#atLineStart = text.endsWith("\n");
  }

  #newLine(): void {
    if (!this.#atLineStart) this.#print("\n");
  }

  stepStarted(step: number, host: string, terminal: string | undefined, command: string): void {
    this.#progress.step(step);
    const text = command.replace(/\n+$/, "");
    if (terminal === undefined) {
      this.#newLine();
      this.#print(`${host}$ ${text}\n`);
      return;
    }
    // The prompt stands there already when the same terminal was left last.
    if (this.#terminal !== nameOf(host, terminal) || this.#atLineStart) {
      this.#newLine();
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
      this.#newLine();
      this.#print(`[${name}] `);
    }
    this.#print(text);
    this.#terminal = name;
  }

  terminalClosed({ host, terminal }: { readonly host: string; readonly terminal: string | undefined }): void {
    if (this.#terminal !== nameOf(host, terminal)) return;
    this.#newLine();
    this.#terminal = undefined;
  }

  stepEnded(result: StepResult): void {
    this.#print(this.#screen?.end() ?? "");
    this.#terminal = result.open === undefined ? undefined : nameOf(result.host, result.open);
    for (const failure of result.failures) {
      this.#newLine();
      this.#progress.clear();
      const prompt = `${nameOf(result.host, result.terminal)}$ ${result.command.trim()}`;
      process.stderr.write(`✗ step ${result.step + 1} (${prompt}): ${failure}\n`);
    }
    if (result.failures.length > 0 && this.#quiet)
      process.stderr.write(`  instead: ${JSON.stringify(result.stdout + result.stderr)}\n`);
  }

  passed(step: number, kind: PassedKind, detail: string): void {
    this.#progress.step(step);
    this.#newLine();
    this.#terminal = undefined;
    this.#print(kind === "wait" ? `# ${formatDuration(Number(detail))} pass\n` : `# ${kind}: ${detail}\n`);
  }

  finished(result: LabResult, trace: TraceFile | undefined): void {
    this.#newLine();
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
    if (trace !== undefined) this.#print(traceText(trace));
    // Also where nothing else is printed: it was asked for.
    if (result.profile !== undefined) this.#out.write(`${this.#quiet ? "" : "\n"}${formatProfile(result.profile)}`);
  }
}

/**
 * One JSON object a line; times are virtual nanoseconds. By `type`:
 *
 * - `step`, a command on one host: step (position in the lab, from 0), host, terminal (the container typed into, or
 *   null), command, stdout, stderr, exit (null when it waits for input or was cut), open (the container whose
 *   terminal it left open, or null), start, end, ok, failures (texts);
 * - `wait`: step, duration, time; `fault`, and `workload` when it begins: step, text, time. What came of a workload
 *   is a `step` too, with the report as its stdout, and flows (from, to, address, sent, received, lost, failed);
 * - `show`: step, text (`fabric`), time; then a `step`, with the table as its stdout, and links, as in counters of `end`;
 * - `output`, of a terminal on which nobody types: host, terminal, stream, text, time;
 * - `end`, the last one: ok, cut (`--until` or a signal came first), steps, failed, time, trace (a path or null),
 *   keys (the path of its ESP keys, or null), packets, traceError (a text or null), counters, and with `--profile`
 *   profile: threads (thread, times: milliseconds by section) and sum.
 */
export class JsonPrinter implements Printer {
  readonly #out: Out;

  /** @param out where to; standard output, unless that is for the trace */
  constructor(out: Out = process.stdout) {
    this.#out = out;
  }

  #write(value: unknown): void {
    this.#out.write(`${JSON.stringify(value)}\n`);
  }

  stepEnded({ failures, ...rest }: StepResult): void {
    const { exit = null, terminal = null, open = null } = rest;
    this.#write({ type: "step", ...rest, exit, terminal, open, ok: failures.length === 0, failures });
  }

  passed(step: number, kind: PassedKind, detail: string, time: Time): void {
    this.#write({ type: kind, step, ...(kind === "wait" ? { duration: Number(detail) } : { text: detail }), time });
  }

  lateOutput({ terminal, ...rest }: LateOutput): void {
    this.#write({ type: "output", ...rest, terminal: terminal ?? null });
  }

  finished(result: LabResult, trace: TraceFile | undefined): void {
    const failed = result.steps.filter((step) => step.failures.length > 0).length;
    this.#write({
      type: "end",
      ok: failed === 0 && !result.cut,
      cut: result.cut,
      steps: result.steps.length,
      failed,
      time: result.end,
      trace: trace?.path ?? null,
      keys: trace !== undefined && trace.espSa.size > 0 ? (trace.keysPath ?? null) : null,
      packets: trace?.packets ?? 0,
      traceError: trace?.error?.message ?? null,
      counters: result.counters,
      ...(result.profile === undefined ? {} : { profile: profileJson(result.profile) }),
    });
  }
}
