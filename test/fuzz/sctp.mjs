/** SCTP associations between the fuzzer's hosts, and packets for them whose tags and TSNs are right often enough. */
import { abi } from "../bench/kernel.mjs";
import { Mutator } from "./mutate.mjs";

const PORT = 5000;
const TYPES = [0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 1, 2, 4, 4, 5, 7, 8, 9, 9, 10, 11, 14, 192, 64, 128, 50];

function crc32c(bytes, from) {
  let crc = 0xffffffff;
  for (let at = from; at < bytes.length; at++) {
    crc ^= bytes[at];
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function ipChecksum(bytes) {
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += at === 24 ? 0 : (bytes[at] << 8) | bytes[at + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export class Associations {
  #kernel;
  #sides;
  #chance;
  #listeners = [];
  #sockets = [];
  #made = 0;
  #messages = 0;
  #failed = 0;

  constructor(kernel, sides, seed) {
    this.#kernel = kernel;
    this.#sides = sides;
    this.#chance = new Mutator(seed + 7777);
    for (const side of sides) this.#listeners.push({ side, sk: this.#listen(side) });
  }

  #listen(side) {
    const { x } = this.#kernel;
    const sk = x.sctpOpen(side.container);
    if (x.sctpBind(sk, 0, PORT) !== 0 || x.sctpListen(sk, 8) !== 0) throw new Error("no SCTP listener");
    return sk;
  }

  /** Programs that connect, send, read, and close one way or the other. */
  serve() {
    const { x } = this.#kernel;
    const c = this.#chance;
    for (let i = c.below(4); i >= 0; i--) {
      const which = c.below(2);
      const sk = x.sctpOpen(this.#sides[which].container);
      // To the other host, or by the loopback, which is never down.
      const to = this.#sides[c.below(2) === 0 ? which : 1 - which];
      x.sctpConnect(sk, to.ip, c.below(8) === 0 ? 5001 : PORT);
      this.#sockets.push({ side: this.#sides[which], sk });
    }
    // The handshakes get through before anybody disturbs them.
    if (c.below(4) > 0) this.#kernel.run(x.time() + 2_000_000);
    for (const { side, sk } of this.#listeners) {
      for (let child = x.sctpAccept(sk); child > 0; child = x.sctpAccept(sk)) {
        this.#sockets.push({ side, sk: child });
        this.#made++;
      }
    }
    for (const { sk } of this.#sockets) {
      for (let i = c.below(4); i > 0; i--)
        x.sctpSend(sk, this.#kernel.scratch, c.below(6000), c.below(12), 0, c.below(2));
      if (c.below(4) === 0) continue;
      for (;;) {
        const got = x.sctpRecv(sk, 1 + c.below(4000));
        if (got <= 0) break;
        this.#messages++;
      }
    }
    this.#sockets = this.#sockets.filter(({ sk }) => {
      if (x.sctpState(sk) !== abi.SCTP_CLOSED) return true;
      this.#failed++;
      x.sctpClose(sk);
      return false;
    });
    while (this.#sockets.length > 14) {
      const [{ sk }] = this.#sockets.splice(c.below(this.#sockets.length), 1);
      if (c.below(3) === 0) x.sctpAbort(sk);
      else x.sctpClose(sk);
    }
  }

  #word() {
    return (this.#chance.below(65_536) * 65_536 + this.#chance.below(65_536)) >>> 0;
  }

  #chunk(info) {
    const c = this.#chance;
    const type = c.below(300) === 0 ? 6 : TYPES[c.below(TYPES.length)];
    const near = (tsn) => (tsn + (c.below(8) === 0 ? this.#word() : c.below(12) - 4)) >>> 0;
    // What was never sent ends the association when it is acknowledged: mostly it is not.
    const behind = (tsn) => (tsn + (c.below(60) === 0 ? c.below(9) : -c.below(6))) >>> 0;
    let body = [];
    const words = (...values) => {
      for (const value of values)
        body.push((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
    };
    if (type === 0) {
      words(near(info.ctsn + 1), c.below(12) * 65_536 + c.below(6), 0);
      for (let i = c.below(60); i > 0; i--) body.push(i);
    } else if (type === 3) {
      const gaps = c.below(3) === 0 ? c.below(5) : 0;
      words(behind(info.nextTsn - 1), c.below(3) === 0 ? c.below(3000) : 100_000, gaps * 65_536 + c.below(2));
      for (let i = 0; i < gaps; i++) words(c.below(20) * 65_536 + c.below(30));
    } else if (type === 1 || type === 2) {
      words(this.#word() | 1, 1400 + c.below(200_000), c.below(20) * 65_536 + c.below(20), this.#word());
      for (let i = c.below(4); i > 0; i--) words(c.below(65_536) * 65_536 + 4 + c.below(12), this.#word());
    } else if (type === 7) words(behind(info.nextTsn - 1));
    else for (let i = c.below(40); i > 0; i--) body.push(c.below(256));
    if (c.below(80) === 0) body = body.slice(0, c.below(body.length + 1));
    const length = c.below(60) === 0 ? c.below(300) : body.length + 4;
    const flags = type === 0 ? c.below(16) : c.below(4) === 0 ? 1 : 0;
    while (body.length % 4 !== 0) body.push(0);
    return [type, flags, length >> 8, length & 255, ...body];
  }

  /** An Ethernet frame (its MAC addresses to be filled in) for the side that has the socket. */
  frame() {
    const { x } = this.#kernel;
    const c = this.#chance;
    const all = [...this.#sockets, ...(c.below(10) === 0 ? this.#listeners : [])];
    const { side, sk } = all.length === 0 ? this.#listeners[0] : all[c.below(all.length)];
    const view = this.#kernel.view();
    const names = x.sctpNames(sk);
    const [ip, port, peer, peerPort] = [0, 4, 8, 12].map((at) => view.getUint32(names + at, true));
    const at = x.sctpInfo(sk) && this.#kernel.scratch;
    const field = (offset) => view.getUint32(at + offset, true);
    const info = { nextTsn: field(abi.SCTPINFO_NEXT_TSN), ctsn: field(abi.SCTPINFO_CTSN) };
    const chunks = [];
    for (let i = 1 + c.below(4); i > 0; i--) chunks.push(...this.#chunk(info));
    const bytes = new Uint8Array(14 + 20 + 12 + chunks.length);
    const out = new DataView(bytes.buffer);
    bytes.set(chunks, 46);
    out.setUint16(12, 0x0800);
    out.setUint8(14, 0x45);
    out.setUint16(16, bytes.length - 14);
    out.setUint8(22, 64);
    out.setUint8(23, 132);
    out.setUint32(26, peer === 0 ? this.#sides[side === this.#sides[0] ? 1 : 0].ip : peer);
    out.setUint32(30, ip === 0 ? side.ip : ip);
    out.setUint16(24, ipChecksum(bytes));
    out.setUint16(34, peerPort === 0 ? 1024 + c.below(60_000) : peerPort);
    out.setUint16(36, port);
    const opening = bytes[46] === 1;
    const tag = opening && c.below(4) > 0 ? 0 : c.below(12) === 0 ? this.#word() : field(abi.SCTPINFO_MY_TAG);
    out.setUint32(38, c.below(30) === 0 ? field(abi.SCTPINFO_PEER_TAG) : tag);
    for (let i = c.below(6) === 0 ? 1 + c.below(4) : 0; i > 0; i--)
      bytes[46 + c.below(bytes.length - 46)] = c.below(256);
    if (c.below(50) > 0) out.setUint32(42, crc32c(bytes, 34), true);
    return { side, frame: bytes };
  }

  /** Everybody closes. */
  close() {
    const { x } = this.#kernel;
    for (const { sk } of [...this.#sockets.splice(0), ...this.#listeners.splice(0)]) x.sctpClose(sk);
  }

  summary() {
    return `sctp: ${this.#made} associations, ${this.#messages} messages, ${this.#failed} failed`;
  }
}
