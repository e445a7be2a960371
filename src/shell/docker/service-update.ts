/** What `docker service update` makes of a service's spec (docker/cli cli/command/service/update.go updateService; 20.10). */
import type { Proc } from "../../scheduler/process.ts";
import { normalCapability } from "./capabilities.ts";
import { type Invocation, StatusError } from "./command.ts";
import { keyValues } from "./common.ts";
import type { Flags } from "./flags.ts";
import { at, type Json, type JsonObject, list, num, object, text } from "./format/json.ts";
import { portKey } from "./service-ports.ts";
import {
  bytesFlag,
  cpuFlag,
  durationFlag,
  environmentValues,
  healthSettings,
  networkAttachments,
  parseMount,
  placementPreferences,
  publishedPorts,
  refuseUnemulated,
  resolveNetwork,
  restartSettings,
  sortNetworks,
  swarmHost,
  updateSettings,
} from "./service-spec.ts";
import { splitWords } from "./words.ts";

/** A spec while it is changed. */
type Draft = Record<string, Json | undefined>;

const anyOf = (flags: Flags, names: readonly string[]): boolean => names.some((name) => flags.has(name));
const strings = (value: Json | undefined): string[] => (Array.isArray(value) ? value.map(String) : []);

/** Texts that were there less `rm`, then those of `add` that weren't. */
function addRemove(current: Json | undefined, add: readonly string[], remove: readonly string[]): string[] {
  return [...new Set([...strings(current).filter((item) => !remove.includes(item)), ...add])];
}

function labels(current: Json | undefined, flags: Flags, prefix: string): JsonObject {
  const out: Record<string, Json> = { ...(object(current) as Record<string, Json>) };
  for (const key of flags.list(`${prefix}-rm`)) delete out[key];
  return { ...out, ...keyValues(flags.list(`${prefix}-add`)) };
}

function environment(current: Json | undefined, invocation: Invocation): string[] {
  const { flags } = invocation;
  const nameOf = (item: string): string => item.split("=")[0] as string;
  const kept = strings(current).filter((item) => !flags.list("env-rm").includes(nameOf(item)));
  const all = [...kept, ...environmentValues(invocation, flags.list("env-add"))];
  return [...new Map(all.map((item) => [nameOf(item), item])).values()];
}

function container(current: JsonObject, invocation: Invocation): JsonObject {
  const { flags } = invocation;
  const spec: Draft = { ...current };
  const put = (name: string, key: string): void => {
    if (flags.has(name)) spec[key] = flags.text(name);
  };
  put("image", "Image");
  put("workdir", "Dir");
  put("user", "User");
  put("hostname", "Hostname");
  put("isolation", "Isolation");
  put("stop-signal", "StopSignal");
  if (anyOf(flags, ["container-label-add", "container-label-rm"]))
    spec["Labels"] = labels(spec["Labels"], flags, "container-label");
  if (flags.has("args")) spec["Args"] = splitWords(flags.text("args") ?? "");
  if (flags.has("entrypoint")) spec["Command"] = splitWords(flags.text("entrypoint") ?? "");
  if (anyOf(flags, ["env-add", "env-rm"])) spec["Env"] = environment(spec["Env"], invocation);
  if (flags.has("init")) spec["Init"] = flags.bool("init");
  if (flags.has("tty")) spec["TTY"] = flags.bool("tty");
  if (flags.has("read-only")) spec["ReadOnly"] = flags.bool("read-only");
  if (flags.has("stop-grace-period")) spec["StopGracePeriod"] = durationFlag(flags, "stop-grace-period");
  if (anyOf(flags, ["mount-add", "mount-rm"])) {
    const added = flags.list("mount-add").map(parseMount);
    const gone = new Set([...flags.list("mount-rm"), ...added.map((mount) => text(mount, "Target"))]);
    spec["Mounts"] = [...list(spec["Mounts"]).filter((mount) => !gone.has(text(mount, "Target"))), ...added];
  }
  if (anyOf(flags, ["group-add", "group-rm"]))
    spec["Groups"] = addRemove(spec["Groups"], flags.list("group-add"), flags.list("group-rm")).sort();
  if (anyOf(flags, ["sysctl-add", "sysctl-rm"])) spec["Sysctls"] = labels(spec["Sysctls"], flags, "sysctl");
  if (anyOf(flags, ["host-add", "host-rm"])) spec["Hosts"] = hosts(spec["Hosts"], flags);
  spec["DNSConfig"] = dns(object(spec["DNSConfig"]), flags);
  capabilities(spec, flags);
  const health = healthSettings(flags);
  if (health !== undefined) {
    const before = object(spec["Healthcheck"]);
    const none = text(list(before, "Test")[0]) === "NONE" || text(list(health, "Test")[0]) === "NONE";
    spec["Healthcheck"] = none ? health : { ...before, ...health };
  }
  return spec;
}

function hosts(current: Json | undefined, flags: Flags): string[] {
  const gone = flags.list("host-rm");
  const kept = strings(current).filter((entry) => {
    const [ip = "", ...names] = entry.split(/\s+/);
    return !names.some((name) => gone.includes(name) || gone.includes(`${name}:${ip}`));
  });
  return [...new Set([...kept, ...flags.list("host-add").map(swarmHost)])];
}

function dns(current: JsonObject, flags: Flags): JsonObject {
  const out: Draft = { ...current };
  const parts = [
    ["dns", "Nameservers"],
    ["dns-search", "Search"],
    ["dns-option", "Options"],
  ] as const;
  for (const [prefix, key] of parts) {
    if (!anyOf(flags, [`${prefix}-add`, `${prefix}-rm`])) continue;
    const values = addRemove(out[key], flags.list(`${prefix}-add`), flags.list(`${prefix}-rm`));
    out[key] = values.length === 0 ? undefined : values.sort();
  }
  return out;
}

/** A capability that is dropped is no longer added, and the other way round. */
function capabilities(spec: Draft, flags: Flags): void {
  if (!anyOf(flags, ["cap-add", "cap-drop"])) return;
  const [add, drop] = [flags.list("cap-add").map(normalCapability), flags.list("cap-drop").map(normalCapability)];
  spec["CapabilityAdd"] = addRemove(spec["CapabilityAdd"], add, drop).sort();
  spec["CapabilityDrop"] = addRemove(spec["CapabilityDrop"], drop, add).sort();
}

function resources(current: JsonObject, flags: Flags): JsonObject {
  const merge = (key: string, values: Draft): JsonObject => ({
    ...object(current, key),
    ...Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)),
  });
  return {
    Limits: merge("Limits", {
      NanoCPUs: cpuFlag(flags, "limit-cpu"),
      MemoryBytes: bytesFlag(flags, "limit-memory"),
      Pids: flags.number("limit-pids"),
    }),
    Reservations: merge("Reservations", {
      NanoCPUs: cpuFlag(flags, "reserve-cpu"),
      MemoryBytes: bytesFlag(flags, "reserve-memory"),
    }),
  };
}

function placement(current: JsonObject, flags: Flags): JsonObject {
  const out: Draft = { ...current };
  if (anyOf(flags, ["constraint-add", "constraint-rm"]))
    out["Constraints"] = addRemove(
      out["Constraints"],
      flags.list("constraint-add"),
      flags.list("constraint-rm"),
    ).sort();
  if (anyOf(flags, ["placement-pref-add", "placement-pref-rm"])) {
    const gone = placementPreferences(flags.list("placement-pref-rm")).map((pref) => JSON.stringify(pref));
    const kept = list(out["Preferences"]).filter((pref) => !gone.includes(JSON.stringify(pref)));
    out["Preferences"] = [...kept, ...placementPreferences(flags.list("placement-pref-add"))];
  }
  if (flags.has("replicas-max-per-node")) out["MaxReplicas"] = flags.number("replicas-max-per-node");
  return out;
}

function* networks(current: readonly Json[], invocation: Invocation): Proc<JsonObject[]> {
  const { flags } = invocation;
  const gone = new Set<string>();
  for (const name of flags.list("network-rm")) gone.add(yield* resolveNetwork(invocation, name));
  const kept = current.filter((one) => !gone.has(text(one, "Target"))) as JsonObject[];
  for (const value of flags.list("network-add")) {
    const [added] = yield* networkAttachments(invocation, [value]);
    if (added === undefined) continue;
    if (kept.some((one) => text(one, "Target") === text(added, "Target")))
      throw new StatusError(1, `service is already attached to network ${value}`);
    kept.push(added);
  }
  return sortNetworks(kept);
}

function ports(current: readonly Json[], flags: Flags): Json[] {
  const known = new Map(current.map((port) => [portKey(port), port]));
  const gone = publishedPorts(flags.list("publish-rm"));
  const kept = [...known.values()].filter(
    (port) =>
      !gone.some(
        (other) =>
          (text(port, "Protocol") || "tcp") === other.Protocol &&
          num(port, "TargetPort") === other.TargetPort &&
          (text(port, "PublishMode") || "ingress") === other.PublishMode,
      ),
  );
  const added = publishedPorts(flags.list("publish-add")) as unknown as Json[];
  const all = [...kept, ...added.filter((port) => !known.has(portKey(port)))];
  return all.sort((a, b) => (portKey(a) < portKey(b) ? -1 : 1));
}

function mode(current: JsonObject, flags: Flags): JsonObject {
  if (flags.has("replicas")) {
    const replicas = flags.number("replicas");
    if (at(current, "Replicated") !== undefined) return { Replicated: { Replicas: replicas } };
    if (at(current, "ReplicatedJob") === undefined)
      throw new StatusError(1, "replicas can only be used with replicated or replicated-job mode");
    return { ReplicatedJob: { ...object(current, "ReplicatedJob"), TotalCompletions: replicas } };
  }
  if (flags.has("max-concurrent")) {
    if (at(current, "ReplicatedJob") === undefined)
      throw new StatusError(1, "max-concurrent can only be used with replicated-job mode");
    return { ReplicatedJob: { ...object(current, "ReplicatedJob"), MaxConcurrent: flags.number("max-concurrent") } };
  }
  return current;
}

const RESOURCE_FLAGS = ["limit-cpu", "limit-memory", "limit-pids", "reserve-cpu", "reserve-memory"];
const PLACEMENT_FLAGS = [
  "constraint-add",
  "constraint-rm",
  "placement-pref-add",
  "placement-pref-rm",
  "replicas-max-per-node",
];

/** The spec with the flags merged in. @throws StatusError */
export function* updateSpec(invocation: Invocation, current: JsonObject): Proc<JsonObject> {
  const { flags } = invocation;
  refuseUnemulated(flags);
  const spec: Draft = { ...current };
  const task: Draft = { ...object(current, "TaskTemplate") };
  if (anyOf(flags, ["label-add", "label-rm"])) spec["Labels"] = labels(spec["Labels"], flags, "label");
  task["ContainerSpec"] = container(object(task["ContainerSpec"]), invocation);
  if (anyOf(flags, RESOURCE_FLAGS)) task["Resources"] = resources(object(task["Resources"]), flags);
  const restart = restartSettings(
    flags,
    task["RestartPolicy"] === undefined ? undefined : object(task["RestartPolicy"]),
  );
  if (restart !== undefined) task["RestartPolicy"] = restart;
  if (anyOf(flags, PLACEMENT_FLAGS)) task["Placement"] = placement(object(task["Placement"]), flags);
  if (anyOf(flags, ["network-add", "network-rm"]))
    task["Networks"] = yield* networks(list(task["Networks"]), invocation);
  for (const prefix of ["update", "rollback"] as const) {
    const key = prefix === "update" ? "UpdateConfig" : "RollbackConfig";
    const settings = updateSettings(flags, prefix, spec[key] === undefined ? undefined : object(spec[key]));
    if (settings !== undefined) spec[key] = settings;
  }
  const endpoint: Draft = { ...object(spec["EndpointSpec"]) };
  if (flags.has("endpoint-mode")) endpoint["Mode"] = flags.text("endpoint-mode");
  if (anyOf(flags, ["publish-add", "publish-rm"])) {
    const changed = ports(list(endpoint["Ports"]), flags);
    endpoint["Ports"] = changed.length === 0 ? undefined : changed;
  }
  if (Object.keys(endpoint).length > 0) spec["EndpointSpec"] = endpoint;
  if (flags.has("log-driver")) {
    const driver = flags.text("log-driver") ?? "";
    task["LogDriver"] = driver === "" ? undefined : { Name: driver, Options: flags.map("log-opt") };
  }
  if (flags.bool("force")) task["ForceUpdate"] = num(task["ForceUpdate"]) + 1;
  spec["Mode"] = mode(object(spec["Mode"]), flags);
  spec["TaskTemplate"] = task;
  return spec;
}
