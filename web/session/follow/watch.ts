/** What an emulation keeps for the lives of packets. */
import type { LabPlan } from "../../../src/lab/plan.ts";
import type { CaptureSink } from "../../../src/scheduler/captures.ts";
import { EveryHop, HopLog } from "./hop-log.ts";

/** Labs of more hosts record what their traces need only, unless somebody asks for more. */
const SMALL_LAB = 16;

/** What the user asked for; undefined: small labs record every hop. */
let wanted: boolean | undefined;

/** Says what labs that are opened from now on record. */
export function wantHops(every: boolean | undefined): void {
  wanted = every;
}

/** What wantHops said last. */
export function wantedHops(): boolean | undefined {
  return wanted;
}

/** What was seen of packets in one emulation. */
export class HopWatch {
  readonly log = new HopLog();
  /** Whether every hop is recorded; otherwise the points of the trace. */
  readonly every: boolean;

  constructor(plan: LabPlan) {
    this.every = wanted ?? plan.hosts.length <= SMALL_LAB;
  }

  /** What the cluster is told to capture, beside its patterns. @param trace takes what the patterns say */
  capture(trace: CaptureSink): { readonly hops: boolean; readonly sink: CaptureSink } {
    return { hops: this.every, sink: new EveryHop(trace, this.log) };
  }
}
