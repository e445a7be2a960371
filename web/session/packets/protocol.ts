/** Packets, between the page and the session's worker. */
import type { Time } from "../../../src/base/time.ts";
import type { TraceFiles } from "./recording.ts";

/** A row of the packet list. */
export interface PacketRow {
  /** From 0. */
  readonly index: number;
  readonly time: Time;
  /** Of the innermost packet that can be read. */
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  /** On the wire, without the frame check sequence. */
  readonly length: number;
  readonly summary: string;
  /** host/namespace/device */
  readonly point: string;
}

/** What the page asks about packets. */
export interface PacketsApi {
  /** Rows of the packet list. */
  packets(from: number, count: number): readonly PacketRow[];
  /** The bytes of a frame. */
  frame(index: number): Uint8Array | undefined;
  trace(): TraceFiles;
}
