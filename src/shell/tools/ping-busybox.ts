/** ping of containers: busybox 1.35 networking/ping.c, its timing and its texts. */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { ERRNO_TEXT, KernelError } from "../../base/errors.ts";
import { FOREVER, SEC, type Time, US } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { IcmpReply, IcmpSocket } from "../../kernel/socket-types.ts";
import type { Proc, Waitable } from "../../scheduler/process.ts";
import { getopt } from "../lib/options.ts";
import { busyboxUsage, die, tool } from "../lib/program.ts";
import { lookup } from "../lib/resolve.ts";

/** ICMP_ECHOREPLY. */
const ECHO_REPLY = 0;
/** Seconds that the last answer is waited for when none ever came (MAXWAIT). */
const MAX_WAIT = 10;
/** What sending a request and reading its answer takes at least, with -A. */
const ROUND = 20 * US;
const INT_MAX = 2147483647;
/** Seconds of an interval's suffixes (libbb/duration.c). */
const UNITS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600, d: 86400 };

const usage = busyboxUsage(
  "ping",
  `[OPTIONS] HOST

Send ICMP ECHO_REQUESTs to HOST

	-4,-6		Force IP or IPv6 name resolution
	-c CNT		Send only CNT pings
	-s SIZE		Send SIZE data bytes in packets (default 56)
	-i SECS		Interval
	-A		Ping as soon as reply is received
	-t TTL		Set TTL
	-I IFACE/IP	Source interface or IP address
	-W SEC		Seconds to wait for the first response (default 10)
			(after all -c CNT packets are sent)
	-w SEC		Seconds until ping exits (default:infinite)
			(can exit earlier with -c CNT)
	-q		Quiet, only display output at start/finish
	-p HEXBYTE	Payload pattern`,
);

interface Run {
  readonly context: ProgramContext;
  readonly socket: IcmpSocket;
  readonly host: string;
  readonly target: Ipv4;
  readonly size: number;
  readonly count: number;
  readonly interval: Time;
  readonly wait: number;
  readonly deadline: Time | undefined;
  readonly quiet: boolean;
  readonly adaptive: boolean;
  readonly pattern: number;
  readonly sentAt: Map<number, Time>;
  readonly seen: Set<number>;
  transmitted: number;
  received: number;
  repeats: number;
  /** Microseconds. */
  min: number;
  max: number;
  sum: number;
}

/** `1.234` from microseconds. */
function millis(us: number): string {
  return `${Math.floor(us / 1000)}.${String(us % 1000).padStart(3, "0")}`;
}

/** A number in a range (xatonum.c). */
function ranged(text: string | undefined, fallback: number, most: number): number {
  if (text === undefined) return fallback;
  if (!/^\d+$/.test(text)) die(`invalid number '${text}'`);
  if (Number(text) > most) die(`number ${text} is not in 0..${most} range`);
  return Number(text);
}

/** Nanoseconds between two requests; FOREVER for none, of which setitimer(2) makes no timer at all. */
function intervalOf(text: string): Time {
  const match = /^(\d+\.?\d*|\.\d+)([smhd]?)$/.exec(text);
  if (match === null) die(`invalid number '${text}'`);
  const seconds = Number(match[1]) * (UNITS[match[2] ?? ""] as number);
  return Math.floor(Math.min(seconds, Math.floor(INT_MAX / 1e6)) * 1e6) * US || FOREVER;
}

/** The source address that `-I` names: undefined for a device's name. */
function sourceOf(context: ProgramContext, text: string | undefined): string | undefined {
  if (text === undefined || context.ns.link.list().some(({ name }) => name === text)) return undefined;
  const ip = parseIpv4(text);
  if (ip === undefined) die(`bad address '${text}'`);
  if (!context.ns.addr.list().some(({ addr }) => addr.ip === ip)) die(`bind: ${ERRNO_TEXT.EADDRNOTAVAIL}`);
  return text;
}

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "qvAc:s:t:w:W:I:np:i:46");
  const host = options.args[0];
  if (host === undefined || options.args.length > 1) die("");
  const size = ranged(options.text("s"), 56, 65535);
  const count = ranged(options.text("c"), 0, INT_MAX);
  const ttl = ranged(options.text("t"), 0, INT_MAX);
  const deadline = ranged(options.text("w"), 0, INT_MAX);
  const wait = ranged(options.text("W"), MAX_WAIT, INT_MAX);
  const source = sourceOf(context, options.text("I"));
  const interval = intervalOf(options.text("i") ?? "1");
  const found = yield* lookup(context, host, "musl");
  if (!found.ok) die(`bad address '${host}'`);
  const socket = context.ns.socket.icmp();
  try {
    socket.setOwner("ping");
    if (ttl !== 0) socket.setTtl(ttl);
    const from = source === undefined ? "" : ` from ${source}`;
    const run: Run = {
      context,
      socket,
      host,
      target: found.addresses[0] as Ipv4,
      size,
      count,
      interval,
      wait,
      deadline: deadline === 0 ? undefined : context.os.now() + deadline * SEC,
      quiet: options.has("q"),
      adaptive: options.has("A"),
      pattern: Number.parseInt(options.text("p") ?? "0", 16) & 255,
      sentAt: new Map(),
      seen: new Set(),
      transmitted: 0,
      received: 0,
      repeats: 0,
      min: Number.POSITIVE_INFINITY,
      max: 0,
      sum: 0,
    };
    context.stdout.write(`PING ${host} (${formatIpv4(run.target)})${from}: ${size} data bytes\n`);
    yield* probe(run);
    return printStatistics(run);
  } finally {
    socket.close();
  }
}

/** Sends every interval and prints answers, until all have come, the wait is over, or a signal ends it. */
function* probe(run: Run): Proc<void> {
  const { os, signals } = run.context;
  let alarm = os.now();
  let sent = alarm;
  let last = false;
  for (;;) {
    if (signals.tryPop() !== undefined) return;
    if (run.deadline !== undefined && os.now() >= run.deadline) return;
    if (os.now() >= alarm) {
      if (last) return;
      send(run);
      last = run.count !== 0 && run.transmitted >= run.count;
      sent = os.now();
      alarm = last ? sent + lastWait(run) : run.interval === FOREVER ? FOREVER : sent + run.interval;
    }
    const reply = run.socket.tryRecv();
    if (reply === undefined) {
      const until = run.deadline === undefined ? alarm : Math.min(alarm, run.deadline);
      yield { on: [run.socket as unknown as Waitable, signals], until };
      continue;
    }
    if (!take(run, reply)) continue;
    if (run.count !== 0 && run.received >= run.count) return;
    if (run.adaptive && !last) alarm = Math.max(os.now(), sent + ROUND);
  }
}

/** After the last request: -W seconds if nothing was heard yet, else about two of the longest round trips. */
function lastWait(run: Run): Time {
  if (run.received === 0) return run.wait * SEC;
  return Math.max(1, Math.floor(run.max / (512 * 1024))) * SEC;
}

function send(run: Run): void {
  const data = new Uint8Array(run.size).fill(run.pattern);
  const seq = run.transmitted & 0xffff;
  run.sentAt.set(seq, run.context.os.now());
  run.seen.delete(seq);
  // The first four bytes carry the time of sending in microseconds, as the real one's do.
  if (data.length >= 4) new DataView(data.buffer).setUint32(0, Math.floor(run.context.os.now() / 1000) >>> 0, true);
  run.transmitted++;
  try {
    run.socket.sendEcho(run.target, seq, data);
  } catch (error) {
    if (error instanceof KernelError) die(`sendto: ${ERRNO_TEXT[error.code]}`);
    throw error;
  }
}

/** Counts and prints an echo reply; false when it is something else. */
function take(run: Run, reply: IcmpReply): boolean {
  const sent = run.sentAt.get(reply.seq);
  if (reply.type !== ECHO_REPLY || sent === undefined) return false;
  const duplicate = run.seen.has(reply.seq);
  run.seen.add(reply.seq);
  if (duplicate) run.repeats++;
  else run.received++;
  let timing = "";
  if (reply.data.length >= 4) {
    const us = Math.floor((reply.time - sent) / 1000);
    run.min = Math.min(run.min, us);
    run.max = Math.max(run.max, us);
    run.sum += us;
    timing = ` time=${millis(us)} ms`;
  }
  if (run.quiet) return true;
  const line = `${reply.data.length + 8} bytes from ${formatIpv4(reply.src)}: seq=${reply.seq} ttl=${reply.ttl}${timing}`;
  run.context.stdout.write(`${line}${duplicate ? " (DUP!)" : ""}\n`);
  return true;
}

function printStatistics(run: Run): number {
  const { stdout } = run.context;
  const duplicates = run.repeats > 0 ? `${run.repeats} duplicates, ` : "";
  const loss =
    run.transmitted === 0
      ? ""
      : `${Math.floor(((run.transmitted - run.received) * 100) / run.transmitted)}% packet loss`;
  stdout.write(`\n--- ${run.host} ping statistics ---\n`);
  stdout.write(`${run.transmitted} packets transmitted, ${run.received} packets received, ${duplicates}${loss}\n`);
  if (run.min !== Number.POSITIVE_INFINITY) {
    const average = Math.floor(run.sum / (run.received + run.repeats));
    stdout.write(`round-trip min/avg/max = ${millis(run.min)}/${millis(average)}/${millis(run.max)} ms\n`);
  }
  return run.received === 0 || (run.deadline !== undefined && run.received < run.count) ? 1 : 0;
}

/** busybox's ping. */
export const busyboxPing: Program = tool(main, 1, usage);
