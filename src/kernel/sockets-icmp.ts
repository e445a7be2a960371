/** Ping sockets (net/ipv4/ping.c) and raw sockets (net/ipv4/raw.c) as programs see them. */
import * as abi from "../../assembly/abi.ts";
import type { Ipv4 } from "../base/addr.ts";
import { check } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import type { Datagram, IcmpReply, IcmpSocket, RawSocket } from "./socket-types.ts";
import { DatagramSocket } from "./sockets-datagram.ts";

/** A ping socket: it has an id of its own and hears the answers to it, and ICMP errors about its requests. */
export class IcmpSocketImpl extends DatagramSocket implements IcmpSocket {
  readonly id: number;

  constructor(ns: Namespace) {
    const { exports } = ns.kernel;
    super(ns, check(exports.icmpOpen(ns.handle, 0), "socket"));
    this.id = this.localAddress().port;
  }

  sendEcho(ip: Ipv4, seq: number, data: Uint8Array): void {
    this.requireOpen("sendto");
    const length = this.putPayload(data, "sendto");
    this.sent(this.kernel.exports.icmpSendEcho(this.handle, ip, seq & 0xffff, length), "sendto");
  }

  tryRecv(): IcmpReply | undefined {
    if (this.closed || this.kernel.exports.icmpRecv(this.handle) < 0) return undefined;
    const { exports, mem } = this.kernel;
    const at = exports.scratch();
    const type = mem.u32(at + abi.DGRAM_TYPE);
    const code = mem.u32(at + abi.DGRAM_CODE);
    const id = mem.u32(at + abi.DGRAM_ID);
    const seq = mem.u32(at + abi.DGRAM_SEQ);
    const info = mem.u32(at + abi.DGRAM_INFO);
    const { src, ttl, time, data } = this.take();
    return { type, code, id, seq, src, ttl, time, data, info };
  }

  pathMtu(ip: Ipv4): number {
    this.requireOpen("getsockopt");
    return this.kernel.exports.routePathMtu(this.ns.handle, ip);
  }
}

/** A raw socket of one IP protocol: sends IP payloads, receives whole IP packets. */
export class RawSocketImpl extends DatagramSocket implements RawSocket {
  constructor(ns: Namespace, protocol: number) {
    super(ns, ns.kernel.exports.rawOpen(ns.handle, protocol));
  }

  sendTo(payload: Uint8Array, ip: Ipv4): void {
    this.requireOpen("sendto");
    const length = this.putPayload(payload, "sendto");
    this.sent(this.kernel.exports.rawSendTo(this.handle, ip, length), "sendto");
  }

  tryRecv(): Datagram | undefined {
    if (this.closed || this.kernel.exports.rawRecv(this.handle) < 0) return undefined;
    return this.take();
  }
}
