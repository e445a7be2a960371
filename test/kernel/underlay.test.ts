import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { FOREVER, MS, US } from "../../src/base/time.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { foreignMemory } from "../../src/kernel/underlay.ts";
import { cidr, ip, kernelBuilt, kernelModule, pass } from "../support/kernel.ts";

/** Two kernels as two workers have them: both ports in both, each with its own host. */
async function workers(latency = 50 * US) {
  const module = await kernelModule();
  const kernels = [0, 1].map((worker) => Kernel.create(module, worker));
  const hosts = kernels.map((kernel, worker) => {
    const settings = { down: false, latency, bandwidth: 0, loss: 0, queueBytes: 1_000_000, group: 0 };
    for (const i of [0, 1]) kernel.underlay.addPort(1, i, i, 0x525400000001 + i, settings);
    const host = kernel.addHost(`h${worker}`, worker, new Random(`x/h${worker}`));
    host.addNic(worker, "eth0", 1500);
    host.root.link.set("eth0", { up: true });
    host.root.addr.add("eth0", cidr(`10.1.1.${worker + 1}/24`));
    return host;
  });
  return { kernels: kernels as [Kernel, Kernel], hosts };
}

/** What two workers do between two windows. */
function exchange(kernels: readonly [Kernel, Kernel], notBefore: number): void {
  for (const kernel of kernels) kernel.underlay.flip();
  for (const [from, to] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const memory = foreignMemory(kernels[from].mem.memory);
    kernels[to].underlay.importFrom(memory, kernels[from].underlay.outbox(to), notBefore);
  }
}

describe.skipIf(!kernelBuilt)("underlay between workers (needs build/kernel.wasm)", () => {
  it("carries frames through memory, on time, and loses count of none", async () => {
    const { kernels, hosts } = await workers();
    const server = hosts[1]!.root.socket.udp();
    server.bind(0, 9);
    const client = hosts[0]!.root.socket.udp();
    client.sendTo(
      Uint8Array.from({ length: 4000 }, (_, i) => i),
      ip("10.1.1.2"),
      9,
    );
    for (let end = 50 * US; end <= MS; end += 50 * US) {
      for (const kernel of kernels) while (kernel.run(end - 1) !== "done");
      exchange(kernels, end);
    }
    const got = server.tryRecv();
    expect(got?.data).toEqual(Uint8Array.from({ length: 4000 }, (_, i) => i));
    expect(got?.time).toBeGreaterThanOrEqual(150 * US);
    expect(got?.time).toBeLessThan(151 * US);
    exchange(kernels, MS);
    for (const host of hosts) {
      const { made, arrived, delivered, dropped, sent, live } = host.packets();
      expect(live).toBe(0);
      expect(made + arrived).toBe(delivered + dropped + sent);
    }
  });

  it("asserts that nothing arrives within the window in which it was sent", async () => {
    const { kernels, hosts } = await workers(10 * US);
    hosts[0]!.root.socket.udp().sendTo(new Uint8Array(1), ip("10.1.1.2"), 9);
    for (const kernel of kernels) pass(kernel, 50 * US);
    const { underlay } = kernels[0];
    underlay.flip();
    const box = underlay.outbox(1);
    expect(box.count).toBe(1); // the ARP request
    expect(underlay.earliestArrival(box)).toBeLessThan(11 * US);
    expect(underlay.earliestArrival(underlay.outbox(0))).toBe(FOREVER);
    expect(() => kernels[1].underlay.importFrom(foreignMemory(kernels[0].mem.memory), box, 50 * US)).toThrow(
      /lookahead/,
    );
  });
});
