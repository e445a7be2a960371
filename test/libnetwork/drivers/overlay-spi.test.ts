import { describe, expect, it } from "vitest";
import { parseIpv4 } from "../../../src/base/addr.ts";
import { addr16, aeadOf, fnv1a32, spiOf, spiOfBytes } from "../../../src/libnetwork/drivers/overlay-spi.ts";

const ip = (text: string): number => parseIpv4(text) as number;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(/[^0-9a-f]/g, ""), "hex"));

describe("SPIs", () => {
  it("FNV-1a has its published values", () => {
    const hash = (text: string): number => fnv1a32(new TextEncoder().encode(text));
    expect([hash(""), hash("a"), hash("foobar")]).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968]);
  });

  it("an IPv4 address counts in its 16-byte form", () => {
    expect(hex(addr16(ip("192.168.56.11")))).toBe("00000000000000000000ffffc0a8380b");
  });

  it.each([
    ["192.168.56.11", "192.168.56.12", 0x1235, 0xe800f585],
    ["192.168.56.12", "192.168.56.11", 0x1235, 0xa82a9215],
    ["10.1.0.1", "10.1.0.2", 1, 0x819c014b],
    ["192.168.56.11", "192.168.56.12", 0x1236, 0x2b916640],
    ["192.168.56.11", "192.168.56.12", 0x1237, 0x2c49eef3],
    ["192.168.77.11", "192.168.77.12", 0xfdcb, 0xf6bfc5b0],
    ["192.168.77.11", "192.168.77.12", 0xfdcc, 0x70dfb9e1],
    ["192.168.77.11", "192.168.77.12", 0xfdce, 0x7fa93b5b],
    ["192.168.77.11", "192.168.77.12", 0xfdcf, 0x5b08531c],
    ["192.168.77.11", "192.168.77.12", 0xfdd2, 0x7803be67],
    ["192.168.77.12", "192.168.77.11", 0xfdca, 0x5dd15c93],
    ["192.168.77.12", "192.168.77.11", 0xfdcb, 0x1c951e0c],
    ["192.168.77.12", "192.168.77.11", 0xfdcc, 0x62e3adcd],
    ["192.168.77.12", "192.168.77.11", 0xfdce, 0x917cbeef],
    ["192.168.77.12", "192.168.77.11", 0xfdcf, 0x4503dd78],
    ["192.168.77.12", "192.168.77.11", 0xfdd2, 0x6781abbb],
  ])("%s to %s, tag %i", (src, dst, tag, spi) => {
    expect(spiOf(ip(src), ip(dst), tag)).toBe(spi);
    // The driver's tags have 32 bits.
    expect(spiOf(ip(src), ip(dst), tag + 2 ** 32)).toBe(spi);
  });

  it("works for IPv6 addresses too", () => {
    const host = (last: number): Uint8Array => bytes(`20010db8000000000000000000000${`00${last}`.slice(-3)}`);
    expect(spiOfBytes(host(1), host(2), 0x3039)).toBe(0x86382d43);
  });

  it("the salt is the SPI", () => {
    const { name, key, icvBits } = aeadOf(bytes("000102030405060708090a0b0c0d0e0f"), 0xe800f585);
    expect([name, icvBits]).toEqual(["rfc4106(gcm(aes))", 64]);
    expect(hex(key)).toBe("000102030405060708090a0b0c0d0e0fe800f585");
  });
});
