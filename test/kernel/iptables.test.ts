import { beforeEach, describe, expect, it } from "vitest";
import { KernelError } from "../../src/base/errors.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Rule } from "../../src/kernel/types.ts";
import { cidr, ip, kernelBuilt, lan, pass } from "../support/kernel.ts";

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return "done";
}

describe.skipIf(!kernelBuilt)("iptables (needs build/kernel.wasm)", () => {
  let kernel: Kernel;
  let a: Host;
  let b: Host;

  beforeEach(async () => {
    const made = await lan(2);
    kernel = made.kernel;
    [a, b] = made.hosts as [Host, Host];
  });

  it("gives Docker's rules back as they went in, chains in iptables-save's order", () => {
    const { iptables } = a.root;
    expect(iptables.list("filter")).toBeUndefined();
    for (const chain of ["DOCKER-USER", "DOCKER", "DOCKER-ISOLATION-STAGE-1"]) iptables.newChain("filter", chain);
    const rules: Rule[] = [
      { match: {}, target: { kind: "JUMP", chain: "DOCKER-USER" } },
      {
        match: { outDev: { value: "docker0", not: false }, ctstate: { value: ["RELATED", "ESTABLISHED"], not: false } },
        target: { kind: "ACCEPT" },
      },
      {
        match: { ctstate: { value: ["RELATED", "ESTABLISHED"], not: false }, stateModule: true },
        target: { kind: "ACCEPT" },
      },
      {
        match: { inDev: { value: "docker0", not: false }, outDev: { value: "docker0", not: true } },
        target: { kind: "ACCEPT" },
      },
      {
        match: {
          src: { value: cidr("172.17.0.0/16"), not: true },
          protocol: { value: "tcp", not: false },
          dport: { value: [80, 90], not: false },
        },
        target: { kind: "DROP" },
        comment: "why not",
      },
    ];
    for (const rule of rules) iptables.append("filter", "FORWARD", rule);
    iptables.insert("filter", "FORWARD", { match: {}, target: { kind: "RETURN" } });
    iptables.setPolicy("filter", "FORWARD", "DROP");
    const chains = iptables.list("filter") ?? [];
    expect(chains.map((chain) => chain.name)).toEqual([
      "INPUT",
      "FORWARD",
      "OUTPUT",
      "DOCKER",
      "DOCKER-ISOLATION-STAGE-1",
      "DOCKER-USER",
    ]);
    const forward = chains[1];
    expect(forward).toMatchObject({ hook: "FORWARD", policy: "DROP", packets: 0 });
    expect(chains[3]).toMatchObject({ hook: undefined, policy: undefined });
    expect(forward?.rules.slice(1)).toEqual(rules.map((rule) => ({ ...rule, packets: 0, bytes: 0 })));
    expect(iptables.check("filter", "FORWARD", rules[1] as Rule)).toBe(true);
    iptables.delete("filter", "FORWARD", rules[1] as Rule);
    expect(iptables.check("filter", "FORWARD", rules[1] as Rule)).toBe(false);
    expect(code(() => iptables.delete("filter", "FORWARD", rules[1] as Rule))).toBe("ENOENT");
  });

  it("refuses what iptables refuses", () => {
    const { iptables } = a.root;
    iptables.newChain("filter", "X");
    expect(code(() => iptables.newChain("filter", "X"))).toBe("EEXIST");
    expect(code(() => iptables.newChain("filter", "a-name-that-is-longer-than-28-"))).toBe("EINVAL");
    expect(code(() => iptables.append("filter", "NOPE", { match: {} }))).toBe("ENOENT");
    iptables.append("filter", "INPUT", { match: {}, target: { kind: "JUMP", chain: "X" } });
    expect(code(() => iptables.deleteChain("filter", "X"))).toBe("EBUSY");
    iptables.flush("filter");
    iptables.deleteChain("filter", "X");
    expect(code(() => iptables.deleteChain("filter", "X"))).toBe("ENOENT");
    expect(code(() => iptables.insert("filter", "INPUT", { match: {} }, 0))).toBe("EINVAL");
  });

  it("drops, counts, and tells the sender", () => {
    b.root.iptables.append("filter", "INPUT", {
      match: { protocol: { value: "udp", not: false }, dport: { value: [4789, 4789], not: false } },
      target: { kind: "DROP" },
    });
    const server = b.root.socket.udp();
    server.bind(0, 4789);
    const client = a.root.socket.udp();
    client.sendTo(new Uint8Array(10), ip("10.1.1.2"), 4789);
    pass(kernel);
    expect(server.tryRecv()).toBeUndefined();
    expect(b.drops()["NETFILTER_DROP"]).toBe(1);
    expect(b.root.iptables.list("filter")?.[0]?.rules[0]).toMatchObject({ packets: 1, bytes: 38 });
    a.root.iptables.append("filter", "OUTPUT", {
      match: { dst: { value: cidr("10.1.1.2/32"), not: false } },
      target: { kind: "DROP" },
    });
    expect(code(() => client.sendTo(new Uint8Array(10), ip("10.1.1.2"), 4789))).toBe("EPERM");
  });

  it("zeroes counters: of a rule, a chain, a table", () => {
    const { iptables } = b.root;
    iptables.append("filter", "INPUT", { match: {} });
    iptables.append("filter", "INPUT", { match: {} });
    iptables.newChain("filter", "X");
    iptables.append("filter", "X", { match: {} });
    iptables.append("filter", "INPUT", { match: {}, target: { kind: "JUMP", chain: "X" } });
    b.root.socket.udp().bind(0, 9);
    const client = a.root.socket.udp();
    /** Packets that each rule has seen, chain by chain. */
    const counts = () => {
      client.sendTo(new Uint8Array(10), ip("10.1.1.2"), 9);
      pass(kernel);
      const used = (iptables.list("filter") ?? []).filter((chain) => chain.rules.length > 0);
      return Object.fromEntries(used.map((chain) => [chain.name, chain.rules.map((rule) => rule.packets)]));
    };
    expect(counts()).toEqual({ INPUT: [1, 1, 1], X: [1] });
    iptables.zero("filter", "INPUT", 2);
    expect(counts()).toEqual({ INPUT: [2, 1, 2], X: [2] });
    iptables.zero("filter", "X");
    expect(counts()).toEqual({ INPUT: [3, 2, 3], X: [1] });
    iptables.zero("filter");
    expect(counts()).toEqual({ INPUT: [1, 1, 1], X: [1] });
    expect(code(() => iptables.zero("filter", "Y"))).toBe("ENOENT");
    for (const position of [0, 4]) expect(code(() => iptables.zero("filter", "INPUT", position))).toBe("ENOENT");
  });

  it("forgets the connections that are asked for", () => {
    b.root.iptables.append("filter", "INPUT", { match: { ctstate: { value: ["INVALID"], not: false } } });
    const client = a.root.socket.udp();
    client.bind(0, 1234);
    for (const port of [7, 8, 9]) {
      b.root.socket.udp().bind(0, port);
      client.sendTo(new Uint8Array(5), ip("10.1.1.2"), port);
    }
    pass(kernel);
    const { conntrack } = b.root;
    const ports = (flows: ReturnType<typeof conntrack.list>) => flows.map((flow) => flow.original.dport);
    expect(ports(conntrack.list())).toEqual([7, 8, 9]);
    expect(ports(conntrack.delete((flow) => flow.original.dport !== 8))).toEqual([7, 9]);
    expect(ports(conntrack.list())).toEqual([8]);
    expect(conntrack.delete((flow) => flow.protocol === 6)).toEqual([]);
    expect(conntrack.count()).toBe(1);
  });

  it("tracks and translates connections", () => {
    a.root.iptables.append("nat", "OUTPUT", {
      match: { dst: { value: cidr("10.1.1.77/32"), not: false } },
      target: { kind: "DNAT", ip: ip("10.1.1.2") },
    });
    const server = b.root.socket.udp();
    server.bind(0, 9);
    const client = a.root.socket.udp();
    client.bind(0, 1234);
    client.sendTo(new Uint8Array(5), ip("10.1.1.77"), 9);
    pass(kernel);
    const got = server.tryRecv();
    expect(got?.data.length).toBe(5);
    expect(a.root.conntrack.list()).toMatchObject([
      {
        protocol: 17,
        state: undefined,
        original: { src: ip("10.1.1.1"), dst: ip("10.1.1.77"), sport: 1234, dport: 9 },
        reply: { src: ip("10.1.1.2"), dst: ip("10.1.1.1"), sport: 9, dport: 1234 },
        unreplied: true,
        assured: false,
      },
    ]);
    server.sendTo(new Uint8Array(6), got!.src, got!.srcPort);
    pass(kernel);
    expect(client.tryRecv()).toMatchObject({ src: ip("10.1.1.77"), srcPort: 9 });
    expect(a.root.conntrack.list()[0]?.unreplied).toBe(false);
    expect(a.root.conntrack.count()).toBe(1);
    a.root.conntrack.flush();
    expect(a.root.conntrack.list()).toEqual([]);
  });
});
