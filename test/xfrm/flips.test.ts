/** One bit of an ESP packet changed on its way: counted under its name, never delivered, whatever the association is. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { US } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { XfrmStateSpec } from "../../src/kernel/xfrm-types.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";
import { A, B, imbalance, inject, ipPacket, sa, sealEsp, udp, withTrailer } from "./esp-net.ts";

const SPI = 0x2002;
const SALT = Uint8Array.from([9, 8, 7, 6]);

/** Where a packet's parts are, behind the IP header. */
const SPI_BITS = 32;
const SEQUENCE_BITS = 64;

interface Association {
  readonly keyBytes: 16 | 24 | 32;
  readonly icv: 8 | 12 | 16;
  readonly replay: Pick<XfrmStateSpec, "replayWindow" | "replayExt">;
}

/** A host with the association, and what arrives there. */
async function receiver({ keyBytes, icv, replay }: Association) {
  const { kernel, hosts } = await lan(2);
  const host = hosts[1] as Host;
  const key = Uint8Array.from({ length: keyBytes }, (_, i) => 31 * i + icv);
  const aead = { name: "rfc4106(gcm(aes))", key: Uint8Array.from([...key, ...SALT]), icvBits: 8 * icv } as const;
  host.root.xfrm.stateAdd(sa(A, B, SPI, { aead, ...replay }));
  const socket = host.root.socket.udp();
  socket.bind(0, 9);
  const raw = host.root.socket.raw(17);
  const esn = replay.replayExt?.esn === true;
  const make = (seq: number, data: Uint8Array): Uint8Array =>
    sealEsp({ key, salt: SALT, spi: SPI, seq, icv, esn }, withTrailer(udp(1, 9, data), 17));
  /** Puts it on the wire; what was delivered, to whom ever. */
  const give = (esp: Uint8Array): Uint8Array | undefined => {
    inject(kernel, host, ipPacket(ip(A), ip(B), 50, esp));
    pass(kernel, 10 * US);
    const got = socket.tryRecv();
    expect(raw.tryRecv() === undefined).toBe(got === undefined);
    return got?.data;
  };
  const stat = (): Record<string, number> =>
    Object.fromEntries(Object.entries(host.root.xfrm.stat()).filter(([, count]) => count !== 0));
  const failed = (): number => host.root.xfrm.stateList()[0]?.stats.failed ?? -1;
  return { host, make, give, stat, failed };
}

const NONE: Association["replay"] = {};
const ASSOCIATIONS: readonly Association[] = [
  { keyBytes: 16, icv: 8, replay: NONE },
  { keyBytes: 24, icv: 12, replay: { replayWindow: 32 } },
  { keyBytes: 32, icv: 16, replay: { replayExt: { window: 128, esn: false } } },
  { keyBytes: 16, icv: 16, replay: { replayExt: { window: 64, esn: true } } },
];

describe.skipIf(!kernelBuilt)("a flipped bit", () => {
  it.each(ASSOCIATIONS)("anywhere: $keyBytes-byte key, ICV of $icv, $replay", async (association) => {
    const { host, make, give, stat, failed } = await receiver(association);
    const data = Uint8Array.from({ length: 30 }, (_, i) => i);
    const esp = make(1, data);
    for (let bit = 0; bit < 8 * esp.length; bit++) {
      const flipped = esp.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(give(flipped), `bit ${bit}`).toBeUndefined();
    }
    const bits = 8 * esp.length;
    // Another SPI has no association. With a window the sequence number 0, one bit from 1, is refused before its ICV is
    // looked at; every other one is new, and the ICV is over it.
    const zero = association.replay === NONE ? 0 : 1;
    expect(stat()).toEqual({
      XfrmInNoStates: SPI_BITS,
      XfrmInStateProtoError: bits - SPI_BITS - zero,
      ...(zero === 0 ? {} : { XfrmInStateSeqError: zero }),
    });
    expect(failed()).toBe(bits - SPI_BITS - zero);
    expect(host.drops()).toEqual({
      XFRM_IN_NO_STATES: SPI_BITS,
      XFRM_IN_STATE_PROTO_ERROR: bits - SPI_BITS - zero,
      ...(zero === 0 ? {} : { XFRM_IN_STATE_SEQ_ERROR: zero }),
    });
    // None of them moved the window: the packet itself still passes, once.
    expect(give(esp)).toEqual(data);
    expect(give(esp) === undefined).toBe(zero === 1);
    expect(imbalance(host)).toBe(0);
    expect(host.packets().live).toBe(0);
  });

  it("in packets of any length and number", async () => {
    const cases = fc.record({
      at: fc.nat(ASSOCIATIONS.length - 1),
      length: fc.oneof(fc.nat(80), fc.nat(1400)),
      step: fc.integer({ min: 1, max: 200 }),
      where: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    });
    const hosts = await Promise.all(ASSOCIATIONS.map(receiver));
    const sequence = ASSOCIATIONS.map(() => 0);
    fc.assert(
      fc.property(cases, ({ at, length, step, where }) => {
        const { host, make, give, stat } = hosts[at]!;
        sequence[at]! += step;
        const data = Uint8Array.from({ length }, (_, i) => i * step);
        const esp = make(sequence[at]!, data);
        const bit = Math.floor(where * 8 * esp.length);
        const flipped = esp.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        const before = stat();
        expect(give(flipped)).toBeUndefined();
        const moved = Object.entries(stat()).filter(([name, count]) => count !== (before[name] ?? 0));
        expect(moved.map(([name, count]) => count - (before[name] ?? 0))).toEqual([1]);
        const inSequence = bit >= SPI_BITS && bit < SEQUENCE_BITS;
        const names = ["XfrmInStateProtoError", ...(inSequence ? ["XfrmInStateSeqError"] : [])];
        expect(bit < SPI_BITS ? ["XfrmInNoStates"] : names).toContain(moved[0]?.[0]);
        expect(give(esp)).toEqual(data);
        expect(imbalance(host)).toBe(0);
      }),
      { numRuns: 2000, seed: 7 },
    );
  });
});
