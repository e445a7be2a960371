/** IPsec where Docker uses it: a VXLAN tunnel whose packets mangle OUTPUT marks; hooks, firewall, conntrack, path MTU. */
import { describe, expect, it } from "vitest";
import type { Host } from "../../src/kernel/host.ts";
import type { NetNs, Rule } from "../../src/kernel/types.ts";
import { ip, kernelBuilt, pass } from "../support/kernel.ts";
import {
  A,
  B,
  concat,
  encrypt,
  imbalance,
  inject,
  ipPacket,
  type Pair,
  pair,
  policy,
  sa,
  selector,
  udp,
} from "./esp-net.ts";

const MARK = 0xd0c4e3;
const VNI = 4098;
const U32 = "0x0>>0x16&0x3c@0xc&0xffffff00=0x100200";
const VXLAN: Rule["match"] = {
  protocol: { value: "udp", not: false },
  dport: { value: [4789, 4789], not: false },
  u32: U32,
};

/** An overlay's end on a host: its own namespace with a vxlan device, rules and policy as dockerd sets them. */
function overlay(host: Host, own: string, peer: string, mtu: number): NetNs {
  const { root } = host;
  const last = own.at(-1) as string;
  const other = peer.at(-1) as string;
  const inside = host.createNs("1-enc");
  root.link.add({ kind: "vxlan", name: "vx", vni: VNI, port: 4789, mtu, mac: 0x020000000000 + Number(last) });
  root.link.set("vx", { ns: inside });
  inside.link.set("vx", { up: true, mtu });
  inside.addr.add("vx", { ip: ip(`10.0.2.${last}`), prefix: 24 });
  inside.neigh.add("vx", ip(`10.0.2.${other}`), 0x020000000000 + Number(other), { state: "PERMANENT" });
  inside.fdb.add("vx", 0x020000000000 + Number(other), { dst: ip(peer) });
  root.iptables.append("mangle", "OUTPUT", { match: VXLAN, target: { kind: "MARK", value: MARK } });
  const input = (pol: "none" | "ipsec"): Rule["match"] => ({ ...VXLAN, policy: { dir: "in", pol } });
  root.iptables.append("filter", "INPUT", { match: input("none"), target: { kind: "DROP" } });
  root.iptables.append("filter", "INPUT", { match: input("ipsec"), target: { kind: "ACCEPT" } });
  const [from, to] = [own, peer];
  root.xfrm.policyAdd(
    policy("out", `${from}/32`, `${to}/32`, {
      selector: selector(`${from}/32`, `${to}/32`, { protocol: 17, dport: 4789 }),
      mark: { value: MARK, mask: 0xffffffff },
    }),
  );
  return inside;
}

async function swarm(mtu = 1424): Promise<Pair & { insideA: NetNs; insideB: NetNs; pings(size: number): boolean }> {
  const net = await pair();
  const { a, b, kernel } = net;
  for (const host of [a, b]) {
    host.root.xfrm.stateAdd(sa(A, B, 0x1001));
    host.root.xfrm.stateAdd(sa(B, A, 0x1002));
  }
  const insideA = overlay(a, A, B, mtu);
  const insideB = overlay(b, B, A, mtu);
  const ping = insideA.socket.icmp();
  let seq = 0;
  const pings = (size: number): boolean => {
    ping.sendEcho(ip("10.0.2.2"), seq++, new Uint8Array(size));
    pass(kernel);
    return ping.tryRecv() !== undefined;
  };
  return { ...net, insideA, insideB, pings };
}

/** Packets that matched the n-th rule of a chain. */
function hits(ns: NetNs, table: "mangle" | "filter", chain: string, rule: number): number {
  return ns.iptables.list(table)?.find((one) => one.name === chain)?.rules[rule]?.packets ?? -1;
}

const proto = (value: string): Rule["match"] => ({ protocol: { value, not: false } });

describe.skipIf(!kernelBuilt)("an encrypted overlay", () => {
  it("carries everything in ESP, in packets of the captured sizes", async () => {
    const { a, b, pings, wire } = await swarm();
    expect(pings(56)).toBe(true);
    expect(wire().map((packet) => [packet[9], packet.length])).toEqual([
      [50, 160],
      [50, 160],
    ]);
    expect(pings(1424 - 28)).toBe(true);
    expect(wire().map((packet) => [packet[9], packet.length, packet[8], packet[6]])).toEqual([
      [50, 1500, 64, 0],
      [50, 1500, 64, 0],
    ]);
    for (const host of [a, b]) {
      expect(hits(host.root, "mangle", "OUTPUT", 0)).toBe(2);
      expect([0, 1].map((rule) => hits(host.root, "filter", "INPUT", rule))).toEqual([0, 2]);
      expect(host.root.xfrm.stateList().map((state) => [state.packets, state.bytes])).toEqual([
        [2, 114 + 1454],
        [2, 114 + 1454],
      ]);
      expect(imbalance(host)).toBe(0);
      expect(host.packets().live).toBe(0);
    }
  });

  it("drops what comes in the clear for it", async () => {
    const { a, b, pings, wire } = await swarm();
    a.root.xfrm.policyFlush();
    expect(pings(56)).toBe(false);
    expect(wire().map((packet) => packet[9])).toEqual([17]);
    expect(hits(b.root, "filter", "INPUT", 0)).toBe(1);
    expect(b.drops()).toEqual({ NETFILTER_DROP: 1 });
    // A policy without its state sends nothing.
    a.root.xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`, { mark: { value: MARK, mask: 0xffffffff } }));
    a.root.xfrm.stateFlush();
    expect(pings(56)).toBe(false);
    expect(wire()).toEqual([]);
    expect(a.drops()).toEqual({ XFRM_OUT_NO_STATES: 1 });
    expect(a.root.xfrm.stat()).toMatchObject({ XfrmOutNoStates: 1 });
  });

  it("leaves an unmarked tunnel between the same hosts alone", async () => {
    const { kernel, a, wire } = await swarm();
    const socket = a.root.socket.udp();
    socket.sendTo(new Uint8Array(60), ip(B), 4789); // another VNI: 0
    pass(kernel);
    expect(wire().map((packet) => packet[9])).toEqual([17]);
  });

  it("passes the hooks in Linux's order, once in the clear and once as ESP", async () => {
    const { a, b, pings } = await swarm();
    const chains = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"] as const;
    for (const host of [a, b]) {
      for (const chain of chains)
        for (const name of ["udp", "esp"]) host.root.iptables.append("mangle", chain, { match: proto(name) });
      // Each step leaves a mark that the next one must find: udp POSTROUTING before esp OUTPUT, esp INPUT before udp PREROUTING.
      host.root.iptables.append("mangle", "POSTROUTING", { match: proto("udp"), target: { kind: "MARK", value: 1 } });
      host.root.iptables.append("mangle", "INPUT", { match: proto("esp"), target: { kind: "MARK", value: 2 } });
    }
    const found = (value: number): Rule["match"] => ({ mark: { value: [value, 0xff], not: false } });
    b.root.iptables.append("mangle", "PREROUTING", { match: { ...proto("udp"), ...found(2) } });
    a.root.iptables.append("mangle", "OUTPUT", { match: { ...proto("esp"), ...found(1) } });
    expect(pings(56)).toBe(true);
    // Rule 0 of OUTPUT is dockerd's.
    expect(
      chains.map((chain) => [0, 1].map((i) => hits(b.root, "mangle", chain, i + (chain === "OUTPUT" ? 1 : 0)))),
    ).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    expect(hits(a.root, "mangle", "OUTPUT", 3)).toBe(1);
    expect(hits(b.root, "mangle", "PREROUTING", 2)).toBe(1);
  });

  it("is tracked as a generic protocol, and the datagrams inside anew", async () => {
    const { a, b, pings } = await swarm();
    for (const host of [a, b])
      host.root.iptables.append("filter", "INPUT", { match: { ctstate: { value: ["NEW"], not: false } } });
    expect(pings(56)).toBe(true);
    for (const host of [a, b]) {
      const tracked = host.root.conntrack.list().map(({ protocol, original }) => [protocol, original.src]);
      expect(tracked.filter(([protocol]) => protocol === 50)).toEqual([[50, ip(A)]]);
      expect(tracked.filter(([protocol]) => protocol === 17)).toHaveLength(2);
    }
  });

  it("is seen as ESP alone by a capture, sent and received", async () => {
    const { kernel, pings, wire } = await swarm();
    wire();
    expect(pings(56)).toBe(true);
    const frames = [...kernel.captured()];
    expect(frames).toHaveLength(4);
    expect(frames.every((frame) => frame.data[23] === 50)).toBe(true);
  });

  it("is fragmented behind ESP when the tunnel promises too much", async () => {
    const { pings, wire, b } = await swarm(1450);
    expect(pings(1450 - 28)).toBe(true);
    const sizes = wire().map((packet) => [packet.length - 20, ((packet[6]! & 0x1f) << 8) | packet[7]!]);
    expect(sizes).toEqual([
      [1480, 0],
      [28, 185],
      [1480, 0],
      [28, 185],
    ]);
    expect(b.root.snmp()).toMatchObject({ IpReasmOKs: 1 });
    expect(imbalance(b)).toBe(0);
  });
});

describe.skipIf(!kernelBuilt)("path MTU", () => {
  it("is what fits through the state", async () => {
    for (const [icv, largest] of [
      [8, 1474],
      [12, 1470],
      [16, 1466],
    ] as const) {
      const net = await pair();
      encrypt(net, { icv, aead: { name: "rfc4106(gcm(aes))", key: new Uint8Array(20), icvBits: 8 * icv } });
      const socket = net.a.root.socket.udp();
      socket.setPmtuDiscovery("do");
      socket.sendTo(new Uint8Array(largest - 28), ip(B), 9);
      expect(() => socket.sendTo(new Uint8Array(largest - 27), ip(B), 9)).toThrow(/Message too long/);
      socket.connect(ip(B), 9);
      expect(() => socket.send(new Uint8Array(largest - 27))).toThrow(/Message too long/);
      pass(net.kernel);
      const [packet] = net.wire();
      expect(packet!.length).toBeLessThanOrEqual(1500);
      expect(packet!.length).toBeGreaterThan(1500 - 4);
      // Without DF the whole is encrypted and then cut.
      const loose = net.a.root.socket.udp();
      loose.setPmtuDiscovery("dont");
      loose.sendTo(new Uint8Array(largest - 27), ip(B), 9);
      pass(net.kernel);
      expect(net.wire().filter((one) => one[9] === 50 && (one[6]! & 0x20) !== 0)).toHaveLength(1);
    }
  });

  it("makes TCP's segments fit", async () => {
    const net = await pair();
    encrypt(net);
    const { kernel, a, b } = net;
    const listener = b.root.socket.tcp();
    listener.bind(0, 80);
    listener.listen(5);
    const client = a.root.socket.tcp();
    client.connect(ip(B), 80);
    pass(kernel);
    const server = listener.tryAccept()!;
    let sent = 0;
    let got = 0;
    const data = Uint8Array.from({ length: 50_000 }, (_, i) => i % 251);
    while (got < data.length) {
      if (sent < data.length) sent += client.trySend(data.subarray(sent));
      pass(kernel, 1e6);
      for (let chunk = server.tryRecv(65536); chunk !== undefined && chunk.length > 0; chunk = server.tryRecv(65536)) {
        expect(chunk).toEqual(data.subarray(got, got + chunk.length));
        got += chunk.length;
      }
    }
    const lengths = net.wire().map((packet) => packet.length);
    expect(Math.max(...lengths)).toBe(1500);
    for (const host of [a, b]) expect(imbalance(host)).toBe(0);
  });

  it("is told to who sends through a router, and kept by frag-needed about a known state only", async () => {
    const net = await pair();
    encrypt(net);
    const { kernel, a, wire } = net;
    const { root } = a;
    root.sysctlSet("net.ipv4.ip_forward", 1);
    root.xfrm.policyAdd(policy("out", "10.1.1.77/32", `${B}/32`));
    root.xfrm.stateAdd(sa("10.1.1.77", B, 0x1077));
    const DF = 0x4000;
    inject(kernel, a, ipPacket(ip("10.1.1.77"), ip(B), 17, udp(1, 2, new Uint8Array(1447)), 64, DF));
    pass(kernel);
    expect(root.snmp()).toMatchObject({ IpFragFails: 1 });
    expect(a.drops()).toMatchObject({ PKT_TOO_BIG: 1 });
    inject(kernel, a, ipPacket(ip("10.1.1.77"), ip(B), 17, udp(1, 2, new Uint8Array(1446)), 64, DF));
    pass(kernel);
    expect(
      wire()
        .filter((packet) => packet[9] === 50)
        .map((packet) => packet.length),
    ).toEqual([1500]);
    const needed = (spi: number, mtu: number, type = 3, code = 4): void => {
      const quoted = ipPacket(ip(A), ip(B), 50, Uint8Array.from([spi >>> 24, spi >> 16, spi >> 8, spi, 0, 0, 0, 1]));
      const icmp = concat(Uint8Array.from([type, code, 0, 0, 0, 0, mtu >> 8, mtu & 255]), quoted);
      let sum = 0;
      for (let i = 0; i < icmp.length; i += 2) sum += icmp[i]! * 256 + icmp[i + 1]!;
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
      new DataView(icmp.buffer).setUint16(2, ~sum & 0xffff);
      inject(kernel, a, ipPacket(ip(B), ip(A), 1, icmp));
      pass(kernel);
    };
    needed(0x9999, 1300);
    needed(0x1001, 1300, 3, 1);
    expect(root.route.lookup(ip(B)).mtu).toBe(1500);
    needed(0x1001, 1300);
    expect(root.route.lookup(ip(B)).mtu).toBe(1300);
    const socket = root.socket.udp();
    socket.setPmtuDiscovery("do");
    expect(() => socket.sendTo(new Uint8Array(1274 - 27), ip(B), 9)).toThrow(/Message too long/);
    socket.sendTo(new Uint8Array(1274 - 28), ip(B), 9);
  });
});

describe.skipIf(!kernelBuilt)("what a router has put together", () => {
  it("is encrypted whole, and not cut again as it came", async () => {
    const net = await pair();
    const { kernel, a, wire } = net;
    const { root } = a;
    root.sysctlSet("net.ipv4.ip_forward", 1);
    // Conntrack reassembles what is forwarded, and fragments it again to the size of the largest piece.
    root.iptables.append("filter", "FORWARD", { match: { ctstate: { value: ["NEW"], not: false } } });
    const whole = udp(
      1,
      2,
      Uint8Array.from({ length: 1192 }, (_, i) => i),
    );
    const pieces = (src: string): void => {
      inject(kernel, a, ipPacket(ip(src), ip(B), 17, whole.slice(0, 800), 64, 0x2000));
      inject(kernel, a, ipPacket(ip(src), ip(B), 17, whole.slice(800), 64, 100));
      pass(kernel);
    };
    pieces("10.1.1.78");
    expect(wire().map((packet) => [packet[9], packet.length])).toEqual([
      [17, 820],
      [17, 420],
    ]);
    root.xfrm.policyAdd(policy("out", "10.1.1.77/32", `${B}/32`));
    root.xfrm.stateAdd(sa("10.1.1.77", B, 0x1077));
    pieces("10.1.1.77");
    expect(wire().map((packet) => [packet[9], packet.length, packet[6]])).toEqual([[50, 20 + 16 + 1204 + 8, 0]]);
    expect(imbalance(a)).toBe(0);
  });
});

describe.skipIf(!kernelBuilt)("SNAT in front of IPsec", () => {
  it("asks the policies again for the translated flow", async () => {
    const net = await pair();
    const { kernel, a, wire } = net;
    const { root } = a;
    root.addr.add("eth0", { ip: ip("10.1.1.50"), prefix: 24 });
    root.xfrm.stateAdd(sa("10.1.1.50", B, 0x1050));
    root.xfrm.policyAdd(policy("out", "10.1.1.50/32", `${B}/32`));
    const socket = root.socket.udp();
    socket.sendTo(new Uint8Array(9), ip(B), 9);
    pass(kernel);
    expect(wire().map((packet) => packet[9])).toContain(17);
    root.iptables.append("nat", "POSTROUTING", { match: proto("udp"), target: { kind: "SNAT", ip: ip("10.1.1.50") } });
    const second = root.socket.udp();
    second.sendTo(new Uint8Array(9), ip(B), 9);
    pass(kernel);
    const packets = wire().filter((packet) => packet[15] !== 2);
    expect(packets.map((packet) => [packet[9], packet[15]])).toEqual([[50, 50]]);
    expect(imbalance(a)).toBe(0);
  });
});

describe.skipIf(!kernelBuilt)("the end of things", () => {
  it("leaves no memory behind when a namespace goes with packets that wait", async () => {
    const { kernel, a } = await pair();
    const cycle = (): void => {
      const ns = a.createNs("x");
      a.root.link.add({ kind: "veth", name: "v0", peer: { name: "v1", ns } });
      a.root.link.set("v0", { up: true });
      ns.link.set("v1", { up: true });
      ns.addr.add("v1", { ip: ip("10.9.0.1"), prefix: 24 });
      for (let spi = 0x1000; spi < 0x1020; spi++)
        ns.xfrm.stateAdd(sa("10.9.0.1", "10.9.0.2", spi, { replayExt: { window: 64, esn: true } }));
      for (const dir of ["in", "out", "fwd"] as const) {
        ns.xfrm.policyAdd(policy(dir, "10.9.0.1/32", "10.9.0.2/32"));
        ns.xfrm.policyAdd(policy(dir, "10.9.0.1/32", "10.9.0.0/24"));
      }
      const socket = ns.socket.udp();
      for (let i = 0; i < 3; i++) socket.sendTo(new Uint8Array(100), ip("10.9.0.2"), 9);
      expect(ns.xfrm.stateList()[0]!.packets).toBe(3);
      // They wait for their neighbour, encrypted.
      expect(a.packets().live).toBeGreaterThan(0);
      ns.xfrm.stateDel({ dst: ip("10.9.0.2"), spi: 0x101f });
      ns.destroy();
      pass(kernel, 5e9);
    };
    cycle();
    const before = kernel.counters();
    cycle();
    expect(kernel.counters()).toMatchObject({ memoryInUse: before.memoryInUse, blocks: before.blocks });
    expect(a.packets().live).toBe(0);
    expect(imbalance(a)).toBe(0);
  });
});
