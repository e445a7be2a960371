/** The control API (swarmkit manager/controlapi): what the Engine asks a manager about the swarm's objects. */

import type { Random } from "../../base/random.ts";
import { formatDuration, HOUR } from "../../base/time.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type ClusterObject, type NodeObject, TaskState } from "../api/objects.ts";
import {
  type Empty,
  GetNode,
  ListClusters,
  ListNodes,
  RemoveNode,
  UpdateCluster,
  type UpdateClusterRequest,
  UpdateNode,
  type UpdateNodeRequest,
} from "../api/rpc.ts";
import { RpcError } from "../api/status.ts";
import { generateJoinToken } from "../ca/token.ts";
import type { WriteTx } from "../store/memory.ts";
import type { Router } from "../transport/transport.ts";
import type { ComponentContext } from "./component.ts";
import { NetworkApi } from "./control-networks.ts";
import { ServiceApi } from "./control-services.ts";
import { TaskApi } from "./control-tasks.ts";
import type { Membership } from "./membership.ts";

/** ca.MinNodeCertExpiration. */
const MIN_CERT_EXPIRY = HOUR;

/** The service Control (manager/controlapi). */
export class ControlApi {
  readonly #context: ComponentContext;
  readonly #membership: Membership;
  readonly #random: Random;
  readonly #networks: NetworkApi;

  constructor(context: ComponentContext, membership: Membership) {
    this.#context = context;
    this.#membership = membership;
    this.#random = context.random.fork("control");
    this.#networks = new NetworkApi(context);
  }

  register(router: Router): void {
    const store = this.#context.store;
    router.unary(ListNodes, () =>
      done({ nodes: store.view((tx) => tx.all("node")).map((node) => this.#withStatus(node)) }),
    );
    router.unary(GetNode, (request) => this.#getNode(request.nodeId));
    router.unary(UpdateNode, (request) => this.#updateNode(request));
    router.unary(RemoveNode, (request) => this.#removeNode(request.nodeId, request.force));
    router.unary(ListClusters, () => done({ clusters: store.view((tx) => tx.all("cluster")).map(redact) }));
    router.unary(UpdateCluster, (request) => this.#updateCluster(request));
    this.#networks.register(router);
    new ServiceApi(this.#context).register(router);
    new TaskApi(this.#context).register(router);
  }

  // ---------------------------------------------------------------------------------------------- nodes

  #withStatus(node: NodeObject): NodeObject {
    const member = this.#membership.members().find((candidate) => candidate.nodeId === node.id);
    if (member === undefined) return node;
    const { raftId, addr, leader, reachability } = member;
    return { ...node, managerStatus: { raftId, addr, leader, reachability } };
  }

  *#getNode(nodeId: string): Proc<{ node: NodeObject }> {
    const node = this.#context.store.view((tx) => tx.get("node", nodeId));
    if (node === undefined) throw new RpcError("NotFound", `node ${nodeId} not found`);
    return { node: this.#withStatus(node) };
  }

  *#updateNode({ nodeId, version, spec }: UpdateNodeRequest): Proc<{ node: NodeObject }> {
    yield* this.#context.store.update((tx) => {
      const node = tx.get("node", nodeId);
      if (node === undefined) throw new RpcError("NotFound", `node ${nodeId} not found`);
      if (node.spec.desiredRole === "manager" && spec.desiredRole === "worker") this.#checkDemotion(tx, node);
      if (node.spec.desiredRole === "worker" && spec.desiredRole === "manager") {
        // Until the store's Proposer is a raft with several members, a second manager could only pretend.
        throw new RpcError("Unimplemented", "promoting a node is not supported yet");
      }
      tx.update("node", { ...node, meta: { ...node.meta, version: { index: version } }, spec });
    });
    return yield* this.#getNode(nodeId);
  }

  #checkDemotion(tx: WriteTx, node: NodeObject): void {
    const managers = tx.by("node", "role", "manager");
    if (managers.length === 1 && managers[0]?.id === node.id) {
      throw new RpcError("FailedPrecondition", "attempting to demote the last manager of the swarm");
    }
    if (!this.#membership.members().some((member) => member.nodeId === node.id)) {
      throw new RpcError("NotFound", "can't find manager in raft memberlist");
    }
  }

  *#removeNode(nodeId: string, force: boolean): Proc<Empty> {
    yield* this.#context.store.update((tx) => {
      const node = tx.get("node", nodeId);
      if (node === undefined) throw new RpcError("NotFound", `node ${nodeId} not found`);
      const isMember = this.#membership.members().some((member) => member.nodeId === nodeId);
      if (node.spec.desiredRole === "manager" && isMember) {
        const text = `node ${nodeId} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`;
        throw new RpcError("FailedPrecondition", text);
      }
      if (!force && node.status.state === "ready") {
        throw new RpcError("FailedPrecondition", `node ${nodeId} is not down and can't be removed`);
      }
      const cluster = tx.all("cluster")[0];
      if (cluster !== undefined) tx.update("cluster", { ...cluster, removedNodes: [...cluster.removedNodes, nodeId] });
      this.#orphanTasks(tx, nodeId);
      tx.remove("node", nodeId);
    });
    return {};
  }

  #orphanTasks(tx: WriteTx, nodeId: string): void {
    const message = "Task belonged to a node that has been deleted";
    const timestamp = this.#context.os.now();
    for (const task of tx.by("task", "node", nodeId)) {
      if (task.status.state >= TaskState.ORPHANED) continue;
      tx.update("task", { ...task, status: { ...task.status, state: TaskState.ORPHANED, message, timestamp } });
    }
  }

  // --------------------------------------------------------------------------------------------- cluster

  *#updateCluster(request: UpdateClusterRequest): Proc<{ cluster: ClusterObject }> {
    const { spec } = request;
    if (spec.ca.nodeCertExpiry < MIN_CERT_EXPIRY) {
      const text = `minimum certificate expiry time is: ${formatDuration(MIN_CERT_EXPIRY)}`;
      throw new RpcError("InvalidArgument", text);
    }
    if (spec.dispatcher.heartbeatPeriod < 0) {
      throw new RpcError("InvalidArgument", "heartbeat time period cannot be a negative duration");
    }
    yield* this.#context.store.update((tx) => {
      const cluster = tx.get("cluster", request.clusterId);
      if (cluster === undefined) throw new RpcError("NotFound", `cluster ${request.clusterId} not found`);
      if (spec.annotations.name !== cluster.spec.annotations.name) {
        throw new RpcError("InvalidArgument", "modification of cluster name is not allowed");
      }
      const { joinTokens, caCert } = cluster.rootCa;
      const worker = request.rotateWorkerToken ? generateJoinToken(caCert, this.#random) : joinTokens.worker;
      const manager = request.rotateManagerToken ? generateJoinToken(caCert, this.#random) : joinTokens.manager;
      const rootCa = { ...cluster.rootCa, joinTokens: { worker, manager } };
      tx.update("cluster", {
        ...cluster,
        meta: { ...cluster.meta, version: { index: request.version } },
        spec,
        rootCa,
      });
    });
    const cluster = this.#context.store.view((tx) => tx.get("cluster", request.clusterId));
    if (cluster === undefined) throw new RpcError("NotFound", `cluster ${request.clusterId} not found`);
    return { cluster: redact(cluster) };
  }
}

/** The CA's key stays with the managers (controlapi redactClusters). */
function redact(cluster: ClusterObject): ClusterObject {
  return { ...cluster, rootCa: { ...cluster.rootCa, caKey: "" } };
}

/** A handler that is done at once. */
// biome-ignore lint/correctness/useYield: a handler is a program
export function* done<T>(value: T): Proc<T> {
  return value;
}
