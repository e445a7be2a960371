/** A run with typed commands and faults by hand, saved as a lab: the lab makes the same trace. */
import { expect, it } from "vitest";
import { parseLab, parseLabWith } from "../../../src/lab/parse.ts";
import { loadKernel, nodePlatform } from "../../../src/scheduler/node-adapter.ts";
import { SessionContext } from "../../../web/session/context.ts";
import { Emulation } from "../../../web/session/emulation.ts";
import { recordsOf } from "../../../web/session/labs/run-records.ts";
import { labOfRun } from "../../../web/session/labs/save-run.ts";
import type { SessionEvent } from "../../../web/session/protocol.ts";
import { timeApi } from "../../../web/session/time/api.ts";
import { runLab } from "../../support/lab.ts";

const TEXT = `# Two hosts and a swarm.
params: { count: 2 }
hosts:
  a: {}
  b: {}
steps:
  - a: docker swarm init
  - a: docker swarm join-token -q worker
    as: token
  - b: docker swarm join --token $token 192.168.77.11:2377
  - a: docker run -dit --name c1 alpine
  - a: ping -c $count -W 1 192.168.77.12
  - wait: 90m
  - a: docker node ls
`;

it("the saved lab makes the same trace, with faults within a step and quiet time skipped", async () => {
  const settings = { count: "5" };
  const { plan } = parseLabWith("two.yaml", TEXT, settings);
  const context = new SessionContext({ kernel: loadKernel, platform: nodePlatform(), machines: "" });
  const time = timeApi(context);
  let phase = "";
  let wake = (): void => {};
  const tell = (events: readonly SessionEvent[]): void => {
    for (const event of events) if (event.kind === "status") phase = event.status.phase;
    wake();
  };
  await context.replace(() => Emulation.start(plan, "9", tell, context));
  const { emulation } = context;
  const until = async (...phases: readonly string[]): Promise<void> => {
    while (!phases.includes(phase))
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  const stand = async (action: () => void | Promise<void>): Promise<void> => {
    await until("ready", "paused", "done");
    phase = "";
    await action();
    await until("ready", "paused", "done");
  };
  const step = (): Promise<void> => stand(() => time.step());
  const type = (host: string, line: string): Promise<void> =>
    stand(() => emulation.act({ kind: "line", terminal: { name: host, host }, line, shown: true }));
  const drop = { hosts: ["b"], drop: "icmp" };
  for (let i = 0; i < 4; i++) await step();
  await type("b", "docker ps -q");
  await type("a", "docker exec -it c1 sh");
  await type("a", "hostname; exit 3");
  await type("b", "false");
  emulation.act({ kind: "fault", fault: { hosts: ["a"], latency: 1_000_000 } });
  // Within the ping, at odd times.
  const start = emulation.now;
  await stand(() => time.jump(start + 1_234_567_891));
  emulation.act({ kind: "fault", fault: drop });
  await stand(() => time.jump(start + 2_500_000_003));
  emulation.act({ kind: "fault", fault: { hosts: [], heal: true } });
  await step();
  await step();
  await step();
  const records = recordsOf(emulation.journal.done, emulation.typedRuns);
  const run = { file: "two.yaml", text: TEXT, settings, plan, seed: "9", now: emulation.now, records };
  const { text, left } = labOfRun(run);
  expect(left).toEqual([]);
  const saved = await runLab(parseLab("saved.yaml", text), { capture: ["*/host/eth0", "*/nat/eth0"] });
  expect(saved.failures).toEqual([]);
  expect(saved.result.end).toBe(emulation.now);
  expect(Buffer.from(saved.trace).equals(Buffer.from(emulation.files().trace))).toBe(true);
  expect(saved.transcript).toMatch(/5 packets transmitted, 4 received/);
  await emulation.close();
});
