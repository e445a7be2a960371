/**
 * The tables of a swarm's store and their secondary indices (swarmkit manager/state/store/*.go). Adding a
 * table is one line in `Tables` and one in `SCHEMA`.
 */
import type { ClusterObject, NetworkObject, NodeObject, ServiceObject, TaskObject } from "../api/objects.ts";

/** Objects by table. */
export interface Tables {
  readonly cluster: ClusterObject;
  readonly node: NodeObject;
  readonly network: NetworkObject;
  readonly service: ServiceObject;
  readonly task: TaskObject;
}

/** Names of tables. */
export type TableName = keyof Tables;

interface TableSchema<T> {
  /** Unique, compared case-insensitively; undefined = the table has no unique name. */
  readonly uniqueName: ((object: T) => string) | undefined;
  /** The keys under which an object is found in each index. */
  readonly indices: Readonly<Record<string, (object: T) => readonly string[]>>;
}

type Schema = { readonly [K in TableName]: TableSchema<Tables[K]> };

/** Indices of each table. */
export const SCHEMA = {
  cluster: {
    uniqueName: (cluster: ClusterObject) => cluster.spec.annotations.name,
    indices: { name: (cluster: ClusterObject) => [cluster.spec.annotations.name.toLowerCase()] },
  },
  node: {
    uniqueName: undefined,
    indices: {
      name: (node: NodeObject) => [(node.description?.hostname ?? "").toLowerCase()],
      role: (node: NodeObject) => [node.role],
    },
  },
  network: {
    uniqueName: (network: NetworkObject) => network.spec.annotations.name,
    indices: { name: (network: NetworkObject) => [network.spec.annotations.name.toLowerCase()] },
  },
  service: {
    uniqueName: (service: ServiceObject) => service.spec.annotations.name,
    indices: {
      name: (service: ServiceObject) => [service.spec.annotations.name.toLowerCase()],
      network: (service: ServiceObject) => service.spec.task.networks.map((config) => config.target),
    },
  },
  task: {
    uniqueName: undefined,
    indices: {
      node: (task: TaskObject) => [task.nodeId],
      service: (task: TaskObject) => [task.serviceId],
      network: (task: TaskObject) => [
        ...new Set([
          ...task.spec.networks.map((config) => config.target),
          ...task.networks.map((attachment) => attachment.network.id),
        ]),
      ],
    },
  },
} as const satisfies Schema;

/** Names of the indices of a table. */
export type IndexName<K extends TableName> = keyof (typeof SCHEMA)[K]["indices"] & string;

/** All tables. */
export const TABLE_NAMES = Object.keys(SCHEMA) as TableName[];
