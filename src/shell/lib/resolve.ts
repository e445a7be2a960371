/**
 * The stub resolver that programs are linked with: getaddrinfo(3) over /etc/hosts and /etc/resolv.conf, as musl
 * (src/network/lookup_name.c, res_msend.c) or as glibc (resolv/res_send.c) ask. IPv4 only: AAAA is asked for, as
 * both do, and its answers are not used.
 */
import { type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { SEC } from "../../base/time.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { UdpSocket } from "../../kernel/types.ts";
import type { HostOs } from "../../scheduler/os.ts";
import type { Proc } from "../../scheduler/process.ts";
import { addressesOf, DNS_RCODE, DNS_TYPE, makeQuery, parseResponse } from "./dns-message.ts";
import { isSignal, waitReady } from "./program.ts";

export const DNS_PORT = 53;

/** What resolv.conf(5) says, with the resolvers' defaults. */
export interface ResolverConfig {
  readonly servers: readonly Ipv4[];
  readonly search: readonly string[];
  readonly ndots: number;
  readonly timeoutSec: number;
  readonly attempts: number;
}

export function parseResolvConf(text: string): ResolverConfig {
  const servers: Ipv4[] = [];
  let search: string[] = [];
  let [ndots, timeoutSec, attempts] = [1, 5, 2];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.replace(/[#;].*$/, "").trim().split(/\s+/);
    if (keyword === "nameserver" && servers.length < 3) {
      const ip = parseIpv4(values[0] ?? "");
      if (ip !== undefined) servers.push(ip);
    } else if (keyword === "search" || keyword === "domain") search = values;
    else if (keyword === "options") {
      for (const option of values) {
        const [name, value] = option.split(":");
        if (name === "ndots") ndots = Math.min(15, Number(value));
        else if (name === "timeout") timeoutSec = Math.min(60, Number(value));
        else if (name === "attempts") attempts = Math.min(10, Number(value));
      }
    }
  }
  // Without a server both libraries ask the machine itself.
  return { servers: servers.length === 0 ? [0x7f000001] : servers, search, ndots, timeoutSec, attempts };
}

/** `nonexistent`: there is no such name. `again`: no server answered. */
export type ResolveFailure = "nonexistent" | "again";

export type Resolution = { readonly addresses: readonly Ipv4[] } | { readonly failure: ResolveFailure };

const streams = new WeakMap<HostOs, Random>();

/** A query's ID, from the host's own stream. */
export function queryId(os: HostOs): number {
  let random = streams.get(os);
  if (random === undefined) {
    random = os.random.fork("resolver");
    streams.set(os, random);
  }
  return random.below(65536);
}

/** Addresses of a name in /etc/hosts. */
export function lookupHosts(text: string, name: string): Ipv4[] {
  const found: Ipv4[] = [];
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    const ip = parseIpv4(address);
    if (ip !== undefined && names.some((one) => one.toLowerCase() === name.toLowerCase())) found.push(ip);
  }
  return found;
}

/** The name of an address in /etc/hosts. */
export function reverseHosts(text: string, ip: Ipv4): string | undefined {
  for (const line of text.split("\n")) {
    const [address = "", name] = line.replace(/#.*$/, "").trim().split(/\s+/);
    if (parseIpv4(address) === ip) return name;
  }
  return undefined;
}

/** The names to ask for, in order: with the search list where the name has too few dots. */
function candidates(name: string, config: ResolverConfig, style: "musl" | "glibc"): string[] {
  if (name.endsWith(".")) return [name];
  const dots = name.split(".").length - 1;
  const searched = config.search.map((domain) => `${name}.${domain}`);
  if (dots >= config.ndots) return style === "musl" ? [name] : [name, ...searched];
  return [...searched, name];
}

/** Resolves a host name to IPv4 addresses, in the order of the answer. */
export function* resolve(context: ProgramContext, name: string, style: "musl" | "glibc" = "musl"): Proc<Resolution> {
  const numeric = parseIpv4(name);
  if (numeric !== undefined) return { addresses: [numeric] };
  const listed = lookupHosts(context.files.read("/etc/hosts") ?? "", name);
  if (listed.length > 0) return { addresses: listed };
  const config = parseResolvConf(context.files.read("/etc/resolv.conf") ?? "");
  for (const candidate of candidates(name, config, style)) {
    const answer = yield* ask(context, candidate, config, style);
    if ("failure" in answer && answer.failure === "nonexistent") continue;
    if ("failure" in answer || answer.addresses.length > 0) return answer;
  }
  return { failure: "nonexistent" };
}

interface Pending {
  readonly type: number;
  readonly id: number;
  readonly query: Uint8Array;
  answer: Uint8Array | undefined;
}

/** Asks A and AAAA of one name at once. */
function* ask(context: ProgramContext, name: string, config: ResolverConfig, style: "musl" | "glibc"): Proc<Resolution> {
  const pending: Pending[] = [];
  for (const type of [DNS_TYPE.A, DNS_TYPE.AAAA]) {
    const id = queryId(context.os);
    const query = makeQuery(id, name, type);
    if (query === undefined) return { failure: "nonexistent" };
    pending.push({ type, id, query, answer: undefined });
  }
  const socket = context.ns.socket.udp();
  try {
    // musl asks all servers at once every timeout/attempts; glibc one after the other, each for the whole timeout.
    const rounds = style === "musl" ? config.attempts : config.attempts * config.servers.length;
    const span = (config.timeoutSec * SEC) / (style === "musl" ? config.attempts : 1);
    for (let round = 0; round < rounds; round++) {
      const one = config.servers[round % config.servers.length] as Ipv4;
      const servers = style === "musl" ? config.servers : [one];
      for (const server of servers) sendAll(socket, pending, server);
      if (!(yield* collect(context, socket, pending, Math.round(context.os.now() + span)))) return { failure: "again" };
      if (pending.every((query) => query.answer !== undefined)) break;
    }
  } finally {
    socket.close();
  }
  return judge(pending);
}

function sendAll(socket: UdpSocket, pending: readonly Pending[], server: Ipv4): void {
  for (const query of pending) {
    if (query.answer !== undefined) continue;
    try {
      socket.sendTo(query.query, server, DNS_PORT);
    } catch (error) {
      // A server out of reach is one that doesn't answer.
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

/** Takes answers until all are there or the time is up. @returns false when a signal came */
function* collect(context: ProgramContext, socket: UdpSocket, pending: readonly Pending[], until: number): Proc<boolean> {
  while (pending.some((query) => query.answer === undefined)) {
    socket.takeError();
    const datagram = socket.tryRecv();
    if (datagram === undefined) {
      const result = yield* waitReady(context, [socket], until);
      if (isSignal(result)) return false;
      if (result === "timeout") return true;
      continue;
    }
    const response = parseResponse(datagram.data);
    const query = pending.find((one) => one.id === response?.id && one.answer === undefined);
    const settled = response?.rcode === DNS_RCODE.NOERROR || response?.rcode === DNS_RCODE.NXDOMAIN;
    if (query !== undefined && settled) query.answer = datagram.data;
  }
  return true;
}

function judge(pending: readonly Pending[]): Resolution {
  const [a, aaaa] = pending.map((query) => query.answer);
  if (a !== undefined && parseResponse(a)?.rcode === DNS_RCODE.NXDOMAIN) return { failure: "nonexistent" };
  if (a === undefined || aaaa === undefined) return { failure: "again" };
  const addresses = addressesOf(a);
  return addresses.length === 0 ? { failure: "nonexistent" } : { addresses };
}
