/**
 * Sockets as programs have them (socket(2) and its relatives), the second of the two doors of types.ts. Nothing blocks:
 * a call that cannot go on returns undefined or 0, and the socket wakes its waiters when it can. Refusals throw
 * KernelError with Linux's errno name.
 */
import type { Ipv4 } from "../base/addr.ts";
import type { Errno } from "../base/errors.ts";
import type { Time } from "../base/time.ts";

/** Same shape as scheduler's Waitable, so that sockets can be waited for. */
export interface Wakeable {
  addWaiter(waiter: { wake(source: Wakeable): void }): void;
  removeWaiter(waiter: { wake(source: Wakeable): void }): void;
}

/** socket(2) of a namespace, and what `ss` lists. */
export interface SocketApi {
  udp(): UdpSocket;
  tcp(): TcpSocket;
  /** A TCP socket for generated traffic. Absent in stand-ins. */
  trafficTcp?(): TrafficSocket;
  /** A one-to-one SCTP socket (SOCK_STREAM, IPPROTO_SCTP). */
  sctp(): SctpSocket;
  /** A ping socket (IPPROTO_ICMP datagram socket as busybox/iputils ping use when unprivileged; raw semantics otherwise). */
  icmp(): IcmpSocket;
  /** A raw socket of an IP protocol. */
  raw(protocol: number): RawSocket;
  /** What `ss` lists. */
  list(): SocketInfo[];
}

/** A socket as `ss` tells it. */
export interface SocketInfo {
  readonly protocol: "tcp" | "udp" | "raw" | "icmp" | "sctp";
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

/** A received datagram and where it came from. */
export interface Datagram {
  readonly data: Uint8Array;
  readonly src: Ipv4;
  readonly srcPort: number;
  /** Destination address of the packet (IP_PKTINFO). */
  readonly dst: Ipv4;
  readonly ttl: number;
  readonly time: Time;
}

/** IP_MTU_DISCOVER: whether DF is set and local MTU refuses. */
export type PmtuDiscovery = "want" | "do" | "dont";

/** A packet generator of a UDP socket. */
export interface UdpGenerator {
  /** Datagrams sent, refused by the kernel, and still to be sent. */
  counts(): { readonly sent: number; readonly failed: number; readonly left: number };
}

/** A UDP socket. */
export interface UdpSocket extends Socket {
  /** ip 0 = any; port 0 = an ephemeral one. */
  bind(ip: Ipv4, port: number): void;
  connect(ip: Ipv4, port: number): void;
  /** Throws EMSGSIZE, ENETUNREACH, EHOSTUNREACH, ECONNREFUSED (a pending ICMP error of a connected socket), EPERM (netfilter). */
  sendTo(data: Uint8Array, ip: Ipv4, port: number): void;
  send(data: Uint8Array): void;
  /** @param into takes the bytes, if they fit: the datagram's `data` is a view of it then, and of an array of its own otherwise */
  tryRecv(into?: Uint8Array): Datagram | undefined;
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

/** What a ping socket received: an echo reply, or an ICMP error about a request. */
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

/** A ping socket. */
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

/** A raw IP socket. */
export interface RawSocket extends Socket {
  sendTo(payload: Uint8Array, ip: Ipv4): void;
  /** Whole IP packets. */
  tryRecv(): Datagram | undefined;
}

/** State of a TCP connection, as `ss` spells it. */
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

/** What TCP's and SCTP's sockets have in common (SOCK_STREAM); not blocking: news come by their wake-ups. */
export interface StreamSocket extends Socket {
  readonly state: TcpState | SctpState;
  bind(ip: Ipv4, port: number): void;
  listen(backlog: number): void;
  /** Starts connecting; wait, then look at `state` or takeError(). */
  connect(ip: Ipv4, port: number): void;
  /** A connection that completed its handshake, or undefined. */
  tryAccept(): StreamSocket | undefined;
  /**
   * Up to `max` bytes; an empty array at end of stream; undefined when nothing is there yet. Throws the pending error.
   * @param into takes them, if the socket can do that: they are a view of it then. At least `max` bytes long
   */
  tryRecv(max: number, into?: Uint8Array): Uint8Array | undefined;
  /** Bytes taken (0 when the send buffer is full). Throws EPIPE and pending errors. */
  trySend(data: Uint8Array): number;
  /** Sends FIN after what is queued (SCTP: SHUTDOWN, which ends both directions). */
  shutdown(): void;
  /** RST (SCTP: ABORT) at once. */
  abort(): void;
  remoteAddress(): { ip: Ipv4; port: number };
}

/** A TCP socket. */
export interface TcpSocket extends StreamSocket {
  readonly state: TcpState;
  tryAccept(): TcpSocket | undefined;
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

/** A TCP socket of generated traffic: the kernel reads and writes in the program's place. */
export interface TrafficSocket extends TcpSocket {
  tryAccept(): TrafficSocket | undefined;
  /**
   * Counts and frees what arrives from now on, instead of queueing it for tryRecv; waiters hear of data once `wakeAt` bytes
   * have come in all, and of the end as ever. It can be called again for the next amount.
   */
  setSink(wakeAt: number): void;
  /** Bytes that have come in order. */
  readonly bytesReceived: number;
  /** As trySend, bytes of a fixed pattern: no array is filled for them. */
  trySendPattern(length: number): number;
}

/** State of an SCTP association, as the kernel spells it, or LISTEN. */
export type SctpState =
  | "CLOSED"
  | "LISTEN"
  | "COOKIE_WAIT"
  | "COOKIE_ECHOED"
  | "ESTABLISHED"
  | "SHUTDOWN_PENDING"
  | "SHUTDOWN_SENT"
  | "SHUTDOWN_RECEIVED"
  | "SHUTDOWN_ACK_SENT";

/** A received message, or a piece of one. */
export interface SctpMessage {
  readonly data: Uint8Array;
  readonly stream: number;
  /** Its number in the stream. */
  readonly ssn: number;
  readonly ppid: number;
  /** TSN of its first chunk. */
  readonly tsn: number;
  readonly unordered: boolean;
  /** The message ends here (MSG_EOR). */
  readonly end: boolean;
}

/** How a message is sent (struct sctp_sndinfo). */
export interface SctpSendOptions {
  readonly stream?: number;
  /** Payload protocol identifier. */
  readonly ppid?: number;
  readonly unordered?: boolean;
}

/** A one-to-one SCTP socket. tryRecv never returns bytes of two messages; trySend takes its bytes as one message, all or none. */
export interface SctpSocket extends StreamSocket {
  readonly state: SctpState;
  tryAccept(): SctpSocket | undefined;
  /** Up to `max` bytes of the first message; "end" at the end; undefined when nothing is there yet. Throws the pending error. */
  tryRecvMessage(max: number): SctpMessage | "end" | undefined;
  /** Whether the message was taken. Throws EMSGSIZE, EINVAL (no bytes, no such stream), EPIPE and pending errors. */
  trySendMessage(data: Uint8Array, options?: SctpSendOptions): boolean;
  setNoDelay(on: boolean): void;
  /** Bytes queued for sending and not yet acknowledged. */
  readonly unacked: number;
  /** sctp_status's most used fields. */
  info(): {
    rwnd: number;
    unacked: number;
    pending: number;
    inStreams: number;
    outStreams: number;
    fragPoint: number;
    cwnd: number;
    ssthresh: number;
    srttMs: number;
    rtoMs: number;
    mtu: number;
    retransmits: number;
    myTag: number;
    peerTag: number;
  };
}
