/**
 * Packet sockets of programs (AF_PACKET, net/packet/af_packet.c) on the kernel's capture points. A device has one point
 * in the kernel: a program's tap and a trace share its records, which are told apart here.
 */
import { CAP_CAPLEN, CAP_HEADER, CAP_POINT, CAP_PRIVATE } from "../../assembly/abi.ts";
import type { Time } from "../base/time.ts";
import { RecordCursor } from "./capture-records.ts";
import type { PacketTap, TappedFrame } from "./types.ts";
import type { KernelExports } from "./wasm.ts";

/** Points of taps alone: above those of traces, which begin with a host's index. */
const TAP_POINTS = CAP_PRIVATE;
/** Direction of a record: sent by the device. */
const OUTGOING = 2;
/** Frames that wait for a program at most; what comes then is dropped, and counted. */
const QUEUE = 65536;

/** A device that somebody captures on. */
interface TappedDevice {
  readonly dev: number;
  /** 0: no trace is made of it. */
  tracePoint: number;
  traceSnaplen: number;
  readonly tapPoint: number;
  readonly taps: Set<Tap>;
}

class Tap implements PacketTap {
  readonly snaplen: number;
  readonly #queue: TappedFrame[] = [];
  readonly #close: () => void;
  received = 0;
  dropped = 0;
  gone = false;

  constructor(snaplen: number, close: (tap: Tap) => void) {
    this.snaplen = snaplen;
    this.#close = () => close(this);
  }

  push(frame: TappedFrame): void {
    this.received++;
    if (this.#queue.length >= QUEUE) this.dropped++;
    else this.#queue.push({ ...frame, data: frame.data.slice(0, this.snaplen) });
  }

  tryRecv(): TappedFrame | undefined {
    return this.#queue.shift();
  }

  close(): void {
    this.#close();
  }
}

/** All taps of one kernel. */
export class PacketTaps {
  readonly #exports: KernelExports;
  readonly #devices = new Map<number, TappedDevice>();
  readonly #byPoint = new Map<number, TappedDevice>();
  #nextPoint = TAP_POINTS;
  /** There was a tap once, so that its records may stand in the buffer. */
  #used = false;

  constructor(exports: KernelExports) {
    this.#exports = exports;
  }

  /** What a trace wants of a device; 0 for nothing. */
  setTrace(dev: number, point: number, snaplen: number): void {
    const device = this.#devices.get(dev);
    if (device === undefined) {
      this.#exports.linkSetCapture(dev, point, snaplen);
      if (point !== 0) this.#add(dev, point, snaplen);
      return;
    }
    this.#byPoint.delete(device.tracePoint);
    device.tracePoint = point;
    device.traceSnaplen = snaplen;
    if (point !== 0) this.#byPoint.set(point, device);
    this.#apply(device);
  }

  open(dev: number, snaplen: number): PacketTap {
    this.#used = true;
    const device = this.#devices.get(dev) ?? this.#add(dev, 0, 0);
    const tap = new Tap(snaplen, (closed) => {
      if (!device.taps.delete(closed) || closed.gone) return;
      this.#apply(device);
    });
    device.taps.add(tap);
    this.#apply(device);
    return tap;
  }

  #add(dev: number, tracePoint: number, traceSnaplen: number): TappedDevice {
    const device = { dev, tracePoint, traceSnaplen, tapPoint: ++this.#nextPoint, taps: new Set<Tap>() };
    this.#devices.set(dev, device);
    this.#byPoint.set(device.tapPoint, device);
    if (tracePoint !== 0) this.#byPoint.set(tracePoint, device);
    return device;
  }

  /** The device is gone; its address may be another's soon. */
  forget(dev: number): void {
    const device = this.#devices.get(dev);
    if (device === undefined) return;
    this.#devices.delete(dev);
    for (const tap of device.taps) tap.gone = true;
  }

  #apply({ dev, tracePoint, traceSnaplen, tapPoint, taps }: TappedDevice): void {
    const point = tracePoint !== 0 ? tracePoint : taps.size > 0 ? tapPoint : 0;
    const wanted = [...taps].map((tap) => tap.snaplen);
    const snaplen = Math.max(tracePoint === 0 ? 0 : traceSnaplen, ...wanted, 0);
    this.#exports.linkSetCapture(dev, point, snaplen);
  }

  /** Gives the taps their frames of a chunk of records; what is left is the traces'. */
  divide(chunk: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#used) return chunk;
    const kept: Uint8Array[] = [];
    const cursor = new RecordCursor([chunk]);
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (cursor.next()) {
      const size = (CAP_HEADER + view.getUint32(at + CAP_CAPLEN, true) + 7) & ~7;
      const point = view.getUint32(at + CAP_POINT, true);
      const device = this.#byPoint.get(point);
      if (device !== undefined && device.taps.size > 0) this.#give(device, cursor);
      if (point < TAP_POINTS) kept.push(traceRecord(chunk.subarray(at, at + size), device?.traceSnaplen));
      at += size;
    }
    return joined(kept);
  }

  #give(device: TappedDevice, cursor: RecordCursor): void {
    const { time, seq, direction, length, data } = cursor.frame();
    const frame: TappedFrame = { time: time as Time, seq, outgoing: direction === OUTGOING, length, data };
    for (const tap of device.taps) tap.push(frame);
  }
}

/** A record as the trace wants it: no longer than its snapshot length. */
function traceRecord(record: Uint8Array, snaplen: number | undefined): Uint8Array {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const length = view.getUint32(CAP_CAPLEN, true);
  if (snaplen === undefined || length <= snaplen) return record;
  const cut = record.slice(0, (CAP_HEADER + snaplen + 7) & ~7);
  cut.fill(0, CAP_HEADER + snaplen);
  new DataView(cut.buffer).setUint32(CAP_CAPLEN, snaplen, true);
  return cut;
}

function joined(records: readonly Uint8Array[]): Uint8Array<ArrayBuffer> | undefined {
  const size = records.reduce((sum, record) => sum + record.length, 0);
  if (size === 0) return undefined;
  const out = new Uint8Array(size);
  let at = 0;
  for (const record of records) {
    out.set(record, at);
    at += record.length;
  }
  return out;
}
