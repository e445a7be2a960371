import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIp, formatMac, parseIpv4, parseIpv6, parseMac } from "../../src/pcap-writer/addresses.ts";

describe("addresses", () => {
  it.each([
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["FE80:0:0:0:0:0:0:1", "fe80::1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["::ffff:10.0.0.1", "::ffff:a00:1"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
  ])("IPv6 %s is %s", (text, canonical) => expect(formatIp(parseIpv6(text)!)).toBe(canonical));

  it.each([
    "",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "g::",
    "1.2.3.4::",
    "12345::",
  ])("%j is no IPv6 address", (text) => expect(parseIpv6(text)).toBeUndefined());

  it.each(["", "1.2.3", "1.2.3.4.5", "256.0.0.0", "01.2.3.4", "a.b.c.d", "1.2.3.-4"])("%j is no IPv4 address", (text) =>
    expect(parseIpv4(text)).toBeUndefined(),
  );

  it("format and parse are inverse", () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 });
    fc.assert(fc.property(bytes(4), (ip) => void expect(parseIpv4(formatIp(ip))).toEqual(ip)));
    fc.assert(fc.property(bytes(16), (ip) => void expect(parseIpv6(formatIp(ip))).toEqual(ip)));
    fc.assert(
      fc.property(sparse, (ip) => void expect(parseIpv6(formatIp(Uint8Array.from(ip)))).toEqual(Uint8Array.from(ip))),
    );
    fc.assert(fc.property(bytes(6), (mac) => void expect(parseMac(formatMac(mac))).toEqual(mac)));
    expect(parseMac("02:42")).toBeUndefined();
  });
});
