/** `ping`: busybox's (networking/ping.c, 1.35) and iputils' (20221126), over the kernel's ICMP sockets. */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { MS, SEC, type Time, US } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { IcmpReply, IcmpSocket } from "../../kernel/types.ts";
import type { Proc } from "../../scheduler/process.ts";
import { getopt, type Options } from "../lib/options.ts";
import { Failure, glibcError, isSignal, muslError, tool, waitReady } from "../lib/program.ts";
import { resolve } from "../lib/resolve.ts";

const ECHO_REPLY = 0;
const UNREACHABLE = 3;
const TIME_EXCEEDED = 11;
const DEFAULT_SIZE = 56;
/** Seconds that both wait for an answer when there was none (MAXWAIT). */
const MAX_WAIT = 10;

interface Settings {
  readonly count: number | undefined;
  readonly size: number;
  readonly interval: Time;
  readonly wait: number;
  readonly deadline: number | undefined;
  readonly quiet: boolean;
  /** Sequence number of the first request: busybox 0, iputils 1. */
  readonly firstSeq: number;
}

function settings(options: Options, firstSeq: number): Settings {
  return {
    count: options.number("c"),
    size: options.number("s") ?? DEFAULT_SIZE,
    interval: Math.round((options.number("i") ?? 1) * SEC),
    wait: options.number("W") ?? MAX_WAIT,
    deadline: options.number("w"),
    quiet: options.has("q"),
    firstSeq,
  };
}

/** What one run has sent and got back. */
class Tally {
  sent = 0;
  received = 0;
  duplicates = 0;
  errors = 0;
  min = Number.POSITIVE_INFINITY;
  max = 0;
  sum = 0;
  squares = 0;
  readonly times: Time[] = [];
  readonly #seen = new Set<number>();

  /** @returns whether this sequence number has been answered before */
  answer(seq: number, rtt: Time): boolean {
    const repeated = this.#seen.has(seq);
    this.#seen.add(seq);
    if (repeated) this.duplicates++;
    else this.received++;
    const micros = Math.floor(rtt / US);
    this.min = Math.min(this.min, micros);
    this.max = Math.max(this.max, micros);
    this.sum += micros;
    this.squares += micros * micros;
    return repeated;
  }

  get lossPercent(): number {
    return this.sent === 0 ? 0 : Math.floor(((this.sent - this.received) * 100) / this.sent);
  }
}

const millis = (micros: number): string =>
  `${Math.floor(micros / 1000)}.${String(Math.floor(micros % 1000)).padStart(3, "0")}`;

/** Echo data: a count, as ping programs fill it. */
function payload(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => at & 255);
}

// ------------------------------------------------------------------------------------------------ busybox

function* busyboxPing(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "46c:s:I:W:w:qi:t:p:");
  const host = options.args[0];
  if (host === undefined) throw new Failure("", 1);
  const found = yield* resolve(context, host, "musl");
  if ("failure" in found) throw new Failure(`bad address '${host}'`);
  const target = found.addresses[0] as Ipv4;
  const run = settings(options, 0);
  const { stdout } = context;
  const socket = context.ns.socket.icmp();
  socket.setOwner("ping");
  const ttl = options.number("t");
  if (ttl !== undefined) socket.setTtl(ttl);
  stdout.write(`PING ${host} (${formatIpv4(target)}): ${run.size} data bytes\n`);
  const tally = new Tally();
  try {
    yield* busyboxLoop(context, socket, target, run, tally);
  } finally {
    socket.close();
  }
  const repeats = tally.duplicates > 0 ? `${tally.duplicates} duplicates, ` : "";
  stdout.write(`\n--- ${host} ping statistics ---\n`);
  stdout.write(
    `${tally.sent} packets transmitted, ${tally.received} packets received, ${repeats}${tally.lossPercent}% packet loss\n`,
  );
  if (tally.received > 0) {
    const average = Math.floor(tally.sum / (tally.received + tally.duplicates));
    stdout.write(`round-trip min/avg/max = ${millis(tally.min)}/${millis(average)}/${millis(tally.max)} ms\n`);
  }
  const short = run.deadline !== undefined && run.count !== undefined && tally.received < run.count;
  return tally.received === 0 || short ? 1 : 0;
}

function* busyboxLoop(
  context: ProgramContext,
  socket: IcmpSocket,
  target: Ipv4,
  run: Settings,
  tally: Tally,
): Proc<void> {
  const { os, stdout } = context;
  const end = run.deadline === undefined ? Number.POSITIVE_INFINITY : os.now() + run.deadline * SEC;
  let next = os.now();
  for (;;) {
    if (os.now() >= end) return;
    const all = run.count !== undefined && tally.sent >= run.count;
    if (os.now() >= next) {
      if (all) return;
      sendEcho(socket, target, tally, os.now(), run, (error) => {
        throw new Failure(`sendto: ${muslError(error)}`);
      });
      // After the last one: two round trips when something came back, else -W (sendping_tail).
      const last = run.count !== undefined && tally.sent >= run.count;
      const patience = tally.received > 0 ? Math.max(1, Math.floor(tally.max / (512 * 1024))) : run.wait;
      next = os.now() + (last ? patience * SEC : run.interval);
    }
    const reply = socket.tryRecv();
    if (reply === undefined) {
      socket.takeError();
      if (isSignal(yield* waitReady(context, [socket], Math.min(next, end)))) return;
      continue;
    }
    if (reply.type !== ECHO_REPLY) continue;
    const rtt = reply.time - (tally.times[reply.seq] ?? reply.time);
    const repeated = tally.answer(reply.seq, rtt);
    if (!run.quiet) {
      const dup = repeated ? " (DUP!)" : "";
      const time = run.size >= 4 ? ` time=${millis(Math.floor(rtt / US))} ms` : "";
      stdout.write(
        `${reply.data.length + 8} bytes from ${formatIpv4(reply.src)}: seq=${reply.seq} ttl=${reply.ttl}${time}${dup}\n`,
      );
    }
    if (run.count !== undefined && tally.received >= run.count) return;
  }
}

/** Sends the next request; refusals of routing and size go to `refused`. */
function sendEcho(
  socket: IcmpSocket,
  target: Ipv4,
  tally: Tally,
  now: Time,
  run: Settings,
  refused: (error: KernelError) => void,
): void {
  const seq = (run.firstSeq + tally.sent++) & 0xffff;
  tally.times[seq] = now;
  try {
    socket.sendEcho(target, seq, payload(run.size));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    // A raw socket hears nothing of a neighbour that doesn't answer.
    if (error.code !== "EHOSTUNREACH" && error.code !== "ECONNREFUSED") refused(error);
  }
}

export const pingBusybox: Program = tool(busyboxPing);

// ------------------------------------------------------------------------------------------------ iputils

/** Digits as iputils shows a round trip: three significant ones where it is short. */
function iputilsTime(micros: number): string {
  if (micros >= 100_000) return String(Math.floor(micros / 1000));
  if (micros >= 10_000) return (Math.floor(micros / 100) / 10).toFixed(1);
  return micros >= 1000 ? (Math.floor(micros / 10) / 100).toFixed(2) : (micros / 1000).toFixed(3);
}

const UNREACHABLE_TEXT: Readonly<Record<number, string>> = {
  0: "Destination Net Unreachable",
  1: "Destination Host Unreachable",
  2: "Destination Protocol Unreachable",
  3: "Destination Port Unreachable",
  5: "Source Route Failed",
  9: "Destination Net Prohibited",
  10: "Destination Host Prohibited",
  13: "Packet filtered",
};

function errorText(reply: IcmpReply): string {
  if (reply.type === TIME_EXCEEDED) return reply.code === 0 ? "Time to live exceeded" : "Frag reassembly time exceeded";
  if (reply.type !== UNREACHABLE) return `Bad ICMP type: ${reply.type}`;
  if (reply.code === 4) return `Frag needed and DF set (mtu = ${reply.info})`;
  return UNREACHABLE_TEXT[reply.code] ?? `Dest Unreachable, Bad Code: ${reply.code}`;
}

function* iputilsPing(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "46bnqOc:s:I:W:w:i:t:M:p:");
  const host = options.args[0];
  if (host === undefined) throw new Failure("usage error: Destination address required", 1);
  const found = yield* resolve(context, host, "glibc");
  if ("failure" in found) {
    throw new Failure(
      `${host}: ${found.failure === "again" ? "Temporary failure in name resolution" : "Name or service not known"}`,
      2,
    );
  }
  const target = found.addresses[0] as Ipv4;
  try {
    context.ns.route.lookup(target);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new Failure(`connect: ${glibcError(error)}`, 2);
  }
  const run = settings(options, 1);
  const socket = context.ns.socket.icmp();
  socket.setOwner("ping");
  const ttl = options.number("t");
  if (ttl !== undefined) socket.setTtl(ttl);
  const mode = options.text("M");
  if (mode === "do" || mode === "want" || mode === "dont") socket.setPmtuDiscovery(mode);
  else if (mode !== undefined) throw new Failure(`wrong value for -M: do, dont, want are valid ones.`, 2);
  context.stdout.write(`PING ${host} (${formatIpv4(target)}) ${run.size}(${run.size + 28}) bytes of data.\n`);
  const tally = new Tally();
  const start = context.os.now();
  let last = start;
  try {
    last = yield* iputilsLoop(context, socket, target, run, tally);
  } finally {
    socket.close();
  }
  context.stdout.write(iputilsSummary(host, tally, last - start));
  return tally.received === 0 || (run.deadline !== undefined && run.count !== undefined && tally.received < run.count)
    ? 1
    : 0;
}

function iputilsSummary(host: string, tally: Tally, span: Time): string {
  const duplicates = tally.duplicates > 0 ? `, +${tally.duplicates} duplicates` : "";
  const errors = tally.errors > 0 ? `, +${tally.errors} errors` : "";
  const loss =
    tally.sent === 0
      ? ""
      : `, ${Number((((tally.sent - tally.received) * 100) / tally.sent).toPrecision(6))}% packet loss`;
  const head = `\n--- ${host} ping statistics ---\n${tally.sent} packets transmitted, ${tally.received} received${duplicates}${errors}${loss}, time ${Math.floor(span / MS)}ms\n`;
  const count = tally.received + tally.duplicates;
  if (count === 0) return `${head}\n`;
  const average = Math.floor(tally.sum / count);
  const deviation = Math.floor(Math.sqrt(Math.max(0, Math.floor(tally.squares / count) - average * average)));
  return `${head}rtt min/avg/max/mdev = ${millis(tally.min)}/${millis(average)}/${millis(tally.max)}/${millis(deviation)} ms\n`;
}

/** @returns the time of the last thing sent or received */
function* iputilsLoop(
  context: ProgramContext,
  socket: IcmpSocket,
  target: Ipv4,
  run: Settings,
  tally: Tally,
): Proc<Time> {
  const { os, stdout } = context;
  const end = run.deadline === undefined ? Number.POSITIVE_INFINITY : os.now() + run.deadline * SEC;
  let next = os.now();
  let last = os.now();
  for (;;) {
    if (os.now() >= end) return last;
    if (os.now() >= next) {
      if (run.count !== undefined && tally.sent >= run.count) return last;
      sendEcho(socket, target, tally, os.now(), run, (error) => {
        tally.errors++;
        if (error.code === "EMSGSIZE")
          context.stderr.write(`ping: local error: message too long, mtu=${socket.pathMtu(target)}\n`);
        else context.stderr.write(`ping: sendmsg: ${glibcError(error)}\n`);
      });
      last = os.now();
      const done = run.count !== undefined && tally.sent >= run.count;
      const linger = tally.received > 0 ? Math.max(Math.min(run.wait, 1) * SEC, 2 * tally.max * US) : run.wait * SEC;
      next = os.now() + (done ? linger : run.interval);
    }
    const reply = socket.tryRecv();
    if (reply === undefined) {
      socket.takeError();
      if (isSignal(yield* waitReady(context, [socket], Math.min(next, end)))) return last;
      continue;
    }
    last = os.now();
    const { seq } = reply;
    if (reply.type !== ECHO_REPLY) {
      tally.errors++;
      if (!run.quiet) stdout.write(`From ${formatIpv4(reply.src)} icmp_seq=${seq} ${errorText(reply)}\n`);
      continue;
    }
    const rtt = reply.time - (tally.times[reply.seq] ?? reply.time);
    const repeated = tally.answer(reply.seq, rtt);
    if (!run.quiet) {
      const time = iputilsTime(Math.floor(rtt / US));
      const dup = repeated ? " (DUP!)" : "";
      stdout.write(
        `${reply.data.length + 8} bytes from ${formatIpv4(reply.src)}: icmp_seq=${seq} ttl=${reply.ttl} time=${time} ms${dup}\n`,
      );
    }
    if (run.count !== undefined && tally.received >= run.count) return last;
  }
}

export const pingIputils: Program = tool(iputilsPing, 2);
