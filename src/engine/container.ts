/** One container: what was asked for, its state, its process and execs (moby container/container.go, state.go). */
import type { Time } from "../base/time.ts";
import type { NetNs } from "../kernel/types.ts";
import type { Sandbox } from "../libnetwork/sandbox.ts";
import { Signal } from "../scheduler/process.ts";
import type { ContainerCreateRequest, EndpointSettings } from "./api.ts";
import type { LayeredFiles } from "./filesystem.ts";
import type { Health } from "./health.ts";
import { Mutex } from "./mutex.ts";
import type { RunningProgram } from "./process-runner.ts";
import type { Image } from "./program.ts";
import { RestartManager } from "./restart-manager.ts";
import { OutputLog, StandardStreams } from "./stdio.ts";
import type { ContainerService } from "./task-container.ts";

/** The exit status of a process that nobody saw end. */
const LOST_STATUS = 255;

/** The states that `docker ps --filter status=` knows, but for `paused` and `dead`. */
export type ContainerStatus = "created" | "running" | "restarting" | "removing" | "exited";

/** A network that the container is to be on, or is on. */
export interface NetworkAttachment {
  readonly settings: EndpointSettings;
  /** Names of the container there besides its own: what was asked for, its short ID and its hostname. */
  aliases: readonly string[];
  /** ID of the network, once known; kept while the container is stopped. */
  networkId: string | undefined;
  /** ID of its endpoint there while it is connected. */
  endpointId: string | undefined;
  /** Set while the swarm has given the container an address there: what was asked of it, a name or an ID. */
  attachedAs: string | undefined;
}

/** A command run beside the container's own process. */
export interface Exec {
  readonly id: string;
  readonly argv: readonly string[];
  readonly tty: boolean;
  readonly attachStdin: boolean;
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly streams: StandardStreams;
  running: boolean;
  /** Set when it has ended, or could not be started. */
  exitCode: number | undefined;
  endedAt: Time | undefined;
  pid: number;
  program: RunningProgram | undefined;
}

/** What makes a container. */
export interface ContainerParts {
  readonly id: string;
  readonly name: string;
  /** The name was made up: DNS doesn't know it (moby IsAnonymousEndpoint). */
  readonly anonymous: boolean;
  readonly request: ContainerCreateRequest;
  readonly image: Image;
  readonly hostname: string;
  readonly argv: readonly string[];
  readonly files: (container: Container) => LayeredFiles;
  /** A task of the swarm owns it. */
  readonly managed: boolean;
  /** Of a task: its service. */
  readonly service: ContainerService | undefined;
  readonly now: () => Time;
  /** When it was made; default: now. */
  readonly created?: Time;
}

/** A container and what it is doing. Only lifecycle.ts and containers.ts change its state. */
export class Container {
  readonly id: string;
  name: string;
  anonymous: boolean;
  readonly created: Time;
  readonly request: ContainerCreateRequest;
  readonly image: Image;
  hostname: string;
  readonly argv: readonly string[];
  readonly files: LayeredFiles;
  readonly managed: boolean;
  readonly service: ContainerService | undefined;
  readonly #now: () => Time;

  /** Held by what starts it, ends it, or changes its networks: one at a time. */
  readonly lock = new Mutex();
  /** Has a process, or will have one again after a while (`restarting`). */
  running = false;
  /** Its process has ended and its restart policy waits to start it again. */
  restarting = false;
  /** Somebody removes it. */
  removing = false;
  removed = false;
  pid = 0;
  exitCode = 0;
  error = "";
  startedAt: Time | undefined;
  finishedAt: Time | undefined;
  /** How often it has ended, whatever came then. */
  exits = 0;
  /** Starts by its restart policy since it was last started by hand. */
  restartCount = 0;
  restartManager: RestartManager;
  /** Somebody sent it a signal: a restart policy `unless-stopped` doesn't bring it back. */
  manuallyStopped = false;
  /** Its end is part of a restart: `--rm` doesn't apply. */
  keepAtExit = false;

  /** How its health checks go; undefined without any. */
  health: Health | undefined;

  readonly log = new OutputLog();
  /** Streams of the present process, or of the next one. */
  streams: StandardStreams;
  program: RunningProgram | undefined;
  /** Its own sandbox, or the one of the container whose network it shares. */
  sandbox: Sandbox | undefined;
  /** Network namespace of its process. */
  ns: NetNs | undefined;
  /** ID and file of the last sandbox, as inspect shows them after its end too. */
  sandboxId = "";
  sandboxKey = "";
  /** By network name as asked for, in the order of asking. */
  networks = new Map<string, NetworkAttachment>();
  readonly execs = new Map<string, Exec>();
  /** Notified when its state changes, and at removal. */
  readonly changed = new Signal();

  constructor(parts: ContainerParts) {
    this.id = parts.id;
    this.name = parts.name;
    this.anonymous = parts.anonymous;
    this.#now = parts.now;
    this.created = parts.created ?? parts.now();
    this.request = parts.request;
    this.image = parts.image;
    this.hostname = parts.hostname;
    this.argv = parts.argv;
    this.managed = parts.managed;
    this.service = parts.service;
    this.files = parts.files(this);
    this.restartManager = this.newRestartManager();
    this.streams = this.newStreams();
  }

  /**
   * The state of this container as it was on disk when its host lost power: a process that ran is gone, and with it its
   * status (daemon.go restore; libcontainerd's restoredProcess.Delete gives 255). Its networks are not connected.
   */
  readFrom(disk: Container): void {
    this.exitCode = disk.exitCode;
    this.error = disk.error;
    this.startedAt = disk.startedAt;
    this.finishedAt = disk.finishedAt;
    this.restartCount = disk.restartCount;
    this.manuallyStopped = disk.manuallyStopped;
    this.sandboxId = disk.sandboxId;
    this.sandboxKey = disk.sandboxKey;
    this.files.remount(disk.files);
    for (const entry of disk.log.entries) this.log.append(entry);
    for (const [name, attachment] of disk.networks)
      this.networks.set(name, { ...attachment, endpointId: undefined, attachedAs: undefined });
    if (!disk.running) return;
    this.exitCode = LOST_STATUS;
    this.finishedAt = this.#now();
  }

  /** As `docker ps` and inspect name it (state.go StateString). */
  get status(): ContainerStatus {
    if (this.running) return this.restarting ? "restarting" : "running";
    if (this.removing) return "removing";
    return this.startedAt === undefined ? "created" : "exited";
  }

  /** Its restart policy brings it back when the daemon starts (container.go ShouldRestart). */
  get restartsAtBoot(): boolean {
    if (this.running || this.startedAt === undefined) return false;
    return this.newRestartManager().decide(this.exitCode, this.manuallyStopped, 0) !== undefined;
  }

  get tty(): boolean {
    return this.request.Tty ?? false;
  }

  get autoRemove(): boolean {
    return this.request.HostConfig?.AutoRemove ?? false;
  }

  /** A new count of failures, for a start by hand (ResetRestartManager). */
  newRestartManager(): RestartManager {
    const policy = this.request.HostConfig?.RestartPolicy;
    return new RestartManager(policy?.Name ?? "no", policy?.MaximumRetryCount ?? 0);
  }

  /** Streams for the next process. */
  newStreams(): StandardStreams {
    const { log } = this;
    return new StandardStreams({ tty: this.tty, now: this.#now, log, interrupt: () => this.program?.interrupt() });
  }
}
