import { describe, expect, it } from "vitest";
import { AesGcm } from "../../src/base/aes-gcm.ts";
import { Keyring } from "../../src/memberlist/keyring.ts";

const KEYS = [1, 2, 3, 4].map((fill) => new Uint8Array(16).fill(fill));
const [ONE, TWO, THREE, FOUR] = KEYS as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
const NONCE = new Uint8Array(12);
const TEXT = Uint8Array.of(5, 6, 7);

/** Which keys a ring opens, and which one it seals with. */
function roles(ring: Keyring): { opens: number[]; seals: number | undefined } {
  const opens = KEYS.filter(
    (key) => ring.open(NONCE, new AesGcm(key).seal(NONCE, TEXT), new Uint8Array(0)) !== undefined,
  );
  const sealed = ring.primary().seal(NONCE, TEXT);
  const seals = KEYS.find((key) => new AesGcm(key).open(NONCE, sealed) !== undefined);
  return { opens: opens.map((key) => key[0] as number), seals: seals?.[0] };
}

describe("keyring", () => {
  it("a rotation adds, makes primary, removes", () => {
    const ring = new Keyring([TWO, ONE, THREE]);
    expect(roles(ring)).toEqual({ opens: [1, 2, 3], seals: 2 });
    ring.add(FOUR);
    expect(ring.use(THREE)).toBe(true);
    expect(ring.remove(ONE)).toBe(true);
    expect(roles(ring)).toEqual({ opens: [2, 3, 4], seals: 3 });
    expect(ring.size).toBe(3);
  });

  it("doesn't remove the primary, nor use what it hasn't, nor keep a key twice", () => {
    const ring = new Keyring([TWO, ONE]);
    expect([ring.remove(TWO), ring.use(FOUR), ring.remove(FOUR)]).toEqual([false, false, true]);
    ring.add(ONE);
    expect(ring.size).toBe(2);
    expect(roles(ring)).toEqual({ opens: [1, 2], seals: 2 });
  });
});
