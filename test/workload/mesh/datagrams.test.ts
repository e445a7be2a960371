import { describe, expect, it } from "vitest";
import { MS, SEC, US } from "../../../src/base/time.ts";
import { Histogram } from "../../../src/workload/histogram.ts";
import { DATAGRAM_PORT, sourcePorts } from "../../../src/workload/mesh/plan-index.ts";
import { HostTraffic } from "../../../src/workload/mesh/traffic.ts";
import type { MeshReport } from "../../../src/workload/mesh/types.ts";
import { ip, kernelBuilt } from "../../support/kernel.ts";
import { Playground, planOf } from "../../support/playground.ts";

/** A frame of `payload` bytes over one link of 10 Gbit/s and 50 µs: UDP, IP, Ethernet, and 24 bytes on the wire. */
const wireTime = (payload: number): number => 50 * US + Math.ceil(((payload + 8 + 20 + 14 + 24) * 8) / 10);

function delaysOf(report: MeshReport | undefined, kind: string): Histogram {
  const out = new Histogram();
  for (const group of report?.delays ?? []) if (group.kind === kind) out.merge(group.delays);
  return out;
}

describe.skipIf(!kernelBuilt)("measured datagrams (need build/kernel.wasm)", () => {
  it("at a constant rate: so many, each after the wire's delay", async () => {
    const ground = await Playground.create(2);
    ground.warm();
    const plan = planOf(2, [{ kind: "cbr", from: 0, to: { container: 1 } }], { rate: 3000, size: 100 });
    const [sender, receiver] = ground.run(plan);
    expect(sender?.flows).toEqual([{ flow: 0, sent: 3000, failed: 0, received: 0, bytes: 0 }]);
    expect(receiver?.flows).toEqual([{ flow: 0, sent: 0, failed: 0, received: 3000, bytes: 300_000 }]);
    const delays = delaysOf(receiver, "cbr");
    expect([delays.count, delays.min, delays.max]).toEqual([3000, wireTime(100), wireTime(100)]);
    expect(delays.percentile(50)).toBe(wireTime(100));
    expect(receiver?.delays).toHaveLength(1);
    expect(receiver?.delays[0]).toMatchObject({ kind: "cbr", viaVip: false, encrypted: false });
    expect(receiver?.strays).toBeUndefined();
  });

  it("flows don't mix: several to one container, each from a port of its own, at its own start", async () => {
    const ground = await Playground.create(3);
    ground.warm();
    const to = { container: 2 };
    const plan = planOf(
      3,
      [
        { kind: "cbr", from: 0, to },
        { kind: "poisson", from: 0, to },
        { kind: "cbr", from: 1, to, start: 250 * MS },
      ],
      { rate: 100, size: 24 },
    );
    const traffic = ground.oses.map((os, i) => new HostTraffic(os, plan, i, (c) => ground.hosts[c]!.root));
    for (const host of traffic) host.listen();
    for (const host of traffic) host.start(0);
    const ports = ground.hosts[0]!.root.socket.list().map(({ localPort }) => localPort);
    expect(ports.sort()).toEqual([10_000, 10_001]);
    ground.play(250 * MS + 99 * US);
    // The first one of flow 2 has just come.
    expect(ground.hosts[2]!.drops()).toEqual({});
    ground.play(2 * SEC);
    const [a, b, c] = traffic.map((host) => host.report());
    expect(a?.flows.map(({ flow }) => flow)).toEqual([0, 1]);
    expect(c?.flows.map(({ received }) => received)).toEqual([100, a!.flows[1]!.sent, 100]);
    expect(b?.flows).toEqual([{ flow: 2, sent: 100, failed: 0, received: 0, bytes: 0 }]);
    expect(c?.delays.map(({ kind, delays }) => [kind, delays.count])).toEqual([
      ["cbr", 200],
      ["poisson", a!.flows[1]!.sent],
    ]);
  });

  it("loss on the wire is what is missing", async () => {
    const ground = await Playground.create(2);
    ground.warm();
    const settings = { down: false, latency: 50 * US, bandwidth: 1e10, loss: 0.1, queueBytes: 1_538_000, group: 0 };
    ground.kernel.underlay.setPort(0, settings);
    const plan = planOf(2, [{ kind: "cbr", from: 0, to: { container: 1 } }], { rate: 10_000 });
    const [sender, receiver] = ground.run(plan);
    const lost = ground.hosts[0]!.drops()["WIRE_LOSS"] ?? 0;
    expect(lost).toBeGreaterThan(850);
    expect(lost).toBeLessThan(1150);
    expect(sender?.flows[0]?.sent).toBe(10_000);
    expect(receiver?.flows[0]?.received).toBe(10_000 - lost);
    expect(delaysOf(receiver, "cbr").count).toBe(10_000 - lost);
  });

  it("what the sender's kernel refuses is failed, not sent", async () => {
    const ground = await Playground.create(1);
    const plan = planOf(2, [{ kind: "cbr", from: 0, to: { container: 1 } }], { rate: 10 });
    ground.hosts[0]!.root.link.set("eth0", { up: false });
    expect(ground.run(plan)[0]?.flows).toEqual([{ flow: 0, sent: 0, failed: 10, received: 0, bytes: 0 }]);
  });

  it("reordered, doubled and foreign datagrams are told apart", async () => {
    const ground = await Playground.create(2);
    ground.warm();
    const plan = planOf(2, [{ kind: "cbr", from: 0, to: { container: 1 } }]);
    const [, receiver] = ground.oses.map((os, i) => new HostTraffic(os, plan, i, (c) => ground.hosts[c]!.root));
    receiver!.listen();
    const socket = ground.hosts[0]!.root.socket.udp();
    const send = (number: number, magic = 0x4d575357): void => {
      const bytes = new Uint8Array(24);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, magic, true);
      view.setUint32(8, number, true);
      socket.sendTo(bytes, ip("10.1.1.2"), DATAGRAM_PORT);
    };
    for (const number of [0, 1, 3, 2, 3, 200, 199, 100, 199]) send(number);
    send(4, 0);
    socket.sendTo(new Uint8Array(23), ip("10.1.1.2"), DATAGRAM_PORT);
    ground.play(10 * MS);
    // 2, 199 and 100 are late; 3 and 199 came twice.
    expect(receiver!.report()).toMatchObject({ strays: 2, flows: [{ received: 9, reordered: 3, duplicates: 2 }] });
  });

  it("delays stand in the same buckets as in a histogram of programs", async () => {
    const ground = await Playground.create(1);
    const [host] = ground.hosts;
    const meter = host!.meter();
    meter.listen(host!.root, DATAGRAM_PORT, 0);
    const socket = host!.root.socket.udp();
    const expected = new Histogram();
    const bytes = new Uint8Array(24);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x4d575357, true);
    for (const delay of [0, 1, 31, 32, 63, 64, 65, 127, 128, 1000, 123_456, 5e9, 2 ** 40 + 7, 2 ** 41, 2 ** 45]) {
      // A datagram to oneself comes at once.
      view.setBigInt64(16, BigInt(ground.kernel.now) - BigInt(delay), true);
      socket.sendTo(bytes, ip("10.1.1.1"), DATAGRAM_PORT);
      expected.add(delay);
    }
    expect(meter.delays()).toEqual([{ group: 0, ...expected.toCounts() }]);
  });

  it("a datagram too small for its header is refused at once", async () => {
    const ground = await Playground.create(1);
    const plan = planOf(1, [], { size: 23 });
    expect(() => new HostTraffic(ground.oses[0]!, plan, 0, () => ground.hosts[0]!.root)).toThrow("needs 24");
  });

  it("leaves nothing behind when the host loses power", async () => {
    const ground = await Playground.create(2);
    ground.warm();
    const blocks = (): number => ground.kernel.exports.blocksHeld();
    const plan = planOf(2, [
      { kind: "cbr", from: 0, to: { container: 1 } },
      { kind: "poisson", from: 1, to: { container: 0 } },
    ]);
    ground.run(plan);
    for (const host of ground.hosts) {
      host.powerOff();
      host.powerOn();
    }
    const before = blocks();
    for (const host of ground.hosts) {
      const meter = host.meter();
      meter.listen(host.root, 7, 1);
      meter.generate(host.root, {
        flow: 1,
        group: 0,
        port: 9,
        to: ip("127.0.0.1"),
        toPort: 7,
        size: 64,
        startIn: 0,
        endIn: SEC,
        interval: MS,
      });
    }
    ground.play(SEC);
    for (const host of ground.hosts) {
      host.powerOff();
      host.powerOn();
    }
    expect(blocks()).toBe(before);
  });
});

describe.skipIf(!kernelBuilt)("a Poisson process", () => {
  it("has exponential intervals: mean, variance and shape", async () => {
    const { hosts } = await Playground.create(1);
    const n = 100_000;
    const values = Array.from({ length: n }, (_, i) => hosts[0]!.exponential([1, 2], i));
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n;
    // Standard errors of both: 1/√n and √(8/n).
    expect(Math.abs(mean - 1)).toBeLessThan(3 / Math.sqrt(n));
    expect(Math.abs(variance - 1)).toBeLessThan(3 * Math.sqrt(8 / n));
    // 100 classes of equal probability: χ² of 99 degrees of freedom is below 148.2 with 99.9 %.
    const classes = new Array<number>(100).fill(0);
    for (const value of values) {
      const at = Math.min(99, Math.floor(100 * (1 - Math.exp(-value))));
      classes[at] = (classes[at] as number) + 1;
    }
    const chi = classes.reduce((sum, count) => sum + (count - n / 100) ** 2 / (n / 100), 0);
    expect(chi).toBeLessThan(148.2);
    expect(chi).toBeGreaterThan(61); // nor too even: 0.1 %
  });

  it("is -ln of SplitMix64's numbers, as exactly as the engine's logarithm", async () => {
    const { hosts } = await Playground.create(1);
    const mask = (1n << 64n) - 1n;
    const mix = (x: bigint, by: bigint, factor: bigint): bigint => ((x ^ (x >> by)) * factor) & mask;
    for (let n = 0; n < 2000; n++) {
      const seeded = ((7n << 32n) + 9n + BigInt(n + 1) * 0x9e3779b97f4a7c15n) & mask;
      const mixed = mix(mix(seeded, 30n, 0xbf58476d1ce4e5b9n), 27n, 0x94d049bb133111ebn);
      const uniform = (Number((mixed ^ (mixed >> 31n)) >> 11n) + 1) / 2 ** 53;
      const exact = -Math.log(uniform);
      expect(Math.abs(hosts[0]!.exponential([7, 9], n) - exact)).toBeLessThanOrEqual(4e-16 * (1 + exact));
    }
  });

  it("sends about as many as its rate says, at the same instants for the same seed", async () => {
    const count = async (seed: string): Promise<readonly number[]> => {
      const ground = await Playground.create(2);
      ground.warm();
      const flows = [0, 1, 2].map(() => ({ kind: "poisson" as const, from: 0, to: { container: 1 } }));
      const reports = ground.run(planOf(2, flows, { rate: 2000, seed }));
      expect(reports[1]?.flows.map(({ received }) => received)).toEqual(reports[0]?.flows.map(({ sent }) => sent));
      return reports[0]!.flows.map(({ sent }) => sent);
    };
    const first = await count("a");
    for (const sent of first) expect(Math.abs(sent - 2000)).toBeLessThan(4 * Math.sqrt(2000));
    expect(new Set(first).size).toBeGreaterThan(1);
    expect(await count("a")).toEqual(first);
    expect(await count("b")).not.toEqual(first);
  });
});

describe("source ports", () => {
  const flow = { id: 0, kind: "rr" as const, from: 0, to: { container: 1 }, start: 0 };

  it("of a container's flows never meet, and are all there are", () => {
    const ports = new Set<number>();
    for (let ordinal = 0; ordinal < 3; ordinal++) {
      const { first, step, count } = sourcePorts({ flow, ordinal, siblings: 3 });
      for (let n = 0; n < count; n++) ports.add(first + step * n);
    }
    expect([ports.size, Math.min(...ports), Math.max(...ports)]).toEqual([55_536, 10_000, 65_535]);
  });
});
