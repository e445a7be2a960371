/** What UDP, raw and ping sockets share at the border: sending through scratch, received records, the list. */
import * as abi from "../../assembly/abi.ts";
import type { Ipv4 } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { readDump } from "./addresses.ts";
import { check, refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import { SocketBase } from "./socket.ts";
import type { Datagram, PmtuDiscovery, SocketInfo } from "./socket-types.ts";

const PMTU_MODES: Record<PmtuDiscovery, number> = { dont: 0, want: 1, do: 2 };

/** The longest payload that an IP packet can carry. */
const MAX_DATAGRAM = 65_535;

/** Sock.type of assembly/socket/socket.ts as ss(8) calls it. */
const TYPES: Record<number, SocketInfo["protocol"]> = { 1: "udp", 3: "icmp", 4: "raw" };

/** Options that the three have in common. */
export abstract class DatagramSocket extends SocketBase {
  setTtl(ttl: number): void {
    this.requireOpen("setsockopt");
    if (!(ttl >= 1 && ttl <= 255)) refuse("EINVAL", "setsockopt IP_TTL");
    this.kernel.exports.sockSetTtl(this.handle, ttl);
  }

  setPmtuDiscovery(mode: PmtuDiscovery): void {
    this.requireOpen("setsockopt");
    this.kernel.exports.sockSetPmtuDisc(this.handle, PMTU_MODES[mode]);
  }

  /** Puts a payload into scratch; returns its length. Longer than any IP packet: EMSGSIZE. */
  protected putPayload(data: Uint8Array, operation: string): number {
    if (data.length > MAX_DATAGRAM) refuse("EMSGSIZE", operation);
    const { exports, mem } = this.kernel;
    mem.bytes.set(data, exports.scratch());
    return data.length;
  }

  localAddress(): { ip: Ipv4; port: number } {
    this.requireOpen("getsockname");
    const { exports, mem } = this.kernel;
    const at = exports.sockLocal(this.handle);
    return { ip: mem.u32(at), port: mem.u32(at + 4) };
  }

  protected release(): void {
    this.kernel.exports.dgramClose(this.handle);
  }

  /** Takes the packet that the kernel has described in scratch (DGRAM_*). */
  protected take(into?: Uint8Array): Datagram {
    const { exports, mem } = this.kernel;
    const at = exports.scratch();
    const [from, length] = [mem.u32(at + abi.DGRAM_DATA), mem.u32(at + abi.DGRAM_LEN)];
    const datagram = {
      data: into !== undefined && length <= into.length ? mem.copyInto(into, from, length) : mem.copy(from, length),
      src: mem.u32(at + abi.DGRAM_SRC),
      srcPort: mem.u32(at + abi.DGRAM_SPORT),
      dst: mem.u32(at + abi.DGRAM_DST),
      ttl: mem.u32(at + abi.DGRAM_TTL),
      time: mem.i64(at + abi.DGRAM_TIME),
    };
    exports.dgramDone(this.handle);
    return datagram;
  }

  protected sent(result: number, operation: string): void {
    check(result, operation);
  }
}

/** The namespace's UDP, raw and ping sockets. */
export function listDatagramSockets(ns: Namespace): SocketInfo[] {
  const { exports, mem } = ns.kernel;
  return readDump(
    ns,
    abi.SOCK_RECORD,
    (skip) => exports.socketDump(ns.handle, skip),
    (at): SocketInfo => {
      const protocol = TYPES[mem.u32(at + abi.SOCK_REC_TYPE)];
      assert(protocol !== undefined, "socket type", mem.u32(at + abi.SOCK_REC_TYPE));
      const remotePort = mem.u32(at + abi.SOCK_REMOTE_PORT);
      const remoteIp = mem.u32(at + abi.SOCK_REMOTE_IP);
      return {
        protocol,
        state: remoteIp === 0 ? "UNCONN" : "ESTAB",
        localIp: mem.u32(at + abi.SOCK_LOCAL_IP),
        localPort: mem.u32(at + abi.SOCK_LOCAL_PORT),
        remoteIp,
        remotePort,
        rxQueue: mem.u32(at + abi.SOCK_RX_BYTES),
        txQueue: mem.u32(at + abi.SOCK_TX_BYTES),
        owner: ns.kernel.socketAt(mem.u32(at + abi.SOCK_HANDLE))?.owner ?? "",
      };
    },
  );
}
