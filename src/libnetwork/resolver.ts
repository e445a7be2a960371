/**
 * The embedded DNS server of a sandbox: 127.0.0.11 in the container's namespace, on random ports to which nat
 * rules lead port 53; names of the container's networks are answered here, all others by the host's name servers
 * (moby libnetwork/resolver.go, resolver_unix.go, 20.10).
 */
import { type Ipv4, parseIpv4 } from "../base/addr.ts";
import { KernelError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { SEC } from "../base/time.ts";
import type { TcpSocket, UdpSocket } from "../kernel/socket-types.ts";
import type { IptablesApi, NetNs, Not, Rule } from "../kernel/types.ts";
import { acceptTcp, connectTcp, recvExactly, recvFrom, sendTcp } from "../scheduler/io.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc } from "../scheduler/process.ts";
import { TaskGroup } from "../scheduler/task-group.ts";
import {
  addressAnswer,
  DNS_MAX_TCP_SIZE,
  DNS_MIN_SIZE,
  DNS_RCODE,
  DNS_TYPE,
  type DnsQuery,
  encodeName,
  makeResponse,
  parseQuery,
  parseResponse,
} from "./dns.ts";
import type { DaemonLog } from "./log.ts";

/** Where containers find it. */
export const RESOLVER_ADDRESS: Ipv4 = 0x7f00000b;
export const RESOLVER_TEXT = "127.0.0.11";

const DNS_PORT = 53;
const MAX_EXTERNAL_SERVERS = 3;
const MAX_CONCURRENT = 1024;
const EXTERNAL_TIMEOUT = 4 * SEC;
/** miekg/dns server: first read of a connection 2 s, later ones 8 s. */
const TCP_FIRST_READ = 2 * SEC;
const TCP_IDLE = 8 * SEC;
const OUTPUT_CHAIN = "DOCKER_OUTPUT";
const POSTROUTING_CHAIN = "DOCKER_POSTROUTING";

/** A name server of the host; one on a loopback address is asked from the host's namespace. */
export interface ExternalServer {
  readonly ip: Ipv4;
  readonly hostLoopback: boolean;
}

/** Where the server finds its answers: the sandbox. */
export interface ResolverBackend {
  /** Addresses of a name (final dot stripped); `known` without addresses: it exists in the other family only. */
  resolveName(name: string, family: "ipv4" | "ipv6"): { addresses: readonly Ipv4[]; known: boolean };
  /** `name.network` of an address, or undefined. */
  resolveIp(ip: Ipv4): string | undefined;
  /** An upstream server gave this address. */
  noteExternal(ip: Ipv4): void;
  /** The user set ndots. */
  readonly ndotsSet: boolean;
  /** False for containers of internal networks only: what is not known here is SERVFAIL. */
  readonly proxyDns: boolean;
}

type Transport = "udp" | "tcp";

const is = <T>(value: T): Not<T> => ({ value, not: false });
const SERVER = is({ ip: RESOLVER_ADDRESS, prefix: 32 });

/** The DNS server in a sandbox at 127.0.0.11 (libnetwork/resolver.go). */
export class Resolver {
  readonly #os: HostOs;
  readonly #random: Random;
  readonly #ns: NetNs;
  readonly #backend: ResolverBackend;
  readonly #log: DaemonLog;
  #tasks: TaskGroup;
  readonly #connections = new Set<TcpSocket | UdpSocket>();
  #servers: readonly ExternalServer[] = [];
  #udp: UdpSocket | undefined;
  #tcp: TcpSocket | undefined;
  #outstanding = 0;

  /** @param random shuffles answers of several addresses */
  constructor(os: HostOs, random: Random, ns: NetNs, backend: ResolverBackend, log: DaemonLog) {
    this.#os = os;
    this.#tasks = new TaskGroup(os);
    this.#random = random;
    this.#ns = ns;
    this.#backend = backend;
    this.#log = log;
  }

  /** The host's name servers; the first three count. */
  setExternalServers(servers: readonly ExternalServer[]): void {
    this.#servers = servers.slice(0, MAX_EXTERNAL_SERVERS);
  }

  get externalServers(): readonly ExternalServer[] {
    return this.#servers;
  }

  /** Opens the sockets, sets up the nat rules and starts answering. */
  start(): void {
    const udp = this.#ns.socket.udp();
    udp.setOwner("dockerd");
    udp.bind(RESOLVER_ADDRESS, 0);
    const tcp = this.#ns.socket.tcp();
    tcp.setOwner("dockerd");
    tcp.bind(RESOLVER_ADDRESS, 0);
    tcp.listen(128);
    this.#udp = udp;
    this.#tcp = tcp;
    setupNat(this.#ns.iptables, udp.localAddress().port, tcp.localAddress().port);
    this.#tasks.spawn("resolver-udp", this.#serveUdp(udp));
    this.#tasks.spawn("resolver-tcp", this.#serveTcp(tcp));
  }

  /** Closes everything; the nat rules stay until the namespace ends. */
  stop(): void {
    this.#tasks.stop();
    this.#tasks = new TaskGroup(this.#os);
    for (const socket of this.#connections) socket.close();
    this.#connections.clear();
    this.#udp?.close();
    this.#tcp?.close();
  }

  *#serveUdp(socket: UdpSocket): Proc {
    while (!socket.closed) {
      const datagram = yield* this.#nextDatagram(socket);
      if (datagram === undefined) continue;
      const { data, src, srcPort } = datagram;
      const reply = (answer: Uint8Array): void => {
        if (!socket.closed) this.#trySend(() => socket.sendTo(answer, src, srcPort));
      };
      const query = parseQuery(data);
      if (query === undefined) continue;
      const local = this.#answerLocally(query, "udp");
      if (local !== undefined) reply(local);
      else this.#tasks.spawn("resolver-forward", this.#forwardTo(query, data, "udp", reply));
    }
  }

  /** ICMP errors about earlier answers end up in the listener; they concern clients that are gone. */
  *#nextDatagram(socket: UdpSocket): Proc<ReturnType<UdpSocket["tryRecv"]>> {
    try {
      return yield* recvFrom(socket);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#log("debug", `[resolver] read on ${RESOLVER_TEXT}: ${error.message}`);
      return undefined;
    }
  }

  #trySend(send: () => void): void {
    try {
      send();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#log("error", `[resolver] error writing resolver resp, ${error.message}`);
    }
  }

  *#serveTcp(listener: TcpSocket): Proc {
    for (;;) {
      const socket = yield* acceptTcp(listener);
      if (socket === undefined) return;
      this.#connections.add(socket);
      this.#tasks.spawn("resolver-conn", this.#serveConnection(socket));
    }
  }

  *#serveConnection(socket: TcpSocket): Proc {
    try {
      for (let timeout = TCP_FIRST_READ; ; timeout = TCP_IDLE) {
        const data = yield* readTcpMessage(socket, this.#os.now() + timeout);
        const query = data === undefined ? undefined : parseQuery(data);
        if (data === undefined || query === undefined) return;
        const answer = this.#answerLocally(query, "tcp") ?? (yield* this.#forward(query, data, "tcp"));
        if (answer !== undefined) yield* sendTcp(socket, tcpFrame(answer), this.#os.now() + TCP_IDLE);
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#log("debug", `[resolver] connection on ${RESOLVER_TEXT}: ${error.message}`);
    } finally {
      this.#connections.delete(socket);
      socket.close();
    }
  }

  *#forwardTo(query: DnsQuery, data: Uint8Array, transport: Transport, reply: (answer: Uint8Array) => void): Proc {
    const answer = yield* this.#forward(query, data, transport);
    if (answer !== undefined) reply(answer);
  }

  /** The answer from the container's own networks, or undefined: ask upstream. */
  #answerLocally(query: DnsQuery, transport: Transport): Uint8Array | undefined {
    const maxSize = maxAnswerSize(query, transport);
    const make = (answers: Parameters<typeof makeResponse>[2], rcode: number = DNS_RCODE.NOERROR): Uint8Array =>
      makeResponse(query, rcode, answers, maxSize, transport === "tcp");
    const name = query.name.slice(0, -1);
    const { A, AAAA, MX, PTR } = DNS_TYPE;
    if (query.type === A || query.type === AAAA || query.type === MX) {
      const found = this.#backend.resolveName(name, query.type === AAAA ? "ipv6" : "ipv4");
      if (found.known) {
        const addresses = query.type === A ? this.#shuffled(found.addresses) : [];
        return make(addresses.map(addressAnswer));
      }
    } else if (query.type === PTR) {
      const host = this.#resolveReverse(query.name);
      if (host !== undefined) return make([{ type: PTR, rdata: encodeName(host) ?? Uint8Array.of(0) }]);
    }
    if (!this.#backend.proxyDns) return make([], DNS_RCODE.SERVFAIL);
    if ((query.type === A || query.type === AAAA) && this.#backend.ndotsSet && !name.includes(".")) return make([]);
    return undefined;
  }

  #shuffled(addresses: readonly Ipv4[]): Ipv4[] {
    return addresses.length > 1 ? this.#random.shuffle([...addresses]) : [...addresses];
  }

  #resolveReverse(name: string): string | undefined {
    const suffix = ".in-addr.arpa.";
    if (!name.endsWith(suffix)) return undefined;
    const ip = parseIpv4(name.slice(0, -suffix.length).split(".").reverse().join("."));
    return ip === undefined ? undefined : this.#backend.resolveIp(ip);
  }

  /**
   * Asks the host's servers in turn. SERVFAIL, REFUSED and NXDOMAIN of a server without authority lead to the next;
   * the last answer is the one the client gets. No server, no answer: silence.
   */
  *#forward(query: DnsQuery, data: Uint8Array, transport: Transport): Proc<Uint8Array | undefined> {
    // PTR outside in-addr.arpa and ip6.arpa is an error in 20.10: logged, no reply.
    if (query.type === DNS_TYPE.PTR && !/\.(in-addr|ip6)\.arpa\.$/.test(query.name)) {
      this.#log("error", `invalid PTR query, ${query.name}`);
      return undefined;
    }
    let last: Uint8Array | undefined;
    for (const server of this.#servers) {
      if (this.#outstanding >= MAX_CONCURRENT) {
        this.#log("error", `[resolver] more than ${MAX_CONCURRENT} concurrent queries`);
        continue;
      }
      this.#outstanding++;
      try {
        const answer = yield* this.#exchange(server, data, transport);
        if (answer === undefined) {
          last = undefined;
          continue;
        }
        last = answer;
        if (this.#isFinal(answer)) break;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        this.#log("warning", `[resolver] connect failed: ${error.message}`);
      } finally {
        this.#outstanding--;
      }
    }
    return last;
  }

  /** Whether an upstream answer ends the search; its addresses are noted, so that PTR for them goes upstream too. */
  #isFinal(answer: Uint8Array): boolean {
    const response = parseResponse(answer);
    if (response === undefined) return false;
    if (response.rcode === DNS_RCODE.NXDOMAIN) return response.authoritative;
    if (response.rcode !== DNS_RCODE.NOERROR) return false;
    for (const record of response.answers) {
      const ip = record.type === DNS_TYPE.A ? parseIpv4(record.text) : undefined;
      if (ip !== undefined) this.#backend.noteExternal(ip);
    }
    return true;
  }

  #namespaceOf(server: ExternalServer): NetNs {
    return server.hostLoopback ? this.#ns.host.root : this.#ns;
  }

  /** One question to one server: 4 s to connect, 4 s for the exchange. */
  *#exchange(server: ExternalServer, data: Uint8Array, transport: Transport): Proc<Uint8Array | undefined> {
    const ns = this.#namespaceOf(server);
    const until = this.#os.now() + EXTERNAL_TIMEOUT;
    if (transport === "tcp") {
      const socket = yield* connectTcp(ns, server.ip, DNS_PORT, until);
      this.#connections.add(socket);
      try {
        const deadline = this.#os.now() + EXTERNAL_TIMEOUT;
        yield* sendTcp(socket, tcpFrame(data), deadline);
        return yield* readTcpMessage(socket, deadline);
      } finally {
        this.#connections.delete(socket);
        socket.close();
      }
    }
    const socket = ns.socket.udp();
    this.#connections.add(socket);
    try {
      socket.setOwner("dockerd");
      socket.connect(server.ip, DNS_PORT);
      socket.send(data);
      return (yield* recvFrom(socket, until))?.data;
    } finally {
      this.#connections.delete(socket);
      socket.close();
    }
  }
}

function maxAnswerSize(query: DnsQuery, transport: Transport): number {
  if (transport === "tcp") return DNS_MAX_TCP_SIZE;
  return Math.max(DNS_MIN_SIZE, query.udpSize ?? 0);
}

/** A message with its length in front (RFC 1035 §4.2.2). */
function tcpFrame(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(message.length + 2);
  out[0] = message.length >>> 8;
  out[1] = message.length & 255;
  out.set(message, 2);
  return out;
}

function* readTcpMessage(socket: TcpSocket, until: number): Proc<Uint8Array | undefined> {
  const head = yield* recvExactly(socket, 2, until);
  if (head === undefined) return undefined;
  return yield* recvExactly(socket, ((head[0] as number) << 8) | (head[1] as number), until);
}

/** Two chains with a jump each; what is in them is replaced. The tcp rules end up before the udp ones. */
export function setupNat(iptables: IptablesApi, udpPort: number, tcpPort: number): void {
  prepareChain(iptables, "OUTPUT", OUTPUT_CHAIN);
  prepareChain(iptables, "POSTROUTING", POSTROUTING_CHAIN);
  for (const [protocol, port] of [
    ["udp", udpPort],
    ["tcp", tcpPort],
  ] as const) {
    iptables.insert("nat", OUTPUT_CHAIN, {
      match: { dst: SERVER, protocol: is<string>(protocol), dport: is([DNS_PORT, DNS_PORT] as const) },
      target: { kind: "DNAT", ip: RESOLVER_ADDRESS, ports: [port, port] },
    });
    iptables.insert("nat", POSTROUTING_CHAIN, {
      match: { src: SERVER, protocol: is<string>(protocol), sport: is([port, port] as const) },
      target: { kind: "SNAT", ports: [DNS_PORT, DNS_PORT] },
    });
  }
}

function prepareChain(iptables: IptablesApi, hook: "OUTPUT" | "POSTROUTING", chain: string): void {
  const jump: Rule = { match: { dst: SERVER }, target: { kind: "JUMP", chain } };
  if (iptables.hasChain("nat", chain)) {
    iptables.flush("nat", chain);
    return;
  }
  iptables.newChain("nat", chain);
  iptables.append("nat", hook, jump);
}
