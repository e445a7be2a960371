/** Lives of packets in labs: what the page would know of them. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createMachine } from "../../src/lab/machine.ts";
import type { LabPlan } from "../../src/lab/plan.ts";
import { LabSession, runSteps } from "../../src/lab/run.ts";
import { Screen } from "../../src/lab/screen.ts";
import { DEFAULT_CAPTURE, LabTrace } from "../../src/lab/trace.ts";
import { MemorySink } from "../../src/pcap-writer/index.ts";
import type { CapturedFrame, CaptureSink, MarkedNamespace, PacketMark } from "../../src/scheduler/captures.ts";
import { loadKernel, nodePlatform } from "../../src/scheduler/node-adapter.ts";
import { EveryHop, type Hop, HopLog } from "../../web/session/follow/hop-log.ts";
import { journeyOf } from "../../web/session/follow/journey.ts";
import type { Journey, Stage } from "../../web/session/follow/protocol.ts";
import type { StageContext } from "../../web/session/follow/stages.ts";

const DIST = join(import.meta.dirname, "../../dist/src");

/** A lab that has run. */
export interface FollowedRun {
  readonly log: HopLog;
  readonly context: StageContext;
  /** The trace of the default points. */
  readonly trace: Uint8Array;
  /** As LabRun has it. */
  readonly transcript: string;
  /** Of all frames and marks, in order. */
  readonly digest: string;
  readonly session: LabSession;
  /** Failed expectations. */
  readonly failures: readonly string[];
  /** The journey of the first packet of which a hop fits. */
  find(fits: (hop: Hop) => boolean): Journey;
  journey(id: number): Journey;
}

/** Hands on what it takes, and hashes it. */
class Hashed extends EveryHop {
  readonly hash = createHash("sha256");

  override frame(frame: CapturedFrame): void {
    const { time, hostIndex, seq, journey, point, direction, length, data } = frame;
    this.hash.update(`${time} ${hostIndex} ${seq} ${journey} ${point} ${direction} ${length} `).update(data);
    super.frame(frame);
  }

  override mark(mark: PacketMark): void {
    this.hash.update(JSON.stringify(mark));
    super.mark(mark);
  }

  override namespace(namespace: MarkedNamespace): void {
    this.hash.update(JSON.stringify(namespace));
    super.namespace(namespace);
  }
}

/** Runs a lab with every hop recorded. The session stays open: close it. @param workers more than 1 run from dist/ */
export async function followLab(plan: LabPlan, workers = 1): Promise<FollowedRun> {
  const log = new HopLog();
  const memory = new MemorySink();
  const trace: LabTrace & CaptureSink = new LabTrace(memory, plan, plan.seed);
  const sink = new Hashed(trace, log);
  const session = await LabSession.start(plan, {
    module: await loadKernel(),
    machines: workers === 1 ? createMachine : pathToFileURL(join(DIST, "lab/machine.js")).href,
    workers,
    platform: nodePlatform(pathToFileURL(join(DIST, "worker.js"))),
    seed: plan.seed,
    capture: { patterns: DEFAULT_CAPTURE, snaplen: 262_144, hops: true, sink },
  });
  const screen = new Screen();
  let transcript = "";
  const result = await runSteps(session, {
    observer: {
      stepStarted: (_step, host, terminal, command) => {
        transcript += `${host}${terminal === undefined ? "" : `/${terminal}`}$ ${command}\n`;
      },
      output: (_stream, text) => {
        transcript += screen.write(text);
      },
      stepEnded: () => {
        transcript += screen.end();
      },
    },
  });
  trace.names([...session.addresses].map(([address, names]) => ({ address, names })));
  trace.close(result.end);
  const context: StageContext = { hostName: (index) => plan.hosts[index]?.name ?? "", indexOf: () => undefined };
  const journey = (id: number): Journey => {
    const found = journeyOf(log, id, context, true);
    if (found === undefined) throw new Error(`no journey ${id}`);
    return found;
  };
  return {
    log,
    context,
    trace: memory.bytes(),
    transcript,
    digest: sink.hash.digest("hex"),
    session,
    failures: result.steps.flatMap((step) => step.failures),
    journey,
    find: (fits) => {
      for (const [id, hops] of log.journeys()) if (hops.some(fits)) return journey(id);
      throw new Error("no such packet");
    },
  };
}

/** A journey as lines, to be compared and read: `host/namespace: what {what changed}`, copies indented. */
export function storyOf({ stages }: Pick<Journey, "stages">, depth = ""): string[] {
  return stages.flatMap((stage) => [
    depth + lineOf(stage),
    ...stage.branches.flatMap((branch) => [`${depth}  [${branch.end}]`, ...storyOf(branch, `${depth}    `)]),
  ]);
}

function lineOf({ host, namespace, title, detail, changes, kind }: Stage): string {
  const changed = changes.map(({ layer, field, from, to }) => {
    if (field !== undefined) return `${layer} ${field} ${from} → ${to}`;
    return to === undefined ? `-${layer}` : `+${layer}`;
  });
  const said = kind === "frame" ? "" : ` | ${detail}`;
  return `${host}/${namespace}: ${title}${said}${changed.length === 0 ? "" : ` {${changed.join("; ")}}`}`;
}
