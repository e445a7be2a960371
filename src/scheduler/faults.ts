/**
 * Faults: what may happen to wires and machines. They are applied at a virtual time, before the packets of
 * that time, in every worker that has to know: ports exist in all workers, machines only in their own.
 */
import { type Ipv4, parseIpv4 } from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import { FOREVER, SEC, type Time } from "../base/time.ts";
import type { Topology } from "./topology.ts";

/** A fault as asked for. `device` names one NIC of the host; without it, all of them. */
export type Fault =
  /**
   * A link between a leaf and a spine of a leaf-spine segment, numbers from 0, in both directions: pulls it or puts it
   * back, gives it a one-way delay, loses frames. What is not named stays as it is.
   */
  | {
      readonly kind: "fabric";
      readonly segment: string;
      readonly leaf: number;
      readonly spine: number;
      readonly up?: boolean;
      readonly latency?: Time;
      readonly loss?: number;
    }
  /** Pulls the cable, or puts it back. */
  | { readonly kind: "link"; readonly host: string; readonly device?: string; readonly up: boolean }
  /** Hosts talk within their group only; hosts that no group names form one more. No groups: the partition heals. */
  | { readonly kind: "partition"; readonly groups: readonly (readonly string[])[] }
  | { readonly kind: "loss"; readonly host: string; readonly device?: string; readonly loss: number }
  | { readonly kind: "latency"; readonly host: string; readonly device?: string; readonly latency: Time }
  /** A firewall on the host's wire that drops, in both directions, what the expression matches (see parseFilter). */
  | { readonly kind: "drop"; readonly host: string; readonly device?: string; readonly filter: string }
  /** Takes all firewalls off the host's wire. */
  | { readonly kind: "pass"; readonly host: string; readonly device?: string }
  /** Power loss: programs end without a word, the kernel's state is gone. */
  | { readonly kind: "crash"; readonly host: string }
  /** Power on. A machine that runs is reset. */
  | { readonly kind: "restart"; readonly host: string };

/** What a firewall on the wire drops: all fields that are not 0 must match. */
export interface WireFilter {
  /** IP protocol. */
  readonly protocol: number;
  /** TCP or UDP port, source or destination. */
  readonly port: number;
  /** Source or destination address. */
  readonly ip: Ipv4;
  readonly ethertype: number;
}

// Numbers of IP protocols (IANA).
const IPPROTO_ICMP = 1;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const IPPROTO_ESP = 50;

const PROTOCOLS: Record<string, number> = { icmp: IPPROTO_ICMP, tcp: IPPROTO_TCP, udp: IPPROTO_UDP, esp: IPPROTO_ESP };
const ETHERTYPES: Record<string, number> = { ip: 0x0800, arp: 0x0806 };

/**
 * Parses a filter in tcpdump's notation, as far as a fault needs it: `tcp`, `udp`, `icmp`, `esp`, `ip`, `arp`,
 * `proto N`, `[tcp|udp] port N`, `host A.B.C.D`, joined by `and`; for example `udp port 4789` or `tcp and host 10.0.0.1`.
 * @throws UserError that names the word it did not expect
 */
export function parseFilter(expression: string): WireFilter {
  const filter = { protocol: 0, port: 0, ip: 0, ethertype: 0 };
  const words = expression.trim().toLowerCase().split(/\s+/);
  const fail = (what: string): never => {
    throw new UserError(`filter "${expression}": ${what}`);
  };
  const set = (field: keyof typeof filter, value: number, what: string): void => {
    if (filter[field] !== 0 && filter[field] !== value) fail(`${what} contradicts what stands before it`);
    filter[field] = value;
  };
  const number = (word: string | undefined, after: string, max: number): number => {
    if (word === undefined || !/^\d+$/.test(word) || Number(word) < 1 || Number(word) > max) {
      return fail(
        `expected a number from 1 to ${max} after "${after}", found ${word === undefined ? "the end" : `"${word}"`}`,
      );
    }
    return Number(word);
  };
  for (let i = 0; i < words.length; ) {
    const word = words[i++] as string;
    if (word in PROTOCOLS) {
      set("protocol", PROTOCOLS[word] as number, `"${word}"`);
      if (words[i] === "port" || words[i] === "host") continue;
    } else if (word in ETHERTYPES) {
      set("ethertype", ETHERTYPES[word] as number, `"${word}"`);
      if (words[i] === "host" || words[i] === "proto") continue;
    } else if (word === "proto")
      set("protocol", namedProtocol(words[i]) ?? number(words[i], "proto", 255), `"proto ${words[i++]}"`);
    else if (word === "port") set("port", number(words[i], "port", 65_535), `"port ${words[i++]}"`);
    else if (word === "host")
      set("ip", parseIpv4(words[i] ?? "") ?? fail('expected an IPv4 address after "host"'), `"host ${words[i++]}"`);
    else
      fail(
        word === ""
          ? "it is empty"
          : `unexpected "${word}"; known are tcp, udp, icmp, esp, ip, arp, proto, port and host`,
      );
    if (i === words.length) break;
    if (words[i] !== "and") fail(`expected "and", found "${words[i]}"`);
    if (++i === words.length) fail('expected more after "and"');
  }
  if (
    filter.port !== 0 &&
    filter.protocol !== 0 &&
    filter.protocol !== IPPROTO_TCP &&
    filter.protocol !== IPPROTO_UDP
  ) {
    fail("only TCP and UDP have ports");
  }
  if (filter.ethertype === ETHERTYPES["arp"] && (filter.protocol !== 0 || filter.port !== 0 || filter.ip !== 0)) {
    fail("ARP frames have neither protocol, port nor host here");
  }
  return filter;
}

function namedProtocol(word: string | undefined): number | undefined {
  return word === undefined ? undefined : PROTOCOLS[word];
}

/** A change of one port, in numbers. */
export interface PortChange {
  /** Position among all NICs of the topology, in its order. */
  readonly port: number;
  readonly down?: boolean;
  readonly loss?: number;
  readonly latency?: Time;
  readonly group?: number;
  readonly addFilter?: WireFilter;
  readonly clearFilters?: boolean;
}

/** A change of a link between a leaf and a spine, in both directions; numbers from 0. */
export interface LinkChange {
  /** Name of the leaf-spine segment. */
  readonly segment: string;
  readonly leaf: number;
  readonly spine: number;
  readonly down?: boolean;
  readonly latency?: Time;
  readonly loss?: number;
}

/** A fault with names looked up: what workers apply. */
export interface ResolvedFault {
  readonly time: Time;
  readonly ports: readonly PortChange[];
  readonly links?: readonly LinkChange[];
  readonly power?: { readonly host: number; readonly on: boolean };
}

/** Checks a fault against the topology and turns it into changes of ports and machines. */
export function resolveFault(fault: Fault, time: Time, topology: Topology): ResolvedFault {
  if (fault.kind === "partition") return { time, ports: partitionChanges(fault.groups, topology) };
  if (fault.kind === "fabric") return { time, ports: [], links: [linkChange(fault, topology)] };
  const host = hostIndex(fault.host, topology);
  if (fault.kind === "crash") return { time, ports: [], power: { host, on: false } };
  if (fault.kind === "restart") return { time, ports: [], power: { host, on: true } };
  const ports = portsOf(host, fault.device, topology);
  return { time, ports: ports.map((port) => ({ port, ...portChange(fault) })) };
}

type PortFault = Extract<Fault, { kind: "link" | "loss" | "latency" | "drop" | "pass" }>;

function portChange(fault: PortFault): Omit<PortChange, "port"> {
  switch (fault.kind) {
    case "link":
      return { down: !fault.up };
    case "loss":
      if (!(fault.loss >= 0 && fault.loss <= 1))
        throw new UserError(`loss of ${fault.host}: expected a number between 0 and 1`);
      return { loss: fault.loss };
    case "latency":
      if (!(fault.latency >= 0)) throw new UserError(`latency of ${fault.host}: must not be negative`);
      return { latency: fault.latency };
    case "drop":
      return { addFilter: parseFilter(fault.filter) };
    case "pass":
      return { clearFilters: true };
  }
}

function linkChange(fault: Extract<Fault, { kind: "fabric" }>, topology: Topology): LinkChange {
  const { segment, leaf, spine, up, latency, loss } = fault;
  const where = `fault of a link between leaf and spine of ${segment}`;
  const fabric = topology.fabrics[segment];
  if (fabric === undefined) throw new UserError(`${where}: it is not a leaf-spine segment`);
  const nics = topology.hosts.flatMap((host) => host.nics).filter((nic) => nic.segment === segment);
  if (!nics.some((nic) => nic.leaf === leaf)) throw new UserError(`${where}: it has no leaf ${leaf} with a host`);
  if (!(Number.isInteger(spine) && spine >= 0 && spine < fabric.spines))
    throw new UserError(`${where}: it has no spine ${spine}`);
  if (latency !== undefined && !(latency >= 0 && latency <= SEC && Number.isInteger(latency)))
    throw new UserError(`${where}: latency must lie between 0 and 1s`);
  if (loss !== undefined && !(loss >= 0 && loss <= 1)) throw new UserError(`${where}: expected a loss between 0 and 1`);
  return {
    segment,
    leaf,
    spine,
    ...(up === undefined ? {} : { down: !up }),
    ...(latency === undefined ? {} : { latency }),
    ...(loss === undefined ? {} : { loss }),
  };
}

function partitionChanges(groups: readonly (readonly string[])[], topology: Topology): PortChange[] {
  const groupOf = new Map<number, number>();
  groups.forEach((names, i) => {
    for (const name of names) {
      const host = hostIndex(name, topology);
      if (groupOf.has(host)) throw new UserError(`partition: ${name} is in two groups`);
      groupOf.set(host, i + 1);
    }
  });
  const changes: PortChange[] = [];
  topology.hosts.forEach((_, host) => {
    for (const port of portsOf(host, undefined, topology)) changes.push({ port, group: groupOf.get(host) ?? 0 });
  });
  return changes;
}

function hostIndex(name: string, topology: Topology): number {
  const index = topology.hosts.findIndex((host) => host.name === name);
  if (index < 0) throw new UserError(`fault: there is no host ${name}`);
  return index;
}

/** Port numbers of a host's NICs: NICs are numbered through the hosts, in order. */
function portsOf(host: number, device: string | undefined, topology: Topology): number[] {
  let first = 0;
  for (let i = 0; i < host; i++) first += topology.hosts[i]?.nics.length ?? 0;
  const nics = topology.hosts[host]?.nics ?? [];
  const ports = nics.flatMap((nic, i) => (device === undefined || nic.device === device ? [first + i] : []));
  if (device !== undefined && ports.length === 0) {
    throw new UserError(`fault: host ${topology.hosts[host]?.name} has no NIC ${device}`);
  }
  return ports;
}

/**
 * The topology after a fault: latency is what the lookahead depends on. On a leaf-spine segment a latency counts from
 * when it falls, but not when it rises, a switch link's for all links: the kernel keeps serving links as early as it
 * did, see oneWayDelay.
 */
export function applyLatency(topology: Topology, fault: ResolvedFault): Topology {
  const links = (fault.links ?? []).filter((change) => change.latency !== undefined);
  if (links.length === 0 && !fault.ports.some((change) => change.latency !== undefined)) return topology;
  const fabrics = { ...topology.fabrics };
  for (const { segment, latency = FOREVER } of links) {
    const fabric = fabrics[segment];
    if (fabric !== undefined) fabrics[segment] = { ...fabric, latency: Math.min(fabric.latency, latency) };
  }
  let port = 0;
  const hosts = topology.hosts.map((host) => ({
    ...host,
    nics: host.nics.map((nic) => {
      const change = fault.ports.find((c) => c.port === port && c.latency !== undefined);
      port++;
      if (change?.latency === undefined) return nic;
      const least =
        topology.fabrics[nic.segment] === undefined ? change.latency : Math.min(nic.latency, change.latency);
      return { ...nic, latency: least };
    }),
  }));
  return { ...topology, hosts, fabrics };
}
