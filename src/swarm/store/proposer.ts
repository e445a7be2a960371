/**
 * How a transaction becomes part of the replicated log (swarmkit manager/state/proposer.go). The store knows
 * this interface only; raft with several members is another implementation of it.
 */
import type { Proc } from "../../scheduler/process.ts";
import type { Version } from "../api/objects.ts";
import type { StoreAction } from "./memory.ts";

/** Makes a write the cluster's: raft. */
export interface Proposer {
  /**
   * Replicates some changes. `apply` is called with nothing between it and the commit, before any later
   * change; then the call returns.
   * Throws when leadership was lost; `apply` was not called then.
   */
  proposeValue(changes: readonly StoreAction[], apply: () => void): Proc<void>;
  /** The commit index. */
  getVersion(): Version;
}

/**
 * The raft log of a swarm with one manager: every proposal is committed at once. Index 1 is the entry that
 * adds the member, index 2 the empty one of the new leader's term (etcd raft).
 */
export class SingleMemberProposer implements Proposer {
  #index = 2;

  // biome-ignore lint/correctness/useYield: a proposer of several members waits for the others here
  *proposeValue(_changes: readonly StoreAction[], apply: () => void): Proc<void> {
    this.#index++;
    apply();
  }

  getVersion(): Version {
    return { index: this.#index };
  }
}
