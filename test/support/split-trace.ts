/** A capture file of many interfaces as one capture file an interface. */
import { MemorySink, PcapngWriter, readAll } from "../../src/pcap-writer/index.ts";

/** Files by interface name, in the order of the interfaces; names of addresses are in each. @throws what the reader found wrong */
export function splitTrace(trace: Uint8Array): Map<string, Uint8Array> {
  const { records, error } = readAll(trace);
  if (error !== undefined) throw error;
  const parts = new Map<number, { name: string; sink: MemorySink; writer: PcapngWriter; id: number }>();
  const names = records.flatMap((record) => (record.kind === "names" ? record.entries : []));
  const epochSeconds = records.find((record) => record.kind === "packet")?.seconds ?? 0;
  for (const record of records) {
    if (record.kind === "interface") {
      const sink = new MemorySink();
      const writer = new PcapngWriter(sink, { epochSeconds });
      if (names.length > 0) writer.names(names);
      const name = record.name ?? `interface ${record.id}`;
      parts.set(record.id, { name, sink, writer, id: writer.addInterface({ name }) });
    } else if (record.kind === "packet") {
      const part = parts.get(record.interfaceId);
      if (part === undefined) throw new Error(`a packet of interface ${record.interfaceId}, which there is not`);
      const time = (record.seconds - epochSeconds) * 1e9 + record.nanos;
      const { data, direction, originalLength } = record;
      part.writer.packet(part.id, time, data, 0, data.length, direction, { originalLength });
    }
  }
  const files = new Map<string, Uint8Array>();
  for (const { name, sink, writer } of parts.values()) {
    writer.close();
    let unique = name;
    for (let n = 2; files.has(unique); n++) unique = `${name} (${n})`;
    files.set(unique, sink.bytes());
  }
  return files;
}
