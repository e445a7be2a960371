import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { decodeRule, encodeRule } from "../../src/kernel/rules.ts";
import type { Rule, RuleMatch, RuleTarget, TableName } from "../../src/kernel/types.ts";
import { compileU32, formatU32 } from "../../src/kernel/u32.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";
import { FWD, IN, icmp, ip, ipv4, Machine, OUT, PRE, SYN, tcp, udp } from "./harness.ts";
import { parseSave } from "./iptables-save.ts";

const A = ip("10.0.0.2");
const B = ip("192.0.2.80");
const yes = <T>(value: T) => ({ value, not: false });
const no = <T>(value: T) => ({ value, not: true });
const ACCEPT: RuleTarget = { kind: "ACCEPT" };
const DROP: RuleTarget = { kind: "DROP" };

describe("u32", () => {
  it("compiles Docker's expression and prints it as iptables-save does", () => {
    const program = compileU32("0>>22&0x3C@12&0xFFFFFF00=0x100200");
    expect(program).toEqual([1, 5 | (1 << 16), 0, 0, 2, 22, 0, 0x3c, 3, 12, 0, 0xffffff00, 0x100200, 0x100200]);
    expect(formatU32(program)).toBe("0x0>>0x16&0x3c@0xc&0xffffff00=0x100200");
  });

  it("knows ranges, lists and several tests, and refuses the rest", () => {
    const text = "0x6&0xff=0x6,0x11:0x20&&0x4=0x0";
    expect(formatU32(compileU32(text))).toBe(text);
    for (const bad of ["", "1", "=2", "1=", "1=2=3", "1+2=3", "x=1", "1=1:2:3", "1&=2", "99999999999=1"])
      expect(() => compileU32(bad)).toThrow(/EINVAL|Invalid/);
  });

  it("finds the VNI of a VXLAN packet", () => {
    const machine = new Machine();
    machine.append("filter", "INPUT", { u32: "0>>22&0x3C@12&0xFFFFFF00=0x100200" }, DROP);
    const vxlan = (vni: number) => Uint8Array.from([8, 0, 0, 0, vni >> 16, (vni >> 8) & 255, vni & 255, 0, 1, 2, 3]);
    expect(machine.probe(udp(A, 1, B, 4789, vxlan(4098)), IN).verdict).toBe(abi.NF_DROP);
    expect(machine.probe(udp(A, 1, B, 4789, vxlan(4097)), IN).verdict).toBe(abi.NF_ACCEPT);
    expect(machine.probe(udp(A, 1, B, 4789, new Uint8Array(3)), IN).verdict).toBe(abi.NF_ACCEPT);
  });
});

/** Arbitrary rules in the form in which they are decoded. */
const not = <T>(value: fc.Arbitrary<T>) => fc.record({ value, not: fc.boolean() });
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const port = fc.integer({ min: 0, max: 65535 });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const cidr = fc.tuple(u32, fc.integer({ min: 1, max: 32 })).map(([address, prefix]) => {
  const mask = (0xffffffff << (32 - prefix)) >>> 0;
  return { ip: (address & mask) >>> 0, prefix };
});
const device = fc.constantFrom("eth0", "docker_gwbridge", "veth+", "br0");
const type = fc.constantFrom("LOCAL", "UNICAST", "BROADCAST", "MULTICAST") as fc.Arbitrary<"LOCAL" | "UNICAST">;
const matchArb = fc.record({
  src: optional(not(cidr)),
  dst: optional(not(cidr)),
  inDev: optional(not(device)),
  outDev: optional(not(device)),
  protocol: optional(not(fc.constantFrom("tcp", "udp", "icmp", "sctp", "esp", "47"))),
  sport: optional(not(fc.tuple(port, port))),
  dport: optional(not(fc.tuple(port, port))),
  ctstate: optional(
    not(fc.subarray(["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"] as const, { minLength: 1 })),
  ),
  addrtypeSrc: optional(not(type)),
  addrtypeDst: optional(not(type)),
  mark: optional(not(fc.tuple(u32, u32))),
  u32: optional(fc.constantFrom("0x0>>0x16&0x3c@0xc&0xffffff00=0x100200", "0x6&0xff=0x6,0x11:0x20&&0x4=0x0")),
  policy: optional(fc.record({ dir: fc.constantFrom("in", "out"), pol: fc.constantFrom("none", "ipsec") })),
  ipvs: optional(fc.boolean()),
  icmpType: optional(not(fc.integer({ min: 0, max: 255 }))),
  probability: optional(fc.integer({ min: 0, max: 64 }).map((value) => value / 64)),
});
const targetArb = fc.oneof(
  fc.constantFrom<RuleTarget>(
    { kind: "ACCEPT" },
    { kind: "DROP" },
    { kind: "RETURN" },
    { kind: "NOTRACK" },
    { kind: "MASQUERADE" },
    { kind: "REDIRECT" },
  ),
  fc.constant<RuleTarget>({ kind: "JUMP", chain: "DOCKER-ISOLATION-STAGE-1" }),
  fc.constantFrom<RuleTarget>({ kind: "REJECT", with: "icmp-port-unreachable" }, { kind: "REJECT", with: "tcp-reset" }),
  fc.record({ kind: fc.constant("MARK" as const), value: u32, mask: u32 }),
  fc.record({ kind: fc.constantFrom("DNAT" as const, "SNAT" as const), ip: u32, ports: fc.tuple(port, port) }),
  fc.record({ kind: fc.constant("REDIRECT" as const), ports: fc.tuple(port, port) }),
);

const clean = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;

describe("rule encoding", () => {
  it("decodes what it encodes", () => {
    fc.assert(
      fc.property(matchArb, targetArb, optional(fc.string({ maxLength: 60 })), (match, target, comment) => {
        const rule = clean({ match: clean(match) as RuleMatch, target, comment: comment === "" ? undefined : comment });
        expect(decodeRule(encodeRule(rule as Rule))).toEqual(rule);
      }),
    );
  });

  it("refuses what iptables refuses", () => {
    const bad: RuleMatch[] = [
      { inDev: yes("a-very-long-name") },
      { protocol: yes("nonsense") },
      { sport: yes([1, 65536]) },
      { probability: 2 },
      { u32: "1" },
    ];
    for (const match of bad) expect(() => encodeRule({ match })).toThrow(/Invalid argument/);
    expect(() =>
      encodeRule({ match: {}, target: { kind: "JUMP", chain: "a-chain-name-of-thirty-letters" } }),
    ).toThrow();
  });
});

describe("tables", () => {
  it("are there once used, with their built-in chains in hook order", () => {
    const machine = new Machine();
    const used = () => [0, 1, 2, 3].map((table) => machine.kernel.x["nfTableUsed"](machine.ns, table));
    expect(used()).toEqual([0, 0, 0, 0]);
    expect(machine.check("raw", "OUTPUT", { match: {}, target: DROP })).toBe(false);
    machine.flush("nat");
    for (const table of ["raw", "mangle", "filter"] as const) machine.flush(table);
    expect(used()).toEqual([1, 1, 1, 1]);
    const names = (table: TableName) => machine.list(table).map((chain) => chain.name);
    expect(names("raw")).toEqual(["PREROUTING", "OUTPUT"]);
    expect(names("mangle")).toEqual(["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);
    expect(names("nat")).toEqual(["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]);
    expect(names("filter")).toEqual(["INPUT", "FORWARD", "OUTPUT"]);
  });

  it("insert, append, check and delete by content", () => {
    const machine = new Machine();
    const rule = (n: number): Rule => ({ match: { dport: yes([n, n]), protocol: yes("tcp") }, target: ACCEPT });
    for (const n of [2, 3]) expect(machine.insert("filter", "INPUT", rule(n), 0)).toBe(0);
    expect(machine.insert("filter", "INPUT", rule(1), 1)).toBe(0);
    expect(machine.insert("filter", "INPUT", rule(9), 3)).toBe(0);
    expect(machine.insert("filter", "INPUT", rule(8), 6)).toBe(-abi.EINVAL);
    const ports = () => machine.list("filter")[0]?.rules.map((r) => r.match.dport?.value[0]);
    expect(ports()).toEqual([1, 2, 9, 3]);
    expect(machine.check("filter", "INPUT", rule(9))).toBe(true);
    expect(machine.check("filter", "INPUT", { ...rule(9), comment: "x" })).toBe(false);
    expect(machine.remove("filter", "INPUT", rule(9))).toBe(0);
    expect(machine.remove("filter", "INPUT", rule(9))).toBe(-abi.ENOENT);
    expect(ports()).toEqual([1, 2, 3]);
  });

  it("answer with iptables' errors", () => {
    const machine = new Machine();
    expect(machine.newChain("filter", "X")).toBe(0);
    expect(machine.newChain("filter", "X")).toBe(-abi.EEXIST);
    expect(machine.append("filter", "Y", {}, DROP)).toBe(-abi.ENOENT);
    expect(machine.append("filter", "INPUT", {}, { kind: "JUMP", chain: "Y" })).toBe(-abi.ENOENT);
    expect(machine.append("filter", "INPUT", {}, { kind: "JUMP", chain: "X" })).toBe(0);
    expect(machine.append("filter", "X", {}, { kind: "JUMP", chain: "X" })).toBe(-abi.EMLINK);
    expect(machine.deleteChain("filter", "X")).toBe(-abi.EBUSY);
    expect(machine.deleteChain("filter", "INPUT")).toBe(-abi.EINVAL);
    expect(machine.append("filter", "INPUT", {}, { kind: "DNAT", ip: A })).toBe(-abi.EINVAL);
    expect(machine.append("nat", "POSTROUTING", {}, { kind: "DNAT", ip: A })).toBe(-abi.EINVAL);
    expect(machine.append("nat", "PREROUTING", {}, { kind: "MASQUERADE" })).toBe(-abi.EINVAL);
    expect(machine.append("filter", "OUTPUT", {}, { kind: "NOTRACK" })).toBe(-abi.EINVAL);
    expect(machine.flush("filter", "INPUT")).toBe(0);
    expect(machine.deleteChain("filter", "X")).toBe(0);
    expect(machine.deleteChain("filter", "X")).toBe(-abi.ENOENT);
  });
});

describe("matches", () => {
  const packet = tcp(A, 1000, B, 80, SYN);
  const cases: [string, RuleMatch, Uint8Array, boolean][] = [
    ["src", { src: yes({ ip: ip("10.0.0.0"), prefix: 24 }) }, packet, true],
    ["! src", { src: no({ ip: ip("10.0.0.0"), prefix: 24 }) }, packet, false],
    ["dst", { dst: yes({ ip: B, prefix: 32 }) }, packet, true],
    ["dst other", { dst: yes({ ip: B + 1, prefix: 32 }) }, packet, false],
    ["protocol", { protocol: yes("tcp") }, packet, true],
    ["! protocol", { protocol: no("udp") }, packet, true],
    ["sport", { protocol: yes("tcp"), sport: yes([1000, 1000]) }, packet, true],
    ["dport range", { protocol: yes("tcp"), dport: yes([79, 81]) }, packet, true],
    ["! dport", { protocol: yes("tcp"), dport: no([79, 81]) }, packet, false],
    ["in", { inDev: yes("eth0") }, packet, true],
    ["in other", { inDev: yes("eth") }, packet, false],
    ["in wildcard", { inDev: yes("eth+") }, packet, true],
    ["! in", { inDev: no("eth0") }, packet, false],
    ["out", { outDev: yes("docker_gwbridge") }, packet, true],
    ["! out", { outDev: no("docker_gwbridg") }, packet, true],
    ["icmp type", { protocol: yes("icmp"), icmpType: yes(8) }, icmp(A, B, 8, 0, 1), true],
    ["icmp other type", { protocol: yes("icmp"), icmpType: yes(0) }, icmp(A, B, 8, 0, 1), false],
    ["mark", { mark: yes([0, 0xff]) }, packet, true],
    ["mark other", { mark: yes([1, 0xff]) }, packet, false],
    ["policy none", { policy: { dir: "in", pol: "none" } }, packet, true],
    ["policy ipsec", { policy: { dir: "in", pol: "ipsec" } }, packet, false],
    ["ipvs", { ipvs: true }, packet, false],
    ["! ipvs", { ipvs: false }, packet, true],
    ["certain", { probability: 1 }, packet, true],
    ["never", { probability: 0 }, packet, false],
    ["invalid state", { ctstate: yes(["INVALID"]) }, ipv4(A, B, 6, new Uint8Array(4)), true],
    ["new state", { ctstate: yes(["NEW", "RELATED"]) }, packet, true],
    ["other state", { ctstate: yes(["ESTABLISHED"]) }, packet, false],
  ];
  for (const [name, match, bytes, expected] of cases) {
    it(name, () => {
      const machine = new Machine();
      const eth0 = machine.device("eth0");
      const gw = machine.device("docker_gwbridge");
      machine.append("filter", "FORWARD", match, DROP);
      const seen = machine.probe(bytes, PRE | FWD, eth0, gw);
      expect(seen.verdict).toBe(expected ? abi.NF_DROP : abi.NF_ACCEPT);
      expect(machine.list("filter")[1]?.rules[0]).toMatchObject({
        packets: expected ? 1 : 0,
        bytes: expected ? bytes.length : 0,
      });
    });
  }

  it("drops a segment too short for the ports a rule asks for", () => {
    const machine = new Machine();
    machine.append("filter", "FORWARD", { protocol: yes("tcp"), dport: yes([1, 1]) }, ACCEPT);
    expect(machine.probe(ipv4(A, B, 6, new Uint8Array(10)), FWD).verdict).toBe(abi.NF_DROP);
  });

  it("throws the host's dice for a probability", () => {
    const machine = new Machine();
    machine.append("filter", "FORWARD", { probability: 0.25 }, DROP);
    let dropped = 0;
    for (let i = 0; i < 4000; i++) if (machine.probe(packet, FWD).verdict === abi.NF_DROP) dropped++;
    expect(dropped).toBeGreaterThan(900);
    expect(dropped).toBeLessThan(1100);
  });
});

describe("walking chains", () => {
  it("jumps, returns, goes on after the jump, and ends with the policy", () => {
    const machine = new Machine();
    machine.newChain("filter", "FIRST");
    machine.newChain("filter", "SECOND");
    machine.append("filter", "FORWARD", {}, { kind: "JUMP", chain: "FIRST" });
    machine.append("filter", "FORWARD", { protocol: yes("udp") }, ACCEPT);
    machine.append("filter", "FIRST", { protocol: yes("tcp") }, { kind: "JUMP", chain: "SECOND" });
    machine.append("filter", "FIRST", {});
    machine.append("filter", "SECOND", { protocol: yes("tcp"), dport: yes([80, 80]) }, { kind: "RETURN" });
    machine.append("filter", "SECOND", {}, DROP);
    machine.policy("filter", "FORWARD", "DROP");
    expect(machine.probe(udp(A, 1, B, 2), FWD).verdict).toBe(abi.NF_ACCEPT);
    expect(machine.probe(tcp(A, 1, B, 80, SYN), FWD).verdict).toBe(abi.NF_DROP);
    expect(machine.probe(tcp(A, 1, B, 81, SYN), FWD).verdict).toBe(abi.NF_DROP);
    const counts = machine.list("filter").flatMap((chain) => chain.rules.map((rule) => rule.packets));
    expect(counts).toEqual([3, 1, 2, 2, 1, 1]);
  });

  it("marks, and asks for a new route when a mark changed in OUTPUT", () => {
    const machine = new Machine();
    machine.append("mangle", "OUTPUT", {}, { kind: "MARK", value: 0xd0c4e3 });
    machine.append("mangle", "OUTPUT", {}, { kind: "MARK", value: 0x100, mask: 0xff00 });
    const seen = machine.probe(udp(A, 1, B, 2), OUT);
    expect(seen.mark).toBe(0xd001e3);
    expect(seen.flags & 32).toBe(32);
  });

  it("leaves packets untracked that raw says not to track", () => {
    const machine = new Machine();
    machine.append("raw", "PREROUTING", { protocol: yes("udp") }, { kind: "NOTRACK" });
    machine.track();
    expect(machine.probe(udp(A, 1, B, 2)).state).toBe("UNTRACKED");
    expect(machine.probe(tcp(A, 1, B, 2, SYN)).state).toBe("NEW");
    expect(machine.count()).toBe(1);
  });
});

describe.skipIf(!goldenAvailable)(goldenTitle("a captured host's rules"), () => {
  const load = (path: string): Machine => {
    const machine = new Machine();
    for (const [table, chain, rule] of parseSave(goldenText(path), machine))
      expect(machine.insert(table, chain, rule, 0)).toBe(0);
    return machine;
  };

  it("survive encoding: every rule is found again, and listed as it was given", () => {
    const machine = new Machine();
    const rules = parseSave(goldenText("D-service-vip/manager/state-1-before-traffic/host.txt"), machine);
    expect(rules.length).toBeGreaterThan(30);
    for (const [table, chain, rule] of rules) {
      expect(machine.insert(table, chain, rule, 0)).toBe(0);
      expect(machine.check(table, chain, rule)).toBe(true);
      expect(
        machine
          .list(table)
          .find((c) => c.name === chain)
          ?.rules.at(-1),
      ).toMatchObject(rule);
    }
    for (const [table, chain, rule] of rules) expect(machine.remove(table, chain, rule)).toBe(0);
  });

  it("let a container out and its answers in, and nothing else", () => {
    const machine = load("B-standalone-attachable/manager/state-2-after-traffic/host.txt");
    const gw = machine.device("docker_gwbridge");
    const eth0 = machine.device("eth0");
    machine.address(eth0, "192.168.77.11", 24);
    const container = ip("172.18.0.3");
    const outside = ip("192.168.77.12");
    expect(machine.probe(tcp(outside, 9, container, 80, SYN), PRE | FWD, eth0, gw).verdict).toBe(abi.NF_DROP);
    expect(machine.probe(icmp(container, outside, 8, 0, 1), PRE | FWD | 16, gw, eth0).verdict).toBe(abi.NF_ACCEPT);
    const echo = machine.only();
    expect(echo.status & abi.IPS_SRC_NAT).not.toBe(0);
    expect(echo.reply).toBe("192.168.77.12:0>192.168.77.11:0");
    expect(machine.probe(udp(container, 1, ip("172.18.0.4"), 2), PRE | FWD, gw, gw).verdict).toBe(abi.NF_DROP);
    const forward = machine.list("filter").find((chain) => chain.name === "FORWARD");
    expect(forward?.rules.map((rule) => rule.packets)).toEqual([3, 3, 0, 2, 1, 0, 0, 0, 0, 1]);
  });
});
