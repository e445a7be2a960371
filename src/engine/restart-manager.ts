/** When a container that ended is started again (moby restartmanager/restartmanager.go, 20.10). */
import { MS, SEC, type Time } from "../base/time.ts";
import { type HostRuntime, type Proc, Signal } from "../scheduler/process.ts";

const DEFAULT_TIMEOUT = 100 * MS;
const BACKOFF_MULTIPLIER = 2;
const MAX_TIMEOUT = 60 * SEC;
/** A container that ran this long has recovered: the waits begin anew. */
const RECOVERED = 10 * SEC;

/** Decides for one container, from one start by hand to the next. */
export class RestartManager {
  readonly #policy: string;
  readonly #maximum: number;
  readonly #cancelled = new Signal();
  #timeout: Time = 0;
  #count = 0;
  #canceled = false;

  /** @param maximum retries of `on-failure`; 0 = without end */
  constructor(policy: string, maximum: number) {
    this.#policy = policy;
    this.#maximum = maximum;
  }

  /**
   * Whether to start it again, and after what wait.
   * @param ran how long it ran
   */
  decide(exitCode: number, manuallyStopped: boolean, ran: Time): Time | undefined {
    if (this.#canceled || this.#policy === "no" || this.#policy === "") return undefined;
    if (ran >= RECOVERED) this.#timeout = 0;
    this.#timeout = this.#timeout === 0 ? DEFAULT_TIMEOUT : Math.min(this.#timeout * BACKOFF_MULTIPLIER, MAX_TIMEOUT);
    const wanted =
      this.#policy === "always" ||
      (this.#policy === "unless-stopped" && !manuallyStopped) ||
      (this.#policy === "on-failure" && exitCode !== 0 && (this.#maximum === 0 || this.#count < this.#maximum));
    if (!wanted) return undefined;
    this.#count++;
    return this.#timeout;
  }

  /** Waits before a restart; false when it was cancelled. */
  *wait(os: HostRuntime, timeout: Time): Proc<boolean> {
    const until = os.now() + timeout;
    while (!this.#canceled && os.now() < until) yield { on: [this.#cancelled], until };
    return !this.#canceled;
  }

  /** The container is not started again. */
  cancel(): void {
    this.#canceled = true;
    this.#cancelled.notify();
  }
}
