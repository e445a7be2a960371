/**
 * docker-proxy: one program per published port that holds the port on the host and carries what the DNAT rules don't
 * catch, connections to 127.0.0.1 above all (moby libnetwork/cmd/proxy, 20.10: tcp_proxy.go, udp_proxy.go,
 * sctp_proxy.go). The container sees the bridge's address as the client's.
 */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { KernelError, UserError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import type { SctpSocket, StreamSocket, TcpSocket, UdpSocket } from "../../kernel/socket-types.ts";
import type { NetNs } from "../../kernel/types.ts";
import { acceptSctp, acceptTcp, connectSctp, connectTcp, recvFrom, recvTcp, sendTcp } from "../../scheduler/io.ts";
import type { HostOs } from "../../scheduler/os.ts";
import { join, type Proc } from "../../scheduler/process.ts";
import { TaskGroup } from "../../scheduler/task-group.ts";
import { goErrorText } from "../go-errors.ts";
import type { ForwardedPort } from "./bridge-iptables.ts";

/** What `ss` calls it. */
const OWNER = "docker-proxy";
const BACKLOG = 4096;
/** A UDP client that has sent nothing for this long is forgotten (UDPConnTrackTimeout). */
const UDP_IDLE = 90 * SEC;
const CHUNK = 32 * 1024;

/** A running docker-proxy. */
export interface UserlandProxy {
  stop(): void;
}

/**
 * Takes the port and starts to serve it.
 * @throws UserError `Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use`
 */
export function startProxy(os: HostOs, port: ForwardedPort): UserlandProxy {
  const proxy = new PortProxy(os, os.kernel.root, port);
  try {
    if (port.protocol === "tcp") proxy.serveTcp();
    else if (port.protocol === "udp") proxy.serveUdp();
    else proxy.serveSctp();
  } catch (error) {
    proxy.stop();
    if (!(error instanceof KernelError)) throw error;
    const where = `${port.protocol}4 ${formatIpv4(port.hostIp)}:${port.hostPort}`;
    throw new UserError(`Error starting userland proxy: listen ${where}: bind: ${goErrorText(error)}`);
  }
  return proxy;
}

class PortProxy implements UserlandProxy {
  readonly #os: HostOs;
  readonly #host: NetNs;
  readonly #port: ForwardedPort;
  readonly #tasks: TaskGroup;
  readonly #sockets = new Set<StreamSocket | UdpSocket>();

  constructor(os: HostOs, host: NetNs, port: ForwardedPort) {
    this.#os = os;
    this.#tasks = new TaskGroup(os);
    this.#host = host;
    this.#port = port;
  }

  stop(): void {
    this.#tasks.stop();
    for (const socket of [...this.#sockets]) this.#close(socket);
  }

  #own<T extends StreamSocket | UdpSocket>(socket: T): T {
    socket.setOwner(OWNER);
    this.#sockets.add(socket);
    return socket;
  }

  #close(socket: StreamSocket | UdpSocket): void {
    this.#sockets.delete(socket);
    socket.close();
  }

  // -------------------------------------------------------------------------------------------- TCP

  serveTcp(): void {
    const listener = this.#own(this.#host.socket.tcp());
    listener.bind(this.#port.hostIp, this.#port.hostPort);
    listener.listen(BACKLOG);
    this.#tasks.spawn(OWNER, this.#accept(listener));
  }

  *#accept(listener: TcpSocket): Proc {
    for (;;) {
      const client = yield* acceptTcp(listener);
      if (client === undefined) return;
      const backend = connectTcp(this.#host, this.#port.containerIp, this.#port.containerPort);
      this.#tasks.spawn(OWNER, this.#carry(this.#own(client), backend));
    }
  }

  // -------------------------------------------------------------------------------------------- SCTP

  serveSctp(): void {
    const listener = this.#own(this.#host.socket.sctp());
    listener.bind(this.#port.hostIp, this.#port.hostPort);
    listener.listen(BACKLOG);
    this.#tasks.spawn(OWNER, this.#acceptSctp(listener));
  }

  *#acceptSctp(listener: SctpSocket): Proc {
    for (;;) {
      const client = yield* acceptSctp(listener);
      if (client === undefined) return;
      const backend = connectSctp(this.#host, this.#port.containerIp, this.#port.containerPort);
      this.#tasks.spawn(OWNER, this.#carry(this.#own(client), backend));
    }
  }

  /** Both directions at once; the end of one is passed on, and the connection ends with the second. */
  *#carry(client: StreamSocket, connecting: Proc<StreamSocket>): Proc {
    let backend: StreamSocket | undefined;
    try {
      backend = this.#own(yield* connecting);
      const back = this.#tasks.spawn(OWNER, pump(backend, client));
      yield* pump(client, backend);
      if (back !== undefined) yield* join(back);
    } catch (error) {
      // Nobody listens in the container: the client's connection is closed, as the real proxy does.
      if (!(error instanceof KernelError)) throw error;
    } finally {
      this.#close(client);
      if (backend !== undefined) this.#close(backend);
    }
  }

  // -------------------------------------------------------------------------------------------- UDP

  serveUdp(): void {
    const socket = this.#own(this.#host.socket.udp());
    socket.bind(this.#port.hostIp, this.#port.hostPort);
    this.#tasks.spawn(OWNER, this.#relay(socket));
  }

  *#relay(listener: UdpSocket): Proc {
    const clients = new Map<string, UdpSocket>();
    while (!listener.closed) {
      const datagram = yield* receive(listener);
      if (datagram === undefined) continue;
      const { src, srcPort, data } = datagram;
      const key = `${src}:${srcPort}`;
      let backend = clients.get(key);
      if (backend === undefined || backend.closed) {
        backend = this.#own(this.#host.socket.udp());
        clients.set(key, backend);
        this.#tasks.spawn(
          OWNER,
          this.#replies(listener, backend, src, srcPort, () => clients.delete(key)),
        );
      }
      trySend(backend, data, this.#port.containerIp, this.#port.containerPort);
    }
  }

  /** Carries what the container answers back to one client. */
  *#replies(listener: UdpSocket, backend: UdpSocket, client: Ipv4, port: number, forget: () => void): Proc {
    try {
      for (;;) {
        const until = this.#os.now() + UDP_IDLE;
        const answer = yield* receive(backend, until);
        if (answer !== undefined) trySend(listener, answer.data, client, port);
        else if (this.#os.now() >= until) return;
      }
    } finally {
      forget();
      this.#close(backend);
    }
  }
}

/** One direction of a connection until its end, which is passed on. */
function* pump(from: StreamSocket, to: StreamSocket): Proc {
  try {
    for (;;) {
      const data = yield* recvTcp(from, CHUNK);
      if (data === undefined || data.length === 0) break;
      yield* sendTcp(to, data);
    }
    if (!to.closed && to.state !== "CLOSED") to.shutdown();
  } catch (error) {
    // One side was reset: the other one is closed with the connection.
    if (!(error instanceof KernelError)) throw error;
    if (!to.closed) to.abort();
  }
}

/** A datagram; undefined at the deadline, and for an ICMP error about an earlier one, which concerns nobody any more. */
function* receive(socket: UdpSocket, until?: number): Proc<ReturnType<UdpSocket["tryRecv"]>> {
  try {
    return yield* recvFrom(socket, until);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return undefined;
  }
}

function trySend(socket: UdpSocket, data: Uint8Array, ip: Ipv4, port: number): void {
  try {
    if (!socket.closed) socket.sendTo(data, ip, port);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}
