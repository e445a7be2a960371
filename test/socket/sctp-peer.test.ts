/** SCTP against a peer made by hand: cookies, tags, what comes out of the blue, gaps, malformed packets. */
import { describe, expect, test } from "vitest";
import * as abi from "../../assembly/abi.ts";
import {
  ABORT,
  type Chunk,
  COOKIE_ACK,
  COOKIE_ECHO,
  chunk,
  DATA,
  ERROR,
  HEARTBEAT,
  INIT,
  INIT_ACK,
  ip,
  join,
  MS,
  makeIp,
  makeSctp,
  type Packet,
  pattern,
  SACK,
  SctpNet,
  SEC,
  SHUTDOWN,
  SHUTDOWN_ACK,
  SHUTDOWN_COMPLETE,
  words,
} from "./sctp-net.ts";

const B = 2;
const E = 1;
const U = 4;
const T = 1;
const PEER_TAG = 0x11223344;
const PEER_TSN = 1000;

/** A peer at 192.168.77.99, whose packets the test writes; the host listens on 9999. */
class Peer {
  readonly net = new SctpNet();
  readonly ns: number;
  readonly host: number;
  readonly listener: number;
  readonly #point: number;
  #order = 0;
  sport = 5000;
  dport = 9999;
  /** The host's tag and the cookie, once known. */
  tag = 0;
  tsn = 0;
  cookie: Uint8Array = new Uint8Array(0);
  sk = 0;

  constructor() {
    this.host = this.net.host();
    this.ns = this.net.root(this.host);
    this.net.lo(this.ns);
    const dev = this.net.nic(this.host, "192.168.77.11");
    this.#point = this.net.capture(dev);
    this.net.x["portSet"](0, 0, 50_000, 1e15, 0, 1e9, 0);
    this.net.x["portNew"](0, 1, 1, 0x5254, 0x00990099, 50_000, 1e10);
    this.net.x["neighAdd"](dev, ip("192.168.77.99"), 0x5254, 0x00990099, abi.NUD_PERMANENT, 1);
    this.listener = this.net.listen(this.ns, 9999);
  }

  raw(payload: Uint8Array): void {
    const packet = makeIp({ src: "192.168.77.99", dst: "192.168.77.11", protocol: 132, payload });
    const frame = new Uint8Array(14 + packet.length);
    frame.set([0x52, 0x54, 0x00, 0x77, 0x4d, 0x0b, 0x52, 0x54, 0x00, 0x99, 0x00, 0x99, 0x08, 0x00]);
    frame.set(packet, 14);
    const now = this.net.now;
    const order = ++this.#order;
    const at = this.net.x["wireImport"](0, Math.floor(now / 2 ** 32), now >>> 0, 0, order, frame.length, 0) as number;
    this.net.k.put(at, frame);
    this.net.run(0);
  }

  send(tag: number, ...chunks: Uint8Array[]): void {
    this.raw(makeSctp(this.sport, this.dport, tag, chunks));
  }

  sent(): Packet[] {
    const packets = this.net.packets(this.#point).filter((packet) => packet.dir === 2);
    expect(packets.every((packet) => packet.checksumOk)).toBe(true);
    return packets;
  }

  texts(): string[] {
    return this.sent().map((packet) => packet.text);
  }

  one(): { packet: Packet; chunk: Chunk } {
    const all = this.sent();
    if (all.length !== 1) throw new Error(`${all.length} packets: ${all.map((packet) => packet.text)}`);
    return { packet: all[0] as Packet, chunk: all[0]?.chunks[0] as Chunk };
  }

  wait(ns: number): Packet[] {
    this.net.run(ns);
    return this.sent();
  }

  init(
    tag = PEER_TAG,
    rwnd = 65_536,
    out = 5,
    into = 7,
    tsn = PEER_TSN,
    params: Uint8Array = new Uint8Array(0),
  ): Uint8Array {
    return chunk(INIT, join(words(tag, rwnd, out * 65_536 + into, tsn), params));
  }

  /** INIT, and what INIT ACK tells. */
  begin(init = this.init()): void {
    this.send(0, init);
    const { packet, chunk: ack } = this.one();
    expect(packet).toMatchObject({ text: "INIT-ACK", tag: PEER_TAG });
    this.tag = ack.view.getUint32(0);
    this.tsn = ack.view.getUint32(12);
    expect(ack.view.getUint16(16)).toBe(7);
    this.cookie = ack.body.slice(20, 16 + ack.view.getUint16(18));
  }

  /** An association with the host, the peer its active side. */
  open(): this {
    this.begin();
    this.send(this.tag, chunk(COOKIE_ECHO, this.cookie));
    expect(this.texts()).toEqual(["COOKIE-ACK"]);
    this.sk = this.net.x["sctpAccept"](this.listener) as number;
    expect(this.sk).toBeGreaterThan(0);
    return this;
  }

  data(offset: number, length: number, flags = B | E, stream = 0, ssn = 0, ppid = 0): Uint8Array {
    return chunk(DATA, join(words(PEER_TSN + offset, stream * 65_536 + ssn, ppid), pattern(length, offset)), flags);
  }

  sack(offset: number, rwnd = 65_536, gaps: readonly [number, number][] = []): Uint8Array {
    const blocks = gaps.map(([start, end]) => start * 65_536 + end);
    return chunk(SACK, words(this.tsn + offset, rwnd, gaps.length * 65_536, ...blocks));
  }

  state(): number {
    return this.net.state(this.sk);
  }
}

/** A SACK's cumulative TSN (from the peer's first one), window, gaps and duplicates. */
function readSack({ view }: Chunk): { ctsn: number; rwnd: number; gaps: number[][]; dups: number[] } {
  const [gaps, dups] = [view.getUint16(8), view.getUint16(10)];
  return {
    ctsn: view.getUint32(0) - PEER_TSN,
    rwnd: view.getUint32(4),
    gaps: Array.from({ length: gaps }, (_, i) => [view.getUint16(12 + 4 * i), view.getUint16(14 + 4 * i)]),
    dups: Array.from({ length: dups }, (_, i) => view.getUint32(12 + 4 * (gaps + i)) - PEER_TSN),
  };
}

describe("out of the blue", () => {
  const to = (...chunks: Uint8Array[]) => {
    const peer = new Peer();
    peer.dport = 9;
    peer.send(77, ...chunks);
    return peer;
  };

  test("ABORT with T and the tag that came; SHUTDOWN ACK gets SHUTDOWN COMPLETE; some get nothing", () => {
    const data = to(chunk(DATA, join(words(1, 0, 0), pattern(4)), B | E)).one();
    expect(data).toMatchObject({ packet: { text: "ABORT", tag: 77, sport: 9, dport: 5000 }, chunk: { flags: T } });
    expect(to(chunk(SHUTDOWN_ACK)).one()).toMatchObject({
      packet: { text: "SHUTDOWN-COMPLETE", tag: 77 },
      chunk: { flags: T },
    });
    for (const type of [ABORT, SHUTDOWN_COMPLETE, COOKIE_ACK]) expect(to(chunk(type)).texts()).toEqual([]);
    expect(to(chunk(ERROR, words(0x0003_0008, 5))).texts()).toEqual([]);
    const peer = to(chunk(HEARTBEAT, words(0x0001_0008, 5)));
    expect(peer.texts()).toEqual(["ABORT"]);
    expect(peer.net.drops(peer.host, abi.DROP_SCTP_NO_SOCKET)).toBe(1);
  });

  test("an INIT to nobody: ABORT with its tag, without T; one with a tag or company is refused", () => {
    const peer = new Peer();
    peer.dport = 9;
    peer.send(0, peer.init());
    expect(peer.one()).toMatchObject({ packet: { text: "ABORT", tag: PEER_TAG }, chunk: { flags: 0 } });
    peer.dport = 9999;
    peer.send(5, peer.init());
    expect(peer.one()).toMatchObject({ packet: { text: "ABORT", tag: 5 }, chunk: { flags: T } });
    peer.send(0, peer.init(), chunk(DATA, words(1, 0, 0, 5), B | E));
    expect(peer.texts()).toEqual([]);
  });

  test("a wrong checksum is dropped and counted", () => {
    const peer = new Peer();
    const bytes = makeSctp(5000, 9999, 0, [peer.init()]);
    bytes[20] = (bytes[20] as number) ^ 1;
    peer.raw(bytes);
    expect(peer.texts()).toEqual([]);
    expect(peer.net.drops(peer.host, abi.DROP_SCTP_CSUM)).toBe(1);
  });
});

describe("handshake", () => {
  test("INIT keeps nothing; INIT ACK bounds the streams by the peer's", () => {
    const peer = new Peer();
    peer.begin();
    const flip = () => {
      for (let i = 0; i < 2; i++) peer.net.x["outboxFlip"](); // frees what has left
    };
    flip();
    const held = peer.net.x["blocksHeld"]() as number;
    for (let i = 0; i < 50; i++) {
      peer.sport = 6000 + i;
      peer.send(0, peer.init());
      expect(peer.one().chunk.view.getUint32(8)).toBe(7 * 65_536 + 5);
    }
    flip();
    expect(peer.net.x["blocksHeld"]()).toBe(held);
  });

  test("mandatory fields that are wrong: ABORT, cause 7", () => {
    const peer = new Peer();
    for (const bad of [peer.init(PEER_TAG, 1499), peer.init(PEER_TAG, 65_536, 0), peer.init(PEER_TAG, 65_536, 5, 0)]) {
      peer.send(0, bad);
      const { packet, chunk: abort } = peer.one();
      expect([packet.text, packet.tag, abort.view.getUint16(0)]).toEqual(["ABORT", PEER_TAG, 7]);
    }
  });

  test("parameters that nobody knows: reported, skipped or the end, as their highest bits say", () => {
    const peer = new Peer();
    const unknown = (type: number) => Uint8Array.of(type >> 8, type & 255, 0, 5, 9, 0, 0, 0);
    const reported = (...types: number[]) => {
      peer.send(0, peer.init(PEER_TAG, 65_536, 5, 7, PEER_TSN, join(...types.map(unknown))));
      const { body, view } = peer.one().chunk;
      const out: number[] = [];
      for (let at = 16; at + 4 <= body.length; at += (view.getUint16(at + 2) + 3) & ~3)
        if (view.getUint16(at) === 8) out.push(view.getUint16(at + 4));
      return out;
    };
    expect(reported(0xc123, 0x8123, 0xc124)).toEqual([0xc123, 0xc124]);
    expect(reported(0x4123, 0xc124)).toEqual([0x4123]);
    expect(reported(0x0123, 0xc124)).toEqual([]);
    expect(reported(0xc000)).toEqual([0xc000]); // forward TSN
    expect(reported(0x8000)).toEqual([]); // ECN
  });

  test("a cookie that was changed, or of another address or port, is dropped silently", () => {
    const peer = new Peer();
    peer.begin();
    for (let i = 0; i < peer.cookie.length; i += 3) {
      const changed = peer.cookie.slice();
      changed[i] = (changed[i] as number) ^ 4;
      peer.send(peer.tag, chunk(COOKIE_ECHO, changed));
    }
    peer.sport = 5001;
    peer.send(peer.tag, chunk(COOKIE_ECHO, peer.cookie));
    peer.sport = 5000;
    peer.send(peer.tag, chunk(COOKIE_ECHO, peer.cookie.slice(0, 60)));
    expect(peer.texts()).toEqual([]);
    expect(peer.net.drops(peer.host, abi.DROP_SCTP_COOKIE)).toBe(Math.ceil(peer.cookie.length / 3) + 2);
    peer.send(peer.tag ^ 1, chunk(COOKIE_ECHO, peer.cookie));
    expect(peer.texts()).toEqual([]);
    expect(peer.net.x["sctpAccept"](peer.listener)).toBe(-abi.EAGAIN);
  });

  test("a stale cookie: ERROR with cause 3 and how late, in µs", () => {
    const peer = new Peer();
    peer.begin();
    peer.wait(61.5 * SEC);
    peer.send(peer.tag, chunk(COOKIE_ECHO, peer.cookie));
    const { packet, chunk: error } = peer.one();
    expect([packet.text, packet.tag]).toEqual(["ERROR", PEER_TAG]);
    expect([error.view.getUint16(0), error.view.getUint16(2), error.view.getUint32(4)]).toEqual([3, 8, 1_500_000]);
    expect(peer.net.x["sctpAccept"](peer.listener)).toBe(-abi.EAGAIN);
  });

  test("data may come with the cookie", () => {
    const peer = new Peer();
    peer.begin();
    peer.send(peer.tag, chunk(COOKIE_ECHO, peer.cookie), peer.data(0, 8));
    expect(peer.texts()).toEqual(["COOKIE-ACK", "SACK"]);
    const sk = peer.net.x["sctpAccept"](peer.listener) as number;
    expect(peer.net.read(sk)).toMatchObject({ data: pattern(8), end: true });
  });

  test("the client's side: answers INIT ACK, gives up on one without a cookie, tries again after a stale one", () => {
    const peer = new Peer();
    const connect = () => {
      const sk = peer.net.connect(peer.ns, "192.168.77.99", 80);
      const { packet, chunk: init } = peer.one();
      peer.sport = 80;
      peer.dport = packet.sport;
      return { sk, tag: init.view.getUint32(0) };
    };
    const first = connect();
    peer.send(first.tag, chunk(INIT_ACK, words(PEER_TAG, 65_536, 0x0005_0005, PEER_TSN)));
    const refused = peer.one();
    expect([refused.packet.text, refused.packet.tag, refused.chunk.view.getUint16(0)]).toEqual(["ABORT", PEER_TAG, 2]);
    expect(peer.net.error(first.sk)).toBe(abi.ECONNABORTED);
    const second = connect();
    const cookie = words(0x0007_0008, 0xdeadbeef);
    const ack = chunk(INIT_ACK, join(words(PEER_TAG, 65_536, 0x0005_0005, PEER_TSN), cookie));
    peer.send(second.tag ^ 1, ack); // another tag: not for it
    expect(peer.texts()).toEqual([]);
    peer.send(second.tag, ack);
    expect([...peer.one().chunk.body]).toEqual([0xde, 0xad, 0xbe, 0xef]);
    peer.send(second.tag, chunk(ERROR, words(0x0003_0008, 5)));
    expect(peer.texts()).toEqual(["INIT"]);
    peer.send(second.tag, ack);
    expect(peer.texts()).toEqual(["COOKIE-ECHO"]);
    peer.send(second.tag, chunk(COOKIE_ACK));
    expect(peer.net.state(second.sk)).toBe(abi.SCTP_ESTABLISHED);
  });

  test("a peer that has restarted begins anew on the same socket", () => {
    const peer = new Peer().open();
    const old = peer.tag;
    peer.begin(peer.init(PEER_TAG, 65_536, 5, 7, PEER_TSN));
    expect(peer.tag).not.toBe(old);
    // The same tag of its own: that is no restart, and no duplicate either.
    peer.send(peer.tag, chunk(COOKIE_ECHO, peer.cookie));
    expect(peer.texts()).toEqual([]);
    peer.send(0, peer.init(PEER_TAG + 1));
    const ack = peer.one().chunk;
    peer.tag = ack.view.getUint32(0);
    peer.send(peer.tag, chunk(COOKIE_ECHO, ack.body.slice(20, 16 + ack.view.getUint16(18))));
    expect(peer.one().packet).toMatchObject({ text: "COOKIE-ACK", tag: PEER_TAG + 1 });
    peer.send(peer.tag, peer.data(0, 5));
    expect(peer.net.read(peer.sk)).toMatchObject({ data: pattern(5) });
    peer.send(old, chunk(ABORT));
    expect(peer.state()).toBe(abi.SCTP_ESTABLISHED);
  });

  test("both open at once: one association", () => {
    const peer = new Peer();
    const sk = peer.net.x["sctpOpen"](peer.ns) as number;
    expect(peer.net.x["sctpBind"](sk, 0, 7000)).toBe(0);
    expect(peer.net.x["sctpConnect"](sk, ip("192.168.77.99"), 5000)).toBe(0);
    const own = peer.one().chunk.view.getUint32(0);
    peer.dport = 7000;
    peer.begin();
    expect(peer.tag).toBe(own);
    peer.send(peer.tag, chunk(COOKIE_ECHO, peer.cookie));
    expect(peer.texts()).toEqual(["COOKIE-ACK"]);
    expect(peer.net.state(sk)).toBe(abi.SCTP_ESTABLISHED);
  });
});

describe("receiving", () => {
  test("gaps and duplicates are told at once; order is kept; unordered ones don't wait", () => {
    const peer = new Peer().open();
    peer.send(peer.tag, peer.data(0, 4, B | E, 0, 0));
    expect(readSack(peer.one().chunk)).toMatchObject({ ctsn: 0, gaps: [], dups: [] });
    peer.send(peer.tag, peer.data(3, 4, B | E, 0, 2), peer.data(5, 4, B | E | U));
    expect(readSack(peer.one().chunk)).toMatchObject({
      ctsn: 0,
      gaps: [
        [3, 3],
        [5, 5],
      ],
    });
    expect(peer.net.read(peer.sk)).toMatchObject({ data: pattern(4), ssn: 0 });
    expect(peer.net.read(peer.sk)).toMatchObject({ data: pattern(4, 5), unordered: true });
    expect(peer.net.read(peer.sk)).toBe(-abi.EAGAIN);
    peer.send(peer.tag, peer.data(3, 4, B | E, 0, 2), peer.data(0, 4));
    expect(readSack(peer.one().chunk).dups).toEqual([3, 0]);
    // The missing message, in two fragments, the last one first.
    peer.send(peer.tag, peer.data(2, 4, E, 0, 1));
    expect(peer.net.read(peer.sk)).toBe(-abi.EAGAIN);
    peer.send(peer.tag, peer.data(1, 4, B, 0, 1));
    expect(peer.net.read(peer.sk)).toMatchObject({ data: join(pattern(4, 1), pattern(4, 2)), ssn: 1, end: true });
    expect(peer.net.read(peer.sk)).toMatchObject({ data: pattern(4, 3), ssn: 2 });
    expect(readSack(peer.sent().at(-1)?.chunks[0] as Chunk)).toMatchObject({ ctsn: 3, gaps: [[2, 2]] });
  });

  test("streams don't wait for each other; a stream that there is not is an error", () => {
    const peer = new Peer().open();
    peer.send(peer.tag, peer.data(0, 4, B | E, 1, 1), peer.data(1, 4, B | E, 2, 0));
    expect(peer.net.read(peer.sk)).toMatchObject({ stream: 2, ssn: 0 });
    expect(peer.net.read(peer.sk)).toBe(-abi.EAGAIN);
    peer.sent();
    peer.send(peer.tag, peer.data(2, 4, B | E, 5, 0));
    const [error] = peer.sent();
    expect([error?.text, error?.chunks[0]?.view.getUint16(0), error?.chunks[0]?.view.getUint16(4)]).toEqual([
      "ERROR",
      1,
      5,
    ]);
    expect(peer.state()).toBe(abi.SCTP_ESTABLISHED);
  });

  test("DATA without data: ABORT, cause 9 and the TSN", () => {
    const peer = new Peer().open();
    peer.send(peer.tag, peer.data(0, 0));
    const { packet, chunk: abort } = peer.one();
    expect([packet.text, abort.view.getUint16(0), abort.view.getUint32(4)]).toEqual(["ABORT", 9, PEER_TSN]);
    expect(peer.net.read(peer.sk)).toBe(-abi.ECONNABORTED);
  });

  test("the window closes as nobody reads, and opens by itself when somebody does", () => {
    const peer = new Peer().open();
    let rwnd = 106_496;
    let at = 0;
    for (; rwnd > 0 && at < 200; at++) {
      peer.send(peer.tag, peer.data(at, 1400, B | E, 0, at));
      const sack = peer.sent().at(-1)?.chunks[0];
      if (sack !== undefined) rwnd = readSack(sack).rwnd;
      peer.net.run(300 * MS);
      rwnd = Math.min(rwnd, ...peer.sent().map((packet) => readSack(packet.chunks[0] as Chunk).rwnd));
    }
    expect(at).toBe(77); // 106496 / 1400, and what spills over
    peer.send(peer.tag, peer.data(at, 1400, B | E, 0, at));
    expect(readSack(peer.one().chunk)).toMatchObject({ ctsn: at - 1, rwnd: 0 });
    for (let i = 0; i < 20; i++) expect(peer.net.read(peer.sk)).toMatchObject({ ssn: i });
    expect(readSack(peer.sent().at(0)?.chunks[0] as Chunk).rwnd).toBeGreaterThan(13_000);
  });
});

describe("sending", () => {
  test("three reports of a gap: sent again at once, once", () => {
    const peer = new Peer().open();
    peer.net.x["sctpSetNoDelay"](peer.sk, 1);
    for (let i = 0; i < 6; i++) peer.net.write(peer.sk, pattern(100, i));
    const sent = peer.sent();
    expect(sent.length).toBe(6);
    for (let i = 1; i < 3; i++) {
      peer.send(peer.tag, peer.sack(-1, 65_536, [[2, i + 1]]));
      expect(peer.texts()).toEqual([]);
    }
    peer.send(peer.tag, peer.sack(-1, 65_536, [[2, 4]]));
    const again = peer.one().chunk;
    expect(again.view.getUint32(0)).toBe(peer.tsn);
    peer.send(peer.tag, peer.sack(-1, 65_536, [[2, 5]]));
    expect(peer.texts()).toEqual([]);
    peer.send(peer.tag, peer.sack(5));
    expect(peer.net.info(peer.sk)).toMatchObject({ unacked: 0, retrans: 1 });
    expect(peer.net.x["sctpUnacked"](peer.sk)).toBe(0);
  });

  test("a closed window is probed with one chunk; the answers keep the association alive", () => {
    const peer = new Peer().open();
    peer.net.write(peer.sk, pattern(10));
    peer.send(peer.tag, peer.sack(0, 0));
    peer.sent();
    peer.net.write(peer.sk, pattern(10));
    peer.net.write(peer.sk, pattern(10));
    expect(peer.texts()).toEqual(["DATA"]);
    let probes = 0;
    for (let i = 0; i < 20; i++) {
      const packets = peer.wait(61 * SEC).filter((packet) => packet.text === "DATA");
      probes += packets.length;
      peer.send(peer.tag, peer.sack(0, 0));
      peer.sent();
    }
    expect(probes).toBeGreaterThan(15);
    expect(peer.state()).toBe(abi.SCTP_ESTABLISHED);
    peer.send(peer.tag, peer.sack(1, 65_536));
    expect(peer.texts()).toEqual(["DATA"]);
  });

  test("what was never sent cannot be acknowledged: ABORT", () => {
    const peer = new Peer().open();
    peer.net.write(peer.sk, pattern(10));
    peer.sent();
    peer.send(peer.tag, peer.sack(5));
    expect(peer.one().chunk.view.getUint16(0)).toBe(13);
    expect(peer.state()).toBe(abi.SCTP_CLOSED);
  });
});

describe("tags and chunks", () => {
  test("another tag is dropped; ABORT and SHUTDOWN COMPLETE may have the peer's own, with T", () => {
    const peer = new Peer().open();
    peer.send(peer.tag ^ 1, peer.data(0, 4));
    peer.send(PEER_TAG, chunk(ABORT));
    peer.send(peer.tag, chunk(ABORT, new Uint8Array(0), T));
    expect(peer.net.drops(peer.host, abi.DROP_SCTP_VTAG)).toBe(3);
    expect(peer.state()).toBe(abi.SCTP_ESTABLISHED);
    peer.send(PEER_TAG, chunk(ABORT, new Uint8Array(0), T));
    expect(peer.state()).toBe(abi.SCTP_CLOSED);
    expect(peer.net.error(peer.sk)).toBe(abi.ECONNRESET);
    expect(peer.texts()).toEqual([]);
  });

  test("HEARTBEAT comes back; chunks that nobody knows are skipped or reported", () => {
    const peer = new Peer().open();
    const info = join(words(0x0001_0009), pattern(5));
    peer.send(peer.tag, chunk(HEARTBEAT, info));
    const { packet, chunk: answer } = peer.one();
    expect([packet.text, answer.body]).toEqual(["HEARTBEAT-ACK", info]);
    peer.send(peer.tag, chunk(0xc0, pattern(4)), peer.data(0, 4));
    expect(peer.texts()).toEqual(["ERROR", "SACK"]);
    peer.send(peer.tag, chunk(0x80, pattern(4)), chunk(HEARTBEAT, info));
    expect(peer.texts()).toEqual(["HEARTBEAT-ACK"]);
    peer.send(peer.tag, chunk(0x40, pattern(4)), chunk(HEARTBEAT, info));
    expect(peer.texts()).toEqual(["ERROR"]);
    peer.send(peer.tag, chunk(0x30, pattern(4)), chunk(HEARTBEAT, info));
    expect(peer.texts()).toEqual([]);
  });

  test("SHUTDOWN: what is outstanding first, then SHUTDOWN ACK, again after an RTO; a lost end is said again", () => {
    const peer = new Peer().open();
    peer.net.write(peer.sk, pattern(10));
    peer.sent();
    peer.send(peer.tag, chunk(SHUTDOWN, words(PEER_TSN - 1 - PEER_TSN + peer.tsn)));
    expect(peer.texts()).toEqual([]);
    expect(peer.state()).toBe(abi.SCTP_SHUTDOWN_RECEIVED);
    expect(peer.net.read(peer.sk)).toBe(0);
    peer.send(peer.tag, peer.sack(0));
    expect(peer.texts()).toEqual(["SHUTDOWN-ACK"]);
    expect(peer.wait(1.1 * SEC).map((packet) => packet.text)).toEqual(["SHUTDOWN-ACK"]);
    // The peer has forgotten it all and begins anew: the end once more.
    peer.send(0, peer.init(PEER_TAG + 5));
    expect(peer.texts()).toEqual(["SHUTDOWN-ACK"]);
    peer.send(PEER_TAG, chunk(SHUTDOWN_COMPLETE, new Uint8Array(0), T));
    expect(peer.state()).toBe(abi.SCTP_CLOSED);
  });

  test("chunks whose lengths lie are left; the association stays or is aborted, nothing traps", () => {
    const peer = new Peer().open();
    const cut = peer.data(0, 20);
    new DataView(cut.buffer).setUint16(2, 400);
    peer.send(peer.tag, cut);
    expect(peer.net.drops(peer.host, abi.DROP_SCTP_CHUNK)).toBe(1);
    expect(peer.state()).toBe(abi.SCTP_ESTABLISHED);
    peer.send(peer.tag, chunk(SACK, words(0)));
    expect(peer.state()).toBe(abi.SCTP_CLOSED);
  });
});
