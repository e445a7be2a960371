import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FileCalls, fileSink, wholeBlocks, wholeLines } from "../../src/cli/file-sink.ts";
import { PcapngWriter, readPackets } from "../../src/pcap-writer/index.ts";

/** A file on a disk with room for so many bytes; it takes them a few at a time. */
function disk(room: number): FileCalls & { bytes: Uint8Array } {
  const file = {
    bytes: new Uint8Array(0),
    write(_fd: number, chunk: Uint8Array, from: number): number {
      const part = chunk.subarray(from, from + Math.min(37, room - file.bytes.length));
      if (part.length === 0)
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      file.bytes = Uint8Array.from([...file.bytes, ...part]);
      return part.length;
    },
    truncate(_fd: number, length: number): void {
      file.bytes = file.bytes.slice(0, length);
    },
  };
  return file;
}

describe("a full disk", () => {
  it("leaves whole blocks of a trace, however much room there is", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6000 }), fc.integer({ min: 64, max: 2000 }), (room, bufferBytes) => {
        const file = disk(room);
        const writer = new PcapngWriter(fileSink(3, wholeBlocks, file), { bufferBytes });
        let failed = false;
        try {
          const id = writer.addInterface({ name: "a" });
          for (let i = 0; i < 40; i++) writer.packet(id, i, new Uint8Array(i * 3).fill(i), 0, i * 3, 0);
          writer.close();
        } catch {
          failed = true;
        }
        // Blocks end where the file does, and a reader takes all of them.
        expect(wholeBlocks(file.bytes, file.bytes.length)).toBe(file.bytes.length);
        if (file.bytes.length === 0) return;
        const packets = [...readPackets(file.bytes)];
        expect(packets.map(({ data }) => data.length)).toEqual(packets.map((_, i) => i * 3));
        expect(packets.length === 40).toBe(!failed);
        // Nothing that fitted was given up.
        if (failed) expect(file.bytes.length).toBeGreaterThan(room - 200);
      }),
    );
  });

  it("leaves whole lines of a table", () => {
    const file = disk(10);
    const sink = fileSink(3, wholeLines, file);
    const text = (line: string) => new TextEncoder().encode(line);
    sink.write(text("abc\n"));
    expect(() => sink.write(text("de\nfghijkl\n"))).toThrow("ENOSPC");
    expect(new TextDecoder().decode(file.bytes)).toBe("abc\nde\n");
  });
});
