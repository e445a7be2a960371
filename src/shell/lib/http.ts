/** HTTP/1.1 as small clients and servers speak it (RFC 9112): one request a connection. */
import type { Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import type { NetNs } from "../../kernel/types.ts";
import { connectTcp, recvTcp, sendTcp } from "../../scheduler/io.ts";
import type { Proc } from "../../scheduler/process.ts";
import { decode, decodeBytes, encode } from "./program.ts";

/** A URL taken apart. */
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

/** A response: status line, headers, body. */
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
  /** This end of the connection. */
  readonly local: { readonly ip: Ipv4; readonly port: number };
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

/** How a request is made. */
export interface RequestOptions {
  /** What `ss` shows as the socket's program. */
  readonly owner: string;
  readonly until?: Time;
  /** With it `until` is the connection's deadline only; this one is asked before each read. */
  readonly readUntil?: () => Time | undefined;
  /** The answer has no body, whatever its length says: to HEAD. */
  readonly headOnly?: boolean;
}

/** Sends a request and reads the whole answer; one in chunks (RFC 9112 §7.1) comes without them. */
export function* request(
  ns: NetNs,
  ip: Ipv4,
  port: number,
  message: string,
  options: RequestOptions,
): Proc<HttpResponse | HttpFailure> {
  let socket: TcpSocket;
  try {
    socket = yield* connectTcp(ns, ip, port, options.until);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { failure: "connect", error };
  }
  socket.setOwner(options.owner);
  const local = socket.localAddress();
  const limit = options.readUntil ?? (() => options.until);
  try {
    yield* sendTcp(socket, encode(message), limit());
    const start = yield* readHead(socket, limit());
    if (start === undefined) return { failure: socket.tryRecv(1)?.length === 0 ? "empty" : "timeout" };
    const statusLine = start.head.split("\r\n")[0] as string;
    const status = Number(statusLine.split(" ")[1]);
    const headers = parseHeaders(start.head);
    const bodiless = options.headOnly === true || status === 204 || status === 304;
    const body = yield* readBody(socket, start.rest, headers, bodiless, limit);
    if (body === undefined) return { failure: "timeout" };
    return { statusLine, status, headers, head: start.head, body: decodeBytes(body.data), short: body.short, local };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { failure: "reset", error };
  } finally {
    socket.close();
  }
}

/** @returns undefined when the deadline came */
function* readBody(
  socket: TcpSocket,
  begun: Uint8Array,
  headers: ReadonlyMap<string, string>,
  bodiless: boolean,
  limit: () => Time | undefined,
): Proc<{ data: Uint8Array; short: boolean } | undefined> {
  const chunked = !bodiless && headers.get("transfer-encoding")?.toLowerCase() === "chunked";
  const length = headers.get("content-length");
  const wanted = bodiless ? 0 : length === undefined || chunked ? Number.POSITIVE_INFINITY : Number(length);
  const parts = [begun];
  let size = begun.length;
  let whole = chunked ? dechunk(begun) : undefined;
  while (size < wanted && whole === undefined) {
    const part = yield* recvTcp(socket, 65536, limit());
    if (part === undefined) return undefined;
    if (part.length === 0) break;
    parts.push(part);
    size += part.length;
    if (chunked) whole = dechunk(parts.reduce(concat));
  }
  if (chunked) return { data: whole ?? new Uint8Array(0), short: whole === undefined };
  return { data: parts.reduce(concat), short: wanted !== Number.POSITIVE_INFINITY && size < wanted };
}

/** The data of chunks; undefined while the last one is missing. */
function dechunk(data: Uint8Array): Uint8Array | undefined {
  let out: Uint8Array = new Uint8Array(0);
  for (let at = 0; ; ) {
    const end = data.indexOf(10, at);
    if (end < 0) return undefined;
    const size = Number.parseInt(decode(data.subarray(at, end)), 16);
    if (!(size > 0)) return out;
    if (end + 1 + size + 2 > data.length) return undefined;
    out = concat(out, data.subarray(end + 1, end + 1 + size));
    at = end + 1 + size + 2;
  }
}
