/** DNS as tcpdump prints it (print-domain.c). */
import { RECORD_TYPES } from "../../lib/dns-message.ts";
import { type Bytes, hexByte, Truncated } from "./bytes.ts";

const RCODES = [
  "",
  " FormErr",
  " ServFail",
  " NXDomain",
  " NotImp",
  " Refused",
  " YXDomain",
  " YXRRSet",
  " NXRRSet",
  " NotAuth",
  " NotZone",
];
const OPCODES = ["", " inv_q", " stat", " op3", " notify", " update"];

/** RFC 7873. */
const OPTION_COOKIE = 10;

function typeText(type: number): string {
  return Object.keys(RECORD_TYPES).find((name) => RECORD_TYPES[name] === type) ?? `Type${type}`;
}

/** A name and where it ends in the message. */
function readName(message: Bytes, from: number): { name: string; next: number } {
  let name = "";
  let at = from;
  let next: number | undefined;
  for (let jumps = 0; ; ) {
    const length = message.u8(at);
    if (length === 0) {
      next ??= at + 1;
      return { name: name === "" ? "." : name, next };
    }
    if (length >= 0xc0) {
      next ??= at + 2;
      at = message.u16(at) & 0x3fff;
      if (++jumps > 100) throw new Truncated();
      continue;
    }
    for (let i = 1; i <= length; i++) name += String.fromCharCode(message.u8(at + i));
    name += ".";
    at += 1 + length;
  }
}

/** How much is said. */
export interface DnsVerbosity {
  readonly verbose: number;
}

/** Prints a message. @param size its length in its datagram */
export function printDns(message: Bytes, size: number, { verbose }: DnsVerbosity): string {
  if (size < 12) return ` domain [length ${size} < 12] (invalid)`;
  const flags = message.u16(2);
  const [questions, answers, authorities, additional] = [4, 6, 8, 10].map((at) => message.u16(at)) as [
    number,
    number,
    number,
    number,
  ];
  let out = ` ${message.u16(0)}`;
  let at = 12;
  const opcode = OPCODES[(flags >>> 11) & 15] ?? ` op${(flags >>> 11) & 15}`;
  if ((flags & 0x8000) !== 0) {
    out += `${opcode}${RCODES[flags & 15] ?? ` Resp${flags & 15}`}`;
    out += `${(flags & 0x0400) !== 0 ? "*" : ""}${(flags & 0x0080) === 0 ? "-" : ""}`;
    out += `${(flags & 0x0200) !== 0 ? "|" : ""}${(flags & 0x0020) !== 0 ? "$" : ""}`;
    if (questions !== 1) out += ` [${questions}q]`;
    for (let i = 0; i < questions; i++) {
      const question = printQuestion(message, at);
      if (verbose > 1) out += `${i === 0 ? " q:" : ","}${question.text}`;
      at = question.next;
    }
    out += ` ${answers}/${authorities}/${additional}`;
    const records = printRecords(message, at, answers, verbose > 0, "");
    out += records.text;
    at = records.next;
    if (verbose > 1) {
      const first = printRecords(message, at, authorities, true, authorities > 0 ? " ns:" : "");
      const second = printRecords(message, first.next, additional, true, additional > 0 ? " ar:" : "");
      out += first.text + second.text;
    }
  } else {
    out += `${opcode}${(flags & 0x0100) !== 0 ? "+" : ""}${(flags & 0x0010) !== 0 ? "%" : ""}`;
    if ((flags & 0x7800) === 0 && (flags & 0x06cf) !== 0) out += ` [b2&3=0x${flags.toString(16)}]`;
    if (answers > 0) out += ` [${answers}a]`;
    if (authorities > 0) out += ` [${authorities}n]`;
    if (additional > 0) out += ` [${additional}au]`;
    if (questions !== 1) out += ` [${questions}q]`;
    for (let i = 0; i < questions; i++) {
      const question = printQuestion(message, at);
      out += question.text;
      at = question.next;
    }
    if (verbose > 1) {
      const first = printRecords(message, at, answers, true, "");
      const second = printRecords(message, first.next, authorities, true, authorities > 0 ? " ns:" : "");
      const third = printRecords(message, second.next, additional, true, additional > 0 ? " ar:" : "");
      out += first.text + second.text + third.text;
    }
  }
  return `${out} (${size})`;
}

function printQuestion(message: Bytes, at: number): { text: string; next: number } {
  const { name, next } = readName(message, at);
  const cls = message.u16(next + 2);
  const unicast = (cls & 0x8000) !== 0 ? " (QU)" : "";
  return { text: ` ${typeText(message.u16(next))}${unicast}? ${name}`, next: next + 4 };
}

function printRecords(
  message: Bytes,
  from: number,
  count: number,
  named: boolean,
  head: string,
): { text: string; next: number } {
  let text = head;
  let at = from;
  for (let i = 0; i < count; i++) {
    const { name, next } = readName(message, at);
    const type = message.u16(next);
    const length = message.u16(next + 8);
    const shownName = named && type !== RECORD_TYPES["OPT"] ? ` ${name}` : named ? ` ${name}` : "";
    text += `${i === 0 ? "" : ","}${shownName} ${typeText(type)}${printData(message, type, next + 10, length)}`;
    if (type === RECORD_TYPES["OPT"]) text += optText(message, next);
    at = next + 10 + length;
  }
  return { text, next: at };
}

/** EDNS: the sender's UDP size. */
function optText(message: Bytes, fixed: number): string {
  const flags = message.u32(fixed + 4);
  const end = fixed + 10 + message.u16(fixed + 8);
  const options: string[] = [];
  for (let at = fixed + 10; at + 4 <= end; at += 4 + message.u16(at + 2)) {
    const data = Array.from({ length: message.u16(at + 2) }, (_, i) => hexByte(message.u8(at + 4 + i))).join("");
    const name = message.u16(at) === OPTION_COOKIE ? "COOKIE" : `Opt${message.u16(at)}`;
    options.push(`${name}${data === "" ? "" : ` ${data}`}`);
  }
  const shown = options.length === 0 ? "" : ` [${options.join(",")}]`;
  return ` UDPsize=${message.u16(fixed + 2)}${(flags & 0x8000) !== 0 ? " DO" : ""}${shown}`;
}

function printData(message: Bytes, type: number, at: number, length: number): string {
  switch (type) {
    case RECORD_TYPES["A"]:
      return ` ${message.ipText(at)}`;
    case RECORD_TYPES["NS"]:
    case RECORD_TYPES["CNAME"]:
    case RECORD_TYPES["PTR"]:
      return ` ${readName(message, at).name}`;
    case RECORD_TYPES["MX"]:
      return ` ${readName(message, at + 2).name} ${message.u16(at)}`;
    case RECORD_TYPES["TXT"]:
      return textData(message, at, length);
    case RECORD_TYPES["AAAA"]:
      return ` ${ipv6Text(message, at)}`;
    case RECORD_TYPES["SRV"]:
      return ` ${readName(message, at + 6).name}:${message.u16(at + 4)} ${message.u16(at)} ${message.u16(at + 2)}`;
    default:
      return "";
  }
}

function textData(message: Bytes, from: number, length: number): string {
  let out = "";
  for (let at = from; at < from + length; ) {
    const size = message.u8(at);
    let text = "";
    for (let i = 1; i <= size; i++) text += String.fromCharCode(message.u8(at + i));
    out += ` "${text}"`;
    at += 1 + size;
  }
  return out;
}

/** RFC 5952's form. */
function ipv6Text(bytes: Bytes, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.u16(at + 2 * i).toString(16));
  const runs = [...groups.join(":").matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)].sort(
    (a, b) => b[0].length - a[0].length || a.index - b.index,
  );
  const text = groups.join(":");
  const run = runs[0];
  if (run === undefined) return text;
  return `${text.slice(0, run.index).replace(/:$/, "")}::${text.slice(run.index + run[0].length).replace(/^:/, "")}`;
}
