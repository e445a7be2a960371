/** Filters over a capture that grows, with dissectors and without them. */
import { beforeEach, describe, expect, it } from "vitest";
import { Displayed } from "../../../web/page/packets/displayed.ts";
import { type FilterDissectors, Filters } from "../../../web/page/packets/filters.ts";
import { type FrameRange, PART_FRAMES, WHOLE_FRAMES } from "../../../web/page/packets/pacing.ts";

/** Selects every so many frames: the filter's text says how many. */
const every = (text: string, from: number, to: number): number[] => {
  const step = Number(text);
  const out: number[] = [];
  for (let index = Math.ceil(from / step) * step; index < to; index += step) out.push(index);
  return out;
};

/** Turns of the event loop, until what runs has ended. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** Dissectors that answer at once, or hold an answer back. */
class FakeDissection implements FilterDissectors {
  ready = true;
  frames = 0;
  loaded: FrameRange | undefined;
  readonly parts: FrameRange[] = [];
  /** Called before each answer. */
  before: () => void = () => {};

  get partial(): boolean {
    return this.frames > WHOLE_FRAMES;
  }
  async check(text: string) {
    return { ok: text !== "wrong", error: "is wrong" };
  }
  async sync(): Promise<void> {
    if (!this.partial && this.loaded?.to !== this.frames) this.loaded = { from: 0, to: this.frames };
  }
  async select(text: string, skip: number, limit: number) {
    this.before();
    const all = every(text, 0, this.loaded?.to ?? 0);
    return { matched: all.length, found: all.slice(skip, skip + limit) };
  }
  async selectFrom(text: string, range: FrameRange) {
    this.parts.push(range);
    return every(text, range.from, range.to);
  }
}

let dissection: FakeDissection;
let displayed: Displayed;
let filters: Filters;
let errors: unknown[];
let searched: number[];
beforeEach(() => {
  dissection = new FakeDissection();
  displayed = new Displayed();
  errors = [];
  searched = [];
  const search = async (text: string, from: number) => {
    if (text === "wrong") throw new Error("is wrong");
    searched.push(from);
    const next = Math.max(from, Math.min(dissection.frames, from + 1000));
    return { found: Uint32Array.from(every(text, from, next)), next };
  };
  const attempt = (action: Promise<unknown>): void => {
    action.catch((error: unknown) => errors.push(error));
  };
  filters = new Filters({ search, attempt }, dissection, displayed, () => {});
});

function grow(frames: number, running = false): void {
  dissection.frames = frames;
  displayed.grow(frames);
  filters.grown(running);
}
const shown = (): number[] => Array.from({ length: displayed.count }, (_, at) => displayed.index(at) ?? -1);

describe("words", () => {
  it("goes on where it was when the capture grows", async () => {
    dissection.ready = false;
    grow(2500);
    await filters.apply(" 100 ");
    await settle();
    expect(shown()).toEqual(every("100", 0, 2500));
    searched.length = 0;
    grow(2700, true);
    await settle();
    expect(searched).toEqual([2500]);
    expect(shown()).toEqual(every("100", 0, 2700));
    expect(filters.pending).toBe(0);
    await filters.apply("");
    expect([displayed.filtered, displayed.count]).toEqual([false, 2700]);
    expect(errors).toEqual([]);
  });

  it("leaves what is shown when the next filter is wrong", async () => {
    dissection.ready = false;
    grow(500);
    await filters.apply("100");
    await settle();
    await expect(filters.apply("wrong")).rejects.toThrow("is wrong");
    expect(filters.text).toBe("100");
    expect(displayed.count).toBe(5);
  });
});

describe("Wireshark's syntax", () => {
  it("is found in chunks, and anew when more was loaded", async () => {
    grow(20_000);
    await filters.apply("2");
    await settle();
    expect(shown()).toEqual(every("2", 0, 20_000));
    grow(30_000);
    await settle();
    expect(shown()).toEqual(every("2", 0, 30_000));
    await expect(filters.apply("wrong")).rejects.toThrow("is wrong");
    expect(errors).toEqual([]);
  });

  it("begins again when something else is loaded in the midst of it", async () => {
    grow(20_000);
    let asked = 0;
    dissection.before = () => {
      if (++asked === 3) {
        dissection.frames = 24_000;
        dissection.loaded = { from: 0, to: 24_000 };
        displayed.grow(24_000);
      }
    };
    await filters.apply("2");
    await settle();
    expect(shown()).toEqual(every("2", 0, 24_000));
    expect(filters.pending).toBe(0);
  });

  it("waits for the end of a run, or until its frames are loaded", async () => {
    await filters.apply("10");
    grow(1000, true);
    await settle();
    expect(displayed.count).toBe(0);
    dissection.loaded = { from: 0, to: 800 };
    dissection.frames = 800;
    filters.reloaded();
    await settle();
    expect(shown()).toEqual(every("10", 0, 800));
    grow(1000, false);
    await settle();
    expect(shown()).toEqual(every("10", 0, 1000));
  });

  it("goes through a large capture part by part, each frame once", async () => {
    const frames = WHOLE_FRAMES + 2.5 * PART_FRAMES;
    grow(frames);
    await filters.apply("1000");
    await settle();
    expect(shown()).toEqual(every("1000", 0, frames));
    expect(dissection.parts[0]).toEqual({ from: 0, to: PART_FRAMES });
    expect(dissection.parts.every(({ from }, at) => from === (dissection.parts[at - 1]?.to ?? 0))).toBe(true);
    // While it grows, a whole part at a time; the rest once it stands.
    const before = dissection.parts.length;
    grow(frames + 10, true);
    await settle();
    expect(dissection.parts.length).toBe(before);
    grow(frames + 10, false);
    await settle();
    expect(dissection.parts.at(-1)).toEqual({ from: frames, to: frames + 10 });
  });

  it("ends a run as soon as another filter is on", async () => {
    grow(WHOLE_FRAMES * 5);
    await filters.apply("1000");
    await filters.apply("2000");
    await settle();
    expect(shown()).toEqual(every("2000", 0, WHOLE_FRAMES * 5));
    expect(dissection.parts.length).toBeLessThan(Math.ceil((WHOLE_FRAMES * 5) / PART_FRAMES) + 5);
  });
});
