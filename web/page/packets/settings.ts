/** What the page remembers of the user's choices, in this browser; forgotten where it keeps nothing. */

const PREFIX = "swarmwire.packets.";

/** What was kept under a name; undefined where nothing was, or where it can't be read. */
export function recall(name: string): unknown {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Keeps it. */
export function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing is used all the same.
  }
}
