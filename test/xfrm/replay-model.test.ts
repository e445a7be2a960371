/**
 * Replay windows against a model: numbers of 64 bits in a set, of which the window keeps the newest. Where Linux follows
 * from that (a window that is a multiple of 32 and a power of 2, no number 0), the kernel must say the same of every packet.
 */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { US } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { XfrmStateSpec } from "../../src/kernel/xfrm-types.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";
import { A, B, imbalance, inject, ipPacket, KEY, sa, sealEsp, udp, unhex, withTrailer } from "./esp-net.ts";

const SPI = 0x2002;
const SALT = Uint8Array.from([0, 0, 0x20, 0x02]);
const HALF = 2 ** 32;

type Verdict = "passes" | "seen" | "too old" | "not authentic";

/** The receiver's rule, over whole numbers. */
class Model {
  top: number;
  readonly #window: number;
  readonly #esn: boolean;
  readonly #seen = new Set<number>();

  constructor(window: number, esn: boolean, top: number) {
    this.#window = window;
    this.#esn = esn;
    this.top = top;
  }

  /** The number that a receiver takes a lower half for: with ESN the one in the window or in the 2^32 behind it. */
  #inferred(low: number): number {
    if (!this.#esn) return low;
    const bottom = this.top - this.#window + 1;
    const upper = Math.floor(bottom / HALF) * HALF;
    return upper + low >= bottom ? upper + low : upper + low + HALF;
  }

  take(number: number): Verdict {
    const meant = this.#inferred(number % HALF);
    if (meant <= this.top) {
      if (this.top - meant >= this.#window) return "too old";
      if (this.#seen.has(meant)) return "seen";
    }
    if (meant !== number) return "not authentic";
    this.#seen.add(number);
    this.top = Math.max(this.top, number);
    return "passes";
  }
}

interface Kind {
  readonly title: string;
  readonly window: number;
  readonly esn: boolean;
  readonly spec: Partial<XfrmStateSpec>;
  /** The newest number at the beginning; none of before was seen. */
  readonly top: number;
}

const start = (top: number) => ({ replayStart: { seq: top % HALF, seqHi: Math.floor(top / HALF) } });

const KINDS: readonly Kind[] = [
  { title: "legacy, 32", window: 32, esn: false, spec: { replayWindow: 32 }, top: 0 },
  { title: "legacy, 5", window: 5, esn: false, spec: { replayWindow: 5 }, top: 0 },
  { title: "bitmap, 64", window: 64, esn: false, spec: { replayExt: { window: 64, esn: false } }, top: 0 },
  { title: "bitmap, 4096", window: 4096, esn: false, spec: { replayExt: { window: 4096, esn: false } }, top: 0 },
  { title: "ESN, 32", window: 32, esn: true, spec: { replayExt: { window: 32, esn: true } }, top: 1000 },
  ...[32, 128, 1024].map((window) => ({
    title: `ESN, ${window}, across 2^32`,
    window,
    esn: true,
    spec: { replayExt: { window, esn: true }, ...start(HALF - 3 * window) },
    top: HALF - 3 * window,
  })),
  {
    title: "ESN, 128, across 7 * 2^32",
    window: 128,
    esn: true,
    spec: { replayExt: { window: 128, esn: true }, ...start(7 * HALF - 90) },
    top: 7 * HALF - 90,
  },
];

describe.skipIf(!kernelBuilt)("replay windows and a model of them", () => {
  it.each(KINDS)("$title", async ({ title, window, esn, spec, top }) => {
    const { kernel, hosts } = await lan(2);
    const host = hosts[1] as Host;
    const from = top === 1000 ? start(1000) : {};
    host.root.xfrm.stateAdd(sa(A, B, SPI, { ...spec, ...from }));
    const socket = host.root.socket.udp();
    socket.bind(0, 9);
    const clear = withTrailer(udp(1, 9, new Uint8Array(6)), 17);
    const state = () => host.root.xfrm.stateList()[0]!;
    const model = new Model(window, esn, top);
    const random = new Random(title);
    const below = (limit: number): number => random.u32() % limit;
    const counted: Record<Verdict, number> = { passes: 0, seen: 0, "too old": 0, "not authentic": 0 };
    for (let i = 0; i < 3000; i++) {
      // Around the newest, mostly; sometimes far ahead (within reach of ESN), sometimes far behind.
      const reach = [3, window, 2 * window, window >> 1][below(4)] as number;
      const ahead = below(8) === 0 ? below(3 * window) : below(4);
      const number = Math.max(1, below(2) === 0 ? model.top + ahead : model.top - below(reach + 1));
      const seqHi = Math.floor(number / HALF);
      const seq = number % HALF;
      const esp = sealEsp({ key: unhex(KEY), salt: SALT, spi: SPI, seq, seqHi, esn }, clear);
      inject(kernel, host, ipPacket(ip(A), ip(B), 50, esp));
      pass(kernel, 10 * US);
      const verdict = model.take(number);
      counted[verdict]++;
      expect([i, number, socket.tryRecv() !== undefined]).toEqual([i, number, verdict === "passes"]);
    }
    const { seq, seqHi, packets, stats } = state();
    expect(seqHi * HALF + seq).toBe(model.top);
    expect({ packets, ...stats }).toEqual({
      packets: counted.passes,
      replayWindow: counted["too old"],
      replay: counted.seen,
      failed: counted["not authentic"],
    });
    expect(host.root.xfrm.stat()).toMatchObject({
      XfrmInStateSeqError: counted.seen + counted["too old"],
      XfrmInStateProtoError: counted["not authentic"],
    });
    expect(counted.passes).toBeGreaterThan(500);
    expect(counted.seen).toBeGreaterThan(100);
    // What is too old under ESN has the number of a packet far ahead, and fails there.
    expect(counted[esn ? "not authentic" : "too old"]).toBeGreaterThan(20);
    expect(imbalance(host)).toBe(0);
  });
});
