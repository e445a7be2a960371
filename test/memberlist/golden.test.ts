import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import {
  compress,
  decompressIfNeeded,
  framePacket,
  frameStream,
  unframePacket,
  unframeStream,
} from "../../src/memberlist/framing.ts";
import { Keyring } from "../../src/memberlist/keyring.ts";
import * as m from "../../src/memberlist/messages.ts";
import { goldenAvailable, goldenTitle, xzAvailable } from "../support/golden.ts";
import { GOLDEN_KEYS, readGoldenGossip } from "./golden-gossip.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Decodes a message completely and encodes it again; counts it under its kind. */
function reencode(message: Uint8Array, kinds: Map<string, number>): Uint8Array {
  const body = message.subarray(1);
  const count = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  switch (message[0]) {
    case m.MESSAGE.ping:
      count("ping");
      return m.encodePing(m.decodePing(body));
    case m.MESSAGE.indirectPing:
      count("indirectPing");
      return m.encodeIndirectPing(m.decodeIndirectPing(body));
    case m.MESSAGE.ackResp:
      count("ack");
      return m.encodeAck(m.decodeAck(body));
    case m.MESSAGE.nackResp:
      count("nack");
      return m.encodeNack(m.decodeNack(body));
    case m.MESSAGE.suspect:
      count("suspect");
      return m.encodeSuspect(m.decodeAccusation(body));
    case m.MESSAGE.dead:
      count("dead");
      return m.encodeDead(m.decodeAccusation(body));
    case m.MESSAGE.alive:
      count("alive");
      return m.encodeAlive(m.decodeAlive(body));
    case m.MESSAGE.user:
      count("user");
      return m.encodeUser(body);
    case m.MESSAGE.compress:
      count("compress");
      return compress(reencode(decompressIfNeeded(message), kinds));
    case m.MESSAGE.compound: {
      count("compound");
      const { parts, truncated } = m.decodeCompound(body);
      expect(truncated).toBe(0);
      return m.encodeCompound(parts.map((part) => reencode(part, kinds)));
    }
    default:
      throw new Error(`message type ${message[0]}`);
  }
}

function reencodeStream(message: Uint8Array, kinds: Map<string, number>): Uint8Array {
  const body = message.subarray(1);
  const count = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  if (message[0] === m.MESSAGE.pushPull) {
    count("pushPull");
    return m.encodePushPull(m.decodePushPull(body));
  }
  if (message[0] === m.MESSAGE.user) {
    count("user");
    return m.encodeUserStream(m.decodeUserStream(body));
  }
  return reencode(message, kinds);
}

describe.skipIf(!goldenAvailable || !xzAvailable)(goldenTitle("captured gossip", true), () => {
  const keyring = new Keyring(GOLDEN_KEYS);
  const random = new Random("nonces");

  it.each([
    ["A-swarm-init", 924, 58, { ack: 383, alive: 36, compound: 19, compress: 4, ping: 383, pushPull: 26, user: 190 }],
    [
      "B-standalone-attachable",
      2360,
      182,
      { ack: 1146, compound: 6, compress: 21, indirectPing: 2, ping: 1144, pushPull: 80, user: 176 },
    ],
  ])(
    "%s: all %i packets and %i frames decrypt, parse, and encode to the same bytes",
    (scenario, packets, frames, expected) => {
      const gossip = readGoldenGossip(scenario);
      expect(gossip.udp.length).toBe(packets);
      expect(gossip.tcp.length).toBe(frames);
      const kinds = new Map<string, number>();
      for (const { payload } of gossip.udp) {
        const message = unframePacket(payload, keyring);
        const again = reencode(message, kinds);
        expect(hex(again)).toBe(hex(message));
        // Sealed again under a nonce of our own, the packet has the same size: CRC and compression included.
        const crc = payload.length - 29 - message.length;
        const plain = decompressIfNeeded(message);
        expect(framePacket(plain, crc === 5, keyring, random).length).toBe(payload.length);
      }
      for (const { payload } of gossip.tcp) {
        const message = unframeStream(payload.subarray(0, 5), payload.subarray(5), keyring);
        expect(hex(reencodeStream(message, kinds))).toBe(hex(message));
        expect(frameStream(message, keyring, random).length).toBe(payload.length);
      }
      expect(Object.fromEntries(kinds)).toEqual(expected);
    },
  );

  it("does not decrypt under another key, nor a TCP frame whose header was changed", () => {
    const gossip = readGoldenGossip("A-swarm-init");
    const other = new Keyring([new Uint8Array(16)]);
    const packet = gossip.udp[0]?.payload as Uint8Array;
    expect(() => unframePacket(packet, other)).toThrow("no installed keys could decrypt the message");
    const frame = gossip.tcp[0]?.payload.slice() as Uint8Array;
    frame[4] = (frame[4] as number) ^ 1;
    expect(() => unframeStream(frame.subarray(0, 5), frame.subarray(5), keyring)).toThrow("no installed keys");
  });
});
