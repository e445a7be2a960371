/** Faults of a lab file: what is broken or mended, checked against the lab's hosts, networks and switches. */
import { assert, UserError } from "../base/errors.ts";
import { MS, SEC } from "../base/time.ts";
import { parseFilter } from "../scheduler/faults.ts";
import type { FabricPlan } from "./fabric.ts";
import { faultText } from "./fault-text.ts";
import { chance, matchHosts, span } from "./fields.ts";
import { formatPath, misfitOf, type Path } from "./misfit.ts";
import type { Fault, HostPlan, LabPlan, Step } from "./plan.ts";
import type { Source } from "./source.ts";

/** A fault that passed the schema. */
export interface RawFault {
  host?: string | string[];
  at?: string | number;
  network?: string;
  drop?: string;
  link?: "up" | "down";
  latency?: string | number;
  loss?: number | string;
  crash?: true;
  restart?: true;
  heal?: true;
  partition?: string[][];
  leaf?: number;
  spine?: number;
}

/** Says what is wrong with a field. */
type Refusing = Pick<Source, "error">;

/**
 * A fault from outside a lab file: checked as one that stands in the lab's steps.
 * @param raw as a file's `fault:` says it, as plain data
 * @throws UserError that names the field and what was expected
 */
export function parseFault(plan: LabPlan, raw: unknown): { readonly fault: Fault; readonly text: string } {
  const refuse = (path: Path, expected: string): UserError =>
    new UserError(`${formatPath(path, "fault")}: ${expected}`);
  const place = ["steps", 0, "fault"];
  const misfit = misfitOf({ hosts: { host: null }, steps: [{ fault: raw }] });
  if (misfit !== undefined) throw refuse(misfit.path.slice(place.length), misfit.expected);
  const step = resolveFault({ error: refuse as Refusing["error"] }, raw as RawFault, [], plan.hosts, plan.fabric);
  assert(step.kind === "fault", "a fault is a fault step", step.kind);
  return step;
}

/** Faults of links between switches, which have no hosts. @throws UserError */
function checkSwitches(source: Refusing, raw: RawFault, path: Path, fabric: FabricPlan | undefined): void {
  const named = (["leaf", "spine"] as const).filter((field) => raw[field] !== undefined);
  for (const field of named) {
    if (fabric === undefined) throw source.error([...path, field], "means nothing without network.fabric", true);
    const there = field === "leaf" ? fabric.leaves : fabric.spines;
    if ((raw[field] as number) > there)
      throw source.error([...path, field], `there ${there === 1 ? "is" : "are"} ${there}`);
  }
  const known = ["leaf", "spine", "at", "link", "latency", "loss", "heal"];
  const other = Object.keys(raw).find((key) => !known.includes(key));
  if (other !== undefined) throw source.error([...path, other], `means nothing beside ${named.join(" and ")}`, true);
  if (raw.latency !== undefined && span(raw.latency, 0) > SEC)
    throw source.error([...path, "latency"], "expected 1s at most");
  if (Object.keys(raw).length === named.length + Number(raw.at !== undefined))
    throw source.error(path, `expected one of ${known.slice(3).join(", ")} beside ${named.join(" and ")}`);
}

/** A fault step's plan. @throws UserError */
export function resolveFault(
  source: Refusing,
  raw: RawFault,
  path: Path,
  hosts: readonly HostPlan[],
  fabric: FabricPlan | undefined,
): Step {
  const switches = raw.leaf !== undefined || raw.spine !== undefined;
  if (switches) checkSwitches(source, raw, path, fabric);
  const match = (pattern: string, field: Path): string[] => {
    const matched = matchHosts(pattern, hosts);
    if (matched.length === 0) throw source.error([...path, ...field], `no host is called ${pattern}`);
    return matched;
  };
  const resolved = (raw.host === undefined ? [] : [raw.host].flat()).flatMap((pattern) => match(pattern, ["host"]));
  const partition = raw.partition?.map((group, index) => group.flatMap((name) => match(name, ["partition", index])));
  const twice = partition?.flat().find((name, index, all) => all.indexOf(name) !== index);
  if (twice !== undefined) throw source.error([...path, "partition"], `${twice} is in two groups`);
  const needsHost = Object.keys(raw).find((key) => !["host", "network", "at", "partition", "heal"].includes(key));
  if (
    !switches &&
    resolved.length === 0 &&
    (needsHost !== undefined || (partition === undefined && raw.heal === undefined))
  )
    throw source.error([...path, "host"], 'missing: say which host the fault is for; host: "*" is for all of them');
  if (raw.network !== undefined && !hosts.some(({ cards }) => cards.some(({ network }) => network === raw.network)))
    throw source.error([...path, "network"], `no network is called ${raw.network}`);
  if (raw.drop !== undefined) checkFilter(source, raw.drop, [...path, "drop"]);
  const fault: { -readonly [K in keyof Fault]: Fault[K] } = { hosts: resolved };
  if (raw.at !== undefined) fault.at = span(raw.at, 0);
  if (raw.network !== undefined) fault.network = raw.network;
  if (raw.drop !== undefined) fault.drop = raw.drop;
  if (raw.link !== undefined) fault.link = raw.link;
  if (raw.latency !== undefined) fault.latency = span(raw.latency, MS);
  if (raw.loss !== undefined) fault.loss = chance(raw.loss, 0);
  if (raw.crash) fault.crash = true;
  if (raw.restart) fault.restart = true;
  if (raw.heal) fault.heal = true;
  if (partition) fault.partition = partition;
  if (switches)
    fault.switches = {
      ...(raw.leaf === undefined ? {} : { leaf: raw.leaf }),
      ...(raw.spine === undefined ? {} : { spine: raw.spine }),
    };
  return { kind: "fault", fault, text: faultText(fault) };
}

function checkFilter(source: Refusing, filter: string, path: Path): void {
  try {
    parseFilter(filter);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw source.error(path, error.message);
  }
}
