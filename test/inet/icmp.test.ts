import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { checksum, type IpFrame, ip, MS, Net, SEC } from "./net.ts";

function pair(mtu = 1500) {
  const net = new Net();
  const [h1, h2] = [net.host(), net.host()];
  const [d1, d2] = [net.nic(h1, "192.168.77.11", 24, { mtu }), net.nic(h2, "192.168.77.12", 24, { mtu })];
  const [n1, n2] = [net.root(h1), net.root(h2)];
  const point = net.capture(d1);
  return { net, h1, h2, d1, d2, n1, n2, point };
}

describe("echo", () => {
  it("reply: same data, DF 0, TTL 64, TOS of the request; request: DF 1, id not 0", () => {
    const { net, n1, point } = pair();
    const sk = net.x["icmpOpen"](n1, 4711) as number;
    net.x["sockSetTos"](sk, 0x10);
    net.ping(sk, "192.168.77.12", 3, 56);
    net.run(10 * MS);
    const [request, reply] = net.takeIp(point) as [IpFrame, IpFrame];
    expect(request).toMatchObject({ df: true, length: 84, ttl: 64, tos: 0x10 });
    expect(request.id).not.toBe(0);
    expect(reply).toMatchObject({ df: false, length: 84, ttl: 64, tos: 0x10 });
    expect(reply.id).not.toBe(0);
    expect(checksum(request.payload)).toBe(0);
    expect(checksum(reply.payload)).toBe(0);
    const got = net.recv(sk, "icmpRecv")!;
    expect(got).toMatchObject({ type: 0, id: 4711, seq: 3, ttl: 64, src: ip("192.168.77.12") });
    expect([...got.data]).toEqual(Array.from({ length: 56 }, (_, i) => i));
    // The round trip: twice 50 µs and the 97.6 ns that 122 bytes on the wire take at 10 Gbit/s.
    expect(got.time).toBe(request.time + 2 * (50_000 + 98));
  });

  it("ids of successive requests differ; echo to oneself goes over the loopback", () => {
    const { net, n1, point } = pair();
    net.lo(n1);
    const sk = net.x["icmpOpen"](n1, 0) as number;
    net.ping(sk, "192.168.77.11", 1);
    net.ping(sk, "127.0.0.1", 2);
    net.ping(sk, "0.0.0.0", 3);
    expect([1, 2, 3].map(() => net.recv(sk, "icmpRecv")?.seq)).toEqual([1, 2, 3]);
    expect(net.take(point)).toHaveLength(0);
  });

  it("echo ignore all, and broadcasts by default", () => {
    const { net, n1, n2, point } = pair();
    const sk = net.x["icmpOpen"](n1, 0) as number;
    expect(net.ping(sk, "192.168.77.255", 1)).toBe(-abi.EACCES);
    net.x["sockSetBroadcast"](sk, 1);
    net.ping(sk, "192.168.77.255", 1);
    net.run(MS);
    expect(net.recv(sk, "icmpRecv")).toBeUndefined();
    net.sysctl(n2, abi.SYS_ICMP_ECHO_IGNORE_BROADCASTS, 0);
    net.ping(sk, "192.168.77.255", 2);
    net.run(MS);
    expect(net.recv(sk, "icmpRecv")).toMatchObject({ seq: 2, src: ip("192.168.77.12") });
    net.sysctl(n2, abi.SYS_ICMP_ECHO_IGNORE_ALL, 1);
    net.ping(sk, "192.168.77.12", 3);
    net.run(MS);
    expect(net.recv(sk, "icmpRecv")).toBeUndefined();
    expect(net.take(point).filter((f) => f.bytes[0] === 0xff && f.dir === 2 && f.bytes[13] === 0)).toHaveLength(2);
  });

  it("ping sockets get ids in order, and only their own replies", () => {
    const { net, n1 } = pair();
    const [a, b] = [net.x["icmpOpen"](n1, 0), net.x["icmpOpen"](n1, 0)] as [number, number];
    expect(net.local(b).port).toBe(net.local(a).port + 1);
    expect(net.x["icmpOpen"](n1, net.local(a).port)).toBe(-abi.EADDRINUSE);
    net.ping(a, "192.168.77.12", 5);
    net.run(10 * MS);
    expect(net.recv(b, "icmpRecv")).toBeUndefined();
    expect(net.recv(a, "icmpRecv")).toMatchObject({ seq: 5 });
  });
});

describe("errors", () => {
  it("port unreachable: TOS 0xc0, TTL 64, DF 0, quotes the whole packet; 39 bytes give 67", () => {
    const { net, n1, point } = pair();
    const udp = net.x["udpOpen"](n1) as number;
    net.sendTo(udp, "192.168.77.12", 9999, 11);
    net.run(10 * MS);
    const frames = net.takeIp(point);
    expect(frames[0]!.length).toBe(39);
    const error = frames[1]!;
    expect(error).toMatchObject({ protocol: 1, length: 67, tos: 0xc0, ttl: 64, df: false, src: ip("192.168.77.12") });
    expect([...error.payload.subarray(0, 2)]).toEqual([3, 3]);
    expect(checksum(error.payload)).toBe(0);
    expect(Buffer.from(error.payload.subarray(8))).toEqual(Buffer.from(frames[0]!.bytes.subarray(14, 14 + 39)));
  });

  it("quotes at most 548 bytes", () => {
    const { net, n1, point } = pair();
    const udp = net.x["udpOpen"](n1) as number;
    net.sendTo(udp, "192.168.77.12", 9999, 1000);
    net.run(10 * MS);
    expect(net.takeIp(point)[1]!.length).toBe(576);
  });

  it("are limited to bursts of six and one a second per destination; echo replies are not limited", () => {
    const { net, n1, point } = pair();
    const udp = net.x["udpOpen"](n1) as number;
    const errors = (count: number) => {
      for (let i = 0; i < count; i++) net.sendTo(udp, "192.168.77.12", 9999, 11);
      net.run(10 * MS);
      return net.takeIp(point).filter((f) => f.protocol === 1).length;
    };
    expect(errors(20)).toBe(6);
    net.run(1.05 * SEC);
    expect(errors(20)).toBe(1);
    net.run(3.05 * SEC);
    expect(errors(20)).toBe(3);
    const sk = net.x["icmpOpen"](n1, 0) as number;
    for (let i = 0; i < 50; i++) net.ping(sk, "192.168.77.12", i);
    net.run(10 * MS);
    expect(net.takeIp(point).filter((f) => f.dir === 1)).toHaveLength(50);
  });

  it("the namespace as a whole sends a burst of about 50", () => {
    const { net, n1, n2, d1, point } = pair();
    net.sysctl(n2, abi.SYS_ICMP_RATELIMIT, 0);
    for (let i = 0; i < 100; i++) net.addr(d1, `192.168.77.${100 + i}`, 24);
    for (let i = 0; i < 100; i++) {
      const udp = net.x["udpOpen"](n1) as number;
      net.x["udpBind"](udp, ip("192.168.77.100") + i, 0);
      for (let j = 0; j < 2; j++) net.sendTo(udp, "192.168.77.12", 9999, 11);
    }
    net.run(10 * MS);
    const errors = net.takeIp(point).filter((f) => f.protocol === 1).length;
    // A message costs 0, 1 or 2 credits of the 50.
    expect(errors).toBeGreaterThan(30);
    expect(errors).toBeLessThan(80);
  });

  it("none about broadcasts, other fragments than the first, or errors", () => {
    const { net, n1, point } = pair();
    const udp = net.x["udpOpen"](n1) as number;
    net.x["sockSetBroadcast"](udp, 1);
    net.sendTo(udp, "192.168.77.255", 9999, 11);
    const raw = net.x["rawOpen"](n1, 1) as number;
    net.fill(Uint8Array.from([3, 3, 0xfc, 0xfc, 0, 0, 0, 0])); // an error that quotes nothing
    net.x["rawSendTo"](raw, ip("192.168.77.12"), 8);
    net.run(10 * MS);
    expect(net.takeIp(point).filter((f) => f.dir === 1)).toHaveLength(0);
  });

  it("an unknown protocol is protocol unreachable, unless a raw socket listens", () => {
    const { net, n1, n2, point } = pair();
    const raw = net.x["rawOpen"](n1, 200) as number;
    net.fill(8);
    net.x["rawSendTo"](raw, ip("192.168.77.12"), 8);
    net.run(10 * MS);
    const [sent, error] = net.takeIp(point) as [IpFrame, IpFrame];
    expect(sent).toMatchObject({ protocol: 200, length: 28 });
    expect([...error.payload.subarray(0, 2)]).toEqual([3, 2]);
    const listener = net.x["rawOpen"](n2, 200) as number;
    net.fill(8);
    net.x["rawSendTo"](raw, ip("192.168.77.12"), 8);
    net.run(10 * MS);
    expect(net.takeIp(point).filter((f) => f.dir === 1)).toHaveLength(0);
    const got = net.recv(listener, "rawRecv")!;
    expect(got.data).toHaveLength(28);
    expect(got).toMatchObject({ src: ip("192.168.77.11"), dst: ip("192.168.77.12"), ttl: 64 });
  });
});

describe("path MTU", () => {
  /** host1 (MTU 1500) – router – container behind a veth of MTU 1400. */
  function narrow(mtu: number) {
    const { net, h2, n1, n2, point } = pair();
    const c = net.x["netnsNew"](h2) as number;
    const [outer, inner] = net.veth(n2, c, ["veth0", "eth0"], [1, 2]);
    net.x["linkSetMtu"](outer, mtu);
    net.x["linkSetMtu"](inner, mtu);
    net.addr(outer, "10.5.0.1", 24);
    net.addr(inner, "10.5.0.2", 24);
    net.up(outer);
    net.up(inner);
    net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
    net.x["routeAdd"](n1, ip("10.5.0.0"), 16, ip("192.168.77.12"), 0, 0, 0, 1, 3, 0xffffffff, 0, 0);
    net.x["routeAdd"](c, 0, 0, ip("10.5.0.1"), 0, 0, 0, 1, 3, 0xffffffff, 0, 0);
    const sk = net.x["icmpOpen"](n1, 0) as number;
    return { net, n1, c, sk, point };
  }

  it("frag-needed lowers it for 600 s; the next packet is fragmented, or refused with DF forced", () => {
    const { net, n1, sk, point } = narrow(1400);
    expect(net.ping(sk, "10.5.0.2", 1, 1472)).toBe(0);
    net.run(20 * MS);
    expect(net.recv(sk, "icmpRecv")).toMatchObject({ type: 3, code: 4, seq: 1, info: 1400, src: ip("192.168.77.12") });
    expect(net.routeGet(n1, "10.5.0.2")).toMatchObject({ mtu: 1400 });
    expect(net.x["routePathMtu"](n1, ip("10.5.0.3"))).toBe(1500);
    net.take(point);
    net.ping(sk, "10.5.0.2", 2, 1472);
    net.run(20 * MS);
    const out = net.takeIp(point).filter((f) => f.dir === 2);
    expect(out.map((f) => [f.length, f.offset, f.mf, f.df])).toEqual([
      [1396, 0, true, false],
      [124, 172, false, false],
    ]);
    expect(net.recv(sk, "icmpRecv")).toMatchObject({ type: 0, seq: 2 });
    net.x["sockSetPmtuDisc"](sk, 2);
    expect(net.ping(sk, "10.5.0.2", 3, 1373)).toBe(-abi.EMSGSIZE);
    expect(net.ping(sk, "10.5.0.2", 3, 1372)).toBe(0);
    net.run(601 * SEC);
    expect(net.routeGet(n1, "10.5.0.2")).toMatchObject({ mtu: 1500 });
  });

  it("values below 552 become 552 and stop DF", () => {
    const { net, n1, sk, point } = narrow(500);
    net.ping(sk, "10.5.0.2", 1, 1000);
    net.run(20 * MS);
    expect(net.routeGet(n1, "10.5.0.2")).toMatchObject({ mtu: 552 });
    net.take(point);
    net.ping(sk, "10.5.0.2", 2, 500); // 528 bytes: fit 552, not 500
    net.run(20 * MS);
    expect(net.takeIp(point).filter((f) => f.dir === 2)[0]).toMatchObject({ df: false, length: 528 });
    for (let got = net.recv(sk, "icmpRecv"); ; got = net.recv(sk, "icmpRecv")) {
      if (got?.seq === 2 || got === undefined) {
        expect(got).toMatchObject({ type: 0, seq: 2 });
        break;
      }
    }
  });
});
