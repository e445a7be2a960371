/** When the page looks at the swarm: one look at a time, as often as there is something to see. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { delaysOf, Looker } from "../../../web/page/swarm/looker.ts";
import type { SceneLook, SceneTopology, SceneUpdate } from "../../../web/session/scene/protocol.ts";

const TOPOLOGY: SceneTopology = {
  hosts: ["a", "b"].map((name) => ({
    name,
    leaf: 0,
    wires: [{ point: "host/eth0", device: "eth0", segment: "underlay", address: "", latency: 50_000, bandwidth: 1e10 }],
  })),
  fabric: undefined,
};

/** A session that tells what it is asked, and answers when it is told to. */
class Session {
  readonly looks: SceneLook[] = [];
  readonly took: { readonly wall: number; readonly slow: boolean }[] = [];
  readonly errors: unknown[] = [];
  /** Virtual ns per ms of wall time. */
  rate = 1e6;
  more = false;
  /** What the next answers wait for. */
  hold: Promise<void> = Promise.resolve();
  failure: Error | undefined;
  #last = 0;

  async scene(look: SceneLook): Promise<SceneUpdate> {
    this.looks.push(look);
    await this.hold;
    if (this.failure !== undefined) throw this.failure;
    const now = performance.now();
    const span = (now - this.#last) * this.rate;
    this.#last = now;
    return { now, span, more: this.more } as unknown as SceneUpdate;
  }
}

describe("the looker", () => {
  let session: Session;
  let looker: Looker;
  beforeEach(() => {
    vi.useFakeTimers();
    session = new Session();
    looker = new Looker({
      scene: (look) => session.scene(look),
      near: () => ["a"],
      took: (_, wall, slow) => session.took.push({ wall, slow }),
      failed: (error) => session.errors.push(error),
    });
  });
  afterEach(() => vi.useRealTimers());

  it("looks at nothing before a lab is open, or while it isn't shown", async () => {
    looker.show(true);
    looker.status(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(session.looks).toEqual([]);
    looker.open(TOPOLOGY);
    looker.show(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(session.looks).toEqual([]);
  });

  it("begins anew with a lab, and looks once while time stands", async () => {
    looker.show(true);
    looker.open(TOPOLOGY);
    await vi.advanceTimersByTimeAsync(1000);
    expect(session.looks.map(({ fresh, near }) => [fresh, near])).toEqual([[true, ["a"]]]);
    for (let i = 0; i < 5; i++) looker.status(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(session.looks.map(({ fresh }) => fresh)).toEqual([true, false]);
    looker.open(TOPOLOGY);
    await vi.advanceTimersByTimeAsync(1000);
    expect(session.looks.map(({ fresh }) => fresh)).toEqual([true, false, true]);
  });

  it("looks four times a second while time runs, for flows; more often while it is slow, for packets", async () => {
    looker.show(true);
    looker.open(TOPOLOGY);
    looker.status(true);
    await vi.advanceTimersByTimeAsync(2000);
    const fast = session.looks.length;
    expect(fast).toBeGreaterThanOrEqual(7);
    expect(fast).toBeLessThanOrEqual(10);
    expect(session.looks.at(-1)?.packets).toBe(0);
    expect(session.took.at(-1)?.slow).toBe(false);
    session.rate = 20;
    await vi.advanceTimersByTimeAsync(2000);
    expect(session.looks.length - fast).toBeGreaterThan(25);
    expect(session.looks.at(-1)?.packets).toBeGreaterThan(100_000);
    expect(session.took.at(-1)?.slow).toBe(true);
  });

  it("waits for an answer before it asks again, and asks at once where there is more", async () => {
    let answer = (): void => {};
    session.hold = new Promise((resolve) => {
      answer = resolve;
    });
    looker.show(true);
    looker.open(TOPOLOGY);
    looker.status(true);
    await vi.advanceTimersByTimeAsync(3000);
    looker.soon();
    await vi.advanceTimersByTimeAsync(3000);
    expect(session.looks).toHaveLength(1);
    session.more = true;
    answer();
    await vi.advanceTimersByTimeAsync(100);
    expect(session.looks.length).toBeGreaterThan(5);
  });

  it("tells of a failure, but not of a lab that was closed", async () => {
    looker.show(true);
    looker.open(TOPOLOGY);
    session.failure = new Error("no lab is open");
    let answer = (): void => {};
    session.hold = new Promise((resolve) => {
      answer = resolve;
    });
    await vi.advanceTimersByTimeAsync(100);
    looker.open(TOPOLOGY);
    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(session.errors).toEqual([]);
    await vi.advanceTimersByTimeAsync(100);
    expect(session.errors).toHaveLength(1);
  });

  it("knows how long packets take", () => {
    expect(delaysOf(TOPOLOGY)).toEqual({ least: 50_000, most: 100_000 });
    const fabric = { leaves: 1, spines: 1, latency: 5000 };
    expect(delaysOf({ ...TOPOLOGY, fabric })).toEqual({ least: 50_000, most: 110_000 });
  });
});
