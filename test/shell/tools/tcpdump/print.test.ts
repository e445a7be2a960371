/** tcpdump's lines, held against those that tcpdump 4.99.3 printed for the golden captures. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPackets } from "../../../../src/pcap-writer/index.ts";
import { asciiDump, Bytes, hexDump } from "../../../../src/shell/tools/tcpdump/bytes.ts";
import { parseFilter } from "../../../../src/shell/tools/tcpdump/filter.ts";
import { matchesFilter } from "../../../../src/shell/tools/tcpdump/filter-match.ts";
import { Printer, type PrintOptions } from "../../../../src/shell/tools/tcpdump/print.ts";
import { goldenAvailable, goldenFolder, goldenTitle } from "../../../support/golden.ts";

const NAMES = { numeric: true, host: () => undefined, port: () => undefined };
const PLAIN: PrintOptions = { verbose: 0, linkLevel: false, quick: false, absolute: false };

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.replace(/\s/g, "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function print(frame: Uint8Array, options: Partial<PrintOptions> = {}): string {
  return new Printer({ ...PLAIN, ...options }, NAMES).frame(frame, frame.length);
}

/** A ping through VXLAN, from golden/B-standalone-attachable. */
const VXLAN = bytes(`
  5254 0077 0012 5254 0077 0011 0800 4500 0086 7af9 0000 4011 e405 c0a8 4d0b c0a8 4d0c c150 12b5 0072 e401 0800 0000
  0010 0100 0242 0a00 0104 0242 0a00 0102 0800 4500 0054 68c0 4000 4001 bbe3 0a00 0102 0a00 0104 0800 7b87 0041 0000
  cd16 af20 ${"00".repeat(52)}`);

describe("lines", () => {
  it("of a ping through VXLAN", () => {
    expect(print(VXLAN)).toBe(
      "IP 192.168.77.11.49488 > 192.168.77.12.4789: VXLAN, flags [I] (0x08), vni 4097\n" +
        "IP 10.0.1.2 > 10.0.1.4: ICMP echo request, id 65, seq 0, length 64",
    );
    expect(print(VXLAN, { linkLevel: true, verbose: 1 })).toBe(
      "52:54:00:77:00:11 > 52:54:00:77:00:12, ethertype IPv4 (0x0800), length 148: (tos 0x0, ttl 64, id 31481, offset 0, flags [none], proto UDP (17), length 134)\n" +
        "    192.168.77.11.49488 > 192.168.77.12.4789: VXLAN, flags [I] (0x08), vni 4097\n" +
        "02:42:0a:00:01:02 > 02:42:0a:00:01:04, ethertype IPv4 (0x0800), length 98: (tos 0x0, ttl 64, id 26816, offset 0, flags [DF], proto ICMP (1), length 84)\n" +
        "    10.0.1.2 > 10.0.1.4: ICMP echo request, id 65, seq 0, length 64",
    );
    expect(hexDump(VXLAN.subarray(14, 46), true)).toBe(
      "\n\t0x0000:  4500 0086 7af9 0000 4011 e405 c0a8 4d0b  E...z...@.....M." +
        "\n\t0x0010:  c0a8 4d0c c150 12b5 0072 e401 0800 0000  ..M..P...r......",
    );
    expect(asciiDump(bytes("45000d0a610d620d"))).toBe("\nE.\na.b");
  });

  it("of what is cut off or nonsense, and never fail", () => {
    for (let length = 0; length <= VXLAN.length; length++)
      for (const options of [{}, { verbose: 2 }, { linkLevel: true }, { quick: true }])
        expect(print(VXLAN.slice(0, length), options)).toBeTypeOf("string");
    expect(print(VXLAN.slice(0, 60))).toContain("[|");
    for (let at = 0; at < VXLAN.length; at++) {
      const broken = VXLAN.slice();
      broken[at] = 0xff;
      expect(print(broken, { verbose: 2 })).toBeTypeOf("string");
    }
    expect(() => new Bytes(new Uint8Array(3)).u32(0)).toThrow();
  });
});

/** What tcpdump -tn prints for the n-th frames of a capture, from 1. */
const GOLDEN: readonly (readonly [string, Partial<PrintOptions>, Readonly<Record<number, string>>])[] = [
  [
    "B-standalone-attachable/manager/pcap/ctr-alpine1__lo.pcap",
    {},
    {
      1: "IP 127.0.0.1.59292 > 127.0.0.11.58374: UDP, length 25",
      3: "IP 127.0.0.11.53 > 127.0.0.1.59292: 39306 1/0/0 A 10.0.1.4 (48)",
      4: "IP 127.0.0.11.53 > 127.0.0.1.59292: 56622 0/0/0 (25)",
      15: "IP 127.0.0.11.53 > 127.0.0.1.39234: 23867 NXDomain 0/0/0 (28)",
      62: "IP 127.0.0.11.53 > 127.0.0.1.37375: Flags [P.], seq 1:51, ack 51, win 512, options [nop,nop,TS val 3140006433 ecr 74951999], length 50 49904 1/0/0 A 10.0.1.4 (48)",
    },
  ],
  [
    "B-standalone-attachable/manager/pcap/ctr-alpine1__lo.pcap",
    { verbose: 2 },
    {
      1: "IP (tos 0x0, ttl 64, id 53415, offset 0, flags [DF], proto UDP (17), length 53)\n    127.0.0.1.59292 > 127.0.0.11.58374: [bad udp cksum 0xfe3e -> 0x56fe!] UDP, length 25",
    },
  ],
];

describe.skipIf(!goldenAvailable)(goldenTitle("golden captures"), () => {
  it.each(GOLDEN)("%s %j", (path, options, lines) => {
    const printer = new Printer({ ...PLAIN, ...options }, NAMES);
    const packets = readPackets(new Uint8Array(readFileSync(join(goldenFolder, path))));
    const printed = packets.map(({ data, originalLength }) => printer.frame(data, originalLength));
    for (const [number, line] of Object.entries(lines)) expect(printed[Number(number) - 1]).toBe(line);
  });
});

describe("filters", () => {
  const frame = { data: VXLAN, length: VXLAN.length, outgoing: true };
  it.each([
    ["udp port 4789", true],
    ["udp and not port 4789", false],
    ["host 192.168.77.11 and dst 192.168.77.12", true],
    ["src host 192.168.77.12", false],
    ["src or dst 192.168.77.12", true],
    ["net 192.168.77.0/24 and udp", true],
    ["net 10", false],
    ["portrange 4000-5000", true],
    ["port 53 or 4789", true],
    ["tcp or (udp and less 100)", false],
    ["greater 148", true],
    ["ether src 52:54:00:77:00:11", true],
    ["ether host 52:54:0:77:0:13", false],
    ["arp or icmp", false],
    ["ip proto 17", true],
    ["ip proto \\udp", true],
    ["ip[9] = 17 and udp[8] & 0x08 != 0", true],
    ["udp[12:4] >> 8 == 4097", true],
    ["tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", false],
    ["not tcp[13] == 2", false],
    ["len > 100", true],
    ["inbound", false],
    ["!arp && outbound", true],
    ["port http", false],
  ])("%s", (text, expected) => {
    expect(matchesFilter(parseFilter(text), frame)).toBe(expected);
  });

  it.each([
    ["foo bar", "can't parse filter expression: syntax error"],
    ["port", "can't parse filter expression: syntax error"],
    ["udp port 4789 )", "can't parse filter expression: syntax error"],
    ["port nosuch", "unknown port 'nosuch'"],
    ["port 70000", "illegal port number 70000 > 65535"],
    ["net 10.0.1.1/24", 'non-network bits set in "10.0.1.1/24"'],
  ])("refuses %s", (text, message) => {
    expect(() => parseFilter(text)).toThrow(message);
  });

  it("takes nothing for everything", () => {
    expect(matchesFilter(parseFilter(" "), frame)).toBe(true);
  });
});
