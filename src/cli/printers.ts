/** What `swarmwire run` prints: a terminal's screen, or JSON lines. */
import type { Time } from "../base/time.ts";
import type { LabObserver, LabResult, LateOutput, PassedKind, StepResult } from "../lab/run.ts";
import { Transcript } from "../lab/transcript.ts";
import { formatProfile, profileJson } from "./profile.ts";
import type { Progress } from "./progress.ts";
import { type TraceFile, traceText } from "./trace.ts";

/** A stream to print to. */
export type Out = Pick<NodeJS.WriteStream, "write"> & { readonly isTTY?: boolean };

/** A printer hears of everything, and of the end. */
export interface Printer extends LabObserver {
  finished(result: LabResult, trace: TraceFile | undefined): void;
}

/** What a person sees. */
export class TerminalPrinter implements Printer {
  readonly #quiet: boolean;
  readonly #progress: Progress;
  readonly #out: Out;
  readonly #transcript: Transcript;

  /**
   * @param quiet failures only
   * @param out where to; standard output, unless that is for the trace
   */
  constructor(quiet: boolean, progress: Progress, out: Out = process.stdout) {
    this.#quiet = quiet;
    this.#out = out;
    this.#progress = progress;
    const failed = (text: string): void => {
      progress.clear();
      process.stderr.write(`${text}\n`);
    };
    this.#transcript = new Transcript({ print: (text) => this.#print(text), failed }, out.isTTY === true);
  }

  #print(text: string): void {
    if (this.#quiet) return;
    this.#progress.clear();
    this.#out.write(text);
  }

  stepStarted(step: number, host: string, terminal: string | undefined, command: string): void {
    this.#progress.step(step);
    this.#transcript.stepStarted(step, host, terminal, command);
  }

  output(stream: "stdout" | "stderr", text: string): void {
    this.#transcript.output(stream, text);
  }

  lateOutput(late: LateOutput): void {
    this.#transcript.lateOutput(late);
  }

  terminalClosed(closed: { readonly host: string; readonly terminal: string | undefined }): void {
    this.#transcript.terminalClosed(closed);
  }

  stepEnded(result: StepResult): void {
    this.#transcript.stepEnded(result);
    if (result.failures.length > 0 && this.#quiet)
      process.stderr.write(`  instead: ${JSON.stringify(result.stdout + result.stderr)}\n`);
  }

  passed(step: number, kind: PassedKind, detail: string): void {
    this.#progress.step(step);
    this.#transcript.passed(step, kind, detail);
  }

  finished(result: LabResult, trace: TraceFile | undefined): void {
    this.#transcript.finished(result);
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
