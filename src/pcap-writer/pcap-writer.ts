/**
 * Writes classic pcap (draft-ietf-opsawg-pcap): one link type, no interfaces, no names. For tools
 * that do not read pcapng.
 */
import { checkRange, whole } from "./checks.ts";
import { FileClock } from "./clock.ts";
import { LINKTYPE, MAX_PACKET_BYTES, PCAP_MAGIC_NS, PCAP_MAGIC_US } from "./constants.ts";
import { DEFAULT_BUFFER_BYTES, RecordBuffer, type Sink } from "./record-buffer.ts";

/** What the file's header says. */
export interface PcapOptions {
  /** Resolution of the time stamps; with "us", nanoseconds are cut off. Default: "ns". */
  resolution?: "ns" | "us";
  /** Link type. Default: 1, Ethernet. */
  linkType?: number;
  /** Most bytes kept of a packet. Default: 262144. */
  snapLength?: number;
  /** The second since 1970 at which virtual time is 0. Default: 0. */
  epochSeconds?: number;
  /** Size of the buffer before the sink, in bytes. Default: 1 MiB. */
  bufferBytes?: number;
  /** Byte order of the file. Default: "little". */
  byteOrder?: "little" | "big";
}

/** A classic pcap file in the making. */
export class PcapWriter {
  #out: RecordBuffer;
  #clock: FileClock;
  #littleEndian: boolean;
  #snapLength: number;
  #divisor: number;
  #packets = 0;

  /** Begins the file: its header (pcap §4 "File Header") is the first thing handed to `sink`. */
  constructor(sink: Sink, options: PcapOptions = {}) {
    this.#clock = new FileClock(options.epochSeconds ?? 0);
    this.#littleEndian = options.byteOrder !== "big";
    this.#snapLength = options.snapLength ?? MAX_PACKET_BYTES;
    const linkType = options.linkType ?? LINKTYPE.ethernet;
    const ns = options.resolution !== "us";
    this.#divisor = ns ? 1 : 1000;
    whole("snapLength", this.#snapLength, 0xffffffff);
    whole("linkType", linkType, 0xffff);
    this.#out = new RecordBuffer(sink, options.bufferBytes ?? DEFAULT_BUFFER_BYTES);
    const at = this.#out.reserve(24);
    const view = this.#out.view;
    const little = this.#littleEndian;
    view.setUint32(at, ns ? PCAP_MAGIC_NS : PCAP_MAGIC_US, little);
    view.setUint16(at + 4, 2, little);
    view.setUint16(at + 6, 4, little);
    view.setUint32(at + 8, 0, little);
    view.setUint32(at + 12, 0, little);
    view.setUint32(at + 16, this.#snapLength, little);
    view.setUint32(at + 20, linkType, little);
    this.#out.commit(24);
  }

  /** Number of packets written. */
  get packets(): number {
    return this.#packets;
  }

  /** Bytes of the file so far, including those still in the buffer. */
  get bytesWritten(): number {
    return this.#out.written;
  }

  /** Packet record (pcap §5 "Packet Record"): `length` bytes of `data` from `offset`, at virtual time `timeNs`. */
  packet(timeNs: number, data: Uint8Array, offset: number, length: number, originalLength: number = length): void {
    checkRange(data, offset, length);
    whole("originalLength", originalLength, 0xffffffff);
    if (originalLength < length) {
      throw new RangeError(`originalLength ${originalLength} is less than the length ${length}`);
    }
    this.#clock.advance(timeNs);
    if (this.#clock.seconds > 0xffffffff) throw new RangeError(`${timeNs} ns is past the year 2106, where pcap ends`);
    const captured = this.#snapLength > 0 && length > this.#snapLength ? this.#snapLength : length;
    const size = 16 + captured;
    const at = this.#out.reserve(size);
    const view = this.#out.view;
    const little = this.#littleEndian;
    view.setUint32(at, this.#clock.seconds, little);
    view.setInt32(at + 4, Math.floor(this.#clock.nanos / this.#divisor), little);
    view.setInt32(at + 8, captured, little);
    view.setUint32(at + 12, originalLength, little);
    this.#out.copy(data, offset, captured, at + 16);
    this.#out.commit(size);
    this.#packets++;
  }

  /** Hands everything so far to the sink. The file is readable as it then is. */
  flush(): void {
    this.#out.flush();
  }

  /** Flushes and ends the file. May be called again, and after an error, without throwing. */
  close(): void {
    this.#out.close();
  }
}
