/**
 * A batch of windows: what every worker does between two messages of the coordinator. All workers run the same
 * loop on the same numbers, so they all stop at the same window.
 */
import { MS, type Time } from "../base/time.ts";
import type { CaptureBatch } from "./captures.ts";
import { type Exchange, FLAG_EVENT, FLAG_FULL, FLAG_PAUSE } from "./exchange.ts";
import type { ResolvedFault } from "./faults.ts";
import type { HostEvent, PostedCommand } from "./machine.ts";
import { WATCH } from "./pace.ts";
import type { Partition } from "./partition.ts";
import { gridAfter } from "./window.ts";

/** Windows of one batch at most: the coordinator wants to look up now and then. */
const MAX_WINDOWS = 4096;
/** No window goes on for longer than this after the earliest event: bounds what one window captures and sends. */
const MAX_WINDOW: Time = 10 * MS;
/** Captured bytes that a worker holds before it asks to be relieved. */
const CAPTURE_LIMIT = 8 << 20;

/** The coordinator's order to all workers. */
export interface BatchOrder {
  /** Everything before this time is done. */
  readonly time: Time;
  /** Stop here, exclusive. */
  readonly end: Time;
  /** Stop at the next multiple of it after an event was emitted; 0 = don't. */
  readonly grid: Time;
  /** Pause here, exclusive, if the end has not come. */
  readonly pause: Time;
  /** WATCH bits of pace.ts: pause after the instant at which one of these happens. */
  readonly watch: number;
  /** Pause after so many ms of wall time; 0 = don't. */
  readonly holdMs: number;
  /** Of the wires that cross workers: closeDelays() of window.ts. */
  readonly delays: Float64Array;
  /** Faults to be applied at `time`, in order. */
  readonly faults: readonly ResolvedFault[];
  /** Commands for hosts, in order of id; each worker takes its own. */
  readonly commands: readonly PostedCommand[];
}

/** What a worker reports when its window is done. */
export interface BatchResult {
  /** Everything before this time is done. The same in every worker. */
  readonly time: Time;
  /** The batch wants to stop here: `end`, or the grid time after an event. */
  readonly stop: Time;
  readonly windows: number;
  /** When something happened last in this worker. */
  readonly last: Time;
  /** What was watched for and has happened here. */
  readonly seen: number;
  readonly events: readonly HostEvent[];
  readonly capture: CaptureBatch;
}

/**
 * Runs windows until the end of the order, a grid point after an event, or a pause. Workers' windows end at different
 * times; a batch ends for all at one. Who is ahead of the others when somebody asks for a pause says where that is.
 */
export function runBatch(partition: Partition, exchange: Exchange, order: BatchOrder): BatchResult {
  const { profile } = partition;
  const { grid, watch } = order;
  profile?.enter("programs");
  partition.startBatch(order);
  exchange.begin(order.delays);
  let time = order.time;
  let stop = order.end;
  // Faults are events, too; they have happened before any window.
  let pause = (watch & WATCH.event) !== 0 && order.faults.length > 0 ? order.time + 1 : order.pause;
  let windowStart = time;
  let windows = 0;
  for (; ; windows++) {
    const flags =
      (partition.takeEmitted() ? FLAG_EVENT : 0) |
      (partition.capturedBytes > CAPTURE_LIMIT ? FLAG_FULL : 0) |
      (partition.wantsPause ? FLAG_PAUSE : 0);
    profile?.enter("exchange");
    const agreed = exchange.agree(partition.nextEvent(), flags, time);
    if (grid > 0 && (agreed.flags & FLAG_EVENT) !== 0) stop = Math.min(stop, gridAfter(windowStart, grid));
    // A fault may have been what is watched for, before any window: the rest of its instant belongs to it.
    if ((agreed.flags & (FLAG_FULL | FLAG_PAUSE)) !== 0 || windows >= MAX_WINDOWS)
      pause = Math.min(pause, Math.max(agreed.clock, order.time + 1));
    if ((watch & WATCH.event) !== 0) pause = Math.min(pause, agreed.nextEvent + 1);
    const limit = Math.min(stop, pause);
    if (agreed.nextEvent >= limit) {
      time = limit;
      break;
    }
    windowStart = agreed.nextEvent;
    let end = Math.min(agreed.windowEnd, windowStart + MAX_WINDOW, limit);
    if (grid > 0) end = Math.min(end, gridAfter(windowStart, grid));
    // Nobody can be ahead of what another worker stops for.
    if (watch !== 0 && exchange.shared) end = Math.min(end, windowStart + 1);
    if (end > time) time = partition.runWindow(end);
  }
  partition.setClock(time);
  const { last, seen } = partition;
  return { time, stop, windows, last, seen, events: partition.takeEvents(), capture: partition.takeCaptures() };
}
