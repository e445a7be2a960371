/** What `GET /containers/json` and `/containers/{id}/json` show (moby daemon/inspect.go, daemon/list.go, api/types). */
import { type Cidr, formatIpv4, formatMac } from "../base/addr.ts";
import { SEC, type Time } from "../base/time.ts";
import { formatRfc3339, unixSeconds } from "../base/wall-clock.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import type { JsonObject } from "./api.ts";
import type { Container, NetworkAttachment } from "./container.ts";
import { configEnv } from "./container-config.ts";
import type { Health } from "./health.ts";
import { hostConfigView } from "./host-config-view.ts";
import { exposedPorts, portList, portMap, portsView } from "./ports.ts";

const NEVER = "0001-01-01T00:00:00Z";

/** A span as docker words it (go-units HumanDuration). */
export function humanDuration(ns: Time): string {
  const seconds = Math.floor(ns / SEC);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(ns / (60 * SEC));
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(ns / (3600 * SEC));
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(Math.floor(ns / (3600 * SEC)) / 24 / 365)} years`;
}

/** `Up 5 minutes`, `Exited (0) 8 seconds ago` (container/state.go String). */
export function statusText(container: Container, now: Time): string {
  const since = (time: Time | undefined): string => humanDuration(now - (time ?? now));
  switch (container.status) {
    case "running":
      return `Up ${since(container.startedAt)}${healthText(container)}`;
    case "restarting":
      return `Restarting (${container.exitCode}) ${since(container.finishedAt)} ago`;
    case "exited":
      return `Exited (${container.exitCode}) ${since(container.finishedAt)} ago`;
    case "created":
      return "Created";
    case "removing":
      return "Removal In Progress";
  }
}

/** ` (healthy)`, ` (health: starting)` (container/health.go String). */
function healthText({ health }: Container): string {
  if (health === undefined) return "";
  return health.status === "starting" ? " (health: starting)" : ` (${health.status})`;
}

function endpointView(controller: NetworkController, attachment: NetworkAttachment): JsonObject {
  const { settings, networkId, endpointId, aliases } = attachment;
  const network = networkId === undefined ? undefined : controller.network(networkId);
  const endpoint = endpointId === undefined ? undefined : network?.endpoint(endpointId);
  const given = attachment.attachedAs !== undefined && endpoint?.address !== undefined;
  return {
    // What the swarm gave shows like what was asked for.
    IPAMConfig: given
      ? { IPv4Address: formatIpv4((endpoint.address as Cidr).ip) }
      : ((settings.IPAMConfig as JsonObject | undefined) ?? null),
    Links: null,
    Aliases: aliases.length === 0 ? null : [...aliases],
    NetworkID: networkId ?? "",
    EndpointID: endpoint?.id ?? "",
    Gateway: endpoint?.gateway === undefined ? "" : formatIpv4(endpoint.gateway),
    IPAddress: endpoint?.address === undefined ? "" : formatIpv4(endpoint.address.ip),
    IPPrefixLen: endpoint?.address?.prefix ?? 0,
    IPv6Gateway: "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    MacAddress: endpoint?.mac === undefined ? "" : formatMac(endpoint.mac),
    DriverOpts: settings.DriverOpts ?? null,
  };
}

function networksView(container: Container, controller: NetworkController): JsonObject {
  const entries = [...container.networks].map(
    ([name, attachment]) => [name, endpointView(controller, attachment)] as const,
  );
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** One entry of `GET /containers/json`. */
export function containerSummary(container: Container, controller: NetworkController, now: Time): JsonObject {
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: container.request.Image,
    ImageID: container.image.id,
    Command: container.argv.join(" "),
    Created: unixSeconds(container.created),
    Ports: portList(portMap(container)),
    Labels: container.request.Labels ?? {},
    State: container.status,
    Status: statusText(container, now),
    HostConfig: { NetworkMode: container.request.HostConfig?.NetworkMode ?? "default" },
    NetworkSettings: { Networks: networksView(container, controller) },
    Mounts: [],
  };
}

/** `GET /containers/{id}/json`. */
export function containerDetails(container: Container, controller: NetworkController): JsonObject {
  const [path = "", ...args] = container.argv;
  const directory = `/var/lib/docker/containers/${container.id}`;
  const execs = [...container.execs.values()].filter((exec) => exec.running).map((exec) => exec.id);
  return {
    Id: container.id,
    Created: formatRfc3339(container.created),
    Path: path,
    Args: args,
    State: stateView(container),
    Image: container.image.id,
    ResolvConfPath: `${directory}/resolv.conf`,
    HostnamePath: `${directory}/hostname`,
    HostsPath: `${directory}/hosts`,
    LogPath: `${directory}/${container.id}-json.log`,
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: execs.length === 0 ? null : execs,
    HostConfig: hostConfigView(container.request),
    GraphDriver: graphDriverView(container),
    Mounts: [],
    Config: configView(container),
    NetworkSettings: networkSettingsView(container, controller),
  };
}

function stateView(container: Container): JsonObject {
  return {
    Status: container.status,
    Running: container.running,
    Paused: false,
    Restarting: container.restarting,
    OOMKilled: false,
    Dead: false,
    Pid: container.pid,
    ExitCode: container.exitCode,
    Error: container.error,
    StartedAt: container.startedAt === undefined ? NEVER : formatRfc3339(container.startedAt),
    FinishedAt: container.finishedAt === undefined ? NEVER : formatRfc3339(container.finishedAt),
    ...(container.health === undefined ? {} : { Health: healthView(container.health) }),
  };
}

function healthView({ status, failingStreak, log }: Health): JsonObject {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ start, end, exitCode, output }) => ({
      Start: formatRfc3339(start),
      End: formatRfc3339(end),
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

/** Layers by content: the image's by its ID, the container's by its own. */
function graphDriverView({ id, image }: Container): JsonObject {
  const layers = "/var/lib/docker/overlay2";
  return {
    Data: {
      LowerDir: `${layers}/${id}-init/diff:${layers}/${image.id.slice("sha256:".length)}/diff`,
      MergedDir: `${layers}/${id}/merged`,
      UpperDir: `${layers}/${id}/diff`,
      WorkDir: `${layers}/${id}/work`,
    },
    Name: "overlay2",
  };
}

function configView(container: Container): JsonObject {
  const { request, image } = container;
  const env = configEnv(image, request);
  const exposed = exposedPorts(container);
  const entrypoint = request.Entrypoint ?? (image.entrypoint.length === 0 ? undefined : image.entrypoint);
  const cmd = request.Cmd !== undefined && request.Cmd.length > 0 ? request.Cmd : image.cmd;
  return {
    Hostname: container.hostname,
    Domainname: "",
    User: request.User ?? "",
    AttachStdin: request.AttachStdin ?? false,
    AttachStdout: request.AttachStdout ?? false,
    AttachStderr: request.AttachStderr ?? false,
    ...(exposed.length > 0 ? { ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])) } : {}),
    Tty: container.tty,
    OpenStdin: request.OpenStdin ?? false,
    StdinOnce: request.StdinOnce ?? false,
    Env: env.length === 0 ? null : env,
    Cmd: request.Entrypoint !== undefined && (request.Cmd ?? []).length === 0 ? null : [...cmd],
    Image: request.Image,
    Volumes: null,
    WorkingDir: request.WorkingDir || image.workingDir,
    Entrypoint: entrypoint === undefined ? null : [...entrypoint],
    ...(request.MacAddress ? { MacAddress: request.MacAddress } : {}),
    OnBuild: null,
    Labels: request.Labels ?? {},
    ...(request.StopSignal ? { StopSignal: request.StopSignal } : {}),
    ...(request.StopTimeout === undefined ? {} : { StopTimeout: request.StopTimeout }),
  };
}

/** The part of old: addresses on the network `bridge` stand here too. */
function networkSettingsView(container: Container, controller: NetworkController): JsonObject {
  const bridge = container.networks.get("bridge");
  const onBridge = bridge === undefined ? undefined : endpointView(controller, bridge);
  return {
    Bridge: "",
    SandboxID: container.sandboxId,
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    Ports: portsView(portMap(container)),
    SandboxKey: container.sandboxKey,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: onBridge?.["EndpointID"] ?? "",
    Gateway: onBridge?.["Gateway"] ?? "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    IPAddress: onBridge?.["IPAddress"] ?? "",
    IPPrefixLen: onBridge?.["IPPrefixLen"] ?? 0,
    IPv6Gateway: "",
    MacAddress: onBridge?.["MacAddress"] ?? "",
    Networks: networksView(container, controller),
  };
}
