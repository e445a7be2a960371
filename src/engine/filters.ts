/** `filters` of list requests (moby api/types/filters, daemon/network/filter.go, daemon/list.go, daemon/cluster/filters.go). */
import { ApiError, type Filters, type JsonObject } from "./api.ts";

type Kind = "container" | "network" | "node";

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

function labelMatches(labels: Record<string, unknown>, wanted: string): boolean {
  const at = wanted.indexOf("=");
  return at < 0 ? wanted in labels : labels[wanted.slice(0, at)] === wanted.slice(at + 1);
}

const PREDEFINED = new Set(["bridge", "host", "none"]);

/** One test per filter key; several values of a key are alternatives, but labels must all match. */
const TESTS: Record<Kind, Record<string, (object: JsonObject, value: string) => boolean>> = {
  network: {
    id: (network, value) => text(network["Id"]).startsWith(value),
    name: (network, value) => text(network["Name"]).includes(value),
    driver: (network, value) => network["Driver"] === value,
    scope: (network, value) => network["Scope"] === value,
    label: (network, value) => labelMatches(record(network["Labels"]), value),
    type: (network, value) => (value === "builtin") === PREDEFINED.has(text(network["Name"])),
    dangling: (network, value) =>
      (value === "true" || value === "1") ===
      (Object.keys(record(network["Containers"])).length === 0 && !PREDEFINED.has(text(network["Name"]))),
  },
  container: {
    id: (container, value) => text(container["Id"]).startsWith(value),
    name: (container, value) => (container["Names"] as readonly string[]).some((name) => name.includes(value)),
    status: (container, value) => container["State"] === value,
    label: (container, value) => labelMatches(record(container["Labels"]), value),
    ancestor: (container, value) =>
      text(container["Image"]) === value || `${text(container["Image"])}:latest` === value,
    exited: (container, value) => text(container["Status"]).startsWith(`Exited (${value})`),
    network: (container, value) => {
      const networks = record(record(container["NetworkSettings"])["Networks"]);
      return value in networks || Object.values(networks).some((network) => record(network)["NetworkID"] === value);
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

/** @throws ApiError 400 for a filter that the list doesn't have */
export function matchesFilters(kind: Kind, object: JsonObject, filters: Filters): boolean {
  return Object.entries(filters).every(([key, values]) => {
    const test = TESTS[kind][key];
    if (test === undefined) throw new ApiError(400, `Invalid filter '${key}'`);
    return key === "label" || key === "node.label"
      ? values.every((value) => test(object, value))
      : values.some((value) => test(object, value));
  });
}
