/** The progress line of `swarmwire bench`: what runs now, how far it is, and how long it may still take. */
import { formatDuration, SEC, type Time } from "../base/time.ts";
import type { MeshSession } from "../lab/mesh/session.ts";
import { Progress } from "./progress.ts";

/** On a terminal. */
export class BenchProgress {
  readonly #progress: Progress;
  #phase = "the mesh is planned";
  #session: MeshSession | undefined;
  #began: { readonly virtual: Time; readonly wall: number } | undefined;

  constructor(off: boolean) {
    this.#progress = new Progress(off);
    this.#progress.show(() => this.#line());
  }

  tell(phase: string): void {
    this.#phase = phase;
    const now = this.#session?.cluster.now ?? 0;
    if (phase === "traffic") this.#began = { virtual: now, wall: performance.now() };
  }

  follow(session: MeshSession): void {
    this.#session = session;
  }

  clear(): void {
    this.#progress.clear();
  }

  end(): void {
    this.#progress.end();
  }

  #line(): string {
    const session = this.#session;
    if (session === undefined) return this.#phase;
    const { now } = session.cluster;
    if (this.#began === undefined || session.trafficEnd === 0)
      return `${this.#phase}, ${formatDuration(Math.floor((10 * now) / SEC) * (SEC / 10))} of virtual time`;
    const { virtual, wall } = this.#began;
    const share = Math.min(1, (now - virtual) / (session.trafficEnd - virtual));
    const left = share > 0 ? ((1 - share) / share) * (performance.now() - wall) : 0;
    const estimate = left < 1000 ? "" : `, about ${formatDuration(Math.ceil(left / 1000) * SEC)} left`;
    return `${this.#phase}: ${Math.floor(100 * share)} %${estimate}`;
  }
}
