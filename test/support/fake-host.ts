/**
 * Hosts without a kernel, for unit tests of control-plane programs: the socket door of HostOs (UDP and TCP)
 * over an in-memory network with latency, seeded UDP loss, a firewall, crashes and restarts, in virtual time.
 * Follows Linux as far as programs see it: SYN retries 1, 2, 4 … 64 s then ETIMEDOUT, RST from a closed port,
 * EHOSTUNREACH after 3 s without ARP answer, a retransmission timer for data. There is no congestion control.
 */
import { formatIpv4, type Ipv4 } from "../../src/base/addr.ts";
import { Random } from "../../src/base/random.ts";
import { MS, SEC, type Time, US } from "../../src/base/time.ts";
import type { SocketInfo } from "../../src/kernel/socket-types.ts";
import type { HostKernel, NetNs } from "../../src/kernel/types.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import type { Process } from "../../src/scheduler/process.ts";
import { HostScheduler, type ScheduledHost } from "../../src/scheduler/runtime.ts";
import { FakeTcpSocket, FakeUdpSocket } from "./fake-sockets.ts";

export type FakeProtocol = "udp" | "tcp";

export interface FakeNetworkOptions {
  /** Default 1. */
  readonly seed?: number;
  /** One-way delay; default 50 µs. */
  readonly latency?: Time;
  /** Chance that a UDP packet between two hosts is lost; default 0. */
  readonly udpLoss?: number;
}

/** What a tap sees: each UDP packet and each TCP payload at the time of sending, lost ones included. */
export interface FakePacket {
  readonly time: Time;
  readonly protocol: FakeProtocol;
  readonly src: Ipv4;
  readonly srcPort: number;
  readonly dst: Ipv4;
  readonly dstPort: number;
  readonly data: Uint8Array;
}

interface Rule {
  readonly a: Ipv4;
  readonly b: Ipv4;
  readonly protocol: FakeProtocol | undefined;
  readonly port: number | undefined;
}

interface NetEvent {
  readonly time: Time;
  readonly sequence: number;
  readonly action: () => void;
}

/** A program that ended by an exception. */
export interface ProgramFailure {
  readonly host: string;
  readonly program: string;
  readonly error: unknown;
}

/** The network and its hosts. */
export class FakeNetwork {
  readonly scheduler: HostScheduler;
  readonly hosts: FakeHost[] = [];
  /** Programs that threw; `run` throws the first one unless `keepFailures` is set. */
  readonly failures: ProgramFailure[] = [];
  keepFailures = false;
  latency: Time;
  udpLoss: number;
  readonly #random: Random;
  readonly #lossRandom: Random;
  readonly #events: NetEvent[] = [];
  readonly #byIp = new Map<Ipv4, FakeHost>();
  #rules: Rule[] = [];
  #taps: ((packet: FakePacket) => void)[] = [];
  #sequence = 0;

  constructor(options: FakeNetworkOptions = {}) {
    this.#random = new Random(String(options.seed ?? 1));
    this.#lossRandom = this.#random.fork("loss");
    this.latency = options.latency ?? 50 * US;
    this.udpLoss = options.udpLoss ?? 0;
    this.scheduler = new HostScheduler((host, process, error) => {
      this.failures.push({ host: host.hostName, program: process.name, error });
    });
  }

  get now(): Time {
    return this.scheduler.now;
  }

  addHost(name: string, ip: Ipv4): FakeHost {
    const index = this.hosts.length;
    const host = new FakeHost(this, this.scheduler.createHost(name, index, this.#random.fork(name)), ip);
    this.hosts.push(host);
    this.#byIp.set(ip, host);
    return host;
  }

  hostAt(ip: Ipv4): FakeHost | undefined {
    return this.#byIp.get(ip);
  }

  /** Drops what passes between two hosts, both ways; without protocol or port: of every protocol, every port. */
  block(a: FakeHost, b: FakeHost, protocol?: FakeProtocol, port?: number): void {
    this.#rules.push({ a: a.ip, b: b.ip, protocol, port });
  }

  /** Takes away all rules between two hosts; without arguments: all rules. */
  unblock(a?: FakeHost, b?: FakeHost): void {
    this.#rules = this.#rules.filter((rule) => {
      if (a === undefined || b === undefined) return false;
      return !((rule.a === a.ip && rule.b === b.ip) || (rule.a === b.ip && rule.b === a.ip));
    });
  }

  tap(see: (packet: FakePacket) => void): void {
    this.#taps.push(see);
  }

  /** Runs until a virtual time. */
  run(until: Time): void {
    for (;;) {
      this.scheduler.runReady();
      this.#throwFailure();
      const packetTime = this.#events[0]?.time ?? Number.POSITIVE_INFINITY;
      const next = Math.min(packetTime, this.scheduler.nextTimer(), until);
      if (next === until && next < packetTime && next < this.scheduler.nextTimer()) {
        this.scheduler.advance(until);
        return;
      }
      this.scheduler.advance(next);
      for (let event = this.#events[0]; event !== undefined && event.time <= next; event = this.#events[0]) {
        popEvent(this.#events);
        event.action();
      }
    }
  }

  runFor(span: Time): void {
    this.run(this.now + span);
  }

  /** Runs until a condition holds, looking every millisecond. @returns false when it did not hold in time */
  runUntil(condition: () => boolean, limit: Time, step: Time = MS): boolean {
    const end = this.now + limit;
    while (!condition()) {
      if (this.now >= end) return false;
      this.run(Math.min(end, this.now + step));
    }
    return true;
  }

  /** Used by the sockets: does something later. */
  after(delay: Time, action: () => void): void {
    pushEvent(this.#events, { time: this.now + delay, sequence: this.#sequence++, action });
  }

  /** Used by the sockets: whether a packet gets through now. */
  passes(protocol: FakeProtocol, src: Ipv4, srcPort: number, dst: Ipv4, dstPort: number): boolean {
    for (const rule of this.#rules) {
      const between = (rule.a === src && rule.b === dst) || (rule.a === dst && rule.b === src);
      if (!between || (rule.protocol !== undefined && rule.protocol !== protocol)) continue;
      if (rule.port === undefined || rule.port === srcPort || rule.port === dstPort) return false;
    }
    return true;
  }

  /** Used by the sockets: whether chance takes this UDP packet. */
  lost(src: Ipv4, dst: Ipv4): boolean {
    return this.udpLoss > 0 && src !== dst && this.#lossRandom.float() < this.udpLoss;
  }

  delay(src: Ipv4, dst: Ipv4): Time {
    return src === dst ? 0 : this.latency;
  }

  see(protocol: FakeProtocol, src: Ipv4, srcPort: number, dst: Ipv4, dstPort: number, data: Uint8Array): void {
    for (const tap of this.#taps) tap({ time: this.now, protocol, src, srcPort, dst, dstPort, data });
  }

  #throwFailure(): void {
    const failure = this.failures[0];
    if (failure === undefined || this.keepFailures) return;
    this.failures.length = 0;
    throw new Error(`${failure.program} on ${failure.host} at ${this.now / SEC} s: ${String(failure.error)}`, {
      cause: failure.error,
    });
  }
}

/** One host of a FakeNetwork. */
export class FakeHost {
  readonly os: HostOs;
  readonly ip: Ipv4;
  readonly network: FakeNetwork;
  up = true;
  readonly udp = new Map<number, FakeUdpSocket>();
  readonly listeners = new Map<number, FakeTcpSocket>();
  /** Connections by `localPort/remoteIp/remotePort`. */
  readonly connections = new Map<string, FakeTcpSocket>();
  readonly #runtime: ScheduledHost;
  #nextPort = 32768;

  constructor(network: FakeNetwork, runtime: ScheduledHost, ip: Ipv4) {
    this.network = network;
    this.ip = ip;
    this.#runtime = runtime;
    this.os = Object.assign(runtime, { kernel: fakeKernel(this, runtime) });
  }

  get name(): string {
    return this.os.hostName;
  }

  processes(): readonly Process[] {
    return this.#runtime.processes();
  }

  /** Power loss: programs end without clean-up, sockets vanish, packets to it get no answer. */
  crash(): void {
    this.up = false;
    this.#runtime.crash();
    this.udp.clear();
    this.listeners.clear();
    this.connections.clear();
  }

  /** Power back on, without any program. */
  restart(): void {
    this.up = true;
  }

  ephemeralPort(taken: (port: number) => boolean): number {
    for (;;) {
      const port = this.#nextPort;
      this.#nextPort = port === 60999 ? 32768 : port + 1;
      if (!taken(port)) return port;
    }
  }
}

function fakeKernel(host: FakeHost, runtime: ScheduledHost): HostKernel {
  const kernel: HostKernel = {
    name: runtime.hostName,
    index: runtime.hostIndex,
    get root() {
      return root;
    },
    createNs: missing("createNs"),
    namespaces: () => [root],
    park: missing("park"),
    unpark: missing("unpark"),
    parked: () => [],
    drops: () => ({}),
  };
  const root: NetNs = {
    name: "host",
    host: kernel,
    alive: true,
    rename: missing("rename"),
    destroy: missing("destroy"),
    link: absent("link"),
    addr: absent("addr"),
    route: absent("route"),
    neigh: absent("neigh"),
    fdb: absent("fdb"),
    iptables: absent("iptables"),
    xfrm: absent("xfrm"),
    ipvs: absent("ipvs"),
    conntrack: absent("conntrack"),
    socket: {
      udp: () => new FakeUdpSocket(host),
      tcp: () => new FakeTcpSocket(host),
      sctp: missing("sctp sockets"),
      icmp: missing("icmp sockets"),
      raw: missing("raw sockets"),
      list: () => listSockets(host),
    },
    sysctlGet: missing("sysctls"),
    sysctlSet: missing("sysctls"),
    snmp: () => ({}),
  };
  return kernel;
}

function listSockets(host: FakeHost): SocketInfo[] {
  const tcp = [...host.listeners.values(), ...host.connections.values()].map((socket) => socket.describe());
  return [...[...host.udp.values()].map((socket) => socket.describe()), ...tcp];
}

function missing(what: string): () => never {
  return () => {
    throw new Error(`${what}: not in the fake`);
  };
}

function absent<T extends object>(what: string): T {
  return new Proxy({} as T, { get: missing(what) });
}

/** `192.168.77.11` and so on: the address of the n-th host, from 0. */
export function fakeIp(n: number): Ipv4 {
  return 0xc0a84d0b + n;
}

/** For messages of tests. */
export function describePacket(packet: FakePacket): string {
  const from = `${formatIpv4(packet.src)}:${packet.srcPort}`;
  return `${packet.time} ${packet.protocol} ${from} > ${formatIpv4(packet.dst)}:${packet.dstPort} ${packet.data.length}`;
}

function pushEvent(heap: NetEvent[], event: NetEvent): void {
  let slot = heap.length;
  heap.push(event);
  while (slot > 0) {
    const parentSlot = (slot - 1) >> 1;
    const parent = heap[parentSlot] as NetEvent;
    if (!earlier(event, parent)) break;
    heap[slot] = parent;
    slot = parentSlot;
  }
  heap[slot] = event;
}

function popEvent(heap: NetEvent[]): void {
  const last = heap.pop() as NetEvent;
  if (heap.length === 0) return;
  let slot = 0;
  for (;;) {
    let child = 2 * slot + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && earlier(heap[child + 1] as NetEvent, heap[child] as NetEvent)) child++;
    if (!earlier(heap[child] as NetEvent, last)) break;
    heap[slot] = heap[child] as NetEvent;
    slot = child;
  }
  heap[slot] = last;
}

function earlier(a: NetEvent, b: NetEvent): boolean {
  return a.time !== b.time ? a.time < b.time : a.sequence < b.sequence;
}
