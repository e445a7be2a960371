/** One line about a frame. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dissect } from "../../../web/session/packets/dissect.ts";

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/[0-9a-f]{2}/g) ?? [], (byte) => parseInt(byte, 16));

const OUTER = "0242c0a84d0c 0242c0a84d0b 0800";
const INNER = "02420a000105 02420a000103 0800";
const ip = (length: string, protocol: string, source: string, destination: string): string =>
  `4500${length}00010000 40${protocol}0000 ${source} ${destination}`;
const ECHO = "0800 0000 0007 0002";
const PING = `${INNER} ${ip("001c", "01", "0a000103", "0a000105")} ${ECHO}`;

describe("dissect", () => {
  it("reads through VXLAN to the ping within", () => {
    const udp = "8000 12b5 003a 0000 08000000 00100100";
    const frame = bytes(`${OUTER} ${ip("004e", "11", "c0a84d0b", "c0a84d0c")} ${udp} ${PING}`);
    expect(dissect(frame)).toEqual({
      source: "10.0.1.3",
      destination: "10.0.1.5",
      protocol: "ICMP",
      summary: "VXLAN 4097 192.168.77.11 → 192.168.77.12 | ICMP echo request, id 7, seq 2, length 8",
    });
  });

  it.each([
    [
      `ffffffffffff 0242c0a84d0b 0806 0001 0800 06 04 0001 0242c0a84d0b c0a84d0b 000000000000 c0a84d0c`,
      ["ARP", "Request who-has 192.168.77.12 tell 192.168.77.11, length 28"],
    ],
    [
      `${OUTER} ${ip("0024", "32", "c0a84d0b", "c0a84d0c")} deadbeef 00000009 0000000000000000`,
      ["ESP", "ESP(spi=0xdeadbeef,seq=0x9), length 16"],
    ],
    [
      `${OUTER} ${ip("0028", "06", "c0a84d0b", "c0a84d0c")} 9c40 0949 00000001 00000002 5012 ffff 0000 0000`,
      ["TCP", "40000 → 2377 Flags [S.], seq 1, ack 2, win 65535, length 0"],
    ],
  ])("%s", (hex, expected) => {
    const { protocol, summary } = dissect(bytes(hex));
    expect([protocol, summary]).toEqual(expected);
  });

  it("takes any bytes, cut anywhere", () => {
    const whole = bytes(
      `${OUTER} ${ip("004e", "11", "c0a84d0b", "c0a84d0c")} 800012b5003a0000 0800000000100100 ${PING}`,
    );
    for (let length = 0; length < whole.length; length++) dissect(whole.subarray(0, length));
    const start = fc.constantFrom("", OUTER, `${OUTER} 4f`, `${OUTER} 45`);
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 120 }), (head, rest) => {
        const { protocol } = dissect(Uint8Array.from([...bytes(head), ...rest]));
        expect(protocol).not.toBe("");
      }),
    );
  });
});
