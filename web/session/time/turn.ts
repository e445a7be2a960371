/** Giving way to whatever else a thread has to do: messages, above all. */

/** A MessagePort, as browsers and Node have it. */
interface Port {
  onmessage: (() => void) | null;
  postMessage(message: unknown): void;
  /** Node's only: a port that listens keeps the process alive. */
  ref?(): void;
  unref?(): void;
}

const channel = new MessageChannel() as unknown as { readonly port1: Port; readonly port2: Port };
const waiting: (() => void)[] = [];

channel.port1.onmessage = () => {
  waiting.shift()?.();
  if (waiting.length === 0) channel.port1.unref?.();
};
channel.port1.unref?.();

/** A turn of the event loop, without the delay that timers have. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port1.ref?.();
    channel.port2.postMessage(undefined);
  });
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
