/** The managers a node knows, with weights by experience (swarmkit remotes/remotes.go). */
import type { Random } from "../../base/random.ts";
import type { WeightedPeer } from "../api/rpc.ts";

/** Weight of one observation, good or bad (remotes.DefaultObservationWeight). */
export const OBSERVATION_WEIGHT = 10;
const SMOOTHING = 0.5;
const WEIGHT_LIMIT = 256;
/** Added to each weight, so that none is exactly 0. */
const BIAS = 0.001;

interface Remote {
  readonly nodeId: string;
  readonly addr: string;
  weight: number;
}

/** Managers by weight (swarmkit remotes). */
export class Remotes {
  readonly #random: Random;
  readonly #remotes = new Map<string, Remote>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** In order of first appearance. */
  list(): readonly { readonly nodeId: string; readonly addr: string }[] {
    return [...this.#remotes.values()].map(({ nodeId, addr }) => ({ nodeId, addr }));
  }

  /** What was experienced with a manager: +10 or −10; smoothed, and limited to ±256. */
  observe(nodeId: string, addr: string, weight: number): void {
    const old = this.#remotes.get(addr);
    const sum = old === undefined ? weight : (old.weight + weight) * SMOOTHING + old.weight * (1 - SMOOTHING);
    const limited = Math.max(-WEIGHT_LIMIT, Math.min(WEIGHT_LIMIT, sum));
    this.#remotes.set(addr, { nodeId: nodeId === "" ? (old?.nodeId ?? "") : nodeId, addr, weight: limited });
  }

  /** The list of a session message: unknown ones are added, absent ones dropped. */
  replace(peers: readonly WeightedPeer[]): void {
    for (const addr of [...this.#remotes.keys()]) {
      if (!peers.some((peer) => peer.addr === addr)) this.#remotes.delete(addr);
    }
    for (const { nodeId, addr, weight } of peers) this.observe(nodeId, addr, weight);
  }

  /** A manager by chance, the better ones more often; undefined when none is known. */
  select(): { readonly nodeId: string; readonly addr: string } | undefined {
    const remotes = [...this.#remotes.values()];
    if (remotes.length === 0) return undefined;
    const lowest = Math.min(...remotes.map((remote) => remote.weight));
    // Weights below zero are lifted, so that each has a share.
    const shares = remotes.map((remote) => remote.weight - Math.min(0, lowest) + BIAS);
    let point = this.#random.float() * shares.reduce((sum, share) => sum + share, 0);
    for (const [i, share] of shares.entries()) {
      point -= share;
      if (point < 0) return remotes[i];
    }
    return remotes.at(-1);
  }
}
