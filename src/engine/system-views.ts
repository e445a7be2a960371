/** What `GET /version`, `/info`, `/images/json`, `/exec/{id}/json` and `…/top` show (moby daemon/info.go, images/images.go, inspect.go, top_unix.go; 20.10). */
import { formatRfc3339, unixSeconds } from "../base/wall-clock.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { JsonObject } from "./api.ts";
import type { Container, Exec } from "./container.ts";
import type { Image } from "./program.ts";
import { API_VERSION, ENGINE_VERSION, KERNEL_VERSION, LOG_PLUGINS, MIN_API_VERSION } from "./version.ts";

/** `GET /version`. */
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

/** `GET /info`. @param parts.id the Engine's own ID: at least 48 hex digits */
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
      Log: LOG_PLUGINS,
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

/** One entry of `GET /images/json`. */
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

/** `GET /exec/{id}/json`. */
export function execView(exec: Exec, container: Container): JsonObject {
  const [entrypoint = "", ...args] = exec.argv;
  return {
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.exitCode ?? null,
    ProcessConfig: { tty: exec.tty, entrypoint, arguments: args, privileged: false },
    OpenStdin: exec.attachStdin,
    OpenStderr: true,
    OpenStdout: true,
    CanRemove: false,
    ContainerID: container.id,
    DetachKeys: "",
    Pid: exec.pid,
  };
}

/** `GET /containers/{id}/top`: what `ps -ef` says of the container's process and its execs. */
export function topView(container: Container): JsonObject {
  const row = (pid: number, parent: number, time: number | undefined, tty: boolean, argv: readonly string[]) => [
    "root",
    String(pid),
    String(parent),
    "0",
    formatRfc3339(time ?? 0).slice(11, 16),
    tty ? "pts/0" : "?",
    "00:00:00",
    argv.join(" "),
  ];
  // The shim, whose child every process of the container is, is not emulated; it came just before the container.
  const shim = container.pid - 1;
  const execs = [...container.execs.values()].filter((exec) => exec.running);
  return {
    Titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
    Processes: [
      row(container.pid, shim, container.startedAt, container.tty, container.argv),
      ...execs.map((exec) => row(exec.pid, shim, container.startedAt, exec.tty, exec.argv)),
    ],
  };
}
