/** Apache httpd 2.4 as its image has it: `It works!`, files below htdocs, common log on standard output. */
import { formatIpv4 } from "../base/addr.ts";
import { SEC } from "../base/time.ts";
import { unixSeconds } from "../base/wall-clock.ts";
import type { Image, Program, ProgramContext } from "../engine/program.ts";
import type { Proc } from "../scheduler/process.ts";
import { glibcError } from "../shell/lib/program.ts";
import { debianFiles, debianPrograms } from "./debian.ts";
import { byteLength, type HttpAnswer, type HttpRequest, httpDate, httpMessage, REASONS } from "./server/http.ts";
import { apacheTime, commonLogTime } from "./server/log-time.ts";
import { servePlain } from "./server/plain-server.ts";
import type { Ending } from "./server/tcp-service.ts";

const WORKS = "<html><body><h1>It works!</h1></body></html>\n";
/** When the image's index.html was made: 2007-06-11T18:53:14Z. */
const WORKS_TIME = 1_181_587_994;
const KEEPALIVE = 5 * SEC;
const ROOT = "/usr/local/apache2/htdocs";
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  htm: "text/html",
  css: "text/css",
  txt: "text/plain",
  js: "application/javascript",
  json: "application/json",
};

/** What differs between Apache's images. */
export interface ApacheKind {
  /** `Apache/2.4.57 (Unix)` */
  readonly server: string;
  readonly mpm: "event" | "prefork";
  readonly commandLine: string;
  /** Answers before files are looked at; undefined: files. */
  respond?(context: ProgramContext, request: HttpRequest): Proc<ApachePage | undefined>;
}

/** A page with its status and headers. */
export interface ApachePage {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
  readonly headers?: readonly (readonly [string, string])[];
}

/** Runs Apache in the foreground. */
export function* apache(context: ProgramContext, kind: ApacheKind): Proc<number> {
  const own = context.ns.addr.list().find(({ addr }) => addr.ip >>> 24 !== 127);
  const name = own === undefined ? "127.0.0.1" : formatIpv4(own.addr.ip);
  const warning = `AH00558: ${kind.mpm === "event" ? "httpd" : "apache2"}: Could not reliably determine the server's fully qualified domain name, using ${name}. Set the 'ServerName' directive globally to suppress this message\n`;
  context.stderr.write(warning);
  if (kind.mpm === "event") context.stderr.write(warning);
  const note = (module: string, text: string): void => {
    const thread = kind.mpm === "event" ? `[pid ${context.pid}:tid 140229431707520]` : `[pid ${context.pid}]`;
    context.stderr.write(`[${apacheTime(context.os.now())}] [${module}:notice] ${thread} ${text}\n`);
  };
  const mpm = `mpm_${kind.mpm}`;
  const start = (): void => {
    note(mpm, `AH00${kind.mpm === "event" ? "489" : "163"}: ${kind.server} configured -- resuming normal operations`);
    note("core", `AH00094: Command line: '${kind.commandLine}'`);
  };
  const onSignal = (signal: string): Ending => {
    if (signal === "SIGTERM" || signal === "SIGINT") {
      note(mpm, `AH00${kind.mpm === "event" ? "491" : "169"}: caught SIGTERM, shutting down`);
      return "stop";
    }
    if (signal === "SIGWINCH") {
      note(mpm, `AH00${kind.mpm === "event" ? "492" : "170"}: caught SIGWINCH, shutting down gracefully`);
      return "drain";
    }
    return undefined;
  };
  const server = {
    name: kind.mpm === "event" ? "httpd" : "apache2",
    keepaliveTimeout: KEEPALIVE,
    *answer(_: ProgramContext, request: HttpRequest): Proc<HttpAnswer> {
      const page = (yield* kind.respond?.(context, request) ?? nothing()) ?? filePage(context, request);
      return finish(context, kind, request, page);
    },
    refuse: () => apacheMessage(context, kind, errorPage(400), false, "GET"),
    onSignal: (_: ProgramContext, signal: string) => onSignal(signal),
  };
  // It says so once it listens; a port that is taken is told instead.
  context.os.spawn("httpd start", said(start));
  return yield* servePlain(context, 80, server, (error) => {
    context.stderr.write(
      `(98)${glibcError(error)}: AH00072: make_sock: could not bind to address 0.0.0.0:80\nno listening sockets available, shutting down\nAH00015: Unable to open logs\n`,
    );
    return 1;
  });
}

// biome-ignore lint/correctness/useYield: it only speaks
function* said(speak: () => void): Proc<void> {
  speak();
}

// biome-ignore lint/correctness/useYield: no page of its own
function* nothing(): Proc<ApachePage | undefined> {
  return undefined;
}

function filePage({ files }: ProgramContext, { method, target }: HttpRequest): ApachePage {
  if (method !== "GET" && method !== "HEAD") return errorPage(405);
  const path = target.split("?")[0] as string;
  if (path.split("/").includes("..")) return errorPage(400);
  const full = `${ROOT}${path.endsWith("/") ? `${path}index.html` : path}`;
  const body = files.read(full);
  if (body === undefined) return errorPage(404);
  const seconds = body === WORKS ? WORKS_TIME : unixSeconds(0);
  return {
    status: 200,
    body,
    type: TYPES[full.slice(full.lastIndexOf(".") + 1)] ?? "text/plain",
    headers: [
      ["Last-Modified", new Date(seconds * 1000).toUTCString()],
      ["ETag", `"${byteLength(body).toString(16)}-${(seconds * 1_000_000).toString(16)}"`],
      ["Accept-Ranges", "bytes"],
    ],
  };
}

/** Apache's own page for an error (modules/http/http_protocol.c). */
export function errorPage(status: number): ApachePage {
  const reason = REASONS[status] ?? "";
  const texts: Readonly<Record<number, string>> = {
    400: "Your browser sent a request that this server could not understand.<br />",
    404: "The requested URL was not found on this server.",
    405: "The requested method is not allowed for this URL.",
  };
  const body = `<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>${status} ${reason}</title>\n</head><body>\n<h1>${reason}</h1>\n<p>${texts[status] ?? ""}</p>\n</body></html>\n`;
  return { status, body, type: "text/html; charset=iso-8859-1" };
}

function apacheMessage(
  context: ProgramContext,
  kind: ApacheKind,
  page: ApachePage,
  keep: boolean,
  method: string,
): string {
  return httpMessage(
    `${page.status} ${REASONS[page.status] ?? ""}`,
    [
      ["Date", httpDate(context)],
      ["Server", kind.server],
      ...(page.headers ?? []),
      ["Content-Length", String(byteLength(page.body))],
      ["Connection", keep ? undefined : "close"],
      ["Content-Type", page.type ?? "text/html"],
    ],
    method === "HEAD" ? "" : page.body,
  );
}

function finish(context: ProgramContext, kind: ApacheKind, request: HttpRequest, page: ApachePage): HttpAnswer {
  const size = request.method === "HEAD" || page.body === "" ? "-" : byteLength(page.body);
  const agent = kind.mpm === "prefork" ? ` "-" "${request.headers.get("user-agent") ?? "-"}"` : "";
  context.stdout.write(
    `${formatIpv4(request.client.ip)} - - [${commonLogTime(context.os.now())}] "${request.line}" ${page.status} ${size}${agent}\n`,
  );
  return { message: apacheMessage(context, kind, page, request.keepAlive, request.method), keep: request.keepAlive };
}

const foreground: Program = (context) =>
  apache(context, { server: "Apache/2.4.57 (Unix)", mpm: "event", commandLine: "httpd -D FOREGROUND" });

const programs = new Map<string, Program>([
  ...debianPrograms(),
  ["httpd-foreground", foreground],
  ["httpd", foreground],
]);

/** `httpd`: Apache. */
export const httpdImage: Image = {
  id: "sha256:7ad19c36ab96e4a4af4c3e8a0b2a0e4bb8eb3f37c7f2a2d3ab5a4b6dcc8d2e10",
  tag: "httpd:latest",
  cmd: ["httpd-foreground"],
  entrypoint: [],
  env: [
    "PATH=/usr/local/apache2/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HTTPD_VERSION=2.4.57",
  ],
  exposed: ["80/tcp"],
  workingDir: "/usr/local/apache2",
  stopSignal: "SIGWINCH",
  sizeBytes: 168_000_000,
  programs,
  files: new Map([...debianFiles(programs), [`${ROOT}/index.html`, WORKS]]),
};
