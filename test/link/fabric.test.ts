/** Leaves and spines: when frames come through, which way they take, what is dropped and counted. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip } from "../inet/net.ts";
import { udp } from "../netfilter/harness.ts";
import { modelFabric } from "./fabric-model.ts";
import { eth } from "./frames.ts";
import { G, Wire } from "./wire.ts";

const SEED = 0x12345678;
const US = 1000;

interface LinkCount {
  readonly frames: number;
  readonly bytes: number;
  readonly drops: number;
  readonly peak: number;
}

/** Hosts below leaves; the segment is number 0. */
class FabricWire extends Wire {
  readonly spines: number;

  constructor(spines: number, options: { delay?: number; rate?: number; queue?: number } = {}) {
    super();
    this.spines = spines;
    const { delay = 5 * US, rate = 40 * G, queue = 1_538_000 } = options;
    this.x["fabricNew"](0, SEED, spines, delay, rate, queue);
  }

  link(leaf: number, spine: number, way: "up" | "down"): LinkCount {
    const at = this.x["fabricLinkCounters"](0, leaf, spine, way === "up" ? 0 : 1) as number;
    const count = (offset: number): number => Number(this.k.view().getBigUint64(at + offset, true));
    return { frames: count(0), bytes: count(8), drops: count(16), peak: count(24) };
  }

  change(leaf: number, spine: number, { down = false, delay = 5 * US, loss = 0 }): void {
    this.x["fabricLinkChange"](0, leaf, spine, down ? 1 : 0, delay, Math.round(loss * 2 ** 32));
  }

  /** How many frames each spine has got from a leaf. */
  spread(leaf: number): number[] {
    return Array.from({ length: this.spines }, (_, spine) => this.link(leaf, spine, "up").frames);
  }

  /** Hosts are left with nothing, and have lost count of nothing. */
  settled(): void {
    for (const host of this.hosts) {
      expect(this.imbalance(host)).toBe(0n);
      expect(this.live(host)).toBe(0);
    }
  }
}

// ------------------------------------------------------------------------------------------------ the hash, again

const rotl = (x: number, n: number): number => ((x << n) | (x >>> (32 - n))) >>> 0;

/** jhash_3words of include/linux/jhash.h. */
function jhash3(x: number, y: number, z: number, seed: number): number {
  const start = (seed + 0xdeadbeef + 12) >>> 0;
  let [a, b, c] = [(x + start) >>> 0, (y + start) >>> 0, (z + start) >>> 0];
  c = ((c ^ b) >>> 0) - rotl(b, 14);
  a = ((a ^ c) >>> 0) - rotl(c >>> 0, 11);
  b = ((b ^ a) >>> 0) - rotl(a >>> 0, 25);
  c = ((c ^ b) >>> 0) - rotl(b >>> 0, 16);
  a = ((a ^ c) >>> 0) - rotl(c >>> 0, 4);
  b = ((b ^ a) >>> 0) - rotl(a >>> 0, 14);
  c = ((c ^ b) >>> 0) - rotl(b >>> 0, 24);
  return c >>> 0;
}

/** What a switch makes of a frame: of its MAC addresses, or of addresses, protocol and, given, ports. */
function hashOf(frame: Uint8Array, withPorts = false): number {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const word = (at: number): number => view.getUint32(at, true);
  const type = view.getUint16(12);
  if (type !== 0x0800) return jhash3(word(0), word(4), word(8), SEED + type);
  const ports = withPorts ? word(14 + (view.getUint8(14) & 15) * 4) : 0;
  return jhash3(word(26), word(30), ports, SEED + view.getUint8(23));
}

describe("the way from leaf to leaf", () => {
  it("takes the sender's latency, two links and the receiver's latency; below one leaf the larger latency", () => {
    const net = new FabricWire(1, { delay: 7 * US });
    net.attach({ leaf: 0, delay: 10 * US, rate: 10 * G });
    net.attach({ leaf: 1, delay: 30 * US, rate: 10 * G });
    net.attach({ leaf: 1, delay: 20 * US, rate: 10 * G });
    net.transmit(0, 1, 1500);
    expect(net.arrivals().map(({ time }) => time)).toEqual([1_231 + (10 + 7 + 7 + 30) * US]);
    const start = net.now;
    net.transmit(1, 2, 1500);
    expect(net.arrivals().map(({ time }) => time - start)).toEqual([1_231 + 30 * US]);
    expect(net.link(0, 0, "up")).toEqual({ frames: 1, bytes: 1538, drops: 0, peak: 0 });
    expect(net.link(1, 0, "down")).toEqual({ frames: 1, bytes: 1538, drops: 0, peak: 0 });
    expect(net.link(1, 0, "up").frames + net.link(0, 0, "down").frames).toBe(0);
    net.settled();
  });

  it("costs an unhindered frame two events where the hosts of a leaf have one latency", () => {
    const net = new FabricWire(2);
    for (const leaf of [0, 1, 1]) net.attach({ leaf });
    const before = net.x["eventCount"]() as number;
    net.transmit(0, 1, 100);
    expect(net.arrivals()).toHaveLength(1);
    expect((net.x["eventCount"]() as number) - before).toBe(2);
    net.set(2, { delay: 20 * US });
    net.transmit(0, 1, 100);
    expect(net.arrivals()).toHaveLength(1);
    expect((net.x["eventCount"]() as number) - before).toBe(5);
  });

  it("is what a model of it says, frame for frame, with all its queues and drops", () => {
    const port = fc.record({
      leaf: fc.nat(2),
      delay: fc.oneof(fc.constant(20 * US), fc.nat(30 * US)),
      rate: fc.constantFrom(1e9, 2.5e9, 1e10),
      queue: fc.integer({ min: 1600, max: 40_000 }),
    });
    const fabric = fc.record({
      spines: fc.integer({ min: 1, max: 3 }),
      delay: fc.constantFrom(0, 1, 5 * US),
      rate: fc.constantFrom(7e8, 1e9, 1e10, 33_333_333_333),
      queue: fc.integer({ min: 1600, max: 20_000 }),
      cut: fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { maxLength: 2 }),
    });
    const sent = fc.record({
      gap: fc.nat(3000),
      from: fc.nat(99),
      to: fc.nat(99),
      length: fc.integer({ min: 30, max: 1500 }),
    });
    fc.assert(
      fc.property(
        fc.array(port, { minLength: 2, maxLength: 7 }),
        fabric,
        fc.array(sent, { minLength: 1, maxLength: 120 }),
        (hosts, { cut, ...settings }, list) => {
          // Spine 0 always stays.
          const live = [0, 1, 2].map((leaf) =>
            Array.from({ length: settings.spines }, (_, spine) => spine).filter(
              (spine) => spine === 0 || !cut.some((one) => one[0] === leaf && one[1] === spine),
            ),
          );
          const net = new FabricWire(settings.spines, settings);
          hosts.forEach((host, i) => {
            net.attach(host);
            net.set(i, host);
          });
          live.forEach((spines, leaf) => {
            for (let spine = 0; spine < settings.spines; spine++)
              net.change(leaf, spine, { down: !spines.includes(spine), delay: settings.delay });
          });
          const frames = list.map(({ from, to, length }, i) => {
            net.run(list[i]?.gap as number);
            const a = from % hosts.length;
            const b = (a + 1 + (to % (hosts.length - 1))) % hosts.length;
            net.transmit(a, b, length, i);
            const bytes = eth(
              net.address(b),
              `0299000000${a.toString(16).padStart(2, "0")}`,
              0x88b5,
              new Uint8Array(0),
            );
            return { time: net.now, from: a, to: b, size: Math.max(14 + length, 60) + 24, hash: hashOf(bytes) };
          });
          const expected = modelFabric(hosts, { ...settings, live }, frames);
          const got = net.arrivals().map(({ time, point, bytes }) => ({ frame: bytes[20] as number, time, to: point }));
          const sorted = (all: typeof got): typeof got => [...all].sort((x, y) => x.frame - y.frame);
          expect(sorted(got)).toEqual(sorted(expected.arrivals));
          const dropped = (reason: number): number[] => net.hosts.map((host) => net.drops(host, reason));
          expect(dropped(abi.DROP_WIRE_QUEUE)).toEqual(expected.queueDrops);
          expect(dropped(abi.DROP_FULL_RING)).toEqual(expected.portDrops);
          for (const [name, count] of expected.carried) {
            const [way, leaf, spine] = name.split(" ") as ["up" | "down", string, string];
            expect([name, net.link(Number(leaf), Number(spine), way).frames]).toEqual([name, count]);
          }
          net.settled();
        },
      ),
      { numRuns: 60 },
    );
  });

  it("drops at the tail of a leaf's link and of a spine's, and says whose frames they were", () => {
    const net = new FabricWire(1, { rate: G, queue: 5 * 1538 });
    for (const leaf of [0, 0, 1, 2, 3]) net.attach({ leaf, rate: 10 * G });
    for (let i = 0; i < 20; i++) net.transmit(0, 2, 1500, i);
    expect(net.arrivals().length).toBe(20 - net.link(0, 0, "up").drops);
    expect(net.link(0, 0, "up").drops).toBeGreaterThan(10);
    expect(net.link(0, 0, "up").peak).toBeGreaterThan(4 * 1538);
    expect(net.link(0, 0, "up").peak).toBeLessThanOrEqual(5 * 1538);
    expect(net.drops(net.hosts[0] as number, abi.DROP_WIRE_QUEUE)).toBe(net.link(0, 0, "up").drops);
    // Three leaves to one: their own links carry it, the spine's can't.
    for (let i = 0; i < 5; i++) for (const from of [0, 3, 4]) net.transmit(from, 2, 1500, i);
    net.arrivals();
    expect(net.link(1, 0, "down").drops).toBeGreaterThan(3);
    expect(net.drops(net.hosts[2] as number, abi.DROP_WIRE_QUEUE)).toBe(net.link(1, 0, "down").drops);
    net.settled();
  });
});

describe("equal-cost paths", () => {
  /** An IPv4 packet from host 0 to host 1, as both their kernels would never see it. */
  function packet(protocol: number, sport: number, fragment = 0): Uint8Array {
    const bytes = udp(ip("10.0.0.1"), sport, ip("10.0.0.2"), 4789);
    bytes[9] = protocol;
    new DataView(bytes.buffer, bytes.byteOffset).setUint16(6, fragment);
    return bytes;
  }

  function spreadOf(spines: number, packets: readonly Uint8Array[]): { spread: number[]; frames: Uint8Array[] } {
    const net = new FabricWire(spines);
    net.attach({ leaf: 0 });
    net.attach({ leaf: 1 });
    const frames = packets.map((bytes) => eth(net.address(1), "029900000000", 0x0800, bytes));
    for (const [i, frame] of frames.entries()) {
      net.inject(net.taps[0] as number, frame);
      if (i % 100 === 0) net.run(1e6);
    }
    net.run(1e9);
    net.settled();
    return { spread: net.spread(0), frames };
  }

  const ports = (count: number): number[] => Array.from({ length: count }, (_, i) => 49_152 + ((i * 7919) % 16_384));

  it.each([6, 17, 132])("spreads flows of protocol %i by their ports, as jhash says", (protocol) => {
    const count = 4000;
    const { spread, frames } = spreadOf(
      4,
      ports(count).map((port) => packet(protocol, port)),
    );
    const expected = [0, 0, 0, 0];
    for (const frame of frames) {
      const spine = Math.floor((hashOf(frame, true) * 4) / 2 ** 32);
      expected[spine] = (expected[spine] as number) + 1;
    }
    expect(spread).toEqual(expected);
    // Standard deviation of each: √(4000 · ¼ · ¾) = 27.
    for (const one of spread) expect(Math.abs(one - count / 4)).toBeLessThan(5 * 27);
  });

  it("lets all ESP between two hosts take one way, whatever the SPI, and fragments too", () => {
    const spis = ports(300).map((port) => packet(50, port));
    expect(spreadOf(4, spis).spread.filter((count) => count > 0)).toEqual([300]);
    for (const fragment of [0x2000, 0x00b9, 0x20b9])
      expect(
        spreadOf(
          4,
          ports(300).map((port) => packet(17, port, fragment)),
        ).spread.filter((count) => count > 0),
      ).toEqual([300]);
    // Don't fragment is not a fragment.
    expect(
      Math.min(
        ...spreadOf(
          4,
          ports(300).map((port) => packet(17, port, 0x4000)),
        ).spread,
      ),
    ).toBeGreaterThan(30);
  });

  it("reads no ports behind the end of a short or twisted packet", () => {
    const short = packet(17, 5000).subarray(0, 20);
    const twisted = packet(17, 5000);
    twisted[0] = 0x4f;
    const tiny = packet(17, 5000);
    tiny[0] = 0x41;
    const { spread, frames } = spreadOf(64, [short, twisted, tiny]);
    const expected = new Array<number>(64).fill(0);
    for (const frame of frames) {
      const spine = Math.floor((hashOf(frame) * 64) / 2 ** 32);
      expected[spine] = (expected[spine] as number) + 1;
    }
    expect(spread).toEqual(expected);
  });

  it("shares a lost spine's flows out to the others, and drops where no way is left", () => {
    const net = new FabricWire(4);
    net.attach({ leaf: 0 });
    net.attach({ leaf: 1 });
    const send = (count: number): void => {
      for (const port of ports(count))
        net.inject(net.taps[0] as number, eth(net.address(1), "029900000000", 0x0800, packet(17, port)));
      net.run(1e8);
    };
    net.change(0, 1, { down: true });
    net.change(1, 3, { down: true }); // the far leaf's link counts as well
    send(400);
    const [a, b, c, d] = net.spread(0) as [number, number, number, number];
    expect([b, d]).toEqual([0, 0]);
    expect(a + c).toBe(400);
    expect(Math.abs(a - c)).toBeLessThan(5 * 20);
    net.change(0, 0, { down: true });
    net.change(0, 2, { down: true });
    send(10);
    expect(net.drops(net.hosts[0] as number, abi.DROP_WIRE_DOWN)).toBe(10);
    // What is on its way to a spine whose link is pulled is lost there.
    net.change(0, 0, {});
    net.inject(net.taps[0] as number, eth(net.address(1), "029900000000", 0x0800, packet(17, 1)));
    net.run(60 * US);
    net.change(1, 0, { down: true });
    net.run(1e8);
    expect(net.drops(net.hosts[1] as number, abi.DROP_WIRE_DOWN)).toBe(1);
    net.settled();
  });

  it("loses the given share on a lossy link, and delays by its latency", () => {
    const net = new FabricWire(1);
    net.attach({ leaf: 0 });
    net.attach({ leaf: 1 });
    net.change(0, 0, { loss: 0.1 });
    for (let i = 0; i < 5000; i++) {
      net.transmit(0, 1, 46);
      if (i % 500 === 0) net.run(1e6);
    }
    net.frames.length = 0;
    net.run(1e9);
    const lost = net.drops(net.hosts[0] as number, abi.DROP_WIRE_LOSS);
    expect(Math.abs(lost - 500)).toBeLessThan(5 * 21);
    net.change(0, 0, { delay: 80 * US });
    net.arrivals();
    const start = net.now;
    net.transmit(0, 1, 46);
    expect(net.arrivals().map(({ time }) => time - start)).toEqual([68 + (50 + 80 + 5 + 50) * US]);
    net.settled();
  });
});

describe("frames for everybody", () => {
  const arp = (target: string, op = 1): Uint8Array => {
    const bytes = new Uint8Array(46);
    bytes.set([0, 1, 8, 0, 6, 4, 0, op]);
    new DataView(bytes.buffer).setUint32(24, ip(target));
    return bytes;
  };

  function wire(): FabricWire {
    const net = new FabricWire(2);
    for (let i = 0; i < 6; i++) net.attach({ leaf: Math.floor(i / 2), address: ip(`10.0.0.${i}`) });
    return net;
  }

  const reached = (net: FabricWire): number[] =>
    net
      .arrivals()
      .map(({ point }) => point)
      .sort();

  it("go to each other port, over one spine to each other leaf", () => {
    const net = wire();
    net.transmit(2, "all", 46);
    expect(reached(net)).toEqual([0, 1, 3, 4, 5]);
    expect(net.spread(1).reduce((sum, count) => sum + count)).toBe(2);
    for (const leaf of [0, 2]) expect(net.link(leaf, 0, "down").frames + net.link(leaf, 1, "down").frames).toBe(1);
    net.inject(net.taps[0] as number, eth("02420a000003", "029900000000", 0x88b5, new Uint8Array(46)));
    expect(reached(net)).toEqual([1, 2, 3, 4, 5]);
    net.settled();
  });

  it("go to the target alone when they are ARP requests for an address that leaves know", () => {
    const net = wire();
    const send = (payload: Uint8Array): void =>
      net.inject(net.taps[0] as number, eth("ffffffffffff", "029900000000", 0x0806, payload));
    send(arp("10.0.0.5"));
    expect(reached(net)).toEqual([5]);
    send(arp("10.0.0.1"));
    expect(reached(net)).toEqual([1]);
    send(arp("10.0.0.77")); // nobody's
    expect(reached(net)).toEqual([1, 2, 3, 4, 5]);
    send(arp("10.0.0.0")); // an announcement of the own address
    expect(reached(net)).toEqual([1, 2, 3, 4, 5]);
    send(arp("10.0.0.5", 2)); // a reply to everybody
    expect(reached(net)).toEqual([1, 2, 3, 4, 5]);
    send(arp("10.0.0.5").subarray(0, 20)); // cut off
    expect(reached(net)).toEqual([1, 2, 3, 4, 5]);
    net.settled();
  });

  it("respect partitions, filters and losses of those whom they reach", () => {
    const net = wire();
    net.set(4, { group: 1 });
    net.x["portFilterAdd"](net.ports[3], 0x88b5, 0, 0, 0);
    net.set(5, { loss: 1 - 2 ** -32 });
    net.transmit(0, "all", 46);
    expect(reached(net)).toEqual([1, 2]);
    expect(net.drops(net.hosts[4] as number, abi.DROP_WIRE_PARTITION)).toBe(1);
    expect(net.drops(net.hosts[3] as number, abi.DROP_WIRE_FILTER)).toBe(1);
    expect(net.drops(net.hosts[5] as number, abi.DROP_WIRE_LOSS)).toBe(1);
    net.x["portFilterAdd"](net.ports[0], 0x88b5, 0, 0, 0);
    net.transmit(0, "all", 46);
    expect(reached(net)).toEqual([]);
    net.settled();
  });

  it("end where a single host has nobody to talk to", () => {
    const net = new FabricWire(2);
    net.attach({ leaf: 3 });
    net.transmit(0, "all", 46);
    expect(reached(net)).toEqual([]);
    expect(net.drops(net.hosts[0] as number, abi.DROP_WIRE_NO_PORT)).toBe(1);
    net.settled();
  });
});

describe("latencies that change under way", () => {
  it("never let a frame arrive before it may, nor twice", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(4), fc.nat(40 * US), fc.nat(30 * US)), { minLength: 1, maxLength: 40 }),
        (changes) => {
          const net = new FabricWire(2, { delay: 5 * US, rate: G });
          for (const leaf of [0, 0, 1, 1]) net.attach({ leaf });
          let sent = 0;
          for (const [what, delay, gap] of changes) {
            for (let i = 0; i < 4; i++) {
              net.transmit(i, (i + 1) % 4, 200, sent);
              net.transmit(i, (i + 2) % 4, 200, sent);
              sent += 2;
            }
            if (what < 4) net.set(what, { delay });
            else net.change(1, 0, { delay });
            net.run(gap);
          }
          expect(net.arrivals()).toHaveLength(sent);
          net.settled();
        },
      ),
      { numRuns: 30 },
    );
  });
});
