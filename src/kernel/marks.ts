/** Marks: what happened to a packet between the devices that a capture sees (assembly/link/marks.ts), as the kernel wrote it. */
import * as abi from "../../assembly/abi.ts";
import type { Ipv4, Mac } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import { DROP_REASON_NAMES } from "./reasons.ts";

/** The first bytes of a packet. */
export interface MarkedPacket {
  /** Whether they begin at an IPv4 header; else at an Ethernet header. */
  readonly atIp: boolean;
  /** Of the whole packet, from there on. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** An address and a port (of ICMP: the id). */
export interface MarkedEnd {
  readonly ip: Ipv4;
  readonly port: number;
}

/** A hook of netfilter, as chains are named after it. */
export type HookName = "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";

/** A table of netfilter. */
export type TableName = "raw" | "mangle" | "nat" | "filter";

/** The type of a route, as `ip route` names it. */
export type RouteTypeName =
  | "none"
  | "unicast"
  | "local"
  | "broadcast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit";

/** Who took a packet. */
export type ReceiverName =
  | "UDP"
  | "TCP"
  | "TCP listener"
  | "TCP handshake or TIME_WAIT"
  | "ICMP"
  | "raw"
  | "ARP"
  | "ARP proxy"
  | "SCTP";

/** What happened. */
export type MarkEvent =
  /** It was sent because of another packet. */
  | { readonly kind: "cause"; readonly parent: number }
  /** It ended here. */
  | {
      readonly kind: "drop";
      /** A name of DROP_REASON_NAMES. */
      readonly reason: string;
      /** Where it was going: 0 and "none" where it wasn't routed. */
      readonly nextHop: Ipv4;
      readonly route: RouteTypeName;
      /** Of the route, where the packet was too long for it; else 0. */
      readonly mtu: number;
      readonly packetMark: number;
      readonly packet: MarkedPacket;
    }
  /** A packet of this host goes to LOCAL_OUT, over a route. */
  | {
      readonly kind: "output";
      readonly nextHop: Ipv4;
      readonly route: RouteTypeName;
      readonly mtu: number;
      readonly packet: MarkedPacket;
    }
  /** It was routed, or routed again. The device is the one it leaves by, where it does. */
  | { readonly kind: "route"; readonly nextHop: Ipv4; readonly route: RouteTypeName }
  /** Its next hop's MAC address; with `waits` it waits for that. */
  | {
      readonly kind: "neighbour";
      readonly ip: Ipv4;
      readonly state: string;
      readonly mac: Mac;
      readonly waits: boolean;
    }
  /** A bridge chose. The device is the port, or the bridge itself. */
  | { readonly kind: "bridge"; readonly choice: "port" | "flood" | "local"; readonly ports: number; readonly mac: Mac }
  /** A tunnel wrapped it, for the VTEP that its FDB names. */
  | {
      readonly kind: "vxlan-out";
      readonly vni: number;
      readonly remote: Ipv4;
      readonly own: Ipv4;
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly mac: Mac;
      readonly entry: "learned" | "permanent" | "default";
    }
  /** A tunnel unwrapped it. */
  | {
      readonly kind: "vxlan-in";
      readonly vni: number;
      readonly remote: Ipv4;
      readonly own: Ipv4;
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly mac: Mac;
    }
  /** NAT rewrote one end of it. */
  | {
      readonly kind: "nat";
      readonly end: "source" | "destination";
      readonly hook: HookName;
      readonly protocol: number;
      readonly from: MarkedEnd;
      readonly to: MarkedEnd;
    }
  /** A rule had its target done, or a policy dropped it (rule 0). */
  | {
      readonly kind: "rule";
      readonly table: TableName;
      readonly hook: HookName;
      readonly chain: string;
      /** From 1, as `iptables -L --line-numbers` counts; 0: the chain's policy. */
      readonly number: number;
      readonly target: string;
    }
  /** IPVS took it to a destination, or a reply back. */
  | {
      readonly kind: "ipvs";
      readonly protocol: number;
      readonly fwmark: number;
      readonly client: MarkedEnd;
      readonly service: MarkedEnd;
      readonly destination: MarkedEnd;
      readonly method: "masquerade" | "local" | "tunnel" | "route";
      readonly reply: boolean;
      /** It began the connection: the scheduler chose. */
      readonly scheduled: boolean;
    }
  /** IPsec sealed or opened it. */
  | {
      readonly kind: "esp-out" | "esp-in";
      readonly spi: number;
      readonly sequence: number;
      readonly source: Ipv4;
      readonly destination: Ipv4;
      readonly reqid: number;
    }
  /** It was cut into pieces. */
  | { readonly kind: "fragment"; readonly mtu: number; readonly length: number }
  /** It was put together. */
  | { readonly kind: "reassembled"; readonly length: number; readonly largest: number }
  /** A socket, or the kernel itself, took it. */
  | {
      readonly kind: "deliver";
      readonly to: ReceiverName;
      readonly local: MarkedEnd;
      readonly remote: MarkedEnd;
    };

/** A mark, where and when. */
export type PacketMark = MarkPlace & MarkEvent;

/** Where and when a mark was written. */
export interface MarkPlace {
  readonly time: Time;
  readonly hostIndex: number;
  /** Per host, one count with captured frames. */
  readonly seq: number;
  /** The packet's, as CapturedFrame has it. */
  readonly journey: number;
  /** Host-unique number of the namespace; undefined on the wire. */
  readonly namespace: number | undefined;
  /** Name of the device, "" where there is none. */
  readonly device: string;
  readonly ifindex: number;
}

const HOOKS: readonly HookName[] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
const TABLES: readonly TableName[] = ["raw", "mangle", "nat", "filter"];
const CHOICES = ["port", "port", "flood", "local"] as const;
const ENTRIES = ["learned", "learned", "permanent", "default"] as const;
const METHODS = ["masquerade", "local", "tunnel", "route"] as const;
const ROUTES: Readonly<Record<number, RouteTypeName>> = {
  [abi.RTN_UNICAST]: "unicast",
  [abi.RTN_LOCAL]: "local",
  [abi.RTN_BROADCAST]: "broadcast",
  [abi.RTN_MULTICAST]: "multicast",
  [abi.RTN_BLACKHOLE]: "blackhole",
  [abi.RTN_UNREACHABLE]: "unreachable",
  [abi.RTN_PROHIBIT]: "prohibit",
};
const TARGETS: Readonly<Record<number, string>> = {
  [abi.T_DROP]: "DROP",
  [abi.T_REJECT]: "REJECT",
  [abi.T_MARK]: "MARK",
  [abi.T_DNAT]: "DNAT",
  [abi.T_SNAT]: "SNAT",
  [abi.T_MASQUERADE]: "MASQUERADE",
  [abi.T_REDIRECT]: "REDIRECT",
  [abi.T_NOTRACK]: "NOTRACK",
};
const STATES: Readonly<Record<number, string>> = {
  [abi.NUD_INCOMPLETE]: "INCOMPLETE",
  [abi.NUD_REACHABLE]: "REACHABLE",
  [abi.NUD_STALE]: "STALE",
  [abi.NUD_DELAY]: "DELAY",
  [abi.NUD_PROBE]: "PROBE",
  [abi.NUD_FAILED]: "FAILED",
  [abi.NUD_NOARP]: "NOARP",
  [abi.NUD_PERMANENT]: "PERMANENT",
};
const RECEIVERS: readonly ReceiverName[] = [
  "UDP",
  "UDP",
  "TCP",
  "TCP listener",
  "TCP handshake or TIME_WAIT",
  "ICMP",
  "raw",
  "ARP",
  "SCTP",
  "ARP proxy",
];

/** What a mark says of its place, without time and journey. */
type MarkBody = Pick<MarkPlace, "namespace" | "device" | "ifindex"> & MarkEvent;

/**
 * Reads a mark's body.
 * @param kind MARK_*
 * @param length CAP_LEN of its record
 */
export function readMark(kind: number, length: number, body: DataView): MarkBody {
  const ns = body.getUint32(abi.MARK_NS, true);
  return {
    namespace: ns === 0 ? undefined : ns - 1,
    ifindex: body.getUint32(abi.MARK_IFINDEX, true),
    device: text(body, abi.MARK_DEVICE, 16),
    ...readEvent(kind, length, body),
  };
}

function text(body: DataView, at: number, most: number): string {
  let out = "";
  for (let i = at; i < at + most; i++) {
    const byte = body.getUint8(i);
    if (byte === 0) break;
    out += String.fromCharCode(byte);
  }
  return out;
}

function packet(length: number, body: DataView): MarkedPacket {
  const atIp = length >= abi.MARK_AT_IP;
  const at = body.byteOffset + abi.MARK_BODY;
  return {
    atIp,
    length: atIp ? length - abi.MARK_AT_IP : length,
    bytes: new Uint8Array(body.buffer, at, body.byteLength - abi.MARK_BODY) as Uint8Array,
  };
}

function readEvent(kind: number, length: number, body: DataView): MarkEvent {
  const w = (i: number): number => body.getUint32(abi.MARK_ARGS + 4 * i, true);
  const mac = (i: number): Mac =>
    body.getUint16(abi.MARK_ARGS + 4 * i) * 2 ** 32 + body.getUint32(abi.MARK_ARGS + 4 * i + 2);
  const route = (i: number): RouteTypeName => ROUTES[w(i)] ?? "none";
  switch (kind) {
    case abi.MARK_CAUSE:
      return { kind: "cause", parent: w(1) * 2 ** 32 + w(0) };
    case abi.MARK_DROP:
      return {
        kind: "drop",
        reason: DROP_REASON_NAMES[w(0)] ?? "NOT_SPECIFIED",
        nextHop: w(1),
        route: route(2),
        mtu: w(3),
        packetMark: w(4),
        packet: packet(length, body),
      };
    case abi.MARK_OUTPUT:
      return { kind: "output", nextHop: w(0), route: route(1), mtu: w(2), packet: packet(length, body) };
    case abi.MARK_ROUTE:
      return { kind: "route", nextHop: w(0), route: route(1) };
    case abi.MARK_NEIGH:
      return { kind: "neighbour", ip: w(0), state: STATES[w(1)] ?? "NONE", mac: mac(2), waits: w(4) !== 0 };
    case abi.MARK_FDB:
      return { kind: "bridge", choice: CHOICES[w(0)] ?? "port", ports: w(1), mac: mac(2) };
    case abi.MARK_VXLAN_OUT:
      return { kind: "vxlan-out", ...tunnel(w), mac: mac(5), entry: ENTRIES[w(7)] ?? "learned" };
    case abi.MARK_VXLAN_IN:
      return { kind: "vxlan-in", ...tunnel(w), mac: mac(5) };
    default:
      return readWork(kind, w, body);
  }
}

function tunnel(w: (i: number) => number) {
  return { remote: w(0), vni: w(1), own: w(2), sourcePort: w(3), destinationPort: w(4) };
}

function end(w: (i: number) => number, i: number): MarkedEnd {
  return { ip: w(i), port: w(i + 1) };
}

function readWork(kind: number, w: (i: number) => number, body: DataView): MarkEvent {
  switch (kind) {
    case abi.MARK_NAT: {
      const ends = { from: end(w, 1), to: end(w, 3) };
      const which = w(0) === 0 ? "source" : "destination";
      return { kind: "nat", end: which, hook: HOOKS[w(5)] ?? "PREROUTING", protocol: w(6), ...ends };
    }
    case abi.MARK_RULE:
      return {
        kind: "rule",
        table: TABLES[w(0)] ?? "filter",
        hook: HOOKS[w(1)] ?? "PREROUTING",
        chain: text(body, abi.MARK_BODY, abi.CHAIN_NAME),
        number: w(3),
        target: TARGETS[w(2)] ?? "DROP",
      };
    case abi.MARK_IPVS:
      return {
        kind: "ipvs",
        protocol: w(0) & 255,
        fwmark: w(0) >>> 8,
        client: end(w, 1),
        service: end(w, 3),
        destination: end(w, 5),
        method: METHODS[w(7) & abi.VS_CONN_F_FWD_MASK] ?? "masquerade",
        reply: (w(7) & abi.IPVS_MARK_REPLY) !== 0,
        scheduled: (w(7) & abi.IPVS_MARK_NEW) !== 0,
      };
    case abi.MARK_ESP_OUT:
    case abi.MARK_ESP_IN: {
      const sa = { spi: w(0), sequence: w(1), source: w(2), destination: w(3), reqid: w(4) };
      return { kind: kind === abi.MARK_ESP_OUT ? "esp-out" : "esp-in", ...sa };
    }
    case abi.MARK_FRAGMENT:
      return { kind: "fragment", mtu: w(0), length: w(1) };
    case abi.MARK_REASSEMBLED:
      return { kind: "reassembled", length: w(0), largest: w(1) };
    default:
      assert(kind === abi.MARK_DELIVER, "a kind of mark", kind);
      return { kind: "deliver", to: RECEIVERS[w(0)] ?? "raw", local: end(w, 1), remote: end(w, 3) };
  }
}
