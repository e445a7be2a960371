/**
 * The bridge driver: docker0, docker_gwbridge and bridges of user networks in the host's namespace (moby
 * libnetwork/drivers/bridge, 20.10: bridge.go, setup_device.go, setup_ipv4.go, setup_ip_forwarding.go).
 * Published ports are port-mapper.ts.
 */
import {
  broadcastOf,
  type Cidr,
  cidrOverlaps,
  type Ipv4,
  type Mac,
  macFromIp,
  networkOf,
  parseIpv4,
} from "../../base/addr.ts";
import { assert, KernelError, UserError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { HostOs } from "../../scheduler/os.ts";
import { goErrorText } from "../go-errors.ts";
import {
  OPTION_DEFAULT_BRIDGE,
  OPTION_ENABLE_ICC,
  OPTION_ENABLE_MASQUERADE,
  OPTION_HOST_BINDING,
  OPTION_MTU,
  type Options,
} from "../labels.ts";
import type { DaemonLog } from "../log.ts";
import { findLink, setSysctlIfKnown } from "../osl.ts";
import { LINUX_NETWORKS, type NetworkSystem } from "../system.ts";
import { addBridgeRules, type BridgeRules, removeBridgeRules, setupChains } from "./bridge-iptables.ts";
import {
  createVethPair,
  type Driver,
  type DriverNetwork,
  type EndpointInterface,
  type JoinInfo,
  parseMtu,
} from "./driver.ts";
import { PortAllocator } from "./port-allocator.ts";
import {
  type PortBinding,
  PortMapper,
  type PortMapperOptions,
  type PortMappings,
  type PublishedPort,
} from "./port-mapper.ts";

interface BridgeEndpoint {
  readonly address: Cidr;
  readonly mac: Mac;
  /** The container's end of its veth pair, in the host's namespace until it is moved. */
  readonly srcName: string;
  ports: PortMappings;
}

interface BridgeNetwork {
  readonly id: string;
  readonly bridge: string;
  readonly gateway: Cidr;
  readonly mtu: number;
  readonly rules: BridgeRules;
  /** libnetwork made the device, and deletes it with the network. */
  readonly created: boolean;
  readonly isDefault: boolean;
  readonly endpoints: Map<string, BridgeEndpoint>;
  readonly portMapper: PortMapper;
}

/** The MTU of a bridge network that names none (the daemon's `mtu`). */
const DEFAULT_MTU = 1500;

function flag(options: Options, key: string, fallback: boolean): boolean {
  const value = options[key];
  if (value === undefined) return fallback;
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw new UserError(`failed to parse ${key} value: ${value} (strconv.ParseBool: parsing "${value}": invalid syntax)`);
}

/** Only a daemon that has to switch forwarding on itself also sets FORWARD's policy to DROP (setupIPForwarding). */
export function enableForwarding(host: NetNs): void {
  if (host.sysctlGet("net.ipv4.ip_forward") === 1) return;
  host.sysctlSet("net.ipv4.ip_forward", 1);
  host.iptables.setPolicy("filter", "FORWARD", "DROP");
}

/**
 * A bridge network's device and rules (createNetwork).
 * @param mtu bytes; 0 = the kernel's default
 * @param isDefault it is docker0: the rules of an earlier life go first
 * @returns whether the device was made
 */
export function setupBridge(
  host: NetNs,
  random: Random,
  log: DaemonLog,
  rules: BridgeRules,
  gateway: Cidr,
  mtu: number,
  isDefault: boolean,
): boolean {
  // The daemon deletes the default bridge of its last life and makes it anew, so its rules are above the others' (initBridgeDriver).
  if (isDefault) removeBridgeRules(host.iptables, rules);
  const created = setupDevice(host, random, rules.bridge, gateway, mtu);
  if (!rules.icc) setSysctlIfKnown(host, "net.bridge.bridge-nf-call-iptables", 1, log);
  addBridgeRules(host.iptables, rules);
  host.link.set(rules.bridge, { up: true });
  return created;
}

/** Makes the device unless the user made one of that name, gives it a MAC and the gateway's address. Returns whether it was made. */
function setupDevice(host: NetNs, random: Random, bridge: string, gateway: Cidr, mtu: number): boolean {
  const made = findLink(host, bridge) === undefined;
  if (made) host.link.add(mtu === 0 ? { kind: "bridge", name: bridge } : { kind: "bridge", name: bridge, mtu });
  // netutils.GenerateRandomMAC: a fixed address, so that ports coming and going don't change the bridge's.
  if (made) host.link.set(bridge, { mac: 0x0242 * 2 ** 32 + random.u32() });
  const addresses = host.addr.list(bridge);
  const has = addresses.some((a) => a.addr.ip === gateway.ip && a.addr.prefix === gateway.prefix);
  if (has) return made;
  // A device that was there with another address gets the network's in its place (setupBridgeIPv4).
  if (addresses[0] !== undefined) host.addr.del(bridge, addresses[0].addr);
  host.addr.add(bridge, gateway, { broadcast: broadcastOf(gateway) });
  return made;
}

/** The bridge driver (libnetwork/drivers/bridge). */
export class BridgeDriver implements Driver {
  readonly type: "bridge" | "nat";
  readonly tables = [];
  readonly #host: NetNs;
  readonly #random: Random;
  readonly #log: DaemonLog;
  readonly #deviceName: (network: DriverNetwork) => string;
  readonly #networks = new Map<string, BridgeNetwork>();
  readonly #portMapping: PortMapperOptions;

  /** Prepares chains and forwarding, as the daemon does at its start. */
  constructor(os: HostOs, random: Random, log: DaemonLog, system: NetworkSystem = LINUX_NETWORKS) {
    const host = os.kernel.root;
    this.type = system.localDriver;
    this.#deviceName = system.deviceName;
    this.#host = host;
    this.#portMapping = { os, log, allocator: new PortAllocator(), proxies: system.portProxies };
    this.#random = random;
    this.#log = log;
    setupChains(host.iptables);
    enableForwarding(host);
  }

  createNetwork(network: DriverNetwork): void {
    const { options } = network;
    const subnet = network.subnets[0];
    if (subnet?.gateway === undefined) throw new UserError("ipv4 pool is empty");
    const mtu = parseMtu(options[OPTION_MTU]);
    if (mtu === undefined) throw new UserError(`failed to parse ${OPTION_MTU} value: ${options[OPTION_MTU]}`);
    const bridge = this.#deviceName(network);
    this.#checkConflicts(network.id, bridge, subnet.pool);
    const defaultIp = parseIpv4(options[OPTION_HOST_BINDING] ?? "0.0.0.0");
    if (defaultIp === undefined)
      throw new UserError(`failed to parse ${OPTION_HOST_BINDING} value: ${options[OPTION_HOST_BINDING]} (nil ip)`);
    const rules: BridgeRules = {
      bridge,
      subnet: networkOf(subnet.pool),
      icc: flag(options, OPTION_ENABLE_ICC, true),
      masquerade: flag(options, OPTION_ENABLE_MASQUERADE, true),
      internal: network.internal,
    };
    const isDefault = flag(options, OPTION_DEFAULT_BRIDGE, false);
    const created = setupBridge(this.#host, this.#random, this.#log, rules, subnet.gateway, mtu, isDefault);
    this.#networks.set(network.id, {
      id: network.id,
      bridge,
      gateway: subnet.gateway,
      mtu: mtu === 0 ? DEFAULT_MTU : mtu,
      rules,
      created,
      isDefault,
      endpoints: new Map(),
      portMapper: new PortMapper(this.#portMapping, bridge, defaultIp),
    });
  }

  #checkConflicts(id: string, bridge: string, pool: Cidr): void {
    for (const other of this.#networks.values()) {
      const what = `cannot create network ${id} (${bridge}): conflicts with network ${other.id} (${other.bridge})`;
      if (other.bridge === bridge) throw new UserError(`${what}: networks have same bridge name`);
      if (cidrOverlaps(other.rules.subnet, pool)) throw new UserError(`${what}: networks have overlapping IPv4`);
    }
  }

  #network(id: string): BridgeNetwork {
    const network = this.#networks.get(id);
    if (network === undefined) throw new UserError(`network ${id} does not exist`);
    return network;
  }

  deleteNetwork(networkId: string): void {
    const network = this.#network(networkId);
    for (const id of network.endpoints.keys()) this.revokeExternalConnectivity(networkId, id);
    this.#networks.delete(networkId);
    removeBridgeRules(this.#host.iptables, network.rules);
    if (network.created && !network.isDefault && findLink(this.#host, network.bridge) !== undefined) {
      this.#host.link.del(network.bridge);
    }
  }

  createEndpoint(networkId: string, endpoint: EndpointInterface): void {
    const network = this.#network(networkId);
    assert(!network.endpoints.has(endpoint.id), "endpoint created twice", endpoint.id);
    const { network: hostEnd, container } = createVethPair(this.#host, this.#random, network.mtu);
    this.#addToBridge(hostEnd, network.bridge);
    const mac = endpoint.mac ?? macFromIp(endpoint.address.ip);
    endpoint.mac = mac;
    network.endpoints.set(endpoint.id, { address: endpoint.address, mac, srcName: container, ports: [] });
    this.#host.link.set(hostEnd, { up: true });
  }

  /** A bridge takes 1023 ports: `adding interface vethab12cd3 to bridge docker0 failed: exchange full`. */
  #addToBridge(port: string, bridge: string): void {
    try {
      const device = findLink(this.#host, bridge);
      if (device === undefined)
        throw new UserError(`could not find bridge ${bridge}: route ip+net: no such network interface`);
      this.#host.link.set(port, { master: device });
    } catch (error) {
      this.#host.link.del(port);
      if (!(error instanceof KernelError || error instanceof UserError)) throw error;
      const text = error instanceof KernelError ? goErrorText(error) : error.message;
      throw new UserError(`adding interface ${port} to bridge ${bridge} failed: ${text}`);
    }
  }

  deleteEndpoint(networkId: string, endpointId: string): void {
    const network = this.#network(networkId);
    const endpoint = network.endpoints.get(endpointId);
    if (endpoint === undefined) return;
    this.revokeExternalConnectivity(networkId, endpointId);
    network.endpoints.delete(endpointId);
    if (findLink(this.#host, endpoint.srcName) !== undefined) this.#host.link.del(endpoint.srcName);
  }

  join(networkId: string, endpointId: string, info: JoinInfo): void {
    const network = this.#network(networkId);
    const endpoint = network.endpoints.get(endpointId);
    assert(endpoint !== undefined, "join of an unknown endpoint", endpointId);
    info.setNames(endpoint.srcName, "eth");
    if (!network.rules.internal) info.setGateway(network.gateway.ip);
  }

  programExternalConnectivity(
    networkId: string,
    endpointId: string,
    ports: readonly PortBinding[],
  ): readonly PublishedPort[] {
    const network = this.#network(networkId);
    const endpoint = network.endpoints.get(endpointId);
    assert(endpoint !== undefined, "ports of an unknown endpoint", endpointId);
    endpoint.ports = network.portMapper.map(endpoint.address.ip, ports);
    return endpoint.ports.map(({ published }) => published);
  }

  revokeExternalConnectivity(networkId: string, endpointId: string): void {
    const network = this.#network(networkId);
    const endpoint = network.endpoints.get(endpointId);
    if (endpoint === undefined) return;
    network.portMapper.unmap(endpoint.ports);
    endpoint.ports = [];
  }

  /** The daemon stops: its proxies end, its rules stay. */
  stopProxies(): void {
    for (const { endpoints } of this.#networks.values())
      for (const { ports } of endpoints.values()) for (const { proxy } of ports) proxy?.stop();
  }

  leave(): void {}
  eventNotify(): void {}
  discover(): void {}

  hostIpOf(): Ipv4 | undefined {
    return undefined;
  }
}
