/** The wires: serialisation, delay, queues, loss, partitions, filters, and frames that cross to another worker. */
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip } from "../inet/net.ts";
import { udp } from "../netfilter/harness.ts";
import { loadKernel, type RawKernel } from "../support/wasm.ts";
import { BROADCAST, eth } from "./frames.ts";
import { type Arrival, G, Wire } from "./wire.ts";

describe("serialisation (kernel facts 10)", () => {
  it.each([
    [40, 1, 672, 672],
    [40, 10, 67.2, 68],
    [40, 25, 26.88, 27],
    [40, 100, 6.72, 7],
    [1450, 1, 11904, 11904],
    [1450, 10, 1190.4, 1191],
    [1450, 25, 476.16, 477],
    [1450, 100, 119.04, 120],
    [1500, 1, 12304, 12304],
    [1500, 10, 1230.4, 1231],
    [1500, 25, 492.16, 493],
    [1500, 100, 123.04, 124],
  ])("%i bytes at %i Gbit/s take %f ns, and nothing is lost to rounding", (length, gigabits, exact, one) => {
    const net = new Wire();
    net.attach({ rate: gigabits * G });
    net.attach({ rate: gigabits * G });
    net.transmit(0, 1, length);
    expect(net.arrivals().map((arrival) => arrival.time)).toEqual([50_000 + one]);
    const start = net.now;
    const count = 500;
    for (let i = 0; i < count; i++) net.transmit(0, 1, length);
    const times = net.arrivals().map((arrival) => arrival.time - start - 50_000);
    expect(times).toEqual(Array.from({ length: count }, (_, i) => Math.ceil((i + 1) * exact - 1e-6)));
  });

  it("the larger of two delays counts, and 51.23 µs is 1500 bytes at 10 Gbit/s over 50 µs", () => {
    const net = new Wire();
    net.attach({ delay: 50_000 });
    net.attach({ delay: 20_000 });
    net.attach({ delay: 300_000 });
    net.transmit(0, 1, 1500);
    net.transmit(1, 2, 40);
    net.transmit(2, 0, 40);
    expect(net.arrivals().map((arrival) => [arrival.point, arrival.time])).toEqual([
      [1, 51_231],
      [2, 300_068], // a tie: host 1 before host 2
      [0, 300_068],
    ]);
  });
});

describe("queues", () => {
  it("a receiver's port adds time only under contention", () => {
    const net = new Wire();
    for (let i = 0; i < 3; i++) net.attach({ rate: G });
    net.transmit(0, 2, 1500, 1);
    net.transmit(1, 2, 1500, 2);
    // Both last bits would be there at once: the second waits for one more serialisation.
    expect(net.arrivals().map((arrival) => [arrival.bytes[20], arrival.time])).toEqual([
      [1, 62_304],
      [2, 74_608],
    ]);
    const start = net.now;
    net.transmit(0, 2, 1500, 1);
    net.run(6_152); // half a frame later
    net.transmit(1, 2, 1500, 2);
    expect(net.arrivals().map((arrival) => arrival.time - start)).toEqual([62_304, 74_608]);
  });

  it("a slower receiver spreads what a faster sender sends", () => {
    const net = new Wire();
    net.attach({ rate: 10 * G });
    net.attach({ rate: G });
    for (let i = 0; i < 5; i++) net.transmit(0, 1, 1500, i);
    const arrivals = net.arrivals();
    expect(arrivals.map((arrival) => arrival.bytes[20])).toEqual([0, 1, 2, 3, 4]);
    const gaps = arrivals.slice(1).map((arrival, i) => arrival.time - (arrivals[i] as Arrival).time);
    expect(gaps).toEqual([12_304, 12_304, 12_304, 12_304]);
    // Cut through: the first is not held for a second serialisation.
    expect(arrivals[0]?.time).toBe(50_000 + 1_231);
  });

  it("drops at the tail when the limit is reached, at the sender and at the receiver", () => {
    const net = new Wire();
    for (let i = 0; i < 3; i++) net.attach({ rate: G });
    net.set(0, { rate: G, queue: 10 * 1538 });
    for (let i = 0; i < 20; i++) net.transmit(0, 2, 1500, i);
    // Ten frames' worth of bits may stand in the port, the one on the wire included.
    expect(net.arrivals().map((arrival) => arrival.bytes[20])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(net.drops(net.hosts[0] as number, abi.DROP_FULL_RING)).toBe(10);
    expect(net.info(net.nics[0] as number).tx).toMatchObject({ packets: 10, dropped: 10 });
    net.set(0, { rate: G });
    net.set(2, { rate: G, queue: 3 * 1538 });
    for (let i = 0; i < 10; i++) {
      net.transmit(0, 2, 1500, i);
      net.transmit(1, 2, 1500, 100 + i);
    }
    const got = net.arrivals();
    const dropped = net.drops(net.hosts[2] as number, abi.DROP_FULL_RING);
    expect(dropped).toBeGreaterThan(3);
    expect(got.length + dropped).toBe(20);
    for (const host of net.hosts) expect(net.imbalance(host)).toBe(0n);
  });
});

describe("faults", () => {
  it("loses the given share of 100,000 frames", () => {
    const net = new Wire();
    net.attach();
    net.attach();
    net.set(1, { loss: 0.03 });
    net.x["linkSetCapture"](net.nics[0], 0, 0);
    net.x["linkSetCapture"](net.nics[1], 0, 0);
    for (let i = 0; i < 100_000; i++) {
      net.transmit(0, 1, 46);
      if (i % 500 === 0) net.run(1e6);
    }
    net.run(1e9);
    const lost = net.drops(net.hosts[0] as number, abi.DROP_WIRE_LOSS);
    // 3000 expected, standard deviation 54.
    expect(lost).toBeGreaterThan(3000 - 5 * 54);
    expect(lost).toBeLessThan(3000 + 5 * 54);
    expect(net.info(net.nics[1] as number).rx.packets).toBe(100_000 - lost);
  });

  it("partitions groups, cuts links, in both directions", () => {
    const net = new Wire();
    for (let i = 0; i < 4; i++) net.attach();
    net.set(2, { group: 1 });
    net.set(3, { group: 1 });
    net.transmit(0, "all", 46, 1);
    net.transmit(2, 3, 46, 2);
    net.transmit(2, 0, 46, 3);
    const delivered = net.arrivals().map((arrival) => `${arrival.point}:${arrival.bytes[20]}`);
    expect(delivered.sort()).toEqual(["1:1", "3:2"]);
    expect(net.drops(net.hosts[0] as number, abi.DROP_WIRE_PARTITION)).toBe(2);
    expect(net.drops(net.hosts[2] as number, abi.DROP_WIRE_PARTITION)).toBe(1);
    for (let i = 0; i < 4; i++) net.set(i, { down: i === 1 });
    expect(net.info(net.nics[1] as number).carrier).toBe(0);
    net.transmit(0, 1, 46);
    net.transmit(1, 0, 46);
    net.transmit(0, 2, 46);
    expect(net.arrivals().map((arrival) => arrival.point)).toEqual([2]);
    expect(net.drops(net.hosts[1] as number, abi.DROP_WIRE_DOWN)).toBe(2);
    for (const host of net.hosts) expect(net.imbalance(host)).toBe(0n);
  });

  it("filters by ethertype, protocol, port and address", () => {
    const net = new Wire();
    net.attach();
    net.attach();
    const frame = (protocolPort: number, src = "192.168.77.11", later = false): Uint8Array => {
      const packet = udp(ip(src), 5000, ip("192.168.77.12"), protocolPort);
      if (later) packet[7] = 9;
      return eth(net.address(1), "029900000000", 0x0800, packet);
    };
    const passes = (bytes: Uint8Array): boolean => {
      net.inject(net.taps[0] as number, bytes);
      return net.arrivals().length === 1;
    };
    const filter = (port: number, ...args: number[]): void => net.x["portFilterAdd"](net.ports[port], ...args);
    filter(1, 0, 17, 4789, 0);
    expect([passes(frame(4789)), passes(frame(4790)), passes(frame(4789, undefined, true))]).toEqual([
      false,
      true,
      true,
    ]);
    net.x["portFilterClear"](net.ports[1]);
    filter(0, 0, 0, 5000, 0); // a source port counts too
    expect(passes(frame(1))).toBe(false);
    net.x["portFilterClear"](net.ports[0]);
    filter(0, 0, 6, 0, 0);
    expect(passes(frame(1))).toBe(true);
    filter(0, 0, 0, 0, ip("10.9.9.9"));
    expect([passes(frame(1)), passes(frame(1, "10.9.9.9"))]).toEqual([true, false]);
    filter(0, 0x88b5, 0, 0, 0);
    net.transmit(0, 1, 46);
    expect(net.arrivals()).toEqual([]);
    expect(passes(frame(1))).toBe(true);
    expect(net.drops(net.hosts[0] as number, abi.DROP_WIRE_FILTER)).toBe(4);
  });

  it("drops where nobody else is, to its own address, and for hosts that aren't there", () => {
    const net = new Wire();
    net.attach();
    net.attach({ segment: 1 });
    net.transmit(0, 1, 46); // on another segment
    net.transmit(0, 0, 46);
    expect(net.arrivals()).toEqual([]);
    expect(net.drops(net.hosts[0] as number, abi.DROP_WIRE_NO_PORT)).toBe(1);
    // A port whose host doesn't exist yet, and one whose NIC is gone.
    net.x["portNew"](0, 7, 0, 0x5254, 0x770007, 50_000, 1e10);
    net.attach();
    net.x["linkDel"](net.nics[2]);
    const before = net.k.get(0, 1024);
    net.transmit(0, "all", 46);
    net.run(1e9);
    expect(net.k.get(0, 1024)).toEqual(before);
    for (const host of net.hosts) expect(net.imbalance(host)).toBe(0n);
    expect(net.live(net.hosts[0] as number)).toBe(0);
  });

  it("floods what goes to an address that no port was made with, as a switch does", () => {
    const net = new Wire();
    for (let i = 0; i < 3; i++) net.attach();
    net.inject(net.taps[0] as number, eth("02420a000003", "029900000000", 0x88b5, new Uint8Array(46)));
    expect(net.arrivals().map((arrival) => arrival.point)).toEqual([1, 2]);
    for (const host of net.hosts) expect(net.imbalance(host)).toBe(0n);
  });

  it("reaches everybody with a broadcast but its sender", () => {
    const net = new Wire();
    for (let i = 0; i < 5; i++) net.attach();
    net.transmit(3, "all", 46);
    expect(net.arrivals().map((arrival) => arrival.point)).toEqual([0, 1, 2, 4]);
  });

  it("keeps broadcasts on their segment, in order of ports", () => {
    const net = new Wire();
    for (let i = 0; i < 8; i++) net.attach({ segment: i % 3 });
    net.transmit(4, "all", 46);
    expect(net.arrivals().map((arrival) => arrival.point)).toEqual([1, 7]);
    net.transmit(3, "all", 46);
    expect(net.arrivals().map((arrival) => arrival.point)).toEqual([0, 6]);
    for (const host of net.hosts) expect(net.imbalance(host)).toBe(0n);
  });
});

// ------------------------------------------------------------------------------------------------ two workers

/** Hosts 0 … 3, each in the worker that `place` says; every worker knows all ports. */
class Cluster {
  readonly workers: {
    kernel: RawKernel;
    taps: Map<number, number>;
    nics: Map<number, number>;
    hosts: Map<number, number>;
  }[];
  readonly log: string[] = [];
  readonly place: readonly number[];

  constructor(place: readonly number[]) {
    this.place = place;
    const count = Math.max(...place) + 1;
    this.workers = Array.from({ length: count }, (_, worker) => {
      const kernel = loadKernel(worker);
      const ports = place.map(
        (where, index) => kernel.x["portNew"](0, index, where, 0x5254, index + 1, 50_000, 1e9) as number,
      );
      const [taps, nics, hosts] = [new Map<number, number>(), new Map<number, number>(), new Map<number, number>()];
      for (const [index, where] of place.entries()) {
        if (where !== worker) continue;
        const host = kernel.x["hostNew"](index, index + 1, 2, 3, 4) as number;
        const ns = kernel.x["hostRoot"](host) as number;
        const nic = kernel.x["linkNewNic"](ns, ports[index]) as number;
        const bridge = kernel.x["linkNewBridge"](ns, -1) as number;
        const tap = kernel.x["linkNewVeth"](ns, ns) as number;
        kernel.x["linkSetMac"](tap, 0x0266, index);
        for (const dev of [nic, bridge, tap]) kernel.x["linkSetUp"](dev, 1);
        kernel.x["linkSetMaster"](tap, bridge);
        kernel.x["linkSetMaster"](nic, bridge);
        kernel.x["linkSetCapture"](nic, index + 1, 64);
        taps.set(index, tap);
        nics.set(index, nic);
        hosts.set(index, host);
      }
      return { kernel, taps, nics, hosts };
    });
  }

  send(from: number, to: number, length: number, tag: number): void {
    const worker = this.workers[this.place[from] as number];
    if (worker === undefined) return;
    const { kernel, taps } = worker;
    const dst = to < 0 ? BROADCAST : `5254${(to + 1).toString(16).padStart(8, "0")}`;
    const bytes = eth(dst, `0299000000${from.toString(16).padStart(2, "0")}`, 0x88b5, new Uint8Array(length).fill(tag));
    kernel.put(kernel.x["scratch"](), bytes);
    kernel.x["linkInject"](taps.get(from), bytes.length);
  }

  /** Runs all workers to `until` in windows of the smallest delay, with an exchange after each. */
  run(from: number, until: number): void {
    for (let end = from; end < until; ) {
      end = Math.min(end + 50_000, until);
      for (const { kernel } of this.workers) {
        while (kernel.x["run"](end, 1000) !== abi.RUN_DONE);
        this.#drain(kernel);
      }
      this.#exchange();
    }
  }

  #exchange(): void {
    for (const { kernel } of this.workers) kernel.x["outboxFlip"]();
    for (const [to, target] of this.workers.entries()) {
      for (const source of this.workers) {
        const count = source.kernel.x["outboxCount"](to) as number;
        const records = source.kernel.x["outboxRecords"](to) as number;
        for (let i = 0; i < count; i++) {
          const at = records + i * abi.OUT_RECORD;
          const u = (offset: number) => source.kernel.view().getUint32(at + offset, true);
          const length = u(abi.OUT_LEN);
          const data = source.kernel.get(u(abi.OUT_DATA), length);
          const into = target.kernel.x["wireImport"](
            u(abi.OUT_PORT),
            u(4),
            u(0),
            u(12),
            u(8),
            length,
            u(abi.OUT_FLAGS),
          ) as number;
          target.kernel.put(into >>> 0, data);
        }
      }
    }
  }

  #drain(kernel: RawKernel): void {
    const view = kernel.view();
    let at = kernel.x["captureBuffer"]() as number;
    const end = at + (kernel.x["captureUsed"]() as number);
    while (at < end) {
      const u = (offset: number) => view.getUint32(at + offset, true);
      const tag = view.getUint8(at + abi.CAP_HEADER + 20);
      // The record's own number is the host's: it orders what happens at one instant.
      this.log.push(
        `${u(abi.CAP_HOST)} #${u(abi.CAP_SEQ)} ${view.getBigUint64(at, true)} ${u(abi.CAP_DIR)} ${tag} ${u(abi.CAP_LEN)}`,
      );
      at += (abi.CAP_HEADER + u(abi.CAP_CAPLEN) + 7) & ~7;
    }
    kernel.x["captureClear"]();
  }
}

function traffic(place: readonly number[]): string[] {
  const cluster = new Cluster(place);
  let state = 12345;
  const random = (n: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % n;
  };
  let now = 0;
  for (let round = 0; round < 120; round++) {
    for (let i = random(8); i >= 0; i--) {
      const from = random(4);
      const to = random(6) === 0 ? -1 : (from + 1 + random(3)) % 4;
      // Equal lengths sent at one instant by several hosts arrive at one instant: ties.
      cluster.send(from, to, random(3) === 0 ? 46 : 1000, round & 255);
    }
    const next = now + [10_000, 50_000, 120_000][random(3)]!;
    cluster.run(now, next);
    now = next;
  }
  cluster.run(now, now + 10_000_000);
  for (const worker of cluster.workers) {
    worker.kernel.x["outboxFlip"]();
    for (const host of worker.hosts.values()) {
      const at = worker.kernel.x["hostPackets"](host) as number;
      const [made, done, dropped, sent, arrived, live] = Array.from({ length: 6 }, (_, i) =>
        Number(worker.kernel.view().getBigUint64(at + 8 * i, true)),
      ) as [number, number, number, number, number, number];
      expect(made + arrived).toBe(done + dropped + sent + live);
      expect(live).toBe(0);
    }
  }
  return cluster.log.sort();
}

describe("frames between workers", () => {
  it("arrive at the same time and in the same order as within one", () => {
    const one = traffic([0, 0, 0, 0]);
    expect(one.length).toBeGreaterThan(800);
    expect(traffic([0, 1, 0, 1])).toEqual(one);
    expect(traffic([0, 1, 2, 3])).toEqual(one);
  });
});
