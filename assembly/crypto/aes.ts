/**
 * AES (FIPS 197): its S-box, the round tables of the Rijndael submission, the key expansion, and the cipher on one
 * block at a time. gcm.ts uses it for what it does once a key or once a packet; bulk data goes eight blocks at a time
 * through bitslice.ts.
 *
 * The state is four columns, each a u32 as it lies in memory: byte r of column c is the cipher's s[r, c]. Look-ups in
 * tables take time that depends on the data. Here nobody measures it; do not use this where somebody does.
 */

/** The S-box (section 5.1.1). */
const sbox: usize = memory.data(256, 64);
/** Table r: what byte v in row r gives after SubBytes and MixColumns, as a column. 4 x 256 x u32. */
const tables: usize = memory.data(4 * 1024, 64);
let ready = false;

/** Bytes of an expanded key: room for 15 round keys. */
export const SCHEDULE_BYTES: usize = 15 * 16;

@inline
function rotl8(x: u32, n: u32): u32 {
  return ((x << n) | (x >> (8 - n))) & 255;
}

/** Multiplication by x in GF(2^8). */
@inline
function xtime(x: u32): u32 {
  return ((x << 1) ^ ((x >> 7) * 0x11b)) & 255;
}

/** Fills the tables; needed once, before anything else here. */
export function aesInit(): void {
  if (ready) return;
  ready = true;
  // 3 generates the multiplicative group: walk it together with the inverses, apply the affine map.
  let p: u32 = 1;
  let q: u32 = 1;
  do {
    p = p ^ xtime(p);
    q ^= q << 1;
    q ^= q << 2;
    q = (q ^ (q << 4)) & 255;
    if (q & 0x80) q ^= 0x09;
    setEntry(p, q ^ rotl8(q, 1) ^ rotl8(q, 2) ^ rotl8(q, 3) ^ rotl8(q, 4) ^ 0x63);
  } while (p != 1);
  setEntry(0, 0x63);
}

function setEntry(v: u32, s: u32): void {
  store<u8>(sbox + v, <u8>s);
  const double = xtime(s);
  const column = double | (s << 8) | (s << 16) | ((double ^ s) << 24);
  const at = tables + (<usize>v << 2);
  store<u32>(at, column);
  store<u32>(at, rotl(column, 8), 1024);
  store<u32>(at, rotl(column, 16), 2048);
  store<u32>(at, rotl(column, 24), 3072);
}

/** What byte v (0 to 255) in row `row` (a constant) becomes in a round, without the round key. */
@inline
export function aesColumn(row: usize, v: u32): u32 {
  return load<u32>(tables + (row << 10) + (<usize>v << 2));
}

@inline
function substitute(x: u32): u32 {
  const a = <u32>load<u8>(sbox + (x & 255));
  const b = <u32>load<u8>(sbox + ((x >> 8) & 255));
  const c = <u32>load<u8>(sbox + ((x >> 16) & 255));
  return a | (b << 8) | (c << 16) | (<u32>load<u8>(sbox + (x >> 24)) << 24);
}

/**
 * Expands a key of 16, 24 or 32 bytes (section 5.2) to `schedule` (SCHEDULE_BYTES).
 * @returns the number of rounds: 10, 12 or 14
 */
export function aesExpand(key: usize, keyLen: u32, schedule: usize): u32 {
  const words = keyLen >> 2;
  const rounds = words + 6;
  memory.copy(schedule, key, keyLen);
  let constant: u32 = 1;
  for (let i = words, end: u32 = 4 * (rounds + 1); i < end; i++) {
    const at = schedule + (<usize>i << 2);
    let temp = load<u32>(at - 4);
    if (i % words == 0) {
      temp = substitute(rotr(temp, 8)) ^ constant;
      constant = xtime(constant);
    } else if (words > 6 && i % words == 4) temp = substitute(temp);
    store<u32>(at, load<u32>(at - (<usize>words << 2)) ^ temp);
  }
  return rounds;
}

@inline
function column(a: u32, b: u32, c: u32, d: u32): u32 {
  return aesColumn(0, a & 255) ^ aesColumn(1, (b >> 8) & 255) ^ aesColumn(2, (c >> 16) & 255) ^ aesColumn(3, d >> 24);
}

@inline
function lastColumn(a: u32, b: u32, c: u32, d: u32): u32 {
  return substitute((a & 0xff) | (b & 0xff00) | (c & 0xff0000) | (d & 0xff000000));
}

/** Encrypts the 16 bytes at `from` to `to`, which may be the same. */
export function aesBlock(schedule: usize, rounds: u32, from: usize, to: usize): void {
  let a = load<u32>(from) ^ load<u32>(schedule);
  let b = load<u32>(from, 4) ^ load<u32>(schedule, 4);
  let c = load<u32>(from, 8) ^ load<u32>(schedule, 8);
  let d = load<u32>(from, 12) ^ load<u32>(schedule, 12);
  for (let round: u32 = 1; round < rounds; round++) {
    schedule += 16;
    const e = column(a, b, c, d) ^ load<u32>(schedule);
    const f = column(b, c, d, a) ^ load<u32>(schedule, 4);
    const g = column(c, d, a, b) ^ load<u32>(schedule, 8);
    d = column(d, a, b, c) ^ load<u32>(schedule, 12);
    a = e;
    b = f;
    c = g;
  }
  store<u32>(to, lastColumn(a, b, c, d) ^ load<u32>(schedule, 16));
  store<u32>(to, lastColumn(b, c, d, a) ^ load<u32>(schedule, 20), 4);
  store<u32>(to, lastColumn(c, d, a, b) ^ load<u32>(schedule, 24), 8);
  store<u32>(to, lastColumn(d, a, b, c) ^ load<u32>(schedule, 28), 12);
}
