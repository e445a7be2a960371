/** Blocks compared with bytes written by hand from the drafts. */
import { describe, expect, it } from "vitest";
import { DIRECTION, MemorySink, PcapngWriter, PcapWriter } from "../../src/pcap-writer/index.ts";

/** What `write` adds to a file behind its section header (28 bytes without options). */
function block(
  write: (writer: PcapngWriter) => void,
  byteOrder: "little" | "big" = "little",
  epochSeconds = 0,
): string {
  const sink = new MemorySink();
  const writer = new PcapngWriter(sink, { byteOrder, epochSeconds });
  writer.flush();
  const before = sink.length;
  write(writer);
  writer.close();
  return hex(sink.bytes().subarray(before));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Hexadecimal digits without the spaces and remarks of the test. */
function bytes(...lines: string[]): string {
  return lines.map((line) => line.replace(/#.*$/, "").replaceAll(" ", "")).join("");
}

describe("section header", () => {
  it("without options", () => {
    const sink = new MemorySink();
    new PcapngWriter(sink).close();
    expect(hex(sink.bytes())).toBe(bytes("0a0d0d0a 1c000000", "4d3c2b1a 0100 0000", "ffffffff ffffffff", "1c000000"));
  });

  it("big-endian, with options", () => {
    const sink = new MemorySink();
    new PcapngWriter(sink, {
      byteOrder: "big",
      comment: "hi",
      hardware: "x86",
      os: "Linux",
      userApplication: "swar",
    }).close();
    expect(hex(sink.bytes())).toBe(
      bytes(
        "0a0d0d0a 00000044",
        "1a2b3c4d 0001 0000",
        "ffffffff ffffffff",
        "0001 0002 68690000 # comment",
        "0002 0003 78383600 # hardware",
        "0003 0005 4c696e75 78000000 # os",
        "0004 0004 73776172 # application: no padding",
        "00000000 # end",
        "00000044",
      ),
    );
  });
});

describe("interface description", () => {
  it("with every option", () => {
    const written = block((writer) => {
      writer.addInterface({
        name: "eth0",
        description: "w",
        mac: "52:54:00:77:00:11",
        ipv4: ["10.0.1.2/24", "0.0.0.0/0"],
        speedBps: 10e9,
        linkType: 101,
        snapLength: 65535,
        comment: "c",
      });
    });
    expect(written).toBe(
      bytes(
        "01000000 68000000",
        "6500 0000 ffff0000",
        "0100 0100 63000000",
        "0200 0400 65746830",
        "0300 0100 77000000",
        "0400 0800 0a000102 ffffff00 # if_IPv4addr is in network order always",
        "0400 0800 00000000 00000000",
        "0600 0600 525400770011 0000",
        "0800 0800 00e40b54 02000000 # 10^10",
        "0900 0100 09000000 # 10^-9",
        "00000000",
        "68000000",
      ),
    );
  });
});

describe("packet", () => {
  const data = Uint8Array.of(0xff, 1, 2, 3, 4, 5, 0xff);

  it("takes its bytes from the middle, pads with zeros, and splits the time", () => {
    const written = block((writer) => {
      writer.addInterface();
      writer.flush();
      writer.packet(0, 0x123456789, data, 1, 5, DIRECTION.inbound);
    }, "little").slice(2 * 32);
    expect(written).toBe(
      bytes(
        "06000000 34000000",
        "00000000 01000000 89674523 # interface, time high, time low",
        "05000000 05000000",
        "0102030405 000000",
        "0200 0400 01000000 00000000 # epb_flags, end",
        "34000000",
      ),
    );
  });

  it("adds the epoch exactly", () => {
    const at = (epochSeconds: number, ns: number) => {
      const written = block(
        (writer) => {
          writer.addInterface();
          writer.packet(0, ns, data, 0, 0);
        },
        "big",
        epochSeconds,
      ).slice(2 * 32);
      return BigInt(`0x${written.slice(24, 40)}`);
    };
    for (const epoch of [0, 1, 65535, 65536, 1_700_000_000, 2 ** 33 - 1]) {
      for (const ns of [0, 1, 999_999_999, 1_000_000_000, 43_200_000_000_001, Number.MAX_SAFE_INTEGER]) {
        expect(at(epoch, ns)).toBe(BigInt(epoch) * 1_000_000_000n + BigInt(ns));
      }
    }
  });

  it("with comments, drop count, direction and original length", () => {
    const written = block((writer) => {
      writer.addInterface();
      writer.packet(0, 7, data, 1, 4, DIRECTION.outbound, { comment: ["a", ""], dropCount: 3, originalLength: 9 });
    }).slice(2 * 32);
    expect(written).toBe(
      bytes(
        "06000000 48000000",
        "00000000 00000000 07000000 04000000 09000000",
        "01020304",
        "0100 0100 61000000",
        "0100 0000",
        "0400 0800 03000000 00000000",
        "0200 0400 02000000",
        "00000000",
        "48000000",
      ),
    );
  });

  it("is cut at the interface's snap length", () => {
    const written = block((writer) => {
      writer.addInterface({ snapLength: 2 });
      writer.packet(0, 0, data, 1, 5);
    }).slice(2 * 32);
    expect(written).toBe(
      bytes("06000000 24000000", "00000000 00000000 00000000 02000000 05000000", "01020000", "24000000"),
    );
  });
});

describe("other blocks", () => {
  it("names", () => {
    const written = block((writer) => {
      writer.names([
        { address: "10.0.1.2", names: ["ab", "c"] },
        { address: "fd00::2", names: ["six"] },
      ]);
    });
    expect(written).toBe(
      bytes(
        "04000000 38000000",
        "0100 0900 0a000102 6162 00 63 00 000000",
        "0200 1400 fd000000000000000000000000000002 73697800",
        "00000000",
        "38000000",
      ),
    );
  });

  it("statistics: times have their high half first, counters are 64-bit numbers", () => {
    const written = block((writer) => {
      writer.addInterface();
      writer.statistics(0, 2 ** 32 + 5, { startNs: 1, endNs: 2 ** 32, received: 6, dropped: 7, delivered: 2 ** 40 });
    }).slice(2 * 32);
    expect(written).toBe(
      bytes(
        "05000000 58000000",
        "00000000 01000000 05000000",
        "0200 0800 00000000 01000000",
        "0300 0800 01000000 00000000",
        "0400 0800 0600000000000000",
        "0500 0800 0700000000000000",
        "0800 0800 0000000000010000",
        "00000000",
        "58000000",
      ),
    );
  });

  it("TLS secrets", () => {
    expect(block((writer) => writer.tlsSecrets("abcde"))).toBe(
      bytes("0a000000 1c000000", "4b534c54 05000000", "6162636465 000000", "1c000000"),
    );
  });
});

describe("classic pcap", () => {
  it.each([
    ["ns", "4d3cb2a1", "07000000"],
    ["us", "d4c3b2a1", "00000000"],
  ] as const)("in %s", (resolution, magic, fraction) => {
    const sink = new MemorySink();
    const writer = new PcapWriter(sink, { resolution, epochSeconds: 256, snapLength: 0, linkType: 1 });
    writer.packet(1e9 + 7, Uint8Array.of(1, 2, 3), 1, 2, 60);
    writer.close();
    expect(hex(sink.bytes())).toBe(
      bytes(`${magic} 0200 0400 00000000 00000000 00000000 01000000`, `01010000 ${fraction} 02000000 3c000000 0203`),
    );
  });
});
