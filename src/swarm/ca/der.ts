/** DER (ITU-T X.690): the few types that certificates need, written and read; and PEM (RFC 7468). */

/** ASN.1 tags (X.690). */
export const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OID: 0x06,
  UTF8_STRING: 0x0c,
  PRINTABLE_STRING: 0x13,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** The tag of a context-specific field, constructed or primitive. */
export function contextTag(number: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

/** Joins byte strings. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** One element: tag, length, contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(contents);
  const head = [tag];
  if (body.length < 0x80) head.push(body.length);
  else {
    const length: number[] = [];
    for (let rest = body.length; rest > 0; rest >>>= 8) length.unshift(rest & 255);
    head.push(0x80 | length.length, ...length);
  }
  return concatBytes([Uint8Array.from(head), body]);
}

/** SEQUENCE. */
export function derSequence(...contents: readonly Uint8Array[]): Uint8Array {
  return der(Tag.SEQUENCE, ...contents);
}

/** A non-negative INTEGER from big-endian bytes. */
export function derInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const body = bytes.subarray(start);
  return der(Tag.INTEGER, ((body[0] ?? 0) & 0x80) !== 0 ? concatBytes([Uint8Array.of(0), body]) : body);
}

/** OBJECT IDENTIFIER. */
export function derOid(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split(".").map(Number) as [number, number, ...number[]];
  const body = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 127];
    for (let more = arc >>> 7; more > 0; more >>>= 7) groups.unshift((more & 127) | 128);
    body.push(...groups);
  }
  return der(Tag.OID, Uint8Array.from(body));
}

/** A BIT STRING of whole bytes, or with some unused bits at its end. */
export function derBitString(bytes: Uint8Array, unused = 0): Uint8Array {
  return der(Tag.BIT_STRING, Uint8Array.of(unused), bytes);
}

/** A string of that tag. */
export function derText(tag: number, text: string): Uint8Array {
  return der(tag, new TextEncoder().encode(text));
}

/** One element read from DER. */
export interface Element {
  readonly tag: number;
  /** The contents, without tag and length. */
  readonly body: Uint8Array;
  /** The whole element. */
  readonly raw: Uint8Array;
}

/** The elements that lie in some bytes one after the other; undefined when they are not DER. */
export function readElements(bytes: Uint8Array): Element[] | undefined {
  const elements: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] as number;
    let length = bytes[at + 1];
    let body = at + 2;
    if (length === undefined) return undefined;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) return undefined;
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[body + i] ?? 0);
      body += count;
    }
    const end = body + length;
    if (end > bytes.length) return undefined;
    elements.push({ tag, body: bytes.subarray(body, end), raw: bytes.subarray(at, end) });
    at = end;
  }
  return elements;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Standard base64 with padding (RFC 4648, section 4). */
export function base64Encode(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let j = 0; j < 4; j++) out += i + j > bytes.length ? "=" : ALPHABET[(group >>> (18 - 6 * j)) & 63];
  }
  return out;
}

/** undefined when the text is no base64. */
export function base64Decode(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const digits = text.replace(/=+$/, "");
  const out = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const digit of digits) {
    value = ((value << 6) | ALPHABET.indexOf(digit)) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (value >>> bits) & 255;
    }
  }
  return out;
}

/** A PEM block with lines of 64 characters and a newline at its end, as Go's encoding/pem writes it. */
export function pemEncode(label: string, bytes: Uint8Array): string {
  const lines = base64Encode(bytes).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.map((line) => `${line}\n`).join("")}-----END ${label}-----\n`;
}

/** The bytes of the first block with that label; undefined when there is none. */
export function pemDecode(label: string, text: string): Uint8Array | undefined {
  const match = new RegExp(`-----BEGIN ${label}-----\\n([A-Za-z0-9+/=\\n]*)-----END ${label}-----`).exec(text);
  return match === null ? undefined : base64Decode((match[1] as string).replaceAll("\n", ""));
}
