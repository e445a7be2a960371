/** `filters` of list requests (moby api/types/filters, daemon/network/filter.go, daemon/list.go, daemon/cluster/filters.go). */
import { ApiError, type Filters, type JsonObject } from "./api.ts";
import { withTag } from "./container-config.ts";

type Kind = "container" | "network" | "node";

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

function labelMatches(labels: Record<string, unknown>, wanted: string): boolean {
  const at = wanted.indexOf("=");
  return at < 0 ? wanted in labels : labels[wanted.slice(0, at)] === wanted.slice(at + 1);
}

const PREDEFINED = new Set(["bridge", "host", "none"]);

/** Filter values of IDs and names are regular expressions; what is none matches itself only (filters.Match). */
function regexMatches(text: string, wanted: string): boolean {
  if (text === wanted) return true;
  try {
    return new RegExp(wanted).test(text);
  } catch {
    return false;
  }
}

const STATUSES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, "1": true, false: false, "0": false };

/** One test per filter key; several values of a key are alternatives, but labels must all match. */
const TESTS: Record<Kind, Record<string, (object: JsonObject, value: string) => boolean>> = {
  network: {
    id: (network, value) => regexMatches(text(network["Id"]), value),
    name: (network, value) => regexMatches(text(network["Name"]), value),
    driver: (network, value) => network["Driver"] === value,
    scope: (network, value) => network["Scope"] === value,
    label: (network, value) => labelMatches(record(network["Labels"]), value),
    type: (network, value) => (value === "builtin") === PREDEFINED.has(text(network["Name"])),
    dangling: (network, value) =>
      BOOLEANS[value] ===
      (Object.keys(record(network["Containers"])).length === 0 && !PREDEFINED.has(text(network["Name"]))),
  },
  container: {
    id: (container, value) => regexMatches(text(container["Id"]), value),
    name: (container, value) =>
      (container["Names"] as readonly string[]).some(
        (name) => regexMatches(name, value) || regexMatches(name.replace(/^\//, ""), value),
      ),
    status: (container, value) => container["State"] === value,
    label: (container, value) => labelMatches(record(container["Labels"]), value),
    ancestor: (container, value) => {
      const id = text(container["ImageID"]);
      // A task's image is named with its digest.
      const image = text(container["Image"]).replace(/@sha256:.*$/, "");
      return withTag(image) === withTag(value) || id === value || id.slice(7).startsWith(value);
    },
    "is-task": (container, value) => BOOLEANS[value] === "com.docker.swarm.task" in record(container["Labels"]),
    exited: (container, value) => text(container["Status"]).startsWith(`Exited (${value})`),
    network: (container, value) => {
      const networks = record(record(container["NetworkSettings"])["Networks"]);
      if (value in networks) return true;
      return value !== "" && Object.values(networks).some((one) => text(record(one)["NetworkID"]).startsWith(value));
    },
  },
  node: {
    id: (node, value) => text(node["ID"]).startsWith(value),
    name: (node, value) => text(record(node["Description"])["Hostname"]).startsWith(value),
    role: (node, value) => record(node["Spec"])["Role"] === value,
    membership: (_node, value) => value === "accepted",
    "node.label": (node, value) => labelMatches(record(record(node["Spec"])["Labels"]), value),
    label: (node, value) => labelMatches(record(record(record(node["Description"])["Engine"])["Labels"]), value),
  },
};

/** Whether a value is one that the key can have; keys that take anything are not here. */
const VALUES: Record<Kind, Record<string, (value: string) => boolean>> = {
  network: { type: (value) => value === "builtin" || value === "custom", dangling: (value) => value in BOOLEANS },
  container: {
    "is-task": (value) => value in BOOLEANS,
    status: (value) => STATUSES.includes(value),
    exited: (value) => /^-?\d+$/.test(value),
  },
  node: {
    role: (value) => value === "manager" || value === "worker",
    membership: (value) => value === "accepted" || value === "pending",
  },
};

/** @throws ApiError 400 for a filter that the list doesn't have, or a value that it can't have */
export function checkFilters(kind: Kind, filters: Filters): void {
  for (const [key, values] of Object.entries(filters)) {
    if (TESTS[kind][key] === undefined) throw new ApiError(400, `Invalid filter '${key}'`);
    const wrong = values.find((value) => VALUES[kind][key]?.(value) === false);
    if (wrong !== undefined) throw new ApiError(400, `Invalid filter '${key}=${wrong}'`);
  }
}

/** Whether an object passes filters that were checked. */
export function matchesFilters(kind: Kind, object: JsonObject, filters: Filters): boolean {
  return Object.entries(filters).every(([key, values]) => {
    const test = TESTS[kind][key];
    if (test === undefined) return false;
    return key === "label" || key === "node.label"
      ? values.every((value) => test(object, value))
      : values.some((value) => test(object, value));
  });
}
