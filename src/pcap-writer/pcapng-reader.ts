/**
 * Reads pcapng (draft-ietf-opsawg-pcapng) in either byte order, block by block, without copying.
 * Blocks and options of unknown types are skipped (§3.1 "General Block Structure").
 */
import { formatIp, formatMac } from "./addresses.ts";
import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  type Direction,
  EPB_OPTION,
  IF_OPTION,
  ISB_OPTION,
  NAME_RECORD,
  OPT_COMMENT,
  OPT_END,
  SHB_OPTION,
} from "./constants.ts";
import { CaptureFormatError } from "./errors.ts";
import type {
  CaptureRecord,
  InterfaceRecord,
  NamesRecord,
  PacketRecord,
  SecretsRecord,
  SectionRecord,
  StatisticsRecord,
  Time,
} from "./records.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What is remembered of an interface to read its packets. */
interface Interface {
  unitsPerSecond: bigint;
  offsetSeconds: number;
  snapLength: number;
}

/** The section being read. */
interface Section {
  littleEndian: boolean;
  interfaces: Interface[];
}

/**
 * Reads a pcapng file. It yields every whole record before the place of an error.
 * @throws CaptureFormatError where the file ends too early or makes no sense
 */
export function* readPcapng(file: Uint8Array): Generator<CaptureRecord, void, undefined> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const section: Section = { littleEndian: true, interfaces: [] };
  let at = 0;
  if (file.length === 0) throw new CaptureFormatError("the file is empty", 0, true);
  while (at < file.length) {
    const block = new Block(file, view, at, section, at === 0);
    const record = readBlock(block, section);
    if (record !== undefined) yield record;
    at = block.next;
  }
}

/** One block: its frame is checked when it is made, what is inside when it is asked for. */
class Block {
  readonly start: number;
  readonly type: number;
  readonly next: number;
  /** Where the next value is read, and where the body ends. */
  at: number;
  readonly end: number;
  readonly file: Uint8Array;
  readonly view: DataView;
  readonly littleEndian: boolean;

  constructor(file: Uint8Array, view: DataView, start: number, section: Section, first: boolean) {
    this.start = start;
    this.file = file;
    this.view = view;
    const left = file.length - start;
    // A section header's type reads the same in both orders; its magic then tells the order.
    const isSection = left >= 4 && view.getUint32(start) === BLOCK.section;
    if (first && left >= 4 && !isSection) this.fail("this is not a pcapng file: no section header");
    if (left < 12) this.cut();
    if (isSection) {
      if (view.getUint32(start + 8, true) === BYTE_ORDER_MAGIC) section.littleEndian = true;
      else if (view.getUint32(start + 8) === BYTE_ORDER_MAGIC) section.littleEndian = false;
      else this.fail("the section header has no byte-order magic");
    }
    this.littleEndian = section.littleEndian;
    this.type = view.getUint32(start, this.littleEndian);
    const length = view.getUint32(start + 4, this.littleEndian);
    if (length < 12 || length % 4 !== 0) this.fail(`a block's length cannot be ${length}`);
    if (length > left) this.cut();
    const again = view.getUint32(start + length - 4, this.littleEndian);
    if (again !== length) this.fail(`a block's two lengths differ: ${length} and ${again}`);
    this.next = start + length;
    this.at = start + 8;
    this.end = this.next - 4;
  }

  fail(message: string): never {
    throw new CaptureFormatError(message, this.start, false);
  }

  cut(): never {
    throw new CaptureFormatError("the file ends inside a block", this.start, true);
  }

  /** Takes `length` bytes, and the padding after them. */
  bytes(length: number, what: string): Uint8Array {
    const from = this.at;
    if (length > this.end - from) this.fail(`${what} of ${length} bytes does not fit into its block`);
    this.at = Math.min(this.end, from + length + (-length & 3));
    return this.file.subarray(from, from + length);
  }

  u32(what: string): number {
    return this.#view(this.bytes(4, what)).getUint32(0, this.littleEndian);
  }

  /** Two 16-bit numbers. */
  pair(what: string): [number, number] {
    const view = this.#view(this.bytes(4, what));
    return [view.getUint16(0, this.littleEndian), view.getUint16(2, this.littleEndian)];
  }

  u32At(value: Uint8Array): number {
    if (value.length !== 4) this.fail(`a 32-bit option has ${value.length} bytes`);
    return this.#view(value).getUint32(0, this.littleEndian);
  }

  u64At(value: Uint8Array): number {
    if (value.length !== 8) this.fail(`a 64-bit option has ${value.length} bytes`);
    return Number(this.#view(value).getBigUint64(0, this.littleEndian));
  }

  /** A time: the high half first, whatever the byte order. */
  timeAt(value: Uint8Array, from: Interface): Time {
    if (value.length !== 8) this.fail(`a time has ${value.length} bytes`);
    const view = this.#view(value);
    return toTime(view.getUint32(0, this.littleEndian), view.getUint32(4, this.littleEndian), from);
  }

  /** Each option that is not the end mark (§3.5 "Options"). */
  *options(): Generator<[code: number, value: Uint8Array], void, undefined> {
    while (this.at < this.end) {
      const [code, length] = this.pair("an option");
      if (code === OPT_END) return;
      yield [code, this.bytes(length, "an option")];
    }
  }

  #view(bytes: Uint8Array): DataView {
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

function readBlock(block: Block, section: Section): CaptureRecord | undefined {
  switch (block.type) {
    case BLOCK.section:
      return readSection(block, section);
    case BLOCK.interface:
      return readInterface(block, section);
    case BLOCK.packet:
      return readPacket(block, section);
    case BLOCK.simplePacket:
      return readSimplePacket(block, section);
    case BLOCK.names:
      return readNames(block);
    case BLOCK.statistics:
      return readStatistics(block, section);
    case BLOCK.secrets:
      return readSecrets(block);
    default:
      return undefined;
  }
}

function readSection(block: Block, section: Section): SectionRecord {
  section.interfaces = [];
  block.bytes(4, "the byte-order magic");
  const [major, minor] = block.pair("the version");
  if (major !== 1) block.fail(`pcapng version ${major}.${minor} is not known`);
  block.bytes(8, "the section length");
  const byteOrder = section.littleEndian ? "little" : "big";
  const record: SectionRecord = { kind: "section", format: "pcapng", byteOrder, comments: [] };
  for (const [code, value] of block.options()) {
    if (code === OPT_COMMENT) record.comments.push(decoder.decode(value));
    else if (code === SHB_OPTION.hardware) record.hardware = decoder.decode(value);
    else if (code === SHB_OPTION.os) record.os = decoder.decode(value);
    else if (code === SHB_OPTION.userApplication) record.userApplication = decoder.decode(value);
  }
  return record;
}

function readInterface(block: Block, section: Section): InterfaceRecord {
  const [linkType] = block.pair("the link type");
  const snapLength = block.u32("the snap length");
  // Without if_tsresol, times are in microseconds (§4.2).
  const state: Interface = { unitsPerSecond: 1000000n, offsetSeconds: 0, snapLength };
  const id = section.interfaces.length;
  const record: InterfaceRecord = {
    kind: "interface",
    id,
    linkType,
    snapLength,
    ipv4: [],
    unitsPerSecond: 1e6,
    comments: [],
  };
  for (const [code, value] of block.options()) {
    if (code === OPT_COMMENT) record.comments.push(decoder.decode(value));
    else if (code === IF_OPTION.name) record.name = decoder.decode(value);
    else if (code === IF_OPTION.description) record.description = decoder.decode(value);
    else if (code === IF_OPTION.ipv4) record.ipv4.push(readIpv4Option(block, value));
    else if (code === IF_OPTION.mac) record.mac = formatMac(value);
    else if (code === IF_OPTION.speed) record.speedBps = block.u64At(value);
    else if (code === IF_OPTION.timeOffset) {
      if (value.length !== 8) block.fail(`a 64-bit option has ${value.length} bytes`);
      const view = new DataView(value.buffer, value.byteOffset, 8);
      state.offsetSeconds = Number(view.getBigInt64(0, block.littleEndian));
    } else if (code === IF_OPTION.timeResolution) {
      if (value.length !== 1) block.fail(`if_tsresol has ${value.length} bytes`);
      // A power of ten or, with the top bit set, of two.
      state.unitsPerSecond = value[0]! & 128 ? 2n ** BigInt(value[0]! & 127) : 10n ** BigInt(value[0]!);
    }
  }
  record.unitsPerSecond = Number(state.unitsPerSecond);
  section.interfaces.push(state);
  return record;
}

function readIpv4Option(block: Block, value: Uint8Array): string {
  if (value.length !== 8) block.fail(`if_IPv4addr has ${value.length} bytes`);
  const mask = new DataView(value.buffer, value.byteOffset + 4, 4).getUint32(0);
  return `${formatIp(value.subarray(0, 4))}/${Math.clz32(~mask)}`;
}

function interfaceOf(block: Block, section: Section, id: number): Interface {
  const found = section.interfaces[id];
  if (found === undefined) block.fail(`interface ${id} was not described`);
  return found;
}

function readPacket(block: Block, section: Section): PacketRecord {
  const interfaceId = block.u32("the interface");
  const from = interfaceOf(block, section, interfaceId);
  const time = toTime(block.u32("the time"), block.u32("the time"), from);
  const captured = block.u32("the captured length");
  const originalLength = block.u32("the original length");
  const data = block.bytes(captured, "a packet");
  const record: PacketRecord = {
    kind: "packet",
    interfaceId,
    seconds: time.seconds,
    nanos: time.nanos,
    data,
    originalLength,
    direction: 0,
    comments: [],
  };
  for (const [code, value] of block.options()) {
    if (code === OPT_COMMENT) record.comments.push(decoder.decode(value));
    else if (code === EPB_OPTION.dropCount) record.dropCount = block.u64At(value);
    else if (code === EPB_OPTION.flags) {
      const bits = block.u32At(value) & 3;
      record.direction = (bits === 3 ? 0 : bits) as Direction;
    }
  }
  return record;
}

/** Simple Packet Block (§4.4): no time, no options, and always the first interface. */
function readSimplePacket(block: Block, section: Section): PacketRecord {
  const from = interfaceOf(block, section, 0);
  const originalLength = block.u32("the original length");
  const captured = from.snapLength > 0 ? Math.min(originalLength, from.snapLength) : originalLength;
  const data = block.bytes(captured, "a packet");
  return { kind: "packet", interfaceId: 0, seconds: 0, nanos: 0, data, originalLength, direction: 0, comments: [] };
}

function readNames(block: Block): NamesRecord {
  const record: NamesRecord = { kind: "names", entries: [], comments: [] };
  for (;;) {
    const [type, length] = block.pair("a name record");
    if (type === NAME_RECORD.end) break;
    const value = block.bytes(length, "a name record");
    const size = type === NAME_RECORD.ipv4 ? 4 : type === NAME_RECORD.ipv6 ? 16 : 0;
    if (size === 0) continue;
    if (length < size) block.fail(`a name record of ${length} bytes has no room for its address`);
    const names = decoder.decode(value.subarray(size)).split("\0");
    if (names.pop() !== "") block.fail("a name is not ended by a zero byte");
    record.entries.push({ address: formatIp(value.subarray(0, size)), names });
  }
  for (const [code, value] of block.options()) {
    if (code === OPT_COMMENT) record.comments.push(decoder.decode(value));
  }
  return record;
}

/** Which option becomes which field of a {@link StatisticsRecord}. */
const COUNTERS = new Map<number, "received" | "dropped" | "filterAccepted" | "osDropped" | "delivered">([
  [ISB_OPTION.received, "received"],
  [ISB_OPTION.dropped, "dropped"],
  [ISB_OPTION.filterAccepted, "filterAccepted"],
  [ISB_OPTION.osDropped, "osDropped"],
  [ISB_OPTION.delivered, "delivered"],
]);

function readStatistics(block: Block, section: Section): StatisticsRecord {
  const interfaceId = block.u32("the interface");
  const from = interfaceOf(block, section, interfaceId);
  const time = toTime(block.u32("the time"), block.u32("the time"), from);
  const record: StatisticsRecord = { kind: "statistics", interfaceId, time, comments: [] };
  for (const [code, value] of block.options()) {
    const counter = COUNTERS.get(code);
    if (code === OPT_COMMENT) record.comments.push(decoder.decode(value));
    else if (code === ISB_OPTION.start) record.start = block.timeAt(value, from);
    else if (code === ISB_OPTION.end) record.end = block.timeAt(value, from);
    else if (counter !== undefined) record[counter] = block.u64At(value);
  }
  return record;
}

function readSecrets(block: Block): SecretsRecord {
  const type = block.u32("the type of secrets");
  const length = block.u32("the length of secrets");
  const record: SecretsRecord = { kind: "secrets", type, data: block.bytes(length, "secrets"), comments: [] };
  for (const [code, value] of block.options()) {
    if (code === OPT_COMMENT) record.comments.push(decoder.decode(value));
  }
  return record;
}

function toTime(high: number, low: number, from: Interface): Time {
  const units = (BigInt(high) << 32n) | BigInt(low);
  const seconds = Number(units / from.unitsPerSecond) + from.offsetSeconds;
  const nanos = Number(((units % from.unitsPerSecond) * 1000000000n) / from.unitsPerSecond);
  return { seconds, nanos };
}
