/** `docker stack …` (docker/cli cli/command/stack, stack/swarm; 20.10). */
import { ApiError } from "../../engine/api.ts";
import type { Proc } from "../../scheduler/process.ts";
import { absolutePath } from "../lib/program.ts";
import { type Command, errorText, exactArgs, type Invocation, minArgs, noArgs, StatusError } from "./command.ts";
import { filterFlag, isNotFound } from "./common.ts";
import { IMAGE_LABEL, NAMESPACE_LABEL, serviceSpec, stackNetworks } from "./compose-convert.ts";
import { type ComposeFile, parseCompose } from "./compose-file.ts";
import type { FlagSpec } from "./flags.ts";
import { bool, type JsonObject, num, object, text } from "./format/json.ts";
import { formatRows, type Listing, naturalCompare } from "./format/table.ts";
import { printServices, resolveImage, taskFilters } from "./service.ts";
import { withTag } from "./service-spec.ts";
import { printTasks, required, TASK_FLAGS } from "./task.ts";

const LISTING: Listing = {
  headers: { Name: "NAME", Services: "SERVICES", Orchestrator: "ORCHESTRATOR", Namespace: "NAMESPACE" },
  columns: ["Name", "Services", "Orchestrator"],
  quiet: "Name",
};

const NOT_MANAGER =
  'this node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again';

const ORCHESTRATOR: FlagSpec = {
  name: "orchestrator",
  type: "string",
  usage: "Orchestrator to use (swarm|kubernetes|all)",
};

/** Filter of what belongs to a stack. */
const ofStack = (stack: string): readonly string[] => [`${NAMESPACE_LABEL}=${stack}`];

function checkStackName(name: string): void {
  if (name.trim() === "" || /['"\s]/.test(name))
    throw new StatusError(1, `invalid stack name: ${JSON.stringify(name)}`);
}

function* stackServices({ engine }: Invocation, stack: string, status = false): Proc<readonly JsonObject[]> {
  return yield* required(engine.serviceList?.bind(engine))({ filters: { label: ofStack(stack) }, status });
}

// ---------------------------------------------------------------------------------------------- deploy

function* readFile({ context }: Invocation, path: string): Proc<string> {
  if (path === "-") return yield* context.stdin.readAll();
  const content = context.files.read(absolutePath(context, path));
  if (content === undefined) throw new StatusError(1, `open ${path}: no such file or directory`);
  return content;
}

/** Files on top of each other: a later one's services and networks go over the earlier ones' (loader merge, in short). */
function merge(files: readonly ComposeFile[]): ComposeFile {
  const services = new Map<string, JsonObject>();
  for (const file of files)
    for (const [name, service] of file.services) services.set(name, { ...services.get(name), ...service });
  return {
    services: [...services].sort(([a], [b]) => (a < b ? -1 : 1)),
    networks: Object.assign({}, ...files.map(({ networks }) => networks)) as JsonObject,
    warnings: files.flatMap(({ warnings }) => warnings),
  };
}

function* checkExternal({ engine }: Invocation, names: readonly string[]): Proc<void> {
  for (const name of names) {
    if (["bridge", "host", "none", "default"].includes(name)) continue;
    let network: JsonObject;
    try {
      network = yield* engine.networkInspect(name);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw new StatusError(
        1,
        `network "${name}" is declared as external, but could not be found. You need to create a swarm-scoped network before the stack is deployed`,
      );
    }
    if (text(network, "Scope") !== "swarm")
      throw new StatusError(
        1,
        `network "${name}" is declared as external, but it is not in the right scope: "${text(network, "Scope")}" instead of "swarm"`,
      );
  }
}

/** What the daemon refused, with what was tried in front. */
function* attempt<T>(what: string, request: Proc<T>): Proc<T> {
  try {
    return yield* request;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new StatusError(1, `${what}: ${errorText(error)}`);
  }
}

function* createNetworks(invocation: Invocation, stack: string, file: ComposeFile): Proc<void> {
  const { engine, out } = invocation;
  const { created, external } = stackNetworks(stack, file);
  yield* checkExternal(invocation, external);
  const existing = yield* engine.networkList({ label: ofStack(stack) });
  const names = new Set(existing.map((network) => text(network, "Name")));
  for (const [name, request] of created) {
    if (names.has(name)) continue;
    out(`Creating network ${name}\n`);
    yield* attempt(`failed to create network ${name}`, engine.networkCreate(request));
  }
}

function* deployService(invocation: Invocation, spec: JsonObject, existing: JsonObject | undefined): Proc<void> {
  const { engine, flags, out, err } = invocation;
  const name = text(spec, "Name");
  const image = text(spec, "Labels", IMAGE_LABEL);
  const resolve = flags.text("resolve-image") ?? "always";
  const withImage = (value: string): JsonObject => {
    const task = object(spec, "TaskTemplate");
    return { ...spec, TaskTemplate: { ...task, ContainerSpec: { ...object(task, "ContainerSpec"), Image: value } } };
  };
  if (existing === undefined) {
    out(`Creating service ${name}\n`);
    const resolved = resolve === "never" ? withImage(withTag(image)) : (yield* resolveImage(invocation, spec)).spec;
    yield* attempt(`failed to create service ${name}`, required(engine.serviceCreate?.bind(engine))(resolved));
    return;
  }
  out(`Updating service ${name} (id: ${text(existing, "ID")})\n`);
  const unchanged = image === text(existing, "Spec", "Labels", IMAGE_LABEL);
  let updated: JsonObject;
  if (resolve === "always" || (resolve === "changed" && !unchanged)) {
    const resolved = yield* resolveImage(invocation, spec);
    if (resolved.warning !== undefined) err(`${resolved.warning}\n`);
    updated = resolved.spec;
  } else
    updated = withImage(unchanged ? text(existing, "Spec", "TaskTemplate", "ContainerSpec", "Image") : withTag(image));
  const force = num(existing, "Spec", "TaskTemplate", "ForceUpdate");
  const body = { ...updated, TaskTemplate: { ...object(updated, "TaskTemplate"), ForceUpdate: force } };
  const update = required(engine.serviceUpdate?.bind(engine));
  const request = update(text(existing, "ID"), num(existing, "Version", "Index"), body, {});
  for (const warning of (yield* attempt(`failed to update service ${name}`, request)).Warnings ?? [])
    err(`${warning}\n`);
}

function* deploy(invocation: Invocation): Proc<undefined> {
  const { engine, flags, args, context, err } = invocation;
  const stack = args[0] as string;
  checkStackName(stack);
  const paths = flags.list("compose-file");
  if (paths.length === 0) throw new StatusError(1, "Please specify a Compose file (with --compose-file)");
  const files: ComposeFile[] = [];
  for (const path of paths) files.push(parseCompose(yield* readFile(invocation, path), context.env));
  const file = merge(files);
  for (const warning of file.warnings) err(`${warning}\n`);
  if (!bool(yield* engine.info(), "Swarm", "ControlAvailable")) throw new StatusError(1, NOT_MANAGER);
  const readEnvFile = (path: string): readonly string[] => {
    const content = context.files.read(absolutePath(context, path));
    if (content === undefined) throw new StatusError(1, `open ${path}: no such file or directory`);
    return content.split("\n").filter((line) => line.includes("=") && !line.startsWith("#"));
  };
  const specs = file.services.map(([name, service]) =>
    serviceSpec(name, service, { stack, file, env: context.env, readEnvFile }),
  );
  const existing = yield* stackServices(invocation, stack);
  if (flags.bool("prune")) {
    const kept = new Set(specs.map((spec) => text(spec, "Name")));
    yield* removeServices(
      invocation,
      existing.filter((service) => !kept.has(text(service, "Spec", "Name"))),
    );
  }
  yield* createNetworks(invocation, stack, file);
  const known = new Map(existing.map((service) => [text(service, "Spec", "Name"), service]));
  for (const spec of specs) yield* deployService(invocation, spec, known.get(text(spec, "Name")));
}

// ------------------------------------------------------------------------------------ ls, ps, services, rm

function* listStacks(invocation: Invocation): Proc<undefined> {
  const { engine, flags, out } = invocation;
  const services = yield* required(engine.serviceList?.bind(engine))({ filters: { label: [NAMESPACE_LABEL] } });
  const counts = new Map<string, number>();
  for (const service of services) {
    const name = text(object(service, "Spec", "Labels")[NAMESPACE_LABEL]);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const rows = [...counts]
    .sort(([a], [b]) => naturalCompare(a, b))
    .map(([Name, count]) => ({ Name, Services: String(count), Orchestrator: "Swarm", Namespace: "" }));
  out(formatRows(LISTING, rows, flags.text("format"), false));
}

function* ps(invocation: Invocation): Proc<undefined> {
  const { engine, args } = invocation;
  const stack = args[0] as string;
  checkStackName(stack);
  const filters = yield* taskFilters(invocation);
  const labels = [...(filters["label"] ?? []), ...ofStack(stack)];
  const tasks = yield* required(engine.taskList?.bind(engine))({ ...filters, label: labels });
  if (tasks.length === 0) throw new StatusError(1, `nothing found in stack: ${stack}`);
  yield* printTasks(invocation, tasks);
}

function* services(invocation: Invocation): Proc<undefined> {
  const { args, err } = invocation;
  const stack = args[0] as string;
  checkStackName(stack);
  const found = yield* stackServices(invocation, stack, true);
  if (found.length === 0) err(`Nothing found in stack: ${stack}\n`);
  else printServices(invocation, found);
}

/** @returns whether one could not be removed */
function* removeServices({ engine, out, err }: Invocation, found: readonly JsonObject[]): Proc<boolean> {
  let failed = false;
  const sorted = [...found].sort((a, b) => (text(a, "Spec", "Name") < text(b, "Spec", "Name") ? -1 : 1));
  for (const service of sorted) {
    out(`Removing service ${text(service, "Spec", "Name")}\n`);
    try {
      yield* required(engine.serviceRemove?.bind(engine))(text(service, "ID"));
    } catch (error) {
      err(`Failed to remove service ${text(service, "ID")}: ${errorText(error)}`);
      failed = true;
    }
  }
  return failed;
}

function* removeNetworks({ engine, out, err }: Invocation, found: readonly JsonObject[]): Proc<boolean> {
  let failed = false;
  for (const network of found) {
    out(`Removing network ${text(network, "Name")}\n`);
    try {
      yield* engine.networkRemove(text(network, "Id"));
    } catch (error) {
      err(`Failed to remove network ${text(network, "Id")}: ${errorText(error)}`);
      failed = true;
    }
  }
  return failed;
}

function* remove(invocation: Invocation): Proc<undefined> {
  const { engine, args, err } = invocation;
  const errors: string[] = [];
  for (const stack of args) {
    checkStackName(stack);
    const found = yield* stackServices(invocation, stack);
    const networks = yield* engine.networkList({ label: ofStack(stack) });
    if (found.length === 0 && networks.length === 0) {
      err(`Nothing found in stack: ${stack}\n`);
      continue;
    }
    const servicesFailed = yield* removeServices(invocation, found);
    const networksFailed = yield* removeNetworks(invocation, networks);
    if (servicesFailed || networksFailed) errors.push(`Failed to remove some resources from stack: ${stack}`);
  }
  if (errors.length > 0) throw new StatusError(1, errors.join("\n"));
}

/** `docker stack`. */
export const STACK: Command = {
  use: "stack",
  short: "Manage Docker stacks",
  flags: [ORCHESTRATOR],
  commands: [
    {
      use: "deploy [OPTIONS] STACK",
      short: "Deploy a new stack or update an existing stack",
      aliases: ["up"],
      args: exactArgs(1),
      flags: [
        {
          name: "compose-file",
          short: "c",
          type: "strings",
          usage: 'Path to a Compose file, or "-" to read from stdin',
          many: true,
          commas: true,
        },
        ORCHESTRATOR,
        { name: "prune", usage: "Prune services that are no longer referenced" },
        {
          name: "resolve-image",
          type: "string",
          usage: 'Query the registry to resolve image digest and supported platforms ("always"|"changed"|"never")',
          shown: '"always"',
        },
        { name: "with-registry-auth", usage: "Send registry authentication details to Swarm agents" },
      ],
      run: deploy,
    },
    {
      use: "ls [OPTIONS]",
      short: "List stacks",
      aliases: ["list"],
      args: noArgs,
      flags: [{ name: "format", type: "string", usage: "Pretty-print stacks using a Go template" }, ORCHESTRATOR],
      run: listStacks,
    },
    {
      use: "ps [OPTIONS] STACK",
      short: "List the tasks in the stack",
      args: exactArgs(1),
      flags: [...TASK_FLAGS, ORCHESTRATOR],
      run: ps,
    },
    {
      use: "rm [OPTIONS] STACK [STACK...]",
      short: "Remove one or more stacks",
      aliases: ["remove", "down"],
      args: minArgs(1),
      flags: [ORCHESTRATOR],
      run: remove,
    },
    {
      use: "services [OPTIONS] STACK",
      short: "List the services in the stack",
      args: exactArgs(1),
      flags: [
        filterFlag("Filter output based on conditions provided", "f"),
        { name: "format", type: "string", usage: "Pretty-print services using a Go template" },
        ORCHESTRATOR,
        { name: "quiet", short: "q", usage: "Only display IDs" },
      ],
      run: services,
    },
  ],
};
