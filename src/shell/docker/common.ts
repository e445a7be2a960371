/** What several docker commands share: filters, prompts, inspecting, flags of listings. */
import { ApiError, type Filters, type Json, type JsonObject } from "../../engine/api.ts";
import { SIGNALS } from "../../engine/process-runner.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { Channel, Proc } from "../../scheduler/process.ts";
import { errorText, type Invocation, StatusError } from "./command.ts";
import type { FlagSpec } from "./flags.ts";
import { indentJson } from "./format/json.ts";
import { Template, TemplateError } from "./format/template.ts";

/** `--filter name=value` (opts/opts.go FilterOpt). */
export function filterFlag(usage: string, short?: string): FlagSpec {
  const check = (value: string) => (value.includes("=") ? undefined : "bad format of filter (expected name=value)");
  const spec = { name: "filter", type: "filter", usage, many: true, check };
  return short === undefined ? spec : { ...spec, short };
}

/** `--since` of `docker logs` and `docker service logs`. */
export const SINCE_FLAG: FlagSpec = {
  name: "since",
  type: "string",
  usage: "Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)",
};

/** `--tail` of `docker logs` and `docker service logs`. */
export const TAIL_FLAG: FlagSpec = {
  name: "tail",
  short: "n",
  type: "string",
  usage: "Number of lines to show from the end of the logs",
  shown: '"all"',
};

/** The `filters` query of `--filter` values; undefined when there is none. */
export function filtersOf(values: readonly string[]): Filters | undefined {
  if (values.length === 0) return undefined;
  const filters: Record<string, string[]> = {};
  for (const value of values) {
    const at = value.indexOf("=");
    const key = value.slice(0, at).trim().toLowerCase();
    filters[key] = [...(filters[key] ?? []), value.slice(at + 1).trim()];
  }
  return filters;
}

/** What ends a Go program that doesn't ask to be told of it (os/signal, default behaviour). */
const FATAL_SIGNALS: ReadonlySet<string> = new Set(["SIGHUP", "SIGINT", "SIGTERM"]);

/** @throws StatusError with the signal's status where it ends a client that doesn't handle signals */
export function dieOf(signal: string | undefined): void {
  if (signal !== undefined && FATAL_SIGNALS.has(signal)) throw new StatusError(128 + (SIGNALS[signal] as number));
}

/**
 * Waits until a stream of the engine goes on or has ended.
 * @throws StatusError when a signal ends the client instead; the stream is closed then
 */
export function* nextOf(stream: Channel<unknown>, { signals }: ProgramContext): Proc<void> {
  while (stream.length === 0 && !stream.closed) {
    try {
      dieOf(signals.tryPop());
    } catch (error) {
      stream.close();
      throw error;
    }
    yield { on: [stream, signals] };
  }
}

/** Asks on standard output, reads a line of standard input; only `y` is consent (cli/command/utils.go). */
export function* confirm(invocation: Invocation, message: string): Proc<boolean> {
  invocation.out(`${message} [y/N] `);
  const answer = yield* invocation.context.stdin.readLine();
  return answer?.toLowerCase() === "y";
}

/** Does something to each name; prints the name, collects the errors (`rm`, `stop` …). */
export function* forEachName(
  invocation: Invocation,
  names: readonly string[],
  action: (name: string) => Proc<void>,
): Proc<void> {
  const errors: string[] = [];
  for (const name of names) {
    try {
      yield* action(name);
      invocation.out(`${name}\n`);
    } catch (error) {
      errors.push(errorText(error));
    }
  }
  if (errors.length > 0) throw new StatusError(1, errors.join("\n"));
}

/** `--format`. */
export const FORMAT_FLAG: FlagSpec = {
  name: "format",
  short: "f",
  type: "string",
  usage: "Format the output using the given Go template",
};

/**
 * Prints objects as `docker … inspect` does (cli/command/inspect): an indented array, or each through a template;
 * then the errors.
 * @param typed an object as a template sees it: with the fields that its Go type has and its JSON leaves out
 */
export function* inspectAll(
  invocation: Invocation,
  names: readonly string[],
  get: (name: string) => Proc<JsonObject>,
  typed: (object: JsonObject) => JsonObject = (object) => object,
): Proc<void> {
  const format = invocation.flags.text("format");
  const template = format === undefined || format === "" ? undefined : inspectTemplate(format);
  const found: Json[] = [];
  const lines: string[] = [];
  const errors: string[] = [];
  for (const name of names) {
    try {
      const object = yield* get(name);
      if (template === undefined) found.push(object);
      else lines.push(`${template.execute(typed(object))}\n`);
    } catch (error) {
      errors.push(error instanceof TemplateError ? `template parsing error: ${error.message}` : errorText(error));
    }
  }
  if (template === undefined) invocation.out(`${indentJson(found)}\n`);
  else invocation.out(lines.length === 0 ? "\n" : lines.join(""));
  if (errors.length > 0) throw new StatusError(1, errors.join("\n"));
}

function inspectTemplate(format: string): Template {
  try {
    return new Template(format);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new StatusError(64, `template parsing error: ${error.message}`);
  }
}

/** Whether an engine's refusal is "there is none". */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** `k=v` list as an object (opts.ConvertKVStringsToMap). */
export function keyValues(items: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const item of items) {
    const at = item.indexOf("=");
    out[at < 0 ? item : item.slice(0, at)] = at < 0 ? "" : item.slice(at + 1);
  }
  return out;
}

/** A span as Go's time.ParseDuration reads it, checked for a flag. */
export function checkDuration(value: string): string | undefined {
  return /^[+-]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$/.test(value)
    ? undefined
    : `time: invalid duration ${JSON.stringify(value)}`;
}
