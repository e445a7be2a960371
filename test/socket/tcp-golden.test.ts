/** The 200 kB transfer of golden/B (wget alpine2) against the same exchange here, segment by segment where timing has no say. */
import { describe, expect, test } from "vitest";
import { goldenAvailable, goldenPackets, goldenTitle, xzAvailable } from "../support/golden.ts";
import { MS, pattern, readOptions, SEC, TcpNet } from "./tcp-net.ts";

interface Row {
  from: "client" | "server";
  flags: number;
  seq: number;
  ack: number;
  window: number;
  length: number;
  df: boolean;
  id: number;
  /** Options with the timestamps' values blanked. */
  options: string;
}

function blank(options: Uint8Array): string {
  const copy = options.slice();
  for (let at = 0; at < copy.length; ) {
    const kind = copy[at];
    if (kind === 0) break;
    if (kind === 8) copy.fill(0, at + 2, at + 10);
    at += kind === 1 ? 1 : (copy[at + 1] ?? 1);
  }
  return Buffer.from(copy).toString("hex");
}

function goldenRows(port: number): Row[] {
  const rows: Row[] = [];
  const isn = new Map<string, number>();
  for (const packet of goldenPackets("B-standalone-attachable/manager/pcap/host__eth0.pcap")) {
    const outer = packet.data;
    const outerView = new DataView(outer.buffer, outer.byteOffset, outer.byteLength);
    if (
      outer.length < 104 ||
      outerView.getUint16(12) !== 0x0800 ||
      outer[23] !== 17 ||
      outerView.getUint16(36) !== 4789
    )
      continue;
    const ip = outer.subarray(64);
    if (ip[9] !== 6) continue;
    const view = new DataView(ip.buffer, ip.byteOffset, ip.byteLength);
    const total = view.getUint16(2);
    const sport = view.getUint16(20);
    const dport = view.getUint16(22);
    if (sport !== port && dport !== port) continue;
    const from = sport === port ? "client" : "server";
    const other = from === "client" ? "server" : "client";
    const flags = view.getUint8(33);
    const doff = (view.getUint8(32) >> 4) * 4;
    if (flags & 2) isn.set(from, view.getUint32(24));
    rows.push({
      from,
      flags,
      seq: (view.getUint32(24) - (isn.get(from) ?? 0)) >>> 0,
      ack: flags & 16 ? (view.getUint32(28) - (isn.get(other) ?? 0)) >>> 0 : 0,
      window: view.getUint16(34),
      length: total - 20 - doff,
      df: (view.getUint16(6) & 0x4000) !== 0,
      id: view.getUint16(4),
      options: blank(ip.subarray(40, 20 + doff)),
    });
  }
  return rows;
}

/** The same exchange on a wire of MTU 1450. */
function ourRows(): Row[] {
  const net = new TcpNet();
  const a = net.host();
  const b = net.host();
  // Slow enough that a burst is over before its first ACK.
  const dev = net.nic(a, "10.0.1.2", 24, { mtu: 1450, delay: 5 * MS });
  net.nic(b, "10.0.1.4", 24, { mtu: 1450, delay: 5 * MS });
  const point = net.capture(dev);
  const listener = net.listen(net.root(b), 80);
  const client = net.connect(net.root(a), "10.0.1.4", 80);
  net.run(30 * MS);
  const server = net.x["tcpAccept"](listener) as number;
  expect(net.write(client, pattern(82))).toBe(82);
  net.run(12 * MS);
  expect(net.read(server)).toHaveLength(82);
  expect(net.write(server, pattern(217))).toBe(217);
  net.run(12 * MS);
  const body = pattern(200000);
  let sent = 0;
  let got = 0;
  for (let i = 0; i < 1000 && got < 200217; i++) {
    if (sent < body.length) {
      const n = net.write(server, body.subarray(sent, sent + 65536));
      sent += n;
      if (sent === body.length) net.x["tcpClose"](server);
    }
    net.run(1 * MS);
    for (let r = net.read(client); typeof r !== "number"; r = net.read(client)) got += r.length;
  }
  expect(got).toBe(200217);
  expect(net.read(client)).toBe(0);
  net.run(60 * MS); // the FIN's delayed ACK
  net.x["tcpClose"](client);
  net.run(SEC);
  let clientIsn = 0;
  let serverIsn = 0;
  return net.segments(point).map((s) => {
    const from = s.dir === 2 ? "client" : "server";
    if (s.flags & 2) {
      if (from === "client") clientIsn = s.seq;
      else serverIsn = s.seq;
    }
    expect(s.checksumOk).toBe(true);
    return {
      from,
      flags: s.flags,
      seq: (s.seq - (from === "client" ? clientIsn : serverIsn)) >>> 0,
      ack: s.flags & 16 ? (s.ack - (from === "client" ? serverIsn : clientIsn)) >>> 0 : 0,
      window: s.window,
      length: s.data.length,
      df: s.df,
      id: s.ipid,
      options: blank(s.options),
    };
  });
}

const withoutId = ({ id: _id, ...rest }: Row) => rest;

describe.skipIf(!goldenAvailable || !xzAvailable)(goldenTitle("golden/B: 200 kB by HTTP", true), () => {
  const golden = goldenAvailable && xzAvailable ? goldenRows(53402) : [];
  const ours = goldenAvailable && xzAvailable ? ourRows() : [];

  test("handshake, request and first answer are equal in every field but times and ids", () => {
    expect(golden.length).toBe(191);
    expect(ours.slice(0, 7).map(withoutId)).toEqual(golden.slice(0, 7).map(withoutId));
  });

  test("the first 11 full segments are alike", () => {
    const burst = (rows: Row[]) =>
      rows
        .slice(7)
        .filter((r) => r.from === "server")
        .slice(0, 11)
        .map((r) => [r.seq, r.ack, r.window, r.length, r.options]);
    expect(burst(ours)).toEqual(burst(golden));
  });

  test("IP ids: 0 for the SYN-ACK and the TIME_WAIT ACK, else counters; DF always", () => {
    for (const rows of [golden, ours]) {
      expect(rows.every((r) => r.df)).toBe(true);
      const server = rows.filter((r) => r.from === "server");
      const client = rows.filter((r) => r.from === "client");
      expect(server[0]?.id).toBe(0);
      expect(server.at(-1)).toMatchObject({
        id: 0,
        flags: 16,
        length: 0,
        window: 502,
        options: "0101080a0000000000000000",
      });
      for (const [i, r] of client.entries()) expect(r.id).toBe(((client[0]?.id ?? 0) + i) & 0xffff);
      for (const [i, r] of server.slice(1, -1).entries()) expect(r.id).toBe(((server[1]?.id ?? 0) + i) & 0xffff);
    }
  });

  test("the end: FIN in the last data segment, the client's FIN, the last ACK", () => {
    const end = (rows: Row[]) => {
      const fins = rows.filter((r) => r.flags & 1).map((r) => [r.from, r.flags, r.seq, r.length]);
      return { fins, last: rows.slice(-1).map((r) => [r.from, r.flags, r.seq, r.ack, r.length, r.window]) };
    };
    expect(end(ours)).toEqual(end(golden));
  });

  test("the same segment boundaries", () => {
    const cuts = (rows: Row[]) => rows.filter((r) => r.length > 0).map((r) => [r.from, r.seq, r.length]);
    expect(cuts(ours)).toEqual(cuts(golden));
  });

  test("the receiver's window shrinks by 6 units a waiting segment", () => {
    // Golden: 495 after two segments behind the 217 bytes that wait too, 439 after all eleven; here the 217 were read.
    const windows = (rows: Row[]) =>
      new Map(rows.filter((r) => r.from === "client" && r.length === 0).map((r) => [r.ack, r.window]));
    const theirs = windows(golden);
    const mine = windows(ours);
    const steps = (all: Map<number, number>) =>
      [12800, 14198].map((ack) => (all.get(ack) ?? 0) - (all.get(ack + 1398) ?? 0));
    expect(steps(theirs)).toEqual([6, 6]);
    const from = 218 + 2 * 1398;
    const ourSteps = [0, 1, 2, 3, 4, 5].map(
      (i) => (mine.get(from + i * 1398) ?? 0) - (mine.get(from + (i + 1) * 1398) ?? 0),
    );
    expect(ourSteps).toEqual([6, 6, 6, 6, 6, 6]);
  });
});

test("options of a SYN in Linux's order", () => {
  const net = new TcpNet();
  const a = net.host();
  const dev = net.nic(a, "10.0.1.2", 24, { mtu: 1450 });
  net.x["neighAdd"](dev, 0x0a000104, 0x0242, 0x0a000104, 0x80, 1);
  const point = net.capture(dev);
  net.connect(net.root(a), "10.0.1.4", 80);
  net.run(MS);
  const syn = net.segments(point)[0]!;
  expect(readOptions(syn.options)).toMatchObject({ mss: 1410, sackOk: true, wscale: 7 });
  expect(Buffer.from(syn.options.slice(0, 8)).toString("hex")).toBe("020405820402080a");
  expect(Buffer.from(syn.options.slice(16)).toString("hex")).toBe("01030307");
});

for (const [mtu, mss, syn, synAck] of [
  [1500, 1460, 64240, 65160],
  [1450, 1410, 64860, 64308],
  [1424, 1384, 65048, 64484],
  [1150, 1110, undefined, 64782],
] as const)
  test(`MTU ${mtu}: MSS ${mss}, windows of SYN and SYN-ACK`, () => {
    const net = new TcpNet();
    const a = net.host();
    const b = net.host();
    const dev = net.nic(a, "10.0.1.2", 24, { mtu });
    net.nic(b, "10.0.1.4", 24, { mtu });
    const point = net.capture(dev);
    net.pair(net.root(a), net.root(b), "10.0.1.4");
    const seen = net.segments(point);
    expect(readOptions(seen[0]!.options).mss).toBe(mss);
    if (syn !== undefined) expect(seen[0]!.window).toBe(syn);
    expect(seen[1]!.window).toBe(synAck);
    expect(readOptions(seen[1]!.options).mss).toBe(mss);
  });

test("loopback: SYN 65495, SYN-ACK 65483, MSS 65495", () => {
  const net = new TcpNet();
  const a = net.host();
  const lo = net.lo(net.root(a));
  const point = net.capture(lo);
  net.pair(net.root(a), net.root(a), "127.0.0.1");
  const all = net.segments(point);
  const seen = all.filter((s) => s.dir === all[0]!.dir);
  expect(seen.slice(0, 3).map((s) => s.window)).toEqual([65495, 65483, 512]);
  expect(readOptions(seen[0]!.options).mss).toBe(65495);
});
