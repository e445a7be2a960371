/** Which spine a frame takes from leaf to leaf: what the switches pick by (assembly/link/fabric.ts flowHash, pickSpine). */
import { Random } from "../../../src/base/random.ts";
import type { ChangedLink } from "../../../src/scheduler/wires.ts";

const ETHERNET = 14;
const ETH_P_IP = 0x0800;
/** TCP, UDP and SCTP. */
const WITH_PORTS: readonly number[] = [6, 17, 132];
const MORE_OR_OFFSET = 0x3fff;
const JHASH_INITVAL = 0xdeadbeef;

function rotl(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** jhash_3words (include/linux/jhash.h). */
function jhash3(x: number, y: number, z: number, seed: number): number {
  const iv = (seed + JHASH_INITVAL + 12) | 0;
  let [a, b, c] = [(x + iv) | 0, (y + iv) | 0, (z + iv) | 0];
  c = ((c ^ b) - rotl(b, 14)) | 0;
  a = ((a ^ c) - rotl(c, 11)) | 0;
  b = ((b ^ a) - rotl(a, 25)) | 0;
  c = ((c ^ b) - rotl(b, 16)) | 0;
  a = ((a ^ c) - rotl(c, 4)) | 0;
  b = ((b ^ a) - rotl(a, 14)) | 0;
  return ((c ^ b) - rotl(b, 24)) >>> 0;
}

/** What switches hash of a frame, with their own seed. */
export function flowHash(frame: Uint8Array, seed: number): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const word = (at: number): number => view.getUint32(at, true);
  const type = view.getUint16(12);
  if (type !== ETH_P_IP || frame.length < ETHERNET + 20) return jhash3(word(0), word(4), word(8), (seed + type) | 0);
  const protocol = view.getUint8(ETHERNET + 9);
  const header = (view.getUint8(ETHERNET) & 15) * 4;
  const whole = (view.getUint16(ETHERNET + 6) & MORE_OR_OFFSET) === 0;
  const withPorts = WITH_PORTS.includes(protocol) && whole && header >= 20 && frame.length >= ETHERNET + header + 4;
  const ports = withPorts ? word(ETHERNET + header) : 0;
  return jhash3(word(ETHERNET + 12), word(ETHERNET + 16), ports, (seed + protocol) | 0);
}

/** The switches of a lab's network. */
export class SpinePicker {
  readonly #seed: number;
  readonly #spines: number;

  /** @param seed the run's @param segment name of the leaf-spine segment */
  constructor(seed: string, segment: string, spines: number) {
    this.#seed = new Random(`${seed}/${segment}`).u32();
    this.#spines = spines;
  }

  /** The spine between two leaves, numbers from 0; undefined: none is left. @param broken links as they are now */
  pick(frame: Uint8Array, from: number, to: number, broken: readonly ChangedLink[]): number | undefined {
    if (frame.length < ETHERNET) return undefined;
    const live: number[] = [];
    for (let spine = 0; spine < this.#spines; spine++) {
      const down = broken.some((link) => link.down && link.spine === spine && (link.leaf === from || link.leaf === to));
      if (!down) live.push(spine);
    }
    return live[Math.floor((flowHash(frame, this.#seed) * live.length) / 2 ** 32)];
  }
}
