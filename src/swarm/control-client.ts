/** The Engine's requests about swarm objects, on a manager (moby daemon/cluster/{networks,nodes,swarm,helpers}.go). */
import type { HostRuntime, Proc } from "../scheduler/process.ts";
import {
  type ApiNetwork,
  type ApiNetworkCreate,
  type ApiNode,
  type ApiNodeSpec,
  type ApiSwarm,
  type ApiSwarmSpec,
  networkSpecFromApi,
  networkToApi,
  nodeSpecFromApi,
  nodeToApi,
  swarmSpecFromApi,
  swarmToApi,
  type WallClock,
} from "./api/convert.ts";
import {
  type ClusterObject,
  type ClusterSpec,
  type NetworkObject,
  type NodeObject,
  PREDEFINED_LABEL,
} from "./api/objects.ts";
import {
  CreateNetwork,
  ListClusters,
  ListNetworks,
  ListNodes,
  RemoveNetwork,
  RemoveNode,
  UpdateCluster,
  UpdateNode,
} from "./api/rpc.ts";
import { SwarmError } from "./api/status.ts";
import { REQUEST_TIMEOUT } from "./attachments.ts";
import { tlsInfoOf } from "./ca/security.ts";
import { lookup } from "./lookup.ts";
import { ServiceClient } from "./service-client.ts";
import type { ClientConn, UnaryMethod } from "./transport/transport.ts";

/** Names that the Engine keeps for its own networks (daemon/network IsPredefined). */
const PREDEFINED_NAMES = new Set(["bridge", "host", "none", "default"]);

/** The daemon's calls to a manager (moby daemon/cluster). */
export class ControlClient {
  readonly #os: HostRuntime;
  readonly #clock: WallClock;
  /** The local manager; throws the 503 that fits where there is none. */
  readonly #connect: () => ClientConn;
  /** Services, tasks and their output. */
  readonly services: ServiceClient;

  constructor(os: HostRuntime, clock: WallClock, connect: () => ClientConn) {
    this.#os = os;
    this.#clock = clock;
    this.#connect = connect;
    const call = <Req, Res>(method: UnaryMethod<Req, Res>, request: Req) => this.#call(method, request);
    this.services = new ServiceClient({ os, clock, call, connect });
  }

  *#call<Req, Res>(method: UnaryMethod<Req, Res>, request: Req): Proc<Res> {
    return yield* this.#connect().call(method, request, this.#os.now() + REQUEST_TIMEOUT);
  }

  // ------------------------------------------------------------------------------------------- networks

  /** The swarm's networks but the predefined ones, in order of ID. */
  *listNetworkObjects(): Proc<NetworkObject[]> {
    const { networks } = yield* this.#call(ListNetworks, {});
    return networks.filter((network) => network.spec.annotations.labels[PREDEFINED_LABEL] !== "true");
  }

  *listNetworks(): Proc<ApiNetwork[]> {
    return (yield* this.listNetworkObjects()).map((network) => networkToApi(network, this.#clock));
  }

  /** By full ID, exact name, or prefix of the ID. Throws 404 and 400 (ambiguous). */
  *getNetwork(input: string): Proc<ApiNetwork> {
    return networkToApi(yield* this.#findNetwork(input), this.#clock);
  }

  /** Gives the new network's ID. The Engine has checked that the name is free. */
  *createNetwork(create: ApiNetworkCreate): Proc<string> {
    if (PREDEFINED_NAMES.has(create.Name)) {
      throw new SwarmError(403, `${create.Name} is a pre-defined network and cannot be created`);
    }
    return (yield* this.#call(CreateNetwork, { spec: networkSpecFromApi(create) })).network.id;
  }

  *removeNetwork(input: string): Proc<void> {
    const network = yield* this.#findNetwork(input);
    yield* this.#call(RemoveNetwork, { networkId: network.id });
  }

  *#findNetwork(input: string): Proc<NetworkObject> {
    const { networks } = yield* this.#call(ListNetworks, {});
    return lookup("network", input, networks, (network) => network.spec.annotations.name);
  }

  // ---------------------------------------------------------------------------------------------- nodes

  /** In order of ID. */
  *listNodes(): Proc<ApiNode[]> {
    const { nodes } = yield* this.#call(ListNodes, {});
    return nodes.map((node) => nodeToApi(node, this.#clock));
  }

  /** By full ID, hostname, or prefix of the ID. */
  *getNode(input: string): Proc<ApiNode> {
    return nodeToApi(yield* this.#findNode(input), this.#clock);
  }

  *updateNode(input: string, version: number, spec: ApiNodeSpec): Proc<void> {
    const node = yield* this.#findNode(input);
    const converted = nodeSpecFromApi(spec, node.spec.membership);
    if (converted === undefined) {
      const badRole = spec.Role !== "worker" && spec.Role !== "manager";
      throw new SwarmError(
        400,
        badRole ? `invalid Role: "${spec.Role}"` : `invalid Availability: "${spec.Availability}"`,
      );
    }
    yield* this.#call(UpdateNode, { nodeId: node.id, version, spec: converted });
  }

  *removeNode(input: string, force: boolean): Proc<void> {
    const node = yield* this.#findNode(input);
    yield* this.#call(RemoveNode, { nodeId: node.id, force });
  }

  *#findNode(input: string): Proc<NodeObject> {
    const { nodes } = yield* this.#call(ListNodes, {});
    return lookup("node", input, nodes, (node) => node.description?.hostname ?? "");
  }

  /** Numbers of nodes and of managers, for GET /info. */
  *countNodes(): Proc<{ nodes: number; managers: number }> {
    const { nodes } = yield* this.#call(ListNodes, {});
    return { nodes: nodes.length, managers: nodes.filter((node) => node.managerStatus !== undefined).length };
  }

  // ---------------------------------------------------------------------------------------------- swarm

  *cluster(): Proc<ClusterObject> {
    const cluster = (yield* this.#call(ListClusters, {})).clusters[0];
    if (cluster === undefined) throw new SwarmError(404, "swarm not found");
    return cluster;
  }

  /** GET /swarm. */
  *inspect(): Proc<ApiSwarm> {
    const cluster = yield* this.cluster();
    return swarmToApi(cluster, tlsInfoOf(cluster.rootCa.caCert), this.#clock);
  }

  *update(version: number, spec: ApiSwarmSpec, rotate: { worker?: boolean; manager?: boolean } = {}): Proc<void> {
    const cluster = yield* this.cluster();
    yield* this.updateCluster(cluster, version, swarmSpecFromApi(spec, cluster.spec), rotate);
  }

  *updateCluster(
    cluster: ClusterObject,
    version: number,
    spec: ClusterSpec,
    rotate: { worker?: boolean; manager?: boolean } = {},
  ): Proc<ClusterObject> {
    const rotateWorkerToken = rotate.worker ?? false;
    const rotateManagerToken = rotate.manager ?? false;
    const request = { clusterId: cluster.id, version, spec, rotateWorkerToken, rotateManagerToken };
    return (yield* this.#call(UpdateCluster, request)).cluster;
  }
}
