/** `docker service …` (docker/cli cli/command/service, 20.10). */
import { ApiError } from "../../engine/api.ts";
import type { Proc } from "../../scheduler/process.ts";
import {
  type Command,
  errorText,
  exactArgs,
  type Invocation,
  minArgs,
  noArgs,
  objectError,
  StatusError,
} from "./command.ts";
import { FORMAT_FLAG, filterFlag, filtersOf, forEachName, inspectAll, isNotFound } from "./common.ts";
import { at, type Json, type JsonObject, list, num, object, text } from "./format/json.ts";
import { formatRows, type Listing, naturalCompare, truncateId } from "./format/table.ts";
import { CREATE_FLAGS, UPDATE_FLAGS } from "./service-flags.ts";
import { LOGS } from "./service-logs.ts";
import { serviceLsPorts } from "./service-ports.ts";
import { prettyService } from "./service-pretty.ts";
import { inspectService, waitOnService } from "./service-progress.ts";
import { createSpec, withTag } from "./service-spec.ts";
import { updateSpec } from "./service-update.ts";
import { printTasks, required, shownImage, TASK_FLAGS } from "./task.ts";

const LISTING: Listing = {
  headers: { ID: "ID", Name: "NAME", Mode: "MODE", Replicas: "REPLICAS", Image: "IMAGE", Ports: "PORTS" },
  columns: ["ID", "Name", "Mode", "Replicas", "Image", "Ports"],
  quiet: "ID",
};

const DETACH = {
  name: "detach",
  short: "d",
  usage: "Exit immediately instead of waiting for the service to converge",
} as const;
const QUIET = { name: "quiet", short: "q", usage: "Suppress progress output" } as const;

function modeName(mode: Json | undefined): string {
  if (at(mode, "Replicated") !== undefined) return "replicated";
  if (at(mode, "ReplicatedJob") !== undefined) return "replicated job";
  return at(mode, "GlobalJob") === undefined ? "global" : "global job";
}

/** What `service ls` says of replicas. A job's progress comes in the place of the limit per node. */
function replicas(service: JsonObject): string {
  const status = object(service, "ServiceStatus");
  const [desired, completed] = [num(status, "DesiredTasks"), num(status, "CompletedTasks")];
  const counts = `${num(status, "RunningTasks")}/${desired}`;
  const job = at(service, "Spec", "Mode", "ReplicatedJob");
  if (job !== undefined) return `${counts} (${completed}/${num(job, "TotalCompletions")} completed)`;
  // Desired are only the tasks that have still to complete: all of a global job's are both together.
  if (at(service, "Spec", "Mode", "GlobalJob") !== undefined)
    return `${counts} (${completed}/${desired + completed} completed)`;
  const max = num(service, "Spec", "TaskTemplate", "Placement", "MaxReplicas");
  return max > 0 ? `${counts} (max ${max} per node)` : counts;
}

/** Prints services as `service ls` and `stack services` do. */
export function printServices(invocation: Invocation, services: readonly JsonObject[]): void {
  const { flags, out } = invocation;
  const sorted = [...services].sort((a, b) => naturalCompare(text(a, "Spec", "Name"), text(b, "Spec", "Name")));
  const rows = sorted.map((service) => ({
    ID: truncateId(text(service, "ID")),
    Image: shownImage(text(service, "Spec", "TaskTemplate", "ContainerSpec", "Image")),
    Mode: modeName(at(service, "Spec", "Mode")),
    Name: text(service, "Spec", "Name"),
    Ports: serviceLsPorts(service),
    Replicas: replicas(service),
  }));
  out(formatRows(LISTING, rows, flags.text("format"), flags.bool("quiet")));
}

function* listServices(invocation: Invocation): Proc<undefined> {
  const { engine, flags } = invocation;
  const filters = filtersOf(flags.list("filter"));
  const options = { status: !flags.bool("quiet"), ...(filters === undefined ? {} : { filters }) };
  printServices(invocation, yield* required(engine.serviceList?.bind(engine))(options));
}

// ------------------------------------------------------------------------------------------ create, update

/** What the client says of an image that no registry could resolve (client/service_create.go digestWarning). */
function digestWarning(image: string): string {
  return [
    `image ${image} could not be accessed on a registry to record`,
    `its digest. Each node will access ${image} independently,`,
    "possibly leading to different nodes running different",
    "versions of the image.",
    "",
  ].join("\n");
}

/** Tag, digest and platforms of the spec's image, as the registry knows it (resolveContainerSpecImage). */
export function* resolveImage(
  { engine }: Invocation,
  spec: JsonObject,
): Proc<{ readonly spec: JsonObject; readonly warning?: string }> {
  const task = object(spec, "TaskTemplate");
  const container = object(task, "ContainerSpec");
  const image = withTag(text(container, "Image"));
  const withImage = (name: string, placement: JsonObject): JsonObject => ({
    ...spec,
    TaskTemplate: { ...task, ContainerSpec: { ...container, Image: name }, Placement: placement },
  });
  const placement = object(task, "Placement");
  if (engine.distributionInspect !== undefined) {
    try {
      const found = yield* engine.distributionInspect(image);
      const digest = text(found, "Descriptor", "digest");
      const platforms = list(found, "Platforms").map((platform) => ({
        Architecture: text(platform, "architecture"),
        OS: text(platform, "os"),
      }));
      const pinned = image.includes("@") ? image : `${image}@${digest}`;
      return { spec: withImage(pinned, platforms.length === 0 ? placement : { ...placement, Platforms: platforms }) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }
  return { spec: withImage(image, placement), warning: digestWarning(image) };
}

/** The spec with its image's tag written out, and resolved unless that isn't wanted. */
function* imageOf(invocation: Invocation, spec: JsonObject): Proc<JsonObject> {
  const { flags, err } = invocation;
  if (flags.bool("no-resolve-image")) {
    const task = object(spec, "TaskTemplate");
    const container = object(task, "ContainerSpec");
    return {
      ...spec,
      TaskTemplate: { ...task, ContainerSpec: { ...container, Image: withTag(text(container, "Image")) } },
    };
  }
  const resolved = yield* resolveImage(invocation, spec);
  if (resolved.warning !== undefined) err(`${resolved.warning}\n`);
  return resolved.spec;
}

function* create(invocation: Invocation): Proc<undefined> {
  const { engine, flags, out, err } = invocation;
  const spec = yield* imageOf(invocation, yield* createSpec(invocation));
  const created = yield* required(engine.serviceCreate?.bind(engine))(spec);
  for (const warning of created.Warnings ?? []) err(`${warning}\n`);
  out(`${created.ID}\n`);
  if (!flags.bool("detach")) yield* waitOnService(invocation, created.ID, flags.bool("quiet"));
}

/** Posts a spec and prints the daemon's warnings. */
function* post(
  { engine, err }: Invocation,
  service: JsonObject,
  spec: JsonObject,
  options: { rollback?: "previous" } = {},
): Proc<void> {
  const update = required(engine.serviceUpdate?.bind(engine));
  const { Warnings } = yield* update(text(service, "ID"), num(service, "Version", "Index"), spec, options);
  for (const warning of Warnings ?? []) err(`${warning}\n`);
}

const WITH_ROLLBACK = new Set(["rollback", "detach", "quiet"]);

function* update(invocation: Invocation): Proc<undefined> {
  const { flags, args, out } = invocation;
  const name = args[0] as string;
  const service = yield* inspectService(invocation, name);
  const rollback = flags.bool("rollback");
  if (rollback && UPDATE_FLAGS.some((spec) => flags.has(spec.name) && !WITH_ROLLBACK.has(spec.name)))
    throw new StatusError(1, "other flags may not be combined with --rollback");
  let spec = object(service, "Spec");
  if (!rollback) {
    spec = yield* updateSpec(invocation, spec);
    if (flags.has("image")) spec = yield* imageOf(invocation, spec);
  }
  yield* post(invocation, service, spec, rollback ? { rollback: "previous" } : {});
  out(`${name}\n`);
  if (!flags.bool("detach")) yield* waitOnService(invocation, name, flags.bool("quiet"));
}

function* rollback(invocation: Invocation): Proc<undefined> {
  const { flags, args, out } = invocation;
  const name = args[0] as string;
  const service = yield* inspectService(invocation, name);
  yield* post(invocation, service, object(service, "Spec"), { rollback: "previous" });
  out(`${name}\n`);
  if (!flags.bool("detach")) yield* waitOnService(invocation, name, flags.bool("quiet"));
}

// ---------------------------------------------------------------------------------------------------- scale

function* scaleOne(invocation: Invocation, name: string, count: number): Proc<void> {
  const service = yield* inspectService(invocation, name);
  const spec = object(service, "Spec");
  let mode: JsonObject;
  if (at(spec, "Mode", "Replicated") !== undefined) mode = { Replicated: { Replicas: count } };
  else if (at(spec, "Mode", "ReplicatedJob") !== undefined)
    mode = { ReplicatedJob: { ...object(spec, "Mode", "ReplicatedJob"), TotalCompletions: count } };
  else throw new StatusError(1, "scale can only be used with replicated or replicated-job mode");
  yield* post(invocation, service, { ...spec, Mode: mode });
  invocation.out(`${name} scaled to ${count}\n`);
}

function* scale(invocation: Invocation): Proc<undefined> {
  const { flags, args } = invocation;
  const bad = args.find((arg) => !arg.includes("="));
  if (bad !== undefined)
    throw new StatusError(
      1,
      `Invalid scale specifier '${bad}'.\nSee 'docker service scale --help'.\n\nUsage:  docker service ${SCALE_USE}\n\n${SCALE_SHORT}`,
    );
  const errors: string[] = [];
  const scaled: string[] = [];
  for (const arg of args) {
    const separator = arg.indexOf("=");
    const [name, count] = [arg.slice(0, separator), arg.slice(separator + 1)];
    if (!/^\d+$/.test(count)) {
      const reason = `strconv.ParseUint: parsing ${JSON.stringify(count)}: invalid syntax`;
      errors.push(`${name}: invalid replicas value ${count}: ${reason}`);
      continue;
    }
    try {
      yield* scaleOne(invocation, name, Number(count));
      scaled.push(name);
    } catch (error) {
      errors.push(`${name}: ${errorText(error)}`);
    }
  }
  if (!flags.bool("detach")) {
    for (const name of scaled) {
      try {
        yield* waitOnService(invocation, name, false);
      } catch (error) {
        errors.push(`${name}: ${errorText(error)}`);
      }
    }
  }
  if (errors.length > 0) throw new StatusError(1, errors.join("\n"));
}

// ------------------------------------------------------------------------------------------ ps, inspect, rm

/** IDs of the services that were named: by ID, by name, by the ID's beginning (ps.go createFilter). */
function* findServices(invocation: Invocation): Proc<{ readonly ids: string[]; readonly missing: string[] }> {
  const { engine, args } = invocation;
  const listing = required(engine.serviceList?.bind(engine));
  const byId = yield* listing({ filters: { id: [...args] } });
  const byName = yield* listing({ filters: { name: [...args] } });
  const ids: string[] = [];
  const missing: string[] = [];
  for (const name of args) {
    const exact =
      byId.find((service) => text(service, "ID") === name) ??
      byName.find((service) => text(service, "Spec", "Name") === name);
    if (exact !== undefined) {
      ids.push(text(exact, "ID"));
      continue;
    }
    const begun = byId.filter((service) => text(service, "ID").startsWith(name));
    if (begun.length > 1) throw new StatusError(1, `multiple services found with provided prefix: ${name}`);
    if (begun[0] === undefined) missing.push(`no such service: ${name}`);
    else ids.push(text(begun[0], "ID"));
  }
  if (ids.length === 0) throw new StatusError(1, missing.join("\n"));
  return { ids, missing };
}

/** `--filter node=self` is this node's ID. */
export function* taskFilters(invocation: Invocation): Proc<Record<string, readonly string[]>> {
  const { engine, flags } = invocation;
  const filters: Record<string, readonly string[]> = { ...filtersOf(flags.list("filter")) };
  if (filters["node"]?.includes("self") === true) {
    const self = text(yield* engine.info(), "Swarm", "NodeID");
    filters["node"] = filters["node"].map((name) => (name === "self" ? self : name));
  }
  return filters;
}

function* ps(invocation: Invocation): Proc<undefined> {
  const { engine } = invocation;
  const { ids, missing } = yield* findServices(invocation);
  const filters = { ...(yield* taskFilters(invocation)), service: ids };
  yield* printTasks(invocation, yield* required(engine.taskList?.bind(engine))(filters));
  if (missing.length > 0) throw new StatusError(1, missing.join("\n"));
}

function* detailsOf({ engine }: Invocation, name: string): Proc<JsonObject> {
  try {
    return yield* required(engine.serviceInspect?.bind(engine))(name, { insertDefaults: true });
  } catch (error) {
    throw isNotFound(error) ? new StatusError(1, `Error: no such service: ${name}`) : error;
  }
}

/** Fields that JSON leaves out when they are empty are there for templates (swarm.Service). */
export function typedService(service: JsonObject): JsonObject {
  const endpoint = { Spec: {}, Ports: null, VirtualIPs: null, ...object(service, "Endpoint") };
  const task = { Networks: null, ...object(service, "Spec", "TaskTemplate") };
  const spec = { UpdateConfig: null, RollbackConfig: null, ...object(service, "Spec"), TaskTemplate: task };
  return { PreviousSpec: null, UpdateStatus: null, ...service, Spec: spec, Endpoint: endpoint };
}

function* inspect(invocation: Invocation): Proc<undefined> {
  const { flags, args, out } = invocation;
  const format = flags.text("format");
  if (flags.bool("pretty") && format !== undefined && format !== "")
    throw new StatusError(1, "--format is incompatible with human friendly format");
  if (!flags.bool("pretty") && format !== "pretty") {
    yield* inspectAll(invocation, args, (name) => detailsOf(invocation, name), typedService);
    return;
  }
  const errors: string[] = [];
  for (const name of args) {
    try {
      out(yield* prettyService(invocation, yield* detailsOf(invocation, name)));
    } catch (error) {
      errors.push(errorText(error));
    }
  }
  if (errors.length > 0) throw new StatusError(1, errors.join("\n"));
}

function* remove(invocation: Invocation): Proc<undefined> {
  const { engine, args } = invocation;
  yield* forEachName(invocation, args, function* (name) {
    try {
      yield* required(engine.serviceRemove?.bind(engine))(name);
    } catch (error) {
      throw objectError(error, "service", name);
    }
  });
}

const SCALE_USE = "scale SERVICE=REPLICAS [SERVICE=REPLICAS...]";
const SCALE_SHORT = "Scale one or multiple replicated services";

/** `docker service`. */
export const SERVICE: Command = {
  use: "service",
  short: "Manage services",
  commands: [
    {
      use: "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
      short: "Create a new service",
      args: minArgs(1),
      notInterspersed: true,
      flags: CREATE_FLAGS,
      run: create,
    },
    {
      use: "inspect [OPTIONS] SERVICE [SERVICE...]",
      short: "Display detailed information on one or more services",
      args: minArgs(1),
      flags: [FORMAT_FLAG, { name: "pretty", usage: "Print the information in a human friendly format" }],
      run: inspect,
    },
    LOGS,
    {
      use: "ls [OPTIONS]",
      short: "List services",
      aliases: ["list"],
      args: noArgs,
      flags: [
        filterFlag("Filter output based on conditions provided", "f"),
        { name: "format", type: "string", usage: "Pretty-print services using a Go template" },
        { name: "quiet", short: "q", usage: "Only display IDs" },
      ],
      run: listServices,
    },
    {
      use: "ps [OPTIONS] SERVICE [SERVICE...]",
      short: "List the tasks of one or more services",
      args: minArgs(1),
      flags: TASK_FLAGS,
      run: ps,
    },
    {
      use: "rm SERVICE [SERVICE...]",
      short: "Remove one or more services",
      aliases: ["remove"],
      args: minArgs(1),
      run: remove,
    },
    {
      use: "rollback [OPTIONS] SERVICE",
      short: "Revert changes to a service's configuration",
      args: exactArgs(1),
      flags: [DETACH, QUIET],
      run: rollback,
    },
    { use: SCALE_USE, short: SCALE_SHORT, args: minArgs(1), flags: [DETACH], run: scale },
    {
      use: "update [OPTIONS] SERVICE",
      short: "Update a service",
      args: exactArgs(1),
      flags: UPDATE_FLAGS,
      run: update,
    },
  ],
};
