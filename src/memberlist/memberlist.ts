/**
 * memberlist: cluster membership and failure detection by gossip, after hashicorp/memberlist 0.5 (memberlist.go,
 * state.go, net.go), as programs of an emulated host over UDP and TCP port 7946 of its root namespace.
 */
import { formatIpv4, type Ipv4 } from "../base/addr.ts";
import { KernelError, MalformedError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Time } from "../base/time.ts";
import type { TcpSocket } from "../kernel/socket-types.ts";
import { acceptTcp } from "../scheduler/io.ts";
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
  decodeErr,
  decodeIndirectPing,
  decodeNack,
  decodePing,
  decodePushPull,
  decodeUserStream,
  encodeAck,
  encodeErr,
  encodePushPull,
  encodeUser,
  encodeUserStream,
  MEMBER_STATE,
  MESSAGE,
  type PushPullMessage,
  recallAlive,
} from "./messages.ts";
import { type Part, partsOf, rememberParts, userPart, wholePart } from "./parts.ts";
import { Prober } from "./prober.ts";
import { pickRandom, pushPullScale } from "./scale.ts";
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
  readonly #pushPullRandom: Random;
  readonly #started: Time;
  readonly #broadcasts: BroadcastQueue;
  readonly #transport: Transport;
  readonly #prober: Prober;
  /** Messages that wait until the packet they came in has been read: alive first, then the newest. */
  #alivePending: Part[] = [];
  #pending: Part[] = [];
  /** Push/pulls that are being answered, streams that are being served, and this node's own exchanges. */
  #pushPulls = 0;
  #serving = 0;
  #exchanges = 0;
  #pushPullDue: Time = 0;

  /**
   * Binds UDP and TCP port 7946 and starts probing and gossiping.
   * @throws KernelError EADDRINUSE when another daemon has the port
   */
  constructor(host: HostOs, config: MemberlistConfig) {
    this.#host = host;
    this.#config = config;
    this.#tasks = new TaskGroup(host);
    this.#random = host.random.fork(`memberlist/${config.name}`);
    this.#pushPullRandom = this.#random.fork("push/pull");
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
    this.#start();
  }

  #start(): void {
    const tasks = this.#tasks;
    this.#transport.open(this.#config.bind ?? 0, LISTEN_BACKLOG);
    tasks.spawn(
      "memberlist udp",
      this.#transport.receive((packet) => this.#handlePacket(packet.data, packet.src, packet.srcPort)),
    );
    tasks.spawn("memberlist tcp", this.#accept());
    this.members.start(VSN);
    tasks.every("memberlist probe", LAN.probeInterval, () => this.#prober.probe());
    tasks.spawn("memberlist push/pull", this.#pushPullLoop());
    tasks.spawn("memberlist gossip", this.#gossipLoop());
  }

  // ------------------------------------------------------------------------------------------ quiet time

  /** Why it isn't at rest (src/scheduler/quiet.ts); undefined when it is. */
  unrest(): string | undefined {
    if (this.#gossipWaits) return "messages wait to be gossiped";
    if (this.#prober.busy) return "a probe is under way";
    if (this.#serving > 0 || this.#exchanges > 0) return "states are being exchanged";
    return this.members.unrest();
  }

  /** What a rest changes of it. */
  rest(): MemberlistRest {
    return {
      started: this.#started,
      ring: this.members.ring.map((member) => member.name),
      ...this.#prober.position,
      pushPullDue: this.#pushPullDue,
      shuffleKey: this.members.shuffleKey,
      pushPullKey: this.#pushPullRandom.key,
    };
  }

  /** Takes what a rest has made of it. */
  resume(rest: MemberlistRest): void {
    this.members.order(rest.ring);
    this.#prober.position = rest;
    this.#pushPullDue = rest.pushPullDue;
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
      const error = yield* this.#pushPullWith(address, LAN.port, true);
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
    if (meaning !== undefined) rememberParts(packet, [userPart(message, meaning)]);
    for (const member of members) this.#transport.send(member.addr, member.port, packet, speaksCrc(member));
  }

  /**
   * Sends a user message over a TCP connection of its own.
   * @param meaning what the receiver reads in it
   * @throws KernelError when it cannot be delivered to the other side's kernel within 10 s
   */
  *sendReliable(member: Member, message: Uint8Array, meaning?: unknown): Proc {
    const until = this.#host.now() + LAN.tcpTimeout;
    this.#exchanges++;
    try {
      const socket = yield* this.#transport.dial(member.addr, member.port, until);
      try {
        const stream = encodeUserStream(message);
        if (meaning !== undefined) rememberParts(stream, [userPart(message, meaning)]);
        yield* this.#transport.sendStream(socket, stream, until);
      } finally {
        socket.close();
      }
    } finally {
      this.#exchanges--;
    }
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
    const packet = alone ? message : encodeGossip([{ message, part: wholePart(message) }, ...own], foreign);
    this.#transport.send(addr, port, packet, false);
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
      for (const packet of encodeGossips(own, foreign)) {
        this.#transport.send(member.addr, member.port, packet, speaksCrc(member));
      }
    }
  }

  // ------------------------------------------------------------------------------------------ packets

  #handlePacket(packet: Uint8Array, src: Ipv4, srcPort: number): void {
    const message = this.#transport.unpack(packet);
    if (message === undefined) return;
    const parts = partsOf(message);
    if (parts === undefined) this.#transport.guard(() => this.#handleMessage(message, 0, message.length, src, srcPort));
    else this.#handleParts(parts, src, srcPort);
    this.#handlePending();
  }

  /** The messages of a packet in order. */
  #handleParts(parts: readonly Part[], src: Ipv4, srcPort: number): void {
    for (const part of parts) {
      const { type, data, end } = part;
      if (type === MESSAGE.alive) this.#handOff(this.#alivePending, part);
      else if (isGossip(type)) this.#handOff(this.#pending, part);
      else this.#transport.guard(() => this.#handleMessage(data, part.start - 1, end, src, srcPort));
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
      try {
        this.#handleHandedOff(next);
      } catch (error) {
        this.#transport.malformed(error);
      }
    }
  }

  #handleHandedOff({ type, data, start, end, meaning }: Part): void {
    if (type === MESSAGE.alive) this.members.alive((meaning as AliveMessage) ?? recallAlive(data, start, end));
    else if (type === MESSAGE.user) this.#config.delegate.notifyMessage(data, start, end, meaning);
    else if (type === MESSAGE.suspect) this.members.suspect(decodeAccusation(data.subarray(start, end)));
    else this.members.dead(decodeAccusation(data.subarray(start, end)));
  }

  // ------------------------------------------------------------------------------------------ streams

  *#accept(): Proc {
    for (;;) {
      const socket = yield* acceptTcp(this.#transport.listener);
      if (socket === undefined) return;
      this.#tasks.spawn("memberlist connection", this.#serve(socket));
    }
  }

  *#serve(socket: TcpSocket): Proc {
    const until = this.#host.now() + LAN.tcpTimeout;
    this.#serving++;
    try {
      const message = yield* this.#transport.receiveStream(socket, until);
      if (message !== undefined) yield* this.#handleStream(socket, message, until);
    } catch (error) {
      if (error instanceof MalformedError) {
        this.#transport.drop(error.reason);
        yield* this.#answerError(socket, error.reason, until);
      } else if (!(error instanceof KernelError)) throw error;
    } finally {
      this.#serving--;
      this.#transport.finish(socket);
    }
  }

  *#answerError(socket: TcpSocket, text: string, until: number): Proc {
    try {
      yield* this.#transport.sendStream(socket, encodeErr(text), until);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  *#handleStream(socket: TcpSocket, message: Uint8Array, until: number): Proc {
    const body = message.subarray(1);
    switch (message[0]) {
      case MESSAGE.user: {
        const [known] = partsOf(message) ?? [];
        if (known !== undefined) {
          this.#config.delegate.notifyMessage(known.data, known.start, known.end, known.meaning);
          return;
        }
        const user = decodeUserStream(body);
        this.#config.delegate.notifyMessage(user, 0, user.length);
        return;
      }
      case MESSAGE.ping: {
        const ping = decodePing(body);
        if (ping.node !== "" && ping.node !== this.#config.name) {
          this.#transport.drop("ping for another node");
          return;
        }
        yield* this.#transport.sendStream(socket, encodeAck({ seqNo: ping.seqNo, payload: null }), until);
        return;
      }
      case MESSAGE.pushPull:
        yield* this.#answerPushPull(socket, readPushPull(message), until);
        return;
      default:
        throw new MalformedError("message type");
    }
  }

  *#answerPushPull(socket: TcpSocket, remote: PushPullMessage, until: number): Proc {
    if (this.#pushPulls >= LAN.maxPushPulls) {
      this.#transport.drop("too many push/pulls");
      return;
    }
    this.#pushPulls++;
    try {
      yield* this.#transport.sendStream(socket, this.#localState(remote.join), until);
      this.#mergeState(remote, remote.join);
    } finally {
      this.#pushPulls--;
    }
  }

  #localState(join: boolean): Uint8Array {
    const nodes = this.members.snapshot();
    const state: PushPullMessage = { join, nodes, userState: this.#config.delegate.localState(join) };
    const message = encodePushPull(state);
    rememberParts(message, [wholePart(message, state)]);
    return message;
  }

  #mergeState(remote: PushPullMessage, join: boolean): void {
    this.members.merge(remote.nodes);
    if (remote.userState.length > 0) this.#config.delegate.mergeRemoteState(remote.userState, join);
  }

  /** The first one at a random time, then one an interval: its own duration doesn't count. */
  *#pushPullLoop(): Proc {
    const random = this.#pushPullRandom;
    this.#pushPullDue = this.#host.now() + Math.floor(random.float() * LAN.pushPullInterval);
    for (;;) {
      this.#pushPullDue += pushPullScale(LAN.pushPullInterval, this.members.count);
      // After a skip the next one is due when resume() said.
      while (this.#host.now() < this.#pushPullDue) yield { until: this.#pushPullDue, upkeep: true };
      const isPeer = (member: Member) => member.name !== this.#config.name && member.state === MEMBER_STATE.alive;
      const [peer] = pickRandom(random.seek(this.#pushPullDue), 1, this.members.ring, isPeer);
      if (peer === undefined) continue;
      const error = yield* this.#pushPullWith(peer.addr, peer.port, false);
      if (error !== undefined) this.#log("error", `memberlist: Push/Pull with ${peer.name} failed: ${error}`);
    }
  }

  /** Sends the local state and merges the answer. @returns what went wrong, if anything */
  *#pushPullWith(addr: Ipv4, port: number, join: boolean): Proc<string | undefined> {
    let socket: TcpSocket | undefined;
    this.#exchanges++;
    try {
      socket = yield* this.#transport.dial(addr, port, this.#host.now() + LAN.tcpTimeout);
      const until = this.#host.now() + LAN.tcpTimeout;
      yield* this.#transport.sendStream(socket, this.#localState(join), until);
      const message = yield* this.#transport.receiveStream(socket, until);
      if (message === undefined) return "EOF";
      if (message[0] === MESSAGE.err) return `remote error: ${decodeErr(message.subarray(1))}`;
      if (message[0] !== MESSAGE.pushPull) throw new MalformedError("message type");
      this.#mergeState(readPushPull(message), join);
      return undefined;
    } catch (error) {
      if (error instanceof MalformedError) {
        this.#transport.drop(error.reason);
        return error.reason;
      }
      if (error instanceof KernelError) return error.message;
      throw error;
    } finally {
      this.#exchanges--;
      socket?.close();
    }
  }
}

/** The state in a push/pull message with its type byte. */
function readPushPull(message: Uint8Array): PushPullMessage {
  const [known] = partsOf(message) ?? [];
  return (known?.meaning as PushPullMessage | undefined) ?? decodePushPull(message.subarray(1));
}

/** Whether messages of a type wait until their packet has been read. */
function isGossip(type: number): boolean {
  return type === MESSAGE.alive || type === MESSAGE.user || type === MESSAGE.suspect || type === MESSAGE.dead;
}

function speaksCrc(member: Member): boolean {
  return (member.vsn[1] ?? 0) >= 5;
}
