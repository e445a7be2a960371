/** Steps one by one, all, and held within one. */
import { expect, it } from "vitest";
import { Gate } from "../../../web/session/time/gate.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A run of five steps, each of which may be held in its middle. */
function fiveSteps(gate: Gate): string[] {
  const log: string[] = [];
  const run = async (): Promise<void> => {
    for (let step = 1; step <= 5; step++) {
      await gate.beforeStep(() => log.push("waits"));
      log.push(`begin ${step}`);
      await settled();
      await gate.within(() => log.push("held"));
      log.push(`end ${step}`);
    }
    await gate.afterSteps(() => log.push("over"));
    log.push("closed");
  };
  void run();
  return log;
}

async function rest(): Promise<void> {
  for (let i = 0; i < 20; i++) await settled();
}

it("lets one step go, does jobs between two, then all steps, then jobs again until it is closed", async () => {
  const gate = new Gate();
  const log = fiveSteps(gate);
  await rest();
  expect(log).toEqual(["waits"]);
  gate.step();
  await rest();
  expect(log.splice(0)).toEqual(["waits", "begin 1", "end 1", "waits"]);
  gate.enqueue(async () => void log.push("job"));
  await rest();
  expect(log.splice(0)).toEqual(["job", "waits"]);
  gate.run();
  await rest();
  expect(log.splice(0)).toEqual([..."2345"].flatMap((n) => [`begin ${n}`, `end ${n}`]).concat("over"));
  gate.close();
  await rest();
  expect(log).toEqual(["closed"]);
});

it("holds within a step; a step then runs its rest only", async () => {
  const gate = new Gate();
  const log = fiveSteps(gate);
  gate.run();
  await Promise.resolve();
  while (log.at(-1) !== "begin 1") await Promise.resolve();
  gate.hold();
  await rest();
  expect(log.splice(0)).toEqual(["waits", "begin 1", "held"]);
  gate.step();
  await rest();
  expect(log).toEqual(["end 1", "waits"]);
});
