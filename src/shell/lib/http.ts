/** HTTP/1.1 as small clients and servers speak it (RFC 9112): one request a connection. */
import type { Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import type { NetNs, TcpSocket } from "../../kernel/types.ts";
import { connectTcp, recvTcp, sendTcp } from "../../scheduler/io.ts";
import type { Proc } from "../../scheduler/process.ts";
import { decode, encode } from "./program.ts";

export interface Url {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** Parses `[http://]host[:port][/path]`; undefined for other schemes and for garbage. */
export function parseUrl(text: string): Url | undefined {
  const match = /^(?:http:\/\/)?([^/:?#]+)(?::(\d{1,5}))?([/?][^#]*)?(?:#.*)?$/i.exec(text);
  if (match === null) return undefined;
  const path = match[3] ?? "/";
  return { host: match[1] as string, port: Number(match[2] ?? 80), path: path.startsWith("?") ? `/${path}` : path };
}

export interface HttpResponse {
  /** `HTTP/1.1 200 OK` */
  readonly statusLine: string;
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** The status line and headers as they came. */
  readonly head: string;
  readonly body: string;
  /** The body ended before its length. */
  readonly short: boolean;
}

/** Splits a head into its lines' names and values. */
export function parseHeaders(head: string): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

function findEnd(data: Uint8Array): number {
  for (let at = 0; at + 3 < data.length; at++) {
    if (data[at] === 13 && data[at + 1] === 10 && data[at + 2] === 13 && data[at + 3] === 10) return at;
  }
  return -1;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** Reads up to the blank line. @returns the head and what came behind it; undefined at an early end or the deadline */
export function* readHead(socket: TcpSocket, until?: Time): Proc<{ head: string; rest: Uint8Array } | undefined> {
  let data: Uint8Array = new Uint8Array(0);
  for (;;) {
    const end = findEnd(data);
    if (end >= 0) return { head: decode(data.subarray(0, end)), rest: data.subarray(end + 4) };
    const chunk = yield* recvTcp(socket, 65536, until);
    if (chunk === undefined || chunk.length === 0 || data.length > 65536) return undefined;
    data = concat(data, chunk);
  }
}

/** What went wrong with a request. */
export type HttpFailure = { readonly failure: "connect" | "timeout" | "empty" | "reset"; readonly error?: KernelError };

/** Sends a request and reads the whole answer. */
export function* request(
  ns: NetNs,
  ip: Ipv4,
  port: number,
  message: string,
  options: { owner: string; until?: Time; headOnly?: boolean },
): Proc<HttpResponse | HttpFailure> {
  let socket: TcpSocket;
  try {
    socket = yield* connectTcp(ns, ip, port, options.until);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { failure: "connect", error };
  }
  socket.setOwner(options.owner);
  try {
    yield* sendTcp(socket, encode(message), options.until);
    const start = yield* readHead(socket, options.until);
    if (start === undefined) return { failure: socket.tryRecv(1)?.length === 0 ? "empty" : "timeout" };
    const headers = parseHeaders(start.head);
    const length = headers.get("content-length");
    const statusLine = start.head.split("\r\n")[0] as string;
    const chunks = [start.rest];
    let size = start.rest.length;
    const wanted = options.headOnly === true ? 0 : length === undefined ? Number.POSITIVE_INFINITY : Number(length);
    while (size < wanted) {
      const chunk = yield* recvTcp(socket, 65536, options.until);
      if (chunk === undefined) return { failure: "timeout" };
      if (chunk.length === 0) break;
      chunks.push(chunk);
      size += chunk.length;
    }
    const body = decode(chunks.reduce(concat));
    const short = wanted !== Number.POSITIVE_INFINITY && size < wanted;
    return { statusLine, status: Number(statusLine.split(" ")[1]), headers, head: start.head, body, short };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { failure: "reset", error };
  } finally {
    socket.close();
  }
}
