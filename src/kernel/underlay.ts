/** The kernel's view of the wires: ports and their settings, and the exchange of frames with other workers. */
import { OUT_RECORD } from "../../assembly/abi.ts";
import type { Ipv4, Mac } from "../base/addr.ts";
import { FOREVER, type Time } from "../base/time.ts";
import type { Kernel } from "./kernel.ts";
import { KernelMemory, macHigh, macLow } from "./memory.ts";
import type { WasmMemory } from "./wasm.ts";

/** Settings of a port, in the kernel's units. */
export interface PortSettings {
  readonly down: boolean;
  /** One-way delay, ns; between two ports the larger one counts. */
  readonly latency: Time;
  /** Bits per second; 0 = not limited, taken as 1 Tbit/s. */
  readonly bandwidth: number;
  /** Probability 0…1; between two ports the larger one counts. */
  readonly loss: number;
  /** Bytes on the wire that may wait, in each direction. */
  readonly queueBytes: number;
  /** Ports talk within their group. */
  readonly group: number;
}

/** A fabric's links between leaves and spines, in the kernel's units. */
export interface FabricSettings {
  /** Of the hash that picks spines: 32 bits. */
  readonly seed: number;
  /** 1 … 64. */
  readonly spines: number;
  /** One-way delay of a link, ns. */
  readonly latency: Time;
  /** Bits per second of a link. */
  readonly bandwidth: number;
  /** Bytes on the wire that may wait for a link, in each direction. */
  readonly queueBytes: number;
}

/** What may happen to one link between a leaf and a spine. */
export interface FabricLinkSettings {
  readonly down: boolean;
  readonly latency: Time;
  /** Probability 0…1. */
  readonly loss: number;
}

/** What one direction of a link between a leaf and a spine has carried. */
export interface FabricLinkCounters {
  readonly frames: number;
  /** On the wire: with check sequence, preamble and gap. */
  readonly bytes: number;
  /** Frames that found its queue full. */
  readonly drops: number;
  /** Most bytes that have waited for it. */
  readonly peakBytes: number;
}

/** Where a worker's frames for another worker stand: what the receiver needs to fetch them. */
export interface Outbox {
  /** Address of the records (OUT_* in abi.ts). */
  records: number;
  count: number;
  /** Address of the frames' bytes, and how many they are. */
  bytes: number;
  used: number;
  /** Earliest arrival; FOREVER when it is empty. */
  earliest: Time;
}

const UNLIMITED_BPS = 1e12;

/** A probability as a fraction of 2^32. */
function lossWord(loss: number): number {
  return Math.min(Math.round(loss * 2 ** 32), 0xffffffff);
}

/** The wire between hosts: ports, switches, links, faults. */
export class Underlay {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * Makes a port. Every worker makes the same ports in the same order.
   * @param segment number of its segment
   * @param worker who owns the host
   */
  addPort(segment: number, hostIndex: number, worker: number, mac: Mac, settings: PortSettings): number {
    const rate = settings.bandwidth === 0 ? UNLIMITED_BPS : settings.bandwidth;
    const high = macHigh(mac);
    const port = this.#kernel.exports.portNew(segment, hostIndex, worker, high, macLow(mac), settings.latency, rate);
    this.setPort(port, settings);
    return port;
  }

  setPort(port: number, settings: PortSettings): void {
    const rate = settings.bandwidth === 0 ? UNLIMITED_BPS : settings.bandwidth;
    const { latency, queueBytes, group } = settings;
    this.#kernel.exports.portSet(
      port,
      settings.down ? 1 : 0,
      latency,
      rate,
      lossWord(settings.loss),
      queueBytes,
      group,
    );
  }

  /** Makes a segment one of leaves and spines, before its first port. */
  addFabric(segment: number, { seed, spines, latency, bandwidth, queueBytes }: FabricSettings): void {
    this.#kernel.exports.fabricNew(segment, seed, spines, latency, bandwidth, queueBytes);
  }

  /** Plugs a new port into a leaf, which learns its host's address (0: it doesn't). */
  plugPort(port: number, leaf: number, address: Ipv4): void {
    this.#kernel.exports.portPlug(port, leaf, address);
  }

  /** Changes a link between a leaf and a spine, in both directions. */
  setFabricLink(segment: number, leaf: number, spine: number, { down, latency, loss }: FabricLinkSettings): void {
    this.#kernel.exports.fabricLinkChange(segment, leaf, spine, down ? 1 : 0, latency, lossWord(loss));
  }

  /** Counters of one direction of a link between a leaf and a spine. */
  fabricLink(segment: number, leaf: number, spine: number, direction: "up" | "down"): FabricLinkCounters {
    const { exports, mem } = this.#kernel;
    const at = exports.fabricLinkCounters(segment, leaf, spine, direction === "up" ? 0 : 1);
    return { frames: mem.u64(at), bytes: mem.u64(at + 8), drops: mem.u64(at + 16), peakBytes: mem.u64(at + 24) };
  }

  /** Drops matching frames on a port's wire, both ways; a field that is 0 matches everything. */
  addFilter(port: number, filter: { ethertype: number; protocol: number; port: number; ip: number }): void {
    this.#kernel.exports.portFilterAdd(port, filter.ethertype, filter.protocol, filter.port, filter.ip);
  }

  clearFilters(port: number): void {
    this.#kernel.exports.portFilterClear(port);
  }

  /** At the end of a window: what was sent becomes readable, what was readable is forgotten, windowEnd() is FOREVER again. */
  flip(): void {
    this.#kernel.exports.outboxFlip();
  }

  /**
   * Says how soon a frame's arrival at another worker can have an effect here: a window ends that much after the earliest
   * arrival of what was sent in it.
   */
  setReturn(worker: number, delay: Time): void {
    this.#kernel.exports.outboxReturn(worker, delay >= FOREVER ? Number.POSITIVE_INFINITY : delay);
  }

  /** Where the present window ends because of what was sent in it; FOREVER when nothing was. */
  windowEnd(): Time {
    return Math.min(this.#kernel.exports.windowEnd(), FOREVER);
  }

  /** Frames for a worker that the last flip made readable; written to `box`. */
  outbox(worker: number, box: Outbox): Outbox {
    const { exports } = this.#kernel;
    box.count = exports.outboxCount(worker);
    if (box.count === 0) {
      box.earliest = FOREVER;
      return box;
    }
    box.records = exports.outboxRecords(worker);
    box.bytes = exports.outboxBytes(worker);
    box.used = exports.outboxUsed(worker);
    box.earliest = exports.outboxEarliest(worker);
    return box;
  }

  /**
   * Fetches the frames of another worker's outbox out of its memory, all at once. Their order among all frames is in
   * (arrival, tie), so it does not matter which outbox is fetched first.
   * @param notBefore where this worker's clock stands: a frame that is due earlier breaks the lookahead rule
   */
  importFrom(sender: KernelMemory, box: Outbox, notBefore: Time): void {
    const { exports, mem } = this.#kernel;
    const from = sender.bytes;
    const size = box.count * OUT_RECORD;
    const to = exports.inboxReserve(size + box.used);
    const { bytes } = mem;
    bytes.set(from.subarray(box.records, box.records + size), to);
    bytes.set(from.subarray(box.bytes, box.bytes + box.used), to + size);
    exports.inboxTake(box.count, box.bytes, notBefore);
  }
}

/** An empty outbox, to be filled by Underlay.outbox(). */
export function emptyOutbox(): Outbox {
  return { records: 0, count: 0, bytes: 0, used: 0, earliest: FOREVER };
}

/** Another worker's memory, for importFrom. */
export function foreignMemory(memory: WasmMemory): KernelMemory {
  return new KernelMemory(memory);
}
