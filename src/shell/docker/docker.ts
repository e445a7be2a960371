/** The docker command (docker/cli cmd/docker, 20.10) over one host's engine. */
import type { EngineApi } from "../../engine/api.ts";
import type { Program } from "../../engine/program.ts";
import { ATTACH_COMMANDS } from "./attach.ts";
import { type Command, execute } from "./command.ts";
import { INSPECT, PRUNE, PS, SHARED } from "./container.ts";
import { EVENTS } from "./events.ts";
import { IMAGE, IMAGES } from "./image.ts";
import { NETWORK } from "./network.ts";
import { NODE } from "./node.ts";
import { CREATE, RUN } from "./run.ts";
import { SERVICE } from "./service.ts";
import { STACK } from "./stack.ts";
import { SWARM } from "./swarm.ts";
import { INFO, INSPECT_ANY, SYSTEM, VERSION } from "./system.ts";

const { aliases: _, ...PS_ALONE } = PS;

/** The tree of commands. */
export const ROOT: Command = {
  use: "docker",
  short: "A self-sufficient runtime for containers",
  commands: [
    {
      use: "container",
      short: "Manage containers",
      commands: [...ATTACH_COMMANDS, CREATE, INSPECT, PS, PRUNE, RUN, ...SHARED],
    },
    IMAGE,
    NETWORK,
    NODE,
    SERVICE,
    STACK,
    SWARM,
    SYSTEM,
    ...ATTACH_COMMANDS,
    CREATE,
    EVENTS,
    IMAGES,
    INFO,
    INSPECT_ANY,
    { ...PS_ALONE, use: "ps [OPTIONS]" },
    RUN,
    ...SHARED,
    VERSION,
  ],
};

/** The program `docker` of a host whose engine this is. */
export function dockerProgram(engine: EngineApi): Program {
  return (context) => execute(ROOT, engine, context);
}
