/** PING.EXE of Windows: its options, its timing and its English texts. */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../../base/addr.ts";
import { KernelError } from "../../../base/errors.ts";
import { MS, SEC, type Time } from "../../../base/time.ts";
import type { Program, ProgramContext } from "../../../engine/program.ts";
import type { IcmpReply, IcmpSocket } from "../../../kernel/socket-types.ts";
import type { Proc, Waitable } from "../../../scheduler/process.ts";
import { lookup } from "../../lib/resolve.ts";

// ICMP types and the codes of "destination unreachable" that have texts of their own (RFC 792, 1191).
const ECHO_REPLY = 0;
const UNREACHABLE = 3;
const TIME_EXCEEDED = 11;
const CODE_NET = 0;
const CODE_PORT = 3;
const CODE_FRAG_NEEDED = 4;

const MAX_SIZE = 65_500;
const USAGE =
  "\nUsage: ping [-t] [-n count] [-l size] [-f] [-i TTL] [-w timeout] [-4] target_name\n\n" +
  "Options:\n" +
  "    -t             Ping the specified host until stopped.\n" +
  "    -n count       Number of echo requests to send.\n" +
  "    -l size        Send buffer size.\n" +
  "    -f             Set Don't Fragment flag in packet (IPv4-only).\n" +
  "    -i TTL         Time To Live.\n" +
  "    -w timeout     Timeout in milliseconds to wait for each reply.\n" +
  "    -4             Force using IPv4.\n\n";

interface Options {
  count: number;
  size: number;
  /** Nanoseconds. */
  timeout: Time;
  ttl: number | undefined;
  dontFragment: boolean;
  target: string | undefined;
}

/** undefined, after a message, when they make no sense. */
function readOptions(context: ProgramContext): Options | undefined {
  const options: Options = {
    count: 4,
    size: 32,
    timeout: 4 * SEC,
    ttl: undefined,
    dontFragment: false,
    target: undefined,
  };
  const refuse = (message: string): undefined => void context.stdout.write(`${message}\n`);
  for (let at = 1; at < context.argv.length; at++) {
    const word = context.argv[at] as string;
    if (!/^[-/]/.test(word)) {
      options.target = word;
      continue;
    }
    const letter = word.slice(1).toLowerCase();
    if (letter === "4") continue;
    if (letter === "t") options.count = Number.POSITIVE_INFINITY;
    else if (letter === "f") options.dontFragment = true;
    else if (["n", "l", "i", "w"].includes(letter)) {
      const value = context.argv[++at];
      if (value === undefined) return refuse(`Value must be supplied for option ${word}.`);
      const [low, high] = letter === "l" ? [0, MAX_SIZE] : letter === "i" ? [1, 255] : [1, 0xffffffff];
      const number = /^\d+$/.test(value) ? Number(value) : -1;
      if (number < low || number > high)
        return refuse(`Bad value for option ${word}, valid range is from ${low} to ${high}.`);
      if (letter === "n") options.count = number;
      else if (letter === "l") options.size = number;
      else if (letter === "i") options.ttl = number;
      else options.timeout = number * MS;
    } else if (letter === "?") return refuse(USAGE.trimEnd());
    else return refuse(`Bad option ${word}.\n${USAGE.trimEnd()}`);
  }
  return options.target === undefined ? refuse(USAGE.trimEnd()) : options;
}

interface Tally {
  sent: number;
  received: number;
  /** Round trips in whole milliseconds. */
  readonly times: number[];
}

function* main(context: ProgramContext): Proc<number> {
  const options = readOptions(context);
  if (options?.target === undefined) return 1;
  const { target } = options;
  const found = yield* lookup(context, target, "glibc");
  if (!found.ok) {
    context.stdout.write(`Ping request could not find host ${target}. Please check the name and try again.\n`);
    return 1;
  }
  const ip = found.addresses[0] as Ipv4;
  const shown = parseIpv4(target) === undefined ? `${target} [${formatIpv4(ip)}]` : target;
  context.stdout.write(`\nPinging ${shown} with ${options.size} bytes of data:\n`);
  const socket = context.ns.socket.icmp();
  const tally: Tally = { sent: 0, received: 0, times: [] };
  try {
    socket.setOwner("ping");
    if (options.ttl !== undefined) socket.setTtl(options.ttl);
    socket.setPmtuDiscovery(options.dontFragment ? "do" : "dont");
    yield* probe(context, socket, ip, options, tally);
  } finally {
    socket.close();
  }
  printStatistics(context, ip, tally);
  return tally.received > 0 ? 0 : 1;
}

/** One request at a time: the next goes out a second after the last, or when that has timed out. */
function* probe(context: ProgramContext, socket: IcmpSocket, ip: Ipv4, options: Options, tally: Tally): Proc<void> {
  const { os, signals } = context;
  const data = Uint8Array.from({ length: options.size }, (_, i) => 0x61 + (i % 23));
  for (let seq = 1; tally.sent < options.count; seq++) {
    const sent = os.now();
    tally.sent++;
    const line = yield* exchange(context, socket, ip, seq & 0xffff, data, options, tally);
    if (line === undefined) return;
    context.stdout.write(`${line}\n`);
    if (tally.sent >= options.count) return;
    while (os.now() < sent + SEC) {
      yield { on: [signals], until: sent + SEC };
      if (signals.tryPop() !== undefined) return;
    }
  }
}

/** The line about one request; undefined when Ctrl-C came. */
function* exchange(
  context: ProgramContext,
  socket: IcmpSocket,
  ip: Ipv4,
  seq: number,
  data: Uint8Array,
  options: Options,
  tally: Tally,
): Proc<string | undefined> {
  const { os, signals } = context;
  const sent = os.now();
  try {
    socket.sendEcho(ip, seq, data);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.code === "EMSGSIZE"
      ? "Packet needs to be fragmented but DF set."
      : "PING: transmit failed. General failure. ";
  }
  for (;;) {
    if (signals.tryPop() !== undefined) return undefined;
    const reply = socket.tryRecv();
    if (reply === undefined) {
      if (os.now() >= sent + options.timeout) return "Request timed out.";
      yield { on: [socket as unknown as Waitable, signals], until: sent + options.timeout };
    } else if (reply.seq === seq) return replyLine(reply, sent, tally);
  }
}

/** An error that comes back counts as an answer, as the real one counts it. */
function replyLine(reply: IcmpReply, sent: Time, tally: Tally): string {
  tally.received++;
  const from = `Reply from ${formatIpv4(reply.src)}:`;
  if (reply.type === TIME_EXCEEDED) return `${from} TTL expired in transit.`;
  if (reply.type === UNREACHABLE) {
    if (reply.code === CODE_FRAG_NEEDED) return `${from} Packet needs to be fragmented but DF set.`;
    if (reply.code === CODE_PORT) return `${from} Destination port unreachable.`;
    return `${from} Destination ${reply.code === CODE_NET ? "net" : "host"} unreachable.`;
  }
  if (reply.type !== ECHO_REPLY) return `${from} General failure.`;
  const ms = Math.floor((reply.time - sent) / MS);
  tally.times.push(ms);
  return `${from} bytes=${reply.data.length} time${ms < 1 ? "<1" : `=${ms}`}ms TTL=${reply.ttl}`;
}

function printStatistics(context: ProgramContext, ip: Ipv4, { sent, received, times }: Tally): void {
  const lost = sent - received;
  const percent = sent === 0 ? 0 : Math.floor((lost * 100) / sent);
  const { stdout } = context;
  stdout.write(`\nPing statistics for ${formatIpv4(ip)}:\n`);
  stdout.write(`    Packets: Sent = ${sent}, Received = ${received}, Lost = ${lost} (${percent}% loss),\n`);
  if (times.length === 0) return;
  const average = Math.floor(times.reduce((sum, ms) => sum + ms, 0) / times.length);
  stdout.write("Approximate round trip times in milli-seconds:\n");
  const [min, max] = [Math.min(...times), Math.max(...times)];
  stdout.write(`    Minimum = ${min}ms, Maximum = ${max}ms, Average = ${average}ms\n`);
}

/** ping.exe. */
export const windowsPing: Program = main;
