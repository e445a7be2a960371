/** The engine as the swarm's agent uses it: local networks for attachment tasks, whatever comes in between. */
import { describe, expect, it } from "vitest";
import { MS, SEC } from "../../src/base/time.ts";
import { EngineExecutor, networkSpecOf } from "../../src/engine/executor.ts";
import type { NetworkController } from "../../src/libnetwork/controller.ts";
import { type Proc, sleep } from "../../src/scheduler/process.ts";
import type { NetworkObject, NodeObject, TaskObject } from "../../src/swarm/api/objects.ts";
import type { Attachments } from "../../src/swarm/attachments.ts";
import { UnitHost } from "./units.ts";

const network = {
  id: "net1",
  spec: { annotations: { name: "n1", labels: { a: "b" } }, internal: false, attachable: true, ingress: false },
  driverState: { name: "overlay", options: { "com.docker.network.driver.overlay.vxlanid_list": "4097" } },
  ipam: { configs: [{ subnet: "10.0.1.0/24", range: "", gateway: "10.0.1.1" }] },
} as unknown as NetworkObject;

const node = (addresses: readonly string[]): NodeObject =>
  ({ attachments: addresses.length === 0 ? [] : [{ network, addresses }] }) as unknown as NodeObject;

const task = {
  id: "t1",
  spec: { runtime: "attachment", containerId: "c" },
  networks: [{ network, addresses: ["10.0.1.2/24"] }],
};

/** A controller whose networks take a second to make. */
class SlowController {
  readonly made: string[] = [];
  readonly deleted: string[] = [];
  readonly #networks = new Map<string, { state: string; delete: () => void }>();
  readonly #host: UnitHost;
  agentInitialized = true;

  constructor(host: UnitHost) {
    this.#host = host;
  }

  log(): void {}

  network(id: string): unknown {
    return this.#networks.get(id);
  }

  *ensureNetwork(spec: { id: string }): Proc<unknown> {
    const entry = {
      state: "creating",
      delete: () => {
        this.deleted.push(spec.id);
        this.#networks.delete(spec.id);
      },
    };
    this.#networks.set(spec.id, entry);
    yield* sleep(this.#host.os, SEC);
    entry.state = "ready";
    this.made.push(spec.id);
    return entry;
  }
}

function make() {
  const host = new UnitHost();
  const controller = new SlowController(host);
  const executor = new EngineExecutor(
    host.os,
    controller as unknown as NetworkController,
    () => ({}) as Attachments,
    () => {},
  );
  return { host, controller, executor, run: executor.controller(task as unknown as TaskObject) };
}

describe("EngineExecutor", () => {
  it("turns a network of the swarm into libnetwork's", () => {
    expect(networkSpecOf(network, "10.0.1.3/24")).toMatchObject({
      id: "net1",
      name: "n1",
      driver: "overlay",
      scope: "swarm",
      labels: { a: "b" },
      attachable: true,
      loadBalancerIp: 0x0a000103,
      ipam: [{ subnet: { ip: 0x0a000100, prefix: 24 }, gateway: 0x0a000101 }],
      options: { "com.docker.network.driver.overlay.vxlanid_list": "4097" },
    });
    expect(() => networkSpecOf(network, "x")).toThrow("invalid load balancer address x");
  });

  it("waits for the node's load balancer address, not for ever", () => {
    const { host, controller, executor, run } = make();
    const preparing = host.os.spawn("prepare", run.prepare());
    host.run(5 * SEC);
    expect(controller.made).toEqual([]);
    host.result(executor.configure(node(["10.0.1.3/24"])), 2 * SEC);
    expect([preparing.done, controller.made]).toEqual([true, ["net1"]]);
    const late = make();
    expect(() => late.host.result(late.run.prepare(), 40 * SEC)).toThrow(
      "failed to find a load balancer IP to use for network: net1",
    );
  });

  it("two tasks make a network once", () => {
    const { host, controller, executor, run } = make();
    host.result(executor.configure(node(["10.0.1.3/24"])), MS);
    host.os.spawn("a", run.prepare());
    host.os.spawn("b", run.prepare());
    host.run(3 * SEC);
    expect(controller.made).toEqual(["net1"]);
  });

  it("a task that ends while its network is made leaves none behind", () => {
    const { host, controller, executor, run } = make();
    host.result(executor.configure(node(["10.0.1.3/24"])), MS);
    const preparing = host.os.spawn("prepare", run.prepare());
    host.run(200 * MS);
    preparing.kill();
    host.os.spawn("remove", run.remove());
    host.run(5 * SEC);
    expect([controller.made, controller.deleted]).toEqual([["net1"], ["net1"]]);
  });

  it("deletes the local copy when the node's address goes", () => {
    const { host, controller, executor, run } = make();
    host.result(executor.configure(node(["10.0.1.3/24"])), MS);
    host.result(run.prepare(), 2 * SEC);
    host.result(executor.configure(node(["10.0.1.3/24"])), MS);
    expect(controller.deleted).toEqual([]);
    host.result(executor.configure(node([])), MS);
    expect(controller.deleted).toEqual(["net1"]);
  });

  it("describes the node as docker node inspect shows it", () => {
    const { executor } = make();
    expect(executor.describe()).toMatchObject({
      hostname: "host1",
      platform: { architecture: "x86_64", os: "linux" },
      engine: { engineVersion: "20.10.24" },
    });
  });
});
