/**
 * The manager's IPAM (libnetwork ipam + ipamutils, 20.10): pools cut from the default address pools next-fit,
 * and serial addresses within a pool. All in the leader's memory; a new leader takes what the store says and
 * starts its cursors at the lowest free number.
 */
import {
  broadcastOf,
  type Cidr,
  cidrContains,
  cidrOverlaps,
  formatCidr,
  type Ipv4,
  networkOf,
  parseCidr,
  parseIpv4,
} from "../../../base/addr.ts";
import { assert } from "../../../base/errors.ts";
import { NextFit } from "./next-fit.ts";

/** A refusal of the allocator; it ends in the manager's log, never at a user. */
export class AllocationError extends Error {
  override name = "AllocationError";
}

/** Errors, as libnetwork/ipamapi words them. */
export const POOL_OVERLAP = "Pool overlaps with other one on this address space";

/** No pool is left. */
export const POOLS_EXHAUSTED =
  "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network";
/** No address of the pool is left. */
export const NO_AVAILABLE_IP = "could not find an available IP";
export const ADDRESS_IN_USE = "Address already in use";

/** An allocated subnet. */
export class Pool {
  /** As it was asked for: 20.10 keeps host bits. */
  readonly text: string;
  readonly subnet: Cidr;
  readonly #range: Cidr | undefined;
  readonly #addresses: NextFit;

  constructor(text: string, range: string) {
    const cidr = parseCidr(text);
    assert(cidr !== undefined, "pool is no CIDR", text);
    this.text = text;
    this.subnet = networkOf(cidr);
    const parsed = range === "" ? undefined : parseCidr(range);
    this.#range = parsed === undefined ? undefined : networkOf(parsed);
    this.#addresses = new NextFit(this.subnet.ip, broadcastOf(this.subnet));
    this.#addresses.take(this.subnet.ip);
    this.#addresses.take(broadcastOf(this.subnet));
  }

  /** The next free address, within `--ip-range` if the pool has one. */
  next(): Ipv4 {
    const range = this.#range;
    const ip = range === undefined ? this.#addresses.next() : this.#addresses.next(range.ip, broadcastOf(range));
    if (ip === undefined) throw new AllocationError(NO_AVAILABLE_IP);
    return ip;
  }

  /** A certain address. */
  take(ip: Ipv4): void {
    if (!this.#addresses.take(ip)) throw new AllocationError(ADDRESS_IN_USE);
  }

  release(ip: Ipv4): void {
    // The network and broadcast addresses are never handed out, so they are never given back.
    if (ip !== this.subnet.ip && ip !== broadcastOf(this.subnet)) this.#addresses.release(ip);
  }

  contains(ip: Ipv4): boolean {
    return cidrContains(this.subnet, ip);
  }

  /** An address with the pool's prefix length, as the store has it. */
  format(ip: Ipv4): string {
    return formatCidr({ ip, prefix: this.subnet.prefix });
  }
}

/** The default pools, sorted by address, as blocks of one size. */
interface DefaultBlocks {
  readonly prefix: number;
  /** First address and number of blocks of each default pool. */
  readonly pools: readonly { readonly start: Ipv4; readonly count: number }[];
  readonly total: number;
}

function cutPools(pools: readonly string[], prefix: number): DefaultBlocks {
  const parsed = pools.map((text) => {
    const cidr = parseCidr(text);
    assert(cidr !== undefined, "default address pool is no CIDR", text);
    return networkOf(cidr);
  });
  parsed.sort((a, b) => a.ip - b.ip || a.prefix - b.prefix);
  const cut: { start: Ipv4; count: number }[] = [];
  let outer: Cidr | undefined;
  for (const pool of parsed) {
    // A pool inside the one before adds nothing.
    if (outer !== undefined && cidrContains(outer, pool.ip)) continue;
    outer = pool;
    cut.push({ start: pool.ip, count: 2 ** Math.max(0, prefix - pool.prefix) });
  }
  return { prefix, pools: cut, total: cut.reduce((sum, pool) => sum + pool.count, 0) };
}

/** The address space of a swarm. */
export class AddressSpace {
  readonly #defaults: readonly string[];
  readonly #blocks: DefaultBlocks;
  readonly #pools: Pool[] = [];
  /** Number of the block after the one handed out last. */
  #next = 0;

  /** @param pools CIDRs; empty = 10.0.0.0/8 @param prefix mask length of the cut, 0 = 24 */
  constructor(pools: readonly string[], prefix: number) {
    this.#defaults = pools.length > 0 ? pools : ["10.0.0.0/8"];
    this.#blocks = cutPools(this.#defaults, prefix === 0 ? 24 : prefix);
  }

  /** The next free block of the default pools. */
  requestAny(range: string): Pool {
    for (let i = 0; i < this.#blocks.total; i++) {
      const number = (this.#next + i) % this.#blocks.total;
      const cidr = blockOf(this.#blocks, number);
      if (this.#overlaps(cidr)) continue;
      this.#next = (number + 1) % this.#blocks.total;
      return this.#add(formatCidr(cidr), range);
    }
    throw new AllocationError(POOLS_EXHAUSTED);
  }

  /** The lowest free block of another size: what a subnet `0.0.0.0/N` asks for. */
  requestSize(prefix: number, range: string): Pool {
    const blocks = cutPools(this.#defaults, prefix);
    for (let number = 0; number < blocks.total; number++) {
      const cidr = blockOf(blocks, number);
      if (!this.#overlaps(cidr)) return this.#add(formatCidr(cidr), range);
    }
    throw new AllocationError(POOLS_EXHAUSTED);
  }

  /** A user's subnet. */
  request(subnet: string, range: string): Pool {
    const cidr = parseCidr(subnet);
    if (cidr === undefined) throw new AllocationError(`Invalid Address Pool: ${subnet}`);
    if (this.#overlaps(networkOf(cidr))) throw new AllocationError(POOL_OVERLAP);
    return this.#add(subnet, range);
  }

  release(pool: Pool): void {
    const at = this.#pools.indexOf(pool);
    if (at >= 0) this.#pools.splice(at, 1);
  }

  #add(text: string, range: string): Pool {
    const pool = new Pool(text, range);
    this.#pools.push(pool);
    return pool;
  }

  #overlaps(cidr: Cidr): boolean {
    return this.#pools.some((pool) => cidrOverlaps(pool.subnet, cidr));
  }
}

/** The n-th block of the default pools. */
function blockOf(blocks: DefaultBlocks, number: number): Cidr {
  let rest = number;
  for (const pool of blocks.pools) {
    if (rest < pool.count) return { ip: pool.start + rest * 2 ** (32 - blocks.prefix), prefix: blocks.prefix };
    rest -= pool.count;
  }
  throw new AllocationError(POOLS_EXHAUSTED);
}

/** The address of `10.0.1.2` or `10.0.1.2/24`; undefined for another text. */
export function addressOf(text: string): Ipv4 | undefined {
  return text.includes("/") ? parseCidr(text)?.ip : parseIpv4(text);
}
