/** UDP sockets (net/ipv4/udp.c as programs see it). */
import type { Ipv4 } from "../base/addr.ts";
import type { Time } from "../base/time.ts";
import { check, refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import type { Datagram, UdpGenerator, UdpSocket } from "./socket-types.ts";
import { DatagramSocket } from "./sockets-datagram.ts";

/** The longest payload of a datagram: 65535 less the headers of IP and UDP. */
const MAX_PAYLOAD = 65_507;

/** A UDP socket over its handle in the kernel. */
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

  tryRecv(into?: Uint8Array): Datagram | undefined {
    if (this.closed || this.kernel.exports.udpRecv(this.handle) < 0) return undefined;
    return this.take(into);
  }

  generate(ip: Ipv4, port: number, size: number, interval: Time, count: number): UdpGenerator {
    this.requireOpen("generate");
    if (!(Number.isInteger(size) && size >= 0 && size <= MAX_PAYLOAD)) refuse("EMSGSIZE", "generate");
    const { exports, mem } = this.kernel;
    const flow = exports.udpFlowStart(this.handle, ip, port, size, interval, count);
    return {
      counts: () => {
        this.requireOpen("generate");
        const at = exports.udpFlowStats(flow);
        return { sent: mem.f64(at), failed: mem.f64(at + 8), left: mem.f64(at + 16) };
      },
    };
  }

  setSink(on: boolean): void {
    this.requireOpen("setsockopt");
    this.kernel.exports.sockSetSink(this.handle, on ? 1 : 0);
  }

  received(): { readonly packets: number; readonly bytes: number } {
    this.requireOpen("getsockopt");
    const { exports, mem } = this.kernel;
    const at = exports.sockReceived(this.handle);
    return { packets: mem.f64(at), bytes: mem.f64(at + 8) };
  }

  setBroadcast(on: boolean): void {
    this.requireOpen("setsockopt");
    this.kernel.exports.sockSetBroadcast(this.handle, on ? 1 : 0);
  }
}
