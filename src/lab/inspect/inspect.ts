/** Answers what is asked of a lab's host without an effect. */
import type { Engine } from "../../engine/engine.ts";
import type { ProcessRoot } from "../../engine/process-runner.ts";
import type { HostOs } from "../../scheduler/os.ts";
import { completion, shell } from "./completion.ts";
import type { ContainerEntry, MachineAnswers, MachineQuery } from "./protocol.ts";

/** What can be looked at. */
export interface Inspected {
  readonly os: HostOs;
  /** Undefined while its daemon is stopped. */
  readonly engine: Engine | undefined;
  /** What the host's processes share. */
  readonly root: ProcessRoot;
  /** Where its login shell stands. */
  readonly cwd: string;
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
