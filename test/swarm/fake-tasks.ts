/** A controller of service tasks that are nothing but times: how long each step takes, and how it ends. */
import { MS, SEC, type Time } from "../../src/base/time.ts";
import { Channel, type HostRuntime, type Proc, Signal, sleep } from "../../src/scheduler/process.ts";
import type { TaskObject } from "../../src/swarm/api/objects.ts";
import type { ContainerStatus } from "../../src/swarm/api/services.ts";
import type { TaskController, TaskLogLine, TaskLogOptions } from "../../src/swarm/executor.ts";

/** How tasks behave; by their image. */
export interface Behaviour {
  /** An error that prepare ends with. */
  readonly rejects?: string;
  /** The task ends so long after its start: with this exit code. */
  readonly endsAfter?: Time;
  readonly exitCode?: number;
  readonly stopTime?: Time;
  readonly prints?: readonly string[];
}

/** What happens to one task. */
export class FakeTask implements TaskController {
  readonly #os: HostRuntime;
  readonly #behaviour: Behaviour;
  readonly #record: (what: string) => void;
  readonly #ended = new Signal();
  #task: TaskObject;
  #startedAt: Time | undefined;
  #stopped = false;

  constructor(os: HostRuntime, task: TaskObject, behaviour: Behaviour, record: (what: string) => void) {
    this.#os = os;
    this.#task = task;
    this.#behaviour = behaviour;
    this.#record = record;
  }

  // biome-ignore lint/correctness/useYield: nothing to wait for
  *update(task: TaskObject): Proc<void> {
    this.#task = task;
  }

  *prepare(): Proc<void> {
    yield* sleep(this.#os, 20 * MS);
    if (this.#behaviour.rejects !== undefined) throw new Error(this.#behaviour.rejects);
  }

  *start(): Proc<void> {
    yield* sleep(this.#os, 30 * MS);
    this.#startedAt = this.#os.now();
    this.#record(`start ${this.#task.slot}`);
  }

  *wait(): Proc<void> {
    const { endsAfter, exitCode = 0 } = this.#behaviour;
    const until = (this.#startedAt ?? 0) + (endsAfter ?? 1e6 * SEC);
    while (!this.#stopped && this.#os.now() < until) yield { on: [this.#ended], until };
    if (exitCode !== 0) throw new Error(`task: non-zero exit (${exitCode})`);
  }

  *shutdown(): Proc<void> {
    yield* sleep(this.#os, this.#behaviour.stopTime ?? 2 * SEC);
    this.#stopped = true;
    this.#record(`stop ${this.#task.slot}`);
  }

  *terminate(): Proc<void> {}

  // biome-ignore lint/correctness/useYield: nothing to wait for
  *remove(): Proc<void> {
    this.#record(`remove ${this.#task.slot}`);
  }

  containerStatus(): ContainerStatus | undefined {
    if (this.#startedAt === undefined) return undefined;
    return { containerId: `c-${this.#task.id}`, pid: this.#stopped ? 0 : 100, exitCode: this.#behaviour.exitCode ?? 0 };
  }

  logs({ tail }: TaskLogOptions): Channel<TaskLogLine> {
    const lines = new Channel<TaskLogLine>();
    const printed = this.#behaviour.prints ?? [];
    for (const text of tail === undefined ? printed : printed.slice(-tail)) {
      lines.push({ stream: "stdout", time: this.#startedAt ?? 0, text: `${text}\n` });
    }
    lines.close();
    return lines;
  }
}
