/** `docker service` prints what Docker 20.10.24 printed of the service of golden D, given what its engine answered. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../../src/base/time.ts";
import { formatRfc3339 } from "../../../src/base/wall-clock.ts";
import type { EngineApi, JsonObject } from "../../../src/engine/api.ts";
import { dockerProgram } from "../../../src/shell/docker/docker.ts";
import { goldenAvailable, goldenTitle } from "../../support/golden.ts";
import { type GoldenCommand, goldenCommands, ProgramHost, type RunOptions, type RunResult } from "../harness.ts";
import { fakeEngine, give } from "./fake-engine.ts";

const D = "D-service-vip/manager/commands.txt";

function command(text: string, last = false): GoldenCommand {
  const all = goldenCommands(D).filter((entry) => entry.command === text);
  const found = last ? all.at(-1) : all[0];
  if (found === undefined) throw new Error(`${D} has no ${text}`);
  return found;
}

function run(argv: readonly string[], answers: Partial<EngineApi>, options: RunOptions = {}): RunResult {
  return new ProgramHost().run(dockerProgram(fakeEngine(answers)), argv, options);
}

const service = (): JsonObject =>
  (JSON.parse(command("docker service inspect my-nginx").output) as JsonObject[])[0] as JsonObject;

describe.skipIf(!goldenAvailable)(goldenTitle("docker service, against golden"), () => {
  it("inspect", () => {
    const entry = command("docker service inspect my-nginx");
    expect(run(entry.argv, { serviceInspect: () => give(service()) }).out).toBe(entry.output);
  });

  it("inspect --pretty", () => {
    const entry = command("docker service inspect --pretty my-nginx");
    const answers = { serviceInspect: () => give(service()), networkInspect: () => give({ Name: "nginx-net" }) };
    expect(run(entry.argv, answers).out).toBe(entry.output);
  });

  it("ls", () => {
    const entry = command("docker service ls", true);
    const listed = { ...service(), ServiceStatus: { RunningTasks: 5, DesiredTasks: 5 } };
    expect(run(entry.argv, { serviceList: () => give([listed]) }).out).toBe(entry.output);
  });

  it("ps --no-trunc, from tasks in any order", () => {
    const entry = command("docker service ps --no-trunc my-nginx");
    const rows = entry.output
      .split("\n")
      .slice(1)
      .filter((line) => line !== "");
    const tasks = rows.map((line): JsonObject => {
      const [ID = "", name = "", Image = "", NodeID = ""] = line.split(/\s+/);
      const seconds = Number(/Running (\d+) seconds/.exec(line)?.[1] ?? 70);
      return {
        ID,
        ServiceID: "t5yfnltfiieutvv831x4cra4h",
        Slot: Number(name.split(".")[1]),
        NodeID,
        DesiredState: "running",
        Status: { State: "running", Timestamp: formatRfc3339(-seconds * SEC) },
        Spec: { ContainerSpec: { Image } },
        CreatedAt: "2026-11-20T09:59:21Z",
      };
    });
    expect(tasks).toHaveLength(5);
    const result = run(entry.argv, {
      serviceList: () => give([service()]),
      serviceInspect: () => give(service()),
      nodeInspect: (id) => give({ ID: id, Description: { Hostname: id } }),
      taskList: () => give(tasks.reverse()),
    });
    expect(result.out).toBe(entry.output);
  });

  it("create --detach posts the spec that the swarm then shows, but for defaults", () => {
    const entry = goldenCommands(D).find((one) => one.command.startsWith("docker service create")) as GoldenCommand;
    const posted: JsonObject[] = [];
    const result = run(entry.argv, {
      networkInspect: () => give({ Id: "z40ukpj0jmia3dcxp37hj9lds" }),
      serviceCreate: (spec) => {
        posted.push(spec);
        return give({ ID: "t5yfnltfiieutvv831x4cra4h" });
      },
    });
    expect([result.out, result.err, result.status]).toEqual([entry.output, "", 0]);
    const shown = service()["Spec"] as JsonObject;
    const [spec] = posted;
    for (const key of ["Name", "Labels", "Mode", "EndpointSpec"]) expect(spec?.[key]).toEqual(shown[key]);
    const task = (one: JsonObject | undefined): JsonObject => one?.["TaskTemplate"] as JsonObject;
    for (const key of ["Resources", "Placement", "Networks", "ForceUpdate"])
      expect(task(spec)[key]).toEqual(task(shown)[key]);
    expect(task(spec)["ContainerSpec"]).toEqual({ Image: "nginx:latest", Init: false, DNSConfig: {} });
  });
});
