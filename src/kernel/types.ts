/**
 * The two doors between programs and the kernel, as Linux has them: netlink and sockets. Types only;
 * `kernel.ts` implements them over the Wasm module. Addresses are numbers (see base/addr.ts).
 * Refusals throw KernelError with Linux's errno name.
 */
import type { Cidr, Ipv4, Mac } from "../base/addr.ts";
import type { Errno } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import type { XfrmApi } from "./xfrm-types.ts";

/** Same shape as scheduler's Waitable, so that sockets can be waited for. */
export interface Wakeable {
  addWaiter(waiter: { wake(source: Wakeable): void }): void;
  removeWaiter(waiter: { wake(source: Wakeable): void }): void;
}

// ---------------------------------------------------------------------------------------------- hosts

/** One Linux machine: its root network namespace and the ones made in it. */
export interface HostKernel {
  readonly name: string;
  readonly index: number;
  /** The root network namespace; its name is `host`. */
  readonly root: NetNs;
  /** Makes a network namespace (with a `lo` that is down). `name` is how capture points and `ip netns` call it. */
  createNs(name: string): NetNs;
  /** Namespaces in order of creation, the root first. */
  namespaces(): readonly NetNs[];
  /** Packets dropped on this host so far, by reason (names of `assembly/abi.ts`). */
  drops(): Record<string, number>;
  /**
   * AES-GCM under a key of 16, 24 or 32 bytes, for programs that seal much; the key holds memory until it is closed or
   * the host loses power. Absent in stand-ins: then base/aes-gcm.ts does the same, slower.
   */
  aead?(key: Uint8Array): Aead;
}

/** AES-GCM with nonces of 12 bytes and tags of 16, as AesGcm in base/aes-gcm.ts. */
export interface Aead {
  /** Encrypts and authenticates: returns the ciphertext followed by the tag. */
  seal(nonce: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array): Uint8Array;
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
  readonly socket: SocketApi;
  /** net.* values as sysctl(8) names them, e.g. `net.ipv4.ip_forward`. Unknown names: ENOENT. */
  sysctlGet(name: string): number;
  sysctlSet(name: string, value: number): void;
  /** /proc/net/snmp-like counters: Ip*, Icmp*, Tcp*, Udp*, TcpExt*. */
  snmp(): Record<string, number>;
}

// ---------------------------------------------------------------------------------------------- links

export type LinkKind = "loopback" | "veth" | "bridge" | "vxlan" | "nic";

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
  /** veth: the peer's namespace; vxlan: the namespace of its UDP socket. */
  readonly peerNs: NetNs | undefined;
  readonly vxlan?: VxlanConfig;
  readonly bridge?: { readonly ageing: Time; readonly portCount: number };
  /** bridge port number (1..1023) when enslaved, else 0. */
  readonly portNo: number;
  readonly stats: LinkStats;
}

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

export type LinkSpec =
  | { kind: "veth"; name: string; mac?: Mac; mtu?: number; peer: { name: string; ns?: NetNs; mac?: Mac; mtu?: number } }
  | { kind: "bridge"; name: string; mac?: Mac; mtu?: number; ageing?: Time }
  | ({ kind: "vxlan"; name: string; mac?: Mac; mtu?: number } & Partial<Omit<VxlanConfig, "vni">> & { vni: number });

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

export type Scope = "global" | "link" | "host" | "nowhere";

export interface AddrInfo {
  readonly dev: number;
  readonly addr: Cidr;
  readonly broadcast: Ipv4 | undefined;
  readonly scope: Scope;
}

export interface AddrApi {
  /** EEXIST when the address is there. Adds the local, broadcast and connected routes as Linux does. */
  add(dev: DevRef, addr: Cidr, options?: { broadcast?: Ipv4; scope?: Scope }): void;
  del(dev: DevRef, addr: Cidr): void;
  list(dev?: DevRef): AddrInfo[];
}

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

export interface NeighApi {
  /** `replace`: false gives EEXIST where there is one (NLM_F_EXCL), true overwrites (`ip neigh replace`). */
  add(dev: DevRef, ip: Ipv4, mac: Mac, options?: { state?: NeighState; replace?: boolean }): void;
  del(dev: DevRef, ip: Ipv4): void;
  list(dev?: DevRef): NeighInfo[];
}

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

export type TableName = "raw" | "mangle" | "nat" | "filter";
export type HookName = "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";
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

export type RuleTarget =
  | { kind: "ACCEPT" | "DROP" | "RETURN" | "NOTRACK" }
  | { kind: "JUMP"; chain: string }
  | { kind: "REJECT"; with?: "icmp-port-unreachable" | "tcp-reset" }
  | { kind: "MARK"; value: number; mask?: number }
  | { kind: "DNAT" | "SNAT"; ip?: Ipv4; ports?: readonly [number, number] }
  | { kind: "MASQUERADE" }
  | { kind: "REDIRECT"; ports?: readonly [number, number] };

export interface Rule {
  match: RuleMatch;
  target?: RuleTarget;
  comment?: string;
}

export interface ChainInfo {
  readonly name: string;
  readonly hook: HookName | undefined;
  readonly policy: "ACCEPT" | "DROP" | undefined;
  readonly packets: number;
  readonly bytes: number;
  readonly rules: readonly (Rule & { readonly packets: number; readonly bytes: number })[];
}

export interface IptablesApi {
  newChain(table: TableName, chain: string): void;
  deleteChain(table: TableName, chain: string): void;
  flush(table: TableName, chain?: string): void;
  setPolicy(table: TableName, chain: HookName, policy: "ACCEPT" | "DROP"): void;
  append(table: TableName, chain: string, rule: Rule): void;
  /** `position` from 1, as `iptables -I CHAIN position`. */
  insert(table: TableName, chain: string, rule: Rule, position?: number): void;
  /** Deletes the first equal rule; ENOENT when there is none. */
  delete(table: TableName, chain: string, rule: Rule): void;
  /** `iptables -C`. */
  check(table: TableName, chain: string, rule: Rule): boolean;
  /** Chains in iptables-save's order (built-in ones in hook order, then by name). Undefined when the table was never used. */
  list(table: TableName): ChainInfo[] | undefined;
}

export interface ConntrackTuple {
  readonly src: Ipv4;
  readonly dst: Ipv4;
  readonly sport: number;
  readonly dport: number;
}

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

export interface ConntrackApi {
  list(): ConntrackInfo[];
  flush(): void;
  count(): number;
}

// ---------------------------------------------------------------------------------------------- sockets

export interface SocketApi {
  udp(): UdpSocket;
  tcp(): TcpSocket;
  /** A ping socket (IPPROTO_ICMP datagram socket as busybox/iputils ping use when unprivileged; raw semantics otherwise). */
  icmp(): IcmpSocket;
  /** A raw socket of an IP protocol. */
  raw(protocol: number): RawSocket;
  /** What `ss` lists. */
  list(): SocketInfo[];
}

export interface SocketInfo {
  readonly protocol: "tcp" | "udp" | "raw" | "icmp";
  readonly state: string;
  readonly localIp: Ipv4;
  readonly localPort: number;
  readonly remoteIp: Ipv4;
  readonly remotePort: number;
  readonly rxQueue: number;
  readonly txQueue: number;
  /** What the program that opened it calls itself (setOwner). */
  readonly owner: string;
}

/** What all sockets share. Every socket is a Wakeable: it wakes on readable, writable, error and close. */
export interface Socket extends Wakeable {
  readonly closed: boolean;
  /** Takes and clears the pending error (SO_ERROR). */
  takeError(): Errno | undefined;
  setOwner(name: string): void;
  close(): void;
  localAddress(): { ip: Ipv4; port: number };
}

export interface Datagram {
  readonly data: Uint8Array;
  readonly src: Ipv4;
  readonly srcPort: number;
  /** Destination address of the packet (IP_PKTINFO). */
  readonly dst: Ipv4;
  readonly ttl: number;
  readonly time: Time;
}

export type PmtuDiscovery = "want" | "do" | "dont";

/** A packet generator of a UDP socket. */
export interface UdpGenerator {
  /** Datagrams sent, refused by the kernel, and still to be sent. */
  counts(): { readonly sent: number; readonly failed: number; readonly left: number };
}

export interface UdpSocket extends Socket {
  /** ip 0 = any; port 0 = an ephemeral one. */
  bind(ip: Ipv4, port: number): void;
  connect(ip: Ipv4, port: number): void;
  /** Throws EMSGSIZE, ENETUNREACH, EHOSTUNREACH, ECONNREFUSED (a pending ICMP error of a connected socket), EPERM (netfilter). */
  sendTo(data: Uint8Array, ip: Ipv4, port: number): void;
  send(data: Uint8Array): void;
  tryRecv(): Datagram | undefined;
  /**
   * Lets the kernel send `count` datagrams of `size` bytes of a fixed pattern, the first one now and the others every
   * `interval` ns (as pktgen does, but through the socket). Closing the socket ends it. Throws EMSGSIZE.
   */
  generate(ip: Ipv4, port: number, size: number, interval: Time, count: number): UdpGenerator;
  /** Counts what arrives, and frees it, instead of queueing it for tryRecv. */
  setSink(on: boolean): void;
  /** Datagrams and bytes of payload that have come to the socket. */
  received(): { readonly packets: number; readonly bytes: number };
  setBroadcast(on: boolean): void;
  setTtl(ttl: number): void;
  setPmtuDiscovery(mode: PmtuDiscovery): void;
}

export interface IcmpReply {
  readonly type: number;
  readonly code: number;
  readonly id: number;
  readonly seq: number;
  readonly src: Ipv4;
  readonly ttl: number;
  readonly time: Time;
  /** Data behind the 8-byte ICMP header. */
  readonly data: Uint8Array;
  /** For error messages: next-hop MTU of a frag-needed, else 0. */
  readonly info: number;
}

export interface IcmpSocket extends Socket {
  readonly id: number;
  /** Sends an echo request. Throws as UdpSocket.sendTo does. */
  sendEcho(ip: Ipv4, seq: number, data: Uint8Array): void;
  /** Echo replies to this socket's id, and ICMP errors about its requests. */
  tryRecv(): IcmpReply | undefined;
  setTtl(ttl: number): void;
  setPmtuDiscovery(mode: PmtuDiscovery): void;
  /** The path MTU known for a destination, as EMSGSIZE's message quotes it. */
  pathMtu(ip: Ipv4): number;
}

export interface RawSocket extends Socket {
  sendTo(payload: Uint8Array, ip: Ipv4): void;
  /** Whole IP packets. */
  tryRecv(): Datagram | undefined;
}

export type TcpState =
  | "CLOSED"
  | "LISTEN"
  | "SYN_SENT"
  | "SYN_RECV"
  | "ESTABLISHED"
  | "FIN_WAIT1"
  | "FIN_WAIT2"
  | "CLOSE_WAIT"
  | "CLOSING"
  | "LAST_ACK"
  | "TIME_WAIT";

export interface TcpSocket extends Socket {
  readonly state: TcpState;
  bind(ip: Ipv4, port: number): void;
  listen(backlog: number): void;
  /** Starts connecting; wait, then look at `state` or takeError(). */
  connect(ip: Ipv4, port: number): void;
  /** A connection that completed its handshake, or undefined. */
  tryAccept(): TcpSocket | undefined;
  /** Up to `max` bytes; an empty array at end of stream; undefined when nothing is there yet. Throws the pending error. */
  tryRecv(max: number): Uint8Array | undefined;
  /** Bytes taken (0 when the send buffer is full). Throws EPIPE and pending errors. */
  trySend(data: Uint8Array): number;
  /** Sends FIN after what is queued. */
  shutdown(): void;
  /** RST at once. */
  abort(): void;
  remoteAddress(): { ip: Ipv4; port: number };
  setKeepalive(on: boolean, idle?: Time, interval?: Time, probes?: number): void;
  setNoDelay(on: boolean): void;
  /** Bytes queued for sending and not yet acknowledged. */
  readonly unacked: number;
  /** tcp_info's most used fields. */
  info(): {
    srttUs: number;
    rtoUs: number;
    cwnd: number;
    ssthresh: number;
    mss: number;
    retransmits: number;
    rcvWnd: number;
  };
}
