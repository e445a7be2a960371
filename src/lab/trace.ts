/**
 * A lab's capture as a pcapng file: one interface a capture point, names of hosts and containers, statistics
 * at the end. Only whole blocks reach the sink, so a run that is cut off leaves a readable file.
 */
import { formatIpv4, formatMac } from "../base/addr.ts";
import { formatDuration, type Time } from "../base/time.ts";
import { EPOCH_SECONDS } from "../base/wall-clock.ts";
import {
  CaptureWriteError,
  EspSaFile,
  espSaRow,
  type NameEntry,
  PcapngWriter,
  type Sink,
} from "../pcap-writer/index.ts";
import type { CapturedFrame, CapturedSa, CapturePoint, CaptureSink } from "../scheduler/captures.ts";
import { NAT_NAMESPACE } from "./nat.ts";
import type { LabPlan } from "./plan.ts";

/** What is captured where nothing is said: the wire of every host, on both sides of a NAT. */
export const DEFAULT_CAPTURE: readonly string[] = ["*/host/eth0", `*/${NAT_NAMESPACE}/eth0`];

/** Writes what the cluster captures; a write that fails ends the capture, not the run. */
export class LabTrace implements CaptureSink {
  readonly #writer: PcapngWriter;
  /** What is written for each point; an interface block only when its first frame comes. */
  readonly #points = new Map<number, CapturePoint>();
  readonly #interfaces = new Map<number, { readonly id: number; received: number }>();
  /** Interfaces by what their blocks say: a device that comes back, or only changes its MTU, stays one interface. */
  readonly #known = new Map<string, { readonly id: number; received: number }>();
  readonly #espSa = new EspSaFile();
  #failed: CaptureWriteError | undefined;
  /** Names that wait for the first interface. */
  readonly #names: NameEntry[] = [];
  /** Comments for the next frame. */
  #comments: string[] = [];

  /** @param seed the one the lab is run with */
  constructor(sink: Sink, plan: LabPlan, seed: string) {
    this.#writer = new PcapngWriter(sink, {
      userApplication: "swarmwire",
      comment: `lab ${plan.name}, seed ${seed}`,
      epochSeconds: EPOCH_SECONDS,
    });
    const addresses = plan.hosts.flatMap(({ name, address, nat }) =>
      nat === undefined ? [[address, name] as const] : [[address, `${name}-nat`] as const, [nat, name] as const],
    );
    this.names(addresses.map(([address, name]) => ({ address: formatIpv4(address.ip), names: [name] })));
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

  /** Wireshark's table `esp_sa`: a row for each IPsec association that ever was, in order of their making. */
  get espSa(): EspSaFile {
    return this.#espSa;
  }

  /** A host made an IPsec association. Its receiver makes the same one: that is one row. */
  association(sa: CapturedSa): void {
    const { spi, key, icvBytes } = sa;
    const [source, destination] = [formatIpv4(sa.source), formatIpv4(sa.destination)];
    const row = { source, destination, spi, key, icvBytes };
    if (this.#espSa.add(row)) this.newKeyRow(espSaRow(row));
  }

  /** A row was added to the table of keys. For those who write it as it grows. */
  protected newKeyRow(_row: string): void {}

  /** A write failed: the capture ends here. Called once. */
  protected writeFailed(_error: CaptureWriteError): void {}

  /** Writes; after a failed write nothing more is tried. */
  #guard(write: () => void): void {
    if (this.#failed !== undefined) return;
    try {
      write();
    } catch (error) {
      if (!(error instanceof CaptureWriteError)) throw error;
      this.#failed = error;
      this.writeFailed(error);
    }
  }

  /** Names for addresses, for Wireshark's name resolution. */
  names(entries: readonly NameEntry[]): void {
    this.#names.push(...entries);
    if (this.#known.size > 0) this.#writeNames();
  }

  /** Behind an interface block: editcap and mergecap take no file in which something else comes first. */
  #writeNames(): void {
    const names = this.#names.splice(0);
    if (names.length > 0) this.#guard(() => this.#writer.names(names));
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
      this.#writeNames();
    }
    if (found !== undefined) this.#interfaces.set(id, found);
    return found;
  }

  /** Quiet time was skipped: the next frame says so. */
  skipped(from: Time, to: Time, frames: number): void {
    const span = `${formatDuration(to - from)} of quiet time skipped, from ${formatDuration(from)} to ${formatDuration(to)}`;
    this.#comments.push(`${span}; about ${frames} packets not written`);
  }

  /** A frame passed there. */
  frame(frame: CapturedFrame): void {
    if (this.#failed !== undefined) return;
    const target = this.#interface(frame.point);
    if (target === undefined) return;
    target.received++;
    const { data, length } = frame;
    const direction = frame.direction as 0 | 1 | 2;
    const comment = this.#comments;
    if (comment.length > 0) this.#comments = [];
    this.#guard(() => {
      if (comment.length > 0)
        this.#writer.packet(target.id, frame.time, data, 0, data.length, direction, {
          originalLength: length,
          comment,
        });
      else if (data.length === length) this.#writer.packet(target.id, frame.time, data, 0, length, direction);
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
