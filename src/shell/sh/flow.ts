/** How commands leave what they stand in: thrown through the generators that run them. */

/** `break` and `continue`. */
export class LeaveLoop extends Error {
  override name = "LeaveLoop";
  readonly again: boolean;
  /** Loops still to leave. */
  readonly depth: number;
  constructor(again: boolean, depth: number) {
    super(again ? "continue" : "break");
    this.again = again;
    this.depth = depth;
  }
}

/** `return`, from a function or a file that `.` reads. */
export class ReturnFrom extends Error {
  override name = "ReturnFrom";
  readonly status: number;
  constructor(status: number) {
    super("return");
    this.status = status;
  }
}

/** `exit`, or what ends a shell like it. */
export class ExitShell extends Error {
  override name = "ExitShell";
  readonly status: number;
  constructor(status: number) {
    super("exit");
    this.status = status;
  }
}

/** Ctrl-C: an interactive shell gives the line up. */
export class Interrupted extends Error {
  override name = "Interrupted";
}
