/** The kernel's view of the wires: ports and their settings, and the exchange of frames with other workers. */
import { OUT_ARRIVAL, OUT_DATA, OUT_FLAGS, OUT_LEN, OUT_PORT, OUT_RECORD, OUT_TIE } from "../../assembly/abi.ts";
import type { Mac } from "../base/addr.ts";
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

/** Where a worker's frames for another worker stand: what the receiver needs to fetch them. */
export interface Outbox {
  readonly records: number;
  readonly count: number;
}

const UNLIMITED_BPS = 1e12;

/** The wire between hosts: ports, links, faults. */
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
    const loss = Math.min(Math.round(settings.loss * 2 ** 32), 0xffffffff);
    const { latency, queueBytes, group } = settings;
    this.#kernel.exports.portSet(port, settings.down ? 1 : 0, latency, rate, loss, queueBytes, group);
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
      const to = exports.wireImport(port, high, low, tieHigh, tieLow, length, flags);
      mem.bytes.set(bytes.subarray(data, data + length), to);
    }
  }
}

/** Another worker's memory, for importFrom. */
export function foreignMemory(memory: WasmMemory): KernelMemory {
  return new KernelMemory(memory);
}
