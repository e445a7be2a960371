/**
 * DNS messages (RFC 1035, EDNS0 of RFC 6891) as far as the embedded server needs them: it reads the question of a
 * query, makes answers without name compression, and reads the code and the addresses of upstream answers. The
 * answers' form follows github.com/miekg/dns as libnetwork's resolver uses it.
 */
import type { Ipv4 } from "../base/addr.ts";

/** Types of records (RFC 1035 and later). */
export const DNS_TYPE = { A: 1, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 } as const;

/** Response codes. */
export const DNS_RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

/** TTL of local answers, seconds (resolver.go respTTL). */
const DNS_TTL = 600;
/** Largest UDP answer to a query without EDNS0 (RFC 1035 §4.2.1). */
export const DNS_MIN_SIZE = 512;
/** Largest message over TCP. */
export const DNS_MAX_TCP_SIZE = 65534;

const FLAG_QR = 0x8000;
const FLAG_AA = 0x0400;
const FLAG_TC = 0x0200;
const FLAG_RD = 0x0100;
const FLAG_RA = 0x0080;
const FLAG_CD = 0x0010;

/** The one question of a query. */
export interface DnsQuery {
  readonly id: number;
  readonly flags: number;
  readonly opcode: number;
  /** The name in text with its final dot, in the case it was asked. */
  readonly name: string;
  readonly type: number;
  /** Question section as it came: name, type, class. */
  readonly question: Uint8Array;
  /** UDP size of the OPT record, undefined without one. */
  readonly udpSize: number | undefined;
}

interface NameAt {
  readonly text: string;
  readonly next: number;
}

/** Reads a name, following compression pointers backwards only; undefined when malformed. */
function readName(data: Uint8Array, start: number): NameAt | undefined {
  let text = "";
  let at = start;
  let next = -1;
  let limit = start;
  for (let labels = 0; labels < 128; labels++) {
    const length = data[at];
    if (length === undefined) return undefined;
    if (length === 0) return { text: text === "" ? "." : text, next: next < 0 ? at + 1 : next };
    if (length >= 0xc0) {
      const low = data[at + 1];
      if (low === undefined) return undefined;
      const target = ((length & 0x3f) << 8) | low;
      if (target >= limit) return undefined;
      if (next < 0) next = at + 2;
      at = target;
      limit = target;
      continue;
    }
    if (length > 63 || at + 1 + length > data.length) return undefined;
    text += `${escapeLabel(data.subarray(at + 1, at + 1 + length))}.`;
    at += 1 + length;
  }
  return undefined;
}

/** Presentation form of a label (RFC 1035 §5.1): dots and backslashes escaped, other bytes outside printable ASCII as \DDD. */
function escapeLabel(label: Uint8Array): string {
  let out = "";
  for (const byte of label) {
    if (byte === 0x2e || byte === 0x5c) out += `\\${String.fromCharCode(byte)}`;
    else if (byte < 0x21 || byte > 0x7e) out += `\\${String(byte).padStart(3, "0")}`;
    else out += String.fromCharCode(byte);
  }
  return out;
}

/** A name in wire form, without compression; undefined when a label is empty or too long. */
export function encodeName(name: string): Uint8Array | undefined {
  const out: number[] = [];
  const trimmed = name.endsWith(".") ? name.slice(0, -1) : name;
  let label: number[] = [];
  const flush = (): boolean => {
    if (label.length === 0 || label.length > 63) return false;
    out.push(label.length, ...label);
    label = [];
    return true;
  };
  for (let i = 0; i < trimmed.length; i++) {
    const char = trimmed[i] as string;
    if (char === ".") {
      if (!flush()) return undefined;
    } else if (char === "\\") {
      const code = /^\d{3}/.exec(trimmed.slice(i + 1));
      label.push(code !== null ? Number(code[0]) & 255 : trimmed.charCodeAt(i + 1) & 255);
      i += code !== null ? 3 : 1;
    } else {
      label.push(char.charCodeAt(0) & 255);
    }
  }
  if (trimmed !== "" && !flush()) return undefined;
  out.push(0);
  return out.length > 255 ? undefined : Uint8Array.from(out);
}

function u16(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}

interface RecordAt {
  readonly name: string;
  readonly type: number;
  readonly cls: number;
  readonly rdata: Uint8Array;
  readonly next: number;
}

function readRecord(data: Uint8Array, at: number): RecordAt | undefined {
  const name = readName(data, at);
  if (name === undefined || name.next + 10 > data.length) return undefined;
  const length = u16(data, name.next + 8);
  const start = name.next + 10;
  if (start + length > data.length) return undefined;
  return {
    name: name.text,
    type: u16(data, name.next),
    cls: u16(data, name.next + 2),
    rdata: data.subarray(start, start + length),
    next: start + length,
  };
}

/** Reads a query; undefined when it is malformed, is a response, or has no question. */
export function parseQuery(data: Uint8Array): DnsQuery | undefined {
  if (data.length < 12) return undefined;
  const flags = u16(data, 2);
  if ((flags & FLAG_QR) !== 0 || u16(data, 4) < 1) return undefined;
  const name = readName(data, 12);
  if (name === undefined || name.next + 4 > data.length) return undefined;
  let at = name.next + 4;
  for (let i = 1; i < u16(data, 4); i++) {
    const more = readName(data, at);
    if (more === undefined) return undefined;
    at = more.next + 4;
  }
  let udpSize: number | undefined;
  for (let i = u16(data, 6) + u16(data, 8) + u16(data, 10); i > 0; i--) {
    const record = readRecord(data, at);
    if (record === undefined) return undefined;
    if (record.type === DNS_TYPE.OPT) udpSize = record.cls;
    at = record.next;
  }
  const question = data.slice(12, name.next + 4);
  return {
    id: u16(data, 0),
    flags,
    opcode: (flags >>> 11) & 15,
    name: name.text,
    type: u16(data, name.next),
    question,
    udpSize,
  };
}

/** Data of one answer record, all of class IN with DNS_TTL. */
export interface DnsAnswer {
  readonly type: number;
  readonly rdata: Uint8Array;
}

/** An A record's data. */
export function addressAnswer(ip: Ipv4): DnsAnswer {
  return { type: DNS_TYPE.A, rdata: Uint8Array.of(ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255) };
}

/**
 * A response to a query: same question, `qr`, `ra`, the query's `rd` and `cd`, the owner name repeated in full in
 * each answer. Answers that don't fit are left out from the end, with `tc` over UDP (resolver.go truncateResp).
 */
export function makeResponse(
  query: DnsQuery,
  rcode: number,
  answers: readonly DnsAnswer[],
  maxSize: number,
  tcp: boolean,
): Uint8Array {
  const owner = encodeName(query.name);
  const ownerLength = owner?.length ?? 0;
  let size = 12 + query.question.length;
  const kept: DnsAnswer[] = [];
  for (const answer of answers) {
    const length = ownerLength + 10 + answer.rdata.length;
    if (size + length > maxSize) break;
    size += length;
    kept.push(answer);
  }
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let flags = FLAG_QR | FLAG_RA | (query.flags & 0x7800) | rcode;
  if (query.opcode === 0) flags |= query.flags & (FLAG_RD | FLAG_CD);
  if (kept.length < answers.length && !tcp) flags |= FLAG_TC;
  view.setUint16(0, query.id);
  view.setUint16(2, flags);
  view.setUint16(4, 1);
  view.setUint16(6, kept.length);
  out.set(query.question, 12);
  let at = 12 + query.question.length;
  for (const answer of kept) {
    if (owner !== undefined) out.set(owner, at);
    at += ownerLength;
    view.setUint16(at, answer.type);
    view.setUint16(at + 2, 1);
    view.setUint32(at + 4, DNS_TTL);
    view.setUint16(at + 8, answer.rdata.length);
    out.set(answer.rdata, at + 10);
    at += 10 + answer.rdata.length;
  }
  return out;
}

/** What the embedded server looks at in an upstream answer, and tests in its own. */
export interface DnsResponse {
  readonly id: number;
  readonly flags: number;
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly name: string;
  readonly type: number;
  readonly answers: readonly { name: string; type: number; ttl: number; rdata: Uint8Array; text: string }[];
}

/** Text of an answer's data: addresses of A records, names of PTR and CNAME-like ones, else empty. */
function answerText(data: Uint8Array, record: RecordAt): string {
  if (record.type === DNS_TYPE.A && record.rdata.length === 4) return record.rdata.join(".");
  if (record.type === DNS_TYPE.PTR || record.type === 5)
    return readName(data, record.next - record.rdata.length)?.text ?? "";
  return "";
}

/** Reads a response; undefined when it is malformed. */
export function parseResponse(data: Uint8Array): DnsResponse | undefined {
  if (data.length < 12 || (u16(data, 2) & FLAG_QR) === 0) return undefined;
  const flags = u16(data, 2);
  let at = 12;
  let name = "";
  let type = 0;
  for (let i = 0; i < u16(data, 4); i++) {
    const question = readName(data, at);
    if (question === undefined) return undefined;
    name = question.text;
    type = u16(data, question.next);
    at = question.next + 4;
  }
  const answers: { name: string; type: number; ttl: number; rdata: Uint8Array; text: string }[] = [];
  for (let i = 0; i < u16(data, 6); i++) {
    const record = readRecord(data, at);
    if (record === undefined) return undefined;
    const ttl =
      u16(data, record.next - record.rdata.length - 6) * 65536 + u16(data, record.next - record.rdata.length - 4);
    answers.push({ name: record.name, type: record.type, ttl, rdata: record.rdata, text: answerText(data, record) });
    at = record.next;
  }
  return {
    id: u16(data, 0),
    flags,
    rcode: flags & 15,
    authoritative: (flags & FLAG_AA) !== 0,
    truncated: (flags & FLAG_TC) !== 0,
    name,
    type,
    answers,
  };
}
