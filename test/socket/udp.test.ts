import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { checksum, type IpFrame, ip, MS, Net, SEC } from "../inet/net.ts";

function pair(mtu = 1500) {
  const net = new Net();
  const [h1, h2] = [net.host(), net.host()];
  const [d1, d2] = [net.nic(h1, "192.168.77.11", 24, { mtu }), net.nic(h2, "192.168.77.12", 24, { mtu })];
  const [n1, n2] = [net.root(h1), net.root(h2)];
  const point = net.capture(d1);
  const open = (ns: number, address = "0.0.0.0", port = 0) => {
    const sk = net.x["udpOpen"](ns) as number;
    const error = net.x["udpBind"](sk, ip(address), port) as number;
    if (error !== 0) throw new Error(`bind ${error}`);
    return sk;
  };
  return { net, h1, h2, d1, d2, n1, n2, point, open };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined) => (data === undefined ? undefined : new TextDecoder().decode(data));

describe("bind and connect", () => {
  it("ephemeral ports lie in the range, are spread, and never collide", () => {
    const { net, n1, open } = pair();
    const ports = Array.from({ length: 300 }, () => net.local(open(n1)).port);
    expect(new Set(ports).size).toBe(300);
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(32768);
    expect(Math.max(...ports)).toBeLessThanOrEqual(60999);
    expect(Math.max(...ports) - Math.min(...ports)).toBeGreaterThan(20000);
  });

  it("gives every port of a small range, then EADDRINUSE", () => {
    const { net, n1, open } = pair();
    net.sysctl(n1, abi.SYS_LOCAL_PORT_MIN, 40000);
    net.sysctl(n1, abi.SYS_LOCAL_PORT_MAX, 40009);
    const ports = Array.from({ length: 10 }, () => net.local(open(n1)).port);
    expect(ports.sort()).toEqual(Array.from({ length: 10 }, (_, i) => 40000 + i));
    const sk = net.x["udpOpen"](n1);
    expect(net.x["udpBind"](sk, 0, 0)).toBe(-abi.EADDRINUSE);
    expect(net.sendTo(sk, "192.168.77.12", 9, 1)).toBe(-abi.EAGAIN);
  });

  it("a range whose ends stand the wrong way round has its first port only", () => {
    const { net, n1, open } = pair();
    net.sysctl(n1, abi.SYS_LOCAL_PORT_MIN, 50000);
    net.sysctl(n1, abi.SYS_LOCAL_PORT_MAX, 49999);
    expect(net.local(open(n1)).port).toBe(50000);
    const tcp = net.x["tcpOpen"](n1) as number;
    expect(net.x["tcpConnect"](tcp, ip("192.168.77.12"), 80)).toBe(0);
    expect(net.local(tcp).port).toBe(50000);
  });

  it("a wildcard collides with every address, different addresses do not", () => {
    const { net, n1, d1, open } = pair();
    net.addr(d1, "192.168.77.21", 24);
    open(n1, "192.168.77.11", 53);
    open(n1, "192.168.77.21", 53);
    const sk = net.x["udpOpen"](n1);
    expect(net.x["udpBind"](sk, 0, 53)).toBe(-abi.EADDRINUSE);
    expect(net.x["udpBind"](sk, ip("192.168.77.99"), 54)).toBe(-abi.EADDRNOTAVAIL);
    expect(net.x["udpBind"](sk, 0, 54)).toBe(0);
    expect(net.x["udpBind"](sk, 0, 55)).toBe(-abi.EINVAL);
  });

  it("connect chooses the source address and refuses what has no route", () => {
    const { net, n1, open } = pair();
    const sk = open(n1);
    expect(net.x["udpConnect"](sk, ip("10.9.9.9"), 53)).toBe(-abi.ENETUNREACH);
    expect(net.x["udpConnect"](sk, ip("192.168.77.255"), 53)).toBe(-abi.EACCES);
    expect(net.x["udpConnect"](sk, ip("192.168.77.12"), 53)).toBe(0);
    expect(net.local(sk).ip).toBe(ip("192.168.77.11"));
  });
});

describe("delivery", () => {
  it("echoes, with addresses, TTL and time", () => {
    const { net, n1, n2, open } = pair();
    const server = open(n2, "0.0.0.0", 7);
    const client = open(n1);
    expect(net.sendTo(client, "192.168.77.12", 7, bytes("hello"))).toBe(0);
    net.run(MS);
    const got = net.recv(server)!;
    expect(text(got.data)).toBe("hello");
    expect(got).toMatchObject({
      src: ip("192.168.77.11"),
      sport: net.local(client).port,
      dst: ip("192.168.77.12"),
      ttl: 64,
    });
    expect(got.time).toBeGreaterThan(150_000);
    net.sendTo(server, "192.168.77.11", got.sport, new Uint8Array(0));
    net.run(MS);
    expect(net.recv(client)!.data).toHaveLength(0);
    expect(net.recv(client)).toBeUndefined();
    expect(net.snmp(n2, 38)).toBe(1); // InDatagrams
    expect(net.snmp(n2, 41)).toBe(1); // OutDatagrams
  });

  it("prefers a connected socket, then a bound address, then the wildcard", () => {
    const { net, n1, n2, d2, open } = pair();
    net.addr(d2, "192.168.77.22", 24);
    const a = open(n1, "0.0.0.0", 5001);
    const other = open(n1, "0.0.0.0", 5002);
    const specific = open(n2, "192.168.77.12", 53);
    const second = open(n2, "192.168.77.22", 53);
    net.x["udpConnect"](specific, ip("192.168.77.11"), 5001);
    net.sendTo(a, "192.168.77.12", 53, bytes("a"));
    net.sendTo(other, "192.168.77.12", 53, bytes("b")); // the connected one doesn't want it: port unreachable
    net.sendTo(other, "192.168.77.22", 53, bytes("c"));
    net.run(MS);
    expect(text(net.recv(specific)?.data)).toBe("a");
    expect(net.recv(specific)).toBeUndefined();
    expect(text(net.recv(second)?.data)).toBe("c");
    expect(net.snmp(n2, 39)).toBe(1); // NoPorts
  });

  it("broadcasts reach all sockets of the port, the sender's host too", () => {
    const { net, h1, h2, n1, n2, d2, open } = pair();
    net.addr(d2, "192.168.77.22", 24);
    const sender = open(n1, "0.0.0.0", 5000);
    const [b, c] = [open(n2, "0.0.0.0", 5000), open(n2, "0.0.0.0", 5001)];
    expect(net.sendTo(sender, "192.168.77.255", 5000, 3)).toBe(-abi.EACCES);
    net.x["sockSetBroadcast"](sender, 1);
    for (const target of ["192.168.77.255", "255.255.255.255"]) {
      if (target === "255.255.255.255")
        net.x["routeAdd"](n1, 0, 0, ip("192.168.77.12"), 0, 0, 0, 1, 3, 0xffffffff, 0, 0);
      expect(net.sendTo(sender, target, 5000, 3)).toBe(0);
      net.run(MS);
      expect(net.recv(b)?.src).toBe(ip("192.168.77.11"));
      expect(net.recv(c)).toBeUndefined();
      expect(net.recv(sender)?.src).toBe(ip("192.168.77.11"));
    }
    expect(net.imbalance(h1)).toBe(0n);
    expect(net.imbalance(h2)).toBe(0n);
  });

  it("the receive buffer is limited; what doesn't fit is counted", () => {
    const { net, h2, n1, n2, open } = pair();
    const server = open(n2, "0.0.0.0", 7);
    const client = open(n1);
    net.sendTo(client, "192.168.77.12", 7, 1);
    net.run(MS);
    for (let i = 0; i < 200; i++) {
      net.sendTo(client, "192.168.77.12", 7, 1000);
      net.run(0.01 * MS);
    }
    net.run(MS);
    let count = 0;
    while (net.recv(server) !== undefined) count++;
    expect(count).toBe(1 + Math.floor((212992 - 512) / 2048));
    expect(net.drops(h2, abi.DROP_SOCKET_RCVBUFF)).toBe(201 - count);
    expect(net.snmp(n2, 42)).toBe(201 - count);
  });

  it("a wrong checksum is dropped and counted; none is accepted", () => {
    const { net, h2, n1, n2, open } = pair();
    const server = open(n2, "0.0.0.0", 7);
    const raw = net.x["rawOpen"](n1, 17) as number;
    // Packets that we build carry SKB_CSUM_OK; a frame from another worker does not.
    const payload = Uint8Array.from([0x10, 0, 0, 7, 0, 10, 0xde, 0xad, 1, 2]);
    const frame = (check: number) => {
      payload[6] = check >> 8;
      payload[7] = check & 255;
      const packet = new Uint8Array(44);
      packet.set([0x52, 0x54, 0, 0x77, 0x4d, 0x0c, 0x52, 0x54, 0, 0x77, 0x4d, 0x0b, 8, 0]);
      packet.set([0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 192, 168, 77, 11, 192, 168, 77, 12], 14);
      const sum = checksum(packet.subarray(14, 34));
      packet.set([sum >> 8, sum & 255], 24);
      packet.set(payload, 34);
      const at = net.x["wireImport"](1, 0, net.now, 0, 1, packet.length, 0) as number;
      net.k.put(at, packet);
      net.run(MS);
    };
    frame(0xdead);
    expect(net.recv(server)).toBeUndefined();
    expect(net.drops(h2, abi.DROP_UDP_CSUM)).toBe(1);
    expect(net.snmp(n2, 44)).toBe(1);
    frame(0);
    expect(net.recv(server)!.data).toEqual(Uint8Array.from([1, 2]));
    expect(raw).not.toBe(0);
  });

  it("a checksum of zero is sent as 0xffff, and all checksums are right", () => {
    const { net, n1, n2, point, open } = pair();
    open(n2, "0.0.0.0", 7);
    const client = open(n1, "0.0.0.0", 5000);
    net.sendTo(client, "192.168.77.12", 7, 2);
    net.run(MS);
    net.take(point);
    const pseudo = (f: IpFrame) =>
      (f.src >>> 16) + (f.src & 0xffff) + (f.dst >>> 16) + (f.dst & 0xffff) + 17 + f.payload.length;
    // The two payload bytes that make the sum 0xffff.
    net.sendTo(client, "192.168.77.12", 7, Uint8Array.from([0, 0]));
    const first = net.takeIp(point)[0]!;
    const check = (first.payload[6]! << 8) | first.payload[7]!;
    net.sendTo(client, "192.168.77.12", 7, Uint8Array.from([check >> 8, check & 255]));
    const zero = net.takeIp(point)[0]!;
    expect([zero.payload[6], zero.payload[7]]).toEqual([0xff, 0xff]);
    for (const frame of [first, zero]) expect(checksum(frame.payload, pseudo(frame))).toBe(0);
  });
});

describe("errors", () => {
  it("port unreachable reaches a connected socket once, an unconnected one never", () => {
    const { net, n1, open } = pair();
    const connected = open(n1);
    const loose = open(n1);
    net.x["udpConnect"](connected, ip("192.168.77.12"), 9999);
    net.send(connected, 4);
    net.sendTo(loose, "192.168.77.12", 9999, 4);
    net.run(MS);
    expect(net.x["sockTakeError"](loose)).toBe(0);
    expect(net.send(connected, 4)).toBe(-abi.ECONNREFUSED);
    expect(net.x["sockTakeError"](connected)).toBe(0);
    expect(net.send(connected, 4)).toBe(0);
    net.run(MS);
    expect(net.x["sockTakeError"](connected)).toBe(abi.ECONNREFUSED);
  });

  it("no route, bad port, no peer, too long", () => {
    const { net, n1, open } = pair();
    const sk = open(n1);
    expect(net.sendTo(sk, "10.9.9.9", 9, 4)).toBe(-abi.ENETUNREACH);
    expect(net.sendTo(sk, "192.168.77.12", 0, 4)).toBe(-abi.EINVAL);
    expect(net.send(sk, 4)).toBe(-abi.EDESTADDRREQ);
    expect(net.sendTo(sk, "192.168.77.12", 9, 65508)).toBe(-abi.EMSGSIZE);
    expect(net.sendTo(sk, "192.168.77.12", 9, 65507)).toBe(0);
    net.x["sockSetPmtuDisc"](sk, 2);
    expect(net.sendTo(sk, "192.168.77.12", 9, 1473)).toBe(-abi.EMSGSIZE);
    expect(net.sendTo(sk, "192.168.77.12", 9, 1472)).toBe(0);
  });

  it("a full send buffer is EAGAIN until packets have left", () => {
    const { net, h1, n1, open } = pair();
    const sk = open(n1);
    net.x["sockSetBuffers"](sk, 0, 4096);
    const results = Array.from({ length: 12 }, () => net.sendTo(sk, "192.168.77.99", 9, 4));
    expect(results.filter((r) => r === -abi.EAGAIN)).toHaveLength(4); // eight buffers of 512 bytes wait for the neighbour
    net.run(4 * SEC);
    expect(net.sendTo(sk, "192.168.77.99", 9, 4)).toBe(0);
    net.x["dgramClose"](sk); // while a packet of it still waits
    net.run(4 * SEC);
    expect(net.live(h1)).toBe(0);
    expect(net.imbalance(h1)).toBe(0n);
  });

  it("closing frees everything", () => {
    const { net, h2, n1, n2, open } = pair();
    const blocks = () => net.x["blocksHeld"]() as number;
    const client = open(n1);
    // Once before counting: neighbours, and the list of wakes gets its block.
    const once = open(n2, "0.0.0.0", 7);
    net.sendTo(client, "192.168.77.12", 7, 4);
    net.run(MS);
    net.x["dgramClose"](once);
    const before = blocks();
    const server = open(n2, "0.0.0.0", 7);
    for (let i = 0; i < 5; i++) net.sendTo(client, "192.168.77.12", 7, 4);
    net.run(MS);
    net.x["dgramClose"](server);
    expect(blocks()).toBe(before);
    expect(net.live(h2)).toBe(0);
  });
});

describe("IP ids and DF", () => {
  function send(setup: (net: Net, sk: number) => void, connected: boolean, length = 100) {
    const { net, n1, n2, point, open } = pair();
    open(n2, "0.0.0.0", 7);
    const sk = open(n1);
    setup(net, sk);
    if (connected) net.x["udpConnect"](sk, ip("192.168.77.12"), 7);
    for (let i = 0; i < 4; i++) {
      if (connected) net.send(sk, length);
      else net.sendTo(sk, "192.168.77.12", 7, length);
    }
    net.run(MS);
    return net.takeIp(point).filter((f) => f.dir === 2 && f.offset === 0);
  }

  it("connected: DF and a counter of the socket", () => {
    const frames = send(() => {}, true);
    expect(frames.every((f) => f.df)).toBe(true);
    const start = frames[0]!.id;
    expect(frames.map((f) => (f.id - start) & 0xffff)).toEqual([0, 1, 2, 3]);
    const long = send(() => {}, true, 2000);
    expect(long.every((f) => !f.df && f.mf)).toBe(true);
    expect(long.map((f) => (f.id - long[0]!.id) & 0xffff)).toEqual([0, 1, 2, 3]);
  });

  it("unconnected: DF and the hashed generator, which also counts within one jiffy", () => {
    const frames = send(() => {}, false);
    expect(frames.every((f) => f.df)).toBe(true);
    expect(frames.map((f) => (f.id - frames[0]!.id) & 0xffff)).toEqual([0, 1, 2, 3]);
    expect(frames[0]!.id).not.toBe(0);
  });

  it("DF forced: id 0 unless connected", () => {
    const force = (net: Net, sk: number) => net.x["sockSetPmtuDisc"](sk, 2);
    expect(send(force, false).map((f) => [f.df, f.id])).toEqual(Array(4).fill([true, 0]));
    expect(new Set(send(force, true).map((f) => f.id)).size).toBe(4);
  });

  it("discovery off: no DF", () => {
    expect(send((net, sk) => net.x["sockSetPmtuDisc"](sk, 0), false).every((f) => !f.df && f.id !== 0)).toBe(true);
  });
});

describe("generator", () => {
  it("sends at its interval into a sink, connected or not", () => {
    const { net, h1, h2, n1, n2, point, open } = pair();
    const sink = open(n2, "0.0.0.0", 7);
    net.x["sockSetSink"](sink, 1);
    const sk = open(n1);
    net.sendTo(sk, "192.168.77.12", 7, 4);
    net.run(MS);
    net.take(point);
    const flow = net.x["udpFlowStart"](sk, ip("192.168.77.12"), 7, 1000, 10_000, 50) as number;
    net.run(10 * MS);
    const frames = net.takeIp(point).filter((f) => f.dir === 2);
    expect(frames).toHaveLength(50);
    for (let i = 1; i < 50; i++) expect(frames[i]!.time - frames[i - 1]!.time).toBe(10_000);
    const at = net.x["udpFlowStats"](flow) as number;
    expect([0, 8, 16].map((o) => net.k.view().getFloat64(at + o, true))).toEqual([50, 0, 0]);
    const got = net.x["sockReceived"](sink) as number;
    expect(net.k.view().getFloat64(got, true)).toBe(51);
    expect(net.k.view().getFloat64(got + 8, true)).toBe(4 + 50 * 1000);
    net.x["dgramClose"](sk);
    expect(net.imbalance(h1)).toBe(0n);
    expect(net.imbalance(h2)).toBe(0n);
  });
});
