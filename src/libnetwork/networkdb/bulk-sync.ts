/**
 * Bulk sync (moby libnetwork/networkdb cluster.go bulkSyncTables, bulkSync, bulkSyncNode): all entries of
 * the common networks to one node over TCP, which answers over a connection of its own.
 */
import { KernelError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { SEC } from "../../base/time.ts";
import type { Memberlist } from "../../memberlist/memberlist.ts";
import { pickRandom } from "../../memberlist/scale.ts";
import type { HostRuntime, Proc } from "../../scheduler/process.ts";
import { Signal } from "../../scheduler/process.ts";
import { encodeHeardSync, encodeTableEvent, type HeardEvent, HeardSync, heardOf, TABLE_CHANGE } from "./messages.ts";
import type { ClusterState } from "./state.ts";
import type { Entry } from "./table-store.ts";

const ACK_TIMEOUT = 30 * SEC;

class Ack extends Signal {
  done = false;
}

/** What the answer to a sync is waited with. */
export class BulkSyncer {
  readonly #host: HostRuntime;
  readonly #state: ClusterState;
  readonly #memberlist: Memberlist;
  readonly #random: Random;
  readonly #warn: (text: string) => void;
  readonly #acks = new Map<string, Ack>();
  #running = 0;

  constructor(
    host: HostRuntime,
    state: ClusterState,
    memberlist: Memberlist,
    random: Random,
    warn: (text: string) => void,
  ) {
    this.#host = host;
    this.#state = state;
    this.#memberlist = memberlist;
    this.#random = random;
    this.#warn = warn;
  }

  /** A sync or the wait for its answer is under way. */
  get busy(): boolean {
    return this.#running > 0;
  }

  /** What partners are drawn from. */
  get randomKey(): string {
    return this.#random.key;
  }

  /** The periodic sync: for each network one random node of it; networks done along the way are not repeated. */
  *periodic(): Proc {
    const { attachments } = this.#state;
    let networks = [...attachments.own.values()].filter((own) => !own.leaving).map((own) => own.networkId);
    const tick = this.#host.now();
    for (let turn = 0, network = networks.shift(); network !== undefined; network = networks.shift()) {
      const nodes = [...attachments.nodesOf(network)];
      if (nodes.length === 0) continue;
      // The chance of each turn depends on the tick, not on how long the turns before it took.
      const completed = yield* this.withOneOf(nodes, tick + turn++);
      networks = networks.filter((other) => !completed.includes(other));
    }
  }

  /**
   * Syncs with one random node, with a second one should the first fail.
   * @param chance position in the random stream
   * @returns the networks that were synced
   */
  *withOneOf(nodes: readonly string[], chance: number): Proc<readonly string[]> {
    for (const node of pickRandom(this.#random.seek(chance), 2, nodes, (name) => name !== this.#state.self)) {
      const networks = this.#state.attachments.common(node);
      if (yield* this.#tryNode(networks, node)) return networks;
    }
    return [];
  }

  /** Syncs with each node, one after the other. */
  *withAll(nodes: readonly string[]): Proc {
    for (const node of nodes) {
      if (node !== this.#state.self) yield* this.#tryNode(this.#state.attachments.common(node), node);
    }
  }

  *#tryNode(networks: readonly string[], node: string): Proc<boolean> {
    try {
      yield* this.withNode(networks, node, true);
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#warn(`bulk sync to node ${node} failed: failed to send a TCP message during bulk sync: ${error.message}`);
      return false;
    }
  }

  /** @throws KernelError when the node cannot be reached */
  *withNode(networks: readonly string[], node: string, unsolicited: boolean): Proc {
    this.#running++;
    try {
      yield* this.#syncWith(networks, node, unsolicited);
    } finally {
      this.#running--;
    }
  }

  *#syncWith(networks: readonly string[], node: string, unsolicited: boolean): Proc {
    const peer = this.#state.nodes.active.get(node);
    if (peer === undefined) return;
    const message = this.#message(networks, unsolicited);
    // As in the original an answer takes the place of a wait for the same node, which then runs into its timeout.
    const ack = new Ack();
    this.#acks.set(node, ack);
    try {
      yield* this.#memberlist.sendReliable(peer.member, () => encodeHeardSync(message), message);
    } catch (error) {
      this.#acks.delete(node);
      throw error;
    }
    if (!unsolicited) return;
    const until = this.#host.now() + ACK_TIMEOUT;
    while (!ack.done) {
      if ((yield { on: [ack], until }) === undefined) {
        this.#warn(`Bulk sync to node ${node} timed out`);
        return;
      }
    }
  }

  /** A node answered. */
  acknowledge(node: string): void {
    const ack = this.#acks.get(node);
    if (ack === undefined) return;
    this.#acks.delete(node);
    ack.done = true;
    ack.notify();
  }

  #message(networks: readonly string[], unsolicited: boolean): HeardSync {
    const events = networks.flatMap((network) => this.#state.store.ofNetwork(network).map(eventOf));
    const lTime = this.#state.tableClock.time;
    return new HeardSync({ lTime, unsolicited, nodeName: this.#state.self, networks }, events);
  }
}

/** Events of live entries, which don't change: every sync sends them again. */
const events = new WeakMap<Entry, HeardEvent>();

function eventOf(entry: Entry): HeardEvent {
  const known = events.get(entry);
  if (known !== undefined) return known;
  const event = heardOf(encodeEvent(entry));
  if (!entry.deleting && entry.reapTime === 0) events.set(entry, event);
  return event;
}

function encodeEvent(entry: Entry): Uint8Array {
  return encodeTableEvent({
    type: entry.deleting ? TABLE_CHANGE.delete : TABLE_CHANGE.create,
    lTime: entry.lTime,
    nodeName: entry.node,
    networkId: entry.networkId,
    tableName: entry.table,
    key: entry.key,
    value: entry.value,
    residualReapTime: Math.floor(entry.reapTime / SEC),
  });
}
