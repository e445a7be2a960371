/** When a capture that grows is given to the dissectors again. */

/** Frames that are loaded as one capture; of more, a part is. */
export const WHOLE_FRAMES = 100_000;
/**
 * Of a larger capture: what is loaded around the packet that is looked at, and what a display filter goes through at a
 * time. About a second, for which the dissectors hear nothing else.
 */
export const PART_FRAMES = 20_000;

/** While time passes, a load may take a fifth of a processor at most, and a second passes between two. */
const REST = 4;
const LEAST_REST_MS = 1000;

/** Places of frames: `to` is behind the last one. */
export interface FrameRange {
  readonly from: number;
  readonly to: number;
}

/** How the capture and the last load stand. */
export interface LoadState {
  readonly frames: number;
  readonly running: boolean;
  /** What is loaded. */
  readonly loaded: FrameRange | undefined;
  /** Since the last load ended, and how long it took: milliseconds. */
  readonly since: number;
  readonly cost: number;
}

/** Whether all of the capture is to be loaded now, without anybody asking. */
export function loadDue({ frames, running, loaded, since, cost }: LoadState): boolean {
  if (frames === 0 || frames > WHOLE_FRAMES) return false;
  if (loaded !== undefined && loaded.from === 0 && loaded.to >= frames) return false;
  return !running || since >= Math.max(LEAST_REST_MS, REST * cost);
}

/** What to load to see a packet: all of it where that can be. */
export function rangeAround(index: number, frames: number): FrameRange {
  if (frames <= WHOLE_FRAMES) return { from: 0, to: frames };
  const from = Math.max(0, Math.min(index - PART_FRAMES / 2, frames - PART_FRAMES));
  return { from, to: from + PART_FRAMES };
}

/** Whether a packet is in what is loaded. */
export function covers(range: FrameRange | undefined, index: number): boolean {
  return range !== undefined && index >= range.from && index < range.to;
}
