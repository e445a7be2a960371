/**
 * Skipping quiet time, the kernel's part (src/scheduler/quiet.ts has the whole). The clock of timers and stamps
 * stands still while time is skipped, so whatever the traffic of a resting swarm keeps alive is as old afterwards
 * as it was before. What that traffic does not keep alive is aged here by the time that was skipped.
 */
import { CTL_TCP_ESTABLISHED, IPPROTO_TCP, IPS_CONFIRMED } from "./abi";
import { connsAge } from "./ipvs/conn";
import { NetNs } from "./link/netns";
import { Ct, SECOND, ctAll, ctSweepAfter } from "./netfilter/conntrack";
import { NfNs, ctlOf, nfOf } from "./netfilter/nfns";
import { tupleProto } from "./netfilter/tuple";
import { EV_TIMER, EventNode, WHEEL_LISTS, eventAt, now, skipTime, skipped, wheelList } from "./sim/event";
import { TIMER_DUE, TIMER_KEEPALIVE, Timer } from "./sim/timer";
import { NS_PER_MS } from "./socket/tcp-const";
import { TcpSock } from "./socket/tcp-sock";
import { twShiftTimestamps } from "./socket/tcp-timewait";
import { SOCK_REQ, SOCK_TW, TcpMini, ehashAll } from "./socket/tcp-tables";

/** A connection on which nothing was heard for so long is kept alive by nobody. */
const IDLE: i64 = 60 * SECOND;

/** The earliest event so far that must come at its time; -1 = a frame is under way. */
let due: i64 = 0;

function look(node: EventNode): void {
  if (due < 0) return;
  if (node.evKind != EV_TIMER) {
    due = -1;
    return;
  }
  const timer = changetype<Timer>(changetype<usize>(node));
  if (timer.expires < 0 || timer.expires >= due) return;
  if (timer.upkeep == TIMER_DUE || (timer.upkeep == TIMER_KEEPALIVE && idle(changetype<TcpSock>(timer.arg)))) due = timer.expires;
}

function idle(tp: TcpSock): bool {
  const heard = tp.lrcvTime > tp.rcvTstamp ? tp.lrcvTime : tp.rcvTstamp;
  return now - heard > IDLE;
}

/**
 * When quiet time must end at the latest for the kernel's sake: the earliest timer that upkeep doesn't move, ns;
 * infinity when there is none, -1 when a frame is on a wire.
 */
export function quietUntil(): f64 {
  due = i64.MAX_VALUE;
  for (let i: u32 = 0, event = eventAt(0); event != 0; event = eventAt(++i)) look(changetype<EventNode>(event));
  for (let list: u32 = 0; list < WHEEL_LISTS; list++)
    for (let event = wheelList(list); event != 0; event = <usize>changetype<EventNode>(event).evNext) look(changetype<EventNode>(event));
  if (due < 0) return -1;
  return due == i64.MAX_VALUE ? Infinity : <f64>(due + skipped);
}

/** Lets `span` ns pass in which nothing happens but upkeep. A multiple of the period of the neighbour tables (15 s). */
export function quietSkip(span: f64): void {
  const by = <i64>span;
  ctAll(changetype<usize>(ageConnection), by);
  ehashAll(changetype<usize>(shiftTimestamps), <u32>(by / NS_PER_MS));
  connsAge(by);
  skipTime(by);
}

/** An established connection that nobody refreshed lately has been idle for the skipped time too. */
function ageConnection(at: usize, by: i64): void {
  const ct = changetype<Ct>(at);
  if (ct.ns == 0 || !(ct.status & IPS_CONFIRMED) || tupleProto(at) != <u32>IPPROTO_TCP) return;
  const nf: NfNs = nfOf(changetype<NetNs>(ct.ns));
  const refreshed = ct.expires - <i64>ctlOf(nf, CTL_TCP_ESTABLISHED) * SECOND;
  if (ct.expires - now < 10 * IDLE || now - refreshed < IDLE) return;
  ct.expires = ct.expires - by > now ? ct.expires - by : now;
  ctSweepAfter(nf, ct.expires);
}

/** The peers' timestamp clocks went on: what was heard of them last is as recent as before. */
function shiftTimestamps(at: usize, ms: u32): void {
  const flags = changetype<TcpMini>(at).flags;
  if (flags & SOCK_TW) twShiftTimestamps(at, ms);
  else if (!(flags & SOCK_REQ)) {
    const tp = changetype<TcpSock>(at);
    if (tp.tsRecentStamp != 0) tp.tsRecent += ms;
    if (tp.rcvTsecr != 0) tp.rcvTsecr += ms;
  }
}
