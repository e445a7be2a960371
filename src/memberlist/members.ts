/**
 * Who is in the cluster, as one node sees it: the state machine of SWIM with incarnations, suspicion and
 * refutation (hashicorp/memberlist state.go aliveNode, suspectNode, deadNode, mergeState; suspicion.go; awareness.go).
 */
import { formatIpv4, type Ipv4 } from "../base/addr.ts";
import type { Random } from "../base/random.ts";
import { RecentNumbers } from "../base/recent-numbers.ts";
import type { Time } from "../base/time.ts";
import type { Process } from "../scheduler/process.ts";
import type { TaskGroup } from "../scheduler/task-group.ts";
import type { Broadcast, BroadcastQueue } from "./broadcast-queue.ts";
import { LAN, type MemberlistConfig } from "./config.ts";
import {
  type AliveMessage,
  aliveOf,
  aliveState,
  type DeadMessage,
  encodeAlive,
  encodeDead,
  encodeSuspect,
  MEMBER_STATE,
  type MemberState,
  type NodeStateMessage,
  recallAlive,
  type SuspectMessage,
} from "./messages.ts";
import { wholePart } from "./parts.ts";
import { suspicionTime, suspicionTimeout } from "./scale.ts";

/** A known node. */
export interface Member {
  readonly name: string;
  readonly addr: Ipv4;
  readonly port: number;
  readonly meta: Uint8Array | null;
  /** pmin, pmax, pcur, dmin, dmax, dcur. */
  readonly vsn: Uint8Array;
  readonly incarnation: number;
  readonly state: MemberState;
  /** Virtual time of the last change of state. */
  readonly stateChange: Time;
}

/** A member by the message that it was last known alive by, which all nodes of a worker share: there are n² members. */
class KnownMember implements Member {
  heard: AliveMessage;
  incarnation = 0;
  state: MemberState = MEMBER_STATE.dead;
  stateChange: Time = 0;

  constructor(heard: AliveMessage) {
    this.heard = heard;
  }

  get name(): string {
    return this.heard.node;
  }

  get addr(): Ipv4 {
    return this.heard.addr;
  }

  get port(): number {
    return this.heard.port;
  }

  get meta(): Uint8Array | null {
    return this.heard.meta;
  }

  get vsn(): Uint8Array {
    return this.heard.vsn;
  }
}

/** A suspicion that runs against a member. */
interface Suspicion {
  readonly start: Time;
  readonly wanted: number;
  readonly min: Time;
  readonly max: Time;
  readonly accusers: Set<string>;
  confirmations: number;
  timer: Process | undefined;
  readonly expire: () => void;
}

/** Whether a member is dead or has left. */
export function isGone(member: Member): boolean {
  return member.state === MEMBER_STATE.dead || member.state === MEMBER_STATE.left;
}

/** Who is known, in which state, and how news change that (state.go). */
export class Members {
  readonly #config: MemberlistConfig;
  readonly #tasks: TaskGroup;
  readonly #random: Random;
  readonly #broadcasts: BroadcastQueue;
  readonly #byName = new Map<string, KnownMember>();
  readonly #suspicions = new Map<string, Suspicion>();
  #ring: KnownMember[] = [];
  /** Alive messages of others that are no news: neither newer than what is known, nor from elsewhere. */
  readonly #old = new RecentNumbers();
  #incarnation = 0;
  #health = 0;
  #leaving = false;
  #leftBroadcast: (() => void) | undefined;

  constructor(config: MemberlistConfig, tasks: TaskGroup, random: Random, broadcasts: BroadcastQueue) {
    this.#config = config;
    this.#tasks = tasks;
    this.#random = random;
    this.#broadcasts = broadcasts;
  }

  /** All known members in the order in which they are probed. */
  get ring(): readonly Member[] {
    return this.#ring;
  }

  get(name: string): Member | undefined {
    return this.#byName.get(name);
  }

  /** This node. */
  self(): Member | undefined {
    return this.#byName.get(this.#config.name);
  }

  /** How many are known, dead ones not yet forgotten included: what timeouts and limits scale with. */
  get count(): number {
    return this.#ring.length;
  }

  /** How many are neither dead nor gone, this node included. */
  get aliveCount(): number {
    let count = 0;
    for (const member of this.#ring) if (!isGone(member)) count++;
    return count;
  }

  get leaving(): boolean {
    return this.#leaving;
  }

  /** The health score, 0 (healthy) to 7: probes slow down with it. */
  get health(): number {
    return this.#health;
  }

  changeHealth(delta: number): void {
    this.#health = Math.max(0, Math.min(LAN.awarenessMax - 1, this.#health + delta));
  }

  anyOtherAlive(): boolean {
    return this.#ring.some((member) => !isGone(member) && member.name !== this.#config.name);
  }

  /** Announces this node. */
  start(vsn: Uint8Array): void {
    const { name, advertise: addr, delegate } = this.#config;
    const incarnation = ++this.#incarnation;
    this.#alive({ incarnation, node: name, addr, port: LAN.port, meta: delegate.nodeMeta(), vsn }, true);
  }

  /** Marks this node as leaving and queues its own death. @param sent called when that has been gossiped enough */
  leave(sent: () => void): void {
    this.#leaving = true;
    this.#leftBroadcast = sent;
    const self = this.self();
    if (self !== undefined) this.dead({ incarnation: self.incarnation, node: self.name, from: self.name });
  }

  /** Why it isn't at rest; undefined when every known member is alive and nobody is suspected. */
  unrest(): string | undefined {
    if (this.#leaving) return "it leaves";
    if (this.#suspicions.size > 0) return "a member is suspected";
    if (this.#health > 0) return "its health is impaired";
    return this.#ring.some((member) => member.state !== MEMBER_STATE.alive) ? "a member is gone" : undefined;
  }

  /** Puts the ring into an order of names, which are those of its members. */
  order(names: readonly string[]): void {
    this.#ring = names.map((name) => this.#byName.get(name) as KnownMember);
  }

  /** What reshuffle() draws from at a time. */
  get shuffleKey(): string {
    return this.#random.key;
  }

  /** Drops members that are long gone from the ring and shuffles it. */
  reshuffle(): void {
    const oldest = this.#tasks.host.now() - LAN.gossipToTheDead;
    const kept = this.#ring.filter((member) => !isGone(member) || member.stateChange >= oldest);
    if (kept.length < this.#ring.length) {
      for (const member of this.#ring) if (!kept.includes(member)) this.#byName.delete(member.name);
      this.#old.clear();
    }
    this.#ring = this.#random.seek(this.#tasks.host.now()).shuffle(kept);
  }

  /** An alive message or an alive node of a push/pull. */
  alive(message: AliveMessage): void {
    const { serial } = message;
    if (serial !== undefined && this.#old.has(serial)) return;
    const known = this.#byName.get(message.node);
    // Most are no news: of others only what is newer than what is known, or comes from elsewhere.
    if (known !== undefined && message.incarnation <= known.incarnation && known.name !== this.#config.name) {
      if (known.addr === message.addr && known.port === message.port) {
        if (serial !== undefined) this.#old.add(serial);
        return;
      }
    }
    // Go's msgpack codec leaves a nil slice where an empty one was sent.
    this.#alive(message.meta?.length === 0 ? withoutMeta(message) : message, false);
  }

  #alive(message: AliveMessage, bootstrap: boolean): void {
    const isSelf = message.node === this.#config.name;
    if (this.#leaving && isSelf) return;
    const [min, max] = message.vsn;
    if (min !== undefined && max !== undefined && (min === 0 || max === 0 || min > max)) return;
    let member = this.#byName.get(message.node);
    let moved = false;
    if (member === undefined) member = this.#add(message);
    else if (member.addr !== message.addr || member.port !== message.port) {
      if (member.state !== MEMBER_STATE.left) {
        const [mine, theirs] = [formatIpv4(member.addr), formatIpv4(message.addr)];
        const text = `Conflicting address for ${member.name}. Mine: ${mine}:${member.port} Theirs: ${theirs}:${message.port}`;
        this.#config.log?.("error", `memberlist: ${text} Old state: ${member.state}`);
        return;
      }
      moved = true;
      this.#old.clear();
    }
    if (message.incarnation <= member.incarnation && !isSelf && !moved) return;
    if (message.incarnation < member.incarnation && isSelf) return;
    this.#endSuspicion(message.node);
    if (isSelf && !bootstrap) {
      if (message.incarnation === member.incarnation && sameIdentity(message, member)) return;
      this.#refute(member, message.incarnation);
      return;
    }
    this.#broadcasts.queue(aliveBroadcast(message));
    this.#adopt(member, message);
  }

  #adopt(member: KnownMember, message: AliveMessage): void {
    const wasGone = isGone(member);
    const sameMeta = sameBytes(member.meta, message.meta);
    member.incarnation = message.incarnation;
    member.heard = message.vsn.length > 0 ? message : { ...message, vsn: member.vsn };
    this.#setState(member, MEMBER_STATE.alive);
    if (wasGone) this.#config.events.joined(member);
    else if (!sameMeta) this.#config.events.updated(member);
  }

  #add(message: AliveMessage): KnownMember {
    const member = new KnownMember(message);
    this.#byName.set(member.name, member);
    // At a random place, so that the time until it is probed does not depend on the order of joining.
    const last = this.#ring.length;
    const place = last === 0 ? 0 : this.#random.below(last);
    this.#ring.push(member);
    [this.#ring[place], this.#ring[last]] = [member, this.#ring[place] as KnownMember];
    return member;
  }

  /** A suspect message, a failed probe of this node's own, or a suspect or dead node of a push/pull. */
  suspect(message: SuspectMessage): void {
    const member = this.#byName.get(message.node);
    if (member === undefined || message.incarnation < member.incarnation) return;
    const running = this.#suspicions.get(message.node);
    if (running !== undefined) {
      if (this.#confirm(running, message.from)) this.#broadcast(message.node, encodeSuspect(message));
      return;
    }
    if (member.state !== MEMBER_STATE.alive) return;
    if (member.name === this.#config.name) {
      this.#config.log?.("warning", `memberlist: Refuting a suspect message (from: ${message.from})`);
      this.#refute(member, message.incarnation);
      return;
    }
    this.#broadcast(message.node, encodeSuspect(message));
    member.incarnation = message.incarnation;
    this.#setState(member, MEMBER_STATE.suspect);
    this.#beginSuspicion(member, message.from);
  }

  /** A dead message, a suspicion that ran out, or a node that left according to a push/pull. */
  dead(message: DeadMessage): void {
    const member = this.#byName.get(message.node);
    if (member === undefined || message.incarnation < member.incarnation) return;
    this.#endSuspicion(message.node);
    if (isGone(member)) return;
    if (member.name === this.#config.name) {
      if (!this.#leaving) {
        this.#config.log?.("warning", `memberlist: Refuting a dead message (from: ${message.from})`);
        this.#refute(member, message.incarnation);
        return;
      }
      this.#broadcast(message.node, encodeDead(message), this.#leftBroadcast);
    } else this.#broadcast(message.node, encodeDead(message));
    member.incarnation = message.incarnation;
    this.#setState(member, message.node === message.from ? MEMBER_STATE.left : MEMBER_STATE.dead);
    this.#config.events.left(member);
  }

  /** The nodes of a push/pull. Dead ones are only suspected, so that they can still refute. */
  merge(nodes: readonly NodeStateMessage[]): void {
    for (const node of nodes) {
      const { incarnation, name } = node;
      if (node.state === MEMBER_STATE.alive) this.#aliveOf(node);
      else if (node.state === MEMBER_STATE.left) this.dead({ incarnation, node: name, from: name });
      else this.suspect({ incarnation, node: name, from: this.#config.name });
    }
  }

  /** An alive node of a push/pull; what is news is kept as one object by all nodes that hear of it. */
  #aliveOf(node: NodeStateMessage): void {
    const known = this.#byName.get(node.name);
    const stale = known !== undefined && node.incarnation <= known.incarnation;
    if (stale && known.name !== this.#config.name && known.addr === node.addr && known.port === node.port) return;
    this.alive(stale ? { ...node, node: node.name } : aliveOf(node));
  }

  /** What a push/pull sends: the same objects as before for members that are alive, so that encodings can be kept. */
  snapshot(): NodeStateMessage[] {
    return this.#ring.map((member) => {
      const alive = aliveState(member.heard);
      if (sameState(alive, member)) return alive;
      const { name, addr, port, meta, incarnation, state, vsn } = member;
      return { name, addr, port, meta, incarnation, state, vsn };
    });
  }

  #setState(member: KnownMember, state: MemberState): void {
    if (member.state === state) return;
    member.state = state;
    member.stateChange = this.#tasks.host.now();
  }

  /** Beats an accusation with a higher incarnation. */
  #refute(self: KnownMember, accused: number): void {
    this.#incarnation = Math.max(this.#incarnation, accused) + 1;
    self.incarnation = this.#incarnation;
    this.changeHealth(1);
    const { name: node, addr, port, meta, vsn, incarnation } = self;
    this.#broadcast(formatIpv4(addr), encodeAlive({ incarnation, node, addr, port, meta, vsn }));
  }

  #broadcast(name: string, message: Uint8Array, finished?: () => void): void {
    this.#broadcasts.queue(finished === undefined ? { name, message } : { name, message, finished });
  }

  #beginSuspicion(member: KnownMember, from: string): void {
    const n = this.count;
    // Two others must be able to confirm, besides this node and the suspect.
    const wanted = n - 2 < LAN.suspicionMult - 2 ? 0 : LAN.suspicionMult - 2;
    const min = suspicionTimeout(LAN.suspicionMult, n, LAN.probeInterval);
    const max = LAN.suspicionMaxTimeoutMult * min;
    const now = this.#tasks.host.now();
    const suspicion: Suspicion = {
      start: now,
      wanted,
      min,
      max,
      accusers: new Set([from]),
      confirmations: 0,
      timer: undefined,
      expire: () => this.#suspicionExpired(member, suspicion),
    };
    this.#suspicions.set(member.name, suspicion);
    suspicion.timer = this.#tasks.after("memberlist suspicion", wanted === 0 ? min : max, suspicion.expire);
  }

  #suspicionExpired(member: KnownMember, suspicion: Suspicion): void {
    if (this.#byName.get(member.name) !== member || member.state !== MEMBER_STATE.suspect) return;
    const text = `Marking ${member.name} as failed, suspect timeout reached`;
    this.#config.log?.("info", `memberlist: ${text} (${suspicion.confirmations} peer confirmations)`);
    this.dead({ incarnation: member.incarnation, node: member.name, from: this.#config.name });
  }

  /** Counts an independent accuser; true when it was news. */
  #confirm(suspicion: Suspicion, from: string): boolean {
    if (suspicion.confirmations >= suspicion.wanted || suspicion.accusers.has(from)) return false;
    suspicion.accusers.add(from);
    suspicion.confirmations++;
    const { confirmations, wanted, min, max, start } = suspicion;
    const elapsed = this.#tasks.host.now() - start;
    const remaining = Math.max(0, suspicionTime(confirmations, wanted, min, max) - elapsed);
    suspicion.timer?.kill();
    suspicion.timer = this.#tasks.after("memberlist suspicion", remaining, suspicion.expire);
    return true;
  }

  #endSuspicion(name: string): void {
    this.#suspicions.get(name)?.timer?.kill();
    this.#suspicions.delete(name);
  }
}

/** The same messages come to every node of a worker: what is made of them is kept. */
const nilMeta = new WeakMap<AliveMessage, AliveMessage>();

function withoutMeta(message: AliveMessage): AliveMessage {
  let same = nilMeta.get(message);
  if (same === undefined) {
    same = { ...message, meta: null };
    nilMeta.set(message, same);
  }
  return same;
}

/** What is passed on of an alive message: the same for all who do. */
const aliveBroadcasts = new WeakMap<AliveMessage, Broadcast>();

function aliveBroadcast(alive: AliveMessage): Broadcast {
  let broadcast = aliveBroadcasts.get(alive);
  if (broadcast === undefined) {
    const message = encodeAlive(alive);
    const part = wholePart(message, recallAlive(message, 1, message.length));
    broadcast = { name: alive.node, message, part };
    aliveBroadcasts.set(alive, broadcast);
  }
  return broadcast;
}

function sameState(message: NodeStateMessage, member: Member): boolean {
  const { incarnation, state, addr, port, meta, vsn } = message;
  const same = incarnation === member.incarnation && state === member.state && addr === member.addr;
  return same && port === member.port && meta === member.meta && vsn === member.vsn;
}

function sameIdentity(message: AliveMessage, member: Member): boolean {
  return sameBytes(message.meta, member.meta) && sameBytes(message.vsn, member.vsn);
}

/** As Go's bytes.Equal: nil equals empty. */
function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  const [left, right] = [a ?? [], b ?? []];
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}
