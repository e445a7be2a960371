/** The server's side of HTTP/1.1 (RFC 9112): requests with bodies, one after another on a connection. */
import type { Ipv4 } from "../../base/addr.ts";
import { SEC, type Time } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { sendTcp } from "../../scheduler/io.ts";
import type { Proc, Waitable } from "../../scheduler/process.ts";
import { decodeBytes, encode } from "../../shell/lib/program.ts";
import { SocketReader } from "../../shell/lib/socket-reader.ts";
import type { TcpService } from "./tcp-service.ts";

/** A request with its whole body. */
export interface HttpRequest {
  /** `GET / HTTP/1.1` */
  readonly line: string;
  readonly method: string;
  /** Path and query, as they came. */
  readonly target: string;
  /** `HTTP/1.1` */
  readonly version: string;
  /** Names in lower case; several of one name stand joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /** Header lines as they came. */
  readonly headerLines: readonly string[];
  readonly body: string;
  readonly client: { readonly ip: Ipv4; readonly port: number };
  readonly server: { readonly ip: Ipv4; readonly port: number };
  /** The client lets the connection stay open. */
  readonly keepAlive: boolean;
}

/** What a server answers: the whole message, and whether the connection stays open behind it. */
export interface HttpAnswer {
  readonly message: string;
  readonly keep: boolean;
}

/** What an HTTP server is told: its port and who answers. */
export interface HttpService {
  /** How long a connection waits for a request: the first one, and a further one. */
  readonly headerTimeout?: Time;
  readonly keepaliveTimeout?: Time;
  /** Largest body; beyond it `tooLarge` is asked. */
  readonly maxBody?: number;
  answer(request: HttpRequest): Proc<HttpAnswer>;
  /** A request that is none: the message that says so; the connection ends. */
  refuse(socket: TcpSocket, status: 400 | 413 | 505): string;
}

const DEFAULT_TIMEOUT = 60 * SEC;
const MAX_HEADER_LINES = 200;

/** Serves one connection to its end. */
export function* serveHttp(socket: TcpSocket, service: HttpService, server: TcpService): Proc<void> {
  const reader = new SocketReader(socket);
  const now = server.now();
  let until = now + (service.headerTimeout ?? DEFAULT_TIMEOUT);
  for (;;) {
    if (!(yield* requestBegins(reader, until, server))) break;
    const request = yield* readRequest(reader, until, service.maxBody ?? Number.POSITIVE_INFINITY);
    if (request === undefined) break;
    if (typeof request === "number") {
      yield* sendTcp(socket, encode(service.refuse(socket, request)));
      break;
    }
    const { message, keep } = yield* service.answer(request);
    yield* sendTcp(socket, encode(message));
    if (!keep || server.draining) break;
    until = server.now() + (service.keepaliveTimeout ?? DEFAULT_TIMEOUT);
  }
  socket.shutdown();
  // What has arrived is read away without waiting, so that closing sends no reset.
  while (reader.poll() && !reader.ended) reader.takeAll();
}

/** Waits for the first byte of a request; false at the end of the stream, the deadline, or the server's end. */
function* requestBegins(reader: SocketReader, until: Time, server: TcpService): Proc<boolean> {
  while (reader.buffered === 0) {
    if (reader.poll()) {
      if (reader.ended) return false;
      continue;
    }
    if (server.draining) return false;
    if ((yield { on: [reader.socket as unknown as Waitable, server.drained], until }) === undefined) return false;
  }
  return true;
}

/** Undefined at an early end; a status for what is no request. */
function* readRequest(
  reader: SocketReader,
  until: Time,
  maxBody: number,
): Proc<HttpRequest | 400 | 413 | 505 | undefined> {
  let line = yield* reader.line(until);
  // An empty line before the request line is ignored (RFC 9112 §2.2).
  if (line === "") line = yield* reader.line(until);
  if (line === undefined) return undefined;
  const match = /^([A-Za-z][A-Za-z_-]*) (\S+) HTTP\/(\d)\.(\d)$/.exec(line);
  if (match === null) return 400;
  if (match[3] !== "1") return 505;
  const headerLines: string[] = [];
  const headers = new Map<string, string>();
  for (;;) {
    const header = yield* reader.line(until);
    if (header === undefined) return undefined;
    if (header === "") break;
    const colon = header.indexOf(":");
    if (colon <= 0 || headerLines.length >= MAX_HEADER_LINES) return 400;
    const name = header.slice(0, colon).toLowerCase();
    const value = header.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
    headerLines.push(header);
  }
  const version = `HTTP/${match[3]}.${match[4]}`;
  if (version === "HTTP/1.1" && !headers.has("host")) return 400;
  const body = yield* readBody(reader, headers, until, maxBody);
  if (typeof body !== "string") return body;
  const connection = (headers.get("connection") ?? "").toLowerCase();
  return {
    line,
    method: match[1] as string,
    target: match[2] as string,
    version,
    headers,
    headerLines,
    body,
    client: reader.socket.remoteAddress(),
    server: reader.socket.localAddress(),
    keepAlive: version === "HTTP/1.1" ? connection !== "close" : connection === "keep-alive",
  };
}

function* readBody(
  reader: SocketReader,
  headers: ReadonlyMap<string, string>,
  until: Time,
  max: number,
): Proc<string | 400 | 413 | undefined> {
  if (headers.get("transfer-encoding")?.toLowerCase() === "chunked") {
    let body = "";
    for (;;) {
      const size = Number.parseInt((yield* reader.line(until)) ?? "", 16);
      if (!(size >= 0)) return 400;
      if (body.length + size > max) return 413;
      const data = yield* reader.exactly(size, until);
      if (data === undefined || (yield* reader.line(until)) === undefined) return undefined;
      if (size === 0) return body;
      body += decodeBytes(data);
    }
  }
  const text = headers.get("content-length");
  if (text === undefined) return "";
  if (!/^\d{1,15}$/.test(text)) return 400;
  if (Number(text) > max) return 413;
  const data = yield* reader.exactly(Number(text), until);
  return data === undefined ? undefined : decodeBytes(data);
}

/** `Tue, 15 Aug 2023 17:03:04 GMT` (RFC 9110 §5.6.7). */
export function httpDate(context: Pick<ProgramContext, "os">): string {
  return new Date(unixSeconds(context.os.now()) * 1000).toUTCString();
}

/** A message from a status line and headers; those without a value are left out. */
export function httpMessage(
  status: string,
  headers: readonly (readonly [name: string, value: string | undefined])[],
  body: string,
): string {
  const lines = headers.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `${[`HTTP/1.1 ${status}`, ...lines].join("\r\n")}\r\n\r\n${body}`;
}

/** Bytes of a text. */
export function byteLength(text: string): number {
  return encode(text).length;
}

/** Reason phrases (RFC 9110 §15). */
export const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Request Entity Too Large",
  429: "Too Many Requests",
  444: "",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};
