/**
 * Reads the plan of a mesh out of a swarm that runs: who has which address, VIP, mark, VNI and key, from the kernels of its
 * hosts as `ip`, `ipvsadm` and `ip xfrm state` would show them. Hosts differ in the order in which they learnt of a service's
 * tasks and in its mark, so each has its own plan.
 */
import type { Ipv4 } from "../../src/base/addr.ts";
import { networkOf } from "../../src/base/addr.ts";
import { assert } from "../../src/base/errors.ts";
import type { HostKernel, NetNs } from "../../src/kernel/types.ts";
import { spiOf } from "../../src/libnetwork/drivers/overlay-spi.ts";
import { type EncryptionKey, SUBSYS_IPSEC } from "../../src/libnetwork/keys.ts";
import type { MeshNetwork, MeshOptions, MeshPlan, MeshService } from "../../src/workload/mesh/types.ts";

/** Largest Lamport time of a fresh swarm's keys: a random 16-bit number and six more. */
const MAX_TAG = 65_536 + 6;

export interface ReadMesh {
  /** By host. */
  readonly plans: readonly MeshPlan[];
  /** Namespaces of the containers, by their number in the plans. */
  readonly containers: readonly NetNs[];
}

interface FoundContainer {
  readonly host: number;
  readonly ns: NetNs;
  readonly vni: number;
  readonly ip: Ipv4;
  readonly gatewayIp: Ipv4;
}

/**
 * @param kernels of the hosts, in order
 * @param ids of the networks by name, as `docker network ls` has them
 * @param shape what the options say of traffic and wires
 */
export function readMesh(
  kernels: readonly HostKernel[],
  ids: ReadonlyMap<string, string>,
  shape: MeshOptions,
): ReadMesh {
  const found = kernels.flatMap((kernel, host) => containersOf(kernel, host));
  found.sort((a, b) => a.host - b.host || a.gatewayIp - b.gatewayIp);
  const vnis = [...new Set(kernels.flatMap((kernel) => overlaysOf(kernel).map(({ vni }) => vni)))].sort(
    (a, b) => a - b,
  );
  const networks = vnis.map((vni) => readNetwork(kernels, vni, ids));
  const keys = networks.some(({ encrypted }) => encrypted) ? readKeys(kernels) : [];
  const index = (vni: number): number => vnis.indexOf(vni);
  const containers = {
    count: found.length,
    host: Uint32Array.from(found, ({ host }) => host),
    network: Uint32Array.from(found, ({ vni }) => index(vni)),
    ip: Uint32Array.from(found, ({ ip }) => ip),
  };
  const byIp = new Map(found.map(({ ip }, c) => [ip, c]));
  const options = {
    ...shape,
    hosts: kernels.length,
    containers: found.length,
    networks: networks.length,
    encrypted: networks.filter(({ encrypted }) => encrypted).length,
  };
  const plans = kernels.map((kernel) => {
    const services = networks.flatMap((network, n) => readServices(kernel, network, n, byIp));
    return { options, networks, services, containers, flows: [], keys };
  });
  return { plans, containers: found.map(({ ns }) => ns) };
}

/** Namespaces of overlay networks on a host, without ingress. */
function overlaysOf(kernel: HostKernel): { readonly ns: NetNs; readonly vni: number; readonly mtu: number }[] {
  return kernel.namespaces().flatMap((ns) => {
    if (ns.name === "ingress") return [];
    const vxlan = ns.link.list().find((link) => link.kind === "vxlan");
    return vxlan?.vxlan === undefined ? [] : [{ ns, vni: vxlan.vxlan.vni, mtu: vxlan.mtu }];
  });
}

function containersOf(kernel: HostKernel, host: number): FoundContainer[] {
  const overlays = new Map(overlaysOf(kernel).map(({ ns, vni }) => [ns, vni]));
  return kernel.namespaces().flatMap((ns) => {
    const eth0 = ns.link.list().find(({ name }) => name === "eth0");
    const peer = eth0?.peerNs;
    const vni = peer === undefined ? undefined : overlays.get(peer);
    const [gateway] = ns.link.list().some(({ name }) => name === "eth1") ? ns.addr.list("eth1") : [];
    if (vni === undefined || gateway === undefined) return [];
    const [address] = ns.addr.list("eth0");
    assert(address !== undefined, "a container has an address on its overlay", ns.name);
    return [{ host, ns, vni, ip: address.addr.ip, gatewayIp: gateway.addr.ip }];
  });
}

function balancerOf(kernel: HostKernel, id: string): NetNs | undefined {
  return kernel.namespaces().find(({ name }) => name === `lb_${id}`.slice(0, 12));
}

function readNetwork(kernels: readonly HostKernel[], vni: number, ids: ReadonlyMap<string, string>): MeshNetwork {
  const places = kernels.map((kernel) => overlaysOf(kernel).find((overlay) => overlay.vni === vni)?.ns);
  const first = places.find((ns) => ns !== undefined);
  const bridge = first?.addr.list("br0")[0]?.addr;
  const id = ids.get(first?.name ?? "");
  assert(first !== undefined && bridge !== undefined && id !== undefined, "a network of the swarm", vni);
  const hosts = kernels.flatMap((_, h) => (places[h] === undefined ? [] : [h]));
  const loadBalancers = hosts.map((h) => {
    const ns = balancerOf(kernels[h] as HostKernel, id);
    const own = ns?.addr.list("eth0").find(({ addr }) => addr.prefix === bridge.prefix);
    assert(own !== undefined, "each host has its load balancer", h);
    return own.addr.ip;
  });
  const marks = kernels.some((kernel) =>
    (kernel.root.iptables.list("mangle") ?? []).some((chain) =>
      chain.rules.some(({ match }) => match.u32?.endsWith(`=0x${(vni * 256).toString(16)}`)),
    ),
  );
  const subnet = networkOf(bridge);
  return { id, name: first.name, subnet, gateway: bridge.ip, vni, encrypted: marks, hosts, loadBalancers };
}

/** Services of a network as one host knows them. */
function readServices(
  kernel: HostKernel,
  { id, name }: MeshNetwork,
  network: number,
  byIp: ReadonlyMap<Ipv4, number>,
): MeshService[] {
  const ns = balancerOf(kernel, id);
  if (ns === undefined) return [];
  const input = ns.iptables.list("mangle")?.find((chain) => chain.name === "INPUT")?.rules ?? [];
  return input.map(({ match, target }) => {
    assert(target?.kind === "MARK" && match.dst !== undefined, "a VIP's mark");
    const fwmark = target.value;
    const service = ns.ipvs.service({ fwmark });
    assert(service !== undefined, "the mark's service", fwmark);
    // The kernel lists the newest first.
    const tasks = [...service.destinations].reverse().map(({ address }) => byIp.get(address) as number);
    const vip = match.dst.value.ip;
    return {
      name: `${name}-${fwmark}`,
      network,
      vip,
      fwmark,
      scheduler: service.scheduler,
      containers: Uint32Array.from(tasks),
    };
  });
}

/** The keys of the first association's peers, and the Lamport times that their SPIs are hashes of. */
function readKeys(kernels: readonly HostKernel[]): EncryptionKey[] {
  const states = kernels[0]?.root.xfrm.stateList() ?? [];
  const [one] = states;
  assert(one !== undefined, "associations of an encrypted network");
  const remote = one.src === kernels[0]?.root.addr.list("eth0")[0]?.addr.ip ? one.dst : one.src;
  const inbound = states.filter(({ src }) => src === remote);
  return inbound.map(({ src, dst, spi, aead }) => {
    for (let tag = 0; tag <= MAX_TAG; tag++)
      if (spiOf(src, dst, tag) === spi)
        return { subsystem: SUBSYS_IPSEC, key: aead.key.slice(0, -4), lamportTime: tag };
    throw new Error(`no Lamport time gives SPI ${spi}`);
  });
}
