/** A connection that a hand-made peer opened to a host of the bare kernel. */
import { expect } from "vitest";
import { ACK, FIN, MS, Peer, PSH, pattern, readOptions, SEC, type Segment, SYN, writeOptions } from "./tcp-net.ts";

/** Options of a Linux SYN. */
export const SYN_OPTIONS = { mss: 1460, sackOk: true, ts: [1000, 0] as [number, number], wscale: 7 };

/** A connection that the peer opened: the host listens on 80. */
export class Passive extends Peer {
  listener: number;
  sk = 0;
  /** Next sequence numbers: the peer's, the host's. */
  seq = 5001;
  una = 0;
  tsval = 1000;
  tsecr = 0;

  constructor() {
    super();
    this.net.run(SEC);
    this.listener = this.net.listen(this.ns, 80);
    this.send({ seq: 5000, flags: SYN, options: writeOptions(SYN_OPTIONS), window: 64240 });
    const synAck = this.one();
    this.una = synAck.seq + 1;
    this.tsecr = readOptions(synAck.options).ts![0];
    this.wait(10 * MS); // the round trip
    this.ack();
    this.sk = this.net.x["tcpAccept"](this.listener) as number;
    expect(this.sk).toBeGreaterThan(0);
    this.sent();
  }

  /** Options with the peer's clock, which follows virtual time. */
  options(sack?: [number, number][]): Uint8Array {
    const ts: [number, number] = [this.tsval + Math.floor(this.net.now / MS), this.tsecr];
    return writeOptions(sack ? { ts, sack } : { ts });
  }

  ack(at = this.una, more: { window?: number; sack?: [number, number][]; flags?: number; seq?: number } = {}): void {
    this.send({
      seq: more.seq ?? this.seq,
      ack: at,
      flags: more.flags ?? ACK,
      window: more.window ?? 502,
      options: this.options(more.sack),
    });
  }

  /** Acknowledges the next `bytes`, with a window that holds nothing back. */
  acknowledge(bytes: number): void {
    this.una += bytes;
    this.ack(this.una, { window: 60000 });
  }

  data(bytes: number, flags = ACK | PSH): void {
    this.send({ seq: this.seq, ack: this.una, flags, window: 502, data: pattern(bytes), options: this.options() });
    this.seq += bytes + (flags & FIN ? 1 : 0);
  }

  /** Takes the timestamps of what the host sent, so that later ACKs echo them. */
  see(segments: Segment[]): Segment[] {
    const last = segments.at(-1);
    if (last) this.tsecr = readOptions(last.options).ts?.[0] ?? this.tsecr;
    return segments;
  }
}
