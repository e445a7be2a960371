/**
 * What an administrator reads off a host and a manager: the tables of the host's overlay networks (`ip neigh`,
 * `iptables-save`, `ipvsadm -L`, `ip xfrm state` in the namespaces under /var/run/docker/netns), and what the swarm has
 * allocated (the Engine API's lists).
 */
import { type Cidr, type Ipv4, parseCidr, parseIpv4 } from "../../base/addr.ts";
import { assert } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { IpvsScheduler } from "../../kernel/ipvs-types.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { Proc } from "../../scheduler/process.ts";
import type { ApiNetwork, ApiNode } from "../../swarm/api/convert.ts";
import type { ApiService, ApiTask } from "../../swarm/api/convert-services.ts";
import type { OverlayTables, RunningContainer, SwarmView } from "./protocol.ts";

/** The VXLAN device of a network's namespace, as libnetwork calls that of the first subnet. */
const VXLAN = "vxlan0";
/** Characters of a network's ID in the names of its namespaces' files: `1-` and `lb_` before them, 12 in all. */
const OVERLAY_ID = 10;
const BALANCER_ID = 9;
const OPTION_ENCRYPTED = "encrypted";
const OPTION_VNI = "com.docker.network.driver.overlay.vxlanid_list";

/** Marks of the services of a load balancer's namespace, by VIP: `-d VIP/32 -j MARK --set-mark`. */
function marksOf(ns: NetNs): ReadonlyMap<Ipv4, number> {
  const marks = new Map<Ipv4, number>();
  const input = ns.iptables.list("mangle")?.find(({ name }) => name === "INPUT");
  for (const { match, target } of input?.rules ?? [])
    if (match.dst !== undefined && target?.kind === "MARK") marks.set(match.dst.value.ip, target.value);
  return marks;
}

function balancedIn(ns: NetNs | undefined): OverlayTables["balanced"] {
  if (ns === undefined) return [];
  return [...marksOf(ns)].map(([vip, fwmark]) => ({
    vip,
    // The kernel lists the newest first.
    destinations: (ns.ipvs.service({ fwmark })?.destinations ?? []).map(({ address }) => address).reverse(),
  }));
}

/** Addresses with which the host has a state in each direction. */
function securedOf(root: NetNs): Ipv4[] {
  const own = new Set(root.addr.list("eth0").map(({ addr }) => addr.ip));
  const states = root.xfrm.stateList();
  const out = new Set(states.filter(({ src }) => own.has(src)).map(({ dst }) => dst));
  const both = new Set(states.filter(({ src, dst }) => own.has(dst) && out.has(src)).map(({ src }) => src));
  return [...both].sort((a, b) => a - b);
}

/** The tables of the overlay networks that have a namespace on this host, but for the ingress network's. */
export function overlayTables(engine: Engine, root: NetNs): OverlayTables[] {
  const files = [...engine.controller.namespaceFiles()];
  const file = (suffix: (name: string) => boolean): NetNs | undefined => files.find(([name]) => suffix(name))?.[1];
  return engine.controller.networks().flatMap((network): OverlayTables[] => {
    const encrypted = network.spec.options?.[OPTION_ENCRYPTED] !== undefined;
    const overlay = file((name) => /^\d+-/.test(name) && name.endsWith(`-${network.id.slice(0, OVERLAY_ID)}`));
    if (overlay === undefined || network.ingress) return [];
    const balancer = file((name) => name === `lb_${network.id.slice(0, BALANCER_ID)}`);
    const addresses = balancer?.addr.list("eth0").map(({ addr }) => addr.ip) ?? [];
    const vips = new Set(balancer === undefined ? [] : marksOf(balancer).keys());
    return [
      {
        network: network.id,
        loadBalancer: addresses.find((ip) => !vips.has(ip)),
        remote: overlay.neigh
          .list(VXLAN)
          .filter(({ state }) => state === "PERMANENT")
          .map(({ ip }) => ip),
        balanced: balancedIn(balancer),
        secured: encrypted ? securedOf(root) : [],
      },
    ];
  });
}

/** `ipvsadm -E -f MARK -s SCHEDULER` in each load balancer that has the service. @returns services that were changed */
export function editSchedulers(
  engine: Engine,
  services: readonly { readonly vip: Ipv4; readonly scheduler: IpvsScheduler }[],
): number {
  let edited = 0;
  const wanted = new Map(services.map(({ vip, scheduler }) => [vip, scheduler]));
  for (const [name, ns] of engine.controller.namespaceFiles()) {
    if (!name.startsWith("lb_")) continue;
    for (const [vip, fwmark] of marksOf(ns)) {
      const scheduler = wanted.get(vip);
      if (scheduler === undefined || ns.ipvs.service({ fwmark }) === undefined) continue;
      ns.ipvs.updateService({ id: { fwmark }, scheduler });
      edited++;
    }
  }
  return edited;
}

function cidrOf(text: string | undefined): Cidr {
  const cidr = parseCidr(text ?? "");
  assert(cidr !== undefined, "an address of the Engine API", text);
  return cidr;
}

function networksIn(list: readonly ApiNetwork[]): SwarmView["networks"] {
  return list
    .filter(({ Driver, Scope, Ingress }) => Driver === "overlay" && Scope === "swarm" && !Ingress)
    .map(({ Id, Name, IPAM, Options }) => ({
      id: Id,
      name: Name,
      subnet: cidrOf(IPAM.Config?.[0]?.Subnet),
      gateway: cidrOf(IPAM.Config?.[0]?.Gateway).ip,
      vni: Number(Options?.[OPTION_VNI]),
      encrypted: Options?.[OPTION_ENCRYPTED] !== undefined,
    }));
}

/** Containers that run, with their addresses on overlay networks. */
export function runningContainers(engine: Engine): RunningContainer[] {
  return engine.containers
    .list()
    .filter(({ running }) => running)
    .map(({ id, name, sandbox }) => {
      const endpoint = sandbox?.endpoints().find(({ network }) => network.type === "overlay");
      return { id, name, ip: endpoint?.address?.ip };
    });
}

/** What a manager says of its swarm. */
export function* swarmView(engine: Engine): Proc<SwarmView> {
  const nodes = (yield* engine.nodeList()) as unknown as readonly ApiNode[];
  const networks = (yield* engine.networkList({ driver: ["overlay"] })) as unknown as readonly ApiNetwork[];
  const services = (yield* engine.serviceList()) as unknown as readonly ApiService[];
  const tasks = (yield* engine.taskList({ "desired-state": ["running"] })) as unknown as readonly ApiTask[];
  return {
    nodes: nodes.map(({ ID, Description, Status }) => ({
      id: ID,
      hostname: Description.Hostname ?? "",
      ready: Status.State === "ready",
    })),
    networks: networksIn(networks),
    services: services.map(({ ID, Spec, Endpoint }) => ({
      id: ID,
      name: Spec.Name ?? "",
      vip: Endpoint.VirtualIPs?.[0]?.Addr === undefined ? undefined : cidrOf(Endpoint.VirtualIPs[0].Addr).ip,
    })),
    tasks: tasks.map((task) => ({
      service: task.ServiceID ?? "",
      slot: task.Slot ?? 0,
      node: task.NodeID ?? "",
      running: task.Status.State === "running",
      container: task.Status.ContainerStatus?.ContainerID ?? "",
      ip: parseIpv4(task.NetworksAttachments?.[0]?.Addresses?.[0]?.split("/")[0] ?? ""),
    })),
  };
}
