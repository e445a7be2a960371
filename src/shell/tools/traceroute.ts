/** traceroute: busybox 1.35 networking/traceroute.c (UDP probes to rising ports, or -I echo requests). */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { ERRNO_TEXT, KernelError } from "../../base/errors.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { IcmpSocket, RawSocket, UdpSocket } from "../../kernel/socket-types.ts";
import type { Proc } from "../../scheduler/process.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { busyboxUsage, die, tool, waitReady } from "../lib/program.ts";
import { lookup, lookupAddress } from "../lib/resolve.ts";

const BASE_PORT = 33434;
/** Length of a probe's IP packet by default. */
const PACKET_LENGTH = 46;
const HEADERS = 28;
const IPPROTO_ICMP = 1;

const usage = busyboxUsage(
  "traceroute",
  `[-nIFlvr] [-f FIRST_TTL] [-m MAX_TTL] [-q PROBES] [-p PORT] [-w WAIT_SEC] HOST [BYTES]

Trace the route to HOST

	-n	Print numeric addresses
	-I	Use ICMP ECHO instead of UDP datagrams
	-f N	First number of hops (default 1)
	-m N	Max number of hops
	-q N	Number of probes per hop (default 3)
	-p N	Base UDP port number used in probes
		(default 33434)
	-w N	Wait for a response N seconds (default 3)`,
);

interface Answer {
  readonly from: Ipv4;
  readonly time: Time;
  /** The target itself answered. */
  readonly reached: boolean;
  /** ` !H` and the like behind the time. */
  readonly mark: string;
}

/** Sends probes and recognises what comes back for one. */
interface Prober {
  send(ttl: number, probe: number): void;
  /** An answer to this probe that has arrived; undefined when there is none. */
  take(probe: number): Answer | undefined;
  readonly socket: RawSocket | IcmpSocket;
  close(): void;
}

const MARKS: Readonly<Record<number, string>> = {
  0: " !N",
  1: " !H",
  2: " !P",
  4: " !F",
  5: " !S",
  9: " !N",
  10: " !H",
  13: " !A",
};

function udpProber(context: ProgramContext, target: Ipv4, port: number, length: number): Prober {
  const icmp = context.ns.socket.raw(IPPROTO_ICMP);
  const sender: UdpSocket = context.ns.socket.udp();
  sender.setOwner("traceroute");
  return {
    socket: icmp,
    send(ttl, probe) {
      sender.setTtl(ttl);
      // outdata_t: the probe's number and its TTL, then zeros.
      const data = new Uint8Array(Math.max(0, length - HEADERS));
      data.set([probe & 255, ttl].slice(0, data.length));
      sender.sendTo(data, target, port + probe);
    },
    take(probe) {
      sender.takeError();
      for (let packet = icmp.tryRecv(); packet !== undefined; packet = icmp.tryRecv()) {
        const answer = readError(packet.data, target, port + probe);
        if (answer !== undefined) return { ...answer, from: packet.src, time: packet.time };
      }
      return undefined;
    },
    close() {
      icmp.close();
      sender.close();
    },
  };
}

/** Whether an IP packet is an ICMP error about a datagram to this port (packet_ok). */
function readError(packet: Uint8Array, target: Ipv4, port: number): { reached: boolean; mark: string } | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const at = ((packet[0] ?? 0) & 15) * 4;
  if (packet.length < at + 8 + 28) return undefined;
  const [type, code] = [view.getUint8(at), view.getUint8(at + 1)];
  const quoted = at + 8;
  const inner = quoted + (view.getUint8(quoted) & 15) * 4;
  if (inner + 4 > packet.length || view.getUint32(quoted + 16) !== target || view.getUint16(inner + 2) !== port)
    return undefined;
  if (type === 11) return { reached: false, mark: "" };
  if (type !== 3) return undefined;
  return code === 3 ? { reached: true, mark: "" } : { reached: true, mark: MARKS[code] ?? ` !<${code}>` };
}

function icmpProber(context: ProgramContext, target: Ipv4, length: number): Prober {
  const socket = context.ns.socket.icmp();
  socket.setOwner("traceroute");
  return {
    socket,
    send(ttl, probe) {
      socket.setTtl(ttl);
      socket.sendEcho(target, probe, new Uint8Array(Math.max(0, length - HEADERS)));
    },
    take(probe) {
      for (let reply = socket.tryRecv(); reply !== undefined; reply = socket.tryRecv()) {
        if (reply.seq !== probe) continue;
        const mark = reply.type === 3 ? (MARKS[reply.code] ?? "") : "";
        return { from: reply.src, time: reply.time, reached: reply.type !== 11, mark };
      }
      return undefined;
    },
    close: () => socket.close(),
  };
}

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "FIlnrdvxt:i:m:p:q:s:w:z:f:4");
  const [host, size] = options.args;
  if (host === undefined) throw new UsageError("missing HOST");
  const found = yield* lookup(context, host, "musl");
  if (!found.ok) die(`bad address '${host}'`);
  const target = found.addresses[0] as Ipv4;
  const length = size === undefined ? PACKET_LENGTH : Number(size);
  if (!Number.isInteger(length) || length < HEADERS || length > 32768) die(`invalid number '${size}'`);
  const last = options.number("m") ?? 30;
  const wait = (options.number("w") ?? 3) * SEC;
  const probes = options.number("q") ?? 3;
  context.stdout.write(`traceroute to ${host} (${formatIpv4(target)}), ${last} hops max, ${length} byte packets\n`);
  const prober = options.has("I")
    ? icmpProber(context, target, length)
    : udpProber(context, target, options.number("p") ?? BASE_PORT, length);
  try {
    let probe = 0;
    for (let ttl = options.number("f") ?? 1; ttl <= last; ttl++) {
      context.stdout.write(String(ttl).padStart(2));
      let from: Ipv4 | undefined;
      let reached = false;
      for (let i = 0; i < probes; i++) {
        probe++;
        const sent = context.os.now();
        const answer = yield* ask(context, prober, ttl, probe, sent + wait);
        if (answer === undefined) {
          context.stdout.write("  *");
          continue;
        }
        if (answer.from !== from) {
          const numeric = options.has("n") || parseIpv4(host) === answer.from;
          context.stdout.write(
            `  ${yield* nameOf(context, answer.from, options.has("n") || numeric, options.has("n"))}`,
          );
        }
        from = answer.from;
        const micros = Math.floor((answer.time - sent) / 1000);
        context.stdout.write(
          `  ${Math.floor(micros / 1000)}.${String(micros % 1000).padStart(3, "0")} ms${answer.mark}`,
        );
        reached ||= answer.reached;
      }
      context.stdout.write("\n");
      if (reached) return 0;
    }
    return 0;
  } catch (error) {
    if (error instanceof KernelError) die(`sendto: ${ERRNO_TEXT[error.code]}`);
    throw error;
  } finally {
    prober.close();
  }
}

/** `name (address)`; the address stands for a name that there isn't; with -n the address alone. */
function* nameOf(context: ProgramContext, ip: Ipv4, literal: boolean, numeric: boolean): Proc<string> {
  const address = formatIpv4(ip);
  if (numeric) return address;
  const name = literal ? undefined : yield* lookupAddress(context, address, "musl");
  return `${name ?? address} (${address})`;
}

function* ask(
  context: ProgramContext,
  prober: Prober,
  ttl: number,
  probe: number,
  until: Time,
): Proc<Answer | undefined> {
  prober.send(ttl, probe);
  for (;;) {
    const answer = prober.take(probe);
    if (answer !== undefined) return answer;
    const result = yield* waitReady(context, [prober.socket], until);
    if (result === "timeout") return prober.take(probe);
  }
}

/** busybox's traceroute. */
export const traceroute: Program = tool(main, 1, usage);
