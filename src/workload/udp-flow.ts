/**
 * Generated UDP traffic: datagrams of one size at a fixed rate, made by the kernel as pktgen makes them
 * (assembly/socket/udp-flow.ts), and a sink that counts what arrives. Both ends are sockets of their namespaces, so
 * every datagram takes the whole road.
 */
import type { Ipv4 } from "../base/addr.ts";
import { SEC, type Time } from "../base/time.ts";
import type { UdpSocket } from "../kernel/socket-types.ts";
import type { NetNs } from "../kernel/types.ts";
import { type HostRuntime, type Proc, sleep } from "../scheduler/process.ts";

/** What is sent. */
export interface UdpLoad {
  /** Datagrams a second. */
  readonly rate: number;
  /** Bytes of payload. */
  readonly size: number;
  /** For how long. */
  readonly duration: Time;
}

/** Datagrams of a load, and the time from one to the next in ns. */
export function scheduleOf({ rate, duration }: UdpLoad): { readonly count: number; readonly interval: Time } {
  return { count: Math.max(1, Math.round((rate * duration) / SEC)), interval: Math.max(1, Math.round(SEC / rate)) };
}

/** What a sender came to. */
export interface UdpSent {
  /** Datagrams that the kernel took. */
  readonly sent: number;
  /** Those that it refused: no route, an unreachable neighbour, a firewall. */
  readonly failed: number;
}

/** Sends a load to an address, the first datagram at once. Ends when the last one has been sent. @throws KernelError */
export function* sendUdp(os: HostRuntime, ns: NetNs, to: Ipv4, port: number, load: UdpLoad): Proc<UdpSent> {
  const { count, interval } = scheduleOf(load);
  const socket = ns.socket.udp();
  try {
    const flow = socket.generate(to, port, load.size, interval, count);
    yield* sleep(os, (count - 1) * interval);
    // The kernel's timer and this program are due at the same instant.
    while (flow.counts().left > 0) yield* sleep(os, 1);
    const { sent, failed } = flow.counts();
    return { sent, failed };
  } finally {
    socket.close();
  }
}

/** Counts what arrives on a port. Close it. */
export class UdpSink {
  readonly #socket: UdpSocket;

  /** @throws KernelError EADDRINUSE when the port is taken */
  constructor(ns: NetNs, port: number) {
    this.#socket = ns.socket.udp();
    try {
      this.#socket.bind(0, port);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#socket.setSink(true);
  }

  /** Datagrams and bytes of payload so far. */
  received(): { readonly packets: number; readonly bytes: number } {
    return this.#socket.received();
  }

  close(): void {
    this.#socket.close();
  }
}
