/** IPVS's tables against what kernel.md says of Linux's: worked hashes, states by direction and event. */
import { describe, expect, it } from "vitest";
import { ip } from "../support/kernel.ts";
import { loadUnits } from "../support/units.ts";

const { x, u8 } = loadUnits();
const TCP = 6;
const UDP = 17;

describe("the table of connections", () => {
  const client = ip("10.0.0.5");
  it.each([
    ["TCP, no perturbation", TCP, 0, 0x0b80bce3, 3299],
    ["TCP", TCP, 0x12345678, 0x4f97204f, 79],
    ["UDP", UDP, 0, 0x253cf7f5, 2037],
  ])("%s", (_, protocol, random, hash, bucket) => {
    const value = x["connHashKey"](client, 40000, protocol, random) >>> 0;
    expect(value).toBe(hash);
    expect(value & 4095).toBe(bucket);
  });
});

// Columns: NO ES SS SR FW TW CL CW LA LI SA.
const TCP_NAMES = "NO ES SS SR FW TW CL CW LA LI SA".split(" ");
const TCP_TABLE = `
IN syn SR ES ES SR SR SR SR SR SR SR SR
IN fin CL CW SS TW TW TW CL CW LA LI TW
IN ack ES ES SS ES FW TW CL CW CL LI ES
IN rst CL CL CL SR CL CL CL CL LA LI SR
OUT syn SS ES SS SR SS SS SS SS SS LI SR
OUT fin TW FW SS TW FW TW CL TW LA LI TW
OUT ack ES ES SS ES FW TW CL CW LA ES ES
OUT rst CL CL SS CL CL TW CL CL CL CL CL
ONLY syn SR ES ES SR SR SR SR SR SR SR SR
ONLY fin CL FW SS TW FW TW CL CW LA LI TW
ONLY ack ES ES SS ES FW TW CL CW CL LI ES
ONLY rst CL CL CL SR CL CL CL CL LA LI CL`;
/** What secure_tcp changes. */
const SECURE: Readonly<Record<string, string>> = {
  "IN syn SA": "SA",
  "IN fin SA": "SA",
  "IN ack SR": "SR",
  "IN ack SA": "SA",
  "IN rst SA": "CL",
  "OUT syn SR": "SA",
  "OUT syn SA": "SA",
  ...Object.fromEntries(["NO", "FW", "TW", "CL", "CW", "LA", "LI", "SA"].map((state) => [`ONLY syn ${state}`, "SA"])),
};
const DIRECTIONS = ["IN", "OUT", "ONLY"];
const TCP_EVENTS = ["syn", "fin", "ack", "rst"];

const tcpCases = TCP_TABLE.trim()
  .split("\n")
  .flatMap((line) => {
    const [direction = "", event = "", ...next] = line.split(" ");
    return TCP_NAMES.map((state, i) => ({ direction, event, state, next: next[i] as string }));
  });

describe("states of TCP", () => {
  it("all of them", () => {
    expect(tcpCases).toHaveLength(132);
    for (const { direction, event, state, next } of tcpCases) {
      const args = [DIRECTIONS.indexOf(direction), TCP_EVENTS.indexOf(event), TCP_NAMES.indexOf(state)];
      const key = `${direction} ${event} ${state}`;
      expect([key, TCP_NAMES[x["tcpNext"](0, ...args)]]).toEqual([key, next]);
      expect([`secure ${key}`, TCP_NAMES[x["tcpNext"](1, ...args)]]).toEqual([`secure ${key}`, SECURE[key] ?? next]);
    }
  });
});

const SCTP_NAMES = "NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL".split(" ");
/** Chunk types of each event. */
const CHUNKS: Readonly<Record<string, readonly number[]>> = {
  d: [0, 3, 4, 5, 12, 13, 0x80, 0xc1],
  i: [1],
  ia: [2],
  ce: [10],
  ca: [11],
  s: [7],
  sa: [8],
  sc: [14],
  e: [9],
  ab: [6],
};
/** The changes: `states→next`, `*` for all; what comes later in a cell wins. */
const SCTP_TABLE: Readonly<Record<string, readonly [string, string, string]>> = {
  d: ["NO→ES", "NO→ES", "NO CW→ES"],
  i: ["NO→I1; I1 IN RJ CL→IN", "*→CW; ES→ES", "NO→I1; I1 IN CS CR CW RJ CL→IN"],
  ia: ["NO I1 IN→CW; CW→CO", "NO I1 IN CS→CS", "NO I1 IN CS CR CW→CE"],
  ce: ["NO CS CR→CR; I1 IN→IN", "NO I1 IN CS CR CW CO CE→CE", "NO I1 IN CS CR CW→ES"],
  ca: ["NO→ES; CE→ES", "NO I1 IN CS CR CW CO CE ES→ES", "NO CS CR CO CE→ES"],
  s: ["NO ES→SR", "NO I1 IN CS CR CW CO CE ES SS→SS", "NO ES→SR"],
  sa: ["NO SS SA→CL; I1 IN→IN", "NO I1 IN CS CR→SA; SS SR SA→SA", "NO ES SS SA→CL; I1→IN"],
  sc: ["NO I1 IN SA→CL", "NO→CL", "NO I1 IN CS CR SR SA→CL"],
  e: ["NO CE→CL", "NO I1 IN CS CR→CL", "NO→CL"],
  ab: ["*→CL; CW→RJ", "*→CL; I1→RJ", "*→CL; CW→RJ"],
};

describe("states of SCTP", () => {
  it.each(Object.keys(SCTP_TABLE))("%s", (event) => {
    DIRECTIONS.forEach((direction, d) => {
      const expected = [...SCTP_NAMES];
      for (const change of (SCTP_TABLE[event] as readonly string[])[d]?.split("; ") ?? []) {
        const [from = "", to = ""] = change.split("→");
        const states = from === "*" ? SCTP_NAMES : from.split(" ");
        for (const state of states) expected[SCTP_NAMES.indexOf(state)] = to;
      }
      for (const chunk of CHUNKS[event] as readonly number[])
        expect([direction, ...SCTP_NAMES.map((_, i) => SCTP_NAMES[x["sctpNext"](d, chunk, i)])]).toEqual([
          direction,
          ...expected,
        ]);
    });
  });
});

describe("CRC32c", () => {
  it.each([
    // RFC 3720 B.4.
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 ones", new Uint8Array(32).fill(255), 0x62a8ab43],
    ["ascending", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ["descending", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
    ["nothing", new Uint8Array(0), 0],
  ])("%s", (_, bytes, crc) => {
    const at = x["scratch"]();
    u8().set(bytes, at);
    expect(x["crc32c"](0, at, bytes.length) >>> 0).toBe(crc);
    const half = bytes.length >> 1;
    expect(x["crc32c"](x["crc32c"](0, at, half), at + half, bytes.length - half) >>> 0).toBe(crc);
  });
});
