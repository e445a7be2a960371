/** Captured frames and marks as the kernel writes them: raw records (CAP_* in assembly/abi.ts), one behind the other. */
import {
  CAP_CAPLEN,
  CAP_DIR,
  CAP_HEADER,
  CAP_HOST,
  CAP_JOURNEY,
  CAP_LEN,
  CAP_POINT,
  CAP_SEQ,
  CAP_TIME,
} from "../../assembly/abi.ts";

export { CAP_HOP } from "../../assembly/abi.ts";

import { assert } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import { type PacketMark, readMark } from "./marks.ts";

/** One captured frame. `data` is a view into its chunk. */
export interface CapturedFrame {
  readonly time: Time;
  readonly hostIndex: number;
  /** Per host, from 0, over all its points. */
  readonly seq: number;
  readonly point: number;
  /** 1 received by the device, 2 sent by it (pcapng's epb_flags). */
  readonly direction: number;
  /** Length on the wire, without the frame check sequence; `data` may be shorter (snapshot length). */
  readonly length: number;
  readonly data: Uint8Array;
  /**
   * Which packet it is, over all its hops, copies, fragments and tunnels: a number that doesn't depend on the number of
   * workers, but on what is captured. It says nothing else; compare it for equality.
   */
  readonly journey: number;
}

/** Walks over the raw records of one worker, which stand in order of time. */
export class RecordCursor {
  /** Whether the cursor stands on a mark, not on a frame. */
  get isMark(): boolean {
    return this.#view.getUint32(this.#at + CAP_POINT, true) === 0;
  }

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

  /** The mark that the cursor stands on. */
  mark(): PacketMark {
    const at = this.#at;
    const view = this.#view;
    const { time, hostIndex, seq } = this;
    const journey = readTime(view, at + CAP_JOURNEY);
    const body = new DataView(view.buffer, view.byteOffset + at + CAP_HEADER, view.getUint32(at + CAP_CAPLEN, true));
    const kind = view.getUint32(at + CAP_DIR, true);
    return { time, hostIndex, seq, journey, ...readMark(kind, view.getUint32(at + CAP_LEN, true), body) };
  }

  /** The frame that the cursor stands on. */
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
      journey: readTime(view, at + CAP_JOURNEY),
    };
  }
}

/** A u64 of nanoseconds as a number: exact up to 2^53. */
function readTime(view: DataView, at: number): Time {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
