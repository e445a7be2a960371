/**
 * The two doors between programs and the kernel, as Linux has them: netlink and sockets. Types only;
 * `kernel.ts` implements them over the Wasm module. Addresses are numbers (see base/addr.ts).
 * Refusals throw KernelError with Linux's errno name.
 */
import type { Cidr, Ipv4, Mac } from "../base/addr.ts";
import type { Time } from "../base/time.ts";
import type { IpvsApi } from "./ipvs-types.ts";
import type { TrafficMeter } from "./meter-types.ts";
import type { SocketApi } from "./socket-types.ts";
import type { XfrmApi } from "./xfrm-types.ts";

// ---------------------------------------------------------------------------------------------- hosts

/** One Linux machine: its root network namespace and the ones made in it. */
export interface HostKernel {
  readonly name: string;
  readonly index: number;
  /** The root network namespace; its name is `host`. */
  readonly root: NetNs;
  /** Makes a network namespace (with a `lo` that is down). `name` is how capture points and `ip netns` call it. */
  createNs(name: string): NetNs;
  /** Namespaces in order of creation, the root first; those that were unparked come last, parked ones not at all. */
  namespaces(): readonly NetNs[];
  /**
   * Sets a namespace aside, without open sockets: it lives on in the kernel and its packets flow, but no object stands for
   * it. Captures that were chosen for its links go on. The object is dead afterwards. A million containers need this.
   * @returns what unpark() takes: the namespace's number, valid until it is destroyed, or its host loses power
   */
  park(ns: NetNs): number;
  /** A namespace that was parked, to work in again, under its old name; one that isn't parked is given as it is. */
  unpark(id: number): NetNs;
  /** The parked namespaces, in the order in which they were parked. */
  parked(): readonly { readonly id: number; readonly name: string }[];
  /** Packets dropped on this host so far, by reason (names of `assembly/abi.ts`). */
  drops(): Record<string, number>;
  /**
   * Grows with each change of its links and addresses, so that whoever looks at them knows when to look again. Absent in
   * stand-ins.
   */
  readonly linkChanges?: number;
  /**
   * AES-GCM under a key of 16, 24 or 32 bytes, for programs that seal much; the key holds memory until it is closed or
   * the host loses power. Absent in stand-ins: then base/aes-gcm.ts does the same, slower.
   */
  aead?(key: Uint8Array): Aead;
  /** Measures traffic that the kernel makes; held until it is closed or the host loses power. Absent in stand-ins. */
  meter?(): TrafficMeter;
  /** The n-th number (32 bits) of a stream of exponentially distributed ones with mean 1. Absent in stand-ins. */
  exponential?(seed: readonly [number, number], n: number): number;
}

/** AES-GCM with nonces of 12 bytes and tags of 16, as AesGcm in base/aes-gcm.ts. */
export interface Aead {
  /**
   * Encrypts and authenticates: returns the ciphertext followed by the tag.
   * @param head bytes in front of them, which the caller fills; default 0
   */
  seal(nonce: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array, head?: number): Uint8Array;
  /** Checks and decrypts what seal() made; undefined when the tag does not match. */
  open(nonce: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array | undefined;
  /** Forgets the key. */
  close(): void;
}

/** A network namespace: netlink, iptables, sysctl and sockets in it. */
export interface NetNs {
  readonly name: string;
  readonly host: HostKernel;
  readonly alive: boolean;
  rename(name: string): void;
  /** Closes its sockets, deletes its virtual links (a veth's peer goes too; a NIC goes back to the root), frees everything. */
  destroy(): void;

  readonly link: LinkApi;
  readonly addr: AddrApi;
  readonly route: RouteApi;
  readonly neigh: NeighApi;
  readonly fdb: FdbApi;
  readonly iptables: IptablesApi;
  readonly conntrack: ConntrackApi;
  readonly xfrm: XfrmApi;
  readonly ipvs: IpvsApi;
  readonly socket: SocketApi;
  /** net.* values as sysctl(8) names them, e.g. `net.ipv4.ip_forward`. Unknown names: ENOENT. */
  sysctlGet(name: string): number;
  sysctlSet(name: string, value: number): void;
  /** /proc/net/snmp-like counters: Ip*, Icmp*, Tcp*, Udp*, TcpExt*. */
  snmp(): Record<string, number>;
}

// ---------------------------------------------------------------------------------------------- links

/** What a device is; `loopback` and `nic` exist without being made. */
export type LinkKind = "loopback" | "veth" | "bridge" | "vxlan" | "nic";

/** Counters of a device (struct rtnl_link_stats64). */
export interface LinkStats {
  rxPackets: number;
  rxBytes: number;
  rxErrors: number;
  rxDropped: number;
  txPackets: number;
  txBytes: number;
  txErrors: number;
  txDropped: number;
}

/** A device as `ip -d link show` tells it. */
export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly kind: LinkKind;
  readonly mac: Mac;
  readonly mtu: number;
  /** IFF_UP: set by the administrator. */
  readonly up: boolean;
  /** IFF_RUNNING/LOWER_UP: up and its peer, wire or any port is up. */
  readonly carrier: boolean;
  readonly promisc: boolean;
  /** ifindex of the bridge it is enslaved to, 0 if none. */
  readonly master: number;
  /** veth: the peer's ifindex (IFLA_LINK), else 0. */
  readonly peerIndex: number;
  /** veth: the peer's namespace, undefined too while that is parked; vxlan: the namespace of its UDP socket. */
  readonly peerNs: NetNs | undefined;
  readonly vxlan?: VxlanConfig;
  readonly bridge?: { readonly ageing: Time; readonly portCount: number; readonly defaultPvid: number };
  /** bridge port number (1..1023) when enslaved, else 0. */
  readonly portNo: number;
  readonly stats: LinkStats;
}

/** What `ip link add … type vxlan` takes. */
export interface VxlanConfig {
  readonly vni: number;
  readonly port: number;
  readonly learning: boolean;
  readonly proxy: boolean;
  readonly l2miss: boolean;
  readonly l3miss: boolean;
  readonly udpCsum: boolean;
  /** 0 = the host's default. */
  readonly ttl: number;
  readonly tos: number;
  readonly ageing: Time;
}

/** A device to be made, and where. */
export type LinkSpec =
  | { kind: "veth"; name: string; mac?: Mac; mtu?: number; peer: { name: string; ns?: NetNs; mac?: Mac; mtu?: number } }
  /** `defaultPvid`: the VLAN of ports without one of their own; default 1. VLANs aren't filtered, so it is only shown. */
  | { kind: "bridge"; name: string; mac?: Mac; mtu?: number; ageing?: Time; defaultPvid?: number }
  | ({ kind: "vxlan"; name: string; mac?: Mac; mtu?: number } & Partial<Omit<VxlanConfig, "vni">> & { vni: number });

/** What `ip link set` changes; what is left out stays. */
export interface LinkChange {
  up?: boolean;
  mtu?: number;
  mac?: Mac;
  name?: string;
  /** ifindex of a bridge in the same namespace, 0 to release. EXFULL beyond 1023 ports. */
  master?: number;
  /** Moves the device; it goes down and loses its addresses, keeps its ifindex if that is free there. */
  ns?: NetNs;
  hairpin?: boolean;
}

/** A device is named by its ifindex or its name. */
export type DevRef = number | string;

/** Devices of a namespace (`ip link`). Refusals are KernelErrors. */
export interface LinkApi {
  /**
   * Makes a link (down). Names over 15 characters EINVAL, taken names EEXIST; returns its ifindex. A veth's peer gets
   * the next higher one.
   */
  add(spec: LinkSpec): number;
  set(dev: DevRef, change: LinkChange): void;
  /** Deletes a link; a veth takes its peer along. */
  del(dev: DevRef): void;
  list(): LinkInfo[];
  /** ENODEV when there is none. */
  get(dev: DevRef): LinkInfo;
  /**
   * A packet socket on a device (AF_PACKET): takes every frame that it receives or sends.
   * @param snaplen bytes kept of a frame
   */
  tap(dev: DevRef, snaplen: number): PacketTap;
}

/** A frame that a packet socket took. */
export interface TappedFrame {
  readonly time: Time;
  /** Order of the host's frames of one instant. */
  readonly seq: number;
  readonly outgoing: boolean;
  /** Length on the wire; `data` may be shorter. */
  readonly length: number;
  readonly data: Uint8Array;
}

/**
 * A packet socket. It wakes nobody: frames come in blocks, as with Linux' TPACKET_V3, and whoever wants them looks now and
 * then. All that came before the instant at which one looks is there then.
 */
export interface PacketTap {
  tryRecv(): TappedFrame | undefined;
  readonly received: number;
  /** Of those, how many were lost because nobody took them. */
  readonly dropped: number;
  /** The device was deleted. */
  readonly gone: boolean;
  close(): void;
}

// ---------------------------------------------------------------------------- addresses, routes, neighbours

/** Scope of an address or route (rtnetlink RT_SCOPE_*). */
export type Scope = "global" | "link" | "host" | "nowhere";

/** An address as `ip address` tells it. */
export interface AddrInfo {
  readonly dev: number;
  readonly addr: Cidr;
  readonly broadcast: Ipv4 | undefined;
  readonly scope: Scope;
}

/** Addresses of a namespace. EEXIST, EINVAL, EADDRNOTAVAIL as the kernel gives them. */
export interface AddrApi {
  /** EEXIST when the address is there. Adds the local, broadcast and connected routes as Linux does. */
  add(dev: DevRef, addr: Cidr, options?: { broadcast?: Ipv4; scope?: Scope }): void;
  del(dev: DevRef, addr: Cidr): void;
  list(dev?: DevRef): AddrInfo[];
}

/** A route as `ip route` tells it. */
export interface RouteInfo {
  readonly dst: Cidr;
  readonly via: Ipv4 | undefined;
  readonly dev: number;
  readonly src: Ipv4 | undefined;
  readonly scope: Scope;
  readonly protocol: "kernel" | "boot" | "static";
  readonly type: "unicast" | "local" | "broadcast" | "blackhole" | "unreachable" | "prohibit";
  readonly table: "main" | "local";
  readonly metric: number;
}

/** A route to add or delete; what is left out is the kernel's default. */
export interface RouteSpec {
  dst: Cidr;
  via?: Ipv4;
  dev?: DevRef;
  src?: Ipv4;
  metric?: number;
  type?: RouteInfo["type"];
  protocol?: RouteInfo["protocol"];
  scope?: Scope;
}

/** Routes of a namespace. EEXIST, ESRCH, ENETUNREACH as the kernel gives them. */
export interface RouteApi {
  /** EEXIST for the same destination and metric; ENETUNREACH when `via` is not on a connected network. */
  add(route: RouteSpec): void;
  del(route: RouteSpec): void;
  list(table?: "main" | "local"): RouteInfo[];
  /** What `ip route get` shows; throws ENETUNREACH. */
  lookup(
    dst: Ipv4,
    src?: Ipv4,
  ): { dev: number; via: Ipv4 | undefined; src: Ipv4; type: RouteInfo["type"]; mtu: number };
}

/** State of a neighbour (NUD_*). */
export type NeighState =
  | "INCOMPLETE"
  | "REACHABLE"
  | "STALE"
  | "DELAY"
  | "PROBE"
  | "FAILED"
  | "NOARP"
  | "PERMANENT"
  | "NONE";

/** A neighbour as `ip -s neigh` tells it. */
export interface NeighInfo {
  readonly dev: number;
  readonly ip: Ipv4;
  readonly mac: Mac | undefined;
  readonly state: NeighState;
  /** Probes sent in the present state. */
  readonly probes: number;
  /** Virtual times of last use, confirmation and update (for `ip -s neigh`). */
  readonly used: Time;
  readonly confirmed: Time;
  readonly updated: Time;
}

/** Neighbours of a namespace. */
export interface NeighApi {
  /** `replace`: false gives EEXIST where there is one (NLM_F_EXCL), true overwrites (`ip neigh replace`). */
  add(dev: DevRef, ip: Ipv4, mac: Mac, options?: { state?: NeighState; replace?: boolean }): void;
  del(dev: DevRef, ip: Ipv4): void;
  list(dev?: DevRef): NeighInfo[];
}

/** An entry as `bridge fdb` tells it. */
export interface FdbInfo {
  readonly dev: number;
  readonly mac: Mac;
  /** `self`: an entry of the device itself (a vxlan's, or its own MAC); `master`: of the bridge above it. */
  readonly owner: "self" | "master";
  /** vxlan entries: the VTEP. */
  readonly dst: Ipv4 | undefined;
  readonly permanent: boolean;
  /** Virtual time of last refresh. */
  readonly updated: Time;
  readonly used: Time;
}

/** Forwarding databases of bridges and vxlan devices. */
export interface FdbApi {
  /** `bridge fdb add/replace/append MAC dev DEV dst IP self permanent`, or a static entry of a bridge port with owner `master`. */
  add(
    dev: DevRef,
    mac: Mac,
    options: { dst?: Ipv4; owner?: "self" | "master"; replace?: boolean; append?: boolean },
  ): void;
  del(dev: DevRef, mac: Mac, options?: { dst?: Ipv4; owner?: "self" | "master" }): void;
  list(dev?: DevRef): FdbInfo[];
}

// ---------------------------------------------------------------------------------------------- netfilter

/** Tables of iptables. */
export type TableName = "raw" | "mangle" | "nat" | "filter";

/** Hooks of netfilter, as the names of built-in chains. */
export type HookName = "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";

/** States of `-m conntrack --ctstate`. */
export type CtState = "NEW" | "ESTABLISHED" | "RELATED" | "INVALID" | "UNTRACKED";

/** A value that may be inverted with `!`. */
export interface Not<T> {
  readonly value: T;
  readonly not: boolean;
}

/** The matches of one rule, in the order in which iptables-save prints them. */
export interface RuleMatch {
  src?: Not<Cidr>;
  dst?: Not<Cidr>;
  inDev?: Not<string>;
  outDev?: Not<string>;
  /** `tcp`, `udp`, `icmp`, `sctp`, `esp`, `all` or a number. */
  protocol?: Not<string>;
  sport?: Not<readonly [number, number]>;
  dport?: Not<readonly [number, number]>;
  ctstate?: Not<readonly CtState[]>;
  /** `ctstate` was asked for as `-m state --state`, xt_conntrack's older name: another rule to iptables, the same to packets. */
  stateModule?: true;
  addrtypeSrc?: Not<"LOCAL" | "UNICAST" | "BROADCAST" | "MULTICAST">;
  addrtypeDst?: Not<"LOCAL" | "UNICAST" | "BROADCAST" | "MULTICAST">;
  mark?: Not<readonly [value: number, mask: number]>;
  /** xt_u32's expression text, e.g. `0>>22&0x3C@12&0xFFFFFF00=0x100200`. */
  u32?: string;
  /** xt_policy: `--dir in --pol none|ipsec`. */
  policy?: { dir: "in" | "out"; pol: "none" | "ipsec" };
  /** xt_ipvs `--ipvs`. */
  ipvs?: boolean;
  icmpType?: Not<number>;
  /** xt_statistic --mode random --probability, for loss faults. */
  probability?: number;
}

/** What a rule does (`-j`). */
export type RuleTarget =
  | { kind: "ACCEPT" | "DROP" | "RETURN" | "NOTRACK" }
  | { kind: "JUMP"; chain: string }
  | { kind: "REJECT"; with?: "icmp-port-unreachable" | "tcp-reset" }
  | { kind: "MARK"; value: number; mask?: number }
  | { kind: "DNAT" | "SNAT"; ip?: Ipv4; ports?: readonly [number, number] }
  | { kind: "MASQUERADE" }
  | { kind: "REDIRECT"; ports?: readonly [number, number] };

/** A rule of iptables. */
export interface Rule {
  match: RuleMatch;
  target?: RuleTarget;
  comment?: string;
}

/** A chain with its rules and counters. */
export interface ChainInfo {
  readonly name: string;
  readonly hook: HookName | undefined;
  readonly policy: "ACCEPT" | "DROP" | undefined;
  readonly packets: number;
  readonly bytes: number;
  readonly rules: readonly (Rule & { readonly packets: number; readonly bytes: number })[];
}

/** Tables of a namespace; a chain that does not exist is ENOENT. */
export interface IptablesApi {
  newChain(table: TableName, chain: string): void;
  deleteChain(table: TableName, chain: string): void;
  /** The table has a chain of that name. */
  hasChain(table: TableName, chain: string): boolean;
  flush(table: TableName, chain?: string): void;
  setPolicy(table: TableName, chain: HookName, policy: "ACCEPT" | "DROP"): void;
  append(table: TableName, chain: string, rule: Rule): void;
  /** `position` from 1, as `iptables -I CHAIN position`. */
  insert(table: TableName, chain: string, rule: Rule, position?: number): void;
  /** Deletes the first equal rule; ENOENT when there is none. */
  delete(table: TableName, chain: string, rule: Rule): void;
  /** `iptables -C`. */
  check(table: TableName, chain: string, rule: Rule): boolean;
  /**
   * `iptables -Z`: sets the counters of every chain of the table, of one chain, or of its rule at `position` (from 1)
   * to 0. ENOENT when there is no such chain or rule.
   */
  zero(table: TableName, chain?: string, position?: number): void;
  /** Chains in iptables-save's order (built-in ones in hook order, then by name). Undefined when the table was never used. */
  list(table: TableName): ChainInfo[] | undefined;
}

/** One direction of a connection; of ICMP the id is `sport`, type × 256 + code `dport`. */
export interface ConntrackTuple {
  readonly src: Ipv4;
  readonly dst: Ipv4;
  readonly sport: number;
  readonly dport: number;
}

/** A tracked connection. */
export interface ConntrackInfo {
  readonly protocol: number;
  /** TCP state name (`ESTABLISHED`, …), undefined for other protocols. */
  readonly state: string | undefined;
  readonly original: ConntrackTuple;
  readonly reply: ConntrackTuple;
  readonly unreplied: boolean;
  readonly assured: boolean;
  readonly mark: number;
  /** Nanoseconds left. */
  readonly timeout: Time;
}

/** Connection tracking of a namespace. */
export interface ConntrackApi {
  list(): ConntrackInfo[];
  /** `conntrack -D`: forgets the connections that fit, and returns them as they were. */
  delete(fits: (flow: ConntrackInfo) => boolean): ConntrackInfo[];
  flush(): void;
  count(): number;
}
