/**
 * The process of one run of a sweep: it is told which one, runs it, and tells what came of it. It goes when its parent
 * goes.
 */
import { isUserError } from "../base/errors.ts";
import { createMachine } from "../lab/machine.ts";
import { parseLab } from "../lab/parse.ts";
import { LabSession, runSteps } from "../lab/run.ts";
import { lossesOf } from "../lab/transcript.ts";
import { loadKernel } from "../scheduler/node-adapter.ts";
import { breather } from "./breathe.ts";
import type { SweepRun } from "./sweep-plan.ts";
import type { RunFigures } from "./sweep-results.ts";

/** What the process is told. */
export interface SweepJob {
  readonly file: string;
  readonly text: string;
  readonly run: SweepRun;
}

/** What it tells at its end. */
export type SweepAnswer = { readonly figures: RunFigures } | { readonly problem: string };

async function runJob({ file, text, run }: SweepJob): Promise<RunFigures> {
  const begin = Date.now();
  const plan = parseLab(file, text, run.parameters);
  const session = await LabSession.start(plan, {
    module: await loadKernel(),
    machines: createMachine,
    seed: run.seed,
    breathe: breather(),
  });
  try {
    const { steps, counters, end } = await runSteps(session, {});
    const failed = steps.filter(({ failures }) => failures.length > 0);
    return {
      ok: failed.length === 0,
      steps: steps.length,
      failed: failed.map(({ step, host, command, failures }) => ({ step, host, command, failures })),
      virtualTime: end,
      wallTime: Date.now() - begin,
      frames: counters.framesCarried,
      events: counters.events,
      drops: Object.fromEntries(lossesOf(counters.drops)),
      workloads: steps.flatMap(({ step, flows = [] }) => flows.map((flow) => ({ step, ...flow }))),
    };
  } finally {
    await session.close();
  }
}

process.on("disconnect", () => process.exit(1));
process.once("message", async (job: SweepJob) => {
  let answer: SweepAnswer;
  try {
    answer = { figures: await runJob(job) };
  } catch (error) {
    const defect = isUserError(error) ? undefined : (error as Error).stack;
    answer = { problem: defect === undefined ? (error as Error).message : `a defect: ${defect}` };
  }
  process.send?.(answer, () => process.exit(0));
});
