/**
 * Counter mode in batches of eight blocks: AES's first round, done once a packet instead of once a block.
 *
 * Behind round 1 the state is the exclusive or of what each byte of the block contributes. Within a batch only the last
 * byte of the block, the low byte of the counter, differs from block to block. So a batch starts from two sets of planes:
 *  - of the other 15 bytes and the key of round 1: by table, once a packet, and again when the second-last byte of the
 *    counter changes, every 32 batches;
 *  - of the counter's last byte: it depends on the key alone, so every key has a table of 32 x PLANES.
 */
import { aesColumn } from "./aes";
import { PLANES, spread } from "./bitslice";

/** Batches until the second-last byte of the counter changes. */
export const SPAN: u32 = 32;
/** Bytes of a key's table. */
export const COUNTER_BYTES: usize = <usize>SPAN * PLANES;

/** The current packet's state after round 1, without what the counter contributes: four columns. */
const columns: usize = memory.data(16, 64);
const advanced: usize = memory.data(16, 16);
/** The planes of that, with what the upper bytes of the counter contribute. */
export const shared: usize = memory.data(8 * 16, 64);

/** Transposes the bits of an 8 x 8 matrix: bit j of byte k becomes bit k of byte j. */
@inline
function transpose8(x: u64): u64 {
  let t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aa;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000cccc0000cccc;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0;
  return x ^ t ^ (t << 28);
}

/** Fills a key's table: plane k of batch b has, in lane j, bit k of what the counter byte 8b + j contributes. */
export function counterInit(schedule: usize, rounds: u32, table: usize): void {
  const key = <u32>load<u8>(schedule, 15);
  memory.fill(table, 0, COUNTER_BYTES);
  for (let row: u32 = 0; row < 4; row++) {
    // Byte 15 is in row 3 of column 3: ShiftRows takes it to column 0, which MixColumns spreads. Where that is kept:
    // column c, row r holds column c + (R-1)r.
    const at = <usize>((((0 - (rounds - 1) * row) & 3) << 2) | row);
    for (let batch: u32 = 0; batch < SPAN; batch++) {
      let bytes: u64 = 0;
      for (let j: u32 = 0; j < 8; j++) {
        bytes |= <u64>((aesColumn(3, key ^ (8 * batch + j)) >> (8 * row)) & 255) << (8 * j);
      }
      bytes = transpose8(bytes);
      const to = table + <usize>batch * PLANES + at;
      for (let k: usize = 0; k < 8; k++) store<u8>(to + (k << 4), <u8>(bytes >> (8 * k)));
    }
  }
}

/** Starts a packet: 12 bytes of nonce, counters up to 255 (batches 0 to SPAN - 1). */
export function counterStart(schedule: usize, rounds: u32, nonce: usize): void {
  const a = load<u32>(nonce) ^ load<u32>(schedule);
  const b = load<u32>(nonce, 4) ^ load<u32>(schedule, 4);
  const c = load<u32>(nonce, 8) ^ load<u32>(schedule, 8);
  const d = load<u32>(schedule, 12);
  const e = aesColumn(0, a & 255) ^ aesColumn(1, (b >> 8) & 255) ^ aesColumn(2, (c >> 16) & 255);
  const f = aesColumn(0, b & 255) ^ aesColumn(1, (c >> 8) & 255) ^ aesColumn(2, (d >> 16) & 255) ^ aesColumn(3, a >> 24);
  const g = aesColumn(0, c & 255) ^ aesColumn(1, (d >> 8) & 255) ^ aesColumn(2, (a >> 16) & 255) ^ aesColumn(3, b >> 24);
  const h = aesColumn(0, d & 255) ^ aesColumn(1, (a >> 8) & 255) ^ aesColumn(2, (b >> 16) & 255) ^ aesColumn(3, c >> 24);
  store<u32>(columns, e ^ load<u32>(schedule, 16));
  store<u32>(columns, f ^ load<u32>(schedule, 20), 4);
  store<u32>(columns, g ^ load<u32>(schedule, 24), 8);
  store<u32>(columns, h ^ load<u32>(schedule, 28), 12);
  spread(columns, rounds - 1, shared);
}

/** Goes on to the counters 256 x upper and following: they differ from zero in the three bytes of `upper`. */
export function counterAdvance(schedule: usize, rounds: u32, upper: u32): void {
  const key = bswap<u32>(load<u32>(schedule, 12)) >> 8;
  const now = key ^ upper;
  const f = aesColumn(2, now & 255) ^ aesColumn(2, key & 255);
  const g = aesColumn(1, (now >> 8) & 255) ^ aesColumn(1, (key >> 8) & 255);
  const h = aesColumn(0, (now >> 16) & 255) ^ aesColumn(0, (key >> 16) & 255);
  const change = i64x2(<i64>(<u64>f << 32), <i64>(<u64>g | (<u64>h << 32)));
  v128.store(advanced, v128.xor(v128.load(columns), change));
  spread(advanced, rounds - 1, shared);
}
