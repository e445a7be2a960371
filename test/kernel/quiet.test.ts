/** The kernel's part of skipping quiet time (assembly/quiet.ts): what ends it, and what ages with it. */
import { beforeEach, describe, expect, it } from "vitest";
import { FOREVER, HOUR, MINUTE, MS, SEC, type Time } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { TcpSocket } from "../../src/kernel/socket-types.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";

describe.skipIf(!kernelBuilt)("quiet time (needs build/kernel.wasm)", () => {
  let kernel: Kernel;
  let a: Host;
  let b: Host;

  beforeEach(async () => {
    const made = await lan(2);
    kernel = made.kernel;
    [a, b] = made.hosts as [Host, Host];
  });

  function connection(): { client: TcpSocket; server: TcpSocket } {
    const listener = b.root.socket.tcp();
    listener.bind(0, 80);
    listener.listen(8);
    const client = a.root.socket.tcp();
    client.connect(ip("10.1.1.2"), 80);
    pass(kernel);
    const server = listener.tryAccept() as TcpSocket;
    return { client, server };
  }

  /** Sends bytes and says how many arrived within 100 ms. */
  function carried(from: TcpSocket, to: TcpSocket, bytes = 10): number {
    from.trySend(new Uint8Array(bytes));
    pass(kernel, 100 * MS);
    return to.tryRecv(1000)?.length ?? 0;
  }

  it("lasts for ever where nothing happens, and does not begin while a frame is under way", () => {
    expect(kernel.quietUntil()).toBe(FOREVER);
    a.root.socket.udp().sendTo(new Uint8Array(1), ip("10.1.1.2"), 9);
    expect(kernel.quietUntil()).toBeUndefined();
    // What is left is upkeep: neighbours and their table.
    pass(kernel, SEC);
    expect(kernel.quietUntil()).toBe(FOREVER);
  });

  it("ends with the first timer that is due, however many wait", () => {
    // Connects to nobody: their SYNs come again, each second or later. Many timers wait outside the heap.
    const firsts: Time[] = [];
    a.root.neigh.add("eth0", ip("10.1.1.99"), 0x525400000063, { state: "PERMANENT" });
    for (let i = 0; i < 120; i++) {
      const socket = a.root.socket.tcp();
      socket.connect(ip("10.1.1.99"), 80);
      firsts.push(kernel.now + SEC);
      pass(kernel, MS);
    }
    expect(kernel.quietUntil()).toBe(firsts[0]);
    pass(kernel, 3 * SEC);
    expect(kernel.quietUntil()).toBeGreaterThan(kernel.now);
  });

  it("ends with the keepalive of a connection that nobody is heard on, not of one in use", () => {
    const { client, server } = connection();
    client.setKeepalive(true, 30 * MINUTE);
    pass(kernel, 30 * SEC);
    expect(carried(server, client)).toBe(10);
    expect(kernel.quietUntil()).toBe(FOREVER);
    pass(kernel, 61 * SEC);
    const until = kernel.quietUntil() as Time;
    expect(until).toBeGreaterThan(kernel.now + 28 * MINUTE);
    expect(until).toBeLessThan(kernel.now + 30 * MINUTE);
  });

  it("sees the timer that is due behind many that are upkeep", () => {
    const { client } = connection();
    pass(kernel, 61 * SEC);
    for (let i = 0; i < 60; i++) a.root.socket.udp().sendTo(new Uint8Array(1), ip(`10.1.1.${100 + i}`), 9);
    client.setKeepalive(true, 30 * MINUTE);
    pass(kernel, MS);
    expect(kernel.quietUntil()).toBeGreaterThan(kernel.now + 28 * MINUTE);
    expect(kernel.quietUntil()).toBeLessThan(kernel.now + 30 * MINUTE + SEC);
  });

  it("leaves the peers' timestamps as old as they were: 25 days are no reason to refuse a segment", () => {
    const { client, server } = connection();
    expect(carried(client, server)).toBe(10);
    kernel.skip(25 * 24 * HOUR);
    expect(carried(client, server)).toBe(10);
    expect(carried(server, client)).toBe(10);
  });

  it("ages the connections that are tracked but not used, and only those", () => {
    b.root.iptables.append("filter", "INPUT", { match: { ctstate: { value: ["NEW"], not: false } } });
    const timeouts = () => b.root.conntrack.list().map((flow) => Math.round(flow.timeout / SEC));
    const { client, server } = connection();
    expect(carried(client, server)).toBe(10);
    // Used within the last minute: as a heartbeat would go on.
    kernel.skip(HOUR);
    expect(timeouts()).toEqual([432_000]);
    pass(kernel, 61 * SEC);
    kernel.skip(HOUR);
    expect(timeouts()).toEqual([432_000 - 61 - 3600]);
    expect(carried(client, server)).toBe(10);
    expect(timeouts()).toEqual([432_000]);
    // Past the sweep for which the handshake's short timeouts asked.
    pass(kernel, 200 * SEC);
    // Five days and more: gone, from the table too.
    kernel.skip(6 * 24 * HOUR);
    expect(timeouts()).toEqual([]);
    pass(kernel, 11 * SEC);
    expect(b.root.conntrack.count()).toBe(0);
  });

  it("leaves a tracked connection alone that is about to end anyway", () => {
    b.root.iptables.append("filter", "INPUT", { match: { ctstate: { value: ["NEW"], not: false } } });
    b.root.sysctlSet("net.netfilter.nf_conntrack_tcp_timeout_established", 500);
    const { client, server } = connection();
    expect(carried(client, server)).toBe(10);
    pass(kernel, 100 * SEC);
    const before = b.root.conntrack.list()[0]!.timeout;
    kernel.skip(HOUR);
    expect(b.root.conntrack.list()[0]!.timeout).toBe(before);
  });
});
