/** What nginx makes of its directives: servers, locations and upstreams, with what each inherits (src/http/ngx_http_core_module.c). */
import { type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { MS, SEC, type Time } from "../../base/time.ts";
import type { FileSystem } from "../../engine/program.ts";
import { type Directive, NginxConfigError, parseNginxConfig } from "./parse.ts";

/** What a location inherits of its server, and that of http. */
export interface Scope {
  root: string;
  alias: string | undefined;
  index: readonly string[];
  tryFiles: readonly string[] | undefined;
  giveBack: { readonly status: number; readonly text: string | undefined } | undefined;
  proxyPass: string | undefined;
  proxyHeaders: readonly (readonly [string, string])[];
  proxyConnectTimeout: Time;
  proxyReadTimeout: Time;
  proxyNextUpstream: boolean;
  /** Path and format; undefined for off. */
  accessLog: { readonly path: string; readonly format: string } | undefined;
  addHeaders: readonly (readonly [string, string])[];
  errorPages: ReadonlyMap<number, string>;
  defaultType: string;
  keepaliveTimeout: Time;
  maxBody: number;
  autoindex: boolean;
  stubStatus: boolean;
  denyAll: boolean;
  /** Addresses of `resolver`. */
  resolvers: readonly Ipv4[];
  set: readonly (readonly [string, string])[];
}

/** A `location` block. */
export interface Location {
  readonly kind: "prefix" | "final" | "exact" | "regex";
  readonly pattern: string;
  readonly regex: RegExp | undefined;
  readonly scope: Scope;
}

/** A `server` block. */
export interface Server {
  readonly listens: readonly { readonly ip: Ipv4; readonly port: number; readonly isDefault: boolean }[];
  readonly names: readonly string[];
  readonly scope: Scope;
  readonly locations: readonly Location[];
}

/** A `server` line of an `upstream` block. */
export interface UpstreamServer {
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly backup: boolean;
  readonly down: boolean;
  readonly maxFails: number;
  readonly failTimeout: Time;
}

/** An `upstream` block. */
export interface Upstream {
  readonly name: string;
  readonly leastConn: boolean;
  readonly ipHash: boolean;
  readonly servers: readonly UpstreamServer[];
}

/** A whole configuration, as far as it is understood. */
export interface NginxConfig {
  readonly daemon: boolean;
  readonly pid: string;
  readonly servers: readonly Server[];
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly formats: ReadonlyMap<string, string>;
}

const COMBINED =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';

const ROOT_SCOPE: Scope = {
  root: "/etc/nginx/html",
  alias: undefined,
  index: ["index.html"],
  tryFiles: undefined,
  giveBack: undefined,
  proxyPass: undefined,
  proxyHeaders: [],
  proxyConnectTimeout: 60 * SEC,
  proxyReadTimeout: 60 * SEC,
  proxyNextUpstream: true,
  accessLog: { path: "/var/log/nginx/access.log", format: "combined" },
  addHeaders: [],
  errorPages: new Map(),
  defaultType: "text/plain",
  keepaliveTimeout: 75 * SEC,
  maxBody: 1 << 20,
  autoindex: false,
  stubStatus: false,
  denyAll: false,
  resolvers: [],
  set: [],
};

/** Directives that change nothing of what is emulated: buffers, threads, TLS-less tuning. */
const IGNORED = new Set(
  (
    "user worker_processes worker_connections worker_rlimit_nofile error_log sendfile tcp_nopush tcp_nodelay gzip types " +
    "types_hash_max_size server_tokens charset include keepalive_requests proxy_http_version proxy_buffering proxy_buffers " +
    "proxy_buffer_size proxy_redirect proxy_send_timeout send_timeout client_body_timeout client_header_timeout multi_accept " +
    "use resolver_timeout keepalive zone proxy_cache_bypass proxy_request_buffering server_names_hash_bucket_size expires " +
    "events log_not_found allow absolute_redirect port_in_redirect proxy_next_upstream_tries proxy_next_upstream_timeout"
  ).split(" "),
);

function fail(directive: Directive, message: string): never {
  throw new NginxConfigError(`${message} in ${directive.file}:${directive.line}`);
}

/** Reads and checks a configuration. `global` are the directives of -g. @throws NginxConfigError */
export function loadNginxConfig(files: FileSystem, path: string, global: readonly Directive[]): NginxConfig {
  const top = [...global, ...parseNginxConfig(files, path)];
  const servers: Server[] = [];
  const upstreams = new Map<string, Upstream>();
  const formats = new Map([["combined", COMBINED]]);
  let [daemon, pid, events] = [true, "/run/nginx.pid", false];
  for (const directive of top) {
    const { name, args, block } = directive;
    if (name === "daemon") daemon = args[0] !== "off";
    else if (name === "pid") pid = (args[0] ?? pid).replace(/^\/var\/run/, "/run");
    else if (name === "events") events = true;
    else if (name === "http") {
      const inner = block ?? [];
      for (const one of inner)
        if (one.name === "log_format") formats.set(one.args[0] ?? "", one.args.slice(1).join(""));
      for (const one of inner) if (one.name === "upstream") upstreams.set(one.args[0] ?? "", upstreamOf(one));
      const scope = scopeOf({ ...ROOT_SCOPE }, inner, formats, ["server", "upstream", "log_format"]);
      for (const one of inner) if (one.name === "server") servers.push(serverOf(one, scope, formats));
    } else if (!IGNORED.has(name)) fail(directive, unknownText(name));
  }
  if (!events) throw new NginxConfigError('no "events" section in configuration');
  return { daemon, pid, servers, upstreams, formats };
}

function unknownText(name: string): string {
  const placed = ["server", "location", "listen", "server_name", "root", "upstream", "proxy_pass", "return", "http"];
  return placed.includes(name) ? `"${name}" directive is not allowed here` : `unknown directive "${name}"`;
}

function serverOf(directive: Directive, outer: Scope, formats: ReadonlyMap<string, string>): Server {
  const listens: Server["listens"][number][] = [];
  const names: string[] = [];
  const inner = directive.block ?? [];
  for (const one of inner) {
    if (one.name === "listen") {
      const place = listenOf(one);
      if (place !== undefined) listens.push(place);
    } else if (one.name === "server_name") names.push(...one.args);
  }
  const scope = scopeOf({ ...outer }, inner, formats, ["listen", "server_name", "location"]);
  const locations = inner.filter(({ name }) => name === "location").flatMap((one) => locationsOf(one, scope, formats));
  if (listens.length === 0) listens.push({ ip: 0, port: 80, isDefault: false });
  return { listens, names: names.length === 0 ? [""] : names, scope, locations };
}

/** Undefined for IPv6 and Unix sockets. */
function listenOf(directive: Directive): Server["listens"][number] | undefined {
  const [where = "", ...rest] = directive.args;
  if (where.startsWith("[") || where.startsWith("unix:")) return undefined;
  if (rest.includes("ssl")) fail(directive, 'the "ssl" parameter requires ngx_http_ssl_module');
  const match = /^(?:(\*|\d+\.\d+\.\d+\.\d+|localhost):)?(\d+)$/.exec(
    /^[\d.]+\.\d+$/.test(where) ? `${where}:80` : where,
  );
  const port = Number(match?.[2]);
  if (match === null) fail(directive, `host not found in "${where}" of the "listen" directive`);
  if (port < 1 || port > 65535) fail(directive, `invalid port in "${where}" of the "listen" directive`);
  const host = match[1] === "localhost" ? "127.0.0.1" : match[1];
  return { ip: parseIpv4(host ?? "") ?? 0, port, isDefault: rest.includes("default_server") };
}

function locationsOf(directive: Directive, outer: Scope, formats: ReadonlyMap<string, string>): Location[] {
  const [first = "", second] = directive.args;
  if (directive.args.length === 0 || directive.args.length > 2)
    fail(directive, 'invalid number of arguments in "location" directive');
  const [mark, pattern] = second === undefined ? ["", first] : [first, second];
  const kinds: Readonly<Record<string, Location["kind"]>> = {
    "": "prefix",
    "=": "exact",
    "^~": "final",
    "~": "regex",
    "~*": "regex",
  };
  const kind = kinds[mark];
  if (kind === undefined) fail(directive, `invalid location modifier "${mark}"`);
  const inner = directive.block ?? [];
  const own = { ...outer, proxyPass: undefined, tryFiles: undefined, stubStatus: false, alias: undefined };
  const scope = scopeOf(own, inner, formats, ["location"]);
  const nested = inner.filter(({ name }) => name === "location").flatMap((one) => locationsOf(one, scope, formats));
  const regex = kind === "regex" ? new RegExp(pattern, mark === "~*" ? "i" : "") : undefined;
  return [{ kind, pattern, regex, scope }, ...nested];
}

function upstreamOf(directive: Directive): Upstream {
  const inner = directive.block ?? [];
  const servers = inner
    .filter(({ name }) => name === "server")
    .map((one): UpstreamServer => {
      const [place = "", ...options] = one.args;
      const option = (name: string) => options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
      const [host = "", port] = place.split(":");
      return {
        host,
        port: Number(port ?? 80),
        weight: Number(option("weight") ?? 1),
        backup: options.includes("backup"),
        down: options.includes("down"),
        maxFails: Number(option("max_fails") ?? 1),
        failTimeout: timeOf(option("fail_timeout") ?? "10s"),
      };
    });
  const name = directive.args[0] ?? "";
  if (servers.length === 0) fail(directive, `no servers are inside upstream`);
  const has = (method: string) => inner.some((one) => one.name === method);
  return { name, leastConn: has("least_conn"), ipHash: has("ip_hash"), servers };
}

/** `60`, `60s`, `500ms`, `1m`. */
function timeOf(text: string): Time {
  const match = /^(\d+)(ms|s|m|h)?$/.exec(text);
  const unit = { ms: MS, s: SEC, m: 60 * SEC, h: 3600 * SEC }[(match?.[2] ?? "s") as "s"];
  return Number(match?.[1] ?? 60) * unit;
}

function sizeOf(text: string): number {
  const match = /^(\d+)([kKmMgG]?)$/.exec(text);
  return Number(match?.[1] ?? 0) * ({ k: 1 << 10, m: 1 << 20, g: 1 << 30 }[(match?.[2] ?? "").toLowerCase()] ?? 1);
}

/** Directives with their least and most arguments, and what they change. */
const SETTERS: Readonly<
  Record<
    string,
    readonly [
      min: number,
      max: number,
      set: (args: readonly string[], scope: Scope, directive: Directive) => Partial<Scope>,
    ]
  >
> = {
  root: [1, 1, ([path]) => ({ root: absolute(path as string) })],
  alias: [1, 1, ([path]) => ({ alias: absolute(path as string) })],
  index: [1, 99, (args) => ({ index: args })],
  try_files: [2, 99, (args) => ({ tryFiles: args })],
  return: [1, 2, (args, _scope, directive) => ({ giveBack: returnOf(args, directive) })],
  proxy_pass: [1, 1, ([url], _scope, directive) => ({ proxyPass: proxyUrl(url as string, directive) })],
  proxy_set_header: [
    2,
    2,
    ([name, value], scope) => ({ proxyHeaders: [...scope.proxyHeaders, [name as string, value as string]] }),
  ],
  proxy_connect_timeout: [1, 1, ([time]) => ({ proxyConnectTimeout: timeOf(time as string) })],
  proxy_read_timeout: [1, 1, ([time]) => ({ proxyReadTimeout: timeOf(time as string) })],
  proxy_next_upstream: [1, 9, ([first]) => ({ proxyNextUpstream: first !== "off" })],
  add_header: [
    2,
    3,
    ([name, value], scope) => ({ addHeaders: [...scope.addHeaders, [name as string, value as string]] }),
  ],
  error_page: [2, 99, (args, scope) => ({ errorPages: withErrorPages(scope.errorPages, args) })],
  default_type: [1, 1, ([type]) => ({ defaultType: type as string })],
  keepalive_timeout: [1, 2, ([time]) => ({ keepaliveTimeout: timeOf(time as string) })],
  client_max_body_size: [1, 1, ([size]) => ({ maxBody: sizeOf(size as string) || Number.POSITIVE_INFINITY })],
  autoindex: [1, 1, ([on]) => ({ autoindex: on === "on" })],
  stub_status: [0, 1, () => ({ stubStatus: true })],
  deny: [1, 1, ([who]) => ({ denyAll: who === "all" })],
  resolver: [1, 99, (args) => ({ resolvers: args.flatMap((text) => parseIpv4(text) ?? []) })],
  set: [2, 2, ([name, value], scope) => ({ set: [...scope.set, [(name as string).slice(1), value as string]] })],
};

function scopeOf(
  scope: Scope,
  directives: readonly Directive[],
  formats: ReadonlyMap<string, string>,
  others: readonly string[],
): Scope {
  let headers = false;
  for (const directive of directives) {
    const { name, args } = directive;
    if (name === "access_log") {
      const format = args[1] ?? "combined";
      if (args[0] !== "off" && !formats.has(format)) fail(directive, `unknown log format "${format}"`);
      scope.accessLog = args[0] === "off" ? undefined : { path: args[0] as string, format };
      continue;
    }
    const setter = SETTERS[name];
    if (setter === undefined) {
      if (!IGNORED.has(name) && !others.includes(name)) fail(directive, unknownText(name));
      continue;
    }
    const [min, max, set] = setter;
    if (args.length < min || args.length > max) fail(directive, `invalid number of arguments in "${name}" directive`);
    // Headers of an outer level are inherited only where there are none of one's own.
    if (name === "proxy_set_header" && !headers) {
      headers = true;
      scope.proxyHeaders = [];
    }
    Object.assign(scope, set(args, scope, directive));
  }
  return scope;
}

function absolute(path: string): string {
  return (path.startsWith("/") ? path : `/etc/nginx/${path}`).replace(/(.)\/$/, "$1");
}

function proxyUrl(url: string, directive: Directive): string {
  if (!/^http:\/\//.test(url) && !url.startsWith("$")) fail(directive, "invalid URL prefix");
  return url;
}

function returnOf(args: readonly string[], directive: Directive): Scope["giveBack"] {
  const [first = "", text] = args;
  if (/^\d{1,3}$/.test(first)) return { status: Number(first), text };
  if (!/^https?:\/\/|^\$scheme/.test(first)) fail(directive, `invalid return code "${first}"`);
  return { status: 302, text: first };
}

function withErrorPages(before: ReadonlyMap<number, string>, args: readonly string[]): Map<number, string> {
  const pages = new Map(before);
  for (const code of args.slice(0, -1)) if (/^\d+$/.test(code)) pages.set(Number(code), args.at(-1) as string);
  return pages;
}
