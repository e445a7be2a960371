import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { crc32 } from "../../src/memberlist/crc32.ts";
import * as f from "../../src/memberlist/framing.ts";
import { Keyring } from "../../src/memberlist/keyring.ts";
import * as m from "../../src/memberlist/messages.ts";
import { decodeStruct, encodeStruct } from "../../src/memberlist/msgpack.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const VSN = Uint8Array.of(1, 5, 2, 0, 0, 0);
const source = { addr: 0xc0a84d0b, port: 7946, node: "ab5f1eead6a0" };

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const port = fc.integer({ min: 1, max: 65535 });
const name = fc.string({ maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 70 });
const maybeBytes = fc.option(bytes);

function onlyMalformed(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedError);
  }
}

describe("messages", () => {
  it("have the sizes measured on a real swarm's wire", () => {
    expect(m.encodePing({ seqNo: 1, node: "39be6da2ff66", source }).length).toBe(81);
    expect(m.encodePing({ seqNo: 128, node: "39be6da2ff66", source }).length).toBe(82);
    expect(m.encodePing({ seqNo: 256, node: "39be6da2ff66", source }).length).toBe(83);
    expect(m.encodeAck({ seqNo: 127, payload: null }).length).toBe(18);
  });

  it("are maps sorted by field name, of old-style raw strings", () => {
    expect(hex(m.encodeAck({ seqNo: 300, payload: null }))).toBe("0282a75061796c6f6164c0a55365714e6fcd012c");
    const long = encodeStruct([["Buf", new Uint8Array(32)]]);
    expect(hex(long).slice(0, 16)).toBe("81a3427566da0020");
  });

  it("decode to what was encoded", () => {
    const sourced = fc.option(fc.record({ addr: word, port, node: name }), { nil: undefined });
    const withSource = <T extends object>(value: T & { source: typeof source | undefined }) => {
      const { source: from, ...rest } = value;
      return from === undefined ? rest : value;
    };
    fc.assert(
      fc.property(fc.record({ seqNo: word, node: name, source: sourced }), (value) => {
        const ping = withSource(value) as m.PingMessage;
        expect(m.decodePing(m.encodePing(ping).subarray(1))).toEqual(ping);
      }),
    );
    const indirect = fc.record({ seqNo: word, target: word, port, node: name, nack: fc.boolean(), source: sourced });
    fc.assert(
      fc.property(indirect, (value) => {
        const ping = withSource(value) as m.IndirectPingMessage;
        expect(m.decodeIndirectPing(m.encodeIndirectPing(ping).subarray(1))).toEqual(ping);
      }),
    );
    fc.assert(
      fc.property(fc.record({ incarnation: word, node: name, from: name }), (suspect) => {
        expect(m.decodeAccusation(m.encodeSuspect(suspect).subarray(1))).toEqual(suspect);
        expect(m.encodeDead(suspect).subarray(1)).toEqual(m.encodeSuspect(suspect).subarray(1));
      }),
    );
    fc.assert(
      fc.property(fc.record({ incarnation: word, node: name, addr: word, port, meta: maybeBytes }), (value) => {
        const alive = { ...value, vsn: VSN };
        expect(m.decodeAlive(m.encodeAlive(alive).subarray(1))).toEqual(alive);
      }),
    );
  });

  it("push/pull states and stream messages come back with what follows them cut off", () => {
    const node = fc.record({
      name,
      addr: word,
      port,
      meta: maybeBytes,
      incarnation: word,
      state: fc.constantFrom(0, 1, 2, 3),
      vsn: fc.constant(VSN),
    });
    const state = fc.record({ join: fc.boolean(), nodes: fc.array(node, { maxLength: 20 }), userState: bytes });
    fc.assert(
      fc.property(state, bytes, (value, tail) => {
        const message = value as m.PushPullMessage;
        const encoded = m.encodePushPull(message);
        expect(m.decodePushPull(m.concat([encoded, tail]).subarray(1))).toEqual(message);
        expect(() => m.decodePushPull(encoded.subarray(1, -1))).toThrow("cut short");
      }),
    );
    expect(hex(m.decodeUserStream(m.encodeUserStream(unhex("010203")).subarray(1)))).toBe("010203");
    expect(() => m.decodeUserStream(m.encodeUserStream(unhex("010203")).subarray(1, -1))).toThrow("cut short");
  });

  it("compound messages keep the whole parts of a truncated packet", () => {
    const packet = m.encodeCompound([unhex("0102"), unhex("030405")]).subarray(1);
    expect(m.decodeCompound(packet)).toEqual({ parts: [unhex("0102"), unhex("030405")], truncated: 0 });
    expect(m.decodeCompound(packet.subarray(0, -1))).toEqual({ parts: [unhex("0102")], truncated: 1 });
    expect(() => m.decodeCompound(packet.subarray(0, 3))).toThrow("compound is cut short");
  });

  it("throw nothing but MalformedError whatever the bytes", () => {
    const decoders = [m.decodePing, m.decodeIndirectPing, m.decodeAck, m.decodeNack, m.decodeAlive, m.decodeErr];
    const all = [...decoders, m.decodeAccusation, m.decodePushPull, m.decodeUserStream, m.decodeCompound, decodeStruct];
    fc.assert(
      fc.property(bytes, (data) => {
        for (const decode of all) onlyMalformed(() => decode(data));
      }),
    );
  });
});

describe("framing", () => {
  const keys = [1, 2, 3].map((fill) => new Uint8Array(16).fill(fill));
  const random = new Random("nonces");
  const message = m.encodePing({ seqNo: 1, node: "39be6da2ff66", source });

  it("computes the CRC of the check value", () => {
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  });

  it("adds 29 bytes of encryption and 5 of CRC, and takes them off under any of the keys", () => {
    const packet = f.framePacket(message, true, new Keyring([keys[2] as Uint8Array]), random);
    expect(packet.length).toBe(message.length + 34);
    expect(packet[0]).toBe(1);
    expect(f.unframePacket(packet, new Keyring(keys))).toEqual(message);
    const clear = f.framePacket(message, true, new Keyring(), random);
    expect(clear[0]).toBe(m.MESSAGE.hasCrc);
    expect(f.unframePacket(clear, new Keyring())).toEqual(message);
  });

  it("compresses a packet only where that is shorter", () => {
    const long = m.encodeUser(new Uint8Array(500));
    const packet = f.framePacket(long, false, new Keyring(), random);
    expect(packet[0]).toBe(m.MESSAGE.compress);
    expect(packet.length).toBeLessThan(100);
    expect(f.decompressIfNeeded(packet)).toEqual(long);
    expect(f.framePacket(message, false, new Keyring(), random)).toEqual(message);
  });

  it("authenticates the header of a TCP frame", () => {
    const frame = f.frameStream(message, new Keyring(keys), random);
    const [header, body] = [frame.slice(0, 5), frame.subarray(5)];
    expect([header[0], new DataView(header.buffer).getUint32(1)]).toEqual([10, body.length]);
    expect(f.unframeStream(header, body, new Keyring(keys))).toEqual(message);
    header[3] = 1;
    expect(() => f.unframeStream(header, body, new Keyring(keys))).toThrow("no installed keys");
  });

  it("takes version 0, which pads to 16 bytes", () => {
    const nonce = new Uint8Array(12);
    const padded = m.concat([message, new Uint8Array(15).fill(15)]);
    const sealed = new Keyring(keys).primary().seal(nonce, padded);
    expect(f.unframePacket(m.concat([Uint8Array.of(0), nonce, sealed]), new Keyring(keys))).toEqual(message);
  });

  it.each([
    ["", "empty packet"],
    ["02", "encryption version"],
    ["0100", "encrypted packet is cut short"],
    [`01${"00".repeat(40)}`, "no installed keys could decrypt the message"],
  ])("refuses %s", (packet, reason) => {
    expect(() => f.unframePacket(unhex(packet), new Keyring(keys))).toThrow(reason);
  });

  it("refuses a wrong CRC and an unknown compression", () => {
    expect(() => f.unframePacket(unhex("0c00000000aa"), new Keyring())).toThrow("crc");
    const other = encodeStruct([
      ["Algo", 1],
      ["Buf", new Uint8Array(3)],
    ]);
    expect(() => f.decompress(other)).toThrow("compression algorithm");
  });
});
