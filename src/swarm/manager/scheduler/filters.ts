/**
 * Which nodes may run a task, and why others may not (swarmkit manager/scheduler/filter.go, pipeline.go). The first
 * filter that refuses a node is the one that is counted.
 */
import type { TaskObject } from "../../api/objects.ts";
import { nodeMatches, parseConstraints } from "../constraint.ts";
import { hostPortKeys, type NodeInfo } from "./node-info.ts";

/** What a filter makes of a task: the test of a node, or nothing to test. */
interface Filter {
  readonly prepare: (task: TaskObject) => ((node: NodeInfo) => boolean) | undefined;
  readonly explain: (nodes: number) => string;
}

const counted = (one: string, many: (nodes: number) => string) => (nodes: number) => (nodes === 1 ? one : many(nodes));

const ready: Filter = {
  prepare:
    () =>
    ({ node }) =>
      node.status.state === "ready" && node.spec.availability === "active",
  explain: counted("1 node not available for new tasks", (nodes) => `${nodes} nodes not available for new tasks`),
};

const resources: Filter = {
  prepare: ({ spec }) => {
    const wanted = spec.resources?.reservations;
    if (wanted === undefined || (wanted.nanoCpus === 0 && wanted.memoryBytes === 0)) return undefined;
    return (node) => {
      const free = node.available();
      return wanted.nanoCpus <= free.nanoCpus && wanted.memoryBytes <= free.memoryBytes;
    };
  },
  explain: counted("insufficient resources on 1 node", (nodes) => `insufficient resources on ${nodes} nodes`),
};

/** Networks and log drivers; a log driver is looked for only where the node lists any. */
const plugins: Filter = {
  prepare: (task) => {
    const networks = task.networks.map(({ network }) => network.driverState?.name ?? "").filter((name) => name !== "");
    const log = task.spec.logDriver?.name ?? "";
    const needsLog = log !== "" && log !== "none";
    if (networks.length === 0 && !needsLog) return undefined;
    return ({ node }) => {
      const listed = node.description?.engine.plugins;
      // A node that tells nothing of itself is not refused for that.
      if (listed === undefined) return true;
      const has = (type: string, name: string) => listed.some((plugin) => plugin.type === type && plugin.name === name);
      if (!networks.every((name) => has("Network", name))) return false;
      return !needsLog || has("Log", log) || !listed.some((plugin) => plugin.type === "Log");
    };
  },
  explain: counted("missing plugin on 1 node", (nodes) => `missing plugin on ${nodes} nodes`),
};

const constraints: Filter = {
  prepare: ({ spec }) => {
    const expressions = spec.placement?.constraints ?? [];
    if (expressions.length === 0) return undefined;
    const parsed = parseConstraints(expressions);
    return ({ node }) => nodeMatches(parsed, node);
  },
  explain: counted(
    "scheduling constraints not satisfied on 1 node",
    (nodes) => `scheduling constraints not satisfied on ${nodes} nodes`,
  ),
};

const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64" };
const architecture = (name: string) => ARCHITECTURES[name] ?? name;

const platform: Filter = {
  prepare: ({ spec }) => {
    const wanted = spec.placement?.platforms ?? [];
    if (wanted.length === 0) return undefined;
    return ({ node }) => {
      const own = node.description?.platform;
      if (own === undefined) return false;
      return wanted.some(
        (one) =>
          (one.architecture === "" || architecture(one.architecture) === architecture(own.architecture)) &&
          (one.os === "" || one.os === own.os),
      );
    };
  },
  explain: counted("unsupported platform on 1 node", (nodes) => `unsupported platform on ${nodes} nodes`),
};

const hostPort: Filter = {
  prepare: (task) => {
    const keys = hostPortKeys(task);
    return keys.length === 0 ? undefined : (node) => !keys.some((key) => node.usesHostPort(key));
  },
  explain: counted(
    "host-mode port already in use on 1 node",
    (nodes) => `host-mode port already in use on ${nodes} nodes`,
  ),
};

const maxReplicas: Filter = {
  prepare: ({ spec, serviceId }) => {
    const max = spec.placement?.maxReplicas ?? 0;
    return max === 0 ? undefined : (node) => node.activeCount(serviceId) < max;
  },
  explain: () => "max replicas per node limit exceed",
};

const FILTERS: readonly Filter[] = [ready, resources, plugins, constraints, platform, hostPort, maxReplicas];

interface Check {
  readonly test: (node: NodeInfo) => boolean;
  readonly explain: Filter["explain"];
  failures: number;
}

/** The filters that concern one task, with their counts of refusals since the last node that passed. */
export class Pipeline {
  readonly #checks: Check[];

  constructor(task: TaskObject) {
    this.#checks = FILTERS.flatMap(({ prepare, explain }) => {
      const test = prepare(task);
      return test === undefined ? [] : [{ test, explain, failures: 0 }];
    });
  }

  process(node: NodeInfo): boolean {
    const failed = this.#checks.find((check) => !check.test(node));
    if (failed !== undefined) {
      failed.failures++;
      return false;
    }
    for (const check of this.#checks) check.failures = 0;
    return true;
  }

  /** The reasons for which nodes were refused, most frequent first; empty when none was. */
  explain(): string {
    return this.#checks
      .filter((check) => check.failures > 0)
      .sort((a, b) => b.failures - a.failures)
      .map((check) => check.explain(check.failures))
      .join("; ");
  }
}
