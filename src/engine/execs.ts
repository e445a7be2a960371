/** Commands run in containers that run (moby daemon/exec.go, daemon/exec/exec.go; 20.10). */
import { assert } from "../base/errors.ts";
import { newHexId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import { MINUTE } from "../base/time.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc } from "../scheduler/process.ts";
import { ApiError, type AttachStream, type ExecCreateRequest } from "./api.ts";
import type { Container, Exec } from "./container.ts";
import { environment, setVariable } from "./container-config.ts";
import { findProgram, notFoundReason, type ProcessRoot, RunningProgram } from "./process-runner.ts";
import { StandardStreams } from "./stdio.ts";

/** An exec that has ended is forgotten after this (execCommandGC). */
const KEEP = 5 * MINUTE;
/** The exit status of an exec whose command can't be started, whatever the reason (20.10's ContainerExecStart). */
const CANNOT_START = 126;

/** The execs of all containers of one engine, by ID. */
export class Execs {
  readonly #os: HostOs;
  readonly #random: Random;
  readonly #byId = new Map<string, { readonly exec: Exec; readonly container: Container }>();

  constructor(os: HostOs, random: Random) {
    this.#os = os;
    this.#random = random;
  }

  /** @throws ApiError 409 when the container doesn't run, 400 without a command */
  create(container: Container, request: ExecCreateRequest): Exec {
    this.#checkRunning(container);
    if (request.Cmd.length === 0) throw new ApiError(400, "No exec command specified");
    this.#collect(container);
    const tty = request.Tty ?? false;
    const exec: Exec = {
      id: newHexId(this.#random),
      argv: request.Cmd,
      tty,
      attachStdin: request.AttachStdin ?? false,
      env: request.Env ?? [],
      workingDir: request.WorkingDir ?? "",
      streams: new StandardStreams({ tty, now: () => this.#os.now(), interrupt: () => exec.program?.interrupt() }),
      running: false,
      exitCode: undefined,
      endedAt: undefined,
      pid: 0,
      program: undefined,
    };
    if (!exec.attachStdin) exec.streams.stdin.close();
    container.execs.set(exec.id, exec);
    this.#byId.set(exec.id, { exec, container });
    return exec;
  }

  #checkRunning(container: Container): void {
    if (!container.running) throw new ApiError(409, `Container ${container.id} is not running`);
    if (container.restarting)
      throw new ApiError(409, `Container ${container.id} is restarting, wait until the container is running`);
  }

  #collect(container: Container): void {
    const now = this.#os.now();
    for (const exec of [...container.execs.values()]) {
      if (exec.endedAt === undefined || now - exec.endedAt < KEEP) continue;
      container.execs.delete(exec.id);
      this.#byId.delete(exec.id);
    }
  }

  /** @throws ApiError 404 */
  get(id: string): { readonly exec: Exec; readonly container: Container } {
    const found = this.#byId.get(id);
    if (found === undefined) throw new ApiError(404, `No such exec instance: ${id}`);
    return found;
  }

  /** The container is gone, and its execs with it. */
  forget(container: Container): void {
    for (const id of container.execs.keys()) this.#byId.delete(id);
  }

  /**
   * Starts an exec. Attached, a command that isn't there is told on standard output, as the daemon does once the
   * stream is open; detached it is an error.
   */
  start(id: string, detach: boolean): AttachStream | undefined {
    const { exec, container } = this.get(id);
    if (exec.exitCode !== undefined) throw new ApiError(409, `Error: Exec command ${id} has already run`);
    if (exec.running) throw new ApiError(409, `Error: Exec command ${id} is already running`);
    this.#checkRunning(container);
    const { ns, program: init } = container;
    assert(ns !== undefined && init !== undefined, "a running container has a namespace and a process", container.id);
    const root: ProcessRoot = { ...init.root, ns };
    const attached = detach ? undefined : exec.streams.attach(exec.attachStdin);
    const program = findProgram(root, exec.argv[0] ?? "");
    if (program === undefined) {
      const message = `OCI runtime exec failed: exec failed: unable to start container process: ${notFoundReason(root, exec.argv[0] ?? "")}`;
      if (!detach) exec.streams.stdout.write(`${message}\r\n`);
      this.#ended(exec, CANNOT_START);
      if (detach) throw new ApiError(400, message);
      return attached;
    }
    const env = environment(container.image, container.request, container.hostname);
    if (exec.tty) env.set("TERM", "xterm");
    for (const item of exec.env) setVariable(env, item);
    const cwd = exec.workingDir || container.request.WorkingDir || container.image.workingDir || "/";
    const { stdin, stdout, stderr } = exec.streams;
    const running = new RunningProgram(
      root,
      program,
      exec.argv,
      env,
      cwd,
      { stdin, stdout, stderr, tty: exec.tty },
      false,
    );
    exec.program = running;
    exec.running = true;
    exec.pid = 1000 + running.pid;
    this.#os.spawn(`exec ${container.name}`, this.#monitor(exec, running));
    return attached;
  }

  *#monitor(exec: Exec, running: RunningProgram): Proc<void> {
    this.#ended(exec, yield* running.wait());
  }

  #ended(exec: Exec, status: number): void {
    exec.exitCode = status;
    exec.endedAt = this.#os.now();
    exec.running = false;
    exec.program = undefined;
    exec.pid = 0;
    exec.streams.close();
  }
}
