import { describe, expect, it } from "vitest";
import { MS, SEC, type Time, US } from "../../../src/base/time.ts";
import type { PortSettings } from "../../../src/kernel/underlay.ts";
import { Histogram } from "../../../src/workload/histogram.ts";
import { REQUEST_PORT } from "../../../src/workload/mesh/plan-index.ts";
import type { MeshReport, MeshService } from "../../../src/workload/mesh/types.ts";
import { cidr, ip, kernelBuilt } from "../../support/kernel.ts";
import { type FlowSpec, Playground, planOf } from "../../support/playground.ts";

const PORT: PortSettings = {
  down: false,
  latency: 50 * US,
  bandwidth: 1e10,
  loss: 0,
  queueBytes: 1_538_000,
  group: 0,
};

/** A frame with `segment` bytes of TCP payload, 12 bytes of options: IP, TCP, Ethernet, the wire's 24. */
const wireBytes = (segment: number, options = 12): number => Math.max(60, segment + options + 20 + 20 + 14) + 24;
const frameTime = (bytes: number): Time => 50 * US + Math.ceil((bytes * 8) / 10);

function delaysOf(reports: readonly (MeshReport | undefined)[], kind: string): Histogram {
  const out = new Histogram();
  for (const report of reports)
    for (const group of report?.delays ?? []) if (group.kind === kind) out.merge(group.delays);
  return out;
}

const sum = (reports: readonly MeshReport[], field: "sent" | "received" | "bytes" | "failed"): number =>
  reports.flatMap(({ flows }) => flows).reduce((total, flow) => total + flow[field], 0);

async function warmGround(hosts: number, port: Partial<PortSettings> = {}): Promise<Playground> {
  const ground = await Playground.create(hosts);
  ground.warm();
  for (let i = 0; i < hosts; i++) ground.kernel.underlay.setPort(i, { ...PORT, ...port });
  return ground;
}

describe.skipIf(!kernelBuilt)("requests and responses (need build/kernel.wasm)", () => {
  it("take two round trips on an idle path, to the ns", async () => {
    const ground = await warmGround(2);
    const plan = planOf(2, [{ kind: "rr", from: 0, to: { container: 1 } }], { rate: 50, size: 1000 });
    const reports = ground.run(plan);
    const [client, server] = reports;
    const { sent, received, bytes, failed } = client!.flows[0]!;
    expect(sent).toBeGreaterThan(30);
    expect([received, bytes, failed]).toEqual([sent, 1000 * sent, 0]);
    expect(server?.flows).toEqual([]);
    expect(client?.failures).toBeUndefined();
    const delays = delaysOf(reports, "rr");
    // SYN and SYN-ACK with 20 bytes of options; the handshake's ACK leaves in front of the request, and the request's, which
    // a fresh connection sends at once, in front of the response.
    const handshake = 2 * frameTime(wireBytes(0, 20));
    const exchange = frameTime(wireBytes(0) + wireBytes(32)) + frameTime(wireBytes(0) + wireBytes(1000));
    expect(delays.count).toBe(sent);
    expect(Math.abs(delays.min - handshake - exchange)).toBeLessThanOrEqual(4);
    expect(delays.max - delays.min).toBeLessThanOrEqual(2);
  });

  it("leave no connection open behind them but TIME_WAIT at the client", async () => {
    const ground = await warmGround(2);
    ground.run(planOf(2, [{ kind: "rr", from: 0, to: { container: 1 } }], { rate: 20, size: 100_000 }));
    const states = ground.hosts.map(({ root }) => [...new Set(root.socket.list().map(({ state }) => state))]);
    // One socket is the flow's own.
    expect(states).toEqual([["UNCONN", "TIME-WAIT"], ["LISTEN"]]);
  });

  it("leave nothing behind when a host loses power in the middle of them", async () => {
    const ground = await warmGround(2, { latency: 20 * MS });
    const cycle = (): number => {
      for (const host of ground.hosts) {
        const meter = host.meter();
        meter.serve(host.root, 80, 1, 50_000);
        const ports = { first: 1000, step: 1, count: 5000 };
        const flow = { group: 8, ports, to: ip("127.0.0.1"), toPort: 80, startIn: 0, endIn: SEC, interval: MS };
        meter.request(host.root, { ...flow, flow: 1, response: 50_000, seed: [1, 2] });
      }
      ground.play(500 * MS);
      const done = ground.hosts.map((host) => host.packets().made);
      expect(Math.min(...done)).toBeGreaterThan(1000);
      for (const host of ground.hosts) {
        host.powerOff();
        host.powerOn();
        host.root.link.set("lo", { up: true });
      }
      ground.play(SEC);
      return ground.kernel.exports.blocksHeld();
    };
    cycle(); // tables that stay are made
    const blocks = cycle();
    expect(cycle()).toBe(blocks);
  });

  it("do not wait for each other: an open loop", async () => {
    const ground = await warmGround(2, { latency: 20 * MS });
    const reports = ground.run(planOf(2, [{ kind: "rr", from: 0, to: { container: 1 } }], { rate: 1000, size: 100 }));
    const { sent, received } = reports[0]!.flows[0]!;
    expect(Math.abs(sent - 1000)).toBeLessThan(4 * Math.sqrt(1000));
    expect(received).toBe(sent);
    expect(delaysOf(reports, "rr").min).toBeGreaterThan(80 * MS);
  });

  it("through a VIP reach the tasks in turn, and are counted there", async () => {
    const ground = await warmGround(4);
    const vip = ip("10.9.9.9");
    const root = ground.hosts[0]!.root;
    root.addr.add("lo", cidr("10.9.9.9/32"));
    const id = { protocol: "tcp" as const, address: vip, port: REQUEST_PORT };
    root.ipvs.addService({ id, scheduler: "rr" });
    for (const task of [1, 2, 3]) {
      ground.hosts[task]!.root.route.add({ dst: cidr("10.9.9.9/32"), via: ip("10.1.1.1") });
      root.ipvs.addDestination(id, {
        address: ip("10.1.1.1") + task,
        port: REQUEST_PORT,
        forwarding: "masq",
        weight: 1,
      });
    }
    const service: MeshService = {
      name: "web",
      network: 0,
      vip,
      fwmark: 0,
      scheduler: "rr",
      containers: Uint32Array.of(1, 2, 3),
    };
    const reports = ground.run(planOf(4, [{ kind: "rr", from: 0, to: { service: 0 } }], { rate: 300 }, [service]));
    const { sent, received } = reports[0]!.flows[0]!;
    expect(received).toBe(sent);
    const backends = reports.flatMap((report) => report.backends);
    expect(backends.map(({ service: s, container }) => [s, container])).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
    ]);
    const counts = backends.map(({ count }) => count);
    expect(counts.reduce((a, b) => a + b)).toBe(sent);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(reports[0]?.delays).toMatchObject([{ kind: "rr", viaVip: true, encrypted: false }]);
  });

  it("that fail are counted by cause", async () => {
    const ground = await warmGround(2);
    const plan = planOf(2, [{ kind: "rr", from: 0, to: { container: 1 } }], { rate: 100 });
    // Nobody listens: the containers' namespaces are all the first host's.
    const { HostTraffic } = await import("../../../src/workload/mesh/traffic.ts");
    const traffic = new HostTraffic(ground.oses[0]!, plan, 0, () => ground.hosts[0]!.root);
    traffic.start(0);
    ground.play(2 * SEC);
    const { flows, failures } = traffic.report();
    expect(flows[0]!.sent).toBeGreaterThan(60);
    expect(flows[0]).toMatchObject({ failed: flows[0]!.sent, received: 0 });
    expect(failures).toEqual([{ kind: "rr", cause: "ECONNREFUSED", count: flows[0]!.sent }]);
  });

  it("survive a lossy wire", async () => {
    const ground = await warmGround(2, { loss: 0.02 });
    const plan = planOf(2, [{ kind: "rr", from: 0, to: { container: 1 } }], { rate: 200, size: 20_000 });
    const reports = ground.run(plan, 30 * SEC);
    expect(reports[0]!.flows[0]!.received).toBe(reports[0]!.flows[0]!.sent);
    // Some had to wait for a retransmission timer.
    expect(delaysOf(reports, "rr").max).toBeGreaterThan(200 * MS);
    expect(delaysOf(reports, "rr").percentile(50)).toBeLessThan(5 * MS);
  });
});

describe.skipIf(!kernelBuilt)("bulk transfer (needs build/kernel.wasm)", () => {
  it("fills the wire: its rate less the headers", async () => {
    const ground = await warmGround(2, { bandwidth: 1e9 });
    const plan = planOf(2, [{ kind: "bulk", from: 0, to: { container: 1 } }], { duration: 500 * MS });
    const reports = ground.run(plan);
    const received = sum(reports, "received");
    const line = (1e9 / 8) * 0.5 * (1448 / wireBytes(1448));
    expect(received).toBeGreaterThan(0.97 * line);
    expect(received).toBeLessThanOrEqual(line);
    expect(sum(reports, "bytes")).toBe(received);
    const sent = reports[0]!.flows[0]!.sent;
    expect(sent).toBeGreaterThanOrEqual(received);
    expect(sent - received).toBeLessThan(8 * 2 ** 20);
    expect(sum(reports, "failed")).toBe(0);
  });

  it("fills a long wire too: the sink's window grows as a reader's", async () => {
    const ground = await warmGround(2, { bandwidth: 1e9, latency: 5 * MS });
    const reports = ground.run(planOf(2, [{ kind: "bulk", from: 0, to: { container: 1 } }], { duration: SEC }));
    // 64 KiB a round trip would be 5 % of it.
    expect(sum(reports, "received")).toBeGreaterThan((0.6 * 1e9) / 8);
  });

  it("two flows share it, and what both have is the line", async () => {
    const ground = await warmGround(3, { bandwidth: 1e9 });
    const to = { container: 2 };
    const flows: FlowSpec[] = [0, 1].map((from) => ({ kind: "bulk", from, to }));
    const reports = ground.run(planOf(3, flows, { duration: 500 * MS }));
    const line = (1e9 / 8) * 0.5 * (1448 / wireBytes(1448));
    expect(sum(reports, "received")).toBeGreaterThan(0.9 * line);
    expect(sum(reports, "received")).toBeLessThanOrEqual(line);
    expect(Math.min(...reports[2]!.flows.map(({ received }) => received))).toBeGreaterThan(0.1 * line);
  });

  it("wakes nobody while it flows: events are the kernel's", async () => {
    const ground = await warmGround(2, { bandwidth: 1e9 });
    const { kernel } = ground;
    let wakes = 0;
    const deliver = kernel.deliverWakes.bind(kernel);
    kernel.deliverWakes = () => {
      const any = deliver();
      if (any) wakes++;
      return any;
    };
    const plan = planOf(2, [{ kind: "bulk", from: 0, to: { container: 1 } }], { duration: 200 * MS });
    const segments = sum(ground.run(plan), "received") / 1448;
    expect(segments).toBeGreaterThan(15_000);
    // The writer refills a third of its buffer at a time.
    expect(wakes).toBeLessThan(segments / 50);
  });
});

describe.skipIf(!kernelBuilt)("incast (needs build/kernel.wasm)", () => {
  const senders = (count: number): FlowSpec[] =>
    Array.from({ length: count }, (_, i) => ({ kind: "incast", from: i + 1, to: { container: 0 } }));

  it("asks all for a block at once, and again when all have come", async () => {
    const ground = await warmGround(5);
    const reports = ground.run(planOf(5, senders(4), { size: 20_000, duration: 100 * MS }));
    const rounds = delaysOf(reports, "incast");
    expect(rounds.count).toBeGreaterThan(200);
    for (const { sent, received, bytes } of reports[0]!.flows) {
      expect([sent, received, bytes]).toEqual([0, rounds.count, rounds.count * 20_000]);
    }
    for (const report of reports.slice(1)) expect(report.flows).toMatchObject([{ sent: rounds.count, failed: 0 }]);
    // Once windows are open: a round trip, and 4 blocks through the receiver's 10 Gbit/s.
    const least = 2 * 50 * US + (4 * 20_000 * 8) / 10;
    expect(rounds.min).toBeGreaterThan(least);
    expect(rounds.percentile(50)).toBeLessThan(1.2 * least);
    expect(reports[0]?.failures).toBeUndefined();
    // All connections were closed.
    const states = ground.hosts.flatMap(({ root }) => root.socket.list().map(({ state }) => state));
    expect(new Set(states)).toEqual(new Set(["LISTEN", "TIME-WAIT"]));
  });

  it("collapses where the queue is short, and recovers by retransmission", async () => {
    const run = async (queueBytes: number): Promise<{ drops: number; rounds: Histogram; reports: MeshReport[] }> => {
      const ground = await warmGround(17, { bandwidth: 1e9, queueBytes });
      const reports = ground.run(planOf(17, senders(16), { size: 32_000, duration: SEC }), 5 * SEC);
      return { drops: ground.hosts[0]!.drops()["FULL_RING"] ?? 0, rounds: delaysOf(reports, "incast"), reports };
    };
    const deep = await run(1_538_000);
    const short = await run(32_000);
    expect(deep.drops).toBe(0);
    expect(short.drops).toBeGreaterThan(100);
    expect(deep.rounds.max).toBeLessThan(20 * MS);
    // A lost tail waits for the timer: 200 ms at least.
    expect(short.rounds.max).toBeGreaterThan(200 * MS);
    expect(short.rounds.count).toBeGreaterThan(0);
    expect(short.rounds.count).toBeLessThan(deep.rounds.count / 2);
    // Blocks came whole all the same.
    for (const { received } of short.reports[0]!.flows) expect(received).toBe(short.rounds.count);
  });
});
