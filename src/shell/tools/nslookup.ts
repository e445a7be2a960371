/** nslookup: busybox 1.35 networking/nslookup.c with FEATURE_NSLOOKUP_BIG. */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { SEC } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type DnsMessage, type DnsRecord, makeQuery, RCODES, RECORD_TYPES, reverseName } from "../lib/dns-message.ts";
import { busyboxUsage, die, tool } from "../lib/program.ts";
import { exchangeUdp, lookup, queryIds, type Reply, readResolvConf } from "../lib/resolve.ts";

const usage = busyboxUsage(
  "nslookup",
  `[-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]

Query DNS about HOST

QUERY_TYPE: soa,ns,a,aaaa,cname,mx,txt,srv,ptr,any`,
);

interface Settings {
  types: string[];
  port: number;
  retry: number;
  timeout: number;
  stats: boolean;
  readonly names: string[];
}

function parseNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : die(`invalid number '${text}'`);
}

function readArguments(argv: readonly string[]): Settings {
  const settings: Settings = { types: [], port: 53, retry: 2, timeout: 5, stats: false, names: [] };
  for (const word of argv.slice(1)) {
    const match = /^--?([a-z]+)(?:=(.*))?$/i.exec(word);
    if (match === null) {
      settings.names.push(word);
      continue;
    }
    const [, key = "", value = ""] = match;
    if ("querytype".startsWith(key) || "type".startsWith(key)) {
      const type = value.toUpperCase();
      if (RECORD_TYPES[type] === undefined) die(`invalid query type "${value}"`);
      settings.types.push(type);
    } else if ("port".startsWith(key)) settings.port = parseNumber(value);
    else if ("retry".startsWith(key)) settings.retry = Math.max(1, parseNumber(value));
    else if ("timeout".startsWith(key)) settings.timeout = Math.max(1, parseNumber(value));
    else if ("stats".startsWith(key)) settings.stats = true;
    else if (!"debug".startsWith(key) && !"recurse".startsWith(key)) die(`unrecognized option: ${word}`);
  }
  return settings;
}

interface Question {
  readonly name: string;
  readonly type: number;
}

/** What is asked: PTR for an address; A and AAAA for a name, under each search domain if it has no dot. */
function questions(host: string, types: readonly string[], search: readonly string[]): Question[] {
  if (types.length === 0 && parseIpv4(host) !== undefined) {
    return [{ name: reverseName(host), type: RECORD_TYPES["PTR"] as number }];
  }
  const names = search.length === 0 || host.includes(".") ? [host] : search.map((domain) => `${host}.${domain}`);
  const asked = types.length === 0 ? ["A", "AAAA"] : types;
  return asked.flatMap((type) => names.map((name) => ({ name, type: RECORD_TYPES[type] as number })));
}

function* main(context: ProgramContext): Proc<number> {
  const settings = readArguments(context.argv);
  const [host, server] = settings.names;
  if (host === undefined) {
    die("");
  }
  const conf = readResolvConf(context);
  let servers: readonly Ipv4[] = conf.servers;
  if (server !== undefined) {
    const found = yield* lookup(context, server, "musl");
    if (!found.ok) die(`bad address '${server}'`);
    servers = found.addresses.slice(0, 1);
  }
  const asked = questions(host, settings.types, conf.search);
  const ids = queryIds(context, asked.length);
  const queries = asked.map(
    ({ name, type }, i) => makeQuery(ids[i] as number, name, type) ?? die(`bad address '${name}'`),
  );
  for (const ip of servers) {
    const exchange = { servers: [ip], port: settings.port, timeout: settings.timeout * SEC, attempts: settings.retry };
    const replies = yield* exchangeUdp(context, queries, exchange);
    if (replies.every((reply) => reply === undefined)) continue;
    context.stdout.write(`Server:\t\t${server ?? formatIpv4(ip)}\nAddress:\t${formatIpv4(ip)}:${settings.port}\n\n`);
    return printReplies(context, asked, replies, settings.stats);
  }
  context.stdout.write(";; connection timed out; no servers could be reached\n\n");
  return 1;
}

function printReplies(
  context: ProgramContext,
  asked: readonly Question[],
  replies: readonly (Reply | undefined)[],
  stats: boolean,
): number {
  let status = 0;
  for (const [i, { name }] of asked.entries()) {
    const reply = replies[i];
    if (stats && reply !== undefined) {
      context.stdout.write(`Query #${i} completed in ${Math.floor(reply.latency / 1e6)}ms:\n`);
    }
    if (reply === undefined) {
      context.stdout.write(`*** Can't find ${name}: No answer\n\n`);
      status = 1;
    } else if (reply.message.rcode !== 0) {
      context.stdout.write(`** server can't find ${name}: ${RCODES[reply.message.rcode] ?? reply.message.rcode}\n\n`);
      status = 1;
    } else context.stdout.write(`${formatMessage(reply.message)}\n`);
  }
  return status;
}

function formatMessage(message: DnsMessage): string {
  const head = message.authoritative ? "" : "Non-authoritative answer:\n";
  return head + message.answers.map(formatRecord).join("");
}

const PHRASES: Readonly<Record<string, string>> = {
  NS: "nameserver =",
  CNAME: "canonical name =",
  PTR: "name =",
  MX: "mail exchanger =",
  TXT: "text =",
  SRV: "service =",
};

function formatRecord(record: DnsRecord): string {
  const name = record.name.replace(/\.$/, "");
  const text = record.text.replace(/\.$/, "");
  if (record.type === RECORD_TYPES["A"] || record.type === RECORD_TYPES["AAAA"])
    return `Name:\t${name}\nAddress: ${text}\n`;
  const type = Object.keys(PHRASES).find((key) => RECORD_TYPES[key] === record.type);
  return type === undefined ? "" : `${name}\t${PHRASES[type]} ${text}\n`;
}

/** busybox's nslookup. */
export const nslookup: Program = tool(main, 1, usage);
