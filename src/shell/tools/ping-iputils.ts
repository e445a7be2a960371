/** ping of hosts: iputils 20221126 (Debian 12) ping/ping.c and ping_common.c, its timing and its texts. */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { MS, SEC, type Time, US } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { IcmpReply, IcmpSocket, PmtuDiscovery } from "../../kernel/socket-types.ts";
import type { Proc, Waitable } from "../../scheduler/process.ts";
import { getopt, type Options } from "../lib/options.ts";
import { die, glibcError, tool } from "../lib/program.ts";
import { GAI_TEXT, lookup, lookupAddress } from "../lib/resolve.ts";

const ECHO_REPLY = 0;
/** Seconds that answers to the last request are waited for when none came (MAXWAIT). */
const MAX_WAIT = 10;
/** Without an interval, what goes unanswered is followed by the next request after this (MINSENDINTERVAL). */
const FLOOD_WAIT = 10 * MS;
/** What sending a request and reading its answer takes at least. */
const ROUND = 20 * US;
const INT_MAX = 2147483647;
/** sizeof(struct timeval): with less data there is no room for the time, and none is printed. */
const TIMEVAL = 16;

const usage = `
Usage
  ping [options] <destination>

Options:
  <destination>      dns name or ip address
  -b                 allow pinging broadcast
  -c <count>         stop after <count> replies
  -f                 flood ping
  -i <interval>      seconds between sending each packet
  -I <interface>     either interface name or address
  -M <pmtud opt>     define mtu discovery, can be one of <do|dont|want>
  -n                 no dns name resolution
  -q                 quiet output
  -s <size>          use <size> as number of data bytes to be sent
  -t <ttl>           define time to live
  -w <deadline>      reply wait <deadline> in seconds
  -W <timeout>       time to wait for response
`;

interface Run {
  readonly context: ProgramContext;
  readonly socket: IcmpSocket;
  readonly host: string;
  readonly target: Ipv4;
  readonly size: number;
  readonly count: number;
  readonly interval: Time;
  readonly linger: number | undefined;
  readonly deadline: number | undefined;
  readonly quiet: boolean;
  /** -f: a dot for a request, taken back by its answer. */
  readonly flood: boolean;
  readonly numeric: boolean;
  readonly names: Map<Ipv4, string>;
  readonly sentAt: Map<number, Time>;
  readonly seen: Set<number>;
  readonly start: Time;
  lastSent: Time;
  transmitted: number;
  received: number;
  repeats: number;
  errors: number;
  pipe: number;
  /** Requests sent since the last one that was answered. */
  inFlight: number;
  /** Moving average of the round trips, eighths of microseconds. */
  average: number;
  /** Microseconds. */
  min: number;
  max: number;
  sum: number;
  squares: number;
}

const MTU_MODES: readonly string[] = ["do", "dont", "want"];

function range(options: Options, key: string, low: number, high: number, fallback: number): number {
  const text = options.text(key);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isNaN(value)) die(`invalid argument: '${text}'`);
  if (value < low || value > high) die(`invalid argument: '${text}': out of range: ${low} <= value <= ${high}`);
  return value;
}

/** Nanoseconds between two requests; 0 with -f, or when root says so. */
function intervalOf(options: Options): Time {
  const text = options.text("i");
  if (text === undefined) return options.has("f") ? 0 : SEC;
  if (!/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) die(`bad timing interval: '${text}'`);
  const seconds = Number(text);
  if (seconds < 0 || seconds > Math.floor(INT_MAX / 1000)) die(`bad timing interval: ${text}`, 2);
  return Math.floor(seconds * 1000) * MS;
}

/** What `-I` names: a device, or an address of this host. */
function checkSource(context: ProgramContext, text: string | undefined): void {
  if (text === undefined) return;
  const ip = parseIpv4(text);
  if (ip === undefined) {
    if (!context.ns.link.list().some(({ name }) => name === text)) die(`SO_BINDTODEVICE ${text}: No such device`, 2);
  } else if (!context.ns.addr.list().some(({ addr }) => addr.ip === ip))
    die("bind: Cannot assign requested address", 2);
}

function checkRoute(context: ProgramContext, target: Ipv4, broadcast: boolean): void {
  let type: string;
  try {
    type = context.ns.route.lookup(target).type;
  } catch (error) {
    if (error instanceof KernelError) die(`connect: ${glibcError(error)}`, 2);
    throw error;
  }
  if (type !== "broadcast") return;
  if (!broadcast) die("Do you want to ping broadcast? Then -b. If not, check your local firewall rules", 2);
  context.stderr.write("WARNING: pinging broadcast address\n");
}

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "4AbBc:DfhI:i:l:M:nOqs:t:vw:W:");
  const host = options.args.at(-1);
  if (host === undefined) die("usage error: Destination address required");
  const mode = options.text("M");
  if (mode !== undefined && !MTU_MODES.includes(mode)) die(`invalid -M argument: ${mode}`, 2);
  const size = range(options, "s", 0, 65507, 56);
  const count = range(options, "c", 1, Number.MAX_SAFE_INTEGER, 0);
  const interval = intervalOf(options);
  const found = yield* lookup(context, host, "glibc");
  if (!found.ok) die(`${host}: ${GAI_TEXT[found.error]}`, 2);
  const target = found.addresses[0] as Ipv4;
  checkSource(context, options.text("I"));
  checkRoute(context, target, options.has("b"));
  const socket = context.ns.socket.icmp();
  try {
    socket.setOwner("ping");
    if (mode !== undefined) socket.setPmtuDiscovery(mode as PmtuDiscovery);
    if (options.has("t")) socket.setTtl(range(options, "t", 0, 255, 64));
    const run: Run = {
      context,
      socket,
      host,
      target,
      size,
      count,
      interval,
      linger: options.has("W") ? Number(options.text("W")) : undefined,
      deadline: options.has("w") ? range(options, "w", 0, 2147483647, 0) : undefined,
      quiet: options.has("q") || options.has("f"),
      flood: options.has("f") && !options.has("q"),
      numeric: options.has("n") || parseIpv4(host) !== undefined,
      names: new Map(),
      sentAt: new Map(),
      seen: new Set(),
      start: context.os.now(),
      lastSent: context.os.now(),
      transmitted: 0,
      received: 0,
      repeats: 0,
      errors: 0,
      pipe: 0,
      inFlight: 0,
      average: 0,
      min: Number.POSITIVE_INFINITY,
      max: 0,
      sum: 0,
      squares: 0,
    };
    context.stdout.write(`PING ${host} (${formatIpv4(target)}) ${size}(${size + 28}) bytes of data.\n`);
    yield* probe(run);
    return printStatistics(run);
  } finally {
    socket.close();
  }
}

function* probe(run: Run): Proc<void> {
  const { os, signals } = run.context;
  const deadline = run.deadline === undefined ? undefined : run.start + run.deadline * SEC;
  let next = os.now();
  let end: Time | undefined;
  for (;;) {
    if (signals.tryPop() !== undefined) return;
    if (deadline !== undefined && os.now() >= deadline) return;
    if (end !== undefined && os.now() >= end) return;
    if (end === undefined && os.now() >= next) {
      send(run);
      next = os.now() + (run.interval === 0 ? FLOOD_WAIT : run.interval);
      if (run.count !== 0 && run.transmitted >= run.count && deadline === undefined) end = os.now() + lingerTime(run);
    }
    if (run.count !== 0 && run.received + run.errors >= run.count) return;
    const reply = run.socket.tryRecv();
    if (reply === undefined) {
      const until = Math.min(end ?? next, deadline ?? Number.MAX_SAFE_INTEGER);
      yield { on: [run.socket as unknown as Waitable, signals], until };
      continue;
    }
    yield* take(run, reply);
    if (run.interval === 0 && run.inFlight === 0) next = Math.max(os.now(), run.lastSent + ROUND);
  }
}

/** __schedule_exit: twice the longest round trip once something was heard, else -W or ten seconds; at least the interval, and some time. */
function lingerTime(run: Run): Time {
  if (run.received > 0) return Math.max(2 * run.max * 1000, run.interval, FLOOD_WAIT);
  return (run.linger ?? MAX_WAIT) * SEC;
}

function send(run: Run): void {
  const { os, stderr } = run.context;
  const seq = ++run.transmitted & 0xffff;
  const data = Uint8Array.from({ length: run.size }, (_, i) => i & 255);
  run.lastSent = os.now();
  if (data.length >= TIMEVAL) {
    const view = new DataView(data.buffer);
    view.setUint32(0, Math.floor(os.now() / SEC), true);
    view.setUint32(4, 0);
    view.setUint32(8, Math.floor((os.now() % SEC) / 1000), true);
    view.setUint32(12, 0);
  }
  run.sentAt.set(seq, os.now());
  run.inFlight++;
  if (run.flood) run.context.stdout.write(".");
  run.seen.delete(seq);
  try {
    run.socket.sendEcho(run.target, seq, data);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.code === "EMSGSIZE") {
      stderr.write(`ping: local error: message too long, mtu=${run.socket.pathMtu(run.target)}\n`);
      run.errors++;
    } else stderr.write(`ping: sendmsg: ${glibcError(error)}\n`);
  }
}

/** `alpine2.test-net (10.0.1.4)`, or the address alone. */
function* peer(run: Run, ip: Ipv4): Proc<string> {
  const address = formatIpv4(ip);
  if (run.numeric) return address;
  let name = run.names.get(ip);
  if (name === undefined) {
    name = (yield* lookupAddress(run.context, address, "glibc")) ?? "";
    run.names.set(ip, name);
  }
  return name === "" ? address : `${name} (${address})`;
}

function* take(run: Run, reply: IcmpReply): Proc<void> {
  const sent = run.sentAt.get(reply.seq);
  if (sent === undefined) return;
  // acknowledge(): how many requests were on their way at most.
  const later = (run.transmitted - reply.seq) & 0xffff;
  run.pipe = Math.max(run.pipe, later + 1);
  run.inFlight = Math.min(run.inFlight, later);
  if (reply.type !== ECHO_REPLY) {
    run.errors++;
    if (!run.quiet) {
      run.context.stdout.write(`From ${yield* peer(run, reply.src)} icmp_seq=${reply.seq} ${describeError(reply)}\n`);
    }
    return;
  }
  const duplicate = run.seen.has(reply.seq);
  run.seen.add(reply.seq);
  if (duplicate) run.repeats++;
  else run.received++;
  let timing = "";
  if (run.size >= TIMEVAL) {
    const us = Math.max(0, Math.floor((reply.time - sent) / 1000));
    run.min = Math.min(run.min, us);
    run.max = Math.max(run.max, us);
    run.sum += us;
    run.squares += us * us;
    run.average += run.average === 0 ? us * 8 : us - Math.floor(run.average / 8);
    timing = ` time=${formatTrip(us)} ms`;
  }
  if (run.flood) run.context.stdout.write("\b \b");
  if (run.quiet) return;
  const from = yield* peer(run, reply.src);
  const line = `${reply.data.length + 8} bytes from ${from}: icmp_seq=${reply.seq} ttl=${reply.ttl}${timing}`;
  run.context.stdout.write(`${line}${duplicate ? " (DUP!)" : ""}\n`);
}

/** A round trip with about three digits (gather_statistics). */
function formatTrip(us: number): string {
  const cut = (value: number, digits: number): string => {
    const unit = 10 ** digits;
    return `${Math.floor(value / 1000)}${digits === 0 ? "" : `.${String(Math.floor(((value % 1000) * unit) / 1000)).padStart(digits, "0")}`}`;
  };
  if (us >= 100_000 - 50) return cut(us + 500, 0);
  if (us >= 10_000 - 5) return cut(us + 50, 1);
  return us >= 1000 ? cut(us + 5, 2) : cut(us, 3);
}

const UNREACHABLE: Readonly<Record<number, string>> = {
  0: "Destination Net Unreachable",
  1: "Destination Host Unreachable",
  2: "Destination Protocol Unreachable",
  3: "Destination Port Unreachable",
  5: "Source Route Failed",
  6: "Destination Net Unknown",
  7: "Destination Host Unknown",
  8: "Source Host Isolated",
  9: "Destination Net Prohibited",
  10: "Destination Host Prohibited",
  11: "Destination Net Unreachable for Type of Service",
  12: "Destination Host Unreachable for Type of Service",
  13: "Packet filtered",
  14: "Precedence Violation",
  15: "Precedence Cutoff",
};

/** pr_icmph. */
function describeError(reply: IcmpReply): string {
  const { type, code, info } = reply;
  if (type === 3)
    return code === 4
      ? `Frag needed and DF set (mtu = ${info})`
      : (UNREACHABLE[code] ?? `Dest Unreachable, Bad Code: ${code}`);
  if (type === 4) return "Source Quench";
  if (type === 5) return `Redirect ${code === 0 ? "Network" : "Host"}`;
  if (type === 11) return code === 0 ? "Time to live exceeded" : "Frag reassembly time exceeded";
  if (type === 12) return `Parameter problem: pointer = ${info}`;
  return `Bad ICMP type: ${type}`;
}

function printStatistics(run: Run): number {
  const { stdout } = run.context;
  const parts = [`${run.transmitted} packets transmitted`, `${run.received} received`];
  if (run.repeats > 0) parts.push(`+${run.repeats} duplicates`);
  if (run.errors > 0) parts.push(`+${run.errors} errors`);
  if (run.transmitted > 0) {
    // printf's %g
    parts.push(`${Number((((run.transmitted - run.received) * 100) / run.transmitted).toPrecision(6))}% packet loss`);
    parts.push(`time ${Math.floor((run.lastSent - run.start) / 1e6)}ms`);
  }
  stdout.write(`\n--- ${run.host} ping statistics ---\n${parts.join(", ")}\n`);
  const comma: string[] = [];
  if (run.received > 0 && run.size >= TIMEVAL) {
    const total = run.received + run.repeats;
    const average = Math.floor(run.sum / total);
    const deviation = Math.floor(Math.sqrt(Math.max(0, Math.floor(run.squares / total) - average * average)));
    comma.push(`rtt min/avg/max/mdev = ${[run.min, average, run.max, deviation].map(millis).join("/")} ms`);
  }
  if (run.pipe > 1) comma.push(`pipe ${run.pipe}`);
  if (run.received > 0 && run.interval === 0 && run.transmitted > 1) {
    const gap = Math.floor((run.lastSent - run.start) / 1000 / (run.transmitted - 1));
    comma.push(`ipg/ewma ${millis(gap)}/${millis(Math.floor(run.average / 8))} ms`);
  }
  stdout.write(`${comma.join(", ")}\n`);
  return run.received === 0 || (run.deadline !== undefined && run.received < run.count) ? 1 : 0;
}

function millis(us: number): string {
  return `${Math.floor(us / 1000)}.${String(us % 1000).padStart(3, "0")}`;
}

/** ping(8) of iputils. */
export const iputilsPing: Program = tool(main, 2, usage);
