/** When a capture that grows is given to the dissectors again. */
import { expect, it } from "vitest";
import {
  covers,
  type LoadState,
  loadDue,
  PART_FRAMES,
  rangeAround,
  WHOLE_FRAMES,
} from "../../../web/page/packets/pacing.ts";

const STATE: LoadState = { frames: 1000, running: false, loaded: undefined, since: 0, cost: 0 };

it("loads at once what stands still, and nothing twice", () => {
  expect(loadDue(STATE)).toBe(true);
  expect(loadDue({ ...STATE, loaded: { from: 0, to: 1000 } })).toBe(false);
  expect(loadDue({ ...STATE, loaded: { from: 0, to: 999 } })).toBe(true);
  expect(loadDue({ ...STATE, frames: 0 })).toBe(false);
});

it("takes a fifth of a processor at most while time passes", () => {
  const running = { ...STATE, running: true, loaded: { from: 0, to: 500 }, cost: 800 };
  expect(loadDue({ ...running, since: 3199 })).toBe(false);
  expect(loadDue({ ...running, since: 3200 })).toBe(true);
  expect(loadDue({ ...running, cost: 1, since: 999 })).toBe(false);
});

it("loads all of a capture, or a part around the packet", () => {
  expect(rangeAround(7, WHOLE_FRAMES)).toEqual({ from: 0, to: WHOLE_FRAMES });
  expect(loadDue({ ...STATE, frames: WHOLE_FRAMES + 1 })).toBe(false);
  const frames = 10 * WHOLE_FRAMES;
  for (const index of [0, 5, 500_000, frames - 1]) {
    const range = rangeAround(index, frames);
    expect(range.to - range.from).toBe(PART_FRAMES);
    expect(range.from >= 0 && range.to <= frames && covers(range, index)).toBe(true);
  }
  expect(covers(undefined, 0)).toBe(false);
});
