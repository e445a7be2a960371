/** What a service's spec must be like (swarmkit manager/controlapi/service.go validate…). Throws RpcError with swarmkit's texts. */
import type { ServiceSpec, TaskSpec } from "../api/objects.ts";
import type {
  ContainerSpec,
  EndpointSpec,
  HealthConfig,
  Resources,
  RestartPolicy,
  ServiceMode,
  UpdateConfig,
} from "../api/services.ts";
import { RpcError } from "../api/status.ts";
import { parseConstraints } from "./constraint.ts";
import { validateAnnotations } from "./control-networks.ts";

/** Smallest reservation or limit of CPU, in 1e-9 cores, and of memory, in bytes. */
const MIN_NANO_CPUS = 1e6;
const MIN_MEMORY = 4 * 2 ** 20;

function invalid(text: string): RpcError {
  return new RpcError("InvalidArgument", text);
}

function validateResources({ nanoCpus, memoryBytes }: Resources): void {
  if (nanoCpus !== 0 && nanoCpus < MIN_NANO_CPUS) {
    throw invalid(`invalid cpu value ${nanoCpus / 1e9}: Must be at least ${MIN_NANO_CPUS / 1e9}`);
  }
  if (memoryBytes !== 0 && memoryBytes < MIN_MEMORY) {
    throw invalid(`invalid memory value ${memoryBytes}: Must be at least 4MiB`);
  }
}

function validateRestartPolicy({ delay = 0, window = 0 }: RestartPolicy): void {
  if (delay < 0) throw invalid("TaskSpec: restart-delay cannot be negative");
  if (window < 0) throw invalid("TaskSpec: restart-window cannot be negative");
}

function validateHealth({ interval, timeout, retries, startPeriod }: HealthConfig): void {
  const least = 1e6;
  if (interval !== 0 && interval < least)
    throw invalid("ContainerSpec: Interval in HealthConfig cannot be less than 1ms");
  if (timeout !== 0 && timeout < least) throw invalid("ContainerSpec: Timeout in HealthConfig cannot be less than 1ms");
  if (retries < 0) throw invalid("ContainerSpec: Retries in HealthConfig cannot be negative");
  if (startPeriod !== 0 && startPeriod < least)
    throw invalid("ContainerSpec: StartPeriod in HealthConfig cannot be less than 1ms");
}

/** `[host[:port]/]path[:tag][@digest]` (docker/distribution reference). */
const IMAGE =
  /^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::\d+)?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9+.-]*:[0-9a-fA-F]{32,})?$/;

function validateContainer(container: ContainerSpec): void {
  const { image, mounts = [], healthcheck } = container;
  if (image === "") throw invalid("ContainerSpec: image reference must be provided");
  if (!IMAGE.test(image)) throw invalid(`ContainerSpec: "${image}" is not a valid repository/tag`);
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw invalid(`ContainerSpec: duplicate mount point: ${target}`);
    targets.add(target);
  }
  if (healthcheck !== undefined) validateHealth(healthcheck);
}

function validateTask(task: TaskSpec): void {
  if (task.resources?.limits !== undefined) validateResources(task.resources.limits);
  if (task.resources?.reservations !== undefined) validateResources(task.resources.reservations);
  if (task.restart !== undefined) validateRestartPolicy(task.restart);
  parseConstraints(task.placement?.constraints ?? []);
  if (task.container === undefined) throw invalid("TaskSpec: missing runtime");
  validateContainer(task.container);
}

function validateMode(mode: ServiceMode | undefined): void {
  if (mode?.kind === "replicated" && mode.replicas < 0) throw invalid("Number of replicas must be non-negative");
  if (mode?.kind !== "replicated-job") return;
  if (mode.maxConcurrent < 0) throw invalid("Maximum concurrent jobs must not be negative");
  if (mode.totalCompletions < 0) throw invalid("Total completed jobs must not be negative");
}

function validateUpdate({ delay, monitor = 0, maxFailureRatio }: UpdateConfig): void {
  if (delay < 0) throw invalid("TaskSpec: update-delay cannot be negative");
  if (monitor < 0) throw invalid("TaskSpec: update-monitor cannot be negative");
  if (maxFailureRatio < 0 || maxFailureRatio > 1) {
    throw invalid("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1");
  }
}

function validateEndpoint({ mode, ports }: EndpointSpec): void {
  const seen = new Set<string>();
  for (const { publishMode, publishedPort, protocol } of ports) {
    if (mode === "dnsrr" && publishMode === "ingress") {
      throw invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode");
    }
    if (publishedPort === 0) continue;
    const key = `${publishedPort}/${protocol}`;
    if (seen.has(key)) throw invalid("EndpointSpec: duplicate published ports provided");
    seen.add(key);
  }
}

/** All that can be said of a spec without looking at other objects. */
export function validateServiceSpec(spec: ServiceSpec): void {
  validateAnnotations(spec.annotations);
  validateTask(spec.task);
  validateMode(spec.mode);
  const isJob = spec.mode?.kind === "replicated-job" || spec.mode?.kind === "global-job";
  if (isJob && spec.update !== undefined) throw invalid("Jobs may not have an update config");
  if (spec.update !== undefined) validateUpdate(spec.update);
  if (spec.endpoint !== undefined) validateEndpoint(spec.endpoint);
}
