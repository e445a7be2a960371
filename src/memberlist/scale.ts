/** How memberlist's numbers grow with the cluster (hashicorp/memberlist util.go, suspicion.go). */
import type { Random } from "../base/random.ts";
import { MS, SEC, type Time } from "../base/time.ts";

/** How often a broadcast is sent: multiplier × ceil(log10(n + 1)). */
export function retransmitLimit(multiplier: number, nodes: number): number {
  return multiplier * Math.ceil(Math.log10(nodes + 1));
}

/** The shortest time from suspicion to death: multiplier × max(1, log10 n) × interval, in steps of a thousandth. */
export function suspicionTimeout(multiplier: number, nodes: number, interval: Time): Time {
  const scale = Math.max(1, Math.log10(Math.max(1, nodes)));
  return (multiplier * Math.floor(scale * 1000) * interval) / 1000;
}

/** The time from the start of a suspicion to death, given how many of the wanted confirmations came. */
export function suspicionTime(confirmations: number, wanted: number, min: Time, max: Time): Time {
  const fraction = Math.log(confirmations + 1) / Math.log(wanted + 1);
  const seconds = max / SEC - fraction * (max / SEC - min / SEC);
  return Math.max(min, Math.floor(1000 * seconds) * MS);
}

/** The push/pull interval: as given up to 32 nodes, doubled at the 33rd, tripled at the 65th, and so on. */
export function pushPullScale(interval: Time, nodes: number): Time {
  return nodes <= 32 ? interval : (Math.ceil(Math.log2(nodes) - 5) + 1) * interval;
}

/** Up to k different items by random draws, at most 3n of them, as memberlist's kRandomNodes does. */
export function pickRandom<T>(random: Random, k: number, items: readonly T[], fits: (item: T) => boolean): T[] {
  const picked: T[] = [];
  for (let draw = 0; draw < 3 * items.length && picked.length < k; draw++) {
    const item = items[random.below(items.length)] as T;
    if (fits(item) && !picked.includes(item)) picked.push(item);
  }
  return picked;
}
