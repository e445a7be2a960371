/**
 * The allocator's loop (swarmkit manager/allocator/allocator.go, network.go): networks, services and nodes on their own
 * events, tasks collected and served at the commit that follows. Whatever could not be allocated is tried
 * again at a commit after something was given back, and 5 minutes after the last try.
 */
import { MINUTE, type Time } from "../../../base/time.ts";
import type { Channel, Proc } from "../../../scheduler/process.ts";
import {
  isIngressNetwork,
  isOverlayNetwork,
  type NetworkAttachment,
  type NetworkObject,
  type NodeObject,
  type ServiceObject,
  type TaskObject,
  TaskState,
} from "../../api/objects.ts";
import type { Endpoint } from "../../api/services.ts";
import type { StoreEvent, WriteTx } from "../../store/memory.ts";
import type { Component, ComponentContext } from "../component.ts";
import { needsIngress } from "../service-modes.ts";
import { AllocationError } from "./ipam.ts";
import { NetworkAllocator } from "./network-allocator.ts";
import { ServiceAllocator } from "./service-allocator.ts";

/** swarmkit allocator.retryInterval. */
const RETRY_INTERVAL = 5 * MINUTE;
const ALLOCATED_MESSAGE = "pending task scheduling";

/** Gives networks, nodes, services and tasks their addresses (manager/allocator). */
export class Allocator implements Component {
  readonly name = "allocator";
  readonly #context: ComponentContext;
  readonly #events: Channel<StoreEvent>;
  readonly #networks: NetworkAllocator;
  readonly #services: ServiceAllocator;
  /** Tasks and networks to allocate at the next commit, and those that could not be. */
  readonly #pendingTasks = new Map<string, TaskObject>();
  readonly #unallocatedTasks = new Map<string, TaskObject>();
  readonly #unallocatedNetworks = new Set<string>();
  readonly #unallocatedServices = new Set<string>();
  /** Addresses given to tasks and to nodes, by their ID: what must be given back. */
  readonly #taskAddresses = new Map<string, readonly NetworkAttachment[]>();
  readonly #nodeAddresses = new Map<string, readonly NetworkAttachment[]>();
  #somethingWasDeallocated = false;
  #lastRetry: Time;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#events = context.store.watch();
    const cluster = context.store.view((tx) => tx.all("cluster"))[0];
    this.#networks = new NetworkAllocator(cluster?.defaultAddressPool ?? [], cluster?.subnetSize ?? 0);
    this.#services = new ServiceAllocator(this.#networks, () => {
      this.#somethingWasDeallocated = true;
    });
    this.#lastRetry = context.os.now();
  }

  *run(): Proc<void> {
    try {
      yield* this.#allocateExisting();
      for (;;) {
        const event = yield* this.#events.pop(this.#lastRetry + RETRY_INTERVAL, true);
        const late = (this.#context.os.now() - this.#lastRetry) % RETRY_INTERVAL;
        if (event === undefined && late > 0) {
          this.#lastRetry = this.#context.os.now() - late; // quiet time was skipped
          continue;
        }
        if (event === undefined) this.#somethingWasDeallocated = true;
        if (event === undefined || event.action === "commit") yield* this.#onCommit();
        else yield* this.#onEvent(event);
      }
    } finally {
      this.#context.store.unwatch(this.#events);
    }
  }

  /** Takes over what is allocated, then allocates what isn't: networks, nodes, tasks. */
  *#allocateExisting(): Proc<void> {
    const store = this.#context.store;
    const { networks, nodes, services, tasks } = store.view((tx) => ({
      networks: tx.all("network").sort((a, b) => Number(isIngressNetwork(b)) - Number(isIngressNetwork(a))),
      nodes: tx.all("node"),
      services: tx.all("service"),
      tasks: tx.all("task"),
    }));
    for (const network of networks) if (network.driverState !== undefined) this.#networks.restoreNetwork(network);
    for (const node of nodes) {
      this.#networks.restoreAddresses(node.attachments);
      if (node.attachments.length > 0) this.#nodeAddresses.set(node.id, node.attachments);
    }
    for (const service of services) this.#services.restore(service);
    for (const task of tasks) {
      if (task.status.state > TaskState.RUNNING || task.status.state < TaskState.PENDING) continue;
      this.#networks.restoreAddresses(task.networks);
      if (task.networks.length > 0) this.#taskAddresses.set(task.id, task.networks);
    }
    for (const network of networks) if (network.driverState === undefined) yield* this.#allocateNetwork(network.id);
    for (const node of nodes) yield* this.#reallocateNode(node.id);
    for (const service of services) yield* this.#allocateService(service.id);
    for (const task of tasks) if (task.status.state === TaskState.NEW) this.#pendingTasks.set(task.id, task);
    yield* this.#allocateTasks(this.#pendingTasks);
  }

  *#onEvent(event: Exclude<StoreEvent, { action: "commit" }>): Proc<void> {
    if (event.table === "network") yield* this.#onNetwork(event.action, event.object);
    else if (event.table === "service") yield* this.#onService(event.action, event.object);
    else if (event.table === "node") yield* this.#onNode(event.action, event.object);
    else if (event.table === "task") yield* this.#onTask(event.action, event.object);
  }

  *#onCommit(): Proc<void> {
    yield* this.#allocateTasks(this.#pendingTasks);
    if (!this.#somethingWasDeallocated) return;
    this.#somethingWasDeallocated = false;
    this.#lastRetry = this.#context.os.now();
    for (const id of [...this.#unallocatedNetworks]) yield* this.#allocateNetwork(id);
    for (const id of [...this.#unallocatedServices]) yield* this.#allocateService(id);
    yield* this.#allocateTasks(this.#unallocatedTasks);
  }

  // ------------------------------------------------------------------------------------------- networks

  *#onNetwork(action: "create" | "update" | "remove", network: NetworkObject): Proc<void> {
    if (action === "create") {
      if (!this.#networks.isAllocated(network.id)) yield* this.#allocateNetwork(network.id);
    } else if (action === "remove") {
      this.#unallocatedNetworks.delete(network.id);
      yield* this.#detachNodes(network.id);
      if (this.#networks.deallocateNetwork(network.id)) this.#somethingWasDeallocated = true;
    }
  }

  *#allocateNetwork(id: string): Proc<void> {
    const network = this.#context.store.view((tx) => tx.get("network", id));
    this.#unallocatedNetworks.delete(id);
    if (network === undefined || this.#networks.isAllocated(id)) return;
    let allocated: NetworkObject;
    try {
      allocated = this.#networks.allocateNetwork(network);
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      this.#unallocatedNetworks.add(id);
      const reason = `failed allocating pools and gateway IP for network ${id}: ${error.message}`;
      const text = error.message.startsWith("could not obtain") ? error.message : reason;
      this.#context.log("error", `Failed allocation for network ${id}: ${text}`);
      return;
    }
    yield* this.#context.store.update((tx) => {
      const stored = tx.get("network", id);
      if (stored !== undefined) tx.update("network", { ...allocated, meta: stored.meta, spec: stored.spec });
    });
    if (isIngressNetwork(network)) {
      for (const node of this.#context.store.view((tx) => tx.all("node"))) yield* this.#reallocateNode(node.id);
    }
  }

  /** A network is gone: no node keeps an address on it. */
  *#detachNodes(networkId: string): Proc<void> {
    for (const [nodeId, attachments] of [...this.#nodeAddresses]) {
      if (attachments.some((attachment) => attachment.network.id === networkId)) yield* this.#reallocateNode(nodeId);
    }
  }

  // ------------------------------------------------------------------------------------------- services

  *#onService(action: "create" | "update" | "remove", service: ServiceObject): Proc<void> {
    if (action !== "remove") {
      yield* this.#allocateService(service.id);
      return;
    }
    this.#unallocatedServices.delete(service.id);
    this.#services.deallocate(service.id);
  }

  #ingress(): NetworkObject | undefined {
    return this.#context.store.view((tx) => tx.all("network").find(isIngressNetwork));
  }

  *#allocateService(id: string): Proc<void> {
    const service = this.#context.store.view((tx) => tx.get("service", id));
    const ingress = this.#ingress();
    this.#unallocatedServices.delete(id);
    if (service === undefined || this.#services.isAllocated(service, ingress)) return;
    try {
      const endpoint = this.#services.allocate(service, ingress);
      yield* this.#context.store.update((tx) => {
        const stored = tx.get("service", id);
        if (stored !== undefined) tx.update("service", { ...stored, endpoint });
      });
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      this.#unallocatedServices.add(id);
      this.#context.log("error", `Failed allocation for service ${id}: ${error.message}`);
    }
  }

  // ---------------------------------------------------------------------------------------------- nodes

  *#onNode(action: "create" | "update" | "remove", node: NodeObject): Proc<void> {
    if (action !== "remove") {
      yield* this.#reallocateNode(node.id);
      return;
    }
    const attachments = this.#nodeAddresses.get(node.id);
    if (attachments === undefined) return;
    this.#networks.releaseAddresses(attachments);
    this.#nodeAddresses.delete(node.id);
    this.#somethingWasDeallocated = true;
  }

  /** Networks on which a node needs a load balancer: ingress, and the overlays of its tasks. */
  #networksOfNode(nodeId: string): NetworkObject[] {
    return this.#context.store.view((tx) => {
      const wanted = new Map<string, NetworkObject>();
      for (const network of tx.all("network")) {
        if (isIngressNetwork(network) && this.#networks.isAllocated(network.id)) wanted.set(network.id, network);
      }
      for (const task of tx.by("task", "node", nodeId)) {
        if (task.status.state > TaskState.RUNNING) continue;
        for (const { network } of task.networks) {
          const stored = tx.get("network", network.id);
          if (stored !== undefined && isOverlayNetwork(stored)) wanted.set(stored.id, stored);
        }
      }
      return [...wanted.values()];
    });
  }

  *#reallocateNode(nodeId: string): Proc<void> {
    const node = this.#context.store.view((tx) => tx.get("node", nodeId));
    if (node === undefined) return;
    const wanted = this.#networksOfNode(nodeId);
    const old = this.#nodeAddresses.get(nodeId) ?? [];
    const keep = old.filter((attachment) => wanted.some((network) => network.id === attachment.network.id));
    const gone = old.filter((attachment) => !keep.includes(attachment));
    const added = this.#attachNode(
      nodeId,
      wanted.filter((network) => !keep.some((a) => a.network.id === network.id)),
    );
    if (gone.length === 0 && added.length === 0) return;
    this.#networks.releaseAddresses(gone);
    if (gone.length > 0) this.#somethingWasDeallocated = true;
    const attachments = [...keep, ...added];
    this.#nodeAddresses.set(nodeId, attachments);
    yield* this.#context.store.update((tx) => {
      const stored = tx.get("node", nodeId);
      if (stored !== undefined) tx.update("node", { ...stored, attachments });
    });
  }

  #attachNode(nodeId: string, networks: readonly NetworkObject[]): NetworkAttachment[] {
    const added: NetworkAttachment[] = [];
    for (const network of networks) {
      try {
        const address = this.#networks.allocateAddress(network.id, []);
        added.push({ network, addresses: [address], aliases: [] });
      } catch (error) {
        if (!(error instanceof AllocationError)) throw error;
        const text = `Failed to allocate network resources for node ${nodeId}: ${error.message}`;
        this.#context.log("error", text);
      }
    }
    return added;
  }

  // ---------------------------------------------------------------------------------------------- tasks

  *#onTask(action: "create" | "update" | "remove", task: TaskObject): Proc<void> {
    if (action === "remove" || task.status.state > TaskState.RUNNING) {
      this.#pendingTasks.delete(task.id);
      this.#unallocatedTasks.delete(task.id);
      this.#releaseTask(task.id);
      if (task.nodeId !== "") yield* this.#reallocateNode(task.nodeId);
      return;
    }
    if (task.nodeId !== "") yield* this.#reallocateNode(task.nodeId);
    if (task.status.state < TaskState.PENDING) this.#pendingTasks.set(task.id, task);
    else {
      this.#pendingTasks.delete(task.id);
      this.#unallocatedTasks.delete(task.id);
    }
  }

  #releaseTask(taskId: string): void {
    const attachments = this.#taskAddresses.get(taskId);
    if (attachments === undefined) return;
    this.#networks.releaseAddresses(attachments);
    this.#taskAddresses.delete(taskId);
    this.#somethingWasDeallocated = true;
  }

  *#allocateTasks(tasks: Map<string, TaskObject>): Proc<void> {
    const writes: ((tx: WriteTx) => void)[] = [];
    for (const task of [...tasks.values()]) {
      tasks.delete(task.id);
      const held = this.#taskAddresses.get(task.id);
      const allocation = held === undefined ? this.#tryTask(task) : { networks: held, endpoint: undefined };
      if (allocation === undefined) this.#unallocatedTasks.set(task.id, task);
      else writes.push((tx) => this.#storeTask(tx, task.id, allocation));
    }
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }

  #tryTask(task: TaskObject): Allocation | undefined {
    try {
      const service = this.#serviceOf(task);
      const networks = this.#networks.allocateTask(task, this.#attachmentsOf(task, service));
      this.#taskAddresses.set(task.id, networks);
      return { networks, endpoint: service?.endpoint };
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      this.#context.log("error", `task allocation failure: ${error.message}`);
      return undefined;
    }
  }

  /** A task waits for its service; one whose service is gone gets nothing any more. */
  #serviceOf(task: TaskObject): ServiceObject | undefined {
    if (task.serviceId === "") return undefined;
    const service = this.#context.store.view((tx) => tx.get("service", task.serviceId));
    if (service === undefined) throw new AllocationError(`could not find service ${task.serviceId}`);
    if (!this.#services.isAllocated(service, this.#ingress())) {
      const text = `service ${service.id} to which task ${task.id} belongs has pending allocations`;
      throw new AllocationError(text);
    }
    return service;
  }

  /** The ingress network if the service is on the mesh, then those of the spec, which must all be there and allocated. */
  #attachmentsOf(task: TaskObject, service: ServiceObject | undefined): NetworkAttachment[] {
    const ingress = service !== undefined && needsIngress(service) ? this.#ingress() : undefined;
    const mesh = ingress === undefined ? [] : [{ network: ingress, addresses: [], aliases: [] }];
    const own = this.#context.store.view((tx) =>
      task.spec.networks.map(({ target, aliases }) => {
        const network = tx.get("network", target);
        if (network === undefined) {
          throw new AllocationError(`failed to retrieve network ${target} while allocating task ${task.id}`);
        }
        return { network, addresses: [], aliases };
      }),
    );
    for (const { network } of [...mesh, ...own]) {
      if (this.#networks.isAllocated(network.id)) continue;
      throw new AllocationError(`network ${network.id} attached to task ${task.id} not allocated yet`);
    }
    return [...mesh, ...own];
  }

  #storeTask(tx: WriteTx, id: string, { networks, endpoint }: Allocation): void {
    const task = tx.get("task", id);
    if (task === undefined || task.status.state >= TaskState.PENDING) return;
    const status = {
      ...task.status,
      state: TaskState.PENDING,
      message: ALLOCATED_MESSAGE,
      err: "",
      timestamp: this.#context.os.now(),
    };
    tx.update("task", { ...task, networks, endpoint: endpoint ?? task.endpoint, status });
  }
}

/** What a task is given: addresses, and a copy of its service's endpoint. */
interface Allocation {
  readonly networks: readonly NetworkAttachment[];
  readonly endpoint: Endpoint | undefined;
}
