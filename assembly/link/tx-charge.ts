/**
 * What connections have standing in a NIC's queue. A frame stays charged to its TCP socket until it has left (the driver
 * frees it then, and sock_wfree runs), so that a connection does not fill the queue of its own host: small queues,
 * autocorking (net/ipv4/tcp_output.c tcp_tsq_handler, tcp_small_queue_check).
 *
 * The frame itself is on its way by then, so the charge is kept here: a ring per port in order of departure, worked off when
 * the NIC sends again, and by one timer that comes when the last frame of those that stood there has left, as an interrupt
 * that is moderated does.
 *
 *   entry, 16 bytes:  +0 departure i64 | +8 socket u32 | +12 bytes charged u32
 */
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { Skb } from "../memory/skb";
import { now } from "../sim/event";
import { Timer, timerDel, timerInit, timerMod, timerPending } from "../sim/timer";
import { Host } from "../sim/host";
import { Sock, sockUncharge } from "../socket/socket";

const ENTRY: usize = 16;
const FIRST_SIZE: u32 = 64;

/** What a NIC has taken from sockets and not yet sent, by time of departure. */
@unmanaged
export class TxCharges extends Timer {
  ring: usize;
  mask: u32; // entries less one
  first: u32; // counters that only grow
  last: u32;
}

@inline
function entry(charges: TxCharges, index: u32): usize {
  return charges.ring + <usize>(index & charges.mask) * ENTRY;
}

/** An empty queue. */
export function chargesNew(host: Host): TxCharges {
  const charges = changetype<TxCharges>(kmalloc(offsetof<TxCharges>()));
  timerInit(charges, host, changetype<usize>(fire), changetype<usize>(charges));
  charges.ring = kmallocRaw(<usize>FIRST_SIZE * ENTRY);
  charges.mask = FIRST_SIZE - 1;
  return charges;
}

/** The NIC goes: its queue with it. */
export function chargesFree(charges: TxCharges): void {
  settle(charges, i64.MAX_VALUE);
  timerDel(charges);
  kfree(charges.ring, (<usize>charges.mask + 1) * ENTRY);
  kfree(changetype<usize>(charges), offsetof<TxCharges>());
}

/** Gives back what has left by `time`. */
function settle(charges: TxCharges, time: i64): void {
  while (charges.first != charges.last) {
    const at = entry(charges, charges.first);
    if (load<i64>(at) > time) return;
    charges.first++;
    sockUncharge(changetype<Sock>(<usize>load<u32>(at, 8)), load<u32>(at, 12));
  }
}

function fire(arg: usize): void {
  const charges = changetype<TxCharges>(arg);
  settle(charges, now);
  if (charges.first != charges.last) timerMod(charges, load<i64>(entry(charges, charges.last - 1)));
}

/** Takes a frame's charge over until its departure. */
export function chargeHold(charges: TxCharges, skb: Skb, departure: i64): void {
  settle(charges, now);
  if (charges.last - charges.first > charges.mask) grow(charges);
  const at = entry(charges, charges.last++);
  store<i64>(at, departure);
  store<u32>(at, <u32>skb.sk, 8);
  store<u32>(at, skb.truesize, 12);
  skb.sk = 0;
  if (!timerPending(charges)) timerMod(charges, departure);
}

function grow(charges: TxCharges): void {
  const size = charges.mask + 1;
  const ring = kmallocRaw(<usize>size * 2 * ENTRY);
  for (let i: u32 = 0; i < size; i++) memory.copy(ring + <usize>i * ENTRY, entry(charges, charges.first + i), ENTRY);
  kfree(charges.ring, <usize>size * ENTRY);
  charges.ring = ring;
  charges.mask = size * 2 - 1;
  charges.first = 0;
  charges.last = size;
}
