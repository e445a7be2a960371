/**
 * The one buffer in which records are built and from which they go to the sink, many at a time.
 * A record is reserved, written and committed; only committed records are handed over, so the sink
 * never sees part of one.
 */
import { CaptureWriteError } from "./errors.ts";

/** Where a writer's bytes go. */
export interface Sink {
  /**
   * Takes a chunk made of whole blocks. The memory behind it is used again after the call: a sink
   * that does not write at once must copy. It throws if it cannot take everything.
   */
  write(chunk: Uint8Array): void;
}

/** A sink that keeps everything, for tests, small traces and downloads from a page. */
export class MemorySink implements Sink {
  #chunks: Uint8Array[] = [];
  #length = 0;

  write(chunk: Uint8Array): void {
    this.#chunks.push(chunk.slice());
    this.#length += chunk.length;
  }

  /** Number of bytes taken. */
  get length(): number {
    return this.#length;
  }

  /** How many times the sink was called. */
  get writes(): number {
    return this.#chunks.length;
  }

  /** Everything taken, in one array. */
  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}

/** Default size of the buffer between a writer and its sink, in bytes. */
export const DEFAULT_BUFFER_BYTES = 1 << 20;

/** See the head of this file. Used by the writers; not part of the public face. */
export class RecordBuffer {
  /** The buffer; valid until the next `reserve`. */
  bytes: Uint8Array<ArrayBuffer>;
  /** A view over `bytes`. */
  view: DataView<ArrayBuffer>;
  #length = 0;
  #handedOver = 0;
  #sink: Sink;
  #error: CaptureWriteError | undefined;
  #closed = false;
  /** A view over the memory that packets came from last, so that none is made per packet. */
  #source: DataView = new DataView(new ArrayBuffer(0));

  constructor(sink: Sink, bufferBytes: number) {
    if (!Number.isSafeInteger(bufferBytes) || bufferBytes < 64) {
      throw new RangeError(`bufferBytes must be an integer of at least 64, got ${bufferBytes}`);
    }
    this.#sink = sink;
    this.bytes = new Uint8Array(bufferBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Bytes committed since the beginning, whether the sink has them yet or not. */
  get written(): number {
    return this.#handedOver + this.#length;
  }

  /**
   * Makes room for a record of `size` bytes and returns where it begins. If the record is larger
   * than the buffer, the buffer grows to its size: memory is bounded by the largest record.
   */
  reserve(size: number): number {
    if (this.#error !== undefined) throw this.#error;
    if (this.#closed) throw new CaptureWriteError("the capture file is closed");
    if (this.#length + size > this.bytes.length) {
      this.flush();
      if (size > this.bytes.length) {
        this.bytes = new Uint8Array(size);
        this.view = new DataView(this.bytes.buffer);
      }
    }
    return this.#length;
  }

  /** Says that the reserved record of `size` bytes is complete. */
  commit(size: number): void {
    this.#length += size;
  }

  /** Copies `length` bytes into the reserved record at `to`. No allocation, no temporary. */
  copy(from: Uint8Array, offset: number, length: number, to: number): void {
    if (this.#source.buffer !== from.buffer) this.#source = new DataView(from.buffer);
    const source = this.#source;
    const target = this.view;
    let at = from.byteOffset + offset;
    const end = at + length;
    for (const last = end - 4; at <= last; at += 4, to += 4) target.setInt32(to, source.getInt32(at, true), true);
    for (; at < end; at++, to++) target.setUint8(to, source.getUint8(at));
  }

  /** Hands all whole records to the sink. */
  flush(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#length === 0) return;
    const length = this.#length;
    this.#length = 0;
    try {
      this.#sink.write(this.bytes.subarray(0, length));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      this.#error = new CaptureWriteError(`cannot write the capture file: ${why}`, { cause });
      throw this.#error;
    }
    this.#handedOver += length;
  }

  /** Flushes, once. After an error it does nothing: the error was already thrown. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#error === undefined) this.flush();
  }
}
