/** What `GET /version`, `/info` and `/images/json` show (moby daemon/info.go, daemon/images/images.go; 20.10). */
import { formatRfc3339, unixSeconds } from "../base/wall-clock.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { JsonObject } from "./api.ts";
import type { Container } from "./container.ts";
import type { Image } from "./program.ts";
import { API_VERSION, ENGINE_VERSION, KERNEL_VERSION, MIN_API_VERSION } from "./version.ts";

export function versionView(): JsonObject {
  return {
    Platform: { Name: "" },
    Components: [
      {
        Name: "Engine",
        Version: ENGINE_VERSION,
        Details: { ApiVersion: API_VERSION, Arch: "amd64", MinAPIVersion: MIN_API_VERSION, Os: "linux" },
      },
    ],
    Version: ENGINE_VERSION,
    ApiVersion: API_VERSION,
    MinAPIVersion: MIN_API_VERSION,
    GitCommit: "5d6db84",
    GoVersion: "go1.19.8",
    Os: "linux",
    Arch: "amd64",
    KernelVersion: KERNEL_VERSION,
    BuildTime: "2023-05-18T14:39:34.000000000+00:00",
  };
}

/** @param parts.id the Engine's own ID: at least 48 hex digits */
export function infoView(parts: {
  readonly id: string;
  readonly os: HostOs;
  readonly containers: readonly Container[];
  readonly images: readonly Image[];
  readonly swarm: JsonObject;
}): JsonObject {
  const containers = parts.containers;
  const running = containers.filter((container) => container.running).length;
  return {
    ID: (parts.id.slice(0, 48).toUpperCase().match(/.{4}/g) as string[]).join(":"),
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: containers.length - running,
    Images: parts.images.length,
    Driver: "overlay2",
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"],
      Authorization: null,
      Log: [
        "awslogs",
        "fluentd",
        "gcplogs",
        "gelf",
        "journald",
        "json-file",
        "local",
        "logentries",
        "splunk",
        "syslog",
      ],
    },
    SystemTime: formatRfc3339(parts.os.now()),
    LoggingDriver: "json-file",
    CgroupDriver: "systemd",
    CgroupVersion: "2",
    KernelVersion: KERNEL_VERSION,
    OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
    OSType: "linux",
    Architecture: "x86_64",
    NCPU: 2,
    MemTotal: 4 * 2 ** 30,
    DockerRootDir: "/var/lib/docker",
    Name: parts.os.hostName,
    Labels: [],
    ServerVersion: ENGINE_VERSION,
    DefaultRuntime: "runc",
    Swarm: parts.swarm,
    Warnings: null,
  };
}

export function imageView(image: Image): JsonObject {
  return {
    Containers: -1,
    Created: unixSeconds(0),
    Id: image.id,
    Labels: null,
    ParentId: "",
    RepoDigests: null,
    RepoTags: [image.tag],
    SharedSize: -1,
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
  };
}
