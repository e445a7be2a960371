/** The kernel's AES-GCM for programs gives what base/aes-gcm.ts gives. */
import { describe, expect, it } from "vitest";
import { AesGcm } from "../../src/base/aes-gcm.ts";
import { Random } from "../../src/base/random.ts";
import { kernelBuilt, lan } from "../support/kernel.ts";

const random = new Random("aead");

function bytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.u32() & 255);
}

describe.skipIf(!kernelBuilt)("Host.aead", () => {
  it("seals and opens as AesGcm does", async () => {
    const { hosts } = await lan(1);
    for (const size of [16, 24, 32]) {
      const key = bytes(size);
      const slow = new AesGcm(key);
      const fast = hosts[0]?.aead(key);
      if (fast === undefined) throw new Error("no host");
      for (const length of [0, 1, 15, 16, 17, 96, 97, 511, 512, 1400, 9000]) {
        for (const aadLength of [0, 5, 16, 33]) {
          const [nonce, plain, aad] = [bytes(12), bytes(length), bytes(aadLength)];
          const sealed = fast.seal(nonce, plain, aad);
          expect(sealed).toEqual(slow.seal(nonce, plain, aad));
          expect(fast.open(nonce, sealed, aad)).toEqual(plain);
          const byte = random.u32() % sealed.length;
          sealed[byte] = (sealed[byte] as number) ^ 0x10;
          expect(fast.open(nonce, sealed, aad)).toBeUndefined();
        }
      }
      expect(fast.open(bytes(12), bytes(15))).toBeUndefined();
      fast.close();
    }
  });

  it("takes messages longer than the border's buffer", async () => {
    const { hosts } = await lan(1);
    const key = bytes(16);
    const fast = hosts[0]?.aead(key);
    for (const length of [262_080, 262_097, 300_000, 1_200_000]) {
      const [nonce, plain] = [bytes(12), new Uint8Array(length).fill(length & 255)];
      const sealed = new AesGcm(key).seal(nonce, plain);
      expect(Buffer.compare(fast?.seal(nonce, plain) as Uint8Array, sealed)).toBe(0);
      expect(Buffer.compare(fast?.open(nonce, sealed) as Uint8Array, plain)).toBe(0);
    }
  });

  it("gives a key's memory back when it is closed, and when the host loses power", async () => {
    const { kernel, hosts } = await lan(1);
    const host = hosts[0];
    if (host === undefined) throw new Error("no host");
    const before = kernel.counters();
    const keys = [host.aead(bytes(16)), host.aead(bytes(24)), host.aead(bytes(32))];
    expect(kernel.counters().blocks).toBe(before.blocks + 3);
    for (const key of keys) key.close();
    keys[0]?.close();
    expect(kernel.counters()).toEqual(before);
    expect(() => keys[0]?.seal(bytes(12), bytes(1))).toThrow("the key is open");
    const open = host.aead(bytes(16));
    host.powerOff();
    expect(() => open.open(bytes(12), bytes(17))).toThrow("the key is open");
  });

  it("refuses wrong keys and nonces", async () => {
    const { hosts } = await lan(1);
    expect(() => hosts[0]?.aead(bytes(20))).toThrow("AES key length");
    expect(() => hosts[0]?.aead(bytes(16)).seal(bytes(8), bytes(1))).toThrow("GCM nonce length");
  });
});
