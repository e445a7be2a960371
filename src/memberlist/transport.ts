/** memberlist's sockets (hashicorp/memberlist net_transport.go) and the framing of what goes through them. */
import type { Ipv4 } from "../base/addr.ts";
import { KernelError, MalformedError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Time } from "../base/time.ts";
import type { Datagram, TcpSocket, UdpSocket } from "../kernel/socket-types.ts";
import { connectTcp, recvExactly, recvTcp, sendTcp } from "../scheduler/io.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc, Waitable } from "../scheduler/process.ts";
import { LAN } from "./config.ts";
import {
  decompress,
  decompressIfNeeded,
  ENCRYPT_OVERHEAD,
  framePacket,
  frameStream,
  MAX_STREAM_BYTES,
  openPacket,
  openStream,
  STREAM_HEADER,
} from "./framing.ts";
import type { Keyring } from "./keyring.ts";
import { concat, decodePushPull, decodeUserStream, MESSAGE } from "./messages.ts";
import { decodeStruct } from "./msgpack.ts";
import type { Packet, Part } from "./parts.ts";

/** Where a datagram stands while it is handled: the longest that there are fit. */
const received = new Uint8Array(65536);

/** UDP packets and TCP streams of a node, framed, encrypted, with checksums (net.go, net_transport.go). */
export class Transport {
  readonly listener: TcpSocket;
  /** Dropped packets, frames and messages by reason. */
  readonly drops = new Map<string, number>();
  readonly #host: HostOs;
  readonly #keyring: Keyring;
  readonly #random: Random;
  readonly #udp: UdpSocket;
  #nonceTime = -1;

  constructor(host: HostOs, keyring: Keyring, random: Random) {
    this.#host = host;
    this.#keyring = keyring;
    this.#random = random;
    this.#udp = host.kernel.root.socket.udp();
    this.listener = host.kernel.root.socket.tcp();
  }

  /** @param bind local address, 0 = any */
  open(bind: Ipv4, backlog: number): void {
    try {
      this.#udp.bind(bind, LAN.port);
      this.listener.bind(bind, LAN.port);
      this.listener.listen(backlog);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#udp.setOwner("dockerd");
    this.listener.setOwner("dockerd");
  }

  close(): void {
    this.#udp.close();
    this.listener.close();
  }

  /** What encryption takes of a packet's budget. */
  get packetOverhead(): number {
    return this.#keyring.size === 0 ? 0 : ENCRYPT_OVERHEAD;
  }

  /** Nonces depend on the time and on how many there were at that time: no two are equal, and no past is needed. */
  get #nonces(): Random {
    const now = this.#host.now();
    if (now !== this.#nonceTime) {
      this.#nonceTime = now;
      this.#random.seek(now);
    }
    return this.#random;
  }

  drop(reason: string): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }

  /** Runs a handler; what it finds malformed is dropped and counted. */
  guard(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.malformed(error);
    }
  }

  /** Counts what a handler found malformed; throws any other error again. */
  malformed(error: unknown): void {
    if (!(error instanceof MalformedError)) throw error;
    this.drop(error.reason);
  }

  /**
   * Sends one UDP packet; that the kernel refuses it is no error of the protocol, and counted.
   * @param parts what is in it, if that is known
   */
  send(addr: Ipv4, port: number, message: Uint8Array, crc: boolean, parts?: readonly Part[]): void {
    try {
      this.#udp.sendTo(framePacket(message, crc, this.#keyring, this.#nonces, parts), addr, port);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.drop(`send: ${error.code}`);
    }
  }

  /** @param handle gets a datagram's bytes for as long as it runs */
  *receive(handle: (datagram: Datagram) => void): Proc {
    const socket = this.#udp;
    const wait = { on: [socket as Waitable] };
    while (!socket.closed) {
      try {
        const error = socket.takeError();
        if (error !== undefined) throw new KernelError(error, "recvfrom");
        const datagram = socket.tryRecv(received);
        if (datagram === undefined) yield wait;
        else handle(datagram);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        this.drop(`receive: ${error.code}`);
      }
    }
  }

  /** The message of a UDP packet; undefined when it was dropped. */
  unpack(packet: Uint8Array): Packet | undefined {
    try {
      return openPacket(packet, this.#keyring);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.drop(error.reason);
      return undefined;
    }
  }

  *dial(addr: Ipv4, port: number, until: Time): Proc<TcpSocket> {
    const socket = yield* connectTcp(this.#host.kernel.root, addr, port, until);
    socket.setOwner("dockerd");
    return socket;
  }

  /**
   * Sends the one message of a stream.
   * @param parts what is in it, if that is known
   * @throws KernelError; ETIMEDOUT when the deadline came
   */
  *sendStream(socket: TcpSocket, message: Uint8Array, until: Time, parts?: readonly Part[]): Proc {
    const sent = yield* sendTcp(socket, frameStream(message, this.#keyring, this.#nonces, parts), until);
    if (!sent) throw new KernelError("ETIMEDOUT", "write");
  }

  /**
   * The one message of a stream, decrypted and unpacked; undefined when the stream ended or the deadline came first.
   * @throws MalformedError, KernelError
   */
  *receiveStream(socket: TcpSocket, until: Time): Proc<Packet | undefined> {
    if (this.#keyring.size === 0) {
      const message = yield* this.#receiveClear(socket, until);
      return message === undefined ? undefined : { message, parts: undefined };
    }
    const header = yield* recvExactly(socket, 1, until);
    if (header === undefined) return undefined;
    if (header[0] !== MESSAGE.encrypt) {
      throw new MalformedError("encryption is configured but remote state is not encrypted");
    }
    const length = yield* recvExactly(socket, STREAM_HEADER - 1, until);
    if (length === undefined) throw new MalformedError("stream is cut short");
    const size = new DataView(length.buffer, length.byteOffset).getUint32(0);
    if (size > MAX_STREAM_BYTES) throw new MalformedError("remote node state is larger than limit");
    const frame = yield* recvExactly(socket, size, until);
    if (frame === undefined) throw new MalformedError("stream is cut short");
    return openStream(concat([header, length]), frame, this.#keyring);
  }

  /** Closes an accepted connection. What was not read yet is, lest the kernel answer it with a reset. */
  finish(socket: TcpSocket): void {
    try {
      for (let data = socket.tryRecv(65536); data !== undefined && data.length > 0; ) data = socket.tryRecv(65536);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    socket.close();
  }

  /** Without encryption no length is sent: reads until what came is a whole message. */
  *#receiveClear(socket: TcpSocket, until: Time): Proc<Uint8Array | undefined> {
    let data: Uint8Array = new Uint8Array(0);
    for (;;) {
      const more = yield* recvTcp(socket, 65536, until);
      if (more === undefined || more.length === 0) {
        if (data.length === 0) return undefined;
        throw new MalformedError("stream is cut short");
      }
      data = concat([data, more]);
      if (data[0] === MESSAGE.encrypt) {
        throw new MalformedError("remote state is encrypted and encryption is not configured");
      }
      if (isWhole(data)) return decompressIfNeeded(data);
      if (data.length > MAX_STREAM_BYTES) throw new MalformedError("remote node state is larger than limit");
    }
  }
}

function isWhole(message: Uint8Array): boolean {
  const body = message.subarray(1);
  try {
    if (message[0] === MESSAGE.compress) decompress(body);
    else if (message[0] === MESSAGE.pushPull) decodePushPull(body);
    else if (message[0] === MESSAGE.user) decodeUserStream(body);
    else decodeStruct(body);
    return true;
  } catch (error) {
    if (error instanceof MalformedError && error.reason.endsWith("cut short")) return false;
    throw error;
  }
}
