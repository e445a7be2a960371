/** `docker service logs` (docker/cli cli/command/service/logs.go; 20.10). */
import { SEC } from "../../base/time.ts";
import { EPOCH_SECONDS } from "../../base/wall-clock.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type Command, exactArgs, type Invocation, StatusError } from "./command.ts";
import { isNotFound, nextOf, SINCE_FLAG, TAIL_FLAG } from "./common.ts";
import { at, bool, num } from "./format/json.ts";
import { truncateId } from "./format/table.ts";
import { IdResolver, required } from "./task.ts";
import { timeFlag } from "./time-flag.ts";

interface Target {
  readonly kind: "service" | "task";
  readonly tty: boolean;
  /** Columns of the largest slot. */
  readonly width: number;
}

const digits = (slot: number): number => String(slot).length;

/** A service, else a task. */
function* findTarget({ engine }: Invocation, name: string): Proc<Target> {
  try {
    const service = yield* required(engine.serviceInspect?.bind(engine))(name);
    const replicas = at(service, "Spec", "Mode", "Replicated", "Replicas");
    return {
      kind: "service",
      tty: bool(service, "Spec", "TaskTemplate", "ContainerSpec", "TTY"),
      width: typeof replicas === "number" ? digits(replicas) : 1,
    };
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  try {
    const task = yield* required(engine.taskInspect?.bind(engine))(name);
    return { kind: "task", tty: bool(task, "Spec", "ContainerSpec", "TTY"), width: digits(num(task, "Slot")) };
  } catch (error) {
    throw isNotFound(error) ? new StatusError(1, `no such task or service: ${name}`) : error;
  }
}

/** `k=v,k=v` percent-encoded, as it stands in front of a line. */
function details(encoded: string): Map<string, string> {
  return new Map(
    encoded.split(",").map((pair): [string, string] => {
      const [key = "", value = ""] = pair.split("=").map(decodeURIComponent);
      return [key, value];
    }),
  );
}

/** Puts a task's name in front of its lines. */
class Prettifier {
  readonly #invocation: Invocation;
  readonly #resolver: IdResolver;
  readonly #width: number;
  readonly #names = new Map<string, string>();

  constructor(invocation: Invocation, width: number) {
    this.#invocation = invocation;
    this.#resolver = new IdResolver(invocation, invocation.flags.bool("no-resolve"));
    this.#width = width;
  }

  *line(raw: string): Proc<string> {
    const { flags } = this.#invocation;
    const timestamps = flags.bool("timestamps");
    const words = raw.split(" ");
    const time = timestamps ? `${words.shift() ?? ""} ` : "";
    const context = details(words.shift() ?? "");
    const key = (part: string): string => {
      const name = `com.docker.swarm.${part}.id`;
      const id = context.get(name);
      if (id === undefined) throw new StatusError(1, `missing ${part} id in details`);
      context.delete(name);
      return id;
    };
    const head = yield* this.#head(key("node"), key("service"), key("task"));
    const rest = [...context].map(([name, value]) => `${name}=${value}`).join(",");
    return `${time}${head}    | ${flags.bool("details") && rest !== "" ? `${rest} ` : ""}${words.join(" ")}`;
  }

  *#head(node: string, service: string, task: string): Proc<string> {
    const known = this.#names.get(task);
    if (known !== undefined) return known;
    const { engine, flags } = this.#invocation;
    const host = yield* this.#resolver.node(node);
    const name = yield* this.#resolver.service(service);
    const slot = num(yield* required(engine.taskInspect?.bind(engine))(task), "Slot");
    const id = flags.bool("no-task-ids") ? "" : `.${flags.bool("no-trunc") ? task : truncateId(task)}`;
    const head = `${name}.${slot}${id}@${host}${" ".repeat(Math.max(0, this.#width - digits(slot)))}`;
    this.#names.set(task, head);
    return head;
  }
}

function* logs(invocation: Invocation): Proc<undefined> {
  const { engine, flags, args, out, err, context } = invocation;
  const name = args[0] as string;
  const target = yield* findTarget(invocation, name);
  const raw = flags.bool("raw");
  if (target.tty && !raw) throw new StatusError(1, "tty service logs only supported with --raw");
  const tail = flags.text("tail") ?? "all";
  const since = timeFlag(invocation, "since");
  const channel = required(engine.serviceLogs?.bind(engine))(target.kind, name, {
    follow: flags.bool("follow"),
    timestamps: flags.bool("timestamps"),
    details: !raw,
    ...(/^\d+$/.test(tail) ? { tail: Number(tail) } : {}),
    ...(since === undefined ? {} : { since: EPOCH_SECONDS + since / SEC }),
  });
  const prettifier = new Prettifier(invocation, target.width);
  for (;;) {
    const chunk = channel.tryPop();
    if (chunk !== undefined) {
      if (chunk.error) throw new StatusError(1, `error from daemon in stream: ${chunk.text}`);
      const text = raw ? chunk.text : yield* prettifier.line(chunk.text);
      if (chunk.stream === "stderr") err(text);
      else out(text);
    } else if (channel.closed) return;
    else yield* nextOf(channel, context);
  }
}

/** `docker service logs`. */
export const LOGS: Command = {
  use: "logs [OPTIONS] SERVICE|TASK",
  short: "Fetch the logs of a service or task",
  args: exactArgs(1),
  flags: [
    { name: "details", usage: "Show extra details provided to logs" },
    { name: "follow", short: "f", usage: "Follow log output" },
    { name: "no-resolve", usage: "Do not map IDs to Names in output" },
    { name: "no-task-ids", usage: "Do not include task IDs in output" },
    { name: "no-trunc", usage: "Do not truncate output" },
    { name: "raw", usage: "Do not neatly format logs" },
    SINCE_FLAG,
    TAIL_FLAG,
    { name: "timestamps", short: "t", usage: "Show timestamps" },
  ],
  run: logs,
};
