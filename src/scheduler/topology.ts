/**
 * The physical side of a lab: hosts, their NICs, and the layer-2 segments (switches) that connect them. How hosts are
 * shared out to workers is placement.ts. A frame between two NICs of a segment takes the larger of their two
 * latencies, one way.
 */
import { formatIpv4, formatMac, type Ipv4, type Mac } from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { FOREVER, SEC, type Time, US } from "../base/time.ts";

/** One network interface card and the cable that leads to its segment's switch. */
export interface NicConfig {
  /** Name of the device in the host's root namespace, e.g. `eth0`. */
  readonly device: string;
  readonly segment: string;
  readonly mac: Mac;
  /** Bytes of payload; frames are 14 bytes longer. */
  readonly mtu: number;
  /** One-way delay, ns. */
  readonly latency: Time;
  /** Bits per second; 0 = not limited. */
  readonly bandwidth: number;
  /** Probability 0…1 that a frame leaving by this NIC, or arriving at it, is lost. */
  readonly loss: number;
  /** Frames that wait for the NIC before it drops (a Linux txqueuelen). */
  readonly queue: number;
  /** On a leaf-spine segment: number of the leaf switch that it is plugged into. */
  readonly leaf: number;
  /** On a leaf-spine segment: the address by which leaves know the host, 0 = none (see LeafSpineConfig). */
  readonly address: Ipv4;
}

/**
 * A segment of several switches: leaves with the hosts below, each with a link to every spine. A frame to another leaf
 * goes over the spine that a hash of its flow picks (ECMP), and waits at the leaf's link to it and at the spine's link
 * to the other leaf. Leaves know their hosts' addresses, and hand an ARP request on to its target alone (RFC 9161 §3.3,
 * unicast-forward), so that a broadcast of each host does not reach each other one.
 */
export interface LeafSpineConfig {
  readonly spines: number;
  /** Of each link between a leaf and a spine, in each direction, bits a second. */
  readonly bandwidth: number;
  /** One-way delay of such a link, ns. */
  readonly latency: Time;
  /** Frames that wait for such a link before it drops. */
  readonly queue: number;
}

/** A host of a topology. */
export interface HostConfig {
  readonly name: string;
  readonly nics: readonly NicConfig[];
  /** What the MachineFactory is given; must survive structured cloning. */
  readonly machine: unknown;
  /** How much work it makes, by any measure: workers are given about as much each. */
  readonly weight: number;
}

/** Everything about the machines and wires of a run that workers must agree on. Plain data. */
export interface Topology {
  readonly seed: string;
  readonly hosts: readonly HostConfig[];
  /** Segments that are more than one ideal switch, by name. */
  readonly fabrics: Readonly<Record<string, LeafSpineConfig>>;
}

/** A NIC as written: everything but the name of the segment has a default. */
export interface NicSpec {
  device?: string;
  segment?: string;
  mac?: Mac;
  mtu?: number;
  latency?: Time;
  bandwidth?: number;
  loss?: number;
  queue?: number;
  leaf?: number;
  address?: Ipv4;
}

/** A host as written. Without NICs it has one `eth0` on the segment `underlay`. */
export interface HostSpec {
  name: string;
  nics?: readonly NicSpec[];
  machine?: unknown;
  /** Default 1. */
  weight?: number;
}

/** Values of a NIC that says nothing else: a 10 Gbit/s data-centre network, Linux's default queue length. */
const NIC_DEFAULTS = {
  segment: "underlay",
  mtu: 1500,
  latency: 50 * US,
  bandwidth: 10e9,
  loss: 0,
  queue: 1000,
  leaf: 0,
  address: 0,
} as const;

/** What a frame of full size takes on the wire besides its payload: Ethernet header, check sequence, preamble, gap. */
const WIRE_OVERHEAD = 38;

/** Bytes on the wire of so many frames of full size, as a limit of a queue; an MTU in bytes of payload. */
export function wireBytes(frames: number, mtu: number): number {
  return Math.min(frames * (mtu + WIRE_OVERHEAD), 0xffffffff);
}

/** Fills in the defaults and checks the values. MAC addresses are drawn from the seed and the host's name. */
export function resolveTopology(
  seed: string,
  hosts: readonly HostSpec[],
  fabrics: Readonly<Record<string, LeafSpineConfig>> = {},
): Topology {
  for (const [segment, fabric] of Object.entries(fabrics)) checkFabric(segment, fabric);
  const names = new Set<string>();
  const macs = new Set<Mac>();
  const resolved = hosts.map((host): HostConfig => {
    if (names.has(host.name)) throw new UserError(`host ${host.name}: there are two hosts of that name`);
    names.add(host.name);
    const random = new Random(`${seed}/${host.name}`).fork("nic");
    const nics = (host.nics ?? [{}]).map((nic, i) => resolveNic(host.name, nic, i, random, macs));
    for (const { device, segment, latency } of nics)
      if (fabrics[segment] !== undefined && latency > SEC)
        throw new UserError(`host ${host.name}, ${device}: latency below a leaf must not exceed 1s`);
    const { name, machine, weight = 1 } = host;
    if (!(weight > 0 && weight < Number.POSITIVE_INFINITY))
      throw new UserError(`host ${name}: weight must be more than 0`);
    return { name, nics, machine, weight };
  });
  checkAddresses(resolved, fabrics);
  return { seed, hosts: resolved, fabrics };
}

/** Leaves of a fabric at most. */
const MAX_LEAVES = 65_536;
/** Spines of a fabric at most: the kernel keeps the links of a leaf that are up as bits of one word. */
export const MAX_SPINES = 64;

/** @throws UserError */
function checkFabric(segment: string, { spines, bandwidth, latency, queue }: LeafSpineConfig): void {
  const where = `segment ${segment}`;
  if (!(Number.isInteger(spines) && spines >= 1 && spines <= MAX_SPINES))
    throw new UserError(`${where}: spines must be a number from 1 to ${MAX_SPINES}`);
  if (!(bandwidth >= 1)) throw new UserError(`${where}: the bandwidth of its links must be more than 0`);
  if (!(latency >= 0 && latency <= SEC && Number.isInteger(latency)))
    throw new UserError(`${where}: the latency of its links must lie between 0 and 1s`);
  if (!(queue >= 1)) throw new UserError(`${where}: the queue of a link must hold at least one frame`);
}

/** @throws UserError where a leaf would know two hosts by one address */
function checkAddresses(hosts: readonly HostConfig[], fabrics: Topology["fabrics"]): void {
  const taken = new Map<string, string>();
  for (const { name, nics } of hosts) {
    for (const { device, segment, address } of nics) {
      if (address === 0 || fabrics[segment] === undefined) continue;
      const key = `${segment} ${address}`;
      const other = taken.get(key);
      if (other !== undefined)
        throw new UserError(`host ${name}, ${device}: the address ${formatIpv4(address)} is ${other}'s`);
      taken.set(key, name);
    }
  }
}

function resolveNic(host: string, spec: NicSpec, index: number, random: Random, taken: Set<Mac>): NicConfig {
  const nic = { device: `eth${index}`, mac: 0, ...NIC_DEFAULTS, ...spec };
  const where = `host ${host}, ${nic.device}`;
  if (!(nic.latency >= 0 && Number.isSafeInteger(nic.latency)))
    throw new UserError(`${where}: latency must not be negative`);
  if (!(nic.loss >= 0 && nic.loss <= 1)) throw new UserError(`${where}: loss must lie between 0 and 1`);
  if (!(nic.bandwidth >= 0)) throw new UserError(`${where}: bandwidth must not be negative`);
  if (!(nic.mtu >= 68 && nic.mtu <= 65_535)) throw new UserError(`${where}: MTU must lie between 68 and 65535`);
  if (!(nic.queue >= 1)) throw new UserError(`${where}: the queue must hold at least one frame`);
  if (!(Number.isInteger(nic.leaf) && nic.leaf >= 0 && nic.leaf < MAX_LEAVES))
    throw new UserError(`${where}: leaf must be a number from 0 to ${MAX_LEAVES - 1}`);
  if (nic.mac === 0) nic.mac = drawMac(random, taken);
  if (taken.has(nic.mac)) throw new UserError(`${where}: the MAC address ${formatMac(nic.mac)} is taken`);
  taken.add(nic.mac);
  return nic;
}

/** An address under 52:54:00, the prefix that QEMU gives its machines, not in use yet. */
function drawMac(random: Random, taken: ReadonlySet<Mac>): Mac {
  for (;;) {
    const mac = 0x525400 * 2 ** 24 + (random.u32() & 0xffffff);
    if (!taken.has(mac)) return mac;
  }
}

/**
 * The one-way delay between two hosts, over the segment on which it is smallest. On a flat segment, and below one leaf,
 * it is the larger of the two latencies; from leaf to leaf it is the sender's latency, two links between leaf and spine,
 * and the receiver's latency. FOREVER when they share no segment.
 *
 * Between hosts of different workers it is also the least time between the event in which the sender's worker lets a
 * frame go and the first event that the receiver's worker has with it, so a window may be as long as the smallest of
 * these (lookaheadOf). From leaf to leaf that takes a trick, for the frame waits at two switch links on its way: a
 * leaf's link is served in order of arrival at the leaf, and nothing gets there in less than the smallest latency of
 * the leaf's hosts, so the kernel serves it that much before the frames are there; in the same way the spine's link to
 * the other leaf is served only when the frame would be at that leaf's nearest host (assembly/link/fabric.ts).
 */
export function oneWayDelay(a: HostConfig, b: HostConfig, topology: Pick<Topology, "fabrics">): Time {
  let best = FOREVER;
  for (const nicA of a.nics) {
    for (const nicB of b.nics) {
      if (nicA.segment !== nicB.segment) continue;
      const fabric = topology.fabrics[nicA.segment];
      const delay =
        fabric === undefined || nicA.leaf === nicB.leaf
          ? Math.max(nicA.latency, nicB.latency)
          : nicA.latency + 2 * fabric.latency + nicB.latency;
      best = Math.min(best, delay);
    }
  }
  return best;
}

/**
 * The lookahead from each worker to each other one, by `from * workers + to`: the smallest one-way delay between their
 * hosts, FOREVER when no wire crosses. Nothing that a worker does has an effect in another one sooner. All hosts of a
 * leaf must be in one worker.
 *
 * On a flat segment the delay of a pair is the larger of two latencies, from leaf to leaf their sum and a constant:
 * either way the smallest latency of each worker on the segment gives the smallest delay.
 */
export function lookaheads(topology: Topology, owner: readonly number[], workers: number): Float64Array {
  const segments = new Map<string, Float64Array>();
  topology.hosts.forEach((host, i) => {
    for (const nic of host.nics) {
      const least = segments.get(nic.segment) ?? new Float64Array(workers).fill(FOREVER);
      segments.set(nic.segment, least);
      const worker = owner[i] as number;
      least[worker] = Math.min(least[worker] as Time, nic.latency);
    }
  });
  const delays = new Float64Array(workers * workers).fill(FOREVER);
  for (const [segment, least] of segments) {
    const fabric = topology.fabrics[segment];
    for (let at = 0; at < delays.length; at++) {
      const a = least[Math.floor(at / workers)] as Time;
      const b = least[at % workers] as Time;
      if (Math.floor(at / workers) === at % workers || a === FOREVER || b === FOREVER) continue;
      delays[at] = Math.min(delays[at] as Time, fabric === undefined ? Math.max(a, b) : a + 2 * fabric.latency + b);
    }
  }
  return delays;
}

/** The smallest lookahead between any two workers, FOREVER when no wire crosses. */
export function lookaheadOf(topology: Topology, owner: readonly number[]): Time {
  return lookaheads(topology, owner, Math.max(...owner) + 1).reduce((least, delay) => Math.min(least, delay), FOREVER);
}
