/** Labs, between the page and the session's worker. */
import type { OnEvents } from "../protocol.ts";

/** A lab that comes with swarmwire. */
export interface LabEntry {
  /** As `swarmwire run` takes it. */
  readonly name: string;
  readonly description: string;
}

/** A lab that is open. */
export interface OpenLab {
  readonly name: string;
  readonly description: string;
  readonly seed: string;
  readonly hosts: readonly string[];
  /** Each step in one line. */
  readonly steps: readonly string[];
}

/** What the page asks about labs. */
export interface LabsApi {
  labs(): readonly LabEntry[];
  /** Opens a lab in place of the one that is open. @param seed instead of the lab's own */
  open(name: string, seed: string | undefined, tell: OnEvents): Promise<OpenLab>;
}
