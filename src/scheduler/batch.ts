/**
 * A batch of windows: what every worker does between two messages of the coordinator. All workers run the same
 * loop on the same numbers, so they all stop at the same window.
 */
import { FOREVER, MS, type Time } from "../base/time.ts";
import type { CaptureBatch } from "./captures.ts";
import { type Exchange, FLAG_EVENT, FLAG_FULL } from "./exchange.ts";
import type { ResolvedFault } from "./faults.ts";
import type { HostEvent, PostedCommand } from "./machine.ts";
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
  readonly events: readonly HostEvent[];
  readonly capture: CaptureBatch;
}

/**
 * Runs windows until the end of the order, a grid point after an event, or a pause. Workers' windows end at different
 * times; a batch ends for all at one. Who is ahead of the others when somebody asks for a pause says where that is.
 */
export function runBatch(partition: Partition, exchange: Exchange, order: BatchOrder): BatchResult {
  const { profile } = partition;
  const { grid } = order;
  profile?.enter("programs");
  partition.startBatch(order.time, order.faults, order.commands);
  exchange.begin(order.delays);
  let time = order.time;
  let stop = order.end;
  let pause = FOREVER;
  let windowStart = time;
  let windows = 0;
  for (; ; windows++) {
    const flags =
      (partition.takeEmitted() ? FLAG_EVENT : 0) | (partition.capturedBytes > CAPTURE_LIMIT ? FLAG_FULL : 0);
    profile?.enter("exchange");
    const agreed = exchange.agree(partition.nextEvent(), flags, time);
    if (grid > 0 && (agreed.flags & FLAG_EVENT) !== 0) stop = Math.min(stop, gridAfter(windowStart, grid));
    if ((agreed.flags & FLAG_FULL) !== 0 || windows >= MAX_WINDOWS) pause = Math.min(pause, agreed.clock);
    const limit = Math.min(stop, pause);
    if (agreed.nextEvent >= limit) {
      time = limit;
      break;
    }
    windowStart = agreed.nextEvent;
    let end = Math.min(agreed.windowEnd, windowStart + MAX_WINDOW, limit);
    if (grid > 0) end = Math.min(end, gridAfter(windowStart, grid));
    if (end > time) time = partition.runWindow(end);
  }
  partition.setClock(time);
  return { time, stop, windows, events: partition.takeEvents(), capture: partition.takeCaptures() };
}
