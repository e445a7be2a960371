import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { checksum, ip, MS, makeIp, Net, SEC } from "./net.ts";

/** Two namespaces of one host on a veth pair of the given MTU; a raw socket in the first can send any payload. */
function veth(mtu = 1450) {
  const net = new Net();
  const h = net.host();
  const [a, b] = [net.x["netnsNew"](h), net.x["netnsNew"](h)] as [number, number];
  const [da, db] = net.veth(a, b, ["eth0", "eth0"], [1, 2]);
  for (const dev of [da, db]) net.x["linkSetMtu"](dev, mtu);
  net.addr(da, "10.0.1.2", 24);
  net.addr(db, "10.0.1.4", 24);
  net.up(da);
  net.up(db);
  const point = net.capture(da);
  const sk = net.x["icmpOpen"](a, 0) as number;
  return { net, h, a, b, da, db, point, sk };
}

const SNMP = { reasmTimeout: 10, reqds: 11, oks: 12, fails: 13, fragOks: 14, fragFails: 15, creates: 16, overlaps: 48 };

describe("fragmentation", () => {
  it.each([
    [1422, [[1450, 0, false]]],
    [
      1423,
      [
        [1444, 0, true],
        [27, 178, false],
      ],
    ],
    // The last piece may be as long as the MTU, though 1430 is no multiple of 8.
    [
      2846,
      [
        [1444, 0, true],
        [1450, 178, false],
      ],
    ],
    [
      3000,
      [
        [1444, 0, true],
        [1444, 178, true],
        [180, 356, false],
      ],
    ],
  ] as [number, [number, number, boolean][]][])("MTU 1450, ping of %i bytes", (size, expected) => {
    const { net, a, b, sk, point } = veth();
    expect(net.ping(sk, "10.0.1.4", 1, size)).toBe(0);
    net.run(MS);
    const frames = net.takeIp(point).filter((f) => f.dir === 2);
    expect(frames.map((f) => [f.length, f.offset, f.mf])).toEqual(expected);
    expect(new Set(frames.map((f) => f.id)).size).toBe(1);
    for (const frame of frames) {
      expect(frame.df).toBe(expected.length === 1);
      expect(checksum(frame.bytes.subarray(14, 34))).toBe(0);
    }
    const reply = net.recv(sk, "icmpRecv")!;
    expect([...reply.data]).toEqual(Array.from({ length: size }, (_, i) => i & 255));
    expect(net.snmp(a, SNMP.creates)).toBe(expected.length > 1 ? expected.length : 0);
    expect(net.snmp(b, SNMP.oks)).toBe(expected.length > 1 ? 1 : 0);
  });

  it("the largest datagram crosses the smallest MTU", () => {
    const { net, h, sk } = veth(68);
    net.x["sockSetBuffers"](sk, 1e6, 0);
    net.ping(sk, "10.0.1.4", 0, 0); // 1366 pieces would not all fit the queue of an unresolved neighbour
    net.run(MS);
    net.recv(sk, "icmpRecv");
    expect(net.ping(sk, "10.0.1.4", 1, 65508)).toBe(-abi.EMSGSIZE);
    expect(net.ping(sk, "10.0.1.4", 1, 65507)).toBe(0);
    net.run(MS);
    expect(net.recv(sk, "icmpRecv")!.data).toHaveLength(65507);
    expect(net.imbalance(h)).toBe(0n);
    expect(net.live(h)).toBe(0);
  });

  it("with DF forced it is refused", () => {
    const { net, sk } = veth();
    net.x["sockSetPmtuDisc"](sk, 2);
    expect(net.ping(sk, "10.0.1.4", 1, 1423)).toBe(-abi.EMSGSIZE);
    expect(net.ping(sk, "10.0.1.4", 1, 1422)).toBe(0);
  });
});

/** Puts frames on the wire towards namespace b as if a had sent them: through a NIC port of a second host. */
function injector() {
  const net = new Net();
  const h1 = net.host();
  const h2 = net.host();
  net.nic(h1, "192.168.77.11");
  const d2 = net.nic(h2, "192.168.77.12", 24, { mtu: 65535 });
  const n2 = net.root(h2);
  const mac2 = [0x52, 0x54, 0x00, 0x77, 0x4d, 0x0c];
  let tie = 0;
  /** A frame arrives at host2's NIC now. */
  const inject = (packet: Uint8Array, type = 0x0800, mac: readonly number[] = mac2) => {
    const frame = new Uint8Array(14 + packet.length);
    frame.set([...mac, 0x52, 0x54, 0x00, 0x77, 0x4d, 0x0b, type >> 8, type & 255]);
    frame.set(packet, 14);
    const at = net.x["wireImport"](
      1,
      Math.floor(net.now / 2 ** 32),
      net.now >>> 0,
      0,
      tie++,
      frame.length,
      0,
    ) as number;
    net.k.put(at, frame);
    net.run(100_000); // the last link takes its time
  };
  return { net, h1, h2, d2, n2, inject };
}

/** A UDP datagram to port 5000 of .12 as the payload of IP. */
function datagram(length: number): Uint8Array {
  const out = new Uint8Array(8 + length);
  const view = new DataView(out.buffer);
  view.setUint16(0, 4000);
  view.setUint16(2, 5000);
  view.setUint16(4, out.length);
  for (let i = 0; i < length; i++) out[8 + i] = (i * 7) & 255;
  return out;
}

function fragment(whole: Uint8Array, from: number, to: number, id: number): Uint8Array {
  const more = to < whole.length ? 0x2000 : 0;
  const payload = whole.subarray(from, to);
  return makeIp({ src: "192.168.77.11", dst: "192.168.77.12", protocol: 17, payload, id, frag: more | (from >> 3) });
}

function listening() {
  const all = injector();
  const sk = all.net.x["udpOpen"](all.n2) as number;
  all.net.x["udpBind"](sk, 0, 5000);
  return { ...all, sk };
}

describe("reassembly", () => {
  it("any order, with duplicates, gives the datagram once", () => {
    const { net, h2, n2, inject, sk } = listening();
    let id = 1;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4000 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
        (length, steps, order) => {
          const whole = datagram(length);
          const cuts = [0];
          for (const step of steps) {
            const next = cuts[cuts.length - 1]! + step * 8;
            if (next < whole.length) cuts.push(next);
          }
          cuts.push(whole.length);
          const pieces = cuts.slice(0, -1).map((from, i) => [from, cuts[i + 1]!] as const);
          const list = [...pieces, pieces[order[0]! % pieces.length]!]
            .map((piece, i) => ({ piece, key: order[i + 1]! }))
            .sort((x, y) => x.key - y.key);
          // The duplicate may not come behind the last one that was missing: it would begin a queue of its own.
          const first = new Set<number>();
          const send = list.filter(({ piece }) => {
            if (first.size === pieces.length) return false;
            first.add(piece[0]);
            return true;
          });
          id = (id + 1) & 0xffff;
          for (const { piece } of send) inject(fragment(whole, piece[0], piece[1], id));
          const got = net.recv(sk);
          expect(got?.data).toEqual(whole.subarray(8));
          expect(net.recv(sk)).toBeUndefined();
        },
      ),
      { numRuns: 200, seed: 7 },
    );
    net.run(31 * SEC);
    expect(net.live(h2)).toBe(0);
    expect(net.imbalance(h2)).toBe(0n);
    expect(net.snmp(n2, SNMP.fails)).toBe(0);
  });

  it("an overlap discards the datagram; a contained piece is only a duplicate", () => {
    const { net, h2, n2, inject, sk } = listening();
    const whole = datagram(792);
    inject(fragment(whole, 0, 400, 1));
    inject(fragment(whole, 80, 160, 1)); // within the run
    expect(net.drops(h2, abi.DROP_FRAG_DUP)).toBe(1);
    inject(fragment(whole, 392, 600, 1)); // eight bytes too early
    expect(net.drops(h2, abi.DROP_FRAG_OVERLAP)).toBe(2);
    expect(net.snmp(n2, SNMP.overlaps)).toBe(1);
    inject(fragment(whole, 400, 800, 1));
    expect(net.recv(sk)).toBeUndefined();
  });

  it("the same id of another source or protocol is another datagram", () => {
    const { net, inject, sk } = listening();
    const whole = datagram(792);
    inject(fragment(whole, 0, 400, 1));
    inject(fragment(whole, 400, 800, 2));
    const other = makeIp({
      src: "192.168.77.11",
      dst: "192.168.77.12",
      protocol: 200,
      payload: whole.subarray(400),
      id: 1,
      frag: 50,
    });
    inject(other);
    expect(net.recv(sk)).toBeUndefined();
    inject(fragment(whole, 400, 800, 1));
    expect(net.recv(sk)!.data).toHaveLength(792);
  });

  it("after 30 s: time exceeded code 1, only if the first fragment came", () => {
    const { net, n2, d2, h2, inject } = listening();
    const point = net.capture(d2);
    const whole = datagram(792);
    inject(fragment(whole, 0, 400, 1));
    inject(fragment(whole, 400, 800, 2));
    net.run(29.9 * SEC);
    expect(net.live(h2)).toBe(2);
    net.run(0.2 * SEC);
    const errors = net.takeIp(point).filter((f) => f.dir === 2);
    expect(errors).toHaveLength(1);
    expect([...errors[0]!.payload.subarray(0, 2)]).toEqual([11, 1]);
    expect(errors[0]!.payload.subarray(8, 28)).toEqual(fragment(whole, 0, 400, 1).subarray(0, 20));
    expect(net.snmp(n2, SNMP.reasmTimeout)).toBe(2);
    expect(net.drops(h2, abi.DROP_FRAG_REASM_TIMEOUT)).toBe(2);
    net.run(SEC);
    expect(net.imbalance(h2)).toBe(0n);
  });

  it("over 4 MiB new fragments are dropped; a device that goes takes its fragments along", () => {
    const { net, h2, d2, inject } = listening();
    const whole = datagram(792);
    for (let id = 0; id < 5000; id++) inject(fragment(whole, 0, 400, id));
    expect(net.drops(h2, abi.DROP_FRAG_TOO_FAR)).toBeGreaterThan(0);
    expect(net.live(h2)).toBeLessThan(4900);
    net.down(d2);
    expect(net.live(h2)).toBe(0);
    expect(net.imbalance(h2)).toBe(0n);
  });

  it("pieces of two datagrams with one id are given away by the checksum", () => {
    const net = new Net();
    const [h1, h2] = [net.host(), net.host()];
    net.nic(h1, "192.168.77.11");
    net.nic(h2, "192.168.77.12");
    const sk = net.x["udpOpen"](net.root(h1)) as number;
    const server = net.x["udpOpen"](net.root(h2)) as number;
    net.x["udpBind"](server, 0, 5000);
    net.x["udpConnect"](sk, ip("192.168.77.12"), 5000);
    net.send(sk, 1);
    net.run(SEC);
    expect(net.recv(server)?.data).toHaveLength(1);
    net.x["portSet"](0, 0, 50_000, 1e10, 0, 1000, 0); // no room for the second piece
    net.send(sk, new Uint8Array(2000).fill(1));
    net.run(SEC);
    net.x["portSet"](0, 0, 50_000, 1e10, 0, 1_538_000, 0);
    net.x["sockSetSink"](server, 1);
    for (let i = 1; i < 65_536; i++) net.send(sk, 1); // until its counter comes round
    net.run(SEC);
    net.x["sockSetSink"](server, 0);
    net.send(sk, new Uint8Array(2000).fill(2));
    net.run(SEC);
    expect(net.recv(server)).toBeUndefined();
    expect(net.drops(h2, abi.DROP_UDP_CSUM)).toBe(1);
  });

  it("CE in any fragment marks the whole; not-ECT mixed with ECT is refused", () => {
    const { net, h2, n2, inject } = listening();
    const raw = net.x["rawOpen"](n2, 200) as number;
    const whole = datagram(792);
    const piece = (from: number, to: number, id: number, tos: number) =>
      makeIp({
        src: "192.168.77.11",
        dst: "192.168.77.12",
        protocol: 200,
        payload: whole.subarray(from, to),
        id,
        tos,
        frag: (to < whole.length ? 0x2000 : 0) | (from >> 3),
      });
    inject(piece(0, 400, 1, 2));
    inject(piece(400, 800, 1, 3));
    expect(net.recv(raw, "rawRecv")!.data[1]).toBe(3);
    inject(piece(0, 400, 2, 0));
    inject(piece(400, 800, 2, 3));
    expect(net.recv(raw, "rawRecv")).toBeUndefined();
    expect(net.drops(h2, abi.DROP_IP_INHDR)).toBe(2);
  });
});

describe("input", () => {
  it("bad headers are dropped under their reasons", () => {
    const { net, h2, inject } = listening();
    const good = makeIp({ src: "192.168.77.11", dst: "192.168.77.12", protocol: 17, payload: datagram(20) });
    const change = (at: number, value: number, fix = true) => {
      const bad = good.slice();
      bad[at] = value;
      if (fix) {
        bad[10] = bad[11] = 0;
        const sum = checksum(bad.subarray(0, 20));
        bad[10] = sum >> 8;
        bad[11] = sum & 255;
      }
      inject(bad);
    };
    change(0, 0x65); // version 6
    change(0, 0x44); // header of 16 bytes
    change(3, 10); // total length below the header
    expect(net.drops(h2, abi.DROP_IP_INHDR)).toBe(3);
    change(8, 63, false);
    expect(net.drops(h2, abi.DROP_IP_CSUM)).toBe(1);
    change(3, 200); // more than the frame has
    inject(good.subarray(0, 19));
    expect(net.drops(h2, abi.DROP_PKT_TOO_SMALL)).toBe(1);
    expect(net.drops(h2, abi.DROP_IP_INHDR)).toBe(4);
    const padded = new Uint8Array(60);
    padded.set(good);
    inject(padded);
    expect(net.imbalance(h2)).toBe(0n);
  });

  it("random bytes never trap, and no buffer is lost", () => {
    const { net, h1, h2, n2, inject, sk } = listening();
    net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
    net.x["rawOpen"](n2, 1);
    net.x["icmpOpen"](n2, 77);
    const connected = net.x["udpOpen"](n2) as number;
    net.x["udpBind"](connected, ip("192.168.77.12"), 6000);
    net.x["udpConnect"](connected, ip("192.168.77.11"), 6000);
    const source = fc.constantFrom(
      "192.168.77.11",
      "10.1.1.1",
      "127.0.0.1",
      "0.0.0.0",
      "255.255.255.255",
      "192.168.77.12",
    );
    const target = fc.constantFrom(
      "192.168.77.12",
      "192.168.77.255",
      "192.168.77.13",
      "10.9.9.9",
      "224.0.0.1",
      "0.0.0.0",
    );
    const inner = fc.uint8Array({ minLength: 0, maxLength: 120 });
    const packet = fc.oneof(
      fc.uint8Array({ minLength: 0, maxLength: 200 }),
      fc
        .record({
          src: source,
          dst: target,
          protocol: fc.constantFrom(1, 17, 6, 50, 200),
          payload: inner,
          id: fc.nat(3),
          frag: fc.constantFrom(0, 0x4000, 0x2000, 1, 0x2001, 0x1fff, 2),
          ttl: fc.constantFrom(0, 1, 64),
          tos: fc.nat(255),
        })
        .map(makeIp),
      // ICMP messages with right checksums around random quotes.
      fc.tuple(fc.constantFrom(0, 3, 4, 5, 8, 11, 12, 13, 17), fc.nat(16), inner).map(([type, code, quote]) => {
        const body = new Uint8Array(8 + quote.length);
        body.set([type, code, 0, 0, 0, 77, 5, 20]);
        body.set(quote, 8);
        if (quote.length > 28)
          body.set(
            makeIp({
              src: "192.168.77.12",
              dst: "192.168.77.11",
              protocol: [1, 17, 6][code % 3]!,
              payload: new Uint8Array(0),
            }).subarray(0, 20),
            8,
          );
        const sum = checksum(body);
        body[2] = sum >> 8;
        body[3] = sum & 255;
        return makeIp({ src: "192.168.77.11", dst: "192.168.77.12", protocol: 1, payload: body });
      }),
    );
    fc.assert(
      fc.property(packet, fc.constantFrom(0x0800, 0x0800, 0x0800, 0x0806), (bytes, type) => {
        inject(bytes, type);
        expect(net.imbalance(h2)).toBe(0n);
      }),
      { numRuns: 4000, seed: 42 },
    );
    net.run(60 * SEC);
    net.x["dgramClose"](sk);
    expect(net.imbalance(h1)).toBe(0n);
    expect(net.imbalance(h2)).toBe(0n);
  });
});

/** host2 as a router: behind it a veth pair with an MTU of 576, whose far end has 10.5.0.2. */
function router() {
  const all = injector();
  const { net, h2, n2 } = all;
  const c = net.x["netnsNew"](h2) as number;
  const [outer, inner] = net.veth(n2, c, ["veth0", "eth0"], [1, 2]);
  net.x["linkSetMtu"](outer, 576);
  net.addr(outer, "10.5.0.1", 24);
  net.addr(inner, "10.5.0.2", 24);
  net.up(outer);
  net.up(inner);
  net.sysctl(n2, abi.SYS_IP_FORWARD, 1);
  return { ...all, point: net.capture(outer) };
}

const FORWARDED = { src: "192.168.77.11", dst: "10.5.0.2", protocol: 17 } as const;

describe("forwarding", () => {
  it("takes nothing that came by a broadcast frame", () => {
    const { net, h2, inject, point } = router();
    inject(makeIp({ ...FORWARDED, payload: datagram(20) }), 0x0800, Array(6).fill(0xff));
    net.run(MS);
    expect(net.drops(h2, abi.DROP_OTHERHOST)).toBe(1);
    expect(net.takeIp(point)).toEqual([]);
    inject(makeIp({ ...FORWARDED, payload: datagram(20) }));
    net.run(MS);
    expect(net.takeIp(point).filter((f) => f.dir === 2)).toHaveLength(1);
  });

  it("options without the copied bit stay in the first fragment", () => {
    const { net, inject, point } = router();
    const payload = datagram(600);
    const plain = makeIp({ ...FORWARDED, payload });
    // Router alert (148, copied), a timestamp-like option (68, not copied).
    const options = [148, 4, 0, 0, 68, 4, 5, 0];
    const packet = new Uint8Array(28 + payload.length);
    packet.set(plain.subarray(0, 20));
    packet.set(options, 20);
    packet.set(payload, 28);
    const view = new DataView(packet.buffer);
    view.setUint8(0, 0x47);
    view.setUint16(2, packet.length);
    view.setUint16(10, 0);
    view.setUint16(10, checksum(packet.subarray(0, 28)));
    inject(packet);
    net.run(MS);
    const pieces = net.takeIp(point).filter((f) => f.dir === 2);
    expect(pieces.map((f) => [f.length, f.offset, f.mf])).toEqual([
      [572, 0, true],
      [92, 68, false],
    ]);
    expect(pieces.map((f) => [...f.bytes.subarray(34, 42)])).toEqual([options, [148, 4, 0, 0, 1, 1, 1, 1]]);
    for (const { bytes } of pieces) expect(checksum(bytes.subarray(14, 42))).toBe(0);
  });

  it("a datagram that conntrack put together from pieces with DF is not cut smaller than they were", () => {
    const { net, h2, n2, inject, point } = router();
    net.x["nfCtEnable"](n2, 1);
    const whole = datagram(1400);
    const piece = (from: number, to: number) =>
      makeIp({
        ...FORWARDED,
        payload: whole.subarray(from, to),
        id: 9,
        frag: 0x4000 | (to < whole.length ? 0x2000 : 0) | (from >> 3),
      });
    inject(piece(0, 800));
    inject(piece(800, whole.length));
    net.run(MS);
    expect(net.takeIp(point).filter((f) => f.dir === 2)).toEqual([]);
    expect(net.drops(h2, abi.DROP_PKT_TOO_BIG)).toBe(1);
    expect(net.snmp(n2, 3)).toBe(0); // ForwDatagrams: it was refused before anything was done to it
    expect(net.imbalance(h2)).toBe(0n);
  });
});
