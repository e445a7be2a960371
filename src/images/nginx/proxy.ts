/** `proxy_pass`: upstream groups, round robin with weights, and what fails over (ngx_http_upstream_round_robin.c, ngx_http_proxy_module.c). */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { ERRNO_NUMBER } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type HttpResponse, request as httpRequest } from "../../shell/lib/http.ts";
import { glibcError } from "../../shell/lib/program.ts";
import { lookup } from "../../shell/lib/resolve.ts";
import type { HttpRequest } from "../server/http.ts";
import type { NginxConfig, Scope, UpstreamServer } from "./config.ts";
import { NginxConfigError } from "./parse.ts";
import { type Exchange, expand } from "./variables.ts";

interface Peer {
  readonly ip: Ipv4;
  readonly port: number;
  readonly spec: UpstreamServer;
  currentWeight: number;
  connections: number;
  fails: number;
  /** When it failed last; it is left out for fail_timeout after max_fails. */
  failedAt: Time;
}

interface Group {
  readonly peers: readonly Peer[];
  readonly leastConn: boolean;
  readonly ipHash: boolean;
}

/** What an upstream answered, or the status of the error page instead. */
export type Proxied = { readonly response: HttpResponse } | { readonly status: 502 | 504 };

const PLAIN: Omit<UpstreamServer, "host" | "port"> = {
  weight: 1,
  backup: false,
  down: false,
  maxFails: 1,
  failTimeout: 10e9,
};

/** The upstreams of one configuration. Names are looked up when it is loaded, as nginx does, but for variables. */
export class Upstreams {
  readonly #context: ProgramContext;
  readonly #groups = new Map<string, Group>();
  readonly #log: (exchange: Exchange, level: string, text: string) => void;

  constructor(context: ProgramContext, log: (exchange: Exchange, level: string, text: string) => void) {
    this.#context = context;
    this.#log = log;
  }

  /** Looks up what the configuration names. @throws NginxConfigError for a name without an address */
  *load(config: NginxConfig): Proc<void> {
    for (const { name, servers, leastConn, ipHash } of config.upstreams.values()) {
      const peers: Peer[] = [];
      for (const spec of servers) for (const ip of yield* this.#addresses(spec.host)) peers.push(peerOf(ip, spec));
      this.#groups.set(name, { peers, leastConn, ipHash });
    }
    for (const { scope, locations } of config.servers)
      for (const { proxyPass } of [scope, ...locations.map((one) => one.scope)])
        if (proxyPass !== undefined && !proxyPass.includes("$")) yield* this.#group(proxyPass, true);
  }

  *#addresses(host: string): Proc<readonly Ipv4[]> {
    const literal = parseIpv4(host);
    if (literal !== undefined) return [literal];
    const found = yield* lookup(this.#context, host, "glibc");
    if (!found.ok) throw new NginxConfigError(`host not found in upstream "${host}"`);
    return found.addresses;
  }

  *#group(url: string, keep: boolean): Proc<Group> {
    const authority = (/^http:\/\/([^/]+)/.exec(url)?.[1] ?? url) as string;
    const known = this.#groups.get(authority);
    if (known !== undefined) return known;
    const [host = "", port = "80"] = authority.split(":");
    const spec = { host, port: Number(port), ...PLAIN };
    const peers = (yield* this.#addresses(host)).map((ip) => peerOf(ip, spec));
    const group = { peers, leastConn: false, ipHash: false };
    if (keep) this.#groups.set(authority, group);
    return group;
  }

  /** Passes a request on, from peer to peer while they fail. */
  *pass(exchange: Exchange, scope: Scope): Proc<Proxied> {
    const url = expand(this.#context, exchange, scope.proxyPass as string);
    const authority = /^http:\/\/([^/]+)/.exec(url)?.[1] ?? "";
    let group: Group;
    try {
      group = yield* this.#group(url, false);
    } catch (error) {
      if (!(error instanceof NginxConfigError)) throw error;
      const host = authority.split(":")[0];
      const text =
        scope.resolvers.length > 0
          ? `${host} could not be resolved (3: Host not found)`
          : `no resolver defined to resolve ${host}`;
      this.#log(exchange, "error", text);
      return { status: 502 };
    }
    const path = pathOf(url, exchange, scope);
    const message = requestText(this.#context, exchange, scope, authority, path);
    const tried = new Set<Peer>();
    let status: 502 | 504 = 502;
    for (;;) {
      const peer = this.#choose(group, tried, exchange.request);
      if (peer === undefined) {
        if (tried.size === 0) this.#log(exchange, "error", "no live upstreams while connecting to upstream");
        return { status };
      }
      tried.add(peer);
      const outcome = yield* this.#ask(exchange, scope, peer, message, path);
      if (typeof outcome !== "number") return { response: outcome };
      status = outcome;
      if (!scope.proxyNextUpstream || tried.size >= group.peers.length) return { status };
    }
  }

  *#ask(exchange: Exchange, scope: Scope, peer: Peer, message: string, path: string): Proc<HttpResponse | 502 | 504> {
    const { os, ns } = this.#context;
    const place = `${formatIpv4(peer.ip)}:${peer.port}`;
    exchange.upstreams = [...exchange.upstreams, place];
    peer.connections++;
    const until = os.now() + scope.proxyConnectTimeout;
    try {
      const answer = yield* httpRequest(ns, peer.ip, peer.port, message, {
        owner: "nginx",
        until,
        readUntil: () => os.now() + scope.proxyReadTimeout,
        headOnly: exchange.request.method === "HEAD",
      });
      if (!("failure" in answer)) {
        peer.fails = 0;
        return answer;
      }
      const late = answer.failure === "timeout" || (answer.failure === "connect" && answer.error?.code === "ETIMEDOUT");
      peer.fails++;
      peer.failedAt = os.now();
      this.#log(exchange, "error", failureText(answer.failure, answer.error, late, `http://${place}${path}`));
      return late ? 504 : 502;
    } finally {
      peer.connections--;
    }
  }

  /** Smooth weighted round robin among those that are up, or the one with the least connections. */
  #choose(group: Group, tried: ReadonlySet<Peer>, request: HttpRequest): Peer | undefined {
    const now = this.#context.os.now();
    const isUp = (peer: Peer) =>
      !tried.has(peer) &&
      !peer.spec.down &&
      (peer.spec.maxFails === 0 ||
        peer.fails < peer.spec.maxFails ||
        now - peer.failedAt > peer.spec.failTimeout ||
        group.peers.length === 1);
    const main = group.peers.filter((peer) => isUp(peer) && !peer.spec.backup);
    let up = main.length > 0 ? main : group.peers.filter((peer) => isUp(peer) && peer.spec.backup);
    if (up.length === 0) return undefined;
    if (group.ipHash) return hashed(up, request.client.ip);
    if (group.leastConn) {
      const load = (peer: Peer) => peer.connections / peer.spec.weight;
      const least = Math.min(...up.map(load));
      up = up.filter((peer) => load(peer) === least);
    }
    const total = up.reduce((sum, peer) => sum + peer.spec.weight, 0);
    for (const peer of up) peer.currentWeight += peer.spec.weight;
    const best = up.reduce((a, b) => (b.currentWeight > a.currentWeight ? b : a));
    best.currentWeight -= total;
    return best;
  }
}

function peerOf(ip: Ipv4, spec: UpstreamServer): Peer {
  return { ip, port: spec.port, spec, currentWeight: 0, connections: 0, fails: 0, failedAt: 0 };
}

/** ip_hash: the first three bytes of the client's address (ngx_http_upstream_ip_hash_module.c). */
function hashed(peers: readonly Peer[], ip: Ipv4): Peer {
  let hash = 89;
  for (let shift = 24; shift >= 8; shift -= 8) hash = (hash * 113 + ((ip >>> shift) & 255)) % 6271;
  return peers[hash % peers.length] as Peer;
}

/** With a path in proxy_pass the location's prefix is replaced by it. */
function pathOf(url: string, exchange: Exchange, scope: Scope): string {
  const own = /^http:\/\/[^/]+(\/.*)$/.exec(url)?.[1];
  if (own === undefined || scope.proxyPass?.includes("$")) return own ?? exchange.request.target;
  const prefix = exchange.variables.get("location prefix") ?? "/";
  return `${own}${exchange.request.target.slice(prefix.length)}`;
}

/** The request as it goes upstream: HTTP/1.0, one a connection. */
function requestText(
  context: ProgramContext,
  exchange: Exchange,
  scope: Scope,
  authority: string,
  path: string,
): string {
  const { request } = exchange;
  const own: (readonly [string, string])[] = scope.proxyHeaders.map(([name, value]) => [
    name,
    expand(context, exchange, value.replaceAll("$proxy_host", authority)),
  ]);
  const names = new Set(own.map(([name]) => name.toLowerCase()));
  const lines = [`${request.method} ${path} HTTP/1.0`];
  if (!names.has("host")) lines.push(`Host: ${authority}`);
  for (const [name, value] of own)
    if (value !== "" && name.toLowerCase() !== "connection") lines.push(`${name}: ${value}`);
  lines.push("Connection: close");
  for (const line of request.headerLines) {
    const name = line.slice(0, line.indexOf(":")).toLowerCase();
    if (!names.has(name) && !["host", "connection", "keep-alive", "expect", "upgrade"].includes(name)) lines.push(line);
  }
  return `${lines.join("\r\n")}\r\n\r\n${request.body}`;
}

function failureText(
  failure: "connect" | "timeout" | "empty" | "reset",
  error: Parameters<typeof glibcError>[0] | undefined,
  late: boolean,
  url: string,
): string {
  const upstream = `, upstream: "${url}"`;
  if (late) {
    const doing = failure === "connect" ? "connecting to upstream" : "reading response header from upstream";
    return `upstream timed out (110: Connection timed out) while ${doing}|${upstream}`;
  }
  if (failure === "empty")
    return `upstream prematurely closed connection while reading response header from upstream|${upstream}`;
  const cause =
    error === undefined ? "104: Connection reset by peer" : `${ERRNO_NUMBER[error.code]}: ${glibcError(error)}`;
  const [call, doing] =
    failure === "connect" ? ["connect", "connecting to upstream"] : ["recv", "reading response header from upstream"];
  return `${call}() failed (${cause}) while ${doing}|${upstream}`;
}
