/** Gathers what the page is to be told, so that a busy run sends few messages. */
import type { OnEvents, SessionEvent } from "./protocol.ts";

/** Events on their way to the page, in order. */
export class Outbox {
  readonly #tell: OnEvents;
  #events: SessionEvent[] = [];
  #held = false;

  constructor(tell: OnEvents) {
    this.#tell = tell;
  }

  /** From now on the page is told only how things stand; the rest is kept for it until it is released. */
  hold(): void {
    this.#held = true;
  }

  /** Tells what was kept, behind this. */
  release(first: SessionEvent): void {
    this.#held = false;
    this.#events.unshift(first);
  }

  push(event: SessionEvent): void {
    if (event.kind === "status" && this.#held) {
      this.#tell([event]);
      return;
    }
    const last = this.#events.at(-1);
    if (event.kind === "output" && last?.kind === "output" && last.terminal === event.terminal)
      this.#events[this.#events.length - 1] = { ...last, text: last.text + event.text };
    else this.#events.push(event);
  }

  flush(): void {
    if (this.#held || this.#events.length === 0) return;
    const events = this.#events;
    this.#events = [];
    this.#tell(events);
  }
}
