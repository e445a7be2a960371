/** The processes of one daemon part that end together, and Go's timers and tickers in terms of them. */
import type { Time } from "../base/time.ts";
import { type HostRuntime, type Proc, type Process, TIME_SKIPPED } from "./process.ts";

/** Tasks that end together. */
export class TaskGroup {
  readonly host: HostRuntime;
  readonly #running = new Set<Process>();
  #sweepAt = 32;
  #stopped = false;

  constructor(host: HostRuntime) {
    this.host = host;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Starts a process of the group. After stop() nothing starts any more. */
  spawn(name: string, program: Proc): Process | undefined {
    if (this.#stopped) return undefined;
    if (this.#running.size >= this.#sweepAt) this.#forgetEnded();
    const process: Process = this.host.spawn(name, program);
    this.#running.add(process);
    return process;
  }

  /** Go's time.AfterFunc; kill the process to stop the timer. */
  after(name: string, delay: Time, action: () => void): Process | undefined {
    return this.spawn(name, runLater(this.host.now() + delay, action));
  }

  /**
   * Go's time.NewTicker with a loop over it: ticks at multiples of the interval since now. While the action
   * runs, at most one tick is kept for afterwards. The ticks are upkeep (src/scheduler/quiet.ts).
   * @param missed told how many ticks lay in quiet time that was skipped
   */
  every(
    name: string,
    interval: Time,
    action: () => Proc | undefined,
    missed: (ticks: number) => void = () => {},
  ): void {
    this.spawn(name, tick(this.host, interval, action, missed));
  }

  /** Kills all processes of the group; the one that calls this ends at its next wait. */
  stop(): void {
    this.#stopped = true;
    for (const process of [...this.#running]) process.kill();
    this.#running.clear();
  }

  #forgetEnded(): void {
    for (const process of this.#running) if (process.done) this.#running.delete(process);
    this.#sweepAt = Math.max(32, 2 * this.#running.size);
  }
}

function* runLater(until: Time, action: () => void): Proc {
  yield { until };
  action();
}

function* tick(
  host: HostRuntime,
  interval: Time,
  action: () => Proc | undefined,
  missed: (ticks: number) => void,
): Proc {
  const start = host.now();
  const passed = (): number => Math.floor((host.now() - start) / interval);
  let taken = 0;
  for (;;) {
    while (passed() <= taken) {
      const source = yield { until: start + (taken + 1) * interval, upkeep: true };
      if (source !== TIME_SKIPPED) continue;
      missed(passed() - taken);
      taken = passed();
    }
    taken = passed();
    const program = action();
    if (program !== undefined) yield* program;
  }
}
