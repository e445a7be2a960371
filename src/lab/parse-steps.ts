/** Steps of a lab file: what is typed on which hosts, waits, traffic, what is shown, checked against the lab's hosts. */
import { formatIpv4, type Ipv4, parseIpv4 } from "../base/addr.ts";
import { formatDuration, SEC } from "../base/time.ts";
import type { FabricPlan } from "./fabric.ts";
import { matchHosts, span } from "./fields.ts";
import type { Path } from "./misfit.ts";
import { type RawFault, resolveFault } from "./parse-fault.ts";
import type { Flow, FlowEnd, HostPlan, Step } from "./plan.ts";
import type { Source } from "./source.ts";

/** A flow that passed the schema. */
interface RawFlow {
  from: string;
  to: string;
  address?: string;
  rate?: number;
  size?: number;
  for?: string | number;
}

/** What a step can be besides a command. */
const STEP_KINDS = ["wait", "until", "fault", "workload", "show"];
/** The words that a step may have for keys, which no host can be called. */
export const STEP_OPTIONS = new Set([...STEP_KINDS, "as", "expect", "reject", "exit", "stdin", "parallel", "timeout"]);

/** A step's plan. @throws UserError */
export function resolveStep(
  source: Source,
  step: Record<string, unknown>,
  path: Path,
  hosts: readonly HostPlan[],
  fabric: FabricPlan | undefined,
): Step {
  const targets = Object.keys(step).filter((key) => !STEP_OPTIONS.has(key));
  for (const key of targets) hostsOfKey(source, key, path, hosts);
  const kinds = [...targets, ...STEP_KINDS.filter((key) => step[key] !== undefined)];
  const [key, second] = kinds;
  if (key === undefined) throw source.error(path, `expected a host and its command, or ${STEP_KINDS.join(", ")}`);
  if (second !== undefined) throw source.error([...path, second], `a step is one thing: ${kinds.join(" or ")}`, true);
  if (STEP_KINDS.includes(key)) {
    const allowed = key === "workload" || key === "show" ? [key, "expect", "reject"] : [key];
    const extra = Object.keys(step).find((other) => !allowed.includes(other));
    if (extra !== undefined) throw source.error([...path, extra], `means nothing beside ${key}`, true);
  }
  if (key === "wait") return { kind: "wait", duration: span(step["wait"] as string, 0) };
  if (key === "until") return { kind: "until", time: span(step["until"] as string, 0) };
  if (key === "workload") return resolveWorkload(source, step, path, hosts);
  if (key === "fault") return resolveFault(source, step["fault"] as RawFault, [...path, "fault"], hosts, fabric);
  if (key === "show") return resolveShow(source, step, path, fabric);
  return resolveCommand(source, step, key, path, hosts);
}

/** Hosts of a step's key, `HOST` or `HOST/CONTAINER`. */
function hostsOfKey(source: Source, key: string, path: Path, hosts: readonly HostPlan[]): string[] {
  const pattern = key.split("/")[0] as string;
  const matched = matchHosts(pattern, hosts);
  if (matched.length > 0) return matched;
  const known = hosts.slice(0, 8).map((host) => host.name);
  const options = [...STEP_OPTIONS].join(", ");
  throw source.error(
    [...path, key],
    `no host is called ${pattern}; there are ${known.join(", ")}${hosts.length > known.length ? " …" : ""}, and the words ${options}`,
    true,
  );
}

function resolveCommand(
  source: Source,
  step: Record<string, unknown>,
  key: string,
  path: Path,
  hosts: readonly HostPlan[],
): Step {
  const slash = key.indexOf("/");
  const terminal = slash < 0 ? undefined : key.slice(slash + 1);
  if (terminal !== undefined && step["stdin"] !== undefined)
    throw source.error([...path, "stdin"], "means nothing on a terminal: type it in a step of its own", true);
  const parallel = step["parallel"] === true;
  if (parallel && step["as"] !== undefined)
    throw source.error([...path, "as"], "can't stand beside parallel: which host's output would it be?", true);
  return {
    kind: "command",
    hosts: hostsOfKey(source, key, path, hosts),
    parallel,
    terminal,
    command: step[key] as string,
    as: step["as"] as string | undefined,
    expect: patternsOf(source, step, "expect", path),
    reject: patternsOf(source, step, "reject", path),
    exit: (step["exit"] as number | undefined) ?? (terminal === undefined ? 0 : undefined),
    stdin: step["stdin"] as string | undefined,
    timeout: span(step["timeout"] as string | undefined, 600 * SEC),
  };
}

function resolveShow(source: Source, step: Record<string, unknown>, path: Path, fabric: FabricPlan | undefined): Step {
  if (fabric === undefined) throw source.error([...path, "show"], "the network has no fabric to show");
  const [expect, reject] = [patternsOf(source, step, "expect", path), patternsOf(source, step, "reject", path)];
  return { kind: "show", what: "fabric", expect, reject };
}

/** The port of a step's first flow; the others have the next ones. */
const FLOW_PORT = 9000;

function resolveWorkload(source: Source, step: Record<string, unknown>, path: Path, hosts: readonly HostPlan[]): Step {
  const value = step["workload"] as RawFlow | RawFlow[];
  const flows = [value].flat().map((raw, index): Flow => {
    const at = [...path, "workload", ...(Array.isArray(value) ? [index] : [])];
    const end = (field: "from" | "to"): FlowEnd => {
      const slash = raw[field].indexOf("/");
      const host = slash < 0 ? raw[field] : raw[field].slice(0, slash);
      if (!hosts.some(({ name }) => name === host)) throw source.error([...at, field], `no host is called ${host}`);
      return { host, container: slash < 0 ? undefined : raw[field].slice(slash + 1) };
    };
    const [from, to] = [end("from"), end("to")];
    if (raw.address !== undefined && parseIpv4(raw.address) === undefined)
      throw source.error([...at, "address"], "expected an IPv4 address");
    const hostAddress = hosts.find(({ name }) => name === to.host)?.address.ip as Ipv4;
    const address = raw.address ?? to.container ?? formatIpv4(hostAddress);
    const load = { rate: raw.rate ?? 1000, size: raw.size ?? 64, duration: span(raw.for, SEC) };
    return { from, to, address, port: FLOW_PORT + index, load };
  });
  const [expect, reject] = [patternsOf(source, step, "expect", path), patternsOf(source, step, "reject", path)];
  return { kind: "workload", flows, expect, reject, text: flows.map(flowText).join("; ") };
}

/** `host1/c1 to host2/c2, 1000/s of 64 bytes for 10s`. */
function flowText({ from, to, load }: Flow): string {
  const end = ({ host, container }: FlowEnd): string => (container === undefined ? host : `${host}/${container}`);
  return `${end(from)} to ${end(to)}, ${load.rate}/s of ${load.size} bytes for ${formatDuration(load.duration)}`;
}

/** Substrings, and /regular expressions/ with flags. */
function patternsOf(
  source: Source,
  step: Record<string, unknown>,
  field: "expect" | "reject",
  path: Path,
): (string | RegExp)[] {
  const value = step[field] as string | string[] | undefined;
  return (value === undefined ? [] : [value].flat()).map((text, index) => {
    const regex = /^\/(.*)\/([a-z]*)$/s.exec(text);
    if (regex === null) return text;
    try {
      return new RegExp(regex[1] as string, regex[2]);
    } catch (error) {
      const at = Array.isArray(value) ? [...path, field, index] : [...path, field];
      throw source.error(at, `not a regular expression: ${(error as Error).message}`);
    }
  });
}
