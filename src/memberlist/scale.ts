/**
 * How memberlist's numbers grow with the cluster (hashicorp/memberlist util.go, suspicion.go). Engines differ in the last bit
 * of Math.log and its kin, so logarithms are taken by whole numbers, or by the operations that IEEE 754 rounds exactly.
 */
import type { Random } from "../base/random.ts";
import { MS, SEC, type Time } from "../base/time.ts";

/** How often a broadcast is sent: multiplier × ceil(log10(n + 1)), which is how many digits n has (0 has none). */
export function retransmitLimit(multiplier: number, nodes: number): number {
  return nodes === 0 ? 0 : multiplier * String(nodes).length;
}

/** The shortest time from suspicion to death: multiplier × max(1, log10 n) × interval, in steps of a thousandth. */
export function suspicionTimeout(multiplier: number, nodes: number, interval: Time): Time {
  // 1000 × log10 n = log10(n^1000), and its whole part is one less than the digits of that number.
  const thousandths = nodes <= 10 ? 1000 : (BigInt(nodes) ** 1000n).toString().length - 1;
  return (multiplier * thousandths * interval) / 1000;
}

/** The time from the start of a suspicion to death, given how many of the wanted confirmations came. */
export function suspicionTime(confirmations: number, wanted: number, min: Time, max: Time): Time {
  const fraction = naturalLog(confirmations + 1) / naturalLog(wanted + 1);
  const seconds = max / SEC - fraction * (max / SEC - min / SEC);
  return Math.max(min, Math.floor(1000 * seconds) * MS);
}

/**
 * ln n of a whole number from 1 to 2^31 as Go's math.Log computes it (FreeBSD's e_log.c): n = 2^k (1 + f), with 1 + f between
 * √½ and √2, and ln(1 + f) = f - f²/2 + s (f²/2 + R(s²)), s = f / (2 + f).
 */
export function naturalLog(n: number): number {
  let k = 32 - Math.clz32(n);
  let fraction = n / 2 ** k;
  if (fraction < Math.SQRT1_2) {
    fraction *= 2;
    k--;
  }
  const f = fraction - 1;
  const s = f / (2 + f);
  const s2 = s * s;
  const s4 = s2 * s2;
  const odd =
    s2 * (0.6666666666666735 + s4 * (0.2857142874366239 + s4 * (0.1818357216161805 + s4 * 0.14798198605116586)));
  const even = s4 * (0.3999999999940942 + s4 * (0.22222198432149784 + s4 * 0.15313837699209373));
  const half = 0.5 * f * f;
  return k * 0.6931471803691238 - (half - (s * (half + odd + even) + k * 1.9082149292705877e-10) - f);
}

/** The push/pull interval: as given up to 32 nodes, doubled at the 33rd, tripled at the 65th, and so on. */
export function pushPullScale(interval: Time, nodes: number): Time {
  // ceil(log2 n) is how many bits n - 1 has.
  return nodes <= 32 ? interval : (32 - Math.clz32(nodes - 1) - 5 + 1) * interval;
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
