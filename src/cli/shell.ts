/** `swarmwire shell [LAB]`: a terminal on the hosts of a lab. */
import { UserError } from "../base/errors.ts";
import { createMachine } from "../lab/machine.ts";
import { parseLab } from "../lab/parse.ts";
import { LabSession, runSteps } from "../lab/run.ts";
import { loadKernel } from "../scheduler/node-adapter.ts";
import { type FlagTable, formatFlags, HELP_FLAG, parseArgs, wholeNumber } from "./args.ts";
import { atExit, exitOnSignals } from "./at-exit.ts";
import { pacer } from "./breathe.ts";
import { loadLab } from "./labs.ts";
import { TerminalPrinter } from "./printers.ts";
import { Progress } from "./progress.ts";
import { LOCAL_HELP, Repl } from "./repl.ts";
import { openTrace, TRACE_FLAGS } from "./trace.ts";

const FLAGS: FlagTable = {
  ...TRACE_FLAGS,
  seed: { value: "N", help: "instead of the lab's seed" },
  "no-skip": { help: "send every frame, in quiet times too, when a wait lasts for hours" },
  speed: { value: "N", help: "virtual time per real time while a command runs (default 10, 0 = no limit)" },
  help: HELP_FLAG,
};

const HELP = `Usage: swarmwire shell [LAB] [flags]

A terminal on the hosts of a lab, after its steps; without one, on two fresh hosts, host1 and host2.
Virtual time passes while a command runs, and a second after it.

${LOCAL_HELP}
${formatFlags(FLAGS)}`;

const DEFAULT_LAB = "name: shell\nhosts: { host1: {}, host2: {} }\n";
/** Watching a ping, ten of them a second are as many as one can read. */
const DEFAULT_SPEED = 10;
const MOST_SPEED = 1_000_000;
const MOST_SNAPLEN = 262_144;

/** @returns the exit status */
export async function shellCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs("shell", argv, FLAGS);
  if (args.has("help")) {
    process.stdout.write(HELP);
    return 0;
  }
  const [name, extra] = args.positional;
  if (extra !== undefined) throw new UserError(`swarmwire shell: one lab at a time; unexpected ${extra}`);
  const watched = process.stdin.isTTY === true;
  const speed = wholeNumber("shell", args, "speed", 0, MOST_SPEED) ?? (watched ? DEFAULT_SPEED : 0);
  const snaplen = wholeNumber("shell", args, "snaplen", 1, MOST_SNAPLEN);
  const plan = name === undefined ? parseLab("shell", DEFAULT_LAB) : loadLab(name);
  const seed = args.get("seed") ?? plan.seed;
  const trace = openTrace("shell", args, snaplen, plan, seed);
  let session: LabSession | undefined;
  const pace = pacer(() => session?.cluster.now ?? 0, speed);
  session = await LabSession.start(plan, {
    module: await loadKernel(),
    machines: createMachine,
    seed,
    skip: !args.has("no-skip"),
    breathe: pace.breathe,
    ...(trace === undefined ? {} : { capture: { patterns: trace.patterns, snaplen: trace.snaplen, sink: trace.file } }),
  });
  const { addresses, cluster } = session;
  const closeTrace = atExit(() => {
    trace?.file.names([...addresses].map(([address, names]) => ({ address, names })));
    trace?.file.close(cluster.now);
  });
  const ignoreSignals = exitOnSignals();
  try {
    if (plan.steps.length > 0) await runSteps(session, { observer: new TerminalPrinter(false, new Progress(true)) });
    await new Repl(session, pace.watch).run();
  } finally {
    ignoreSignals();
    closeTrace();
    await session.close();
  }
  const problem = trace?.file.problem(trace.patterns);
  if (problem === undefined) return trace?.file.broken === true ? 1 : 0;
  process.stderr.write(`swarmwire: ${problem}\n`);
  return 1;
}
