import { createPrivateKey, createPublicKey, sign as nodeSign, verify as nodeVerify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Random } from "../../../src/base/random.ts";
import { bigintToBytes, bytesToBigint, generateKey, privateKeyOf, sign, verify } from "../../../src/swarm/ca/p256.ts";

const text = (value: string) => new TextEncoder().encode(value);

function jwkOf(key: { scalar: bigint; publicKey: Uint8Array }) {
  const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
  return {
    kty: "EC",
    crv: "P-256",
    d: b64(bigintToBytes(key.scalar, 32)),
    x: b64(key.publicKey.subarray(1, 33)),
    y: b64(key.publicKey.subarray(33)),
  };
}

describe("P-256", () => {
  it("gives RFC 6979's signature for `sample` (A.2.5)", () => {
    const key = privateKeyOf(0xc9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721n);
    expect(bytesToBigint(key.publicKey.subarray(1, 33))).toBe(
      0x60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6n,
    );
    expect(sign(key, text("sample"))).toEqual({
      r: 0xefd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716n,
      s: 0xf7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8n,
    });
  });

  it("agrees with node:crypto in both directions", () => {
    const random = new Random("p256");
    for (let i = 0; i < 5; i++) {
      const key = generateKey(random);
      const jwk = jwkOf(key);
      const message = random.bytes(i * 37);
      const { r, s } = sign(key, message);
      const raw = Buffer.concat([bigintToBytes(r, 32), bigintToBytes(s, 32)]);
      const publicKey = createPublicKey({ key: jwk, format: "jwk" });
      expect(nodeVerify("sha256", message, { key: publicKey, dsaEncoding: "ieee-p1363" }, raw)).toBe(true);
      const privateKey = createPrivateKey({ key: jwk, format: "jwk" });
      const theirs = nodeSign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
      const signature = { r: bytesToBigint(theirs.subarray(0, 32)), s: bytesToBigint(theirs.subarray(32)) };
      expect(verify(key.publicKey, message, signature)).toBe(true);
      expect(verify(key.publicKey, text("other"), signature)).toBe(false);
      expect(verify(key.publicKey, message, { r: signature.s, s: signature.r })).toBe(false);
    }
  });

  it("refuses a public key off the curve", () => {
    const key = generateKey(new Random("off"));
    const bad = key.publicKey.slice();
    bad[40] = (bad[40] as number) ^ 1;
    expect(verify(bad, text("x"), sign(key, text("x")))).toBe(false);
  });
});
