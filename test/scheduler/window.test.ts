import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FOREVER, type Time } from "../../src/base/time.ts";
import { closeDelays, gridAfter, windowEnd } from "../../src/scheduler/window.ts";

/** An event of the model: what it causes follows from its number. */
interface Event {
  readonly time: Time;
  readonly worker: number;
  readonly id: number;
}

interface Model {
  readonly workers: number;
  readonly direct: readonly Time[];
  readonly first: readonly Event[];
  /** How far into the future of the earliest event a window may reach. */
  readonly longest: Time;
}

const GENERATIONS = 6;

/** From 0 to 1, of an event and what it is for (murmur3's finalizer). */
function hash(id: number, salt: number): number {
  let h = Math.imul(id, 31) + salt;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

/** What an event causes: something in its own worker, at once or later, and a frame to another worker. */
function caused({ direct, workers }: Model, event: Event): Event[] {
  const generation = Math.floor(event.id / 1e6);
  if (generation >= GENERATIONS) return [];
  const next = (1 + generation) * 1e6 + ((2 * event.id) % 500_000);
  const out: Event[] = [];
  if (hash(event.id, 1) < 0.5) {
    out.push({ time: event.time + Math.floor(hash(event.id, 2) * 60), worker: event.worker, id: next });
  }
  const to = Math.floor(hash(event.id, 3) * workers);
  const delay = direct[event.worker * workers + to] as Time;
  if (to !== event.worker && delay < FOREVER) {
    const late = hash(event.id, 4) < 0.7 ? 0 : Math.floor(hash(event.id, 5) * 40);
    out.push({ time: event.time + delay + late, worker: to, id: next + 1 });
  }
  return out;
}

const before = (a: Event, b: Event): number => a.time - b.time || a.id - b.id;

/** All events in order, by worker: what has to come out. */
function inOneQueue(model: Model): string[][] {
  const queue = [...model.first];
  const done: string[][] = Array.from({ length: model.workers }, () => []);
  while (queue.length > 0) {
    queue.sort(before);
    const event = queue.shift() as Event;
    done[event.worker]?.push(`${event.time} ${event.id}`);
    queue.push(...caused(model, event));
  }
  return done;
}

/** The same by windows: what batch.ts and the kernel do. */
function byWindows(model: Model, returns: (delay: Time) => Time = (delay) => delay) {
  const { workers } = model;
  const delays = closeDelays(model.direct, workers);
  const queues = Array.from({ length: workers }, (_, i) => model.first.filter(({ worker }) => worker === i));
  const clocks = new Array<Time>(workers).fill(0);
  const done: string[][] = queues.map(() => []);
  let sent: Event[] = [];
  let [late, backwards, meetings] = [0, 0, 0];
  for (; ; meetings++) {
    for (const frame of sent) {
      if (frame.time < (clocks[frame.worker] as Time)) late++;
      queues[frame.worker]?.push(frame);
    }
    sent = [];
    const events = Float64Array.from(queues, (queue) => Math.min(FOREVER, ...queue.map(({ time }) => time)));
    const earliest = Math.min(...events);
    if (earliest === FOREVER) return { done, late, backwards, meetings };
    queues.forEach((queue, i) => {
      let end = Math.min(windowEnd(i, events, delays), earliest + model.longest);
      if (end < (clocks[i] as Time)) backwards++;
      for (;;) {
        queue.sort(before);
        if (queue[0] === undefined || queue[0].time >= end) break;
        const event = queue.shift() as Event;
        done[i]?.push(`${event.time} ${event.id}`);
        for (const next of caused(model, event)) {
          if (next.worker === i) queue.push(next);
          else {
            sent.push(next);
            end = Math.min(end, next.time + returns(delays[next.worker * workers + i] as Time));
          }
        }
      }
      clocks[i] = Math.max(end, clocks[i] as Time);
    });
  }
}

const models = fc
  .record({ workers: fc.integer({ min: 2, max: 5 }), seed: fc.integer(), longest: fc.integer({ min: 1, max: 5000 }) })
  .chain(({ workers, longest }) =>
    fc
      .record({
        direct: fc.array(
          fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 50, max: 300 }), fc.constant(FOREVER)),
          { minLength: workers * workers, maxLength: workers * workers },
        ),
        starts: fc.array(fc.tuple(fc.nat(2000), fc.nat(workers - 1)), { minLength: 1, maxLength: 12 }),
      })
      .map(({ direct, starts }): Model => {
        const first = starts.map(([time, worker], id) => ({ time, worker, id: 17 * id }));
        return { workers, direct, first, longest };
      }),
  );

describe("windows", () => {
  it("let every worker do the same as one queue would, and no frame come too late", () => {
    fc.assert(
      fc.property(models, (model) => {
        const { done, late, backwards } = byWindows(model);
        expect(late).toBe(0);
        expect(backwards).toBe(0);
        expect(done).toEqual(inOneQueue(model));
      }),
      { numRuns: 300 },
    );
  });

  it("end when something can come back, and not a moment later", () => {
    // With ways back that are one longer than they are, some frame of some model comes too late.
    const late = fc
      .sample(models, { numRuns: 300, seed: 1 })
      .filter((model) => byWindows(model, (d) => d + 1).late > 0);
    expect(late.length).toBeGreaterThan(0);
  });

  it("are as long as the others' next events allow", () => {
    const delays = closeDelays([FOREVER, 50, 30, FOREVER], 2);
    expect(windowEnd(0, Float64Array.of(100, 1000), delays)).toBe(1030);
    expect(windowEnd(1, Float64Array.of(100, 1000), delays)).toBe(150);
    expect(windowEnd(0, Float64Array.of(100, FOREVER), delays)).toBe(FOREVER);
    expect(windowEnd(0, Float64Array.of(100), closeDelays([FOREVER], 1))).toBe(FOREVER);
  });

  it("count with the shortest way, over other workers too", () => {
    const x = FOREVER;
    const delays = closeDelays([x, 10, 100, x, x, 20, 5, x, x], 3);
    expect([...delays]).toEqual([x, 10, 30, 25, x, 20, 5, 15, x]);
    expect(windowEnd(2, Float64Array.of(0, 15, x), delays)).toBe(30);
  });

  it("need few meetings when only one worker has something to do", () => {
    const first = Array.from({ length: 100 }, (_, i) => ({ time: 100 * i, worker: 0, id: 17 * i + GENERATIONS * 1e6 }));
    const model = { workers: 2, direct: [FOREVER, 10, 10, FOREVER], first, longest: 5000 };
    expect(byWindows(model).meetings).toBe(2);
  });

  it("look at an event at the grid time after it", () => {
    expect(gridAfter(0, 10)).toBe(10);
    expect(gridAfter(9, 10)).toBe(10);
    expect(gridAfter(10, 10)).toBe(20);
  });
});
