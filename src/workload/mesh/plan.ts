/**
 * Makes the plan of a mesh from its options: which container stands on which host and network, and who has which address,
 * as a swarm would have given them out. The same options give the same plan, and nothing in it takes more than a pass
 * over the containers, so that 1,000,000 of them on 10,000 hosts are planned within two seconds.
 *
 * Addresses are those of swarmkit's allocator (src/swarm/manager/allocator): subnets one after the other from the default
 * pool 10.0.0.0/8, the first of which is the ingress network's, VNIs from 4097; in each network the gateway first, then
 * service by service its VIP, its tasks' addresses, and a load balancer's for each host that has a task on the network for
 * the first time. Without services containers come one by one, as `docker run` makes them: an address each, and one for the
 * host's load balancer after its first.
 */
import type { Cidr, Ipv4 } from "../../base/addr.ts";
import { UserError } from "../../base/errors.ts";
import { newSwarmId } from "../../base/ids.ts";
import { Random } from "../../base/random.ts";
import { type EncryptionKey, SUBSYS_IPSEC } from "../../libnetwork/keys.ts";
import { FIRST_FWMARK } from "../../libnetwork/service.ts";
import { FIRST_VNI } from "../../swarm/manager/allocator/network-allocator.ts";
import { FlowPlanner } from "./flows.ts";
import { checkMeshOptions } from "./options.ts";
import { withLearntOrders } from "./orders.ts";
import { Rows, rowsOf, sharedNumbers } from "./rows.ts";
import type { MeshFlow, MeshNetwork, MeshOptions, MeshPlan, MeshService } from "./types.ts";

/** The default pool of swarm networks. */
const POOL: Cidr = { ip: 0x0a000000, prefix: 8 };
/** Default length of the masks of subnets that are cut from it. */
const SUBNET_PREFIX = 24;

/** Keys of a subsystem, and bytes of each: AES-128-GCM. */
const KEYS = 3;
const KEY_LENGTH = 16;

/** Plans a mesh. @throws UserError naming the option that cannot be */
export function planMesh(options: MeshOptions): MeshPlan {
  checkMeshOptions(options);
  const random = new Random(options.seed).fork("mesh");
  const host = hostsOf(options);
  const network = networksOf(options, host);
  const count = options.containers;
  const members = new Rows(options.networks, count, (c) => network[c] as number);
  const prefix = subnetPrefix(options, members);
  const ip = sharedNumbers(count);
  const networks: MeshNetwork[] = [];
  const services: MeshService[] = [];
  const ids = random.fork("networks");
  for (let n = 0; n < options.networks; n++) {
    const addresses = new NetworkAddresses(n, prefix, members.row(n), host, ip);
    for (let s = 0; s < options.services; s++) services.push(addService(options, n, s, services.length, addresses));
    if (options.services === 0) addresses.addTasks(addresses.members);
    networks.push({
      id: newSwarmId(ids),
      name: `net${n}`,
      subnet: addresses.subnet,
      gateway: addresses.gateway,
      vni: FIRST_VNI + 1 + n,
      encrypted: n < options.encrypted,
      ...addresses.loadBalancers(),
    });
  }
  const flows: MeshFlow[] = [];
  const keys = planKeys(random.fork("keys"));
  const containers = { count, host, network, ip };
  const learnt = withLearntOrders(services, networks, host, random.fork("orders"));
  const plan: MeshPlan = { options, networks, services: learnt, containers, flows, keys };
  const planner = new FlowPlanner(plan, rowsOf(plan), random.fork("flows"));
  for (let id = 0; id < options.flows; id++) flows.push(planner.flow(id));
  return plan;
}

/**
 * The swarm's three IPsec keys: their Lamport times follow those of the gossip's three, which nobody needs here (swarmkit
 * manager/keymanager).
 */
function planKeys(random: Random): readonly EncryptionKey[] {
  const clock = random.below(65_536) + KEYS;
  return Array.from({ length: KEYS }, (_, i) => ({
    subsystem: SUBSYS_IPSEC,
    key: random.bytes(KEY_LENGTH),
    lamportTime: clock + 1 + i,
  }));
}

/** Hosts of the containers: equal shares, in order. */
function hostsOf({ hosts, containers }: MeshOptions): Uint32Array {
  const host = sharedNumbers(containers);
  for (let c = 0; c < containers; c++) host[c] = Math.floor((c * hosts) / containers);
  return host;
}

/**
 * Networks of the containers. Network n spans the hosts from n · hosts / networks on, around the end of the row; a host's
 * containers go to the networks that span it in turn, and each host begins with another one.
 */
function networksOf({ hosts, networks, span, containers }: MeshOptions, host: Uint32Array): Uint32Array {
  const spanning: number[][] = Array.from({ length: hosts }, () => []);
  for (let n = 0; n < networks; n++) {
    const first = Math.floor((n * hosts) / networks);
    for (let i = 0; i < span; i++) (spanning[(first + i) % hosts] as number[]).push(n);
  }
  const network = sharedNumbers(containers);
  let slot = 0;
  for (let c = 0; c < containers; c++) {
    const h = host[c] as number;
    slot = c > 0 && host[c - 1] === h ? slot + 1 : 0;
    const own = spanning[h] as number[];
    network[c] = own[(slot + h) % own.length] as number;
  }
  return network;
}

/**
 * Length of the subnets' masks: 24, or what the largest network needs (`docker swarm init --default-addr-pool-mask-length`).
 * @throws UserError when the pool has no room for that many
 */
function subnetPrefix({ networks, services, span }: MeshOptions, members: Rows): number {
  let most = 0;
  for (let n = 0; n < networks; n++) most = Math.max(most, members.row(n).length);
  // Network, gateway and broadcast addresses, VIPs, containers, load balancers.
  const needed = 3 + services + most + span;
  const prefix = Math.min(SUBNET_PREFIX, 32 - Math.ceil(Math.log2(needed)));
  const room = 2 ** Math.max(0, prefix - POOL.prefix) - 1;
  if (prefix <= POOL.prefix || networks > room)
    throw new UserError(
      `mesh, networks: ${networks} subnets of /${prefix} given, expected at most ${Math.max(0, room)}, which 10.0.0.0/8 has room for`,
    );
  return prefix;
}

/** Gives out the addresses of one network, in ascending order as the allocator does. */
class NetworkAddresses {
  readonly subnet: Cidr;
  readonly gateway: Ipv4;
  /** Its containers, ascending. */
  readonly members: Uint32Array;
  readonly #host: Uint32Array;
  readonly #ip: Uint32Array;
  /** Address of the load balancer of each host that has one, in the order in which they got it. */
  readonly #balancers = new Map<number, Ipv4>();
  #next: Ipv4;

  constructor(network: number, prefix: number, members: Uint32Array, host: Uint32Array, ip: Uint32Array) {
    this.subnet = { ip: POOL.ip + (network + 1) * 2 ** (32 - prefix), prefix };
    this.members = members;
    this.#host = host;
    this.#ip = ip;
    this.#next = this.subnet.ip + 1;
    this.gateway = this.take();
  }

  take(): Ipv4 {
    return this.#next++;
  }

  /** Tasks of a service are given their addresses in one go, and their hosts' load balancers after that. */
  addTasks(containers: Uint32Array, atOnce = false): void {
    for (const c of containers) {
      this.#ip[c] = this.take();
      if (!atOnce) this.#addBalancer(c);
    }
    if (atOnce) for (const c of containers) this.#addBalancer(c);
  }

  #addBalancer(container: number): void {
    const host = this.#host[container] as number;
    if (!this.#balancers.has(host)) this.#balancers.set(host, this.take());
  }

  loadBalancers(): { readonly hosts: readonly number[]; readonly loadBalancers: readonly Ipv4[] } {
    const sorted = [...this.#balancers].sort(([a], [b]) => a - b);
    return { hosts: sorted.map(([host]) => host), loadBalancers: sorted.map(([, ip]) => ip) };
  }
}

/** The s-th service of a network: its VIP, and every `services`-th container for a task. */
function addService(
  { services, schedulers }: MeshOptions,
  network: number,
  s: number,
  index: number,
  addresses: NetworkAddresses,
): MeshService {
  const vip = addresses.take();
  const containers = addresses.members.filter((_, k) => k % services === s);
  addresses.addTasks(containers, true);
  const scheduler = schedulers[index % schedulers.length] as MeshService["scheduler"];
  return { name: `net${network}-s${s}`, network, vip, fwmark: FIRST_FWMARK + index, scheduler, containers };
}
