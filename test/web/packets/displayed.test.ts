/** Positions in the list and places in the recording. */
import { expect, it } from "vitest";
import { Displayed } from "../../../web/page/packets/displayed.ts";

it("shows all frames without a filter", () => {
  const displayed = new Displayed();
  displayed.grow(5);
  expect([displayed.count, displayed.filtered]).toEqual([5, false]);
  expect([-1, 0, 4, 5].map((position) => displayed.index(position))).toEqual([undefined, 0, 4, undefined]);
  expect([0, 4, 5].map((index) => displayed.position(index))).toEqual([0, 4, undefined]);
});

it("shows what a filter found, and knows what comes after a frame that it left out", () => {
  const displayed = new Displayed();
  displayed.grow(100);
  displayed.show([3, 10, 11, 90]);
  expect([displayed.count, displayed.all, displayed.filtered]).toEqual([4, 100, true]);
  expect([0, 3, 4].map((position) => displayed.index(position))).toEqual([3, 90, undefined]);
  expect([3, 11, 90, 12, 0, 99].map((index) => displayed.position(index))).toEqual([
    0,
    2,
    3,
    undefined,
    undefined,
    undefined,
  ]);
  expect([0, 3, 4, 12, 91].map((index) => displayed.after(index))).toEqual([0, 0, 1, 3, 4]);
  displayed.clear();
  expect(displayed.count).toBe(100);
});
