/** Whole swarms on the fake network: hosts with a SwarmNode and an executor that records what it is told. */

import { SEC } from "../../src/base/time.ts";
import type { Proc, Process } from "../../src/scheduler/process.ts";
import type { ApiService, ApiServiceSpec, ApiTask } from "../../src/swarm/api/convert-services.ts";
import type {
  EncryptionKey,
  NetworkAttachment,
  NodeDescription,
  NodeObject,
  TaskObject,
} from "../../src/swarm/api/objects.ts";
import { errorText } from "../../src/swarm/api/status.ts";
import { AttachmentController } from "../../src/swarm/attachments.ts";
import type { Executor, TaskController } from "../../src/swarm/executor.ts";
import { SwarmNode } from "../../src/swarm/node.ts";
import { type FakeHost, FakeNetwork, fakeIp } from "../support/fake-host.ts";
import { type Behaviour, FakeTask } from "./fake-tasks.ts";

/** What an executor was told, in order. */
export interface ExecutorRecord {
  readonly time: number;
  readonly what: string;
}

export class FakeExecutor implements Executor {
  readonly records: ExecutorRecord[] = [];
  node: NodeObject | undefined;
  keys: readonly EncryptionKey[] = [];
  description: NodeDescription;
  /** How tasks of services behave, by their image; by default they run for ever. */
  behaviours: Readonly<Record<string, Behaviour>> = {};
  /** Set by the lab once the node exists. */
  swarmNode: SwarmNode | undefined;
  /** Local copies of swarm networks, by ID. */
  readonly networks = new Map<string, NetworkAttachment>();
  readonly #host: FakeHost;

  constructor(host: FakeHost) {
    this.#host = host;
    this.description = {
      hostname: host.name,
      platform: { architecture: "x86_64", os: "linux" },
      resources: { nanoCpus: 1_000_000_000, memoryBytes: 3_000_000_000 },
      engine: { engineVersion: "20.10.24", labels: {}, plugins: [{ type: "Network", name: "overlay" }] },
    };
  }

  describe(): NodeDescription {
    return this.description;
  }

  *configure(node: NodeObject): Proc<void> {
    this.node = node;
    const addresses = node.attachments.map((a) => `${a.network.spec.annotations.name}=${a.addresses.join()}`);
    this.#record(`configure ${addresses.join(" ")}`);
  }

  // biome-ignore lint/correctness/useYield: nothing to wait for
  *setNetworkBootstrapKeys(keys: readonly EncryptionKey[]): Proc<void> {
    this.keys = keys;
    this.#record(`keys ${keys.length}`);
  }

  controller(task: TaskObject): TaskController {
    if (this.swarmNode === undefined) throw new Error("no swarm node");
    const executor = this;
    if (task.spec.runtime === "container") {
      const behaviour = this.behaviours[task.spec.container?.image ?? ""] ?? {};
      return new FakeTask(this.#host.os, task, behaviour, (what) => this.#record(what));
    }
    return new AttachmentController(task, this.swarmNode.attachments, {
      // biome-ignore lint/correctness/useYield: nothing to wait for
      *createNetwork(attachment) {
        executor.networks.set(attachment.network.id, attachment);
        executor.#record(`create network ${attachment.network.spec.annotations.name}`);
      },
      // biome-ignore lint/correctness/useYield: nothing to wait for
      *removeNetwork(id) {
        executor.networks.delete(id);
        executor.#record("remove network");
      },
    });
  }

  #record(what: string): void {
    this.records.push({ time: this.#host.network.now, what });
  }
}

export interface Machine {
  readonly host: FakeHost;
  readonly node: SwarmNode;
  readonly executor: FakeExecutor;
  readonly log: string[];
}

export class Lab {
  readonly network: FakeNetwork;
  readonly machines: Machine[] = [];

  constructor(seed = 1) {
    this.network = new FakeNetwork({ seed });
  }

  machine(name: string): Machine {
    const ip = fakeIp(this.network.hosts.length);
    const host = this.network.addHost(name, ip);
    const executor = new FakeExecutor(host);
    const log: string[] = [];
    const node = new SwarmNode({
      os: host.os,
      executor,
      log: (level, message) => log.push(`${level}: ${message}`),
      interfaces: () => [
        { name: "eth0", isDevice: true, up: true, addresses: [ip] },
        { name: "docker0", isDevice: false, up: true, addresses: [0xac110001] },
      ],
      sourceAddress: () => ip,
    });
    executor.swarmNode = node;
    const machine = { host, node, executor, log };
    this.machines.push(machine);
    return machine;
  }

  /** Starts a program on a machine; its error text is its result. */
  spawn<T>(machine: Machine, program: Proc<T>): Process<{ value: T } | { error: string }> {
    return machine.host.os.spawn(
      "test",
      (function* (): Proc<{ value: T } | { error: string }> {
        try {
          return { value: yield* program };
        } catch (error) {
          return { error: errorText(error) };
        }
      })(),
    );
  }

  /** Runs a program to its end; throws what it throws. */
  run<T>(machine: Machine, program: Proc<T>, limit = 60 * SEC): T {
    const process = this.spawn(machine, program);
    if (!this.network.runUntil(() => process.done, limit)) throw new Error("the program does not end");
    const result = process.result;
    if (result === undefined) throw new Error("the program was killed");
    if ("error" in result) throw new Error(result.error);
    return result.value;
  }

  /** Its error text, and how long it took in seconds. */
  fails(machine: Machine, program: Proc<unknown>): { error: string; seconds: number } {
    const start = this.network.now;
    try {
      this.run(machine, program);
    } catch (error) {
      return { error: errorText(error), seconds: Math.round((this.network.now - start) / SEC) };
    }
    throw new Error("the program did not fail");
  }

  /** A swarm: the first machine is its manager, the others join as workers. */
  swarm(names: readonly string[]): Machine[] {
    const machines = names.map((name) => this.machine(name));
    const manager = machines[0] as Machine;
    this.run(manager, manager.node.init());
    const joinToken = this.run(manager, manager.node.joinToken("worker"));
    for (const machine of machines.slice(1)) this.join(machine, joinToken);
    return machines;
  }

  join(machine: Machine, joinToken: string, remoteAddr = "192.168.77.11:2377"): void {
    this.run(machine, machine.node.join({ remoteAddrs: [remoteAddr], joinToken }));
  }

  /** Creates a service; gives its ID. */
  service(manager: Machine, spec: ApiServiceSpec): string {
    return this.run(
      manager,
      manager.node.control.services.create(serviceSpec(spec), () => undefined),
    );
  }

  /** Changes a service's spec. */
  update(manager: Machine, name: string, change: (spec: ApiServiceSpec) => ApiServiceSpec): void {
    const { services } = manager.node.control;
    const { Version, Spec } = this.run(manager, services.inspect(name, false));
    this.run(manager, services.update(name, Version.Index, change(Spec), { findLocal: () => undefined }));
  }

  inspect(manager: Machine, name: string): ApiService {
    return this.run(manager, manager.node.control.services.inspect(name, true));
  }

  /** Tasks in order of slots and age. */
  tasks(manager: Machine, name?: string, filters: Record<string, readonly string[]> = {}): ApiTask[] {
    const query = name === undefined ? filters : { ...filters, service: [name] };
    const tasks = this.run(manager, manager.node.control.services.tasks(query));
    const rank = (task: ApiTask) => (task.Slot ?? 0) * 1e6 + task.Version.Index;
    return tasks.sort(
      (a, b) => (a.Slot ?? 0) - (b.Slot ?? 0) || (a.CreatedAt < b.CreatedAt ? -1 : 1) || rank(a) - rank(b),
    );
  }

  /** Tasks as `slot host desired current error`. */
  table(manager: Machine, name?: string): string[] {
    const names = new Map(this.machines.map(({ node, host }) => [node.nodeId, host.name]));
    return this.tasks(manager, name).map((task) => {
      const error = task.Status.Err === undefined ? "" : ` "${task.Status.Err}"`;
      const host = names.get(task.NodeID ?? "") ?? "-";
      return `${task.Slot ?? 0} ${host} ${task.DesiredState} ${task.Status.State}${error}`;
    });
  }

  wait(seconds: number): void {
    this.network.runFor(seconds * SEC);
  }
}

/** A spec as `docker service create` sends it; what is given overrides. */
export function serviceSpec(spec: ApiServiceSpec): ApiServiceSpec {
  const template = { ContainerSpec: { Image: "nginx:latest", Init: false, DNSConfig: {} }, ForceUpdate: 0 };
  return {
    Name: "my-nginx",
    Labels: {},
    Mode: { Replicated: {} },
    EndpointSpec: { Mode: "vip" },
    ...spec,
    TaskTemplate: { ...template, Resources: { Limits: {}, Reservations: {} }, Placement: {}, ...spec.TaskTemplate },
  };
}
