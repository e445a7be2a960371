import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { type Frame, ip, MS, Net, SEC } from "./net.ts";

/** Two hosts on one segment; host2's NIC can be taken down. */
function pair() {
  const net = new Net();
  const [h1, h2] = [net.host(), net.host()];
  const [d1, d2] = [net.nic(h1, "192.168.77.11"), net.nic(h2, "192.168.77.12")];
  const [n1, n2] = [net.root(h1), net.root(h2)];
  const point = net.capture(d1);
  const sk = net.x["icmpOpen"](n1, 0) as number;
  const state = () => net.neighState(n1, "192.168.77.12");
  return { net, h1, h2, d1, d2, n1, n2, point, sk, state };
}

const isArp = (frame: Frame) => frame.bytes[12] === 8 && frame.bytes[13] === 6;
const dst = (frame: Frame) => Buffer.from(frame.bytes.subarray(0, 6)).toString("hex");

describe("neighbour states", () => {
  it("asks by broadcast at once and becomes REACHABLE by the reply; the asked host learns STALE", () => {
    const { net, point, sk, state, n2 } = pair();
    net.ping(sk, "192.168.77.12", 1);
    expect(state()).toBe(abi.NUD_INCOMPLETE);
    net.run(10 * MS);
    expect(state()).toBe(abi.NUD_REACHABLE);
    // The asked host knows the asker as STALE and, since it answered the ping, waits in DELAY.
    expect(net.neighState(n2, "192.168.77.11")).toBe(abi.NUD_DELAY);
    const arps = net.take(point).filter(isArp);
    expect(arps).toHaveLength(2);
    expect(dst(arps[0]!)).toBe("ffffffffffff");
    expect(Buffer.from(arps[0]!.bytes.subarray(14)).toString("hex")).toBe(
      "0001080006040001" + "525400774d0b" + "c0a84d0b" + "000000000000" + "c0a84d0c",
    );
    expect(Buffer.from(arps[1]!.bytes.subarray(14)).toString("hex")).toBe(
      "0001080006040002" + "525400774d0c" + "c0a84d0c" + "525400774d0b" + "c0a84d0b",
    );
  });

  it("a host that only answers probes by unicast 5 s after its first answer", () => {
    const { net, point, sk } = pair();
    net.ping(sk, "192.168.77.12", 1);
    net.run(20 * SEC);
    const requests = net.take(point).filter((f) => isArp(f) && f.bytes[21] === 1 && f.dir === 1);
    expect(requests).toHaveLength(1);
    expect(dst(requests[0]!)).toBe("525400774d0b");
    expect(requests[0]!.time / SEC).toBeCloseTo(5, 2);
  });

  it("three requests a second apart, then FAILED and host unreachable for what waits", () => {
    const { net, point, sk, state, h1, n1 } = pair();
    net.ping(sk, "192.168.77.99", 7);
    net.run(500 * MS);
    net.ping(sk, "192.168.77.99", 8);
    net.run(2.4 * SEC);
    expect(net.neighState(n1, "192.168.77.99")).toBe(abi.NUD_INCOMPLETE);
    net.run(0.2 * SEC);
    expect(net.neighState(n1, "192.168.77.99")).toBe(abi.NUD_FAILED);
    expect(state()).toBeUndefined();
    const times = net.take(point).map((f) => Math.round(f.time / SEC));
    expect(times).toEqual([0, 1, 2]);
    expect(net.recv(sk, "icmpRecv")).toBeUndefined(); // the loopback is down: nobody hears it
    expect(net.drops(h1, abi.DROP_NEIGH_FAILED)).toBe(2);
    expect(net.imbalance(h1)).toBe(0n);
  });

  it("host unreachable reaches the local sender over the loopback", () => {
    const { net, sk, n1 } = pair();
    net.lo(n1);
    net.ping(sk, "192.168.77.99", 7);
    net.run(4 * SEC);
    const error = net.recv(sk, "icmpRecv");
    expect(error).toMatchObject({ type: 3, code: 1, seq: 7, src: ip("192.168.77.11") });
  });

  it("REACHABLE ends after 15…45 s in STALE; a packet makes it DELAY, silence PROBE, then FAILED", () => {
    const { net, point, sk, state, d2, n1 } = pair();
    net.ping(sk, "192.168.77.12", 1);
    net.run(10 * MS);
    const confirmed = net.neighbours(n1)[0]!.confirmed;
    while (state() === abi.NUD_REACHABLE) net.run(100 * MS);
    const lifetime = (net.now - confirmed) / SEC;
    expect(lifetime).toBeGreaterThan(14.9);
    expect(lifetime).toBeLessThan(45.2);
    expect(state()).toBe(abi.NUD_STALE);
    net.take(point);
    net.down(d2);
    const start = net.now;
    net.ping(sk, "192.168.77.12", 2);
    expect(state()).toBe(abi.NUD_DELAY);
    net.run(4.9 * SEC);
    expect(state()).toBe(abi.NUD_DELAY);
    net.run(0.2 * SEC);
    expect(state()).toBe(abi.NUD_PROBE);
    net.run(2.8 * SEC);
    expect(state()).toBe(abi.NUD_PROBE);
    net.run(0.2 * SEC);
    expect(state()).toBe(abi.NUD_FAILED);
    const probes = net.take(point).filter(isArp);
    expect(probes.map((f) => Math.round((f.time - start) / SEC))).toEqual([5, 6, 7]);
    for (const probe of probes) expect(dst(probe)).toBe("525400774d0c");
  });

  it("the reachable time is drawn anew every 300 s of the clock", () => {
    const { net, sk, state, n1 } = pair();
    /** How long the entry stays REACHABLE after a probe of it was answered, s. */
    const lifetime = (): number => {
      net.ping(sk, "192.168.77.12", 1);
      for (let i = 0; i < 600 && state() !== abi.NUD_REACHABLE; i++) net.run(10 * MS);
      const { confirmed } = net.neighbours(n1)[0]!;
      while (state() === abi.NUD_REACHABLE) net.run(10 * MS);
      return Math.round((net.now - confirmed) / SEC);
    };
    const periods = [0, 300, 600, 900].map((start) => {
      net.run(start * SEC - net.now + SEC);
      return [lifetime(), lifetime()] as const;
    });
    for (const [first, second] of periods) expect(second).toBe(first);
    expect(new Set(periods.map(([first]) => first)).size).toBeGreaterThan(1);
  });

  it("DELAY becomes REACHABLE by a confirmation, PROBE by a unicast reply", () => {
    const { net, sk, state } = pair();
    net.ping(sk, "192.168.77.12", 1);
    net.run(10 * MS);
    while (state() === abi.NUD_REACHABLE) net.run(100 * MS);
    net.ping(sk, "192.168.77.12", 2);
    net.run(5.5 * SEC); // probed and answered
    expect(state()).toBe(abi.NUD_REACHABLE);
  });

  it("PERMANENT never asks and is not changed by ARP", () => {
    const { net, point, sk, d1, n1, n2 } = pair();
    expect(net.x["neighAdd"](d1, ip("192.168.77.12"), 0x0242, 0x0a000002, abi.NUD_PERMANENT, 0)).toBe(0);
    expect(net.x["neighAdd"](d1, ip("192.168.77.12"), 0x0242, 0x0a000003, abi.NUD_PERMANENT, 0)).toBe(-abi.EEXIST);
    net.ping(sk, "192.168.77.12", 1);
    const other = net.x["icmpOpen"](n2, 0);
    net.ping(other, "192.168.77.11", 1); // an ARP request from .12 arrives
    net.run(60 * SEC);
    expect(net.neighbours(n1)[0]).toMatchObject({ state: abi.NUD_PERMANENT, mac: 0x02420a000002n });
    expect(net.take(point).filter((f) => isArp(f) && f.dir === 2 && f.bytes[21] === 1)).toHaveLength(0);
    expect(net.x["neighDel"](d1, ip("192.168.77.12"))).toBe(0);
    expect(net.x["neighDel"](d1, ip("192.168.77.12"))).toBe(-abi.ENOENT);
  });

  it("keeps at most 212992 bytes waiting, the oldest go", () => {
    const { net, h1, n1 } = pair();
    const udp = net.x["udpOpen"](n1);
    net.x["sockSetBuffers"](udp, 0, 1e9);
    for (let i = 0; i < 200; i++) net.sendTo(udp, "192.168.77.99", 9, 1000);
    // Each buffer is of the 2048-byte class: 104 fit.
    expect(net.drops(h1, abi.DROP_NEIGH_QUEUEFULL)).toBe(200 - 104);
    net.run(4 * SEC);
    expect(net.drops(h1, abi.DROP_NEIGH_FAILED)).toBe(104);
    expect(net.live(h1)).toBe(0);
  });

  it("entries of a device that goes down go, with what waits", () => {
    const { net, d1, h1, n1, sk } = pair();
    net.ping(sk, "192.168.77.99", 1);
    net.down(d1);
    expect(net.neighbours(n1)).toHaveLength(0);
    net.run(5 * SEC);
    expect(net.live(h1)).toBe(0);
    expect(net.imbalance(h1)).toBe(0n);
  });

  it("thresholds are the host's: all its namespaces together have 1024 entries, permanent ones apart", () => {
    const { net, h1, n1, d1 } = pair();
    const c = net.x["netnsNew"](h1) as number;
    const [outer, inner] = net.veth(n1, c, ["veth0", "eth0"], [1, 2]);
    net.addr(outer, "10.1.0.1", 16);
    net.addr(inner, "10.1.0.2", 16);
    net.up(outer);
    net.up(inner);
    net.sysctl(n1, abi.SYS_GC_THRESH2, 1024);
    for (let i = 0; i < 50; i++) net.x["neighAdd"](d1, ip("192.168.77.100") + i, 2, i + 1, abi.NUD_PERMANENT, 0);
    const a = net.x["udpOpen"](n1);
    const b = net.x["udpOpen"](c);
    for (const sk of [a, b]) net.x["sockSetBuffers"](sk, 0, 1e9);
    for (let i = 0; i < 600; i++) net.sendTo(a, `10.1.${4 + (i >> 8)}.${i & 255}`, 9, 1);
    for (let i = 0; i < 424; i++) expect(net.sendTo(b, `10.1.${8 + (i >> 8)}.${i & 255}`, 9, 1)).toBe(0);
    const stats = () => net.k.view().getUint32(net.x["neighStats"](h1) as number, true);
    expect(stats()).toBe(1024); // the asked-for peers answer nothing, so no entry comes by ARP
    net.sendTo(b, "10.1.99.1", 9, 1); // all are busy resolving: nothing can be collected
    expect(net.drops(h1, abi.DROP_NEIGH_TABLE_FULL)).toBe(1);
    net.run(4 * SEC); // all failed: the next allocation collects
    net.sendTo(b, "10.1.99.1", 9, 1);
    expect(net.drops(h1, abi.DROP_NEIGH_TABLE_FULL)).toBe(1);
    expect(net.imbalance(h1)).toBe(0n);
  });
});

describe("ARP", () => {
  it("replies for any local address with arp_ignore 0, only for the device's with 1, never with 8", () => {
    const { net, n1, n2, d1, sk } = pair();
    const lo = net.lo(n2);
    net.addr(lo, "10.9.9.9", 32);
    net.x["routeAdd"](n1, ip("10.9.9.9"), 32, 0, d1, 0, 0, abi.RTN_UNICAST, abi.RTPROT_STATIC, 0xffffffff, 0, 0);
    const ask = () => {
      net.x["neighDel"](d1, ip("10.9.9.9"));
      net.ping(sk, "10.9.9.9", 1);
      net.run(5 * MS);
      return net.neighState(n1, "10.9.9.9");
    };
    expect(ask()).toBe(abi.NUD_REACHABLE);
    net.conf(n2, abi.CONF_ALL, abi.CONF_ARP_IGNORE, 1);
    expect(ask()).toBe(abi.NUD_INCOMPLETE);
    net.conf(n2, abi.CONF_ALL, abi.CONF_ARP_IGNORE, 8);
    expect(ask()).toBe(abi.NUD_INCOMPLETE);
    net.conf(n2, abi.CONF_ALL, abi.CONF_ARP_IGNORE, 0);
    expect(ask()).toBe(abi.NUD_REACHABLE);
  });

  it("arp_announce 0 asks with the packet's source, 2 with the device's primary address", () => {
    const { net, n1, d1, point } = pair();
    const lo = net.lo(n1);
    net.addr(lo, "10.9.9.1", 32);
    const udp = net.x["udpOpen"](n1);
    net.x["udpBind"](udp, ip("10.9.9.1"), 5000);
    const asked = () => {
      net.x["neighDel"](d1, ip("192.168.77.50"));
      net.sendTo(udp, "192.168.77.50", 9, 4);
      const frame = net.take(point).find(isArp)!;
      return Buffer.from(frame.bytes.subarray(28, 32)).toString("hex");
    };
    expect(asked()).toBe("0a090901");
    net.conf(n1, abi.CONF_ALL, abi.CONF_ARP_ANNOUNCE, 2);
    expect(asked()).toBe("c0a84d0b");
  });

  it("arp_notify announces addresses by a broadcast request with sip = tip; the default is silence", () => {
    const { net, n1, d1, point } = pair();
    net.addr(d1, "192.168.77.201", 24);
    expect(net.take(point)).toHaveLength(0);
    net.conf(n1, abi.CONF_ALL, abi.CONF_ARP_NOTIFY, 1);
    net.addr(d1, "192.168.77.202", 24);
    const frames = net.take(point);
    expect(frames).toHaveLength(1);
    expect(Buffer.from(frames[0]!.bytes.subarray(28)).toString("hex")).toBe("c0a84dca" + "000000000000" + "c0a84dca");
  });

  it("a gratuitous ARP with a new MAC overrides at once, another request only after locktime", () => {
    const { net, h2, n1, n2, d2, sk } = pair();
    net.ping(sk, "192.168.77.12", 1);
    net.run(10 * MS);
    net.x["linkSetMac"](d2, 0x5254, 0x00aaaaaa);
    net.conf(n2, abi.CONF_ALL, abi.CONF_ARP_NOTIFY, 1);
    net.down(d2);
    net.up(d2);
    net.run(10 * MS);
    expect(net.neighbours(n1)[0]).toMatchObject({ state: abi.NUD_STALE, mac: 0x525400aaaaaan });
    expect(net.imbalance(h2)).toBe(0n);
  });

  it("proxy_arp answers for what is routed to another device", () => {
    const { net, h2, n1, n2, d1, sk } = pair();
    const c = net.x["netnsNew"](h2) as number;
    const [outer, inner] = net.veth(n2, c, ["veth0", "eth0"], [1, 2]);
    net.addr(outer, "10.5.0.1", 24);
    net.addr(inner, "10.5.0.2", 24);
    net.up(outer);
    net.up(inner);
    net.x["routeAdd"](n1, ip("10.5.0.0"), 24, 0, d1, 0, 0, abi.RTN_UNICAST, abi.RTPROT_STATIC, 0xffffffff, 0, 0);
    net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
    net.ping(sk, "10.5.0.2", 1);
    net.run(10 * MS);
    expect(net.neighState(n1, "10.5.0.2")).toBe(abi.NUD_INCOMPLETE);
    net.run(5 * SEC);
    net.conf(n2, abi.CONF_ALL, abi.CONF_PROXY_ARP, 1);
    net.ping(sk, "10.5.0.2", 1);
    net.run(10 * MS);
    expect(net.neighbours(n1)[0]).toMatchObject({ state: abi.NUD_REACHABLE, mac: 0x525400774d0cn });
  });
});
