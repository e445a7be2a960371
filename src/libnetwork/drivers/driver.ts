/** What libnetwork asks of a network driver (moby libnetwork/driverapi). */
import type { Cidr, Ipv4, Mac } from "../../base/addr.ts";
import type { Random } from "../../base/random.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { EncryptionKey } from "../keys.ts";
import type { Options } from "../labels.ts";
import type { TableNote } from "../networkdb-types.ts";
import { findLink } from "../osl.ts";
import type { KeyUpdate } from "./overlay-encryption.ts";
import type { PortBinding, PublishedPort } from "./port-mapper.ts";

/** Names of network drivers. */
export type DriverType = "bridge" | "nat" | "overlay" | "host" | "null";

/** One subnet of a network as IPAM gave it. */
export interface SubnetData {
  readonly pool: Cidr;
  /** Gateway with the pool's prefix length. */
  readonly gateway: Cidr | undefined;
}

/** What a driver is told of a network. */
export interface DriverNetwork {
  readonly id: string;
  readonly name: string;
  readonly internal: boolean;
  readonly options: Options;
  readonly subnets: readonly SubnetData[];
}

/** The interface of an endpoint: address from IPAM, MAC the user's or the driver's. */
export interface EndpointInterface {
  readonly id: string;
  readonly address: Cidr;
  mac: Mac | undefined;
}

/** What a driver says when an endpoint joins a sandbox. */
export interface JoinInfo {
  /** The link in the host's namespace to move in, and the prefix of its name there. */
  setNames(srcName: string, dstPrefix: string): void;
  setGateway(gateway: Ipv4): void;
  addStaticRoute(dst: Cidr, via: Ipv4): void;
  /** A record to publish while the endpoint is joined. */
  addTableEntry(table: string, key: string, value: Uint8Array): void;
}

/** What a driver learns of the cluster (discoverapi). */
export type Discovery =
  | { readonly kind: "node"; readonly address: Ipv4; readonly bindAddress: Ipv4; readonly dataPathPort: number }
  | { readonly kind: "keys"; readonly keys: readonly EncryptionKey[] }
  | ({ readonly kind: "keyUpdate" } & KeyUpdate);

/** A network driver. */
export interface Driver {
  readonly type: DriverType;
  /** NetworkDB tables whose events it wants. */
  readonly tables: readonly string[];
  createNetwork(network: DriverNetwork): void;
  deleteNetwork(networkId: string): void;
  createEndpoint(networkId: string, endpoint: EndpointInterface): void;
  deleteEndpoint(networkId: string, endpointId: string): void;
  join(networkId: string, endpointId: string, info: JoinInfo): void;
  leave(networkId: string, endpointId: string): void;
  /**
   * The endpoint has become its sandbox's way out: its ports are published (ProgramExternalConnectivity). Drivers of networks
   * without ports have none. @throws UserError when one of them can't be
   */
  programExternalConnectivity?(
    networkId: string,
    endpointId: string,
    ports: readonly PortBinding[],
  ): readonly PublishedPort[];
  revokeExternalConnectivity?(networkId: string, endpointId: string): void;
  eventNotify(note: TableNote): void;
  discover(event: Discovery): void;
  /** Value of `Info` of a remote record in `network inspect -v`: the VTEP (driver DecodeTableEntry). */
  hostIpOf(value: Uint8Array): Ipv4 | undefined;
}

/** `veth` and 7 hex digits that no link of the host bears (netutils.GenerateIfaceName). */
function generateVethName(host: NetNs, random: Random): string {
  for (;;) {
    const name = `veth${random.hex(7)}`;
    if (findLink(host, name) === undefined) return name;
  }
}

/**
 * A veth pair in the host's namespace, for a network and its container. The container's end is made first and has
 * the lower ifindex, as on Linux, where it is the peer and drivers/net/veth.c veth_newlink registers that one first.
 */
export function createVethPair(host: NetNs, random: Random, mtu: number): { network: string; container: string } {
  const network = generateVethName(host, random);
  let container = generateVethName(host, random);
  while (container === network) container = generateVethName(host, random);
  host.link.add({ kind: "veth", name: container, mtu, peer: { name: network, mtu } });
  return { network, container };
}

/** The link MTU option as a number, 0 when it is not given; undefined when it is no number ≥ 0. */
export function parseMtu(text: string | undefined): number | undefined {
  if (text === undefined) return 0;
  return /^\d{1,7}$/.test(text) ? Number(text) : undefined;
}
