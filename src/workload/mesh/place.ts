/**
 * Brings the kernel of one host into the state that libnetwork leaves behind once a swarm has converged, without a swarm:
 * the functions that program the kernel are libnetwork's own, called with what the plan knows instead of with what gossip
 * tells. Nothing of a daemon stays: what was placed lives in the kernel alone, its namespaces parked.
 *
 * Left out, since traffic between containers does not meet it: the ingress network with its sandbox (whose address on
 * docker_gwbridge, 172.18.0.2, stays free), and the sockets of the DNS servers in the containers. The rules that lead to those
 * are there, because they make the containers' namespaces track connections.
 */
import { broadcastOf, type Cidr, type Ipv4, macFromIp } from "../../base/addr.ts";
import { assert, UserError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import type { HostKernel, NetNs } from "../../kernel/types.ts";
import { enableForwarding, setupBridge } from "../../libnetwork/drivers/bridge.ts";
import { arrangeUserFilter, setupChains } from "../../libnetwork/drivers/bridge-iptables.ts";
import { raiseNeighbourLimits, VXLAN_PORT } from "../../libnetwork/drivers/overlay.ts";
import { OverlayNetwork, type OverlaySubnet } from "../../libnetwork/drivers/overlay-network.ts";
import { XfrmEncryption } from "../../libnetwork/drivers/overlay-xfrm.ts";
import { LOCAL_DEFAULT_POOLS } from "../../libnetwork/ipam.ts";
import { primaryFirst, SUBSYS_IPSEC } from "../../libnetwork/keys.ts";
import { GATEWAY_NETWORK, OPTION_VXLAN_IDS } from "../../libnetwork/labels.ts";
import { addMarks, backendOf } from "../../libnetwork/load-balancer.ts";
import type { DaemonLog } from "../../libnetwork/log.ts";
import { ANY, type OslNamespace, programNeighbor } from "../../libnetwork/osl.ts";
import { setupNat } from "../../libnetwork/resolver.ts";
import { applyBalancerSysctls } from "../../libnetwork/sandbox.ts";
import { hostAddress, networkOptions } from "./addresses.ts";
import { rowsOf } from "./rows.ts";
import type { MeshNetwork, MeshPlan } from "./types.ts";

/** MTU of docker_gwbridge and docker0: Docker's default, whatever the underlay's is. */
const BRIDGE_MTU = 1500;
/** The first address of docker_gwbridge's containers; the gateway's is .1, the ingress sandbox's .2. */
const FIRST_GATEWAY_CLIENT = 3;
/**
 * Ports of the DNS server of each namespace, of those that the kernel draws from. Everywhere the same ones, since nobody listens
 * there: so the kernel has the rules once, and not a million times.
 */
const DNS_PORTS = { udp: 40_053, tcp: 40_054 } as const;

const silent: DaemonLog = () => {};

/**
 * Places what a plan has on a host. Its `eth0` gets the plan's address unless it has one.
 * @param host index of the host in the plan
 * @returns the namespaces of the host's containers, by their number in the plan; they are parked until they are asked for
 * @throws UserError for an encrypted network of a plan without keys
 */
export function placeHost(kernel: HostKernel, plan: MeshPlan, host: number): (container: number) => NetNs {
  const placer = new HostPlacer(kernel, plan, host);
  placer.prepare();
  return placer.placeContainers();
}

/** What a network has on the host while containers are placed. */
interface PlacedNetwork {
  readonly network: MeshNetwork;
  readonly overlay: OverlayNetwork;
  readonly osl: OslNamespace;
  readonly subnet: OverlaySubnet;
  /** The load balancer's namespace. */
  readonly balancer: NetNs;
  /** ifindex of the bridge br0. */
  readonly bridge: number;
  /** Ports so far: the number in the next one's name. */
  ports: number;
}

class HostPlacer {
  readonly #kernel: HostKernel;
  readonly #plan: MeshPlan;
  readonly #host: number;
  readonly #address: Cidr;
  readonly #random: Random;
  readonly #encryption: XfrmEncryption;
  readonly #networks = new Map<number, PlacedNetwork>();
  readonly #vethNames = new Set<string>();
  readonly #gateway: Cidr;
  #gatewayBridge = 0;

  constructor(kernel: HostKernel, plan: MeshPlan, host: number) {
    this.#kernel = kernel;
    this.#plan = plan;
    this.#host = host;
    this.#address = hostAddress(plan.options, host);
    this.#random = new Random(plan.options.seed).fork(`mesh/place/${host}`);
    this.#encryption = new XfrmEncryption(kernel.root, silent);
    const pool = LOCAL_DEFAULT_POOLS[1];
    assert(pool !== undefined, "the second local pool is docker_gwbridge's");
    this.#gateway = { ip: pool.ip + 1, prefix: pool.prefix };
  }

  /** Wire, bridges, overlays, peers, services, encryption: all but the containers. */
  prepare(): void {
    this.#wire();
    this.#startEngine();
    this.#attachEncryption();
    for (const n of rowsOf(this.#plan).networks[this.#host] ?? []) this.#placeNetwork(n);
  }

  #wire(): void {
    const { root } = this.#kernel;
    root.link.set("lo", { up: true });
    if (root.addr.list("eth0").length === 0)
      root.addr.add("eth0", this.#address, { broadcast: broadcastOf(this.#address) });
    root.link.set("eth0", { up: true });
  }

  /** What dockerd does when it starts: its chains, docker0; and docker_gwbridge, which comes with the swarm. */
  #startEngine(): void {
    const { root } = this.#kernel;
    setupChains(root.iptables);
    enableForwarding(root);
    raiseNeighbourLimits(root, silent);
    this.#bridge("docker0", LOCAL_DEFAULT_POOLS[0] as Cidr, true);
    this.#bridge(GATEWAY_NETWORK, LOCAL_DEFAULT_POOLS[1] as Cidr, false);
    this.#gatewayBridge = root.link.get(GATEWAY_NETWORK).index;
  }

  #bridge(bridge: string, subnet: Cidr, isDefault: boolean): void {
    const { root } = this.#kernel;
    const rules = { bridge, subnet, icc: isDefault, masquerade: true, internal: false };
    const gateway = { ip: subnet.ip + 1, prefix: subnet.prefix };
    setupBridge(root, this.#random, silent, rules, gateway, isDefault ? BRIDGE_MTU : 0, isDefault);
    arrangeUserFilter(root.iptables);
  }

  #attachEncryption(): void {
    this.#encryption.attach({
      advertiseAddress: this.#address.ip,
      bindAddress: this.#address.ip,
      dataPathPort: VXLAN_PORT,
      peerVteps: () => [],
      hasLocalEndpoints: () => true,
    });
    const keys = primaryFirst(this.#plan.keys ?? [], SUBSYS_IPSEC);
    if (keys.length > 0) this.#encryption.setKeys(keys);
  }

  // ------------------------------------------------------------------------------------------ networks

  #placeNetwork(n: number): void {
    const network = this.#plan.networks[n];
    assert(network !== undefined, "a network of the plan", n);
    if (network.encrypted && !this.#encryption.hasKeys)
      throw new UserError(`mesh, keys: none given, expected three, as network ${network.name} is encrypted`);
    const balancer = this.#balancerNamespace(network);
    const placed = this.#overlayOf(network, balancer);
    this.#networks.set(n, placed);
    this.#placePeers(n, placed);
    const address = {
      ip: network.loadBalancers[network.hosts.indexOf(this.#host)] ?? 0,
      prefix: network.subnet.prefix,
    };
    this.#addPort(placed, balancer, address);
    this.#dnsRules(balancer);
    this.#placeServices(n, balancer, address);
  }

  /** The load balancer's namespace, named as its file under /var/run/docker/netns (sandbox.ts). */
  #balancerNamespace(network: MeshNetwork): NetNs {
    const ns = this.#kernel.createNs(`lb_${network.id}`.slice(0, 12));
    ns.link.set("lo", { up: true });
    applyBalancerSysctls(ns, this.#kernel.root, silent);
    return ns;
  }

  #overlayOf(network: MeshNetwork, balancer: NetNs): PlacedNetwork {
    const gateway = { ip: network.gateway, prefix: network.subnet.prefix };
    const options = { ...networkOptions(this.#plan.options, network), [OPTION_VXLAN_IDS]: String(network.vni) };
    const { id, name } = network;
    const overlay = new OverlayNetwork(
      { id, name, internal: false, options, subnets: [{ pool: network.subnet, gateway }] },
      this.#kernel.root,
      silent,
      {
        port: () => VXLAN_PORT,
        programRules: (vni, encrypted) => this.#encryption.programVni(vni, encrypted),
      },
    );
    overlay.ensureSandbox();
    const subnet = overlay.subnets[0];
    const osl = overlay.sandbox;
    assert(subnet !== undefined && osl !== undefined, "a network has its subnet and its namespace", name);
    overlay.ensureSubnet(subnet);
    const bridge = osl.ns.link.get(osl.findDst(subnet.bridgeName) ?? "").index;
    return { network, overlay, osl, subnet, balancer, bridge, ports: 0 };
  }

  /** Permanent neighbours and FDB entries of all that is elsewhere, and IPsec towards the hosts. */
  #placePeers(n: number, { network, osl, subnet }: PlacedNetwork): void {
    const { ns } = osl;
    const { host, ip } = this.#plan.containers;
    const vxlan = ns.link.get(osl.findDst(subnet.vxlanName) ?? "").index;
    const add = (peer: Ipv4, vtep: Ipv4): void => {
      const mac = macFromIp(peer);
      programNeighbor(ns, vxlan, peer, mac, false);
      programNeighbor(ns, vxlan, vtep, mac, true);
    };
    for (const [i, other] of network.hosts.entries()) {
      if (other === this.#host) continue;
      const vtep = hostAddress(this.#plan.options, other).ip;
      if (network.encrypted) this.#encryption.checkEncryption(network.id, vtep, false, true);
      add(network.loadBalancers[i] as Ipv4, vtep);
    }
    for (const container of rowsOf(this.#plan).ofNetwork.row(n)) {
      const other = host[container] as number;
      if (other !== this.#host) add(ip[container] as Ipv4, hostAddress(this.#plan.options, other).ip);
    }
  }

  #placeServices(n: number, balancer: NetNs, address: Cidr): void {
    const { ip } = this.#plan.containers;
    const at = this.#plan.networks[n]?.hosts.indexOf(this.#host) ?? -1;
    for (const s of rowsOf(this.#plan).services.row(n)) {
      const service = this.#plan.services[s];
      assert(service !== undefined, "a service of the plan", s);
      // A service is known by its tasks.
      if (service.containers.length === 0) continue;
      const { fwmark, scheduler, vip } = service;
      balancer.addr.add("eth0", { ip: vip, prefix: 32 });
      addMarks(balancer, { fwMark: fwmark, ingressPorts: [] }, vip, address);
      balancer.ipvs.addService({ id: { fwmark }, scheduler });
      for (const container of service.orders?.[at] ?? service.containers)
        balancer.ipvs.addDestination({ fwmark }, backendOf(ip[container] as Ipv4, 1, false));
    }
    applyBalancerSysctls(balancer, this.#kernel.root, silent);
  }

  // ---------------------------------------------------------------------------------------- containers

  placeContainers(): (container: number) => NetNs {
    const { network, ip } = this.#plan.containers;
    const containers = rowsOf(this.#plan).ofHost.row(this.#host);
    const first = containers[0] ?? 0;
    const parked = new Uint32Array(containers.length);
    for (const [slot, container] of containers.entries()) {
      const on = this.#networks.get(network[container] as number);
      assert(on !== undefined, "the container's network is placed", container);
      const ns = this.#kernel.createNs(`c${container}`);
      ns.link.set("lo", { up: true });
      this.#dnsRules(ns);
      this.#addPort(on, ns, { ip: ip[container] as Ipv4, prefix: on.network.subnet.prefix });
      this.#addGateway(ns, slot);
      parked[slot] = this.#kernel.park(ns);
    }
    for (const { osl, balancer } of this.#networks.values()) {
      this.#kernel.park(balancer);
      this.#kernel.park(osl.ns);
    }
    const kernel = this.#kernel;
    return (container) => {
      const id = parked[container - first];
      assert(id !== undefined, "the container is this host's", container);
      return kernel.unpark(id);
    };
  }

  /** A namespace's eth0, and the other end on the network's bridge. */
  #addPort(on: PlacedNetwork, ns: NetNs, address: Cidr): void {
    const name = `veth${on.ports++}`;
    const { mtu } = on.overlay;
    const mac = macFromIp(address.ip);
    const dev = ns.link.add({ kind: "veth", name: "eth0", mac, mtu, peer: { name, mtu, ns: on.osl.ns } });
    on.osl.ns.link.set(name, { master: on.bridge, up: true });
    ns.addr.add(dev, address, { broadcast: broadcastOf(address) });
    ns.link.set(dev, { up: true });
  }

  /** A container's eth1 on docker_gwbridge, and the default route. */
  #addGateway(ns: NetNs, slot: number): void {
    const { root } = this.#kernel;
    const { ip, prefix } = this.#gateway;
    const address = { ip: ip - 1 + FIRST_GATEWAY_CLIENT + slot, prefix };
    const name = this.#vethName();
    const mac = macFromIp(address.ip);
    const dev = ns.link.add({ kind: "veth", name: "eth1", mac, mtu: BRIDGE_MTU, peer: { name, ns: root } });
    root.link.set(name, { master: this.#gatewayBridge, up: true });
    ns.addr.add(dev, address, { broadcast: broadcastOf(address) });
    ns.link.set(dev, { up: true });
    ns.route.add({ dst: ANY, via: ip, protocol: "boot" });
  }

  /** As drivers/driver.ts makes them; only these stay in the host's namespace. */
  #vethName(): string {
    for (;;) {
      const name = `veth${this.#random.hex(7)}`;
      if (this.#vethNames.has(name)) continue;
      this.#vethNames.add(name);
      return name;
    }
  }

  /** The rules of the DNS server. */
  #dnsRules(ns: NetNs): void {
    setupNat(ns.iptables, DNS_PORTS.udp, DNS_PORTS.tcp);
  }
}
