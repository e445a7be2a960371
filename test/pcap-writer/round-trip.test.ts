/** What is written is read again, whatever it is; and a file cut anywhere gives what it still holds. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIp } from "../../src/pcap-writer/addresses.ts";
import {
  CaptureFormatError,
  type CaptureRecord,
  type Direction,
  MemorySink,
  PcapngWriter,
  PcapWriter,
  readAll,
  readCapture,
  readPackets,
  SECRETS_TLS_KEY_LOG,
  type Time,
} from "../../src/pcap-writer/index.ts";

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const comments = fc.array(text, { maxLength: 3 });
const byteOrder = fc.constantFrom("little", "big") as fc.Arbitrary<"little" | "big">;
const timeNs = fc.oneof(fc.nat(1e6), fc.maxSafeNat());
const counter = fc.maxSafeNat();
const payload = fc.uint8Array({ maxLength: 200 });
const name = text.filter((value) => value !== "" && !value.includes("\0"));
const ip = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(formatIp);
const ipv4Net = fc
  .tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.nat(32))
  .map(([address, prefix]) => `${formatIp(address)}/${prefix}`);

/** One call of the writer. Interface numbers are taken modulo those there are. */
const call = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("packet" as const),
      of: fc.nat(),
      timeNs,
      payload,
      before: fc.nat(9),
      direction: fc.constantFrom<Direction>(0, 1, 2),
      extra: fc.option(
        fc.record({ comment: comments, dropCount: counter, more: fc.nat(100) }, { requiredKeys: ["comment", "more"] }),
        { nil: undefined },
      ),
    }),
  },
  fc.record({
    kind: fc.constant("interface" as const),
    options: fc.record(
      {
        name: text,
        description: text,
        mac: fc.constant("02:42:0a:00:01:02"),
        ipv4: fc.array(ipv4Net, { maxLength: 3 }),
        speedBps: counter,
        linkType: fc.nat(65535),
        snapLength: fc.constantFrom(0, 10, 65535),
        comment: comments,
      },
      { requiredKeys: [] },
    ),
  }),
  fc.record({
    kind: fc.constant("names" as const),
    entries: fc.array(fc.record({ address: ip, names: fc.array(name, { minLength: 1, maxLength: 4 }) }), {
      minLength: 1,
    }),
    comment: comments,
  }),
  fc.record({
    kind: fc.constant("statistics" as const),
    of: fc.nat(),
    timeNs,
    options: fc.record(
      {
        startNs: timeNs,
        endNs: timeNs,
        received: counter,
        dropped: counter,
        filterAccepted: counter,
        osDropped: counter,
        delivered: counter,
        comment: comments,
      },
      { requiredKeys: [] },
    ),
  }),
  fc.record({ kind: fc.constant("secrets" as const), log: text, comment: comments }),
);
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

function time(epoch: number, ns: number): Time {
  return { seconds: epoch + Math.floor(ns / 1e9), nanos: ns % 1e9 };
}

/** Does the call and returns what a reader must then find. */
function perform(writer: PcapngWriter, one: Call, snapLengths: number[], epoch: number): CaptureRecord | undefined {
  if (one.kind === "interface") {
    const { comment, ...rest } = one.options;
    const id = writer.addInterface(one.options);
    snapLengths.push(rest.snapLength ?? 0);
    const given = { linkType: 1, snapLength: 0, ipv4: [], ...rest };
    return { kind: "interface", id, ...given, unitsPerSecond: 1e9, comments: comment ?? [] };
  }
  if (one.kind === "names") {
    writer.names(one.entries, one.comment);
    return { kind: "names", entries: one.entries, comments: one.comment };
  }
  if (one.kind === "secrets") {
    writer.tlsSecrets(one.log, one.comment);
    const data = new TextEncoder().encode(one.log);
    return { kind: "secrets", type: SECRETS_TLS_KEY_LOG, data, comments: one.comment };
  }
  if (snapLengths.length === 0) return undefined;
  const interfaceId = one.of % snapLengths.length;
  if (one.kind === "statistics") {
    const { startNs, endNs, comment, ...counters } = one.options;
    writer.statistics(interfaceId, one.timeNs, one.options);
    return {
      kind: "statistics",
      interfaceId,
      time: time(epoch, one.timeNs),
      ...(startNs === undefined ? {} : { start: time(epoch, startNs) }),
      ...(endNs === undefined ? {} : { end: time(epoch, endNs) }),
      ...counters,
      comments: comment ?? [],
    };
  }
  const { payload, before, direction, extra } = one;
  const memory = new Uint8Array(payload.length + before + 3).fill(0xa5);
  memory.set(payload, before);
  const originalLength = payload.length + (extra?.more ?? 0);
  const options =
    extra === undefined
      ? undefined
      : { comment: extra.comment, originalLength, ...("dropCount" in extra ? { dropCount: extra.dropCount! } : {}) };
  writer.packet(interfaceId, one.timeNs, memory, before, payload.length, direction, options);
  const snapLength = snapLengths[interfaceId]!;
  return {
    kind: "packet",
    interfaceId,
    ...time(epoch, one.timeNs),
    data: snapLength > 0 ? payload.slice(0, snapLength) : payload,
    originalLength,
    direction,
    ...(options?.dropCount === undefined ? {} : { dropCount: options.dropCount }),
    comments: extra?.comment ?? [],
  };
}

/** Views of a larger array become arrays of their own, so that toEqual compares bytes only. */
function plain(record: CaptureRecord): CaptureRecord {
  return "data" in record ? { ...record, data: record.data.slice() } : record;
}

describe("pcapng", () => {
  it("any calls are read as they were made, whatever the size of the buffer", () => {
    const sizes = fc.constantFrom(64, 300, 4096);
    const epochs = fc.constantFrom(0, 1_700_000_000, 2 ** 33 - 1);
    fc.assert(
      fc.property(
        fc.array(call, { maxLength: 12 }),
        byteOrder,
        epochs,
        sizes,
        (calls, order, epochSeconds, bufferBytes) => {
          const sink = new MemorySink();
          const writer = new PcapngWriter(sink, { byteOrder: order, epochSeconds, bufferBytes, comment: "c", os: "o" });
          const section = { kind: "section", format: "pcapng", byteOrder: order, comments: ["c"], os: "o" } as const;
          const wanted: CaptureRecord[] = [{ ...section, comments: ["c"] }];
          const snapLengths: number[] = [];
          for (const one of calls) {
            const record = perform(writer, one, snapLengths, epochSeconds);
            if (record !== undefined) wanted.push(record);
          }
          writer.close();
          const file = sink.bytes();
          expect(file.length).toBe(writer.bytesWritten);
          expect(file.length % 4).toBe(0);
          expect([...readCapture(file)].map(plain)).toEqual(wanted.map(plain));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("more names than a block may hold", () => {
    const sink = new MemorySink();
    const writer = new PcapngWriter(sink);
    const entries = Array.from({ length: 5000 }, (_, i) => ({
      address: `10.${i >> 8}.${i & 255}.1`,
      names: [`container-${i}`],
    }));
    const long = { address: "10.0.0.2", names: Array.from({ length: 40 }, (_, i) => `${i}${"x".repeat(4000)}`) };
    writer.names([...entries, long], "about names");
    writer.names([]);
    writer.close();
    const blocks = [...readCapture(sink.bytes())].filter((record) => record.kind === "names");
    expect(blocks.length).toBeGreaterThan(5);
    expect(blocks.flatMap((block) => block.comments)).toEqual(["about names"]);
    const all = blocks.flatMap((block) => block.entries);
    expect(all.slice(0, 5000)).toEqual(entries);
    expect(all.slice(5000).flatMap((entry) => entry.names)).toEqual(long.names);
  });
});

describe("classic pcap", () => {
  it("any packets are read as they were written", () => {
    const packets = fc.array(fc.record({ timeNs: fc.nat(2 ** 31), payload, more: fc.nat(9) }), { maxLength: 10 });
    fc.assert(
      fc.property(packets, byteOrder, fc.constantFrom<"ns" | "us">("ns", "us"), (list, order, resolution) => {
        const sink = new MemorySink();
        const writer = new PcapWriter(sink, { byteOrder: order, resolution, epochSeconds: 1e9, bufferBytes: 64 });
        for (const { timeNs, payload, more } of list)
          writer.packet(timeNs, payload, 0, payload.length, payload.length + more);
        writer.close();
        const unit = resolution === "us" ? 1000 : 1;
        const read = readPackets(sink.bytes()).map(({ seconds, nanos, data, originalLength }) => {
          return { seconds, nanos, data: data.slice(), originalLength };
        });
        expect(read).toEqual(
          list.map(({ timeNs, payload, more }) => ({
            seconds: 1e9 + Math.floor(timeNs / 1e9),
            nanos: Math.floor((timeNs % 1e9) / unit) * unit,
            data: payload,
            originalLength: payload.length + more,
          })),
        );
      }),
    );
  });
});

/** A small file of each format and byte order with all kinds of records. */
const samples = (["little", "big"] as const).flatMap((byteOrder) => {
  const sink = new MemorySink();
  const writer = new PcapngWriter(sink, { byteOrder, os: "swarmwire", comment: "one" });
  const id = writer.addInterface({ name: "eth0", ipv4: "10.0.0.1/8", mac: "02:42:0a:00:01:02", speedBps: 1 });
  writer.names([{ address: "fd00::1", names: ["six"] }]);
  writer.tlsSecrets("secret");
  writer.packet(id, 5, Uint8Array.of(1, 2, 3), 0, 3, 1);
  writer.packet(id, 6, Uint8Array.of(1, 2, 3, 4, 5), 0, 5, 2, { comment: "two", dropCount: 1 });
  writer.statistics(id, 7, { startNs: 1, received: 2 });
  writer.close();
  const classicSink = new MemorySink();
  const classic = new PcapWriter(classicSink, { byteOrder });
  classic.packet(5, Uint8Array.of(1, 2, 3), 0, 3);
  classic.packet(6, Uint8Array.of(4), 0, 1);
  classic.close();
  return [
    { format: `pcapng, ${byteOrder}`, file: sink.bytes() },
    { format: `pcap, ${byteOrder}`, file: classicSink.bytes() },
  ];
});

describe.each(samples)("a damaged file ($format)", ({ file }) => {
  const whole = readAll(file);

  it("cut at every byte gives its whole records, and says that it is cut", () => {
    expect(whole.error).toBeUndefined();
    const ends = new Set<number>();
    for (let length = 0; length < file.length; length++) {
      const { records, error } = readAll(file.slice(0, length));
      expect(records.map(plain)).toEqual(whole.records.slice(0, records.length).map(plain));
      if (error === undefined) ends.add(length);
      else expect([length, error.truncated, error.offset <= length]).toEqual([length, true, true]);
    }
    // It reads without an error only where a record ends.
    expect(ends.size).toBeGreaterThanOrEqual(2);
    expect(ends.size).toBeLessThanOrEqual(whole.records.length);
  });

  it("with any byte changed throws nothing but the documented error", () => {
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const copy = file.slice();
        copy[at] = copy[at]! ^ change;
        readAll(copy); // rethrows any other error
      }),
      { numRuns: 2000 },
    );
  });
});

describe("what is no capture file", () => {
  it("any bytes throw nothing but the documented error", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void readAll(bytes)));
  });

  it("is told with its place", () => {
    expect(() => [...readCapture(new TextEncoder().encode("#!/bin/sh"))]).toThrow(
      new CaptureFormatError("this is not a pcapng file: no section header", 0, false),
    );
    const file = samples[0]!.file.slice();
    file[file.length - 1] = 9;
    const { records, error } = readAll(file);
    expect(error?.truncated).toBe(false);
    expect(error?.offset).toBeGreaterThan(0);
    expect(error?.message).toMatch(/^a block's two lengths differ: \d+ and \d+ \(at byte \d+\)$/);
    expect(records.filter((record) => record.kind === "packet").length).toBe(2);
  });
});

describe("blocks of others", () => {
  /** A pcapng file from 32-bit words, little-endian. */
  function words(...list: number[]): Uint8Array {
    const bytes = new Uint8Array(list.length * 4);
    const view = new DataView(bytes.buffer);
    for (const [i, word] of list.entries()) view.setUint32(4 * i, word, true);
    return bytes;
  }
  const section = [0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28];

  it("unknown ones are skipped, simple packets are read, microseconds are the default", () => {
    const file = words(
      ...section,
      ...[0xbad, 16, 1234, 16],
      ...[1, 20, 1, 2, 20],
      ...[3, 20, 5, 0x0201, 20], // simple packet of 5 bytes, cut at 2
      ...[6, 36, 0, 0, 3_000_007, 1, 1, 0x55, 36],
    );
    expect(
      readPackets(file).map(({ seconds, nanos, data, originalLength }) => [seconds, nanos, [...data], originalLength]),
    ).toEqual([
      [0, 0, [1, 2], 5],
      [3, 7000, [0x55], 1],
    ]);
  });

  it("a second section begins its interfaces anew, in its own byte order", () => {
    const little = samples[0]!.file;
    const big = samples[2]!.file;
    const both = new Uint8Array([...little, ...big]);
    expect(readPackets(both).map((packet) => [...packet.data])).toEqual(
      [...readPackets(little), ...readPackets(big)].map((packet) => [...packet.data]),
    );
  });

  it("binary time resolution and offset", () => {
    const file = words(
      ...section,
      // if_tsresol = 2^-10, if_tsoffset = 100 s
      ...[1, 44, 1, 0, 0x00010009, 0x8a, 0x0008000e, 100, 0, 0, 44],
      ...[6, 32, 0, 0, 1536, 0, 0, 32],
    );
    expect(readPackets(file).map(({ seconds, nanos }) => [seconds, nanos])).toEqual([[101, 500_000_000]]);
  });

  it("a packet of an interface that was not described is an error", () => {
    expect(readAll(words(...section, ...[6, 32, 0, 0, 0, 0, 0, 32])).error?.message).toMatch(/interface 0 was not/);
  });
});
