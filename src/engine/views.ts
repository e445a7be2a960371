/** What `GET /containers/json` and `/containers/{id}/json` show (moby daemon/inspect.go, daemon/list.go, api/types). */
import { formatIpv4, formatMac } from "../base/addr.ts";
import { SEC, type Time } from "../base/time.ts";
import { formatRfc3339, unixSeconds } from "../base/wall-clock.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import type { JsonObject } from "./api.ts";
import type { Container, NetworkAttachment } from "./container.ts";
import { networkModeOf } from "./container-networks.ts";

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
  return `${Math.floor(hours / 24 / 365)} years`;
}

/** `Up 5 minutes`, `Exited (0) 8 seconds ago` (container/state.go String). */
export function statusText(container: Container, now: Time): string {
  switch (container.status) {
    case "running":
      return `Up ${humanDuration(now - (container.startedAt ?? now))}`;
    case "restarting":
      return `Restarting (${container.exitCode}) ${humanDuration(now - (container.finishedAt ?? now))} ago`;
    case "exited":
      return `Exited (${container.exitCode}) ${humanDuration(now - (container.finishedAt ?? now))} ago`;
    case "created":
      return "Created";
    default:
      return container.status.charAt(0).toUpperCase() + container.status.slice(1);
  }
}

function endpointView(controller: NetworkController, attachment: NetworkAttachment, containerId: string): JsonObject {
  const { settings, networkId, endpointId } = attachment;
  const network = networkId === undefined ? undefined : controller.network(networkId);
  const endpoint = endpointId === undefined ? undefined : network?.endpoint(endpointId);
  const wished = settings.IPAMConfig?.IPv4Address;
  const aliases = endpoint === undefined ? (settings.Aliases ?? []) : endpoint.aliases;
  return {
    IPAMConfig:
      wished !== undefined
        ? { IPv4Address: wished }
        : network?.scope === "swarm" && endpoint?.address !== undefined
          ? { IPv4Address: formatIpv4(endpoint.address.ip) }
          : null,
    Links: null,
    Aliases: aliases.length === 0 ? (settings.Aliases === undefined ? null : [containerId.slice(0, 12)]) : [...aliases],
    NetworkID: network?.id ?? "",
    EndpointID: endpoint?.id ?? "",
    Gateway: endpoint?.gateway === undefined ? "" : formatIpv4(endpoint.gateway),
    IPAddress: endpoint?.address === undefined ? "" : formatIpv4(endpoint.address.ip),
    IPPrefixLen: endpoint?.address?.prefix ?? 0,
    IPv6Gateway: "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    MacAddress: endpoint?.mac === undefined ? "" : formatMac(endpoint.mac),
    DriverOpts: null,
  };
}

function networksView(container: Container, controller: NetworkController): JsonObject {
  const entries = [...container.networks].map(
    ([name, attachment]) => [name, endpointView(controller, attachment, container.id)] as const,
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
    Ports: [],
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
  const { request } = container;
  const { sandbox } = container;
  const bridge = container.networks.get("bridge");
  const onBridge = bridge === undefined ? undefined : endpointView(controller, bridge, container.id);
  const [path = "", ...args] = container.argv;
  return {
    Id: container.id,
    Created: formatRfc3339(container.created),
    Path: path,
    Args: args,
    State: {
      Status: container.status,
      Running: container.running,
      Paused: false,
      Restarting: container.status === "restarting",
      OOMKilled: false,
      Dead: false,
      Pid: container.pid,
      ExitCode: container.exitCode,
      Error: container.error,
      StartedAt: container.startedAt === undefined ? NEVER : formatRfc3339(container.startedAt),
      FinishedAt: container.finishedAt === undefined ? NEVER : formatRfc3339(container.finishedAt),
    },
    Image: container.image.id,
    ResolvConfPath: `/var/lib/docker/containers/${container.id}/resolv.conf`,
    HostnamePath: `/var/lib/docker/containers/${container.id}/hostname`,
    HostsPath: `/var/lib/docker/containers/${container.id}/hosts`,
    LogPath: `/var/lib/docker/containers/${container.id}/${container.id}-json.log`,
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "docker-default",
    ExecIDs:
      container.execs.size === 0
        ? null
        : [...container.execs.values()].filter((exec) => exec.running).map((exec) => exec.id),
    HostConfig: {
      Binds: null,
      ContainerIDFile: "",
      LogConfig: { Type: "json-file", Config: {} },
      NetworkMode:
        networkModeOf(container) === "bridge"
          ? (request.HostConfig?.NetworkMode ?? "default")
          : networkModeOf(container),
      PortBindings: (request.HostConfig?.PortBindings as JsonObject | undefined) ?? {},
      RestartPolicy: {
        Name: request.HostConfig?.RestartPolicy?.Name ?? "no",
        MaximumRetryCount: request.HostConfig?.RestartPolicy?.MaximumRetryCount ?? 0,
      },
      AutoRemove: request.HostConfig?.AutoRemove ?? false,
      Dns: [...(request.HostConfig?.Dns ?? [])],
      DnsOptions: [...(request.HostConfig?.DnsOptions ?? [])],
      DnsSearch: [...(request.HostConfig?.DnsSearch ?? [])],
      ExtraHosts: request.HostConfig?.ExtraHosts === undefined ? null : [...request.HostConfig.ExtraHosts],
      Privileged: request.HostConfig?.Privileged ?? false,
    },
    Mounts: [],
    Config: {
      Hostname: container.hostname,
      Domainname: "",
      User: request.User ?? "",
      AttachStdin: request.AttachStdin ?? false,
      AttachStdout: request.AttachStdout ?? false,
      AttachStderr: request.AttachStderr ?? false,
      Tty: container.tty,
      OpenStdin: request.OpenStdin ?? false,
      StdinOnce: request.StdinOnce ?? false,
      Env: [...(request.Env ?? []), ...container.image.env],
      Cmd: request.Cmd !== undefined && request.Cmd.length > 0 ? [...request.Cmd] : [...container.image.cmd],
      Image: request.Image,
      Volumes: null,
      WorkingDir: request.WorkingDir ?? container.image.workingDir,
      Entrypoint:
        request.Entrypoint === undefined
          ? container.image.entrypoint.length === 0
            ? null
            : [...container.image.entrypoint]
          : [...request.Entrypoint],
      OnBuild: null,
      Labels: request.Labels ?? {},
    },
    NetworkSettings: {
      Bridge: "",
      SandboxID: sandbox?.id ?? "",
      HairpinMode: false,
      LinkLocalIPv6Address: "",
      LinkLocalIPv6PrefixLen: 0,
      Ports: {},
      SandboxKey: sandbox?.key ?? "",
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
    },
  };
}
