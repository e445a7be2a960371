/** Compose services and networks as the API has them (docker/cli cli/compose/convert; 20.10). */
import { parseDuration } from "../../base/time.ts";
import type { NetworkCreateRequest } from "../../engine/api.ts";
import { effectiveCapabilities } from "./capabilities.ts";
import { StatusError } from "./command.ts";
import { keyValues } from "./common.ts";
import type { ComposeFile } from "./compose-file.ts";
import { at, bool, isArray, type Json, type JsonObject, list, num, object, text } from "./format/json.ts";
import { parseServicePort, type ServicePort } from "./service-ports.ts";
import { omitEmpty, parseMount } from "./service-spec.ts";
import { splitWords } from "./words.ts";

/** Labels that the CLI puts on what belongs to a stack. */
export const NAMESPACE_LABEL = "com.docker.stack.namespace";
export const IMAGE_LABEL = "com.docker.stack.image";

/** Name of something of a stack. */
export const scoped = (stack: string, name: string): string => `${stack}_${name}`;

/** `[a=b]` or `{a: b}` as an object. */
function dictionary(value: Json | undefined): Record<string, string> {
  if (isArray(value)) return keyValues(value.map(String));
  return Object.fromEntries(
    Object.entries(object(value)).map(([key, item]) => [key, item === null ? "" : String(item)]),
  );
}

function stackLabels(stack: string, labels: Json | undefined): Record<string, string> {
  return { ...dictionary(labels), [NAMESPACE_LABEL]: stack };
}

/** A command as a list of words. */
function command(value: Json | undefined): string[] {
  if (isArray(value)) return value.map(String);
  return typeof value === "string" ? splitWords(value) : [];
}

const strings = (value: Json | undefined): string[] =>
  isArray(value) ? value.map(String) : typeof value === "string" ? [value] : [];

function duration(value: Json | undefined): number | undefined {
  return typeof value === "string" ? parseDuration(value) : undefined;
}

function bytes(value: Json | undefined): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt])?/i.exec(value === undefined ? "" : String(value));
  if (match === null) return 0;
  return Math.floor(
    Number(match[1]) * 1024 ** (match[2] === undefined ? 0 : "kmgt".indexOf(match[2].toLowerCase()) + 1),
  );
}

// --------------------------------------------------------------------------------------------- networks

/** Networks of a stack: those to make, by their names, and those that must be there. */
export interface StackNetworks {
  readonly created: ReadonlyMap<string, NetworkCreateRequest>;
  readonly external: readonly string[];
}

const isExternal = (network: JsonObject): boolean =>
  bool(network, "external") || at(network, "external", "name") !== undefined;

/** The name of one of the stack's networks in the swarm. */
export function networkName(stack: string, name: string, network: JsonObject): string {
  const given = text(network, "name") || text(network, "external", "name");
  if (given !== "") return given;
  return isExternal(network) ? name : scoped(stack, name);
}

/** Names of the networks of a service, `default` where it names none, with what it says of them. */
function networksOf(service: JsonObject): [string, JsonObject][] {
  const value = service["networks"];
  const named = isArray(value)
    ? value.map((name): [string, JsonObject] => [String(name), {}])
    : Object.entries(object(value)).map(([name, settings]): [string, JsonObject] => [name, object(settings)]);
  return named.length === 0 ? [["default", {}]] : named;
}

/** Networks of a stack, and those that must be there already. */
export function stackNetworks(stack: string, file: ComposeFile): StackNetworks {
  const used = new Set(file.services.flatMap(([, service]) => networksOf(service).map(([name]) => name)));
  const created = new Map<string, NetworkCreateRequest>();
  const external: string[] = [];
  for (const name of [...used].sort()) {
    const network = object(file.networks[name]);
    if (isExternal(network)) {
      external.push(networkName(stack, name, network));
      continue;
    }
    const pools = list(network, "ipam", "config").map((pool) => ({ Subnet: text(pool, "subnet") }));
    const driver = text(network, "ipam", "driver");
    created.set(networkName(stack, name, network), {
      Name: networkName(stack, name, network),
      CheckDuplicate: true,
      Driver: text(network, "driver") || "overlay",
      Options: dictionary(network["driver_opts"]),
      Labels: stackLabels(stack, network["labels"]),
      Internal: bool(network, "internal"),
      Attachable: bool(network, "attachable"),
      ...(driver !== "" || pools.length > 0 ? { IPAM: { Driver: driver || "default", Config: pools } } : {}),
    });
  }
  return { created, external };
}

function attachments(stack: string, name: string, service: JsonObject, file: ComposeFile): JsonObject[] {
  return networksOf(service)
    .map(([network, settings]): JsonObject => {
      if (file.networks[network] === undefined && network !== "default")
        throw new StatusError(1, `service ${name}: undefined network "${network}"`);
      const target = networkName(stack, network, object(file.networks[network]));
      const userDefined = !["bridge", "host", "none", "default"].includes(target);
      const aliases = [...strings(settings["aliases"]), ...(userDefined ? [name] : [])];
      return { Target: target, ...(aliases.length > 0 ? { Aliases: aliases } : {}) };
    })
    .sort((a, b) => (text(a, "Target") < text(b, "Target") ? -1 : 1));
}

// --------------------------------------------------------------------------------------------- services

function ports(name: string, service: JsonObject): ServicePort[] {
  const all = list(service, "ports").flatMap((port): ServicePort[] => {
    if (typeof port === "string" || typeof port === "number") {
      try {
        return parseServicePort(String(port));
      } catch (error) {
        throw new StatusError(1, `services.${name}.ports: ${(error as Error).message}`);
      }
    }
    const published = Number(text(port, "published") || 0);
    return [
      {
        Protocol: text(port, "protocol") || "tcp",
        TargetPort: num(port, "target"),
        ...(published === 0 ? {} : { PublishedPort: published }),
        PublishMode: text(port, "mode") || "ingress",
      },
    ];
  });
  return all.sort((a, b) => (a.PublishedPort ?? 0) - (b.PublishedPort ?? 0));
}

function mode(deploy: JsonObject): JsonObject {
  const kind = text(deploy, "mode");
  const replicas = deploy["replicas"];
  if (kind === "global") {
    if (replicas !== undefined) throw new StatusError(1, "replicas can only be used with replicated mode");
    return { Global: {} };
  }
  if (kind !== "" && kind !== "replicated") throw new StatusError(1, `Unknown mode: ${kind}`);
  return { Replicated: replicas === undefined ? {} : { Replicas: Number(replicas) } };
}

function restart(service: JsonObject, deploy: JsonObject): JsonObject | undefined {
  const policy = deploy["restart_policy"];
  if (policy !== undefined)
    return omitEmpty({
      Condition: text(policy, "condition"),
      Delay: duration(at(policy, "delay")),
      MaxAttempts: num(policy, "max_attempts"),
      Window: duration(at(policy, "window")),
    });
  const [word = "", attempts] = text(service, "restart").split(":");
  if (word === "" || word === "no") return undefined;
  if (word === "always" || word === "unless-stopped") return { Condition: "any" };
  if (word === "on-failure")
    return { Condition: "on-failure", ...(attempts === undefined ? {} : { MaxAttempts: Number(attempts) }) };
  throw new StatusError(1, `unknown restart policy: ${word}`);
}

function updateConfig(value: Json | undefined): JsonObject | undefined {
  if (value === undefined) return undefined;
  return {
    Parallelism: at(value, "parallelism") === undefined ? 1 : num(value, "parallelism"),
    ...omitEmpty({
      Delay: duration(at(value, "delay")),
      FailureAction: text(value, "failure_action"),
      Monitor: duration(at(value, "monitor")),
    }),
    MaxFailureRatio: Number(text(value, "max_failure_ratio") || 0),
    Order: text(value, "order"),
  };
}

function resource(value: Json | undefined): JsonObject {
  const cpus = Number(text(value, "cpus") || 0);
  return omitEmpty({
    NanoCPUs: Math.round(cpus * 1e9),
    MemoryBytes: bytes(at(value, "memory")),
    Pids: num(value, "pids"),
  });
}

function health(value: Json | undefined): JsonObject | undefined {
  if (value === undefined) return undefined;
  if (bool(value, "disable")) {
    if (at(value, "test") !== undefined) throw new StatusError(1, "test and disable can't be set at the same time");
    return { Test: ["NONE"] };
  }
  const test = at(value, "test");
  return omitEmpty({
    Test: typeof test === "string" ? ["CMD-SHELL", test] : strings(test),
    Interval: duration(at(value, "interval")),
    Timeout: duration(at(value, "timeout")),
    StartPeriod: duration(at(value, "start_period")),
    Retries: num(value, "retries"),
  });
}

function mounts(stack: string, service: JsonObject): JsonObject[] {
  return list(service, "volumes").map((volume): JsonObject => {
    if (typeof volume !== "string") {
      const fields = ["type", "source", "target"].flatMap((key) =>
        text(volume, key) === "" ? [] : [`${key}=${text(volume, key)}`],
      );
      return parseMount(fields.join(","));
    }
    const parts = volume.split(":");
    const [source, target, flags = ""] = parts.length === 1 ? [undefined, parts[0]] : parts;
    const bind = source !== undefined && /^[/.~]/.test(source);
    return omitEmpty({
      Type: bind ? "bind" : "volume",
      Source: source === undefined || bind ? source : scoped(stack, source),
      Target: target,
      ReadOnly: flags.split(",").includes("ro"),
    });
  });
}

function environment(service: JsonObject, env: ReadonlyMap<string, string>, files: readonly string[]): string[] {
  const value = service["environment"];
  const own = isArray(value)
    ? value.map((item): [string, string | undefined] => {
        const [name = "", ...rest] = String(item).split("=");
        return [name, rest.length === 0 && !String(item).includes("=") ? env.get(name) : rest.join("=")];
      })
    : Object.entries(object(value)).map(([name, item]): [string, string | undefined] => [
        name,
        item === null || item === undefined ? env.get(name) : String(item),
      ]);
  const all = new Map([
    ...files.map((line): [string, string | undefined] => [
      line.split("=")[0] as string,
      line.slice(line.indexOf("=") + 1),
    ]),
    ...own,
  ]);
  return [...all].map(([name, setting]) => (setting === undefined ? name : `${name}=${setting}`)).sort();
}

function placement(deploy: JsonObject): JsonObject {
  const spread = list(deploy, "placement", "preferences").map((pref) => ({
    Spread: { SpreadDescriptor: text(pref, "spread") },
  }));
  return omitEmpty({
    Constraints: strings(at(deploy, "placement", "constraints")),
    Preferences: spread,
    MaxReplicas: num(deploy, "placement", "max_replicas_per_node"),
  });
}

/** Hosts of `extra_hosts`: `name:IP` becomes `IP name`. */
function hosts(value: Json | undefined): string[] {
  const entries = isArray(value)
    ? value.map(String)
    : Object.entries(object(value)).map(([name, ip]) => `${name}:${String(ip)}`);
  return entries.map((entry) => `${entry.slice(entry.indexOf(":") + 1)} ${entry.slice(0, entry.indexOf(":"))}`);
}

/** What a service is converted with. */
export interface ConvertOptions {
  readonly stack: string;
  readonly file: ComposeFile;
  readonly env: ReadonlyMap<string, string>;
  /** Lines of an env_file. @throws StatusError */
  readonly readEnvFile: (path: string) => readonly string[];
}

/** A service's spec. @throws StatusError */
export function serviceSpec(name: string, service: JsonObject, options: ConvertOptions): JsonObject {
  const { stack, file, env } = options;
  const deploy = object(service, "deploy");
  const restartPolicy = restart(service, deploy);
  const published = ports(name, service);
  const logging = service["logging"];
  const update = updateConfig(deploy["update_config"]);
  const rollback = updateConfig(deploy["rollback_config"]);
  const limits = resource(at(deploy, "resources", "limits"));
  const reservations = resource(at(deploy, "resources", "reservations"));
  return {
    Name: scoped(stack, name),
    Labels: { ...stackLabels(stack, deploy["labels"]), [IMAGE_LABEL]: text(service, "image") },
    TaskTemplate: {
      ContainerSpec: {
        ...omitEmpty({
          Image: text(service, "image"),
          Labels: stackLabels(stack, service["labels"]),
          Command: command(service["entrypoint"]),
          Args: command(service["command"]),
          Hostname: text(service, "hostname"),
          Env: environment(
            service,
            env,
            strings(service["env_file"]).flatMap((path) => options.readEnvFile(path)),
          ),
          Dir: text(service, "working_dir"),
          User: text(service, "user"),
        }),
        ...(service["init"] === undefined ? {} : { Init: bool(service, "init") }),
        ...omitEmpty({
          StopSignal: text(service, "stop_signal"),
          TTY: bool(service, "tty"),
          OpenStdin: bool(service, "stdin_open"),
          ReadOnly: bool(service, "read_only"),
          Mounts: mounts(stack, service),
          StopGracePeriod: duration(service["stop_grace_period"]),
          Healthcheck: health(service["healthcheck"]),
          Hosts: hosts(service["extra_hosts"]),
          DNSConfig: omitEmpty({ Nameservers: strings(service["dns"]), Search: strings(service["dns_search"]) }),
          Isolation: text(service, "isolation"),
          Sysctls: dictionary(service["sysctls"]),
          ...effectiveCapabilities(strings(service["cap_add"]), strings(service["cap_drop"])),
        }),
      },
      Resources: omitEmpty({ Limits: limits, Reservations: reservations }),
      ...(restartPolicy === undefined ? {} : { RestartPolicy: restartPolicy }),
      Placement: placement(deploy),
      Networks: attachments(stack, name, service, file),
      ...(logging === undefined
        ? {}
        : { LogDriver: omitEmpty({ Name: text(logging, "driver"), Options: dictionary(at(logging, "options")) }) }),
      ForceUpdate: 0,
    },
    Mode: mode(deploy),
    ...(update === undefined ? {} : { UpdateConfig: update }),
    ...(rollback === undefined ? {} : { RollbackConfig: rollback }),
    EndpointSpec: omitEmpty({
      Mode: text(deploy, "endpoint_mode").toLowerCase(),
      Ports: published as unknown as Json,
    }),
  };
}
