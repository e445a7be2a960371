/**
 * A lab's capture as a pcapng file: one interface a capture point, names of hosts and containers, statistics
 * at the end. Only whole blocks reach the sink, so a run that is cut off leaves a readable file.
 */
import { formatIpv4, formatMac } from "../base/addr.ts";
import type { Time } from "../base/time.ts";
import { EPOCH_SECONDS } from "../base/wall-clock.ts";
import { CaptureWriteError, PcapngWriter, type Sink } from "../pcap-writer/index.ts";
import type { CapturedFrame, CapturePoint, CaptureSink } from "../scheduler/captures.ts";
import type { LabPlan } from "./plan.ts";

/** Writes what the cluster captures; a write that fails ends the capture, not the run. */
export class LabTrace implements CaptureSink {
  readonly #writer: PcapngWriter;
  /** What is written for each point; an interface block only when its first frame comes. */
  readonly #points = new Map<number, CapturePoint>();
  readonly #interfaces = new Map<number, { readonly id: number; received: number }>();
  /** Interfaces by what their blocks say: a device that comes back, or only changes its MTU, stays one interface. */
  readonly #known = new Map<string, { readonly id: number; received: number }>();
  #failed: CaptureWriteError | undefined;

  /** @param seed the one the lab is run with */
  constructor(sink: Sink, plan: LabPlan, seed: string) {
    this.#writer = new PcapngWriter(sink, {
      userApplication: "swarmwire",
      comment: `lab ${plan.name}, seed ${seed}`,
      epochSeconds: EPOCH_SECONDS,
    });
    this.names(plan.hosts.map((host) => ({ address: formatIpv4(host.address.ip), names: [host.name] })));
  }

  /** Frames written. */
  get packets(): number {
    return this.#writer.packets;
  }

  /** Devices that are captured on, with frames or without. */
  get points(): number {
    return this.#points.size;
  }

  /** The write error that ended the capture, if one did. */
  get error(): CaptureWriteError | undefined {
    return this.#failed;
  }

  /** Writes; after a failed write nothing more is tried. */
  #guard(write: () => void): void {
    if (this.#failed !== undefined) return;
    try {
      write();
    } catch (error) {
      if (!(error instanceof CaptureWriteError)) throw error;
      this.#failed = error;
    }
  }

  /** Names for addresses, for Wireshark's name resolution. */
  names(entries: readonly { readonly address: string; readonly names: readonly string[] }[]): void {
    if (entries.length > 0)
      this.#guard(() => this.#writer.names(entries.map(({ address, names }) => ({ address, names: [...names] }))));
  }

  /**
   * A device is captured on from now on. Devices come under passing names (docker makes both ends of a veth on the
   * host), so that only those with frames are written.
   */
  point(point: CapturePoint): void {
    this.#points.set(point.id, point);
  }

  #interface(id: number): { readonly id: number; received: number } | undefined {
    const open = this.#interfaces.get(id);
    const point = this.#points.get(id);
    if (open !== undefined || point === undefined) return open;
    const name = `${point.host}/${point.namespace}/${point.device}`;
    const mac = formatMac(point.mac);
    const key = `${name} ${mac} ${point.speed}`;
    let found = this.#known.get(key);
    if (found === undefined) {
      this.#guard(() => {
        const written = this.#writer.addInterface({ name, mac, ...(point.speed > 0 ? { speedBps: point.speed } : {}) });
        found = { id: written, received: 0 };
        this.#known.set(key, found);
      });
    }
    if (found !== undefined) this.#interfaces.set(id, found);
    return found;
  }

  /** A frame passed there. */
  frame(frame: CapturedFrame): void {
    if (this.#failed !== undefined) return;
    const target = this.#interface(frame.point);
    if (target === undefined) return;
    target.received++;
    const { data, length } = frame;
    const direction = frame.direction as 0 | 1 | 2;
    this.#guard(() => {
      if (data.length === length) this.#writer.packet(target.id, frame.time, data, 0, length, direction);
      else this.#writer.packet(target.id, frame.time, data, 0, data.length, direction, { originalLength: length });
    });
  }

  /** Ends the file with a statistics block for each interface. */
  close(time: Time): void {
    this.#guard(() => {
      for (const { id, received } of this.#known.values()) {
        this.#writer.statistics(id, time, { startNs: 0, endNs: time, received });
      }
    });
    this.#guard(() => this.#writer.close());
  }
}
