/** What is done when the process ends, whichever way it does: a trace is then a whole file. */

/** What a signal's end is told as (sh(1)). */
export const SIGNAL_STATUS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** 128 + SIGPIPE: written to a pipe whose reader has gone, as `| head` does. */
export const BROKEN_PIPE = 141;

/**
 * Does something once: when the process ends, because the reader of its output or its terminal went away for
 * instance, or earlier, when the function that is returned is called. It must not wait for anything.
 */
export function atExit(action: () => void): () => void {
  const once = (): void => {
    process.removeListener("exit", once);
    action();
  };
  process.on("exit", once);
  return once;
}

/** Signals end the process with their status, after what is to be done at its end. @returns leaves them alone again */
export function exitOnSignals(): () => void {
  const handlers = Object.entries(SIGNAL_STATUS).map(
    ([signal, status]) => [signal, () => process.exit(status)] as const,
  );
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.removeListener(signal, handler);
  };
}
