/** IPVS: services with their destinations, and connections. */
import { formatIpv4 } from "../../../base/addr.ts";
import type { IpvsServiceInfo, IpvsStats } from "../../../kernel/ipvs-types.ts";
import type { NetNs } from "../../../kernel/types.ts";
import { schedulerFlagNames } from "../../../shell/lib/ipvs-text.ts";
import { address, duration, type HostTable, KEY, number, type Row, text, VOLATILE } from "./table.ts";

const FORWARD = { masq: "Masq", local: "Local", tunnel: "Tunnel", direct: "Route" } as const;

const SERVICES = [
  text("service", KEY),
  address("destination", KEY),
  text("scheduler"),
  text("forward"),
  number("weight"),
  ...["active", "inactive", "conns", "in packets", "out packets", "in bytes", "out bytes"].map((name) =>
    number(name, VOLATILE),
  ),
];

function serviceName({ id }: IpvsServiceInfo): string {
  if ("fwmark" in id) return `FWM ${id.fwmark}`;
  return `${id.protocol.toUpperCase()} ${formatIpv4(id.address)}:${id.port}`;
}

function figures({ connections, packetsIn, packetsOut, bytesIn, bytesOut }: IpvsStats): number[] {
  return [connections, packetsIn, packetsOut, bytesIn, bytesOut];
}

/** `ipvsadm -Ln --stats`: a row a service, with no destination, and a row each of its destinations. */
export function ipvs(ns: NetNs): HostTable {
  const rows = ns.ipvs.services().flatMap((service): Row[] => {
    const name = serviceName(service);
    const flags = schedulerFlagNames(service);
    const persistent = service.persistent === undefined ? "" : ` persistent ${service.persistent.timeoutSec}`;
    const scheduler = `${service.scheduler}${flags.length === 0 ? "" : ` (${flags.join(",")})`}${persistent}`;
    return [
      [name, "", scheduler, "", "", "", "", ...figures(service.stats)],
      ...service.destinations.map((one): Row => {
        const where = `${formatIpv4(one.address)}:${one.port}`;
        const counts = [one.activeConnections, one.inactiveConnections, ...figures(one.stats)];
        return [name, where, "", FORWARD[one.forwarding], one.weight, ...counts];
      }),
    ];
  });
  return { columns: SERVICES, rows };
}

const CONNECTIONS = [
  text("proto", KEY),
  address("source", KEY),
  address("virtual", KEY),
  address("destination", KEY),
  text("state"),
  number("fwmark"),
  duration("expire", VOLATILE),
];

/** `ipvsadm -Lnc`. */
export function ipvsConnections(ns: NetNs): HostTable {
  const rows = ns.ipvs.connections().map(({ protocol, client, virtual, destination, state, fwmark, expires }) => {
    const ends = [client, virtual, destination].map(({ ip, port }) => `${formatIpv4(ip)}:${port}`);
    return [protocol.toUpperCase(), ...ends, state, fwmark, expires];
  });
  return { columns: CONNECTIONS, rows };
}
