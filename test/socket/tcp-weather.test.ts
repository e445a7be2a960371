/** Loss, duplication and reordering on a wire between two kernels; random segments; nothing leaks. */
import { describe, expect, test } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ACK, MS, Peer, pattern, SEC, SYN, TcpNet, writeOptions } from "./tcp-net.ts";
import { rng, type Weather, Wire } from "./tcp-wire.ts";

function connect(wire: Wire): { listener: number; client: number; server: number } {
  const [a, b] = wire.ends;
  const listener = b.listen(wire.root(1), 80);
  const client = a.connect(wire.root(0), "10.0.0.12", 80);
  for (let i = 0; i < 100_000; i++) {
    wire.step();
    const server = b.x["tcpAccept"](listener) as number;
    if (server > 0) return { listener, client, server };
  }
  throw new Error("no connection");
}

/** Both directions at once, every byte compared; the virtual time it took. */
function exchange(wire: Wire, client: number, server: number, total: number, limit: number): number {
  const start = wire.now;
  const data = pattern(total);
  const ways = [
    { from: 0, out: client, into: server, sent: 0, got: 0 },
    { from: 1, out: server, into: client, sent: 0, got: 0 },
  ] as const;
  const state = ways.map((w) => ({ ...w }));
  while (state.some((w) => w.got < total)) {
    if (wire.now - start > limit) throw new Error(JSON.stringify(state.map((w) => [w.sent, w.got])));
    for (const w of state) {
      const out = wire.ends[w.from]!;
      const into = wire.ends[1 - w.from]!;
      while (w.sent < total) {
        const n = out.write(w.out, data.subarray(w.sent, Math.min(total, w.sent + 65536)));
        if (n < 0) throw new Error(`send ${n}`);
        if (n === 0) break;
        w.sent += n;
      }
      for (let r = into.read(w.into); ; r = into.read(w.into)) {
        if (typeof r === "number") {
          if (r !== -abi.EAGAIN) throw new Error(`recv ${r}`);
          break;
        }
        if (!Buffer.from(r).equals(Buffer.from(data.subarray(w.got, w.got + r.length))))
          throw new Error(`bytes near ${w.got}`);
        w.got += r.length;
      }
    }
    wire.step();
  }
  return wire.now - start;
}

function quiet(wire: Wire): void {
  for (const [i, net] of wire.ends.entries()) {
    expect(net.imbalance(wire.hosts[i]!)).toBe(0n);
    expect(net.live(wire.hosts[i]!)).toBe(0);
  }
}

const SKIES: [string, Weather, number][] = [
  ["5 % loss and reordering", { loss: 0.05, duplicate: 0, jitter: 3 * MS }, 200 * SEC],
  ["reordering alone", { loss: 0, duplicate: 0, jitter: 5 * MS }, 60 * SEC],
  ["10 % duplicates, 2 % loss", { loss: 0.02, duplicate: 0.1, jitter: 1 * MS }, 120 * SEC],
  ["30 % loss", { loss: 0.3, duplicate: 0.02, jitter: 1 * MS }, 20000 * SEC],
];

describe("weather", () => {
  for (const [name, weather, limit] of SKIES)
    for (const seed of [1, 2, 3])
      test(`${name}, seed ${seed}: whole, both ways, then closed`, () => {
        const wire = new Wire(seed, weather);
        const { listener, client, server } = connect(wire);
        const total = weather.loss > 0.2 ? 100_000 : 2_000_000;
        exchange(wire, client, server, total, limit);
        wire.ends[0].x["tcpClose"](client);
        wire.ends[1].x["tcpClose"](server);
        wire.ends[1].x["tcpClose"](listener);
        for (
          let i = 0;
          i < 100_000 && (wire.ends[0].x["tcpDump"](wire.root(0), 0) || wire.ends[1].x["tcpDump"](wire.root(1), 0));
          i++
        )
          wire.step();
        expect(wire.ends[0].x["tcpDump"](wire.root(0), 0)).toBe(0);
        quiet(wire);
      });

  test("the same weather gives the same run, frame for frame", () => {
    const run = () => {
      const wire = new Wire(5, { loss: 0.03, duplicate: 0.02, jitter: 2 * MS });
      const { client, server } = connect(wire);
      return [exchange(wire, client, server, 300_000, 100 * SEC), wire.frames];
    };
    expect(run()).toEqual(run());
  });

  test("reordering is learned: later transfers retransmit little", () => {
    const wire = new Wire(9, { loss: 0, duplicate: 0, jitter: 3 * MS });
    const { client, server } = connect(wire);
    exchange(wire, client, server, 1_000_000, 60 * SEC);
    const first = wire.ends[0].info(client)["totalRetrans"]!;
    exchange(wire, client, server, 1_000_000, 60 * SEC);
    const second = wire.ends[0].info(client)["totalRetrans"]! - first;
    expect(second).toBeLessThan(0.05 * (1_000_000 / 1448));
  });
});

describe("hostile segments", () => {
  for (const seed of [1, 2, 3, 4])
    test(`random segments never trap and every packet is accounted for, seed ${seed}`, () => {
      const random = rng(seed);
      const peer = new Peer();
      peer.net.run(SEC);
      const listener = peer.net.listen(peer.ns, 80, 16);
      const others: number[] = [];
      let sk = 0;
      let seq = 1000;
      let una = 0;
      for (let i = 0; i < 4000; i++) {
        if (random() < 0.02 || una === 0) {
          peer.sport = 30000 + Math.floor(random() * 50);
          seq = Math.floor(random() * 2 ** 32);
          peer.send({
            seq,
            flags: SYN,
            options: writeOptions({
              mss: 1 + Math.floor(random() * 1460),
              sackOk: random() < 0.8,
              ts: [1, 0],
              wscale: Math.floor(random() * 16),
            }),
          });
          const synAck = peer.sent().at(-1);
          if (synAck !== undefined) una = synAck.seq + 1;
          seq++;
          peer.send({ seq, ack: una, flags: ACK });
        }
        const accepted = peer.net.x["tcpAccept"](listener) as number;
        if (accepted > 0) {
          if (sk !== 0) others.push(sk);
          sk = accepted;
        }
        const near = (base: number) => (base + Math.floor((random() - 0.3) * 20000)) >>> 0;
        const options = Uint8Array.from({ length: Math.floor(random() * 11) * 4 }, () =>
          random() < 0.5 ? 1 : random() * 256,
        );
        const sacks =
          random() < 0.3
            ? writeOptions({
                ts: [Math.floor(random() * 5000), 0],
                sack: Array.from(
                  { length: 1 + Math.floor(random() * 3) },
                  () => [near(una), near(una)] as [number, number],
                ),
              })
            : options;
        peer.send(
          {
            seq: random() < 0.5 ? seq : near(seq),
            ack: random() < 0.5 ? una : near(una),
            flags: Math.floor(random() * 64),
            window: Math.floor(random() * 65536),
            options: sacks,
            data: pattern(Math.floor(random() * 1400)),
          },
          random() < 0.1
            ? (bytes) => {
                bytes[12] = Math.floor(random() * 256);
              }
            : undefined,
        );
        if (sk !== 0) {
          const what = random();
          if (what < 0.2) una = (una + Math.max(0, peer.net.write(sk, pattern(1 + Math.floor(random() * 5000))))) >>> 0;
          else if (what < 0.4) peer.net.read(sk);
          else if (what < 0.43) peer.net.x["tcpShutdown"](sk);
          else if (what < 0.46) {
            peer.net.x[random() < 0.5 ? "tcpClose" : "tcpAbort"](sk);
            sk = 0;
          }
        }
        if (random() < 0.1) peer.net.run(random() * SEC);
        if (peer.net.imbalance(peer.hostId) !== 0n) throw new Error(`imbalance after ${i}`);
      }
      if (sk !== 0) others.push(sk);
      for (const [i, other] of others.entries()) peer.net.x[i % 2 ? "tcpAbort" : "tcpClose"](other);
      peer.net.x["tcpClose"](listener);
      peer.net.run(3000 * SEC);
      // What left for the peer's worker stands in the two outboxes.
      peer.net.x["outboxFlip"]();
      peer.net.x["outboxFlip"]();
      expect(peer.net.x["tcpDump"](peer.ns, 0)).toBe(0);
      expect(peer.net.live(peer.hostId)).toBe(0);
      expect(peer.net.imbalance(peer.hostId)).toBe(0n);
    });

  test("a wrong checksum is dropped", () => {
    const peer = new Peer();
    peer.send({ seq: 1, flags: SYN }, (bytes) => {
      bytes[4] = 0x55;
    });
    expect(peer.sent()).toEqual([]);
    expect(peer.net.drops(peer.hostId, abi.DROP_TCP_CSUM)).toBe(1);
  });
});

describe("memory", () => {
  const connection = (net: TcpNet, a: number, listener: number, i: number) => {
    const client = net.connect(net.root(a), "192.168.77.12", 80);
    net.run(1 * MS);
    const server = net.x["tcpAccept"](listener) as number;
    expect(server).toBeGreaterThan(0);
    net.write(client, pattern(3000));
    net.run(1 * MS);
    if (i % 3 !== 0) net.read(server);
    net.write(server, pattern(1000));
    if (i % 5 === 0) net.x["tcpAbort"](client);
    else net.x["tcpClose"](client);
    net.run(1 * MS);
    net.x["tcpClose"](server);
  };

  test("1,000 connections, closed in every way, leave nothing behind", () => {
    const net = new TcpNet();
    const a = net.host();
    const b = net.host();
    net.nic(a, "192.168.77.11");
    net.nic(b, "192.168.77.12");
    const listener = net.listen(net.root(b), 80);
    const settle = () => {
      net.run(200 * SEC);
      return { bytes: net.x["memoryInUse"]() as number, blocks: net.x["blocksHeld"]() as number };
    };
    // The tables and caches grow once.
    for (let i = 0; i < 1000; i++) connection(net, a, listener, i);
    const before = settle();
    for (let i = 0; i < 1000; i++) connection(net, a, listener, i);
    expect(settle()).toEqual(before);
    expect(net.live(a) + net.live(b)).toBe(0);
  });

  test("destroying a namespace frees its sockets in all states", () => {
    const net = new TcpNet();
    const a = net.host();
    const rounds = (n: number) => {
      for (let i = 0; i < n; i++) {
        const ns = net.x["netnsNew"](a) as number;
        net.lo(ns);
        const { client, server, listener } = net.pair(ns, ns, "127.0.0.1");
        net.write(client, pattern(5000));
        net.connect(ns, "127.0.0.1", 80);
        net.x["tcpClose"](net.connect(ns, "127.0.0.1", 80));
        net.run(10 * MS);
        if (i % 2) net.x["tcpShutdown"](server);
        if (i % 3 === 0) net.x["tcpClose"](client);
        if (i % 4 === 0) net.x["tcpClose"](listener);
        net.x["netnsDel"](ns);
        net.run(1 * MS);
      }
      net.run(100 * SEC);
      return { bytes: net.x["memoryInUse"]() as number, blocks: net.x["blocksHeld"]() as number };
    };
    const before = rounds(24);
    expect(rounds(24)).toEqual(before);
    expect(net.live(a)).toBe(0);
  });
});
