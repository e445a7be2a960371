/**
 * What things cost in a kernel's memory, as libnetwork makes them: for plans that have to know beforehand whether a run
 * fits. A test builds each of them and compares, so that the figures stay true. Packets and captured frames come on top.
 */
import { MAXIMUM_PAGES, PAGE_BYTES } from "./wasm.ts";

/** Bytes of each thing. Growing hash tables are in, as they stand between two doublings. */
export const FOOTPRINT = {
  /** A kernel before its first host: the border's scratch block, tables of ports. */
  worker: 796_000,
  /** A machine with its root namespace, a NIC and its port of the underlay. */
  host: 3_650,
  /** What dockerd adds to it when it starts: chains, docker0, docker_gwbridge. */
  engine: 3_950,
  /** Counters of IP identification, once a host sends packets that may be fragmented: tunnels do (net/ipv4/route.c ip_idents). */
  identification: 256,
  /** A page of them, for each other host that it sends such packets to; there are 64. */
  identificationPage: 256,
  /** An overlay network on one host: its namespace with br0 and vxlan0, and the load balancer's. */
  network: 3_690,
  /** A container: its namespace with lo, eth0 and eth1, their other ends as ports of bridges, addresses, routes, DNS rules. */
  container: 2_250,
  /** Rules that differ by the ports of a DNS server, four a container; equal ones are kept once, and cost no more. */
  dnsRules: 960,
  /** A container or load balancer of another host: a neighbour and an FDB entry. */
  peer: 115,
  /** A service on the load balancer of one host: VIP, marks, IPVS. */
  service: 475,
  /** A destination of a service, on each host. */
  destination: 64,
  /** A security association; a pair of hosts has four on each side (libnetwork: three to receive by, one to send by). */
  association: 285,
  /** A policy of IPsec; a pair of hosts has one on each side. */
  policy: 250,
  /** What a namespace has more once packets pass it: counters, cached routes. */
  active: 1_376,
  /** A neighbour that was asked for. */
  neighbour: 165,
  /** A connection that is tracked, in one namespace. */
  connection: 200,
  /** A UDP socket, bound. */
  udpSocket: 192,
  /** A TCP socket that listens. */
  tcpListener: 1_330,
} as const;

/** Names of the things. */
export type FootprintThing = keyof typeof FOOTPRINT;

/** Ports that a DNS server may get (net.ipv4.ip_local_port_range): so many different rules there are at most. */
const DNS_PORTS = 28_232;

/** Most bytes that the kernel of one worker can have. */
export const WORKER_LIMIT = MAXIMUM_PAGES * PAGE_BYTES;

/** Bytes of so many things. */
export function footprint(counts: Partial<Readonly<Record<FootprintThing, number>>>): number {
  let bytes = 0;
  for (const thing of Object.keys(FOOTPRINT) as FootprintThing[]) bytes += FOOTPRINT[thing] * (counts[thing] ?? 0);
  return bytes;
}

/** How many sets of DNS rules that differ there are to be expected in one kernel with so many namespaces that have them. */
export function differentDnsRules(namespaces: number): number {
  return DNS_PORTS * (1 - Math.exp(-namespaces / DNS_PORTS));
}
