/** Going back in time: what had happened up to there has happened again, to the byte. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { MS, SEC, type Time } from "../../../src/base/time.ts";
import type { LabPlan } from "../../../src/lab/plan.ts";
import { loadKernel, nodePlatform } from "../../../src/scheduler/node-adapter.ts";
import { SessionContext } from "../../../web/session/context.ts";
import { Emulation } from "../../../web/session/emulation.ts";
import type { SessionEvent } from "../../../web/session/protocol.ts";
import type { TerminalEntry } from "../../../web/session/terminals/protocol.ts";
import { timeApi } from "../../../web/session/time/api.ts";
import type { Status } from "../../../web/session/time/protocol.ts";
import { galleryLab, labOf, runLab } from "../../support/lab.ts";

/** Worker threads of Node run what is built. */
const BUILT = pathToFileURL(`${join(import.meta.dirname, "../../../dist/src")}/`);
const WORKER = new URL("worker.js", BUILT);
const MACHINES = new URL("lab/machine.js", BUILT).href;

/** A session as the page has one. */
class Visit {
  readonly context = new SessionContext({ kernel: loadKernel, platform: nodePlatform(WORKER), machines: MACHINES });
  readonly time = timeApi(this.context);
  status: Status | undefined;
  /** What terminals show, by host; the transcript by "". */
  texts = new Map<string, string>();
  readonly #prompts = new Map<string, string | undefined>();
  #news: () => void = () => {};

  async open(plan: LabPlan): Promise<void> {
    const tell = (events: readonly SessionEvent[]): void => {
      for (const event of events) this.#take(event);
      this.#news();
    };
    await this.context.replace(() => Emulation.start(plan, plan.seed, tell, this.context));
    await this.until("ready", "done");
  }

  #take(event: SessionEvent): void {
    if (event.kind === "status") this.status = event.status;
    else if (event.kind === "rewound") this.texts = new Map();
    else if (event.kind === "failed") throw new Error(event.message);
    else if (event.kind === "output") this.#show(event.terminal ?? "", event.text);
    else if (event.kind === "prompt") this.#prompts.set(event.terminal, event.prompt);
  }

  #show(host: string, text: string): void {
    this.texts.set(host, (this.texts.get(host) ?? "") + text);
  }

  /** A line typed on a host, shown as the page shows it. */
  type(host: string, line: string, terminal: TerminalEntry = { name: host, host }): void {
    // A line that waits behind what runs there is shown when its turn has come.
    const prompt = this.#prompts.get(host);
    this.#prompts.delete(host);
    if (prompt !== undefined) this.#show(host, `${prompt}${line}\n`);
    this.emulation.act({ kind: "line", terminal, line, shown: prompt !== undefined });
  }

  /** Ctrl-C there, while something runs. */
  interrupt(host: string): void {
    this.#show(host, "^C");
    this.emulation.act({ kind: "key", terminal: { name: host, host }, key: "interrupt" });
  }

  /** What the phase is once it is one of these. */
  async until(...phases: readonly string[]): Promise<Status> {
    while (this.status === undefined || !phases.includes(this.status.phase))
      await new Promise<void>((resolve) => {
        this.#news = resolve;
      });
    return this.status;
  }

  get emulation(): Emulation {
    return this.context.emulation;
  }

  /** Does something, and waits until time stands again. */
  async stand(action: () => void | Promise<void>): Promise<Status> {
    await action();
    return await this.until("ready", "paused", "done");
  }

  trace(): Uint8Array {
    return this.emulation.files().trace;
  }

  /** Times and bytes of the frames kept. */
  frames(): string[] {
    return this.emulation.recording.frames.map(({ time, data }) => `${time} ${Buffer.from(data).toString("hex")}`);
  }

  async close(): Promise<void> {
    await this.emulation.close();
  }
}

const before = (frames: readonly string[], time: Time): string[] =>
  frames.filter((frame) => Number(frame.split(" ")[0]) < time);

async function opened(plan: LabPlan, workers = 1): Promise<Visit> {
  const visit = new Visit();
  visit.context.workers = workers;
  await visit.open(plan);
  return visit;
}

/** Two hosts of which nothing is wanted. */
const PAIR = labOf("name: pair\nhosts: { a: {}, b: {} }\nsteps:\n  - a: echo one\n  - b: echo two");

it.each([1, 2])(
  "runs a lab half, goes back, runs on: the frames up to there and the whole trace are the same (%i workers)",
  async (workers) => {
    const plan = galleryLab("standalone");
    const expected = await runLab(plan);
    const visit = await opened(plan, workers);
    await visit.stand(() => visit.time.jump(4 * SEC + 123));
    expect(visit.status).toMatchObject({ now: 4 * SEC + 123 });
    const [frames, texts] = [visit.frames(), visit.texts];
    expect(frames.length).toBeGreaterThan(20);
    const back = 3 * SEC + 456_789;
    await visit.stand(() => visit.time.jump(back));
    expect(visit.status).toMatchObject({ now: back, phase: "paused", known: 4 * SEC + 123 });
    expect(visit.frames()).toEqual(before(frames, back));
    await visit.stand(() => visit.time.jump(4 * SEC + 123));
    expect([visit.frames(), visit.texts]).toEqual([frames, texts]);
    await visit.stand(() => visit.time.run());
    expect(visit.status?.phase).toBe("done");
    expect(Buffer.from(visit.trace()).equals(expected.trace)).toBe(true);
    await visit.close();
  },
);

describe("what is done to a run", () => {
  /** A line, one that is interrupted while time stands, a fault within a line and one between, and time that passes. */
  async function busyRun(): Promise<Visit> {
    const visit = await opened(PAIR);
    const { emulation } = visit;
    await visit.stand(() => visit.time.step());
    await visit.stand(() => visit.type("a", "ping -c 2 192.168.77.12"));
    visit.type("a", "ping 192.168.77.12");
    await visit.stand(() => visit.time.jump(visit.emulation.now + 2500 * MS));
    expect(visit.status?.phase).toBe("paused");
    emulation.act({ kind: "fault", fault: { hosts: ["b"], link: "down" } });
    await visit.stand(() => visit.time.jump(visit.emulation.now + 2 * SEC));
    visit.interrupt("a");
    await visit.stand(() => visit.time.step());
    expect(visit.status).toMatchObject({ phase: "ready", step: 1 });
    emulation.act({ kind: "fault", fault: { hosts: ["b"], heal: true } });
    await visit.stand(() => visit.time.run());
    expect(visit.status).toMatchObject({ phase: "done", step: 2 });
    await visit.stand(() => visit.time.jump(visit.emulation.now + 90 * SEC));
    await visit.stand(() => visit.type("b", "ping -c 1 192.168.77.11"));
    return visit;
  }

  it("is kept, and done again at its time: terminals and frames are the same after going back and on", async () => {
    const visit = await busyRun();
    const [frames, texts, trace] = [visit.frames(), visit.texts, visit.trace()];
    const { now: end, done } = visit.status as Status;
    expect(texts.get("a")).toContain("64 bytes from 192.168.77.12");
    expect(texts.get("a")).toMatch(/5 packets transmitted, 3 .*received/);
    expect(visit.emulation.journal.done.map(({ place, action }) => `${place} ${action.kind}`)).toEqual([
      "between step",
      "between line",
      "between line",
      "within fault",
      "within key",
      "between fault",
      "between step",
      "between pass",
      "between line",
    ]);
    for (const at of [2 * SEC, 4 * SEC + 321, 7 * SEC, 40 * SEC, end - 500 * MS]) {
      await visit.stand(() => visit.time.jump(at));
      expect(visit.status).toMatchObject({ now: at, known: end });
      expect(visit.frames()).toEqual(before(frames, at));
      await visit.stand(() => visit.time.jump(end));
      expect(visit.status).toMatchObject({ now: end, done, ahead: 0 });
      expect(visit.frames()).toEqual(frames);
      expect(visit.texts).toEqual(texts);
      expect(Buffer.from(visit.trace()).equals(trace)).toBe(true);
    }
    await visit.close();
  });

  it("comes again step by step, until something else is done", async () => {
    const visit = await busyRun();
    const { frames } = visit.emulation.recording;
    const trace = visit.trace();
    const count = frames.length;
    for (let left = 7; left > 0; left--) {
      await visit.stand(() => visit.time.back("step"));
      expect(visit.emulation.journal.done.filter(({ place }) => place === "between")).toHaveLength(left - 1);
    }
    expect(visit.status).toMatchObject({ phase: "ready", done: 0, ahead: 9, step: 0, frames: 0 });
    await visit.time.back("step");
    for (let step = 0; step < 7; step++) await visit.stand(() => visit.time.step());
    expect(visit.status).toMatchObject({ ahead: 0, frames: count });
    expect(Buffer.from(visit.trace()).equals(trace)).toBe(true);
    await visit.stand(() => visit.time.back("step"));
    await visit.stand(() => visit.time.back("step"));
    expect(visit.status).toMatchObject({ ahead: 2 });
    await visit.stand(() => visit.type("a", "echo else"));
    expect(visit.status).toMatchObject({ ahead: 0, phase: "done" });
    await visit.close();
  });
});

describe("terminals side by side", () => {
  /** tcpdump beside what others type, lines that wait behind others, a container's shell, the lab's steps beside all that. */
  async function busyDesk(): Promise<Visit> {
    const visit = await opened(PAIR);
    const { emulation } = visit;
    await visit.stand(() => visit.type("a", "docker run -d --name c1 nginx"));
    const { entry } = emulation.terminals.open("a", "c1", "sh");
    await visit.stand(() => emulation.act({ kind: "begin", terminal: entry }));
    await visit.stand(() => visit.type(entry.name, "hostname", entry));
    visit.type("b", "tcpdump -n -i eth0 icmp");
    await visit.stand(() => visit.time.jump(visit.emulation.now + 777 * MS + 7));
    visit.type("a", "ping -c 3 192.168.77.12");
    visit.type("a", "echo behind");
    await visit.stand(() => visit.time.jump(visit.emulation.now + 1200 * MS));
    visit.time.run();
    // The lab goes on while tcpdump runs.
    visit.time.run();
    await visit.until("done");
    visit.interrupt("b");
    await visit.stand(() => visit.time.jump(visit.emulation.now + 3 * SEC));
    return visit;
  }

  it("are the same after going back and on", async () => {
    const visit = await busyDesk();
    const [frames, texts, trace, end] = [visit.frames(), visit.texts, visit.trace(), visit.emulation.now];
    expect(texts.get("a")).toMatch(/3 received[\s\S]*\nbehind\n/);
    expect(texts.get("b")).toMatch(/ICMP echo reply[\s\S]*6 packets captured/);
    expect(texts.get("a/c1")).toMatch(/docker exec -it c1 sh\n# # hostname\n[0-9a-f]{12}\n/);
    for (const at of [2 * SEC, 6 * SEC + 321, end - 500 * MS]) {
      await visit.stand(() => visit.time.jump(at));
      expect(visit.frames()).toEqual(before(frames, at));
      await visit.stand(() => visit.time.jump(end));
      expect(visit.frames()).toEqual(frames);
      expect([...visit.texts].sort()).toEqual([...texts].sort());
      expect(Buffer.from(visit.trace()).equals(trace)).toBe(true);
    }
    await visit.close();
  });
});

describe("single steps", () => {
  it("stop after one frame, one event, one loss, and go back to before the last one", async () => {
    const visit = await opened(PAIR);
    await visit.stand(() => visit.time.step());
    visit.type("a", "ping -c 3 192.168.77.12");
    await visit.stand(() => visit.time.single("packet"));
    expect(visit.status).toMatchObject({ phase: "paused" });
    const first = visit.frames();
    expect(new Set(first.map((frame) => frame.split(" ")[0])).size).toBe(1);
    expect(visit.emulation.now).toBe((visit.emulation.lastFrame ?? 0) + 1);
    await visit.stand(() => visit.time.single("packet"));
    const second = visit.frames();
    expect(second.length).toBeGreaterThan(first.length);
    for (let i = 0; i < 10; i++) {
      const { now } = visit.emulation;
      await visit.stand(() => visit.time.single("event"));
      expect(visit.emulation.last).toBe(visit.emulation.now - 1);
      expect(visit.emulation.last).toBeGreaterThanOrEqual(now);
    }
    const { last } = visit.emulation;
    await visit.stand(() => visit.time.back("event"));
    expect(visit.emulation.now).toBe(last);
    expect(visit.emulation.last).toBeLessThan(last);
    while (visit.emulation.recording.frames.length > first.length) await visit.stand(() => visit.time.back("packet"));
    expect(visit.frames()).toEqual(first);
    expect(visit.emulation.now).toBe(Number(second.at(-1)?.split(" ")[0]));
    visit.emulation.act({ kind: "fault", fault: { hosts: ["b"], drop: "icmp" } });
    await visit.stand(() => visit.time.single("drop"));
    const { drops } = await visit.emulation.counters();
    expect(drops).toMatchObject({ WIRE_FILTER: 1 });
    await visit.stand(() => visit.time.single("drop"));
    expect((await visit.emulation.counters()).drops).toMatchObject({ WIRE_FILTER: 2 });
    await visit.close();
  });

  it("end where the lab ends", async () => {
    const visit = await opened(PAIR);
    await visit.stand(() => visit.time.single("drop"));
    expect(visit.status).toMatchObject({ phase: "done", step: 2 });
    await visit.close();
  });
});

it("lets time pass behind the end of the lab, until it is stopped or something is typed", async () => {
  const visit = await opened(PAIR);
  await visit.stand(() => visit.time.run());
  visit.time.speed(SEC);
  visit.time.run();
  const { now } = visit.emulation;
  while (visit.emulation.now < now + 50 * MS)
    await visit.until("running").then(() => new Promise((r) => setTimeout(r, 5)));
  expect(visit.emulation.now).toBeLessThan(now + 20 * SEC);
  visit.type("a", "echo meanwhile");
  while (!visit.texts.get("a")?.includes("meanwhile\n")) await new Promise((r) => setTimeout(r, 5));
  await visit.stand(() => visit.time.pause());
  const { journal } = visit.emulation;
  expect(journal.done.map(({ action }) => action.kind).slice(0, 4)).toEqual(["step", "step", "pass", "line"]);
  const [frames, end] = [visit.frames(), visit.emulation.now];
  await visit.stand(() => visit.time.jump(now + 10 * MS));
  await visit.stand(() => visit.time.jump(end));
  expect(visit.frames()).toEqual(frames);
  await visit.close();
});

it("stops a replay where it is, and says that nothing can be done while it lasts", async () => {
  const visit = await opened(galleryLab("standalone"));
  await visit.stand(() => visit.time.run());
  const { frames, now } = visit.status as Status;
  await visit.time.back("packet");
  expect(visit.status?.phase).toBe("replaying");
  expect(() => visit.type("host1", "true")).toThrow("being replayed");
  await visit.stand(() => visit.time.pause());
  expect(visit.emulation.now).toBeLessThan(now);
  await visit.stand(() => visit.time.jump(now));
  expect(visit.status).toMatchObject({ frames, ahead: 0 });
  await visit.close();
});
