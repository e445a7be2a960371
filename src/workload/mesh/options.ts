/** Checks of a mesh's options: each refusal names the option, what it is and what was expected. */
import { UserError } from "../../base/errors.ts";
import { IPVS_SCHEDULERS } from "../../kernel/ipvs-types.ts";
import { MEASURED_HEADER } from "../../kernel/traffic-meter.ts";
import type { MeshOptions, MeshUnderlay, TrafficKind } from "./types.ts";

/** Every kind of generated traffic. */
export const TRAFFIC_KINDS: readonly TrafficKind[] = ["cbr", "poisson", "rr", "bulk", "incast"];

/** Hosts that an underlay of 192.168.0.0/16 has addresses for, as labs number them from .11 on. */
export const MAX_HOSTS = 65_000;
/** Containers of one host: docker_gwbridge has 1023 ports (net/bridge BR_MAX_PORTS), one is the ingress sandbox's. */
export const MAX_CONTAINERS_PER_HOST = 1022;
/** VNIs above those that swarm leaves to VLANs and to the ingress network. */
const MAX_NETWORKS = 2 ** 24 - 4098;
/** Longest UDP payload (RFC 768 with an IPv4 header of 20 bytes). */
const MAX_UDP_PAYLOAD = 65_507;
/** Requests and datagrams a second of a flow: one each 100 ns. */
const MAX_RATE = 1e7;

function refuse(option: string, value: unknown, expected: string): never {
  throw new UserError(`mesh, ${option}: ${String(value)} given, expected ${expected}`);
}

function whole(option: string, value: number, low: number, high: number): void {
  if (!(Number.isSafeInteger(value) && value >= low && value <= high))
    refuse(option, value, `a whole number from ${low} to ${high}`);
}

function oneOf<T>(option: string, values: readonly T[], known: readonly T[]): void {
  if (values.length === 0) refuse(option, "nothing", `one or more of ${known.join(", ")}`);
  for (const value of values) if (!known.includes(value)) refuse(option, value, `one of ${known.join(", ")}`);
}

/** Checks all options. @throws UserError for the first that cannot be */
export function checkMeshOptions(options: MeshOptions): void {
  const { hosts, containers, networks, span, services, flows } = options;
  if (options.control !== "gossip" && options.control !== "converged")
    refuse("control", options.control, "gossip or converged");
  whole("hosts", hosts, 1, MAX_HOSTS);
  whole("containers", containers, 1, hosts * MAX_CONTAINERS_PER_HOST);
  whole("networks", networks, 1, MAX_NETWORKS);
  whole("span", span, 1, hosts);
  if (networks * span < hosts)
    refuse("networks", networks, `${Math.ceil(hosts / span)} at least, for ${hosts} hosts and a span of ${span}`);
  if (containers < networks) refuse("containers", containers, `${networks} at least, one for each network`);
  whole("encrypted", options.encrypted, 0, networks);
  whole("services", services, 0, containers);
  if (services > 0) oneOf("schedulers", options.schedulers, IPVS_SCHEDULERS);
  whole("flows", flows, 0, 2 ** 31 - 1);
  checkTraffic(options);
  checkUnderlay(options.underlay);
}

function checkTraffic(options: MeshOptions): void {
  const { flows, traffic, vipShare, services, rate, size, duration } = options;
  if (flows > 0) oneOf("traffic", traffic, TRAFFIC_KINDS);
  if (!(vipShare >= 0 && vipShare <= 1)) refuse("vipShare", vipShare, "a share from 0 to 1");
  if (vipShare > 0 && services === 0) refuse("vipShare", vipShare, "0, as there are no services");
  if (!(rate > 0 && rate <= MAX_RATE)) refuse("rate", rate, `more than 0 and at most ${MAX_RATE} a second`);
  const datagrams = traffic.includes("cbr") || traffic.includes("poisson");
  // A datagram carries the number of its flow, its own, and when it was sent.
  whole("size", size, datagrams ? MEASURED_HEADER : 1, datagrams ? MAX_UDP_PAYLOAD : 2 ** 30);
  whole("duration", duration, 1, Number.MAX_SAFE_INTEGER);
}

function checkUnderlay(underlay: MeshUnderlay): void {
  const { kind, latency, bandwidth, loss, mtu } = underlay;
  if (kind !== "flat" && kind !== "leaf-spine") refuse("underlay", kind, "flat or leaf-spine");
  whole("underlay latency", latency, 0, Number.MAX_SAFE_INTEGER);
  if (!(bandwidth >= 0)) refuse("underlay bandwidth", bandwidth, "0 (not limited) or more bits a second");
  if (!(loss >= 0 && loss <= 1)) refuse("underlay loss", loss, "a share from 0 to 1");
  // Below it nothing is left of IPv6's least MTU inside of an encrypted overlay; Ethernet's jumbo frames end above it.
  whole("underlay mtu", mtu, 576, 65_535);
  if (kind === "flat") return;
  whole("underlay hostsPerLeaf", underlay.hostsPerLeaf, 1, MAX_HOSTS);
  whole("underlay spines", underlay.spines, 1, 1024);
  whole("underlay uplinkLatency", underlay.uplinkLatency, 0, Number.MAX_SAFE_INTEGER);
  if (!(underlay.uplinkBandwidth >= 0))
    refuse("underlay uplinkBandwidth", underlay.uplinkBandwidth, "0 (not limited) or more bits a second");
}
