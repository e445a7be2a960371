/** Blocking forms of the socket door, as generators. */

import type { Ipv4 } from "../base/addr.ts";
import { KernelError } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import type { Datagram, SctpSocket, StreamSocket, TcpSocket, UdpSocket, Wakeable } from "../kernel/socket-types.ts";
import type { NetNs } from "../kernel/types.ts";
import type { Proc, Wait, Waitable } from "./process.ts";

function waitFor(source: Wakeable, until: Time | undefined): Wait {
  const on = [source as Waitable];
  return until === undefined ? { on } : { on, until };
}

/** The next datagram; undefined when the deadline came. Throws a pending ICMP error. */
export function* recvFrom(socket: UdpSocket, until?: Time): Proc<Datagram | undefined> {
  for (;;) {
    const error = socket.takeError();
    if (error !== undefined) throw new KernelError(error, "recvfrom");
    const datagram = socket.tryRecv();
    if (datagram !== undefined) return datagram;
    if ((yield waitFor(socket, until)) === undefined) return socket.tryRecv();
  }
}

/** Connects, or throws ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT …; ETIMEDOUT too when the deadline came. */
export function* connectTcp(ns: NetNs, ip: Ipv4, port: number, until?: Time): Proc<TcpSocket> {
  const socket = ns.socket.tcp();
  try {
    socket.connect(ip, port);
    while (socket.state === "SYN_SENT") {
      const source = yield waitFor(socket, until);
      if (source === undefined && socket.state === "SYN_SENT") throw new KernelError("ETIMEDOUT", "connect");
    }
    const error = socket.takeError();
    if (error !== undefined) throw new KernelError(error, "connect");
    if (socket.state !== "ESTABLISHED" && socket.state !== "CLOSE_WAIT")
      throw new KernelError("ECONNREFUSED", "connect");
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** As connectTcp, for an SCTP association. */
export function* connectSctp(ns: NetNs, ip: Ipv4, port: number, until?: Time): Proc<SctpSocket> {
  const socket = ns.socket.sctp();
  try {
    socket.connect(ip, port);
    while (socket.state === "COOKIE_WAIT" || socket.state === "COOKIE_ECHOED") {
      const source = yield waitFor(socket, until);
      if (source === undefined) throw new KernelError("ETIMEDOUT", "connect");
    }
    const error = socket.takeError();
    if (error !== undefined) throw new KernelError(error, "connect");
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** The next connection of a listener; undefined when the deadline came or the listener was closed. */
export function* acceptTcp(listener: TcpSocket, until?: Time): Proc<TcpSocket | undefined> {
  return yield* accept(listener, until);
}

/** As acceptTcp, for SCTP. */
export function* acceptSctp(listener: SctpSocket, until?: Time): Proc<SctpSocket | undefined> {
  return yield* accept(listener, until);
}

interface Listener<S> extends Wakeable {
  readonly closed: boolean;
  tryAccept(): S | undefined;
}

function* accept<S extends StreamSocket>(listener: Listener<S>, until: Time | undefined): Proc<S | undefined> {
  while (!listener.closed) {
    const socket = listener.tryAccept();
    if (socket !== undefined) return socket;
    if ((yield waitFor(listener, until)) === undefined) return listener.closed ? undefined : listener.tryAccept();
  }
  return undefined;
}

/**
 * TCP or SCTP: at least one byte, an empty array at end of stream, undefined when the deadline came. Throws ECONNRESET and the
 * like.
 * @param into where they may be put (StreamSocket.tryRecv)
 */
export function* recvTcp(
  socket: StreamSocket,
  max: number,
  until?: Time,
  into?: Uint8Array,
): Proc<Uint8Array | undefined> {
  for (;;) {
    const data = socket.tryRecv(max, into);
    if (data !== undefined) return data;
    if ((yield waitFor(socket, until)) === undefined) return socket.tryRecv(max, into);
  }
}

/** Exactly `length` bytes; undefined at an early end of stream or when the deadline came. */
export function* recvExactly(socket: TcpSocket, length: number, until?: Time): Proc<Uint8Array | undefined> {
  const out = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const rest = out.subarray(at);
    const data = yield* recvTcp(socket, rest.length, until, rest);
    if (data === undefined || data.length === 0) return undefined;
    if (data.buffer !== out.buffer) rest.set(data);
    at += data.length;
  }
  return out;
}

/** TCP or SCTP: sends all bytes; false when the deadline came first. Throws EPIPE, ECONNRESET. */
export function* sendTcp(socket: StreamSocket, data: Uint8Array, until?: Time): Proc<boolean> {
  let at = 0;
  while (at < data.length) {
    at += socket.trySend(at === 0 ? data : data.subarray(at));
    if (at < data.length && (yield waitFor(socket, until)) === undefined) return false;
  }
  return true;
}
