/**
 * A mesh as a swarm has really made it: the plan says what is wanted, and the swarm decides where tasks run and which
 * addresses there are.
 */
import type { Ipv4 } from "../../base/addr.ts";
import { assert } from "../../base/errors.ts";
import type { MeshFlow, MeshNetwork, MeshPlan, MeshService } from "../../workload/mesh/types.ts";
import type { OverlayTables, RunningContainer, SwarmView } from "./protocol.ts";
import { meshHostName } from "./topology.ts";

/** A container of the plan, where the swarm has put it. */
interface Placed {
  /** Its number in the plan. */
  readonly planned: number;
  readonly host: number;
  readonly id: string;
  readonly ip: Ipv4;
}

/** A plan with the swarm's addresses, and the IDs of its containers by number. */
export interface Allocated {
  readonly plan: MeshPlan;
  readonly ids: readonly string[];
}

/** Name of the container that stands for a planned one where there are no services. */
export function containerName(container: number): string {
  return `c${container}`;
}

/** Containers that `docker run` made: each is where it was planned. */
export function placedByHand(plan: MeshPlan, onHosts: readonly (readonly RunningContainer[])[]): Placed[] {
  const byName = new Map(
    onHosts.flatMap((list, host) => list.map(({ id, name, ip }) => [name, { host, id, ip }] as const)),
  );
  return Array.from({ length: plan.containers.count }, (_, planned) => {
    const found = byName.get(containerName(planned));
    assert(found?.ip !== undefined, "a container of the mesh runs and has an address", containerName(planned));
    return { planned, host: found.host, id: found.id, ip: found.ip };
  });
}

/** Tasks of services: a service's planned containers in order are its tasks in order of host and slot. */
export function placedBySwarm(plan: MeshPlan, view: SwarmView): Placed[] {
  const hostOf = hostsByNode(view);
  const idOf = new Map(view.services.map(({ id, name }) => [name, id]));
  return plan.services.flatMap(({ name, containers }) => {
    const tasks = view.tasks
      .filter(({ service, running }) => running && service === idOf.get(name))
      .map((task) => ({ ...task, host: hostOf.get(task.node) as number }))
      .sort((a, b) => a.host - b.host || a.slot - b.slot);
    assert(tasks.length === containers.length, "every task of a service runs", name, tasks.length);
    return tasks.map(({ host, container, ip }, i): Placed => {
      assert(ip !== undefined, "a task has an address", name);
      return { planned: containers[i] as number, host, id: container, ip };
    });
  });
}

function hostsByNode(view: SwarmView): ReadonlyMap<string, number> {
  const numbers = new Map(view.nodes.map((_, host) => [meshHostName(host), host]));
  return new Map(view.nodes.map(({ id, hostname }) => [id, numbers.get(hostname) as number]));
}

/**
 * The plan as it was allocated. Containers are numbered anew, so that a host's lie side by side.
 * @param tables of each host
 */
export function allocatedPlan(
  plan: MeshPlan,
  view: SwarmView,
  placed: readonly Placed[],
  tables: readonly (readonly OverlayTables[])[],
): Allocated {
  const sorted = [...placed].sort((a, b) => a.host - b.host || a.planned - b.planned);
  const count = sorted.length;
  const number = new Uint32Array(count);
  sorted.forEach(({ planned }, at) => {
    number[planned] = at;
  });
  const containers = {
    count,
    host: Uint32Array.from(sorted, ({ host }) => host),
    network: Uint32Array.from(sorted, ({ planned }) => plan.containers.network[planned] as number),
    ip: Uint32Array.from(sorted, ({ ip }) => ip),
  };
  const services = plan.services.map((service): MeshService => {
    const { vip } = view.services.find(({ name }) => name === service.name) ?? {};
    assert(vip !== undefined, "a service has a VIP", service.name);
    return { ...service, vip, containers: service.containers.map((planned) => number[planned] as number) };
  });
  const flows = plan.flows.map((flow): MeshFlow => {
    const to = "container" in flow.to ? { container: number[flow.to.container] as number } : flow.to;
    return { ...flow, from: number[flow.from] as number, to };
  });
  const networks = plan.networks.map((network, index) => networkOf(network, index, view, containers, tables));
  return { plan: { ...plan, networks, services, containers, flows }, ids: sorted.map(({ id }) => id) };
}

function networkOf(
  network: MeshNetwork,
  index: number,
  view: SwarmView,
  { host, network: of }: MeshPlan["containers"],
  tables: readonly (readonly OverlayTables[])[],
): MeshNetwork {
  const made = view.networks.find(({ name }) => name === network.name);
  assert(made !== undefined, "a network of the mesh is there", network.name);
  const { id, subnet, gateway, vni, encrypted } = made;
  const hosts = [...new Set(host.filter((_, c) => of[c] === index))];
  const loadBalancers = hosts.map((h) => {
    const own = tables[h]?.find((one) => one.network === id)?.loadBalancer;
    assert(own !== undefined, "a host has a load balancer on its networks", h, network.name);
    return own;
  });
  return { id, name: network.name, subnet, gateway, vni, encrypted, hosts, loadBalancers };
}

/** Whether every host has a load balancer on each network of its containers. */
export function haveLoadBalancers(
  view: SwarmView,
  plan: MeshPlan,
  placed: readonly Placed[],
  tables: readonly (readonly OverlayTables[])[],
): boolean {
  const ids = plan.networks.map(({ name }) => view.networks.find((one) => one.name === name)?.id);
  return placed.every(({ planned, host }) => {
    const id = ids[plan.containers.network[planned] as number];
    return tables[host]?.find(({ network }) => network === id)?.loadBalancer !== undefined;
  });
}

/** What each host must know of a mesh when it has converged. */
export class Convergence {
  readonly #plan: MeshPlan;
  readonly #address: (host: number) => Ipv4;
  /** Addresses on each network, its load balancers included, with their hosts. */
  readonly #members: readonly { readonly ip: Ipv4; readonly host: number }[][];
  readonly #services: readonly MeshService[][];
  /** Networks of each host. */
  readonly #networks: readonly number[][];

  /** @param address of a host on the wire */
  constructor(plan: MeshPlan, address: (host: number) => Ipv4) {
    const { containers, networks, services } = plan;
    this.#plan = plan;
    this.#address = address;
    this.#members = networks.map(({ hosts, loadBalancers }) =>
      loadBalancers.map((ip, i) => ({ ip, host: hosts[i] as number })),
    );
    for (let c = 0; c < containers.count; c++)
      this.#members[containers.network[c] as number]?.push({
        ip: containers.ip[c] as number,
        host: containers.host[c] as number,
      });
    this.#services = networks.map((_, index) => services.filter(({ network }) => network === index));
    this.#networks = Array.from({ length: plan.options.hosts }, () => []);
    for (const [index, { hosts }] of networks.entries()) for (const host of hosts) this.#networks[host]?.push(index);
  }

  /**
   * What a host still lacks, in words; undefined when it has a neighbour for every container and load balancer of other
   * hosts on its networks, each service's destinations, and keys with every other host of an encrypted network.
   */
  lacking(host: number, tables: readonly OverlayTables[]): string | undefined {
    for (const index of this.#networks[host] as number[]) {
      const network = this.#plan.networks[index] as MeshNetwork;
      const own = tables.find((one) => one.network === network.id);
      if (own === undefined) return `the network ${network.name}`;
      const remote = new Set(own.remote);
      if (this.#members[index]?.some((member) => member.host !== host && !remote.has(member.ip)))
        return `a neighbour on ${network.name}`;
      for (const service of this.#services[index] as MeshService[]) {
        const found = destinationsOf(own, service).length;
        const missing = service.containers.length - found;
        if (missing !== 0) return `${missing} destinations of ${service.name}`;
      }
      const secured = new Set(own.secured);
      if (network.encrypted && network.hosts.some((peer) => peer !== host && !secured.has(this.#address(peer))))
        return `keys of ${network.name}`;
    }
    return undefined;
  }
}

function destinationsOf({ balanced }: OverlayTables, { vip }: MeshService): readonly Ipv4[] {
  return balanced.find((one) => one.vip === vip)?.destinations ?? [];
}

/** The plan with the orders in which each host's load balancers have learnt of services' containers. */
export function withOrders(plan: MeshPlan, tables: readonly (readonly OverlayTables[])[]): MeshPlan {
  const { ip } = plan.containers;
  const services = plan.services.map((service): MeshService => {
    const network = plan.networks[service.network] as MeshNetwork;
    const numbers = new Map(Array.from(service.containers, (container) => [ip[container] as number, container]));
    const orders = network.hosts.map((host) => {
      const own = tables[host]?.find((one) => one.network === network.id);
      assert(own !== undefined, "a host has its networks", host, network.name);
      return Uint32Array.from(destinationsOf(own, service), (address) => numbers.get(address) as number);
    });
    return { ...service, orders };
  });
  return { ...plan, services };
}
