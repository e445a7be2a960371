/** One container: what was asked for, its state, its process and execs (moby container/container.go, state.go). */
import type { Time } from "../base/time.ts";
import type { Sandbox } from "../libnetwork/sandbox.ts";
import { Signal } from "../scheduler/process.ts";
import type { ContainerCreateRequest, EndpointSettings } from "./api.ts";
import type { LayeredFiles } from "./filesystem.ts";
import type { RunningProgram } from "./process-runner.ts";
import type { Image } from "./program.ts";
import type { StandardStreams } from "./stdio.ts";

export type ContainerStatus = "created" | "running" | "restarting" | "removing" | "paused" | "exited" | "dead";

/** A network that the container is to be on, or is on. */
export interface NetworkAttachment {
  readonly settings: EndpointSettings;
  /** ID of the network, once known. */
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
  readonly env: readonly string[];
  readonly workingDir: string;
  running: boolean;
  exitCode: number | undefined;
  pid: number;
  program: RunningProgram | undefined;
}

export class Container {
  readonly id: string;
  name: string;
  readonly created: Time;
  readonly request: ContainerCreateRequest;
  readonly image: Image;
  readonly hostname: string;
  readonly argv: readonly string[];
  readonly env: Map<string, string>;
  readonly files: LayeredFiles;
  status: ContainerStatus = "created";
  pid = 0;
  exitCode = 0;
  error = "";
  startedAt: Time | undefined;
  finishedAt: Time | undefined;
  restartCount = 0;
  /** Stopped by hand: a restart policy doesn't bring it back. */
  stoppedByUser = false;
  streams: StandardStreams;
  program: RunningProgram | undefined;
  sandbox: Sandbox | undefined;
  /** By network name as asked for, in the order of asking. */
  readonly networks = new Map<string, NetworkAttachment>();
  readonly execs = new Map<string, Exec>();
  /** Notified when status changes, and at removal. */
  readonly changed = new Signal();
  removed = false;
  /** A task of the swarm owns it. */
  readonly managed: boolean;

  constructor(parts: {
    id: string;
    name: string;
    created: Time;
    request: ContainerCreateRequest;
    image: Image;
    hostname: string;
    argv: readonly string[];
    env: Map<string, string>;
    files: LayeredFiles;
    streams: StandardStreams;
    managed: boolean;
  }) {
    this.id = parts.id;
    this.name = parts.name;
    this.created = parts.created;
    this.request = parts.request;
    this.image = parts.image;
    this.hostname = parts.hostname;
    this.argv = parts.argv;
    this.env = parts.env;
    this.files = parts.files;
    this.streams = parts.streams;
    this.managed = parts.managed;
  }

  get running(): boolean {
    return this.status === "running";
  }

  get tty(): boolean {
    return this.request.Tty ?? false;
  }

  setStatus(status: ContainerStatus): void {
    this.status = status;
    this.changed.notify();
  }
}
