/** `dig` of BIND 9.18 as Debian has it: one question, its answer, the trailing statistics. */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { MS, SEC, type Time } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import { connectTcp, recvExactly, sendTcp } from "../../scheduler/io.ts";
import type { Proc } from "../../scheduler/process.ts";
import {
  DNS_TYPE,
  makeQuery,
  parseResponse,
  RCODE_NAMES,
  reverseName,
  sectionCounts,
  TYPE_NAMES,
  typeName,
} from "../lib/dns-message.ts";
import { Failure, isSignal, tool, waitReady } from "../lib/program.ts";
import { DNS_PORT, parseResolvConf, queryId, resolve } from "../lib/resolve.ts";

const VERSION = "9.18.49-1~deb12u3-Debian";
const EDNS_SIZE = 1232;

interface Query {
  server: string | undefined;
  port: number;
  name: string;
  type: number;
  tries: number;
  timeout: number;
  tcp: boolean;
  short: boolean;
  edns: boolean;
}

function readArguments(argv: readonly string[]): Query {
  const query: Query = {
    server: undefined,
    port: DNS_PORT,
    name: ".",
    type: 0,
    tries: 3,
    timeout: 5,
    tcp: false,
    short: false,
    edns: true,
  };
  const words = [...argv.slice(1)];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word.startsWith("@")) query.server = word.slice(1);
    else if (word === "-x") {
      const address = words.shift() ?? "";
      const ip = parseIpv4(address);
      query.name = ip === undefined ? `${address.split(".").reverse().join(".")}.in-addr.arpa` : reverseName(ip);
      query.type = DNS_TYPE.PTR;
    } else if (word === "-p") query.port = Number(words.shift());
    else if (word === "-t") query.type = TYPE_NAMES[(words.shift() ?? "").toUpperCase()] ?? DNS_TYPE.A;
    else if (word.startsWith("+")) applyOption(query, word.slice(1));
    else if (query.name !== "." && TYPE_NAMES[word.toUpperCase()] !== undefined)
      query.type = TYPE_NAMES[word.toUpperCase()] as number;
    else if (query.name !== "." && word.toUpperCase() === "IN") continue;
    else query.name = word;
  }
  if (query.type === 0) query.type = query.name === "." ? (TYPE_NAMES["NS"] as number) : DNS_TYPE.A;
  return query;
}

function applyOption(query: Query, option: string): void {
  const [name = "", value] = option.split("=");
  if (name === "tries") query.tries = Math.max(1, Number(value));
  else if (name === "retry") query.tries = Number(value) + 1;
  else if (name === "time" || name === "timeout") query.timeout = Math.max(1, Number(value));
  else if (name === "tcp" || name === "vc") query.tcp = true;
  else if (name === "short") query.short = true;
  else if (name === "noedns") query.edns = false;
}

function* main(context: ProgramContext): Proc<number> {
  const query = readArguments(context.argv);
  const config = parseResolvConf(context.files.read("/etc/resolv.conf") ?? "");
  let server = config.servers[0] as Ipv4;
  if (query.server !== undefined) {
    const found = yield* resolve(context, query.server, "glibc");
    if ("failure" in found) {
      throw new Failure(
        `couldn't get address for '${query.server}': ${found.failure === "again" ? "failure" : "not found"}`,
        10,
      );
    }
    server = found.addresses[0] as Ipv4;
  }
  const id = queryId(context.os);
  const message = makeQuery(id, query.name, query.type, query.edns ? EDNS_SIZE : undefined);
  if (message === undefined) throw new Failure(`'${query.name}' is not a legal name (empty label)`, 10);
  const start = context.os.now();
  const reply = yield* query.tcp
    ? askTcp(context, query, server, message)
    : askUdp(context, query, server, message, id);
  const banner = `\n; <<>> DiG ${VERSION} <<>> ${context.argv.slice(1).join(" ")}\n${query.server === undefined ? "" : "; (1 server found)\n"};; global options: +cmd\n`;
  if (reply === undefined) {
    if (!query.short) context.stdout.write(banner);
    context.stdout.write(";; no servers could be reached\n");
    return 9;
  }
  if (query.short)
    context.stdout.write((parseResponse(reply)?.answers ?? []).map((answer) => `${answer.text}\n`).join(""));
  else context.stdout.write(banner + describe(context, query, server, reply, context.os.now() - start));
  return 0;
}

function* askUdp(
  context: ProgramContext,
  query: Query,
  server: Ipv4,
  message: Uint8Array,
  id: number,
): Proc<Uint8Array | undefined> {
  const socket = context.ns.socket.udp();
  socket.setOwner("dig");
  try {
    for (let attempt = 0; attempt < query.tries; attempt++) {
      const failed = (why: string) =>
        context.stdout.write(`;; communications error to ${formatIpv4(server)}#${query.port}: ${why}\n`);
      try {
        socket.connect(server, query.port);
        socket.send(message);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        failed(error.code === "ECONNREFUSED" ? "connection refused" : "network unreachable");
        continue;
      }
      const until = context.os.now() + query.timeout * SEC;
      for (;;) {
        const refused = socket.takeError();
        if (refused !== undefined) {
          failed(refused === "ECONNREFUSED" ? "connection refused" : "host unreachable");
          break;
        }
        const datagram = socket.tryRecv();
        if (datagram !== undefined && parseResponse(datagram.data)?.id === id) return datagram.data;
        if (datagram !== undefined) continue;
        const result = yield* waitReady(context, [socket], until);
        if (isSignal(result)) return undefined;
        if (result === "timeout") {
          failed("timed out");
          break;
        }
      }
    }
    return undefined;
  } finally {
    socket.close();
  }
}

function* askTcp(
  context: ProgramContext,
  query: Query,
  server: Ipv4,
  message: Uint8Array,
): Proc<Uint8Array | undefined> {
  const until = context.os.now() + query.timeout * SEC;
  try {
    const socket = yield* connectTcp(context.ns, server, query.port, until);
    try {
      yield* sendTcp(socket, Uint8Array.from([message.length >> 8, message.length & 255, ...message]), until);
      const head = yield* recvExactly(socket, 2, until);
      return head === undefined
        ? undefined
        : yield* recvExactly(socket, ((head[0] as number) << 8) | (head[1] as number), until);
    } finally {
      socket.close();
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const why =
      error.code === "ECONNREFUSED"
        ? "connection refused"
        : error.code === "ETIMEDOUT"
          ? "timed out"
          : "host unreachable";
    context.stdout.write(`;; communications error to ${formatIpv4(server)}#${query.port}: ${why}\n`);
    return undefined;
  }
}

/** Pads with tabs, at least one, up to a column of eight. */
function tabTo(text: string, column: number): string {
  let at = text.length;
  let out = text;
  do {
    out += "\t";
    at = Math.floor(at / 8) * 8 + 8;
  } while (at < column);
  return out;
}

function describe(context: ProgramContext, query: Query, server: Ipv4, reply: Uint8Array, took: Time): string {
  const response = parseResponse(reply);
  if (response === undefined) return ";; Got bad packet\n";
  const [questions, answers, authority, additional] = sectionCounts(reply);
  const flags: string[] = [];
  for (const [bit, name] of [
    [0x8000, "qr"],
    [0x0400, "aa"],
    [0x0200, "tc"],
    [0x0100, "rd"],
    [0x0080, "ra"],
  ] as const) {
    if ((response.flags & bit) !== 0) flags.push(name);
  }
  const lines = [
    ";; Got answer:",
    `;; ->>HEADER<<- opcode: QUERY, status: ${RCODE_NAMES[response.rcode] ?? response.rcode}, id: ${response.id}`,
    `;; flags: ${flags.join(" ")}; QUERY: ${questions}, ANSWER: ${answers}, AUTHORITY: ${authority}, ADDITIONAL: ${additional}`,
    "",
    ";; QUESTION SECTION:",
    `${tabTo(`;${response.name}`, 32)}IN\t${typeName(response.type)}`,
    "",
  ];
  if (response.answers.length > 0) {
    const rows = response.answers.map(
      (one) => `${tabTo(one.name, 24)}${one.ttl}\tIN\t${typeName(one.type)}\t${one.text}`,
    );
    lines.push(";; ANSWER SECTION:", ...rows, "");
  }
  const address = `${formatIpv4(server)}#${query.port}(${query.server ?? formatIpv4(server)}) (${query.tcp ? "TCP" : "UDP"})`;
  lines.push(
    `;; Query time: ${Math.floor(took / MS)} msec`,
    `;; SERVER: ${address}`,
    `;; WHEN: ${ctime(context.os.now())}`,
  );
  lines.push(`;; MSG SIZE  rcvd: ${reply.length}`, "");
  return `${lines.join("\n")}\n`;
}

/** `Fri Nov 20 09:43:16 UTC 2026` */
export function ctime(now: Time): string {
  const [weekday = "", day, month, year, time] = new Date(unixSeconds(now) * 1000).toUTCString().split(" ");
  return `${weekday.replace(",", "")} ${month} ${day} ${time} UTC ${year}`;
}

export const dig: Program = tool(main);
