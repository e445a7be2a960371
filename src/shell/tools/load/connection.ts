/** One connection of a load generator: requests one after another, each with its times and what became of it. */
import type { Ipv4 } from "../../../base/addr.ts";
import { type Errno, KernelError } from "../../../base/errors.ts";
import { type Time, US } from "../../../base/time.ts";
import type { ProgramContext } from "../../../engine/program.ts";
import type { TcpSocket } from "../../../kernel/socket-types.ts";
import { connectTcp, sendTcp } from "../../../scheduler/io.ts";
import type { Proc } from "../../../scheduler/process.ts";
import { parseHeaders } from "../../lib/http.ts";
import { SocketReader } from "../../lib/socket-reader.ts";

/** What a program takes from the last byte of an answer to closing the connection. */
const CLOSING = 100 * US;

/** Where a request ended when it failed. */
export type Stage = "connect" | "send" | "receive" | "closed" | "timeout";

/** What became of a request. */
export interface Attempt {
  readonly started: Time;
  /** The connection stood; the start where it stood before. */
  readonly connected: Time;
  /** The request was sent; the first line of the answer came; the last byte of it. */
  readonly sent: Time;
  readonly answered: Time;
  readonly ended: Time;
  /** A connection was made for it. */
  readonly dialed: boolean;
  /** 0 when it failed. */
  readonly status: number;
  readonly bytes: number;
  readonly bodyBytes: number;
  readonly server: string;
  readonly failure: { readonly stage: Stage; readonly code: Errno | undefined; readonly local: number } | undefined;
  /** The connection stays open behind it. */
  readonly kept: boolean;
}

/** A connection that is made when it is needed. */
export class LoadConnection {
  readonly #context: ProgramContext;
  readonly #owner: string;
  #socket: TcpSocket | undefined;
  #reader: SocketReader | undefined;

  constructor(context: ProgramContext, owner: string) {
    this.#context = context;
    this.#owner = owner;
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#reader = undefined;
  }

  /** Sends a request and reads the answer. @param keep leaves the connection open where the server does */
  *request(ip: Ipv4, port: number, message: Uint8Array, keep: boolean, until: Time | undefined): Proc<Attempt> {
    const { os } = this.#context;
    const started = os.now();
    let [connected, sent, answered] = [started, started, started];
    let stage: Stage = "connect";
    const dialed = this.#socket === undefined;
    const fail = (code: Errno | undefined, at: Stage): Attempt => {
      const local = this.#socket?.localAddress().port ?? 0;
      this.close();
      const ended = os.now();
      const failure = { stage: at, code, local };
      return {
        started,
        connected,
        sent,
        answered,
        ended,
        dialed,
        status: 0,
        bytes: 0,
        bodyBytes: 0,
        server: "",
        failure,
        kept: false,
      };
    };
    try {
      if (this.#socket === undefined) {
        this.#socket = yield* connectTcp(this.#context.ns, ip, port, until);
        this.#socket.setOwner(this.#owner);
        this.#reader = new SocketReader(this.#socket);
        connected = os.now();
      }
      stage = "send";
      sent = connected;
      if (!(yield* sendTcp(this.#socket, message, until))) return fail(undefined, "timeout");
      sent = os.now();
      stage = "receive";
      const reader = this.#reader as SocketReader;
      const lines: string[] = [];
      for (;;) {
        const line = yield* reader.line(until);
        if (line === undefined) return fail(undefined, reader.ended ? "closed" : "timeout");
        if (lines.length === 0) answered = os.now();
        if (line === "") break;
        lines.push(line);
      }
      const head = lines.join("\r\n");
      const headers = parseHeaders(head);
      const status = Number(head.split(" ")[1]);
      const body = yield* this.#body(reader, headers, status, until);
      if (body === undefined) return fail(undefined, reader.ended ? "closed" : "timeout");
      const ended = os.now();
      const kept = keep && body.delimited && headers.get("connection")?.toLowerCase() !== "close";
      if (!kept) {
        // A server that closes has sent its FIN by the time a program gets to closing: TIME_WAIT is the server's.
        if (body.delimited && (yield* reader.fill(os.now() + CLOSING))) reader.takeAll();
        this.close();
      }
      const bytes = head.length + 4 + body.wire;
      const server = headers.get("server") ?? "";
      return {
        started,
        connected,
        sent,
        answered,
        ended,
        dialed,
        status,
        bytes,
        bodyBytes: body.size,
        server,
        failure: undefined,
        kept,
      };
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const late = error.code === "ETIMEDOUT" && until !== undefined && os.now() >= until;
      return fail(late ? undefined : error.code, late ? "timeout" : stage);
    }
  }

  /** Reads the body away; `delimited` when its end is known without the connection's. */
  *#body(
    reader: SocketReader,
    headers: ReadonlyMap<string, string>,
    status: number,
    until: Time | undefined,
  ): Proc<{ size: number; wire: number; delimited: boolean } | undefined> {
    if (status === 204 || status === 304) return { size: 0, wire: 0, delimited: true };
    if (headers.get("transfer-encoding")?.toLowerCase() === "chunked") {
      for (let [size, wire] = [0, 0]; ; ) {
        const line = yield* reader.line(until);
        const length = Number.parseInt(line ?? "", 16);
        if (line === undefined || !(length >= 0)) return undefined;
        if ((yield* reader.exactly(length + 2, until)) === undefined) return undefined;
        size += length;
        wire += line.length + 2 + length + 2;
        if (length === 0) return { size, wire, delimited: true };
      }
    }
    const length = headers.get("content-length");
    if (length !== undefined) {
      const data = yield* reader.exactly(Number(length), until);
      return data === undefined ? undefined : { size: data.length, wire: data.length, delimited: true };
    }
    for (let size = 0; ; ) {
      size += reader.takeAll().length;
      if (!(yield* reader.fill(until))) return reader.ended ? { size, wire: size, delimited: false } : undefined;
    }
  }
}
