/** Runs labs for tests: in this thread, or on worker threads (from dist), with the trace in memory. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UserError } from "../../src/base/errors.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { parseLab } from "../../src/lab/parse.ts";
import type { LabPlan } from "../../src/lab/plan.ts";
import { type LabResult, LabSession, runSteps } from "../../src/lab/run.ts";
import { Screen } from "../../src/lab/screen.ts";
import { LabTrace } from "../../src/lab/trace.ts";
import { MemorySink } from "../../src/pcap-writer/index.ts";
import { loadKernel, nodePlatform } from "../../src/scheduler/node-adapter.ts";

import type { Pace } from "../../src/scheduler/pace.ts";

const ROOT = join(import.meta.dirname, "../..");
export const GALLERY = join(ROOT, "src/lab/gallery");
const DIST = join(ROOT, "dist/src");

export interface LabRun {
  readonly result: LabResult;
  readonly trace: Uint8Array;
  /** Wireshark's table of the trace's ESP keys. */
  readonly espSa: string;
  /** Everything printed, commands included. */
  readonly transcript: string;
  /** Failed expectations, with what came instead. */
  readonly failures: readonly string[];
  readonly addresses: ReadonlyMap<string, readonly string[]>;
}

export function galleryLab(name: string): LabPlan {
  return parseLab(name, readFileSync(join(GALLERY, `${name}.yaml`), "utf8"));
}

export function labOf(text: string): LabPlan {
  return parseLab("test.yaml", text);
}

/** What is wrong with a lab file: the message for its user. */
export function labErrorOf(text: string): string {
  try {
    parseLab("x.yaml", text);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error("the lab has no error");
}

/**
 * @param options.workers more than 1 runs the compiled code of dist/ on worker threads
 * @param options.machines makes the hosts, where a test wants to look into them; with one worker only
 */
export async function runLab(
  plan: LabPlan,
  options: {
    workers?: number;
    seed?: string;
    capture?: readonly string[];
    /** Bytes of each frame in the trace; all by default. */
    snaplen?: number;
    skip?: boolean;
    machines?: typeof createMachine;
    pace?: Pace;
  } = {},
): Promise<LabRun> {
  const sink = new MemorySink();
  const seed = options.seed ?? plan.seed;
  const trace = new LabTrace(sink, plan, seed);
  const workers = options.workers ?? 1;
  const kernel = process.env["KERNEL_WASM"];
  const module = await loadKernel(kernel === undefined ? undefined : pathToFileURL(kernel));
  const worker = join(DIST, "worker.js");
  if (workers > 1 && !existsSync(worker)) throw new Error("several workers run from dist/: npm run build first");
  const session = await LabSession.start(plan, {
    module,
    machines: workers === 1 ? (options.machines ?? createMachine) : pathToFileURL(join(DIST, "lab/machine.js")).href,
    workers,
    platform: nodePlatform(pathToFileURL(worker)),
    seed,
    ...(options.pace === undefined ? {} : { pace: options.pace }),
    ...(options.skip === undefined ? {} : { skip: options.skip }),
    capture: { patterns: options.capture ?? ["*/host/eth0"], snaplen: options.snaplen ?? 262_144, sink: trace },
  });
  let transcript = "";
  const screen = new Screen();
  const failures: string[] = [];
  try {
    const result = await runSteps(session, {
      observer: {
        stepStarted: (_step, host, terminal, command) => {
          transcript += `${host}${terminal === undefined ? "" : `/${terminal}`}$ ${command}\n`;
        },
        output: (_stream, text) => {
          transcript += screen.write(text);
        },
        stepEnded: (ended) => {
          transcript += screen.end();
          for (const failure of ended.failures)
            failures.push(`${ended.host}$ ${ended.command}: ${failure}; instead: ${ended.stdout}${ended.stderr}`);
        },
      },
    });
    trace.names([...session.addresses].map(([address, names]) => ({ address, names })));
    trace.close(result.end);
    const espSa = trace.espSa.toString();
    return { result, trace: sink.bytes(), espSa, transcript, failures, addresses: session.addresses };
  } finally {
    await session.close();
  }
}
