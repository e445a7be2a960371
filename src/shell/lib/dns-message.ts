/** DNS messages as clients make and read them (RFC 1035, EDNS0 of RFC 6891): queries out, every section of replies in. */
import { DNS_TYPE, encodeName } from "../../libnetwork/dns.ts";

/** Types that tools ask for by name. */
export const RECORD_TYPES: Readonly<Record<string, number>> = {
  A: DNS_TYPE.A,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: DNS_TYPE.PTR,
  MX: DNS_TYPE.MX,
  TXT: DNS_TYPE.TXT,
  AAAA: DNS_TYPE.AAAA,
  SRV: DNS_TYPE.SRV,
  OPT: DNS_TYPE.OPT,
  ANY: DNS_TYPE.ANY,
};

/** Name of a type; RFC 3597's `TYPEn` for unknown ones. */
export function typeName(type: number): string {
  return Object.keys(RECORD_TYPES).find((name) => RECORD_TYPES[name] === type) ?? `TYPE${type}`;
}

/** Response codes by number (RFC 1035 §4.1.1, RFC 2136 §2.2). */
export const RCODES = [
  "NOERROR",
  "FORMERR",
  "SERVFAIL",
  "NXDOMAIN",
  "NOTIMP",
  "REFUSED",
  "YXDOMAIN",
  "YXRRSET",
  "NXRRSET",
  "NOTAUTH",
  "NOTZONE",
];

/** A resource record. */
export interface DnsRecord {
  /** With its final dot. */
  readonly name: string;
  readonly type: number;
  /** 1 is IN; of an OPT record, the UDP size. */
  readonly cls: number;
  readonly ttl: number;
  readonly rdata: Uint8Array;
  /** Presentation form of the data. */
  readonly text: string;
}

/** A message taken apart. */
export interface DnsMessage {
  readonly id: number;
  readonly flags: number;
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly questions: readonly { readonly name: string; readonly type: number }[];
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
  readonly size: number;
}

/**
 * A recursive query. @returns undefined when the name can't be one
 * @param edns adds an OPT record with this UDP size, and this cookie (RFC 7873)
 */
export function makeQuery(
  id: number,
  name: string,
  type: number,
  options: { rd?: boolean; ad?: boolean; edns?: number; cookie?: Uint8Array } = {},
): Uint8Array | undefined {
  const owner = encodeName(name);
  if (owner === undefined) return undefined;
  const { edns, cookie } = options;
  const cookieLength = cookie === undefined ? 0 : 4 + cookie.length;
  const out = new Uint8Array(12 + owner.length + 4 + (edns === undefined ? 0 : 11 + cookieLength));
  const view = new DataView(out.buffer);
  view.setUint16(0, id);
  view.setUint16(2, (options.rd === false ? 0 : 0x0100) | (options.ad === true ? 0x20 : 0));
  view.setUint16(4, 1);
  out.set(owner, 12);
  let at = 12 + owner.length;
  view.setUint16(at, type);
  view.setUint16(at + 2, 1);
  at += 4;
  if (edns !== undefined) {
    view.setUint16(10, 1);
    view.setUint16(at + 1, DNS_TYPE.OPT);
    view.setUint16(at + 3, edns);
    view.setUint16(at + 9, cookieLength);
    if (cookie !== undefined) {
      view.setUint16(at + 11, 10);
      view.setUint16(at + 13, cookie.length);
      out.set(cookie, at + 15);
    }
  }
  return out;
}

function u16(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}

/** A name, following compression pointers backwards only. */
function readName(data: Uint8Array, start: number): { text: string; next: number } | undefined {
  let text = "";
  let at = start;
  let limit = start;
  let next: number | undefined;
  for (;;) {
    const length = data[at];
    if (length === undefined) return undefined;
    if (length === 0) return { text: text === "" ? "." : text, next: next ?? at + 1 };
    if (length >= 0xc0) {
      const target = u16(data, at) & 0x3fff;
      if (target >= limit || at + 1 >= data.length) return undefined;
      next ??= at + 2;
      at = target;
      limit = target;
      continue;
    }
    if (length > 63 || at + 1 + length > data.length) return undefined;
    for (const byte of data.subarray(at + 1, at + 1 + length)) {
      if (byte === 0x2e || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
      else text += byte < 0x21 || byte > 0x7e ? `\\${String(byte).padStart(3, "0")}` : String.fromCharCode(byte);
    }
    text += ".";
    at += 1 + length;
  }
}

function recordText(data: Uint8Array, type: number, start: number, length: number): string {
  const name = (at: number): string => readName(data, at)?.text ?? "";
  if (type === DNS_TYPE.A && length === 4) return data.subarray(start, start + 4).join(".");
  if (type === DNS_TYPE.AAAA && length === 16) {
    return Array.from({ length: 8 }, (_, i) => u16(data, start + 2 * i).toString(16)).join(":");
  }
  if (type === DNS_TYPE.PTR || type === 5 || type === 2) return name(start);
  if (type === DNS_TYPE.MX) return `${u16(data, start)} ${name(start + 2)}`;
  if (type === DNS_TYPE.SRV)
    return `${u16(data, start)} ${u16(data, start + 2)} ${u16(data, start + 4)} ${name(start + 6)}`;
  if (type === DNS_TYPE.TXT) {
    const parts: string[] = [];
    for (let at = start; at < start + length; at += 1 + (data[at] ?? 0)) {
      const part = data.subarray(at + 1, Math.min(at + 1 + (data[at] ?? 0), start + length));
      parts.push(`"${String.fromCharCode(...part).replace(/["\\]/g, "\\$&")}"`);
    }
    return parts.join(" ");
  }
  return `\\# ${length} ${Array.from(data.subarray(start, start + length), (b) => b.toString(16).padStart(2, "0")).join("")}`.trimEnd();
}

/** Reads a response; undefined when it is malformed or a query. */
export function readMessage(data: Uint8Array): DnsMessage | undefined {
  if (data.length < 12 || (u16(data, 2) & 0x8000) === 0) return undefined;
  const flags = u16(data, 2);
  const questions: { name: string; type: number }[] = [];
  let at = 12;
  for (let i = u16(data, 4); i > 0; i--) {
    const name = readName(data, at);
    if (name === undefined || name.next + 4 > data.length) return undefined;
    questions.push({ name: name.text, type: u16(data, name.next) });
    at = name.next + 4;
  }
  const sections: DnsRecord[][] = [];
  for (const offset of [6, 8, 10]) {
    const records: DnsRecord[] = [];
    for (let i = u16(data, offset); i > 0; i--) {
      const name = readName(data, at);
      if (name === undefined || name.next + 10 > data.length) return undefined;
      const type = u16(data, name.next);
      const start = name.next + 10;
      const length = u16(data, name.next + 8);
      if (start + length > data.length) return undefined;
      const ttl = u16(data, name.next + 4) * 65536 + u16(data, name.next + 6);
      records.push({
        name: name.text,
        type,
        cls: u16(data, name.next + 2),
        ttl,
        rdata: data.slice(start, start + length),
        text: recordText(data, type, start, length),
      });
      at = start + length;
    }
    sections.push(records);
  }
  const [answers = [], authority = [], additional = []] = sections;
  return {
    id: u16(data, 0),
    flags,
    rcode: flags & 15,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    questions,
    answers,
    authority,
    additional,
    size: data.length,
  };
}

/** `4.1.0.10.in-addr.arpa` of 10.0.1.4. */
export function reverseName(address: string): string {
  return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
}
