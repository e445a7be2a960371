/** conntrack(8) 1.4.7: the table of tracked connections. */
import { formatIpv4 } from "../../base/addr.ts";
import { SEC } from "../../base/time.ts";
import type { Program } from "../../engine/program.ts";
import type { ConntrackInfo, ConntrackTuple } from "../../kernel/types.ts";
import { getopt } from "../lib/options.ts";
import { die, quick } from "../lib/program.ts";

const NAMES: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 132: "sctp" };
const ICMP = 1;
const SIGNATURE = "conntrack v1.4.7 (conntrack-tools)";

function tuple(protocol: number, { src, dst, sport, dport }: ConntrackTuple): string {
  const addresses = `src=${formatIpv4(src)} dst=${formatIpv4(dst)}`;
  // nf_conntrack keeps an echo's id where the source port is, its type and code where the destination port is.
  if (protocol === ICMP) return `${addresses} type=${dport >>> 8} code=${dport & 255} id=${sport}`;
  return NAMES[protocol] === undefined ? addresses : `${addresses} sport=${sport} dport=${dport}`;
}

/** One flow as `conntrack -L` prints it (libnetfilter_conntrack snprintf_default). */
export function flowLine(flow: ConntrackInfo): string {
  const name = NAMES[flow.protocol] ?? "unknown";
  const words = [`${name.padEnd(8)} ${flow.protocol}`, String(Math.floor(flow.timeout / SEC))];
  if (flow.state !== undefined) words.push(flow.state);
  words.push(tuple(flow.protocol, flow.original));
  if (flow.unreplied) words.push("[UNREPLIED]");
  words.push(tuple(flow.protocol, flow.reply));
  if (flow.assured) words.push("[ASSURED]");
  words.push(`mark=${flow.mark}`, "use=1");
  return words.join(" ");
}

/** conntrack(8). */
export const conntrack: Program = quick((context) => {
  const options = getopt(context.argv, "LCFDp:s:d:n", {
    dump: "L",
    count: "C",
    flush: "F",
    delete: "D",
    proto: "p",
    src: "s",
    dst: "d",
    sport: "sport:",
    dport: "dport:",
    state: "state:",
  });
  const table = context.ns.conntrack;
  if (options.has("C")) {
    context.stdout.write(`${table.count()}\n`);
    return 0;
  }
  if (options.has("F")) {
    table.flush();
    context.stderr.write(`${SIGNATURE}: connection tracking table has been emptied.\n`);
    return 0;
  }
  if (!options.has("L") && !options.has("D"))
    die("You need to supply parameters!\nTry `conntrack -h' or 'conntrack --help' for more information.", 2);
  const is = (key: string, value: string): boolean => !options.has(key) || options.text(key) === value;
  const fits = (flow: ConntrackInfo): boolean => {
    const { src, dst, sport, dport } = flow.original;
    const ports = is("sport", String(sport)) && is("dport", String(dport)) && is("state", flow.state ?? "");
    return (
      is("p", NAMES[flow.protocol] ?? String(flow.protocol)) &&
      is("s", formatIpv4(src)) &&
      is("d", formatIpv4(dst)) &&
      ports
    );
  };
  const flows = options.has("D") ? table.delete(fits) : table.list().filter(fits);
  for (const flow of flows) context.stdout.write(`${flowLine(flow)}\n`);
  const done = options.has("D") ? "deleted" : "shown";
  context.stderr.write(`${SIGNATURE}: ${flows.length} flow entries have been ${done}.\n`);
  // Deleting nothing is a failure, listing nothing isn't.
  return options.has("D") && flows.length === 0 ? 1 : 0;
});
