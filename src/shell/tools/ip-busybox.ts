/** ip of containers: busybox 1.35 networking/libiproute, what it shows and in which form. */
import { formatCidr, formatIpv4, formatMac, networkOf } from "../../base/addr.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { AddrInfo, LinkInfo, NeighInfo, NetNs, RouteInfo } from "../../kernel/types.ts";
import { broadcastMac, deviceName, linkFlags, linkLabel } from "../lib/links.ts";
import { busyboxUsage, die, tool } from "../lib/tool.ts";
import { changeAddress, changeLink, changeNeighbour, changeRoute, type IpTexts, matchesCommand } from "./ip-change.ts";

const usage = busyboxUsage(`[OPTIONS] address|route|link|neigh|rule|tunnel [ARGS]

OPTIONS := -f[amily] inet|inet6|link | -o[neline]

ip addr add|del IFADDR dev IFACE | show|flush [dev IFACE] [to PREFIX]
ip route list|flush|add|del|change|append|replace|test ROUTE
ip link set IFACE [up|down] [arp on|off] [multicast on|off]
	[promisc on|off] [mtu NUM] [name NAME] [qlen NUM] [address MAC]
	[master IFACE | nomaster] [netns PID]
ip neigh show|flush [to PREFIX] [dev DEV] [nud STATE]
ip rule [list] | add|del SELECTOR ACTION`);

const TEXTS: IpTexts = {
  answers: (error) => `ip: RTNETLINK answers: ${error}\n`,
  noDevice: (name) => `ip: can't find device '${name}'\n`,
  libc: "musl",
};

/** Where `ip OBJECT [COMMAND] ARGS` begins to differ. */
interface Call {
  readonly context: ProgramContext;
  readonly ns: NetNs;
  readonly oneLine: boolean;
  readonly family: "any" | "inet" | "inet6" | "link";
  readonly words: readonly string[];
}

const OBJECTS = ["address", "link", "route", "neighbor", "neighbour", "rule"];

// biome-ignore lint/correctness/useYield: it waits for nothing
function* main(context: ProgramContext) {
  let oneLine = false;
  let family: Call["family"] = "any";
  let at = 1;
  for (; context.argv[at]?.startsWith("-"); at++) {
    const word = context.argv[at] as string;
    if (word === "-o" || word === "-oneline") oneLine = true;
    else if (word === "-4") family = "inet";
    else if (word === "-6") family = "inet6";
    else if (word === "-0") family = "link";
    else if (word === "-f" || word === "-family") family = context.argv[++at] as Call["family"];
    else {
      context.stderr.write(usage("ip"));
      return 1;
    }
  }
  const object = context.argv[at];
  const known = object === undefined ? undefined : OBJECTS.find((name) => name.startsWith(object));
  if (known === undefined) {
    context.stderr.write(usage("ip"));
    return 1;
  }
  const call: Call = { context, ns: context.ns, oneLine, family, words: context.argv.slice(at + 1) };
  if (known === "address") return address(call);
  if (known === "link") return link(call);
  if (known === "route") return route(call);
  if (known === "rule") return rule(call);
  return neighbour(call);
}

function isShow(word: string | undefined): boolean {
  return (
    word === undefined || matchesCommand(word, "show") || matchesCommand(word, "list") || matchesCommand(word, "lst")
  );
}

/** The device of `show [dev] NAME`. */
function shownDevice(call: Call): LinkInfo | undefined {
  const words = call.words.slice(1).filter((word) => word !== "up");
  const name = words[0] === "dev" ? words[1] : words[0];
  if (name === undefined) return undefined;
  return call.ns.link.list().find((found) => found.name === name) ?? die(`can't find device '${name}'`);
}

/** `eth0@if15: <…> mtu 1450 qdisc noqueue ` and, where there is a queue, `qlen 1000`. */
function linkHead(ns: NetNs, info: LinkInfo): string {
  const flags = linkFlags(ns, info);
  // print_linkinfo of busybox puts M-DOWN behind the flags when the peer is not in this namespace.
  if (info.kind === "veth" && info.peerNs !== ns) flags.push("M-DOWN");
  const master = info.master === 0 ? "" : `master ${deviceName(ns, info.master)} `;
  const queue = info.kind === "nic" ? "pfifo_fast" : "noqueue";
  const state = busyboxState(info);
  const length = info.kind === "loopback" || info.kind === "nic" ? "qlen 1000" : "";
  return `${info.index}: ${linkLabel(ns, info)}: <${flags.join(",")}> mtu ${info.mtu} qdisc ${queue} ${master}${state}${length}`;
}

/** busybox prints an operational state only where it isn't UP or UNKNOWN. */
function busyboxState(info: LinkInfo): string {
  return !info.up || (info.kind === "bridge" && !info.carrier) ? "state DOWN " : "";
}

function linkLines(ns: NetNs, info: LinkInfo): string[] {
  const kind = info.kind === "loopback" ? "loopback" : "ether";
  return [linkHead(ns, info), `    link/${kind} ${formatMac(info.mac)} brd ${broadcastMac(info)}`];
}

function addressLines(ns: NetNs, info: AddrInfo): string[] {
  const broadcast = info.broadcast === undefined ? "" : ` brd ${formatIpv4(info.broadcast)}`;
  const line = `    inet ${formatCidr(info.addr)}${broadcast} scope ${info.scope} ${deviceName(ns, info.dev)}`;
  return [line, "       valid_lft forever preferred_lft forever"];
}

function write(call: Call, lines: readonly string[]): void {
  if (lines.length > 0) call.context.stdout.write(`${lines.join(call.oneLine ? "\\" : "\n")}\n`);
}

function address(call: Call): number {
  const { ns, words } = call;
  if (!isShow(words[0])) return changeAddress(call.context, ns, words, TEXTS);
  const only = shownDevice(call);
  for (const info of ns.link.list()) {
    if (only !== undefined && only.index !== info.index) continue;
    if (words.includes("up") && !info.up) continue;
    const addresses = call.family === "inet6" || call.family === "link" ? [] : ns.addr.list(info.index);
    if (call.family === "inet" && addresses.length === 0) continue;
    if (call.oneLine) {
      if (call.family === "any") write(call, linkLines(ns, info));
      for (const found of addresses) {
        const [first = "", second = ""] = addressLines(ns, found);
        write(call, [`${info.index}: ${info.name}${first}`, second]);
      }
      continue;
    }
    const head = call.family === "inet" ? [linkHead(ns, info)] : linkLines(ns, info);
    write(call, [...head, ...addresses.flatMap((found) => addressLines(ns, found))]);
  }
  return 0;
}

function link(call: Call): number {
  const { ns, words } = call;
  if (!isShow(words[0])) return changeLink(call.context, ns, words, TEXTS);
  const only = shownDevice(call);
  for (const info of ns.link.list()) {
    if ((only === undefined || only.index === info.index) && (!words.includes("up") || info.up))
      write(call, linkLines(ns, info));
  }
  return 0;
}

/** One route as print_route of busybox has it: no protocol, two blanks before `src`. */
function routeLine(ns: NetNs, info: RouteInfo): string {
  const type = info.type === "unicast" ? "" : `${info.type} `;
  const dst =
    info.dst.prefix === 0 ? "default" : info.dst.prefix === 32 ? formatIpv4(info.dst.ip) : formatCidr(info.dst);
  const via = info.via === undefined ? "" : `via ${formatIpv4(info.via)} `;
  const dev = info.dev === 0 ? "" : `dev ${deviceName(ns, info.dev)} `;
  const scope = info.scope === "global" ? "" : `scope ${info.scope} `;
  const src = info.src === undefined ? "" : ` src ${formatIpv4(info.src)} `;
  const metric = info.metric === 0 ? "" : ` metric ${info.metric} `;
  return `${type}${dst} ${via}${dev}${scope}${src}${metric}`;
}

function route(call: Call): number {
  const { ns, words, context } = call;
  if (words[0] === "get") return changeRoute(context, ns, words, TEXTS);
  if (!isShow(words[0])) return changeRoute(context, ns, words, TEXTS);
  const table = words[words.indexOf("table") + 1] === "local" && words.includes("table") ? "local" : "main";
  const dev = words.includes("dev") ? words[words.indexOf("dev") + 1] : undefined;
  for (const info of ns.route.list(table)) {
    if (dev === undefined || deviceName(ns, info.dev) === dev) context.stdout.write(`${routeLine(ns, info)}\n`);
  }
  return 0;
}

/** ip neigh: `ref` where the kernel holds a reference for use, times in whole seconds that busybox prints as 0/0/0. */
function neighbourLine(ns: NetNs, info: NeighInfo): string {
  const inUse = info.state === "REACHABLE" || info.state === "DELAY" || info.state === "PROBE" ? " ref 1" : "";
  const lladdr = info.mac === undefined ? " " : ` lladdr ${formatMac(info.mac)}`;
  return `${formatIpv4(info.ip)} dev ${deviceName(ns, info.dev)}${lladdr}${inUse} used 0/0/0 probes ${info.probes} ${info.state}`;
}

function neighbour(call: Call): number {
  const { ns, words, context } = call;
  if (!isShow(words[0])) return changeNeighbour(context, ns, words, TEXTS);
  const dev = words.includes("dev") ? words[words.indexOf("dev") + 1] : undefined;
  const to = words.includes("to") ? words[words.indexOf("to") + 1] : undefined;
  for (const info of ns.neigh.list()) {
    if (info.state === "NOARP" || info.state === "NONE") continue;
    if (dev !== undefined && deviceName(ns, info.dev) !== dev) continue;
    if (to !== undefined && formatIpv4(info.ip) !== to && formatCidr(networkOf({ ip: info.ip, prefix: 24 })) !== to)
      continue;
    context.stdout.write(`${neighbourLine(ns, info)}\n`);
  }
  return 0;
}

function rule(call: Call): number {
  if (!isShow(call.words[0])) die("RTNETLINK answers: Operation not supported", 2);
  call.context.stdout.write(
    "0:\tfrom all lookup local \n32766:\tfrom all lookup main \n32767:\tfrom all lookup default \n",
  );
  return 0;
}

export const busyboxIp: Program = tool(main, usage);
