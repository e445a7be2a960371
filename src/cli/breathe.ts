/** Lets Node's event loop run now and then during a long run: signals, keys and the progress line wait there. */

/** A run may keep the event loop for this long, in milliseconds. */
const HOLD_MS = 20;

/** To be called often; gives way to the event loop when it is due. */
export function breather(): () => Promise<void> {
  let last = Date.now();
  return async () => {
    if (Date.now() - last < HOLD_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    last = Date.now();
  };
}

/** A breather that can also keep virtual time from running away. */
export interface Pacer {
  readonly breathe: () => Promise<void>;
  /** From now on somebody watches, and virtual time keeps to the speed; or nobody does, and it runs freely. */
  readonly watch: (watched: boolean) => void;
}

/**
 * At first nobody watches.
 * @param now virtual time, ns
 * @param speed virtual time per wall time while somebody watches; 0 = no limit
 */
export function pacer(now: () => number, speed: number): Pacer {
  const breathe = breather();
  let paced = false;
  let wall = Date.now();
  let virtual = now();
  return {
    watch: (watched) => {
      paced = watched && speed > 0;
      wall = Date.now();
      virtual = now();
    },
    breathe: async () => {
      const ahead = paced ? (now() - virtual) / 1e6 / speed - (Date.now() - wall) : 0;
      if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
      else await breathe();
    },
  };
}
