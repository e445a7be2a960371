/** Flags of `docker service create` and `update` (docker/cli cli/command/service/opts.go, create.go, update.go; 20.10). */
import { checkDuration } from "./common.ts";
import { checkInt, checkUint, type FlagSpec } from "./flags.ts";
import { parseServicePort } from "./service-ports.ts";

interface Extra {
  readonly short?: string;
  readonly shown?: string;
  readonly check?: (value: string) => string | undefined;
  readonly many?: boolean;
}

const flag = (name: string, type: string, usage: string, extra: Extra = {}): FlagSpec => ({
  name,
  type,
  usage,
  ...extra,
});
const toggle = (name: string, usage: string, short?: string): FlagSpec =>
  short === undefined ? { name, usage } : { name, usage, short };
const many = (name: string, usage: string, extra: Extra = {}): FlagSpec =>
  flag(name, "list", usage, { ...extra, many: true });
const typed = (name: string, type: string, usage: string, extra: Extra = {}): FlagSpec =>
  flag(name, type, usage, { ...extra, many: true });
const uint = (name: string, usage: string, shown?: string): FlagSpec =>
  flag(name, "uint", usage, { check: checkUint(64), ...(shown === undefined ? {} : { shown }) });
const int = (name: string, usage: string): FlagSpec => flag(name, "int", usage, { check: checkInt });
const duration = (name: string, usage: string, shown?: string): FlagSpec =>
  flag(name, "duration", `${usage} (ns|us|ms|s|m|h)`, {
    check: checkDuration,
    ...(shown === undefined ? {} : { shown }),
  });
/** Spans of health checks (opts/duration.go PositiveDurationOpt). */
const positive = (value: string): string | undefined =>
  checkDuration(value) ?? (/^-.*[1-9]/.test(value) ? "duration cannot be negative" : undefined);
const healthSpan = (name: string, usage: string): FlagSpec =>
  flag(name, "duration", `${usage} (ms|s|m|h)`, { check: positive });
const ratio = (value: string): string | undefined =>
  /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(value)
    ? undefined
    : `strconv.ParseFloat: parsing ${JSON.stringify(value)}: invalid syntax`;
const decimal = (value: string): string | undefined =>
  /^(\d+(\.\d*)?|\.\d+)$/.test(value) ? undefined : `Failed to parse ${value} as a rational number`;
const bytes = (value: string): string | undefined =>
  /^\d+(\.\d+)?\s*([kmgtp]i?)?b?$/i.test(value) ? undefined : `invalid size: '${value}'`;
/** A port as services have it; its error text, if it is none. */
const port = (value: string): string | undefined => {
  try {
    parseServicePort(value);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
};
const preference = (value: string): string | undefined => {
  if (!value.includes("=")) return 'placement preference must be of the format "<strategy>=<arg>"';
  return value.startsWith("spread=")
    ? undefined
    : `unsupported placement preference ${value.split("=")[0]} (only spread is supported)`;
};
const hostEntry = (value: string): string | undefined =>
  value.indexOf(":") > 0 ? undefined : `bad format for add-host: ${JSON.stringify(value)}`;

/** In the order of their names only in the help. `defaults`: create shows them, update doesn't. */
function shared(defaults: boolean): readonly FlagSpec[] {
  const or = (text: string): string | undefined => (defaults ? text : undefined);
  const shown = (text: string): Extra => (defaults ? { shown: text } : {});
  return [
    flag("credential-spec", "credential-spec", "Credential spec for managed service account (Windows only)"),
    toggle("detach", "Exit immediately instead of waiting for the service to converge", "d"),
    flag("endpoint-mode", "string", "Endpoint mode (vip or dnsrr)", shown('"vip"')),
    flag("entrypoint", "command", "Overwrite the default ENTRYPOINT of the image"),
    flag("health-cmd", "string", "Command to run to check health"),
    healthSpan("health-interval", "Time between running the check"),
    int("health-retries", "Consecutive failures needed to report unhealthy"),
    healthSpan(
      "health-start-period",
      "Start period for the container to initialize before counting retries towards unstable",
    ),
    healthSpan("health-timeout", "Maximum time to allow one check to run"),
    flag("hostname", "string", "Container hostname"),
    toggle("init", "Use an init inside each service container to forward signals and reap processes"),
    flag("isolation", "string", "Service container isolation mode"),
    flag("limit-cpu", "decimal", "Limit CPUs", { check: decimal }),
    flag("limit-memory", "bytes", "Limit Memory", { check: bytes }),
    int("limit-pids", "Limit maximum number of processes (default 0 = unlimited)"),
    flag("log-driver", "string", "Logging driver for service"),
    many("log-opt", "Logging driver options"),
    uint("max-concurrent", "Number of job tasks to run concurrently (default equal to --replicas)"),
    toggle("no-healthcheck", "Disable any container-specified HEALTHCHECK"),
    toggle("no-resolve-image", "Do not query the registry to resolve image digest and supported platforms"),
    toggle("quiet", "Suppress progress output", "q"),
    toggle("read-only", "Mount the container's root filesystem as read only"),
    uint("replicas", "Number of tasks"),
    uint("replicas-max-per-node", "Maximum number of tasks per node (default 0 = unlimited)"),
    flag("reserve-cpu", "decimal", "Reserve CPUs", { check: decimal }),
    flag("reserve-memory", "bytes", "Reserve Memory", { check: bytes }),
    flag("restart-condition", "string", 'Restart when condition is met ("none"|"on-failure"|"any")', shown('"any"')),
    duration("restart-delay", "Delay between restart attempts", or("5s")),
    uint("restart-max-attempts", "Maximum number of restarts before giving up"),
    duration("restart-window", "Window used to evaluate the restart policy"),
    duration("rollback-delay", "Delay between task rollbacks", or("0s")),
    flag("rollback-failure-action", "string", 'Action on rollback failure ("pause"|"continue")', shown('"pause"')),
    flag("rollback-max-failure-ratio", "float", "Failure rate to tolerate during a rollback", {
      check: ratio,
      ...shown("0"),
    }),
    duration("rollback-monitor", "Duration after each task rollback to monitor for failure", or("5s")),
    flag("rollback-order", "string", 'Rollback order ("start-first"|"stop-first")', shown('"stop-first"')),
    uint(
      "rollback-parallelism",
      "Maximum number of tasks rolled back simultaneously (0 to roll back all at once)",
      or("1"),
    ),
    duration("stop-grace-period", "Time to wait before force killing a container", or("10s")),
    flag("stop-signal", "string", "Signal to stop the container"),
    toggle("tty", "Allocate a pseudo-TTY", "t"),
    duration("update-delay", "Delay between updates", or("0s")),
    flag(
      "update-failure-action",
      "string",
      'Action on update failure ("pause"|"continue"|"rollback")',
      shown('"pause"'),
    ),
    flag("update-max-failure-ratio", "float", "Failure rate to tolerate during an update", {
      check: ratio,
      ...shown("0"),
    }),
    duration("update-monitor", "Duration after each task update to monitor for failure", or("5s")),
    flag("update-order", "string", 'Update order ("start-first"|"stop-first")', shown('"stop-first"')),
    uint("update-parallelism", "Maximum number of tasks updated simultaneously (0 to update all at once)", or("1")),
    flag("user", "string", "Username or UID (format: <name|uid>[:<group|gid>])", { short: "u" }),
    toggle("with-registry-auth", "Send registry authentication details to swarm agents"),
    flag("workdir", "string", "Working directory inside the container", { short: "w" }),
  ];
}

/** Flags of `docker service create`. */
export const CREATE_FLAGS: readonly FlagSpec[] = [
  ...shared(true),
  many("cap-add", "Add Linux capabilities"),
  many("cap-drop", "Drop Linux capabilities"),
  typed("config", "config", "Specify configurations to expose to the service"),
  many("constraint", "Placement constraints"),
  many("container-label", "Container labels"),
  many("dns", "Set custom DNS servers"),
  many("dns-option", "Set DNS options"),
  many("dns-search", "Set custom DNS search domains"),
  many("env", "Set environment variables", { short: "e" }),
  many("env-file", "Read in a file of environment variables"),
  many("generic-resource", "User defined resources"),
  many("group", "Set one or more supplementary user groups for the container"),
  many("host", "Set one or more custom host-to-IP mappings (host:ip)", { check: hostEntry }),
  many("label", "Service labels", { short: "l" }),
  flag("mode", "string", "Service mode (replicated, global, replicated-job, or global-job)", { shown: '"replicated"' }),
  typed("mount", "mount", "Attach a filesystem mount to the service"),
  flag("name", "string", "Service name"),
  typed("network", "network", "Network attachments"),
  typed("placement-pref", "pref", "Add a placement preference", { check: preference }),
  typed("publish", "port", "Publish a port as a node port", { short: "p", check: port }),
  typed("secret", "secret", "Specify secrets to expose to the service"),
  many("sysctl", "Sysctl options"),
  typed("ulimit", "ulimit", "Ulimit options", { shown: "[]" }),
];

/** Flags of `docker service update`. */
export const UPDATE_FLAGS: readonly FlagSpec[] = [
  ...shared(false),
  flag("args", "command", "Service command args"),
  many("cap-add", "Add Linux capabilities"),
  many("cap-drop", "Drop Linux capabilities"),
  typed("config-add", "config", "Add or update a config file on a service"),
  many("config-rm", "Remove a configuration file"),
  many("constraint-add", "Add or update a placement constraint"),
  many("constraint-rm", "Remove a constraint"),
  many("container-label-add", "Add or update a container label"),
  many("container-label-rm", "Remove a container label by its key"),
  many("dns-add", "Add or update a custom DNS server"),
  many("dns-option-add", "Add or update a DNS option"),
  many("dns-option-rm", "Remove a DNS option"),
  many("dns-rm", "Remove a custom DNS server"),
  many("dns-search-add", "Add or update a custom DNS search domain"),
  many("dns-search-rm", "Remove a DNS search domain"),
  many("env-add", "Add or update an environment variable"),
  many("env-rm", "Remove an environment variable"),
  toggle("force", "Force update even if no changes require it"),
  many("generic-resource-add", "Add a Generic resource"),
  many("generic-resource-rm", "Remove a Generic resource"),
  many("group-add", "Add an additional supplementary user group to the container"),
  many("group-rm", "Remove a previously added supplementary user group from the container"),
  many("host-add", "Add a custom host-to-IP mapping (host:ip)", { check: hostEntry }),
  many("host-rm", "Remove a custom host-to-IP mapping (host:ip)"),
  flag("image", "string", "Service image tag"),
  many("label-add", "Add or update a service label"),
  many("label-rm", "Remove a label by its key"),
  typed("mount-add", "mount", "Add or update a mount on a service"),
  many("mount-rm", "Remove a mount by its target path"),
  typed("network-add", "network", "Add a network"),
  many("network-rm", "Remove a network"),
  typed("placement-pref-add", "pref", "Add a placement preference", { check: preference }),
  typed("placement-pref-rm", "pref", "Remove a placement preference", { check: preference }),
  typed("publish-add", "port", "Add or update a published port", { check: port }),
  typed("publish-rm", "port", "Remove a published port by its target port", { check: port }),
  toggle("rollback", "Rollback to previous specification"),
  typed("secret-add", "secret", "Add or update a secret on a service"),
  many("secret-rm", "Remove a secret"),
  many("sysctl-add", "Add or update a Sysctl option"),
  many("sysctl-rm", "Remove a Sysctl option"),
  typed("ulimit-add", "ulimit", "Add or update a ulimit option", { shown: "[]" }),
  many("ulimit-rm", "Remove a ulimit option"),
];
