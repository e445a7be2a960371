import { describe, expect, it } from "vitest";
import { parseLab } from "../../src/lab/parse.ts";
import { PlannedFaults } from "../../src/lab/planned-faults.ts";
import { readPcapng } from "../../src/pcap-writer/index.ts";
import type { Pace } from "../../src/scheduler/pace.ts";
import { runLab } from "../support/lab.ts";

describe("faults at a point of the run", () => {
  const lab = (steps: string) => `hosts: { a: {}, b: {} }\nsteps:\n${steps}`;

  it("happen while a later step runs, at that time", async () => {
    const text = lab(`
  - fault: { host: b, at: 4.5s, drop: icmp }
  - fault: { host: b, at: 7.5s, heal: true }
  - a: ping -c 8 -W 1 192.168.77.12
`);
    const { steps } = (await runLab(parseLab("lab.yaml", text))).result;
    const { stdout, start } = steps[0] as (typeof steps)[number];
    expect(start).toBe(1_000_000_000);
    // Sent at 1.1 s, 2.1 s …: those of 5.1 s to 7.1 s are lost.
    const answered = [...stdout.matchAll(/seq=(\d+)/g)].map((match) => Number(match[1]));
    const first = Math.min(...answered);
    expect(answered.map((seq) => seq - first)).toEqual([0, 1, 2, 3, 7]);
  });

  it("whose time is over happen at once, and take no time", async () => {
    const text = lab(`
  - a: ping -c 1 192.168.77.12
  - fault: { host: b, at: 1s, drop: icmp }
  - a: ping -c 1 -W 1 192.168.77.12
    exit: 1
`);
    const { steps } = (await runLab(parseLab("lab.yaml", text))).result;
    expect(steps.map(({ exit, failures }) => [exit, failures])).toEqual([
      [0, []],
      [1, []],
    ]);
    const [first, second] = steps.map(({ start, end }) => ({ start, end }));
    expect((second?.start ?? 0) - (first?.end ?? 0)).toBe(1_000_000_000);
  });

  it("no quiet time is skipped beyond one", async () => {
    const text = lab(`
  - fault: { host: b, at: 1h30m0.5s, drop: esp }
  - wait: 2h
  - a: ping -c 1 -W 1 192.168.77.12
`);
    const { trace } = await runLab(parseLab("lab.yaml", text));
    const comments = [...readPcapng(trace)].flatMap((record) => (record.kind === "packet" ? record.comments : []));
    const ends = comments.flatMap((comment) => /from \S+ to (\S+);/.exec(comment)?.[1] ?? []);
    // What warms up before it is run.
    expect(ends).toEqual(["1h20m0s", "1h50m0s"]);
  });

  it("are the same with two workers", async () => {
    const text = lab(`
  - fault: { host: b, at: 2.1234567s, latency: 3ms }
  - fault: { partition: [[a], [b]], at: 3.3s }
  - fault: { heal: true, at: 5.000000001s }
  - a: ping -c 6 -W 1 192.168.77.12
    expect: ["6 packets transmitted, 4 packets received"]
`);
    const plan = parseLab("lab.yaml", text);
    const [one, two] = [await runLab(plan), await runLab(plan, { workers: 2 })];
    expect(two.transcript).toBe(one.transcript);
    expect(Buffer.from(two.trace).equals(Buffer.from(one.trace))).toBe(true);
  });

  it("are said in words, and checked", () => {
    const plan = parseLab("lab.yaml", lab("  - fault: { host: b, at: 1m, loss: 5% }\n"));
    expect(plan.steps[0]).toMatchObject({ text: "b: at 1m0s, loss 5%", fault: { at: 60e9 } });
    expect(() => parseLab("lab.yaml", lab("  - fault: { host: b, at: soon, loss: 5% }\n"))).toThrow(
      /lab\.yaml:3:27: steps\[0\]\.fault\.at: expected a span of time/,
    );
  });

  it("go around the pace of somebody who looks on", async () => {
    const asked: [number, number][] = [];
    const inner: Pace = {
      grant(now, limit) {
        asked.push([now, limit]);
        return Promise.resolve({ until: now + 10, watch: 3 });
      },
    };
    const planned = new PlannedFaults(inner);
    const done: (number | undefined)[] = [];
    planned.apply = ({ at }) => done.push(at);
    planned.add(12, { hosts: [], at: 12 });
    planned.add(5, { hosts: [], at: 5 });
    expect(planned.ahead()).toBe(5);
    expect(await planned.grant(0, 100)).toEqual({ until: 5, watch: 3 });
    expect(await planned.grant(5, 100)).toEqual({ until: 12, watch: 3 });
    expect(await planned.grant(13, 100)).toEqual({ until: 23, watch: 3 });
    expect([asked, done]).toEqual([
      [
        [0, 5],
        [5, 12],
        [13, 100],
      ],
      [5, 12],
    ]);
    inner.grant = () => undefined;
    expect(await planned.grant(20, 30)).toBeUndefined();
  });
});
