import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ACK, checksumsRight, IN, icmp, ip, Machine, OUT, POST, PRE, ROUTED, RST, SYN, tcp, udp } from "./harness.ts";

const yes = <T>(value: T) => ({ value, not: false });
const C = ip("172.18.0.3");
const HOST = ip("192.168.77.11");
const S = ip("192.0.2.80");
const to = (text: string) => ({ value: { ip: ip(text), prefix: 32 }, not: false });

/** A machine that gives everything it routes its own address. */
function snat(seed = 1): Machine {
  const machine = new Machine(seed);
  machine.append(
    "nat",
    "POSTROUTING",
    { src: { value: { ip: ip("172.18.0.0"), prefix: 16 }, not: false } },
    { kind: "SNAT", ip: HOST },
  );
  return machine;
}

describe("source NAT", () => {
  it("keeps the port, translates answers back, and consults its rules once per connection", () => {
    const machine = snat();
    const out = machine.probe(tcp(C, 40000, S, 80, SYN, { seq: 1 }));
    expect(out).toMatchObject({ src: HOST, sport: 40000, dst: S, dport: 80 });
    expect(checksumsRight(out.bytes)).toBe(true);
    const back = machine.probe(tcp(S, 80, HOST, 40000, SYN | ACK, { seq: 9, ack: 2 }));
    expect(back).toMatchObject({ src: S, sport: 80, dst: C, dport: 40000 });
    expect(checksumsRight(back.bytes)).toBe(true);
    machine.probe(tcp(C, 40000, S, 80, ACK, { seq: 2, ack: 10 }));
    expect(machine.list("nat").at(-1)?.rules[0]).toMatchObject({ packets: 1 });
    expect(machine.only()).toMatchObject({
      original: "172.18.0.3:40000>192.0.2.80:80",
      reply: "192.0.2.80:80>192.168.77.11:40000",
    });
  });

  it("finds another port from the right range when the port is taken", () => {
    for (const [port, low, high] of [
      [40000, 1024, 65535],
      [700, 600, 1023],
      [100, 1, 511],
    ] as const) {
      const machine = snat();
      machine.probe(udp(C, port, S, 53));
      const second = machine.probe(udp(C + 1, port, S, 53));
      expect(second.src).toBe(HOST);
      expect(second.sport).not.toBe(port);
      expect(second.sport).toBeGreaterThanOrEqual(low);
      expect(second.sport).toBeLessThanOrEqual(high);
      expect(machine.probe(udp(S, 53, HOST, second.sport))).toMatchObject({ dst: C + 1, dport: port });
      expect(machine.probe(udp(S, 53, HOST, port))).toMatchObject({ dst: C, dport: port });
    }
  });

  it("uses one client's mapping again towards another server", () => {
    const machine = snat();
    machine.probe(udp(C, 5000, S, 53));
    const mapped = machine.probe(udp(C + 1, 5000, S, 53)).sport;
    expect(machine.probe(udp(C + 1, 5000, S + 1, 53)).sport).toBe(mapped);
  });

  it("drops new connections when every port of the range is taken", () => {
    const machine = new Machine();
    machine.append("nat", "POSTROUTING", { protocol: yes("udp") }, { kind: "SNAT", ip: HOST, ports: [2000, 2003] });
    const seen = [];
    for (let i = 0; i < 4; i++) seen.push(machine.probe(udp(C + i, 9000, S, 53)).sport);
    expect([...seen].sort()).toEqual([2000, 2001, 2002, 2003]);
    expect(machine.probe(udp(C + 4, 9000, S, 53)).verdict).toBe(abi.NF_DROP);
    expect(machine.probe(udp(C + 4, 9000, S + 1, 53)).verdict).toBe(abi.NF_ACCEPT);
    expect(machine.count()).toBe(5);
  });

  it("gives pings another id when two hosts use the same", () => {
    const machine = snat();
    machine.probe(icmp(C, S, 8, 0, 0x00070001));
    const second = machine.probe(icmp(C + 1, S, 8, 0, 0x00070001));
    const id = new DataView(second.bytes.buffer).getUint16(24);
    expect(id).not.toBe(7);
    expect(checksumsRight(second.bytes)).toBe(true);
    const back = machine.probe(icmp(S, HOST, 0, 0, id * 65536 + 1));
    expect(back.dst).toBe(C + 1);
    expect(new DataView(back.bytes.buffer).getUint16(24)).toBe(7);
    expect(checksumsRight(back.bytes)).toBe(true);
  });

  it("is the same for the same seed", () => {
    const run = () => {
      const machine = snat(42);
      return Array.from({ length: 20 }, (_, i) => machine.probe(udp(C + i, 5000, S, 53)).sport);
    };
    expect(run()).toEqual(run());
  });
});

describe("destination NAT", () => {
  it("sends a published port to its container and the answers back", () => {
    const machine = new Machine();
    machine.newChain("nat", "DOCKER");
    machine.append("nat", "PREROUTING", {}, { kind: "JUMP", chain: "DOCKER" });
    machine.append(
      "nat",
      "DOCKER",
      { protocol: yes("tcp"), dport: yes([8080, 8080]) },
      { kind: "DNAT", ip: C, ports: [80, 80] },
    );
    const first = machine.probe(tcp(S, 5555, HOST, 8080, SYN));
    expect(first).toMatchObject({ dst: C, dport: 80, src: S });
    const answer = machine.probe(tcp(C, 80, S, 5555, SYN | ACK, { ack: 1 }));
    expect(answer).toMatchObject({ src: HOST, sport: 8080, dst: S, dport: 5555 });
    expect(checksumsRight(first.bytes) && checksumsRight(answer.bytes)).toBe(true);
  });

  it("redirects local programs to the loopback and asks for a new route", () => {
    const machine = new Machine();
    machine.append(
      "nat",
      "OUTPUT",
      { protocol: yes("tcp"), dport: yes([80, 80]) },
      { kind: "REDIRECT", ports: [8080, 8080] },
    );
    const seen = machine.probe(tcp(C, 1, S, 80, SYN), OUT | POST);
    expect(seen).toMatchObject({ dst: ip("127.0.0.1"), dport: 8080 });
    expect(seen.flags & 32).toBe(32);
  });

  it("serves Docker's DNS address as Docker sets it up", () => {
    const machine = new Machine();
    for (const chain of ["DOCKER_OUTPUT", "DOCKER_POSTROUTING"]) machine.newChain("nat", chain);
    const dns = to("127.0.0.11");
    machine.append("nat", "OUTPUT", { dst: dns }, { kind: "JUMP", chain: "DOCKER_OUTPUT" });
    machine.append("nat", "POSTROUTING", { dst: dns }, { kind: "JUMP", chain: "DOCKER_POSTROUTING" });
    machine.append(
      "nat",
      "DOCKER_OUTPUT",
      { dst: dns, protocol: yes("udp"), dport: yes([53, 53]) },
      { kind: "DNAT", ip: ip("127.0.0.11"), ports: [58374, 58374] },
    );
    machine.append(
      "nat",
      "DOCKER_POSTROUTING",
      { src: dns, protocol: yes("udp"), sport: yes([58374, 58374]) },
      { kind: "SNAT", ports: [53, 53] },
    );
    const query = machine.probe(udp(ip("127.0.0.1"), 41000, ip("127.0.0.11"), 53), OUT | POST);
    expect(query.dport).toBe(58374); // what a capture on lo sees
    const reply = machine.probe(udp(ip("127.0.0.11"), 58374, ip("127.0.0.1"), 41000), OUT | POST);
    expect(reply).toMatchObject({ src: ip("127.0.0.11"), sport: 53, dst: ip("127.0.0.1"), dport: 41000 });
    expect(checksumsRight(query.bytes) && checksumsRight(reply.bytes)).toBe(true);
    expect(machine.list("nat").flatMap((chain) => chain.rules.map((rule) => rule.packets))).toEqual([1, 1, 1, 0]);
  });
});

describe("ICMP errors", () => {
  it("are translated outside and inside on their way back", () => {
    const machine = snat();
    for (const packet of [udp(C, 5000, S, 53), tcp(C, 5001, S, 80, SYN), icmp(C, S, 8, 0, 0x00090001)]) {
      const out = machine.probe(packet);
      const error = machine.probe(icmp(ip("203.0.113.1"), HOST, 3, 1, 0, out.bytes));
      expect(error.state).toBe("RELATED reply");
      expect(error.dst).toBe(C);
      expect(checksumsRight(error.bytes)).toBe(true);
      expect(error.bytes.slice(28)).toEqual(packet);
    }
  });

  it("are translated although they quote no more than eight bytes", () => {
    const machine = snat();
    const packet = tcp(C, 5001, S, 80, SYN);
    const out = machine.probe(packet);
    const error = machine.probe(icmp(S, HOST, 3, 1, 0, out.bytes.slice(0, 28)));
    expect(error.dst).toBe(C);
    expect(error.bytes.slice(40, 48)).toEqual(packet.slice(12, 20));
    expect(error.bytes.slice(48, 50)).toEqual(packet.slice(20, 22));
  });

  it("whose checksum is wrong are dropped", () => {
    const machine = snat();
    const out = machine.probe(udp(C, 5000, S, 53));
    const error = icmp(S, HOST, 3, 1, 0, out.bytes);
    error[22] = (error[22] ?? 0) ^ 255;
    expect(machine.probe(error).state).toBe("INVALID");
  });
});

describe("any traffic", () => {
  const address = fc.integer({ min: 0, max: 3 });
  const step = fc.record({
    kind: fc.constantFrom("tcp", "udp", "icmp"),
    from: address,
    to: address,
    port: fc.constantFrom(1, 600, 5000),
    data: fc.uint8Array({ maxLength: 30 }),
  });

  it("comes back as it went: un-NAT of the answer restores addresses and ports, checksums hold", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const machine = snat();
        for (const { kind, from, to: server, port, data } of steps) {
          const source = C + from;
          const far = S + server;
          const out =
            kind === "udp"
              ? machine.probe(udp(source, port, far, 53, data))
              : kind === "tcp"
                ? machine.probe(tcp(source, port, far, 80, SYN))
                : machine.probe(icmp(source, far, 8, 0, port * 65536, data));
          if (out.verdict !== abi.NF_ACCEPT) continue;
          expect(out.src).toBe(HOST);
          expect(checksumsRight(out.bytes)).toBe(true);
          const id = new DataView(out.bytes.buffer).getUint16(24);
          const back =
            kind === "udp"
              ? machine.probe(udp(far, 53, HOST, out.sport, data))
              : kind === "tcp"
                ? machine.probe(tcp(far, 80, HOST, out.sport, RST | ACK, { ack: 1 }))
                : machine.probe(icmp(far, HOST, 0, 0, id * 65536, data));
          const expected =
            kind === "udp"
              ? udp(far, 53, source, port, data)
              : kind === "tcp"
                ? tcp(far, 80, source, port, RST | ACK, { ack: 1 })
                : icmp(far, source, 0, 0, port * 65536, data);
          expect(back.bytes).toEqual(expected);
        }
        expect(machine.count()).toBe(machine.connections().length);
      }),
      { numRuns: 60 },
    );
  });

  it("never breaks the kernel, whatever the bytes", () => {
    const machine = snat();
    machine.append("filter", "FORWARD", { u32: "0>>22&0x3C@12&0xFFFFFF00=1" }, { kind: "DROP" });
    machine.append("filter", "FORWARD", { protocol: yes("tcp"), dport: yes([1, 9]) }, { kind: "DROP" });
    const size = machine.kernel.x["memoryInUse"]();
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 20, maxLength: 120 }),
        fc.constantFrom(1, 6, 17, 132, 47),
        (bytes, protocol) => {
          const packet = bytes.slice();
          packet[0] = 0x45;
          packet[6] = 0;
          packet[7] = 0;
          packet[9] = protocol;
          expect([abi.NF_ACCEPT, abi.NF_DROP]).toContain(machine.probe(packet, ROUTED).verdict);
        },
      ),
      { numRuns: 2000 },
    );
    machine.kernel.x["nfCtFlush"](machine.ns);
    expect(machine.count()).toBe(0);
    expect(machine.kernel.x["memoryInUse"]()).toBeLessThan(size + 400000); // tables grow, entries don't stay
  });

  it("hooks are independent of each other", () => {
    const machine = snat();
    expect(machine.probe(udp(S, 1, HOST, 2), PRE | IN).state).toBe("NEW");
    expect(machine.only().reply).toBe("192.168.77.11:2>192.0.2.80:1");
  });
});
