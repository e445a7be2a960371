/** `--health-*` of `docker run` and `docker create` (docker/cli cli/command/container/opts.go; 20.10). */
import { parseDuration } from "../../base/time.ts";
import type { ContainerCreateRequest } from "../../engine/api.ts";
import { StatusError } from "./command.ts";
import { checkDuration } from "./common.ts";
import { checkInt, type FlagSpec, type Flags } from "./flags.ts";

const span = (name: string, usage: string): FlagSpec => ({
  name,
  type: "duration",
  usage: `${usage} (ms|s|m|h)`,
  shown: "0s",
  check: checkDuration,
});

/** `--health-*` of `docker run` and `docker create` (docker/cli opts). */
export const HEALTH_FLAGS: readonly FlagSpec[] = [
  { name: "health-cmd", type: "string", usage: "Command to run to check health" },
  span("health-interval", "Time between running the check"),
  { name: "health-retries", type: "int", usage: "Consecutive failures needed to report unhealthy", check: checkInt },
  span("health-start-period", "Start period for the container to initialize before starting health-retries countdown"),
  span("health-timeout", "Maximum time to allow one check to run"),
  { name: "no-healthcheck", usage: "Disable any container-specified HEALTHCHECK" },
];

const SETTINGS = ["health-cmd", "health-interval", "health-retries", "health-start-period", "health-timeout"];

/** `--health-*` and `--no-healthcheck` (opts.go parse). @throws StatusError */
export function healthcheck(flags: Flags): ContainerCreateRequest["Healthcheck"] | undefined {
  const given = SETTINGS.some((name) => flags.has(name));
  if (flags.bool("no-healthcheck")) {
    if (given) throw new StatusError(125, "--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!given) return undefined;
  const command = flags.text("health-cmd");
  const span = (name: string): number => parseDuration(flags.text(name) ?? "0") ?? 0;
  const settings = {
    ...(command === undefined ? {} : { Test: ["CMD-SHELL", command] }),
    Interval: span("health-interval"),
    Timeout: span("health-timeout"),
    StartPeriod: span("health-start-period"),
    Retries: flags.number("health-retries") ?? 0,
  };
  const negative = (["Interval", "Timeout", "StartPeriod", "Retries"] as const).find((key) => settings[key] < 0);
  if (negative !== undefined)
    throw new StatusError(
      125,
      `--health-${negative === "StartPeriod" ? "start-period" : negative.toLowerCase()} cannot be negative`,
    );
  return settings;
}
