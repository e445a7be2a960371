/** Writes to files so that what is in them is whole whatever happens: a full disk, a quota, a pipe. */
import { ftruncateSync, writeSync } from "node:fs";
import type { Sink } from "../pcap-writer/index.ts";

/** What a pipe that is full is tried again after, in milliseconds. */
const PATIENCE_MS = 1;

/** Bytes of a block before its end: type and total length (pcapng, draft-ietf-opsawg-pcapng §3.1). */
const BLOCK_HEAD = 8;

/** How much of the first `length` bytes of a chunk of pcapng blocks are whole blocks. */
export function wholeBlocks(chunk: Uint8Array, length: number): number {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  let at = 0;
  while (at + BLOCK_HEAD <= length) {
    const end = at + view.getUint32(at + 4, true);
    if (end > length) break;
    at = end;
  }
  return at;
}

/** How much of the first `length` bytes of a text are whole lines. */
export function wholeLines(text: Uint8Array, length: number): number {
  return text.subarray(0, length).lastIndexOf(10) + 1;
}

/** What a sink does to its file; node:fs, but for tests. */
export interface FileCalls {
  write(fd: number, chunk: Uint8Array, from: number): number;
  truncate(fd: number, length: number): void;
}

const CALLS: FileCalls = { write: writeSync, truncate: ftruncateSync };

/**
 * A sink over an open file that stands at its beginning. A chunk that doesn't fit is cut behind its last whole record,
 * and the error is thrown.
 * @param whole how much of a chunk's beginning is whole records
 */
export function fileSink(fd: number, whole: (chunk: Uint8Array, length: number) => number, calls = CALLS): Sink {
  let size = 0;
  return {
    write(chunk) {
      let at = 0;
      try {
        while (at < chunk.length) at += calls.write(fd, chunk, at);
        size += at;
      } catch (error) {
        size += whole(chunk, at);
        // Nothing of a device has to be cut, or can be.
        if (at > 0) calls.truncate(fd, size);
        throw error;
      }
    },
  };
}

/** A sink over a pipe, which waits while that is full. Whoever reads it sees a break in its middle. */
export function pipeSink(fd: number): Sink {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  return {
    write(chunk) {
      for (let at = 0; at < chunk.length; ) {
        try {
          at += writeSync(fd, chunk, at);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
          Atomics.wait(pause, 0, 0, PATIENCE_MS);
        }
      }
    },
  };
}
