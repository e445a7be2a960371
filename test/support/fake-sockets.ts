/** The UDP and TCP sockets of the in-memory network in fake-host.ts. */
import type { Ipv4 } from "../../src/base/addr.ts";
import { type Errno, KernelError } from "../../src/base/errors.ts";
import { SEC, type Time } from "../../src/base/time.ts";
import type { Datagram, SocketInfo, TcpSocket, TcpState, UdpSocket } from "../../src/kernel/socket-types.ts";
import { Signal } from "../../src/scheduler/process.ts";
import type { FakeHost } from "./fake-host.ts";

/** net.core.rmem_default holds about this many bytes of datagrams. */
const UDP_QUEUE_BYTES = 212992;
const TCP_SEND_BUFFER = 256 * 1024;
const TCP_RECEIVE_BUFFER = 256 * 1024;
const SYN_RETRIES = 6;
const DATA_RETRIES = 15;
const ARP_FAILURE: Time = 3 * SEC;

abstract class FakeSocket extends Signal {
  readonly host: FakeHost;
  closed = false;
  owner = "";
  protected localPort = 0;
  protected localIp: Ipv4 = 0;
  protected error: Errno | undefined;

  constructor(host: FakeHost) {
    super();
    this.host = host;
  }

  takeError(): Errno | undefined {
    const error = this.error;
    this.error = undefined;
    return error;
  }

  setOwner(name: string): void {
    this.owner = name;
  }

  localAddress(): { ip: Ipv4; port: number } {
    return { ip: this.localIp, port: this.localPort };
  }

  protected fail(error: Errno): void {
    this.error = error;
    this.notify();
  }

  protected throwPending(operation: string): void {
    const error = this.takeError();
    if (error !== undefined) throw new KernelError(error, operation);
  }
}

export class FakeUdpSocket extends FakeSocket implements UdpSocket {
  #queue: Datagram[] = [];
  #queuedBytes = 0;
  #peer: { ip: Ipv4; port: number } | undefined;

  bind(ip: Ipv4, port: number): void {
    if (this.localPort !== 0) throw new KernelError("EINVAL", "bind");
    if (port !== 0 && this.host.udp.has(port)) throw new KernelError("EADDRINUSE", "bind");
    if (ip !== 0 && ip !== this.host.ip) throw new KernelError("EADDRNOTAVAIL", "bind");
    this.localIp = ip;
    this.localPort = port === 0 ? this.host.ephemeralPort((p) => this.host.udp.has(p)) : port;
    this.host.udp.set(this.localPort, this);
  }

  connect(ip: Ipv4, port: number): void {
    if (this.localPort === 0) this.bind(0, 0);
    this.localIp = this.host.ip;
    this.#peer = { ip, port };
  }

  send(data: Uint8Array): void {
    if (this.#peer === undefined) throw new KernelError("ENOTCONN", "send");
    this.throwPending("send");
    this.sendTo(data, this.#peer.ip, this.#peer.port);
  }

  generate(): never {
    throw new Error("not in this fake");
  }

  setSink(): never {
    throw new Error("not in this fake");
  }

  received(): never {
    throw new Error("not in this fake");
  }

  sendTo(data: Uint8Array, ip: Ipv4, port: number): void {
    if (this.closed) throw new KernelError("EPIPE", "sendto");
    if (data.length > 65507) throw new KernelError("EMSGSIZE", "sendto");
    if (this.localPort === 0) this.bind(0, 0);
    const { network, ip: src } = this.host;
    const srcPort = this.localPort;
    const copy = data.slice();
    network.see("udp", src, srcPort, ip, port, copy);
    if (!network.passes("udp", src, srcPort, ip, port) || network.lost(src, ip)) return;
    network.after(network.delay(src, ip), () => this.#arrive(copy, srcPort, ip, port));
  }

  #arrive(data: Uint8Array, srcPort: number, ip: Ipv4, port: number): void {
    const { network, ip: src } = this.host;
    const target = network.hostAt(ip);
    if (target === undefined || !target.up) return;
    const socket = target.udp.get(port);
    if (socket !== undefined) socket.#receive({ data, src, srcPort, dst: ip, ttl: 64, time: network.now });
    else network.after(network.delay(src, ip), () => this.#unreachable(ip, port));
  }

  #receive(datagram: Datagram): void {
    const peer = this.#peer;
    if (peer !== undefined && (peer.ip !== datagram.src || peer.port !== datagram.srcPort)) return;
    if (this.#queuedBytes + datagram.data.length > UDP_QUEUE_BYTES) return;
    this.#queue.push(datagram);
    this.#queuedBytes += datagram.data.length;
    this.notify();
  }

  /** An ICMP port unreachable came back: only a connected socket hears of it. */
  #unreachable(ip: Ipv4, port: number): void {
    if (this.#peer?.ip === ip && this.#peer.port === port) this.fail("ECONNREFUSED");
  }

  tryRecv(): Datagram | undefined {
    const datagram = this.#queue.shift();
    if (datagram !== undefined) this.#queuedBytes -= datagram.data.length;
    return datagram;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.host.udp.get(this.localPort) === this) this.host.udp.delete(this.localPort);
    this.#queue = [];
    this.notify();
  }

  setBroadcast(): void {}
  setTtl(): void {}
  setPmtuDiscovery(): void {}

  describe(): SocketInfo {
    const remote = this.#peer ?? { ip: 0, port: 0 };
    return {
      protocol: "udp",
      state: this.#peer === undefined ? "UNCONN" : "ESTAB",
      localIp: this.localIp,
      localPort: this.localPort,
      remoteIp: remote.ip,
      remotePort: remote.port,
      rxQueue: this.#queuedBytes,
      txQueue: 0,
      owner: this.owner,
    };
  }
}

export class FakeTcpSocket extends FakeSocket implements TcpSocket {
  state: TcpState = "CLOSED";
  #remoteIp: Ipv4 = 0;
  #remotePort = 0;
  #peer: FakeTcpSocket | undefined;
  #backlog = 0;
  #accepted: FakeTcpSocket[] = [];
  #received: Uint8Array[] = [];
  #receivedBytes = 0;
  #sendQueue: Uint8Array[] = [];
  #queuedBytes = 0;
  #inFlight = false;
  #finQueued = false;
  #finReceived = false;

  get unacked(): number {
    return this.#queuedBytes;
  }

  bind(ip: Ipv4, port: number): void {
    if (port !== 0 && this.host.listeners.has(port)) throw new KernelError("EADDRINUSE", "bind");
    if (ip !== 0 && ip !== this.host.ip) throw new KernelError("EADDRNOTAVAIL", "bind");
    this.localIp = ip;
    this.localPort = port;
  }

  listen(backlog: number): void {
    if (this.localPort === 0) this.localPort = this.host.ephemeralPort((port) => this.host.listeners.has(port));
    if (this.host.listeners.has(this.localPort)) throw new KernelError("EADDRINUSE", "listen");
    this.state = "LISTEN";
    this.#backlog = backlog;
    this.host.listeners.set(this.localPort, this);
  }

  connect(ip: Ipv4, port: number): void {
    if (this.state !== "CLOSED" || this.closed) throw new KernelError("EISCONN", "connect");
    const taken = (candidate: number) => this.host.connections.has(`${candidate}/${ip}/${port}`);
    if (this.localPort === 0) this.localPort = this.host.ephemeralPort(taken);
    this.#open("SYN_SENT", ip, port);
    this.#sendSyn(0);
  }

  #open(state: TcpState, ip: Ipv4, port: number): void {
    this.localIp = this.host.ip;
    this.#remoteIp = ip;
    this.#remotePort = port;
    this.state = state;
    this.host.connections.set(this.#key, this);
  }

  get #key(): string {
    return `${this.localPort}/${this.#remoteIp}/${this.#remotePort}`;
  }

  get #delay(): Time {
    return this.host.network.delay(this.host.ip, this.#remoteIp);
  }

  get #passes(): boolean {
    return this.host.network.passes("tcp", this.host.ip, this.localPort, this.#remoteIp, this.#remotePort);
  }

  #sendSyn(attempt: number): void {
    if (this.state !== "SYN_SENT" || !this.host.up) return;
    const { network } = this.host;
    const target = network.hostAt(this.#remoteIp);
    if (target === undefined || !target.up) {
      network.after(ARP_FAILURE, () => this.#refuse("EHOSTUNREACH"));
      return;
    }
    if (attempt > SYN_RETRIES) {
      this.#refuse("ETIMEDOUT");
      return;
    }
    if (this.#passes) network.after(this.#delay, () => this.#synArrives(target));
    network.after(2 ** attempt * SEC, () => this.#sendSyn(attempt + 1));
  }

  #synArrives(target: FakeHost): void {
    if (this.state !== "SYN_SENT" || !target.up) return;
    const { network } = this.host;
    const listener = target.listeners.get(this.#remotePort);
    if (listener === undefined) {
      network.after(this.#delay, () => this.#refuse("ECONNREFUSED"));
      return;
    }
    if (listener.#accepted.length > listener.#backlog || this.#peer !== undefined) return;
    const child = new FakeTcpSocket(target);
    child.localPort = this.#remotePort;
    child.#open("SYN_RECV", this.host.ip, this.localPort);
    child.#peer = this;
    this.#peer = child;
    child.owner = listener.owner;
    network.after(this.#delay, () => this.#established());
    network.after(2 * this.#delay, () => child.#handshakeDone(listener));
  }

  #established(): void {
    if (this.state !== "SYN_SENT") return;
    this.state = "ESTABLISHED";
    this.notify();
  }

  #handshakeDone(listener: FakeTcpSocket): void {
    if (this.state !== "SYN_RECV") return;
    if (listener.closed) {
      this.abort();
      return;
    }
    this.state = "ESTABLISHED";
    listener.#accepted.push(this);
    listener.notify();
  }

  #refuse(error: Errno): void {
    if (this.state !== "SYN_SENT") return;
    this.#forget();
    this.fail(error);
  }

  #forget(): void {
    this.state = "CLOSED";
    this.#sendQueue = [];
    this.#queuedBytes = 0;
    if (this.host.connections.get(this.#key) === this) this.host.connections.delete(this.#key);
  }

  tryAccept(): FakeTcpSocket | undefined {
    return this.#accepted.shift();
  }

  trySend(data: Uint8Array): number {
    this.throwPending("send");
    const open = this.state === "ESTABLISHED" || this.state === "CLOSE_WAIT";
    if (this.closed || this.#finQueued || !open) throw new KernelError("EPIPE", "send");
    const room = Math.max(0, TCP_SEND_BUFFER - this.#queuedBytes);
    const taken = data.slice(0, room);
    if (taken.length > 0) {
      this.host.network.see("tcp", this.host.ip, this.localPort, this.#remoteIp, this.#remotePort, taken);
      this.#sendQueue.push(taken);
      this.#queuedBytes += taken.length;
      this.#pump(0);
    }
    return taken.length;
  }

  shutdown(): void {
    if (this.#finQueued || this.state === "CLOSED" || this.state === "LISTEN") return;
    this.#finQueued = true;
    this.state = this.state === "CLOSE_WAIT" ? "LAST_ACK" : "FIN_WAIT1";
    this.#pump(0);
  }

  /** Puts what is queued on the wire, in order; one burst a round trip. */
  #pump(attempt: number): void {
    if (this.#inFlight || this.state === "SYN_SENT" || this.state === "CLOSED" || !this.host.up) return;
    if (this.#sendQueue.length === 0 && !this.#finQueued) return;
    this.#inFlight = true;
    const burst = this.#sendQueue.length;
    const { network } = this.host;
    network.after(this.#delay, () => this.#burstArrives(burst, attempt));
  }

  #burstArrives(burst: number, attempt: number): void {
    const { network } = this.host;
    const target = network.hostAt(this.#remoteIp);
    if (this.state === "CLOSED" || !this.host.up) return;
    const peer = this.#peer;
    const reachable = target?.up === true && this.#passes;
    const room = peer === undefined || peer.#receivedBytes < TCP_RECEIVE_BUFFER || peer.closed;
    if (!reachable || !room || peer?.state === "SYN_RECV") {
      this.#retry(attempt, reachable);
      return;
    }
    if (peer === undefined || peer.state === "CLOSED" || target.connections.get(peer.#key) !== peer) {
      network.after(this.#delay, () => this.#reset());
      return;
    }
    const data = this.#sendQueue.splice(0, burst);
    for (const part of data) peer.#takeIn(part);
    const finished = this.#finQueued && this.#sendQueue.length === 0;
    if (finished) peer.#takeFin();
    peer.notify();
    network.after(this.#delay, () => this.#acknowledged(data, finished));
  }

  #retry(attempt: number, reachable: boolean): void {
    if (attempt >= DATA_RETRIES) {
      this.#forget();
      this.fail("ETIMEDOUT");
      return;
    }
    this.host.network.after(Math.min(120, 0.2 * 2 ** attempt) * SEC, () => {
      this.#inFlight = false;
      this.#pump(reachable ? 0 : attempt + 1);
    });
  }

  #acknowledged(data: readonly Uint8Array[], finished: boolean): void {
    this.#inFlight = false;
    if (this.state === "CLOSED") return;
    for (const part of data) this.#queuedBytes -= part.length;
    if (finished) {
      if (this.state === "FIN_WAIT1") this.state = "FIN_WAIT2";
      if (this.state === "LAST_ACK" || this.#finReceived) this.#forget();
    } else this.#pump(0);
    this.notify();
  }

  #takeIn(data: Uint8Array): void {
    if (this.closed) {
      this.abort();
      return;
    }
    this.#received.push(data);
    this.#receivedBytes += data.length;
  }

  #takeFin(): void {
    this.#finReceived = true;
    if (this.state === "ESTABLISHED") this.state = "CLOSE_WAIT";
    else if (this.state === "FIN_WAIT2") this.#forget();
  }

  #reset(): void {
    if (this.state === "CLOSED") return;
    this.#forget();
    this.fail("ECONNRESET");
  }

  tryRecv(max: number): Uint8Array | undefined {
    const first = this.#received[0];
    if (first !== undefined) {
      const taken = first.subarray(0, max);
      if (taken.length === first.length) this.#received.shift();
      else this.#received[0] = first.subarray(max);
      this.#receivedBytes -= taken.length;
      return taken;
    }
    this.throwPending("recv");
    if (this.#finReceived || this.closed || this.state === "CLOSED") return new Uint8Array(0);
    return undefined;
  }

  abort(): void {
    const peer = this.#peer;
    const connected = this.state !== "CLOSED" && this.state !== "LISTEN";
    if (connected && peer !== undefined && this.#passes) this.host.network.after(this.#delay, () => peer.#reset());
    this.#forget();
    this.closed = true;
    this.notify();
  }

  close(): void {
    if (this.closed) return;
    if (this.state === "LISTEN") {
      this.closed = true;
      if (this.host.listeners.get(this.localPort) === this) this.host.listeners.delete(this.localPort);
      for (const child of this.#accepted) child.abort();
      this.state = "CLOSED";
    } else if (this.#received.length > 0) this.abort();
    else if (this.state === "SYN_SENT") this.abort();
    else this.shutdown();
    this.closed = true;
    this.notify();
  }

  remoteAddress(): { ip: Ipv4; port: number } {
    return { ip: this.#remoteIp, port: this.#remotePort };
  }

  setKeepalive(): void {}
  setNoDelay(): void {}

  info() {
    return { srttUs: 0, rtoUs: 200_000, cwnd: 10, ssthresh: 0, mss: 1460, retransmits: 0, rcvWnd: TCP_RECEIVE_BUFFER };
  }

  describe(): SocketInfo {
    return {
      protocol: "tcp",
      state: this.state,
      localIp: this.localIp,
      localPort: this.localPort,
      remoteIp: this.#remoteIp,
      remotePort: this.#remotePort,
      rxQueue: this.#receivedBytes,
      txQueue: this.#queuedBytes,
      owner: this.owner,
    };
  }
}
