/** `dig` of BIND 9.18 as Debian has it: one question, its answer, the trailing statistics. */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { MS, SEC, type Time } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import { DNS_TYPE } from "../../libnetwork/dns.ts";
import { connectTcp, recvExactly, sendTcp } from "../../scheduler/io.ts";
import type { Proc } from "../../scheduler/process.ts";
import {
  type DnsRecord,
  makeQuery,
  RCODES,
  RECORD_TYPES,
  readMessage,
  reverseName,
  typeName,
} from "../lib/dns-message.ts";
import { die, tool, waitReady } from "../lib/program.ts";
import { lookup, queryIds, readResolvConf } from "../lib/resolve.ts";

const VERSION = "9.18.49-1~deb12u3-Debian";
const EDNS_SIZE = 1232;

/** Parts of what is printed, each with `+NAME` or without `+noNAME`; `+all`, `+noall`. */
const PARTS = ["cmd", "comments", "question", "answer", "authority", "additional", "stats"] as const;

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
  /** What is printed of PARTS. */
  parts: Set<string>;
}

function readArguments(argv: readonly string[]): Query {
  const query: Query = {
    server: undefined,
    port: 53,
    name: ".",
    type: 0,
    tries: 3,
    timeout: 5,
    tcp: false,
    short: false,
    edns: true,
    parts: new Set(PARTS),
  };
  const words = [...argv.slice(1)];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word.startsWith("@")) query.server = word.slice(1);
    else if (word === "-x") {
      const address = words.shift() ?? "";
      query.name = reverseName(address);
      query.type = DNS_TYPE.PTR;
    } else if (word === "-p") query.port = Number(words.shift());
    else if (word === "-t") query.type = RECORD_TYPES[(words.shift() ?? "").toUpperCase()] ?? DNS_TYPE.A;
    else if (word.startsWith("+")) applyOption(query, word.slice(1));
    else if (query.name !== "." && RECORD_TYPES[word.toUpperCase()] !== undefined)
      query.type = RECORD_TYPES[word.toUpperCase()] as number;
    else if (query.name !== "." && word.toUpperCase() === "IN") continue;
    else query.name = word;
  }
  if (query.type === 0) query.type = query.name === "." ? (RECORD_TYPES["NS"] as number) : DNS_TYPE.A;
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
  else {
    const off = name.startsWith("no");
    const part = off ? name.slice(2) : name;
    for (const each of PARTS.filter((one) => one === part || part === "all"))
      off ? query.parts.delete(each) : query.parts.add(each);
  }
}

function* main(context: ProgramContext): Proc<number> {
  const query = readArguments(context.argv);
  let server = readResolvConf(context).servers[0] as Ipv4;
  if (query.server !== undefined) {
    const found = yield* lookup(context, query.server, "glibc");
    if (!found.ok) {
      die(`couldn't get address for '${query.server}': ${found.error === "AGAIN" ? "failure" : "not found"}`, 10);
    }
    server = found.addresses[0] as Ipv4;
  }
  const id = queryIds(context, 1)[0] as number;
  const cookie = context.os.random.fork(`dig ${context.os.now()}`).bytes(8);
  const edns = query.edns ? { edns: EDNS_SIZE, cookie } : {};
  const message = makeQuery(id, query.name, query.type, { ad: true, ...edns });
  if (message === undefined) die(`'${query.name}' is not a legal name (empty label)`, 10);
  const start = context.os.now();
  const reply = yield* query.tcp
    ? askTcp(context, query, server, message)
    : askUdp(context, query, server, message, id);
  const version = `\n; <<>> DiG ${VERSION} <<>> ${context.argv.slice(1).join(" ")}\n${query.server === undefined ? "" : "; (1 server found)\n"};; global options: +cmd\n`;
  const banner = query.parts.has("cmd") ? version : "";
  if (reply === undefined) {
    if (!query.short) context.stdout.write(banner);
    context.stdout.write(";; no servers could be reached\n");
    return 9;
  }
  if (query.short)
    context.stdout.write((readMessage(reply)?.answers ?? []).map((answer) => `${answer.text}\n`).join(""));
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
  // libuv's sockets of BIND are set to IP_PMTUDISC_OMIT: no DF (isc__nm_socket_disable_pmtud).
  socket.setPmtuDiscovery("dont");
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
        if (datagram !== undefined && readMessage(datagram.data)?.id === id) return datagram.data;
        if (datagram !== undefined) continue;
        const result = yield* waitReady(context, [socket], until);
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

/**
 * Fields at columns, by tabs of eight; one that comes too late stands behind a blank, or the tab that falls there (BIND
 * lib/dns/masterdump.c indent).
 */
function inColumns(fields: readonly string[], columns: readonly number[]): string {
  let out = "";
  let at = 0;
  for (const [i, field] of fields.entries()) {
    if (i > 0) {
      const to = Math.max(columns[i - 1] as number, at + 1);
      const tabs = Math.floor(to / 8) - Math.floor(at / 8);
      out += "\t".repeat(tabs) + " ".repeat(tabs > 0 ? to % 8 : to - at);
      at = to;
    }
    out += field;
    at += field.length;
  }
  return out;
}

function describe(context: ProgramContext, query: Query, server: Ipv4, reply: Uint8Array, took: Time): string {
  const response = readMessage(reply);
  if (response === undefined) return ";; Got bad packet\n";
  const { questions, answers, authority, additional } = response;
  const records = additional.filter((record) => record.type !== DNS_TYPE.OPT);
  const opt = additional.find((record) => record.type === DNS_TYPE.OPT);
  const flags: string[] = [];
  for (const [bit, name] of [
    [0x8000, "qr"],
    [0x0400, "aa"],
    [0x0200, "tc"],
    [0x0100, "rd"],
    [0x0080, "ra"],
    [0x0020, "ad"],
    [0x0010, "cd"],
  ] as const) {
    if ((response.flags & bit) !== 0) flags.push(name);
  }
  const { parts } = query;
  const comments = parts.has("comments");
  const head = [
    ";; Got answer:",
    `;; ->>HEADER<<- opcode: QUERY, status: ${RCODES[response.rcode] ?? response.rcode}, id: ${response.id}`,
    `;; flags: ${flags.join(" ")}; QUERY: ${questions.length}, ANSWER: ${answers.length}, AUTHORITY: ${authority.length}, ADDITIONAL: ${additional.length}`,
    "",
  ];
  if (opt !== undefined) head.push(";; OPT PSEUDOSECTION:", `; EDNS: version: 0, flags:; udp: ${opt.cls}`);
  const lines = comments ? head : [];
  const list = (title: string, section: readonly string[]): void => {
    if (parts.has(title.toLowerCase())) lines.push(...(comments ? [`;; ${title} SECTION:`, ...section, ""] : section));
  };
  list(
    "QUESTION",
    questions.map(({ name, type }) => `;${inColumns([name, "IN", typeName(type)], [32, 40])}`),
  );
  for (const [title, section] of [
    ["ANSWER", answers],
    ["AUTHORITY", authority],
    ["ADDITIONAL", records],
  ] as const) {
    if (section.length > 0) list(title, section.map(recordLine));
  }
  const address = `${formatIpv4(server)}#${query.port}(${query.server ?? formatIpv4(server)}) (${query.tcp ? "TCP" : "UDP"})`;
  if (!parts.has("stats")) return lines.map((line) => `${line}\n`).join("");
  lines.push(
    `;; Query time: ${Math.floor(took / MS)} msec`,
    `;; SERVER: ${address}`,
    `;; WHEN: ${ctime(context.os.now())}`,
  );
  lines.push(`;; MSG SIZE  rcvd: ${reply.length}`, "");
  return `${lines.join("\n")}\n`;
}

function recordLine(record: DnsRecord): string {
  const fields = [record.name, String(record.ttl), "IN", typeName(record.type), record.text];
  return inColumns(fields, [24, 32, 40, 48]);
}

/** `Fri Nov 20 09:43:16 UTC 2026` */
export function ctime(now: Time): string {
  const [weekday = "", day, month, year, time] = new Date(unixSeconds(now) * 1000).toUTCString().split(" ");
  return `${weekday.replace(",", "")} ${month} ${day} ${time} UTC ${year}`;
}

/** dig(1). */
export const dig: Program = tool(main);
