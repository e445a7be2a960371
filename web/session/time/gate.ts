/** Who may go on: the lab's steps one by one or all, and what is typed on terminals between them. */

/** Actions done between two steps. */
type Job = () => Promise<void>;

/** Holds a run before its steps, and within one. */
export class Gate {
  /** Steps that may begin. */
  #steps = 0;
  /** Time stands within a step. */
  #held = false;
  #inStep = false;
  #closed = false;
  readonly #jobs: Job[] = [];
  #wake: () => void = () => {};

  /** Between two steps, nothing allowed to begin. */
  get waits(): boolean {
    return !this.#inStep && this.#steps === 0;
  }

  /** A step may begin. */
  get wanted(): boolean {
    return this.#steps > 0;
  }

  get held(): boolean {
    return this.#held;
  }

  /** All steps may run. */
  run(): void {
    this.#allow(Number.POSITIVE_INFINITY);
  }

  /** One step may run, or the rest of the one that is held. */
  step(): void {
    this.#allow(this.#inStep ? 0 : 1);
  }

  #allow(steps: number): void {
    this.#steps = steps;
    this.#held = false;
    this.#wake();
  }

  /** Nothing goes on. */
  hold(): void {
    this.#steps = 0;
    this.#held = this.#inStep;
  }

  /** Nothing waits here any more. */
  close(): void {
    this.#closed = true;
    this.#held = false;
    this.#wake();
  }

  /** Does something between two steps. */
  enqueue(job: Job): void {
    this.#jobs.push(job);
    this.#wake();
  }

  /** Before a step: does the jobs that wait, and those that come until a step may begin. @param idle told when it waits */
  async beforeStep(idle: () => void): Promise<void> {
    this.#inStep = false;
    await this.#serve(() => this.#steps > 0, idle);
    this.#steps--;
    this.#inStep = true;
  }

  /** After the last step: does jobs until it is closed. */
  async afterSteps(idle: () => void): Promise<void> {
    this.#inStep = false;
    this.#steps = 0;
    await this.#serve(() => false, idle);
  }

  async #serve(over: () => boolean, idle: () => void): Promise<void> {
    while (!this.#closed) {
      const job = this.#jobs.shift();
      if (job !== undefined) await job();
      else if (over()) return;
      else {
        idle();
        await this.#sleep();
      }
    }
  }

  /** Within a step: waits while it is held. @param idle told when it waits */
  async within(idle: () => void): Promise<void> {
    while (this.#held && !this.#closed) {
      idle();
      await this.#sleep();
    }
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
