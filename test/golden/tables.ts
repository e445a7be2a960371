/**
 * A network namespace's tables as lines of text: from what iproute2, bridge and iptables-save printed in the capture's state files, and
 * from this emulator's netlink. Lines of IPv6, of IGMP and MLD groups and of VLANs are left out of the former: none of them is emulated.
 */
import { formatCidr, formatIpv4, formatMac, type Mac } from "../../src/base/addr.ts";
import { SEC } from "../../src/base/time.ts";
import type { LinkInfo, NetNs, TableName } from "../../src/kernel/types.ts";
import { saveTable } from "../../src/shell/tools/iptables.ts";
import { goldenText } from "../support/golden.ts";

export interface Tables {
  readonly links: string[];
  readonly addresses: string[];
  readonly routes: string[];
  readonly neighbours: string[];
  readonly fdb: string[];
  readonly rules: string[];
  /** Sockets that take datagrams or connections, with their programs. */
  readonly sockets: string[];
}

/** Names and MACs that are drawn at random: docker's veth ends on the host, bridges, vxlan devices, veth ends without a given MAC. */
const randomName = (name: string): string => (/^veth[0-9a-f]{7}$/.test(name) ? "veth~" : name);
const randomMac = (mac: string): string =>
  /^(02:42:(0a|ac):|00:00:00:00:00:00|52:54:00)/.test(mac) ? fixedMac(mac) : "~";
/** The machines' own cards have other addresses here. */
const fixedMac = (mac: string): string => (mac.startsWith("52:54:00") ? "~" : mac);

/** The sections of a state file by their heading, which is a command line. */
export function sections(path: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of goldenText(path).split("\n")) {
    if (line.startsWith("### ")) {
      current = [];
      found.set(line.slice(4), current);
    } else if (line !== "") current.push(line);
  }
  return found;
}

/** @param path e.g. `B-standalone-attachable/manager/state-1-before-traffic/host.txt` */
export function goldenTables(path: string): Tables {
  const found = sections(path);
  const of = (heading: string): string[] => {
    const lines = found.get(heading);
    if (lines === undefined) throw new Error(`${path} has no section ${heading}`);
    return lines;
  };
  const [links, addresses] = goldenLinks(of("ip -d -s addr show"));
  return {
    links,
    addresses,
    routes: of("ip route show table all")
      .filter((line) => !/fe80|^local ::1|^multicast/.test(line))
      .map((line) => line.trim().replace(/ linkdown$/, ""))
      .sort(),
    neighbours: of("ip -s neigh show")
      .map((line) => line.replace(/ (ref \d+ )? *used \S+probes \d+/, "").trim())
      .sort(),
    fdb: of("bridge -d fdb show")
      .filter((line) => !/^33:33:|^01:00:5e:| vlan 1 /.test(line))
      .map((line) => {
        const [mac = "", , dev = "", ...rest] = line.trim().split(" ");
        return [randomMac(mac), "dev", randomName(dev), ...rest].join(" ").replace(" link-netnsid 0", "");
      })
      .sort(),
    rules: goldenRules(of("iptables-save -c")),
    sockets: of("ss -lntup")
      .map((line) => /^(udp|tcp) +(?:UNCONN|LISTEN) +\d+ +\d+ +(\S+):(\d+) .*?(?:\(\("([^"]+)"|$)/.exec(line))
      // The capture's manager also ran a small DNS server.
      .filter((found) => found !== null && found[4] !== "python3")
      .map((found) => socketLine(found?.[1] ?? "", found?.[2] ?? "", Number(found?.[3]), found?.[4] ?? ""))
      .sort(),
  };
}

function goldenLinks(lines: readonly string[]): [links: string[], addresses: string[]] {
  const links: string[] = [];
  const addresses: string[] = [];
  let name = "";
  for (const line of lines) {
    const head = /^(\d+): ([^:@]+)(?:@\S+)?: <(\S*)> mtu (\d+) (?:.*master (\S+) )?/.exec(line);
    const mac = /^ +link\/\S+ (\S+)/.exec(line);
    const vxlan = /^ +(vxlan id .* udpcsum)/.exec(line);
    const inet = /^ +inet (\S+) (brd \S+ )?scope (\S+)/.exec(line);
    if (head !== null) {
      name = randomName(head[2] ?? "");
      const flags = (head[3] ?? "").split(",");
      const state = ["UP", "LOWER_UP", "NO-CARRIER"].filter((flag) => flags.includes(flag)).join(" ");
      links.push(`${head[1]}: ${name} mtu ${head[4]} ${state}${head[5] === undefined ? "" : ` master ${head[5]}`}`);
    } else if (mac !== null) links[links.length - 1] += ` ${randomMac(mac[1] ?? "")}`;
    else if (vxlan !== null) links[links.length - 1] += ` ${vxlan[1]}`;
    else if (inet !== null) addresses.push(`${name} ${inet[1]} ${inet[2] ?? ""}scope ${inet[3]}`);
  }
  return [links, addresses];
}

/** A socket of both IP versions, `*`, counts as one of IPv4's any address; the resolvers' ports are random. */
function socketLine(protocol: string, address: string, port: number, owner: string): string {
  const random = address === "127.0.0.11";
  return `${protocol} ${address.replace("*", "0.0.0.0")}:${random ? "~" : port} ${owner}`.trim();
}

function goldenRules(lines: readonly string[]): string[] {
  return ruleLines(lines.map((line) => line.replace(/^\[\d+:\d+\] /, "")).join("\n"));
}

/** Chains and rules in order; counters and the resolver's ports, which are random, blanked. */
function ruleLines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, "").replace(/(--to-destination 127\.0\.0\.11:|--sport )\d+/, "$1~"));
}

/** This emulator's tables of a namespace. */
export function ourTables(ns: NetNs): Tables {
  const links = ns.link.list();
  const byIndex = new Map(links.map((link) => [link.index, link]));
  const name = (index: number): string => randomName(byIndex.get(index)?.name ?? `?${index}`);
  return {
    links: links.map((link) => ourLink(link, byIndex)),
    addresses: ns.addr.list().map(({ dev, addr, broadcast, scope }) => {
      const brd = broadcast === undefined ? "" : `brd ${formatIpv4(broadcast)} `;
      return `${name(dev)} ${formatCidr(addr)} ${brd}scope ${scope}`;
    }),
    routes: [...ns.route.list("main"), ...ns.route.list("local")]
      .map(({ dst, via, dev, src, scope, protocol, type, table }) => {
        const host = dst.prefix === 32 ? formatIpv4(dst.ip) : formatCidr(dst);
        return [
          ...(type === "unicast" ? [] : [type]),
          dst.prefix === 0 ? "default" : host,
          ...(via === undefined ? [] : ["via", formatIpv4(via)]),
          "dev",
          name(dev),
          ...(table === "local" ? ["table local"] : []),
          ...(protocol === "boot" ? [] : ["proto", protocol]),
          ...(scope === "global" ? [] : ["scope", scope]),
          ...(src === undefined ? [] : ["src", formatIpv4(src)]),
        ].join(" ");
      })
      .sort(),
    neighbours: ns.neigh
      .list()
      .map(
        ({ ip, dev, mac, state }) =>
          `${formatIpv4(ip)} dev ${name(dev)}${mac === undefined ? "" : ` lladdr ${formatMac(mac)}`} ${state}`,
      )
      .sort(),
    fdb: ns.fdb
      .list()
      .map(({ mac, dev, owner, dst, permanent }) => {
        const link = byIndex.get(dev) as LinkInfo;
        // A bridge's own address stands as an entry of the bridge.
        const master = link.kind === "bridge" ? link.name : name(link.master);
        const to = dst === undefined ? "" : ` dst ${formatIpv4(dst)}`;
        const where = owner === "master" ? ` master ${master}` : " self";
        return `${randomMac(formatMac(mac))} dev ${name(dev)}${to}${where}${permanent ? " permanent" : ""}`;
      })
      .sort(),
    rules: (["filter", "nat"] as const).flatMap((table: TableName) => {
      const chains = ns.iptables.list(table);
      return chains === undefined ? [] : ruleLines(saveTable(table, chains, false));
    }),
    sockets: ns.socket
      .list()
      .filter(({ state }) => state === "LISTEN" || state === "UNCONN")
      .map(({ protocol, localIp, localPort, owner }) => socketLine(protocol, formatIpv4(localIp), localPort, owner))
      .sort(),
  };
}

function ourLink(link: LinkInfo, all: ReadonlyMap<number, LinkInfo>): string {
  const state = [...(link.up ? ["UP"] : []), link.carrier ? "LOWER_UP" : "NO-CARRIER"].join(" ");
  const master = link.master === 0 ? "" : ` master ${all.get(link.master)?.name}`;
  return `${link.index}: ${randomName(link.name)} mtu ${link.mtu} ${state}${master} ${randomMac(formatMac(link.mac as Mac))}${vxlanText(link)}`;
}

function vxlanText({ vxlan }: LinkInfo): string {
  if (vxlan === undefined) return "";
  const flags = [
    ...(vxlan.learning ? [] : ["nolearning"]),
    ...(vxlan.proxy ? ["proxy"] : []),
    ...(vxlan.l2miss ? ["l2miss"] : []),
    ...(vxlan.l3miss ? ["l3miss"] : []),
  ].join(" ");
  const ttl = vxlan.ttl === 0 ? "auto" : vxlan.ttl;
  return ` vxlan id ${vxlan.vni} srcport 0 0 dstport ${vxlan.port} ${flags} ttl ${ttl} ageing ${vxlan.ageing / SEC}${vxlan.udpCsum ? " udpcsum" : ""}`;
}
