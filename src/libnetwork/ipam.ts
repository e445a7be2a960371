/**
 * Address management of one node: pools of the local scope, and the swarm's pools and addresses as the manager
 * chose them (moby libnetwork/ipam 20.10, ipamutils). The manager's own allocation lives in `src/swarm`.
 */
import { broadcastOf, type Cidr, cidrContains, cidrOverlaps, formatCidr, type Ipv4, networkOf } from "../base/addr.ts";
import { UserError } from "../base/errors.ts";

function splitPool(base: Cidr, prefix: number): Cidr[] {
  const out: Cidr[] = [];
  const size = 2 ** (32 - prefix);
  for (let ip = base.ip; ip < base.ip + 2 ** (32 - base.prefix); ip += size) out.push({ ip, prefix });
  return out;
}

/** PredefinedLocalScopeDefaultNetworks: 172.17/16 … 172.31/16 as Docker groups them, then 192.168.0.0/16 in /20s; 31 pools. */
export const LOCAL_DEFAULT_POOLS: readonly Cidr[] = [
  { ip: 0xac110000, prefix: 16 },
  { ip: 0xac120000, prefix: 16 },
  { ip: 0xac130000, prefix: 16 },
  ...splitPool({ ip: 0xac140000, prefix: 14 }, 16),
  ...splitPool({ ip: 0xac180000, prefix: 14 }, 16),
  ...splitPool({ ip: 0xac1c0000, prefix: 14 }, 16),
  ...splitPool({ ip: 0xc0a80000, prefix: 16 }, 20),
];

/** Where a pool is known: on this host or in the whole swarm. */
export type AddressSpace = "LocalDefault" | "GlobalDefault";

/** Thrown when a pool has no address left (ipamapi.ErrNoAvailableIPs). */
export class NoAddressError extends UserError {
  override name = "NoAddressError";
  constructor() {
    super("no available addresses on this pool");
  }
}

/** The addresses of one subnet. */
export class AddressPool {
  readonly space: AddressSpace;
  readonly subnet: Cidr;
  /** Part of the subnet that unspecific requests are served from (`--ip-range`). */
  readonly range: Cidr;
  readonly #used = new Set<Ipv4>();
  /** Every address below this one in the range is taken; saves the scan from the bottom. */
  #lowest: Ipv4;

  constructor(space: AddressSpace, subnet: Cidr, range: Cidr | undefined) {
    this.space = space;
    this.subnet = subnet;
    this.range = range ?? subnet;
    this.#lowest = this.range.ip;
    this.#used.add(subnet.ip);
    this.#used.add(broadcastOf(subnet));
  }

  /** Addresses taken, the network and broadcast ones included. */
  get used(): number {
    return this.#used.size;
  }

  /** The preferred address, or the lowest free one of the range. Throws UserError with Docker's texts. */
  request(preferred?: Ipv4): Ipv4 {
    if (preferred !== undefined) {
      if (!cidrContains(this.subnet, preferred)) throw new UserError("requested address is out of range");
      if (this.#used.has(preferred)) throw new UserError("Address already in use");
      this.#used.add(preferred);
      return preferred;
    }
    const last = broadcastOf(this.range);
    for (let ip = this.#lowest; ip <= last; ip++) {
      if (this.#used.has(ip)) continue;
      this.#used.add(ip);
      this.#lowest = ip + 1;
      return ip;
    }
    throw new NoAddressError();
  }

  release(ip: Ipv4): void {
    if (ip === this.subnet.ip || ip === broadcastOf(this.subnet)) return;
    if (this.#used.delete(ip) && ip < this.#lowest && cidrContains(this.range, ip)) this.#lowest = ip;
  }
}

/** The node's allocator. */
export class Ipam {
  readonly #predefined: readonly Cidr[];
  readonly #pools: AddressPool[] = [];
  /** Where the next search among the predefined pools starts: 20.10 goes round, and re-uses a freed pool only after the wrap. */
  #start = 0;

  constructor(predefined: readonly Cidr[] = LOCAL_DEFAULT_POOLS) {
    this.#predefined = predefined;
  }

  #overlaps(space: AddressSpace, subnet: Cidr): boolean {
    return this.#pools.some((pool) => pool.space === space && cidrOverlaps(pool.subnet, subnet));
  }

  /** The pool the user (or the manager) asks for. Host bits are masked off. */
  requestPool(space: AddressSpace, subnet: Cidr, range?: Cidr): AddressPool {
    const net = networkOf(subnet);
    if (this.#overlaps(space, net)) throw new UserError("Pool overlaps with other one on this address space");
    const pool = new AddressPool(space, net, range === undefined ? undefined : networkOf(range));
    this.#pools.push(pool);
    return pool;
  }

  /**
   * The next of the local default pools.
   * @param avoid networks that must not overlap: the host's routes and name servers (netutils.FindAvailableNetwork)
   */
  requestDefaultPool(avoid: readonly Cidr[]): AddressPool {
    const rejected: AddressPool[] = [];
    try {
      for (;;) {
        const pool = this.#nextPredefined();
        if (!avoid.some((net) => cidrOverlaps(net, pool.subnet))) return pool;
        rejected.push(pool);
      }
    } finally {
      for (const pool of rejected) this.releasePool(pool);
    }
  }

  #nextPredefined(): AddressPool {
    const count = this.#predefined.length;
    for (let i = 0; i < count; i++) {
      const subnet = this.#predefined[(this.#start + i) % count] as Cidr;
      if (this.#overlaps("LocalDefault", subnet)) continue;
      const next = this.#start + i + 1;
      this.#start = next >= count ? 0 : next;
      return this.requestPool("LocalDefault", subnet);
    }
    throw new UserError(
      "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
    );
  }

  /** The first default pool that overlaps nothing of the host, without taking it (netutils.ElectInterfaceAddresses for docker0). */
  electDefaultPool(avoid: readonly Cidr[]): Cidr {
    const pool = this.#predefined.find((subnet) => !avoid.some((net) => cidrOverlaps(net, subnet)));
    if (pool === undefined)
      throw new UserError("could not find an available, non-overlapping IPv4 address pool among the defaults");
    return pool;
  }

  releasePool(pool: AddressPool): void {
    const at = this.#pools.indexOf(pool);
    if (at >= 0) this.#pools.splice(at, 1);
  }

  /** Pools in use, for tests and diagnostics. */
  pools(): readonly string[] {
    return this.#pools.map((pool) => `${pool.space}/${formatCidr(pool.subnet)}`);
  }
}
