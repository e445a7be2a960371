/** Lives of packets in labs that run in this thread: what the page would know of them. */
import { createMachine } from "../../src/lab/machine.ts";
import type { LabPlan } from "../../src/lab/plan.ts";
import { LabSession, runSteps } from "../../src/lab/run.ts";
import { DEFAULT_CAPTURE, LabTrace } from "../../src/lab/trace.ts";
import { MemorySink } from "../../src/pcap-writer/index.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { EveryHop, type Hop, HopLog } from "../../web/session/follow/hop-log.ts";
import { journeyOf } from "../../web/session/follow/journey.ts";
import type { Journey, Stage } from "../../web/session/follow/protocol.ts";
import type { StageContext } from "../../web/session/follow/stages.ts";

/** A lab that has run. */
export interface FollowedRun {
  readonly log: HopLog;
  readonly context: StageContext;
  /** The trace of the default points. */
  readonly trace: Uint8Array;
  readonly session: LabSession;
  /** Failed expectations. */
  readonly failures: readonly string[];
  /** The journey of the first packet of which a hop fits. */
  find(fits: (hop: Hop) => boolean): Journey;
  journey(id: number): Journey;
}

/** Runs a lab with every hop recorded. The session stays open: close it. */
export async function followLab(plan: LabPlan): Promise<FollowedRun> {
  const log = new HopLog();
  const sink = new MemorySink();
  const trace = new LabTrace(sink, plan, plan.seed);
  const session = await LabSession.start(plan, {
    module: await loadKernel(),
    machines: createMachine,
    seed: plan.seed,
    capture: {
      patterns: DEFAULT_CAPTURE,
      snaplen: 262_144,
      hops: true,
      sink: new EveryHop(trace, log),
    },
  });
  const result = await runSteps(session, {});
  trace.names([...session.addresses].map(([address, names]) => ({ address, names })));
  trace.close(session.cluster.now);
  const context: StageContext = { hostName: (index) => plan.hosts[index]?.name ?? "", indexOf: () => undefined };
  const journey = (id: number): Journey => {
    const found = journeyOf(log, id, context, true);
    if (found === undefined) throw new Error(`no journey ${id}`);
    return found;
  };
  return {
    log,
    context,
    trace: sink.bytes(),
    session,
    failures: result.steps.flatMap((step) => step.failures),
    journey,
    find: (fits) => {
      for (const [id, hops] of log.journeys()) if (hops.some(fits)) return journey(id);
      throw new Error("no such packet");
    },
  };
}

/** A journey as lines, to be compared and read. */
export function storyOf({ stages }: Pick<Journey, "stages">, depth = ""): string[] {
  return stages.flatMap((stage) => [
    depth + lineOf(stage),
    ...stage.branches.flatMap((branch) => [`${depth}  [${branch.end}]`, ...storyOf(branch, `${depth}    `)]),
  ]);
}

function lineOf({ host, namespace, title, detail, changes }: Stage): string {
  const changed = changes.map(({ layer, field, from, to }) => {
    if (field !== undefined) return `${layer} ${field} ${from} → ${to}`;
    return to === undefined ? `-${layer}` : `+${layer}`;
  });
  return `${host}/${namespace}: ${title} | ${detail}${changed.length === 0 ? "" : ` {${changed.join("; ")}}`}`;
}
