/** UDP sockets (net/ipv4/udp.c as programs see it). */
import type { Ipv4 } from "../base/addr.ts";
import { check } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import { DatagramSocket } from "./sockets-datagram.ts";
import type { Datagram, UdpSocket } from "./types.ts";

export class UdpSocketImpl extends DatagramSocket implements UdpSocket {
  constructor(ns: Namespace) {
    super(ns, ns.kernel.exports.udpOpen(ns.handle));
  }

  bind(ip: Ipv4, port: number): void {
    this.requireOpen("bind");
    check(this.kernel.exports.udpBind(this.handle, ip, port), "bind");
  }

  connect(ip: Ipv4, port: number): void {
    this.requireOpen("connect");
    check(this.kernel.exports.udpConnect(this.handle, ip, port), "connect");
  }

  sendTo(data: Uint8Array, ip: Ipv4, port: number): void {
    this.requireOpen("sendto");
    const length = this.putPayload(data, "sendto");
    this.sent(this.kernel.exports.udpSendTo(this.handle, ip, port, length), "sendto");
  }

  send(data: Uint8Array): void {
    this.requireOpen("send");
    const length = this.putPayload(data, "send");
    this.sent(this.kernel.exports.udpSendConnected(this.handle, length), "send");
  }

  tryRecv(): Datagram | undefined {
    if (this.closed || this.kernel.exports.udpRecv(this.handle) < 0) return undefined;
    return this.take();
  }

  setBroadcast(on: boolean): void {
    this.requireOpen("setsockopt");
    this.kernel.exports.sockSetBroadcast(this.handle, on ? 1 : 0);
  }
}
