/** The servers of a backend: their addresses from DNS, health checks, and which one is next (src/resolvers.c, check.c, lb_*.c). */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { ProgramContext } from "../../engine/program.ts";
import { DNS_RCODE, DNS_TYPE } from "../../libnetwork/dns.ts";
import { connectTcp } from "../../scheduler/io.ts";
import { type Proc, sleep } from "../../scheduler/process.ts";
import { makeQuery } from "../../shell/lib/dns-message.ts";
import { askConnected, lookup, queryIds } from "../../shell/lib/resolve.ts";
import { HaproxyConfigError, type ProxySpec, type ResolversSpec, type ServerSpec } from "./config.ts";

/** A server at work. */
export interface Server {
  readonly spec: ServerSpec;
  /** Undefined while it has no address: it is in maintenance then (RMAINT). */
  ip: Ipv4 | undefined;
  up: boolean;
  /** Checks in a row that went the other way. */
  streak: number;
  connections: number;
  currentWeight: number;
  /** Sessions in all. */
  total: number;
}

/** The servers of one proxy. */
export class Backend {
  readonly spec: ProxySpec;
  readonly servers: readonly Server[];
  readonly #context: ProgramContext;
  readonly #log: (level: string, text: string) => void;

  constructor(context: ProgramContext, spec: ProxySpec, log: (level: string, text: string) => void) {
    this.#context = context;
    this.spec = spec;
    this.#log = log;
    this.servers = spec.servers.map((server) => ({
      spec: server,
      ip: parseIpv4(server.host),
      up: true,
      streak: 0,
      connections: 0,
      currentWeight: 0,
      total: 0,
    }));
  }

  /** First addresses, by the C library's resolver. @throws HaproxyConfigError for a name that has none and needs one */
  *start(file: string): Proc<void> {
    for (const name of new Set(this.servers.flatMap(({ ip, spec }) => (ip === undefined ? [spec.host] : [])))) {
      const group = this.servers.filter(({ spec }) => spec.host === name);
      const methods = (group[0] as Server).spec.initAddr;
      const found = methods.includes("libc") ? yield* lookup(this.#context, name, "glibc") : undefined;
      if (found?.ok) this.#assign(group, found.addresses, false);
      else if (!methods.includes("none"))
        throw new HaproxyConfigError(
          `parsing [${file}] : 'server ${(group[0] as Server).spec.name}' : could not resolve address '${name}'.`,
        );
    }
  }

  /** Gives a name's addresses to its servers: those that have one of them keep it, others take what is left. */
  #assign(group: readonly Server[], addresses: readonly Ipv4[], tell: boolean): void {
    if (!(group[0] as Server).spec.template) {
      for (const server of group)
        this.#move(server, addresses.includes(server.ip ?? -1) ? server.ip : addresses[0], tell);
      return;
    }
    const left = new Set(addresses);
    for (const server of group)
      if (server.ip !== undefined && !left.delete(server.ip)) this.#move(server, undefined, tell);
    for (const server of group) {
      if (server.ip !== undefined) continue;
      const [next] = left;
      if (next === undefined) continue;
      left.delete(next);
      this.#move(server, next, tell);
    }
  }

  #move(server: Server, ip: Ipv4 | undefined, tell: boolean): void {
    if (server.ip === ip) return;
    const name = `${this.spec.name}/${server.spec.name}`;
    if (tell && ip === undefined)
      this.#log("WARNING", `Server ${name} is going DOWN for maintenance (DNS NX status). ${this.#counts(server)}`);
    else if (tell && server.ip !== undefined)
      this.#log(
        "WARNING",
        `${name} changed its IP from ${formatIpv4(server.ip)} to ${formatIpv4(ip as Ipv4)} by ${server.spec.resolvers}/dns.`,
      );
    else if (tell)
      this.#log(
        "WARNING",
        `${name} changed its IP from (none) to ${formatIpv4(ip as Ipv4)} by ${server.spec.resolvers}/dns.`,
      );
    server.ip = ip;
    server.streak = 0;
    server.up = true;
  }

  #counts(except: Server): string {
    const active = this.servers.filter((server) => server !== except && isUsable(server) && !server.spec.backup).length;
    const backup = this.servers.filter((server) => server !== except && isUsable(server) && server.spec.backup).length;
    return `${active} active and ${backup} backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.`;
  }

  /** Processes that keep it up to date. */
  upkeep(resolvers: ReadonlyMap<string, ResolversSpec>): Proc<void>[] {
    const names = new Map<string, ResolversSpec>();
    for (const { spec } of this.servers) {
      const section = spec.resolvers === undefined ? undefined : resolvers.get(spec.resolvers);
      if (section !== undefined && parseIpv4(spec.host) === undefined) names.set(spec.host, section);
    }
    return [
      ...[...names].map(([name, section]) => this.#resolve(name, section)),
      ...this.servers.filter(({ spec }) => spec.check).map((server) => this.#check(server)),
    ];
  }

  /** Asks again and again: every `timeout resolve` of the last answer, and `timeout retry` when there was none. */
  *#resolve(name: string, section: ResolversSpec): Proc<void> {
    const group = this.servers.filter(({ spec }) => spec.host === name);
    let failures = 0;
    for (;;) {
      const addresses = yield* this.#query(name, section);
      if (addresses !== undefined && addresses.length > 0) {
        failures = 0;
        this.#assign(group, addresses, true);
      } else if (++failures >= section.retries) this.#assign(group, [], true);
      yield* sleep(this.#context.os, addresses === undefined ? section.retry : section.resolve);
    }
  }

  /** Undefined when nobody answered; none for a name that isn't there. */
  *#query(name: string, { nameservers, retry }: ResolversSpec): Proc<readonly Ipv4[] | undefined> {
    const [id = 0] = queryIds(this.#context, 1);
    const query = makeQuery(id, name, DNS_TYPE.A);
    if (query === undefined) return [];
    for (const { ip, port } of nameservers) {
      const replies = yield* askConnected(this.#context, [query], ip, port, retry);
      const reply = typeof replies === "string" ? undefined : replies[0];
      if (reply === undefined) continue;
      if (reply.rcode !== DNS_RCODE.NOERROR) return [];
      return reply.answers.flatMap(({ type, text }) => (type === DNS_TYPE.A ? (parseIpv4(text) ?? []) : []));
    }
    return undefined;
  }

  /** A TCP connection every `inter`; `fall` failures in a row take the server out, `rise` successes bring it back. */
  *#check(server: Server): Proc<void> {
    const { spec } = server;
    yield* sleep(this.#context.os, Math.floor(spec.inter / Math.max(1, this.servers.length)));
    for (;;) {
      if (server.ip !== undefined) {
        const { ip } = server;
        const reason = yield* this.#probe(ip, spec.port, spec.inter);
        if (server.ip === ip) this.#judge(server, reason);
      }
      yield* sleep(this.#context.os, spec.inter);
    }
  }

  /** @returns why it failed; undefined when it did not */
  *#probe(ip: Ipv4, port: number, limit: Time): Proc<string | undefined> {
    try {
      const socket = yield* connectTcp(this.#context.ns, ip, port, this.#context.os.now() + limit);
      socket.abort();
      return undefined;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.code === "ETIMEDOUT"
        ? "Layer4 timeout"
        : `Layer4 connection problem, info: "${error.code === "ECONNREFUSED" ? "Connection refused" : "No route to host"}"`;
    }
  }

  #judge(server: Server, reason: string | undefined): void {
    const good = reason === undefined;
    if (good === server.up) {
      server.streak = 0;
      return;
    }
    server.streak++;
    if (server.streak < (good ? server.spec.rise : server.spec.fall)) return;
    server.up = good;
    server.streak = 0;
    const name = `${this.spec.name}/${server.spec.name}`;
    if (good)
      this.#log("WARNING", `Server ${name} is UP, reason: Layer4 check passed, check duration: 0ms. ${this.#online()}`);
    else
      this.#log("WARNING", `Server ${name} is DOWN, reason: ${reason}, check duration: 0ms. ${this.#counts(server)}`);
    if (!this.servers.some(isUsable)) this.#log("ALERT", `backend '${this.spec.name}' has no server available!`);
  }

  #online(): string {
    const active = this.servers.filter((server) => isUsable(server) && !server.spec.backup).length;
    return `${active} active and 0 backup servers online. 0 sessions requeued, 0 total in queue.`;
  }

  /** The next server for a client; undefined when none is up. */
  choose(client: Ipv4, tried: ReadonlySet<Server>): Server | undefined {
    const usable = this.servers.filter((server) => isUsable(server) && !tried.has(server));
    const active = usable.filter(({ spec }) => !spec.backup);
    const among = active.length > 0 ? active : usable.slice(0, 1);
    if (among.length === 0) return undefined;
    switch (this.spec.balance) {
      case "first":
        return among[0];
      case "source":
        return among[hash(client) % among.length];
      case "leastconn": {
        const load = (server: Server): number => server.connections / server.spec.weight;
        const least = Math.min(...among.map(load));
        return this.#inTurn(among.filter((server) => load(server) === least));
      }
      default:
        return this.#inTurn(among);
    }
  }

  #inTurn(servers: readonly Server[]): Server {
    const total = servers.reduce((sum, { spec }) => sum + spec.weight, 0);
    for (const server of servers) server.currentWeight += server.spec.weight;
    const best = servers.reduce((a, b) => (b.currentWeight > a.currentWeight ? b : a));
    best.currentWeight -= total;
    return best;
  }
}

/** It has an address, and its checks say it is up. */
export function isUsable({ ip, up }: Server): boolean {
  return ip !== undefined && up;
}

/** The address' bytes folded (sdbm-like hash of `balance source`); stable while the number of servers is. */
function hash(ip: Ipv4): number {
  let value = 0;
  for (let shift = 24; shift >= 0; shift -= 8)
    value = (((ip >>> shift) & 255) + (value << 6) + (value << 16) - value) >>> 0;
  return value;
}

/** How long a connection to a server may take where nothing is said. */
export const CONNECT_TIMEOUT = 5 * SEC;
