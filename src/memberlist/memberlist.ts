/**
 * memberlist: cluster membership and failure detection by gossip, after hashicorp/memberlist 0.5 (memberlist.go,
 * state.go, net.go), as programs of an emulated host over UDP and TCP port 7946 of its root namespace.
 */
import { formatIpv4, type Ipv4 } from "../base/addr.ts";
import { MalformedError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Time } from "../base/time.ts";
import type { HostOs } from "../scheduler/os.ts";
import { type Proc, Signal, type Waitable } from "../scheduler/process.ts";
import { TaskGroup } from "../scheduler/task-group.ts";
import { type Broadcast, BroadcastQueue } from "./broadcast-queue.ts";
import { LAN, type MemberlistConfig, VSN } from "./config.ts";
import { decompress } from "./framing.ts";
import { encodeGossip, encodeGossips } from "./gossip-packet.ts";
import { isGone, type Member, Members } from "./members.ts";
import {
  type AliveMessage,
  compoundRanges,
  decodeAccusation,
  decodeAck,
  decodeIndirectPing,
  decodeNack,
  decodePing,
  encodeUser,
  MEMBER_STATE,
  MESSAGE,
  recallAlive,
} from "./messages.ts";
import { type Part, wholePart } from "./parts.ts";
import { Prober } from "./prober.ts";
import { pickRandom } from "./scale.ts";
import { Streams } from "./streams.ts";
import { Transport } from "./transport.ts";

const COMPOUND_HEADER_OVERHEAD = 2;
const COMPOUND_OVERHEAD = 2;
const USER_OVERHEAD = 1;
const LISTEN_BACKLOG = 4096;

/** What a rest changes of a memberlist. */
export interface MemberlistRest {
  /** When it was made: the phase of its tickers. */
  readonly started: Time;
  /** Names of the members in the order of probing. */
  readonly ring: readonly string[];
  readonly ringIndex: number;
  /** Number of the last probe. */
  readonly seqNo: number;
  /** When the next push/pull is due. */
  readonly pushPullDue: Time;
  /** What shuffles of the ring and the partners of push/pulls are drawn from. */
  readonly shuffleKey: string;
  readonly pushPullKey: string;
}

/** A node of the cluster: joins, gossips, probes, leaves (memberlist.go Memberlist). */
export class Memberlist {
  readonly members: Members;
  readonly #host: HostOs;
  readonly #config: MemberlistConfig;
  readonly #tasks: TaskGroup;
  readonly #random: Random;
  readonly #started: Time;
  readonly #broadcasts: BroadcastQueue;
  readonly #transport: Transport;
  readonly #prober: Prober;
  readonly #streams: Streams;
  /** Messages that wait until the packet they came in has been read: alive first, then the newest. */
  #alivePending: Part[] = [];
  #pending: Part[] = [];

  /**
   * Binds UDP and TCP port 7946 and starts probing and gossiping.
   * @throws KernelError EADDRINUSE when another daemon has the port
   */
  constructor(host: HostOs, config: MemberlistConfig) {
    this.#host = host;
    this.#config = config;
    this.#tasks = new TaskGroup(host);
    this.#random = host.random.fork(`memberlist/${config.name}`);
    this.#started = host.now();
    this.#broadcasts = new BroadcastQueue(() => this.members.count, LAN.retransmitMult);
    this.members = new Members(config, this.#tasks, this.#random.fork("members"), this.#broadcasts);
    this.#transport = new Transport(host, config.keyring, this.#random.fork("nonce"));
    this.#prober = new Prober({
      host,
      config,
      tasks: this.#tasks,
      random: this.#random.fork("probe"),
      members: this.members,
      transport: this.#transport,
      send: (addr, port, message) => this.#sendMessage(addr, port, message),
    });
    this.#streams = new Streams({
      host,
      config,
      tasks: this.#tasks,
      random: this.#random.fork("push/pull"),
      members: this.members,
      transport: this.#transport,
    });
    this.#start();
  }

  #start(): void {
    const tasks = this.#tasks;
    this.#transport.open(this.#config.bind ?? 0, LISTEN_BACKLOG);
    tasks.spawn(
      "memberlist udp",
      this.#transport.receive((packet) => this.#handlePacket(packet.data, packet.src, packet.srcPort)),
    );
    tasks.spawn("memberlist tcp", this.#streams.accept());
    this.members.start(VSN);
    tasks.every("memberlist probe", LAN.probeInterval, () => this.#prober.probe());
    tasks.spawn("memberlist push/pull", this.#streams.pushPullLoop());
    tasks.spawn("memberlist gossip", this.#gossipLoop());
  }

  // ------------------------------------------------------------------------------------------ quiet time

  /** Why it isn't at rest (src/scheduler/quiet.ts); undefined when it is. */
  unrest(): string | undefined {
    if (this.#gossipWaits) return "messages wait to be gossiped";
    if (this.#prober.busy) return "a probe is under way";
    if (this.#streams.busy) return "states are being exchanged";
    return this.members.unrest();
  }

  /** What a rest changes of it. */
  rest(): MemberlistRest {
    return {
      started: this.#started,
      ring: this.members.ring.map((member) => member.name),
      ...this.#prober.position,
      pushPullDue: this.#streams.pushPullDue,
      shuffleKey: this.members.shuffleKey,
      pushPullKey: this.#streams.randomKey,
    };
  }

  /** Takes what a rest has made of it. */
  resume(rest: MemberlistRest): void {
    this.members.order(rest.ring);
    this.#prober.position = rest;
    this.#streams.pushPullDue = rest.pushPullDue;
  }

  /** Packets and frames dropped so far, by reason. */
  drops(): ReadonlyMap<string, number> {
    return this.#transport.drops;
  }

  /** Members that are neither dead nor gone, this node included. */
  aliveMembers(): readonly Member[] {
    return this.members.ring.filter((member) => !isGone(member));
  }

  /** Exchanges the full state with each address. @returns how many answered */
  *join(addresses: readonly Ipv4[]): Proc<number> {
    let answered = 0;
    for (const address of addresses) {
      const error = yield* this.#streams.pushPullWith(address, LAN.port, true);
      if (error === undefined) answered++;
      else this.#log("debug", `memberlist: Failed to join ${formatIpv4(address)}:${LAN.port}: ${error}`);
    }
    return answered;
  }

  /** Tells the cluster that this node leaves on purpose; waits until that has been gossiped, or for `timeout` ns. */
  *leave(timeout: number): Proc<boolean> {
    if (this.members.leaving) return true;
    const sent = new Signal();
    let done = false;
    this.members.leave(() => {
      done = true;
      sent.notify();
    });
    const until = this.#host.now() + timeout;
    while (!done && this.members.anyOtherAlive()) {
      if ((yield { on: [sent], until }) === undefined) return done;
    }
    return true;
  }

  /** Ends all programs and closes the sockets; no message is sent. */
  shutdown(): void {
    this.#tasks.stop();
    this.#transport.close();
  }

  /**
   * Sends a user message to each of some members in one UDP packet; it may get lost.
   * @param meaning what a receiver reads in it
   */
  sendBestEffort(members: readonly Member[], message: Uint8Array, meaning?: unknown): void {
    const packet = encodeUser(message);
    const parts = meaning === undefined ? undefined : [{ ...wholePart(packet), meaning }];
    for (const member of members) this.#transport.send(member.addr, member.port, packet, speaksCrc(member), parts);
  }

  /**
   * Sends a user message over a TCP connection of its own.
   * @param message gives it when there is a connection: bytes that are used at once
   * @param meaning what the receiver reads in it
   * @throws KernelError when it cannot be delivered to the other side's kernel within 10 s
   */
  *sendReliable(member: Member, message: () => Uint8Array, meaning?: unknown): Proc {
    yield* this.#streams.sendReliable(member, message, meaning);
  }

  #log(level: "debug" | "info" | "warning" | "error", text: string): void {
    this.#config.log?.(level, text);
  }

  // ------------------------------------------------------------------------------------------ gossip

  get #packetBudget(): number {
    const encryption = this.#transport.packetOverhead;
    return (this.#config.packetSize ?? LAN.packetSize) - COMPOUND_HEADER_OVERHEAD - encryption;
  }

  /** Sends a message with as many queued broadcasts as fit beside it. */
  #sendMessage(addr: Ipv4, port: number, message: Uint8Array): void {
    const { own, foreign } = this.#takeBroadcasts(COMPOUND_OVERHEAD, this.#packetBudget - message.length);
    const alone = own.length + foreign.length === 0;
    const packet = alone ? { message, parts: undefined } : encodeGossip([{ message }, ...own], foreign);
    this.#transport.send(addr, port, packet.message, false, packet.parts);
  }

  /** Messages of memberlist's own, and of the delegate in the room that they leave. */
  #takeBroadcasts(overhead: number, limit: number): { own: Broadcast[]; foreign: Broadcast[] } {
    const own = this.#broadcasts.take(overhead, limit);
    let free = limit;
    for (const { message } of own) free -= message.length + overhead;
    if (free <= overhead + USER_OVERHEAD) return { own, foreign: [] };
    return { own, foreign: this.#config.delegate.takeBroadcasts(overhead + USER_OVERHEAD, free) };
  }

  get #gossipWaits(): boolean {
    return this.#broadcasts.length > 0 || this.#config.delegate.broadcastsWait?.() !== false;
  }

  /** Ticks every 200 ms since the start; while there is nothing to send it sleeps. */
  *#gossipLoop(): Proc {
    const { broadcastsFilled } = this.#config.delegate;
    const on: Waitable[] = [this.#broadcasts.filled, ...(broadcastsFilled ?? [])];
    const start = this.#started;
    for (;;) {
      while (!this.#gossipWaits) yield { on };
      const until = start + (Math.floor((this.#host.now() - start) / LAN.gossipInterval) + 1) * LAN.gossipInterval;
      while (this.#host.now() < until) yield { until };
      this.#gossip();
    }
  }

  #gossip(): void {
    const now = this.#host.now();
    const targets = pickRandom(this.#random.seek(now), LAN.gossipNodes, this.members.ring, (member) => {
      if (member.name === this.#config.name || member.state === MEMBER_STATE.left) return false;
      return member.state !== MEMBER_STATE.dead || now - member.stateChange <= LAN.gossipToTheDead;
    });
    for (const member of targets) {
      const { own, foreign } = this.#takeBroadcasts(COMPOUND_OVERHEAD, this.#packetBudget);
      if (own.length + foreign.length === 0) return;
      for (const { message, parts } of encodeGossips(own, foreign)) {
        this.#transport.send(member.addr, member.port, message, speaksCrc(member), parts);
      }
    }
  }

  // ------------------------------------------------------------------------------------------ packets

  #handlePacket(packet: Uint8Array, src: Ipv4, srcPort: number): void {
    const unpacked = this.#transport.unpack(packet);
    if (unpacked === undefined) return;
    const { message, parts } = unpacked;
    if (parts !== undefined) {
      this.#handleParts(parts, src, srcPort);
      return;
    }
    this.#transport.guard(() => this.#handleMessage(message, 0, message.length, src, srcPort));
    this.#handlePending();
  }

  /**
   * The messages of a packet that a host of this worker has made: in the order in which they would come out of the queues, of
   * which so few fill none. Those that are no gossip come alone or first, and are never compound or compressed.
   */
  #handleParts(parts: readonly Part[], src: Ipv4, srcPort: number): void {
    for (const part of parts) {
      if (isGossip(part.type)) continue;
      this.#transport.guard(() => this.#handleMessage(part.data, part.start - 1, part.end, src, srcPort));
    }
    for (let i = parts.length - 1; i >= 0; i--) {
      const part = parts[i] as Part;
      if (part.type === MESSAGE.alive) this.#handleGuarded(part);
    }
    for (let i = parts.length - 1; i >= 0; i--) {
      const part = parts[i] as Part;
      if (isGossip(part.type) && part.type !== MESSAGE.alive) this.#handleGuarded(part);
    }
  }

  /** A message with its type byte, from `start` to `end`. Those that make up gossip are left where they are. */
  #handleMessage(data: Uint8Array, start: number, end: number, src: Ipv4, srcPort: number): void {
    const type = start < end ? data[start] : undefined;
    if (type !== undefined && isGossip(type)) {
      this.#handOff(type === MESSAGE.alive ? this.#alivePending : this.#pending, { type, data, start: start + 1, end });
      return;
    }
    const body = data.subarray(start + 1, end);
    switch (type) {
      case MESSAGE.compound: {
        const { parts, truncated } = compoundRanges(data, start + 1, end);
        if (truncated > 0) this.#transport.drop("compound is cut short");
        for (let i = 0; i < parts.length; i += 2) {
          const [from, to] = [parts[i] as number, parts[i + 1] as number];
          this.#transport.guard(() => this.#handleMessage(data, from, to, src, srcPort));
        }
        return;
      }
      case MESSAGE.compress: {
        const message = decompress(body);
        this.#handleMessage(message, 0, message.length, src, srcPort);
        return;
      }
      case MESSAGE.ping:
        this.#prober.handlePing(decodePing(body), src, srcPort);
        return;
      case MESSAGE.indirectPing:
        this.#prober.handleIndirectPing(decodeIndirectPing(body), src, srcPort);
        return;
      case MESSAGE.ackResp:
        this.#prober.handleAck(decodeAck(body));
        return;
      case MESSAGE.nackResp:
        this.#prober.handleNack(decodeNack(body));
        return;
      default:
        throw new MalformedError("message type");
    }
  }

  #handOff(queue: Part[], part: Part): void {
    if (queue.length >= LAN.handoffQueueDepth) this.#transport.drop("hand-off queue is full");
    else queue.push(part);
  }

  #handlePending(): void {
    for (;;) {
      const next = this.#alivePending.pop() ?? this.#pending.pop();
      if (next === undefined) return;
      this.#handleGuarded(next);
    }
  }

  #handleGuarded(part: Part): void {
    try {
      this.#handleHandedOff(part);
    } catch (error) {
      this.#transport.malformed(error);
    }
  }

  #handleHandedOff({ type, data, start, end, meaning }: Part): void {
    if (type === MESSAGE.alive) this.members.alive((meaning as AliveMessage) ?? recallAlive(data, start, end));
    else if (type === MESSAGE.user) this.#config.delegate.notifyMessage(data, start, end, meaning);
    else if (type === MESSAGE.suspect) this.members.suspect(decodeAccusation(data.subarray(start, end)));
    else this.members.dead(decodeAccusation(data.subarray(start, end)));
  }
}

/** Whether messages of a type wait until their packet has been read. */
function isGossip(type: number): boolean {
  return type === MESSAGE.alive || type === MESSAGE.user || type === MESSAGE.suspect || type === MESSAGE.dead;
}

function speaksCrc(member: Member): boolean {
  return (member.vsn[1] ?? 0) >= 5;
}
