/** Round robin and weighted round robin (net/netfilter/ipvs/ip_vs_rr.c, ip_vs_wrr.c). 0 stands for the head of the list. */
import { DEST_OVERLOAD, Dest, Service } from "./records";

/** The one that was chosen last goes: the next turn begins behind its predecessor. */
export function rrDelDest(svc: Service, dest: Dest, before: usize): void {
  if (svc.pointer == changetype<usize>(dest)) svc.pointer = before;
}

/** ip_vs_rr_schedule. */
export function rrSchedule(svc: Service): usize {
  const last = svc.pointer;
  let p = last;
  for (let pass = 0; pass < 2; pass++) {
    for (p = p == 0 ? svc.first : changetype<Dest>(p).next; p != 0; p = changetype<Dest>(p).next) {
      const dest = changetype<Dest>(p);
      if (!(dest.flags & DEST_OVERLOAD) && dest.weight > 0) {
        svc.pointer = p;
        return p;
      }
      if (p == last) return 0;
    }
    if (last == 0) return 0;
  }
  return 0;
}

/** Greatest common divisor of two numbers that aren't negative (lib/math/gcd.c). */
export function gcd(a: i32, b: i32): i32 {
  while (b != 0) {
    const rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/** Greatest common divisor of the positive weights, 1 if there are none (ip_vs_wrr_gcd_weight). */
function gcdWeight(svc: Service): i32 {
  let g: i32 = 0;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const weight = changetype<Dest>(p).weight;
    if (weight > 0) g = g > 0 ? gcd(weight, g) : weight;
  }
  return g != 0 ? g : 1;
}

function maxWeight(svc: Service): i32 {
  let most: i32 = 0;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const weight = changetype<Dest>(p).weight;
    if (weight > most) most = weight;
  }
  return most;
}

/** ip_vs_wrr_init_svc. */
export function wrrInit(svc: Service): void {
  svc.pointer = 0;
  svc.di = gcdWeight(svc);
  svc.mw = maxWeight(svc) - (svc.di - 1);
  svc.cw = svc.mw;
}

/** ip_vs_wrr_dest_changed. */
export function wrrChanged(svc: Service): void {
  svc.pointer = 0;
  svc.di = gcdWeight(svc);
  svc.mw = maxWeight(svc) - (svc.di - 1);
  if (svc.cw > svc.mw || svc.cw == 0) svc.cw = svc.mw;
  else if (svc.di > 1) svc.cw = (svc.cw / svc.di) * svc.di + 1;
}

/** ip_vs_wrr_schedule. */
export function wrrSchedule(svc: Service): usize {
  if (svc.mw == 0) return 0;
  const last = svc.pointer;
  let stop: usize = 0;
  let lastPass = false;
  let restarted = false;
  let p = last;
  for (;;) {
    for (p = p == 0 ? svc.first : changetype<Dest>(p).next; p != 0; p = changetype<Dest>(p).next) {
      const dest = changetype<Dest>(p);
      if (!(dest.flags & DEST_OVERLOAD) && dest.weight >= svc.cw) {
        svc.pointer = p;
        return p;
      }
      if (p == stop) return 0;
    }
    svc.cw -= svc.di;
    if (svc.cw <= 0) {
      svc.cw = svc.mw;
      // All were tried for a weight of 1, or the walk began at the head: there is none.
      if (lastPass || last == 0) return 0;
      restarted = true;
    }
    lastPass = svc.cw <= svc.di;
    // The first walk for a weight of 1 began behind `last`: now those up to it.
    if (lastPass && restarted && last != 0) stop = last;
  }
  return 0;
}
