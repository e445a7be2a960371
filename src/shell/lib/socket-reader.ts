/** A TCP socket's stream with a buffer, so that protocols can be read by lines and by lengths. */
import type { Time } from "../../base/time.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { recvTcp } from "../../scheduler/io.ts";
import type { Proc } from "../../scheduler/process.ts";
import { decodeBytes } from "./program.ts";

const LF = 10;
const CHUNK = 65536;

/** Reads a socket. All waits end with undefined at an early end of the stream and at the deadline; `ended` tells which. */
export class SocketReader {
  readonly socket: TcpSocket;
  #data: Uint8Array = new Uint8Array(0);
  #ended = false;

  constructor(socket: TcpSocket) {
    this.socket = socket;
  }

  /** The peer has sent its FIN, and all before it was read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes that are there already. */
  get buffered(): number {
    return this.#data.length;
  }

  /** Takes what is there into the buffer without waiting. @returns there was something, or the end */
  poll(): boolean {
    const data = this.#ended ? undefined : this.socket.tryRecv(CHUNK);
    if (data === undefined) return this.#ended;
    this.#take(data);
    return true;
  }

  #take(data: Uint8Array): void {
    if (data.length === 0) {
      this.#ended = true;
      return;
    }
    if (this.#data.length === 0) {
      this.#data = data;
      return;
    }
    const joined = new Uint8Array(this.#data.length + data.length);
    joined.set(this.#data);
    joined.set(data, this.#data.length);
    this.#data = joined;
  }

  /** Waits for more. False at the end and at the deadline. Throws ECONNRESET and the like. */
  *fill(until?: Time): Proc<boolean> {
    if (this.#ended) return false;
    const data = yield* recvTcp(this.socket, CHUNK, until);
    if (data === undefined) return false;
    this.#take(data);
    return !this.#ended;
  }

  /** Everything in the buffer. */
  takeAll(): Uint8Array {
    const data = this.#data;
    this.#data = new Uint8Array(0);
    return data;
  }

  /** Exactly so many bytes. */
  *exactly(length: number, until?: Time): Proc<Uint8Array | undefined> {
    while (this.#data.length < length) if (!(yield* this.fill(until))) return undefined;
    const taken = this.#data.subarray(0, length);
    this.#data = this.#data.subarray(length);
    return taken;
  }

  /** A line without its CR LF or LF; bytes that are no text are kept (decodeBytes). */
  *line(until?: Time, limit = CHUNK): Proc<string | undefined> {
    for (let from = 0; ; ) {
      const end = this.#data.indexOf(LF, from);
      if (end >= 0) {
        const line = decodeBytes(this.#data.subarray(0, end));
        this.#data = this.#data.subarray(end + 1);
        return line.endsWith("\r") ? line.slice(0, -1) : line;
      }
      from = this.#data.length;
      if (from > limit || !(yield* this.fill(until))) return undefined;
    }
  }
}
