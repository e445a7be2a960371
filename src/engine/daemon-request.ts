/**
 * Requests as the daemon runs them: in a process of its own. Who asked may be killed or go away, and the request
 * still runs to its end, as a handler of dockerd does when its client hangs up.
 */
import { assert } from "../base/errors.ts";
import { type HostRuntime, join, type Proc, type Process } from "../scheduler/process.ts";
import { isDefect } from "./refusals.ts";

/** A request that runs, and its answer. */
export class DaemonRequest<T> {
  readonly process: Process;
  #outcome: { readonly value: T } | { readonly refusal: unknown } | undefined;

  /** Starts the request. What it refuses waits for whoever asks for the result; a defect ends the run. */
  constructor(os: HostRuntime, name: string, program: Proc<T>) {
    this.process = os.spawn(`dockerd: ${name}`, this.#run(program));
  }

  *#run(program: Proc<T>): Proc<void> {
    try {
      this.#outcome = { value: yield* program };
    } catch (error) {
      if (isDefect(error)) throw error;
      this.#outcome = { refusal: error };
    }
  }

  /** Waits for the answer. @throws what the request was refused with */
  *result(): Proc<T> {
    yield* join(this.process);
    const outcome = this.#outcome;
    assert(outcome !== undefined, "a daemon's request has an outcome", this.process.name);
    if ("refusal" in outcome) throw outcome.refusal;
    return outcome.value;
  }
}

/** Runs a request in a process of the daemon and waits for it. */
export function* inDaemon<T>(os: HostRuntime, name: string, program: Proc<T>): Proc<T> {
  return yield* new DaemonRequest(os, name, program).result();
}
