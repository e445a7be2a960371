/** nslookup of Windows, for one name or address and an optional server. */
import { formatIpv4, parseIpv4 } from "../../../base/addr.ts";
import { SEC } from "../../../base/time.ts";
import type { Program, ProgramContext } from "../../../engine/program.ts";
import type { Proc } from "../../../scheduler/process.ts";
import { type DnsMessage, makeQuery, RCODES, RECORD_TYPES, reverseName } from "../../lib/dns-message.ts";
import { exchangeUdp, queryIds, readResolvConf } from "../../lib/resolve.ts";

/** What it calls a server whose address has no name. */
const NAMELESS = "UnKnown";
/** One question, asked twice: its default of 2 s each. */
const TIMEOUT = 4 * SEC;

function* main(context: ProgramContext): Proc<number> {
  const { stdout, stderr } = context;
  const [name, chosen] = context.argv.slice(1).filter((word) => !word.startsWith("-"));
  const server = chosen === undefined ? readResolvConf(context).servers[0] : parseIpv4(chosen);
  if (name === undefined || server === undefined) {
    stdout.write("Usage: nslookup NAME [SERVER]\n");
    return 1;
  }
  const address = parseIpv4(name) !== undefined;
  const type = RECORD_TYPES[address ? "PTR" : "A"] as number;
  const [id = 0] = queryIds(context, 1);
  const query = makeQuery(id, address ? reverseName(name) : name, type);
  stdout.write(`Server:  ${NAMELESS}\nAddress:  ${formatIpv4(server)}\n\n`);
  const refuse = (why: string): number => {
    stderr.write(`*** ${NAMELESS} can't find ${name}: ${why}\n`);
    return 0;
  };
  if (query === undefined) return refuse("Unspecified error");
  const exchange = { servers: [server], port: 53, timeout: TIMEOUT, attempts: 2 };
  const [reply] = yield* exchangeUdp(context, [query], exchange);
  if (reply === undefined) {
    stdout.write("DNS request timed out.\n    timeout was 2 seconds.\n".repeat(2));
    stderr.write(`*** Request to ${NAMELESS} timed-out\n`);
    return 0;
  }
  const { message } = reply;
  if (message.rcode === RCODES.indexOf("NXDOMAIN")) return refuse("Non-existent domain");
  if (message.rcode !== 0)
    return refuse(message.rcode === RCODES.indexOf("REFUSED") ? "Query refused" : "Server failed");
  stdout.write(answer(message, name, address));
  return 0;
}

function answer(message: DnsMessage, name: string, address: boolean): string {
  const type = RECORD_TYPES[address ? "PTR" : "A"];
  const texts = message.answers.filter((record) => record.type === type).map(({ text }) => text.replace(/\.$/, ""));
  const shown = message.answers.find((record) => record.type === type)?.name.replace(/\.$/, "") ?? name;
  if (address) return `Name:    ${texts[0] ?? name}\nAddress:  ${name}\n\n`;
  const head = message.authoritative ? "" : "Non-authoritative answer:\n";
  const label = texts.length > 1 ? "Addresses:  " : "Address:  ";
  return `${head}Name:    ${shown}\n${texts.length === 0 ? "" : `${label}${texts.join("\n\t  ")}\n`}\n`;
}

/** nslookup.exe. */
export const windowsNslookup: Program = main;
