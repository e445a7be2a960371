/** The listings of ip(8): addresses, links, routes, neighbours; as iproute2 6.1 and as busybox 1.35 print them. */
import { formatCidr, formatIpv4, formatMac } from "../../base/addr.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { AddrInfo, LinkInfo, NeighInfo, NetNs, RouteInfo } from "../../kernel/types.ts";
import { jsonText, linkJson } from "./ip-json.ts";
import {
  below,
  broadcastMac,
  detailsText,
  deviceName,
  flagsText,
  linkType,
  qdiscText,
  queueLength,
  stateText,
  statsText,
} from "./link-text.ts";

/** Whose ip it is. */
export type IpStyle = "busybox" | "iproute2";

/** Flags that change the print. */
export interface ShowOptions {
  readonly style: IpStyle;
  readonly details: boolean;
  readonly stats: boolean;
  readonly oneline: boolean;
  readonly brief: boolean;
  /** `-json`, in one line or `-pretty`. */
  readonly json: "line" | "pretty" | undefined;
}

/** The first two lines of a device, without newline at the end. */
function linkText(ns: NetNs, link: LinkInfo, options: ShowOptions, forLink: boolean): string {
  const lower = below(ns, link);
  const name = lower === undefined ? link.name : `${link.name}@${lower.text}`;
  const length = queueLength(link);
  const master = link.master === 0 ? "" : `master ${deviceName(ns, link.master)} `;
  let head = `${link.index}: ${name}: <${flagsText(ns, link, options.style)}> mtu ${link.mtu} qdisc ${qdiscText(link)} ${master}`;
  let address = `    link/${linkType(link)} ${formatMac(link.mac)} brd ${broadcastMac(link)}`;
  if (options.style === "busybox") head += length === undefined ? "" : `qlen ${length}`;
  else {
    head += `state ${stateText(link)} ${forLink ? "mode DEFAULT " : ""}group default ${length === undefined ? "" : `qlen ${length}`}`;
    if (lower?.netnsId !== undefined) address += ` link-netnsid ${lower.netnsId}`;
    if (options.details) address += ` ${detailsText(ns, link, forLink)}`;
  }
  const stats = options.stats && options.style === "iproute2" ? `\n${statsText(link)}` : "";
  return forLink ? `${head}\n${address}${stats}` : `${head}\n${address}`;
}

function addressText(ns: NetNs, one: AddrInfo): string {
  const broadcast = one.broadcast === undefined ? "" : ` brd ${formatIpv4(one.broadcast)}`;
  return `    inet ${formatCidr(one.addr)}${broadcast} scope ${one.scope} ${deviceName(ns, one.dev)}\n       valid_lft forever preferred_lft forever`;
}

/** `ip addr show`, of some devices. */
export function addrShow(ns: NetNs, links: readonly LinkInfo[], options: ShowOptions, ipv4Only: boolean): string {
  let out = "";
  for (const link of links) {
    const addresses = ns.addr.list(link.index);
    if (ipv4Only && addresses.length === 0) continue;
    if (options.brief) {
      out += briefLine(ns, link, addresses.map((one) => formatCidr(one.addr)).join(" "));
      continue;
    }
    if (options.oneline) {
      for (const one of addresses) out += `${link.index}: ${link.name}${addressText(ns, one).replace("\n", "\\")}\n`;
      continue;
    }
    const [head, ...rest] = linkText(ns, link, options, false).split("\n");
    // With -4 the line of the hardware address is left out.
    out += ipv4Only ? `${head}\n` : `${[head, ...rest].join("\n")}\n`;
    for (const one of addresses) out += `${addressText(ns, one)}\n`;
    if (options.stats && options.style === "iproute2") out += `${statsText(link)}\n`;
  }
  return out;
}

function briefLine(ns: NetNs, link: LinkInfo, rest: string): string {
  const lower = below(ns, link);
  const name = lower === undefined ? link.name : `${link.name}@${lower.text}`;
  return `${name.padEnd(16)} ${stateText(link).padEnd(14)} ${rest} \n`;
}

/** `ip link show`. */
export function linkShow(ns: NetNs, links: readonly LinkInfo[], options: ShowOptions): string {
  if (options.json !== undefined)
    return jsonText(
      links.map((link) => linkJson(ns, link, options.stats)),
      options.json === "pretty",
    );
  if (options.brief)
    return links
      .map((link) => briefLine(ns, link, `${formatMac(link.mac)} <${flagsText(ns, link, options.style)}>`))
      .join("");
  return links.map((link) => `${linkText(ns, link, options, true)}\n`).join("");
}

function routeTarget(route: { readonly dst: { readonly ip: number; readonly prefix: number } }): string {
  if (route.dst.prefix === 0) return "default";
  return route.dst.prefix === 32 ? formatIpv4(route.dst.ip) : formatCidr(route.dst);
}

/** One line of `ip route`. @param showTable `table local` is said (`table all`) */
export function routeLine(ns: NetNs, route: RouteInfo, style: IpStyle, showTable: boolean): string {
  const words = [`${route.type === "unicast" ? "" : `${route.type} `}${routeTarget(route)}`];
  if (route.via !== undefined) words.push(`via ${formatIpv4(route.via)}`);
  if (route.dev !== 0) words.push(`dev ${deviceName(ns, route.dev)}`);
  if (style === "busybox") {
    if (route.scope !== "global") words.push(`scope ${route.scope} `);
    if (route.src !== undefined) words.push(`src ${formatIpv4(route.src)}`);
    if (route.metric !== 0) words.push(`metric ${route.metric}`);
    return `${words.join(" ").trimEnd()} `;
  }
  if (showTable && route.table === "local") words.push("table local");
  if (route.protocol !== "boot") words.push(`proto ${route.protocol}`);
  if (route.scope !== "global") words.push(`scope ${route.scope}`);
  if (route.src !== undefined) words.push(`src ${formatIpv4(route.src)}`);
  if (route.metric !== 0) words.push(`metric ${route.metric}`);
  const device = ns.link.list().find((link) => link.index === route.dev);
  const down = device?.up === true && !device.carrier && route.type !== "local";
  return `${words.join(" ")} ${down ? "linkdown " : ""}`;
}

/** Whether `ip neigh` shows an entry where nothing else is said. */
export function isShown({ state }: NeighInfo): boolean {
  return state !== "NOARP" && state !== "NONE";
}

/** `ip neigh`: entries that `ip` hides by default are left out. */
export function neighShow(ns: NetNs, entries: readonly NeighInfo[], options: ShowOptions, now: Time): string {
  return entries
    .filter(isShown)
    .map((entry) => `${neighLine(ns, entry, options, now)}\n`)
    .join("");
}

function neighLine(ns: NetNs, entry: NeighInfo, options: ShowOptions, now: Time): string {
  const mac =
    entry.mac === undefined || entry.state === "FAILED" || entry.state === "INCOMPLETE"
      ? ""
      : ` lladdr ${formatMac(entry.mac)}`;
  const head = `${formatIpv4(entry.ip)} dev ${deviceName(ns, entry.dev)}${mac}`;
  const ref = entry.state === "REACHABLE" || entry.state === "DELAY" || entry.state === "PROBE" ? " ref 1" : "";
  if (options.style === "busybox") {
    const gap = mac === "" && ref === "" ? " " : "";
    return `${head}${ref}${gap} used 0/0/0 probes ${entry.probes} ${entry.state}`;
  }
  if (!options.stats) return `${head}${mac === "" ? " " : ""} ${entry.state} `;
  const ago = (time: Time) => Math.max(0, Math.floor((now - time) / SEC));
  return `${head} ${ref} used ${ago(entry.used)}/${ago(entry.confirmed)}/${ago(entry.updated)}probes ${entry.probes} ${entry.state} `;
}
