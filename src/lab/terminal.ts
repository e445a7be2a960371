/**
 * A terminal of a lab's host: a shell line that runs on it, what it is attached to, and whether it waits for
 * somebody to type.
 */

import { MS } from "../base/time.ts";
import type { AttachStream, EngineApi } from "../engine/api.ts";
import type { Container } from "../engine/container.ts";
import type { Engine } from "../engine/engine.ts";
import type { RunningProgram } from "../engine/process-runner.ts";
import { Pipe } from "../engine/program.ts";
import type { HostOs } from "../scheduler/os.ts";
import { type Proc, Signal, sleep } from "../scheduler/process.ts";
import type { MachineEvent } from "./protocol.ts";

/** A terminal that waits for input is looked at again after this, so that output on its way has arrived. */
const SETTLE = 1 * MS;

/** One terminal, from the line that opened it to the end of what that ran. */
export class Terminal {
  /** The request that opened it. */
  readonly key: number;
  /** The request that its output belongs to: the last one that typed. */
  #request: number;
  readonly stdin = new Pipe();
  readonly #os: HostOs;
  readonly #emit: (event: MachineEvent) => void;
  readonly #attached = new Set<AttachStream>();
  /** The last request has had no answer yet. */
  #owing = true;
  readonly #typed = new Signal();
  /** The container that it is attached to, or was last. */
  #container: Container | undefined;

  constructor(key: number, os: HostOs, emit: (event: MachineEvent) => void) {
    this.key = key;
    this.#request = key;
    this.#os = os;
    this.#emit = emit;
  }

  /** Name of the container whose terminal it is. */
  get container(): string | undefined {
    return this.#container?.name;
  }

  /** The last request that typed here. */
  get request(): number {
    return this.#request;
  }

  write(stream: "stdout" | "stderr", text: string): void {
    if (text !== "") this.#emit({ kind: "output", id: this.#request, stream, text });
  }

  /** Somebody types: an answer is due to that request. */
  expect(request: number): void {
    this.#request = request;
    this.#owing = true;
    this.#typed.notify();
  }

  /** The engine as programs on this terminal see it: what they attach to gives the terminal its name. */
  observe(engine: Engine): EngineApi {
    const attach = (id: string): AttachStream => {
      this.#container = engine.containers.get(id);
      return this.#watch(engine.containerAttach(id));
    };
    const terminal = this;
    const execStart = function* (id: string, detach: boolean): Proc<AttachStream | undefined> {
      const stream = yield* engine.execStart(id, detach);
      if (stream === undefined) return undefined;
      terminal.#container = engine.containers.execs.get(id).container;
      return terminal.#watch(stream);
    };
    return new Proxy(engine, {
      get: (target, key) => {
        if (key === "containerAttach") return attach;
        if (key === "execStart") return execStart;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #watch(stream: AttachStream): AttachStream {
    this.#attached.add(stream);
    return stream;
  }

  /** Answers each request when the program has ended or waits for input. Runs as long as the program does. */
  *serve(program: RunningProgram): Proc<void> {
    for (;;) {
      if (program.status !== undefined) break;
      if (this.#owing && this.stdin.idle) {
        yield* sleep(this.#os, SETTLE);
        if (!this.#owing || !this.stdin.idle || program.status !== undefined) continue;
        this.#owing = false;
        this.#emit({ kind: "idle", id: this.#request, terminal: this.container });
        continue;
      }
      yield { on: [this.stdin.idled, program.exited, this.#typed] };
    }
    // A client that was killed hangs up like one that ended.
    for (const stream of this.#attached) stream.detach();
    this.#emit({ kind: "exit", id: this.#request, status: program.status });
  }
}
