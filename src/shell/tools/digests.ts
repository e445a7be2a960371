/** md5sum, sha1sum and sha256sum (RFC 1321; FIPS 180-4; busybox coreutils/md5_sha1_sum.c). */
import { sha256 } from "../../base/sha256.ts";
import type { Program } from "../../engine/program.ts";
import { eachInput } from "../lib/input.ts";
import { getopt } from "../lib/options.ts";
import { encode, tool } from "../lib/program.ts";

/** The message with its padding and its length in bits, in 64-byte blocks. */
function padded(message: Uint8Array, littleEndian: boolean): DataView {
  const size = (message.length + 9 + 63) & ~63;
  const bytes = new Uint8Array(size);
  bytes.set(message);
  bytes[message.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setBigUint64(size - 8, BigInt(message.length) * 8n, littleEndian);
  return view;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

const MD5_SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
];
/** floor(2^32 × |sin(i + 1)|), RFC 1321 §3.4. */
const MD5_SINES = Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) >>> 0);

/** MD5 of a message. */
function md5(message: Uint8Array): Uint8Array {
  const view = padded(message, true);
  let [a0, b0, c0, d0] = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476];
  for (let block = 0; block < view.byteLength; block += 64) {
    let [a, b, c, d] = [a0, b0, c0, d0];
    for (let i = 0; i < 64; i++) {
      const round = i >>> 4;
      const f =
        round === 0 ? (b & c) | (~b & d) : round === 1 ? (d & b) | (~d & c) : round === 2 ? b ^ c ^ d : c ^ (b | ~d);
      const word = round === 0 ? i : round === 1 ? (5 * i + 1) & 15 : round === 2 ? (3 * i + 5) & 15 : (7 * i) & 15;
      const sum = (a + f + (MD5_SINES[i] as number) + view.getUint32(block + 4 * word, true)) | 0;
      [a, d, c, b] = [d, c, b, (b + rotate(sum, MD5_SHIFTS[round]?.[i & 3] as number)) | 0];
    }
    [a0, b0, c0, d0] = [(a0 + a) | 0, (b0 + b) | 0, (c0 + c) | 0, (d0 + d) | 0];
  }
  return words([a0, b0, c0, d0], true);
}

/** SHA-1 of a message. */
export function sha1(message: Uint8Array): Uint8Array {
  const view = padded(message, false);
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0] as [number, number, number, number, number];
  const schedule = new Int32Array(80);
  for (let block = 0; block < view.byteLength; block += 64) {
    for (let i = 0; i < 80; i++) {
      schedule[i] =
        i < 16
          ? view.getInt32(block + 4 * i)
          : rotate(
              (schedule[i - 3] as number) ^
                (schedule[i - 8] as number) ^
                (schedule[i - 14] as number) ^
                (schedule[i - 16] as number),
              1,
            );
    }
    let [a, b, c, d, e] = state;
    for (let i = 0; i < 80; i++) {
      const round = Math.floor(i / 20);
      const f = round === 0 ? (b & c) | (~b & d) : round === 2 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      const k = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6][round] as number;
      const next = (rotate(a, 5) + f + e + k + (schedule[i] as number)) | 0;
      [e, d, c, b, a] = [d, c, rotate(b, 30), a, next];
    }
    state = [(state[0] + a) | 0, (state[1] + b) | 0, (state[2] + c) | 0, (state[3] + d) | 0, (state[4] + e) | 0];
  }
  return words(state, false);
}

function words(values: readonly number[], littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [i, value] of values.entries()) view.setInt32(4 * i, value, littleEndian);
  return new Uint8Array(view.buffer);
}

const digest = (hash: (message: Uint8Array) => Uint8Array): Program =>
  tool(function* (context) {
    const { args } = getopt(context.argv, "b");
    const failed = yield* eachInput(context, args, function* (input, name) {
      const parts: string[] = [];
      for (let text = yield* input.read(); text !== undefined; text = yield* input.read()) parts.push(text);
      const sum = Array.from(hash(encode(parts.join(""))), (byte) => byte.toString(16).padStart(2, "0")).join("");
      context.stdout.write(`${sum}  ${name}\n`);
      return undefined;
    });
    return failed ? 1 : 0;
  });

/** md5sum and its like, by name. */
export const DIGEST_TOOLS: ReadonlyMap<string, Program> = new Map([
  ["md5sum", digest(md5)],
  ["sha1sum", digest(sha1)],
  ["sha256sum", digest(sha256)],
]);
