/**
 * Sockets of a FakeNetNs: UDP and TCP within the namespace, at once and without loss, with the DNAT rules of nat
 * OUTPUT applied to what is sent (conntrack's answer direction included). Addresses outside are servers that the
 * test registered as `upstream` of the host; where there is none, packets vanish.
 */
import { cidrContains, type Ipv4 } from "../../src/base/addr.ts";
import { type Errno, KernelError } from "../../src/base/errors.ts";
import type {
  Datagram,
  IcmpSocket,
  RawSocket,
  SctpSocket,
  SocketApi,
  SocketInfo,
  TcpSocket,
  TcpState,
  UdpSocket,
} from "../../src/kernel/socket-types.ts";
import type { RuleMatch } from "../../src/kernel/types.ts";
import { Signal } from "../../src/scheduler/process.ts";
import type { FakeNetNs } from "./fake-netns.ts";

/** A server outside: answers a datagram, or undefined for silence. Sees the namespace that asked. */
export type FakeUpstream = (data: Uint8Array, from: FakeNetNs, protocol: "udp" | "tcp") => Uint8Array | undefined;

interface Address {
  readonly ip: Ipv4;
  readonly port: number;
}

const key = (a: Address): string => `${a.ip}:${a.port}`;

export class FakeSockets implements SocketApi {
  readonly ns: FakeNetNs;
  readonly open: (FakeUdp | FakeTcp)[] = [];
  /** Reply direction of translated flows: `server client` → what the client sees. */
  readonly translated = new Map<string, Address>();
  #nextPort = 40000;

  constructor(ns: FakeNetNs) {
    this.ns = ns;
  }

  udp(): FakeUdp {
    const socket = new FakeUdp(this);
    this.open.push(socket);
    return socket;
  }

  tcp(): FakeTcp {
    const socket = new FakeTcp(this);
    this.open.push(socket);
    return socket;
  }

  sctp(): SctpSocket {
    throw new Error("not in this fake");
  }

  icmp(): IcmpSocket {
    throw new Error("not in this fake");
  }

  raw(): RawSocket {
    throw new Error("not in this fake");
  }

  list(): SocketInfo[] {
    return this.open.map((s) => s.describe());
  }

  closeAll(): void {
    for (const socket of [...this.open]) socket.close();
  }

  freePort(): number {
    return this.#nextPort++;
  }

  /** Where a packet goes after nat OUTPUT. */
  route(protocol: string, from: Address, to: Address): Address {
    const chains = this.ns.iptables.list("nat") ?? [];
    const walk = (name: string): Address | undefined => {
      for (const rule of chains.find((c) => c.name === name)?.rules ?? []) {
        if (!matches(rule.match, protocol, to)) continue;
        if (rule.target?.kind === "JUMP") {
          const found = walk(rule.target.chain);
          if (found !== undefined) return found;
        } else if (rule.target?.kind === "DNAT") {
          return { ip: rule.target.ip ?? to.ip, port: rule.target.ports?.[0] ?? to.port };
        }
      }
      return undefined;
    };
    const target = walk("OUTPUT");
    if (target === undefined) return to;
    this.translated.set(`${protocol} ${key(target)} ${key(from)}`, to);
    return target;
  }

  /** The source a receiver sees: that of the original flow where one was translated. */
  seenSource(protocol: string, from: Address, to: Address): Address {
    return this.translated.get(`${protocol} ${key(from)} ${key(to)}`) ?? from;
  }
}

function matches(match: RuleMatch, protocol: string, to: Address): boolean {
  if (match.dst !== undefined && cidrContains(match.dst.value, to.ip) === match.dst.not) return false;
  if (match.protocol !== undefined && match.protocol.value !== protocol) return false;
  return match.dport === undefined || match.dport.value[0] === to.port;
}

abstract class FakeSocket extends Signal {
  protected readonly sockets: FakeSockets;
  closed = false;
  local: Address = { ip: 0, port: 0 };
  owner = "";
  protected error: Errno | undefined;

  constructor(sockets: FakeSockets) {
    super();
    this.sockets = sockets;
  }

  takeError(): Errno | undefined {
    const { error } = this;
    this.error = undefined;
    return error;
  }

  setOwner(name: string): void {
    this.owner = name;
  }

  localAddress(): Address {
    return this.local;
  }

  bind(ip: Ipv4, port: number): void {
    const taken = this.sockets.open.some(
      (other) =>
        port !== 0 &&
        other.local.port === port &&
        (ip === 0 || other.local.ip === 0 || other.local.ip === ip) &&
        other instanceof FakeTcp === this instanceof FakeTcp,
    );
    if (taken) throw new KernelError("EADDRINUSE", "bind");
    this.local = { ip, port: port === 0 ? this.sockets.freePort() : port };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.sockets.open.splice(this.sockets.open.indexOf(this as unknown as FakeUdp), 1);
    this.notify();
  }

  abstract describe(): SocketInfo;

  protected describeAs(protocol: "udp" | "tcp", state: string): SocketInfo {
    const { ip: localIp, port: localPort } = this.local;
    return {
      protocol,
      state,
      localIp,
      localPort,
      remoteIp: 0,
      remotePort: 0,
      rxQueue: 0,
      txQueue: 0,
      owner: this.owner,
    };
  }
}

export class FakeUdp extends FakeSocket implements UdpSocket {
  readonly #queue: Datagram[] = [];
  #remote: Address | undefined;

  connect(ip: Ipv4, port: number): void {
    this.#remote = { ip, port };
  }

  send(data: Uint8Array): void {
    if (this.#remote === undefined) throw new KernelError("ENOTCONN", "send");
    this.sendTo(data, this.#remote.ip, this.#remote.port);
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
    if (this.local.port === 0) this.bind(0x7f000001, 0);
    const to = this.sockets.route("udp", this.local, { ip, port });
    const receiver = this.sockets.open.find(
      (s): s is FakeUdp => s instanceof FakeUdp && s.local.port === to.port && s.local.ip === to.ip,
    );
    if (receiver !== undefined) receiver.deliver(data, this.sockets.seenSource("udp", this.local, receiver.local));
    else {
      const answer = this.sockets.ns.host.upstream.get(to.ip)?.(data, this.sockets.ns, "udp");
      if (answer !== undefined) this.deliver(answer, to);
    }
  }

  deliver(data: Uint8Array, from: Address): void {
    this.#queue.push({ data, src: from.ip, srcPort: from.port, dst: this.local.ip, ttl: 64, time: 0 });
    this.notify();
  }

  tryRecv(): Datagram | undefined {
    return this.#queue.shift();
  }

  setBroadcast(): void {}
  setTtl(): void {}
  setPmtuDiscovery(): void {}

  describe(): SocketInfo {
    return this.describeAs("udp", "UNCONN");
  }
}

export class FakeTcp extends FakeSocket implements TcpSocket {
  state: TcpState = "CLOSED";
  readonly unacked = 0;
  readonly #accepted: FakeTcp[] = [];
  #peer: FakeTcp | undefined;
  #received: Uint8Array[] = [];
  #ended = false;
  #upstream: FakeUpstream | undefined;

  listen(): void {
    this.state = "LISTEN";
  }

  connect(ip: Ipv4, port: number): void {
    if (this.local.port === 0) this.bind(0x7f000001, 0);
    const to = this.sockets.route("tcp", this.local, { ip, port });
    const listener = this.sockets.open.find(
      (s): s is FakeTcp => s instanceof FakeTcp && s.state === "LISTEN" && s.local.port === to.port,
    );
    this.#upstream = this.sockets.ns.host.upstream.get(to.ip);
    if (listener === undefined && this.#upstream === undefined) {
      this.error = "ECONNREFUSED";
      return;
    }
    this.state = "ESTABLISHED";
    if (listener === undefined) return;
    const peer = this.sockets.tcp();
    peer.local = listener.local;
    peer.state = "ESTABLISHED";
    peer.#peer = this;
    this.#peer = peer;
    listener.#accepted.push(peer);
    listener.notify();
  }

  tryAccept(): TcpSocket | undefined {
    return this.#accepted.shift();
  }

  tryRecv(max: number): Uint8Array | undefined {
    const first = this.#received.shift();
    if (first === undefined) return this.#ended ? new Uint8Array(0) : undefined;
    if (first.length > max) this.#received.unshift(first.subarray(max));
    return first.subarray(0, max);
  }

  trySend(data: Uint8Array): number {
    if (this.#peer !== undefined) this.#peer.push(data);
    else {
      const answer = this.#upstream?.(data.subarray(2), this.sockets.ns, "tcp");
      if (answer !== undefined) this.push(Uint8Array.of(answer.length >>> 8, answer.length & 255, ...answer));
    }
    return data.length;
  }

  push(data: Uint8Array): void {
    this.#received.push(data.slice());
    this.notify();
  }

  shutdown(): void {
    if (this.#peer !== undefined) {
      this.#peer.#ended = true;
      this.#peer.notify();
    }
  }

  override close(): void {
    if (this.closed) return;
    this.shutdown();
    this.state = "CLOSED";
    super.close();
  }

  abort(): void {
    this.close();
  }

  remoteAddress(): Address {
    return this.#peer?.local ?? { ip: 0, port: 0 };
  }

  setKeepalive(): void {}
  setNoDelay(): void {}

  info(): ReturnType<TcpSocket["info"]> {
    return { srttUs: 0, rtoUs: 0, cwnd: 10, ssthresh: 0, mss: 1460, retransmits: 0, rcvWnd: 65535 };
  }

  describe(): SocketInfo {
    return this.describeAs("tcp", this.state);
  }
}
