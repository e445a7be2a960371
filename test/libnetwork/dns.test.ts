import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addressAnswer,
  DNS_RCODE,
  encodeName,
  makeResponse,
  parseQuery,
  parseResponse,
} from "../../src/libnetwork/dns.ts";

/** The query of RFC 1035's shape for `alpine2 A` with dig's OPT record. */
const QUERY = Uint8Array.of(
  ...[0x86, 0x85, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1],
  ...[7, 0x61, 0x6c, 0x50, 0x69, 0x6e, 0x65, 0x32, 0, 0, 1, 0, 1],
  ...[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0],
);

describe("DNS messages", () => {
  it("reads a query and answers it without compression, the question's case kept", () => {
    const query = parseQuery(QUERY);
    expect(query).toMatchObject({ id: 0x8685, name: "alPine2.", type: 1, udpSize: 1232, opcode: 0 });
    if (query === undefined) return;
    const answer = makeResponse(query, DNS_RCODE.NOERROR, [addressAnswer(0x0a000104)], 1232, false);
    expect(Buffer.from(answer).toString("hex")).toBe(
      "868581800001000100000000" +
        "07616c50696e6532000001" +
        "0001" +
        "07616c50696e6532000001" +
        "0001" +
        "00000258" +
        "0004" +
        "0a000104",
    );
    expect(answer.length).toBe(48);
  });

  it("refuses responses, endless pointers and cut messages", () => {
    const response = QUERY.slice();
    response[2] = 0x81;
    expect(parseQuery(response)).toBeUndefined();
    expect(parseQuery(QUERY.subarray(0, 20))).toBeUndefined();
    expect(parseQuery(Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1))).toBeUndefined();
  });

  it("reads any bytes without a crash", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (data) => {
        const forced = Uint8Array.of(0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, ...data);
        expect(parseResponse(forced) === undefined || typeof parseResponse(forced) === "object").toBe(true);
        parseQuery(Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, ...data));
      }),
    );
  });

  it("writes names as they were read", () => {
    const label = fc.uint8Array({ minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => {
        const wire = [...labels.flatMap((l) => [l.length, ...l]), 0];
        const query = parseQuery(Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...wire, 0, 1, 0, 1));
        expect([...(encodeName(query?.name ?? "") ?? [])]).toEqual(wire);
      }),
    );
    expect(encodeName("a..b")).toBeUndefined();
    expect(encodeName("x".repeat(64))).toBeUndefined();
  });
});
