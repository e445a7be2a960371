/**
 * A container from start to exit: its process, signals, restarts (moby daemon/start.go, stop.go, kill.go,
 * restart.go, monitor.go, container/state.go; 20.10). Whatever starts or ends a container holds its lock.
 */
import { UserError } from "../base/errors.ts";
import { MS, SEC, type Time } from "../base/time.ts";
import type { DaemonLog } from "../libnetwork/log.ts";
import { setSysctlIfKnown } from "../libnetwork/osl.ts";
import type { Sandbox } from "../libnetwork/sandbox.ts";
import type { HostOs } from "../scheduler/os.ts";
import { type Proc, type Process, sleep } from "../scheduler/process.ts";
import { ApiError, type ContainerCreateRequest } from "./api.ts";
import type { Container } from "./container.ts";
import { environment } from "./container-config.ts";
import type { Events } from "./events.ts";
import { startHealthChecks } from "./health.ts";
import {
  findProgram,
  notFoundReason,
  type ProcessRoot,
  parseSignal,
  RunningProgram,
  SIGNALS,
} from "./process-runner.ts";

/** How containers get and lose their networks. */
export interface ContainerNetworking {
  /** Refuses a request that can't be (daemon/container.go verifyNetworkingConfig). */
  check(request: ContainerCreateRequest): void;
  /** Records what was asked for (updateContainerNetworkSettings). */
  plan(container: Container): void;
  /** Before the process starts: a sandbox with endpoints on all networks. */
  allocate(container: Container): Proc<Sandbox>;
  /** After the process has ended. */
  release(container: Container): Proc<void>;
  /** The container has another name, and maybe runs. */
  renamed(container: Container): void;
}

/** Time from the request to the container's process: mounts, cgroups, runc (a good machine's). */
const START_LATENCY = 180 * MS;
const STOP_TIMEOUT_SEC = 10;
const CREATE_FAILED =
  "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";

/** Starts and ends the containers of one engine. */
export class Lifecycle {
  readonly #os: HostOs;
  readonly #networking: ContainerNetworking;
  readonly #log: DaemonLog;
  readonly #autoRemove: (container: Container) => Proc<void>;
  readonly #events: Events | undefined;

  /** @param autoRemove removes a container that has ended, for `--rm` */
  constructor(
    os: HostOs,
    networking: ContainerNetworking,
    log: DaemonLog,
    autoRemove: (container: Container) => Proc<void>,
    events?: Events,
  ) {
    this.#events = events;
    this.#os = os;
    this.#networking = networking;
    this.#log = log;
    this.#autoRemove = autoRemove;
  }

  // ---------------------------------------------------------------------------------------------- start

  /**
   * Starts a container by hand.
   * @returns false when it runs already
   * @throws ApiError with runc's text when its command can't run
   */
  *start(container: Container): Proc<boolean> {
    yield* container.lock.free();
    if (container.running) return false;
    return yield* this.#locked(container, this.#start(container, true));
  }

  /** A start that failed is cleaned up under the lock; a container with `--rm` goes after it. */
  *#locked(container: Container, start: Proc<boolean>): Proc<boolean> {
    try {
      return yield* container.lock.run(start);
    } catch (error) {
      if (container.autoRemove && !container.running) yield* this.#autoRemove(container);
      throw error;
    }
  }

  /** @param byHand not by its restart policy */
  *#start(container: Container, byHand: boolean): Proc<boolean> {
    if (byHand && container.running) return false;
    if (container.removing || container.removed)
      throw new ApiError(409, "container is marked for removal and cannot be started");
    try {
      const sandbox = yield* this.#networking.allocate(container);
      if (byHand) {
        container.restartManager.cancel();
        container.restartManager = container.newRestartManager();
        container.restartCount = 0;
        container.manuallyStopped = false;
      }
      yield* sleep(this.#os, START_LATENCY);
      this.#run(container, sandbox);
      return true;
    } catch (error) {
      container.error = error instanceof Error ? error.message : String(error);
      if (container.exitCode === 0) container.exitCode = 128;
      yield* this.#release(container);
      container.changed.notify();
      throw error;
    }
  }

  *#release(container: Container): Proc<void> {
    yield* this.#networking.release(container);
    container.sandbox = undefined;
    container.ns = undefined;
  }

  /** The process itself: what containerd and runc do. */
  #run(container: Container, sandbox: Sandbox): void {
    const shared = sandbox.containerId !== container.id;
    const ns = sandbox.kind === "host" ? this.#os.kernel.root : (sandbox.ns ?? sandbox.setKey());
    container.ns = ns;
    // runc's default since 20.10: any port may be bound in a container's own network namespace.
    if (sandbox.kind !== "host" && !shared) setSysctlIfKnown(ns, "net.ipv4.ip_unprivileged_port_start", 0, this.#log);
    container.files.regenerate();
    const root: ProcessRoot = {
      os: this.#os,
      ns,
      hostname: container.hostname,
      files: container.files,
      programs: container.image.programs,
      processes: new Set(),
    };
    const program = findProgram(root, container.argv[0] ?? "");
    if (program === undefined) {
      const reason = notFoundReason(root, container.argv[0] ?? "");
      container.exitCode = reason.includes("permission denied") ? 126 : 127;
      throw new ApiError(400, CREATE_FAILED + reason);
    }
    const { streams, image, request } = container;
    if (!request.OpenStdin) streams.stdin.close();
    const { stdin, stdout, stderr } = streams;
    const io = { stdin, stdout, stderr, tty: container.tty };
    const env = environment(image, request, container.hostname);
    const cwd = request.WorkingDir || image.workingDir || "/";
    const running = new RunningProgram(root, program, container.argv, env, cwd, io, true);
    container.program = running;
    container.pid = 1000 + running.pid;
    container.error = "";
    container.exitCode = 0;
    container.startedAt = this.#os.now();
    container.running = true;
    container.restarting = false;
    container.changed.notify();
    this.#events?.container(container, "start");
    const checks = startHealthChecks(this.#os, container, (status) =>
      this.#events?.container(container, `health_status: ${status}`),
    );
    this.#os.spawn(`monitor ${container.name}`, this.#monitor(container, running, checks));
  }

  // ----------------------------------------------------------------------------------------------- exit

  /** Waits for the process and cleans up behind it (monitor.go ProcessEvent, handleContainerExit). */
  *#monitor(container: Container, running: RunningProgram, checks: Process | undefined): Proc<void> {
    const status = yield* running.wait();
    checks?.kill();
    const timeout = yield* container.lock.run(this.#exited(container, running, status));
    if (timeout !== undefined) yield* this.#restartLater(container, timeout);
    else if (container.autoRemove && !container.keepAtExit) yield* this.#autoRemove(container);
  }

  /** @returns the wait before a restart; undefined when its policy says no */
  *#exited(container: Container, running: RunningProgram, status: number): Proc<Time | undefined> {
    for (const process of [...running.root.processes]) process.signal("SIGKILL");
    container.streams.close();
    container.streams = container.newStreams();
    const now = this.#os.now();
    container.program = undefined;
    container.pid = 0;
    container.exitCode = status;
    container.finishedAt = now;
    container.exits++;
    this.#events?.container(container, "die", { exitCode: String(status) });
    const ran = now - (container.startedAt ?? now);
    const timeout = container.restartManager.decide(status, container.manuallyStopped, ran);
    container.restarting = timeout !== undefined;
    container.running = container.restarting;
    if (container.restarting) container.restartCount++;
    yield* this.#release(container);
    container.changed.notify();
    return timeout;
  }

  *#restartLater(container: Container, timeout: Time): Proc<void> {
    const manager = container.restartManager;
    try {
      if (yield* manager.wait(this.#os, timeout)) {
        yield* container.lock.run(this.#start(container, false));
        return;
      }
    } catch (error) {
      if (!(error instanceof ApiError) && !(error instanceof UserError)) throw error;
      this.#log("error", `failed to restart container ${container.id}: ${error.message}`);
    }
    container.running = false;
    container.restarting = false;
    container.changed.notify();
    if (container.autoRemove) yield* this.#autoRemove(container);
  }

  // ----------------------------------------------------------------------------------------------- stop

  /**
   * Its stop signal, then SIGKILL after the timeout (containerStop).
   * @param timeoutSec undefined: the container's own, 10 by default; negative: no end
   * @returns false when it didn't run
   */
  *stop(container: Container, timeoutSec?: number): Proc<boolean> {
    yield* container.lock.free();
    if (!container.running) return false;
    const seconds = timeoutSec ?? container.request.StopTimeout ?? STOP_TIMEOUT_SEC;
    this.#signal(
      container,
      parseSignal(container.request.StopSignal || container.image.stopSignal || "SIGTERM") ?? "SIGTERM",
    );
    const deadline = seconds < 0 ? undefined : this.#os.now() + seconds * SEC;
    if (!(yield* this.#waitStopped(container, deadline))) yield* this.killAndWait(container);
    this.#events?.container(container, "stop");
    return true;
  }

  /** The daemon stops: the container ends, and its restart policy may bring it back with the daemon. */
  *shutdown(container: Container): Proc<void> {
    const { manuallyStopped } = container;
    yield* this.stop(container);
    container.manuallyStopped = manuallyStopped;
  }

  /** The daemon has started, and the restart policy brings the container back (daemon.go restore). */
  *restartAtBoot(container: Container): Proc<void> {
    try {
      yield* container.lock.run(this.#start(container, true));
    } catch (error) {
      if (!(error instanceof ApiError) && !(error instanceof UserError)) throw error;
      this.#log("error", `failed to start container ${container.id}: ${error.message}`);
    }
  }

  /** Until it doesn't run any more; false when the deadline came first. */
  *#waitStopped(container: Container, deadline?: Time): Proc<boolean> {
    const { exits } = container;
    while (container.running && container.exits === exits) {
      if (deadline !== undefined && this.#os.now() >= deadline) return false;
      yield deadline === undefined ? { on: [container.changed] } : { on: [container.changed], until: deadline };
    }
    return true;
  }

  /** SIGKILL, and waits for the end. */
  *killAndWait(container: Container): Proc<void> {
    if (!container.running) return;
    this.#signal(container, "SIGKILL");
    yield* this.#waitStopped(container);
  }

  /** `docker kill` (ContainerKill). @param reference as messages show it */
  *kill(container: Container, reference: string, signal: string): Proc<void> {
    const name = parseSignal(signal);
    const refuse = (status: number, message: string): ApiError =>
      new ApiError(status, `Cannot kill container: ${reference}: ${message}`);
    if (name === undefined) throw refuse(500, `The linux daemon does not support signal ${signal}`);
    yield* container.lock.free();
    if (!container.running) throw refuse(409, `Container ${container.id} is not running`);
    if (name === "SIGKILL") yield* this.killAndWait(container);
    else this.#signal(container, name);
  }

  /** killWithSignal: a signal by hand ends what a restart policy does, unless the image has a stop signal of its own. */
  #signal(container: Container, name: string): void {
    const own = container.request.StopSignal || (container.image.stopSignal ?? "");
    if (own === "" || name === "SIGKILL" || parseSignal(own) === name) container.restartManager.cancel();
    container.manuallyStopped = true;
    // One that waits for its restart has no process; its manager ends the wait.
    if (!container.restarting) container.program?.signal(name);
    this.#events?.container(container, "kill", { signal: String(SIGNALS[name] ?? name) });
  }

  /** Stop and start; `--rm` doesn't apply in between (containerRestart). */
  *restart(container: Container, timeoutSec?: number): Proc<void> {
    container.keepAtExit = true;
    try {
      yield* this.stop(container, timeoutSec);
      yield* container.lock.free();
    } finally {
      container.keepAtExit = false;
    }
    yield* this.#locked(container, this.#start(container, true));
    this.#events?.container(container, "restart");
  }

  // ----------------------------------------------------------------------------------------------- wait

  /** The exit status once a condition holds (State.Wait). */
  *wait(container: Container, condition: "not-running" | "next-exit" | "removed"): Proc<number> {
    const { exits } = container;
    if (condition === "not-running") yield* container.lock.free();
    if (condition === "not-running" && !container.running) return container.exitCode;
    while (!container.removed && (condition === "removed" || container.exits === exits))
      yield { on: [container.changed] };
    return container.exitCode;
  }
}

/** What `docker kill -s` may say: a name, or any number but 0. @throws ApiError 400 */
export function checkSignal(signal: string): void {
  const number = /^\d+$/.test(signal) && Number(signal) > 0;
  if (!number && parseSignal(signal) === undefined) throw new ApiError(400, `Invalid signal: ${signal}`);
}
