/** TCP as tcpdump prints it (print-tcp.c), with sequence numbers counted from the connection's first. */
import type { Ipv4 } from "../../../base/addr.ts";
import { type Bytes, checksum, hex, shouldBe, Truncated } from "./bytes.ts";
import { printDns } from "./print-dns.ts";

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const URG = 0x20;

/** In the order in which tcpdump names them. */
const FLAGS: readonly (readonly [number, string])[] = [
  [FIN, "F"],
  [SYN, "S"],
  [RST, "R"],
  [0x08, "P"],
  [ACK, "."],
  [URG, "U"],
  [0x40, "E"],
  [0x80, "W"],
];

/** Ports whose data is read as HTTP. */
const HTTP_PORTS = [80, 8080, 3128];

const DNS_PORT = 53;

function dnsText(payload: Bytes, verbose: number): string {
  try {
    const size = payload.u16(0);
    return payload.length < 2 + size
      ? " [prefix length > available]"
      : printDns(payload.from(2, size), size, { verbose });
  } catch (error) {
    if (error instanceof Truncated) return " [|domain]";
    throw error;
  }
}

/** The beginnings of a connection's sequence numbers, of both directions. */
interface Beginning {
  readonly seq: number;
  readonly ack: number;
}

/** What tcpdump remembers of connections. */
export class TcpConnections {
  readonly #known = new Map<string, Beginning>();

  /** Where a segment's numbers count from; the first segment with ACK makes it known, and is itself shown as it is. */
  lookUp(key: string, reversed: boolean, seq: number, ack: number, syn: boolean): Beginning | undefined {
    const known = this.#known.get(key);
    if (known !== undefined && !syn) return known;
    this.#known.set(key, reversed ? { seq: (ack - 1) >>> 0, ack: seq } : { seq, ack: (ack - 1) >>> 0 });
    return undefined;
  }

  get(key: string): Beginning | undefined {
    return this.#known.get(key);
  }

  copy(): TcpConnections {
    const copy = new TcpConnections();
    for (const [key, value] of this.#known) copy.#known.set(key, value);
    return copy;
  }
}

/** How TCP is printed. */
export interface TcpOptions {
  readonly verbose: number;
  readonly quick: boolean;
  /** `-S` */
  readonly absolute: boolean;
  /** What the addresses and ports are called, up to the colon. */
  readonly endpoints: string;
  readonly src: Ipv4;
  readonly dst: Ipv4;
  readonly pseudoHeader: Uint8Array;
  /** The packet is a fragment: there is no checksum to check. */
  readonly fragmented: boolean;
}

/** @param length of the segment in its packet, which may be longer than what was captured */
export function printTcp(segment: Bytes, length: number, connections: TcpConnections, options: TcpOptions): string {
  const [sport, dport] = [segment.u16(0), segment.u16(2)];
  const headerLength = (segment.u8(12) >>> 4) * 4;
  let out = `${options.endpoints} `;
  if (options.quick) return `${out}tcp ${length - headerLength}`;
  let [seq, ack] = [segment.u32(4), segment.u32(8)];
  const flags = segment.u8(13);
  const names = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  out += `Flags [${names.length === 0 ? "none" : names.join("")}]`;
  const reversed = sport > dport || (sport === dport && options.src > options.dst);
  let beginning: Beginning | undefined;
  if (!options.absolute && (flags & ACK) !== 0) {
    const ends = reversed ? [options.dst, options.src, dport, sport] : [options.src, options.dst, sport, dport];
    const key = ends.join(" ");
    const known = connections.lookUp(key, reversed, seq, ack, (flags & SYN) !== 0);
    beginning = connections.get(key);
    if (known !== undefined) {
      seq = (seq - (reversed ? known.ack : known.seq)) >>> 0;
      ack = (ack - (reversed ? known.seq : known.ack)) >>> 0;
    }
  }
  if (headerLength > length) return `${out} [bad hdr length ${headerLength}, > ${length}]`;
  if (options.verbose > 0 && !options.fragmented && segment.length >= length) {
    const field = segment.u16(16);
    const sum = checksum(options.pseudoHeader, segment.data.subarray(0, length));
    out += `, cksum ${hex(field, 4)} (${sum === 0 ? "correct" : `incorrect -> ${hex(shouldBe(field, sum), 4)}`})`;
  }
  const data = length - headerLength;
  if (options.verbose > 1 || data > 0 || (flags & (SYN | FIN | RST)) !== 0)
    out += `, seq ${seq}${data > 0 ? `:${(seq + data) >>> 0}` : ""}`;
  if ((flags & ACK) !== 0) out += `, ack ${ack}`;
  out += `, win ${segment.u16(14)}`;
  if ((flags & URG) !== 0) out += `, urg ${segment.u16(18)}`;
  if (headerLength > 20)
    out += `, options [${optionsText(segment.from(20, headerLength - 20), flags, reversed, beginning)}]`;
  out += `, length ${data}`;
  if (data <= 0) return out;
  const payload = segment.from(headerLength);
  if (HTTP_PORTS.includes(sport) || HTTP_PORTS.includes(dport))
    return `${out}: HTTP${httpText(payload, data, options.verbose)}`;
  // A message stands behind its length (RFC 1035 §4.2.2).
  if (sport === DNS_PORT || dport === DNS_PORT) return out + dnsText(payload, options.verbose);
  return out;
}

function optionsText(options: Bytes, flags: number, reversed: boolean, beginning: Beginning | undefined): string {
  const out: string[] = [];
  for (let at = 0; at < options.length; ) {
    const kind = options.u8(at);
    if (kind === 0 || kind === 1) {
      out.push(kind === 0 ? "eol" : "nop");
      if (kind === 0) break;
      at++;
      continue;
    }
    const size = options.u8(at + 1);
    if (size < 2) {
      out.push(`opt-${kind}:len ${size}`);
      break;
    }
    out.push(optionText(options, at, kind, size, flags, reversed, beginning));
    at += size;
  }
  return out.join(",");
}

function optionText(
  options: Bytes,
  at: number,
  kind: number,
  size: number,
  flags: number,
  reversed: boolean,
  beginning: Beginning | undefined,
): string {
  switch (kind) {
    case 2:
      return `mss ${options.u16(at + 2)}`;
    case 3:
      return `wscale ${options.u8(at + 2)}`;
    case 4:
      return "sackOK";
    case 5: {
      if ((size - 2) % 8 !== 0 || (flags & ACK) === 0) return "sack malformed";
      const base = beginning === undefined ? 0 : reversed ? beginning.seq : beginning.ack;
      let out = `sack ${(size - 2) / 8} `;
      for (let i = at + 2; i < at + size; i += 8)
        out += `{${(options.u32(i) - base) >>> 0}:${(options.u32(i + 4) - base) >>> 0}}`;
      return out;
    }
    case 8:
      return `TS val ${options.u32(at + 2)} ecr ${options.u32(at + 6)}`;
    default: {
      const data = Array.from({ length: size - 2 }, (_, i) =>
        options
          .u8(at + 2 + i)
          .toString(16)
          .padStart(2, "0"),
      );
      return `unknown-${kind}${data.length === 0 ? "" : ` 0x${data.join("")}`}`;
    }
  }
}

const HTTP_LINE =
  /^(?:(?:GET|PUT|COPY|HEAD|LOCK|MOVE|POLL|POST|BCOPY|BMOVE|MKCOL|TRACE|LABEL|MERGE|DELETE|SEARCH|UNLOCK|REPORT|UPDATE|NOTIFY|BDELETE|CONNECT|OPTIONS|CHECKIN|PROPFIND|CHECKOUT|SUBSCRIBE|PROPPATCH)(?=[ \t\r\n])|HTTP\/)/;

/** What stands behind `HTTP`: the first line of a request or response, with -v all of its head (print-http.c, txtproto_print). */
function httpText(payload: Bytes, length: number, verbose: number): string {
  const text = Array.from(payload.data, (byte) => String.fromCharCode(byte)).join("");
  if (!HTTP_LINE.test(text)) return "";
  const lines: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = /\r?\n/.exec(text.slice(at));
    const line = text.slice(at, end === null ? undefined : at + end.index);
    at = end === null ? text.length : at + end.index + end[0].length;
    lines.push(line.replace(/[^\x20-\x7e\t]/g, "."));
    if (verbose === 0 || line === "") break;
  }
  return verbose === 0 ? `: ${lines[0]}` : `, length: ${length}\n\t${lines.join("\n\t")}`;
}
