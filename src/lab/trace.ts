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

export class LabTrace implements CaptureSink {
  readonly #writer: PcapngWriter;
  readonly #interfaces = new Map<number, { readonly id: number; received: number }>();
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

  get packets(): number {
    return this.#writer.packets;
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

  point(point: CapturePoint): void {
    this.#guard(() => {
      const id = this.#writer.addInterface({
        name: `${point.host}/${point.namespace}/${point.device}`,
        mac: formatMac(point.mac),
        ...(point.speed > 0 ? { speedBps: point.speed } : {}),
      });
      this.#interfaces.set(point.id, { id, received: 0 });
    });
  }

  frame(frame: CapturedFrame): void {
    if (this.#failed !== undefined) return;
    const target = this.#interfaces.get(frame.point);
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
      for (const { id, received } of this.#interfaces.values()) {
        this.#writer.statistics(id, time, { startNs: 0, endNs: time, received });
      }
    });
    this.#guard(() => this.#writer.close());
  }
}
