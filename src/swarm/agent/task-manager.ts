/**
 * One task on its node (swarmkit agent/task.go taskManager, agent/exec/controller.go Do): takes it through its
 * states, one controller step at a time; a change of the task ends the step that runs and looks again.
 */
import { SEC } from "../../base/time.ts";
import { type Channel, type HostRuntime, type Proc, type Process, Signal, sleep } from "../../scheduler/process.ts";
import { tasksEqualStable } from "../api/equality.ts";
import { type TaskObject, TaskState, type TaskStatus } from "../api/objects.ts";
import { errorText } from "../api/status.ts";
import { type TaskController, type TaskLogLine, type TaskLogOptions, TemporaryError } from "../executor.ts";
import type { Log } from "../manager/component.ts";

const RETRY_DELAY = SEC;

/** Hands a task's new status to the reporter. */
export type ReportStatus = (taskId: string, status: TaskStatus) => void;

/** What to do next with a task: run a step and move to a state, or nothing. */
interface Step {
  readonly run: (() => Proc<void>) | undefined;
  readonly state: TaskState;
  readonly message: string;
}

/** The next step of a task, or undefined while there is none. */
function nextStep(desired: TaskState, state: TaskState, controller: TaskController): Step | undefined {
  if (desired >= TaskState.SHUTDOWN) {
    if (state >= TaskState.COMPLETE) return undefined;
    return { run: () => controller.shutdown(), state: TaskState.SHUTDOWN, message: "shutdown" };
  }
  if (state > TaskState.RUNNING) return undefined;
  // These go on by themselves, past the desired state.
  if (state === TaskState.PREPARING)
    return { run: () => controller.prepare(), state: TaskState.READY, message: "prepared" };
  if (state === TaskState.STARTING)
    return { run: () => controller.start(), state: TaskState.RUNNING, message: "started" };
  if (state === TaskState.RUNNING)
    return { run: () => controller.wait(), state: TaskState.COMPLETE, message: "finished" };
  if (state >= desired) return undefined;
  if (state <= TaskState.ASSIGNED) return { run: undefined, state: TaskState.ACCEPTED, message: "accepted" };
  if (state === TaskState.ACCEPTED) return { run: undefined, state: TaskState.PREPARING, message: "preparing" };
  return { run: undefined, state: TaskState.STARTING, message: "starting" };
}

/** Brings one task to the state that is asked for (agent/task.go). */
export class TaskManager {
  readonly #os: HostRuntime;
  readonly #controller: TaskController;
  readonly #report: ReportStatus;
  readonly #log: Log;
  #task: TaskObject;
  #status: TaskStatus;
  /** Tells the loop that the task changed. */
  readonly #changed = new Signal();
  #dirty = false;
  #step: Process | undefined;
  readonly #process: Process;

  constructor(os: HostRuntime, task: TaskObject, controller: TaskController, report: ReportStatus, log: Log) {
    this.#os = os;
    this.#log = log;
    this.#task = task;
    this.#status = task.status;
    this.#controller = controller;
    this.#report = report;
    this.#process = os.spawn(`task ${task.id}`, this.#run());
  }

  get status(): TaskStatus {
    return this.#status;
  }

  get task(): TaskObject {
    return this.#task;
  }

  /** What the task prints; undefined where its controller has no output. */
  logs(options: TaskLogOptions): Channel<TaskLogLine> | undefined {
    return this.#controller.logs?.(options);
  }

  /** The manager sent the task again. */
  update(task: TaskObject): void {
    if (tasksEqualStable(task, this.#task)) return;
    const desiredChanged = task.desiredState !== this.#task.desiredState;
    this.#task = task;
    // A changed desired state is answered with the unchanged state first.
    if (desiredChanged) this.#report(task.id, this.#status);
    this.#dirty = true;
    this.#changed.notify();
  }

  /** The task is no longer assigned: ends its steps and removes what it left; errors are the engine's to log. */
  *close(): Proc<string | undefined> {
    this.#process.kill();
    try {
      yield* this.#controller.remove();
      return undefined;
    } catch (error) {
      return errorText(error);
    }
  }

  /** Ends the steps and leaves everything as it is: the daemon stops. */
  kill(): void {
    this.#process.kill();
  }

  *#run(): Proc<void> {
    try {
      for (;;) {
        if (this.#dirty) {
          this.#dirty = false;
          yield* this.#updateController();
        }
        const step = nextStep(this.#task.desiredState, this.#status.state, this.#controller);
        if (step === undefined) yield { on: [this.#changed] };
        else yield* this.#do(step);
      }
    } finally {
      this.#step?.kill();
    }
  }

  *#updateController(): Proc<void> {
    try {
      yield* this.#controller.update(this.#task);
    } catch (error) {
      this.#log("error", `failed updating task controller: ${errorText(error)}`);
    }
  }

  *#do(step: Step): Proc<void> {
    if (step.run !== undefined) {
      const error = yield* this.#runStep(step.run);
      if (error === "interrupted") return;
      if (error instanceof TemporaryError) {
        yield* sleep(this.#os, RETRY_DELAY);
        return;
      }
      if (error !== undefined) {
        const state = this.#status.state < TaskState.STARTING ? TaskState.REJECTED : TaskState.FAILED;
        this.#set({ ...this.#status, state, err: errorText(error) });
        return;
      }
    }
    this.#set({ ...this.#status, state: step.state, message: step.message, err: "" });
  }

  /** Runs a step until it is done or the task changed. */
  *#runStep(run: () => Proc<void>): Proc<unknown> {
    let failure: unknown;
    const step = this.#os.spawn(
      `task ${this.#task.id} step`,
      (function* (): Proc<void> {
        try {
          yield* run();
        } catch (error) {
          failure = error;
        }
      })(),
    );
    this.#step = step;
    while (!step.done) {
      yield { on: [step.exited, this.#changed] };
      if (!step.done && this.#dirty) {
        step.kill();
        return "interrupted";
      }
    }
    return failure;
  }

  #set(status: TaskStatus): void {
    const container = status.state < TaskState.STARTING ? undefined : this.#controller.containerStatus?.();
    const ports = status.state < TaskState.STARTING ? undefined : this.#controller.portStatus?.();
    this.#status = {
      ...status,
      timestamp: this.#os.now(),
      container: container ?? this.#status.container,
      ports: ports ?? this.#status.ports,
    };
    this.#report(this.#task.id, this.#status);
  }
}
