/** Going back in time: what had happened up to there has happened again, to the byte. */
import { describe, expect, it } from "vitest";
import { MS, SEC, type Time } from "../../../src/base/time.ts";
import type { LabPlan } from "../../../src/lab/plan.ts";
import { loadKernel, nodePlatform } from "../../../src/scheduler/node-adapter.ts";
import { SessionContext } from "../../../web/session/context.ts";
import { Emulation } from "../../../web/session/emulation.ts";
import type { SessionEvent } from "../../../web/session/protocol.ts";
import { timeApi } from "../../../web/session/time/api.ts";
import type { Status } from "../../../web/session/time/protocol.ts";
import { galleryLab, labOf, runLab } from "../../support/lab.ts";

/** A session as the page has one. */
class Visit {
  readonly context = new SessionContext({ kernel: loadKernel, platform: nodePlatform() });
  readonly time = timeApi(this.context);
  status: Status | undefined;
  /** What terminals show, by host; the transcript by "". */
  texts = new Map<string, string>();
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
    else {
      const host = event.host ?? "";
      const text = event.kind === "output" ? event.text : event.prompt === undefined ? "" : `<${event.prompt}>`;
      this.texts.set(host, (this.texts.get(host) ?? "") + text);
    }
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

describe("a lab", () => {
  it("runs half, goes back, runs on: the frames up to there and the whole trace are the same", async () => {
    const plan = galleryLab("standalone");
    const expected = await runLab(plan);
    const visit = new Visit();
    await visit.open(plan);
    await visit.stand(() => visit.time.jump(4 * SEC + 123));
    expect(visit.status).toMatchObject({ now: 4 * SEC + 123 });
    const frames = visit.frames();
    expect(frames.length).toBeGreaterThan(20);
    const back = 3 * SEC + 456_789;
    await visit.stand(() => visit.time.jump(back));
    expect(visit.status).toMatchObject({ now: back, phase: "paused", known: 4 * SEC + 123 });
    expect(visit.frames()).toEqual(before(frames, back));
    await visit.stand(() => visit.time.run());
    expect(visit.status?.phase).toBe("done");
    expect(Buffer.from(visit.trace()).equals(expected.trace)).toBe(true);
    await visit.close();
  });
});

void labOf;
void MS;
