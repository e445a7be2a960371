/**
 * The capture's 200 kB over TCP (wget from a busybox httpd) and its nc connection, against the same commands here.
 *
 * What can't be equal: ports, initial sequence numbers, timestamps, dates. What depends on how fast programs read and write, and may
 * differ: PSH (set at the end of each write), the receiver's window and which segments are acknowledged together.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goldenAvailable, goldenTitle, xzAvailable } from "../support/golden.ts";
import { Describer, type Frame } from "./frames.ts";
import { GOLDEN_MACS, goldenCommand, goldenFrames, type Ran, Scenario } from "./scenario.ts";

const B = "B-standalone-attachable/manager";
const TRAFFIC = `${B}/traffic-alpine1.txt`;
const WGET = "docker exec alpine1 time wget -q -O /tmp/blob http://alpine2/blob200k.txt";
const NC = "docker exec alpine1 sh -c cat /www/blob200k.txt | nc -w 3 10.0.1.4 9000";

interface Segment {
  readonly fromServer: boolean;
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
  readonly data: Uint8Array;
  readonly id: number;
  readonly df: boolean;
  readonly total: number;
  readonly outer: number;
}

const FIN = 1;
const SYN = 2;
const RST = 4;

/** The segments of the connection to a port, inside VXLAN; sequence numbers relative. */
function segments(frames: readonly Frame[], port: number): Segment[] {
  const isn = new Map<boolean, number>();
  const found: Segment[] = [];
  for (const { inner, ports } of frames) {
    if (inner?.ip?.protocol !== 6 || !inner.ports?.includes(port)) continue;
    const { payload, id, df, total } = inner.ip;
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const fromServer = view.getUint16(0) === port;
    const flags = view.getUint8(13);
    if (flags & SYN) isn.set(fromServer, view.getUint32(4));
    found.push({
      fromServer,
      flags,
      seq: (view.getUint32(4) - (isn.get(fromServer) ?? 0)) >>> 0,
      ack: flags & 16 ? (view.getUint32(8) - (isn.get(!fromServer) ?? 0)) >>> 0 : 0,
      window: view.getUint16(14),
      data: payload.subarray((view.getUint8(12) >> 4) * 4),
      id,
      df,
      total,
      outer: ports?.[0] ?? 0,
    });
  }
  return found;
}

function text(frames: readonly Frame[], macs: Readonly<Record<string, string>>): string[] {
  const describer = new Describer({ macs, checksums: true, payload: "length" });
  return frames.map((frame) => describer.frame(frame));
}

describe.skipIf(!goldenAvailable || !xzAvailable)(goldenTitle("B-standalone-attachable, TCP", true), () => {
  let lab: Scenario;
  let wget: Ran;
  let nc: Ran;
  beforeAll(async () => {
    lab = await Scenario.start();
    await lab.swarm();
    await lab.containers();
    const fill = "sh -c 'mkdir -p /www; seq 100000 | head -c 200000 > /www/blob200k.txt'";
    await lab.run("manager", `docker exec alpine1 ${fill}`);
    await lab.run("worker-1", `docker exec alpine2 ${fill}`);
    await lab.run("worker-1", "docker exec -d alpine2 httpd -f -p 80 -h /www");
    await lab.run("worker-1", "docker exec -d alpine2 sh -c 'nc -l -p 9000 > /tmp/got'");
    wget = await lab.run("manager", "docker exec alpine1 wget -q -O /tmp/blob http://alpine2/blob200k.txt");
    nc = await lab.run("manager", "docker exec alpine1 sh -c 'cat /www/blob200k.txt | nc -w 3 10.0.1.4 9000'");
  });
  afterAll(async () => await lab?.close());

  const goldenWire = (command: string) => goldenFrames(`${B}/pcap/host__eth0.pcap`, goldenCommand(TRAFFIC, command));
  const tcpFrames = (frames: readonly Frame[], port: number) =>
    frames.filter(({ inner }) => inner?.ip?.protocol === 6 && inner.ports?.includes(port));

  it("handshake, request and response header: seven packets, field by field", () => {
    const golden = tcpFrames(goldenWire(WGET), 80).slice(0, 7);
    const ours = tcpFrames(lab.frames("manager/host/eth0", wget), 80).slice(0, 7);
    expect(text(ours, lab.macs())).toEqual(text(golden, GOLDEN_MACS));
    const http = (frames: readonly Frame[]) =>
      segments(frames, 80)
        .filter(({ data }) => data.length > 0)
        .map(({ data }) => new TextDecoder().decode(data).replace(/(Date|Last-Modified): .*|ETag: "[0-9a-f]+-/g, "…"));
    expect(http(ours)).toEqual(http(golden));
  });

  it("the file: the same segments, of 1398 bytes", () => {
    const sent = (frames: readonly Frame[]) =>
      segments(frames, 80)
        .filter(({ fromServer, data }) => fromServer && data.length > 0)
        .map(({ seq, data, flags }) => [seq, data.length, flags & FIN]);
    const golden = sent(goldenWire(WGET));
    expect(golden.length).toBe(145);
    expect(sent(lab.frames("manager/host/eth0", wget))).toEqual(golden);
  });

  it("an initial window of ten segments", () => {
    // Here header and file go out at once: ten segments before anything is acknowledged. In the capture the header had been
    // acknowledged before the file was read, and its first flight is one segment longer.
    const flight = (frames: readonly Frame[], acked: number) => {
      const all = segments(frames, 80);
      const end = all.findIndex(({ fromServer, ack }) => !fromServer && ack >= acked);
      return all
        .slice(0, end)
        .filter(({ fromServer, data, seq }) => fromServer && data.length > 0 && seq + 218 > acked);
    };
    expect(flight(lab.frames("worker-1/host/eth0", wget), 218)).toHaveLength(10);
    const golden = flight(goldenWire(WGET), 219);
    expect(golden).toHaveLength(11);
    expect(golden.every(({ data }) => data.length === 1398)).toBe(true);
  });

  it("DF on every segment; ids count up by one; SYN-ACK and time-wait have id 0", () => {
    for (const frames of [goldenWire(WGET), lab.frames("manager/host/eth0", wget)]) {
      const all = segments(frames, 80);
      expect(all.every(({ df }) => df)).toBe(true);
      expect(all.every(({ flags }) => (flags & RST) === 0)).toBe(true);
      for (const fromServer of [false, true]) {
        const ids = all.filter((segment) => segment.fromServer === fromServer).map(({ id }) => id);
        if (fromServer) expect(ids.shift()).toBe(0);
        // The answer to the client's FIN comes from a time-wait socket when its ACK had come before (tcp_time_wait), else from the
        // socket itself; the first has no counter.
        const last = all.findLast((segment) => !segment.fromServer && segment.flags & FIN);
        const acked = all.some((segment) => !segment.fromServer && !(segment.flags & FIN) && segment.ack === last?.ack);
        if (fromServer && acked) expect(ids.pop()).toBe(0);
        expect(ids.every((id, at) => at === 0 || id === (((ids[at - 1] ?? 0) + 1) & 0xffff))).toBe(true);
      }
    }
  });

  it("one outer port per direction", () => {
    for (const frames of [goldenWire(WGET), lab.frames("manager/host/eth0", wget)]) {
      const all = segments(frames, 80);
      for (const fromServer of [false, true])
        expect(new Set(all.filter((one) => one.fromServer === fromServer).map(({ outer }) => outer)).size).toBe(1);
    }
  });

  it("the end: FIN with the last data, FIN back, one ACK", () => {
    const end = (frames: readonly Frame[]) => {
      const all = segments(frames, 80);
      const fin = all.findIndex(({ flags }) => flags & FIN);
      // Pure ACKs before the client's FIN are timing, as is its window.
      return all
        .slice(fin)
        .filter(({ fromServer, flags }) => fromServer || flags & FIN)
        .map(({ fromServer, flags, seq, ack, data, window }) => [
          fromServer,
          flags & FIN,
          seq,
          ack,
          data.length,
          fromServer ? window : 0,
        ]);
    };
    expect(end(lab.frames("manager/host/eth0", wget))).toEqual(end(goldenWire(WGET)));
  });

  it("the other way: nc's handshake, and the listener's early FIN", () => {
    const golden = tcpFrames(goldenWire(NC), 9000);
    const ours = tcpFrames(lab.frames("manager/host/eth0", nc), 9000);
    expect(text(ours.slice(0, 3), lab.macs())).toEqual(text(golden.slice(0, 3), GOLDEN_MACS));
    for (const frames of [golden, ours]) {
      const all = segments(frames, 9000);
      // The listener's standard input is at its end, so it closes its half at once.
      expect(all.find(({ fromServer, flags }) => fromServer && flags & FIN)).toMatchObject({
        seq: 1,
        ack: 1,
        window: 503,
      });
      const data = all.filter(({ fromServer, data: { length } }) => !fromServer && length > 0);
      expect(data.filter(({ total }) => total === 1450).length).toBeGreaterThan(1);
      expect(data.every(({ total, df }) => total <= 1450 && df)).toBe(true);
      const closing = all.findLast(({ fromServer, flags }) => !fromServer && flags & FIN);
      expect(all.at(-1)).toMatchObject({
        fromServer: true,
        seq: 2,
        ack: (closing?.seq ?? 0) + (closing?.data.length ?? 0) + 1,
      });
    }
  });

  it("what arrives is what was sent", async () => {
    for (const [host, container, file] of [
      ["manager", "alpine1", "/tmp/blob"],
      ["worker-1", "alpine2", "/tmp/got"],
    ] as const) {
      const source = await lab.run(host, `docker exec ${container} cat /www/blob200k.txt`);
      expect(source.stdout).toHaveLength(200_000);
      expect((await lab.run(host, `docker exec ${container} cat ${file}`)).stdout === source.stdout).toBe(true);
    }
  });
});
