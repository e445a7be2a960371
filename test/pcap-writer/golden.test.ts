import { describe, expect, it } from "vitest";
import { MemorySink, type PacketRecord, PcapWriter, readCapture } from "../../src/pcap-writer/index.ts";
import { goldenAvailable, goldenBytes, goldenCaptures, goldenTitle, xzAvailable } from "../support/golden.ts";

/** The same file, written anew from what was read. */
function rewrite(file: Uint8Array): { bytes: Uint8Array; packets: number } {
  const sink = new MemorySink();
  let header: { byteOrder: "little" | "big"; linkType: number; snapLength: number; us: boolean } | undefined;
  let byteOrder: "little" | "big" = "little";
  const packets: PacketRecord[] = [];
  for (const record of readCapture(file)) {
    if (record.kind === "section") byteOrder = record.byteOrder;
    else if (record.kind === "interface") header = { ...record, byteOrder, us: record.unitsPerSecond === 1e6 };
    else if (record.kind === "packet") packets.push(record);
  }
  const { linkType, snapLength, us } = header!;
  const epochSeconds = packets.reduce((least, packet) => Math.min(least, packet.seconds), packets[0]?.seconds ?? 0);
  const writer = new PcapWriter(sink, { byteOrder, linkType, snapLength, epochSeconds, resolution: us ? "us" : "ns" });
  for (const { seconds, nanos, data, originalLength } of packets) {
    writer.packet((seconds - epochSeconds) * 1e9 + nanos, data, 0, data.length, originalLength);
  }
  writer.close();
  return { bytes: sink.bytes(), packets: packets.length };
}

/** Does not use toEqual, which is slow for megabytes. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

describe.skipIf(!goldenAvailable)(goldenTitle("golden captures"), () => {
  const plain = goldenCaptures().filter((path) => path.endsWith(".pcap"));
  const packed = goldenCaptures().filter((path) => path.endsWith(".xz"));

  it("there are some", () => expect(plain.length).toBeGreaterThan(40));

  it.each(plain)("%s is rewritten to the byte", (path) => {
    const file = goldenBytes(path);
    expect(same(rewrite(file).bytes, file)).toBe(true);
  });

  it.skipIf(!xzAvailable)("all packed captures are rewritten to the byte", () => {
    let packets = 0;
    for (const path of packed) {
      const file = goldenBytes(path);
      const again = rewrite(file);
      expect([path, same(again.bytes, file)]).toEqual([path, true]);
      packets += again.packets;
    }
    expect(packets).toBeGreaterThan(50_000);
  });
});
