/**
 * What may be asked of a lab's host without an effect on what happens there: what somebody sees who looks at a stopped
 * machine from outside. Queries and answers are plain data; each kind of them has a file of its own beside this one.
 */

import type { Completion } from "../../shell/completion/complete.ts";
import type { HostCensus } from "./census.ts";
import type { EntryQuery, EntryText } from "./entry-ref.ts";
import type { DeviceCount, HostPulse, HostScene } from "./scene.ts";
import type { TableId } from "./tables/list.ts";
import type { NamespaceEntry } from "./tables/namespaces.ts";
import type { HostTable } from "./tables/table.ts";

/** A container, as lists of them name it. */
export interface ContainerEntry {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** As `docker ps` groups them: created, running, exited … */
  readonly state: string;
}

/** A table of a host, and which. */
export interface NamedTable {
  readonly id: TableId;
  /** Undefined of a table that the host has one of. */
  readonly namespace: string | undefined;
  readonly table: HostTable;
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
  | { readonly kind: "shell"; readonly container: string }
  /** All that a host is built of (scene.ts). */
  | { readonly kind: "scene" }
  /** Whether its scene has changed, and what its wires have carried. */
  | { readonly kind: "pulse" }
  /** Counters of its devices. */
  | { readonly kind: "counts" }
  | { readonly kind: "namespaces" }
  /** @see TABLES; `namespace` by its name or its file in /run/docker/netns, default `host` */
  | { readonly kind: "table"; readonly table: TableId; readonly namespace?: string }
  | { readonly kind: "entry"; readonly entry: EntryQuery }
  /** All tables of one moment. */
  | { readonly kind: "tables" }
  | { readonly kind: "census" };

/** What is answered, by the question's kind. */
export interface MachineAnswers {
  readonly containers: readonly ContainerEntry[];
  readonly completion: Completion;
  /** Its program's name; undefined where it has none, or doesn't run. */
  readonly shell: string | undefined;
  readonly scene: HostScene;
  readonly pulse: HostPulse;
  readonly counts: readonly DeviceCount[];
  readonly namespaces: readonly NamespaceEntry[];
  readonly table: HostTable;
  /** Undefined when the namespace is gone. */
  readonly entry: EntryText | undefined;
  readonly tables: readonly NamedTable[];
  /** Undefined while the host takes part in no gossip. */
  readonly census: HostCensus | undefined;
}
