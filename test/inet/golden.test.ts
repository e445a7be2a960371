/**
 * What alpine1 sent to alpine2 in golden/B (pings of all sizes, UDP, a closed port, a traceroute probe) is sent again by this
 * kernel with the same payloads and ports; every frame on the container's eth0 must be the same, but for what is random: the IP
 * id, checksums that cover it, and UDP checksums, which a capture inside a host shows unfinished.
 */
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { goldenAvailable, goldenPackets, goldenTitle, xzAvailable } from "../support/golden.ts";
import { MS, Net, SEC } from "./net.ts";

const CAPTURE = "B-standalone-attachable/manager/pcap/ctr-alpine1__eth0.pcap";

function container() {
  const net = new Net();
  const h = net.host();
  const [a, b] = [net.x["netnsNew"](h), net.x["netnsNew"](h)] as [number, number];
  const [da, db] = net.veth(a, b, ["eth0", "eth0"], [0x0a000102, 0x0a000104]);
  for (const dev of [da, db]) net.x["linkSetMtu"](dev, 1450);
  net.addr(da, "10.0.1.2", 24);
  net.addr(db, "10.0.1.4", 24);
  net.up(da);
  net.up(db);
  return { net, a, b, point: net.capture(da) };
}

const u16 = (b: Uint8Array, at: number) => ((b[at] ?? 0) << 8) | (b[at + 1] ?? 0);

/** A frame without what is random. */
function settled(frame: Uint8Array): string {
  const b = frame.slice();
  const blank = (at: number) => b.fill(0, at, at + 2);
  blank(18);
  blank(24);
  const first = (u16(b, 20) & 0x1fff) === 0;
  if (b[23] === 17 && first) blank(40);
  if (b[23] === 1 && first && b[34] === 3) {
    blank(36);
    blank(42 + 4);
    blank(42 + 10);
    blank(42 + 26);
  }
  return Buffer.from(b).toString("hex");
}

interface Datagram {
  readonly protocol: number;
  readonly df: boolean;
  readonly id: number;
  readonly ttl: number;
  readonly payload: Uint8Array;
}

/** The datagrams that alpine1 sent, put together from their fragments. */
function sent(frames: Uint8Array[]): Datagram[] {
  const out: Datagram[] = [];
  for (const frame of frames) {
    if (u16(frame, 26) !== 0x0a00 || u16(frame, 28) !== 0x0102) continue;
    const part = frame.subarray(34, 14 + u16(frame, 16));
    if ((u16(frame, 20) & 0x1fff) === 0) {
      out.push({
        protocol: frame[23]!,
        df: (frame[20]! & 0x40) !== 0,
        id: u16(frame, 18),
        ttl: frame[22]!,
        payload: part,
      });
    } else {
      const last = out.pop()!;
      out.push({ ...last, payload: Uint8Array.from([...last.payload, ...part]) });
    }
  }
  return out;
}

describe.skipIf(!goldenAvailable || !xzAvailable)(goldenTitle("golden/B", true), () => {
  const all = goldenAvailable && xzAvailable ? goldenPackets(CAPTURE).map((p) => p.data) : [];
  const between = all.filter(
    (b) => u16(b, 12) === 0x0800 && b[23] !== 6 && (u16(b, 32) === 0x0104 || u16(b, 28) === 0x0104),
  );
  const arps = all.filter((b) => u16(b, 12) === 0x0806);

  it("ICMP and UDP frames between the containers are the same", () => {
    const { net, a, b, point } = container();
    const server = net.x["udpOpen"](b) as number;
    net.x["udpBind"](server, 0, 9001);
    const datagrams = sent(between);
    expect(datagrams.length).toBeGreaterThan(20);
    const ours: Uint8Array[] = [];
    for (const { protocol, df, id, ttl, payload } of datagrams) {
      const forced = df && id === 0;
      let sk: number;
      if (protocol === 1) {
        sk = net.x["icmpOpen"](a, u16(payload, 4)) as number;
        if (forced) net.x["sockSetPmtuDisc"](sk, 2);
        expect(net.ping(sk, "10.0.1.4", u16(payload, 6), payload.subarray(8))).toBe(0);
      } else {
        sk = net.x["udpOpen"](a) as number;
        net.x["udpBind"](sk, 0, u16(payload, 0));
        if (ttl !== 64) net.x["sockSetTtl"](sk, ttl);
        expect(net.sendTo(sk, "10.0.1.4", u16(payload, 2), payload.subarray(8))).toBe(0);
      }
      net.run(3 * MS);
      for (const frame of net.takeIp(point)) ours.push(frame.bytes);
      net.x["dgramClose"](sk);
      if (forced) expect(u16(ours.findLast((f) => f[34] === 8)!, 18)).toBe(0);
    }
    expect(ours.map(settled)).toEqual(between.map(settled));
  });

  it("ARP frames are the same: broadcast, reply, unicast probe, three tries for nobody", () => {
    const { net, a, point } = container();
    const hex = (list: Uint8Array[]) => list.map((b) => Buffer.from(b).toString("hex"));
    const isArp = (b: Uint8Array) => u16(b, 12) === 0x0806;
    const sk = net.x["icmpOpen"](a, 0) as number;
    net.ping(sk, "10.0.1.4", 1);
    net.run(MS);
    expect(
      hex(
        net
          .take(point)
          .map((f) => f.bytes)
          .filter(isArp),
      ),
    ).toEqual(hex(arps.slice(0, 2)));
    while (net.neighState(a, "10.0.1.4") === abi.NUD_REACHABLE) net.run(100 * MS);
    net.take(point);
    net.ping(sk, "10.0.1.4", 2);
    net.run(4.99 * SEC);
    net.take(point);
    net.run(0.02 * SEC);
    // Both sides probe at that moment; the golden capture has this side's request and its answer.
    const probes = net
      .take(point)
      .map((f) => f.bytes)
      .filter(isArp);
    for (const frame of hex(arps.slice(2, 4))) expect(hex(probes)).toContain(frame);
    net.ping(sk, "10.0.1.99", 3);
    net.run(4 * SEC);
    const asked = net.take(point).filter((f) => isArp(f.bytes) && u16(f.bytes, 40) === 0x0163);
    expect(hex(asked.map((f) => f.bytes))).toEqual(hex(arps.filter((b) => u16(b, 40) === 0x0163)));
    expect(asked.map((f) => Math.round((f.time - asked[0]!.time) / SEC))).toEqual([0, 1, 2]);
  });
});
