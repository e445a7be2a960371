/**
 * One host's part in a mesh's traffic: receivers and senders in its containers, and what they measured. It knows containers
 * by their network namespaces alone, so it is the same whether Docker made them or they were placed.
 */
import { assert, UserError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import { FOREVER, SEC, type Time } from "../../base/time.ts";
import type { TrafficMeter } from "../../kernel/meter-types.ts";
import { MEASURED_HEADER } from "../../kernel/traffic-meter.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { HostOs } from "../../scheduler/os.ts";
import type { Proc } from "../../scheduler/process.ts";
import { sendBulk, serveBulk } from "./bulk.ts";
import { IncastReceiver, sendBlocks } from "./incast.ts";
import {
  BULK_PORT,
  DATAGRAM_PORT,
  groupNumber,
  INCAST_PORT,
  indexOf,
  LISTEN_BULK,
  LISTEN_DATAGRAMS,
  LISTEN_INCAST,
  LISTEN_REQUESTS,
  type PlanIndex,
  type PlannedFlow,
  REQUEST_PORT,
  sourcePorts,
} from "./plan-index.ts";
import { Poller } from "./poller.ts";
import { HostResults } from "./results.ts";
import type { TcpTraffic } from "./tcp.ts";
import type { MeshFlow, MeshPlan, MeshReport } from "./types.ts";

/** Smallest datagram (bytes of payload) of the kinds cbr and poisson: it says whose it is and when it was sent. */
export const MIN_DATAGRAM = MEASURED_HEADER;

const STREAM_PORTS = { bulk: BULK_PORT, incast: INCAST_PORT } as const;

/** Receivers and senders of one host. */
export class HostTraffic {
  readonly #os: HostOs;
  readonly #plan: MeshPlan;
  readonly #host: number;
  readonly #nsOf: (container: number) => NetNs;
  readonly #index: PlanIndex;
  readonly #results: HostResults;
  readonly #tcp: TcpTraffic;
  readonly #incast: IncastReceiver[] = [];
  /** When the traffic starts, once that is known. */
  #at: Time = FOREVER;
  #polling = false;
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
    const { options } = plan;
    const datagrams = options.traffic.includes("cbr") || options.traffic.includes("poisson");
    const least = datagrams ? MIN_DATAGRAM : 1;
    if (options.size < least) throw new UserError(`size: ${options.size} bytes; this traffic needs ${least}`);
    this.#index = indexOf(plan);
    this.#results = new HostResults(plan, this.#index);
    this.#tcp = { os, options, index: this.#index, poller: new Poller(), results: this.#results };
  }

  /** Opens all receivers that this host's containers need: those of their own addresses and of their services. */
  listen(): void {
    const { begin, end } = this.#index.containersOf(this.#host);
    for (let container = begin; container < end; container++) {
      const listens = this.#index.listens[container] as number;
      if (listens === 0) continue;
      const ns = this.#nsOf(container);
      if (listens & LISTEN_DATAGRAMS) this.#measure().listen(ns, DATAGRAM_PORT, container);
      if (listens & LISTEN_REQUESTS) this.#measure().serve(ns, REQUEST_PORT, container, this.#plan.options.size);
      if (listens & LISTEN_BULK) serveBulk(this.#polled(), ns, () => this.#at);
      if (listens & LISTEN_INCAST) this.#incast.push(new IncastReceiver(this.#polled(), ns, container));
    }
  }

  /**
   * Starts this host's flows: each its `start` after `at`, until options.duration later.
   * @param at virtual time, not in the past
   */
  start(at: Time): void {
    assert(at >= this.#os.now(), "traffic starts now or later", at, this.#os.now());
    this.#at = at;
    for (const receiver of this.#incast) this.#os.spawn("incast receiver", receiver.run(at));
    for (const planned of this.#index.flowsOf(this.#host)) {
      const { kind } = planned.flow;
      if (kind === "cbr" || kind === "poisson") this.#sendDatagrams(planned, at);
      else if (kind === "rr") this.#sendRequests(planned, at);
      else this.#os.spawn(kind, this.#sendStream(kind, planned, at));
    }
  }

  /** What this host measured. To be asked for at the end of the traffic; later calls give the same. */
  report(): MeshReport {
    if (this.#report === undefined) {
      this.#collect();
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

  /** What TCP traffic needs, with the program that handles its sockets' news. */
  #polled(): TcpTraffic {
    if (!this.#polling) this.#os.spawn("traffic", this.#tcp.poller.run());
    this.#polling = true;
    return this.#tcp;
  }

  #sendStream(kind: "bulk" | "incast", planned: PlannedFlow, at: Time): Proc<void> {
    const { flow } = planned;
    const route = { planned, ns: this.#nsOf(flow.from), to: this.#addressOf(flow), port: STREAM_PORTS[kind] };
    const traffic = this.#polled();
    return kind === "bulk" ? sendBulk(traffic, route, at) : sendBlocks(traffic, route, at);
  }

  #sendDatagrams(planned: PlannedFlow, at: Time): void {
    const { flow } = planned;
    const { rate, size, duration } = this.#plan.options;
    const startIn = at + flow.start - this.#os.now();
    const datagrams = {
      flow: flow.id,
      group: groupNumber(this.#results.groupOf(flow)),
      port: sourcePorts(planned).first,
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

  /** An open loop: a server that is slow meets a queue, not a patient client. */
  #sendRequests(planned: PlannedFlow, at: Time): void {
    const { flow } = planned;
    const { rate, size, duration } = this.#plan.options;
    const startIn = at + flow.start - this.#os.now();
    this.#measure().request(this.#nsOf(flow.from), {
      flow: flow.id,
      group: groupNumber(this.#results.groupOf(flow)),
      ports: sourcePorts(planned),
      to: this.#addressOf(flow),
      toPort: REQUEST_PORT,
      response: size,
      startIn,
      endIn: startIn + duration,
      interval: SEC / rate,
      seed: this.#seedOf(flow),
    });
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
  #collect(): void {
    const meter = this.#meter;
    if (meter === undefined) return;
    for (const { flow, ...sent } of meter.sent()) Object.assign(this.#results.flow(flow), sent);
    for (const { flow, tag, count, bytes, reordered, duplicates } of meter.seen()) {
      const request = this.#index.flow(flow)?.kind === "rr";
      this.#results.backend(flow, tag, count, request ? count : 1);
      // A request is counted where its answer arrives.
      if (request) continue;
      const counts = this.#results.flow(flow);
      counts.received += count;
      counts.bytes += bytes;
      counts.reordered += reordered;
      counts.duplicates += duplicates;
    }
    for (const { cause, count } of meter.failures()) this.#results.failure("rr", cause, count);
    for (const delays of meter.delays()) this.#results.delays(delays.group).merge(delays);
    this.#results.strays = meter.strays();
  }
}
