/** How nginx answers a request: the server, the location, and what that says (src/http/ngx_http_core_module.c, static, index, return). */
import { formatIpv4 } from "../../base/addr.ts";
import { SEC } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import type { Proc } from "../../scheduler/process.ts";
import { byteLength, type HttpAnswer, type HttpRequest, httpDate, httpMessage } from "../server/http.ts";
import { slashTime } from "../server/log-time.ts";
import type { Location, NginxConfig, Scope, Server } from "./config.ts";
import {
  DEFAULT_CONF,
  ERROR_PAGE_50X,
  IMAGE_TIME,
  MIME_TYPES,
  NGINX_VERSION,
  statusLine,
  statusPage,
  WELCOME_PAGE,
} from "./pages.ts";
import { Upstreams } from "./proxy.ts";
import { type Exchange, expand, hostOf } from "./variables.ts";

/** An answer before its headers are complete. */
interface Reply {
  readonly status: number;
  readonly body: string;
  readonly type?: string | undefined;
  readonly headers?: readonly (readonly [string, string])[];
  /** Comes from a file: with its entity tag. */
  readonly modified?: number;
}

const INTERNAL_REDIRECTS = 10;
const IMAGE_FILES = new Set([WELCOME_PAGE, ERROR_PAGE_50X, DEFAULT_CONF]);

/** A loaded configuration at work. */
export class NginxServer {
  readonly config: NginxConfig;
  readonly upstreams: Upstreams;
  readonly #context: ProgramContext;
  readonly #worker: number;
  #connections = 0;
  #requests = 0;

  /** @param worker the worker process' number, as the error log shows it */
  constructor(context: ProgramContext, config: NginxConfig, worker: number) {
    this.#context = context;
    this.config = config;
    this.#worker = worker;
    this.upstreams = new Upstreams(context, (exchange, level, text) => this.#error(exchange, level, text));
  }

  /** A number for a new connection. */
  newConnection(): number {
    return ++this.#connections;
  }

  keepaliveTimeout(socket: TcpSocket): number {
    return this.#serverFor(socket.localAddress(), "").scope.keepaliveTimeout;
  }

  /** The server that listens there and has the name; else the default one (ngx_http_find_virtual_server). */
  #serverFor({ ip, port }: { readonly ip: number; readonly port: number }, host: string): Server {
    const listening = this.config.servers.filter((server) =>
      server.listens.some((listen) => listen.port === port && (listen.ip === 0 || listen.ip === ip)),
    );
    const exact = listening.find(({ names }) => names.includes(host));
    const wildcard = listening.find(({ names }) => names.some((name) => matchesWildcard(name, host)));
    const byDefault = listening.find(({ listens }) => listens.some((one) => one.port === port && one.isDefault));
    return exact ?? wildcard ?? byDefault ?? (listening[0] as Server);
  }

  *answer(request: HttpRequest, connection: number): Proc<HttpAnswer> {
    const host = (request.headers.get("host") ?? "").replace(/:\d+$/, "").toLowerCase();
    const server = this.#serverFor(request.server, host);
    this.#requests++;
    const path = request.target.split("?")[0] as string;
    const exchange: Exchange = {
      request,
      server,
      connection,
      uri: normalized(path),
      variables: new Map(),
      status: 0,
      bodyBytes: 0,
      upstreams: [],
    };
    let location = findLocation(server, exchange.uri);
    let reply = yield* this.#reply(exchange, location);
    for (let hop = 0; hop < INTERNAL_REDIRECTS; hop++) {
      const scope = (location?.scope ?? server.scope) as Scope;
      const page = reply.status >= 300 && reply.type === undefined ? scope.errorPages.get(reply.status) : undefined;
      if (page === undefined || exchange.uri === page) break;
      const { status } = reply;
      exchange.uri = page;
      location = findLocation(server, page);
      const found = yield* this.#reply(exchange, location);
      // The error page's own absence leaves the error as it is.
      reply = found.status === 200 ? { ...found, status } : { status, body: statusPage(status), type: "text/html" };
    }
    return this.#finish(exchange, location?.scope ?? server.scope, reply);
  }

  *#reply(exchange: Exchange, location: Location | undefined): Proc<Reply> {
    const { server, request } = exchange;
    for (const [name, value] of server.scope.set) exchange.variables.set(name, expand(this.#context, exchange, value));
    if (server.scope.giveBack !== undefined) return this.#return(exchange, server.scope);
    const scope = location?.scope ?? server.scope;
    exchange.variables.set("location prefix", location?.kind === "regex" ? "/" : (location?.pattern ?? "/"));
    for (const [name, value] of scope.set) exchange.variables.set(name, expand(this.#context, exchange, value));
    if (scope.giveBack !== undefined) return this.#return(exchange, scope);
    if (scope.denyAll) return this.#denied(exchange, "access forbidden by rule");
    if (scope.stubStatus) return this.#stubStatus();
    if (scope.tryFiles !== undefined) return yield* this.#tryFiles(exchange, scope);
    if (scope.proxyPass !== undefined) return yield* this.#proxy(exchange, scope);
    if (request.method !== "GET" && request.method !== "HEAD") return { status: 405, body: "" };
    return this.#static(exchange, scope, location);
  }

  #return(exchange: Exchange, { giveBack, defaultType }: Scope): Reply {
    const { status, text } = giveBack as NonNullable<Scope["giveBack"]>;
    const value = text === undefined ? undefined : expand(this.#context, exchange, text);
    if ([301, 302, 303, 307, 308].includes(status) && value !== undefined) {
      const host = exchange.request.headers.get("host") ?? hostOf(exchange);
      const target = value.startsWith("/") ? `http://${host}${value}` : value;
      return { status, body: "", headers: [["Location", target]] };
    }
    if (value === undefined) return { status, body: "", ...(status < 300 ? { type: "" } : {}) };
    return { status, body: value, type: defaultType };
  }

  #stubStatus(): Reply {
    const n = this.#requests;
    const c = this.#connections;
    const body = `Active connections: 1 \nserver accepts handled requests\n ${c} ${c} ${n} \nReading: 0 Writing: 1 Waiting: 0 \n`;
    return { status: 200, body, type: "text/plain" };
  }

  *#tryFiles(exchange: Exchange, scope: Scope): Proc<Reply> {
    const tries = scope.tryFiles as readonly string[];
    for (const entry of tries.slice(0, -1)) {
      const name = expand(this.#context, exchange, entry);
      const full = filePath(scope, name);
      const found = name.endsWith("/")
        ? this.#context.files.list(full) !== undefined
        : this.#context.files.read(full) !== undefined;
      if (!found) continue;
      exchange.uri = name;
      return this.#static(exchange, scope, undefined);
    }
    const last = tries.at(-1) as string;
    if (last.startsWith("=")) return { status: Number(last.slice(1)), body: "" };
    exchange.uri = expand(this.#context, exchange, last);
    const location = findLocation(exchange.server, exchange.uri);
    if (location === undefined || location.scope.tryFiles === tries) return this.#static(exchange, scope, undefined);
    return yield* this.#reply(exchange, location);
  }

  *#proxy(exchange: Exchange, scope: Scope): Proc<Reply> {
    const outcome = yield* this.upstreams.pass(exchange, scope);
    if ("status" in outcome) return { status: outcome.status, body: "" };
    const { response } = outcome;
    const headers: [string, string][] = [];
    for (const line of response.head.split("\r\n").slice(1)) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon);
      const hidden = [
        "server",
        "date",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "keep-alive",
      ];
      if (colon > 0 && !hidden.includes(name.toLowerCase())) headers.push([name, line.slice(colon + 1).trim()]);
    }
    const type = response.headers.get("content-type") ?? "";
    return { status: response.status, body: response.body, type, headers };
  }

  /** A file below the root, a directory's index, or why not. */
  #static(exchange: Exchange, scope: Scope, location: Location | undefined): Reply {
    const { files } = this.#context;
    const full = filePath(scope, exchange.uri, location);
    if (!exchange.uri.endsWith("/")) {
      const text = files.read(full);
      if (text !== undefined) return this.#file(full, text, scope);
      if (files.list(full) !== undefined) {
        const host = exchange.request.headers.get("host") ?? hostOf(exchange);
        return { status: 301, body: "", headers: [["Location", `http://${host}${exchange.uri}/`]] };
      }
      this.#error(exchange, "error", `open() "${full}" failed (2: No such file or directory)|`);
      return { status: 404, body: "" };
    }
    const directory = full.replace(/\/$/, "");
    for (const name of scope.index) {
      const text = files.read(`${directory}/${name}`);
      if (text !== undefined) return this.#file(name, text, scope);
    }
    if (files.list(directory === "" ? "/" : directory) === undefined) {
      this.#error(exchange, "error", `"${directory}/${scope.index[0]}" is not found (2: No such file or directory)|`);
      return { status: 404, body: "" };
    }
    if (scope.autoindex)
      return { status: 200, body: listing(exchange.uri, files.list(directory) ?? []), type: "text/html" };
    return this.#denied(exchange, `directory index of "${directory}/" is forbidden`);
  }

  #denied(exchange: Exchange, why: string): Reply {
    this.#error(exchange, "error", `${why}|`);
    return { status: 403, body: "" };
  }

  #file(name: string, text: string, scope: Scope): Reply {
    const dot = name.lastIndexOf(".");
    const type = (dot > name.lastIndexOf("/") ? MIME_TYPES[name.slice(dot + 1)] : undefined) ?? scope.defaultType;
    // A file that was written since is as old as the host: files have no times here.
    return { status: 200, body: text, type, modified: IMAGE_FILES.has(text) ? IMAGE_TIME : unixSeconds(0) };
  }

  /** Headers in nginx's order (ngx_http_header_filter_module.c), and the log line. */
  #finish(exchange: Exchange, scope: Scope, reply: Reply): HttpAnswer {
    const { request } = exchange;
    let { status, body } = reply;
    const isFile = reply.modified !== undefined && status === 200;
    const etag = isFile ? `"${reply.modified?.toString(16)}-${byteLength(body).toString(16)}"` : undefined;
    if (etag !== undefined && request.headers.get("if-none-match") === etag) {
      status = 304;
      body = "";
    } else if (status >= 300 && reply.type === undefined) body = statusPage(status);
    const type = reply.type ?? "text/html";
    const keep = request.keepAlive && status !== 400 && status !== 444;
    const location = reply.headers?.find(([name]) => name === "Location")?.[1];
    const always = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308].includes(status);
    exchange.status = status;
    const message = httpMessage(
      statusLine(status),
      [
        ["Server", NGINX_VERSION],
        ["Date", httpDate(this.#context)],
        ["Content-Type", status === 304 || type === "" ? undefined : type],
        ["Content-Length", status === 304 || status === 204 ? undefined : String(byteLength(body))],
        ["Last-Modified", isFile ? new Date((reply.modified as number) * 1000).toUTCString() : undefined],
        ["Connection", keep ? "keep-alive" : "close"],
        ["Location", location],
        ["ETag", etag],
        ...(reply.headers ?? []).filter(([name]) => name !== "Location"),
        ...(always ? scope.addHeaders : []).map(
          ([name, value]) => [name, expand(this.#context, exchange, value)] as const,
        ),
        ["Accept-Ranges", isFile && status === 200 ? "bytes" : undefined],
      ],
      request.method === "HEAD" ? "" : body,
    );
    exchange.bodyBytes = request.method === "HEAD" ? 0 : byteLength(body);
    this.#access(exchange, scope);
    return { message: status === 444 ? "" : message, keep };
  }

  /** An answer to what is no request. */
  refusal(socket: TcpSocket, status: 400 | 413 | 505): string {
    const { ip, port } = socket.remoteAddress();
    const { scope } = this.#serverFor(socket.localAddress(), "");
    if (scope.accessLog !== undefined) this.#write(scope.accessLog.path, `${formatIpv4(ip)}:${port} "-" ${status}\n`);
    const body = statusPage(status);
    return httpMessage(
      statusLine(status),
      [
        ["Server", NGINX_VERSION],
        ["Date", httpDate(this.#context)],
        ["Content-Type", "text/html"],
        ["Content-Length", String(byteLength(body))],
        ["Connection", "close"],
      ],
      body,
    );
  }

  #access(exchange: Exchange, { accessLog }: Scope): void {
    if (accessLog === undefined) return;
    const format = this.config.formats.get(accessLog.format) ?? "";
    this.#write(accessLog.path, `${expand(this.#context, exchange, format, "-")}\n`);
  }

  /** The image links its logs to standard output and error. */
  #write(path: string, line: string): void {
    if (path === "/var/log/nginx/access.log" || path === "/dev/stdout") this.#context.stdout.write(line);
    else if (path === "/dev/stderr") this.#context.stderr.write(line);
    else if (path !== "/dev/null") this.#context.files.write(path, `${this.#context.files.read(path) ?? ""}${line}`);
  }

  /** @param text with a bar where the request's description stands */
  #error({ request, server, connection }: Exchange, level: string, text: string): void {
    const [before = "", after = ""] = text.split("|");
    const host = request.headers.get("host");
    const where = `client: ${formatIpv4(request.client.ip)}, server: ${server.names[0]}, request: "${request.line}"`;
    const time = slashTime(this.#context.os.now());
    this.#context.stderr.write(
      `${time} [${level}] ${this.#worker}#${this.#worker}: *${connection} ${before}, ${where}${after}${host === undefined ? "" : `, host: "${host}"`}\n`,
    );
  }
}

/** `*.example.com` and `example.*`. */
function matchesWildcard(name: string, host: string): boolean {
  if (name.startsWith("~")) return new RegExp(name.slice(1)).test(host);
  if (name.startsWith("*.")) return host.endsWith(name.slice(1));
  return name.endsWith(".*") && host.startsWith(name.slice(0, -1));
}

/** Exact, then the longest prefix, then the first regular expression unless the prefix is final. */
function findLocation({ locations }: Server, uri: string): Location | undefined {
  const exact = locations.find(({ kind, pattern }) => kind === "exact" && pattern === uri);
  if (exact !== undefined) return exact;
  let best: Location | undefined;
  for (const location of locations) {
    const prefix = (location.kind === "prefix" || location.kind === "final") && uri.startsWith(location.pattern);
    if (prefix && location.pattern.length > (best?.pattern.length ?? -1)) best = location;
  }
  if (best?.kind === "final") return best;
  return locations.find(({ regex }) => regex?.test(uri)) ?? best;
}

function filePath(scope: Scope, uri: string, location?: Location): string {
  if (scope.alias !== undefined && location !== undefined)
    return `${scope.alias}${uri.slice(location.pattern.length).startsWith("/") ? "" : "/"}${uri.slice(location.pattern.length)}`;
  return `${scope.root === "/" ? "" : scope.root}${uri.startsWith("/") ? uri : `/${uri}`}`;
}

/** Percent signs decoded, dots and double slashes resolved. */
function normalized(path: string): string {
  let plain = path;
  try {
    plain = decodeURIComponent(path);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  const parts: string[] = [];
  for (const part of plain.split("/").slice(1)) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`.replace(/\/{2,}/g, "/");
}

function listing(uri: string, names: readonly string[]): string {
  const rows = names.map((name) => `<a href="${name}">${name}</a>\r\n`).join("");
  return `<html>\r\n<head><title>Index of ${uri}</title></head>\r\n<body>\r\n<h1>Index of ${uri}</h1><hr><pre><a href="../">../</a>\r\n${rows}</pre><hr></body>\r\n</html>\r\n`;
}

/** How long a client may take for its header (client_header_timeout). */
export const HEADER_TIMEOUT = 60 * SEC;
