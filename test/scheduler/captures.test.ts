import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CAP_CAPLEN, CAP_HEADER, CAP_HOST, CAP_LEN, CAP_POINT, CAP_SEQ, CAP_TIME } from "../../assembly/abi.ts";
import { type CapturedSa, CapturePatterns, mergeCaptures } from "../../src/scheduler/captures.ts";

interface Raw {
  time: number;
  host: number;
  seq: number;
}

function encode(records: readonly Raw[]): Uint8Array {
  const sizes = records.map((record) => CAP_HEADER + (((record.seq % 13) + 7) & ~7));
  const out = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  records.forEach((record, i) => {
    view.setBigUint64(at + CAP_TIME, BigInt(record.time), true);
    view.setUint32(at + CAP_SEQ, record.seq, true);
    view.setUint32(at + CAP_HOST, record.host, true);
    view.setUint32(at + CAP_POINT, record.host * 65536 + 1, true);
    view.setUint32(at + CAP_LEN, 1000, true);
    view.setUint32(at + CAP_CAPLEN, record.seq % 13, true);
    out.fill(record.seq & 255, at + CAP_HEADER, at + CAP_HEADER + (record.seq % 13));
    at += sizes[i] as number;
  });
  return out;
}

describe("merging captures", () => {
  it("gives one order for any split over workers and chunks", () => {
    const times = fc.array(fc.array(fc.nat(20), { maxLength: 30 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(times, fc.array(fc.nat(2), { minLength: 5, maxLength: 5 }), fc.nat(30), (hosts, owner, cut) => {
        const all = hosts.flatMap((list, host) =>
          list.sort((a, b) => a - b).map((time, seq) => ({ time: time * 2 ** 33, host, seq })),
        );
        const batches = [0, 1, 2].map((worker) => {
          const own = all.filter((record) => owner[record.host] === worker).sort((a, b) => a.time - b.time);
          return {
            chunks: [encode(own.slice(0, cut)), encode(own.slice(cut))],
            points: [],
            associations: [],
            namespaces: [],
          };
        });
        const seen: Raw[] = [];
        mergeCaptures(batches, {
          point: () => {},
          frame: ({ time, hostIndex, seq, point, length, data }) => {
            expect([point, length, data.length]).toEqual([hostIndex * 65536 + 1, 1000, seq % 13]);
            expect(data.every((byte) => byte === (seq & 255))).toBe(true);
            seen.push({ time, host: hostIndex, seq });
          },
        });
        expect(seen).toEqual([...all].sort((a, b) => a.time - b.time || a.host - b.host || a.seq - b.seq));
      }),
    );
  });

  it("announces a point before the frames of its time, after those of an earlier time", () => {
    const log: string[] = [];
    const point = (id: number, since: number) => ({
      id,
      since,
      hostIndex: 0,
      host: "h",
      namespace: "host",
      device: "eth0",
      mac: 1,
      mtu: 1500,
      speed: 0,
    });
    const chunk = encode([
      { time: 5, host: 0, seq: 0 },
      { time: 9, host: 0, seq: 1 },
    ]);
    mergeCaptures(
      [
        { chunks: [chunk], points: [point(3, 12), point(2, 9)], associations: [], namespaces: [] },
        { chunks: [], points: [point(1, 0)], associations: [], namespaces: [] },
      ],
      {
        point: (p) => log.push(`point ${p.id}`),
        frame: (f) => log.push(`frame ${f.time}`),
      },
    );
    expect(log).toEqual(["point 1", "frame 5", "point 2", "frame 9", "point 3"]);
  });

  it("tells associations in order of time, host and number, however hosts lie on workers", () => {
    const sa = (time: number, hostIndex: number, seq: number): CapturedSa => {
      const ends = { source: 1, destination: 2, key: new Uint8Array(20), icvBytes: 8 };
      return { time, hostIndex, seq, spi: hostIndex * 100 + seq, ...ends };
    };
    const all = [sa(5, 0, 0), sa(5, 0, 1), sa(5, 1, 0), sa(5, 2, 0), sa(6, 0, 2), sa(6, 2, 1)];
    const orderOf = (owner: readonly number[]): number[] => {
      const told: number[] = [];
      const batches = [0, 1, 2].map((worker) => ({
        chunks: [],
        points: [],
        namespaces: [],
        associations: all.filter(({ hostIndex }) => owner[hostIndex] === worker),
      }));
      mergeCaptures(batches, { point: () => {}, frame: () => {}, association: ({ spi }) => told.push(spi) });
      return told;
    };
    const expected = all.map(({ spi }) => spi);
    for (const owner of [
      [0, 0, 0],
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 1],
    ])
      expect(orderOf(owner)).toEqual(expected);
  });

  it("refuses records that go back in time", () => {
    const chunk = encode([
      { time: 5, host: 0, seq: 0 },
      { time: 4, host: 0, seq: 1 },
    ]);
    expect(() =>
      mergeCaptures([{ chunks: [chunk], points: [], associations: [], namespaces: [] }], {
        point: () => {},
        frame: () => {},
      }),
    ).toThrow(/order of time/);
  });
});

describe("capture patterns", () => {
  it.each([
    ["*/host/eth0", true],
    ["host1/host/eth?", true],
    ["*", true],
    ["*/host/*", true],
    ["host1/*", false],
    ["host/host/eth0", false],
    ["*/host/eth0.1", false],
  ])("%s", (pattern, matches) => {
    expect(new CapturePatterns([pattern]).matches("host1", "host", "eth0")).toBe(matches);
  });
});
