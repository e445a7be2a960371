/**
 * How a node of NetworkDB finds its cluster, and finds it again (moby libnetwork/networkdb cluster.go: Join, retryJoin,
 * rejoinClusterBootStrap, reconnectNode).
 */
import type { Ipv4 } from "../../base/addr.ts";
import type { Random } from "../../base/random.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { HostRuntime, Proc } from "../../scheduler/process.ts";
import type { TaskGroup } from "../../scheduler/task-group.ts";
import type { Nodes } from "./nodes.ts";

/** Between two attempts to join, and to reach one that has failed (retryInterval). */
export const RETRY_INTERVAL: Time = SEC;
const REJOIN_DURATION = 10 * SEC;

/** What it is made with. */
export interface BootstrapOptions {
  readonly host: HostRuntime;
  readonly tasks: TaskGroup;
  readonly nodes: Nodes;
  readonly random: Random;
  /** The node's own address, which counts for nothing. */
  readonly own: Ipv4;
  /** Merges states with nodes by push/pull; how many answered. */
  readonly merge: (members: readonly Ipv4[]) => Proc<number>;
  /** Tells the cluster that this node is here; false when that could not be told in time. */
  readonly announce: () => Proc<boolean>;
  /** Exchanges the entries of common networks with a node. */
  readonly sync: (node: string) => Proc;
}

/** The bootstrap nodes, and the ways to them. */
export class Bootstrap {
  readonly #options: BootstrapOptions;
  #members: readonly Ipv4[] = [];
  #retries = 0;

  constructor(options: BootstrapOptions) {
    this.#options = options;
  }

  /** It goes on trying. */
  get retrying(): boolean {
    return this.#retries > 0;
  }

  /** Joins by these nodes; while none answers it tries again in the background. How many answered at once. */
  *join(members: readonly Ipv4[]): Proc<number> {
    const { tasks, merge, announce } = this.#options;
    this.#members = [...members];
    const answered = yield* merge(members);
    if (answered === 0) tasks.spawn("networkdb join", this.#retryJoin(undefined));
    else yield* announce();
    return answered;
  }

  /** Tries to join once a second until somebody answers, or until the deadline. */
  *#retryJoin(until: Time | undefined): Proc {
    this.#retries++;
    try {
      yield* this.#tryToJoin(until);
    } finally {
      this.#retries--;
    }
  }

  *#tryToJoin(until: Time | undefined): Proc {
    const { host, merge, announce } = this.#options;
    const start = host.now();
    for (let attempt = 1; ; attempt++) {
      const next = Math.max(host.now(), start + attempt * RETRY_INTERVAL);
      if (until !== undefined && next > until) return;
      yield { until: next };
      if ((yield* merge(this.#members)) === 0) continue;
      if (yield* announce()) return;
    }
  }

  /** Merges with the bootstrap nodes again if none of them is a member any more. */
  rejoin(): Proc | undefined {
    return this.lost ? this.#retryJoin(this.#options.host.now() + REJOIN_DURATION) : undefined;
  }

  /** None of the bootstrap nodes is a member any more. */
  get lost(): boolean {
    if (this.#members.length === 0) return false;
    const { nodes, own } = this.#options;
    for (const { member } of nodes.active.values()) {
      if (member.addr !== own && this.#members.includes(member.addr)) return false;
    }
    return true;
  }

  /** Tries to reach one of the nodes that have failed. */
  reconnect(): Proc | undefined {
    const { host, nodes, random } = this.#options;
    const failed = [...nodes.failed.values()];
    const node = failed[failed.length === 0 ? 0 : random.seek(host.now()).below(failed.length)];
    return node === undefined ? undefined : this.#reconnectTo(node.member.name, node.member.addr);
  }

  *#reconnectTo(name: string, addr: Ipv4): Proc {
    const { merge, announce, sync } = this.#options;
    if ((yield* merge([addr])) === 0) return;
    if (!(yield* announce())) return;
    yield* sync(name);
  }
}
