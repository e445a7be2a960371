/**
 * AES on eight blocks at once, bitsliced in v128: rounds 2 to the last, the transposition back to bytes, and the
 * exclusive or with the data. Round 1 is counter.ts, where counter mode makes it cheap.
 *
 * The code exists twice: alone, and with GHASH of one block beside each of eight rounds with MixColumns. The rounds wait
 * for vector operations, GHASH for its tables. The first batch of a packet gains nothing.
 *
 * Measured (Zen 5 class, Node 20; ns for a batch of 128 bytes; its 8 blocks of GHASH apart: 91):
 *   rounds unrolled: small circuit 210, shallow 203; with GHASH beside them: small 230, shallow 240
 *   four rounds in a loop, state in memory between: as fast alone, 10 % faster with GHASH; half the code
 *   indices of the swizzles as constants 210; round keys xored last or first: within 4 %, noise
 *   Y through memory instead of extract_lane 262, and in some processes thrice as slow, where it collides with the stack
 * With V8 13.6: small 225, shallow 195; GHASH beside them gains 2 to 5 %; Y through memory would gain 25 %.
 *
 * Plane k, k = 0 … 7, holds bit k of all 128 bytes: bit j of its byte p is bit k of byte p of block j.
 *
 * SubBytes is then a circuit on eight planes, one of two by Boyar and Peralta: the shallow one ("A small depth-16
 * circuit for the AES S-box", 2012; 128 gates) where results are waited for, the small one (113 gates, depth 27) where
 * there is GHASH to do meanwhile. Their four NOTs are left out: they add 0x63, which MixColumns leaves alone, so the
 * round keys behind have it in them.
 *
 * ShiftRows moves nothing. Let T[p] = S[pi(p)] be the state as it is kept. ShiftRows only changes what pi is; with
 * its permutation sigma, pi = sigma^(R-r) behind ShiftRows of round r of R. sigma^4 = 1, and at the end pi is the
 * identity, for every R. MixColumns takes the other rows of a column from where they are kept, by swizzles that
 * depend on the number of rounds left.
 *
 * Swizzles whose indices lie in memory, not shuffles with constant ones: V8 builds the mask of such a shuffle, and in
 * newer versions any vector constant, again at each use.
 */

import { ghashMultiply, hash } from "./ghash";

/** Rounds with MixColumns that the loop does, four at a time; AES-128 has no others behind round 1. */
const LOOPED: u32 = 8;
/** Bytes of eight planes. */
export const PLANES: usize = 8 * 16;

const constants: usize = memory.data(19 * 16, 64);
/** sigma^k, k = 0 … 3: column c, row r is kept from column c + kr. */
const SIGMA: usize = constants;
/** k rounds left: where the next row of the same column is kept. */
const ROW1: usize = constants + 4 * 16;
/** The same for the row after that. */
const ROW2: usize = constants + 8 * 16;
/** Masks of the transposition: the even bits, pairs, nibbles of all bytes. */
const EVEN: usize = constants + 12 * 16;
/** The planes between the turns of a loop. */
const state: usize = memory.data(8 * 16, 64);

/** Fills the tables; needed once, before anything else here. */
export function bitsliceInit(): void {
  for (let k: usize = 0; k < 4; k++) {
    for (let p: usize = 0; p < 16; p++) {
      const c = p >> 2;
      const r = p & 3;
      const at = (k << 4) + p;
      store<u8>(SIGMA + at, <u8>((((c + k * r) & 3) << 2) | r));
      store<u8>(ROW1 + at, <u8>((((c - k) & 3) << 2) | ((r + 1) & 3)));
      store<u8>(ROW2 + at, <u8>((((c - 2 * k) & 3) << 2) | (r ^ 2)));
    }
  }
  v128.store(EVEN, i8x16.splat(0x55));
  v128.store(EVEN, i8x16.splat(0x33), 16);
  v128.store(EVEN, i8x16.splat(0x0f), 32);
}

@inline
function bitPlane(block: v128, k: i32): v128 {
  const bit = i8x16.splat(<i8>(<i32>1 << k));
  return i8x16.eq(v128.and(block, bit), bit);
}

/** Writes the planes of eight blocks that all equal the one at `from`, as they are kept with `left` rounds left. */
export function spread(from: usize, left: u32, to: usize): void {
  const block = i8x16.swizzle(v128.load(from), v128.load(SIGMA + (<usize>(left & 3) << 4)));
  putPlanes(
    to,
    bitPlane(block, 0), bitPlane(block, 1), bitPlane(block, 2), bitPlane(block, 3),
    bitPlane(block, 4), bitPlane(block, 5), bitPlane(block, 6), bitPlane(block, 7),
  );
}

/**
 * Rewrites an expanded key of `rounds` rounds: `last` gets the last round key (16 bytes), `planes` those of rounds 2 to
 * the one before, (rounds - 2) x PLANES.
 */
export function bitsliceKey(schedule: usize, rounds: u32, planes: usize, last: usize): void {
  const fix = i8x16.splat(0x63);
  for (let round: u32 = 2; round <= rounds; round++) {
    v128.store(last, v128.xor(v128.load(schedule + (<usize>round << 4)), fix));
    if (round == rounds) break;
    spread(last, rounds - round, planes);
    planes += PLANES;
  }
}

/**
 * Eight blocks: the state after round 1 is `one` xor `two` (planes each), the keys are those of bitsliceKey. Writes the
 * cipher's output xor the 128 bytes at `from` to `to`.
 */
export function eightBlocks(one: usize, two: usize, planes: usize, last: usize, rounds: u32, from: usize, to: usize): void {
  begin(one, two);
  if (rounds != LOOPED + 2) planes = leadIn(planes, rounds - 2);
  alone(planes, last, from, to);
}

/** The same; before it writes, it takes the 128 bytes at `hashed` into `hash`. */
export function eightBlocksHashing(one: usize, two: usize, planes: usize, last: usize, rounds: u32, from: usize, to: usize, table: usize, hashed: usize): void {
  begin(one, two);
  if (rounds != LOOPED + 2) planes = leadIn(planes, rounds - 2);
  hashing(planes, last, from, to, table, hashed);
}

@inline
function begin(one: usize, two: usize): void {
  putPlanes(
    state,
    v128.xor(v128.load(one), v128.load(two)),
    v128.xor(v128.load(one, 16), v128.load(two, 16)),
    v128.xor(v128.load(one, 32), v128.load(two, 32)),
    v128.xor(v128.load(one, 48), v128.load(two, 48)),
    v128.xor(v128.load(one, 64), v128.load(two, 64)),
    v128.xor(v128.load(one, 80), v128.load(two, 80)),
    v128.xor(v128.load(one, 96), v128.load(two, 96)),
    v128.xor(v128.load(one, 112), v128.load(two, 112)),
  );
}

function alone(planes: usize, last: usize, from: usize, to: usize): void {
  rounds<Alone>(planes, last, from, to, 0, 0);
}

function hashing(planes: usize, last: usize, from: usize, to: usize, table: usize, hashed: usize): void {
  rounds<Hashing>(planes, last, from, to, table, hashed);
}

/** Twice four rounds with MixColumns, then the last round. */
@inline
function rounds<H>(planes: usize, last: usize, from: usize, to: usize, table: usize, hashed: usize): void {
  for (let left = LOOPED; left != 0; left -= 4) {
    oneOf<Left4, H>(planes, 0, 0, state, table, hashed);
    planes += 4 * PLANES;
    hashed += 4 * 16;
  }
  oneOf<Left0, H>(0, last, from, to, 0, 0);
}

/** The rounds that AES-192 and AES-256 have before those. Returns where the other keys are. */
function leadIn(planes: usize, left: u32): usize {
  for (; left != LOOPED; left--) {
    oneOf<Lead, Alone>(planes, 0, <usize>(left & 3) << 4, state, 0, 0);
    planes += PLANES;
  }
  return planes;
}

/** The rounds of T, from `state`. */
@inline
function oneOf<T, H>(planes: usize, last: usize, from: usize, to: usize, table: usize, hashed: usize): void {
  const y = offsetof<H>() != 0 && offsetof<T>() != 0 ? v128.load(hash) : i64x2.splat(0);
  substitute<T, H>(
    v128.load(state), v128.load(state, 16), v128.load(state, 32), v128.load(state, 48),
    v128.load(state, 64), v128.load(state, 80), v128.load(state, 96), v128.load(state, 112),
    planes, last, from, to, y, table, hashed,
  );
}

// A function that is inlined into itself must be another instance each time. So a round has a type parameter T, whose
// size is the number of rounds with MixColumns up to the end of the loop's body (0: the last round); and H, whose size
// tells whether to hash.
@unmanaged class Left0 {}
@unmanaged class Left1 extends Left0 { a: u8; }
@unmanaged class Left2 extends Left1 { b: u8; }
@unmanaged class Left3 extends Left2 { c: u8; }
@unmanaged class Left4 extends Left3 { d: u8; }
/** One round of leadIn(). */
@unmanaged class Lead extends Left4 { e: u8; }
@unmanaged class Alone {}
@unmanaged class Hashing { a: u8; }

/** SubBytes, and the rest. x0 and s0 are plane 7, x7 and s7 plane 0, as in the papers. */
@inline
function substitute<T, H>(x7: v128, x6: v128, x5: v128, x4: v128, x3: v128, x2: v128, x1: v128, x0: v128, planes: usize, last: usize, from: usize, to: usize, y: v128, table: usize, hashed: usize): void {
  if (offsetof<H>() == 0) shallow<T>(x7, x6, x5, x4, x3, x2, x1, x0, planes, last, from, to, y, table, hashed);
  else small<T>(x7, x6, x5, x4, x3, x2, x1, x0, planes, last, from, to, y, table, hashed);
}

@inline
function shallow<T>(x7: v128, x6: v128, x5: v128, x4: v128, x3: v128, x2: v128, x1: v128, x0: v128, planes: usize, last: usize, from: usize, to: usize, y: v128, table: usize, hashed: usize): void {
  // Front, inversion, back.
  const t1 = v128.xor(x0, x3); const t2 = v128.xor(x0, x5); const t3 = v128.xor(x0, x6);
  const t4 = v128.xor(x3, x5); const t5 = v128.xor(x4, x6); const t6 = v128.xor(t1, t5);
  const t7 = v128.xor(x1, x2); const t8 = v128.xor(x7, t6); const t9 = v128.xor(x7, t7);
  const t10 = v128.xor(t6, t7); const t11 = v128.xor(x1, x5); const t12 = v128.xor(x2, x5);
  const t13 = v128.xor(t3, t4); const t14 = v128.xor(t6, t11); const t15 = v128.xor(t5, t11);
  const t16 = v128.xor(t5, t12); const t17 = v128.xor(t9, t16); const t18 = v128.xor(x3, x7);
  const t19 = v128.xor(t7, t18); const t20 = v128.xor(t1, t19); const t21 = v128.xor(x6, x7);
  const t22 = v128.xor(t7, t21); const t23 = v128.xor(t2, t22); const t24 = v128.xor(t2, t10);
  const t25 = v128.xor(t20, t17); const t26 = v128.xor(t3, t16); const t27 = v128.xor(t1, t12);
  const m1 = v128.and(t13, t6); const m2 = v128.and(t23, t8); const m3 = v128.xor(t14, m1);
  const m4 = v128.and(t19, x7); const m5 = v128.xor(m4, m1); const m6 = v128.and(t3, t16);
  const m7 = v128.and(t22, t9); const m8 = v128.xor(t26, m6); const m9 = v128.and(t20, t17);
  const m10 = v128.xor(m9, m6); const m11 = v128.and(t1, t15); const m12 = v128.and(t4, t27);
  const m13 = v128.xor(m12, m11); const m14 = v128.and(t2, t10); const m15 = v128.xor(m14, m11);
  const m16 = v128.xor(m3, m2); const m17 = v128.xor(m5, t24); const m18 = v128.xor(m8, m7);
  const m19 = v128.xor(m10, m15); const m20 = v128.xor(m16, m13); const m21 = v128.xor(m17, m15);
  const m22 = v128.xor(m18, m13); const m23 = v128.xor(m19, t25); const m24 = v128.xor(m22, m23);
  const m25 = v128.and(m22, m20); const m26 = v128.xor(m21, m25); const m27 = v128.xor(m20, m21);
  const m28 = v128.xor(m23, m25); const m29 = v128.and(m28, m27); const m30 = v128.and(m26, m24);
  const m31 = v128.and(m20, m23); const m32 = v128.and(m27, m31); const m33 = v128.xor(m27, m25);
  const m34 = v128.and(m21, m22); const m35 = v128.and(m24, m34); const m36 = v128.xor(m24, m25);
  const m37 = v128.xor(m21, m29); const m38 = v128.xor(m32, m33); const m39 = v128.xor(m23, m30);
  const m40 = v128.xor(m35, m36); const m41 = v128.xor(m38, m40); const m42 = v128.xor(m37, m39);
  const m43 = v128.xor(m37, m38); const m44 = v128.xor(m39, m40); const m45 = v128.xor(m42, m41);
  const m46 = v128.and(m44, t6); const m47 = v128.and(m40, t8); const m48 = v128.and(m39, x7);
  const m49 = v128.and(m43, t16); const m50 = v128.and(m38, t9); const m51 = v128.and(m37, t17);
  const m52 = v128.and(m42, t15); const m53 = v128.and(m45, t27); const m54 = v128.and(m41, t10);
  const m55 = v128.and(m44, t13); const m56 = v128.and(m40, t23); const m57 = v128.and(m39, t19);
  const m58 = v128.and(m43, t3); const m59 = v128.and(m38, t22); const m60 = v128.and(m37, t20);
  const m61 = v128.and(m42, t1); const m62 = v128.and(m45, t4); const m63 = v128.and(m41, t2);
  const l0 = v128.xor(m61, m62); const l1 = v128.xor(m50, m56); const l2 = v128.xor(m46, m48);
  const l3 = v128.xor(m47, m55); const l4 = v128.xor(m54, m58); const l5 = v128.xor(m49, m61);
  const l6 = v128.xor(m62, l5); const l7 = v128.xor(m46, l3); const l8 = v128.xor(m51, m59);
  const l9 = v128.xor(m52, m53); const l10 = v128.xor(m53, l4); const l11 = v128.xor(m60, l2);
  const l12 = v128.xor(m48, m51); const l13 = v128.xor(m50, l0); const l14 = v128.xor(m52, m61);
  const l15 = v128.xor(m55, l1); const l16 = v128.xor(m56, l0); const l17 = v128.xor(m57, l1);
  const l18 = v128.xor(m58, l8); const l19 = v128.xor(m63, l4); const l20 = v128.xor(l0, l1);
  const l21 = v128.xor(l1, l7); const l22 = v128.xor(l3, l12); const l23 = v128.xor(l18, l2);
  const l24 = v128.xor(l15, l9); const l25 = v128.xor(l6, l10); const l26 = v128.xor(l7, l9);
  const l27 = v128.xor(l8, l10); const l28 = v128.xor(l11, l14); const l29 = v128.xor(l11, l17);
  const s0 = v128.xor(l6, l24); const s1 = v128.xor(l16, l26); const s2 = v128.xor(l19, l28);
  const s3 = v128.xor(l6, l21); const s4 = v128.xor(l20, l22); const s5 = v128.xor(l25, l29);
  const s6 = v128.xor(l13, l27); const s7 = v128.xor(l6, l23);
  substituted<T, Alone>(s7, s6, s5, s4, s3, s2, s1, s0, planes, last, from, to, y, table, hashed);
}

@inline
function small<T>(x7: v128, x6: v128, x5: v128, x4: v128, x3: v128, x2: v128, x1: v128, x0: v128, planes: usize, last: usize, from: usize, to: usize, y: v128, table: usize, hashed: usize): void {
  // The linear layer in front.
  const y14 = v128.xor(x3, x5); const y13 = v128.xor(x0, x6); const y9 = v128.xor(x0, x3);
  const y8 = v128.xor(x0, x5); const t0 = v128.xor(x1, x2); const y1 = v128.xor(t0, x7);
  const y4 = v128.xor(y1, x3); const y12 = v128.xor(y13, y14); const y2 = v128.xor(y1, x0);
  const y5 = v128.xor(y1, x6); const y3 = v128.xor(y5, y8); const t1 = v128.xor(x4, y12);
  const y15 = v128.xor(t1, x5); const y20 = v128.xor(t1, x1); const y6 = v128.xor(y15, x7);
  const y10 = v128.xor(y15, t0); const y11 = v128.xor(y20, y9); const y7 = v128.xor(x7, y11);
  const y17 = v128.xor(y10, y11); const y19 = v128.xor(y10, y8); const y16 = v128.xor(t0, y11);
  const y21 = v128.xor(y13, y16); const y18 = v128.xor(x0, y16);
  // Inversion in GF(2^8), by way of GF(2^4) and GF(2^2).
  const t2 = v128.and(y12, y15); const t3 = v128.and(y3, y6); const t4 = v128.xor(t3, t2);
  const t5 = v128.and(y4, x7); const t6 = v128.xor(t5, t2); const t7 = v128.and(y13, y16);
  const t8 = v128.and(y5, y1); const t9 = v128.xor(t8, t7); const t10 = v128.and(y2, y7);
  const t11 = v128.xor(t10, t7); const t12 = v128.and(y9, y11); const t13 = v128.and(y14, y17);
  const t14 = v128.xor(t13, t12); const t15 = v128.and(y8, y10); const t16 = v128.xor(t15, t12);
  const t17 = v128.xor(t4, t14); const t18 = v128.xor(t6, t16); const t19 = v128.xor(t9, t14);
  const t20 = v128.xor(t11, t16); const t21 = v128.xor(t17, y20); const t22 = v128.xor(t18, y19);
  const t23 = v128.xor(t19, y21); const t24 = v128.xor(t20, y18); const t25 = v128.xor(t21, t22);
  const t26 = v128.and(t21, t23); const t27 = v128.xor(t24, t26); const t28 = v128.and(t25, t27);
  const t29 = v128.xor(t28, t22); const t30 = v128.xor(t23, t24); const t31 = v128.xor(t22, t26);
  const t32 = v128.and(t31, t30); const t33 = v128.xor(t32, t24); const t34 = v128.xor(t23, t33);
  const t35 = v128.xor(t27, t33); const t36 = v128.and(t24, t35); const t37 = v128.xor(t36, t34);
  const t38 = v128.xor(t27, t36); const t39 = v128.and(t29, t38); const t40 = v128.xor(t25, t39);
  const t41 = v128.xor(t40, t37); const t42 = v128.xor(t29, t33); const t43 = v128.xor(t29, t40);
  const t44 = v128.xor(t33, t37); const t45 = v128.xor(t42, t41); const z0 = v128.and(t44, y15);
  const z1 = v128.and(t37, y6); const z2 = v128.and(t33, x7); const z3 = v128.and(t43, y16);
  const z4 = v128.and(t40, y1); const z5 = v128.and(t29, y7); const z6 = v128.and(t42, y11);
  const z7 = v128.and(t45, y17); const z8 = v128.and(t41, y10); const z9 = v128.and(t44, y12);
  const z10 = v128.and(t37, y3); const z11 = v128.and(t33, y4); const z12 = v128.and(t43, y13);
  const z13 = v128.and(t40, y5); const z14 = v128.and(t29, y2); const z15 = v128.and(t42, y9);
  const z16 = v128.and(t45, y14); const z17 = v128.and(t41, y8);
  // The linear layer behind.
  const u1 = v128.xor(z15, z16); const u2 = v128.xor(z10, u1); const u3 = v128.xor(z9, u2);
  const u4 = v128.xor(z0, z2); const u5 = v128.xor(z1, z0); const u6 = v128.xor(z3, z4);
  const u7 = v128.xor(z12, u4); const u8 = v128.xor(z7, u6); const u9 = v128.xor(z8, u7);
  const u10 = v128.xor(u8, u9); const u11 = v128.xor(u6, u5); const u12 = v128.xor(z3, z5);
  const u13 = v128.xor(z13, u1); const u14 = v128.xor(u4, u12); const s3 = v128.xor(u3, u11);
  const u16 = v128.xor(z6, u8); const u17 = v128.xor(z14, u10); const u18 = v128.xor(u13, u14);
  const s7 = v128.xor(z12, u18); const u20 = v128.xor(z15, u16); const u21 = v128.xor(u2, z11);
  const s0 = v128.xor(u3, u16); const s6 = v128.xor(u10, u18); const s4 = v128.xor(u14, s3);
  const s1 = v128.xor(s3, u16); const u26 = v128.xor(u17, u20); const s2 = v128.xor(u26, z17);
  const s5 = v128.xor(u21, u17);
  substituted<T, Hashing>(s7, s6, s5, s4, s3, s2, s1, s0, planes, last, from, to, y, table, hashed);
}

@inline
function substituted<T, H>(a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128, planes: usize, last: usize, from: usize, to: usize, y: v128, table: usize, hashed: usize): void {
  if (offsetof<T>() != 0) {
    mix<T, H>(a, b, c, d, e, f, g, h, planes, last, from, to, y, table, hashed);
  } else {
    transpose(a, b, c, d, e, f, g, h, last, from, to);
  }
}

/** MixColumns and AddRoundKey, then the next round; GHASH of a block beside it. With u = s xor the next row: 2u + next row + (u two rows on). */
@inline
function mix<T, H>(s0: v128, s1: v128, s2: v128, s3: v128, s4: v128, s5: v128, s6: v128, s7: v128, key: usize, last: usize, from: usize, to: usize, y: v128, table: usize, hashed: usize): void {
  if (offsetof<H>() != 0) y = ghashMultiply(table, v128.xor(y, v128.load(hashed)));
  const phase = offsetof<T>() == offsetof<Lead>() ? from : (offsetof<T>() & 3) << 4;
  const row1 = v128.load(ROW1 + phase);
  const row2 = v128.load(ROW2 + phase);
  const t7 = i8x16.swizzle(s7, row1);
  const u7 = v128.xor(s7, t7);
  const t0 = i8x16.swizzle(s0, row1);
  const u0 = v128.xor(s0, t0);
  const n0 = v128.xor(v128.xor(t0, i8x16.swizzle(u0, row2)), v128.xor(u7, v128.load(key)));
  const t1 = i8x16.swizzle(s1, row1);
  const u1 = v128.xor(s1, t1);
  const n1 = v128.xor(v128.xor(v128.xor(t1, i8x16.swizzle(u1, row2)), v128.xor(u0, u7)), v128.load(key, 16));
  const t2 = i8x16.swizzle(s2, row1);
  const u2 = v128.xor(s2, t2);
  const n2 = v128.xor(v128.xor(t2, i8x16.swizzle(u2, row2)), v128.xor(u1, v128.load(key, 32)));
  const t3 = i8x16.swizzle(s3, row1);
  const u3 = v128.xor(s3, t3);
  const n3 = v128.xor(v128.xor(v128.xor(t3, i8x16.swizzle(u3, row2)), v128.xor(u2, u7)), v128.load(key, 48));
  const t4 = i8x16.swizzle(s4, row1);
  const u4 = v128.xor(s4, t4);
  const n4 = v128.xor(v128.xor(v128.xor(t4, i8x16.swizzle(u4, row2)), v128.xor(u3, u7)), v128.load(key, 64));
  const t5 = i8x16.swizzle(s5, row1);
  const u5 = v128.xor(s5, t5);
  const n5 = v128.xor(v128.xor(t5, i8x16.swizzle(u5, row2)), v128.xor(u4, v128.load(key, 80)));
  const t6 = i8x16.swizzle(s6, row1);
  const u6 = v128.xor(s6, t6);
  const n6 = v128.xor(v128.xor(t6, i8x16.swizzle(u6, row2)), v128.xor(u5, v128.load(key, 96)));
  const n7 = v128.xor(v128.xor(t7, i8x16.swizzle(u7, row2)), v128.xor(u6, v128.load(key, 112)));
  const rest = key + PLANES;
  const more = hashed + 16;
  if (offsetof<T>() == 4) substitute<Left3, H>(n0, n1, n2, n3, n4, n5, n6, n7, rest, last, from, to, y, table, more);
  else if (offsetof<T>() == 3) substitute<Left2, H>(n0, n1, n2, n3, n4, n5, n6, n7, rest, last, from, to, y, table, more);
  else if (offsetof<T>() == 2) substitute<Left1, H>(n0, n1, n2, n3, n4, n5, n6, n7, rest, last, from, to, y, table, more);
  else {
    putPlanes(to, n0, n1, n2, n3, n4, n5, n6, n7);
    if (offsetof<H>() != 0) v128.store(hash, y);
  }
}

@inline
function putPlanes(to: usize, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128): void {
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
  v128.store(to, e, 64);
  v128.store(to, f, 80);
  v128.store(to, g, 96);
  v128.store(to, h, 112);
}

/** What `a` shifted right by `n` and `b` differ in, under a mask: exchanges the bits when xored to both. */
@inline
function swap(a: v128, b: v128, n: i32, mask: v128): v128 {
  return v128.and(v128.xor(i64x2.shr_u(a, n), b), mask);
}

@inline
function put(block: v128, last: v128, from: usize, to: usize, at: usize): void {
  v128.store(to + at, v128.xor(v128.xor(block, last), v128.load(from + at)));
}

/** Planes to blocks, by three steps of exchanges of bits; AddRoundKey and the data. */
@inline
function transpose(a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128, last: usize, from: usize, to: usize): void {
  let mask = v128.load(EVEN);
  const m10 = swap(a, b, 1, mask);
  a = v128.xor(a, i64x2.shl(m10, 1));
  b = v128.xor(b, m10);
  const m11 = swap(c, d, 1, mask);
  c = v128.xor(c, i64x2.shl(m11, 1));
  d = v128.xor(d, m11);
  const m12 = swap(e, f, 1, mask);
  e = v128.xor(e, i64x2.shl(m12, 1));
  f = v128.xor(f, m12);
  const m13 = swap(g, h, 1, mask);
  g = v128.xor(g, i64x2.shl(m13, 1));
  h = v128.xor(h, m13);
  mask = v128.load(EVEN, 16);
  const m20 = swap(a, c, 2, mask);
  a = v128.xor(a, i64x2.shl(m20, 2));
  c = v128.xor(c, m20);
  const m21 = swap(b, d, 2, mask);
  b = v128.xor(b, i64x2.shl(m21, 2));
  d = v128.xor(d, m21);
  const m22 = swap(e, g, 2, mask);
  e = v128.xor(e, i64x2.shl(m22, 2));
  g = v128.xor(g, m22);
  const m23 = swap(f, h, 2, mask);
  f = v128.xor(f, i64x2.shl(m23, 2));
  h = v128.xor(h, m23);
  mask = v128.load(EVEN, 32);
  const m40 = swap(a, e, 4, mask);
  a = v128.xor(a, i64x2.shl(m40, 4));
  e = v128.xor(e, m40);
  const m41 = swap(b, f, 4, mask);
  b = v128.xor(b, i64x2.shl(m41, 4));
  f = v128.xor(f, m41);
  const m42 = swap(c, g, 4, mask);
  c = v128.xor(c, i64x2.shl(m42, 4));
  g = v128.xor(g, m42);
  const m43 = swap(d, h, 4, mask);
  d = v128.xor(d, i64x2.shl(m43, 4));
  h = v128.xor(h, m43);
  const key = v128.load(last);
  put(a, key, from, to, 0);
  put(b, key, from, to, 16);
  put(c, key, from, to, 32);
  put(d, key, from, to, 48);
  put(e, key, from, to, 64);
  put(f, key, from, to, 80);
  put(g, key, from, to, 96);
  put(h, key, from, to, 112);
}
