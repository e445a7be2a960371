import { describe, expect, it } from "vitest";
import { MS, SEC } from "../../src/base/time.ts";
import { scheduleOf, UdpSink } from "../../src/workload/udp-flow.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";

describe("a load", () => {
  it.each([
    [1000, 10 * SEC, 10_000, MS],
    [1, 500 * MS, 1, SEC],
    [3, SEC, 3, 333_333_333],
    [10_000_000, MS, 10_000, 100],
  ])("%i a second for %i ns are %i datagrams, one every %i ns", (rate, duration, count, interval) => {
    expect(scheduleOf({ rate, size: 0, duration })).toEqual({ count, interval });
  });
});

describe.skipIf(!kernelBuilt)("generator and sink (needs build/kernel.wasm)", () => {
  it("sends at its rate, and counts what comes", async () => {
    const { kernel, hosts } = await lan(2);
    const [a, b] = hosts;
    const sink = new UdpSink(b!.root, 9000);
    const socket = a!.root.socket.udp();
    const flow = socket.generate(ip("10.1.1.2"), 9000, 100, MS, 50);
    // The first one is sent now, so that after 20.5 ms there have been 21.
    pass(kernel, 20.5 * MS);
    expect(flow.counts()).toEqual({ sent: 21, failed: 0, left: 29 });
    pass(kernel, SEC);
    expect(flow.counts()).toEqual({ sent: 50, failed: 0, left: 0 });
    expect(sink.received()).toEqual({ packets: 50, bytes: 5000 });
    sink.close();
    socket.close();
    expect(() => flow.counts()).toThrow();
  });

  it("ends with its socket; a port that is taken, or a size that no packet has, is refused", async () => {
    const { kernel, hosts } = await lan(2);
    const [a, b] = hosts;
    const sink = new UdpSink(b!.root, 9000);
    expect(() => new UdpSink(b!.root, 9000)).toThrow("Address in use");
    const socket = a!.root.socket.udp();
    expect(() => socket.generate(ip("10.1.1.2"), 9000, 65_508, MS, 1)).toThrow("Message too long");
    socket.generate(ip("10.1.1.2"), 9000, 10, MS, 1000);
    pass(kernel, 9.5 * MS);
    socket.close();
    pass(kernel, SEC);
    expect(sink.received().packets).toBe(10);
  });

  it("tells what could not be sent", async () => {
    const { kernel, hosts } = await lan(1);
    const socket = hosts[0]!.root.socket.udp();
    const flow = socket.generate(ip("203.0.113.1"), 9, 10, MS, 5);
    pass(kernel, SEC);
    expect(flow.counts()).toEqual({ sent: 0, failed: 5, left: 0 });
  });
});
