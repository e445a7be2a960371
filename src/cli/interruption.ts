/** Ctrl-C ends a run in order; a second one ends it at once. */
import { SIGNAL_STATUS } from "./at-exit.ts";

/** Listens for signals from its making until end(). */
export class Interruption {
  readonly #handlers: readonly (readonly [keyof typeof SIGNAL_STATUS, () => void])[];
  /** The exit status that goes with the signal that came. */
  status: number | undefined;

  /** @param session what is to stop soon */
  constructor(session: { stop(): void }) {
    this.#handlers = (Object.keys(SIGNAL_STATUS) as (keyof typeof SIGNAL_STATUS)[]).map((signal) => [
      signal,
      () => {
        this.status = SIGNAL_STATUS[signal];
        session.stop();
        this.end();
      },
    ]);
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  /** Leaves signals alone again. */
  end(): void {
    for (const [signal, handler] of this.#handlers) process.removeListener(signal, handler);
  }
}
