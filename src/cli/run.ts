/** `swarmwire run LAB`: runs a lab's steps and prints them as a terminal would show them. `--json`: see JsonPrinter. */
import { UserError } from "../base/errors.ts";
import { formatDuration, parseDuration, type Time } from "../base/time.ts";
import { createMachine } from "../lab/machine.ts";
import type { LabPlan } from "../lab/plan.ts";
import { type LabResult, LabSession, runSteps } from "../lab/run.ts";
import { loadKernel, nodePlatform } from "../scheduler/node-adapter.ts";
import { type FlagTable, formatFlags, HELP_FLAG, type ParsedArgs, parseArgs, wholeNumber } from "./args.ts";
import { atExit } from "./at-exit.ts";
import { breather } from "./breathe.ts";
import { Interruption } from "./interruption.ts";
import { loadLab, SET_FLAG, settingsFlag } from "./labs.ts";
import { JsonPrinter, type Printer, TerminalPrinter } from "./printers.ts";
import { Progress } from "./progress.ts";
import { openTrace, TRACE_FLAGS } from "./trace.ts";

const FLAGS: FlagTable = {
  ...TRACE_FLAGS,
  workers: { value: "N", help: "worker threads (default 1); the result doesn't depend on it" },
  seed: { value: "N", help: "instead of the lab's seed" },
  set: SET_FLAG,
  "no-skip": { help: "send every frame, in quiet times too: a wait of hours may take minutes" },
  until: { value: "TIME", help: "stop at this virtual time, e.g. 90s" },
  profile: { help: "at the end, where the wall time went, by thread" },
  json: { help: "one JSON object a step and one at the end, instead of terminals" },
  quiet: { help: "print failures only" },
  help: HELP_FLAG,
};

const HELP = `Usage: swarmwire run LAB [flags]

Runs a lab: a YAML file, or the name of one that comes with swarmwire (swarmwire labs lists them).

${formatFlags(FLAGS)}
Exit status: 0 when every expectation holds, 1 when one doesn't or the trace can't be written, 2 when the lab or
a flag is wrong, 130 after Ctrl-C; the trace then holds what was shown.
`;

const MOST_WORKERS = 64;
const MOST_SNAPLEN = 262_144;

interface RunSettings {
  readonly plan: LabPlan;
  readonly seed: string;
  readonly workers: number;
  readonly until: Time | undefined;
  readonly snaplen: number | undefined;
}

/** @throws UserError */
function settingsOf(args: ParsedArgs): RunSettings {
  const [name, extra] = args.positional;
  if (name === undefined) throw new UserError("swarmwire run: which lab? Try: swarmwire run standalone");
  if (extra !== undefined) throw new UserError(`swarmwire run: one lab at a time; unexpected ${extra}`);
  const time = args.get("until");
  const until = time === undefined ? undefined : parseDuration(time);
  if (time !== undefined && until === undefined)
    throw new UserError(`swarmwire run: --until ${time}: expected a time like 90s or 12h`);
  if (args.has("json") && args.has("quiet"))
    throw new UserError("swarmwire run: --json and --quiet exclude each other");
  const workers = wholeNumber("run", args, "workers", 1, MOST_WORKERS) ?? 1;
  const snaplen = wholeNumber("run", args, "snaplen", 1, MOST_SNAPLEN);
  const plan = loadLab(name, settingsFlag("run", args));
  return { plan, seed: args.get("seed") ?? plan.seed, workers, until, snaplen };
}

/** @returns the exit status */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs("run", argv, FLAGS);
  if (args.has("help")) {
    process.stdout.write(HELP);
    return 0;
  }
  const { plan, seed, workers, until, snaplen } = settingsOf(args);
  const progress = new Progress(args.has("json") || args.has("quiet"));
  const tell = (message: string): void => {
    progress.clear();
    process.stderr.write(`swarmwire: ${message}\n`);
  };
  const trace = openTrace("run", args, snaplen, plan, seed, tell);
  const out = trace?.file.onStdout === true ? process.stderr : process.stdout;
  const printer: Printer = args.has("json")
    ? new JsonPrinter(out)
    : new TerminalPrinter(args.has("quiet"), progress, out);
  const session = await LabSession.start(plan, {
    module: await loadKernel(),
    machines: workers === 1 ? createMachine : new URL("../lab/machine.js", import.meta.url).href,
    workers,
    platform: nodePlatform(),
    seed,
    skip: !args.has("no-skip"),
    profile: args.has("profile"),
    breathe: breather(),
    ...(trace === undefined ? {} : { capture: { patterns: trace.patterns, snaplen: trace.snaplen, sink: trace.file } }),
  });
  const closeTrace = atExit(() => {
    trace?.file.names([...session.addresses].map(([address, names]) => ({ address, names })));
    trace?.file.close(session.cluster.now);
  });
  const signals = new Interruption(session);
  let result: LabResult;
  try {
    progress.follow(() => session.cluster.now, plan.steps.length);
    result = await runSteps(session, { observer: printer, ...(until === undefined ? {} : { until }) });
  } finally {
    progress.end();
    signals.end();
    closeTrace();
    await session.close();
  }
  printer.finished(result, trace?.file);
  const problem = trace?.file.problem(trace.patterns);
  if (problem !== undefined) process.stderr.write(`swarmwire: ${problem}\n`);
  if (signals.status !== undefined) {
    process.stderr.write(`swarmwire: interrupted at ${formatDuration(result.end)} of virtual time\n`);
    return signals.status;
  }
  return problem !== undefined || trace?.file.broken === true || result.steps.some((step) => step.failures.length > 0)
    ? 1
    : 0;
}
