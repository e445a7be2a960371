/** What is drawn, from what was taken down. */
import type { Time } from "../../../src/base/time.ts";
import type { Chart, ChartSeries, Charts, Unit } from "./protocol.ts";
import type { Recorder } from "./recorder.ts";
import type { Span, Timeline } from "./timeline.ts";
import { without } from "./timeline.ts";

/** Lines of a chart; what is beyond is one line together. */
const MOST_LINES = 8;
const SEC = 1e9;

/** Reads series off a timeline. */
class Reader {
  readonly #timeline: Timeline;
  /** Of each bucket, the time in ns in which frames could be seen. */
  readonly #open: readonly number[];

  constructor(timeline: Timeline, skips: readonly Span[], now: Time) {
    this.#timeline = timeline;
    this.#open = openTime(timeline, skips, now);
  }

  /** An amount by another one; null where that is 0. */
  ratio(name: string, amount: string, by: string, scale: number): ChartSeries {
    const [above, below] = [this.#timeline.amounts(amount), this.#timeline.amounts(by)];
    const values = Array.from(below, (value, i) => (value > 0 ? (scale * (above[i] as number)) / value : null));
    return { name, values };
  }

  /** An amount of captured frames a second. */
  rate(name: string, amounts: readonly string[]): ChartSeries {
    const all = amounts.map((amount) => this.#timeline.amounts(amount));
    const values = this.#open.map((open, i) =>
      open > 0 ? (SEC * all.reduce((sum, one) => sum + (one[i] as number), 0)) / open : null,
    );
    return { name, values };
  }

  /** The largest of the amounts with a prefix as lines, the others as one. @param nameOf how a line is called */
  largest(
    prefix: string,
    line: (name: string, amounts: readonly string[]) => ChartSeries,
    nameOf = (name: string) => name,
  ) {
    const timeline = this.#timeline;
    const all = timeline
      .names()
      .filter((name) => name.startsWith(prefix))
      .map((amount) => ({ amount, total: timeline.total(amount) }))
      .sort((a, b) => b.total - a.total || (a.amount < b.amount ? -1 : 1));
    const few = all.length > MOST_LINES ? MOST_LINES - 1 : all.length;
    const lines = all.slice(0, few).map(({ amount }) => line(nameOf(amount.slice(prefix.length)), [amount]));
    const rest = all.slice(few);
    if (rest.length === 0) return lines;
    return [
      ...lines,
      line(
        `${rest.length} others`,
        rest.map(({ amount }) => amount),
      ),
    ];
  }

  percentile(name: string, percent: number): ChartSeries {
    const values = this.#open.map((_, i) => this.#timeline.delays(i)?.percentile(percent) ?? null);
    return { name, values };
  }
}

function openTime(timeline: Timeline, skips: readonly Span[], now: Time): number[] {
  const { width, length } = timeline;
  const open: number[] = [];
  let first = 0;
  for (let i = 0; i < length; i++) {
    const span = { from: i * width, to: Math.min((i + 1) * width, now) };
    while ((skips[first]?.to ?? Number.POSITIVE_INFINITY) <= span.from) first++;
    let end = first;
    while ((skips[end]?.from ?? Number.POSITIVE_INFINITY) < span.to) end++;
    open.push(without(span, skips.slice(first, end)).reduce((sum, { from, to }) => sum + to - from, 0));
  }
  return open;
}

function chart(id: Chart["id"], title: string, unit: Unit, about: string, series: readonly ChartSeries[]): Chart {
  return { id, title, unit, about, series };
}

/** All charts as they are now. */
export function chartsOf(recorder: Recorder, now: Time): Charts {
  const { timeline, marks, marksLost, skips, networks } = recorder;
  const reader = new Reader(timeline, skips, now);
  const rate = (name: string, amounts: readonly string[]) => reader.rate(name, amounts);
  const traffic = (kind: string): string => {
    const vni = /^VNI (\d+)$/.exec(kind)?.[1];
    const name = vni === undefined ? undefined : networks.get(Number(vni));
    return name === undefined ? kind : `${name} (${kind})`;
  };
  const perSecond = (name: string, amounts: readonly string[]) => {
    const [amount = ""] = amounts;
    return amounts.length === 1 ? reader.ratio(name, amount, "seen", SEC) : summed(reader, name, amounts);
  };
  const charts = [
    chart("throughput", "Throughput on the wire", "bit/s", ABOUT.throughput, [
      rate("all", ["bits"]),
      ...reader.largest("traffic ", rate, traffic),
    ]),
    chart("hosts", "Throughput by host", "bit/s", ABOUT.hosts, reader.largest("host ", rate)),
    chart("packets", "Packets a second", "packets/s", ABOUT.packets, [
      rate("frames on the wire", ["frames"]),
      reader.ratio("made", "made", "seen", SEC),
      reader.ratio("delivered", "delivered", "seen", SEC),
    ]),
    chart("drops", "Drops by reason", "packets/s", ABOUT.drops, reader.largest("drop ", perSecond)),
    chart("latency", "Time on the wire", "ns", ABOUT.latency, [
      reader.percentile("median", 50),
      reader.percentile("99 %", 99),
      reader.percentile("most", 100),
    ]),
    chart("convergence", "Convergence of gossip", "%", ABOUT.convergence, [
      reader.ratio("members", "members", "members seen", 100),
      reader.ratio("NetworkDB nodes", "nodes", "nodes seen", 100),
      reader.ratio("overlay endpoints", "endpoints", "endpoints seen", 100),
    ]),
    chart("events", "The emulator's events", "events/s", ABOUT.events, [reader.ratio("events", "events", "wall", 1)]),
    chart("speed", "The emulator's speed", "×", ABOUT.speed, [reader.ratio("speed", "virtual", "wall", 1)]),
    chart("memory", "The kernels' memory", "bytes", ABOUT.memory, [
      reader.ratio("in use", "memory", "seen", 1),
      reader.ratio("held", "held", "seen", 1),
    ]),
  ];
  return { width: timeline.width, buckets: timeline.length, now, charts, marks, marksLost, skipped: skips };
}

function summed(reader: Reader, name: string, amounts: readonly string[]): ChartSeries {
  const parts = amounts.map((amount) => reader.ratio("", amount, "seen", SEC).values);
  const first = parts[0] ?? [];
  const sum = (i: number): number => parts.reduce((total, values) => total + (values[i] ?? 0), 0);
  return { name, values: first.map((value, i) => (value === null ? null : sum(i))) };
}

const ABOUT = {
  throughput:
    "Bits of frames that hosts sent on their wires, without check sequence and preamble, by what they carry: an overlay network by its VNI, ESP, gossip (7946), the swarm's control (2377).",
  hosts: "Bits of frames that each host sent on its wire: the hosts that sent most.",
  packets:
    "Frames sent on the wire; packets made by sockets and kernels of all hosts, copies with them, and packets that ended where they should, both sampled.",
  drops: "Packets that were lost, of all hosts, by Linux's reason; sampled.",
  latency:
    "How long unicast frames took from the sender's NIC, its queue included, to the receiver's: the wire's delay, and what it waited. Frames that were lost don't count.",
  convergence:
    "Of what the hosts of the swarm are and have together, how much each of them knows on average: memberlist's members, NetworkDB's nodes, endpoints of the overlay networks in whose traffic it takes part. By number; a table of all hosts says which are stale. Sampled; of more than 100 hosts, 100 at a time.",
  events: "Packet arrivals and kernel timers that the emulator handled in a second of wall time.",
  speed: "Virtual time by wall time: above 1, faster than it would be.",
  memory: "Bytes that the kernels of all workers have in use, and that they hold.",
} as const;
