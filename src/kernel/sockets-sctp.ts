/** SCTP sockets (net/sctp/socket.c as programs see it): one-to-one style. */
import * as abi from "../../assembly/abi.ts";
import type { Ipv4 } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { readDump } from "./addresses.ts";
import { check, refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import { SocketBase } from "./socket.ts";
import type { SctpMessage, SctpSendOptions, SctpSocket, SctpState, SocketInfo } from "./socket-types.ts";

const STATES: Record<number, SctpState> = {
  [abi.SCTP_CLOSED]: "CLOSED",
  [abi.SCTP_COOKIE_WAIT]: "COOKIE_WAIT",
  [abi.SCTP_COOKIE_ECHOED]: "COOKIE_ECHOED",
  [abi.SCTP_ESTABLISHED]: "ESTABLISHED",
  [abi.SCTP_SHUTDOWN_PENDING]: "SHUTDOWN_PENDING",
  [abi.SCTP_SHUTDOWN_SENT]: "SHUTDOWN_SENT",
  [abi.SCTP_SHUTDOWN_RECEIVED]: "SHUTDOWN_RECEIVED",
  [abi.SCTP_SHUTDOWN_ACK_SENT]: "SHUTDOWN_ACK_SENT",
  [abi.SCTP_LISTEN]: "LISTEN",
};

/** The most that crosses the border in one call: size of scratch (assembly/memory/scratch.ts). */
const MAX_TRANSFER = 256 * 1024;

const NOTHING = new Uint8Array(0);

function stateName(number: number): SctpState {
  const state = STATES[number];
  assert(state !== undefined, "SCTP state", number);
  return state;
}

/** An SCTP socket over its handle in the kernel. */
export class SctpSocketImpl extends SocketBase implements SctpSocket {
  /** @param handle of a socket that was opened or accepted */
  constructor(ns: Namespace, handle: number) {
    super(ns, handle);
  }

  static open(ns: Namespace): SctpSocketImpl {
    return new SctpSocketImpl(ns, ns.kernel.exports.sctpOpen(ns.handle));
  }

  get state(): SctpState {
    return this.closed ? "CLOSED" : stateName(this.kernel.exports.sctpState(this.handle));
  }

  bind(ip: Ipv4, port: number): void {
    this.requireOpen("bind");
    check(this.kernel.exports.sctpBind(this.handle, ip, port), "bind");
  }

  listen(backlog: number): void {
    this.requireOpen("listen");
    check(this.kernel.exports.sctpListen(this.handle, backlog), "listen");
  }

  connect(ip: Ipv4, port: number): void {
    this.requireOpen("connect");
    check(this.kernel.exports.sctpConnect(this.handle, ip, port), "connect");
  }

  tryAccept(): SctpSocket | undefined {
    if (this.closed) return undefined;
    const handle = this.kernel.exports.sctpAccept(this.handle);
    if (handle === -abi.EAGAIN) return undefined;
    return new SctpSocketImpl(this.ns, check(handle, "accept"));
  }

  tryRecvMessage(max: number): SctpMessage | "end" | undefined {
    if (this.closed) {
      this.throwPending("recv");
      return "end";
    }
    const { exports, mem } = this.kernel;
    const got = exports.sctpRecv(this.handle, max);
    if (got === -abi.EAGAIN) return undefined;
    check(got, "recv");
    if (got === 0) return "end";
    const at = exports.scratch();
    const flags = mem.u32(at + abi.SCTPMSG_FLAGS);
    return {
      data: mem.copy(at + abi.SCTPMSG_DATA, got),
      stream: mem.u32(at + abi.SCTPMSG_STREAM),
      ssn: mem.u32(at + abi.SCTPMSG_SSN),
      ppid: mem.u32(at + abi.SCTPMSG_PPID),
      tsn: mem.u32(at + abi.SCTPMSG_TSN),
      unordered: (flags & abi.SCTPMSG_F_UNORDERED) !== 0,
      end: (flags & abi.SCTPMSG_F_EOR) !== 0,
    };
  }

  tryRecv(max: number): Uint8Array | undefined {
    const message = this.tryRecvMessage(max);
    return message === "end" ? NOTHING : message?.data;
  }

  trySendMessage(data: Uint8Array, { stream = 0, ppid = 0, unordered = false }: SctpSendOptions = {}): boolean {
    if (this.closed) this.throwPending("send");
    this.requireOpen("send");
    if (data.length > MAX_TRANSFER) refuse("EMSGSIZE", "send");
    const { exports, mem } = this.kernel;
    const at = exports.scratch();
    mem.bytes.set(data, at);
    const taken = exports.sctpSend(this.handle, at, data.length, stream, ppid, unordered ? 1 : 0);
    if (taken === -abi.EAGAIN) return false;
    check(taken, "send");
    return true;
  }

  trySend(data: Uint8Array): number {
    return this.trySendMessage(data) ? data.length : 0;
  }

  shutdown(): void {
    this.requireOpen("shutdown");
    check(this.kernel.exports.sctpShutdown(this.handle), "shutdown");
  }

  abort(): void {
    this.closeWith(() => this.kernel.exports.sctpAbort(this.handle));
  }

  protected release(): void {
    this.kernel.exports.sctpClose(this.handle);
  }

  #names(at: 0 | 8): { ip: Ipv4; port: number } {
    const { exports, mem } = this.kernel;
    const names = exports.sctpNames(this.handle);
    return { ip: mem.u32(names + at), port: mem.u32(names + at + 4) };
  }

  localAddress(): { ip: Ipv4; port: number } {
    this.requireOpen("getsockname");
    return this.#names(0);
  }

  remoteAddress(): { ip: Ipv4; port: number } {
    this.requireOpen("getpeername");
    return this.#names(8);
  }

  setNoDelay(on: boolean): void {
    this.requireOpen("setsockopt");
    this.kernel.exports.sctpSetNoDelay(this.handle, on ? 1 : 0);
  }

  get unacked(): number {
    return this.closed ? 0 : this.kernel.exports.sctpUnacked(this.handle);
  }

  info(): ReturnType<SctpSocket["info"]> {
    this.requireOpen("getsockopt");
    const { exports, mem } = this.kernel;
    exports.sctpInfo(this.handle);
    const at = exports.scratch();
    return {
      rwnd: mem.u32(at + abi.SCTPINFO_RWND),
      unacked: mem.u32(at + abi.SCTPINFO_UNACKED),
      pending: mem.u32(at + abi.SCTPINFO_PENDING),
      inStreams: mem.u32(at + abi.SCTPINFO_INSTREAMS),
      outStreams: mem.u32(at + abi.SCTPINFO_OUTSTREAMS),
      fragPoint: mem.u32(at + abi.SCTPINFO_FRAG_POINT),
      cwnd: mem.u32(at + abi.SCTPINFO_CWND),
      ssthresh: mem.u32(at + abi.SCTPINFO_SSTHRESH),
      srttMs: mem.u32(at + abi.SCTPINFO_SRTT),
      rtoMs: mem.u32(at + abi.SCTPINFO_RTO),
      mtu: mem.u32(at + abi.SCTPINFO_MTU),
      retransmits: mem.u32(at + abi.SCTPINFO_RETRANS),
      myTag: mem.u32(at + abi.SCTPINFO_MY_TAG),
      peerTag: mem.u32(at + abi.SCTPINFO_PEER_TAG),
    };
  }
}

/** The namespace's SCTP sockets, each with its association, in the kernel's words. */
export function listSctpSockets(ns: Namespace): SocketInfo[] {
  const { exports, mem } = ns.kernel;
  return readDump(
    ns,
    abi.SCTPREC_RECORD,
    (skip) => exports.sctpDump(ns.handle, skip),
    (at) => ({
      protocol: "sctp" as const,
      state: stateName(mem.u32(at + abi.SCTPREC_STATE)),
      localIp: mem.u32(at + abi.SCTPREC_LOCAL_IP),
      localPort: mem.u32(at + abi.SCTPREC_LOCAL_PORT),
      remoteIp: mem.u32(at + abi.SCTPREC_REMOTE_IP),
      remotePort: mem.u32(at + abi.SCTPREC_REMOTE_PORT),
      rxQueue: mem.u32(at + abi.SCTPREC_RXQ),
      txQueue: mem.u32(at + abi.SCTPREC_TXQ),
      owner: ns.kernel.socketAt(mem.u32(at + abi.SCTPREC_HANDLE))?.owner ?? "",
    }),
  );
}
