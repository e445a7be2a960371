/** The socket door of a namespace: opens sockets, and lists them as ss(8) does. */
import type { Namespace } from "./netns.ts";
import type {
  IcmpSocket,
  RawSocket,
  SctpSocket,
  SocketApi,
  SocketInfo,
  TcpSocket,
  TrafficSocket,
  UdpSocket,
} from "./socket-types.ts";
import { listDatagramSockets } from "./sockets-datagram.ts";
import { IcmpSocketImpl, RawSocketImpl } from "./sockets-icmp.ts";
import { listSctpSockets, SctpSocketImpl } from "./sockets-sctp.ts";
import { listTcpSockets, TcpSocketImpl } from "./sockets-tcp.ts";
import { UdpSocketImpl } from "./sockets-udp.ts";

/** Sockets of a namespace: socket(2), and what `ss` lists. */
export class Sockets implements SocketApi {
  readonly #ns: Namespace;

  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  udp(): UdpSocket {
    this.#ns.requireAlive("socket");
    return new UdpSocketImpl(this.#ns);
  }

  tcp(): TcpSocket {
    this.#ns.requireAlive("socket");
    return TcpSocketImpl.open(this.#ns);
  }

  trafficTcp(): TrafficSocket {
    this.#ns.requireAlive("socket");
    return TcpSocketImpl.open(this.#ns);
  }

  sctp(): SctpSocket {
    this.#ns.requireAlive("socket");
    return SctpSocketImpl.open(this.#ns);
  }

  icmp(): IcmpSocket {
    this.#ns.requireAlive("socket");
    return new IcmpSocketImpl(this.#ns);
  }

  raw(protocol: number): RawSocket {
    this.#ns.requireAlive("socket");
    return new RawSocketImpl(this.#ns, protocol);
  }

  list(): SocketInfo[] {
    this.#ns.requireAlive("ss");
    return [...listDatagramSockets(this.#ns), ...listTcpSockets(this.#ns), ...listSctpSockets(this.#ns)];
  }
}
