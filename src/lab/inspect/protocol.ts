/**
 * What may be asked of a lab's host without an effect on what happens there: what somebody sees who looks at a stopped
 * machine from outside. Queries and answers are plain data; each kind of them has a file of its own beside this one.
 */

import type { Completion } from "../../shell/completion/complete.ts";

/** A container, as lists of them name it. */
export interface ContainerEntry {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** As `docker ps` groups them: created, running, exited … */
  readonly state: string;
}

/** A question. */
export type MachineQuery =
  | { readonly kind: "containers" }
  /** What Tab offers behind a line, on the host or in a container; `cwd` where the shell stands there, if that is known. */
  | {
      readonly kind: "completion";
      readonly line: string;
      readonly container: string | undefined;
      readonly cwd: string | undefined;
    }
  /** The shell that a container has. */
  | { readonly kind: "shell"; readonly container: string };

/** What is answered, by the question's kind. */
export interface MachineAnswers {
  readonly containers: readonly ContainerEntry[];
  readonly completion: Completion;
  /** Its program's name; undefined where it has none, or doesn't run. */
  readonly shell: string | undefined;
}
