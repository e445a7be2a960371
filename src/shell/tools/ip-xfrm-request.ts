/** The words that `ip xfrm state` and `ip xfrm policy` share: ids, selectors, marks, limits (iproute2 6.1 ip/ipxfrm.c). */
import { type Cidr, parseCidr } from "../../base/addr.ts";
import type { XfrmMark, XfrmSelector } from "../../kernel/xfrm-types.ts";
import { Answer, addressOf, prefixOf, type Request, take } from "./ip-request.ts";

const PROTOCOLS: Record<string, number> = { icmp: 1, tcp: 6, udp: 17, dccp: 33, esp: 50, sctp: 132 };
const ALL = 0xffffffff;
/** Initial size and limit of the kernel's hash tables, as `-s` counts them. */
const FIRST_BUCKETS = 7;
/** Most buckets of a hash table (`ip xfrm policy set hthresh`). */
export const MAX_BUCKETS = 1_048_576;

/** Dies: an argument is wrong. */
export function wrong(word: string, message: string): never {
  throw new Answer(`Error: argument "${word}" is wrong: ${message}`, 255);
}

/** Dies: the kernel here has no such thing. */
export function unsupported(): never {
  throw new Answer("RTNETLINK answers: Protocol not supported", 2);
}

/** An unsigned number in decimal, hexadecimal or octal notation (strtoul with base 0). */
export function number(request: Request, after: string, max = ALL): number {
  const word = take(request, after);
  const octal = /^0[0-7]+$/.test(word);
  const value = octal ? Number.parseInt(word, 8) : /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : Number.NaN;
  return value >= 0 && value <= max ? value : wrong(word, `"${after}" value is invalid`);
}

/** The next word, one of those known; dies for others. */
export function word(request: Request, after: string, known: readonly string[]): string {
  const text = take(request, after);
  return known.includes(text) ? text : wrong(text, `"${after}" value is invalid`);
}

/** The first of `known` that begins with the word, as matches() finds it; undefined when none does. */
export function verbOf(request: Request, known: readonly string[], fallback: string): string {
  const text = request.words.shift();
  return text === undefined ? fallback : (known.find((one) => one.startsWith(text)) ?? text);
}

/** What the command line of either object may hold. */
export interface Parts {
  src: Cidr;
  dst: Cidr;
  spi: number | undefined;
  reqid: number | undefined;
  mark: XfrmMark | undefined;
  protocol: number;
  sport: number;
  dport: number;
  limits: { hardBytes?: number; hardPackets?: number };
}

const ANY: Cidr = { ip: 0, prefix: 0 };

/** A selector in the making. */
export function parts(): Parts {
  return {
    src: ANY,
    dst: ANY,
    spi: undefined,
    reqid: undefined,
    mark: undefined,
    protocol: 0,
    sport: 0,
    dport: 0,
    limits: {},
  };
}

/** `mark V [mask M]`; the word `mark` is gone. */
export function markOf(request: Request): XfrmMark {
  const value = number(request, "mark");
  if (request.words[0] !== "mask") return { value, mask: ALL };
  request.words.shift();
  return { value, mask: number(request, "mask") };
}

/** `limit packet-hard N` and its kind; what the kernel has no timers for is refused. */
export function limitOf(request: Request, limits: Parts["limits"]): void {
  const kind = take(request, "limit");
  const value = number(request, kind, Number.MAX_SAFE_INTEGER);
  if (kind === "byte-hard") limits.hardBytes = value;
  else if (kind === "packet-hard") limits.hardPackets = value;
  else if (["byte-soft", "packet-soft"].includes(kind) || kind.startsWith("time-")) unsupported();
  else wrong(kind, '"limit" value is invalid');
}

function protocolOf(request: Request): number {
  const text = take(request, "proto");
  const value = PROTOCOLS[text] ?? (/^\d+$/.test(text) ? Number(text) : Number.NaN);
  return value <= 255 ? value : wrong(text, '"PROTO" value is invalid');
}

/** Words of a selector behind its prefixes (xfrm_selector_upspec_parse); false when the word is none. */
function upperOf(request: Request, name: string, into: Parts): boolean {
  if (name === "proto") into.protocol = protocolOf(request);
  else if (name === "sport" || name === "type") into.sport = number(request, name, 0xffff);
  else if (name === "dport" || name === "code") into.dport = number(request, name, 0xffff);
  else return false;
  return true;
}

/** `src`, `dst` with prefixes and the rest of a selector (xfrm_selector_parse). */
export function selectorPart(request: Request, name: string, into: Parts): boolean {
  if (name === "src" || name === "dst") {
    into[name] = prefixOf(request, take(request, name), "inet");
    return true;
  }
  return upperOf(request, name, into);
}

/** The selector that was made. */
export function selectorOf({ src, dst, protocol, sport, dport }: Parts): XfrmSelector {
  return { src, dst, protocol, sport, dport };
}

/** An id: `src A dst B proto esp spi S` (xfrm_id_parse). False when the word is no part of one. */
export function idPart(request: Request, name: string, into: Parts): boolean {
  if (name === "src" || name === "dst")
    into[name] = { ip: addressOf(request, stripped(take(request, name))), prefix: 32 };
  else if (name === "spi") into.spi = number(request, "spi");
  else if (name === "proto") {
    const protocol = word(request, "XFRM-PROTO", ["esp", "ah", "comp", "route2", "hao"]);
    if (protocol !== "esp") unsupported();
    into.protocol = PROTOCOLS["esp"] as number;
  } else return false;
  return true;
}

/** An address may be written with its full prefix. */
function stripped(text: string): string {
  return parseCidr(text)?.prefix === 32 ? (text.split("/")[0] as string) : text;
}

/** Hash buckets after the table has grown with its entries. */
export function buckets(entries: number): number {
  let mask = FIRST_BUCKETS;
  while (entries > mask) mask = 2 * mask + 1;
  return mask;
}
