/** One entry of a table as its tool prints it: what stands behind a decision that the kernel made about a packet. */
import type { Ipv4 } from "../../base/addr.ts";
import type { Time } from "../../base/time.ts";
import type { ConntrackInfo, NetNs, RouteInfo } from "../../kernel/types.ts";
import { saveRule } from "../../shell/lib/iptables-text.ts";
import { listServices } from "../../shell/lib/ipvs-text.ts";
import { fdbLine } from "../../shell/tools/bridge.ts";
import { flowLine } from "../../shell/tools/conntrack.ts";
import { linkShow, neighShow, routeLine } from "../../shell/tools/ip-show.ts";
import { stateText } from "../../shell/tools/ip-xfrm-show.ts";
import { type EntryQuery, type EntryRef, type EntryText, entryCommand } from "./entry-ref.ts";
import type { Inspected } from "./inspect.ts";
import type { TableId } from "./tables/list.ts";
import { findNamespace } from "./tables/namespaces.ts";
import { sockets } from "./tables/sockets.ts";

/** The entry as it stands now; undefined when its namespace is gone. */
export function entry(host: Inspected, { namespace, ref }: EntryQuery): EntryText | undefined {
  const ns = findNamespace(host, namespace);
  if (ns === undefined) return undefined;
  const time = host.os.now();
  return { time, table: ref.table, command: entryCommand(ref), text: printed(ns, ref, time) };
}

function printed(ns: NetNs, ref: EntryRef, now: Time): string {
  switch (ref.table) {
    case "links":
      return linkShow(
        ns,
        ns.link.list().filter(({ name }) => name === ref.device),
        IPROUTE,
      );
    case "neighbours":
      return neighShow(
        ns,
        ns.neigh.list(ref.device).filter((one) => one.ip === ref.ip),
        IPROUTE,
        now,
      );
    case "fdb":
      return ns.fdb
        .list(ref.device)
        .filter((one) => one.mac === ref.mac)
        .map((one) => `${fdbLine(ns, one, false, now)}\n`)
        .join("");
    case "routes": {
      const found = routeTo(ns, ref.ip);
      return found === undefined ? "" : `${routeLine(ns, found, "iproute2", true)}\n`;
    }
    case "iptables":
      return ruleText(ns, ref);
    case "ipvs":
      return serviceText(ns, ref);
    case "xfrm-states":
      return ns.xfrm
        .stateList()
        .filter((one) => one.spi === ref.spi && one.dst === ref.destination)
        .map((one) => stateText(one, { stats: false }))
        .join("");
    case "sockets":
      return socketText(ns, ref);
    case "conntrack":
      return ns.conntrack
        .list()
        .filter((flow) => isFlow(flow, ref))
        .map((flow) => `${flowLine(flow)}\n`)
        .join("");
  }
}

const IPROUTE = {
  style: "iproute2",
  oneline: false,
  brief: false,
  stats: false,
  details: false,
  json: undefined,
} as const;

/** The longest prefix that has the address; of equals the one that `ip route` lists first. */
function routeTo(ns: NetNs, ip: Ipv4): RouteInfo | undefined {
  const has = ({ dst }: RouteInfo): boolean => dst.prefix === 0 || (dst.ip ^ ip) >>> (32 - dst.prefix) === 0;
  for (const table of ["local", "main"] as const) {
    let best: RouteInfo | undefined;
    for (const route of ns.route.list(table))
      if (has(route) && (best === undefined || route.dst.prefix > best.dst.prefix)) best = route;
    if (best !== undefined) return best;
  }
  return undefined;
}

type Ref<T extends TableId> = Extract<EntryRef, { readonly table: T }>;

function ruleText(ns: NetNs, { name, chain, number }: Ref<"iptables">): string {
  const chains = ns.iptables.list(name as "filter") ?? [];
  const found = chains.find((one) => one.name === chain);
  if (found === undefined) return "";
  if (number === 0) return found.policy === undefined ? "" : `-P ${chain} ${found.policy}\n`;
  const rule = found.rules[number - 1];
  return rule === undefined ? "" : `${saveRule(chain, rule)}\n`;
}

function serviceText(ns: NetNs, { fwmark, protocol, service }: Ref<"ipvs">): string {
  const found = ns.ipvs
    .services()
    .filter(({ id }) =>
      "fwmark" in id
        ? id.fwmark === fwmark && fwmark !== 0
        : id.protocol === protocol && id.address === service.ip && id.port === service.port,
    );
  if (found.length === 0) return "";
  return listServices(found, { columns: "default", numeric: true, exact: false, sorted: false });
}

function socketText(ns: NetNs, { protocol, port }: Ref<"sockets">): string {
  const { columns, rows } = sockets(ns);
  const [kind, local] = ["netid", "local"].map((name) => columns.findIndex((column) => column.name === name));
  return rows
    .filter((row) => row[kind ?? 0] === protocol && String(row[local ?? 0]).endsWith(`:${port}`))
    .map((row) => `${row.join("  ")}\n`)
    .join("");
}

function isFlow({ protocol, original, reply }: ConntrackInfo, ref: Ref<"conntrack">): boolean {
  if (protocol !== ref.protocol) return false;
  return [original, reply].some(({ src, dst, sport, dport }) => {
    const ends = [src, dst];
    if (!ends.includes(ref.source.ip) && !ends.includes(ref.destination.ip)) return false;
    if (protocol === 1) return sport === ref.source.port || dport === ref.source.port;
    const straight = src === ref.source.ip && sport === ref.source.port && dport === ref.destination.port;
    const back = dst === ref.source.ip && dport === ref.source.port && sport === ref.destination.port;
    return straight || back;
  });
}
