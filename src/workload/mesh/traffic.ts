/**
 * One host's part in a mesh's traffic: receivers and senders in its containers, and what they measured. It knows containers
 * by their network namespaces alone, so it is the same whether Docker made them or they were placed.
 */
import { assert, UserError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { TrafficMeter } from "../../kernel/meter-types.ts";
import { MEASURED_HEADER } from "../../kernel/traffic-meter.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { HostOs } from "../../scheduler/os.ts";
import {
  DATAGRAM_PORT,
  groupNumber,
  indexOf,
  LISTEN_DATAGRAMS,
  type PlanIndex,
  type PlannedFlow,
  sourcePort,
} from "./plan-index.ts";
import { HostResults } from "./results.ts";
import type { MeshFlow, MeshPlan, MeshReport } from "./types.ts";

/** Smallest datagram (bytes of payload) of the kinds cbr and poisson: it says whose it is and when it was sent. */
export const MIN_DATAGRAM = MEASURED_HEADER;

/** Receivers and senders of one host. */
export class HostTraffic {
  readonly #os: HostOs;
  readonly #plan: MeshPlan;
  readonly #host: number;
  readonly #nsOf: (container: number) => NetNs;
  readonly #index: PlanIndex;
  readonly #results: HostResults;
  #meter: TrafficMeter | undefined;
  #report: MeshReport | undefined;

  /**
   * @param host its index in the plan
   * @param nsOf the network namespace of one of its containers; it stays until the end of the traffic
   * @throws UserError when datagrams are too small to be measured
   */
  constructor(os: HostOs, plan: MeshPlan, host: number, nsOf: (container: number) => NetNs) {
    this.#os = os;
    this.#plan = plan;
    this.#host = host;
    this.#nsOf = nsOf;
    const { size, traffic } = plan.options;
    const datagrams = traffic.includes("cbr") || traffic.includes("poisson");
    if (datagrams && size < MIN_DATAGRAM) throw new UserError(`size: ${size} bytes; a datagram needs ${MIN_DATAGRAM}`);
    this.#index = indexOf(plan);
    this.#results = new HostResults(plan, this.#index);
  }

  /** Opens all receivers that this host's containers need: those of their own addresses and of their services. */
  listen(): void {
    const { begin, end } = this.#index.containersOf(this.#host);
    for (let container = begin; container < end; container++) {
      const listens = this.#index.listens[container] as number;
      if (listens === 0) continue;
      const ns = this.#nsOf(container);
      if (listens & LISTEN_DATAGRAMS) this.#measure().listen(ns, DATAGRAM_PORT, container);
    }
  }

  /**
   * Starts this host's flows: each its `start` after `at`, until options.duration later.
   * @param at virtual time, not in the past
   */
  start(at: Time): void {
    assert(at >= this.#os.now(), "traffic starts now or later", at, this.#os.now());
    for (const planned of this.#index.flowsOf(this.#host)) {
      if (planned.flow.kind === "cbr" || planned.flow.kind === "poisson") this.#sendDatagrams(planned, at);
    }
  }

  /** What this host measured. To be asked for at the end of the traffic; later calls give the same. */
  report(): MeshReport {
    if (this.#report === undefined) {
      this.#collectDatagrams();
      this.#report = this.#results.report();
    }
    return this.#report;
  }

  #measure(): TrafficMeter {
    const { kernel } = this.#os;
    assert(kernel.meter !== undefined, "a kernel that measures traffic", kernel.name);
    this.#meter ??= kernel.meter();
    return this.#meter;
  }

  #sendDatagrams(planned: PlannedFlow, at: Time): void {
    const { flow } = planned;
    const { rate, size, duration } = this.#plan.options;
    const startIn = at + flow.start - this.#os.now();
    const datagrams = {
      flow: flow.id,
      group: groupNumber(this.#results.groupOf(flow)),
      port: sourcePort(planned),
      to: this.#addressOf(flow),
      toPort: DATAGRAM_PORT,
      size,
      startIn,
      endIn: startIn + duration,
      interval: SEC / rate,
    };
    this.#measure().generate(
      this.#nsOf(flow.from),
      flow.kind === "poisson" ? { ...datagrams, poisson: this.#seedOf(flow) } : datagrams,
    );
  }

  #addressOf({ to, id }: MeshFlow): number {
    const address = "service" in to ? this.#plan.services[to.service]?.vip : this.#plan.containers.ip[to.container];
    assert(address !== undefined, "a flow goes to somebody", id);
    return address;
  }

  /** Of the flow's own stream: the same whatever the host does besides. */
  #seedOf({ id }: MeshFlow): readonly [number, number] {
    const random = new Random(`${this.#plan.options.seed}/flow/${id}`);
    return [random.u32(), random.u32()];
  }

  /** Takes over what the kernel has counted. */
  #collectDatagrams(): void {
    const meter = this.#meter;
    if (meter === undefined) return;
    for (const { flow, sent, failed } of meter.sent()) {
      const counts = this.#results.flow(flow);
      counts.sent = sent;
      counts.failed = failed;
    }
    for (const { flow, tag, count, bytes, reordered, duplicates } of meter.seen()) {
      const counts = this.#results.flow(flow);
      counts.received += count;
      counts.bytes += bytes;
      counts.reordered += reordered;
      counts.duplicates += duplicates;
      this.#results.backend(flow, tag, count, 1);
    }
    for (const delays of meter.delays()) this.#results.delays(delays.group).merge(delays);
    this.#results.strays = meter.strays();
  }
}
