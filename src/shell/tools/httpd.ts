/** `httpd` of busybox 1.35 (networking/httpd.c): serves the files below a folder. */
import { KernelError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { sendTcp } from "../../scheduler/io.ts";
import type { Proc, Process } from "../../scheduler/process.ts";
import { readHead } from "../lib/http.ts";
import { getopt } from "../lib/options.ts";
import { absolutePath, encode, Failure, muslError, tool, waitReady } from "../lib/program.ts";

/** Seconds in which a request has to arrive (HEADER_READ_TIMEOUT). */
const READ_TIMEOUT = 60;
const REASONS: Readonly<Record<number, readonly [reason: string, info: string]>> = {
  200: ["OK", ""],
  400: ["Bad Request", "Unsupported method"],
  404: ["Not Found", "The requested URL was not found"],
  501: ["Not Implemented", "The requested method is not recognized"],
};
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  htm: "text/html",
  txt: "text/plain",
  css: "text/css",
  js: "application/javascript",
  json: "application/json",
  png: "image/png",
};

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "fvc:p:h:u:r:");
  const port = Number((options.text("p") ?? "80").split(":").at(-1));
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Failure(`invalid port '${options.text("p") ?? ""}'`);
  const home = absolutePath(context, options.text("h") ?? ".");
  const listener = context.ns.socket.tcp();
  listener.setOwner("httpd");
  try {
    listener.bind(0, port);
    listener.listen(9);
  } catch (error) {
    listener.close();
    if (!(error instanceof KernelError)) throw error;
    throw new Failure(`bind: ${muslError(error)}`);
  }
  const serving = serve(context, listener, home);
  if (options.has("f")) return yield* serving;
  context.os.spawn("httpd", serving);
  return 0;
}

function* serve(context: ProgramContext, listener: TcpSocket, home: string): Proc<number> {
  const clients = new Set<Process>();
  try {
    while (!listener.closed) {
      const socket = listener.tryAccept();
      if (socket !== undefined) {
        for (const client of clients) if (client.done) clients.delete(client);
        clients.add(context.os.spawn("httpd", answer(context, socket, home)));
        continue;
      }
      yield* waitReady(context, [listener]);
    }
    return 0;
  } finally {
    listener.close();
    for (const client of clients) client.kill();
  }
}

function* answer(context: ProgramContext, socket: TcpSocket, home: string): Proc<void> {
  const until = context.os.now() + READ_TIMEOUT * SEC;
  try {
    const request = yield* readHead(socket, until);
    if (request === undefined) return;
    // Headers go out in a write of their own (send_headers), the file follows (send_file_and_exit).
    const response = respond(context, request.head, home);
    const body = response.indexOf("\r\n\r\n") + 4;
    yield* sendTcp(socket, encode(response.slice(0, body)));
    if (body < response.length) yield* sendTcp(socket, encode(response.slice(body)));
    socket.shutdown();
    // log_and_exit: what has arrived is read away without waiting, so that closing sends no reset.
    for (let data = socket.tryRecv(65536); data !== undefined && data.length > 0; ) data = socket.tryRecv(65536);
  } catch (error) {
    // A client that resets its connection ends only itself.
    if (!(error instanceof KernelError)) throw error;
  } finally {
    socket.close();
  }
}

/** The whole response to a request's head. */
function respond(context: Pick<ProgramContext, "files" | "os">, head: string, home: string): string {
  const [method = "", target = ""] = (head.split("\r\n")[0] as string).split(" ");
  const date = new Date(unixSeconds(context.os.now()) * 1000).toUTCString();
  if (method !== "GET" && method !== "HEAD") return errorPage(501, date);
  if (!target.startsWith("/")) return errorPage(400, date);
  const path = decodeURIComponent((target.split("?")[0] as string).replace(/%(?![0-9a-fA-F]{2})/g, "%25"));
  if (path.split("/").includes("..")) return errorPage(404, date);
  const full = `${home === "/" ? "" : home}${path.endsWith("/") ? `${path}index.html` : path}`;
  const body = context.files.read(full);
  if (body === undefined) return errorPage(404, date);
  const type = TYPES[full.slice(full.lastIndexOf(".") + 1)] ?? "application/octet-stream";
  const { length } = encode(body);
  // Files have no time of their own here: all are as old as the host.
  const modified = Math.floor(unixSeconds(0));
  const lines = [
    "HTTP/1.1 200 OK",
    `Date: ${date}`,
    "Connection: close",
    `Content-type: ${type}`,
    "Accept-Ranges: bytes",
    `Last-Modified: ${new Date(modified * 1000).toUTCString()}`,
    `ETag: "${modified.toString(16)}-${length.toString(16)}"`,
    `Content-Length: ${length}`,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${method === "HEAD" ? "" : body}`;
}

function errorPage(status: number, date: string): string {
  const [reason, info] = REASONS[status] as readonly [string, string];
  const page = `<HTML><HEAD><TITLE>${status} ${reason}</TITLE></HEAD>\n<BODY><H1>${status} ${reason}</H1>\n${info}\n</BODY></HTML>\n`;
  return `HTTP/1.1 ${status} ${reason}\r\nDate: ${date}\r\nConnection: close\r\nContent-type: text/html\r\n\r\n${page}`;
}

/** busybox's httpd. */
export const httpd: Program = tool(main);
