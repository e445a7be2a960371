/** The managers of the swarm (swarmkit manager/state/raft/membership): who they are, as the leader sees them. */
import { Signal } from "../../scheduler/process.ts";
import type { ManagerStatus } from "../api/objects.ts";

/** A manager of the cluster. */
export interface Member extends ManagerStatus {
  readonly nodeId: string;
}

/** The managers of the cluster: what raft knows. */
export interface Membership {
  /** In order of joining. */
  members(): readonly Member[];
  /** Counts the changes; `changed` is notified of each. */
  readonly version: number;
  readonly changed: Signal;
  /** The address under which this manager's own agent is known. */
  readonly localIp: string;
}

/** A swarm with one manager. */
export class SingleMember implements Membership {
  readonly version = 0;
  readonly changed = new Signal();
  readonly localIp: string;
  readonly #member: Member;

  /** @param addr `ip:port` */
  constructor(nodeId: string, raftId: string, addr: string) {
    this.localIp = addr.replace(/:\d+$/, "");
    this.#member = { nodeId, raftId, addr, leader: true, reachability: "reachable" };
  }

  members(): readonly Member[] {
    return [this.#member];
  }
}
