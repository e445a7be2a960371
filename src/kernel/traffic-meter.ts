/** A host's meter over its handle in the kernel (assembly/socket/meter-border.ts). */
import * as abi from "../../assembly/abi.ts";
import { assert, errnoName } from "../base/errors.ts";
import type { Host } from "./host.ts";
import { check, refuse } from "./memory.ts";
import type { DatagramFlow, GroupDelays, RequestFlow, TrafficMeter, TrafficSeen, TrafficSent } from "./meter-types.ts";
import type { NetNs } from "./types.ts";

/** Bytes of a measured datagram's header. */
export const MEASURED_HEADER: number = abi.METER_HEADER;

/** The longest payload of a datagram: 65535 less the headers of IP and UDP. */
const MAX_PAYLOAD = 65_507;

/** A meter of one host; it holds memory of the kernel until it is closed. */
export class KernelMeter implements TrafficMeter {
  readonly #host: Host;
  readonly #closed: (meter: KernelMeter) => void;
  #handle: number;

  /** @param closed is told when it is closed */
  constructor(host: Host, closed: (meter: KernelMeter) => void) {
    this.#host = host;
    this.#closed = closed;
    this.#handle = host.kernel.exports.meterNew(host.handle);
  }

  listen(ns: NetNs, port: number, tag: number): void {
    check(this.#exports.meterListen(this.#open, this.#handleOf(ns), port, tag), "bind");
  }

  generate(ns: NetNs, flow: DatagramFlow): void {
    const { size, poisson } = flow;
    if (!(Number.isInteger(size) && size >= 0 && size <= MAX_PAYLOAD)) refuse("EMSGSIZE", "generate");
    assert(flow.startIn >= 0 && flow.interval > 0, "a flow starts now or later", flow.startIn, flow.interval);
    const result = this.#exports.meterGenerate(
      this.#open,
      this.#handleOf(ns),
      flow.flow,
      flow.group,
      flow.port,
      flow.to,
      flow.toPort,
      size,
      flow.startIn,
      flow.endIn,
      flow.interval,
      poisson === undefined ? 0 : 1,
      poisson?.[0] ?? 0,
      poisson?.[1] ?? 0,
    );
    check(result, "generate");
  }

  serve(ns: NetNs, port: number, tag: number, response: number): void {
    check(this.#exports.meterServe(this.#open, this.#handleOf(ns), port, tag, response), "listen");
  }

  request(ns: NetNs, flow: RequestFlow): void {
    const { ports, seed } = flow;
    assert(flow.startIn >= 0 && flow.interval > 0, "a flow starts now or later", flow.startIn, flow.interval);
    assert(ports.count > 0 && ports.first + ports.step * (ports.count - 1) < 65_536, "source ports", ports.first);
    this.#exports.meterRequest(
      this.#open,
      this.#handleOf(ns),
      flow.flow,
      flow.group,
      ports.first,
      ports.step,
      ports.count,
      flow.to,
      flow.toPort,
      flow.response,
      flow.startIn,
      flow.endIn,
      flow.interval,
      seed[0],
      seed[1],
    );
  }

  failures(): { readonly cause: string; readonly count: number }[] {
    const at = this.#exports.meterFailures(this.#open);
    if (at === 0) return [];
    const { mem } = this.#host.kernel;
    const counts = Array.from({ length: abi.METER_ERRORS }, (_, errno) => mem.f64(at + 8 * errno));
    return counts.flatMap((count, errno) => (count === 0 ? [] : [{ cause: errnoName(errno), count }]));
  }

  sent(): TrafficSent[] {
    const { mem } = this.#host.kernel;
    const read = (at: number): TrafficSent => ({
      flow: mem.u32(at + abi.METER_SENT_FLOW),
      sent: mem.f64(at + abi.METER_SENT_COUNT),
      failed: mem.f64(at + abi.METER_SENT_FAILED),
      received: mem.f64(at + abi.METER_SENT_RECEIVED),
      bytes: mem.f64(at + abi.METER_SENT_BYTES),
    });
    return this.#list(abi.METER_SENT_RECORD, (skip) => this.#exports.meterSent(this.#open, skip), read);
  }

  seen(): TrafficSeen[] {
    const { mem } = this.#host.kernel;
    const read = (at: number): TrafficSeen => ({
      flow: mem.u32(at + abi.METER_SEEN_FLOW),
      tag: mem.u32(at + abi.METER_SEEN_TAG),
      count: mem.f64(at + abi.METER_SEEN_COUNT),
      bytes: mem.f64(at + abi.METER_SEEN_BYTES),
      reordered: mem.u32(at + abi.METER_SEEN_REORDERED),
      duplicates: mem.u32(at + abi.METER_SEEN_DUPLICATES),
    });
    return this.#list(abi.METER_SEEN_RECORD, (skip) => this.#exports.meterSeen(this.#open, skip), read);
  }

  delays(): GroupDelays[] {
    const { mem } = this.#host.kernel;
    const out: GroupDelays[] = [];
    for (let group = 0; group < abi.METER_GROUPS; group++) {
      const buckets = this.#exports.meterDelays(this.#open, group);
      if (buckets === 0) continue;
      const at = this.#exports.scratch();
      const bytes = mem.copy(at + abi.METER_DELAYS, 4 * buckets);
      const [count, sum, min, max] = [mem.f64(at), mem.f64(at + 8), mem.f64(at + 16), mem.f64(at + 24)];
      out.push({ group, counts: new Uint32Array(bytes.buffer), count, sum, min, max });
    }
    return out;
  }

  strays(): number {
    return this.#exports.meterStrays(this.#open);
  }

  close(): void {
    if (this.#handle === 0) return;
    this.#exports.meterFree(this.#handle);
    this.#handle = 0;
    this.#closed(this);
  }

  get #exports(): Host["kernel"]["exports"] {
    return this.#host.kernel.exports;
  }

  get #open(): number {
    assert(this.#handle !== 0, "the meter is open");
    return this.#handle;
  }

  #handleOf(ns: NetNs): number {
    const { handle, owner } = this.#host.kernel.namespaceOf(ns);
    assert(owner === this.#host, "a namespace of the meter's host", ns.name);
    return handle;
  }

  #list<T>(size: number, fetch: (skip: number) => number, read: (at: number) => T): T[] {
    const out: T[] = [];
    for (let count = fetch(0); count > 0; count = fetch(out.length)) {
      const at = this.#exports.scratch();
      for (let i = 0; i < count; i++) out.push(read(at + i * size));
    }
    return out;
  }
}
