/** `docker info`, `version` and `inspect` (docker/cli cli/command/system, 20.10). */
import { humanDuration } from "../../engine/views.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type Command, type Invocation, minArgs, noArgs, StatusError } from "./command.ts";
import { FORMAT_FLAG, inspectAll, isNotFound } from "./common.ts";
import { EVENTS } from "./events.ts";
import { bool, isArray, type Json, type JsonObject, list, num, object, text } from "./format/json.ts";
import { bytesSize } from "./format/size.ts";
import { Template, TemplateError } from "./format/template.ts";
import { typedService } from "./service.ts";
import { required } from "./task.ts";

function throughTemplate(format: string, value: JsonObject): string {
  try {
    return `${new Template(format).execute(value)}\n`;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new StatusError(64, `Template parsing error: ${error.message}`);
  }
}

const words = (items: readonly Json[]): string => items.map(String).join(" ");

function swarmLines(swarm: JsonObject): string[] {
  const state = text(swarm, "LocalNodeState") || "inactive";
  const lines = [` Swarm: ${state}`];
  if (state === "inactive" || state === "locked") return lines;
  lines.push(`  NodeID: ${text(swarm, "NodeID")}`);
  if (text(swarm, "Error") !== "") lines.push(`  Error: ${text(swarm, "Error")}`);
  const manager = bool(swarm, "ControlAvailable");
  lines.push(`  Is Manager: ${manager}`);
  if (manager) lines.push(...managerLines(swarm));
  lines.push(`  Node Address: ${text(swarm, "NodeAddr")}`);
  const managers = list(swarm, "RemoteManagers").map((remote) => text(remote, "Addr"));
  if (managers.length > 0) lines.push("  Manager Addresses:", ...managers.sort().map((address) => `   ${address}`));
  return lines;
}

function managerLines(swarm: JsonObject): string[] {
  const cluster = object(swarm, "Cluster");
  const spec = object(cluster, "Spec");
  const lines: string[] = [];
  if (text(cluster, "ID") !== "") {
    lines.push(
      `  ClusterID: ${text(cluster, "ID")}`,
      `  Managers: ${num(swarm, "Managers")}`,
      `  Nodes: ${num(swarm, "Nodes")}`,
    );
  }
  const pool = cluster["DefaultAddrPool"];
  if (isArray(pool) && pool.length > 0)
    lines.push(`  Default Address Pool: ${words(pool)}  `, `  SubnetSize: ${num(cluster, "SubnetSize")}`);
  lines.push(`  Data Path Port: ${num(cluster, "DataPathPort")}`);
  lines.push(
    "  Orchestration:",
    `   Task History Retention Limit: ${num(spec, "Orchestration", "TaskHistoryRetentionLimit")}`,
  );
  lines.push(
    "  Raft:",
    `   Snapshot Interval: ${num(spec, "Raft", "SnapshotInterval")}`,
    `   Number of Old Snapshots to Retain: ${num(spec, "Raft", "KeepOldSnapshots")}`,
    `   Heartbeat Tick: ${num(spec, "Raft", "HeartbeatTick")}`,
    `   Election Tick: ${num(spec, "Raft", "ElectionTick")}`,
    "  Dispatcher:",
    `   Heartbeat Period: ${humanDuration(num(spec, "Dispatcher", "HeartbeatPeriod"))}`,
    "  CA Configuration:",
    `   Expiry Duration: ${humanDuration(num(spec, "CAConfig", "NodeCertExpiry"))}`,
    `   Force Rotate: ${num(spec, "CAConfig", "ForceRotate")}`,
    `  Autolock Managers: ${bool(spec, "EncryptionConfig", "AutoLockManagers")}`,
    `  Root Rotation In Progress: ${bool(cluster, "RootRotationInProgress")}`,
  );
  return lines;
}

function serverLines(info: JsonObject): string[] {
  const lines = [
    ` Containers: ${num(info, "Containers")}`,
    `  Running: ${num(info, "ContainersRunning")}`,
    `  Paused: ${num(info, "ContainersPaused")}`,
    `  Stopped: ${num(info, "ContainersStopped")}`,
    ` Images: ${num(info, "Images")}`,
  ];
  const put = (label: string, value: string) => {
    if (value !== "") lines.push(` ${label}: ${value}`);
  };
  put("Server Version", text(info, "ServerVersion"));
  put("Storage Driver", text(info, "Driver"));
  for (const pair of list(info, "DriverStatus"))
    if (isArray(pair)) lines.push(`  ${String(pair[0])}: ${String(pair[1])}`);
  put("Logging Driver", text(info, "LoggingDriver"));
  put("Cgroup Driver", text(info, "CgroupDriver"));
  put("Cgroup Version", text(info, "CgroupVersion"));
  const plugins = object(info, "Plugins");
  lines.push(
    " Plugins:",
    `  Volume: ${words(list(plugins, "Volume"))}`,
    `  Network: ${words(list(plugins, "Network"))}`,
  );
  lines.push(`  Log: ${words(list(plugins, "Log"))}`, ...swarmLines(object(info, "Swarm")));
  const runtimes = Object.keys(object(info, "Runtimes")).sort();
  if (runtimes.length > 0)
    lines.push(` Runtimes: ${runtimes.join(" ")}`, ` Default Runtime: ${text(info, "DefaultRuntime")}`);
  put("Init Binary", text(info, "InitBinary"));
  for (const [label, key] of [
    ["containerd", "ContainerdCommit"],
    ["runc", "RuncCommit"],
    ["init", "InitCommit"],
  ] as const) {
    if (info[key] !== undefined) lines.push(` ${label} version: ${text(info, key, "ID")}`);
  }
  const security = list(info, "SecurityOptions").map((option) => String(option).replace(/^name=/, ""));
  if (security.length > 0) lines.push(" Security Options:", ...security.map((option) => `  ${option}`));
  put("Default Isolation", text(info, "Isolation"));
  put("Kernel Version", text(info, "KernelVersion"));
  put("Operating System", text(info, "OperatingSystem"));
  put("OSType", text(info, "OSType"));
  put("Architecture", text(info, "Architecture"));
  lines.push(` CPUs: ${num(info, "NCPU")}`, ` Total Memory: ${bytesSize(num(info, "MemTotal"))}`);
  put("Name", text(info, "Name"));
  put("ID", text(info, "ID"));
  put("Docker Root Dir", text(info, "DockerRootDir"));
  lines.push(` Debug Mode: ${bool(info, "Debug")}`);
  put("Registry", text(info, "IndexServerAddress"));
  lines.push(
    " Labels:",
    ...list(info, "Labels").map((label) => `  ${String(label)}`),
    ` Experimental: ${bool(info, "ExperimentalBuild")}`,
  );
  const insecure = list(info, "RegistryConfig", "InsecureRegistryCIDRs").map(String);
  lines.push(" Insecure Registries:", ...(insecure.length === 0 ? ["127.0.0.0/8"] : insecure).map((net) => `  ${net}`));
  lines.push(` Live Restore Enabled: ${bool(info, "LiveRestoreEnabled")}`);
  return lines;
}

function* info({ engine, flags, out, err }: Invocation): Proc<undefined> {
  const data = yield* engine.info();
  const format = flags.text("format");
  if (format !== undefined) {
    out(throughTemplate(format, data));
    return;
  }
  out(
    ["Client:", " Context:    default", " Debug Mode: false", "", "Server:", ...serverLines(data), ""]
      .map((line) => `${line}\n`)
      .join(""),
  );
  for (const warning of list(data, "Warnings")) err(`${String(warning)}\n`);
}

/** An RFC 3339 time as Go's time.ANSIC, which is how `docker version` shows it; other texts as they are. */
function ansicDate(text: string): string {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d:\d\d)/.exec(text);
  if (match === null) return text;
  const [weekday = "", , month] = new Date(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`).toUTCString().split(" ");
  return `${weekday.replace(",", "")} ${month} ${String(Number(match[3])).padStart(2)} ${match[4]} ${match[1]}`;
}

/** Label and value as the version template's tab stops align them (version.go). */
function versionBlock(title: string, fields: readonly (readonly [string, string])[], indent: string): string {
  const width = 20 - indent.length;
  return `${title}\n${fields.map(([label, value]) => `${indent}${`${label}:`.padEnd(width)}${value}\n`).join("")}`;
}

function* version({ engine, flags, out }: Invocation): Proc<undefined> {
  const data = engine.version();
  const fields = (source: JsonObject): [string, string][] => [
    ["Go version", text(source, "GoVersion")],
    ["Git commit", text(source, "GitCommit")],
    ["Built", ansicDate(text(source, "BuildTime"))],
    ["OS/Arch", `${text(source, "Os")}/${text(source, "Arch")}`],
  ];
  const api = text(data, "ApiVersion");
  const client = { ...data, DefaultAPIVersion: api };
  const format = flags.text("format");
  if (format !== undefined) {
    out(throughTemplate(format, { Client: client, Server: data }));
    return;
  }
  const [goVersion, commit, built, arch] = fields(data) as [
    [string, string],
    [string, string],
    [string, string],
    [string, string],
  ];
  out(
    versionBlock(
      "Client:",
      [
        ["Version", text(data, "Version")],
        ["API version", api],
        goVersion,
        commit,
        built,
        arch,
        ["Context", "default"],
        ["Experimental", "true"],
      ],
      " ",
    ),
  );
  const range = `${api} (minimum version ${text(data, "MinAPIVersion")})`;
  out("\nServer:\n");
  out(
    versionBlock(
      " Engine:",
      [
        ["Version", text(data, "Version")],
        ["API version", range],
        goVersion,
        commit,
        built,
        arch,
        ["Experimental", String(bool(data, "Experimental"))],
      ],
      "  ",
    ),
  );
  for (const component of list(data, "Components")) {
    if (text(component, "Name") === "Engine") continue;
    const details: [string, string][] = [
      ["Version", text(component, "Version")],
      ["GitCommit", text(component, "Details", "GitCommit")],
    ];
    out(versionBlock(` ${text(component, "Name")}:`, details, "  "));
  }
}

/** `docker inspect NAME`: whatever has that name, in docker's order of asking (system/inspect.go). */
function* inspect(invocation: Invocation): Proc<undefined> {
  const { engine, flags, args } = invocation;
  const kinds: Record<string, (name: string) => Proc<JsonObject>> = {
    container: (name) => engine.containerInspect(name),
    network: (name) => engine.networkInspect(name),
    service: (name) => required(engine.serviceInspect?.bind(engine))(name),
    task: (name) => required(engine.taskInspect?.bind(engine))(name),
    node: (name) => engine.nodeInspect(name),
  };
  const ofSwarm = new Set(["service", "task", "node"]);
  const wanted = flags.text("type");
  if (wanted !== undefined && kinds[wanted] === undefined)
    throw new StatusError(1, `"${wanted}" is not a valid value for --type`);
  yield* inspectAll(
    invocation,
    args,
    function* (name) {
      for (const [kind, get] of Object.entries(kinds)) {
        if (wanted !== undefined && wanted !== kind) continue;
        if (ofSwarm.has(kind) && wanted === undefined && !bool(yield* engine.info(), "Swarm", "ControlAvailable"))
          continue;
        try {
          return yield* get(name);
        } catch (error) {
          if (!isNotFound(error)) throw error;
          if (wanted !== undefined) throw new StatusError(1, `Error: No such ${wanted}: ${name}`);
        }
      }
      throw new StatusError(1, `Error: No such object: ${name}`);
    },
    (found) => (found["Endpoint"] === undefined ? found : typedService(found)),
  );
}

/** `docker info`. */
export const INFO: Command = {
  use: "info [OPTIONS]",
  short: "Display system-wide information",
  args: noArgs,
  flags: [FORMAT_FLAG],
  run: info,
};

/** `docker system`. */
export const SYSTEM: Command = { use: "system", short: "Manage Docker", commands: [EVENTS, INFO] };

/** `docker version`. */
export const VERSION: Command = {
  use: "version [OPTIONS]",
  short: "Show the Docker version information",
  args: noArgs,
  flags: [FORMAT_FLAG],
  run: version,
};

/** `docker inspect`. */
export const INSPECT_ANY: Command = {
  use: "inspect [OPTIONS] NAME|ID [NAME|ID...]",
  short: "Return low-level information on Docker objects",
  args: minArgs(1),
  flags: [
    FORMAT_FLAG,
    { name: "size", short: "s", usage: "Display total file sizes if the type is container" },
    { name: "type", type: "string", usage: "Return JSON for specified type" },
  ],
  run: inspect,
};
