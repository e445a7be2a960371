/** Evaluates capture filters on frames, as libpcap's compiled programs do (gencode.c, bpf_filter.c). */
import type { Ipv4 } from "../../../base/addr.ts";
import { Bytes, Truncated } from "./bytes.ts";
import { type Direction, ETHER_PROTOCOLS, type Filter, IP_PROTOCOLS, type Value } from "./filter.ts";

/** A frame as filters see it. */
export interface FilteredFrame {
  readonly data: Uint8Array;
  readonly length: number;
  readonly outgoing: boolean;
}

/** Whether a frame passes. */
export function matchesFilter(filter: Filter | undefined, frame: FilteredFrame): boolean {
  if (filter === undefined) return true;
  try {
    return new Frame(frame).matches(filter);
  } catch (error) {
    // A packet that is too short for what is asked of it doesn't match (bpf_filter).
    if (error instanceof Truncated) return false;
    throw error;
  }
}

class Frame {
  readonly #frame: FilteredFrame;
  readonly #bytes: Bytes;

  constructor(frame: FilteredFrame) {
    this.#frame = frame;
    this.#bytes = new Bytes(frame.data);
  }

  get #etherType(): number {
    return this.#bytes.u16(12);
  }

  get #ipProtocol(): number | undefined {
    return this.#etherType === 0x0800 ? this.#bytes.u8(23) : undefined;
  }

  get #isFragment(): boolean {
    return (this.#bytes.u16(20) & 0x1fff) !== 0;
  }

  get #transport(): number {
    return 14 + (this.#bytes.u8(14) & 15) * 4;
  }

  matches(filter: Filter): boolean {
    switch (filter.kind) {
      case "and":
        return this.matches(filter.left) && this.matches(filter.right);
      case "or":
        return this.matches(filter.left) || this.matches(filter.right);
      case "not":
        return !this.matches(filter.inner);
      case "protocol":
        return this.#is(filter.name);
      case "host":
      case "net":
        return this.#address(filter);
      case "mac":
        return direct(filter.direction, this.#bytes.macText(6) === filter.mac, this.#bytes.macText(0) === filter.mac);
      case "port":
        return this.#port(filter);
      case "number":
        return (filter.of === "ether" ? this.#etherType : this.#ipProtocol) === filter.value;
      case "length":
        return (
          this.#frame.length >= (filter.least ?? 0) && this.#frame.length <= (filter.most ?? Number.MAX_SAFE_INTEGER)
        );
      case "cast":
        return this.#cast(filter);
      case "way":
        return this.#frame.outgoing === filter.outgoing;
      case "relation":
        return compare(filter.operator, this.#value(filter.left), this.#value(filter.right));
    }
  }

  #is(name: string): boolean {
    if (name === "ether") return true;
    const type = ETHER_PROTOCOLS[name];
    return type === undefined ? this.#ipProtocol === IP_PROTOCOLS[name] : this.#etherType === type;
  }

  #address(filter: Filter & { kind: "host" | "net" }): boolean {
    const type = this.#etherType;
    if (filter.protocol !== "" && !this.#is(filter.protocol)) return false;
    const at = type === 0x0800 ? 26 : type === 0x0806 || type === 0x8035 ? 28 : undefined;
    if (at === undefined) return false;
    const test = (ip: Ipv4) =>
      filter.kind === "host" ? filter.ips.includes(ip) : (ip & filter.mask) >>> 0 === (filter.ip & filter.mask) >>> 0;
    return direct(filter.direction, test(this.#bytes.ip(at)), test(this.#bytes.ip(type === 0x0800 ? 30 : 38)));
  }

  #port(filter: Filter & { kind: "port" }): boolean {
    const protocol = this.#ipProtocol;
    const wanted = filter.protocol === "" || filter.protocol === "ip" ? [6, 17, 132] : [IP_PROTOCOLS[filter.protocol]];
    if (protocol === undefined || !wanted.includes(protocol) || this.#isFragment) return false;
    const test = (port: number) => port >= filter.from && port <= filter.to;
    const at = this.#transport;
    return direct(filter.direction, test(this.#bytes.u16(at)), test(this.#bytes.u16(at + 2)));
  }

  #cast({ of, broadcast }: Filter & { kind: "cast" }): boolean {
    if (of === "ip")
      return (
        this.#etherType === 0x0800 &&
        (broadcast ? (this.#bytes.ip(30) & 0xff) === 0xff || this.#bytes.ip(30) === 0 : this.#bytes.u8(30) >= 224)
      );
    return broadcast ? this.#bytes.macText(0) === "ff:ff:ff:ff:ff:ff" : (this.#bytes.u8(0) & 1) !== 0;
  }

  #value(value: Value): number {
    switch (value.kind) {
      case "number":
        return value.value;
      case "length":
        return this.#frame.length;
      case "bytes":
        return this.#read(value);
      case "operation":
        return calculate(value.operator, this.#value(value.left), this.#value(value.right));
    }
  }

  #read({ protocol, offset, size }: Value & { kind: "bytes" }): number {
    if (!this.#is(protocol)) throw new Truncated();
    let at = protocol === "ether" ? 0 : 14;
    if (protocol in IP_PROTOCOLS) {
      if (this.#isFragment) throw new Truncated();
      at = this.#transport;
    }
    at += this.#value(offset);
    return size === 1 ? this.#bytes.u8(at) : size === 2 ? this.#bytes.u16(at) : this.#bytes.u32(at);
  }
}

function direct(direction: Direction, src: boolean, dst: boolean): boolean {
  if (direction === "src") return src;
  if (direction === "dst") return dst;
  return direction === "both" ? src && dst : src || dst;
}

function compare(operator: string, a: number, b: number): boolean {
  if (operator === "=") return a === b;
  if (operator === "!=") return a !== b;
  if (operator === "<") return a < b;
  if (operator === ">") return a > b;
  return operator === "<=" ? a <= b : a >= b;
}

/** 32-bit arithmetic without sign. */
function calculate(operator: string, a: number, b: number): number {
  switch (operator) {
    case "+":
      return (a + b) >>> 0;
    case "-":
      return (a - b) >>> 0;
    case "*":
      return Math.imul(a, b) >>> 0;
    case "/":
      if (b === 0) throw new Truncated();
      return Math.floor(a / b);
    case "&":
      return (a & b) >>> 0;
    case "|":
      return (a | b) >>> 0;
    case "^":
      return (a ^ b) >>> 0;
    case "<<":
      return (a << b) >>> 0;
    default:
      return a >>> b;
  }
}
