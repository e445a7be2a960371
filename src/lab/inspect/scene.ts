/**
 * What a host is built of, as a drawing of it needs it: docker's networks and containers, the network namespaces that
 * there are and their devices. And a short answer that tells whether any of it has changed, with what its wires have
 * carried.
 */
import { formatCidr, formatIpv4, formatMac, type Mac } from "../../base/addr.ts";
import type { Engine } from "../../engine/engine.ts";
import type { LinkInfo, LinkKind, LinkStats, NetNs } from "../../kernel/types.ts";
import type { Network } from "../../libnetwork/network.ts";
import type { Sandbox } from "../../libnetwork/sandbox.ts";
import type { HostOs } from "../../scheduler/os.ts";
import { NAT_NAMESPACE } from "../nat.ts";
import type { HostPlan } from "../plan.ts";

/** A network as `docker network inspect` tells it, without what is on it. */
export interface SceneNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly scope: "local" | "swarm";
  readonly ingress: boolean;
  readonly internal: boolean;
  readonly encrypted: boolean;
  /** VXLAN network identifiers, one a subnet; empty where it is no overlay. */
  readonly vnis: readonly number[];
  /** In CIDR notation. */
  readonly subnets: readonly string[];
}

/** A container's place in a network. */
export interface SceneAttachment {
  /** ID of the network. */
  readonly network: string;
  /** With the prefix length; empty on networks without addresses. */
  readonly address: string;
}

/** A container as `docker ps` tells it. */
export interface SceneContainer {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** created, running, restarting, removing or exited. */
  readonly state: string;
  /** The service that it is a task of; undefined: none. */
  readonly service: string | undefined;
  readonly attachments: readonly SceneAttachment[];
}

/** What a network namespace is for. */
export type NamespaceRole = "host" | "nat" | "overlay" | "ingress" | "loadBalancer" | "container" | "other";

/** A device as `ip -s -d address show` tells it. */
export interface SceneDevice {
  /** ifindex */
  readonly index: number;
  readonly name: string;
  readonly kind: LinkKind;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mac: string;
  readonly mtu: number;
  /** In CIDR notation. */
  readonly addresses: readonly string[];
  /** ifindex of its bridge; 0: none. */
  readonly master: number;
  /** Number of the bridge port that it is; 0: none. */
  readonly portNo: number;
  /** Of a veth: its other end, the namespace by its place in the scene's list. */
  readonly peer: { readonly namespace: number; readonly index: number } | undefined;
  readonly vni: number | undefined;
  /** ID of the docker network that it belongs to; undefined: none. */
  readonly network: string | undefined;
}

/** A network namespace. */
export interface SceneNamespace {
  readonly role: NamespaceRole;
  /** As capture points call it. */
  readonly name: string;
  /** Its file in /run/docker/netns, by which docker's users know it; undefined: none. */
  readonly file: string | undefined;
  /** ID of the network whose overlay or load balancer it is. */
  readonly network: string | undefined;
  /** ID of its container. */
  readonly container: string | undefined;
  /** In order of ifindex. */
  readonly devices: readonly SceneDevice[];
}

/** A host. */
export interface HostScene {
  /** Another one once anything here has changed; as the pulse of the same moment has it. */
  readonly revision: string;
  /** Its part in the swarm. */
  readonly node: "manager" | "worker" | "none";
  /** Whether its Docker Engine runs. */
  readonly daemon: boolean;
  readonly networks: readonly SceneNetwork[];
  readonly containers: readonly SceneContainer[];
  readonly namespaces: readonly SceneNamespace[];
}

/** What a wire of a host has carried, seen from its card. */
export interface WireCount {
  /** The card as capture points call it, without the host: `host/eth0`. */
  readonly point: string;
  readonly up: boolean;
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
}

/** The short answer. */
export interface HostPulse {
  readonly revision: string;
  /** In order of the lab's networks. */
  readonly wires: readonly WireCount[];
  /** Packets that the host has dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>;
}

/** Counters of a device. */
export interface DeviceCount {
  /** Place of its namespace in the scene's list, and its ifindex there. */
  readonly namespace: number;
  readonly index: number;
  readonly stats: LinkStats;
}

/** Who is looked at. */
export interface ScenePlace {
  readonly os: HostOs;
  readonly engine: Engine | undefined;
  readonly plan: HostPlan;
}

/** Words of FNV-1a, for a digest that only has to differ. */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

function mix(hash: number, text: string): number {
  let mixed = hash;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), FNV_PRIME);
  return mixed >>> 0;
}

/** A digest of all that a scene tells, cheap enough to be asked of a thousand hosts several times a second. */
function revisionOf({ os, engine }: ScenePlace): string {
  const changes = os.kernel.linkChanges ?? 0;
  if (engine === undefined) return `${changes}/stopped`;
  const { containers, controller } = engine;
  let hash = mix(FNV_OFFSET, nodeOf(engine));
  let count = 0;
  for (const { id, name, status } of containers.list()) {
    count++;
    hash = mix(mix(mix(hash, id), name), status);
  }
  const networks = controller.networks();
  for (const { id } of networks) hash = mix(hash, id);
  return `${changes}/${count}/${networks.length}/${hash}`;
}

function nodeOf(engine: Engine): HostScene["node"] {
  if (engine.swarm.localNodeState !== "active") return "none";
  return engine.swarm.isManager ? "manager" : "worker";
}

/** The whole answer. */
export function scene(place: ScenePlace): HostScene {
  const { os, engine } = place;
  const spaces = namespacesOf(os, engine);
  const places = new Map(spaces.map(({ ns }, i) => [ns, i]));
  const controller = engine?.controller;
  const networks = controller?.networks() ?? [];
  return {
    revision: revisionOf(place),
    node: engine === undefined ? "none" : nodeOf(engine),
    daemon: engine !== undefined,
    networks: networks.map((network) => sceneNetwork(network)),
    containers: engine === undefined ? [] : containersOf(engine),
    namespaces: spaces.map((space) => {
      const { role, ns, file, network, container } = space;
      const devices = devicesOf(space, networks, places);
      return { role, name: ns.name, file, network, container, devices };
    }),
  };
}

function sceneNetwork(network: Network): SceneNetwork {
  const { id, name, type, scope, ingress, internal, subnets } = network;
  const overlay = network.controller.overlay.network(id);
  return {
    id,
    name,
    driver: type,
    scope,
    ingress,
    internal,
    encrypted: overlay?.encrypted ?? false,
    vnis: overlay?.subnets.map(({ vni }) => vni) ?? [],
    subnets: subnets.map(({ pool }) => formatCidr(pool.subnet)),
  };
}

function containersOf({ containers, controller }: Engine): SceneContainer[] {
  const attached = new Map<string, SceneAttachment[]>();
  for (const sandbox of controller.sandboxes()) attached.set(sandbox.containerId, attachmentsOf(sandbox));
  return containers.list().map(({ id, name, request, status, service }) => ({
    id,
    name,
    image: request.Image,
    state: status,
    service: service?.name,
    attachments: attached.get(id) ?? [],
  }));
}

function attachmentsOf(sandbox: Sandbox): SceneAttachment[] {
  return sandbox.endpoints().map(({ network, address }) => ({
    network: network.id,
    address: address === undefined ? "" : formatCidr(address),
  }));
}

/** A namespace, and what it is for. */
interface Space {
  readonly ns: NetNs;
  readonly role: NamespaceRole;
  readonly file: string | undefined;
  readonly network: string | undefined;
  readonly container: string | undefined;
  readonly sandbox: Sandbox | undefined;
}

function namespacesOf(os: HostOs, engine: Engine | undefined): Space[] {
  const known = new Map<NetNs, Space>();
  const none = { file: undefined, network: undefined, container: undefined, sandbox: undefined };
  for (const sandbox of engine?.controller.sandboxes() ?? []) {
    const { ns, kind } = sandbox;
    if (ns === undefined || kind === "host") continue;
    const container = kind === "container" ? sandbox.containerId : undefined;
    const network = sandbox.options.loadBalancerOf?.id;
    known.set(ns, { ns, role: kind, file: sandbox.dockerNetnsName, network, container, sandbox });
  }
  for (const { id } of engine?.controller.networks() ?? []) {
    const overlay = engine?.controller.overlay.network(id);
    if (overlay?.sandbox === undefined) continue;
    const { ns } = overlay.sandbox;
    known.set(ns, { ...none, ns, role: "overlay", file: overlay.dockerNetnsName, network: id });
  }
  const { root } = os.kernel;
  return os.kernel.namespaces().map((ns): Space => {
    if (ns === root) return { ...none, ns, role: "host" };
    return known.get(ns) ?? { ...none, ns, role: ns.name === NAT_NAMESPACE ? "nat" : "other" };
  });
}

function devicesOf(space: Space, networks: readonly Network[], places: ReadonlyMap<NetNs, number>): SceneDevice[] {
  const { ns } = space;
  const links = ns.link.list().sort((a, b) => a.index - b.index);
  const addresses = new Map<number, string[]>();
  for (const { dev, addr } of ns.addr.list()) addresses.set(dev, [...(addresses.get(dev) ?? []), formatCidr(addr)]);
  const networkOf = deviceNetworks(space, networks, links, addresses);
  return links.map((link) => {
    const { index, name, kind, up, carrier, mac, mtu, master, portNo, peerIndex, peerNs, vxlan } = link;
    const namespace = kind === "veth" && peerNs !== undefined ? places.get(peerNs) : undefined;
    return {
      index,
      name,
      kind,
      up,
      carrier,
      mac: formatMac(mac),
      mtu,
      addresses: addresses.get(index) ?? [],
      master,
      portNo,
      peer: namespace === undefined ? undefined : { namespace, index: peerIndex },
      vni: vxlan?.vni,
      network: networkOf(link),
    };
  });
}

/** Tells of a namespace's devices which docker network they belong to. */
function deviceNetworks(
  { role, network, sandbox }: Space,
  networks: readonly Network[],
  links: readonly LinkInfo[],
  addresses: ReadonlyMap<number, readonly string[]>,
): (link: LinkInfo) => string | undefined {
  if (role === "overlay") return ({ kind }) => (kind === "loopback" ? undefined : network);
  if (sandbox !== undefined) {
    const byMac = new Map<Mac, string>();
    for (const endpoint of sandbox.endpoints())
      if (endpoint.mac !== undefined) byMac.set(endpoint.mac, endpoint.network.id);
    return ({ mac }) => byMac.get(mac);
  }
  if (role !== "host") return () => undefined;
  const gateways = new Map<string, string>();
  for (const { id, type, subnets } of networks)
    if (type !== "overlay") for (const { gateway } of subnets) gateways.set(formatIpv4(gateway.ip), id);
  const bridges = new Map<number, string>();
  for (const { kind, index } of links) {
    const address = kind === "bridge" ? addresses.get(index)?.[0]?.split("/")[0] : undefined;
    const id = address === undefined ? undefined : gateways.get(address);
    if (id !== undefined) bridges.set(index, id);
  }
  return ({ index, master }) => bridges.get(master === 0 ? index : master);
}

/** The short answer. */
export function pulse(place: ScenePlace): HostPulse {
  const { os, plan } = place;
  return { revision: revisionOf(place), wires: wiresOf(os, plan), drops: os.kernel.drops() };
}

function wiresOf(os: HostOs, plan: HostPlan): WireCount[] {
  const router = plan.nat === undefined ? undefined : os.kernel.namespaces().find(({ name }) => name === NAT_NAMESPACE);
  const ns = router ?? os.kernel.root;
  const devices = plan.nat === undefined ? ["eth0", ...plan.cards.map(({ device }) => device)] : ["eth0"];
  return devices.map((device) => {
    const { up, stats } = ns.link.get(device);
    const { rxPackets, rxBytes, txPackets, txBytes } = stats;
    return { point: `${ns.name}/${device}`, up, rxPackets, rxBytes, txPackets, txBytes };
  });
}

/** Counters of all devices of a host. */
export function deviceCounts({ os }: Pick<ScenePlace, "os">): DeviceCount[] {
  return os.kernel
    .namespaces()
    .flatMap((ns, namespace) => ns.link.list().map(({ index, stats }) => ({ namespace, index, stats })));
}
