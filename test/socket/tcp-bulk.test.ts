/** Bulk transfers over lossy, reordering and slow links: whole, in bounded virtual time, nothing leaked. */
import { describe, expect, test } from "vitest";
import { MS, pattern, SEC, TcpNet } from "./tcp-net.ts";

interface Road {
  net: TcpNet;
  a: number;
  b: number;
}

/** Two hosts on a wire; loss as a fraction, applied to each direction once. */
function road(options: { loss?: number; delay?: number; rate?: number; queue?: number; seed?: number }): Road {
  const net = new TcpNet();
  const a = net.host();
  const b = net.host();
  const x = net.x;
  // The seed moves both hosts' random streams.
  for (let i = 0; i < (options.seed ?? 0); i++) {
    const sk = net.open(net.root(a));
    x["tcpBind"](sk, 0, 0);
    x["tcpClose"](sk);
  }
  net.nic(a, "192.168.77.11");
  net.nic(b, "192.168.77.12");
  return shape(net, a, b, options);
}

function shape(
  net: TcpNet,
  a: number,
  b: number,
  options: { loss?: number; delay?: number; rate?: number; queue?: number },
): Road {
  const loss = Math.floor((options.loss ?? 0) * 2 ** 32);
  for (const port of [0, 1])
    net.x["portSet"](port, 0, options.delay ?? 50_000, options.rate ?? 1e9, loss, options.queue ?? 1_538_000, 0);
  return { net, a, b };
}

/** Sends `total` bytes from one socket to another, checking every byte; returns the virtual time it took. */
export function transfer(net: TcpNet, from: number, to: number, total: number, limit: number, both = false): number {
  const start = net.now;
  const data = pattern(total + 65536);
  const way = [{ from, to, sent: 0, got: 0 }];
  if (both) way.push({ from: to, to: from, sent: 0, got: 0 });
  while (way.some((w) => w.got < total)) {
    if (net.now - start > limit) throw new Error(`${way.map((w) => `${w.sent}/${w.got}`)} after ${limit / SEC} s`);
    for (const w of way) {
      while (w.sent < total) {
        const n = net.write(w.from, data.subarray(w.sent, Math.min(total, w.sent + 65536)));
        if (n < 0) throw new Error(`send: ${n}`);
        w.sent += n;
        if (n === 0) break;
      }
    }
    step(net);
    for (const w of way) {
      for (;;) {
        const got = net.read(w.to, 131072);
        if (typeof got === "number") {
          if (got !== -11) throw new Error(`recv: ${got}`);
          break;
        }
        if (!Buffer.from(got).equals(Buffer.from(data.subarray(w.got, w.got + got.length))))
          throw new Error(`bytes differ near ${w.got}`);
        w.got += got.length;
      }
    }
  }
  return net.now - start;
}

/** Until a program has something to do. */
function step(net: TcpNet): void {
  net.x["run"](net.now + 100 * MS, 0xffffffff);
  net.x["clearWakes"]();
  net.x["captureClear"]();
}

describe("bulk", () => {
  test("10 MB at 1 Gbit/s arrive at nearly the line's rate", () => {
    const { net, a, b } = road({});
    const { client, server } = net.pair(net.root(a), net.root(b), "192.168.77.12");
    const time = transfer(net, client, server, 10e6, 10 * SEC);
    expect((10e6 * 8) / (time / SEC)).toBeGreaterThan(0.85e9);
  });

  for (const seed of [1, 2, 3])
    test(`1 % loss, both directions at once, seed ${seed}`, () => {
      const { net, a, b } = road({ loss: 0.01, delay: 2 * MS, seed });
      const { client, server } = net.pair(net.root(a), net.root(b), "192.168.77.12");
      const time = transfer(net, client, server, 10e6, 120 * SEC, true);
      expect(time).toBeLessThan(60 * SEC);
      net.x["tcpClose"](client);
      net.x["tcpClose"](server);
      net.run(200 * SEC);
      expect(net.live(a) + net.live(b)).toBe(0);
      expect(net.imbalance(a)).toBe(0n);
      expect(net.imbalance(b)).toBe(0n);
    });
});

/** Milliseconds of virtual time for 2 MB one way at 1 Gbit/s, seed 7: loss, then RTT 0.2, 10 and 100 ms. */
const TABLE: [loss: number, times: [number, number, number]][] = [
  [0, [17.2, 80, 755]],
  [0.001, [17.2, 97, 952]],
  [0.01, [17.4, 149, 1456]],
  [0.05, [257, 2768, 25200]],
];

describe("loss × RTT", () => {
  for (const [loss, times] of TABLE)
    for (const [i, rtt] of [0.2, 10, 100].entries())
      test(`${loss * 100} % loss, RTT ${rtt} ms: about ${times[i]} ms`, () => {
        const { net, a, b } = road({ loss, delay: (rtt / 2) * MS, seed: 7 });
        const { client, server } = net.pair(net.root(a), net.root(b), "192.168.77.12");
        const time = transfer(net, client, server, 2e6, 600 * SEC) / MS;
        // Which packets are lost depends on every random number drawn before: a band, not a value.
        expect(time).toBeGreaterThan(times[i]! / 2);
        expect(time).toBeLessThan(times[i]! * 2);
      });
});
