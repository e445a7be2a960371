/** traefik/whoami 1.10 (app.go): a Go server that says who it is; and jwilder/whoami, its ancestor on port 8000. */
import { formatIpv4 } from "../base/addr.ts";
import { SEC } from "../base/time.ts";
import type { Image, Program, ProgramContext } from "../engine/program.ts";
import type { Proc } from "../scheduler/process.ts";
import { glibcError } from "../shell/lib/program.ts";
import { byteLength, type HttpAnswer, type HttpRequest, httpDate, httpMessage, REASONS } from "./server/http.ts";
import { slashTime } from "./server/log-time.ts";
import { servePlain } from "./server/plain-server.ts";

/** Go's net/http closes an idle connection after the read timeout; this server sets 5 s. */
const IDLE = 5 * SEC;

function* serve(context: ProgramContext, port: number, page: (request: HttpRequest) => string): Proc<number> {
  return yield* servePlain(
    context,
    port,
    {
      name: "whoami",
      keepaliveTimeout: IDLE,
      answer: (_, request) => goAnswer(context, request, 200, page(request)),
      refuse: (_context, _socket, status) => goRefusal(status),
      // Without a handler a signal ends a Go program, even as PID 1: the runtime raises it again (os/signal).
      ended: () => 2,
    },
    (error) => {
      log(context, `listen tcp :${port}: bind: ${glibcError(error).toLowerCase()}`);
      return 1;
    },
  );
}

function log(context: ProgramContext, text: string): void {
  context.stderr.write(`${slashTime(context.os.now())} ${text}\n`);
}

/** As Go's net/http writes a handler's answer (server.go). */
export function goAnswer(
  context: ProgramContext,
  request: HttpRequest,
  status: number,
  body: string,
  type = "text/plain; charset=utf-8",
): HttpAnswer {
  const message = httpMessage(
    `${status} ${REASONS[status] ?? ""}`,
    [
      ["Date", httpDate(context)],
      ["Content-Length", String(byteLength(body))],
      ["Content-Type", type],
      ["Connection", request.keepAlive ? undefined : "close"],
    ],
    request.method === "HEAD" ? "" : body,
  );
  return { message, keep: request.keepAlive };
}

function goRefusal(status: number): string {
  const text = `${status} ${REASONS[status] ?? ""}`;
  return httpMessage(
    text,
    [
      ["Content-Type", "text/plain; charset=utf-8"],
      ["Connection", "close"],
    ],
    text,
  );
}

/** The addresses of the container's interfaces, in their order. */
function addresses(context: ProgramContext): string[] {
  return context.ns.addr.list().map(({ addr }) => formatIpv4(addr.ip));
}

function whoamiPage(context: ProgramContext, request: HttpRequest): string {
  const path = request.target.split("?")[0] as string;
  const name = context.env.get("WHOAMI_NAME");
  const headers = new Map(
    request.headerLines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [canonical(line.slice(0, colon)), line.slice(colon + 1).trim()];
    }),
  );
  const host = headers.get("Host") ?? "";
  headers.delete("Host");
  const remote = `${formatIpv4(request.client.ip)}:${request.client.port}`;
  if (path === "/bench") return "1";
  if (path === "/health") return "";
  if (path === "/api") {
    const fields = {
      hostname: context.hostname,
      ip: addresses(context),
      headers: Object.fromEntries([...headers].sort(byName).map(([key, value]) => [key, [value]])),
      url: request.target,
      host,
      method: request.method,
      ...(name === undefined ? {} : { name }),
      remoteAddr: remote,
    };
    return `${JSON.stringify(fields)}\n`;
  }
  const lines = [
    ...(name === undefined ? [] : [`Name: ${name}`]),
    `Hostname: ${context.hostname}`,
    ...addresses(context).map((ip) => `IP: ${ip}`),
    `RemoteAddr: ${remote}`,
  ];
  // Request.Write sends User-Agent first, then the others by name, with CR LF.
  const agent = headers.get("User-Agent");
  headers.delete("User-Agent");
  const sent = [
    `${request.method} ${request.target} ${request.version}`,
    `Host: ${host}`,
    ...(agent === undefined ? [] : [`User-Agent: ${agent}`]),
    ...[...headers].sort(byName).map(([key, value]) => `${key}: ${value}`),
  ];
  return `${lines.join("\n")}\n${sent.join("\r\n")}\r\n\r\n`;
}

function byName(a: readonly [string, string], b: readonly [string, string]): number {
  return a[0] < b[0] ? -1 : 1;
}

/** `user-agent` → `User-Agent` (textproto.CanonicalMIMEHeaderKey). */
function canonical(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

const whoami: Program = function* (context) {
  const flag = context.argv.find((word) => /^--?port[= ]/.test(word))?.split("=")[1];
  const port = Number(flag ?? context.argv[context.argv.indexOf("--port") + 1] ?? Number.NaN);
  const chosen = Number.isInteger(port) ? port : Number(context.env.get("WHOAMI_PORT_NUMBER") ?? 80);
  log(context, `Starting up on port ${chosen}`);
  return yield* serve(context, chosen, (request) => whoamiPage(context, request));
};

const jwilderWhoami: Program = function* (context) {
  const port = Number(context.env.get("PORT") ?? 8000);
  context.stdout.write(`Listening on :${port}\n`);
  return yield* serve(context, port, () => `I'm ${context.hostname}\n`);
};

const COMMON = {
  cmd: [],
  env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  workingDir: "/",
};

/** `traefik/whoami`. */
export const whoamiImage: Image = {
  ...COMMON,
  id: "sha256:a5f0e1fb3a6ad8a8d9b3b2e9a0dbaf0ad3b6f6a6ea6fd1f7c0f55f1a31e1f4b2",
  tag: "traefik/whoami:latest",
  entrypoint: ["/whoami"],
  exposed: ["80/tcp"],
  sizeBytes: 6_610_000,
  programs: new Map([["/whoami", whoami]]),
  files: new Map([["/whoami", "\u007fELF"]]),
};

/** `containous/whoami`, its older name. */
export const containousWhoami: Image = {
  ...whoamiImage,
  id: "sha256:0f6fbbedd3777530ea3bedadf0a75b9aba805a55f6c5481ef0ebc762a5eeb9f0",
  tag: "containous/whoami:latest",
};

/** `jwilder/whoami`. */
export const jwilderWhoamiImage: Image = {
  ...COMMON,
  id: "sha256:6c2ac1bf9a3fb2d3b8a5d3f9e5f0eb5a0fbc1a5f0e9e2fb2bb8f3b5f5b2f4e11",
  tag: "jwilder/whoami:latest",
  cmd: ["/app/http"],
  entrypoint: [],
  exposed: ["8000/tcp"],
  sizeBytes: 10_100_000,
  programs: new Map([["/app/http", jwilderWhoami]]),
  files: new Map([["/app/http", "\u007fELF"]]),
};
