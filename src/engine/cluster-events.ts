/**
 * What happens to a swarm's nodes, services and networks, as events of a manager's engine: scope `swarm`, and on an
 * update what changed (moby daemon/events.go generateClusterEvent; 20.10).
 */
import type { NetworkObject, NodeObject, ServiceObject } from "../swarm/api/objects.ts";
import type { StoreAction } from "../swarm/store/memory.ts";

/** An event without its time. */
export interface ClusterEvent {
  readonly type: "network" | "node" | "service";
  readonly action: StoreAction["action"];
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

type Change = readonly [name: string, before: string, after: string];

/** `NAME.old` and `NAME.new` of what differs. */
function changed(changes: readonly Change[]): Record<string, string> {
  const differing = changes.filter(([, before, after]) => before !== after);
  return Object.fromEntries(
    differing.flatMap(([name, before, after]) => [
      [`${name}.old`, before],
      [`${name}.new`, after],
    ]),
  );
}

function nodeAttributes(node: NodeObject, old: NodeObject | undefined): Record<string, string> {
  const name = { name: node.spec.annotations.name || (node.description?.hostname ?? "") };
  if (old === undefined) return name;
  const [manager, before] = [node.managerStatus, old.managerStatus];
  const changes: Change[] = [
    ["availability", old.spec.availability, node.spec.availability],
    ["role", old.role, node.role],
    ["state", old.status.state, node.status.state],
  ];
  if (manager !== undefined && before !== undefined) {
    changes.push(["leader", String(before.leader), String(manager.leader)]);
    changes.push(["reachability", before.reachability, manager.reachability]);
  }
  return { ...name, ...changed(changes) };
}

function replicasOf({ spec }: ServiceObject): number | undefined {
  return spec.mode?.kind === "replicated" ? spec.mode.replicas : undefined;
}

function serviceAttributes(service: ServiceObject, old: ServiceObject | undefined): Record<string, string> {
  const name = { name: service.spec.annotations.name };
  if (old === undefined) return name;
  const changes: Change[] = [];
  const [image, imageBefore] = [service.spec.task.container?.image, old.spec.task.container?.image];
  if (image !== undefined && imageBefore !== undefined) changes.push(["image", imageBefore, image]);
  const [replicas, replicasBefore] = [replicasOf(service), replicasOf(old)];
  if (replicas !== undefined && replicasBefore !== undefined)
    changes.push(["replicas", String(replicasBefore), String(replicas)]);
  const state = service.updateStatus?.state;
  if (state === undefined) return { ...name, ...changed(changes) };
  if (old.updateStatus === undefined) return { ...name, ...changed(changes), "updatestate.new": state };
  changes.push(["updatestate", old.updateStatus.state, state]);
  return { ...name, ...changed(changes) };
}

const networkAttributes = (network: NetworkObject): Record<string, string> => ({
  name: network.spec.annotations.name,
});

/** The event of a change of the swarm's store; undefined for what there are no events of. */
export function clusterEvent(change: StoreAction): ClusterEvent | undefined {
  const { action, object } = change;
  switch (change.table) {
    case "node":
      return { type: "node", action, id: object.id, attributes: nodeAttributes(change.object, change.old) };
    case "service":
      return { type: "service", action, id: object.id, attributes: serviceAttributes(change.object, change.old) };
    case "network":
      return { type: "network", action, id: object.id, attributes: networkAttributes(change.object) };
    default:
      return undefined;
  }
}
