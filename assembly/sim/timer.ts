/**
 * Timers in the event queue. One that is moved to a later time stays where it is and is put back when its old time comes: TCP
 * re-arms its timers at nearly every segment.
 */
import { kmalloc } from "../memory/arena";
import { EV_TIMER, EventNode, ORDER_TIMER, cancel, nextTie, now, schedule } from "./event";
import { Host } from "./host";

/** A timer, embedded in the record that owns it. `fn` is called with `arg` when it expires. */
@unmanaged
export class Timer extends EventNode {
  expires: i64; // -1 = not armed; EventNode.evAt is the time at which it stands in the queue, not later
  fn: usize; // a function (arg: usize) => void
  arg: usize;
  host: usize;
  /** TIMER_*: what a skip of quiet time makes of it. */
  upkeep: u32;
}

/** Must fire at its time of day: quiet time ends before it. */
export const TIMER_DUE: u32 = 0;
/** Belongs to state that traffic keeps alive (neighbours, conntrack's sweep, TIME_WAIT): moved along. */
export const TIMER_UPKEEP: u32 = 1;
/** A TCP keepalive timer: upkeep as long as its connection is heard of, else due. */
export const TIMER_KEEPALIVE: u32 = 2;

/** Prepares an embedded timer. Pass the handler as `changetype<usize>(handler)`. */
export function timerInit(timer: Timer, host: Host, fn: usize, arg: usize): void {
  timer.heapIdx = 0;
  timer.evKind = EV_TIMER;
  timer.expires = -1;
  timer.fn = fn;
  timer.arg = arg;
  timer.host = changetype<usize>(host);
  timer.upkeep = TIMER_DUE;
}

/** True while it is armed. */
@inline
export function timerPending(timer: Timer): bool {
  return timer.expires >= 0;
}

/** Arms or re-arms. A time in the past means now. */
export function timerMod(timer: Timer, expires: i64): void {
  if (expires < now) expires = now;
  timer.expires = expires;
  if (timer.heapIdx != 0) {
    if (timer.evAt <= expires) return; // put back when the old time comes
    cancel(changetype<usize>(timer));
  }
  schedule(changetype<usize>(timer), expires, nextTie(changetype<Host>(timer.host), ORDER_TIMER));
}

/** Disarms. Must be called before the owning record is freed. */
export function timerDel(timer: Timer): void {
  timer.expires = -1;
  cancel(changetype<usize>(timer));
}

/** Runs a timer that was popped from the queue: fires it, or puts it back if it was moved. */
export function timerFire(timer: Timer): void {
  if (timer.expires < 0) return;
  if (timer.expires > now) {
    schedule(changetype<usize>(timer), timer.expires, nextTie(changetype<Host>(timer.host), ORDER_TIMER));
    return;
  }
  timer.expires = -1;
  changetype<(arg: usize) => void>(timer.fn)(timer.arg);
}

/** Makes a stand-alone timer record. */
export function timerNew(host: Host, fn: usize, arg: usize): Timer {
  const timer = changetype<Timer>(kmalloc(offsetof<Timer>()));
  timerInit(timer, host, fn, arg);
  return timer;
}
