/**
 * Containers of one engine: create, start, stop, remove, exec, logs (moby daemon/create.go, start.go, stop.go,
 * delete.go, exec.go, monitor.go; 20.10).
 */
import { assert, UserError } from "../base/errors.ts";
import { newHexId, shortId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import { MS, SEC } from "../base/time.ts";
import type { DaemonLog } from "../libnetwork/log.ts";
import { setSysctlIfKnown } from "../libnetwork/osl.ts";
import type { Sandbox } from "../libnetwork/sandbox.ts";
import type { HostOs } from "../scheduler/os.ts";
import { type Proc, sleep } from "../scheduler/process.ts";
import { ApiError, type AttachStream, type ContainerCreateRequest, type ExecCreateRequest } from "./api.ts";
import { Container, type Exec } from "./container.ts";
import { LayeredFiles } from "./filesystem.ts";
import { generateName } from "./names.ts";
import { findProgram, type ProcessRoot, parseSignal, RunningProgram } from "./process-runner.ts";
import type { Image, ImageStore } from "./program.ts";
import { StandardStreams } from "./stdio.ts";

/** How containers get and lose their networks; the engine's networks.ts implements it. */
export interface ContainerNetworking {
  /** Checks and records what was asked for (daemon/create.go verifyNetworkingConfig, runconfig). */
  plan(container: Container): void;
  /** Before the process starts: a sandbox with endpoints on all networks. */
  allocate(container: Container): Proc<Sandbox>;
  /** After the process has ended. */
  release(container: Container): Proc<void>;
}

const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Time from the request to the container's process: mounts, cgroups, runc (a good machine's). */
const START_LATENCY = 180 * MS;
const STOP_TIMEOUT_SEC = 10;

export class Containers {
  readonly #os: HostOs;
  readonly #random: Random;
  readonly #images: ImageStore;
  readonly #networking: ContainerNetworking;
  readonly #log: DaemonLog;
  readonly #byId = new Map<string, Container>();
  #execs = new Map<string, { exec: Exec; container: Container; streams: StandardStreams }>();

  constructor(os: HostOs, images: ImageStore, networking: ContainerNetworking, log: DaemonLog) {
    this.#log = log;
    this.#os = os;
    this.#random = os.random.fork("containers");
    this.#images = images;
    this.#networking = networking;
  }

  /** In order of creation. */
  list(): readonly Container[] {
    return [...this.#byId.values()];
  }

  /** By full ID, name, or unambiguous prefix of the ID (daemon/container.go GetContainer). */
  find(reference: string): Container | undefined {
    const name = reference.replace(/^\//, "");
    const exact = this.#byId.get(reference) ?? this.list().find((container) => container.name === name);
    if (exact !== undefined) return exact;
    if (reference === "") return undefined;
    const matches = this.list().filter((container) => container.id.startsWith(reference));
    if (matches.length > 1) throw new ApiError(400, `Multiple IDs found with provided prefix: ${reference}`);
    return matches[0];
  }

  get(reference: string): Container {
    const container = this.find(reference);
    if (container === undefined) throw new ApiError(404, `No such container: ${reference}`);
    return container;
  }

  // --------------------------------------------------------------------------------------------- create

  create(
    name: string | undefined,
    request: ContainerCreateRequest,
    options: { managed?: boolean } = {},
  ): { container: Container; warnings: string[] } {
    if (name !== undefined && !NAME.test(name)) {
      throw new ApiError(400, `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    }
    const image = this.#images.find(request.Image);
    if (image === undefined) throw new ApiError(404, `No such image: ${withTag(request.Image)}`);
    const id = newHexId(this.#random);
    const plain =
      name?.replace(/^\//, "") ??
      generateName(this.#random, (candidate) => this.list().some((other) => other.name === candidate));
    const holder = this.list().find((other) => other.name === plain);
    if (holder !== undefined) {
      throw new ApiError(
        409,
        `Conflict. The container name "/${plain}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
    const argv = commandLine(image, request);
    if (argv.length === 0) throw new ApiError(400, "No command specified");
    const hostname = request.Hostname ?? (request.HostConfig?.NetworkMode === "host" ? this.#os.hostName : shortId(id));
    const env = environment(image, request, hostname);
    const container: Container = new Container({
      id,
      name: plain,
      created: this.#os.now(),
      request,
      image,
      hostname,
      argv,
      env,
      files: new LayeredFiles(
        image.files,
        new Map([
          ["/etc/hosts", () => container.sandbox?.hostsFile() ?? ""],
          ["/etc/resolv.conf", () => container.sandbox?.resolvConf() ?? ""],
          ["/etc/hostname", () => `${hostname}\n`],
        ]),
      ),
      streams: this.#streams(request.Tty ?? false, () => container),
      managed: options.managed ?? false,
    });
    this.#networking.plan(container);
    this.#byId.set(id, container);
    return { container, warnings: [] };
  }

  #streams(tty: boolean, container: () => Container): StandardStreams {
    return new StandardStreams(
      () => this.#os.now(),
      tty,
      () => container().program?.interrupt(),
    );
  }

  // ---------------------------------------------------------------------------------------------- start

  /** Starts a container that isn't running. @throws ApiError with runc's text when its command can't run */
  *start(container: Container): Proc<void> {
    if (container.running) return;
    container.stoppedByUser = false;
    container.error = "";
    try {
      const sandbox = yield* this.#networking.allocate(container);
      container.sandbox = sandbox;
      yield* sleep(this.#os, START_LATENCY);
      const ns = sandbox.kind === "host" ? this.#os.kernel.root : (sandbox.ns ?? sandbox.setKey());
      // runc's default since 20.10: any port may be bound in a container's own network namespace.
      if (sandbox.kind !== "host") setSysctlIfKnown(ns, "net.ipv4.ip_unprivileged_port_start", 0, this.#log);
      this.#run(container, {
        os: this.#os,
        ns,
        hostname: container.hostname,
        files: container.files,
        programs: container.image.programs,
      });
    } catch (error) {
      yield* this.#networking.release(container);
      container.sandbox = undefined;
      container.exitCode = error instanceof ApiError && error.message.includes("executable file not found") ? 127 : 128;
      container.error = error instanceof Error ? error.message : String(error);
      container.finishedAt = this.#os.now();
      container.setStatus(container.startedAt === undefined ? "created" : "exited");
      if (container.request.HostConfig?.AutoRemove) yield* this.remove(container, true);
      throw error;
    }
  }

  #run(container: Container, root: ProcessRoot): void {
    const program = findProgram(root, container.argv[0] ?? "");
    if (program === undefined) {
      throw new ApiError(
        400,
        `failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "${container.argv[0]}": executable file not found in $PATH: unknown`,
      );
    }
    if (container.startedAt !== undefined) container.streams = this.#streams(container.tty, () => container);
    const { streams } = container;
    if (!container.request.OpenStdin) streams.stdin.close();
    const cwd = container.request.WorkingDir || container.image.workingDir || "/";
    const io = { stdin: streams.stdin, stdout: streams.stdout, stderr: streams.stderr, tty: container.tty };
    const running = new RunningProgram(root, program, container.argv, new Map(container.env), cwd, io, true);
    container.program = running;
    container.pid = 1000 + running.pid;
    container.exitCode = 0;
    container.startedAt = this.#os.now();
    container.setStatus("running");
    this.#os.spawn(`monitor ${container.name}`, this.#monitor(container, running));
  }

  /** Waits for the process and cleans up behind it (daemon/monitor.go handleContainerExit). */
  *#monitor(container: Container, running: RunningProgram): Proc<void> {
    const status = yield* running.wait();
    container.streams.close();
    for (const exec of container.execs.values()) exec.program?.signal("SIGKILL");
    container.exitCode = status;
    container.finishedAt = this.#os.now();
    container.pid = 0;
    container.program = undefined;
    yield* this.#networking.release(container);
    container.sandbox = undefined;
    container.setStatus("exited");
    if (container.removed) return;
    if (container.request.HostConfig?.AutoRemove) yield* this.remove(container, true);
    else if (this.#shouldRestart(container)) yield* this.#restart(container);
  }

  #shouldRestart(container: Container): boolean {
    const policy = container.request.HostConfig?.RestartPolicy;
    if (policy === undefined || container.stoppedByUser) return false;
    if (policy.Name === "always" || policy.Name === "unless-stopped") return true;
    const limit = policy.MaximumRetryCount ?? 0;
    return policy.Name === "on-failure" && container.exitCode !== 0 && (limit === 0 || container.restartCount < limit);
  }

  /** Back-off of the restart manager: 100 ms doubled each time, at most a minute. */
  *#restart(container: Container): Proc<void> {
    container.setStatus("restarting");
    yield* sleep(this.#os, Math.min(100 * MS * 2 ** container.restartCount, 60 * SEC));
    if (container.removed || container.stoppedByUser || container.running) return;
    container.restartCount++;
    try {
      yield* this.start(container);
    } catch (error) {
      if (!(error instanceof ApiError) && !(error instanceof UserError)) throw error;
    }
  }

  // ----------------------------------------------------------------------------------------------- stop

  /** SIGTERM, then SIGKILL after the timeout. False when it wasn't running. */
  *stop(container: Container, timeoutSec?: number): Proc<boolean> {
    container.stoppedByUser = true;
    if (!container.running) return false;
    const seconds = timeoutSec ?? container.request.StopTimeout ?? STOP_TIMEOUT_SEC;
    container.program?.signal(parseSignal(container.request.StopSignal ?? "SIGTERM") ?? "SIGTERM");
    const deadline = this.#os.now() + seconds * SEC;
    while (container.running && this.#os.now() < deadline)
      yield { on: [container.changed, ...exitOf(container)], until: deadline };
    container.program?.signal("SIGKILL");
    yield* this.waitStopped(container);
    return true;
  }

  /** Until it doesn't run any more and is cleaned up. */
  *waitStopped(container: Container): Proc<number> {
    while (container.running) yield { on: [container.changed] };
    return container.exitCode;
  }

  kill(container: Container, signal: string): void {
    const name = parseSignal(signal);
    if (name === undefined) throw new ApiError(400, `Invalid signal: ${signal}`);
    if (!container.running)
      throw new ApiError(409, `Cannot kill container: ${container.id}: Container ${container.id} is not running`);
    if (name === "SIGKILL") container.stoppedByUser = true;
    container.program?.signal(name);
  }

  /** @param force kills it when it runs */
  *remove(container: Container, force: boolean): Proc<void> {
    if (container.removed) return;
    if (container.running) {
      if (!force) {
        throw new ApiError(
          409,
          `You cannot remove a running container ${container.id}. Stop the container before attempting removal or force remove`,
        );
      }
      container.stoppedByUser = true;
      container.program?.signal("SIGKILL");
      yield* this.waitStopped(container);
    }
    if (container.removed) return;
    container.removed = true;
    this.#byId.delete(container.id);
    for (const id of container.execs.keys()) this.#execs.delete(id);
    container.changed.notify();
  }

  rename(container: Container, name: string): void {
    if (!NAME.test(name))
      throw new ApiError(400, `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    const plain = name.replace(/^\//, "");
    const holder = this.list().find((other) => other.name === plain);
    if (holder !== undefined) {
      throw new ApiError(
        409,
        `Conflict. The container name "/${plain}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
    container.name = plain;
    container.sandbox?.ns?.rename(plain);
  }

  // ----------------------------------------------------------------------------------------------- exec

  execCreate(container: Container, request: ExecCreateRequest): Exec {
    if (!container.running) throw new ApiError(409, `Container ${container.id} is not running`);
    if (request.Cmd.length === 0) throw new ApiError(400, "No exec command specified");
    const exec: Exec = {
      id: newHexId(this.#random),
      argv: request.Cmd,
      tty: request.Tty ?? false,
      env: request.Env ?? [],
      workingDir: request.WorkingDir ?? "",
      running: false,
      exitCode: undefined,
      pid: 0,
      program: undefined,
    };
    const streams = new StandardStreams(
      () => this.#os.now(),
      exec.tty,
      () => exec.program?.interrupt(),
    );
    if (!request.AttachStdin) streams.stdin.close();
    container.execs.set(exec.id, exec);
    this.#execs.set(exec.id, { exec, container, streams });
    return exec;
  }

  exec(id: string): { exec: Exec; container: Container; streams: StandardStreams } {
    const found = this.#execs.get(id);
    if (found === undefined) throw new ApiError(404, `No such exec instance: ${id}`);
    return found;
  }

  execStart(id: string): AttachStream {
    const { exec, container, streams } = this.exec(id);
    if (!container.running) throw new ApiError(409, `Container ${container.id} is not running`);
    const { sandbox } = container;
    assert(sandbox !== undefined, "a running container has a sandbox", container.id);
    const root: ProcessRoot = {
      os: this.#os,
      ns: sandbox.ns ?? this.#os.kernel.root,
      hostname: container.hostname,
      files: container.files,
      programs: container.image.programs,
    };
    const attached = streams.attach();
    const program = findProgram(root, exec.argv[0] ?? "");
    if (program === undefined) {
      streams.stdout.write(
        `OCI runtime exec failed: exec failed: unable to start container process: exec: "${exec.argv[0]}": executable file not found in $PATH: unknown\r\n`,
      );
      exec.exitCode = 126;
      streams.close();
      return attached;
    }
    const env = new Map(container.env);
    for (const item of exec.env) setEnv(env, item);
    const cwd = exec.workingDir || container.request.WorkingDir || container.image.workingDir || "/";
    const io = { stdin: streams.stdin, stdout: streams.stdout, stderr: streams.stderr, tty: exec.tty };
    const running = new RunningProgram(root, program, exec.argv, env, cwd, io, false);
    exec.program = running;
    exec.running = true;
    exec.pid = 1000 + running.pid;
    this.#os.spawn(`exec ${container.name}`, this.#execMonitor(exec, running, streams));
    return attached;
  }

  *#execMonitor(exec: Exec, running: RunningProgram, streams: StandardStreams): Proc<void> {
    exec.exitCode = yield* running.wait();
    exec.running = false;
    exec.program = undefined;
    streams.close();
  }
}

function exitOf(container: Container): readonly RunningProgram["exited"][] {
  return container.program === undefined ? [] : [container.program.exited];
}

/** `alpine` → `alpine:latest`. */
export function withTag(reference: string): string {
  return /:[^/]*$/.test(reference) ? reference : `${reference}:latest`;
}

/** Entrypoint and command: a given entrypoint drops the image's command (merge in daemon/commit.go). */
function commandLine(image: Image, request: ContainerCreateRequest): string[] {
  const entrypoint = request.Entrypoint ?? image.entrypoint;
  const cmd =
    request.Cmd !== undefined && request.Cmd.length > 0
      ? request.Cmd
      : request.Entrypoint !== undefined
        ? []
        : image.cmd;
  return [...entrypoint, ...cmd];
}

/** PATH, HOSTNAME, TERM on a terminal, then the image's and the request's (container/env.go, container_unix.go). */
function environment(image: Image, request: ContainerCreateRequest, hostname: string): Map<string, string> {
  const env = new Map<string, string>();
  setEnv(env, DEFAULT_PATH);
  setEnv(env, `HOSTNAME=${hostname}`);
  if (request.Tty) setEnv(env, "TERM=xterm");
  for (const item of [...image.env, ...(request.Env ?? [])]) setEnv(env, item);
  env.set("HOME", env.get("HOME") ?? "/root");
  return env;
}

function setEnv(env: Map<string, string>, item: string): void {
  const at = item.indexOf("=");
  if (at > 0) env.set(item.slice(0, at), item.slice(at + 1));
}
