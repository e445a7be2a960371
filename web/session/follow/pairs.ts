/**
 * Which packet answers which. What the kernel sends because of a packet it says itself; a program's answer is known by the
 * ends of the socket: the first packet from there to where the question came from, and of several datagrams the one that
 * begins as the question does, as DNS messages do by their ids.
 */
import type { Time } from "../../../src/base/time.ts";
import { SEC } from "../../../src/base/time.ts";
import { type Flow, flowOf } from "./flow.ts";
import type { Hop, HopLog } from "./hop-log.ts";

/** How long an answer is waited for. */
const PATIENCE: Time = 10 * SEC;
const ICMP = 1;
const UDP = 17;

/** A place where a packet came to a program, or left one, and the ends of its flow as they are there. */
interface Doorway {
  readonly time: Time;
  readonly hostIndex: number;
  readonly namespace: string;
  readonly flow: Flow;
}

/** Where a packet was sent by a program or the kernel: the first time that it was routed. */
function departure(hops: readonly Hop[]): Doorway | undefined {
  const hop = hops.find(({ mark }) => mark !== undefined && mark.kind !== "cause");
  if (hop?.mark?.kind !== "output") return undefined;
  const flow = flowOf(hop.mark.packet.bytes, hop.mark.packet.atIp);
  return flow && { time: hop.time, hostIndex: hop.hostIndex, namespace: hop.namespace, flow };
}

/** Where a packet came to a socket. */
function arrival(hops: readonly Hop[]): Doorway | undefined {
  const hop = hops.findLast(({ mark }) => mark?.kind === "deliver" && mark.to !== "ICMP" && mark.to !== "ARP");
  if (hop?.mark?.kind !== "deliver") return undefined;
  const { local, remote, to } = hop.mark;
  const protocol = to === "UDP" ? 17 : to === "SCTP" ? 132 : to === "raw" ? ICMP : 6;
  const flow: Flow = { protocol, source: remote, destination: local, spi: 0 };
  return { time: hop.time, hostIndex: hop.hostIndex, namespace: hop.namespace, flow };
}

function answers(question: Doorway, answer: Doorway): boolean {
  const { flow: q } = question;
  const { flow: a } = answer;
  if (question.hostIndex !== answer.hostIndex || question.namespace !== answer.namespace) return false;
  if (q.protocol !== a.protocol || q.protocol === ICMP) return false;
  const ends = q.source.ip === a.destination.ip && q.destination.ip === a.source.ip;
  return ends && q.source.port === a.destination.port && q.destination.port === a.source.port;
}

/** The first two bytes of a datagram; undefined for what isn't one. */
function beginOf(hops: readonly Hop[]): number | undefined {
  for (const { mark } of hops) {
    if (mark?.kind !== "output" || !mark.packet.atIp) continue;
    const { bytes } = mark.packet;
    const at = 4 * ((bytes[0] ?? 0) & 15) + 8;
    if (bytes[9] !== UDP || bytes.length < at + 2) return undefined;
    return (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  }
  return undefined;
}

/** The first packet that a program sent back; undefined when there is none, or the kernel has answered. */
export function answerOf(log: HopLog, id: number): number | undefined {
  const asked = log.hops(id) ?? [];
  const question = arrival(asked);
  if (question === undefined) return undefined;
  const begin = beginOf(asked);
  let found: number | undefined;
  for (const [journey, hops] of log.journeys()) {
    const time = hops[0]?.time ?? 0;
    if (time < question.time || journey === id) continue;
    if (time > question.time + PATIENCE) break;
    const sent = departure(hops);
    if (sent === undefined || !answers(question, sent)) continue;
    if (beginOf(hops) === begin) return journey;
    found ??= journey;
  }
  return found;
}

/** The last packet that came to where this one was sent from, from where it goes to. */
export function questionOf(log: HopLog, id: number): number | undefined {
  const sent = log.hops(id) ?? [];
  const answer = departure(sent);
  if (answer === undefined) return undefined;
  const begin = beginOf(sent);
  let found: number | undefined;
  let same: number | undefined;
  for (const [journey, hops] of log.journeys()) {
    const time = hops[0]?.time ?? 0;
    if (time > answer.time) break;
    if (time < answer.time - PATIENCE || journey === id) continue;
    const came = arrival(hops);
    if (came === undefined || came.time > answer.time || !answers(came, answer)) continue;
    found = journey;
    if (beginOf(hops) === begin) same = journey;
  }
  return same ?? found;
}
