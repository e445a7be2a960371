/** Health checks of containers (moby daemon/health.go; 20.10). */
import { formatDuration, SEC, type Time } from "../base/time.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc, Process } from "../scheduler/process.ts";
import type { Container } from "./container.ts";
import { environment } from "./container-config.ts";
import { findProgram, notFoundReason, RunningProgram } from "./process-runner.ts";
import { StandardStreams } from "./stdio.ts";

const DEFAULT_INTERVAL = 30 * SEC;
const DEFAULT_TIMEOUT = 30 * SEC;
const DEFAULT_RETRIES = 3;
/** Results that inspect shows. */
const LOG_ENTRIES = 5;
/** Characters of a check's output that are kept. */
const MAX_OUTPUT = 4096;
/** Exit status of a check that could not be run or took too long. */
const FAILED = -1;

/** One check's result. */
export interface HealthResult {
  readonly start: Time;
  readonly end: Time;
  readonly exitCode: number;
  readonly output: string;
}

/** How a container feels. */
export interface Health {
  status: "starting" | "healthy" | "unhealthy";
  failingStreak: number;
  readonly log: HealthResult[];
}

/** Whether a container has failed its checks too often. */
export function isUnhealthy(container: Container): boolean {
  return container.running && container.health?.status === "unhealthy";
}

/** The command of a check; undefined when there is none (`NONE`). */
function command(test: readonly string[]): readonly string[] | undefined {
  const [kind, ...words] = test;
  if (kind === "CMD") return words;
  return kind === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : undefined;
}

/**
 * Begins the checks of a container that has just started.
 * @param changed told of each new status
 * @returns what ends them; undefined when it has none
 */
export function startHealthChecks(
  os: HostOs,
  container: Container,
  changed: (status: Health["status"]) => void = () => {},
): Process | undefined {
  const test = command(container.request.Healthcheck?.Test ?? []);
  if (test === undefined) {
    container.health = undefined;
    return undefined;
  }
  container.health = { status: "starting", failingStreak: 0, log: [] };
  return os.spawn(`health ${container.name}`, monitor(os, container, test, changed));
}

function* monitor(
  os: HostOs,
  container: Container,
  test: readonly string[],
  changed: (status: Health["status"]) => void,
): Proc<void> {
  const interval = container.request.Healthcheck?.Interval || DEFAULT_INTERVAL;
  for (;;) {
    const until = os.now() + interval;
    while (os.now() < until) yield { until };
    if (!container.running || container.program === undefined) return;
    const before = container.health?.status;
    record(container, yield* probe(os, container, test));
    const after = container.health?.status;
    if (after === undefined || after === before) continue;
    container.changed.notify();
    changed(after);
  }
}

/** handleProbeResult. */
function record(container: Container, result: HealthResult): void {
  const { health } = container;
  if (health === undefined) return;
  const { Retries, StartPeriod = 0 } = container.request.Healthcheck ?? {};
  health.log.push(result);
  if (health.log.length > LOG_ENTRIES) health.log.shift();
  if (result.exitCode === 0) {
    health.failingStreak = 0;
    health.status = "healthy";
  } else {
    const early = health.status === "starting" && result.start - (container.startedAt ?? 0) < StartPeriod;
    if (!early) health.failingStreak++;
    if (!early && health.failingStreak >= (Retries || DEFAULT_RETRIES)) health.status = "unhealthy";
  }
}

/** Runs a check in the container. */
function* probe(os: HostOs, container: Container, argv: readonly string[]): Proc<HealthResult> {
  const start = os.now();
  const { program: init, ns, image, request } = container;
  const ended = (exitCode: number, output: string): HealthResult => ({ start, end: os.now(), exitCode, output });
  if (init === undefined || ns === undefined) return ended(FAILED, "container is not running");
  const root = { ...init.root, ns };
  const program = findProgram(root, argv[0] ?? "");
  if (program === undefined)
    return ended(FAILED, `OCI runtime exec failed: exec failed: ${notFoundReason(root, argv[0] ?? "")}`);
  let output = "";
  const streams = new StandardStreams({ tty: false, now: () => os.now(), interrupt: () => {} });
  streams.stdin.close();
  const sink = {
    write: (text: string) => {
      output = (output + text).slice(0, MAX_OUTPUT);
    },
  };
  const env = environment(image, request, container.hostname);
  const cwd = request.WorkingDir || image.workingDir || "/";
  const io = { stdin: streams.stdin, stdout: sink, stderr: sink, tty: false };
  const running = new RunningProgram(root, program, argv, env, cwd, io, false);
  const timeout = request.Healthcheck?.Timeout || DEFAULT_TIMEOUT;
  const waiting = os.spawn("health check", running.wait());
  const until = start + timeout;
  while (!waiting.done && os.now() < until) yield { on: [waiting.exited], until };
  if (waiting.done) return ended(waiting.result ?? FAILED, output);
  running.signal("SIGKILL");
  return ended(FAILED, `Health check exceeded timeout (${formatDuration(timeout)})`);
}
