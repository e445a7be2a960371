/** `docker node …` (docker/cli cli/command/node, 20.10). */

import type { Proc } from "../../scheduler/process.ts";
import {
  anyArgs,
  type Command,
  exactArgs,
  type Invocation,
  minArgs,
  noArgs,
  objectError,
  StatusError,
} from "./command.ts";
import { FORMAT_FLAG, filterFlag, filtersOf, forEachName, inspectAll } from "./common.ts";
import type { Flags } from "./flags.ts";
import { bool, type JsonObject, list, num, object, text } from "./format/json.ts";
import { bytesSize } from "./format/size.ts";
import { formatRows, type Listing, naturalCompare } from "./format/table.ts";
import { taskFilters } from "./service.ts";
import { capital, printTasks, required, TASK_FLAGS } from "./task.ts";

const LISTING: Listing = {
  headers: {
    ID: "ID",
    Self: "",
    Hostname: "HOSTNAME",
    Status: "STATUS",
    Availability: "AVAILABILITY",
    ManagerStatus: "MANAGER STATUS",
    EngineVersion: "ENGINE VERSION",
    TLSStatus: "TLS STATUS",
  },
  columns: ["ID", "Hostname", "Status", "Availability", "ManagerStatus", "EngineVersion"],
  quiet: "ID",
};

function nodeRow(node: JsonObject, self: string): JsonObject {
  const leader = bool(node, "ManagerStatus", "Leader");
  return {
    Availability: capital(text(node, "Spec", "Availability")),
    EngineVersion: text(node, "Description", "Engine", "EngineVersion"),
    Hostname: text(node, "Description", "Hostname"),
    ID: text(node, "ID"),
    ManagerStatus: leader ? "Leader" : capital(text(node, "ManagerStatus", "Reachability")),
    Self: text(node, "ID") === self,
    Status: capital(text(node, "Status", "State")),
    TLSStatus: "Ready",
  };
}

function* listNodes({ engine, flags, out }: Invocation): Proc<undefined> {
  const nodes = [...(yield* engine.nodeList(filtersOf(flags.list("filter"))))];
  nodes.sort(
    (a, b) =>
      naturalCompare(text(a, "Description", "Hostname"), text(b, "Description", "Hostname")) ||
      naturalCompare(text(a, "ID"), text(b, "ID")),
  );
  const quiet = flags.bool("quiet");
  const self = nodes.length > 0 && !quiet ? text(yield* engine.info(), "Swarm", "NodeID") : "";
  const rows = nodes.map((node) => nodeRow(node, self));
  const format = flags.text("format");
  if (quiet || (format !== undefined && format !== "" && format !== "table")) {
    out(formatRows(LISTING, rows, format, quiet));
    return;
  }
  // The default table marks the answering node behind its ID; ` *` belongs to the ID's column (formatter.go).
  const marked = rows.map((row) => ({ ...row, ID: `${String(row["ID"])} ${row["Self"] === true ? "*" : " "}` }));
  out(formatRows(LISTING, marked, undefined, false));
}

/** A node's ID as given; `self` is the node that answers (cmd.go Reference). */
function* reference({ engine }: Invocation, name: string): Proc<string> {
  if (name !== "self") return name;
  const info = yield* engine.info();
  const id = text(info, "Swarm", "NodeID");
  // Without an ID the node is no manager, or in no swarm: asking for the nodes gives the right refusal.
  if (id === "") yield* engine.nodeList();
  return id;
}

function* inspectNode(invocation: Invocation, name: string): Proc<JsonObject> {
  try {
    return yield* invocation.engine.nodeInspect(yield* reference(invocation, name));
  } catch (error) {
    throw objectError(error, "node", name);
  }
}

function* inspect(invocation: Invocation): Proc<undefined> {
  const { flags, args, out } = invocation;
  if (!flags.bool("pretty")) {
    yield* inspectAll(invocation, args, (name) => inspectNode(invocation, name));
    return;
  }
  if (flags.has("format")) throw new StatusError(1, "--format is incompatible with human friendly format");
  for (const name of args) out(`${prettyNode(yield* inspectNode(invocation, name))}\n`);
}

function prettyNode(node: JsonObject): string {
  const spec = object(node, "Spec");
  const labels = Object.entries(object(spec, "Labels"));
  const resources = object(node, "Description", "Resources");
  const manager =
    node["ManagerStatus"] === undefined || node["ManagerStatus"] === null ? undefined : object(node, "ManagerStatus");
  const plugins = new Map<string, string[]>();
  for (const plugin of list(node, "Description", "Engine", "Plugins")) {
    const kind = text(plugin, "Type");
    plugins.set(kind, [...(plugins.get(kind) ?? []), text(plugin, "Name")]);
  }
  const lines = [`ID:\t\t\t${text(node, "ID")}`];
  if (text(spec, "Name") !== "") lines.push(`Name:\t\t\t${text(spec, "Name")}`);
  if (labels.length > 0)
    lines.push("Labels:", ...labels.map(([key, value]) => ` - ${key}${value === "" ? "" : `=${String(value)}`}`));
  lines.push(
    `Hostname:              \t${text(node, "Description", "Hostname")}`,
    `Joined at:             \t${goTime(text(node, "CreatedAt"))}`,
    "Status:",
    ` State:\t\t\t${capital(text(node, "Status", "State"))}`,
  );
  if (text(node, "Status", "Message") !== "")
    lines.push(` Message:              \t${capital(text(node, "Status", "Message"))}`);
  lines.push(` Availability:         \t${capital(text(spec, "Availability"))}`);
  if (text(node, "Status", "Addr") !== "") lines.push(` Address:\t\t${text(node, "Status", "Addr")}`);
  if (manager !== undefined) {
    lines.push(
      "Manager Status:",
      ` Address:\t\t${text(manager, "Addr")}`,
      ` Raft Status:\t\t${capital(text(manager, "Reachability"))}`,
    );
    lines.push(` Leader:\t\t${bool(manager, "Leader") ? "Yes" : "No"}`);
  }
  lines.push(
    "Platform:",
    ` Operating System:\t${text(node, "Description", "Platform", "OS")}`,
    ` Architecture:\t\t${text(node, "Description", "Platform", "Architecture")}`,
    "Resources:",
    ` CPUs:\t\t\t${num(resources, "NanoCPUs") / 1e9}`,
    ` Memory:\t\t${bytesSize(num(resources, "MemoryBytes"))}`,
  );
  if (plugins.size > 0)
    lines.push("Plugins:", ...[...plugins].map(([kind, names]) => ` ${kind}:\t\t${names.join(", ")}`));
  lines.push(`Engine Version:\t\t${text(node, "Description", "Engine", "EngineVersion")}`);
  const engineLabels = Object.entries(object(node, "Description", "Engine", "Labels"));
  if (engineLabels.length > 0)
    lines.push("Engine Labels:", ...engineLabels.map(([key, value]) => ` - ${key}${value ? `=${String(value)}` : ""}`));
  const tls = object(node, "Description", "TLSInfo");
  if (text(tls, "TrustRoot") !== "")
    lines.push(
      "TLS Info:",
      " TrustRoot:",
      text(tls, "TrustRoot"),
      ` Issuer Subject:\t${text(tls, "CertIssuerSubject")}`,
      ` Issuer Public Key:\t${text(tls, "CertIssuerPublicKey")}`,
    );
  return `${lines.join("\n")}\n`;
}

/** A time as command.PrettyPrint shows it (time.Time.String). */
function goTime(rfc3339: string): string {
  return rfc3339.replace("T", " ").replace("Z", " +0000 utc");
}

function* updateNodes(
  invocation: Invocation,
  names: readonly string[],
  merge: (node: JsonObject) => JsonObject | undefined,
  success: (name: string) => void,
): Proc<void> {
  for (const name of names) {
    const node = yield* inspectNode(invocation, name);
    const spec = merge(node);
    if (spec === undefined) continue;
    yield* invocation.engine.nodeUpdate(text(node, "ID"), num(node, "Version", "Index"), spec);
    success(name);
  }
}

/** The node's spec with the flags merged in (update.go mergeNodeUpdate). */
function mergeFlags(node: JsonObject, flags: Flags): JsonObject {
  const labels: Record<string, string> = { ...(object(node, "Spec", "Labels") as Record<string, string>) };
  Object.assign(labels, flags.map("label-add"));
  for (const key of flags.list("label-rm")) {
    if (!Object.hasOwn(labels, key)) throw new StatusError(1, `key ${key} doesn't exist in node's labels`);
    delete labels[key];
  }
  const spec: Record<string, JsonObject[string]> = { ...object(node, "Spec"), Labels: labels };
  if (flags.has("role")) spec["Role"] = flags.text("role");
  if (flags.has("availability")) spec["Availability"] = flags.text("availability");
  return spec;
}

function* update(invocation: Invocation): Proc<undefined> {
  const { flags, args, out } = invocation;
  yield* updateNodes(
    invocation,
    args,
    (node) => mergeFlags(node, flags),
    (name) => out(`${name}\n`),
  );
}

function changeRole(
  role: "manager" | "worker",
  success: (name: string) => string,
): (invocation: Invocation) => Proc<undefined> {
  return function* (invocation) {
    const { args, out } = invocation;
    const merge = (node: JsonObject): JsonObject | undefined => {
      if (text(node, "Spec", "Role") !== role) return { ...object(node, "Spec"), Role: role };
      out(`Node ${text(node, "ID")} is already a ${role}.\n`);
      return undefined;
    };
    yield* updateNodes(invocation, args, merge, (name) => out(success(name)));
    return undefined;
  };
}

function* remove(invocation: Invocation): Proc<undefined> {
  const { engine, flags, args } = invocation;
  yield* forEachName(invocation, args, function* (name) {
    try {
      yield* engine.nodeRemove(name, flags.bool("force"));
    } catch (error) {
      throw objectError(error, "node", name);
    }
  });
}

function* tasks(invocation: Invocation): Proc<undefined> {
  const { engine, args } = invocation;
  const found: JsonObject[] = [];
  for (const name of args.length === 0 ? ["self"] : args) {
    const node = yield* inspectNode(invocation, name);
    const filters = { ...(yield* taskFilters(invocation)), node: [text(node, "ID")] };
    found.push(...(yield* required(engine.taskList?.bind(engine))(filters)));
  }
  yield* printTasks(invocation, found);
}

/** `docker node`. */
export const NODE: Command = {
  use: "node",
  short: "Manage Swarm nodes",
  commands: [
    {
      use: "demote NODE [NODE...]",
      short: "Demote one or more nodes from manager in the swarm",
      args: minArgs(1),
      run: changeRole("worker", (name) => `Manager ${name} demoted in the swarm.\n`),
    },
    {
      use: "inspect [OPTIONS] self|NODE [NODE...]",
      short: "Display detailed information on one or more nodes",
      args: minArgs(1),
      flags: [FORMAT_FLAG, { name: "pretty", usage: "Print the information in a human friendly format" }],
      run: inspect,
    },
    {
      use: "ls [OPTIONS]",
      short: "List nodes in the swarm",
      aliases: ["list"],
      args: noArgs,
      flags: [
        filterFlag("Filter output based on conditions provided", "f"),
        { name: "format", type: "string", usage: "Pretty-print nodes using a Go template" },
        { name: "quiet", short: "q", usage: "Only display IDs" },
      ],
      run: listNodes,
    },
    {
      use: "promote NODE [NODE...]",
      short: "Promote one or more nodes to manager in the swarm",
      args: minArgs(1),
      run: changeRole("manager", (name) => `Node ${name} promoted to a manager in the swarm.\n`),
    },
    {
      use: "ps [OPTIONS] [NODE...]",
      short: "List tasks running on one or more nodes, defaults to current node",
      args: anyArgs,
      flags: TASK_FLAGS,
      run: tasks,
    },
    {
      use: "rm [OPTIONS] NODE [NODE...]",
      short: "Remove one or more nodes from the swarm",
      aliases: ["remove"],
      args: minArgs(1),
      flags: [{ name: "force", short: "f", usage: "Force remove a node from the swarm" }],
      run: remove,
    },
    {
      use: "update [OPTIONS] NODE",
      short: "Update a node",
      args: exactArgs(1),
      flags: [
        { name: "availability", type: "string", usage: 'Availability of the node ("active"|"pause"|"drain")' },
        { name: "label-add", type: "list", usage: "Add or update a node label (key=value)", many: true },
        { name: "label-rm", type: "list", usage: "Remove a node label if exists", many: true },
        { name: "role", type: "string", usage: 'Role of the node ("worker"|"manager")' },
      ],
      run: update,
    },
  ],
};
