/** `swarmwire bench NAME`: large runs of what swarmwire emulates, with their results as tables or as JSON. */
import { UserError } from "../base/errors.ts";
import { formatDuration } from "../base/time.ts";
import { createMachine } from "../lab/mesh/machine.ts";
import { requireMemory } from "../lab/mesh/memory.ts";
import type { MeshResult } from "../lab/mesh/result.ts";
import { DRAIN, MeshSession } from "../lab/mesh/session.ts";
import { meshLab } from "../lab/mesh/topology.ts";
import { availableMemory, heapInUse, loadKernel, nodePlatform } from "../scheduler/node-adapter.ts";
import { checkMeshOptions } from "../workload/mesh/options.ts";
import { planMesh } from "../workload/mesh/plan.ts";
import type { MeshOptions, MeshPlan } from "../workload/mesh/types.ts";
import { type FlagTable, formatFlags, HELP_FLAG, type ParsedArgs, parseArgs, wholeNumber } from "./args.ts";
import { atExit } from "./at-exit.ts";
import { bytesFlag, MESH_FLAGS, meshOptionsOf, withFlagNames } from "./bench-options.ts";
import { BenchProgress } from "./bench-progress.ts";
import { type BenchMachine, formatMesh, meshJson } from "./bench-results.ts";
import { breather } from "./breathe.ts";
import { Interruption } from "./interruption.ts";
import { openTrace, TRACE_FLAGS, traceText } from "./trace.ts";

const COMMAND = "bench mesh";
const MOST_WORKERS = 64;
const MOST_SNAPLEN = 262_144;

const HELP = `Usage: swarmwire bench [NAME] [flags]

  mesh  many hosts, their overlay networks, services, and generated traffic between their containers

swarmwire bench NAME --help says more.
`;

const FLAGS: FlagTable = {
  ...MESH_FLAGS,
  workers: { value: "N", help: "worker threads (default: one a CPU); the result doesn't depend on it" },
  memory: { value: "BYTES", help: "what the run may take; more is refused beforehand (default: what is free)" },
  ...TRACE_FLAGS,
  profile: { help: "at the end, where the wall time went, by thread" },
  json: { help: "one JSON object instead of tables" },
  help: HELP_FLAG,
};

const MESH_HELP = `Usage: swarmwire bench mesh [flags]

Runs flows between the containers of many hosts over overlay networks, and prints what came of them.

${formatFlags(FLAGS)}
Control plane: with gossip every host runs Docker; they join a swarm, networks and services are made, and the traffic
starts when all tasks run and every host's own tables are complete: a neighbour for each container and load balancer on
other hosts, all destinations of each service, keys with each host of an encrypted network. With converged no daemon
runs: hosts are given these tables as they would stand then.

Traffic: cbr sends datagrams at a constant rate, poisson at random times; rr opens a TCP connection for each request
and its response; bulk sends over TCP as fast as it goes; with incast many senders send one receiver a block each at
the same moment, and again when it has them all. Delays are one way for datagrams, from the connection's begin to the
response's last byte for rr, from the first round's request to the last block for incast. When the last flow has ended,
what is on its way gets ${formatDuration(DRAIN)}.

A hop is a frame that a device has sent and its peer has received: from one end of a veth pair to the other, over the
wire from host to host, or over a link between switches. Throughput is a flow's payload by its duration, the fairness
Jain's index. The variation of a scheduler is that of its services' backends: standard deviation by mean.

Exit status: 0, 1 when the trace can't be written, 2 when a flag is wrong or memory is too small, 130 after Ctrl-C, which
prints the results so far.
`;

/** @returns the exit status */
export async function benchCommand(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || ["--help", "-h", "--list"].includes(name)) {
    process.stdout.write(HELP);
    return 0;
  }
  if (name !== "mesh")
    throw new UserError(`swarmwire bench: there is no benchmark ${name}; see swarmwire bench --help`);
  return await meshCommand(rest);
}

async function meshCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs(COMMAND, argv, FLAGS);
  if (args.has("help")) {
    process.stdout.write(MESH_HELP);
    return 0;
  }
  const [extra] = args.positional;
  if (extra !== undefined) throw new UserError(`swarmwire ${COMMAND}: unexpected ${extra}`);
  return await new MeshRun(args).run();
}

/** One run of a mesh. */
class MeshRun {
  readonly #args: ParsedArgs;
  readonly #workers: number;
  readonly #snaplen: number | undefined;
  readonly #progress: BenchProgress;
  readonly #platform = nodePlatform();
  #session: MeshSession | undefined;
  #stopped = false;

  constructor(args: ParsedArgs) {
    this.#args = args;
    this.#workers = wholeNumber(COMMAND, args, "workers", 1, MOST_WORKERS) ?? 0;
    this.#snaplen = wholeNumber(COMMAND, args, "snaplen", 1, MOST_SNAPLEN);
    this.#progress = new BenchProgress(args.has("json"));
  }

  /** Ends it soon, with the results so far. */
  stop(): void {
    this.#stopped = true;
    this.#session?.stop();
  }

  #workersFor({ hosts }: MeshOptions): number {
    return this.#workers > 0 ? this.#workers : Math.min(this.#platform.cpus(), hosts, MOST_WORKERS);
  }

  /** @throws UserError when the run would take more than there is, or than is allowed */
  #requireMemory(options: MeshOptions): void {
    const asked = bytesFlag(COMMAND, this.#args, "memory");
    const what = asked === undefined ? "are free" : "are allowed";
    withCommand(() => requireMemory(options, this.#workersFor(options), asked ?? availableMemory(), what));
  }

  /** @returns the exit status */
  async run(): Promise<number> {
    const options = meshOptionsOf(this.#args);
    withFlagNames(() => checkMeshOptions(options));
    this.#requireMemory(options);
    const plan = withFlagNames(() => planMesh(options));
    const trace = openTrace(COMMAND, this.#args, this.#snaplen, meshLab(options), options.seed, (message) => {
      this.#progress.clear();
      process.stderr.write(`swarmwire: ${message}\n`);
    });
    const signals = new Interruption(this);
    const closeTrace = atExit(() => {
      const session = this.#session;
      if (session !== undefined) trace?.file.names(session.names());
      trace?.file.close(session?.cluster.now ?? 0);
    });
    let text: string;
    try {
      text = await this.#measure(plan, trace);
    } finally {
      this.#progress.end();
      signals.end();
      closeTrace();
      await this.#session?.close();
    }
    process.stdout.write(text);
    if (trace !== undefined && !this.#args.has("json")) process.stdout.write(traceText(trace.file));
    const problem = trace?.file.problem(trace.patterns);
    if (problem !== undefined) process.stderr.write(`swarmwire: ${problem}\n`);
    if (signals.status !== undefined) {
      const now = this.#session?.cluster.now ?? 0;
      process.stderr.write(`swarmwire: interrupted at ${formatDuration(now)} of virtual time\n`);
      return signals.status;
    }
    return problem !== undefined || trace?.file.broken === true ? 1 : 0;
  }

  /** @returns what is printed */
  async #measure(plan: MeshPlan, trace: ReturnType<typeof openTrace>): Promise<string> {
    const platform = this.#platform;
    const workers = this.#workersFor(plan.options);
    const profile = this.#args.has("profile");
    const session = await MeshSession.start(plan, {
      module: await loadKernel(),
      machines: workers === 1 ? createMachine : new URL("../lab/mesh/machine.js", import.meta.url).href,
      ...{ workers, platform, profile, breathe: breather() },
      tell: (phase) => this.#progress.tell(phase),
      ...(trace === undefined
        ? {}
        : { capture: { patterns: trace.patterns, snaplen: trace.snaplen, sink: trace.file } }),
    });
    this.#session = session;
    if (this.#stopped) session.stop();
    this.#progress.follow(session);
    await session.run();
    const result = await session.result();
    const machine = await machineOf(session, workers, result.memory);
    return this.#args.has("json") ? meshJson(result, machine) : formatMesh(result, machine);
  }
}

/** @throws UserError with the command's name in front */
function withCommand(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`swarmwire ${COMMAND}: ${error.message}`);
  }
}

async function machineOf(session: MeshSession, workers: number, kernel: MeshResult["memory"]): Promise<BenchMachine> {
  const heaps = [heapInUse(), ...(await session.cluster.heaps())];
  const heap = heaps.reduce((sum, bytes) => sum + bytes, 0);
  const resident = process.memoryUsage().rss;
  return {
    workers,
    memory: { kernel: kernel.used, held: kernel.held, heap, resident },
    profile: await session.cluster.profile(),
  };
}
