/**
 * memberlist's TCP streams (hashicorp/memberlist net.go handleConn, state.go pushPull): one message a connection, but for
 * those that are answered over the same one: the exchange of full states (push/pull), and pings where UDP doesn't get through.
 */
import type { Ipv4 } from "../base/addr.ts";
import { KernelError, MalformedError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Time } from "../base/time.ts";
import type { TcpSocket } from "../kernel/socket-types.ts";
import { acceptTcp } from "../scheduler/io.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc } from "../scheduler/process.ts";
import type { TaskGroup } from "../scheduler/task-group.ts";
import { LAN, type MemberlistConfig } from "./config.ts";
import type { Member, Members } from "./members.ts";
import {
  decodeErr,
  decodePing,
  decodePushPull,
  decodeUserStream,
  encodeAck,
  encodeErr,
  encodePushPull,
  encodeUserStream,
  MEMBER_STATE,
  MESSAGE,
  type PushPullMessage,
} from "./messages.ts";
import { type Packet, userPart, wholePart } from "./parts.ts";
import { pickRandom, pushPullScale } from "./scale.ts";
import type { Transport } from "./transport.ts";

/** What is left of a message whose meaning is known. */
const NOTHING = new Uint8Array(0);

/** What the streams need of their node. */
export interface StreamsParts {
  readonly host: HostOs;
  readonly config: MemberlistConfig;
  readonly tasks: TaskGroup;
  /** What partners of push/pulls are drawn from, and when the first one is. */
  readonly random: Random;
  readonly members: Members;
  readonly transport: Transport;
}

/** Serves the connections of others, and makes those of this node. */
export class Streams {
  readonly #host: HostOs;
  readonly #config: MemberlistConfig;
  readonly #tasks: TaskGroup;
  readonly #random: Random;
  readonly #members: Members;
  readonly #transport: Transport;
  /** Push/pulls that are being answered, streams that are being served, and this node's own exchanges. */
  #pushPulls = 0;
  #serving = 0;
  #exchanges = 0;
  #pushPullDue: Time = 0;

  constructor({ host, config, tasks, random, members, transport }: StreamsParts) {
    this.#host = host;
    this.#config = config;
    this.#tasks = tasks;
    this.#random = random;
    this.#members = members;
    this.#transport = transport;
  }

  /** A stream is open. */
  get busy(): boolean {
    return this.#serving > 0 || this.#exchanges > 0;
  }

  /** When the next push/pull is due. */
  get pushPullDue(): Time {
    return this.#pushPullDue;
  }

  set pushPullDue(due: Time) {
    this.#pushPullDue = due;
  }

  /** What the partners of push/pulls are drawn from. */
  get randomKey(): string {
    return this.#random.key;
  }

  #log(level: "debug" | "info" | "warning" | "error", text: string): void {
    this.#config.log?.(level, text);
  }

  /**
   * Sends a user message over a TCP connection of its own.
   * @param message gives it when there is a connection: bytes that are used at once
   * @param meaning what the receiver reads in it
   * @throws KernelError when it cannot be delivered to the other side's kernel within 10 s
   */
  *sendReliable(member: Member, message: () => Uint8Array, meaning?: unknown): Proc {
    const until = this.#host.now() + LAN.tcpTimeout;
    this.#exchanges++;
    try {
      const socket = yield* this.#transport.dial(member.addr, member.port, until);
      try {
        const parts = meaning === undefined ? undefined : [userPart(NOTHING, meaning)];
        yield* this.#transport.sendStream(socket, encodeUserStream(message()), until, parts);
      } finally {
        socket.close();
      }
    } finally {
      this.#exchanges--;
    }
  }

  /** Serves who connects. */
  *accept(): Proc {
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
      const packet = yield* this.#transport.receiveStream(socket, until);
      if (packet !== undefined) yield* this.#handleStream(socket, packet, until);
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

  *#handleStream(socket: TcpSocket, packet: Packet, until: number): Proc {
    const { message, parts } = packet;
    const body = message.subarray(1);
    switch (message[0]) {
      case MESSAGE.user: {
        const known = parts?.[0];
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
        yield* this.#answerPushPull(socket, readPushPull(packet), until);
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
      const { message, parts } = this.#localState(remote.join);
      yield* this.#transport.sendStream(socket, message, until, parts);
      this.#mergeState(remote, remote.join);
    } finally {
      this.#pushPulls--;
    }
  }

  #localState(join: boolean): Packet {
    const nodes = this.#members.snapshot();
    const state: PushPullMessage = { join, nodes, userState: this.#config.delegate.localState(join) };
    const message = encodePushPull(state);
    return { message, parts: [wholePart(message, state)] };
  }

  #mergeState(remote: PushPullMessage, join: boolean): void {
    this.#members.merge(remote.nodes);
    if (remote.userState.length > 0) this.#config.delegate.mergeRemoteState(remote.userState, join);
  }

  /** The first one at a random time, then one an interval: its own duration doesn't count. */
  *pushPullLoop(): Proc {
    const random = this.#random;
    this.#pushPullDue = this.#host.now() + Math.floor(random.float() * LAN.pushPullInterval);
    for (;;) {
      this.#pushPullDue += pushPullScale(LAN.pushPullInterval, this.#members.count);
      // After a skip the next one is due when resume() said.
      while (this.#host.now() < this.#pushPullDue) yield { until: this.#pushPullDue, upkeep: true };
      const isPeer = (member: Member) => member.name !== this.#config.name && member.state === MEMBER_STATE.alive;
      const [peer] = pickRandom(random.seek(this.#pushPullDue), 1, this.#members.ring, isPeer);
      if (peer === undefined) continue;
      const error = yield* this.pushPullWith(peer.addr, peer.port, false);
      if (error !== undefined) this.#log("error", `memberlist: Push/Pull with ${peer.name} failed: ${error}`);
    }
  }

  /** Sends the local state and merges the answer. @returns what went wrong, if anything */
  *pushPullWith(addr: Ipv4, port: number, join: boolean): Proc<string | undefined> {
    let socket: TcpSocket | undefined;
    this.#exchanges++;
    try {
      socket = yield* this.#transport.dial(addr, port, this.#host.now() + LAN.tcpTimeout);
      const until = this.#host.now() + LAN.tcpTimeout;
      const state = this.#localState(join);
      yield* this.#transport.sendStream(socket, state.message, until, state.parts);
      const answer = yield* this.#transport.receiveStream(socket, until);
      if (answer === undefined) return "EOF";
      const { message } = answer;
      if (message[0] === MESSAGE.err) return `remote error: ${decodeErr(message.subarray(1))}`;
      if (message[0] !== MESSAGE.pushPull) throw new MalformedError("message type");
      this.#mergeState(readPushPull(answer), join);
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
function readPushPull({ message, parts }: Packet): PushPullMessage {
  return (parts?.[0]?.meaning as PushPullMessage | undefined) ?? decodePushPull(message.subarray(1));
}
