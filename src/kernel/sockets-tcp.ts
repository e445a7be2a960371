/** TCP sockets (net/ipv4/tcp.c as programs see it). */
import * as abi from "../../assembly/abi.ts";
import type { Ipv4 } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import { readDump } from "./addresses.ts";
import { check } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import { SocketBase } from "./socket.ts";
import type { SocketInfo, TcpState, TrafficSocket } from "./socket-types.ts";

const STATES: Record<number, TcpState> = {
  [abi.TCP_ESTABLISHED]: "ESTABLISHED",
  [abi.TCP_SYN_SENT]: "SYN_SENT",
  [abi.TCP_SYN_RECV]: "SYN_RECV",
  [abi.TCP_FIN_WAIT1]: "FIN_WAIT1",
  [abi.TCP_FIN_WAIT2]: "FIN_WAIT2",
  [abi.TCP_TIME_WAIT]: "TIME_WAIT",
  [abi.TCP_CLOSE]: "CLOSED",
  [abi.TCP_CLOSE_WAIT]: "CLOSE_WAIT",
  [abi.TCP_LAST_ACK]: "LAST_ACK",
  [abi.TCP_LISTEN]: "LISTEN",
  [abi.TCP_CLOSING]: "CLOSING",
};

/** States as ss(8) writes them. */
const SS_STATES: Record<TcpState, string> = {
  ESTABLISHED: "ESTAB",
  SYN_SENT: "SYN-SENT",
  SYN_RECV: "SYN-RECV",
  FIN_WAIT1: "FIN-WAIT-1",
  FIN_WAIT2: "FIN-WAIT-2",
  TIME_WAIT: "TIME-WAIT",
  CLOSED: "UNCONN",
  CLOSE_WAIT: "CLOSE-WAIT",
  LAST_ACK: "LAST-ACK",
  LISTEN: "LISTEN",
  CLOSING: "CLOSING",
};

/** The most that crosses the border in one call: size of scratch (assembly/memory/scratch.ts). */
const MAX_TRANSFER = 256 * 1024;

const NOTHING = new Uint8Array(0);

function stateName(number: number): TcpState {
  const state = STATES[number];
  assert(state !== undefined, "TCP state", number);
  return state;
}

/** A TCP socket over its handle in the kernel. */
export class TcpSocketImpl extends SocketBase implements TrafficSocket {
  /** @param handle of a socket that was opened or accepted */
  constructor(ns: Namespace, handle: number) {
    super(ns, handle);
  }

  static open(ns: Namespace): TcpSocketImpl {
    return new TcpSocketImpl(ns, ns.kernel.exports.tcpOpen(ns.handle));
  }

  get state(): TcpState {
    return this.closed ? "CLOSED" : stateName(this.kernel.exports.tcpState(this.handle));
  }

  bind(ip: Ipv4, port: number): void {
    this.requireOpen("bind");
    check(this.kernel.exports.tcpBind(this.handle, ip, port), "bind");
  }

  listen(backlog: number): void {
    this.requireOpen("listen");
    check(this.kernel.exports.tcpListen(this.handle, backlog), "listen");
  }

  connect(ip: Ipv4, port: number): void {
    this.requireOpen("connect");
    check(this.kernel.exports.tcpConnect(this.handle, ip, port), "connect");
  }

  tryAccept(): TrafficSocket | undefined {
    if (this.closed) return undefined;
    const handle = this.kernel.exports.tcpAccept(this.handle);
    if (handle === -abi.EAGAIN) return undefined;
    return new TcpSocketImpl(this.ns, check(handle, "accept"));
  }

  tryRecv(max: number, into?: Uint8Array): Uint8Array | undefined {
    if (this.closed) {
      this.throwPending("recv");
      return NOTHING;
    }
    const { exports, mem } = this.kernel;
    const at = exports.scratch();
    const got = exports.tcpRecv(this.handle, at, Math.min(max, MAX_TRANSFER));
    if (got === -abi.EAGAIN) return undefined;
    check(got, "recv");
    if (got === 0) return NOTHING;
    return into === undefined ? mem.copy(at, got) : mem.copyInto(into, at, got);
  }

  trySend(data: Uint8Array): number {
    if (this.closed) this.throwPending("send");
    this.requireOpen("send");
    const { exports, mem } = this.kernel;
    let sent = 0;
    while (sent < data.length) {
      const part = data.subarray(sent, sent + MAX_TRANSFER);
      const at = exports.scratch();
      mem.bytes.set(part, at);
      const taken = exports.tcpSend(this.handle, at, part.length);
      if (taken === -abi.EAGAIN) break;
      // An error behind bytes that were taken is reported by the next call, as send(2) does.
      if (taken < 0 && sent > 0) break;
      sent += check(taken, "send");
      if (taken < part.length) break;
    }
    return sent;
  }

  shutdown(): void {
    this.requireOpen("shutdown");
    check(this.kernel.exports.tcpShutdown(this.handle), "shutdown");
  }

  abort(): void {
    this.closeWith(() => this.kernel.exports.tcpAbort(this.handle));
  }

  protected release(): void {
    this.kernel.exports.tcpClose(this.handle);
  }

  localAddress(): { ip: Ipv4; port: number } {
    this.requireOpen("getsockname");
    const { exports } = this.kernel;
    return { ip: exports.tcpLocalIp(this.handle) >>> 0, port: exports.tcpLocalPort(this.handle) };
  }

  remoteAddress(): { ip: Ipv4; port: number } {
    this.requireOpen("getpeername");
    const { exports } = this.kernel;
    return { ip: exports.tcpRemoteIp(this.handle) >>> 0, port: exports.tcpRemotePort(this.handle) };
  }

  setKeepalive(on: boolean, idle: Time = 0, interval: Time = 0, probes = 0): void {
    this.requireOpen("setsockopt");
    this.kernel.exports.tcpSetKeepalive(this.handle, on ? 1 : 0, idle, interval, probes);
  }

  setNoDelay(on: boolean): void {
    this.requireOpen("setsockopt");
    this.kernel.exports.tcpSetNoDelay(this.handle, on ? 1 : 0);
  }

  setSink(wakeAt: number): void {
    this.requireOpen("setsockopt");
    this.kernel.exports.tcpSetSink(this.handle, 1, wakeAt);
  }

  get bytesReceived(): number {
    return this.closed ? 0 : this.kernel.exports.tcpBytesReceived(this.handle);
  }

  trySendPattern(length: number): number {
    if (this.closed) this.throwPending("send");
    this.requireOpen("send");
    const taken = this.kernel.exports.tcpSendPattern(this.handle, length);
    return taken === -abi.EAGAIN ? 0 : check(taken, "send");
  }

  get unacked(): number {
    return this.closed ? 0 : this.kernel.exports.tcpUnacked(this.handle);
  }

  info(): ReturnType<TrafficSocket["info"]> {
    this.requireOpen("getsockopt");
    const { exports, mem } = this.kernel;
    exports.tcpInfo(this.handle);
    const at = exports.scratch();
    return {
      srttUs: mem.u32(at + abi.TCPINFO_SRTT),
      rtoUs: mem.u32(at + abi.TCPINFO_RTO),
      cwnd: mem.u32(at + abi.TCPINFO_CWND),
      ssthresh: mem.u32(at + abi.TCPINFO_SSTHRESH),
      mss: mem.u32(at + abi.TCPINFO_MSS),
      retransmits: mem.u32(at + abi.TCPINFO_TOTAL_RETRANS),
      rcvWnd: mem.u32(at + abi.TCPINFO_RCV_WND),
    };
  }
}

/** The namespace's TCP sockets, connection requests and TIME_WAIT records. */
export function listTcpSockets(ns: Namespace): SocketInfo[] {
  const { exports, mem } = ns.kernel;
  return readDump(
    ns,
    abi.TCPREC_RECORD,
    (skip) => exports.tcpDump(ns.handle, skip),
    (at) => ({
      protocol: "tcp" as const,
      state: SS_STATES[stateName(mem.u32(at + abi.TCPREC_STATE))],
      localIp: mem.u32(at + abi.TCPREC_LOCAL_IP),
      localPort: mem.u32(at + abi.TCPREC_LOCAL_PORT),
      remoteIp: mem.u32(at + abi.TCPREC_REMOTE_IP),
      remotePort: mem.u32(at + abi.TCPREC_REMOTE_PORT),
      rxQueue: mem.u32(at + abi.TCPREC_RXQ),
      txQueue: mem.u32(at + abi.TCPREC_TXQ),
      owner: ns.kernel.socketAt(mem.u32(at + abi.TCPREC_HANDLE))?.owner ?? "",
    }),
  );
}
