/** Values of a lab file that passed the schema, and the hosts that its patterns name. */
import { parseDuration, type Time } from "../base/time.ts";
import type { HostPlan } from "./plan.ts";

/** A span of time in ns. */
export function span(value: string | number | undefined, fallback: Time): Time {
  return value === undefined ? fallback : (parseDuration(String(value)) ?? fallback);
}

/** A probability, written as a fraction or in percent. */
export function chance(value: number | string | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  return typeof value === "number" ? value : Number.parseFloat(value) / 100;
}

/** Hosts that a step's key or a fault names: a name, or a pattern with `*` and `?`. */
export function matchHosts(pattern: string, hosts: readonly HostPlan[]): string[] {
  const regex = new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
  );
  return hosts.filter((host) => regex.test(host.name)).map((host) => host.name);
}
