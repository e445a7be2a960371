/** The page's word on which spine a packet takes is the switches' own: it adds up to what their links have carried. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Flights } from "../../../web/session/scene/flights.ts";
import { flowHash, SpinePicker } from "../../../web/session/scene/spine.ts";
import { type Watching, watchLab } from "../../support/scene.ts";

const LAB = `
hosts: { host1: {}, host2: {}, host3: {}, host4: {} }
network: { fabric: { leaves: 2, spines: 3 } }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host3: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create -d overlay --attachable net
  - host1: docker run -dit --name aa --network net alpine
  - host3: docker run -dit --name bb --network net alpine
  - workload:
      - &flow { from: host1/aa, to: host3/bb, rate: 500, size: 300, for: 20ms }
      - *flow
      - *flow
      - *flow
      - *flow
      - *flow
  - host2: ping -c 3 192.168.77.14
`;

describe("spines that packets take", () => {
  let lab: Watching;
  beforeAll(async () => {
    lab = await watchLab(LAB);
  });
  afterAll(() => lab.session.close());

  it("are those that carried them", async () => {
    const { frames, points } = lab.recording;
    const { now } = lab.session.cluster;
    const flights = new Flights(lab.watch.topology, lab.session.plan.seed);
    const counted = new Map<string, number>();
    for (let i = 0; i < frames.length; i++) {
      const frame = frames[i];
      // Broadcasts are the leaves' own business.
      if (frame === undefined || frame.direction !== 2 || frame.data[0] === 0xff) continue;
      const [flight] = flights.at({ frames: [frame], points }, 0, now);
      const to = flight?.to[0];
      if (to?.spine === undefined) continue;
      const way = (flight?.from.host ?? 0) < 2 ? `leaf1 > spine${to.spine + 1}` : `leaf2 > spine${to.spine + 1}`;
      counted.set(way, (counted.get(way) ?? 0) + 1);
    }
    const { links } = await lab.session.cluster.counters();
    const up = links.filter(({ from }) => from.startsWith("leaf"));
    const carried = up.map(({ from, to, frames: count }) => [`${from} > ${to}`, count] as const);
    expect(carried.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(100);
    // ARP requests are broadcasts that a leaf hands on to their target: few.
    for (const [way, count] of carried) {
      expect(count - (counted.get(way) ?? 0), way).toBeGreaterThanOrEqual(0);
      expect(count - (counted.get(way) ?? 0), way).toBeLessThanOrEqual(4);
    }
    expect(counted.size).toBe(6);
  });

  it("are others when a link is down", () => {
    const picker = new SpinePicker("1", "underlay", 3);
    const frame = lab.recording.frames.find(({ length }) => length > 100)?.data ?? new Uint8Array(0);
    const usual = picker.pick(frame, 0, 1, []);
    const link = { segment: "underlay", leaf: 1, loss: 0, latency: 5000, down: true };
    expect(usual).toBeDefined();
    expect(picker.pick(frame, 0, 1, [{ ...link, spine: usual ?? 0 }])).not.toBe(usual);
    expect(
      picker.pick(
        frame,
        0,
        1,
        [0, 1, 2].map((spine) => ({ ...link, spine })),
      ),
    ).toBeUndefined();
    expect(picker.pick(frame, 0, 2, [{ ...link, spine: usual ?? 0 }])).toBe(usual);
    expect(picker.pick(new Uint8Array(3), 0, 1, [])).toBeUndefined();
  });

  it("are picked by flows, not by packets", () => {
    const frame = lab.recording.frames.find(({ data }) => data[12] === 8 && data[13] === 0 && data[23] === 17)?.data;
    const other = Uint8Array.from(frame ?? []);
    other[18] = (other[18] ?? 0) ^ 255;
    expect(flowHash(other, 7)).toBe(flowHash(frame ?? other, 7));
    other[34] = (other[34] ?? 0) ^ 1;
    expect(flowHash(other, 7)).not.toBe(flowHash(frame ?? other, 7));
  });
});
