/** Attachments of standalone containers to swarm networks (swarmkit manager/resourceapi/allocator.go). */
import { newSwarmId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { Proc } from "../../scheduler/process.ts";
import { NEW_META, type NetworkObject, type TaskObject, TaskState } from "../api/objects.ts";
import { AttachNetwork, type AttachNetworkRequest, DetachNetwork, type Empty } from "../api/rpc.ts";
import { RpcError } from "../api/status.ts";
import type { ReadTx } from "../store/memory.ts";
import type { CallContext, Router } from "../transport/transport.ts";
import type { ComponentContext } from "./component.ts";

/** The service ResourceAllocator (manager/resourceapi). */
export class ResourceAllocator {
  readonly #context: ComponentContext;
  readonly #random: Random;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#random = context.random.fork("resource-allocator");
  }

  register(router: Router): void {
    router.unary(AttachNetwork, (request, context) => this.#attach(request, context));
    router.unary(DetachNetwork, (request, context) => this.#detach(request.attachmentId, context));
  }

  *#attach(request: AttachNetworkRequest, context: CallContext): Proc<{ attachmentId: string }> {
    const network = this.#context.store.view((tx) => findNetwork(tx, request.target));
    if (network === undefined) throw new RpcError("NotFound", `network ${request.target} not found`);
    if (!network.spec.attachable) {
      throw new RpcError("PermissionDenied", `network ${request.target} not manually attachable`);
    }
    const task: TaskObject = {
      id: newSwarmId(this.#random),
      meta: NEW_META,
      annotations: { name: "", labels: {} },
      spec: {
        runtime: "attachment",
        containerId: request.containerId,
        networks: [{ target: network.id, aliases: [], addresses: request.addresses }],
      },
      serviceId: "",
      serviceAnnotations: { name: "", labels: {} },
      slot: 0,
      nodeId: context.identity?.nodeId ?? "",
      status: { timestamp: this.#context.os.now(), state: TaskState.NEW, message: "created", err: "" },
      desiredState: TaskState.RUNNING,
      networks: [],
    };
    yield* this.#context.store.update((tx) => tx.create("task", task));
    return { attachmentId: task.id };
  }

  *#detach(attachmentId: string, context: CallContext): Proc<Empty> {
    if (attachmentId === "") throw new RpcError("InvalidArgument", "invalid argument");
    const nodeId = context.identity?.nodeId ?? "";
    yield* this.#context.store.update((tx) => {
      const task = tx.get("task", attachmentId);
      if (task === undefined) throw new RpcError("NotFound", `attachment ${attachmentId} not found`);
      if (task.nodeId !== nodeId) {
        throw new RpcError("PermissionDenied", `attachment ${attachmentId} doesn't belong to this node`);
      }
      tx.remove("task", attachmentId);
    });
    return {};
  }
}

/** By ID, then by exact name. */
function findNetwork(tx: ReadTx, target: string): NetworkObject | undefined {
  const byId = tx.get("network", target);
  if (byId !== undefined) return byId;
  return tx.by("network", "name", target.toLowerCase()).find((network) => network.spec.annotations.name === target);
}
