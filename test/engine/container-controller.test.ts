/** The controller of a task, beside a container that a test moves. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import { ApiError } from "../../src/engine/api.ts";
import { ContainerController, type TaskBackend, TaskExitError } from "../../src/engine/container-controller.ts";
import { type Proc, Signal, sleep } from "../../src/scheduler/process.ts";
import type { TaskObject } from "../../src/swarm/api/objects.ts";
import { UnitHost } from "./units.ts";

const TASK = {
  id: "t1",
  annotations: { name: "", labels: {} },
  serviceAnnotations: { name: "web", labels: {} },
  serviceId: "s1",
  nodeId: "n1",
  slot: 2,
  spec: { runtime: "container", container: { image: "nginx", stopGracePeriod: 3 * SEC }, networks: [] },
  networks: [{ network: { id: "net", spec: { annotations: { name: "n", labels: {} } } }, addresses: [], aliases: [] }],
} as unknown as TaskObject;

/** A request that is done at once. */
function* atOnce(action: () => void = () => {}): Proc<void> {
  action();
}

/** One container, as far as the controller looks at it. */
class FakeContainer {
  readonly id = "c1";
  readonly name = "web.2.t1";
  readonly managed = true;
  readonly changed = new Signal();
  readonly networks = new Map([["n", { networkId: undefined as string | undefined }]]);
  readonly lock = { free: () => atOnce() };
  running = false;
  removed = false;
  startedAt: number | undefined;
  exitCode = 0;
  pid = 0;
  health: { status: string } | undefined;
  readonly sandbox: { enableService(): void; disableService(): void };
  constructor(log: string[]) {
    this.sandbox = { enableService: () => log.push("enable"), disableService: () => log.push("disable") };
  }

  ends(code: number): void {
    this.running = false;
    this.exitCode = code;
    this.changed.notify();
  }
}

function make(options: { startError?: () => Error | undefined } = {}) {
  const host = new UnitHost();
  const log: string[] = [];
  const container = new FakeContainer(log);
  const all: FakeContainer[] = [];
  const backend = {
    os: host.os,
    describe: () => ({ hostname: "h", platform: { os: "linux", architecture: "x86_64" } }),
    containerRequest: (request: unknown) => request,
    waitAttachments: () => atOnce(() => void log.push("wait")),
    createNetwork: () => atOnce(() => void log.push("network")),
    removeNetwork: () => atOnce(() => void log.push("remove network")),
    publishedPorts: () => [],
    log: () => {},
    containers: {
      list: () => all,
      create: (name: string) => {
        log.push(`create ${name}`);
        all.push(container);
        return { container };
      },
      remove: () =>
        atOnce(() => {
          log.push("rm");
          container.removed = true;
        }),
      lifecycle: {
        start: () =>
          atOnce(() => {
            const error = options.startError?.();
            if (error !== undefined) throw error;
            log.push("start");
            container.running = true;
            container.startedAt = host.os.now();
          }),
        stop: (_: unknown, grace: number) =>
          atOnce(() => {
            log.push(`stop ${grace} at ${host.os.now() / SEC}`);
            container.ends(143);
          }),
        killAndWait: () => atOnce(() => container.ends(137)),
      },
    },
  } as unknown as TaskBackend;
  return { host, log, container, controller: new ContainerController(TASK, backend) };
}

describe("ContainerController", () => {
  it("networks, container, start, then the service's binding", () => {
    const { host, log, container, controller } = make();
    host.result(controller.prepare(), SEC);
    expect(container.networks.get("n")?.networkId).toBe("net");
    host.result(controller.prepare(), SEC);
    host.result(controller.start(), SEC);
    host.result(controller.start(), SEC);
    expect(log).toEqual(["wait", "network", "create web.2.t1", "wait", "network", "start", "enable", "enable"]);
    expect(controller.containerStatus()).toEqual({ containerId: "c1", pid: 0, exitCode: 0 });
  });

  it("is out of the service two seconds before it is stopped", () => {
    const { host, log, controller } = make();
    host.result(controller.prepare(), SEC);
    host.result(controller.start(), SEC);
    const began = host.os.now() / SEC;
    host.result(controller.shutdown(), 5 * SEC);
    expect(log.slice(-3)).toEqual(["disable", `stop 3 at ${began + 2}`, "remove network"]);
  });

  it.each([
    [0, undefined],
    [1, "task: non-zero exit (1)"],
    [137, "task: non-zero exit (137)"],
  ])("ends with %i: %s", (code, message) => {
    const { host, container, controller } = make();
    host.result(controller.prepare(), SEC);
    host.result(controller.start(), SEC);
    const end = function* (): Proc<void> {
      yield* sleep(host.os, SEC);
      container.ends(code);
    };
    host.os.spawn("end", end());
    if (message === undefined) host.result(controller.wait(), 5 * SEC);
    else expect(() => host.result(controller.wait(), 5 * SEC)).toThrow(new TaskExitError(code));
  });

  it("isn't running before it is healthy; an unhealthy one is shut down", () => {
    const { host, log, container, controller } = make();
    host.result(controller.prepare(), SEC);
    container.health = { status: "starting" };
    const starting = host.os.spawn("start", controller.start());
    host.run(3 * SEC);
    expect([starting.done, log.includes("enable")]).toEqual([false, false]);
    container.health.status = "healthy";
    container.changed.notify();
    host.run(SEC);
    expect([starting.done, log.at(-1)]).toEqual([true, "enable"]);
    container.health.status = "unhealthy";
    expect(() => host.result(controller.wait(), 5 * SEC)).toThrow(
      "task: non-zero exit (143): dockerexec: unhealthy container",
    );
  });

  it("says why it couldn't start; a network that has gone is made again", () => {
    const refused = make({
      startError: () => new ApiError(500, "Bind for 0.0.0.0:80 failed: port is already allocated"),
    });
    refused.host.result(refused.controller.prepare(), SEC);
    expect(() => refused.host.result(refused.controller.start(), SEC)).toThrow(
      "starting container failed: Bind for 0.0.0.0:80 failed: port is already allocated",
    );
    let tries = 0;
    const lost = make({ startError: () => (tries++ === 0 ? new ApiError(404, "network net not found") : undefined) });
    lost.host.result(lost.controller.prepare(), SEC);
    lost.host.result(lost.controller.start(), SEC);
    expect(lost.log).toEqual(["wait", "network", "create web.2.t1", "network", "start", "enable"]);
  });

  it("removes what it made, a running container after its shutdown", () => {
    const { host, log, controller } = make();
    host.result(controller.prepare(), SEC);
    host.result(controller.start(), SEC);
    host.result(controller.remove(), 5 * SEC);
    expect(log.slice(-4).map((line) => line.split(" ")[0])).toEqual(["disable", "stop", "remove", "rm"]);
    expect(controller.containerStatus()).toBeUndefined();
    expect(() => host.result(controller.start(), SEC)).toThrow("No such container: web.2.t1");
  });
});
