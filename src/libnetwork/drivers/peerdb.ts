/**
 * The overlay driver's peer database: which endpoint (IP and MAC) of a network lives behind which VTEP (moby
 * libnetwork/drivers/overlay/peerdb.go, 20.10). Keyed by IP and MAC; the value is a set, since while an address
 * moves between nodes its old and its new record may both be known.
 */
import { formatIpv4, formatMac, type Ipv4, type Mac } from "../../base/addr.ts";

/** One known endpoint. */
export interface PeerEntry {
  readonly endpointId: string;
  readonly ip: Ipv4;
  readonly prefix: number;
  readonly mac: Mac;
  readonly vtep: Ipv4;
  readonly local: boolean;
}

function sameEntry(a: PeerEntry, b: PeerEntry): boolean {
  return a.endpointId === b.endpointId && a.vtep === b.vtep && a.prefix === b.prefix && a.local === b.local;
}

/** Hosts that heard the same record have the same entry, and the same key. */
const keys = new WeakMap<PeerEntry, string>();

function keyOf(entry: PeerEntry): string {
  let key = keys.get(entry);
  if (key === undefined) {
    key = `${formatIpv4(entry.ip)} ${formatMac(entry.mac)}`;
    keys.set(entry, key);
  }
  return key;
}

/** The endpoints of a network that gossip told of (drivers/overlay/peerdb.go). */
export class PeerDb {
  /** Network ID → `ip mac` → entries, first added first. */
  readonly #networks = new Map<string, Map<string, PeerEntry[]>>();

  /** Network ID → entries of other hosts. */
  readonly #remote = new Map<string, number>();

  /** @returns whether the entry is new, and how many its key has now */
  add(networkId: string, entry: PeerEntry): { inserted: boolean; count: number } {
    const network = this.#networks.get(networkId) ?? new Map<string, PeerEntry[]>();
    this.#networks.set(networkId, network);
    const key = keyOf(entry);
    const set = network.get(key);
    if (set?.some((e) => sameEntry(e, entry))) return { inserted: false, count: set.length };
    if (set === undefined) network.set(key, [entry]);
    else set.push(entry);
    this.#countRemote(networkId, entry, 1);
    return { inserted: true, count: set?.length ?? 1 };
  }

  /** @returns whether the entry was there, and how many its key has left */
  delete(networkId: string, entry: PeerEntry): { deleted: boolean; count: number } {
    const network = this.#networks.get(networkId);
    const key = keyOf(entry);
    const set = network?.get(key);
    if (network === undefined || set === undefined) return { deleted: false, count: 0 };
    const at = set.findIndex((e) => sameEntry(e, entry));
    if (at >= 0) set.splice(at, 1);
    if (at >= 0) this.#countRemote(networkId, entry, -1);
    if (set.length === 0) network.delete(key);
    if (network.size === 0) this.#networks.delete(networkId);
    return { deleted: at >= 0, count: set.length };
  }

  /** The first entry of an address, whatever its MAC. */
  search(networkId: string, ip: Ipv4): PeerEntry | undefined {
    for (const entry of this.entries(networkId)) if (entry.ip === ip) return entry;
    return undefined;
  }

  /** All entries of a network, in order of learning. */
  entries(networkId: string): PeerEntry[] {
    return [...(this.#networks.get(networkId)?.values() ?? [])].flat();
  }

  /** How many entries of a network are other hosts'. */
  remoteCount(networkId: string): number {
    return this.#remote.get(networkId) ?? 0;
  }

  networks(): string[] {
    return [...this.#networks.keys()];
  }

  /** Forgets a network (peerFlush). */
  flush(networkId: string): void {
    this.#networks.delete(networkId);
    this.#remote.delete(networkId);
  }

  #countRemote(networkId: string, { local }: PeerEntry, change: 1 | -1): void {
    if (!local) this.#remote.set(networkId, this.remoteCount(networkId) + change);
  }
}
