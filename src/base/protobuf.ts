/**
 * The protobuf wire format (protobuf.dev/programming-guides/encoding), by hand: a writer and a reader of
 * fields. As in proto3, scalar fields with their default value are left out, which is also how gogo/protobuf
 * writes swarmkit's and libnetwork's messages; what must appear all the same has an `always` form.
 */
import { asciiText } from "./ascii.ts";
import { assert, MalformedError } from "./errors.ts";

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

const encoder = new TextEncoder();
/** Buffers of writers that have finished, grown as they are. */
const spare: Uint8Array<ArrayBuffer>[] = [];
const MOST_SPARE = 16;
const NONE = new Uint8Array(0);
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Appends fields to a message; the order of calls is the order on the wire. */
export class ProtoWriter {
  #buffer: Uint8Array<ArrayBuffer> = spare.pop() ?? new Uint8Array(1024);
  #length = 0;

  /** uint32, uint64, int32, int64 and enum fields of 0 to 2^53 - 1; left out when 0. */
  uint(field: number, value: number): this {
    return value === 0 ? this : this.uintAlways(field, value);
  }

  uintAlways(field: number, value: number): this {
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
    return this;
  }

  /** int32 and int64 fields that may be negative: then ten bytes of two's complement. Left out when 0. */
  int(field: number, value: number): this {
    if (value >= 0) return this.uint(field, value);
    this.#varint(field * 8 + VARINT);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) this.#byte(Number(rest & 127n) | 128);
    this.#byte(Number(rest));
    return this;
  }

  bool(field: number, value: boolean): this {
    return value ? this.uintAlways(field, 1) : this;
  }

  /** Left out when empty. */
  string(field: number, value: string): this {
    return value === "" ? this : this.stringAlways(field, value);
  }

  /** Left out when empty. */
  bytes(field: number, value: Uint8Array): this {
    return value.length === 0 ? this : this.bytesAlways(field, value);
  }

  /** For elements of repeated fields, set message fields, and `oneof` members, which appear even when empty. */
  bytesAlways(field: number, value: Uint8Array): this {
    return this.bytesHead(field, value.length).raw(value);
  }

  /** The head of a field of so many bytes, which are written next. */
  bytesHead(field: number, length: number): this {
    this.#varint(field * 8 + LENGTH_DELIMITED);
    this.#varint(length);
    return this;
  }

  /** An embedded message of one field, these bytes, which is left out when empty. */
  wrappedBytes(field: number, innerField: number, value: Uint8Array): this {
    this.#varint(field * 8 + LENGTH_DELIMITED);
    if (value.length === 0) {
      this.#varint(0);
      return this;
    }
    const head = lengthOfVarint(innerField * 8 + LENGTH_DELIMITED) + lengthOfVarint(value.length);
    this.#varint(head + value.length);
    return this.bytesAlways(innerField, value);
  }

  stringAlways(field: number, value: string): this {
    // Names and keys are ASCII: a byte a character, without a buffer in between.
    const start = this.#length;
    this.#varint(field * 8 + LENGTH_DELIMITED);
    this.#varint(value.length);
    this.#reserve(value.length);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) {
        this.#length = start;
        return this.bytesAlways(field, encoder.encode(value));
      }
      this.#buffer[this.#length + i] = code;
    }
    this.#length += value.length;
    return this;
  }

  /** An embedded message, written even when empty. */
  message(field: number, write: (writer: ProtoWriter) => void): this {
    const inner = new ProtoWriter();
    write(inner);
    return this.bytesAlways(field, inner.finish());
  }

  /** Bytes as they are: fields that were written elsewhere. */
  raw(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** The bytes written so far where they stand, valid until another message is written: nothing more is to be written to this one. */
  view(): Uint8Array {
    const out = this.#buffer.subarray(0, this.#length);
    if (spare.length < MOST_SPARE) spare.push(this.#buffer);
    this.#buffer = NONE;
    return out;
  }

  /** The bytes written so far. */
  finish(): Uint8Array {
    const out = this.#buffer.slice(0, this.#length);
    if (spare.length < MOST_SPARE && this.#buffer.length > out.length) spare.push(this.#buffer);
    this.#buffer = out;
    return out;
  }

  #varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "varint", value);
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#byte((rest & 127) | 128);
    this.#byte(rest);
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + more));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

/** What a field of a number up to 15 takes, of so many bytes. */
export function sizeOfBytes(length: number): number {
  return 1 + lengthOfVarint(length) + length;
}

function lengthOfVarint(value: number): number {
  let length = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) length++;
  return length;
}

/**
 * One field of a message. The accessors throw MalformedError when the wire type does not fit, or a number
 * is beyond 2^53.
 */
export class ProtoField {
  readonly number: number;
  readonly #value: number | bigint | Uint8Array;

  /** @param value a number where it fits, which is cheaper */
  constructor(number: number, value: number | bigint | Uint8Array) {
    this.number = number;
    this.#value = value;
  }

  /** Unsigned integer, enum, fixed32 or fixed64. */
  uint(): number {
    return typeof this.#value === "number" ? this.#value : toNumber(this.#integer());
  }

  /** int32 or int64: two's complement in 64 bits. */
  int(): number {
    return typeof this.#value === "number" ? this.#value : toNumber(BigInt.asIntN(64, this.#integer()));
  }

  bool(): boolean {
    return typeof this.#value === "number" ? this.#value !== 0 : this.#integer() !== 0n;
  }

  /** A view into the message. */
  bytes(): Uint8Array {
    if (!(this.#value instanceof Uint8Array)) throw new MalformedError("protobuf wire type");
    return this.#value;
  }

  string(): string {
    const short = asciiText(this.bytes());
    if (short !== undefined) return short;
    try {
      return decoder.decode(this.bytes());
    } catch (error) {
      if (error instanceof MalformedError) throw error;
      throw new MalformedError("protobuf string is not UTF-8");
    }
  }

  #integer(): bigint {
    if (typeof this.#value !== "bigint") throw new MalformedError("protobuf wire type");
    return this.#value;
  }
}

function toNumber(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new MalformedError("protobuf integer is too large");
  return number;
}

/**
 * The fields of a message in order of appearance. Unknown numbers are the caller's to skip.
 * @throws MalformedError when the bytes are cut short or use a group
 */
export function parseProto(data: Uint8Array): ProtoField[] {
  const fields: ProtoField[] = [];
  let at = 0;
  /** Up to six bytes as a number; what is longer as a bigint. */
  const varint = (): number | bigint => {
    let small = 0;
    for (let i = 0, scale = 1; i < 6; i++, scale *= 128) {
      const byte = data[at + i];
      if (byte === undefined) throw new MalformedError("protobuf is cut short");
      small += (byte & 127) * scale;
      if (byte < 128) {
        at += i + 1;
        return small;
      }
    }
    return longVarint();
  };
  const longVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = data[at++];
      if (byte === undefined) throw new MalformedError("protobuf is cut short");
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new MalformedError("protobuf varint is too long");
  };
  const take = (length: number): Uint8Array => {
    if (length > data.length - at) throw new MalformedError("protobuf is cut short");
    at += length;
    return data.subarray(at - length, at);
  };
  while (at < data.length) {
    const key = Number(varint());
    if (!Number.isSafeInteger(key)) throw new MalformedError("protobuf integer is too large");
    const number = Math.floor(key / 8);
    if (number === 0) throw new MalformedError("protobuf field number");
    const wire = key % 8;
    if (wire === VARINT) fields.push(new ProtoField(number, varint()));
    else if (wire === LENGTH_DELIMITED) fields.push(new ProtoField(number, take(lengthOf(varint()))));
    else if (wire === FIXED64) fields.push(new ProtoField(number, littleEndian(take(8))));
    else if (wire === FIXED32) fields.push(new ProtoField(number, littleEndian(take(4))));
    else throw new MalformedError("protobuf wire type");
  }
  return fields;
}

function lengthOf(value: number | bigint): number {
  return typeof value === "number" ? value : toNumber(value);
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
