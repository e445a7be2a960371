/**
 * Writes captured frames to a pcapng file. The file is readable at every moment but the last buffer; a run that
 * is stopped closes it in order; a full disk ends the capture with one clear message.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { formatIpv4, formatMac } from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import { EPOCH_SECONDS } from "../base/wall-clock.ts";
import type { HostPlan } from "../lab/plan.ts";
import { CaptureWriteError, PcapngWriter } from "../pcap-writer/index.ts";
import type { CapturedFrame, CapturePoint, CaptureSink } from "../scheduler/captures.ts";

export class TraceFile implements CaptureSink {
  readonly path: string;
  readonly #fd: number;
  readonly #writer: PcapngWriter;
  readonly #interfaces = new Map<number, { id: number; received: number }>();
  #failed: CaptureWriteError | undefined;

  /** @throws UserError when the file can't be opened */
  constructor(path: string, lab: string, seed: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, "w");
    } catch (error) {
      throw new UserError(`${path}: ${(error as Error).message}`);
    }
    const fd = this.#fd;
    const sink = {
      write(chunk: Uint8Array): void {
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      },
    };
    this.#writer = new PcapngWriter(sink, {
      userApplication: "swarmwire",
      comment: `lab ${lab}, seed ${seed}`,
      epochSeconds: EPOCH_SECONDS,
    });
  }

  get packets(): number {
    return this.#writer.packets;
  }

  /** The write error that ended the capture, if one did. */
  get error(): string | undefined {
    return this.#failed === undefined ? undefined : `${this.path}: ${this.#failed.message}`;
  }

  #guard(write: () => void): void {
    if (this.#failed !== undefined) return;
    try {
      write();
    } catch (error) {
      if (!(error instanceof CaptureWriteError)) throw error;
      this.#failed = error;
    }
  }

  /** Names for addresses, in Wireshark's name resolution. */
  names(hosts: readonly HostPlan[]): void {
    this.#guard(() =>
      this.#writer.names(hosts.map((host) => ({ address: formatIpv4(host.address.ip), names: [host.name] }))),
    );
  }

  /** More names, learned while it ran. */
  addNames(entries: readonly { readonly address: string; readonly names: readonly string[] }[]): void {
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
    this.#guard(() => {
      if (data.length === length)
        this.#writer.packet(target.id, frame.time, data, 0, length, frame.direction as 0 | 1 | 2);
      else
        this.#writer.packet(target.id, frame.time, data, 0, data.length, frame.direction as 0 | 1 | 2, {
          originalLength: length,
        });
    });
  }

  /** Ends the file with statistics. Safe after an error. */
  close(time: Time): void {
    this.#guard(() => {
      for (const { id, received } of this.#interfaces.values())
        this.#writer.statistics(id, time, { startNs: 0, endNs: time, received });
    });
    this.#guard(() => this.#writer.close());
    closeSync(this.#fd);
  }
}
