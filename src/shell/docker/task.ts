/** Tables of tasks: `service ps`, `node ps`, `stack ps` (docker/cli cli/command/task, idresolver; 20.10). */
import { parseRfc3339 } from "../../base/wall-clock.ts";
import { ApiError } from "../../engine/api.ts";
import { humanDuration } from "../../engine/views.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type Invocation, StatusError } from "./command.ts";
import { filterFlag } from "./common.ts";
import type { FlagSpec } from "./flags.ts";
import { type JsonObject, list, num, text } from "./format/json.ts";
import { formatRows, type Listing, naturalCompare, truncateId } from "./format/table.ts";

/** Longest error that a table shows. */
const MAX_ERROR = 30;

const LISTING: Listing = {
  headers: {
    ID: "ID",
    Name: "NAME",
    Image: "IMAGE",
    Node: "NODE",
    DesiredState: "DESIRED STATE",
    CurrentState: "CURRENT STATE",
    Error: "ERROR",
    Ports: "PORTS",
  },
  columns: ["ID", "Name", "Image", "Node", "DesiredState", "CurrentState", "Error", "Ports"],
  quiet: "ID",
};

/** Flags of every table of tasks. */
export const TASK_FLAGS: readonly FlagSpec[] = [
  filterFlag("Filter output based on conditions provided", "f"),
  { name: "format", type: "string", usage: "Pretty-print tasks using a Go template" },
  { name: "no-resolve", usage: "Do not map IDs to Names" },
  { name: "no-trunc", usage: "Do not truncate output" },
  { name: "quiet", short: "q", usage: "Only display task IDs" },
];

/** `running` → `Running` (command.PrettyPrint). */
export const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** An image without its digest (reference.FamiliarString of a tagged name). */
export function shownImage(image: string): string {
  const [name = ""] = image.split("@");
  const bare = name.replace(/^docker\.io\//, "").replace(/^library\//, "");
  return bare.slice(bare.lastIndexOf("/") + 1).includes(":") ? bare : image;
}

/** The engine's requests about services. @throws StatusError for an engine without them */
export function required<T>(method: T | undefined): T {
  if (method === undefined) throw new StatusError(1, "Error response from daemon: page not found");
  return method;
}

/** Names of services and nodes by their IDs, each asked for once. */
export class IdResolver {
  readonly #invocation: Invocation;
  readonly #noResolve: boolean;
  readonly #names = new Map<string, string>();

  constructor(invocation: Invocation, noResolve: boolean) {
    this.#invocation = invocation;
    this.#noResolve = noResolve;
  }

  *service(id: string): Proc<string> {
    const { engine } = this.#invocation;
    return yield* this.#resolve(`service ${id}`, id, function* () {
      return text(yield* required(engine.serviceInspect?.bind(engine))(id), "Spec", "Name");
    });
  }

  *node(id: string): Proc<string> {
    const { engine } = this.#invocation;
    return yield* this.#resolve(`node ${id}`, id, function* () {
      const node = yield* engine.nodeInspect(id);
      return text(node, "Spec", "Name") || text(node, "Description", "Hostname") || id;
    });
  }

  *#resolve(key: string, id: string, ask: () => Proc<string>): Proc<string> {
    if (this.#noResolve || id === "") return id;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    let name = id;
    try {
      name = yield* ask();
    } catch (error) {
      // Gone: the ID must do.
      if (!(error instanceof ApiError)) throw error;
    }
    this.#names.set(key, name);
    return name;
  }
}

function taskRow(task: JsonObject, name: string, node: string, now: number, truncate: boolean): JsonObject {
  const since = parseRfc3339(text(task, "Status", "Timestamp")) ?? now;
  const failure = text(task, "Status", "Err");
  const shown = truncate && failure.length > MAX_ERROR ? `${failure.slice(0, MAX_ERROR - 1)}…` : failure;
  const id = text(task, "ID");
  const image = text(task, "Spec", "ContainerSpec", "Image");
  const age = humanDuration(Math.max(0, now - since)).toLowerCase();
  return {
    CurrentState: `${capital(text(task, "Status", "State"))} ${age} ago`,
    DesiredState: capital(text(task, "DesiredState")),
    Error: failure === "" ? "" : `"${shown}"`,
    ID: truncate ? truncateId(id) : id,
    Image: truncate ? shownImage(image) : image,
    Name: name,
    Node: node,
    Ports: list(task, "Status", "PortStatus", "Ports")
      .map((port) => `*:${num(port, "PublishedPort")}->${num(port, "TargetPort")}/${text(port, "Protocol")}`)
      .join(","),
  };
}

/** Prints tasks: those of a slot together, the latest first and the others behind a hook. */
export function* printTasks(invocation: Invocation, tasks: readonly JsonObject[]): Proc<void> {
  const { flags, context, out } = invocation;
  const resolver = new IdResolver(invocation, flags.bool("no-resolve"));
  const named: { task: JsonObject; name: string }[] = [];
  for (const task of tasks) {
    const service = yield* resolver.service(text(task, "ServiceID"));
    const slot = num(task, "Slot");
    named.push({ task, name: `${service}.${slot === 0 ? text(task, "NodeID") : slot}` });
  }
  const created = (task: JsonObject): number => parseRfc3339(text(task, "CreatedAt")) ?? 0;
  named.sort((a, b) => naturalCompare(a.name, b.name) || created(b.task) - created(a.task));
  const format = flags.text("format");
  const indent = format === undefined || format === "" || /^table\b/.test(format) ? " \\_ " : "";
  const rows: JsonObject[] = [];
  let previous = "";
  for (const { task, name } of named) {
    const node = yield* resolver.node(text(task, "NodeID"));
    const shown = name === previous ? indent + name : name;
    rows.push(taskRow(task, shown, node, context.os.now(), !flags.bool("no-trunc")));
    previous = name;
  }
  out(formatRows(LISTING, rows, format, flags.bool("quiet")));
}
