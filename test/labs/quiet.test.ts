/**
 * Quiet time that is skipped leaves what running it would have left: what the hosts' commands print, and every frame of
 * the last minutes before the end of the wait and after it (src/scheduler/quiet.ts says what is not part of it).
 */
import { describe, expect, it } from "vitest";
import { HOUR, MINUTE, SEC, type Time } from "../../src/base/time.ts";
import { readPcapng } from "../../src/pcap-writer/index.ts";
import { WARM_UP } from "../../src/scheduler/quiet.ts";
import { type LabRun, labOf, runLab } from "../support/lab.ts";

/** Commands that print what hosts are and know. */
const LOOK = `
  - host1: docker node ls
  - host1: docker network inspect test-net
  - host*: docker ps
  - host*: ip neigh
  - host*: ip route
  - host*: ip link
  - host*: bridge fdb
  - host*: conntrack -L
  - host*: ip xfrm state
  - host*: ip xfrm policy
  - host*: ss -tan
  - host*: iptables-save
  - host1: docker exec alpine1 ip neigh
  - host1: docker exec alpine1 ip link
  - host1: docker exec alpine1 ping -c 2 alpine2
  - host2: docker exec alpine2 wget -q -O - http://alpine1:80/
    exit: 1
  - host2: docker run -dit --name alpine3 --network test-net alpine
  - host2: docker inspect alpine3
  - host1: docker exec alpine1 ping -c 2 alpine3
  - host1: docker node ls`;

function lab(hosts: number, middle: string, encrypted = false): string {
  const names = Array.from({ length: hosts }, (_, i) => `host${i + 1}`);
  const option = encrypted ? " --opt encrypted" : "";
  return `
name: quiet
seed: 1
hosts: { ${names.map((name) => `${name}: {}`).join(", ")} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
${names
  .slice(1)
  .map((name) => `  - ${name}: docker swarm join --token $token 192.168.77.11:2377`)
  .join("\n")}
  - host1: docker network create --driver=overlay --attachable${option} test-net
  - host1: docker run -dit --name alpine1 --network test-net alpine
  - host2: docker run -dit --name alpine2 --network test-net alpine
  - host1: docker exec alpine1 ping -c 2 alpine2
${middle}${LOOK}
`;
}

/** What is asked of every host, asked of the first two only. */
function onTwo(text: string): string {
  return text.replaceAll(/^ {2}- host\*: (.*)$/gm, "  - host1: $1\n  - host2: $1");
}

interface Frame {
  readonly time: Time;
  readonly text: string;
}

const SWARM_PORT = 2377;

/** Frames as text. Of connections to 2377, which stay open, without what grows with it: numbers, window, checksums. */
function framesOf(trace: Uint8Array): { frames: Frame[]; comments: string[] } {
  const frames: Frame[] = [];
  const comments: string[] = [];
  const names: string[] = [];
  let first: number | undefined;
  for (const record of readPcapng(trace)) {
    if (record.kind === "interface") names.push(record.name ?? "");
    if (record.kind !== "packet") continue;
    first ??= record.seconds - (record.seconds % 86_400);
    comments.push(...record.comments);
    const time = (record.seconds - first) * SEC + record.nanos;
    const data = Uint8Array.from(record.data);
    const view = new DataView(data.buffer);
    const tcp = data[12] === 8 && data[13] === 0 && data[23] === 6;
    if (tcp && (view.getUint16(34) === SWARM_PORT || view.getUint16(36) === SWARM_PORT)) {
      for (const [from, to] of [[18, 20], [24, 26], [38, 46], [48, 52], [66, data.length]] as const) // biome-ignore format: one line
        data.fill(0, from, to);
    }
    frames.push({ time, text: `${time} ${names[record.interfaceId]} ${Buffer.from(data).toString("hex")}` });
  }
  return { frames, comments };
}

async function both(text: string): Promise<{ skipped: LabRun; run: LabRun }> {
  const plan = labOf(text);
  return { skipped: await runLab(plan), run: await runLab(plan, { skip: false }) };
}

/** The end of the last wait: the commands behind it print what was compared. */
function expectEqual(skipped: LabRun, run: LabRun, before = WARM_UP / 3): void {
  expect(skipped.failures).toEqual([]);
  expect(skipped.transcript).toBe(run.transcript);
  expect(skipped.result.end).toBe(run.result.end);
  const look = run.result.steps.findLast((step) => step.command === "docker network inspect test-net");
  const from = (look?.start as Time) - before;
  const after = (frames: readonly Frame[]) => frames.filter(({ time }) => time >= from).map((frame) => frame.text);
  const [mine, theirs] = [after(framesOf(skipped.trace).frames), after(framesOf(run.trace).frames)];
  expect(theirs.length).toBeGreaterThan(100);
  expect(mine).toEqual(theirs);
}

describe("skipped quiet time", () => {
  it("12 hours of two hosts", { timeout: 300_000 }, async () => {
    const { skipped, run } = await both(lab(2, "  - wait: 12h"));
    expectEqual(skipped, run);
    // It was skipped, and the trace says how much: about what the other one has more.
    const [mine, theirs] = [framesOf(skipped.trace), framesOf(run.trace)];
    expect(theirs.comments).toEqual([]);
    expect(mine.comments).toHaveLength(1);
    const [, said] = /^11h\d+m\S* of quiet time skipped, from .* to .*; about (\d+) packets not written$/.exec(
      mine.comments[0] as string,
    ) as RegExpExecArray;
    const left = run.result.counters.framesCarried - skipped.result.counters.framesCarried;
    expect(Math.abs(Number(said) - left) / left).toBeLessThan(0.01);
    expect(mine.frames.length).toBeLessThan(theirs.frames.length / 20);
  });

  it("13 hours of three hosts, encrypted, with a rotation of the keys inside", { timeout: 300_000 }, async () => {
    const { skipped, run } = await both(lab(3, "  - wait: 13h", true));
    expectEqual(skipped, run);
    expect(framesOf(skipped.trace).comments).toHaveLength(2); // before and after the rotation
  });

  it("with traffic between two rests", { timeout: 300_000 }, async () => {
    const traffic = `  - wait: 1h
  - host2: docker exec alpine2 ping -c 20 alpine1
  - host1: docker exec -d alpine1 nc -l -p 9000
  - host2: docker exec -d alpine2 sh -c 'sleep 4000 | nc alpine1 9000'
  - wait: 90m
  - host1: docker stop alpine1
  - host1: docker start alpine1
  - wait: 100m`;
    const { skipped, run } = await both(lab(2, traffic));
    expectEqual(skipped, run);
    expect(framesOf(skipped.trace).comments.length).toBeGreaterThanOrEqual(3);
  });

  it("is none after a host has died, whose peers look for it", { timeout: 300_000 }, async () => {
    const middle = "  - wait: 1h\n  - fault: { host: host3, crash: true }\n  - wait: 1h";
    const { skipped, run } = await both(onTwo(lab(3, middle)));
    expectEqual(skipped, run);
    expect(framesOf(skipped.trace).comments).toHaveLength(1);
  });

  it("is the same for any number of workers, with a trace or without", { timeout: 300_000 }, async () => {
    const plan = labOf(lab(3, "  - wait: 3h"));
    const alone = await runLab(plan);
    for (const workers of [2, 4]) {
      const spread = await runLab(plan, { workers });
      expect(spread.transcript).toBe(alone.transcript);
      expect(Buffer.compare(spread.trace, alone.trace)).toBe(0);
    }
    const untraced = await runLab(plan, { capture: [] });
    expect(untraced.transcript).toBe(alone.transcript);
    const { memory: _, memoryHeld: __, ...counters } = untraced.result.counters; // records of captured frames take memory
    expect(alone.result.counters).toMatchObject(counters);
    expect(alone.result.counters.framesCarried).toBeLessThan(3 * ((HOUR / MINUTE) * 600));
  });
});
