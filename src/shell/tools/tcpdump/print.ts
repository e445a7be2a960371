/** Frames as tcpdump 4.99 prints them: Ethernet, ARP, IPv4, ICMP, UDP, VXLAN, ESP (print-ether.c, print-arp.c, print-ip.c …). */
import { formatIpv4, type Ipv4 } from "../../../base/addr.ts";
import { Bytes, checksum, hex, hexDump, shouldBe, Truncated } from "./bytes.ts";
import { printDns } from "./print-dns.ts";
import { printTcp, TcpConnections } from "./print-tcp.ts";

/** What is called by name; undefined for what has none, or with -n. */
export interface Names {
  host(ip: Ipv4): string | undefined;
  port(port: number, protocol: "tcp" | "udp"): string | undefined;
  /** `-n`: numbers only, also for protocols and the broadcast address of Ethernet. */
  readonly numeric: boolean;
}

/** How frames are printed. */
export interface PrintOptions {
  /** `-v`, `-vv`, `-vvv` */
  readonly verbose: number;
  /** `-e` */
  readonly linkLevel: boolean;
  /** `-q` */
  readonly quick: boolean;
  /** `-S` */
  readonly absolute: boolean;
}

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "ICMP",
  2: "IGMP",
  4: "IPIP",
  6: "TCP",
  17: "UDP",
  41: "IPv6",
  47: "GRE",
  50: "ESP",
  51: "AH",
  132: "SCTP",
};
/** /etc/protocols' names. */
const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: "icmp",
  2: "igmp",
  4: "ipencap",
  6: "tcp",
  17: "udp",
  41: "ipv6",
  47: "gre",
  50: "esp",
  51: "ah",
  132: "sctp",
};
const ETHER_TYPES: Readonly<Record<number, string>> = { 2048: "IPv4", 2054: "ARP", 34525: "IPv6", 33024: "802.1Q" };

const PORT_DNS = 53;
const PORT_VXLAN = 4789;
const MORE_FRAGMENTS = 0x2000;
const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** Prints one capture's frames, in their order. */
export class Printer {
  readonly #options: PrintOptions;
  readonly #names: Names;
  readonly #connections: TcpConnections;

  constructor(options: PrintOptions, names: Names, connections = new TcpConnections()) {
    this.#options = options;
    this.#names = names;
    this.#connections = connections;
  }

  /** The same with other names, which leaves no trace: to learn what names will be asked for. */
  rehearsal(names: Names): Printer {
    return new Printer(this.#options, names, this.#connections.copy());
  }

  /** A frame without its time. @param length on the wire */
  frame(data: Uint8Array, length: number): string {
    return this.#guard("ether", () => this.#ethernet(new Bytes(data), length));
  }

  /** A packet behind a cooked header, of which only the type is known (`-i any`). */
  packet(type: number, data: Uint8Array, length: number): string {
    return this.#guard("ether", () => this.#payload(type, new Bytes(data), length, false));
  }

  #guard(protocol: string, print: () => string): string {
    try {
      return print();
    } catch (error) {
      if (error instanceof Truncated) return ` [|${protocol}]`;
      throw error;
    }
  }

  // ------------------------------------------------------------------------------------------------ link

  #ethernet(frame: Bytes, length: number): string {
    if (frame.length < 14) return " [|ether]";
    const type = frame.u16(12);
    const known = type in ETHER_TYPES && type !== 33024;
    const body = () => this.#payload(type, frame.from(14), length - 14, this.#options.linkLevel || !known);
    if (!this.#options.linkLevel && known) return body();
    const mac = (at: number) => {
      const text = frame.macText(at);
      return text === BROADCAST && !this.#names.numeric ? "Broadcast" : text;
    };
    const name = ETHER_TYPES[type] ?? "Unknown";
    const what = this.#options.quick ? name : `ethertype ${name} (${hex(type, 4)})`;
    return `${mac(6)} > ${mac(0)}, ${what}, length ${length}: ${body()}`;
  }

  /** @param headed an Ethernet header was printed, which said what it is */
  #payload(type: number, bytes: Bytes, length: number, headed: boolean): string {
    if (type === 0x0800) return this.#ip(bytes, length, headed ? "" : "IP ");
    if (type === 0x0806) return (headed ? "" : "ARP, ") + this.#guard("arp", () => this.#arp(bytes, length));
    if (type === 0x86dd) return `${headed ? "" : "IP6 "}length ${length}`;
    return hexDump(bytes.data, false);
  }

  #arp(packet: Bytes, length: number): string {
    const operation = packet.u16(6);
    const [hardware, protocol] = [packet.u8(4), packet.u8(5)];
    if (packet.u16(0) !== 1 || packet.u16(2) !== 0x0800 || hardware !== 6 || protocol !== 4)
      return `Unknown Hardware (${packet.u16(0)}) (len ${hardware}), Unknown Protocol (${hex(packet.u16(2), 4)}) (len ${protocol}), length ${length}`;
    const head = this.#options.verbose > 0 ? "Ethernet (len 6), IPv4 (len 4), " : "";
    const host = (at: number) => this.#host(packet.ip(at));
    let text: string;
    if (operation === 1) {
      const target = packet.isZero(18, 6)
        ? ""
        : ` (${packet.macText(18) === BROADCAST && !this.#names.numeric ? "Broadcast" : packet.macText(18)})`;
      text = `Request who-has ${host(24)}${target} tell ${host(14)}`;
    } else if (operation === 2) text = `Reply ${host(14)} is-at ${packet.macText(8)}`;
    else text = `Unknown (${operation})`;
    return `${head}${text}, length ${length}`;
  }

  // ------------------------------------------------------------------------------------------------ IP

  #host(ip: Ipv4): string {
    return this.#names.host(ip) ?? formatIpv4(ip);
  }

  #ip(packet: Bytes, length: number, head: string): string {
    if (packet.length < 20) return `${head}[|ip]`;
    const version = packet.u8(0) >>> 4;
    if (version !== 4) return `${head === "" ? "IP " : head}, wrong link-layer encapsulation`;
    const headerLength = (packet.u8(0) & 15) * 4;
    if (headerLength < 20) return `${head}bad-hlen ${headerLength}`;
    const total = packet.u16(2);
    if (length < total && total !== 0) head += `truncated-ip - ${total - length} bytes missing! `;
    const fragment = packet.u16(6);
    const offset = (fragment & 0x1fff) * 8;
    const protocol = packet.u8(9);
    let out = head;
    if (this.#options.verbose > 0) out += `${this.#ipHeader(packet, headerLength, offset)}\n    `;
    // What stands behind the packet is padding.
    const payloadLength = Math.min(total === 0 ? length : total, length) - headerLength;
    const payload = packet.from(headerLength, payloadLength);
    if (offset > 0) {
      const name = this.#names.numeric ? undefined : PROTOCOL_NAMES[protocol];
      return `${out}${this.#host(packet.ip(12))} > ${this.#host(packet.ip(16))}: ${name ?? `ip-proto-${protocol}`}`;
    }
    return out + this.#transport(packet, payload, payloadLength, protocol, (fragment & MORE_FRAGMENTS) !== 0);
  }

  #ipHeader(packet: Bytes, headerLength: number, offset: number): string {
    const tos = packet.u8(1);
    const ecn = ["", ",ECT(1)", ",ECT(0)", ",CE"][tos & 3];
    const ttl = packet.u8(8);
    const bits = packet.u16(6);
    const flags = [
      (bits & MORE_FRAGMENTS) !== 0 ? "+" : "",
      (bits & 0x4000) !== 0 ? "DF" : "",
      (bits & 0x8000) !== 0 ? "rsvd" : "",
    ];
    const named = flags.filter((flag) => flag !== "").join(", ");
    const protocol = packet.u8(9);
    const name = PROTOCOLS[protocol];
    const sum = checksum(packet.data.subarray(0, headerLength));
    const bad =
      sum === 0 ? "" : `, bad cksum ${packet.u16(10).toString(16)} (->${shouldBe(packet.u16(10), sum).toString(16)})!`;
    return (
      `(tos ${hex(tos)}${ecn}${ttl > 0 ? `, ttl ${ttl}` : ""}, id ${packet.u16(4)}, offset ${offset}, ` +
      `flags [${named === "" ? "none" : named}], proto ${name === undefined ? `unknown (${protocol})` : `${name} (${protocol})`}, ` +
      `length ${packet.u16(2)}${headerLength > 20 ? ", options" : ""}${bad})`
    );
  }

  #transport(ip: Bytes, payload: Bytes, length: number, protocol: number, fragmented: boolean): string {
    const [src, dst] = [ip.ip(12), ip.ip(16)];
    const hosts = `${this.#host(src)} > ${this.#host(dst)}:`;
    const pseudo = new Uint8Array(12);
    pseudo.set(ip.data.subarray(12, 20));
    new DataView(pseudo.buffer).setUint32(8, (protocol << 16) | length);
    switch (protocol) {
      case 1:
        return `${hosts} ${this.#guard("icmp", () => this.#icmp(payload, length, fragmented))}`;
      case 6:
        return this.#guard("tcp", () =>
          printTcp(payload, length, this.#connections, {
            ...this.#options,
            endpoints: this.#endpoints(src, dst, payload, "tcp"),
            src,
            dst,
            pseudoHeader: pseudo,
            fragmented,
          }),
        );
      case 17:
        return this.#guard("udp", () =>
          this.#udp(payload, length, this.#endpoints(src, dst, payload, "udp"), pseudo, fragmented),
        );
      case 50:
        return `${hosts} ${this.#guard("esp", () => `ESP(spi=${hex(payload.u32(0), 8)},seq=${hex(payload.u32(4))}), length ${length}`)}`;
      default: {
        const name = this.#names.numeric ? undefined : PROTOCOL_NAMES[protocol];
        return `${hosts}  ${name ?? `ip-proto-${protocol}`} ${length}`;
      }
    }
  }

  #endpoints(src: Ipv4, dst: Ipv4, header: Bytes, protocol: "tcp" | "udp"): string {
    const port = (at: number) => this.#names.port(header.u16(at), protocol) ?? String(header.u16(at));
    return `${this.#host(src)}.${port(0)} > ${this.#host(dst)}.${port(2)}:`;
  }

  // ------------------------------------------------------------------------------------------------ UDP and above

  #udp(datagram: Bytes, length: number, endpoints: string, pseudo: Uint8Array, fragmented: boolean): string {
    const [sport, dport] = [datagram.u16(0), datagram.u16(2)];
    const size = datagram.u16(4);
    const data = Math.max(0, size - 8);
    if (this.#options.quick) return `${endpoints} UDP, length ${data}`;
    let out = endpoints;
    if (this.#options.verbose > 1 && !fragmented) {
      const field = datagram.u16(6);
      const sum = checksum(pseudo, datagram.data.subarray(0, length));
      if (field === 0) out += " [no cksum]";
      else if (datagram.length >= length)
        out += sum === 0 ? " [udp sum ok]" : ` [bad udp cksum ${hex(field, 4)} -> ${hex(shouldBe(field, sum), 4)}!]`;
    }
    // The first of several fragments holds a part of it.
    const inside = Math.min(data, length - 8);
    const body = datagram.from(8, inside);
    if (sport === PORT_DNS || dport === PORT_DNS)
      return out + this.#guard("domain", () => printDns(body, inside, { verbose: this.#options.verbose }));
    if (sport === PORT_VXLAN || dport === PORT_VXLAN)
      return `${out} ${this.#guard("vxlan", () => this.#vxlan(body, inside))}`;
    return `${out} UDP, length ${data}`;
  }

  /** print-vxlan.c: the frame inside follows on a line of its own. */
  #vxlan(packet: Bytes, length: number): string {
    const flags = packet.u8(0);
    const vni = packet.u32(4) >>> 8;
    const named = (flags & 0x08) !== 0 ? "I" : ".";
    return `VXLAN, flags [${named}] (${hex(flags, 2)}), vni ${vni}\n${this.#guard("ether", () => this.#ethernet(packet.from(8), length - 8))}`;
  }

  // ------------------------------------------------------------------------------------------------ ICMP

  #icmp(message: Bytes, length: number, fragmented: boolean): string {
    const [type, code] = [message.u8(0), message.u8(1)];
    let out = `ICMP ${this.#icmpText(message, type, code)}, length ${length}`;
    if (this.#options.verbose > 0 && !fragmented && message.length >= length) {
      const sum = checksum(message.data.subarray(0, length));
      if (sum !== 0) {
        const field = message.u16(2);
        out += ` (wrong icmp cksum ${field.toString(16)} (->${shouldBe(field, sum).toString(16)})!)`;
      }
    }
    const error = type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
    if (this.#options.verbose > 0 && error)
      out += `\n\t${this.#ip(message.from(8), message.u16(10), this.#options.linkLevel ? "" : "IP ")}`;
    return out;
  }

  #icmpText(message: Bytes, type: number, code: number): string {
    switch (type) {
      case 0:
      case 8:
        return `echo ${type === 0 ? "reply" : "request"}, id ${message.u16(4)}, seq ${message.u16(6)}`;
      case 3:
        return this.#unreachable(message, code);
      case 5: {
        const what = ["net", "host", "tos", "tos and net"][code] ?? "code";
        return `redirect ${this.#host(message.ip(24))} to ${what} ${this.#host(message.ip(4))}`;
      }
      case 11:
        return code === 0
          ? "time exceeded in-transit"
          : code === 1
            ? "ip reassembly time exceeded"
            : `time exceeded-#${code}`;
      case 12:
        return code === 0 ? `parameter problem - octet ${message.u8(4)}` : `parameter problem - code ${code}`;
      case 13:
        return `time stamp query id ${message.u16(4)} seq ${message.u16(6)}`;
      default:
        return `type-#${type}`;
    }
  }

  #unreachable(message: Bytes, code: number): string {
    const target = () => this.#host(message.ip(24));
    switch (code) {
      case 0:
        return `net ${target()} unreachable`;
      case 1:
        return `host ${target()} unreachable`;
      case 2:
        return `${target()} protocol ${message.u8(17)} unreachable`;
      case 3: {
        const header = (message.u8(8) & 15) * 4;
        const protocol = message.u8(17);
        const port = message.u16(8 + header + 2);
        if (protocol !== 6 && protocol !== 17) return `${target()} protocol ${protocol} port ${port} unreachable`;
        const name = protocol === 6 ? "tcp" : "udp";
        return `${target()} ${name} port ${this.#names.port(port, name) ?? port} unreachable`;
      }
      case 4: {
        const mtu = message.u16(6);
        return `${target()} unreachable - need to frag${mtu === 0 ? "" : ` (mtu ${mtu})`}`;
      }
      case 9:
        return `net ${target()} unreachable - admin prohibited`;
      case 10:
        return `host ${target()} unreachable - admin prohibited`;
      case 13:
        return `host ${target()} unreachable - admin prohibited filter`;
      default:
        return `${target()} unreachable - #${code}`;
    }
  }
}
