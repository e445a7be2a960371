/**
 * Compose files of version 3 as `docker stack deploy` reads them (docker/cli cli/compose/loader, interpolation, template,
 * schema; 20.10): YAML, variables, and the checks of the schema that people meet.
 */
import { parseDocument } from "yaml";
import { StatusError } from "./command.ts";
import { isArray, type Json, type JsonObject } from "./format/json.ts";

/** Keys that a service may have. */
const SERVICE_KEYS = new Set(
  (
    "build cap_add cap_drop cgroupns_mode cgroup_parent command configs container_name credential_spec depends_on deploy " +
    "devices dns dns_search domainname entrypoint env_file environment expose external_links extra_hosts healthcheck " +
    "hostname image init ipc isolation labels links logging mac_address network_mode networks pid ports privileged " +
    "read_only restart security_opt secrets shm_size stdin_open stop_grace_period stop_signal sysctls tmpfs tty ulimits " +
    "user userns_mode volumes working_dir"
  ).split(" "),
);
const DEPLOY_KEYS = new Set(
  "mode endpoint_mode replicas labels update_config rollback_config resources restart_policy placement".split(" "),
);
const NETWORK_KEYS = new Set("name driver driver_opts ipam external internal attachable labels".split(" "));
const TOP_KEYS = new Set("version services networks volumes secrets configs".split(" "));

/** Options that a swarm's services don't have (types.UnsupportedProperties). */
const UNSUPPORTED = (
  "build cgroupns_mode cgroup_parent devices domainname external_links ipc links mac_address network_mode pid privileged " +
  "restart security_opt shm_size userns_mode"
).split(" ");

/** types.DeprecatedProperties. */
const DEPRECATED: Readonly<Record<string, string>> = {
  container_name: "Setting the container name is not supported.",
  expose:
    "Exposing ports is unnecessary - services on the same network can access each other's containers on any port.",
};

/** A Compose file, read. */
export interface ComposeFile {
  /** In order of their names. */
  readonly services: readonly (readonly [name: string, service: JsonObject])[];
  readonly networks: JsonObject;
  /** What the client says on standard error before it begins. */
  readonly warnings: readonly string[];
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !isArray(value);

function refuse(message: string): never {
  throw new StatusError(1, message);
}

// ------------------------------------------------------------------------------------------- variables

const VARIABLE = /\$(?:(\$)|([_a-zA-Z][_a-zA-Z0-9]*)|\{([_a-zA-Z][_a-zA-Z0-9]*)(?:(:?[-?])([^}]*))?\}|)/g;

/** `$V`, `${V}`, `${V:-default}`, `${V-default}`, `${V:?error}`, `${V?error}`; `$$` is a dollar (template.Substitute). */
export function substitute(text: string, path: string, env: ReadonlyMap<string, string>): string {
  return text.replace(VARIABLE, (all, dollar?: string, plain?: string, braced?: string, sign?: string, word = "") => {
    if (dollar !== undefined) return "$";
    const name = plain ?? braced;
    if (name === undefined)
      refuse(
        `invalid interpolation format for ${path}: ${JSON.stringify(text)}. You may need to escape any $ with another $.`,
      );
    const value = env.get(name);
    const missing = value === undefined || (sign?.startsWith(":") === true && value === "");
    if (sign?.endsWith("-") === true) return missing ? word : value;
    if (sign?.endsWith("?") === true && missing)
      refuse(
        `invalid interpolation format for ${path}: "required variable ${name} is missing a value: ${word}". You may need to escape any $ with another $.`,
      );
    return all === "" ? "" : (value ?? "");
  });
}

function interpolate(value: Json, path: string, env: ReadonlyMap<string, string>): Json {
  if (typeof value === "string") return substitute(value, path, env);
  if (isArray(value)) return value.map((item) => interpolate(item, `${path}.[]`, env));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, interpolate(item ?? null, `${path}.${key}`, env)]),
  );
}

// ----------------------------------------------------------------------------------------------- checks

/** gojsonschema's word for a value's type. */
function typeName(value: Json): string {
  if (value === null) return "null";
  if (isArray(value)) return "array";
  return typeof value === "number" ? (Number.isInteger(value) ? "integer" : "number") : typeof value;
}

function checkKeys(object: JsonObject, known: ReadonlySet<string>, path: string): void {
  const unknown = Object.keys(object).find((key) => !known.has(key) && !key.startsWith("x-"));
  if (unknown !== undefined) refuse(`${path} Additional property ${unknown} is not allowed`);
}

function mapping(value: Json | undefined, path: string): JsonObject {
  if (value === undefined || value === null) return {};
  return isObject(value) ? value : refuse(`${path} must be a mapping`);
}

function checkService(name: string, service: Json): JsonObject {
  const path = `services.${name}`;
  if (!isObject(service)) return refuse(`${path} must be a mapping`);
  checkKeys(service, SERVICE_KEYS, path);
  const expects = (key: string, types: readonly string[], word: string): void => {
    const value = service[key];
    if (value !== undefined && value !== null && !types.includes(typeName(value)))
      refuse(`${path}.${key} must be a ${word}`);
  };
  expects("image", ["string"], "string");
  expects("ports", ["array"], "list");
  expects("deploy", ["object"], "mapping");
  expects("environment", ["object", "array"], "mapping");
  expects("networks", ["object", "array"], "mapping");
  expects("command", ["string", "array"], "string");
  checkKeys(mapping(service["deploy"], `${path}.deploy`), DEPLOY_KEYS, `${path}.deploy`);
  for (const key of ["secrets", "configs"])
    if (isArray(service[key]) && (service[key] as readonly Json[]).length > 0)
      refuse(`${path}.${key}: ${key} are not emulated`);
  return service;
}

function checkVersion(value: Json | undefined): void {
  const version = value === undefined ? "1.0" : value;
  if (typeof version !== "string") refuse(`version must be a string`);
  if (!/^3(\.\d)?$/.test(version as string)) refuse(`unsupported Compose file version: ${String(version)}`);
}

function notices(services: readonly (readonly [string, JsonObject])[]): string[] {
  const used = (key: string): boolean => services.some(([, service]) => service[key] !== undefined);
  const out: string[] = [];
  const unsupported = UNSUPPORTED.filter(used).sort();
  if (unsupported.length > 0) out.push(`Ignoring unsupported options: ${unsupported.join(", ")}\n`);
  const deprecated = Object.entries(DEPRECATED).filter(([key]) => used(key));
  if (deprecated.length > 0)
    out.push(`Ignoring deprecated options:\n\n${deprecated.map(([key, text]) => `${key}: ${text}`).join("\n\n")}\n`);
  return out;
}

function parse(text: string): Json {
  const document = parseDocument(text, { prettyErrors: false, merge: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = text.slice(0, error.pos[0]).split("\n").length;
    refuse(`yaml: line ${line}: ${error.message}`);
  }
  return document.toJS() as Json;
}

/** One file. @throws StatusError with the loader's message */
export function parseCompose(text: string, env: ReadonlyMap<string, string>): ComposeFile {
  const raw = parse(text);
  if (!isObject(raw)) return refuse("Top-level object must be a mapping");
  checkVersion(raw["version"]);
  const bad = Object.keys(raw).find((key) => !TOP_KEYS.has(key) && !key.startsWith("x-"));
  if (bad !== undefined) refuse(`(root) Additional property ${bad} is not allowed`);
  const section = (name: string): JsonObject => mapping(interpolate(mapping(raw[name], name), name, env), name);
  const services = Object.entries(section("services"))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, service]) => [name, checkService(name, service ?? null)] as const);
  const networks = section("networks");
  for (const [name, network] of Object.entries(networks))
    checkKeys(mapping(network, `networks.${name}`), NETWORK_KEYS, `networks.${name}`);
  return { services, networks, warnings: notices(services) };
}
