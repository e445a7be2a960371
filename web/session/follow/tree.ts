/**
 * The road of a packet as a tree: what was seen of it in order of time, and for each of it what came before. One packet may
 * become many (a flood, fragments), which all are one journey.
 *
 * A kernel handles a packet through all its functions without a pause, so what was seen before on the same host is what came
 * before. Four things cut in: a device hands a frame to another one's queue, where it is received in the order of handing
 * over (veth), a wire brings it to other hosts, a bridge or ip_fragment goes on with the next copy, and a packet waits for an
 * ARP reply.
 */
import { assert } from "../../../src/base/errors.ts";
import type { Hop } from "./hop-log.ts";

const RECEIVED = 1;
const SENT = 2;

/** Something that was seen of a packet, and what came behind it. */
export interface TreeNode {
  readonly key: number;
  readonly hop: Hop;
  readonly children: TreeNode[];
  /** How well the best of the ends behind it went, see rankOf. */
  rank: number;
}

/** Reasons of drops that say nothing but that a copy was for somebody else. */
export const FOR_OTHERS: ReadonlySet<string> = new Set(["OTHERHOST", "ARP_CONSUMED", "ARP_PROXY_CONSUMED"]);

/** A function that goes on with several copies, and how many of them it still will. */
interface Splitter {
  readonly node: TreeNode;
  left: number;
  /** The bridge itself has had its copy, or gets none. */
  up: boolean;
}

/** Builds the tree of a journey's hops. @param hops in order, at least one */
export function roadTree(hops: readonly Hop[]): TreeNode {
  const builder = new Builder();
  const nodes = hops.map((hop, key) => builder.add(hop, key));
  for (const node of nodes.toReversed()) {
    const best = Math.max(...node.children.map((child) => child.rank));
    node.rank = node.children.length === 0 ? rankOf(node.hop) : best;
  }
  const root = nodes[0];
  assert(root !== undefined, "a journey has hops");
  return root;
}

/** An end that tells most of what became of the packet: delivered, dropped, on its way, for somebody else. */
function rankOf({ mark }: Hop): number {
  if (mark?.kind === "deliver") return mark.to === "ARP" ? 3 : 4;
  if (mark?.kind === "drop") return FOR_OTHERS.has(mark.reason) ? 0 : 2;
  return 1;
}

/** The child that the main road goes on with: the best end, the first of equals. */
export function mainChild({ children }: TreeNode): TreeNode | undefined {
  return children.reduce<TreeNode | undefined>(
    (best, child) => (best === undefined || child.rank > best.rank ? child : best),
    undefined,
  );
}

class Builder {
  /** The newest node of each host, and of each namespace of it. */
  readonly #last = new Map<number, TreeNode>();
  readonly #lastInLane = new Map<string, TreeNode>();
  #newest: TreeNode | undefined;
  /** Frames that were sent and nobody has received yet. */
  readonly #sent: TreeNode[] = [];
  /** By host and namespace. */
  readonly #splitters = new Map<string, Splitter>();

  add(hop: Hop, key: number): TreeNode {
    const node: TreeNode = { key, hop, children: [], rank: 0 };
    this.#parentOf(hop)?.children.push(node);
    this.#note(node);
    this.#last.set(hop.hostIndex, node);
    this.#lastInLane.set(lane(hop), node);
    this.#newest = node;
    return node;
  }

  #parentOf(hop: Hop): TreeNode | undefined {
    const before = this.#before(hop);
    const splitter = this.#splitters.get(lane(hop));
    if (hop.frame?.direction === RECEIVED) return this.#senderOf(hop) ?? before;
    if (splitter === undefined) return before;
    if (!splitter.up && hop.mark !== undefined && hop.device === splitter.node.hop.device) {
      splitter.up = true;
      return splitter.node;
    }
    if (splitter.left === 0) return before;
    const { kind } = splitter.node.hop.mark ?? {};
    const begins = kind === "fragment" ? hop.mark?.kind === "neighbour" : hop.frame?.direction === SENT;
    if (!begins) return before;
    splitter.left--;
    return splitter.node;
  }

  /**
   * What came before on the host. Copies may be handled while one of them waits for an ARP reply: what isn't received, nor
   * handed to another namespace by a tunnel, goes on where it was.
   */
  #before(hop: Hop): TreeNode | undefined {
    const last = this.#last.get(hop.hostIndex) ?? this.#newest;
    const { kind } = hop.mark ?? {};
    if (hop.frame?.direction === RECEIVED || kind === "output" || kind === "vxlan-in") return last;
    return this.#lastInLane.get(lane(hop)) ?? last;
  }

  /** Who sent what is received here: in the order of sending on this host, whoever it was on another. */
  #senderOf(hop: Hop): TreeNode | undefined {
    const own = this.#sent.findIndex(
      ({ hop: sent }) => sent.hostIndex === hop.hostIndex && sent.namespace !== hop.namespace && sameBytes(sent, hop),
    );
    if (own >= 0) return this.#sent.splice(own, 1)[0];
    return this.#sent.findLast(
      ({ hop: sent }) => sent.hostIndex !== hop.hostIndex && sent.time < hop.time && sameBytes(sent, hop),
    );
  }

  /** What a node means for those behind it. */
  #note(node: TreeNode): void {
    const { frame, mark } = node.hop;
    if (frame?.direction === SENT) this.#sent.push(node);
    if (mark === undefined) return;
    const inLane = (other: TreeNode): boolean => lane(other.hop) === lane(node.hop);
    // What a bridge or a tunnel was given to send has gone on inside: no queue has it.
    if (mark.kind === "vxlan-out" || mark.kind === "bridge") {
      const last = this.#last.get(mark.hostIndex);
      const at = last !== undefined && inLane(last) ? this.#sent.indexOf(last) : -1;
      if (at >= 0) this.#sent.splice(at, 1);
    }
    if (mark.kind === "bridge" && mark.choice === "flood")
      this.#splitters.set(lane(node.hop), { node, left: mark.ports, up: false });
    if (mark.kind === "fragment")
      this.#splitters.set(lane(node.hop), { node, left: Number.POSITIVE_INFINITY, up: true });
  }
}

function lane(hop: Hop): string {
  return `${hop.hostIndex}/${hop.namespace}`;
}

function sameBytes(a: Hop, b: Hop): boolean {
  const one = a.frame?.data;
  const other = b.frame?.data;
  if (one === undefined || other === undefined || a.frame?.length !== b.frame?.length) return false;
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}
