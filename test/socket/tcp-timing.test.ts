/** Delayed ACKs and the congestion window of connections that pause: what depends on how much time lies between segments. */
import { describe, expect, test } from "vitest";
import { MS, pattern } from "./tcp-net.ts";
import { Passive } from "./tcp-passive.ts";

/** A connection that has left quickack mode, one segment received whose ACK waits (ato = 40 ms). */
function delayed(): Passive {
  const p = new Passive();
  for (let i = 0; i < 16; i++) p.data(10);
  p.sent();
  p.data(10);
  expect(p.sent()).toEqual([]);
  return p;
}

describe("delayed ACKs (tcp_send_delayed_ack)", () => {
  test("one that is due within a quarter of ato goes at once, an earlier segment leaves it its time", () => {
    const near = delayed();
    const start = near.net.now;
    near.wait(31 * MS);
    near.data(10);
    expect(near.sent().map((s) => s.time - start)).toEqual([31 * MS]);
    const far = delayed();
    const begin = far.net.now;
    far.wait(29 * MS);
    far.data(10);
    expect(far.wait(100 * MS).map((s) => s.time - begin)).toEqual([40 * MS]);
  });

  test("ato grows with the gaps, but a short round trip holds the delay at 40 ms", () => {
    const p = delayed();
    p.wait(31 * MS); // ato = 20 + 31
    p.data(10);
    p.sent();
    p.wait(45 * MS); // ato = 25.5 + 45
    const start = p.net.now;
    p.data(10);
    expect(p.wait(200 * MS).map((s) => s.time - start)).toEqual([40 * MS]);
  });
});

/** Grows the window to 40 segments: two rounds of slow start, all of it in use. */
function grown(): Passive {
  const p = new Passive();
  for (const round of [10, 20]) {
    p.net.write(p.sk, pattern(round * 1448));
    p.see(p.sent());
    p.wait(10 * MS);
    p.acknowledge(round * 1448);
  }
  expect(p.net.info(p.sk)).toMatchObject({ cwnd: 40, unacked: 0 });
  return p;
}

/** Loses a segment of the first flight, so that ssthresh is 7, then grows the window again. */
function afterLoss(cwnd: number): Passive {
  const p = new Passive();
  p.net.write(p.sk, pattern(10 * 1448));
  p.see(p.sent());
  p.wait(10 * MS);
  p.ack(p.una, { sack: [[p.una + 1448, p.una + 10 * 1448]], window: 60000 });
  p.see(p.sent());
  p.wait(10 * MS);
  p.acknowledge(10 * 1448);
  for (let round = 0; round < 200 && p.net.info(p.sk)["cwnd"]! < cwnd; round++) {
    p.net.write(p.sk, pattern(40 * 1448));
    for (let sent = p.see(p.sent()); p.net.info(p.sk)["unacked"] !== 0; sent = p.see(p.sent())) {
      p.wait(10 * MS);
      p.acknowledge(sent.reduce((sum, s) => sum + s.data.length, 0));
    }
  }
  return p;
}

describe("a window that is not used (RFC 2861)", () => {
  /** The window with which the first segment after a pause leaves. */
  const after = (p: Passive, rtos: number) => {
    const rto = p.net.info(p.sk)["rto"]! * 1000;
    p.wait(rtos * rto);
    p.net.write(p.sk, pattern(100));
    return p.net.info(p.sk);
  };

  test("halves for every RTO of silence, down to the initial 10 (tcp_cwnd_restart)", () => {
    expect(after(grown(), 0.9)["cwnd"]).toBe(40);
    expect(after(grown(), 1.5)["cwnd"]).toBe(20);
    expect(after(grown(), 2.5)["cwnd"]).toBe(10);
    expect(after(grown(), 50)["cwnd"]).toBe(10);
  });

  test("remembers three quarters of it as ssthresh", () => {
    const p = afterLoss(20);
    const before = p.net.info(p.sk);
    expect(before["cwnd"]).toBeGreaterThanOrEqual(20);
    expect(before["ssthresh"]).toBe(7);
    const cwnd = before["cwnd"]!;
    expect(after(p, 2.5)["ssthresh"]).toBe((cwnd >> 1) + (cwnd >> 2));
  });

  test("moves half way to what was used for an RTO (tcp_cwnd_application_limited)", () => {
    const p = grown();
    const rto = p.net.info(p.sk)["rto"]! * 1000;
    // Single segments, never an RTO apart.
    for (let spent = 0; spent <= rto; spent += rto / 4) {
      p.wait(rto / 4);
      p.net.write(p.sk, pattern(100));
      p.see(p.sent());
      p.acknowledge(100);
    }
    expect(p.net.info(p.sk)["cwnd"]).toBe(25);
  });

  test("moves half way and remembers three quarters of it as ssthresh", () => {
    const p = afterLoss(20);
    const cwnd = p.net.info(p.sk)["cwnd"]!;
    const rto = p.net.info(p.sk)["rto"]! * 1000;
    for (let spent = 0; spent <= rto; spent += rto / 4) {
      p.wait(rto / 4);
      p.net.write(p.sk, pattern(100));
      p.see(p.sent());
      p.acknowledge(100);
    }
    expect(p.net.info(p.sk)).toMatchObject({ cwnd: (cwnd + 10) >> 1, ssthresh: (cwnd >> 1) + (cwnd >> 2) });
  });
});
