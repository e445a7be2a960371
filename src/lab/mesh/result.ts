/** What came of a mesh: the reports of all hosts as one, as plain data. */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { IpvsScheduler } from "../../kernel/ipvs-types.ts";
import type { LinkSummary, SimCounters } from "../../scheduler/counters.ts";
import { Histogram } from "../../workload/histogram.ts";
import type { MeshFlow, MeshOptions, MeshPlan, MeshReport, TrafficKind } from "../../workload/mesh/types.ts";
import type { MeshPhase } from "./session.ts";
import { meshHostName } from "./topology.ts";

/** Delays of all flows of one class, ns. */
export interface DelaySummary {
  readonly count: number;
  readonly min: Time;
  readonly mean: Time;
  readonly p50: Time;
  readonly p90: Time;
  readonly p99: Time;
  readonly p999: Time;
  readonly max: Time;
}

/** One flow. */
export interface FlowOutcome {
  readonly flow: number;
  readonly kind: TrafficKind;
  /** Sending container, and its host. */
  readonly from: number;
  readonly fromHost: string;
  /** Address that was called. */
  readonly to: string;
  /** Name of the service whose VIP that is; null for a container's own address. */
  readonly service: string | null;
  readonly encrypted: boolean;
  readonly sent: number;
  readonly failed: number;
  readonly received: number;
  /** Payload received. */
  readonly bytes: number;
  /** Datagrams that came behind a later one, or once more. */
  readonly reordered: number;
  readonly duplicates: number;
  /** Payload received, bits a second of the flow's duration. */
  readonly throughput: number;
}

/** All flows of one kind, to a VIP or not, encrypted or not. */
export interface FlowClass {
  readonly kind: TrafficKind;
  readonly viaVip: boolean;
  readonly encrypted: boolean;
  readonly flows: number;
  readonly sent: number;
  readonly failed: number;
  readonly received: number;
  readonly bytes: number;
  readonly reordered: number;
  readonly duplicates: number;
  /** Of a flow, bits a second. */
  readonly throughput: { readonly min: number; readonly median: number; readonly max: number };
  /** Jain's index of fairness of the throughputs: 1 when all are equal, 1/n when one has everything. */
  readonly fairness: number;
  /** One way for datagrams, request to answer, block to completion; null when none was measured. */
  readonly delays: DelaySummary | null;
}

/** How one service's traffic was spread. */
export interface ServiceBalance {
  readonly service: string;
  readonly vip: string;
  readonly scheduler: IpvsScheduler;
  /** Datagrams and requests that came. */
  readonly received: number;
  /** Connections as IPVS knows them (datagrams of one pair of ports are one), by container of the service, in its order. */
  readonly connections: readonly number[];
  /** Standard deviation by mean; null without connections. */
  readonly variation: number | null;
}

/** How the services of one scheduler spread their traffic. */
export interface SchedulerBalance {
  readonly scheduler: IpvsScheduler;
  readonly services: number;
  readonly backends: number;
  /** Datagrams and requests that came. */
  readonly received: number;
  /** As IPVS knows them: datagrams of one pair of ports are one. */
  readonly connections: number;
  /** Of a backend. */
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  /** Mean over services of the coefficient of variation of their backends' connections; null without connections. */
  readonly variation: number | null;
}

/** Packets while the traffic ran, until what was on its way had arrived. */
export interface MeshPackets {
  /** Made by sockets and kernels, copies included. */
  readonly made: number;
  readonly delivered: number;
  /** Lost: the sum of the drops by reason. */
  readonly dropped: number;
  /** Frames that went from host to host. */
  readonly frames: number;
  /** Devices' transmits that a peer received, see SimCounters.hops. */
  readonly hops: number;
}

/** A link between switches. */
export interface MeshLink extends LinkSummary {
  /** Share of its rate that was used while flows were running; 0 when its rate isn't limited. */
  readonly load: number;
}

/** Wall times and memory of threads: all that isn't the same again. Filled in by whoever has clocks. */
export interface MeshResult {
  readonly control: MeshOptions["control"];
  readonly options: MeshOptions;
  /** Somebody stopped it before its end. */
  readonly cut: boolean;
  readonly phases: readonly MeshPhase[];
  /** Undefined when it was stopped before the traffic. */
  readonly packets: MeshPackets | undefined;
  /** Packets lost while the traffic ran, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  readonly classes: readonly FlowClass[];
  /** Why requests and connections failed, `rr ECONNREFUSED` for example. */
  readonly failures: Readonly<Record<string, number>>;
  /** Datagrams to receivers of the mesh that belong to no flow. */
  readonly strays: number;
  readonly schedulers: readonly SchedulerBalance[];
  readonly services: readonly ServiceBalance[];
  readonly flows: readonly FlowOutcome[];
  /** Links between switches while the traffic ran, by leaf, spine and direction; the most that waited is of the whole run. */
  readonly links: readonly MeshLink[];
  /** Events that the kernels handled while the traffic ran. */
  readonly events: number;
  /** At the end: bytes that the kernels' structures take, and that they hold of their Wasm memories. */
  readonly memory: { readonly used: number; readonly held: number };
}

/** Reasons under which a packet ends as it should, and not as a loss. */
const CONSUMED = /_CONSUMED$/;

interface FlowSums {
  sent: number;
  failed: number;
  received: number;
  bytes: number;
  reordered: number;
  duplicates: number;
}

const FIGURES = ["sent", "failed", "received", "bytes", "reordered", "duplicates"] as const;
const newSums = (): FlowSums => ({ sent: 0, failed: 0, received: 0, bytes: 0, reordered: 0, duplicates: 0 });

interface ClassKey {
  readonly kind: TrafficKind;
  readonly viaVip: boolean;
  readonly encrypted: boolean;
}

const keyOf = ({ kind, viaVip, encrypted }: ClassKey): string => `${kind} ${viaVip} ${encrypted}`;

/** Takes the hosts' reports in any order. */
export class ResultMaker {
  #plan: MeshPlan;
  readonly #flows: FlowSums[];
  readonly #delays = new Map<string, Histogram>();
  /** By service: connections by container, and what came in them. */
  readonly #backends = new Map<number, { readonly connections: Map<number, number>; received: number }>();
  /** Requests and connections that failed, by kind and cause. */
  readonly #failures = new Map<string, number>();
  #strays = 0;
  #before: SimCounters | undefined;
  #ended: SimCounters | undefined;
  #after: SimCounters | undefined;
  /** When the first flow may start. */
  #began: Time = 0;

  constructor(plan: MeshPlan) {
    this.#plan = plan;
    this.#flows = plan.flows.map(() => newSums());
  }

  /** The plan as it has come about, with the same flows. */
  planned(plan: MeshPlan): void {
    this.#plan = plan;
  }

  /** @param at when the first flow may start */
  before(counters: SimCounters, at: Time): void {
    this.#before = counters;
    this.#began = at;
  }

  /** The last flow has ended, or somebody stopped them. */
  ended(counters: SimCounters): void {
    this.#ended = counters;
  }

  after(counters: SimCounters): void {
    this.#after = counters;
  }

  /** There was traffic. */
  get measured(): boolean {
    return this.#after !== undefined;
  }

  /** Adds a host's report. */
  add(report: MeshReport): void {
    for (const { flow, sent, failed, received, bytes, reordered = 0, duplicates = 0 } of report.flows) {
      const sums = this.#flows[flow] as FlowSums;
      sums.sent += sent;
      sums.failed += failed;
      sums.received += received;
      sums.bytes += bytes;
      sums.reordered += reordered;
      sums.duplicates += duplicates;
    }
    for (const part of report.delays) {
      let histogram = this.#delays.get(keyOf(part));
      if (histogram === undefined) {
        histogram = new Histogram();
        this.#delays.set(keyOf(part), histogram);
      }
      histogram.merge(part.delays);
    }
    for (const { service, container, count, connections } of report.backends) {
      const backends = this.#backends.get(service) ?? { connections: new Map<number, number>(), received: 0 };
      backends.connections.set(container, (backends.connections.get(container) ?? 0) + connections);
      backends.received += count;
      this.#backends.set(service, backends);
    }
    for (const { kind, cause, count } of report.failures ?? []) {
      const key = `${kind} ${cause}`;
      this.#failures.set(key, (this.#failures.get(key) ?? 0) + count);
    }
    this.#strays += report.strays ?? 0;
  }

  /** @param counters at the end */
  result(phases: readonly MeshPhase[], cut: boolean, counters: SimCounters): MeshResult {
    const { options } = this.#plan;
    const flows = this.measured ? this.#plan.flows.map((flow) => this.#outcome(flow)) : [];
    const services = this.measured ? this.#balances() : [];
    return {
      control: options.control,
      options,
      cut,
      phases,
      packets: this.#packets(),
      drops: this.#drops(),
      classes: this.#classes(flows),
      failures: Object.fromEntries([...this.#failures].sort(([a], [b]) => (a < b ? -1 : 1))),
      strays: this.#strays,
      schedulers: bySchedulers(services),
      services,
      flows,
      links: this.#links(),
      events: (this.#after?.events ?? 0) - (this.#before?.events ?? 0),
      memory: { used: counters.memory, held: counters.memoryHeld },
    };
  }

  #outcome(flow: MeshFlow): FlowOutcome {
    const { containers, networks, services, options } = this.#plan;
    const sums = this.#flows[flow.id] as FlowSums;
    const service = "service" in flow.to ? services[flow.to.service] : undefined;
    const to: Ipv4 = service?.vip ?? ("container" in flow.to ? (containers.ip[flow.to.container] as number) : 0);
    return {
      flow: flow.id,
      kind: flow.kind,
      from: flow.from,
      fromHost: meshHostName(containers.host[flow.from] as number),
      to: formatIpv4(to),
      service: service?.name ?? null,
      encrypted: networks[containers.network[flow.from] as number]?.encrypted ?? false,
      ...sums,
      throughput: Math.round((8 * sums.bytes * SEC) / options.duration),
    };
  }

  #classes(flows: readonly FlowOutcome[]): FlowClass[] {
    const classes = new Map<string, ClassKey & { readonly flows: FlowOutcome[] }>();
    for (const flow of flows) {
      const key = { kind: flow.kind, viaVip: flow.service !== null, encrypted: flow.encrypted };
      const found = classes.get(keyOf(key)) ?? { ...key, flows: [] };
      found.flows.push(flow);
      classes.set(keyOf(key), found);
    }
    const sorted = [...classes].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([key, { flows: own, ...which }]) => ({
      ...which,
      flows: own.length,
      ...sumOf(own),
      ...throughputs(own.map(({ throughput }) => throughput)),
      delays: summary(this.#delays.get(key)),
    }));
  }

  #balances(): ServiceBalance[] {
    return this.#plan.services.map(({ name, vip, scheduler, containers }, index) => {
      const came = this.#backends.get(index);
      const connections = Array.from(containers, (container) => came?.connections.get(container) ?? 0);
      return {
        ...{ service: name, vip: formatIpv4(vip), scheduler, received: came?.received ?? 0, connections },
        variation: variation(connections),
      };
    });
  }

  #packets(): MeshPackets | undefined {
    const [before, after] = [this.#before, this.#after];
    if (before === undefined || after === undefined) return undefined;
    return {
      made: after.packetsMade - before.packetsMade,
      delivered: after.packetsDelivered - before.packetsDelivered,
      dropped: Object.values(this.#drops()).reduce((sum, count) => sum + count, 0),
      frames: after.framesCarried - before.framesCarried,
      hops: after.hops - before.hops,
    };
  }

  #links(): MeshLink[] {
    const [before, after] = [this.#before?.links ?? [], this.#after?.links ?? []];
    const ended = this.#ended ?? this.#after;
    const capacity = (this.#plan.options.underlay.uplinkBandwidth * ((ended?.time ?? 0) - this.#began)) / SEC;
    return after.map((link, i) => {
      const { frames = 0, bytes = 0, drops = 0 } = before[i] ?? {};
      const carried = (ended?.links[i]?.bytes ?? 0) - bytes;
      return {
        ...{ ...link, frames: link.frames - frames, bytes: link.bytes - bytes, drops: link.drops - drops },
        load: capacity > 0 ? (8 * carried) / capacity : 0,
      };
    });
  }

  #drops(): Record<string, number> {
    const [before, after] = [this.#before?.drops ?? {}, this.#after?.drops ?? {}];
    const drops: Record<string, number> = {};
    for (const [reason, count] of Object.entries(after)) {
      const lost = count - (before[reason] ?? 0);
      if (lost > 0 && !CONSUMED.test(reason)) drops[reason] = lost;
    }
    return drops;
  }
}

function sumOf(flows: readonly FlowOutcome[]): FlowSums {
  const sums = newSums();
  for (const flow of flows) for (const figure of FIGURES) sums[figure] += flow[figure];
  return sums;
}

/** Least, median and greatest, and Jain's index (Jain, Chiu, Hawe 1984): (Σx)² / (n · Σx²). */
function throughputs(values: readonly number[]): Pick<FlowClass, "throughput" | "fairness"> {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? 0;
  const high = sorted[Math.floor(middle)] ?? 0;
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return {
    throughput: { min: sorted[0] ?? 0, median: (low + high) / 2, max: sorted.at(-1) ?? 0 },
    fairness: squares === 0 ? 1 : (sum * sum) / (values.length * squares),
  };
}

function summary(histogram: Histogram | undefined): DelaySummary | null {
  if (histogram === undefined || histogram.count === 0) return null;
  const at = (percent: number): number => histogram.percentile(percent);
  const { count, min, mean, max } = histogram;
  return { count, min, mean: Math.round(mean), p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max };
}

/** Coefficient of variation: standard deviation by mean. */
function variation(values: readonly number[]): number | null {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (!(mean > 0)) return null;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return Math.sqrt(variance) / mean;
}

function bySchedulers(services: readonly ServiceBalance[]): SchedulerBalance[] {
  const names = [...new Set(services.map(({ scheduler }) => scheduler))];
  return names.map((scheduler) => {
    const own = services.filter((service) => service.scheduler === scheduler);
    const counts = own.flatMap(({ connections }) => connections);
    const sum = counts.reduce((total, count) => total + count, 0);
    const variations = own.flatMap((service) => service.variation ?? []);
    return {
      scheduler,
      services: own.length,
      backends: counts.length,
      received: own.reduce((total, { received }) => total + received, 0),
      connections: sum,
      min: counts.reduce((least, count) => Math.min(least, count), counts[0] ?? 0),
      mean: counts.length === 0 ? 0 : sum / counts.length,
      max: counts.reduce((most, count) => Math.max(most, count), 0),
      variation: variations.length === 0 ? null : variations.reduce((a, b) => a + b, 0) / variations.length,
    };
  });
}
