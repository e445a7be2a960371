/**
 * MessagePack as hashicorp/go-msgpack's codec writes it with default handle options: the old specification,
 * in which strings and byte arrays are both "raw" (no str 8, no bin), and structs are maps sorted by field name.
 */
import { asciiText } from "../base/ascii.ts";
import { assert, MalformedError } from "../base/errors.ts";

/** What memberlist's messages contain. A nil byte slice is null, which is not the same as an empty one. */
export type MsgpackValue = null | boolean | number | string | Uint8Array;

/** A struct: its fields in order of name. */
export type MsgpackFields = readonly (readonly [name: string, value: MsgpackValue])[];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Encodes a struct. */
export function encodeStruct(fields: MsgpackFields): Uint8Array {
  assert(fields.length < 16, "fields of a struct", fields.length);
  length = 0;
  put(0x80 | fields.length);
  let before = "";
  for (const [name, value] of fields) {
    assert(before < name, "fields are sorted by name", before, name);
    before = name;
    encodeText(name);
    encodeValue(value);
  }
  return buffer.slice(0, length);
}

/** What is being encoded: one struct at a time, so that one buffer serves all. */
let buffer = new Uint8Array(1024);
let length = 0;

function reserve(more: number): void {
  if (length + more <= buffer.length) return;
  const grown = new Uint8Array(2 * (length + more));
  grown.set(buffer.subarray(0, length));
  buffer = grown;
}

function put(...bytes: readonly number[]): void {
  reserve(bytes.length);
  for (const byte of bytes) buffer[length++] = byte;
}

function encodeValue(value: MsgpackValue): void {
  if (value === null) put(0xc0);
  else if (typeof value === "boolean") put(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") encodeUint(value);
  else if (typeof value === "string") encodeText(value);
  else encodeRaw(value);
}

function encodeUint(value: number): void {
  assert(Number.isInteger(value) && value >= 0 && value < 2 ** 32, "unsigned integer of 32 bits", value);
  if (value < 0x80) put(value);
  else if (value < 0x100) put(0xcc, value);
  else if (value < 0x10000) put(0xcd, value >> 8, value & 255);
  else put(0xce, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function encodeLength(n: number): void {
  if (n < 32) put(0xa0 | n);
  else if (n < 0x10000) put(0xda, n >> 8, n & 255);
  else put(0xdb, n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255);
}

function encodeRaw(data: Uint8Array): void {
  encodeLength(data.length);
  reserve(data.length);
  buffer.set(data, length);
  length += data.length;
}

/** ASCII, which names are, goes in without an encoder. */
function encodeText(text: string): void {
  const start = length;
  encodeLength(text.length);
  reserve(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) {
      length = start;
      encodeRaw(encoder.encode(text));
      return;
    }
    buffer[length++] = code;
  }
}

/** A decoded struct. A missing field has its zero value, as in Go; a field of the wrong type is malformed. */
export class MsgpackStruct {
  readonly #fields: ReadonlyMap<string, MsgpackValue>;
  /** Where the next value begins. */
  readonly end: number;

  constructor(fields: ReadonlyMap<string, MsgpackValue>, end: number) {
    this.#fields = fields;
    this.end = end;
  }

  /** An unsigned integer below `limit`. */
  uint(name: string, limit: number = 2 ** 32): number {
    const value = this.#fields.get(name) ?? 0;
    if (typeof value !== "number" || value < 0 || value >= limit) throw new MalformedError("msgpack field");
    return value;
  }

  bool(name: string): boolean {
    const value = this.#fields.get(name) ?? false;
    if (typeof value !== "boolean") throw new MalformedError("msgpack field");
    return value;
  }

  string(name: string): string {
    const bytes = this.bytes(name);
    return bytes === null ? "" : textOf(bytes);
  }

  /** A byte array; null when it is nil or missing. */
  bytes(name: string): Uint8Array | null {
    const value = this.#fields.get(name) ?? null;
    if (value !== null && !(value instanceof Uint8Array)) throw new MalformedError("msgpack field");
    return value;
  }
}

/**
 * Decodes the struct that begins at `start`; what follows is left alone.
 * @throws MalformedError when it is cut short, no map, or nests
 */
export function decodeStruct(data: Uint8Array, start = 0): MsgpackStruct {
  const reader = new Reader(data, start);
  const fields = new Map<string, MsgpackValue>();
  for (let count = reader.mapLength(); count > 0; count--) {
    const name = reader.value();
    if (!(name instanceof Uint8Array)) throw new MalformedError("msgpack field name");
    fields.set(textOf(name), reader.value());
  }
  return new MsgpackStruct(fields, reader.at);
}

function textOf(bytes: Uint8Array): string {
  return asciiText(bytes) ?? decoder.decode(bytes);
}

class Reader {
  readonly #data: Uint8Array;
  at: number;

  constructor(data: Uint8Array, at: number) {
    this.#data = data;
    this.at = at;
  }

  mapLength(): number {
    const tag = this.#uint(1);
    if ((tag & 0xf0) === 0x80) return tag & 15;
    if (tag === 0xde) return this.#uint(2);
    throw new MalformedError("msgpack map");
  }

  value(): MsgpackValue {
    const tag = this.#uint(1);
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 256;
    if (tag >= 0xa0 && tag < 0xc0) return this.#take(tag & 31);
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return this.#uint(4) * 2 ** 32 + this.#uint(4);
      case 0xd0:
        return (this.#uint(1) << 24) >> 24;
      case 0xd1:
        return (this.#uint(2) << 16) >> 16;
      case 0xd2:
        return this.#uint(4) | 0;
      case 0xc4:
      case 0xd9:
        return this.#take(this.#uint(1));
      case 0xc5:
      case 0xda:
        return this.#take(this.#uint(2));
      case 0xc6:
      case 0xdb:
        return this.#take(this.#uint(4));
      default:
        throw new MalformedError("msgpack type");
    }
  }

  #uint(length: number): number {
    const data = this.#data;
    if (length > data.length - this.at) throw new MalformedError("msgpack is cut short");
    let value = 0;
    for (const end = this.at + length; this.at < end; this.at++) value = value * 256 + (data[this.at] as number);
    return value;
  }

  #take(length: number): Uint8Array {
    if (length > this.#data.length - this.at) throw new MalformedError("msgpack is cut short");
    this.at += length;
    return this.#data.subarray(this.at - length, this.at);
  }
}
