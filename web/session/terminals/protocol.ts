/** Terminals, between the page and the session's worker. */

/** What the page asks about terminals. */
export interface TerminalsApi {
  /** A line typed on a host's terminal; it runs when the lab is between two steps. */
  type(host: string, line: string): void;
  /** Ctrl-C or Ctrl-D on a host's terminal. */
  key(host: string, key: "interrupt" | "eof"): void;
}
