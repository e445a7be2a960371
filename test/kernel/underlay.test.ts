import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { FOREVER, MS, SEC, US } from "../../src/base/time.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { emptyOutbox, foreignMemory } from "../../src/kernel/underlay.ts";
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
    kernels[to].underlay.importFrom(memory, kernels[from].underlay.outbox(to, emptyOutbox()), notBefore);
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
    const box = underlay.outbox(1, emptyOutbox());
    expect(box.count).toBe(1); // the ARP request
    expect(box.earliest).toBeLessThan(11 * US);
    expect(underlay.outbox(0, emptyOutbox())).toMatchObject({ count: 0, earliest: FOREVER });
    expect(() => kernels[1].underlay.importFrom(foreignMemory(kernels[0].mem.memory), box, 50 * US)).toThrow(
      /lookahead/,
    );
  });

  it("ends the window when something can come back of what was sent in it", async () => {
    const { kernels, hosts } = await workers();
    const [kernel] = kernels;
    kernel.underlay.setReturn(1, 30 * US);
    const client = hosts[0]!.root.socket.udp();
    client.sendTo(new Uint8Array(1), ip("10.1.1.2"), 9);
    const end = kernel.underlay.windowEnd();
    expect(end).toBeGreaterThan(80 * US); // 50 there, 30 back, and what the ARP request takes to be sent
    expect(end).toBeLessThan(81 * US);
    expect(kernel.run(MS)).toBe("done");
    expect(kernel.now).toBe(end - 1);
    kernel.underlay.flip();
    expect(kernel.underlay.windowEnd()).toBe(FOREVER);
    kernel.underlay.setReturn(1, FOREVER);
    expect(kernel.run(2 * SEC)).toBe("done");
    expect(kernel.now).toBe(2 * SEC); // two more requests have left by then
    kernel.underlay.flip();
    expect(kernel.underlay.outbox(1, emptyOutbox()).count).toBe(2);
  });

  it("carries many frames and large ones, of every length, in order and whole", async () => {
    const { kernels, hosts } = await workers();
    const server = hosts[1]!.root.socket.udp();
    server.bind(0, 9);
    for (const [i, host] of hosts.entries())
      host.root.neigh.add("eth0", ip(`10.1.1.${2 - i}`), 0x525400000002 - i, { state: "PERMANENT" });
    const client = hosts[0]!.root.socket.udp();
    const datagrams = Array.from({ length: 900 }, (_, i) => new Uint8Array(1 + ((i * 37) % 1400)).fill(i));
    const got: Uint8Array[] = [];
    for (let end = 50 * US, next = 0; end <= 2 * MS; end += 50 * US) {
      for (let i = 0; i < 60 && next < datagrams.length; i++) client.sendTo(datagrams[next++]!, ip("10.1.1.2"), 9);
      for (const kernel of kernels) while (kernel.run(end - 1) !== "done");
      exchange(kernels, end);
      for (let one = server.tryRecv(); one !== undefined; one = server.tryRecv()) got.push(one.data);
    }
    expect(got.length).toBe(900);
    expect(got).toEqual(datagrams);
  });
});
