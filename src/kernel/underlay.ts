/** The kernel's view of the wires: ports and their settings, and the exchange of frames with other workers. */
import {
  OUT_ARRIVAL,
  OUT_DATA,
  OUT_FLAGS,
  OUT_FROM,
  OUT_LATE,
  OUT_LEN,
  OUT_PORT,
  OUT_RECORD,
  OUT_TIE,
  OUT_VIA,
} from "../../assembly/abi.ts";
import type { Ipv4, Mac } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
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
  readonly records: number;
  readonly count: number;
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

  /** At the end of a window: what was sent becomes readable, what was readable is freed. */
  flip(): void {
    this.#kernel.exports.outboxFlip();
  }

  /** Frames for a worker that the last flip made readable. */
  outbox(worker: number): Outbox {
    const count = this.#kernel.exports.outboxCount(worker);
    return { count, records: count === 0 ? 0 : this.#kernel.exports.outboxRecords(worker) };
  }

  /** The earliest arrival in an outbox of this kernel; FOREVER when it is empty. */
  earliestArrival(box: Outbox): Time {
    let earliest = FOREVER;
    for (let i = 0; i < box.count; i++) {
      earliest = Math.min(earliest, this.#kernel.mem.u64(box.records + i * OUT_RECORD + OUT_ARRIVAL));
    }
    return earliest;
  }

  /**
   * Fetches the frames of another worker's outbox out of its memory: one copy each. Their order among all
   * frames is in (arrival, tie), so it does not matter which outbox is fetched first.
   * @param notBefore start of the next window: a frame that is due earlier breaks the lookahead rule
   */
  importFrom(sender: KernelMemory, box: Outbox, notBefore: Time): void {
    const { exports, mem } = this.#kernel;
    const from = sender.view;
    const bytes = sender.bytes;
    for (let i = 0; i < box.count; i++) {
      const at = box.records + i * OUT_RECORD;
      const high = from.getUint32(at + OUT_ARRIVAL + 4, true);
      const low = from.getUint32(at + OUT_ARRIVAL, true);
      const arrival = high * 2 ** 32 + low;
      assert(
        arrival >= notBefore,
        "no frame arrives within the window in which it was sent (lookahead)",
        arrival,
        notBefore,
      );
      const tieHigh = from.getUint32(at + OUT_TIE + 4, true);
      const tieLow = from.getUint32(at + OUT_TIE, true);
      const data = from.getUint32(at + OUT_DATA, true);
      const length = from.getUint32(at + OUT_LEN, true);
      const flags = from.getUint32(at + OUT_FLAGS, true);
      const port = from.getUint32(at + OUT_PORT, true);
      const via = from.getUint32(at + OUT_VIA, true);
      const sent = via === 0 ? 0 : from.getUint32(at + OUT_FROM, true);
      const late = via === 0 ? 0 : from.getUint32(at + OUT_LATE, true);
      const to = exports.wireImport(port, high, low, tieHigh, tieLow, length, flags, via, sent, late);
      mem.bytes.set(bytes.subarray(data, data + length), to);
    }
  }
}

/** Another worker's memory, for importFrom. */
export function foreignMemory(memory: WasmMemory): KernelMemory {
  return new KernelMemory(memory);
}
