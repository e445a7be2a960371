/**
 * Takes down how an emulation goes: frames as they are captured, and between them samples of its counters and of what hosts
 * know by gossip. Looking has no effect on what happens, and takes a bounded share of the time.
 */
import type { Time } from "../../../src/base/time.ts";
import type { HostCensus } from "../../../src/lab/inspect/census.ts";
import type { CaptureSink } from "../../../src/scheduler/captures.ts";
import type { SimCounters } from "../../../src/scheduler/counters.ts";
import type { ChartMark } from "./protocol.ts";
import { type Span, Timeline } from "./timeline.ts";
import { WireMeter } from "./wire.ts";

/** What is sampled. */
export interface Sampled {
  readonly now: Time;
  counters(): Promise<SimCounters>;
  readonly hosts: number;
  /** Of some hosts; undefined of one that takes part in no gossip, or is switched off. */
  census(from: number, to: number): Promise<readonly (HostCensus | undefined)[]>;
}

/** Share of wall time that sampling may take. */
const SHARE = 0.04;
/** What it may take at once beyond that, ms: a short run is sampled often. */
const CREDIT_MS = 60;
/** Wall time without a look after which the emulation stood, ms. */
const STOOD_MS = 400;
/** Reasons under which a packet ends as it should, and not as a loss. */
const CONSUMED = /_CONSUMED$/;
/** Hosts that are asked for their census in a sample: many take turns. */
const ASKED = 100;
const MOST_MARKS = 2000;
/** Wall time over which the emulation's speed is taken, ms. */
const PACE_MS = 20;
const MOST_SKIPS = 4000;

interface Sample {
  readonly counters: SimCounters;
  readonly time: Time;
  /** ms. */
  readonly wall: number;
}

/** The record of one emulation. */
export class Recorder {
  readonly timeline = new Timeline();
  readonly marks: ChartMark[] = [];
  readonly skips: Span[] = [];
  /** Names of overlay networks by their VNIs, of any host. */
  readonly networks = new Map<number, string>();
  readonly #wire: WireMeter;
  readonly #clock: () => number;
  #sampled: Sampled | undefined;
  #last: Sample | undefined;
  /** The sample from which on wall time counts; undefined: from the next one. */
  #paced: Sample | undefined;
  /** The latest of each host. */
  #census: (HostCensus | undefined)[] = [];
  /** Who is asked next. */
  #turn = 0;
  #marksLost = 0;
  #busy = false;
  #looked = 0;
  /** Wall time that sampling may take now, ms, and when that was reckoned. */
  #credit = CREDIT_MS;
  #reckoned: number;
  #next: Time = 0;

  /**
   * @param clock wall time, ms
   * @param natNamespace name of the namespaces that NATs are in
   */
  constructor(clock: () => number, natNamespace: string) {
    this.#clock = clock;
    this.#reckoned = clock();
    this.#wire = new WireMeter(this.timeline, ({ namespace }) => namespace === natNamespace);
  }

  /** What is to be sampled from now on; undefined: nothing any more. */
  watch(sampled: Sampled | undefined): void {
    this.#sampled = sampled;
  }

  get marksLost(): number {
    return this.#marksLost;
  }

  /** Something is done to the emulation. */
  mark(time: Time, kind: ChartMark["kind"], text: string): void {
    if (this.marks.length < MOST_MARKS) this.marks.push({ time, kind, text });
    else this.#marksLost++;
    this.tick();
  }

  /** A sink that hands everything on to another one, and takes down what it sees. */
  tap(sink: CaptureSink): CaptureSink {
    return {
      point: (point) => {
        this.#wire.point(point);
        sink.point(point);
      },
      frame: (frame) => {
        this.#wire.frame(frame);
        sink.frame(frame);
        if (frame.time >= this.#next) this.tick();
      },
      skipped: (from, to, frames) => {
        this.#skipped(from, to);
        sink.skipped?.(from, to, frames);
      },
      association: (association) => sink.association?.(association),
      mark: (mark) => sink.mark?.(mark),
      namespace: (namespace) => sink.namespace?.(namespace),
    };
  }

  /** Spans one behind the other become one when there are too many. */
  #skipped(from: Time, to: Time): void {
    this.skips.push({ from, to });
    if (this.skips.length <= MOST_SKIPS) return;
    const merged: Span[] = [];
    for (let i = 0; i < this.skips.length; i += 2) {
      const [first, second] = [this.skips[i] as Span, this.skips[i + 1]];
      merged.push({ from: first.from, to: (second ?? first).to });
    }
    this.skips.splice(0, this.skips.length, ...merged);
  }

  /** To be called often: samples when time has passed and there is wall time to spare. */
  tick(): void {
    const sampled = this.#sampled;
    if (sampled === undefined || this.#busy) return;
    const wall = this.#clock();
    this.#credit = Math.min(CREDIT_MS, this.#credit + SHARE * (wall - this.#reckoned));
    this.#reckoned = wall;
    const stood = wall - this.#looked > STOOD_MS;
    this.#looked = wall;
    if (sampled.now === this.#last?.time) {
      // Nothing has happened since: wall time counts from here.
      this.#paced = { ...this.#last, wall };
      return;
    }
    if (stood) this.#paced = undefined;
    this.#next = sampled.now + this.timeline.width / 2;
    // An emulation that ends meanwhile has no answer: its last sample is the one before.
    if (this.#credit > 0) this.#sample(sampled).catch(() => this.watch(undefined));
  }

  async #sample(sampled: Sampled): Promise<void> {
    this.#busy = true;
    const began = this.#clock();
    try {
      // Both are asked at once: with one worker they are of the same moment, and read by the time that they are promised.
      const time = sampled.now;
      const first = this.#turn < sampled.hosts ? this.#turn : 0;
      const asked = Promise.all([sampled.counters(), sampled.census(first, first + ASKED)]);
      this.#credit -= this.#clock() - began;
      const [counters, census] = await asked;
      for (const [i, one] of census.entries()) this.#census[first + i] = one;
      this.#turn = first + ASKED;
      const sample = { counters, time, wall: began };
      if (this.#last !== undefined && sample.time > this.#last.time) this.#between(this.#last, sample);
      this.#last = sample;
      this.#paced ??= sample;
    } finally {
      this.#busy = false;
    }
  }

  /** What came to pass between two samples. */
  #between(before: Sample, after: Sample): void {
    const span = { from: before.time, to: after.time };
    const { timeline, skips } = this;
    const gaps = skips.filter(({ to, from }) => to > span.from && from < span.to);
    const spread = (name: string, amount: number): void => timeline.spread(name, span, amount, gaps);
    const seen = gaps.reduce(
      (sum, gap) => sum - (Math.min(gap.to, span.to) - Math.max(gap.from, span.from)),
      span.to - span.from,
    );
    spread("seen", seen);
    spread("made", after.counters.packetsMade - before.counters.packetsMade);
    spread("delivered", after.counters.packetsDelivered - before.counters.packetsDelivered);
    for (const [reason, count] of Object.entries(after.counters.drops)) {
      const more = count - (before.counters.drops[reason] ?? 0);
      if (more > 0 && !CONSUMED.test(reason)) spread(`drop ${reason}`, more);
    }
    spread("memory", after.counters.memory * seen);
    spread("held", after.counters.memoryHeld * seen);
    this.#converge(seen, spread);
    this.#pace(after);
  }

  /** How fast the emulation goes: over intervals long enough for the clock. */
  #pace(after: Sample): void {
    const before = this.#paced;
    const wall = after.wall - (before?.wall ?? 0);
    if (before !== undefined && wall < PACE_MS) return;
    this.#paced = after;
    if (before === undefined) return;
    const span = { from: before.time, to: after.time };
    this.timeline.spread("wall", span, wall / 1000);
    this.timeline.spread("virtual", span, (span.to - span.from) / 1e9);
    this.timeline.spread("events", span, after.counters.events - before.counters.events);
  }

  #converge(seen: number, spread: (name: string, amount: number) => void): void {
    const hosts = this.#census.filter((one) => one !== undefined);
    if (hosts.length === 0) return;
    const figures = convergence(hosts);
    for (const { networks } of hosts) for (const { vni, name } of networks) this.networks.set(vni, name);
    for (const [name, share] of Object.entries(figures)) {
      if (share === undefined) continue;
      spread(name, share * seen);
      spread(`${name} seen`, seen);
    }
  }
}

/** How much of what all hosts together are, or have, each of them knows: 1 when everybody knows everything. */
export function convergence(hosts: readonly HostCensus[]): {
  readonly members: number;
  readonly nodes: number;
  readonly endpoints: number | undefined;
} {
  const all = hosts.length;
  const known = (of: (host: HostCensus) => number): number =>
    hosts.reduce((sum, host) => sum + Math.min(of(host), all), 0) / (all * all);
  const networks = new Map<string, { local: number; readonly known: number[] }>();
  for (const { networks: own } of hosts) {
    for (const { id, local, remote } of own) {
      const network = networks.get(id) ?? { local: 0, known: [] };
      networks.set(id, network);
      network.local += local;
      // Who has no endpoint of its own has no need to know the others'.
      if (local > 0) network.known.push(local + remote);
    }
  }
  let [have, should] = [0, 0];
  for (const { local, known: counts } of networks.values()) {
    should += local * counts.length;
    have += counts.reduce((sum, count) => sum + Math.min(count, local), 0);
  }
  const endpoints = should === 0 ? undefined : have / should;
  return { members: known(({ members }) => members), nodes: known(({ nodes }) => nodes), endpoints };
}
