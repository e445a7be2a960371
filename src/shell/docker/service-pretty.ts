/** `docker service inspect --pretty` (docker/cli cli/command/service/formatter.go serviceInspectPrettyTemplate; 20.10). */
import { formatDuration } from "../../base/time.ts";
import { humanDuration } from "../../engine/views.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type Invocation, objectError } from "./command.ts";
import { at, bool, type Json, type JsonObject, list, num, object, text } from "./format/json.ts";
import { bytesSize } from "./format/size.ts";
import { agoText } from "./service-progress.ts";

/** `k=v` lines under a heading; nothing when there are none. */
function pairs(heading: string, labels: JsonObject, separator: string): string[] {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return [];
  return [heading, ...entries.map(([key, value]) => ` ${key}${value ? `${separator}${String(value)}` : ""}`)];
}

function updateConfig(heading: string, order: string, config: JsonObject): string[] {
  const [delay, monitor] = [num(config, "Delay"), num(config, "Monitor")];
  return [
    heading,
    ` Parallelism:\t${num(config, "Parallelism")}`,
    ...(delay === 0 ? [] : [` Delay:\t\t${formatDuration(delay)}`]),
    ` On failure:\t${text(config, "FailureAction")}`,
    ...(monitor === 0 ? [] : [` Monitoring Period: ${formatDuration(monitor)}`]),
    ` Max failure ratio: ${num(config, "MaxFailureRatio")}`,
    ` ${order}${text(config, "Order")}`,
  ];
}

function updateStatus(invocation: Invocation, status: JsonObject): string[] {
  const ago = (key: string): string => agoText(invocation, text(status, key), humanDuration);
  const state = text(status, "State");
  const lines = ["UpdateStatus:", ` State:\t\t${state}`];
  if (text(status, "StartedAt") !== "") lines.push(` Started:\t${ago("StartedAt")}`);
  if (state === "completed" && text(status, "CompletedAt") !== "") lines.push(` Completed:\t${ago("CompletedAt")}`);
  return [...lines, ` Message:\t${text(status, "Message")}`];
}

function modeLines(mode: JsonObject): string[] {
  if (mode["Global"] !== undefined) return ["Service Mode:\tGlobal"];
  // The template knows nothing of jobs: the heading stays alone.
  if (mode["Replicated"] === undefined) return ["Service Mode:"];
  const replicas = num(mode, "Replicated", "Replicas");
  return ["Service Mode:\tReplicated", ...(replicas === 0 ? [] : [` Replicas:\t${replicas}`])];
}

function logOptions(options: JsonObject): string[] {
  return pairs(" LogOpts:", options, ":       ").map((line, index) => (index === 0 ? line : ` ${line}`));
}

const bracketed = (values: readonly Json[]): string => `[${values.map(String).join(" ")}]`;
const spaced = (values: readonly Json[]): string => values.map((value) => `${String(value)} `).join("");

function placementLines(placement: JsonObject): string[] {
  const constraints = list(placement, "Constraints");
  const spread = list(placement, "Preferences").map((pref) => `spread=${text(pref, "Spread", "SpreadDescriptor")}`);
  const max = num(placement, "MaxReplicas");
  return [
    "Placement:",
    ...(constraints.length === 0 ? [] : [` Constraints:\t${bracketed(constraints)}`]),
    ...(spread.length === 0 ? [] : [` Preferences:   ${bracketed(spread)}`]),
    ...(max === 0 ? [] : [` Max Replicas Per Node:   ${max}`]),
  ];
}

function containerLines(spec: JsonObject): string[] {
  const lines = ["ContainerSpec:", ` Image:\t\t${text(spec, "Image")}`];
  const [args, env] = [list(spec, "Args"), list(spec, "Env")];
  if (args.length > 0) lines.push(` Args:\t\t${spaced(args)}`);
  if (env.length > 0) lines.push(` Env:\t\t${spaced(env)}`);
  if (text(spec, "Dir") !== "") lines.push(` Dir:\t\t${text(spec, "Dir")}`);
  if (spec["Init"] !== undefined) lines.push(` Init:\t\t${bool(spec, "Init")}`);
  if (text(spec, "User") !== "") lines.push(` User: ${text(spec, "User")}`);
  const [add, drop] = [list(spec, "CapabilityAdd"), list(spec, "CapabilityDrop")];
  if (add.length + drop.length > 0) lines.push("Capabilities:");
  if (add.length > 0) lines.push(` Add: ${add.join(", ")}`);
  if (drop.length > 0) lines.push(` Drop: ${drop.join(", ")}`);
  lines.push(...pairs("SysCtls:", object(spec, "Sysctls"), ": "));
  const mounts = list(spec, "Mounts");
  if (mounts.length > 0) lines.push("Mounts:");
  for (const mount of mounts)
    lines.push(
      ` Target:\t${text(mount, "Target")}`,
      `  Source:\t${text(mount, "Source")}`,
      `  ReadOnly:\t${bool(mount, "ReadOnly")}`,
      `  Type:\t\t${text(mount, "Type")}`,
    );
  return lines;
}

function resourceLines(resources: JsonObject): string[] {
  const lines = ["Resources:"];
  for (const [key, heading] of [
    ["Reservations", " Reservations:"],
    ["Limits", " Limits:"],
  ] as const) {
    const part = object(resources, key);
    const [cpus, memory] = [num(part, "NanoCPUs"), num(part, "MemoryBytes")];
    if (cpus === 0 && memory === 0) continue;
    lines.push(heading);
    if (cpus > 0) lines.push(`  CPU:\t\t${cpus / 1e9}`);
    if (memory > 0) lines.push(`  Memory:\t${bytesSize(memory)}`);
  }
  const pids = num(resources, "Limits", "Pids");
  return pids === 0 ? lines : [...lines, `  PIDs:\t\t${pids}`];
}

function healthLines(health: JsonObject): string[] {
  const tests = list(health, "Test");
  return [
    " Healthcheck:",
    `  Interval = ${formatDuration(num(health, "Interval"))}`,
    `  Retries = ${num(health, "Retries")}`,
    `  StartPeriod =\t${formatDuration(num(health, "StartPeriod"))}`,
    `  Timeout =\t${formatDuration(num(health, "Timeout"))}`,
    ...(tests.length === 0 ? [] : ["  Tests:", `${tests.map((test) => `\t Test = ${String(test)}`).join("\n")} `]),
  ];
}

function portLines(ports: readonly Json[]): string[] {
  return ports.flatMap((port) => [
    ` PublishedPort = ${num(port, "PublishedPort")}`,
    `  Protocol = ${text(port, "Protocol")}`,
    `  TargetPort = ${num(port, "TargetPort")}`,
    `  PublishMode = ${text(port, "PublishMode")}`,
  ]);
}

function* networkNames({ engine }: Invocation, networks: readonly Json[]): Proc<string[]> {
  const names: string[] = [];
  for (const network of networks) {
    const id = text(network, "Target");
    try {
      names.push(text(yield* engine.networkInspect(id, { scope: "swarm" }), "Name"));
    } catch (error) {
      throw objectError(error, "network", id);
    }
  }
  return names;
}

/** A service as people read it. */
export function* prettyService(invocation: Invocation, service: JsonObject): Proc<string> {
  const spec = object(service, "Spec");
  const task = object(spec, "TaskTemplate");
  const networks = yield* networkNames(invocation, list(task, "Networks"));
  const ports = list(service, "Endpoint", "Ports");
  const driver = at(task, "LogDriver");
  const lines = [
    "",
    `ID:\t\t${text(service, "ID")}`,
    `Name:\t\t${text(spec, "Name")}`,
    ...pairs("Labels:", object(spec, "Labels"), "="),
    ...modeLines(object(spec, "Mode")),
    ...(text(service, "UpdateStatus", "State") === "" ? [] : updateStatus(invocation, object(service, "UpdateStatus"))),
    ...placementLines(object(task, "Placement")),
    ...(spec["UpdateConfig"] === undefined
      ? []
      : updateConfig("UpdateConfig:", "Update order:      ", object(spec, "UpdateConfig"))),
    ...(spec["RollbackConfig"] === undefined
      ? []
      : updateConfig("RollbackConfig:", "Rollback order:    ", object(spec, "RollbackConfig"))),
    ...containerLines(object(task, "ContainerSpec")),
    ...(driver === undefined
      ? []
      : ["Log Driver:", ` Name:\t\t${text(driver, "Name")}`, ...logOptions(object(driver, "Options")), ""]),
    ...(task["Resources"] === undefined ? [] : resourceLines(object(task, "Resources"))),
    ...(networks.length === 0 ? [] : [`Networks: ${networks.join(" ")} `]),
    `Endpoint Mode:\t${text(service, "Spec", "EndpointSpec", "Mode")}`,
    ...(ports.length === 0 ? [] : ["Ports:", ...portLines(ports)]),
  ];
  const health = at(task, "ContainerSpec", "Healthcheck");
  const tail = health === undefined ? "" : `${healthLines(object(health)).join("\n")}`;
  return `${lines.join("\n")}${ports.length === 0 ? "" : " "}${tail === "" ? "" : `\n${tail}`}\n\n`;
}
