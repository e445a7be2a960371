import { describe, expect, it } from "vitest";
import { KernelError } from "../../src/base/errors.ts";
import { MS, SEC } from "../../src/base/time.ts";
import { acceptTcp, connectTcp, recvExactly, recvFrom, recvTcp, sendTcp } from "../../src/scheduler/io.ts";
import type { Proc } from "../../src/scheduler/process.ts";
import { type FakeHost, FakeNetwork, fakeIp } from "./fake-host.ts";

function setup(options = {}) {
  const network = new FakeNetwork(options);
  const [a, b] = [network.addHost("a", fakeIp(0)), network.addHost("b", fakeIp(1))];
  return { network, a, b };
}

function* echoServer(host: FakeHost, port: number): Proc {
  const listener = host.os.kernel.root.socket.tcp();
  listener.bind(0, port);
  listener.listen(16);
  for (;;) {
    const socket = yield* acceptTcp(listener);
    if (socket === undefined) return;
    host.os.spawn(
      "echo",
      (function* (): Proc {
        for (;;) {
          const data = yield* recvTcp(socket, 1000);
          if (data === undefined || data.length === 0) break;
          yield* sendTcp(socket, data);
        }
        socket.close();
      })(),
    );
  }
}

function* tryConnect(host: FakeHost, to: FakeHost, port: number, log: string[]): Proc {
  try {
    yield* connectTcp(host.os.kernel.root, to.ip, port);
    log.push("connected");
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    log.push(`${error.code} at ${host.os.now() / SEC}`);
  }
}

describe("fake host: UDP", () => {
  it("delivers after the latency, with addresses; nothing through a firewall", () => {
    const { network, a, b } = setup({ latency: 2 * MS });
    const got: unknown[] = [];
    b.os.spawn(
      "server",
      (function* (): Proc {
        const socket = b.os.kernel.root.socket.udp();
        socket.bind(0, 7946);
        for (;;) {
          const datagram = yield* recvFrom(socket);
          got.push([datagram?.src, datagram?.srcPort, [...(datagram?.data ?? [])], network.now]);
        }
      })(),
    );
    const client = a.os.kernel.root.socket.udp();
    client.bind(0, 5000);
    network.run(SEC);
    client.sendTo(Uint8Array.of(1, 2), b.ip, 7946);
    network.block(a, b, "udp", 7946);
    client.sendTo(Uint8Array.of(3), b.ip, 7946);
    network.unblock(b, a);
    client.sendTo(Uint8Array.of(4), b.ip, 7946);
    network.run(2 * SEC);
    expect(got).toEqual([
      [a.ip, 5000, [1, 2], SEC + 2 * MS],
      [a.ip, 5000, [4], SEC + 2 * MS],
    ]);
  });

  it("loses a seeded share", () => {
    const { network, a, b } = setup({ udpLoss: 0.2 });
    const server = b.os.kernel.root.socket.udp();
    server.bind(0, 1);
    const client = a.os.kernel.root.socket.udp();
    for (let i = 0; i < 1000; i++) client.sendTo(Uint8Array.of(i & 255), b.ip, 1);
    network.run(SEC);
    let count = 0;
    while (server.tryRecv() !== undefined) count++;
    expect(count).toBeGreaterThan(750);
    expect(count).toBeLessThan(850);
  });

  it("tells a connected socket of a closed port", () => {
    const { network, a, b } = setup();
    const client = a.os.kernel.root.socket.udp();
    client.connect(b.ip, 9);
    client.send(Uint8Array.of(1));
    network.run(SEC);
    expect(client.takeError()).toBe("ECONNREFUSED");
    expect(client.takeError()).toBeUndefined();
  });
});

describe("fake host: TCP", () => {
  it("echoes 600,000 bytes through 256 KiB buffers and ends cleanly", () => {
    const { network, a, b } = setup();
    b.os.spawn("server", echoServer(b, 80));
    const data = Uint8Array.from({ length: 600_000 }, (_, i) => (i * 7) & 255);
    let back: Uint8Array | undefined;
    let end: number | undefined;
    a.os.spawn(
      "client",
      (function* (): Proc {
        const socket = yield* connectTcp(a.os.kernel.root, b.ip, 80);
        a.os.spawn(
          "writer",
          (function* (): Proc {
            yield* sendTcp(socket, data);
            socket.shutdown();
          })(),
        );
        back = yield* recvExactly(socket, data.length);
        end = (yield* recvTcp(socket, 10))?.length;
        socket.close();
      })(),
    );
    network.run(10 * SEC);
    expect(Buffer.compare(back ?? new Uint8Array(0), data)).toBe(0);
    expect(end).toBe(0);
    expect(a.connections.size + b.connections.size).toBe(0);
  });

  it("is refused by a closed port, times out at a firewall, and finds no host that is down", () => {
    const { network, a, b } = setup();
    const log: string[] = [];
    a.os.spawn("refused", tryConnect(a, b, 80, log));
    network.run(SEC);
    network.block(a, b);
    a.os.spawn("filtered", tryConnect(a, b, 80, log));
    network.run(200 * SEC);
    b.crash();
    a.os.spawn("down", tryConnect(a, b, 80, log));
    network.run(300 * SEC);
    expect(log).toEqual(["ECONNREFUSED at 0.0001", "ETIMEDOUT at 128", "EHOSTUNREACH at 203"]);
  });

  it("keeps retransmitting through a partition that heals, and resets after a restart", () => {
    const { network, a, b } = setup();
    b.os.spawn("server", echoServer(b, 80));
    const log: string[] = [];
    a.os.spawn(
      "client",
      (function* (): Proc {
        const socket = yield* connectTcp(a.os.kernel.root, b.ip, 80);
        network.block(a, b);
        yield* sendTcp(socket, Uint8Array.of(1, 2, 3));
        const data = yield* recvTcp(socket, 10);
        log.push(`echo ${data} ${network.now > 10 * SEC}`);
        yield { until: 40 * SEC };
        yield* sendTcp(socket, Uint8Array.of(4));
        try {
          yield* recvTcp(socket, 10);
        } catch (error) {
          log.push((error as KernelError).code);
        }
      })(),
    );
    network.run(10 * SEC);
    network.unblock();
    network.run(30 * SEC);
    b.crash();
    b.restart();
    network.run(60 * SEC);
    expect(log).toEqual(["echo 1,2,3 true", "ECONNRESET"]);
  });

  it("says so when something is not in the fake, and reports a program that throws", () => {
    const { network, a } = setup();
    expect(() => a.os.kernel.root.link.list()).toThrow("link: not in the fake");
    a.os.spawn(
      "bad",
      (function* (): Proc {
        yield { until: SEC };
        throw new Error("boom");
      })(),
    );
    expect(() => network.run(2 * SEC)).toThrow("bad on a at 1 s: Error: boom");
  });
});
