/** What `ip -json` prints of addresses, links, routes and neighbours (iproute2 6.1 lib/json_print.c, ip/ip*.c). */
import { formatCidr, formatIpv4, formatMac } from "../../base/addr.ts";
import type { AddrInfo, LinkInfo, NeighInfo, NetNs, RouteInfo } from "../../kernel/types.ts";
import {
  below,
  broadcastMac,
  deviceName,
  flagsText,
  linkType,
  qdiscText,
  queueLength,
  stateText,
} from "./link-text.ts";

/** A value of JSON. */
export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A lifetime without end. */
const FOREVER_LIFE = 0xffff_ffff;
const INDENT = "    ";

/** A device; with its addresses as `ip addr` has it, else as `ip link`. */
export function linkJson(ns: NetNs, link: LinkInfo, stats: boolean, addresses?: readonly AddrInfo[]): Json {
  const lower = below(ns, link);
  return {
    ifindex: link.index,
    ...(lower === undefined
      ? {}
      : lower.netnsId === undefined
        ? { link: lower.text }
        : { link_index: Number(lower.text.slice(2)) }),
    ifname: link.name,
    flags: flagsText(ns, link, "iproute2").split(","),
    mtu: link.mtu,
    qdisc: qdiscText(link),
    ...(link.master === 0 ? {} : { master: deviceName(ns, link.master) }),
    operstate: stateText(link),
    ...(addresses === undefined ? { linkmode: "DEFAULT" } : {}),
    group: "default",
    txqlen: queueLength(link),
    link_type: linkType(link),
    address: formatMac(link.mac),
    broadcast: broadcastMac(link),
    link_netnsid: lower?.netnsId,
    ...(addresses === undefined ? {} : { addr_info: addresses.map((one) => addressJson(ns, one)) }),
    ...(stats ? { stats64: statsJson(link) } : {}),
  };
}

function addressJson(ns: NetNs, { addr, broadcast, scope, dev }: AddrInfo): Json {
  return {
    family: "inet",
    local: formatIpv4(addr.ip),
    prefixlen: addr.prefix,
    broadcast: broadcast === undefined ? undefined : formatIpv4(broadcast),
    scope,
    label: deviceName(ns, dev),
    valid_life_time: FOREVER_LIFE,
    preferred_life_time: FOREVER_LIFE,
  };
}

function statsJson({ stats }: LinkInfo): Json {
  const { rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped } = stats;
  return {
    rx: { bytes: rxBytes, packets: rxPackets, errors: rxErrors, dropped: rxDropped, over_errors: 0, multicast: 0 },
    tx: { bytes: txBytes, packets: txPackets, errors: txErrors, dropped: txDropped, carrier_errors: 0, collisions: 0 },
  };
}

/** A line of `ip route`. @param showTable `table local` is said (`table all`) */
export function routeJson(ns: NetNs, route: RouteInfo, showTable: boolean): Json {
  const device = ns.link.list().find((link) => link.index === route.dev);
  const down = device?.up === true && !device.carrier && route.type !== "local";
  const { prefix, ip } = route.dst;
  return {
    type: route.type === "unicast" ? undefined : route.type,
    dst: prefix === 0 ? "default" : prefix === 32 ? formatIpv4(ip) : formatCidr(route.dst),
    gateway: route.via === undefined ? undefined : formatIpv4(route.via),
    dev: route.dev === 0 ? undefined : deviceName(ns, route.dev),
    table: showTable && route.table === "local" ? "local" : undefined,
    protocol: route.protocol === "boot" ? undefined : route.protocol,
    scope: route.scope === "global" ? undefined : route.scope,
    prefsrc: route.src === undefined ? undefined : formatIpv4(route.src),
    metric: route.metric === 0 ? undefined : route.metric,
    flags: down ? ["linkdown"] : [],
  };
}

/** A line of `ip neigh`. */
export function neighJson(ns: NetNs, { ip, dev, mac, state }: NeighInfo): Json {
  const known = mac !== undefined && state !== "FAILED" && state !== "INCOMPLETE";
  return {
    dst: formatIpv4(ip),
    dev: deviceName(ns, dev),
    lladdr: known ? formatMac(mac) : undefined,
    state: [state],
  };
}

/** The text of a listing, in one line, or `-pretty`. */
export function jsonText(rows: readonly Json[], pretty: boolean): string {
  return `${pretty ? prettyText(rows, 0) : JSON.stringify(rows)}\n`;
}

function prettyText(value: Json, depth: number): string {
  if (Array.isArray(value)) {
    const parts = (value as readonly Json[]).map((one) => prettyText(one, depth + 1));
    return parts.length === 0 ? "[ ]" : `[ ${parts.join(",")} ]`;
  }
  if (typeof value !== "object") return JSON.stringify(value);
  const rows = Object.entries(value as Readonly<Record<string, Json | undefined>>)
    .filter((row): row is [string, Json] => row[1] !== undefined)
    .map(([key, one]) => `${INDENT.repeat(depth + 1)}${JSON.stringify(key)}: ${prettyText(one, depth + 1)}`);
  return `{\n${rows.join(",\n")}\n${INDENT.repeat(depth)}}`;
}
