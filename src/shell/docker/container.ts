/** `docker container …` and its short forms but for run and exec (docker/cli cli/command/container, 20.10). */

import { SEC } from "../../base/time.ts";
import { EPOCH_SECONDS, formatRfc3339 } from "../../base/wall-clock.ts";
import { humanDuration } from "../../engine/views.ts";
import type { Proc } from "../../scheduler/process.ts";
import {
  type Command,
  errorText,
  exactArgs,
  type Invocation,
  minArgs,
  noArgs,
  objectError,
  StatusError,
} from "./command.ts";
import {
  confirm,
  FORMAT_FLAG,
  filterFlag,
  filtersOf,
  forEachName,
  inspectAll,
  nextOf,
  SINCE_FLAG,
  TAIL_FLAG,
} from "./common.ts";
import { checkInt } from "./flags.ts";
import { bool, type JsonObject, list, num, object, text } from "./format/json.ts";
import { ellipsis, formatRows, joinLabels, type Listing, tabulate, truncateId } from "./format/table.ts";
import { displayPorts } from "./ports.ts";
import { shownImage } from "./task.ts";
import { timeFlag } from "./time-flag.ts";

const LISTING: Listing = {
  headers: {
    ID: "CONTAINER ID",
    Names: "NAMES",
    Image: "IMAGE",
    Command: "COMMAND",
    CreatedAt: "CREATED AT",
    RunningFor: "CREATED",
    Ports: "PORTS",
    State: "STATE",
    Status: "STATUS",
    Size: "SIZE",
    Labels: "LABELS",
    Mounts: "MOUNTS",
    LocalVolumes: "LOCAL VOLUMES",
    Networks: "NETWORKS",
  },
  columns: ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
  quiet: "ID",
};

/** A time as Go's time.Time prints, in UTC. */
export function goTimestamp(unixSeconds: number): string {
  return `${formatRfc3339((unixSeconds - EPOCH_SECONDS) * SEC)
    .replace("T", " ")
    .replace("Z", "")} +0000 UTC`;
}

/** How long ago a time in seconds since 1970 was (go-units HumanDuration). */
export function ago(now: number, unixSeconds: number): string {
  return `${humanDuration(Math.max(0, now - (unixSeconds - EPOCH_SECONDS) * SEC))} ago`;
}

/** Without its digest where the table is to be narrow. */
function imageText(image: string, truncate: boolean): string {
  if (image === "") return "<no image>";
  return truncate ? shownImage(image) : image;
}

function containerRow(container: JsonObject, now: number, truncate: boolean): JsonObject {
  const id = text(container, "Id");
  const command = text(container, "Command");
  const names = list(container, "Names").map((name) => String(name).replace(/^\//, ""));
  return {
    Command: JSON.stringify(truncate ? ellipsis(command, 20) : command),
    CreatedAt: goTimestamp(num(container, "Created")),
    ID: truncate ? truncateId(id) : id,
    Image: imageText(text(container, "Image"), truncate),
    Labels: joinLabels(container["Labels"]),
    LocalVolumes: "0",
    Mounts: "",
    Names: (truncate ? names.filter((name) => !name.includes("/")) : names).join(","),
    Networks: Object.keys(object(container, "NetworkSettings", "Networks")).join(","),
    Ports: displayPorts(list(container, "Ports")),
    RunningFor: ago(now, num(container, "Created")),
    Size: "0B",
    State: text(container, "State"),
    Status: text(container, "Status"),
  };
}

function* ps({ engine, flags, out, context }: Invocation): Proc<undefined> {
  const latest = flags.bool("latest");
  const limit = latest ? 1 : flags.number("last");
  const filters = filtersOf(flags.list("filter"));
  const containers = yield* engine.containerList({
    all: flags.bool("all") || latest || limit !== undefined,
    ...(limit !== undefined && limit > 0 ? { limit } : {}),
    ...(filters !== undefined ? { filters } : {}),
  });
  const rows = containers.map((container) => containerRow(container, context.os.now(), !flags.bool("no-trunc")));
  const listing = flags.bool("size") ? { ...LISTING, columns: [...LISTING.columns, "Size"] } : LISTING;
  const labels = containers.map((container) => object(container, "Labels"));
  out(formatRows(listing, rows, flags.text("format"), flags.bool("quiet"), labels));
}

/** An object's details; an unknown one is named by the client. */
export function* inspectContainer({ engine }: Invocation, name: string): Proc<JsonObject> {
  try {
    return yield* engine.containerInspect(name);
  } catch (error) {
    throw objectError(error, "container", name);
  }
}

function* inspect(invocation: Invocation): Proc<undefined> {
  yield* inspectAll(invocation, invocation.args, (name) => inspectContainer(invocation, name));
}

function* stop(invocation: Invocation): Proc<undefined> {
  const seconds = invocation.flags.number("time");
  yield* forEachName(invocation, invocation.args, function* (name) {
    yield* invocation.engine.containerStop(name, seconds);
  });
}

function* restart(invocation: Invocation): Proc<undefined> {
  const seconds = invocation.flags.number("time");
  yield* forEachName(invocation, invocation.args, (name) => invocation.engine.containerRestart(name, seconds));
}

function* kill(invocation: Invocation): Proc<undefined> {
  const signal = invocation.flags.text("signal") ?? "KILL";
  yield* forEachName(invocation, invocation.args, (name) => invocation.engine.containerKill(name, signal));
}

function* remove(invocation: Invocation): Proc<undefined> {
  const { engine, flags, args } = invocation;
  yield* forEachName(invocation, args, function* (name) {
    try {
      yield* engine.containerRemove(name, { force: flags.bool("force"), volumes: flags.bool("volumes") });
    } catch (error) {
      throw objectError(error, "container", name.replace(/^\/+|\/+$/g, ""));
    }
  });
}

function* rename({ engine, args }: Invocation): Proc<undefined> {
  const [from = "", to = ""] = args.map((name) => name.trim());
  if (from === "" || to === "") throw new StatusError(1, "Error: Neither old nor new names may be empty");
  try {
    yield* engine.containerRename(from, to);
  } catch (error) {
    throw new StatusError(1, `${errorText(error)}\nError: failed to rename container named ${from}`);
  }
}

function* wait({ engine, args, out, err }: Invocation): Proc<number> {
  let status = 0;
  for (const name of args) {
    try {
      out(`${(yield* engine.containerWait(name)).StatusCode}\n`);
    } catch (error) {
      err(`${errorText(error)}\n`);
      status = 1;
    }
  }
  return status;
}

function* logs(invocation: Invocation): Proc<undefined> {
  const { engine, flags, args, out, err, context } = invocation;
  const details = yield* inspectContainer(invocation, args[0] as string);
  const tail = flags.text("tail") ?? "all";
  const [since, until] = [timeFlag(invocation, "since"), timeFlag(invocation, "until")];
  const channel = engine.containerLogs(text(details, "Id"), {
    follow: flags.bool("follow"),
    timestamps: flags.bool("timestamps"),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(/^\d+$/.test(tail) ? { tail: Number(tail) } : {}),
  });
  for (;;) {
    const chunk = channel.tryPop();
    if (chunk !== undefined) {
      if (chunk.stream === "stderr") err(chunk.text);
      else out(chunk.text);
    } else if (channel.closed) return;
    else yield* nextOf(channel, context);
  }
}

function* top({ engine, args, out }: Invocation): Proc<undefined> {
  const processes = engine.containerTop(args[0] as string);
  const rows = list(processes, "Processes").map((row) => (row as readonly string[]).map(String));
  out(tabulate([list(processes, "Titles").map(String), ...rows], 20, 3));
}

function* port(invocation: Invocation): Proc<undefined> {
  const { args, out } = invocation;
  const name = args[0] as string;
  const ports = object(yield* inspectContainer(invocation, name), "NetworkSettings", "Ports");
  const show = (binding: JsonObject) => `${text(binding, "HostIp")}:${text(binding, "HostPort")}`;
  const wanted = args[1];
  if (wanted !== undefined) {
    const key = wanted.includes("/") ? wanted : `${wanted}/tcp`;
    const bindings = list(ports, key);
    if (bindings.length === 0) throw new StatusError(1, `Error: No public port '${key}' published for ${name}`);
    out(bindings.map((binding) => `${show(binding as JsonObject)}\n`).join(""));
    return;
  }
  const keys = Object.keys(ports).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1));
  for (const key of keys) {
    for (const binding of list(ports, key)) out(`${key} -> ${show(binding as JsonObject)}\n`);
  }
}

const PRUNE_WARNING = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?";

function* prune(invocation: Invocation): Proc<undefined> {
  const { engine, flags, out } = invocation;
  if (!flags.bool("force") && !(yield* confirm(invocation, PRUNE_WARNING))) return;
  const stopped = (yield* engine.containerList({ all: true })).filter((one) =>
    ["created", "exited", "dead"].includes(text(one, "State")),
  );
  for (const container of stopped) yield* engine.containerRemove(text(container, "Id"));
  if (stopped.length > 0) out(`Deleted Containers:\n${stopped.map((one) => `${text(one, "Id")}\n`).join("")}\n`);
  out("Total reclaimed space: 0B\n");
}

/** Whether a container's details say that it has a terminal. */
export function hasTty(details: JsonObject): boolean {
  return bool(details, "Config", "Tty");
}

const FORCE = { name: "force", short: "f" } as const;
const TIME = { name: "time", short: "t", type: "int", shown: "10", check: checkInt } as const;

/** `docker ps`. */
export const PS: Command = {
  use: "ls [OPTIONS]",
  short: "List containers",
  aliases: ["ps", "list"],
  args: noArgs,
  flags: [
    { name: "all", short: "a", usage: "Show all containers (default shows just running)" },
    filterFlag("Filter output based on conditions provided", "f"),
    { name: "format", type: "string", usage: "Pretty-print containers using a Go template" },
    {
      name: "last",
      short: "n",
      type: "int",
      usage: "Show n last created containers (includes all states)",
      shown: "-1",
      check: checkInt,
    },
    { name: "latest", short: "l", usage: "Show the latest created container (includes all states)" },
    { name: "no-trunc", usage: "Don't truncate output" },
    { name: "quiet", short: "q", usage: "Only display container IDs" },
    { name: "size", short: "s", usage: "Display total file sizes" },
  ],
  run: ps,
};

/** `docker container inspect`. */
export const INSPECT: Command = {
  use: "inspect [OPTIONS] CONTAINER [CONTAINER...]",
  short: "Display detailed information on one or more containers",
  args: minArgs(1),
  flags: [FORMAT_FLAG, { name: "size", short: "s", usage: "Display total file sizes" }],
  run: inspect,
};

/** `docker container prune`. */
export const PRUNE: Command = {
  use: "prune [OPTIONS]",
  short: "Remove all stopped containers",
  args: noArgs,
  flags: [
    filterFlag("Provide filter values (e.g. 'until=<timestamp>')"),
    { ...FORCE, usage: "Do not prompt for confirmation" },
  ],
  run: prune,
};

/** Commands that exist both under `docker container` and under `docker`. */
export const SHARED: readonly Command[] = [
  {
    use: "kill [OPTIONS] CONTAINER [CONTAINER...]",
    short: "Kill one or more running containers",
    args: minArgs(1),
    flags: [{ name: "signal", short: "s", type: "string", usage: "Signal to send to the container", shown: '"KILL"' }],
    run: kill,
  },
  {
    use: "logs [OPTIONS] CONTAINER",
    short: "Fetch the logs of a container",
    args: exactArgs(1),
    flags: [
      { name: "details", usage: "Show extra details provided to logs" },
      { name: "follow", short: "f", usage: "Follow log output" },
      SINCE_FLAG,
      TAIL_FLAG,
      { name: "timestamps", short: "t", usage: "Show timestamps" },
      {
        name: "until",
        type: "string",
        usage: "Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)",
      },
    ],
    run: logs,
  },
  {
    use: "port CONTAINER [PRIVATE_PORT[/PROTO]]",
    short: "List port mappings or a specific mapping for the container",
    args: { min: 1, max: 2 },
    run: port,
  },
  { use: "rename CONTAINER NEW_NAME", short: "Rename a container", args: exactArgs(2), run: rename },
  {
    use: "restart [OPTIONS] CONTAINER [CONTAINER...]",
    short: "Restart one or more containers",
    args: minArgs(1),
    flags: [{ ...TIME, usage: "Seconds to wait for stop before killing the container" }],
    run: restart,
  },
  {
    use: "rm [OPTIONS] CONTAINER [CONTAINER...]",
    short: "Remove one or more containers",
    args: minArgs(1),
    flags: [
      { ...FORCE, usage: "Force the removal of a running container (uses SIGKILL)" },
      { name: "link", short: "l", usage: "Remove the specified link" },
      { name: "volumes", short: "v", usage: "Remove anonymous volumes associated with the container" },
    ],
    run: remove,
  },
  {
    use: "stop [OPTIONS] CONTAINER [CONTAINER...]",
    short: "Stop one or more running containers",
    args: minArgs(1),
    flags: [{ ...TIME, usage: "Seconds to wait for stop before killing it" }],
    run: stop,
  },
  {
    use: "top CONTAINER [ps OPTIONS]",
    short: "Display the running processes of a container",
    args: minArgs(1),
    notInterspersed: true,
    run: top,
  },
  {
    use: "wait CONTAINER [CONTAINER...]",
    short: "Block until one or more containers stop, then print their exit codes",
    args: minArgs(1),
    run: wait,
  },
];
