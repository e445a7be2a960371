/** Packets that were sealed here are opened without decrypting; whatever is not the same to the bit is decrypted, and refused. */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { framePacket, frameStream, STREAM_HEADER, unframePacket, unframeStream } from "../../src/memberlist/framing.ts";
import { Keyring } from "../../src/memberlist/keyring.ts";
import { rememberSealed, takeSealed } from "../../src/memberlist/sealed.ts";

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const OTHER = KEY.map((byte) => byte ^ 1);
const MESSAGE = new TextEncoder().encode(`\u0008${"some message, which can be compressed ".repeat(9)}`);
const random = () => new Random("sealed");

describe("sealed packets", () => {
  it("give their message once, to the bit and by the key that sealed them", () => {
    const packet = framePacket(MESSAGE, true, new Keyring([KEY]), random());
    const holder = new Keyring([OTHER, KEY]);
    expect(takeSealed(packet, new Uint8Array(1), holder.has)).toBeUndefined();
    expect(takeSealed(packet, new Uint8Array(0), new Keyring([OTHER]).has)).toBeUndefined();
    for (const at of [0, 1, 12, 13, packet.length - 1]) {
      const damaged = packet.slice();
      damaged[at] = (damaged[at] as number) ^ 1;
      expect(takeSealed(damaged, new Uint8Array(0), holder.has)).toBeUndefined();
    }
    expect(takeSealed(packet, new Uint8Array(0), holder.has)?.message).toBe(MESSAGE);
    expect(takeSealed(packet, new Uint8Array(0), holder.has)).toBeUndefined();
  });

  it.each([false, true])("mean the same when they are decrypted (CRC: %s)", (crc) => {
    const ring = new Keyring([KEY]);
    const packet = framePacket(MESSAGE, crc, ring, random());
    const remembered = unframePacket(packet, ring);
    expect(remembered).toBe(MESSAGE);
    const again = unframePacket(packet, ring);
    expect(again).not.toBe(MESSAGE);
    // Behind encryption and CRC stands the compressed form, which whoever handles the message unpacks.
    expect(again[0]).toBe(9);
  });

  it("of a stream too, where a flipped bit of the length is refused", () => {
    const ring = new Keyring([KEY]);
    const stream = frameStream(MESSAGE, ring, random());
    const [header, frame] = [stream.slice(0, STREAM_HEADER), stream.slice(STREAM_HEADER)];
    const damaged = header.slice();
    damaged[4] = (damaged[4] as number) ^ 1;
    expect(() => unframeStream(damaged, frame, ring)).toThrow("decrypt");
    expect(unframeStream(header, frame, ring)).toBe(MESSAGE);
    expect(unframeStream(header, frame, ring)).toEqual(MESSAGE);
  });

  it("are forgotten, the oldest first, when there are many", () => {
    const aad = new Uint8Array(0);
    const sealed = Array.from({ length: 40 }, (_, i) => {
      const bytes = new Uint8Array(1 << 20).fill(i + 1, 0, 29);
      rememberSealed(bytes, aad, KEY, MESSAGE);
      return bytes;
    });
    const has = () => true;
    expect(takeSealed(sealed[0] as Uint8Array, aad, has)).toBeUndefined();
    expect(takeSealed(sealed.at(-1) as Uint8Array, aad, has)?.message).toBe(MESSAGE);
  });
});
