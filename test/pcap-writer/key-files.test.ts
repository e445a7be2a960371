import { describe, expect, it } from "vitest";
import { EspSaFile, espSaRow, tlsKeyLogLine } from "../../src/pcap-writer/index.ts";

const key = Uint8Array.from({ length: 20 }, (_, i) => i);
const sa = { source: "192.168.77.11", destination: "192.168.77.12", spi: 0xf6bfc5b0, key };

describe("esp_sa", () => {
  it("formats the row that Wireshark 4.4 reads", () => {
    expect(espSaRow(sa)).toBe(
      '"IPv4","192.168.77.11","192.168.77.12","0xf6bfc5b0","AES-GCM with 8 octet ICV [RFC4106]",' +
        '"0x000102030405060708090a0b0c0d0e0f10111213","NULL",""',
    );
    expect(espSaRow({ ...sa, spi: 1, icvBytes: 16 })).toContain('"0x00000001","AES-GCM with 16 octet ICV [RFC4106]"');
    expect(espSaRow({ ...sa, source: "FD00:0:0::1", destination: "fd00::2" })).toMatch(/^"IPv6","fd00::1","fd00::2",/);
  });

  it("keeps each row once, in order", () => {
    const file = new EspSaFile();
    expect(file.toString()).toBe("");
    expect([file.add(sa), file.add({ ...sa, spi: 2 }), file.add(sa)]).toEqual([true, true, false]);
    expect(file.size).toBe(2);
    expect(file.toString()).toBe(`${espSaRow(sa)}\n${espSaRow({ ...sa, spi: 2 })}\n`);
  });

  it.each([
    [{ source: "host1" }, /source is not an IP address: host1/],
    [{ destination: "fd00::1" }, /family/],
    [{ destination: "1.2.3" }, /family/],
    [{ spi: 2 ** 32 }, /spi must be/],
    [{ spi: -1 }, /spi must be/],
    [{ key: new Uint8Array(16) }, /20, 28 or 36 bytes/],
    [{ icvBytes: 10 }, /icvBytes must be 8, 12 or 16/],
  ])("refuses %o", (change, message) => {
    expect(() => espSaRow({ ...sa, ...change })).toThrow(message);
  });
});

describe("tlsKeyLogLine", () => {
  it("formats a line", () => {
    expect(tlsKeyLogLine("CLIENT_RANDOM", new Uint8Array(32), Uint8Array.of(0xab, 1))).toBe(
      `CLIENT_RANDOM ${"00".repeat(32)} ab01\n`,
    );
  });

  it("checks lengths", () => {
    expect(() => tlsKeyLogLine("CLIENT_RANDOM", new Uint8Array(31), key)).toThrow(/32 bytes, got 31/);
    expect(() => tlsKeyLogLine("CLIENT_RANDOM", new Uint8Array(32), new Uint8Array(0))).toThrow(/empty/);
  });
});
