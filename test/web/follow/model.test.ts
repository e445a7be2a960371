/** What the strip and its table are made of, and what is kept of packets. */
import { describe, expect, it } from "vitest";
import type { CapturedFrame } from "../../../src/scheduler/captures.ts";
import { changeShort, changeText, layoutOf, momentText, rowsOf, spanText } from "../../../web/page/follow/model.ts";
import { changesBetween } from "../../../web/session/follow/changes.ts";
import { EveryHop, HopLog } from "../../../web/session/follow/hop-log.ts";
import { indexIn } from "../../../web/session/follow/journey.ts";
import { layersOf } from "../../../web/session/follow/layers.ts";
import type { Stage } from "../../../web/session/follow/protocol.ts";

function stage(key: number, host: string, namespace: string, branches: Stage["branches"] = []): Stage {
  return {
    key,
    time: key * 10,
    host,
    namespace,
    device: "eth0",
    kind: "frame",
    title: `stage ${key}`,
    detail: "",
    changes: [],
    index: undefined,
    bytes: false,
    entry: undefined,
    reason: undefined,
    branches,
    moreBranches: 0,
  };
}

describe("the strip", () => {
  it("has a lane for each namespace, hosts together in the order of the packet's coming", () => {
    const road = [stage(0, "h1", "c1"), stage(1, "h1", "net"), stage(2, "h1", "host"), stage(3, "h2", "host")];
    const { lanes, places, width } = layoutOf([...road, stage(4, "h1", "net")]);
    expect(lanes.map(({ host, namespace }) => `${host}/${namespace}`)).toEqual([
      "h1/c1",
      "h1/net",
      "h1/host",
      "h2/host",
    ]);
    expect(places.map(({ lane }) => lane)).toEqual([0, 1, 2, 3, 1]);
    for (const [i, { left, width: own }] of places.entries()) {
      expect(left + own).toBeLessThanOrEqual(width);
      // From left to right, none over another.
      expect(left).toBeGreaterThanOrEqual((places[i - 1]?.left ?? 0) + (places[i - 1]?.width ?? 0));
    }
  });

  it("lists copies where they went another way, closed until they are opened", () => {
    const copy = { stages: [stage(2, "h1", "lb"), stage(3, "h1", "lb")], end: "dropped: OTHERHOST, h1/lb" };
    const road = [stage(0, "h1", "c1"), stage(1, "h1", "net", [copy]), stage(4, "h1", "c2")];
    const rows = (open: string[]) => rowsOf(road, new Set(open)).map(({ id, depth, since }) => [id, depth, since]);
    expect(rows([])).toEqual([
      ["stage-0", 0, undefined],
      ["stage-1", 0, 10],
      ["branch-2", 1, undefined],
      ["stage-4", 0, 30],
    ]);
    expect(rows(["branch-2"]).slice(2)).toEqual([
      ["branch-2", 1, undefined],
      ["stage-2", 1, 10],
      ["stage-3", 1, 10],
      ["stage-4", 0, 30],
    ]);
  });

  it("says times and changes as people compare them", () => {
    expect([7, 50_138, 1_500_000, 2_000_000_000].map(spanText)).toEqual(["7 ns", "50.14 µs", "1.5 ms", "2 s"]);
    expect(momentText(11_889_050_138)).toBe("11.889050138");
    const ttl = { layer: "IPv4", field: "TTL", from: "64", to: "63" };
    expect([changeText(ttl), changeShort(ttl)]).toEqual(["IPv4 TTL: 64 → 63", "IPv4 TTL"]);
    expect(changeShort({ layer: "VXLAN", to: undefined })).toBe("−VXLAN");
  });
});

const ICMP = "450000540000400040014b4d0a0001020a000104080000000001000000000000";
const ETHERNET = "02420a00010402420a0001020800";

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

describe("changes", () => {
  const inner = layersOf(bytes(ICMP), true);
  const frame = layersOf(bytes(ETHERNET + ICMP));
  const names = (changes: ReturnType<typeof changesBetween>) => changes.map(changeShort);

  it("are headers that were put on or taken off, and fields", () => {
    expect(inner.map(({ name }) => name)).toEqual(["IPv4", "ICMP"]);
    expect(names(changesBetween(inner, frame))).toEqual(["+Ethernet"]);
    expect(names(changesBetween(frame, inner))).toEqual(["−Ethernet"]);
    expect(names(changesBetween(frame, frame))).toEqual([]);
    expect(names(changesBetween(undefined, frame))).toEqual([]);
    const older = layersOf(bytes(ETHERNET + ICMP.replace("4001", "3f01")));
    expect(changesBetween(frame, older)).toEqual([{ layer: "IPv4", field: "TTL", from: "64", to: "63" }]);
  });

  it("keep the outer header of what was sealed, and of a later fragment", () => {
    const sealed = layersOf(bytes(ICMP.replace("4001", "4032")), true);
    expect(names(changesBetween([...inner.slice(0, 1), ...frame], sealed))).toEqual([
      "−Ethernet",
      "−IPv4",
      "−ICMP",
      "+ESP",
      "IPv4 protocol",
    ]);
    const later = layersOf(bytes(`${ETHERNET}${ICMP.replace("0000400040", "000000b240")}`));
    expect(names(changesBetween(inner, later))).toEqual(["−ICMP", "+Ethernet", "IPv4 fragment"]);
  });

  it("are read from packets of any length, cut off anywhere", () => {
    const whole = bytes(ETHERNET + ICMP);
    for (let length = 0; length <= whole.length; length++)
      for (const atIp of [false, true]) expect(() => layersOf(whole.subarray(0, length), atIp)).not.toThrow();
  });
});

describe("what is kept of packets", () => {
  const frame = (journey: number, seq: number, point = 1): CapturedFrame => ({
    time: seq,
    hostIndex: 0,
    seq,
    point,
    direction: 2,
    length: 760,
    data: new Uint8Array(760).fill(seq),
    journey,
  });

  it("is bounded: the oldest journeys are forgotten whole", () => {
    const log = new HopLog(100_000);
    for (let seq = 0; seq < 1000; seq++) log.frame(frame(1 + Math.floor(seq / 4), seq));
    expect(log.bytes).toBeLessThanOrEqual(100_000);
    expect(log.size + log.forgotten).toBe(250);
    expect(log.hops(1)).toBeUndefined();
    expect(log.hops(250)?.length).toBe(4);
    const sizes = new Set([...log.journeys()].map(([, hops]) => hops.length));
    expect(sizes).toEqual(new Set([4]));
  });

  it("leaves the trace what it would have without it", () => {
    const got: number[] = [];
    const sink = new EveryHop({ point: ({ id }) => got.push(-id), frame: ({ seq }) => got.push(seq) }, new HopLog());
    const point = { hostIndex: 0, host: "h", namespace: "host", device: "eth0", mac: 0, mtu: 1500, speed: 0, since: 0 };
    sink.point({ ...point, id: 1 });
    sink.point({ ...point, id: 2, device: "veth1", hop: true });
    for (const [seq, id] of [1, 2, 2, 1].entries()) sink.frame(frame(1, seq, id));
    expect(got).toEqual([-1, 0, 3]);
  });

  it("finds a hop's frame in the packet list", () => {
    const frames = [3, 5, 9].map((time) => ({ time, hostIndex: 1, seq: time }));
    expect(frames.map((one) => indexIn(frames, one))).toEqual([0, 1, 2]);
    expect(indexIn(frames, { time: 5, hostIndex: 0, seq: 5 })).toBeUndefined();
    expect(indexIn([], { time: 5, hostIndex: 0, seq: 5 })).toBeUndefined();
  });
});
