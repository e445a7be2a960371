/** `swarmwire run LAB`: runs a lab's steps and prints them as a terminal would show them. */
import { UserError } from "../base/errors.ts";
import { formatDuration, parseDuration } from "../base/time.ts";
import { createMachine } from "../lab/machine.ts";
import { type LabObserver, type LabResult, LabSession, runSteps, type StepResult } from "../lab/run.ts";
import { loadKernel, nodePlatform } from "../scheduler/node-adapter.ts";
import { type Flag, formatFlags, type ParsedArgs, parseArgs } from "./args.ts";
import { loadLab } from "./labs.ts";
import { Progress } from "./progress.ts";
import { TraceFile } from "./trace.ts";

const FLAGS: Record<string, Flag> = {
  pcap: { value: "FILE", help: "write a pcapng trace" },
  capture: {
    value: "PATTERN",
    repeat: true,
    help: "capture points host/namespace/device (default */host/eth0); may be repeated",
  },
  snaplen: { value: "BYTES", help: "keep at most this much of a frame (default all)" },
  workers: { value: "N", help: "worker threads (default 1)" },
  seed: { value: "N", help: "instead of the lab's seed" },
  until: { value: "TIME", help: "stop at this virtual time" },
  json: { help: "one JSON object a step and one at the end" },
  quiet: { help: "print failures only" },
  help: { help: "this text" },
};

export const RUN_HELP = `Usage: swarmwire run LAB [flags]

Runs a lab: a YAML file, or the name of one that comes with swarmwire (swarmwire labs lists them).
Ends with 0 when every expectation holds, 1 when one doesn't, 2 when the lab or a flag is wrong.

${formatFlags(FLAGS)}`;

function positive(args: ParsedArgs, name: string, most: number): number | undefined {
  const text = args.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UserError(`swarmwire run: --${name} ${text}: expected a number from 1 to ${most}`);
  return value;
}

/** @returns the exit status */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs("run", argv, FLAGS);
  if (args.has("help")) {
    process.stdout.write(RUN_HELP);
    return 0;
  }
  const [name, extra] = args.positional;
  if (name === undefined) throw new UserError("swarmwire run: which lab? Try: swarmwire run standalone");
  if (extra !== undefined) throw new UserError(`swarmwire run: one lab at a time; unexpected ${extra}`);
  const until = args.get("until") === undefined ? undefined : parseDuration(args.get("until") as string);
  if (args.has("until") && until === undefined)
    throw new UserError(`swarmwire run: --until ${args.get("until")}: expected a time like 90s or 12h`);
  const workers = positive(args, "workers", 64) ?? 1;
  const snaplen = positive(args, "snaplen", 262_144) ?? 262_144;
  const plan = loadLab(name);
  const seed = args.get("seed") ?? plan.seed;
  const pcap = args.get("pcap");
  const trace = pcap === undefined ? undefined : new TraceFile(pcap, plan, seed);
  const progress = new Progress(args.has("json") || args.has("quiet"));
  const printer = args.has("json") ? new JsonPrinter() : new TerminalPrinter(args.has("quiet"), progress);
  const patterns = args.all("capture").length > 0 ? args.all("capture") : ["*/host/eth0"];
  const session = await LabSession.start(plan, {
    module: await loadKernel(),
    machines: workers === 1 ? createMachine : new URL("../lab/machine.js", import.meta.url).href,
    workers,
    platform: nodePlatform(),
    seed,
    ...(trace === undefined ? {} : { capture: { patterns, snaplen, sink: trace } }),
  });
  const interrupt = (): void => session.stop();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  let result: LabResult | undefined;
  try {
    progress.follow(() => session.cluster.now, plan.steps.length);
    result = await runSteps(session, { observer: printer, ...(until === undefined ? {} : { until }) });
  } finally {
    progress.end();
    process.removeListener("SIGINT", interrupt);
    process.removeListener("SIGTERM", interrupt);
    trace?.names([...session.addresses].map(([address, names]) => ({ address, names })));
    trace?.close(session.cluster.now);
    await session.close();
  }
  printer.finished(result, trace);
  if (trace?.error !== undefined) {
    process.stderr.write(`swarmwire: the trace ${trace.path} ends early: ${trace.error.message}\n`);
    return 1;
  }
  if (session.stopped) return 130;
  return result.steps.some((step) => step.failures.length > 0) ? 1 : 0;
}

/** What a person sees. */
class TerminalPrinter implements LabObserver {
  readonly #quiet: boolean;
  readonly #progress: Progress;
  #atLineStart = true;
  #terminal: string | undefined;

  constructor(quiet: boolean, progress: Progress) {
    this.#quiet = quiet;
    this.#progress = progress;
  }

  #print(text: string): void {
    if (this.#quiet || text === "") return;
    this.#progress.clear();
    process.stdout.write(text);
    this.#atLineStart = text.endsWith("\n");
  }

  #newLine(): void {
    if (!this.#atLineStart) this.#print("\n");
  }

  stepStarted(step: number, host: string, terminal: string | undefined, command: string): void {
    this.#progress.step(step);
    if (terminal === undefined) {
      this.#newLine();
      this.#print(`${host}$ ${command.replace(/\n+$/, "")}\n`);
      return;
    }
    // The prompt stands there already when the same terminal was left last.
    if (this.#terminal !== `${host}/${terminal}` || this.#atLineStart) {
      this.#newLine();
      this.#print(`[${host}/${terminal}] / # `);
    }
    this.#print(`${command}\n`);
  }

  output(_stream: "stdout" | "stderr", text: string): void {
    this.#print(text);
  }

  stepEnded(result: StepResult): void {
    this.#terminal = result.exit === undefined ? `${result.host}/${result.terminal ?? terminalOf(result)}` : undefined;
    for (const failure of result.failures) {
      this.#newLine();
      this.#progress.clear();
      const where = `step ${result.step + 1} (${result.host}${result.terminal === undefined ? "" : `/${result.terminal}`}$ ${result.command})`;
      process.stderr.write(`✗ ${where}: ${failure}\n`);
      if (this.#quiet) process.stderr.write(`  instead: ${JSON.stringify(result.stdout + result.stderr)}\n`);
    }
  }

  passed(_step: number, kind: "wait" | "fault", detail: string): void {
    this.#newLine();
    this.#terminal = undefined;
    this.#print(kind === "wait" ? `# ${formatDuration(Number(detail))} pass\n` : `# fault: ${detail}\n`);
  }

  finished(result: LabResult, trace: TraceFile | undefined): void {
    this.#newLine();
    const { counters, steps } = result;
    const failed = steps.filter((step) => step.failures.length > 0).length;
    const drops = Object.entries(counters.drops).map(([reason, count]) => `${count} ${reason}`);
    this.#print(
      `\n${steps.length} commands, ${failed === 0 ? "all as expected" : `${failed} not as expected`}; ${formatDuration(result.end)} of virtual time, ${counters.framesCarried} frames on the wire, ${counters.events} events.\n`,
    );
    if (drops.length > 0) this.#print(`Dropped: ${drops.join(", ")}.\n`);
    if (trace !== undefined && trace.error === undefined) {
      this.#print(
        `Trace: ${trace.path}, ${trace.packets} packets. Open it with: wireshark ${trace.path}   or: tshark -r ${trace.path}\n`,
      );
    }
    if (result.cut) this.#print("Stopped before the last step.\n");
  }
}

function terminalOf(result: StepResult): string {
  return /--name[= ](\S+)/.exec(result.command)?.[1] ?? "";
}

/** One JSON object a line. */
class JsonPrinter implements LabObserver {
  #write(value: unknown): void {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  stepEnded(result: StepResult): void {
    const { failures, ...rest } = result;
    this.#write({
      type: "step",
      ...rest,
      exit: result.exit ?? null,
      terminal: result.terminal ?? null,
      ok: failures.length === 0,
      failures,
    });
  }

  finished(result: LabResult, trace: TraceFile | undefined): void {
    const failed = result.steps.filter((step) => step.failures.length > 0).length;
    this.#write({
      type: "end",
      ok: failed === 0 && !result.cut,
      steps: result.steps.length,
      failed,
      time: result.end,
      trace: trace?.path ?? null,
      packets: trace?.packets ?? 0,
      counters: result.counters,
    });
  }
}
