/**
 * memberlist's failure detector (hashicorp/memberlist state.go probe, probeNode; net.go handlePing,
 * handleIndirectPing): a ping a second around the ring; without answer in 500 ms indirect pings through three
 * others and a TCP ping in parallel; then suspicion.
 */
import { formatIpv4, type Ipv4 } from "../base/addr.ts";
import { KernelError, MalformedError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Time } from "../base/time.ts";
import type { TcpSocket } from "../kernel/socket-types.ts";
import type { HostOs } from "../scheduler/os.ts";
import { type Proc, Signal } from "../scheduler/process.ts";
import type { TaskGroup } from "../scheduler/task-group.ts";
import { LAN, type MemberlistConfig } from "./config.ts";
import { isGone, type Member, type Members } from "./members.ts";
import {
  type AckMessage,
  decodeAck,
  encodeAck,
  encodeCompound,
  encodeIndirectPing,
  encodeNack,
  encodePing,
  encodeSuspect,
  type IndirectPingMessage,
  MEMBER_STATE,
  MESSAGE,
  type NackMessage,
  type PingMessage,
  type PingSource,
} from "./messages.ts";
import { pickRandom } from "./scale.ts";
import type { Transport } from "./transport.ts";

/** What the prober needs of its node. */
export interface ProberParts {
  readonly host: HostOs;
  readonly config: MemberlistConfig;
  readonly tasks: TaskGroup;
  readonly random: Random;
  readonly members: Members;
  readonly transport: Transport;
  /** Sends a message with broadcasts piggy-backed. */
  readonly send: (addr: Ipv4, port: number, message: Uint8Array) => void;
}

/** Waits for the answers to one sequence number. */
interface AnswerHandler {
  readonly ack: () => void;
  readonly nack: () => void;
}

/** One probe of a node: notified by an ack, or by the end of the TCP ping. */
class ProbeWait extends Signal {
  acked = false;
  nacks = 0;
}

/** Probes a member a period, directly, then through others and by TCP (state.go probeNode). */
export class Prober {
  readonly #parts: ProberParts;
  readonly #handlers = new Map<number, AnswerHandler>();
  #seqNo = 0;
  #ringIndex = 0;

  constructor(parts: ProberParts) {
    this.#parts = parts;
  }

  /** A probe, its own or for another one, waits for an answer. */
  get busy(): boolean {
    return this.#handlers.size > 0;
  }

  /** Number of the last probe, and place in the ring of the next. */
  get position(): { readonly seqNo: number; readonly ringIndex: number } {
    return { seqNo: this.#seqNo, ringIndex: this.#ringIndex };
  }

  set position({ seqNo, ringIndex }: { readonly seqNo: number; readonly ringIndex: number }) {
    this.#seqNo = seqNo;
    this.#ringIndex = ringIndex;
  }

  /** Probes the next member of the ring; undefined when there is none to probe. */
  probe(): Proc | undefined {
    const { members, config } = this.#parts;
    for (let checked = 0; checked < members.ring.length; ) {
      if (this.#ringIndex >= members.ring.length) {
        members.reshuffle();
        this.#ringIndex = 0;
        checked++;
        continue;
      }
      const member = members.ring[this.#ringIndex++] as Member;
      if (member.name !== config.name && !isGone(member)) return this.#probeMember(member);
      checked++;
    }
    return undefined;
  }

  get #source(): PingSource {
    const { config } = this.#parts;
    return { addr: config.advertise, port: LAN.port, node: config.name };
  }

  *#probeMember(member: Member): Proc {
    const { host, members } = this.#parts;
    const seqNo = ++this.#seqNo;
    const ping: PingMessage = { seqNo, node: member.name, source: this.#source };
    const wait = new ProbeWait();
    const end = host.now() + LAN.probeInterval * (members.health + 1);
    this.#handlers.set(seqNo, {
      ack: () => {
        wait.acked = true;
        this.#handlers.delete(seqNo);
        wait.notify();
      },
      nack: () => {
        wait.nacks++;
      },
    });
    try {
      members.changeHealth(yield* this.#probeSteps(member, ping, wait, end));
    } finally {
      this.#handlers.delete(seqNo);
    }
  }

  /** @returns by how much the health score changes */
  *#probeSteps(member: Member, ping: PingMessage, wait: ProbeWait, end: Time): Proc<number> {
    const { host, config, members } = this.#parts;
    this.#sendPing(member, ping);
    yield* waitForAck(wait, host.now() + LAN.probeTimeout);
    if (wait.acked) return -1;
    config.log?.("debug", `memberlist: Failed UDP ping: ${member.name} (timeout reached)`);
    const nacksWanted = this.#sendIndirectPings(member, ping.seqNo);
    const contact = { made: false };
    const fallback = this.#parts.tasks.spawn("memberlist tcp ping", this.#tcpPing(member, ping, end, contact));
    yield* waitForAck(wait, end);
    fallback?.kill();
    if (wait.acked) return -1;
    if (contact.made) {
      const where = `${member.name} over TCP but UDP probes failed`;
      config.log?.("warning", `memberlist: Was able to connect to ${where}, network may be misconfigured`);
      return -1;
    }
    config.log?.("info", `memberlist: Suspect ${member.name} has failed, no acks received`);
    const health = nacksWanted > 0 ? Math.max(0, nacksWanted - wait.nacks) : 1;
    members.suspect({ incarnation: member.incarnation, node: member.name, from: config.name });
    return health;
  }

  /** A suspected member is told of the suspicion in the same packet, so that it can refute at once. */
  #sendPing(member: Member, ping: PingMessage): void {
    const { config, transport } = this.#parts;
    if (member.state === MEMBER_STATE.alive) {
      this.#parts.send(member.addr, member.port, encodePing(ping));
      return;
    }
    const suspect = encodeSuspect({ incarnation: member.incarnation, node: member.name, from: config.name });
    const crc = (member.vsn[1] ?? 0) >= 5;
    transport.send(member.addr, member.port, encodeCompound([encodePing(ping), suspect]), crc);
  }

  /** @returns how many of the asked ones will send a nack if they get no answer either */
  #sendIndirectPings(target: Member, seqNo: number): number {
    const { members, random, config } = this.#parts;
    const helpers = pickRandom(random.seek(this.#parts.host.now()), LAN.indirectChecks, members.ring, (member) => {
      return member.name !== config.name && member.name !== target.name && member.state === MEMBER_STATE.alive;
    });
    let nacks = 0;
    for (const helper of helpers) {
      const nack = (helper.vsn[1] ?? 0) >= 4;
      if (nack) nacks++;
      const { addr, port, name: node } = target;
      const request = { seqNo, target: addr, port, node, nack, source: this.#source };
      this.#parts.send(helper.addr, helper.port, encodeIndirectPing(request));
    }
    return nacks;
  }

  *#tcpPing(member: Member, ping: PingMessage, until: Time, contact: { made: boolean }): Proc {
    const { transport } = this.#parts;
    let socket: TcpSocket | undefined;
    try {
      socket = yield* transport.dial(member.addr, member.port, until);
      yield* transport.sendStream(socket, encodePing(ping), until);
      const answer = yield* transport.receiveStream(socket, until);
      if (answer === undefined) return;
      if (answer.message[0] !== MESSAGE.ackResp) throw new MalformedError("message type");
      if (decodeAck(answer.message.subarray(1)).seqNo !== ping.seqNo) throw new MalformedError("ack sequence number");
      contact.made = true;
    } catch (error) {
      if (error instanceof MalformedError) transport.drop(error.reason);
      else if (!(error instanceof KernelError)) throw error;
    } finally {
      socket?.close();
    }
  }

  handlePing(ping: PingMessage, src: Ipv4, srcPort: number): void {
    const { config, transport } = this.#parts;
    if (ping.node !== "" && ping.node !== config.name) {
      transport.drop("ping for another node");
      const from = `${formatIpv4(src)}:${srcPort}`;
      config.log?.("warning", `memberlist: Got ping for unexpected node '${ping.node}' from=${from}`);
      return;
    }
    const back = ping.source ?? { addr: src, port: srcPort };
    this.#parts.send(back.addr, back.port, encodeAck({ seqNo: ping.seqNo, payload: null }));
  }

  handleIndirectPing(request: IndirectPingMessage, src: Ipv4, srcPort: number): void {
    const { send, tasks } = this.#parts;
    const seqNo = ++this.#seqNo;
    const back = request.source ?? { addr: src, port: srcPort };
    let answered = false;
    this.#handlers.set(seqNo, {
      ack: () => {
        answered = true;
        this.#handlers.delete(seqNo);
        send(back.addr, back.port, encodeAck({ seqNo: request.seqNo, payload: null }));
      },
      nack: () => {},
    });
    send(request.target, request.port || LAN.port, encodePing({ seqNo, node: request.node, source: this.#source }));
    tasks.after("memberlist nack", LAN.probeTimeout, () => {
      this.#handlers.delete(seqNo);
      if (!answered && request.nack) send(back.addr, back.port, encodeNack({ seqNo: request.seqNo }));
    });
  }

  handleAck(ack: AckMessage): void {
    this.#handlers.get(ack.seqNo)?.ack();
  }

  handleNack(nack: NackMessage): void {
    this.#handlers.get(nack.seqNo)?.nack();
  }
}

function* waitForAck(wait: ProbeWait, until: Time): Proc {
  while (!wait.acked) {
    if ((yield { on: [wait], until }) === undefined) return;
  }
}
