/** What applies where a service's spec says nothing (swarmkit api/defaults/service.go). */
import { SEC, type Time } from "../../base/time.ts";
import type { ServiceSpec, TaskSpec } from "./objects.ts";
import type { RestartCondition, UpdateConfig } from "./services.ts";

/** Defaults of a service (swarmkit api/defaults/service.go); times in ns. */
export const DEFAULT_STOP_GRACE_PERIOD: Time = 10 * SEC;
export const DEFAULT_RESTART_DELAY: Time = 5 * SEC;
export const DEFAULT_RESTART_CONDITION: RestartCondition = "any";
/** Of updates and of rollbacks. */
export const DEFAULT_MONITOR: Time = 5 * SEC;

/** How a service is updated when nothing is said. */
export const DEFAULT_UPDATE: UpdateConfig & { readonly monitor: Time } = {
  parallelism: 1,
  delay: 0,
  failureAction: "pause",
  monitor: DEFAULT_MONITOR,
  maxFailureRatio: 0,
  order: "stop-first",
};

function interpolateTask(task: TaskSpec): TaskSpec {
  const { container, resources, restart, placement } = task;
  return {
    ...task,
    container: container && {
      ...container,
      stopGracePeriod: container.stopGracePeriod ?? DEFAULT_STOP_GRACE_PERIOD,
      dnsConfig: container.dnsConfig ?? {},
    },
    resources: resources ?? {},
    restart: {
      ...restart,
      condition: restart?.condition ?? DEFAULT_RESTART_CONDITION,
      delay: restart?.delay ?? DEFAULT_RESTART_DELAY,
      maxAttempts: restart?.maxAttempts ?? 0,
    },
    placement: placement ?? {},
  };
}

function interpolateUpdate(update: UpdateConfig | undefined): UpdateConfig {
  return { ...(update ?? DEFAULT_UPDATE), monitor: update?.monitor ?? DEFAULT_MONITOR };
}

/** The spec with all that applies to it (defaults.InterpolateService). */
export function interpolateService(spec: ServiceSpec): ServiceSpec {
  return {
    ...spec,
    task: interpolateTask(spec.task),
    update: interpolateUpdate(spec.update),
    rollback: interpolateUpdate(spec.rollback),
  };
}
