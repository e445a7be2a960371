import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip, MS, Net } from "./net.ts";

const ANY = 0xffffffff;

function one() {
  const net = new Net();
  const host = net.host();
  const dev = net.nic(host, "192.168.77.11");
  const ns = net.root(host);
  const add = (
    dst: string,
    plen: number,
    more: { via?: string; dev?: number; src?: string; metric?: number; type?: number; mode?: number } = {},
  ) =>
    net.x["routeAdd"](
      ns,
      ip(dst),
      plen,
      more.via === undefined ? 0 : ip(more.via),
      more.dev ?? 0,
      more.src === undefined ? 0 : ip(more.src),
      more.metric ?? 0,
      more.type ?? abi.RTN_UNICAST,
      abi.RTPROT_BOOT,
      ANY,
      0,
      more.mode ?? 0,
    ) as number;
  const del = (dst: string, plen: number, via = 0, dev = 0) =>
    net.x["routeDel"](ns, ip(dst), plen, via, dev, 0, 0, ANY, ANY, ANY, 0) as number;
  const main = () => net.routes(ns, abi.RT_TABLE_MAIN);
  const local = () => net.routes(ns, abi.RT_TABLE_LOCAL);
  return { net, host, dev, ns, add, del, main, local };
}

describe("addresses", () => {
  it("bring the routes that golden/B shows, and no subnet-zero broadcast", () => {
    const { net, ns, main, local } = one();
    net.lo(ns);
    expect(main()).toEqual(["1 192.168.77.0/24 dev 2 proto 2 scope 253 src 192.168.77.11"]);
    expect(local()).toEqual([
      "2 127.0.0.0/8 dev 1 proto 2 scope 254 src 127.0.0.1",
      "2 127.0.0.1/32 dev 1 proto 2 scope 254 src 127.0.0.1",
      "3 127.255.255.255/32 dev 1 proto 2 scope 253 src 127.0.0.1",
      "2 192.168.77.11/32 dev 2 proto 2 scope 254 src 192.168.77.11",
      "3 192.168.77.255/32 dev 2 proto 2 scope 253 src 192.168.77.11",
    ]);
  });

  it("a second address of the subnet is secondary and goes with the first; with promote_secondaries it takes over", () => {
    const { net, ns, dev, main } = one();
    net.addr(dev, "192.168.77.20", 24);
    expect(main()).toEqual(["1 192.168.77.0/24 dev 2 proto 2 scope 253 src 192.168.77.11"]);
    expect(net.x["addressAdd"](dev, ip("192.168.77.20"), 24, 0, 0)).toBe(-abi.EEXIST);
    net.x["addressDel"](dev, ip("192.168.77.11"), 24);
    expect(main()).toEqual([]);
    expect(net.x["addressDump"](ns, 0)).toBe(0);
    net.addr(dev, "192.168.77.11", 24);
    net.addr(dev, "192.168.77.20", 24);
    net.conf(ns, dev, abi.CONF_PROMOTE_SECONDARIES, 1);
    net.x["addressDel"](dev, ip("192.168.77.11"), 24);
    expect(main()).toEqual(["1 192.168.77.0/24 dev 2 proto 2 scope 253 src 192.168.77.20"]);
    expect(net.x["addressDel"](dev, ip("192.168.77.99"), 24)).toBe(-abi.EADDRNOTAVAIL);
  });

  it("/32 and /31 have no broadcast; /32 no connected route", () => {
    const { net, dev, main, local } = one();
    net.addr(dev, "10.0.0.5", 32);
    net.addr(dev, "10.1.0.4", 31);
    expect(main().filter((r) => r.includes("10."))).toEqual(["1 10.1.0.4/31 dev 2 proto 2 scope 253 src 10.1.0.4"]);
    expect(local().filter((r) => r.startsWith("3"))).toHaveLength(1);
  });

  it("down removes all but the local routes; up brings the connected ones back, static ones are lost", () => {
    const { net, dev, add, main, local } = one();
    expect(add("0.0.0.0", 0, { via: "192.168.77.1" })).toBe(0);
    net.down(dev);
    expect(main()).toEqual([]);
    expect(local()).toEqual(["2 192.168.77.11/32 dev 2 proto 2 scope 254 src 192.168.77.11"]);
    net.up(dev);
    expect(main()).toEqual(["1 192.168.77.0/24 dev 2 proto 2 scope 253 src 192.168.77.11"]);
  });
});

describe("routes", () => {
  it("refuse what Linux refuses", () => {
    const { net, dev, ns, add } = one();
    expect(add("10.0.0.0", 8, { via: "10.9.9.9" })).toBe(-abi.ENETUNREACH);
    expect(add("10.0.0.0", 8, { via: "192.168.77.1" })).toBe(0);
    expect(add("10.0.0.0", 8, { via: "192.168.77.2" })).toBe(-abi.EEXIST);
    expect(add("10.0.0.0", 8, { via: "192.168.77.2", metric: 5 })).toBe(0);
    expect(add("10.0.0.1", 8, { via: "192.168.77.2" })).toBe(-abi.EINVAL); // host bits
    expect(add("11.0.0.0", 8, { via: "192.168.77.11" })).toBe(-abi.EINVAL); // our own address
    expect(add("11.0.0.0", 8, { via: "10.0.0.1" })).toBe(-abi.ENETUNREACH); // not on a link: only behind a gateway
    expect(add("11.0.0.0", 8, {})).toBe(-abi.ENODEV);
    expect(add("11.0.0.0", 8, { dev, src: "1.2.3.4" })).toBe(-abi.EINVAL);
    const c = net.x["netnsNew"](net.hosts[0]!) as number;
    const [, inner] = net.veth(ns, c, ["veth0", "eth0"], [1, 2]);
    expect(net.x["routeAdd"](c, ip("11.0.0.0"), 8, 0, inner, 0, 0, 1, 3, ANY, 0, 0)).toBe(-abi.ENETDOWN);
  });

  it("longest prefix, then lowest metric; replace and delete", () => {
    const { net, ns, add, del, main } = one();
    add("0.0.0.0", 0, { via: "192.168.77.1" });
    add("10.0.0.0", 8, { via: "192.168.77.2", metric: 20 });
    add("10.0.0.0", 8, { via: "192.168.77.3", metric: 10 });
    add("10.1.0.0", 16, { via: "192.168.77.4" });
    add("10.1.2.3", 32, { via: "192.168.77.5" });
    const via = (dst: string) => {
      const result = net.routeGet(ns, dst);
      return typeof result === "number" ? result : result.via & 255;
    };
    expect(["8.8.8.8", "10.9.9.9", "10.1.9.9", "10.1.2.3", "192.168.77.9"].map(via)).toEqual([1, 3, 4, 5, 0]);
    expect(add("10.1.0.0", 16, { via: "192.168.77.6", mode: 1 })).toBe(0);
    expect(via("10.1.9.9")).toBe(6);
    expect(del("10.0.0.0", 8)).toBe(0);
    expect(via("10.9.9.9")).toBe(2);
    expect(del("10.0.0.0", 8)).toBe(0);
    expect(del("10.0.0.0", 8)).toBe(-abi.ESRCH);
    expect(via("10.9.9.9")).toBe(1);
    expect(main()[0]).toBe("1 0.0.0.0/0 via 192.168.77.1 dev 2 proto 3 scope 0");
  });

  it("error types answer with their errno", () => {
    const { net, ns, add } = one();
    add("10.1.0.0", 16, { type: abi.RTN_BLACKHOLE });
    add("10.2.0.0", 16, { type: abi.RTN_UNREACHABLE });
    add("10.3.0.0", 16, { type: abi.RTN_PROHIBIT });
    expect(net.routeGet(ns, "10.1.0.1")).toBe(-abi.EINVAL);
    expect(net.routeGet(ns, "10.2.0.1")).toBe(-abi.EHOSTUNREACH);
    expect(net.routeGet(ns, "10.3.0.1")).toBe(-abi.EACCES);
    expect(net.routeGet(ns, "10.4.0.1")).toBe(-abi.ENETUNREACH);
  });

  it("own addresses go by the loopback; the source must be local", () => {
    const { net, ns } = one();
    net.lo(ns);
    expect(net.routeGet(ns, "192.168.77.11")).toMatchObject({
      dev: 1,
      type: abi.RTN_LOCAL,
      src: ip("192.168.77.11"),
      mtu: 65535,
    });
    expect(net.routeGet(ns, "127.5.6.7")).toMatchObject({ dev: 1, type: abi.RTN_LOCAL });
    expect(net.routeGet(ns, "192.168.77.12", ip("192.168.77.13"))).toBe(-abi.EINVAL);
    expect(net.routeGet(ns, "192.168.77.255")).toMatchObject({ dev: 2, type: abi.RTN_BROADCAST });
  });

  it("a changed MTU shows at once", () => {
    const { net, ns, dev } = one();
    expect(net.routeGet(ns, "192.168.77.12")).toMatchObject({ mtu: 1500 });
    net.x["linkSetMtu"](dev, 1400);
    expect(net.routeGet(ns, "192.168.77.12")).toMatchObject({ mtu: 1400 });
  });

  it("hundreds of routes give what a linear search gives", () => {
    const { net, ns, add } = one();
    const table: { prefix: number; plen: number; via: number }[] = [];
    let seed = 12345;
    const next = () => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 8;
    };
    for (let i = 0; i < 400; i++) {
      const plen = 8 + (next() % 25);
      const mask = (0xffffffff << (32 - plen)) >>> 0;
      const prefix = ((0x0a000000 | (next() & 0x3ffff)) & mask) >>> 0;
      if (table.some((r) => r.prefix === prefix && r.plen === plen)) continue;
      const via = 1 + (next() % 9);
      expect(net.x["routeAdd"](ns, prefix, plen, ip("192.168.77.0") + via, 0, 0, 0, 1, 3, ANY, 0, 0)).toBe(0);
      table.push({ prefix, plen, via });
    }
    expect(add("10.200.0.0", 16, { via: "192.168.77.9" })).toBe(0);
    for (let i = 0; i < 2000; i++) {
      const dst = (0x0a000000 | (next() & 0x3ffff)) >>> 0;
      const best = table
        .filter((r) => (r.plen === 32 ? r.prefix === dst : dst >>> (32 - r.plen) === r.prefix >>> (32 - r.plen)))
        .sort((a, b) => b.plen - a.plen)[0];
      const error = net.x["routeGet"](ns, dst, 0, 0) as number;
      if (best === undefined) expect(error).toBe(-abi.ENETUNREACH);
      else expect(net.k.view().getUint32((net.x["scratch"]() as number) + abi.RTGET_VIA, true) & 255).toBe(best.via);
    }
  });
});

describe("input", () => {
  /** host1 – host2, which routes to container c behind it. */
  function routed() {
    const net = new Net();
    const [h1, h2] = [net.host(), net.host()];
    const [d1, d2] = [net.nic(h1, "192.168.77.11"), net.nic(h2, "192.168.77.12")];
    const [n1, n2] = [net.root(h1), net.root(h2)];
    const c = net.x["netnsNew"](h2) as number;
    const [outer, inner] = net.veth(n2, c, ["veth0", "eth0"], [1, 2]);
    net.addr(outer, "10.5.0.1", 24);
    net.addr(inner, "10.5.0.2", 24);
    net.up(outer);
    net.up(inner);
    net.x["routeAdd"](n1, ip("10.5.0.0"), 16, ip("192.168.77.12"), 0, 0, 0, 1, 3, ANY, 0, 0);
    net.x["routeAdd"](c, 0, 0, ip("10.5.0.1"), 0, 0, 0, 1, 3, ANY, 0, 0);
    const sk = net.x["icmpOpen"](n1, 0) as number;
    const reachable = () => {
      net.ping(sk, "10.5.0.2", 1);
      net.run(20 * MS);
      let got = net.recv(sk, "icmpRecv");
      for (let more = got; more !== undefined; more = net.recv(sk, "icmpRecv")) got = more;
      return got === undefined ? "silence" : `${got.type}/${got.code} ttl ${got.ttl}`;
    };
    return { net, h1, h2, d1, d2, n1, n2, c, outer, inner, sk, reachable };
  }

  it("a host doesn't forward, a router does and takes one off the TTL", () => {
    const { net, h2, n2, reachable } = routed();
    expect(reachable()).toBe("silence");
    expect(net.drops(h2, abi.DROP_IP_INNOROUTES)).toBe(1);
    net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
    expect(reachable()).toBe("0/0 ttl 63");
    expect(net.snmp(n2, 3)).toBe(2); // ForwDatagrams
    expect(net.imbalance(h2)).toBe(0n);
  });

  it("forwarding is per input device", () => {
    const { net, n2, outer, reachable } = routed();
    net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
    net.conf(n2, outer, abi.CONF_FORWARDING, 0);
    expect(reachable()).toBe("silence");
  });

  it("rp_filter 1 wants the route back by the same device, 2 any route", () => {
    const { net, h2, d2, n2, c, outer, inner } = routed();
    // The container sends with a source that host2 has a route for by its NIC, then with one it has none for.
    net.addr(inner, "192.168.77.55", 32);
    net.addr(inner, "172.30.0.1", 32);
    const send = (src: string) => {
      const udp = net.x["udpOpen"](c) as number;
      net.x["udpBind"](udp, ip(src), 0);
      net.sendTo(udp, "10.5.0.1", 7777, 4);
      net.x["dgramClose"](udp);
      net.run(MS);
      return net.drops(h2, abi.DROP_IP_RPFILTER);
    };
    expect(send("192.168.77.55")).toBe(0);
    net.conf(n2, outer, abi.CONF_RP_FILTER, 1);
    expect(send("192.168.77.55")).toBe(1);
    net.conf(n2, outer, abi.CONF_RP_FILTER, 2);
    expect(send("192.168.77.55")).toBe(1);
    expect(send("172.30.0.1")).toBe(2);
    net.conf(n2, outer, abi.CONF_RP_FILTER, 0);
    net.conf(n2, abi.CONF_ALL, abi.CONF_RP_FILTER, 1); // the greater of the two counts
    expect(send("192.168.77.55")).toBe(3);
    expect(d2).not.toBe(0);
  });

  it("martians: own and impossible sources are dropped", () => {
    const { net, h2, c, outer, inner } = routed();
    net.addr(outer, "10.8.0.1", 24);
    net.x["neighAdd"](inner, ip("10.5.0.1"), 0x0242, 1, abi.NUD_PERMANENT, 0); // ARP from a martian isn't answered either
    for (const source of ["10.5.0.1", "10.8.0.255"]) {
      net.addr(inner, source, 32);
      const udp = net.x["udpOpen"](c) as number;
      net.x["udpBind"](udp, ip(source), 0);
      net.sendTo(udp, "192.168.77.12", 7777, 4);
    }
    net.run(MS);
    expect(net.drops(h2, abi.DROP_IP_INADDRERRORS)).toBe(2);
  });

  it("a router without a route says net unreachable from its own address: 84 bytes come back as 112", () => {
    const { net, n1, n2, d1, sk } = routed();
    net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
    net.x["routeAdd"](n1, ip("10.6.0.0"), 16, ip("192.168.77.12"), 0, 0, 0, 1, 3, ANY, 0, 0);
    const point = net.capture(d1);
    net.ping(sk, "10.6.0.1", 1);
    net.run(20 * MS);
    const back = net.takeIp(point).filter((f) => f.dir === 1);
    expect(back).toHaveLength(1);
    expect(back[0]).toMatchObject({ length: 112, tos: 0xc0, ttl: 64, df: false, src: ip("192.168.77.12") });
    expect([...back[0]!.payload.subarray(0, 2)]).toEqual([3, 0]);
  });

  it("TTL 1 dies at the router with time exceeded", () => {
    const { net, n2, sk } = routed();
    net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
    net.x["sockSetTtl"](sk, 1);
    net.ping(sk, "10.5.0.2", 9);
    net.run(20 * MS);
    expect(net.recv(sk, "icmpRecv")).toMatchObject({ type: 11, code: 0, seq: 9, src: ip("192.168.77.12") });
  });

  it("a redirect is sent for a packet that leaves as it came, and the sender takes it", () => {
    const { net, h1, n1, n2, d1, sk } = routed();
    const h3 = net.host();
    net.nic(h3, "192.168.77.13");
    const n3 = net.root(h3);
    const lo = net.lo(n3);
    net.addr(lo, "10.7.0.1", 32);
    net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
    net.x["routeAdd"](n1, ip("10.7.0.0"), 16, ip("192.168.77.12"), 0, 0, 0, 1, 3, ANY, 0, 0);
    net.x["routeAdd"](n2, ip("10.7.0.0"), 16, ip("192.168.77.13"), 0, 0, 0, 1, 3, ANY, 0, 0);
    const point = net.capture(d1);
    net.ping(sk, "10.7.0.1", 1);
    net.run(20 * MS);
    const redirects = net.takeIp(point).filter((f) => f.dir === 1 && f.payload[0] === 5);
    expect(redirects).toHaveLength(1);
    expect([...redirects[0]!.payload.subarray(4, 8)]).toEqual([192, 168, 77, 13]);
    expect(net.routeGet(n1, "10.7.0.1")).toMatchObject({ via: ip("192.168.77.13") });
    expect(net.imbalance(h1)).toBe(0n);
  });

  it("what a unicast route leads into the loopback ends there", () => {
    const { net, h1, n1 } = routed();
    const lo = net.lo(n1);
    net.x["routeAdd"](n1, ip("10.99.0.0"), 16, 0, lo, 0, 0, 1, 3, ANY, 0, 0);
    const sk = net.x["udpOpen"](n1) as number;
    expect(net.sendTo(sk, "10.99.1.1", 9, 10)).toBe(0);
    net.run(MS);
    expect(net.drops(h1, abi.DROP_IP_INNOROUTES)).toBe(1);
    expect(net.drops(h1, abi.DROP_IP_TTL)).toBe(0);
    expect(net.live(h1)).toBe(0);
  });
});
