/**
 * IPVS as text: the listings of ipvsadm(8) 1.31 (ipvsadm.c print_service_entry, print_conn) and the files ip_vs, ip_vs_conn
 * and ip_vs_stats of /proc/net (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_conn.c).
 */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { SEC } from "../../base/time.ts";
import type {
  IpvsApi,
  IpvsConnection,
  IpvsDestinationInfo,
  IpvsForwarding,
  IpvsServiceId,
  IpvsServiceInfo,
  IpvsStats,
} from "../../kernel/ipvs-types.ts";

/** What every table begins with; `size` is that of the kernel's table of connections. */
export const IPVS_VERSION = "IP Virtual Server version 1.2.1 (size=4096)\n";

/** How a destination is reached, in listings. */
const FORWARD_NAMES: Record<IpvsForwarding, string> = {
  masq: "Masq",
  local: "Local",
  tunnel: "Tunnel",
  direct: "Route",
};
/** … and as options. */
const FORWARD_SWITCHES: Record<IpvsForwarding, string> = { masq: "-m", local: "-l", tunnel: "-i", direct: "-g" };
const SERVICE_SWITCHES = { tcp: "-t", udp: "-u", sctp: "--sctp-service" } as const;
const ALL_ONES = 0xffffffff;
/** Jiffies of a second: /proc tells the time-out of persistence in them. */
const HZ = 250;

/** Names of ports as /etc/services has them, for listings without `-n`. */
const PORT_NAMES: Readonly<Record<string, string>> = {
  "20/tcp": "ftp-data",
  "21/tcp": "ftp",
  "22/tcp": "ssh",
  "23/tcp": "telnet",
  "25/tcp": "smtp",
  "53/tcp": "domain",
  "53/udp": "domain",
  "80/tcp": "http",
  "110/tcp": "pop3",
  "123/udp": "ntp",
  "143/tcp": "imap2",
  "161/udp": "snmp",
  "443/tcp": "https",
  "443/udp": "https",
  "3306/tcp": "mysql",
  "5432/tcp": "postgresql",
  "6379/tcp": "redis",
  "8080/tcp": "http-alt",
};

/** Which columns a listing has. */
export type IpvsColumns = "default" | "stats" | "rate" | "thresholds" | "persistent";

/** Flags of `ipvsadm -L` that change its print. */
export interface IpvsListOptions {
  readonly numeric: boolean;
  readonly columns: IpvsColumns;
  /** Large numbers in full (`--exact`). */
  readonly exact: boolean;
  readonly sorted: boolean;
}

function endpoint(ip: Ipv4, port: number, protocol: string, numeric: boolean): string {
  const name = numeric ? undefined : PORT_NAMES[`${port}/${protocol}`];
  return `${formatIpv4(ip)}:${name ?? port}`;
}

/** print_largenum: nine columns. */
function largeNumber(value: number, exact: boolean): string {
  if (exact) return ` ${String(value).padStart(8)}`;
  const units: readonly (readonly [number, number, string])[] = [
    [1e8, 1, ""],
    [1e9, 1e3, "K"],
    [1e11, 1e6, "M"],
    [1e14, 1e9, "G"],
    [Number.POSITIVE_INFINITY, 1e12, "T"],
  ];
  const [, by, unit] = units.find(([limit]) => value < limit) as readonly [number, number, string];
  return `${Math.floor(value / by)}${unit}`.padStart(9);
}

/** Five columns of counters. Rates are those of nothing: the kernel's estimator is not run. */
function counters(stats: IpvsStats, options: IpvsListOptions): string {
  const all = [stats.connections, stats.packetsIn, stats.packetsOut, stats.bytesIn, stats.bytesOut];
  return all.map((value) => largeNumber(options.columns === "rate" ? 0 : value, options.exact)).join("");
}

function heading(columns: IpvsColumns): string {
  const first = "Prot LocalAddress:Port";
  const second = "  -> RemoteAddress:Port";
  const table = (names: readonly string[], widths: readonly number[], right: boolean): string => {
    const cells = names.map((name, i) => (right ? name.padStart(widths[i] ?? 0) : name.padEnd(widths[i] ?? 0)));
    return `${first.padEnd(33)} ${cells.join(" ")}\n${second}\n`;
  };
  switch (columns) {
    case "stats":
      return table(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"], [8, 8, 8, 8, 8], true);
    case "rate":
      return table(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"], [8, 8, 8, 8, 8], true);
    case "thresholds":
      return table(["Uthreshold", "Lthreshold", "ActiveConn", "InActConn"], [10, 10, 10, 10], false);
    case "persistent":
      return table(["Weight", "PersistConn", "ActiveConn", "InActConn"], [9, 11, 10, 10], false);
    default:
      return `${first} Scheduler Flags\n${second}           Forward Weight ActiveConn InActConn\n`;
  }
}

/** Flags of the scheduler by the names that `-b` takes. */
export function schedulerFlagNames({ scheduler, schedulerFlags = [] }: IpvsServiceInfo): string[] {
  if (scheduler === "sh" || scheduler === "mh") return schedulerFlags.map((flag) => `${scheduler}-${flag}`);
  return schedulerFlags.map((flag) => (flag === "fallback" ? "flag-1" : "flag-2"));
}

function protocolOf(id: IpvsServiceId): string {
  return "fwmark" in id ? "tcp" : id.protocol;
}

function serviceLine(service: IpvsServiceInfo, options: IpvsListOptions): string {
  const { id, persistent } = service;
  const name =
    "fwmark" in id
      ? `FWM  ${id.fwmark}`
      : `${id.protocol.toUpperCase().padEnd(4)} ${endpoint(id.address, id.port, id.protocol, options.numeric)}`;
  if (options.columns === "stats" || options.columns === "rate")
    return `${name.padEnd(33)}${counters(service.stats, options)}\n`;
  const flags = schedulerFlagNames(service);
  const words = [`${name} ${service.scheduler}`];
  if (flags.length > 0) words.push(`(${flags.join(",")})`);
  if (persistent !== undefined) words.push(`persistent ${persistent.timeoutSec}`);
  if (persistent !== undefined && persistent.netmask !== ALL_ONES) words.push(`mask ${formatIpv4(persistent.netmask)}`);
  if (service.onePacket === true) words.push("ops");
  return `${words.join(" ")}\n`;
}

function destinationLine(one: IpvsDestinationInfo, protocol: string, options: IpvsListOptions): string {
  const name = `  -> ${endpoint(one.address, one.port, protocol, options.numeric).padEnd(28)}`;
  const cells = (values: readonly number[], widths: readonly number[]): string =>
    values.map((value, i) => String(value).padEnd(widths[i] ?? 0)).join(" ");
  const { activeConnections: active, inactiveConnections: inactive } = one;
  switch (options.columns) {
    case "stats":
    case "rate":
      return `${name}${counters(one.stats, options)}\n`;
    case "thresholds":
      return `${name} ${cells([one.upper ?? 0, one.lower ?? 0, active, inactive], [10, 10, 10, 10])}\n`;
    case "persistent":
      return `${name} ${cells([one.weight, one.persistentConnections, active, inactive], [9, 11, 10, 10])}\n`;
    default:
      return `${name} ${FORWARD_NAMES[one.forwarding].padEnd(7)} ${cells([one.weight, active, inactive], [6, 10, 10])}\n`;
  }
}

/** Order of services in a sorted listing: mark, protocol, address, port (libipvs ipvs_cmp_services). */
function serviceKey({ id }: IpvsServiceInfo): readonly [number, number, number, number] {
  const number = { tcp: 6, udp: 17, sctp: 132 };
  return "fwmark" in id ? [id.fwmark, 0, 0, 0] : [0, number[id.protocol], id.address, id.port];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : (a[at] as number) - (b[at] as number);
}

function ordered(services: readonly IpvsServiceInfo[], sorted: boolean): IpvsServiceInfo[] {
  if (!sorted) return [...services];
  return services
    .map((service) => ({
      ...service,
      destinations: [...service.destinations].sort((a, b) => compare([a.address, a.port], [b.address, b.port])),
    }))
    .sort((a, b) => compare(serviceKey(a), serviceKey(b)));
}

/** `ipvsadm -L` of these services. */
export function listServices(services: readonly IpvsServiceInfo[], options: IpvsListOptions): string {
  const lines = ordered(services, options.sorted).map(
    (service) =>
      serviceLine(service, options) +
      service.destinations.map((one) => destinationLine(one, protocolOf(service.id), options)).join(""),
  );
  return IPVS_VERSION + heading(options.columns) + lines.join("");
}

/** `ipvsadm -S`: what makes these services anew. */
export function saveServices(services: readonly IpvsServiceInfo[], numeric: boolean): string {
  const lines: string[] = [];
  for (const service of ordered(services, true)) {
    const { id, persistent } = service;
    const name =
      "fwmark" in id
        ? `-f ${id.fwmark}`
        : `${SERVICE_SWITCHES[id.protocol]} ${endpoint(id.address, id.port, id.protocol, numeric)}`;
    const words = [`-A ${name} -s ${service.scheduler}`];
    const flags = schedulerFlagNames(service);
    if (flags.length > 0) words.push(`-b ${flags.join(",")}`);
    if (persistent !== undefined) words.push(`-p ${persistent.timeoutSec}`);
    if (persistent !== undefined && persistent.netmask !== ALL_ONES) words.push(`-M ${formatIpv4(persistent.netmask)}`);
    if (service.onePacket === true) words.push("-o");
    lines.push(words.join(" "));
    for (const one of service.destinations) {
      const real = endpoint(one.address, one.port, protocolOf(id), numeric);
      lines.push(`-a ${name} -r ${real} ${FORWARD_SWITCHES[one.forwarding]} -w ${one.weight}`);
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** `ipvsadm -Lc`. */
export function listConnections(connections: readonly IpvsConnection[], numeric: boolean): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const row = (cells: readonly string[]): string => {
    const widths = [3, 6, 11, 18, 18, 0];
    return `${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" ")}\n`;
  };
  const lines = connections.map(({ protocol, expires, state, client, virtual, destination }) => {
    const seconds = Math.floor(expires / SEC);
    return row([
      protocol.toUpperCase(),
      `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`,
      state,
      ...[client, virtual, destination].map(({ ip, port }) => endpoint(ip, port, protocol, numeric)),
    ]);
  });
  return `IPVS connection entries\n${row(["pro", "expire", "state", "source", "virtual", "destination"])}${lines.join("")}`;
}

// ---------------------------------------------------------------------------------------------- /proc/net

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

/** /proc/net/ip_vs: services and destinations in the kernel's order. */
export function procIpVs(ipvs: IpvsApi): string {
  const lines = ipvs.services().map((service) => {
    const { id, scheduler, persistent } = service;
    const ops = service.onePacket === true ? "ops " : "";
    const name =
      "fwmark" in id
        ? `FWM  ${hex(id.fwmark, 8)} ${scheduler} ${ops}`
        : `${id.protocol.toUpperCase()}  ${hex(id.address, 8)}:${hex(id.port, 4)} ${scheduler} ${ops} `;
    const kept =
      persistent === undefined ? "" : `persistent ${persistent.timeoutSec * HZ} ${hex(persistent.netmask, 8)}`;
    const destinations = service.destinations.map((one) => {
      const forward = FORWARD_NAMES[one.forwarding].padEnd(7);
      const counts = [
        String(one.weight).padEnd(6),
        String(one.activeConnections).padEnd(10),
        String(one.inactiveConnections).padEnd(10),
      ];
      return `  -> ${hex(one.address, 8)}:${hex(one.port, 4)}      ${forward} ${counts.join(" ")}\n`;
    });
    return `${name}${kept}\n${destinations.join("")}`;
  });
  const columns =
    "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
  return IPVS_VERSION + columns + lines.join("");
}

/** /proc/net/ip_vs_conn. */
export function procIpVsConn(ipvs: IpvsApi): string {
  const lines = ipvs.connections().map(({ protocol, client, virtual, destination, state, expires }) => {
    const ends = [client, virtual, destination].map(({ ip, port }) => `${hex(ip, 8)} ${hex(port, 4)}`).join(" ");
    const seconds = String(Math.floor(expires / SEC)).padStart(7);
    return `${protocol.toUpperCase().padEnd(3)} ${ends} ${state.padEnd(11)} ${seconds}\n`;
  });
  return `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n${lines.join("")}`;
}

/** /proc/net/ip_vs_stats. */
export function procIpVsStats(ipvs: IpvsApi): string {
  const row = (values: readonly number[]): string =>
    `${values.map((value, i) => hex(value, 0).padStart(i < 3 ? 8 : 16)).join(" ")}\n`;
  const { connections, packetsIn, packetsOut, bytesIn, bytesOut } = ipvs.stats();
  return (
    "   Total Incoming Outgoing         Incoming         Outgoing\n" +
    "   Conns  Packets  Packets            Bytes            Bytes\n" +
    `${row([connections, packetsIn, packetsOut, bytesIn, bytesOut])}\n` +
    " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n" +
    row([0, 0, 0, 0, 0])
  );
}

/** The files of /proc/net that IPVS has, by path. */
export function ipvsProcFiles(ipvs: IpvsApi): ReadonlyMap<string, () => string> {
  return new Map([
    ["/proc/net/ip_vs", () => procIpVs(ipvs)],
    ["/proc/net/ip_vs_conn", () => procIpVsConn(ipvs)],
    ["/proc/net/ip_vs_stats", () => procIpVsStats(ipvs)],
  ]);
}
