/**
 * What may be asked of a lab's host without an effect on what happens there: what somebody sees who looks at a stopped
 * machine from outside. Queries and answers are plain data; each kind of them has a file of its own beside this one.
 */

/** A container, as lists of them name it. */
export interface ContainerEntry {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** As `docker ps` groups them: created, running, exited … */
  readonly state: string;
}

/** A question. */
export type MachineQuery = { readonly kind: "containers" };

/** What is answered, by the question's kind. */
export interface MachineAnswers {
  readonly containers: readonly ContainerEntry[];
}
