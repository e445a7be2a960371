/** Netfilter with wires: a container behind a bridge on host 1, host 2 outside, packets through sockets. */
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip, MS, Net, SEC } from "../inet/net.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";
import { Machine } from "./harness.ts";
import { parseSave } from "./iptables-save.ts";

const yes = <T>(value: T) => ({ value, not: false });
const no = <T>(value: T) => ({ value, not: true });
const subnet = { ip: ip("172.18.0.0"), prefix: 16 };

/** host1 (.11) routes for two containers on docker_gwbridge; host2 (.12) is outside. */
class Lab {
  readonly net = new Net();
  readonly host1 = this.net.host();
  readonly host2 = this.net.host();
  readonly root = this.net.root(this.host1);
  readonly outside = this.net.root(this.host2);
  readonly eth0 = this.net.nic(this.host1, "192.168.77.11");
  readonly bridge: number;
  readonly containers: number[] = [];
  readonly rules: Machine;

  constructor() {
    const { net } = this;
    net.nic(this.host2, "192.168.77.12");
    for (const ns of [this.root, this.outside]) net.lo(ns);
    net.named(this.eth0, "eth0");
    this.bridge = net.x["linkNewBridge"](this.root, -1);
    net.named(this.bridge, "docker_gwbridge");
    net.up(this.bridge);
    net.addr(this.bridge, "172.18.0.1", 16);
    net.sysctl(this.root, abi.SYS_IP_FORWARD, 1);
    for (const i of [0, 1]) this.#container(i);
    this.rules = this.machine(this.root);
    net.run(SEC);
  }

  #container(i: number): void {
    const { net } = this;
    const ns = net.x["netnsNew"](this.host1) as number;
    const [port, eth] = net.veth(this.root, ns, [`veth${i}`, "eth0"], [0xac120100 + i, 0xac120003 + i]);
    net.x["linkSetMaster"](port, this.bridge);
    net.up(port);
    net.up(eth);
    net.lo(ns);
    net.addr(eth, `172.18.0.${3 + i}`, 16);
    const gateway = ip("172.18.0.1");
    net.x["routeAdd"](
      ns,
      0,
      0,
      gateway,
      0,
      0,
      0,
      abi.RTN_UNICAST,
      abi.RTPROT_BOOT,
      abi.SCOPE_GLOBAL,
      abi.RT_TABLE_MAIN,
      0,
    );
    this.containers.push(ns);
  }

  machine(ns: number): Machine {
    return new Machine({ kernel: this.net.k, ns });
  }

  socket(ns: number, address = 0, port = 0): number {
    const sk = this.net.x["udpOpen"](ns) as number;
    expect(this.net.x["udpBind"](sk, address, port)).toBe(0);
    return sk;
  }

  masquerade(): void {
    this.rules.append(
      "nat",
      "POSTROUTING",
      { src: yes(subnet), outDev: no("docker_gwbridge") },
      { kind: "MASQUERADE" },
    );
  }

  get c0(): number {
    return this.containers[0] as number;
  }
}

describe("a container behind a bridge", () => {
  it("reaches the outside under its host's address, and hears the answer", () => {
    const lab = new Lab();
    lab.masquerade();
    const server = lab.socket(lab.outside, 0, 7000);
    const client = lab.socket(lab.c0, 0, 5000);
    expect(lab.net.sendTo(client, "192.168.77.12", 7000, 100)).toBe(0);
    lab.net.run(10 * MS);
    const got = lab.net.recv(server);
    expect(got).toMatchObject({ src: ip("192.168.77.11"), sport: 5000, ttl: 63 });
    expect(got?.data).toHaveLength(100);
    lab.net.sendTo(server, "192.168.77.11", 5000, 50);
    lab.net.run(10 * MS);
    expect(lab.net.recv(client)).toMatchObject({ src: ip("192.168.77.12"), sport: 7000 });
    expect(lab.rules.only().reply).toBe("192.168.77.12:7000>192.168.77.11:5000");
  });

  it("loses its mappings when the interface goes down or loses its address", () => {
    for (const how of ["down", "address"]) {
      const lab = new Lab();
      lab.masquerade();
      const client = lab.socket(lab.c0);
      lab.net.sendTo(client, "192.168.77.12", 7000, 10);
      lab.net.run(10 * MS);
      expect(lab.rules.count()).toBeGreaterThan(0);
      if (how === "down") lab.net.down(lab.eth0);
      else lab.net.x["addressDel"](lab.eth0, ip("192.168.77.11"), 24);
      expect(lab.rules.count()).toBe(0);
    }
  });

  it("is reached through a published port", () => {
    const lab = new Lab();
    const target = { kind: "DNAT", ip: ip("172.18.0.3"), ports: [80, 80] } as const;
    lab.rules.append(
      "nat",
      "PREROUTING",
      { addrtypeDst: yes("LOCAL"), protocol: yes("udp"), dport: yes([8080, 8080]) },
      target,
    );
    const server = lab.socket(lab.c0, 0, 80);
    const client = lab.socket(lab.outside, 0, 6000);
    lab.net.sendTo(client, "192.168.77.11", 8080, 10);
    lab.net.run(10 * MS);
    expect(lab.net.recv(server)).toMatchObject({ src: ip("192.168.77.12"), sport: 6000, dst: ip("172.18.0.3") });
    lab.net.sendTo(server, "192.168.77.12", 6000, 10);
    lab.net.run(10 * MS);
    expect(lab.net.recv(client)).toMatchObject({ src: ip("192.168.77.11"), sport: 8080 });
  });

  it("has packets to one port redirected to another", () => {
    const lab = new Lab();
    const machine = lab.machine(lab.c0);
    machine.append(
      "nat",
      "PREROUTING",
      { protocol: yes("udp"), dport: yes([8080, 8080]) },
      { kind: "REDIRECT", ports: [80, 80] },
    );
    const server = lab.socket(lab.c0, 0, 80);
    const client = lab.socket(lab.root, 0, 6000);
    lab.net.sendTo(client, "172.18.0.3", 8080, 10);
    lab.net.run(10 * MS);
    expect(lab.net.recv(server)).toMatchObject({ src: ip("172.18.0.1"), dst: ip("172.18.0.3") });
    lab.net.sendTo(server, "172.18.0.1", 6000, 10);
    lab.net.run(10 * MS);
    expect(lab.net.recv(client)).toMatchObject({ src: ip("172.18.0.3"), sport: 8080 });
  });

  it("asks Docker's resolver at 127.0.0.11 port 53 and is answered from there", () => {
    const lab = new Lab();
    const machine = lab.machine(lab.c0);
    const dns = { value: { ip: ip("127.0.0.11"), prefix: 32 }, not: false };
    machine.append(
      "nat",
      "OUTPUT",
      { dst: dns, protocol: yes("udp"), dport: yes([53, 53]) },
      { kind: "DNAT", ip: ip("127.0.0.11"), ports: [58374, 58374] },
    );
    machine.append(
      "nat",
      "POSTROUTING",
      { src: dns, protocol: yes("udp"), sport: yes([58374, 58374]) },
      { kind: "SNAT", ports: [53, 53] },
    );
    const resolver = lab.socket(lab.c0, ip("127.0.0.11"), 58374);
    const client = lab.socket(lab.c0);
    lab.net.sendTo(client, "127.0.0.11", 53, 20);
    const query = lab.net.recv(resolver);
    expect(query).toMatchObject({ src: ip("127.0.0.1"), dst: ip("127.0.0.11") });
    lab.net.sendTo(resolver, "127.0.0.1", query?.sport ?? 0, 30);
    expect(lab.net.recv(client)).toMatchObject({ src: ip("127.0.0.11"), sport: 53 });
  });

  it("is told that a port is closed by REJECT", () => {
    const lab = new Lab();
    lab.rules.append("filter", "FORWARD", { protocol: yes("udp") }, { kind: "REJECT" });
    const client = lab.socket(lab.c0);
    lab.net.x["udpConnect"](client, ip("192.168.77.12"), 7000);
    lab.net.send(client, 10);
    lab.net.run(10 * MS);
    expect(lab.net.x["sockTakeError"](client)).toBe(abi.ECONNREFUSED);
  });

  it("is told so about the address and port it asked for, not the ones behind DNAT", () => {
    const lab = new Lab();
    const target = { kind: "DNAT", ip: ip("172.18.0.4"), ports: [80, 80] } as const;
    lab.rules.append("nat", "PREROUTING", { protocol: yes("udp"), dport: yes([8080, 8080]) }, target);
    lab.rules.append("filter", "FORWARD", { protocol: yes("udp") }, { kind: "REJECT" });
    const client = lab.socket(lab.outside, 0, 6000);
    lab.net.x["udpConnect"](client, ip("192.168.77.11"), 8080);
    lab.net.send(client, 10);
    lab.net.run(10 * MS);
    expect(lab.net.x["sockTakeError"](client)).toBe(abi.ECONNREFUSED);
    expect(lab.rules.count()).toBe(0);
  });

  it("gets EPERM for what OUTPUT drops", () => {
    const lab = new Lab();
    lab.machine(lab.c0).append("filter", "OUTPUT", { protocol: yes("udp") }, { kind: "DROP" });
    expect(lab.net.sendTo(lab.socket(lab.c0), "172.18.0.1", 7, 10)).toBe(-abi.EPERM);
  });

  it("has its fragments put together for NAT and cut again", () => {
    const lab = new Lab();
    lab.masquerade();
    const server = lab.socket(lab.outside, 0, 7000);
    const client = lab.socket(lab.c0, 0, 5000);
    const wire = lab.net.capture(lab.eth0);
    lab.net.sendTo(client, "192.168.77.12", 7000, 4000);
    lab.net.run(10 * MS);
    expect(lab.net.recv(server)?.data).toEqual(Uint8Array.from({ length: 4000 }, (_, i) => i & 255));
    const pieces = lab.net.takeIp(wire).filter((packet) => packet.protocol === 17);
    expect(pieces.map((packet) => packet.length)).toEqual([1500, 1500, 1068]);
    expect(new Set(pieces.map((packet) => packet.src))).toEqual(new Set([ip("192.168.77.11")]));
    expect(lab.rules.only().original).toBe("172.18.0.3:5000>192.168.77.12:7000");
  });
});

describe("bridged frames", () => {
  const between = (lab: Lab): boolean => {
    const server = lab.socket(lab.containers[1] as number, 0, 7000);
    lab.net.sendTo(lab.socket(lab.c0), "172.18.0.4", 7000, 10);
    lab.net.run(10 * MS);
    return lab.net.recv(server) !== undefined;
  };

  it("meet FORWARD, unless bridge-nf-call-iptables is off", () => {
    const lab = new Lab();
    expect(between(lab)).toBe(true);
    const closed = new Lab();
    closed.rules.append(
      "filter",
      "FORWARD",
      { inDev: yes("docker_gwbridge"), outDev: yes("docker_gwbridge") },
      { kind: "DROP" },
    );
    expect(between(closed)).toBe(false);
    const open = new Lab();
    open.rules.append(
      "filter",
      "FORWARD",
      { inDev: yes("docker_gwbridge"), outDev: yes("docker_gwbridge") },
      { kind: "DROP" },
    );
    open.net.x["netnsSetBrNf"](open.root, 0);
    expect(between(open)).toBe(true);
  });

  it("are answered by REJECT like routed packets", () => {
    const lab = new Lab();
    lab.rules.append("filter", "FORWARD", { inDev: yes("docker_gwbridge") }, { kind: "REJECT" });
    const client = lab.socket(lab.c0);
    lab.net.x["udpConnect"](client, ip("172.18.0.4"), 7000);
    lab.net.send(client, 10);
    lab.net.run(10 * MS);
    expect(lab.net.x["sockTakeError"](client)).toBe(abi.ECONNREFUSED);
  });

  it("are tracked once, and routed packets count once in PREROUTING", () => {
    const lab = new Lab();
    lab.rules.track();
    lab.rules.append("mangle", "PREROUTING", { protocol: yes("udp") });
    expect(between(lab)).toBe(true);
    lab.net.sendTo(lab.socket(lab.c0), "192.168.77.12", 7000, 10);
    lab.net.run(10 * MS);
    expect(lab.rules.list("mangle")[0]?.rules[0]).toMatchObject({ packets: 2, bytes: 76 });
    expect(lab.rules.connections().filter((entry) => entry.protocol === 17)).toHaveLength(2);
  });

  it("come apart again when they were fragments", () => {
    const lab = new Lab();
    lab.rules.track();
    const server = lab.socket(lab.containers[1] as number, 0, 7000);
    lab.net.sendTo(lab.socket(lab.c0), "172.18.0.4", 7000, 4000);
    lab.net.run(10 * MS);
    expect(lab.net.recv(server)?.data).toHaveLength(4000);
    expect(lab.rules.connections().filter((entry) => entry.protocol === 17)).toHaveLength(1);
  });
});

describe.skipIf(!goldenAvailable)(goldenTitle("a captured host's rules, on wires"), () => {
  it("let a container ping outside and count as they did; nothing gets in", () => {
    const lab = new Lab();
    const text = goldenText("B-standalone-attachable/manager/state-2-after-traffic/host.txt");
    for (const [table, chain, rule] of parseSave(text, lab.rules))
      expect(lab.rules.insert(table, chain, rule, 0)).toBe(0);
    const ping = lab.net.x["icmpOpen"](lab.c0, 0) as number;
    for (const seq of [1, 2]) {
      lab.net.ping(ping, "192.168.77.12", seq);
      lab.net.run(SEC);
      expect(lab.net.recv(ping, "icmpRecv")).toMatchObject({ src: ip("192.168.77.12"), type: 0, seq });
    }
    // The captured host counted exactly these for its two pings: [4:336], [2:168] out, [2:168] back, [1:84] masqueraded.
    const forward = lab.rules.list("filter").find((chain) => chain.name === "FORWARD")?.rules ?? [];
    expect(forward.slice(0, 5).map((rule) => [rule.packets, rule.bytes])).toEqual([
      [4, 336],
      [4, 336],
      [2, 168],
      [0, 0],
      [2, 168],
    ]);
    const post = lab.rules.list("nat").find((chain) => chain.name === "POSTROUTING")?.rules ?? [];
    expect(post.map((rule) => [rule.packets, rule.bytes])).toEqual([
      [1, 84],
      [0, 0],
    ]);
    const server = lab.socket(lab.c0, 0, 9);
    const route = ["192.168.77.11", "172.18.0.0"].map(ip) as [number, number];
    lab.net.x["routeAdd"](
      lab.outside,
      route[1],
      16,
      route[0],
      0,
      0,
      0,
      abi.RTN_UNICAST,
      abi.RTPROT_BOOT,
      abi.SCOPE_GLOBAL,
      abi.RT_TABLE_MAIN,
      0,
    );
    lab.net.sendTo(lab.socket(lab.outside), "172.18.0.3", 9, 10);
    lab.net.run(SEC);
    expect(lab.net.recv(server)).toBeUndefined();
    expect(lab.rules.list("filter").find((chain) => chain.name === "FORWARD")?.rules[2]?.packets).toBe(2);
  });
});

describe("MASQUERADE of a bridged packet", () => {
  it("takes the address that suits the destination, not the sender's own next hop", () => {
    const net = new Net();
    const host = net.host();
    const root = net.root(host);
    const bridge = net.x["linkNewBridge"](root, -1) as number;
    net.named(bridge, "br0");
    net.up(bridge);
    net.addr(bridge, "192.168.5.1", 24);
    net.addr(bridge, "10.9.0.1", 24);
    const containers = [3, 4].map((last) => {
      const ns = net.x["netnsNew"](host) as number;
      const [port, eth] = net.veth(root, ns, [`veth${last}`, "eth0"], [0xac120100 + last, 0xac120000 + last]);
      net.x["linkSetMaster"](port, bridge);
      net.up(port);
      net.up(eth);
      net.addr(eth, `192.168.5.${last}`, 24);
      return { ns, eth };
    });
    const [from, to] = containers as [(typeof containers)[0], (typeof containers)[0]];
    net.addr(to.eth, "10.9.0.7", 24);
    net.x["routeAdd"](
      from.ns,
      0,
      0,
      ip("192.168.5.4"),
      0,
      0,
      0,
      abi.RTN_UNICAST,
      abi.RTPROT_BOOT,
      0,
      abi.RT_TABLE_MAIN,
      0,
    );
    const rules = new Machine({ kernel: net.k, ns: root });
    rules.append("nat", "POSTROUTING", { src: yes({ ip: ip("192.168.5.0"), prefix: 24 }) }, { kind: "MASQUERADE" });
    const [client, server] = [from.ns, to.ns].map((ns) => net.x["udpOpen"](ns) as number) as [number, number];
    net.x["udpBind"](server, 0, 7000);
    net.sendTo(client, "10.9.0.7", 7000, 10);
    net.run(SEC);
    expect(net.recv(server)).toMatchObject({ src: ip("10.9.0.1") });
  });
});

describe("the wire", () => {
  it("carries no mark to another host", () => {
    const lab = new Lab();
    const { net, root, outside } = lab;
    // Both hosts drop what is marked, the one on its own way round, the other on the way in.
    const marked = { mark: yes([7, 0xffffffff] as const) };
    for (const ns of [root, outside]) lab.machine(ns).append("filter", "INPUT", marked, { kind: "DROP" });
    const servers = [root, outside].map((ns) => {
      const server = net.x["udpOpen"](ns) as number;
      net.x["udpBind"](server, 0, 7000);
      return server;
    });
    const sk = net.x["udpOpen"](root) as number;
    net.x["sockSetMark"](sk, 7);
    for (const to of ["192.168.77.11", "192.168.77.12"]) net.sendTo(sk, to, 7000, 10);
    net.run(SEC);
    expect(servers.map((server) => net.recv(server)?.data.length)).toEqual([undefined, 10]);
  });
});
