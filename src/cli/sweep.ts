/** `swarmwire sweep LAB`: runs a lab many times, with other parameters and seeds, several runs at once, and goes on where it stopped. */
import { type ChildProcess, fork, type StdioOptions } from "node:child_process";
import { availableParallelism } from "node:os";
import { UserError } from "../base/errors.ts";
import { formatDuration, SEC } from "../base/time.ts";
import { type FlagTable, formatFlags, HELP_FLAG, parseArgs, wholeNumber } from "./args.ts";
import { SIGNAL_STATUS } from "./at-exit.ts";
import { readLab } from "./labs.ts";
import { Progress } from "./progress.ts";
import { describe, inShard, parseShard, parseVary, planSweep, type SweepRun } from "./sweep-plan.ts";
import { formatCsv, formatJson, formatTable, ResultFolder, type RunResult } from "./sweep-results.ts";
import type { SweepAnswer, SweepJob } from "./sweep-run.ts";
import { version } from "./version.ts";

const FLAGS: FlagTable = {
  vary: { value: "KEY=v1,v2,…", repeat: true, help: "values of a key; may be repeated: the runs are the product" },
  repeat: { value: "N", help: "so many runs with each, with seeds of their own (default 1)" },
  out: { value: "DIR", help: "where the results of runs are kept (default LAB.sweep)" },
  jobs: { value: "N", help: "runs at once (default: one a CPU)" },
  shard: { value: "i/n", help: "only every n-th run, by its identity; i is from 0 to n-1" },
  json: { help: "results as a JSON array" },
  csv: { help: "results as CSV" },
  help: HELP_FLAG,
};

const HELP = `Usage: swarmwire sweep LAB [flags]

Runs a lab with all combinations of values. A KEY is a parameter of the lab (params:), seed, or the path of a
field: network.loss, hosts.host1.latency, a value in a step like steps.3.workload.rate. \\, is a comma within a value.

${formatFlags(FLAGS)}
A run is known by a hash of the lab's text, its parameters, its seed and swarmwire's version, and its result stands
in DIR/HASH.json when it is finished. What is finished isn't run again: after Ctrl-C, the same command goes on.
Shards may share DIR, also at the same time; the command without --shard then prints the results of all.

Exit status: 0 when every expectation of every run holds, 1 when one doesn't or a run has no result, 2 when the lab
or a flag is wrong, 130 after Ctrl-C.
`;

const MOST_REPEATS = 1_000_000;
const MOST_JOBS = 1024;
/** What is kept of what a run's process says at its end. */
const MOST_STDERR = 4096;

/** @returns the exit status */
export async function sweepCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs("sweep", argv, FLAGS);
  if (args.has("help")) {
    process.stdout.write(HELP);
    return 0;
  }
  const [name, extra] = args.positional;
  if (name === undefined) throw new UserError("swarmwire sweep: which lab?");
  if (extra !== undefined) throw new UserError(`swarmwire sweep: one lab at a time; unexpected ${extra}`);
  if (args.has("json") && args.has("csv")) throw new UserError("swarmwire sweep: --json and --csv exclude each other");
  const repeats = wholeNumber("sweep", args, "repeat", 1, MOST_REPEATS) ?? 1;
  const jobs = wholeNumber("sweep", args, "jobs", 1, MOST_JOBS) ?? availableParallelism();
  const shard = parseShard(args.get("shard") ?? "0/1");
  const lab = readLab(name);
  const runs = planSweep(lab.file, lab.text, args.all("vary").map(parseVary), repeats).filter(({ identity }) =>
    inShard(identity, shard),
  );
  const folder = new ResultFolder(args.get("out") ?? `${lab.file.replace(/^.*\//, "").replace(/\.ya?ml$/, "")}.sweep`);
  const sweep = new Sweep(lab, runs, folder);
  const earlier = sweep.finished;
  await sweep.run(jobs);
  if (sweep.signal !== undefined) {
    process.stderr.write(
      `swarmwire: interrupted: ${sweep.finished} of ${runs.length} runs are finished and stand in ${folder.path}; the same command goes on with the rest\n`,
    );
    return SIGNAL_STATUS[sweep.signal];
  }
  const results = sweep.results();
  const bad = results.filter(({ ok }) => !ok).length;
  if (args.has("csv")) process.stdout.write(formatCsv(results));
  else if (args.has("json")) process.stdout.write(formatJson(results));
  else
    process.stdout.write(
      `${formatTable(results)}\n${results.length} of ${runs.length} runs have results, ${earlier} of them from before; ${bad === 0 ? "all as expected" : `${bad} not as expected`}. They stand in ${folder.path}.\n`,
    );
  return bad === 0 && results.length === runs.length ? 0 : 1;
}

/**
 * How long a sweep still takes, in ms; undefined as long as nothing is known. A run takes what runs with its parameters
 * took on average, or all runs where there was none.
 * @param took wall times of finished runs by their parameters, ms
 * @param left parameters of the runs that aren't finished
 */
export function timeLeft(
  took: ReadonlyMap<string, readonly number[]>,
  left: readonly string[],
  jobs: number,
): number | undefined {
  const mean = (times: readonly number[]): number => times.reduce((sum, time) => sum + time, 0) / times.length;
  const all = [...took.values()].flat();
  if (all.length === 0) return undefined;
  const overall = mean(all);
  const total = left.reduce((sum, key) => sum + (took.has(key) ? mean(took.get(key) as number[]) : overall), 0);
  return total / Math.min(jobs, Math.max(1, left.length));
}

/** The runs of a sweep on their way, each in a process of its own: one that fails takes no other with it. */
class Sweep {
  readonly #lab: { readonly file: string; readonly text: string };
  readonly #runs: readonly SweepRun[];
  readonly #folder: ResultFolder;
  readonly #results = new Map<string, RunResult>();
  readonly #took = new Map<string, number[]>();
  readonly #children = new Set<ChildProcess>();
  readonly #progress = new Progress(false);
  #waiting: SweepRun[];
  #running: SweepRun[] = [];
  #failure: unknown;
  /** The signal that ended it. */
  signal: keyof typeof SIGNAL_STATUS | undefined;

  constructor(lab: { readonly file: string; readonly text: string }, runs: readonly SweepRun[], folder: ResultFolder) {
    this.#lab = lab;
    this.#runs = runs;
    this.#folder = folder;
    for (const run of runs) {
      const result = folder.read(run);
      if (result !== undefined) this.#results.set(run.identity, result);
    }
    this.#waiting = runs.filter(({ identity }) => !this.#results.has(identity));
  }

  get finished(): number {
    return this.#results.size;
  }

  /** Of finished runs, in the order of the sweep. */
  results(): RunResult[] {
    return this.#runs.flatMap(({ identity }) => this.#results.get(identity) ?? []);
  }

  /** Runs what isn't finished, `jobs` at once. @throws UserError when a result can't be written */
  async run(jobs: number): Promise<void> {
    const handlers = (Object.keys(SIGNAL_STATUS) as (keyof typeof SIGNAL_STATUS)[]).map(
      (signal) => [signal, () => this.#interrupt(signal)] as const,
    );
    for (const [signal, handler] of handlers) process.on(signal, handler);
    this.#progress.show(() => this.#line(jobs));
    try {
      await Promise.all(Array.from({ length: Math.min(jobs, this.#waiting.length) }, () => this.#lane()));
    } finally {
      this.#progress.end();
      for (const [signal, handler] of handlers) process.removeListener(signal, handler);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #line(jobs: number): string {
    const left = [...this.#running, ...this.#waiting].map(({ parameters }) => describe(parameters));
    const time = timeLeft(this.#took, left, jobs);
    const estimate =
      time === undefined ? "" : `, about ${formatDuration(Math.max(1, Math.ceil(time / 1000)) * SEC)} left`;
    return `${this.finished} of ${this.#runs.length} runs, ${this.#running.length} at once${estimate}`;
  }

  /** One run after the other. */
  async #lane(): Promise<void> {
    for (let run = this.#waiting.shift(); run !== undefined; run = this.#waiting.shift()) {
      const current = run;
      this.#running.push(current);
      const answer = await this.#process(current);
      this.#running = this.#running.filter((other) => other !== current);
      if (this.signal === undefined && this.#failure === undefined) this.#take(current, answer);
    }
  }

  #take(run: SweepRun, answer: SweepAnswer): void {
    const title = `${describe(run.parameters)}, repeat ${run.repeat}`;
    if ("problem" in answer) {
      this.#tell(`✗ ${title}: no result: ${answer.problem}`);
      return;
    }
    const result: RunResult = { ...run, lab: this.#lab.file, version: version(), ...answer.figures };
    try {
      this.#folder.write(result);
    } catch (error) {
      this.#failure = error;
      this.#stop();
      return;
    }
    this.#results.set(run.identity, result);
    const key = describe(run.parameters);
    this.#took.set(key, [...(this.#took.get(key) ?? []), result.wallTime]);
    for (const { step, host, command, failures } of result.failed)
      this.#tell(`✗ ${title}: step ${step + 1} (${host}$ ${command}): ${failures.join("; ")}`);
  }

  #tell(line: string): void {
    this.#progress.clear();
    process.stderr.write(`${line}\n`);
  }

  #process(run: SweepRun): Promise<SweepAnswer> {
    // In a group of its own: Ctrl-C is for this process, which ends the others.
    const stdio: StdioOptions = ["ignore", "ignore", "pipe", "ipc"];
    const child = fork(new URL("./sweep-run.js", import.meta.url), [], { stdio, detached: true });
    this.#children.add(child);
    let answer: SweepAnswer | undefined;
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-MOST_STDERR);
    });
    child.on("message", (message) => {
      answer = message as SweepAnswer;
    });
    // A process that ends at once can't be told anything; its end says so.
    child.send({ ...this.#lab, run } satisfies SweepJob, () => {});
    return new Promise((resolve) => {
      const end = (how: string): void => {
        this.#children.delete(child);
        resolve(answer ?? { problem: `its process ${how}${said === "" ? "" : `: ${said.trim()}`}` });
      };
      child.on("error", (error) => end(`could not be started: ${error.message}`));
      child.on("close", (code, signal) =>
        end(signal === null ? `ended with status ${code}` : `was ended by ${signal}`),
      );
    });
  }

  #interrupt(signal: keyof typeof SIGNAL_STATUS): void {
    this.signal ??= signal;
    this.#stop();
  }

  #stop(): void {
    this.#waiting = [];
    for (const child of this.#children) child.kill("SIGKILL");
  }
}
