/**
 * The spec that `docker service create` posts, from its flags (docker/cli cli/command/service/opts.go ToService, parse.go,
 * opts/network.go; 20.10).
 */
import { parseDuration, SEC } from "../../base/time.ts";
import type { Proc } from "../../scheduler/process.ts";
import { absolutePath } from "../lib/program.ts";
import { effectiveCapabilities } from "./capabilities.ts";
import { type Invocation, objectError, StatusError } from "./command.ts";
import { keyValues } from "./common.ts";
import type { Flags } from "./flags.ts";
import { type Json, type JsonObject, text } from "./format/json.ts";
import { parseServicePort, type ServicePort } from "./service-ports.ts";
import { splitWords } from "./words.ts";

/** Flags of parts that a host of this emulation doesn't have. */
const REFUSED = [
  "config",
  "config-add",
  "config-rm",
  "secret",
  "secret-add",
  "secret-rm",
  "credential-spec",
  "generic-resource",
  "generic-resource-add",
  "generic-resource-rm",
  "ulimit",
  "ulimit-add",
  "ulimit-rm",
];

/** @throws StatusError for flags that can't be honoured */
export function refuseUnemulated(flags: Flags): void {
  const refused = REFUSED.find((name) => flags.has(name));
  if (refused !== undefined) throw new StatusError(1, `--${refused} is not emulated`);
}

/** An object without what is empty or undefined (encoding/json's omitempty). */
export function omitEmpty(object: Readonly<Record<string, Json | undefined>>): JsonObject {
  const kept = Object.entries(object).filter(([, value]) => {
    if (value === undefined || value === null || value === "" || value === 0 || value === false) return false;
    if (Array.isArray(value)) return value.length > 0;
    return typeof value !== "object" || Object.keys(value).length > 0;
  });
  return Object.fromEntries(kept);
}

/** The value of a duration's flag in ns; undefined when it was not given. */
export function durationFlag(flags: Flags, name: string): number | undefined {
  const value = flags.text(name);
  if (value === undefined) return undefined;
  const span = parseDuration(value.replace(/^[+-]/, ""));
  return span !== undefined && value.startsWith("-") ? -span : span;
}

/** `1.5` CPUs in 1e-9 cores. */
export function cpuFlag(flags: Flags, name: string): number | undefined {
  const value = flags.number(name);
  return value === undefined ? undefined : Math.round(value * 1e9);
}

/** `512M` in bytes (go-units RAMInBytes). */
export function bytesFlag(flags: Flags, name: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp])?/i.exec(flags.text(name) ?? "");
  if (match === null) return undefined;
  const power = match[2] === undefined ? 0 : "kmgtp".indexOf(match[2].toLowerCase()) + 1;
  return Math.floor(Number(match[1]) * 1024 ** power);
}

/** `alpine` → `alpine:latest`; a reference with tag or digest stays (imageWithTagString). */
export function withTag(image: string): string {
  const name = image.slice(image.lastIndexOf("/") + 1);
  return name.includes(":") || image.includes("@") ? image : `${image}:latest`;
}

/** A network's ID as services name it. @throws the engine's refusal */
export function* resolveNetwork({ engine }: Invocation, name: string): Proc<string> {
  try {
    return text(yield* engine.networkInspect(name, { scope: "swarm" }), "Id");
  } catch (error) {
    throw objectError(error, "network", name);
  }
}

/** `NAME` or `name=NAME,alias=A,driver-opt=k=v`. */
function networkAttachment(value: string): { Target: string; Aliases?: string[]; DriverOpts?: Record<string, string> } {
  if (!/\w+=\w+(,\w+=\w+)*/.test(value)) return { Target: value };
  const aliases: string[] = [];
  const options: string[] = [];
  let target = "";
  for (const field of value.split(",")) {
    const at = field.indexOf("=");
    if (at < 0) throw new StatusError(1, `invalid field ${field}`);
    const [key, text] = [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1).trim()];
    if (key === "name") target = text;
    else if (key === "alias") aliases.push(text);
    else if (key === "driver-opt") options.push(text);
    else throw new StatusError(1, `invalid field key ${key}`);
  }
  if (target === "") throw new StatusError(1, "network name/id is not specified");
  return {
    Target: target,
    ...(aliases.length > 0 ? { Aliases: aliases } : {}),
    ...(options.length > 0 ? { DriverOpts: keyValues(options) } : {}),
  };
}

/** Networks with their IDs, in order of these. */
export function* networkAttachments(invocation: Invocation, values: readonly string[]): Proc<JsonObject[]> {
  const out: JsonObject[] = [];
  for (const value of values) {
    const attachment = networkAttachment(value);
    out.push({ ...attachment, Target: yield* resolveNetwork(invocation, attachment.Target) });
  }
  return sortNetworks(out);
}

/** Networks in the order in which the CLI sends them. */
export function sortNetworks(networks: readonly JsonObject[]): JsonObject[] {
  return [...networks].sort((a, b) => (text(a, "Target") < text(b, "Target") ? -1 : 1));
}

/** `type=volume,source=S,target=T,readonly` (opts/mount.go). */
export function parseMount(value: string): JsonObject {
  const mount: Record<string, Json> = { Type: "volume" };
  for (const field of value.split(",")) {
    const at = field.indexOf("=");
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    const setting = at < 0 ? "" : field.slice(at + 1);
    if (key === "type") mount["Type"] = setting.toLowerCase();
    else if (key === "source" || key === "src") mount["Source"] = setting;
    else if (key === "target" || key === "dst" || key === "destination") mount["Target"] = setting;
    else if (key === "readonly" || key === "ro")
      mount["ReadOnly"] = setting === "" || setting === "true" || setting === "1";
    else if (at < 0) throw new StatusError(1, `invalid field '${field}' must be a key=value pair`);
    else if (!/^(volume|tmpfs|bind)-|^consistency$/.test(key))
      throw new StatusError(1, `unexpected key '${key}' in '${field}'`);
  }
  if (mount["Target"] === undefined) throw new StatusError(1, "target is required");
  return mount;
}

/** `name:IP` as services keep it: `IP name`. */
export const swarmHost = (entry: string): string =>
  `${entry.slice(entry.indexOf(":") + 1)} ${entry.slice(0, entry.indexOf(":"))}`;

/** `-e` values: a bare name takes the client's value. */
export function environmentValues({ context }: Invocation, values: readonly string[]): string[] {
  return values.flatMap((item) => {
    if (item === "" || item.startsWith("=")) throw new StatusError(125, `invalid environment variable: ${item}`);
    if (item.includes("=")) return [item];
    const value = context.env.get(item);
    return value === undefined ? [] : [`${item}=${value}`];
  });
}

function environment(invocation: Invocation): string[] {
  const { flags, context } = invocation;
  const fromFiles = flags.list("env-file").flatMap((path) => {
    const content = context.files.read(absolutePath(context, path));
    if (content === undefined) throw new StatusError(1, `open ${path}: no such file or directory`);
    return content.split("\n").filter((line) => line.trim() !== "" && !line.trimStart().startsWith("#"));
  });
  const all = environmentValues(invocation, [...fromFiles, ...flags.list("env")]);
  return [...new Map(all.map((item) => [item.slice(0, item.indexOf("=")), item])).values()];
}

const HEALTH_FLAGS = ["health-cmd", "health-interval", "health-timeout", "health-retries", "health-start-period"];

/** `--health-*` as the API takes them; undefined when none is given. */
export function healthSettings(flags: Flags): JsonObject | undefined {
  const given = HEALTH_FLAGS.some((name) => flags.has(name));
  if (flags.bool("no-healthcheck")) {
    if (given) throw new StatusError(1, "--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!given) return undefined;
  const command = flags.text("health-cmd");
  return omitEmpty({
    Test: command === undefined ? undefined : ["CMD-SHELL", command],
    Interval: durationFlag(flags, "health-interval"),
    Timeout: durationFlag(flags, "health-timeout"),
    StartPeriod: durationFlag(flags, "health-start-period"),
    Retries: flags.number("health-retries"),
  });
}

function mode(flags: Flags): JsonObject {
  const kind = flags.text("mode") ?? "replicated";
  const replicas = flags.number("replicas");
  const concurrent = flags.number("max-concurrent");
  const refuse = (message: string): never => {
    throw new StatusError(1, message);
  };
  const notForJobs = (): void => {
    if (concurrent !== undefined) refuse("max-concurrent can only be used with replicated-job mode");
  };
  switch (kind) {
    case "global":
    case "global-job":
      if (replicas !== undefined) refuse("replicas can only be used with replicated or replicated-job mode");
      if ((flags.number("replicas-max-per-node") ?? 0) > 0)
        refuse("replicas-max-per-node can only be used with replicated or replicated-job mode");
      notForJobs();
      return kind === "global" ? { Global: {} } : { GlobalJob: {} };
    case "replicated":
      notForJobs();
      return { Replicated: replicas === undefined ? {} : { Replicas: replicas } };
    case "replicated-job": {
      const limits = { MaxConcurrent: concurrent ?? replicas, TotalCompletions: replicas };
      return { ReplicatedJob: Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)) };
    }
    default:
      return refuse(`Unknown mode: ${kind}, only replicated and global supported`);
  }
}

/** What follows `--update-` and `--rollback-`. */
export const UPDATE_SUFFIXES = [
  "parallelism",
  "delay",
  "monitor",
  "failure-action",
  "max-failure-ratio",
  "order",
] as const;

/** Update or rollback settings; undefined when none was given. @param base what they change; Docker's defaults if undefined */
export function updateSettings(flags: Flags, prefix: "update" | "rollback", base?: JsonObject): JsonObject | undefined {
  if (!UPDATE_SUFFIXES.some((suffix) => flags.has(`${prefix}-${suffix}`))) return undefined;
  const value = <T>(given: T | undefined, key: string, fallback: T): T =>
    given ?? (base?.[key] as T | undefined) ?? fallback;
  return {
    Parallelism: value(flags.number(`${prefix}-parallelism`), "Parallelism", base === undefined ? 1 : 0),
    Delay: value(durationFlag(flags, `${prefix}-delay`), "Delay", 0),
    FailureAction: value(flags.text(`${prefix}-failure-action`), "FailureAction", "pause"),
    Monitor: value(durationFlag(flags, `${prefix}-monitor`), "Monitor", 5 * SEC),
    MaxFailureRatio: value(flags.number(`${prefix}-max-failure-ratio`), "MaxFailureRatio", 0),
    Order: value(flags.text(`${prefix}-order`), "Order", "stop-first"),
  };
}

/** Restart settings; undefined when none was given. */
export function restartSettings(flags: Flags, base?: JsonObject): JsonObject | undefined {
  const names = ["condition", "delay", "max-attempts", "window"];
  if (!names.some((name) => flags.has(`restart-${name}`))) return undefined;
  const window = durationFlag(flags, "restart-window") ?? (base?.["Window"] as number | undefined);
  return {
    Condition: flags.text("restart-condition") ?? base?.["Condition"] ?? "any",
    Delay: durationFlag(flags, "restart-delay") ?? base?.["Delay"] ?? 5 * SEC,
    MaxAttempts: flags.number("restart-max-attempts") ?? base?.["MaxAttempts"] ?? 0,
    ...(window === undefined ? {} : { Window: window }),
  };
}

/** `--placement-pref` as the API takes it. */
export function placementPreferences(values: readonly string[]): JsonObject[] {
  return values.map((value) => ({ Spread: { SpreadDescriptor: value.slice("spread=".length) } }));
}

/** `--publish` as the API takes it. */
export function publishedPorts(values: readonly string[]): ServicePort[] {
  return values.flatMap(parseServicePort);
}

function containerSpec(invocation: Invocation): JsonObject {
  const { flags, args } = invocation;
  const [image = "", ...command] = args;
  return {
    ...omitEmpty({
      Image: image,
      Labels: keyValues(flags.list("container-label")),
      Command: flags.has("entrypoint") ? splitWords(flags.text("entrypoint") ?? "") : undefined,
      Args: command,
      Hostname: flags.text("hostname"),
      Env: environment(invocation),
      Dir: flags.text("workdir"),
      User: flags.text("user"),
      Groups: [...flags.list("group")],
    }),
    Init: flags.bool("init"),
    ...omitEmpty({
      StopSignal: flags.text("stop-signal"),
      TTY: flags.bool("tty"),
      ReadOnly: flags.bool("read-only"),
      Mounts: flags.list("mount").map(parseMount),
    }),
    ...(flags.has("stop-grace-period") ? { StopGracePeriod: durationFlag(flags, "stop-grace-period") } : {}),
    ...omitEmpty({ Healthcheck: healthSettings(flags), Hosts: flags.list("host").map(swarmHost) }),
    DNSConfig: omitEmpty({
      Nameservers: [...flags.list("dns")],
      Search: [...flags.list("dns-search")],
      Options: [...flags.list("dns-option")],
    }),
    ...omitEmpty({
      Isolation: flags.text("isolation"),
      Sysctls: keyValues(flags.list("sysctl")),
      ...effectiveCapabilities(flags.list("cap-add"), flags.list("cap-drop")),
    }),
  };
}

/** The whole spec. @throws StatusError */
export function* createSpec(invocation: Invocation): Proc<JsonObject> {
  const { flags } = invocation;
  refuseUnemulated(flags);
  const container = containerSpec(invocation);
  const serviceMode = mode(flags);
  const networks = yield* networkAttachments(invocation, flags.list("network"));
  const driver = flags.text("log-driver");
  const restart = restartSettings(flags);
  const update = updateSettings(flags, "update");
  const rollback = updateSettings(flags, "rollback");
  const ports = publishedPorts(flags.list("publish"));
  return {
    Name: flags.text("name") ?? "",
    Labels: keyValues(flags.list("label")),
    TaskTemplate: {
      ContainerSpec: container,
      Resources: {
        Limits: omitEmpty({
          NanoCPUs: cpuFlag(flags, "limit-cpu"),
          MemoryBytes: bytesFlag(flags, "limit-memory"),
          Pids: flags.number("limit-pids"),
        }),
        Reservations: omitEmpty({
          NanoCPUs: cpuFlag(flags, "reserve-cpu"),
          MemoryBytes: bytesFlag(flags, "reserve-memory"),
        }),
      },
      ...(restart === undefined ? {} : { RestartPolicy: restart }),
      Placement: omitEmpty({
        Constraints: [...flags.list("constraint")],
        Preferences: placementPreferences(flags.list("placement-pref")),
        MaxReplicas: flags.number("replicas-max-per-node"),
      }),
      ...(networks.length > 0 ? { Networks: networks } : {}),
      ...(driver === undefined ? {} : { LogDriver: omitEmpty({ Name: driver, Options: flags.map("log-opt") }) }),
      ForceUpdate: 0,
    },
    Mode: serviceMode,
    ...(update === undefined ? {} : { UpdateConfig: update }),
    ...(rollback === undefined ? {} : { RollbackConfig: rollback }),
    EndpointSpec: {
      Mode: (flags.text("endpoint-mode") ?? "vip").toLowerCase(),
      ...(ports.length > 0 ? { Ports: ports as unknown as Json } : {}),
    },
  };
}
