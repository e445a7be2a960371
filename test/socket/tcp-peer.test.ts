/** TCP against a peer made by hand: states, timers, RST rules, windows, SACK, field by field. Times are virtual and exact. */
import { describe, expect, test } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { checksum, makeIp } from "../inet/net.ts";
import { ACK, FIN, MS, Peer, PSH, pattern, RST, readOptions, SEC, type Segment, SYN, writeOptions } from "./tcp-net.ts";
import { Passive, SYN_OPTIONS } from "./tcp-passive.ts";

const offsets = (segments: Segment[], base: number) => segments.map((s) => (s.seq - base) >>> 0);

describe("opening", () => {
  test("SYN again at 1, 3, 7, 15, 31, 63 s; ETIMEDOUT at 127 s; the flow hash changes", () => {
    const peer = new Peer();
    const sk = peer.net.connect(peer.ns, "192.168.77.99", 80);
    const start = peer.net.now;
    const seen = peer.wait(126.9 * SEC);
    expect(seen.map((s) => Math.round((s.time - start) / SEC))).toEqual([0, 1, 3, 7, 15, 31, 63]);
    expect(new Set(seen.map((s) => s.seq)).size).toBe(1);
    expect(peer.net.state(sk)).toBe(abi.TCP_SYN_SENT);
    peer.wait(0.2 * SEC);
    expect(peer.net.state(sk)).toBe(abi.TCP_CLOSE);
    expect(peer.net.x["sockTakeError"](sk)).toBe(abi.ETIMEDOUT);
  });

  test("SYN-ACK again at 1, 3, 7, 15, 31 s, forgotten at 63 s", () => {
    const peer = new Peer();
    peer.net.listen(peer.ns, 80);
    peer.send({ seq: 5000, flags: SYN, options: writeOptions(SYN_OPTIONS) });
    const start = peer.net.now;
    const seen = peer.wait(200 * SEC);
    expect(seen.map((s) => Math.round((s.time - start) / SEC))).toEqual([0, 1, 3, 7, 15, 31]);
    expect(seen.every((s) => s.ipid === 0 && s.df && s.flags === (SYN | ACK) && s.checksumOk)).toBe(true);
    expect(peer.net.x["tcpDump"](peer.ns, 0)).toBe(1);
  });

  test("refused: RST of a closed port", () => {
    const peer = new Peer();
    const sk = peer.net.connect(peer.ns, "192.168.77.99", 80);
    const syn = peer.one();
    peer.sport = 80;
    peer.dport = syn.sport;
    peer.send({ seq: 0, ack: syn.seq + 1, flags: RST | ACK });
    expect(peer.net.state(sk)).toBe(abi.TCP_CLOSE);
    expect(peer.net.x["sockTakeError"](sk)).toBe(abi.ECONNREFUSED);
    expect(peer.sent()).toEqual([]);
  });

  test("simultaneous open", () => {
    const peer = new Peer();
    const sk = peer.net.connect(peer.ns, "192.168.77.99", 80);
    const syn = peer.one();
    peer.sport = 80;
    peer.dport = syn.sport;
    peer.send({ seq: 900, flags: SYN, options: writeOptions({ mss: 1460, sackOk: true, ts: [7, 0], wscale: 7 }) });
    const synAck = peer.one();
    expect(synAck).toMatchObject({ flags: SYN | ACK, seq: syn.seq, ack: 901 });
    const ts = readOptions(synAck.options).ts!;
    expect(ts[1]).toBe(7);
    peer.send({
      seq: 900,
      ack: syn.seq + 1,
      flags: SYN | ACK,
      options: writeOptions({ mss: 1460, sackOk: true, ts: [8, ts[0]], wscale: 7 }),
    });
    expect(peer.net.state(sk)).toBe(abi.TCP_ESTABLISHED);
  });

  test("a full accept queue drops", () => {
    const peer = new Peer();
    peer.net.listen(peer.ns, 81, 1);
    peer.dport = 81;
    for (let i = 0; i < 4; i++) {
      peer.sport = 41000 + i;
      peer.send({ seq: 100, flags: SYN, options: writeOptions({ mss: 1460 }) });
      const synAck = peer.sent().at(-1);
      if (synAck?.flags === (SYN | ACK) && synAck.dport === peer.sport)
        peer.send({ seq: 101, ack: synAck.seq + 1, flags: ACK });
    }
    expect(peer.net.drops(peer.hostId, abi.DROP_TCP_LISTEN_OVERFLOW)).toBeGreaterThanOrEqual(2);
  });
});

describe("resets", () => {
  test("to a closed port: of an ACK its ack as seq; of a SYN seq 0 and an ACK; never of an RST", () => {
    const peer = new Peer();
    peer.send({ seq: 77, ack: 4242, flags: ACK, data: pattern(3) });
    expect(peer.one()).toMatchObject({ flags: RST, seq: 4242, ack: 0, window: 0, ipid: 0, df: true, ttl: 64 });
    peer.send({ seq: 77, flags: SYN });
    expect(peer.one()).toMatchObject({ flags: RST | ACK, seq: 0, ack: 78, window: 0 });
    peer.send({ seq: 77, flags: FIN, data: pattern(5) });
    expect(peer.one()).toMatchObject({ flags: RST | ACK, seq: 0, ack: 83 });
    peer.send({ seq: 77, flags: RST });
    expect(peer.sent()).toEqual([]);
  });

  test("exactly at rcv_nxt kills; in the window a challenge ACK (one per 500 ms); outside nothing", () => {
    const p = new Passive();
    p.ack(p.una, { flags: RST, seq: p.seq + 100 });
    expect(p.one()).toMatchObject({ flags: ACK, seq: p.una, ack: p.seq });
    p.ack(p.una, { flags: RST, seq: p.seq + 100 });
    expect(p.sent()).toEqual([]);
    p.wait(600 * MS);
    p.ack(p.una, { flags: RST, seq: p.seq + 100 });
    expect(p.sent()).toHaveLength(1);
    p.wait(600 * MS);
    p.ack(p.una, { flags: RST, seq: p.seq - 10000 });
    expect(p.sent()).toEqual([]);
    expect(p.net.state(p.sk)).toBe(abi.TCP_ESTABLISHED);
    p.ack(p.una, { flags: RST });
    expect(p.net.state(p.sk)).toBe(abi.TCP_CLOSE);
    expect(p.net.x["sockTakeError"](p.sk)).toBe(abi.ECONNRESET);
  });

  test("a SYN on a connection is challenged", () => {
    const p = new Passive();
    p.send({ seq: p.seq + 5, flags: SYN, options: p.options() });
    expect(p.one()).toMatchObject({ flags: ACK, ack: p.seq });
    expect(p.net.state(p.sk)).toBe(abi.TCP_ESTABLISHED);
  });

  test("unread data at close: RST+ACK with timestamps, window and the socket's id", () => {
    const p = new Passive();
    p.data(100);
    const before = p.wait(100 * MS).at(-1)!;
    p.net.x["tcpClose"](p.sk);
    const rst = p.one();
    expect(rst.flags).toBe(RST | ACK);
    expect(rst.ipid).toBe((before.ipid + 1) & 0xffff);
    expect(readOptions(rst.options).ts).toBeDefined();
    expect(rst.window).toBeGreaterThan(0);
  });

  test("data after close: reset", () => {
    const p = new Passive();
    p.net.x["tcpClose"](p.sk);
    const fin = p.one();
    expect(fin.flags).toBe(FIN | ACK);
    p.una++;
    p.data(10);
    expect(p.sent().at(-1)).toMatchObject({ flags: RST, seq: p.una });
  });
});

describe("acknowledging", () => {
  test("at once while quick, for two segments and out of order; else after 40 ms", () => {
    const p = new Passive();
    // 16 quick ACKs at the start of a flow.
    for (let i = 0; i < 16; i++) {
      p.data(10);
      expect(p.sent(), `segment ${i}`).toHaveLength(1);
      p.net.read(p.sk);
    }
    p.data(10);
    expect(p.sent()).toEqual([]);
    const start = p.net.now;
    const late = p.wait(300 * MS);
    expect(late).toHaveLength(1);
    expect(late[0]!.time - start).toBe(40 * MS);
  });

  test("an ACK overtaken by a reply is not sent", () => {
    const p = new Passive();
    for (let i = 0; i < 17; i++) p.data(10);
    p.sent();
    p.wait(500 * MS);
    // A gap beyond the RTO starts quick ACKs again; use them up.
    for (let i = 0; i < 16; i++) p.data(10);
    p.sent();
    p.data(10);
    p.net.write(p.sk, pattern(5));
    const reply = p.sent();
    expect(reply.map((s) => [s.data.length, s.ack])).toEqual([[5, p.seq]]);
    // The reply carried the ACK: no other comes but the loss probe of the reply.
    expect(p.wait(100 * MS)).toEqual([]);
  });

  test("out of order: SACK with the newest block first, D-SACK for duplicates, ACK when the gap fills", () => {
    const p = new Passive();
    const base = p.seq;
    const put = (from: number, to: number) => {
      p.send({
        seq: base + from,
        ack: p.una,
        flags: ACK,
        window: 502,
        data: pattern(to - from, from),
        options: p.options(),
      });
      return readOptions(p.one().options).sack?.map(([a, b]) => [a - base, b - base]);
    };
    expect(put(100, 200)).toEqual([[100, 200]]);
    expect(put(300, 400)).toEqual([
      [300, 400],
      [100, 200],
    ]);
    expect(put(500, 600)).toEqual([
      [500, 600],
      [300, 400],
      [100, 200],
    ]);
    expect(put(700, 800)?.[0]).toEqual([700, 800]);
    expect(put(200, 300)?.[0]).toEqual([100, 400]);
    // A duplicate of data beyond the gap: D-SACK in front.
    expect(put(500, 600)?.slice(0, 2)).toEqual([
      [500, 600],
      [500, 600],
    ]);
    expect(put(0, 100)).toEqual([
      [500, 600],
      [700, 800],
    ]);
    // A duplicate of data that was delivered.
    expect(put(0, 50)?.[0]).toEqual([0, 50]);
    expect((p.net.read(p.sk) as Uint8Array).length).toBe(400);
    put(400, 500);
    put(600, 700);
    const rest = p.net.read(p.sk) as Uint8Array;
    expect(Buffer.from(rest).equals(Buffer.from(pattern(400, 400)))).toBe(true);
  });

  test("PAWS: an old timestamp is dropped and answered", () => {
    const p = new Passive();
    p.data(10);
    p.wait(100 * MS);
    p.send({ seq: p.seq, ack: p.una, flags: ACK, data: pattern(5), options: writeOptions({ ts: [1, p.tsecr] }) });
    expect(p.one()).toMatchObject({ flags: ACK, ack: p.seq });
    expect(p.net.drops(p.hostId, abi.DROP_TCP_PAWS)).toBe(1);
  });
});

describe("retransmission", () => {
  test("a tail loss probe first, then RTO, doubling", () => {
    const p = new Passive();
    p.net.write(p.sk, pattern(100));
    const first = p.sent()[0]!;
    const rto = p.net.info(p.sk)["rto"]! * 1000;
    const srtt = p.net.info(p.sk)["srtt"]! * 1000;
    const seen = p.wait(3 * SEC);
    const at = seen.map((s) => s.time - first.time);
    // One packet in flight: 2·srtt + 200 ms, or the RTO if that is sooner; then the RTO counts from the probe.
    const probe = Math.min(2 * srtt + 200 * MS, rto);
    expect(Math.abs(at[0]! - probe)).toBeLessThan(0.1 * MS);
    expect(at[1]! - at[0]!).toBeCloseTo(rto, -3);
    expect(at[2]! - at[1]!).toBeCloseTo(2 * rto, -3);
    expect(at[3]! - at[2]!).toBeCloseTo(4 * rto, -3);
    expect(seen.every((s) => s.seq === first.seq && s.data.length === 100)).toBe(true);
    expect(new Set(seen.map((s) => s.ipid)).size).toBe(seen.length);
  });

  test("gives up after the model time of 15 retries, 924.6 s", () => {
    const p = new Passive();
    p.net.write(p.sk, pattern(100));
    const start = p.net.now;
    p.wait(900 * SEC);
    expect(p.net.state(p.sk)).toBe(abi.TCP_ESTABLISHED);
    for (let i = 0; i < 20 && p.net.state(p.sk) !== abi.TCP_CLOSE; i++) p.wait(10 * SEC);
    const took = (p.net.now - start) / SEC;
    expect(took).toBeGreaterThan(924);
    expect(took).toBeLessThan(1060);
    expect(p.net.x["sockTakeError"](p.sk)).toBe(abi.ETIMEDOUT);
  });

  test("fast retransmit by SACK and RACK, no more than what is lost, cwnd by 717/1024", () => {
    const p = new Passive();
    const base = p.una;
    p.net.write(p.sk, pattern(10 * 1448));
    expect(offsets(p.see(p.sent()), base)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => i * 1448));
    p.wait(10 * MS);
    const end = (n: number) => base + n * 1448;
    // The first was lost: SACKs of 2, 3, 4.
    p.ack(base, { sack: [[end(1), end(2)]] });
    p.ack(base, { sack: [[end(1), end(3)]] });
    expect(p.sent()).toEqual([]);
    p.ack(base, { sack: [[end(1), end(4)]] });
    expect(offsets(p.see(p.sent()), base)).toEqual([0]);
    expect(p.net.info(p.sk)).toMatchObject({ caState: 3, ssthresh: 7, lost: 1, sacked: 3 });
    p.ack(end(10));
    expect(p.net.info(p.sk)).toMatchObject({ lost: 0, sacked: 0, unacked: 0 });
    expect(p.sent()).toEqual([]);
    // High sequence passed: Open again, window = ssthresh, and one more for the segments that this ACK covers.
    expect(p.net.info(p.sk)).toMatchObject({ caState: 0, cwnd: 8 });
  });

  test("a fast retransmit of a segment that was only late is undone (Eifel, by timestamps)", () => {
    const p = new Passive();
    const base = p.una;
    p.net.write(p.sk, pattern(10 * 1448));
    p.see(p.sent());
    p.wait(10 * MS);
    p.ack(base, { sack: [[base + 1448, base + 4 * 1448]] });
    expect(offsets(p.sent(), base)).toEqual([0]);
    expect(p.net.info(p.sk)).toMatchObject({ caState: 3, ssthresh: 7 });
    // The original arrives after all: the ACK echoes its timestamp, older than the retransmission.
    p.ack(base + 10 * 1448);
    expect(p.net.info(p.sk)).toMatchObject({ caState: 0, ssthresh: 0x7fffffff });
    expect(p.net.info(p.sk)["cwnd"]).toBeGreaterThanOrEqual(10);
  });

  test("a spurious timeout is undone (F-RTO)", () => {
    const p = new Passive();
    const base = p.una;
    p.net.write(p.sk, pattern(5 * 1448));
    const original = p.see(p.sent());
    const tsOriginal = p.tsecr;
    // Probe and timeout.
    const again = p.wait(700 * MS);
    expect(again.length).toBeGreaterThanOrEqual(2);
    expect(p.net.info(p.sk)).toMatchObject({ caState: 4, cwnd: 1 });
    p.tsecr = tsOriginal;
    p.ack(base + 5 * 1448);
    expect(original).toHaveLength(5);
    expect(p.net.info(p.sk)["caState"]).toBe(0);
    expect(p.net.info(p.sk)["cwnd"]).toBeGreaterThanOrEqual(10);
  });
});

describe("windows", () => {
  test("initial window 10; an ACK while it is the limit makes it 11", () => {
    const p = new Passive();
    p.net.write(p.sk, pattern(217));
    p.net.write(p.sk, pattern(20 * 1448));
    expect(p.see(p.sent()).map((s) => s.data.length)).toEqual([217, ...Array(9).fill(1448)]);
    p.wait(1 * MS);
    p.ack(p.una + 217);
    expect(p.sent().map((s) => s.data.length)).toEqual([1448, 1448]);
  });

  test("zero window: probes with backoff, data when it opens", () => {
    const p = new Passive();
    p.ack(p.una, { window: 0 });
    p.sent();
    p.net.write(p.sk, pattern(50));
    const start = p.net.now;
    expect(p.sent()).toEqual([]);
    const probes = p.wait(2 * SEC);
    expect(probes.length).toBeGreaterThanOrEqual(3);
    expect(probes.every((s) => s.seq === p.una - 1 && s.data.length === 0 && s.flags === ACK)).toBe(true);
    const gaps = probes.map((s) => s.time - start);
    expect(gaps[1]! - gaps[0]!).toBeCloseTo(2 * gaps[0]!, -6);
    p.ack(p.una, { window: 502 });
    expect(p.sent().map((s) => s.data.length)).toEqual([50]);
  });

  test("a program that doesn't read closes the window; reading opens it", () => {
    const p = new Passive();
    let window = 502;
    for (let i = 0; i < 200 && window > 0; i++) {
      p.data(1448, ACK);
      for (const s of p.wait(50 * MS)) window = s.window;
    }
    expect(window).toBeLessThan(12);
    while (typeof p.net.read(p.sk) !== "number");
    expect(p.sent().at(-1)!.window).toBeGreaterThan(100);
  });

  test("Nagle: one small segment in flight, unless TCP_NODELAY", () => {
    const p = new Passive();
    p.net.write(p.sk, pattern(10));
    p.net.write(p.sk, pattern(10));
    p.net.write(p.sk, pattern(10));
    expect(p.see(p.sent()).map((s) => s.data.length)).toEqual([10]);
    p.una += 10;
    p.ack();
    expect(p.see(p.sent()).map((s) => s.data.length)).toEqual([20]);
    p.una += 20;
    p.ack();
    p.net.x["tcpSetNoDelay"](p.sk, 1);
    p.net.write(p.sk, pattern(10));
    p.net.write(p.sk, pattern(10));
    expect(p.sent().map((s) => s.data.length)).toEqual([10, 10]);
  });
});

describe("closing", () => {
  const fourWay = () => {
    const p = new Passive();
    p.net.x["tcpClose"](p.sk);
    const fin = p.see([p.one()])[0]!;
    expect(fin).toMatchObject({ flags: FIN | ACK, seq: p.una });
    p.una++;
    p.ack();
    expect(p.sent()).toEqual([]);
    p.ack(p.una, { flags: FIN | ACK });
    p.seq++;
    return p;
  };

  test("active close: FIN_WAIT2 as a small record, TIME_WAIT for 60 s, its ACK with id 0", () => {
    const p = fourWay();
    expect(p.one()).toMatchObject({ flags: ACK, ack: p.seq, seq: p.una, ipid: 0, df: true });
    p.wait(1 * SEC);
    // The FIN again restarts the 60 s and is answered.
    p.ack(p.una, { flags: FIN | ACK, seq: p.seq - 1 });
    expect(p.one()).toMatchObject({ flags: ACK, ack: p.seq });
    p.wait(59 * SEC);
    expect(p.net.x["tcpDump"](p.ns, 0)).toBe(2);
    p.wait(2 * SEC);
    expect(p.net.x["tcpDump"](p.ns, 0)).toBe(1);
  });

  test("TIME_WAIT: a new SYN with a higher sequence takes over, ISN = old snd_nxt + 65537", () => {
    const p = fourWay();
    p.sent();
    p.wait(1 * SEC);
    p.send({ seq: p.seq + 1000, flags: SYN, options: writeOptions({ ...SYN_OPTIONS, ts: [999999, 0] }) });
    expect(p.one()).toMatchObject({ flags: SYN | ACK, seq: (p.una + 65537) >>> 0, ack: p.seq + 1001 });
  });

  test("TIME_WAIT: RST in place kills it", () => {
    const p = fourWay();
    p.sent();
    p.ack(p.una, { flags: RST });
    expect(p.net.x["tcpDump"](p.ns, 0)).toBe(1);
  });

  test("orphan in FIN_WAIT2 ends after 60 s", () => {
    const p = new Passive();
    p.net.x["tcpClose"](p.sk);
    p.sent();
    p.una++;
    p.ack();
    p.wait(59 * SEC);
    expect(p.net.x["tcpDump"](p.ns, 0)).toBe(2);
    p.wait(2 * SEC);
    expect(p.net.x["tcpDump"](p.ns, 0)).toBe(1);
  });

  test("passive close: CLOSE_WAIT, end of stream, LAST_ACK, gone", () => {
    const p = new Passive();
    p.data(20, FIN | ACK | PSH);
    expect(p.net.state(p.sk)).toBe(abi.TCP_CLOSE_WAIT);
    expect(p.net.read(p.sk)).toHaveLength(20);
    expect(p.net.read(p.sk)).toBe(0);
    p.wait(60 * MS);
    expect(p.net.write(p.sk, pattern(5))).toBe(5);
    expect(p.one().data.length).toBe(5);
    p.una += 5;
    p.ack();
    p.net.x["tcpClose"](p.sk);
    expect(p.one()).toMatchObject({ flags: FIN | ACK, seq: p.una, ack: p.seq });
    p.una++;
    p.ack();
    expect(p.net.x["tcpDump"](p.ns, 0)).toBe(1);
    expect(p.wait(SEC)).toEqual([]);
  });

  test("shutdown sends FIN and still reads", () => {
    const p = new Passive();
    p.net.x["tcpShutdown"](p.sk);
    expect(p.one().flags).toBe(FIN | ACK);
    expect(p.net.write(p.sk, pattern(1))).toBe(-abi.EPIPE);
    p.una++;
    p.ack();
    expect(p.net.state(p.sk)).toBe(abi.TCP_FIN_WAIT2);
    p.data(30);
    expect(p.net.read(p.sk)).toHaveLength(30);
  });

  test("keepalive: probe after the idle time, reset after the last", () => {
    const p = new Passive();
    p.net.x["tcpSetKeepalive"](p.sk, 1, 10 * SEC, 5 * SEC, 3);
    const start = p.net.now;
    const seen = p.wait(60 * SEC);
    expect(seen.map((s) => Math.round((s.time - start) / SEC))).toEqual([10, 15, 20, 25]);
    expect(seen.map((s) => s.flags)).toEqual([ACK, ACK, ACK, RST | ACK]);
    expect(seen[0]!.seq).toBe(p.una - 1);
    expect(p.net.x["sockTakeError"](p.sk)).toBe(abi.ETIMEDOUT);
  });
});

describe("ICMP", () => {
  const error = (peer: Peer, quoted: Segment, type: number, code: number, mtu = 0) => {
    const tcp = new Uint8Array(8);
    const view = new DataView(tcp.buffer);
    view.setUint16(0, quoted.sport);
    view.setUint16(2, quoted.dport);
    view.setUint32(4, quoted.seq);
    const inner = makeIp({ src: "192.168.77.11", dst: "192.168.77.99", protocol: 6, payload: tcp });
    const message = new Uint8Array(8 + inner.length);
    message.set([type, code, 0, 0, 0, 0, mtu >> 8, mtu & 255]);
    message.set(inner, 8);
    const check = checksum(message);
    message.set([check >> 8, check & 255], 2);
    peer.raw(makeIp({ src: "192.168.77.99", dst: "192.168.77.11", protocol: 1, payload: message }));
    peer.net.run(0);
  };

  test("host unreachable in SYN_SENT ends the connect", () => {
    const peer = new Peer();
    const sk = peer.net.connect(peer.ns, "192.168.77.99", 80);
    error(peer, peer.one(), 3, 1);
    expect(peer.net.state(sk)).toBe(abi.TCP_CLOSE);
    expect(peer.net.x["sockTakeError"](sk)).toBe(abi.EHOSTUNREACH);
  });

  test("on a connection it is a soft error; a wrong sequence is ignored", () => {
    const p = new Passive();
    p.net.write(p.sk, pattern(10));
    const seg = p.one();
    error(p, seg, 3, 3);
    expect(p.net.state(p.sk)).toBe(abi.TCP_ESTABLISHED);
    error(p, { ...seg, seq: seg.seq - 100000 }, 3, 4, 600);
    expect(p.net.info(p.sk)["pmtu"]).toBe(1500);
  });

  test("fragmentation needed: smaller MSS, and the data again at once", () => {
    const p = new Passive();
    const base = p.una;
    p.net.write(p.sk, pattern(3 * 1448));
    const seg = p.see(p.sent())[0]!;
    error(p, seg, 3, 4, 1000);
    const again = p.sent();
    expect(p.net.info(p.sk)).toMatchObject({ pmtu: 1000, mss: 948 });
    expect(again.length).toBeGreaterThan(0);
    expect(again.every((s) => s.data.length <= 948)).toBe(true);
    expect(again[0]!.seq).toBe(base);
  });
});
