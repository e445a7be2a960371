/** Giving way to whatever else a thread has to do: messages, above all. */

/** What of a browser's MessageChannel is used. */
interface Channel {
  readonly port1: { onmessage: (() => void) | null };
  readonly port2: { postMessage(message: unknown): void };
}

/** A turn of the event loop, without the delay that timers have. */
function turns(): (resolve: () => void) => void {
  // Node lets a message port that answers itself go on a thousand times before it looks at anything else.
  const { setImmediate: immediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };
  if (immediate !== undefined) return (resolve) => immediate(resolve);
  const channel = new MessageChannel() as unknown as Channel;
  const waiting: (() => void)[] = [];
  channel.port1.onmessage = () => waiting.shift()?.();
  return (resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(undefined);
  };
}

const wait = turns();

/** Lets everything happen that has come in the meantime. */
export function turn(): Promise<void> {
  return new Promise(wait);
}

/** A sleep that can be ended. */
export class Sleeper {
  #wake: () => void = () => {};

  /** @param ms at most; without it until wake() */
  sleep(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the sleep, if there is one. */
  wake(): void {
    this.#wake();
    this.#wake = () => {};
  }
}
