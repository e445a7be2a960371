/** What the writers promise about their sink, about errors and about arguments. */
import { describe, expect, it } from "vitest";
import {
  CaptureWriteError,
  MemorySink,
  PcapngWriter,
  PcapWriter,
  readAll,
  readPackets,
  type Sink,
} from "../../src/pcap-writer/index.ts";

const frame = new Uint8Array(64).fill(0x5a);

/** A disk of a given size, which takes a chunk whole or not at all. */
class FullDisk implements Sink {
  readonly taken = new MemorySink();
  readonly #room: number;
  calls = 0;

  constructor(room: number) {
    this.#room = room;
  }

  write(chunk: Uint8Array): void {
    this.calls++;
    if (this.taken.length + chunk.length > this.#room) throw new Error("no space left on device");
    this.taken.write(chunk);
  }
}

describe.each(["pcapng", "pcap"])("%s writer", (format) => {
  /** A writer of either format with one interface. */
  function make(sink: Sink, bufferBytes?: number) {
    const size = bufferBytes === undefined ? {} : { bufferBytes };
    if (format === "pcap") {
      const writer = new PcapWriter(sink, size);
      return { writer, add: (ns: number) => writer.packet(ns, frame, 0, 64) };
    }
    const writer = new PcapngWriter(sink, size);
    writer.addInterface({ name: "eth0" });
    return { writer, add: (ns: number) => writer.packet(0, ns, frame, 0, 64) };
  }

  it("calls its sink once a buffer, not once a packet", () => {
    const sink = new MemorySink();
    const { writer, add } = make(sink, 65536);
    for (let i = 0; i < 10_000; i++) add(i);
    expect(writer.packets).toBe(10_000);
    writer.close();
    const record = format === "pcap" ? 80 : 96;
    expect(sink.writes).toBe(Math.ceil(sink.length / (Math.floor(65536 / record) * record)));
    expect(readPackets(sink.bytes()).length).toBe(10_000);
  });

  it("leaves a readable file after a flush in the middle", () => {
    const sink = new MemorySink();
    const { writer, add } = make(sink);
    add(1);
    expect(sink.length).toBe(0);
    writer.flush();
    writer.flush();
    expect(sink.writes).toBe(1);
    add(2);
    const { records, error } = readAll(sink.bytes());
    expect(error).toBeUndefined();
    expect(records.filter((record) => record.kind === "packet").length).toBe(1);
    expect(writer.bytesWritten).toBeGreaterThan(sink.length);
  });

  it("passes on one error of its sink, and has handed over whole blocks only", () => {
    for (let room = 0; room < 2000; room += 37) {
      const disk = new FullDisk(room);
      const { writer, add } = make(disk, 256);
      let first: unknown;
      try {
        for (let i = 0; i < 50; i++) add(i);
      } catch (error) {
        first = error;
      }
      expect(first).toBeInstanceOf(CaptureWriteError);
      expect((first as Error).message).toBe("cannot write the capture file: no space left on device");
      expect((first as Error).cause).toBeInstanceOf(Error);
      const calls = disk.calls;
      expect(() => add(99)).toThrow(first as Error);
      expect(() => writer.flush()).toThrow(first as Error);
      writer.close();
      writer.close();
      expect(disk.calls).toBe(calls); // what failed is not tried again
      if (disk.taken.length > 0) expect(readAll(disk.taken.bytes()).error).toBeUndefined();
    }
  });

  it("close passes on the error of its own flush, once", () => {
    const { writer } = make(new FullDisk(0));
    expect(() => writer.close()).toThrow(CaptureWriteError);
    writer.close();
  });

  it("refuses packets after close", () => {
    const { writer, add } = make(new MemorySink());
    writer.close();
    writer.close();
    expect(() => add(1)).toThrow(new CaptureWriteError("the capture file is closed"));
  });

  it("takes packets larger than its buffer", () => {
    const sink = new MemorySink();
    const big = new Uint8Array(9000).fill(3);
    if (format === "pcap") {
      const writer = new PcapWriter(sink, { bufferBytes: 64 });
      writer.packet(0, big, 0, 9000);
      writer.close();
    } else {
      const writer = new PcapngWriter(sink, { bufferBytes: 64 });
      writer.addInterface();
      writer.packet(0, 0, big, 0, 9000);
      writer.close();
    }
    expect(readPackets(sink.bytes())[0]?.data.slice()).toEqual(big);
  });
});

describe("arguments", () => {
  const sink = new MemorySink();
  const writer = new PcapngWriter(sink);
  writer.addInterface();
  writer.flush();
  const before = sink.length;

  it.each<[string, RegExp, () => void]>([
    ["interface", /there is no interface 1/, () => writer.packet(1, 0, frame, 0, 1)],
    ["interface of statistics", /there is no interface 1/, () => writer.statistics(1, 0)],
    ["negative time", /timeNs must be/, () => writer.packet(0, -1, frame, 0, 1)],
    ["broken time", /timeNs must be .* got 0.5/, () => writer.packet(0, 0.5, frame, 0, 1)],
    ["NaN time", /timeNs must be .* got NaN/, () => writer.packet(0, Number.NaN, frame, 0, 1)],
    ["length", /offset 60 and length 5 are outside the 64 bytes/, () => writer.packet(0, 0, frame, 60, 5)],
    ["negative offset", /outside/, () => writer.packet(0, 0, frame, -1, 5)],
    ["huge packet", /readers stop at 262144/, () => writer.packet(0, 0, new Uint8Array(262145), 0, 262145)],
    ["original length", /less than/, () => writer.packet(0, 0, frame, 0, 5, 0, { originalLength: 4 })],
    ["drop count", /dropCount/, () => writer.packet(0, 0, frame, 0, 5, 0, { dropCount: -1 })],
    ["comment", /holds 65535/, () => writer.packet(0, 0, frame, 0, 5, 0, { comment: "x".repeat(65536) })],
    ["mac", /mac must be/, () => writer.addInterface({ mac: "02:42" })],
    ["ipv4", /ipv4 must be/, () => writer.addInterface({ ipv4: "10.0.0.1" })],
    ["prefix", /ipv4 must be/, () => writer.addInterface({ ipv4: "10.0.0.1/33" })],
    ["snap length", /snapLength/, () => writer.addInterface({ snapLength: -1 })],
    ["link type", /linkType/, () => writer.addInterface({ linkType: 65536 })],
    ["address", /not an IPv4 or IPv6 address: alpine1/, () => writer.names([{ address: "alpine1", names: ["x"] }])],
    ["no names", /has no name/, () => writer.names([{ address: "10.0.0.1", names: [] }])],
    ["name", /1 to 4096 bytes/, () => writer.names([{ address: "10.0.0.1", names: ["a\0b"] }])],
    ["epoch", /epochSeconds/, () => new PcapngWriter(sink, { epochSeconds: 1.5 })],
    ["buffer", /bufferBytes/, () => new PcapngWriter(sink, { bufferBytes: 10 })],
    ["pcap's last year", /2106/, () => new PcapWriter(sink, { epochSeconds: 2 ** 32 }).packet(0, frame, 0, 1)],
  ])("%s", (_, message, action) => {
    expect(action).toThrow(RangeError);
    expect(action).toThrow(message);
  });

  it("a refused call leaves nothing in the file", () => {
    writer.close();
    expect(sink.length).toBe(before);
  });
});

describe("memory that changes", () => {
  it("follows a source whose buffer is replaced, as Wasm memory that grows", () => {
    const sink = new MemorySink();
    const writer = new PcapngWriter(sink);
    writer.addInterface();
    const old = new Uint8Array([1, 2, 3, 4, 5]);
    writer.packet(0, 0, old, 0, 5);
    const grown = new Uint8Array(structuredClone(old.buffer, { transfer: [old.buffer] }));
    grown[0] = 9;
    writer.packet(0, 1, grown, 0, 5);
    writer.packet(0, 2, grown.subarray(2), 1, 2);
    writer.close();
    expect(readPackets(sink.bytes()).map((packet) => [...packet.data])).toEqual([
      [1, 2, 3, 4, 5],
      [9, 2, 3, 4, 5],
      [4, 5],
    ]);
  });
});
