/** What kind of service a service is (swarmkit manager/orchestrator/service.go, networkallocator.IsIngressNetworkNeeded). */
import type { ServiceObject } from "../api/objects.ts";

/** `--replicas`. */
export function isReplicated(service: ServiceObject | undefined): service is ServiceObject {
  return service !== undefined && (service.spec.mode?.kind ?? "replicated") === "replicated";
}

/** `--mode global`. */
export function isGlobal(service: ServiceObject | undefined): service is ServiceObject {
  return service?.spec.mode?.kind === "global";
}

/** `--mode replicated-job`. */
export function isReplicatedJob(service: ServiceObject | undefined): service is ServiceObject {
  return service?.spec.mode?.kind === "replicated-job";
}

/** `--mode global-job`. */
export function isGlobalJob(service: ServiceObject | undefined): service is ServiceObject {
  return service?.spec.mode?.kind === "global-job";
}

/** A job of either kind. */
export function isJob(service: ServiceObject | undefined): service is ServiceObject {
  return isReplicatedJob(service) || isGlobalJob(service);
}

/** True when its tasks are one a node, known by the node and not by a slot. */
export function isPerNode(service: ServiceObject | undefined): boolean {
  return isGlobal(service) || isGlobalJob(service);
}

/** Whether the service publishes a port on the routing mesh. */
export function needsIngress(service: ServiceObject): boolean {
  return (service.spec.endpoint?.ports ?? []).some((port) => port.publishMode === "ingress");
}
