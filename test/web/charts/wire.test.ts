/** What frames carry and how long they take, on a lab's own frames. */
import { describe, expect, it } from "vitest";
import { createMachine } from "../../../src/lab/machine.ts";
import { runSteps } from "../../../src/lab/run.ts";
import { LabSession } from "../../../src/lab/session.ts";
import { DEFAULT_CAPTURE } from "../../../src/lab/trace.ts";
import type { CapturedFrame } from "../../../src/scheduler/captures.ts";
import { loadKernel } from "../../../src/scheduler/node-adapter.ts";
import { Timeline } from "../../../web/session/charts/timeline.ts";
import { trafficOf, WireMeter } from "../../../web/session/charts/wire.ts";
import { dissect } from "../../../web/session/packets/dissect.ts";
import { labOf } from "../../support/lab.ts";

const LAB = `
hosts: { host1: {}, host2: { latency: 300us } }
network: { latency: 100us, bandwidth: 1Gbit }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create -d overlay --attachable plain
  - host1: docker network create -d overlay --attachable --opt encrypted secret
  - host1: docker run -dit --name a1 --network plain alpine
  - host2: docker run -dit --name a2 --network plain alpine
  - host1: docker run -dit --name b1 --network secret alpine
  - host2: docker run -dit --name b2 --network secret alpine
  - host1: docker exec a1 ping -c 3 -s 3000 a2
    expect: ["3 packets received"]
  - host1: docker exec b1 ping -c 3 b2
    expect: ["3 packets received"]
`;

async function frames(meter: WireMeter): Promise<CapturedFrame[]> {
  const all: CapturedFrame[] = [];
  const session = await LabSession.start(labOf(LAB), {
    module: await loadKernel(),
    machines: createMachine,
    capture: {
      patterns: DEFAULT_CAPTURE,
      snaplen: 262_144,
      sink: {
        point: (point) => meter.point(point),
        frame: (frame) => {
          meter.frame(frame);
          all.push({ ...frame, data: frame.data.slice() });
        },
      },
    },
  });
  try {
    const { steps } = await runSteps(session, {});
    expect(steps.flatMap((step) => step.failures)).toEqual([]);
  } finally {
    await session.close();
  }
  return all;
}

describe("the wire", () => {
  it("bits by host and by what they carry are those of the frames; each arrival has its delay", async () => {
    const timeline = new Timeline();
    const all = await frames(new WireMeter(timeline, ({ namespace }) => namespace === "nat"));
    const sent = all.filter(({ direction }) => direction === 2);
    const bits = (some: readonly CapturedFrame[]): number => some.reduce((total, { length }) => total + 8 * length, 0);
    expect(timeline.total("frames")).toBe(sent.length);
    expect(timeline.total("bits")).toBe(bits(sent));
    expect(timeline.total("host host1")).toBe(bits(sent.filter(({ hostIndex }) => hostIndex === 0)));
    expect(timeline.total("host host2")).toBe(bits(sent.filter(({ hostIndex }) => hostIndex === 1)));
    const kinds = timeline.names().filter((name) => name.startsWith("traffic "));
    expect(kinds.map((name) => name.slice(8)).sort()).toEqual(["ARP", "ESP", "VNI 4097", "gossip", "swarm"].sort());
    for (const kind of kinds)
      expect(timeline.total(kind), kind).toBe(bits(sent.filter(({ data }) => `traffic ${trafficOf(data)}` === kind)));
    // Another reader of the same frames says the same.
    for (const { data } of sent)
      expect(trafficOf(data) === "ESP", dissect(data).summary).toBe(/ESP/.test(dissect(data).protocol));
    // Unicast frames that arrived: all but broadcasts and later fragments; the slower end's latency, and the time to send.
    const unicast = all.filter(({ direction, data }) => direction === 1 && ((data[0] ?? 0) & 1) === 0);
    let count = 0;
    for (let i = 0; i < timeline.length; i++) {
      const delays = timeline.delays(i);
      count += delays?.count ?? 0;
      if (delays === undefined) continue;
      expect(delays.min).toBeGreaterThanOrEqual(300_672);
      expect(delays.max).toBeLessThan(360_000);
    }
    const later = unicast.filter(
      ({ data }) => data[12] === 8 && data[13] === 0 && (((data[20] ?? 0) & 0x1f) << 8) + (data[21] ?? 0) > 0,
    );
    expect(count).toBe(unicast.length - later.length);
    expect(count).toBeGreaterThan(100);
  });

  it("what is cut short is called other", () => {
    const whole = new Uint8Array(80);
    whole.set([0x08, 0x00, 0x45], 12);
    whole[14 + 9] = 17;
    whole.set([0x30, 0x39, 0x12, 0xb5], 34);
    whole.set([0, 0x10, 0x01], 46);
    expect(trafficOf(whole)).toBe("VNI 4097");
    for (let length = 0; length < 50; length++) expect(trafficOf(whole.subarray(0, length)), `${length}`).toBe("other");
  });
});
