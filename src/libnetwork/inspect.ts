/**
 * What `docker network inspect` and `docker inspect` show of libnetwork's objects, with the fields in the order of
 * 20.10's JSON (moby daemon/network.go buildNetworkResource, daemon/inspect.go). Maps are sorted by key, as Go's
 * encoder does.
 */
import { formatCidr, formatIpv4, formatMac } from "../base/addr.ts";
import type { Endpoint } from "./endpoint.ts";
import { ENDPOINT_TABLE } from "./labels.ts";
import type { Network } from "./network.ts";
import { decodeEndpointRecord } from "./records.ts";

function sorted<T>(entries: readonly (readonly [key: string, value: T])[]): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** A pool as `network inspect` shows it. */
export interface IpamConfigView {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
}

/** `IPAM`: the configuration as given, or where none was, what was chosen. */
function inspectIpam(network: Network): { Driver: string; Options: null; Config: IpamConfigView[] } {
  const given = (network.spec.ipam ?? []).map((config): IpamConfigView => {
    const aux = Object.entries(config.aux ?? {}).map(([name, ip]) => [name, formatIpv4(ip)] as const);
    return {
      ...(config.subnet === undefined ? {} : { Subnet: formatCidr(config.subnet) }),
      ...(config.range === undefined ? {} : { IPRange: formatCidr(config.range) }),
      ...(config.gateway === undefined ? {} : { Gateway: formatIpv4(config.gateway) }),
      ...(aux.length === 0 ? {} : { AuxiliaryAddresses: sorted(aux) }),
    };
  });
  const chosen = network.subnets.map(({ pool, gateway }) => ({
    Subnet: formatCidr(pool.subnet),
    Gateway: formatIpv4(gateway.ip),
  }));
  return { Driver: "default", Options: null, Config: given.length > 0 ? given : chosen };
}

/** An endpoint as `network inspect` shows it. */
export interface ContainerView {
  readonly Name: string;
  readonly EndpointID: string;
  readonly MacAddress: string;
  readonly IPv4Address: string;
  readonly IPv6Address: string;
}

function containerView(endpoint: Endpoint): ContainerView {
  return {
    Name: endpoint.name,
    EndpointID: endpoint.id,
    MacAddress: endpoint.mac === undefined ? "" : formatMac(endpoint.mac),
    IPv4Address: endpoint.address === undefined ? "" : formatCidr(endpoint.address),
    IPv6Address: "",
  };
}

/** `Containers`: endpoints of this node by container ID, or `lb-<network>`, `ingress-sbox`; `ep-<id>` without a sandbox. */
export function inspectContainers(network: Network): Record<string, ContainerView> {
  return sorted(network.endpoints().map((e) => [e.sandbox?.containerId ?? `ep-${e.id}`, containerView(e)] as const));
}

/** A node of an overlay network as `network inspect` shows it. */
export interface PeerView {
  readonly Name: string;
  readonly IP: string;
}

/** `Peers`: nodes of the network by gossip; undefined (the field is left out) when there are none. */
export function inspectPeers(network: Network): PeerView[] | undefined {
  const peers = network.peers();
  return peers.length === 0 ? undefined : peers.map((p) => ({ Name: p.name, IP: formatIpv4(p.ip) }));
}

/** A task of a service as `network inspect -v` shows it. */
export interface TaskView {
  readonly Name: string;
  readonly EndpointID: string;
  readonly EndpointIP: string;
  readonly Info: Readonly<Record<string, string>>;
}

/** A service as `network inspect -v` shows it. */
export interface ServiceView {
  readonly VIP: string;
  readonly Ports: readonly string[];
  readonly LocalLBIndex: number;
  readonly Tasks: TaskView[];
}

/** `Services` of `network inspect -v`: what `endpoint_table` says, by service name; undefined on local networks. */
export function inspectServices(network: Network): Record<string, ServiceView> | undefined {
  const agent = network.controller.agent;
  if (!network.clusterEligible || agent === undefined) return undefined;
  const services = new Map<string, ServiceView>();
  for (const { key, value } of agent.db.entries(ENDPOINT_TABLE, network.id)) {
    const record = decodeEndpointRecord(value);
    if (record === undefined) continue;
    let view = services.get(record.serviceName);
    if (view === undefined) {
      view = {
        VIP: record.virtualIp,
        Ports: record.ingressPorts.map((p) => `Target: ${p.targetPort}, Publish: ${p.publishedPort}`),
        LocalLBIndex: network.controller.services.lbIndex(record.serviceId, network.id, record.ingressPorts),
        Tasks: [],
      };
      services.set(record.serviceName, view);
    }
    view.Tasks.push({
      Name: record.name,
      EndpointID: key,
      EndpointIP: record.endpointIp,
      Info: hostInfo(network, key),
    });
  }
  return services.size === 0 ? undefined : sorted([...services]);
}

/** The node an endpoint lives on, from the driver's table. */
function hostInfo(network: Network, endpointId: string): Readonly<Record<string, string>> {
  for (const table of network.driver.tables) {
    const value = network.controller.agent?.db.getEntry(table, network.id, endpointId);
    const ip = value === undefined ? undefined : network.driver.hostIpOf(value);
    if (ip !== undefined) return { "Host IP": formatIpv4(ip) };
  }
  return {};
}

/** `Options` in the order of their keys. */
function inspectOptions(network: Network): Record<string, string> {
  return sorted(Object.entries(network.spec.options ?? {}));
}

/**
 * The whole object of `docker network inspect` on a node that has the network.
 * @param created RFC 3339 time with nanoseconds
 * @param verbose adds `Services`
 */
export function inspectNetwork(network: Network, created: string, verbose: boolean): Record<string, unknown> {
  const { spec } = network;
  const peers = inspectPeers(network);
  const services = verbose ? inspectServices(network) : undefined;
  return {
    Name: network.name,
    Id: network.id,
    Created: created,
    Scope: network.scope,
    Driver: network.type,
    EnableIPv6: false,
    IPAM: inspectIpam(network),
    Internal: network.internal,
    Attachable: spec.attachable ?? false,
    Ingress: network.ingress,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: inspectContainers(network),
    Options: inspectOptions(network),
    Labels: sorted(Object.entries(spec.labels ?? {})),
    ...(peers === undefined ? {} : { Peers: peers }),
    ...(services === undefined ? {} : { Services: services }),
  };
}
