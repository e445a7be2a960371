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

/** Frames that a search found, of a part of what there is. */
export interface SearchResult {
  /** Their places in the list. */
  readonly found: Uint32Array<ArrayBuffer>;
  /** Where the next search goes on; how many frames there are, once all have been looked at. */
  readonly next: number;
}

/** A trace of some frames. */
export interface TracePart extends TraceFiles {
  /** Behind the last one: less than what was asked for where there aren't so many, since time went back. */
  readonly to: number;
}

/** What the page asks about packets. */
export interface PacketsApi {
  /** Rows of the packet list. */
  packets(from: number, count: number): readonly PacketRow[];
  /** Rows of the packet list, by their places. */
  packetsAt(indices: Uint32Array): readonly PacketRow[];
  /** The bytes of a frame. */
  frame(index: number): Uint8Array | undefined;
  /** All that can be said of a frame without Wireshark. */
  describe(index: number): string;
  /** Looks for frames, some thousands a call. @param text as parseSearch takes it @param from the first one to look at */
  search(text: string, from: number): SearchResult;
  /** How large a trace of it all would be, in bytes, about. */
  traceBytes(): number;
  /** The same trace in parts, each handed over when the last one was taken. */
  traceParts(take: (part: Uint8Array<ArrayBuffer>) => Promise<void>): Promise<void>;
  trace(): TraceFiles;
  /** A trace of a part of the frames, with all keys. @param to behind the last one */
  tracePart(from: number, to: number): TracePart;
}
