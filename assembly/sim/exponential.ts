/**
 * Exponentially distributed numbers for Poisson processes. The n-th number of a stream is a function of the stream's seed and
 * n alone, by f64 additions, multiplications and divisions, which IEEE 754 rounds alike on every machine; the engines' own
 * logarithms are not used, since each may round its last bit as it likes.
 */

const LN2_HI: f64 = 6.93147180369123816490e-01; // fdlibm e_log.c: ln 2 in two parts
const LN2_LO: f64 = 1.90821492927058770002e-10;
const SQRT_HALF: f64 = 0.7071067811865476;

/** Natural logarithm of a normal positive number: 2 atanh((m - 1) / (m + 1)) + e ln 2, by its series; within 2 ulp or 1e-16. */
export function ln(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  let e = <i32>(bits >> 52) - 1022;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3fe0000000000000); // [0.5, 1)
  if (m < SQRT_HALF) {
    m += m;
    e--;
  }
  // m lies in [√½, √2), so z ≤ 0.0295: eleven terms reach 2^-60.
  const s = (m - 1) / (m + 1);
  const z = s * s;
  let sum = 1.0 / 21;
  sum = sum * z + 1.0 / 19;
  sum = sum * z + 1.0 / 17;
  sum = sum * z + 1.0 / 15;
  sum = sum * z + 1.0 / 13;
  sum = sum * z + 1.0 / 11;
  sum = sum * z + 1.0 / 9;
  sum = sum * z + 1.0 / 7;
  sum = sum * z + 1.0 / 5;
  sum = sum * z + 1.0 / 3;
  return 2 * s + (2 * s * z * sum + <f64>e * LN2_LO) + <f64>e * LN2_HI;
}

/** 64 random bits: the n-th of a stream (SplitMix64, Steele, Lea and Flood). */
@inline
export function streamWord(seed: u64, n: u64): u64 {
  let z = seed + (n + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/** The n-th number of a stream of exponentially distributed ones with mean 1: -ln of a uniform number in (0, 1]. */
export function exponential(seed: u64, n: u64): f64 {
  return -ln((<f64>(streamWord(seed, n) >> 11) + 1) * (1.0 / 9007199254740992));
}
