/**
 * The stub resolver: /etc/hosts, /etc/resolv.conf and DNS over the process's own namespace. Two kinds: musl's
 * (src/network/{lookup_name,res_msend,resolvconf}.c: one socket, A and AAAA at once to all servers, 5 s with 2
 * attempts in it) in containers, and glibc's (resolv/res_send.c: servers in turn, 5 s each, 2 rounds, a refused port
 * is known at once) on hosts.
 */
import { type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { type Errno, KernelError } from "../../base/errors.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { UdpSocket } from "../../kernel/socket-types.ts";
import { DNS_RCODE, DNS_TYPE } from "../../libnetwork/dns.ts";
import { connectTcp, recvExactly, sendTcp } from "../../scheduler/io.ts";
import type { Proc, Waitable } from "../../scheduler/process.ts";
import { type DnsMessage, makeQuery, readMessage, reverseName } from "./dns-message.ts";

/** Whose resolver a program uses. */
export type Libc = "musl" | "glibc";

/** resolv.conf(5). */
export interface ResolvConf {
  readonly servers: readonly Ipv4[];
  readonly search: readonly string[];
  readonly ndots: number;
  readonly attempts: number;
  /** Seconds. */
  readonly timeout: number;
}

/** /etc/resolv.conf as the resolver reads it. */
export function readResolvConf(context: ProgramContext): ResolvConf {
  const servers: Ipv4[] = [];
  let search: string[] = [];
  const options = { ndots: 1, attempts: 2, timeout: 5 };
  for (const line of (context.files.read("/etc/resolv.conf") ?? "").split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver") {
      const ip = parseIpv4(rest[0] ?? "");
      if (ip !== undefined && servers.length < 3) servers.push(ip);
    } else if (word === "search" || word === "domain") search = rest.filter((domain) => domain !== ".");
    else if (word === "options") {
      for (const option of rest) {
        const match = /^(ndots|attempts|timeout):(\d+)$/.exec(option);
        if (match !== null) options[match[1] as "ndots" | "attempts" | "timeout"] = Number(match[2]);
      }
    }
  }
  return {
    servers: servers.length === 0 ? [0x7f000001] : servers,
    search,
    ndots: Math.min(options.ndots, 15),
    attempts: Math.max(1, Math.min(options.attempts, 10)),
    timeout: Math.max(1, Math.min(options.timeout, 60)),
  };
}

/** Lines of /etc/hosts with an IPv4 address. */
function readHosts(context: ProgramContext): { ip: Ipv4; names: string[] }[] {
  const entries: { ip: Ipv4; names: string[] }[] = [];
  for (const line of (context.files.read("/etc/hosts") ?? "").split("\n")) {
    const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const ip = parseIpv4(address ?? "");
    if (ip !== undefined) entries.push({ ip, names });
  }
  return entries;
}

/** EAI_* of getaddrinfo(3). */
export type LookupError = "NONAME" | "AGAIN" | "FAIL";

/** gai_strerror(3) of glibc. */
export const GAI_TEXT: Readonly<Record<LookupError, string>> = {
  NONAME: "Name or service not known",
  AGAIN: "Temporary failure in name resolution",
  FAIL: "Non-recoverable failure in name resolution",
};

/** What a look-up came to. */
export type Lookup =
  | { readonly ok: true; readonly addresses: readonly Ipv4[] }
  | { readonly ok: false; readonly error: LookupError };

/** The addresses of a name or of a dotted address, in the order in which a program tries them. */
export function* lookup(context: ProgramContext, name: string, libc: Libc): Proc<Lookup> {
  const literal = parseIpv4(name);
  if (literal !== undefined) return { ok: true, addresses: [literal] };
  if (name === "" || name.length > 253) return { ok: false, error: "NONAME" };
  const wanted = name.toLowerCase().replace(/\.$/, "");
  const local = readHosts(context).filter((entry) => entry.names.some((other) => other.toLowerCase() === wanted));
  if (local.length > 0) return { ok: true, addresses: local.map((entry) => entry.ip) };
  const conf = readResolvConf(context);
  let result: Lookup = { ok: false, error: "NONAME" };
  for (const candidate of candidates(name, conf, libc)) {
    result = yield* lookupDns(context, candidate, conf, libc);
    if (result.ok) return { ok: true, addresses: inOrder(context, result.addresses) };
    if (result.error !== "NONAME") return result;
  }
  return result;
}

/** Names to ask for, by search list and ndots (res_search). */
function candidates(name: string, conf: ResolvConf, libc: Libc): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const searched = conf.search.map((domain) => `${name}.${domain}`);
  const enough = name.split(".").length - 1 >= conf.ndots;
  if (!enough) return [...searched, name];
  return libc === "musl" ? [name] : [name, ...searched];
}

/** RFC 6724's order for IPv4: reachable ones first, then by how much they share with their source (rule 9), stable. */
function inOrder(context: ProgramContext, addresses: readonly Ipv4[]): Ipv4[] {
  if (addresses.length < 2) return [...addresses];
  const rank = (ip: Ipv4): number => {
    try {
      return 1 + Math.clz32(context.ns.route.lookup(ip).src ^ ip);
    } catch (error) {
      if (error instanceof KernelError) return 0;
      throw error;
    }
  };
  return addresses
    .map((ip) => ({ ip, rank: rank(ip) }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ ip }) => ip);
}

/** Addresses of a name, or why there are none. */
export type Resolution = { readonly addresses: readonly Ipv4[] } | { readonly failure: "nonexistent" | "again" };

/** `lookup` for programs that only tell missing names from silent servers. */
export function* resolve(context: ProgramContext, name: string, libc: Libc): Proc<Resolution> {
  const found = yield* lookup(context, name, libc);
  if (found.ok) return { addresses: found.addresses };
  return { failure: found.error === "NONAME" ? "nonexistent" : "again" };
}

function* lookupDns(context: ProgramContext, name: string, conf: ResolvConf, libc: Libc): Proc<Lookup> {
  const types = [DNS_TYPE.A, DNS_TYPE.AAAA];
  const replies = yield* (libc === "musl" ? askMusl : askGlibc)(context, name, types, conf);
  if (replies === undefined) return { ok: false, error: "NONAME" };
  const addresses = replies
    .flatMap((reply) => reply?.answers ?? [])
    .flatMap((answer) => (answer.type === DNS_TYPE.A ? (parseIpv4(answer.text) ?? []) : []));
  if (addresses.length > 0) return { ok: true, addresses };
  const first = replies[0];
  if (first === undefined || first.rcode === DNS_RCODE.SERVFAIL) return { ok: false, error: "AGAIN" };
  return {
    ok: false,
    error: first.rcode === DNS_RCODE.NOERROR || first.rcode === DNS_RCODE.NXDOMAIN ? "NONAME" : "FAIL",
  };
}

/** Names for an address, as getnameinfo(3) finds them: /etc/hosts, then PTR. Undefined when there is none. */
export function* lookupAddress(context: ProgramContext, address: string, libc: Libc): Proc<string | undefined> {
  const ip = parseIpv4(address);
  const local = readHosts(context).find((entry) => entry.ip === ip)?.names[0];
  if (local !== undefined) return local;
  const ask = libc === "musl" ? askMusl : askGlibc;
  const replies = yield* ask(context, reverseName(address), [DNS_TYPE.PTR], readResolvConf(context));
  return replies?.[0]?.answers.find((answer) => answer.type === DNS_TYPE.PTR)?.text.replace(/\.$/, "");
}

/** Ids that differ from one query to the next and from one run of a program to the next. */
export function queryIds(context: ProgramContext, count: number): number[] {
  const random = context.os.random.fork(`dns ${context.argv[0]} ${context.os.now()}`);
  const first = random.below(65536);
  return Array.from({ length: count }, (_, i) => (first + i * 0x101) & 0xffff);
}

/** A query for each type; undefined for a name that no query can hold. */
function makeQueries(context: ProgramContext, name: string, types: readonly number[]): Uint8Array[] | undefined {
  const ids = queryIds(context, types.length);
  const queries: Uint8Array[] = [];
  for (const [i, type] of types.entries()) {
    const query = makeQuery(ids[i] as number, name, type);
    if (query === undefined) return undefined;
    queries.push(query);
  }
  return queries;
}

function* askMusl(
  context: ProgramContext,
  name: string,
  types: readonly number[],
  conf: ResolvConf,
): Proc<(DnsMessage | undefined)[] | undefined> {
  const queries = makeQueries(context, name, types);
  if (queries === undefined) return undefined;
  const exchange = { servers: conf.servers, port: 53, timeout: conf.timeout * SEC, attempts: conf.attempts };
  return (yield* exchangeUdp(context, queries, exchange)).map((reply) => reply?.message);
}

/** Whom to ask, how long and how often. */
export interface Exchange {
  readonly servers: readonly Ipv4[];
  readonly port: number;
  /** For everything together. */
  readonly timeout: Time;
  /** Times that unanswered queries are sent, spread over the timeout. */
  readonly attempts: number;
}

/** An answer and who gave it. */
export interface Reply {
  readonly message: DnsMessage;
  /** From the first sending on. */
  readonly latency: Time;
}

/**
 * Sends queries from one socket to all servers and waits for all answers, as musl's __res_msend_rc and busybox's
 * nslookup do: sent again to all after timeout/attempts, SERVFAIL asked again at once, other codes than NOERROR and
 * NXDOMAIN ignored, truncated answers fetched over TCP.
 * @returns an answer a query, in order; undefined where none came in time
 */
export function* exchangeUdp(
  context: ProgramContext,
  queries: readonly Uint8Array[],
  exchange: Exchange,
): Proc<(Reply | undefined)[]> {
  const { os, ns } = context;
  const replies: (Reply | undefined)[] = queries.map(() => undefined);
  const socket = ns.socket.udp();
  const begun = os.now();
  const end = begun + exchange.timeout;
  const interval = exchange.timeout / exchange.attempts;
  let resend = begun;
  let servfailRetries = 2 * queries.length;
  try {
    socket.bind(0, 0);
    while (replies.includes(undefined) && os.now() < end) {
      if (os.now() >= resend) {
        for (const [i, query] of queries.entries()) if (replies[i] === undefined) sendAll(socket, query, exchange);
        resend += interval;
      }
      const datagram = socket.tryRecv();
      if (datagram === undefined) {
        socket.takeError();
        yield { on: [socket as unknown as Waitable], until: Math.min(resend, end) };
        continue;
      }
      if (datagram.srcPort !== exchange.port || !exchange.servers.includes(datagram.src)) continue;
      const index = queries.findIndex((query) => query[0] === datagram.data[0] && query[1] === datagram.data[1]);
      const query = queries[index];
      if (query === undefined || replies[index] !== undefined) continue;
      let message = readMessage(datagram.data);
      if (message?.truncated)
        message = (yield* exchangeTcp(context, query, datagram.src, exchange.port, end)) ?? message;
      if (message === undefined) continue;
      if (message.rcode === DNS_RCODE.SERVFAIL && servfailRetries-- > 0) {
        sendAll(socket, query, { ...exchange, servers: [datagram.src] });
        continue;
      }
      if (message.rcode === DNS_RCODE.NOERROR || message.rcode === DNS_RCODE.NXDOMAIN) {
        replies[index] = { message, latency: os.now() - begun };
      }
    }
    return replies;
  } finally {
    socket.close();
  }
}

/** A refused sendto is like a lost datagram. */
function sendAll(socket: UdpSocket, query: Uint8Array, exchange: Exchange): void {
  for (const server of exchange.servers) {
    try {
      socket.sendTo(query, server, exchange.port);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

/** One query over TCP (RFC 7766); undefined when no answer came. */
function* exchangeTcp(
  context: ProgramContext,
  query: Uint8Array,
  server: Ipv4,
  port: number,
  until: Time,
): Proc<DnsMessage | undefined> {
  try {
    const socket = yield* connectTcp(context.ns, server, port, until);
    try {
      yield* sendTcp(socket, Uint8Array.of(query.length >>> 8, query.length & 255, ...query), until);
      const head = yield* recvExactly(socket, 2, until);
      if (head === undefined) return undefined;
      const body = yield* recvExactly(socket, ((head[0] as number) << 8) | (head[1] as number), until);
      return body === undefined ? undefined : readMessage(body);
    } finally {
      socket.close();
    }
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function* askGlibc(
  context: ProgramContext,
  name: string,
  types: readonly number[],
  conf: ResolvConf,
): Proc<(DnsMessage | undefined)[] | undefined> {
  const queries = makeQueries(context, name, types);
  if (queries === undefined) return undefined;
  for (let round = 0; round < conf.attempts; round++) {
    for (const server of conf.servers) {
      const replies = yield* askConnected(context, queries, server, 53, conf.timeout * SEC);
      if (typeof replies !== "string" && replies[0] !== undefined && replies[0].rcode !== DNS_RCODE.SERVFAIL)
        return replies;
    }
  }
  return types.map(() => undefined);
}

/**
 * Sends queries from a connected socket, so that a refused port is known.
 * @returns the answers in time, in order of the queries, or the error that ended it
 */
export function* askConnected(
  context: ProgramContext,
  queries: readonly Uint8Array[],
  server: Ipv4,
  port: number,
  timeout: Time,
): Proc<(DnsMessage | undefined)[] | Errno> {
  const socket = context.ns.socket.udp();
  const end = context.os.now() + timeout;
  const replies: (DnsMessage | undefined)[] = queries.map(() => undefined);
  try {
    socket.connect(server, port);
    for (const query of queries) socket.send(query);
    while (replies.includes(undefined)) {
      const error = socket.takeError();
      if (error !== undefined) return error;
      const datagram = socket.tryRecv();
      if (datagram === undefined) {
        if (context.os.now() >= end) return replies;
        yield { on: [socket as unknown as Waitable], until: end };
        continue;
      }
      const index = queries.findIndex((query) => query[0] === datagram.data[0] && query[1] === datagram.data[1]);
      let message = readMessage(datagram.data);
      if (index < 0 || message === undefined) continue;
      if (message.truncated)
        message = (yield* exchangeTcp(context, queries[index] as Uint8Array, server, port, end)) ?? message;
      replies[index] = message;
    }
    return replies;
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  } finally {
    socket.close();
  }
}
