/** Answers what is asked of a lab's host without an effect. */
import type { Engine } from "../../engine/engine.ts";
import type { ProcessRoot } from "../../engine/process-runner.ts";
import type { HostOs } from "../../scheduler/os.ts";
import type { HostPlan } from "../plan.ts";
import { census } from "./census.ts";
import { completion, shell } from "./completion.ts";
import { entry } from "./entry.ts";
import type { ContainerEntry, MachineAnswers, MachineQuery } from "./protocol.ts";
import { deviceCounts, pulse, scene } from "./scene.ts";
import { namespaces } from "./tables/namespaces.ts";
import { readTable, readTables } from "./tables/read.ts";

/** What can be looked at. */
export interface Inspected {
  readonly os: HostOs;
  /** Undefined while its daemon is stopped. */
  readonly engine: Engine | undefined;
  /** What the host's processes share. */
  readonly root: ProcessRoot;
  /** Where its login shell stands. */
  readonly cwd: string;
  readonly plan: HostPlan;
}

/** The answer to a question. */
export function inspect(host: Inspected, query: MachineQuery): MachineAnswers[MachineQuery["kind"]] {
  switch (query.kind) {
    case "containers":
      return containers(host);
    case "completion":
      return completion(host, query);
    case "shell":
      return shell(host, query.container);
    case "scene":
      return scene(host);
    case "pulse":
      return pulse(host);
    case "counts":
      return deviceCounts(host);
    case "namespaces":
      return namespaces(host);
    case "table":
      return readTable(host, query.table, query.namespace);
    case "entry":
      return entry(host, query.entry);
    case "census":
      return census(host);
    case "tables":
      return readTables(host);
  }
}

function containers({ engine }: Inspected): ContainerEntry[] {
  return (engine?.containers.list() ?? []).map(({ id, name, request, status }) => ({
    id,
    name,
    image: request.Image,
    state: status,
  }));
}
