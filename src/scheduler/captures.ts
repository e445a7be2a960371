/**
 * Captured frames on their way to a writer. Each worker hands over chunks of raw records (CAP_* in
 * assembly/abi.ts) as its kernel wrote them, in order of time; here they are merged into one total order,
 * (time, host index, per-host number), which does not depend on how hosts are shared out to workers.
 */
import {
  CAP_CAPLEN,
  CAP_DIR,
  CAP_HEADER,
  CAP_HOST,
  CAP_LEN,
  CAP_POINT,
  CAP_SEQ,
  CAP_TIME,
} from "../../assembly/abi.ts";
import type { Mac } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { FOREVER, type Time } from "../base/time.ts";

/** A device that is captured on; becomes one interface of the capture file. */
export interface CapturePoint {
  /** Host index in the upper 16 bits, per-host number from 1 in the lower ones: the same for any number of workers. */
  readonly id: number;
  readonly hostIndex: number;
  readonly host: string;
  readonly namespace: string;
  readonly device: string;
  readonly mac: Mac;
  readonly mtu: number;
  /** Nominal speed, bits per second; 0 where the device has none. */
  readonly speed: number;
  /** When capturing began. */
  readonly since: Time;
}

/** One captured frame. `data` is valid until the sink returns. */
export interface CapturedFrame {
  readonly time: Time;
  readonly hostIndex: number;
  readonly seq: number;
  readonly point: number;
  /** 1 received by the device, 2 sent by it (pcapng's epb_flags). */
  readonly direction: number;
  /** Length on the wire, without the frame check sequence. */
  readonly length: number;
  readonly data: Uint8Array;
}

/** Takes captured frames in total order. A point is announced before its first frame. */
export interface CaptureSink {
  point(point: CapturePoint): void;
  frame(frame: CapturedFrame): void;
}

/** What a worker delivers after a batch of windows. */
export interface CaptureBatch {
  /** Raw records, whole ones, one chunk after the other. */
  readonly chunks: readonly Uint8Array[];
  readonly points: readonly CapturePoint[];
}

/** Walks over the raw records of one worker. */
class RecordCursor {
  readonly #chunks: readonly Uint8Array[];
  #chunk = -1;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  time: Time = 0;
  hostIndex = 0;
  seq = 0;
  ended = false;

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks;
  }

  /** Steps to the next record; false at the end. */
  next(): boolean {
    if (this.#at > 0 || this.#view.byteLength > 0) {
      this.#at += (CAP_HEADER + this.#view.getUint32(this.#at + CAP_CAPLEN, true) + 7) & ~7;
    }
    while (this.#at >= this.#view.byteLength) {
      const chunk = this.#chunks[++this.#chunk];
      if (chunk === undefined) {
        this.ended = true;
        return false;
      }
      this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      this.#at = 0;
    }
    const before = this.time;
    this.time = readTime(this.#view, this.#at + CAP_TIME);
    this.hostIndex = this.#view.getUint32(this.#at + CAP_HOST, true);
    this.seq = this.#view.getUint32(this.#at + CAP_SEQ, true);
    assert(this.time >= before, "captured frames come in order of time", before, this.time);
    return true;
  }

  /** The record that the cursor stands on. */
  frame(): CapturedFrame {
    const view = this.#view;
    const at = this.#at;
    return {
      time: this.time,
      hostIndex: this.hostIndex,
      seq: this.seq,
      point: view.getUint32(at + CAP_POINT, true),
      direction: view.getUint32(at + CAP_DIR, true),
      length: view.getUint32(at + CAP_LEN, true),
      data: new Uint8Array(view.buffer, view.byteOffset + at + CAP_HEADER, view.getUint32(at + CAP_CAPLEN, true)),
    };
  }
}

/** A u64 of nanoseconds as a number: exact up to 2^53. */
export function readTime(view: DataView, at: number): Time {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

/**
 * Delivers what all workers captured up to a common time. Points come before frames of the same or a later time.
 */
export function mergeCaptures(batches: readonly CaptureBatch[], sink: CaptureSink): void {
  const points = batches.flatMap((batch) => batch.points).sort((a, b) => a.since - b.since || a.id - b.id);
  let nextPoint = 0;
  let cursors = batches.map((batch) => new RecordCursor(batch.chunks)).filter((cursor) => cursor.next());
  const group: CapturedFrame[] = [];
  while (cursors.length > 0) {
    let time = FOREVER;
    for (const cursor of cursors) if (cursor.time < time) time = cursor.time;
    for (let p = points[nextPoint]; p !== undefined && p.since <= time; p = points[++nextPoint]) sink.point(p);
    if (takeAll(cursors, time, group)) cursors = cursors.filter((cursor) => !cursor.ended);
    // The kernel's order among hosts at one instant is its worker's; this one is everybody's.
    if (group.length > 1) group.sort((a, b) => a.hostIndex - b.hostIndex || a.seq - b.seq);
    for (const frame of group) sink.frame(frame);
    group.length = 0;
  }
  for (let p = points[nextPoint]; p !== undefined; p = points[++nextPoint]) sink.point(p);
}

/** Moves the records at `time` into `group`; true when a cursor came to its end. */
function takeAll(cursors: readonly RecordCursor[], time: Time, group: CapturedFrame[]): boolean {
  let anyEnded = false;
  for (const cursor of cursors) {
    while (cursor.time === time) {
      group.push(cursor.frame());
      if (cursor.next()) continue;
      anyEnded = true;
      break;
    }
  }
  return anyEnded;
}

/** Translates a shell-like pattern with `*` and `?` over `host/namespace/device` names. */
export class CapturePatterns {
  readonly #patterns: readonly RegExp[];

  /** @param patterns e.g. `*\/host/eth0`; a `*` does not reach over a slash, a lone `*` is everything */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((pattern) => {
      if (pattern === "*") return /^/;
      const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*").replaceAll("?", "[^/]");
      return new RegExp(`^${source}$`);
    });
  }

  matches(host: string, namespace: string, device: string): boolean {
    const name = `${host}/${namespace}/${device}`;
    return this.#patterns.some((pattern) => pattern.test(name));
  }
}
