/**
 * Writes pcapng (draft-ietf-opsawg-pcapng) through one buffer. A packet costs no allocation and no
 * call of the sink; everything else (interfaces, names, statistics) is rare and may allocate.
 */
import { formatIp, parseIpv4, parseIpv6, parseMac } from "./addresses.ts";
import { checkRange, whole } from "./checks.ts";
import { FileClock } from "./clock.ts";
import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  type Direction,
  EPB_OPTION,
  IF_OPTION,
  ISB_OPTION,
  LINKTYPE,
  NAME_RECORD,
  OPT_END,
  SECRETS_TLS_KEY_LOG,
  SHB_OPTION,
} from "./constants.ts";
import { MAX_OPTION_BYTES, OptionList, padded } from "./options.ts";
import { DEFAULT_BUFFER_BYTES, RecordBuffer, type Sink } from "./record-buffer.ts";

const encoder = new TextEncoder();

/** One string, or several that become one opt_comment each. */
export type Comments = string | readonly string[];

/** What the whole file says about itself. */
export interface PcapngOptions {
  /** shb_hardware. Default: none. */
  hardware?: string;
  /** shb_os. Default: none. */
  os?: string;
  /** shb_userappl. Default: none. */
  userApplication?: string;
  /** Comments on the file. Default: none. */
  comment?: Comments;
  /** The second since 1970 at which virtual time is 0. Default: 0. */
  epochSeconds?: number;
  /** Size of the buffer before the sink, in bytes. Default: 1 MiB. */
  bufferBytes?: number;
  /** Byte order of the file. Default: "little". */
  byteOrder?: "little" | "big";
}

/** A capture point. */
export interface InterfaceOptions {
  /** if_name, for example `host1/host/eth0`. Default: none. */
  name?: string;
  /** if_description. Default: none. */
  description?: string;
  /** if_MACaddr, for example `02:42:0a:00:01:02`. Default: none. */
  mac?: string;
  /** if_IPv4addr with prefix length, for example `10.0.1.2/24`; one option each. Default: none. */
  ipv4?: string | readonly string[];
  /** if_speed in bits per second. Default: none. */
  speedBps?: number;
  /** Link type. Default: 1, Ethernet. */
  linkType?: number;
  /** Most bytes kept of a packet; 0 means all. Default: 0. */
  snapLength?: number;
  /** Comments on the interface. Default: none. */
  comment?: Comments;
}

/** What few packets have; an object of this kind costs allocations, so pass one only where needed. */
export interface PacketExtra {
  /** Comments on the packet. */
  comment?: Comments;
  /** epb_dropcount: packets lost since the previous one of the interface. */
  dropCount?: number;
  /** Length on the wire, if `data` holds only its beginning. Default: the length given. */
  originalLength?: number;
}

/** An address and what Wireshark shall call it. */
export interface NameEntry {
  /** IPv4 or IPv6, as text. */
  address: string;
  /** Names, the first of which Wireshark shows. */
  names: readonly string[];
}

/** Counters of an interface. Each is left out if absent. Times are virtual, in ns. */
export interface StatisticsOptions {
  /** isb_starttime. */
  startNs?: number;
  /** isb_endtime. */
  endNs?: number;
  /** isb_ifrecv. */
  received?: number;
  /** isb_ifdrop. */
  dropped?: number;
  /** isb_filteraccept. */
  filterAccepted?: number;
  /** isb_osdrop. */
  osDropped?: number;
  /** isb_usrdeliv. */
  delivered?: number;
  /** Comments on the statistics. */
  comment?: Comments;
}

/** A name resolution block is closed at about this size, and another begun. */
const NAMES_BLOCK_BYTES = 32768;

/**
 * A pcapng file in the making.
 *
 * @example
 * const writer = new PcapngWriter(sink, { epochSeconds: 1700000000 });
 * const eth0 = writer.addInterface({ name: "host1/host/eth0" });
 * writer.packet(eth0, 1_000_000, frame, 0, frame.length, DIRECTION.outbound);
 * writer.close();
 */
export class PcapngWriter {
  #out: RecordBuffer;
  #clock: FileClock;
  #littleEndian: boolean;
  #snapLengths: number[] = [];
  #packets = 0;

  /** Begins the file: the section header is the first block handed to `sink`. */
  constructor(sink: Sink, options: PcapngOptions = {}) {
    this.#clock = new FileClock(options.epochSeconds ?? 0);
    this.#littleEndian = options.byteOrder !== "big";
    this.#out = new RecordBuffer(sink, options.bufferBytes ?? DEFAULT_BUFFER_BYTES);
    const list = new OptionList(this.#littleEndian);
    list.comments(options.comment);
    list.text(SHB_OPTION.hardware, options.hardware);
    list.text(SHB_OPTION.os, options.os);
    list.text(SHB_OPTION.userApplication, options.userApplication);
    this.#block(BLOCK.section, 16, list, (view, at, little) => {
      view.setUint32(at, BYTE_ORDER_MAGIC, little);
      view.setUint16(at + 4, 1, little);
      view.setUint16(at + 6, 0, little);
      view.setUint32(at + 8, 0xffffffff, little); // section length -1: not told, as the file grows
      view.setUint32(at + 12, 0xffffffff, little);
    });
  }

  /** Number of packets written. */
  get packets(): number {
    return this.#packets;
  }

  /** Bytes of the file so far, including those still in the buffer. */
  get bytesWritten(): number {
    return this.#out.written;
  }

  /** Interface Description Block (§4.2). May be called at any time. Returns the interface's id. */
  addInterface(options: InterfaceOptions = {}): number {
    const snapLength = options.snapLength ?? 0;
    const linkType = options.linkType ?? LINKTYPE.ethernet;
    whole("snapLength", snapLength, 0xffffffff);
    whole("linkType", linkType, 0xffff);
    const list = new OptionList(this.#littleEndian);
    list.comments(options.comment);
    list.text(IF_OPTION.name, options.name);
    list.text(IF_OPTION.description, options.description);
    const ipv4 = options.ipv4 ?? [];
    for (const one of typeof ipv4 === "string" ? [ipv4] : ipv4) list.raw(IF_OPTION.ipv4, ipv4WithMask(one));
    if (options.mac !== undefined) {
      const mac = parseMac(options.mac);
      if (mac === undefined) throw new RangeError(`mac must be like 02:42:0a:00:00:02, got ${options.mac}`);
      list.raw(IF_OPTION.mac, mac);
    }
    list.u64(IF_OPTION.speed, options.speedBps, "speedBps");
    list.raw(IF_OPTION.timeResolution, Uint8Array.of(9));
    this.#block(BLOCK.interface, 8, list, (view, at, little) => {
      view.setUint16(at, linkType, little);
      view.setUint16(at + 2, 0, little);
      view.setUint32(at + 4, snapLength, little);
    });
    return this.#snapLengths.push(snapLength) - 1;
  }

  /**
   * Enhanced Packet Block (§4.3). The packet is `length` bytes of `data` from `offset`, copied once,
   * into the buffer. `timeNs` is virtual time.
   */
  packet(
    interfaceId: number,
    timeNs: number,
    data: Uint8Array,
    offset: number,
    length: number,
    direction: Direction = 0,
    extra?: PacketExtra,
  ): void {
    const snapLength = this.#snapLengths[interfaceId];
    if (snapLength === undefined) throw new RangeError(`there is no interface ${interfaceId}`);
    checkRange(data, offset, length);
    this.#clock.advance(timeNs);
    const little = this.#littleEndian;
    const captured = snapLength > 0 && length > snapLength ? snapLength : length;
    let original = length;
    let list: OptionList | undefined;
    if (extra !== undefined) {
      original = extra.originalLength ?? length;
      whole("originalLength", original, 0xffffffff);
      if (original < length) throw new RangeError(`originalLength ${original} is less than the length ${length}`);
      list = new OptionList(little);
      list.comments(extra.comment);
      list.u64(EPB_OPTION.dropCount, extra.dropCount, "dropCount");
      if (direction !== 0) list.u32(EPB_OPTION.flags, direction);
    }
    const optionBytes = list !== undefined ? list.size : direction !== 0 ? 12 : 0;
    const dataBytes = padded(captured);
    const size = 32 + dataBytes + optionBytes;

    let at = this.#out.reserve(size);
    const view = this.#out.view;
    view.setInt32(at, BLOCK.packet, little);
    view.setInt32(at + 4, size, little);
    view.setInt32(at + 8, interfaceId, little);
    view.setUint32(at + 12, this.#clock.high, little);
    view.setUint32(at + 16, this.#clock.low, little);
    view.setInt32(at + 20, captured, little);
    view.setUint32(at + 24, original, little);
    at += 28;
    if (dataBytes > captured) view.setInt32(at + dataBytes - 4, 0, true);
    this.#out.copy(data, offset, captured, at);
    at += dataBytes;
    if (list !== undefined) {
      at = list.emit(this.#out.bytes, view, at);
    } else if (optionBytes > 0) {
      view.setInt16(at, EPB_OPTION.flags, little);
      view.setInt16(at + 2, 4, little);
      view.setInt32(at + 4, direction, little);
      view.setInt32(at + 8, OPT_END, little);
      at += 12;
    }
    view.setInt32(at, size, little);
    this.#out.commit(size);
    this.#packets++;
  }

  /**
   * Name Resolution Blocks (§4.5). Many names are spread over several blocks. `comment` goes to the first.
   * Wireshark uses them if its preference "Resolve network (IP) addresses" is on.
   */
  names(entries: readonly NameEntry[], comment?: Comments): void {
    const records: NameRecord[] = [];
    for (const entry of entries) addNameRecords(records, entry);
    if (records.length === 0 && comment === undefined) return;
    let first = 0;
    do {
      let size = 4;
      let next = first;
      while (next < records.length && (next === first || size + records[next]!.size <= NAMES_BLOCK_BYTES)) {
        size += records[next++]!.size;
      }
      const list = new OptionList(this.#littleEndian);
      if (first === 0) list.comments(comment);
      this.#namesBlock(records.slice(first, next), size, list);
      first = next;
    } while (first < records.length);
  }

  #namesBlock(records: readonly NameRecord[], size: number, list: OptionList): void {
    this.#block(BLOCK.names, size, list, (view, at, little) => {
      const bytes = this.#out.bytes;
      for (const record of records) {
        view.setUint16(at, record.type, little);
        view.setUint16(at + 2, record.value.length, little);
        bytes.set(record.value, at + 4);
        bytes.fill(0, at + 4 + record.value.length, at + record.size);
        at += record.size;
      }
      view.setUint32(at, NAME_RECORD.end, little); // nrb_record_end: type 0, length 0
    });
  }

  /** Interface Statistics Block (§4.6): counters as they stand at `timeNs`. */
  statistics(interfaceId: number, timeNs: number, options: StatisticsOptions = {}): void {
    if (this.#snapLengths[interfaceId] === undefined) throw new RangeError(`there is no interface ${interfaceId}`);
    const clock = this.#clock;
    const list = new OptionList(this.#littleEndian);
    list.comments(options.comment);
    for (const [code, time] of [
      [ISB_OPTION.start, options.startNs],
      [ISB_OPTION.end, options.endNs],
    ] as const) {
      if (time === undefined) continue;
      clock.advance(time);
      list.time(code, clock.high, clock.low);
    }
    list.u64(ISB_OPTION.received, options.received, "received");
    list.u64(ISB_OPTION.dropped, options.dropped, "dropped");
    list.u64(ISB_OPTION.filterAccepted, options.filterAccepted, "filterAccepted");
    list.u64(ISB_OPTION.osDropped, options.osDropped, "osDropped");
    list.u64(ISB_OPTION.delivered, options.delivered, "delivered");
    clock.advance(timeNs);
    this.#block(BLOCK.statistics, 12, list, (view, at, little) => {
      view.setUint32(at, interfaceId, little);
      view.setUint32(at + 4, clock.high, little);
      view.setUint32(at + 8, clock.low, little);
    });
  }

  /**
   * Decryption Secrets Block (§4.7) with TLS keys, as lines of {@link tlsKeyLogLine}. It must
   * come before the packets that it decrypts.
   */
  tlsSecrets(keyLog: string, comment?: Comments): void {
    const secrets = encoder.encode(keyLog);
    const list = new OptionList(this.#littleEndian);
    list.comments(comment);
    const end = padded(secrets.length);
    this.#block(BLOCK.secrets, 8 + end, list, (view, at, little) => {
      view.setUint32(at, SECRETS_TLS_KEY_LOG, little);
      view.setUint32(at + 4, secrets.length, little);
      this.#out.bytes.set(secrets, at + 8);
      this.#out.bytes.fill(0, at + 8 + secrets.length, at + 8 + end);
    });
  }

  /** Hands everything so far to the sink. The file is readable as it then is. */
  flush(): void {
    this.#out.flush();
  }

  /** Flushes and ends the file. May be called again, and after an error, without throwing. */
  close(): void {
    this.#out.close();
  }

  /** Any block but a packet's: `body` bytes that `fill` writes, then options. */
  #block(
    type: number,
    body: number,
    list: OptionList,
    fill: (view: DataView, at: number, littleEndian: boolean) => void,
  ): void {
    const size = 12 + body + list.size;
    const at = this.#out.reserve(size);
    const view = this.#out.view;
    view.setUint32(at, type, this.#littleEndian);
    view.setUint32(at + 4, size, this.#littleEndian);
    fill(view, at + 8, this.#littleEndian);
    const end = list.emit(this.#out.bytes, view, at + 8 + body);
    view.setUint32(end, size, this.#littleEndian);
    this.#out.commit(size);
  }
}

interface NameRecord {
  type: number;
  value: Uint8Array;
  /** Bytes in the file, with header and padding. */
  size: number;
}

/** One record holds an address and its names, each ended by a zero byte; more names, more records. */
function addNameRecords(records: NameRecord[], entry: NameEntry): void {
  const address = parseIpv4(entry.address) ?? parseIpv6(entry.address);
  if (address === undefined) throw new RangeError(`not an IPv4 or IPv6 address: ${entry.address}`);
  if (entry.names.length === 0) throw new RangeError(`${formatIp(address)} has no name`);
  const type = address.length === 4 ? NAME_RECORD.ipv4 : NAME_RECORD.ipv6;
  let value = [...address];
  const finish = () => records.push({ type, value: Uint8Array.from(value), size: 4 + padded(value.length) });
  for (const name of entry.names) {
    const text = encoder.encode(name);
    if (text.length === 0 || text.includes(0) || text.length > 4096) {
      throw new RangeError(`a name needs 1 to 4096 bytes and no zero byte: ${JSON.stringify(name)}`);
    }
    if (value.length + text.length + 1 > MAX_OPTION_BYTES) {
      finish();
      value = [...address];
    }
    for (const byte of text) value.push(byte);
    value.push(0);
  }
  finish();
}

/** if_IPv4addr: the address, then its mask. */
function ipv4WithMask(text: string): Uint8Array {
  const [address, prefix] = text.split("/");
  const bytes = parseIpv4(address!);
  if (bytes === undefined || prefix === undefined || !/^([0-9]|[12][0-9]|3[0-2])$/.test(prefix)) {
    throw new RangeError(`ipv4 must be like 10.0.1.2/24, got ${text}`);
  }
  const out = new Uint8Array(8);
  out.set(bytes);
  const bits = Number(prefix);
  new DataView(out.buffer).setUint32(4, bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0);
  return out;
}
