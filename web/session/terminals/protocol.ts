/** Terminals, between the page and the session's worker. */
import type { Completion } from "../../../src/shell/completion/complete.ts";

/** A terminal, and whose it is. */
export interface TerminalEntry {
  /** Names it among those of the lab: `host1`, `host1 (2)`, `host1/alpine1`. */
  readonly name: string;
  readonly host: string;
  /** Undefined: the host's own. */
  readonly container?: string;
  /** The shell of the container's image; default: sh. */
  readonly program?: string;
}

/** A host, and the containers that run there. */
export interface TerminalPlace {
  readonly host: string;
  readonly containers: readonly string[];
}

/** What the page asks about terminals. */
export interface TerminalsApi {
  /**
   * Opens a terminal: the one that is there already, or a second one of a host where `another` says so. On a container it
   * is `docker exec -it` with a shell that its image has.
   * @returns its name, in which the events that follow come
   */
  openTerminal(host: string, container?: string, another?: boolean): Promise<string>;
  /** Closes it: what runs there ends. */
  closeTerminal(name: string): void;
  /**
   * A line typed there. It runs at once, whatever runs elsewhere; behind what runs there.
   * @param shown it stands behind a prompt already
   */
  type(name: string, line: string, shown: boolean): void;
  /** Ctrl-C or Ctrl-D there. */
  key(name: string, key: "interrupt" | "eof"): void;
  /** What Tab offers there behind a line. */
  complete(name: string, line: string): Promise<Completion>;
  /** Where terminals can be opened. */
  places(): Promise<readonly TerminalPlace[]>;
}
