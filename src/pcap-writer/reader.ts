/** Reads classic pcap (draft-ietf-opsawg-pcap), and any capture file by its first bytes. */
import { MAX_PACKET_BYTES, PCAP_MAGIC_NS, PCAP_MAGIC_US } from "./constants.ts";
import { CaptureFormatError } from "./errors.ts";
import { readPcapng } from "./pcapng-reader.ts";
import type { CaptureRecord, PacketRecord } from "./records.ts";

/** Byte order and time unit of a classic pcap file, from its magic number; undefined if it is none. */
function pcapMagic(file: Uint8Array): { littleEndian: boolean; unitsPerSecond: number } | undefined {
  if (file.length < 4) return undefined;
  const view = new DataView(file.buffer, file.byteOffset, 4);
  for (const littleEndian of [true, false]) {
    const magic = view.getUint32(0, littleEndian);
    if (magic === PCAP_MAGIC_US) return { littleEndian, unitsPerSecond: 1e6 };
    if (magic === PCAP_MAGIC_NS) return { littleEndian, unitsPerSecond: 1e9 };
  }
  return undefined;
}

/**
 * Reads a classic pcap file: a section, its one interface, then packets. It yields every whole
 * record before the place of an error.
 * @throws CaptureFormatError where the file ends too early or makes no sense
 */
export function* readPcap(file: Uint8Array): Generator<CaptureRecord, void, undefined> {
  const magic = pcapMagic(file);
  if (file.length >= 4 && magic === undefined) throw new CaptureFormatError("this is not a pcap file", 0, false);
  if (file.length < 24 || magic === undefined) {
    throw new CaptureFormatError("the file ends inside its header", 0, true);
  }
  const { littleEndian, unitsPerSecond } = magic;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const major = view.getUint16(4, littleEndian);
  if (major !== 2) throw new CaptureFormatError(`pcap version ${major} is not known`, 0, false);
  const snapLength = view.getUint32(16, littleEndian);
  const linkType = view.getUint32(20, littleEndian) & 0xffff; // above: length of the frame check sequence
  yield { kind: "section", format: "pcap", byteOrder: littleEndian ? "little" : "big", comments: [] };
  yield { kind: "interface", id: 0, linkType, snapLength, ipv4: [], unitsPerSecond, comments: [] };

  const limit = Math.max(snapLength, MAX_PACKET_BYTES);
  for (let at = 24; at < file.length; ) {
    if (file.length - at < 16) throw new CaptureFormatError("the file ends inside a packet", at, true);
    const fraction = view.getUint32(at + 4, littleEndian);
    const captured = view.getUint32(at + 8, littleEndian);
    if (captured > limit) throw new CaptureFormatError(`a packet cannot have ${captured} bytes`, at, false);
    if (fraction >= unitsPerSecond) throw new CaptureFormatError(`a second has no part ${fraction}`, at, false);
    if (file.length - at - 16 < captured) throw new CaptureFormatError("the file ends inside a packet", at, true);
    yield {
      kind: "packet",
      interfaceId: 0,
      seconds: view.getUint32(at, littleEndian),
      nanos: fraction * (1e9 / unitsPerSecond),
      data: file.subarray(at + 16, at + 16 + captured),
      originalLength: view.getUint32(at + 12, littleEndian),
      direction: 0,
      comments: [],
    };
    at += 16 + captured;
  }
}

/**
 * Reads a capture file of either format.
 * @throws CaptureFormatError where the file ends too early or makes no sense
 */
export function readCapture(file: Uint8Array): Generator<CaptureRecord, void, undefined> {
  return pcapMagic(file) !== undefined ? readPcap(file) : readPcapng(file);
}

/** All whole records of a file, and the error that ended the reading, if one did. */
export function readAll(file: Uint8Array): { records: CaptureRecord[]; error?: CaptureFormatError } {
  const records: CaptureRecord[] = [];
  try {
    for (const record of readCapture(file)) records.push(record);
  } catch (error) {
    if (error instanceof CaptureFormatError) return { records, error };
    throw error;
  }
  return { records };
}

/** Only the packets of a file. @throws CaptureFormatError as {@link readCapture} does */
export function readPackets(file: Uint8Array): PacketRecord[] {
  const packets: PacketRecord[] = [];
  for (const record of readCapture(file)) if (record.kind === "packet") packets.push(record);
  return packets;
}
