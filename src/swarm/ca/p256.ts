/**
 * ECDSA over NIST P-256 (FIPS 186-4, SEC 1) with SHA-256: the key type of every swarm certificate
 * (swarmkit ca/certificates.go RootKeySize, GenerateNewCSR). Nonces come from RFC 6979, so that the same
 * key and message give the same signature; the keys come from the host's seeded random stream. Exact, but
 * not constant-time: nothing here guards a real secret.
 */
import { assert } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { hmacSha256, sha256 } from "../../base/sha256.ts";

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const GX = 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n;
const GY = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n;

/** A point in Jacobian coordinates; z = 0 is the point at infinity. */
type Point = readonly [x: bigint, y: bigint, z: bigint];
const INFINITY: Point = [1n, 1n, 0n];

/** A private key: a scalar in 1…n−1, with its public point in uncompressed form (65 bytes, 04 ‖ x ‖ y). */
export interface PrivateKey {
  readonly scalar: bigint;
  readonly publicKey: Uint8Array;
}

/** An ECDSA signature. */
export interface Signature {
  readonly r: bigint;
  readonly s: bigint;
}

function mod(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b] = [mod(value, modulus), modulus];
  let [x, y] = [1n, 0n];
  while (b !== 0n) {
    const q = a / b;
    [a, b] = [b, a - q * b];
    [x, y] = [y, x - q * y];
  }
  return mod(x, modulus);
}

function double([x, y, z]: Point): Point {
  if (z === 0n) return INFINITY;
  const yy = mod(y * y, P);
  const s = mod(4n * x * yy, P);
  const zz = mod(z * z, P);
  const m = mod(3n * (x - zz) * (x + zz), P);
  const x3 = mod(m * m - 2n * s, P);
  return [x3, mod(m * (s - x3) - 8n * yy * yy, P), mod(2n * y * z, P)];
}

function add(p: Point, q: Point): Point {
  if (p[2] === 0n) return q;
  if (q[2] === 0n) return p;
  const z1z1 = mod(p[2] * p[2], P);
  const z2z2 = mod(q[2] * q[2], P);
  const u1 = mod(p[0] * z2z2, P);
  const h = mod(q[0] * z1z1 - u1, P);
  const s1 = mod(p[1] * q[2] * z2z2, P);
  const r = mod(q[1] * p[2] * z1z1 - s1, P);
  if (h === 0n) return r === 0n ? double(p) : INFINITY;
  const hh = mod(h * h, P);
  const hhh = mod(h * hh, P);
  const v = mod(u1 * hh, P);
  const x3 = mod(r * r - hhh - 2n * v, P);
  return [x3, mod(r * (v - x3) - s1 * hhh, P), mod(p[2] * q[2] * h, P)];
}

let baseTable: Point[][] | undefined;

/** Multiples 1…15 of 16^i · G; made once. */
function tableOfBase(): Point[][] {
  if (baseTable !== undefined) return baseTable;
  const rows: Point[][] = [];
  let start: Point = [GX, GY, 1n];
  for (let i = 0; i < 64; i++) {
    const row: Point[] = [start];
    for (let j = 1; j < 15; j++) row.push(add(row[j - 1] as Point, start));
    rows.push(row);
    start = add(row[14] as Point, start);
  }
  baseTable = rows;
  return rows;
}

function multiplyBase(scalar: bigint): Point {
  let sum = INFINITY;
  let rest = scalar;
  for (const row of tableOfBase()) {
    const digit = Number(rest & 15n);
    if (digit !== 0) sum = add(sum, row[digit - 1] as Point);
    rest >>= 4n;
  }
  return sum;
}

function multiply(point: Point, scalar: bigint): Point {
  let sum = INFINITY;
  for (let bit = 255n; bit >= 0n; bit--) {
    sum = double(sum);
    if ((scalar >> bit) & 1n) sum = add(sum, point);
  }
  return sum;
}

function affine(point: Point): readonly [bigint, bigint] {
  const zi = inverse(point[2], P);
  const zz = mod(zi * zi, P);
  return [mod(point[0] * zz, P), mod(point[1] * zz * zi, P)];
}

/** The big-endian number in some bytes. */
export function bytesToBigint(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

/** A number as exactly `length` big-endian bytes. */
export function bigintToBytes(value: bigint, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    out[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  assert(rest === 0n, "number does not fit", value, length);
  return out;
}

/** A new key pair from a random stream. */
export function generateKey(random: Random): PrivateKey {
  return privateKeyOf(mod(bytesToBigint(random.bytes(40)), N - 1n) + 1n);
}

/** The key pair of a scalar in 1…n−1. */
export function privateKeyOf(scalar: bigint): PrivateKey {
  assert(scalar > 0n && scalar < N, "private key out of range");
  const [x, y] = affine(multiplyBase(scalar));
  const publicKey = new Uint8Array(65);
  publicKey[0] = 4;
  publicKey.set(bigintToBytes(x, 32), 1);
  publicKey.set(bigintToBytes(y, 32), 33);
  return { scalar, publicKey };
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Candidate nonces of RFC 6979, section 3.2, for SHA-256 and a 256-bit order. */
function* nonces(scalar: bigint, hash: bigint): Generator<bigint, never> {
  const seed = concat(bigintToBytes(scalar, 32), bigintToBytes(mod(hash, N), 32));
  let v: Uint8Array = new Uint8Array(32).fill(1);
  let k: Uint8Array = new Uint8Array(32);
  for (const marker of [0, 1]) {
    k = hmacSha256(k, concat(v, Uint8Array.of(marker), seed));
    v = hmacSha256(k, v);
  }
  for (;;) {
    v = hmacSha256(k, v);
    const candidate = bytesToBigint(v);
    if (candidate > 0n && candidate < N) yield candidate;
    k = hmacSha256(k, concat(v, Uint8Array.of(0)));
    v = hmacSha256(k, v);
  }
}

/** Signs SHA-256(message). */
export function sign(key: PrivateKey, message: Uint8Array): Signature {
  const hash = bytesToBigint(sha256(message));
  for (const k of nonces(key.scalar, hash)) {
    const r = mod(affine(multiplyBase(k))[0], N);
    const s = mod(inverse(k, N) * (hash + r * key.scalar), N);
    if (r !== 0n && s !== 0n) return { r, s };
  }
  throw new Error("unreachable: the nonce generator never ends");
}

/** Checks a signature under an uncompressed public key; false for a point off the curve too. */
export function verify(publicKey: Uint8Array, message: Uint8Array, { r, s }: Signature): boolean {
  if (publicKey.length !== 65 || publicKey[0] !== 4) return false;
  if (r <= 0n || r >= N || s <= 0n || s >= N) return false;
  const x = bytesToBigint(publicKey.subarray(1, 33));
  const y = bytesToBigint(publicKey.subarray(33));
  if (x >= P || y >= P || mod(y * y - (x * x * x - 3n * x + B), P) !== 0n) return false;
  const w = inverse(s, N);
  const hash = bytesToBigint(sha256(message));
  const point = add(multiplyBase(mod(hash * w, N)), multiply([x, y, 1n], mod(r * w, N)));
  return point[2] !== 0n && mod(affine(point)[0], N) === r;
}
