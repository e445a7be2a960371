/** `docker events` (docker/cli cli/command/system/events.go; 20.10), of containers, networks and, on a manager, the swarm. */
import { parseDuration, SEC } from "../../base/time.ts";
import { EPOCH_SECONDS, formatRfc3339Fixed, parseRfc3339 } from "../../base/wall-clock.ts";
import type { EngineEventView } from "../../engine/api.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type Command, type Invocation, noArgs, StatusError } from "./command.ts";
import { filterFlag, filtersOf, nextOf } from "./common.ts";
import { object, text } from "./format/json.ts";
import { Template } from "./format/template.ts";
import { required } from "./task.ts";

/** A time, seconds since 1970, or a span before now; in seconds since 1970 (api/types/time GetTimestamp). */
function timestamp({ context }: Invocation, flag: string, value: string | undefined): number | undefined {
  if (value === undefined || value === "") return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  const span = parseDuration(value.replace(/^-/, ""));
  const time = span === undefined ? parseRfc3339(value) : context.os.now() - span;
  if (time === undefined)
    throw new StatusError(1, `invalid value for "${flag}": failed to parse "${value}" as time or duration`);
  return EPOCH_SECONDS + time / SEC;
}

/** `2026-01-01T00:00:01.000000000Z container start ID (image=alpine, name=a1)`. */
function line({ time, event }: EngineEventView): string {
  const attributes = Object.entries(object(event, "Actor", "Attributes")).sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = attributes.map(([key, value]) => `${key}=${String(value)}`).join(", ");
  const head = `${formatRfc3339Fixed(time)} ${text(event, "Type")} ${text(event, "Action")} ${text(event, "Actor", "ID")}`;
  return shown === "" ? head : `${head} (${shown})`;
}

function* events(invocation: Invocation): Proc<undefined> {
  const { engine, flags, context, out } = invocation;
  const since = timestamp(invocation, "since", flags.text("since"));
  const until = timestamp(invocation, "until", flags.text("until"));
  const filters = filtersOf(flags.list("filter"));
  const format = flags.text("format") ?? "";
  const template = format === "" ? undefined : new Template(format);
  const channel = required(engine.events?.bind(engine))({
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(filters === undefined ? {} : { filters }),
  });
  for (;;) {
    const next = channel.tryPop();
    if (next !== undefined) out(`${template === undefined ? line(next) : template.execute(next.event)}\n`);
    else if (channel.closed) return;
    else yield* nextOf(channel, context);
  }
}

/** `docker events` (docker/cli cli/command/system/events.go). */
export const EVENTS: Command = {
  use: "events [OPTIONS]",
  short: "Get real time events from the server",
  args: noArgs,
  flags: [
    filterFlag("Filter output based on conditions provided", "f"),
    { name: "format", type: "string", usage: "Format the output using the given Go template" },
    { name: "since", type: "string", usage: "Show all events created since timestamp" },
    { name: "until", type: "string", usage: "Stream events until this timestamp" },
  ],
  run: events,
};
