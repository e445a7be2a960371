/**
 * The tree of docker commands and how a command line finds its way through it: github.com/spf13/cobra as
 * docker/cli sets it up (cli/cobra.go, cli/required.go, cmd/docker/docker.go; 20.10).
 */
import { ApiError, type EngineApi, StreamError } from "../../engine/api.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { FlagError, type FlagSpec, type Flags, flagUsages, parseFlags } from "./flags.ts";
import { commandNotEmulated, flagNotEmulated } from "./not-emulated.ts";

/** Ends a command with a status; a message, if any, goes to standard error with a newline (cli.StatusError). */
export class StatusError extends Error {
  override name = "StatusError";
  readonly status: number;
  constructor(status: number, message = "") {
    super(message);
    this.status = status;
  }
}

/** What a command is run with. */
export interface Invocation {
  readonly engine: EngineApi;
  readonly context: ProgramContext;
  readonly flags: Flags;
  readonly args: readonly string[];
  /** Writes lines to standard output or error. */
  out(text: string): void;
  err(text: string): void;
}

/** Number of arguments a command takes. */
export interface ArgsRule {
  readonly min: number;
  readonly max: number;
}

/** Rules for the number of arguments (cli/required.go). */
export const noArgs: ArgsRule = { min: 0, max: 0 };
export const exactArgs = (count: number): ArgsRule => ({ min: count, max: count });
export const minArgs = (min: number): ArgsRule => ({ min, max: Number.POSITIVE_INFINITY });
export const anyArgs: ArgsRule = { min: 0, max: Number.POSITIVE_INFINITY };

/** A command of the docker CLI, or a group of them. */
export interface Command {
  /** cobra's Use: the name and the synopsis, e.g. `create [OPTIONS] NETWORK`. */
  readonly use: string;
  readonly short: string;
  readonly aliases?: readonly string[];
  readonly flags?: readonly FlagSpec[];
  readonly args?: ArgsRule;
  /** Flags end at the first argument (`run`, `exec`). */
  readonly notInterspersed?: boolean;
  /** Without a flag it only shows its help. */
  readonly helpWithoutFlags?: boolean;
  /** Returns the exit status; nothing means 0. */
  readonly run?: (invocation: Invocation) => Proc<number | undefined>;
  readonly commands?: readonly Command[];
}

interface Located {
  readonly command: Command;
  readonly path: string;
  readonly rest: readonly string[];
}

/** The word by which a command is called. */
export function commandName(command: Command): string {
  return command.use.split(" ")[0] as string;
}

/** Flags that stand before a command's name and mean nothing in an emulated host. */
const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { name: "config", type: "string", usage: "Location of client config files", shown: '"/root/.docker"' },
  {
    name: "context",
    short: "c",
    type: "string",
    usage:
      'Name of the context to use to connect to the daemon (overrides DOCKER_HOST env var and default context set with "docker context use")',
  },
  { name: "debug", short: "D", usage: "Enable debug mode" },
  { name: "host", short: "H", type: "list", many: true, usage: "Daemon socket(s) to connect to" },
  {
    name: "log-level",
    short: "l",
    type: "string",
    usage: 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")',
    shown: '"info"',
  },
  { name: "tls", usage: "Use TLS; implied by --tlsverify" },
  { name: "tlscacert", type: "string", usage: "Trust certs signed only by this CA", shown: '"/root/.docker/ca.pem"' },
  { name: "tlscert", type: "string", usage: "Path to TLS certificate file", shown: '"/root/.docker/cert.pem"' },
  { name: "tlskey", type: "string", usage: "Path to TLS key file", shown: '"/root/.docker/key.pem"' },
  { name: "tlsverify", usage: "Use TLS and verify the remote" },
  { name: "version", short: "v", usage: "Print version information and quit" },
];

/** Follows the words of a command line down the tree (cobra's Find). */
function locate(root: Command, words: readonly string[]): Located {
  let command = root;
  let path = commandName(root);
  let rest = words;
  while (command.commands !== undefined) {
    const word = rest[0];
    if (word === undefined || word.startsWith("-")) break;
    const next = command.commands.find(
      (child) => commandName(child) === word || child.aliases?.includes(word) === true,
    );
    if (next === undefined) break;
    command = next;
    path += ` ${commandName(next)}`;
    rest = rest.slice(1);
  }
  return { command, path, rest };
}

/** The whole help text of a command, without the blank line on top. */
function usageText(command: Command, path: string): string {
  const children = command.commands ?? [];
  const parent = path.includes(" ") ? `${path.slice(0, path.lastIndexOf(" "))} ` : "";
  const flags = path.includes(" ") ? (command.flags ?? []) : GLOBAL_FLAGS;
  const blocks: string[] = [];
  if (children.length === 0) blocks.push(`Usage:  ${parent}${command.use}`);
  else blocks.push(`Usage:  ${path}${flags.length > 0 ? " [OPTIONS]" : ""} COMMAND`);
  blocks.push(command.short);
  if (command.aliases !== undefined)
    blocks.push(`Aliases:\n  ${[commandName(command), ...command.aliases].join(", ")}`);
  if (flags.length > 0) blocks.push(`Options:\n${flagUsages(flags)}`);
  const management = children.filter((child) => child.commands !== undefined);
  const operations = children.filter((child) => child.commands === undefined);
  if (management.length > 0) blocks.push(`Management Commands:\n${commandList(management, children)}`);
  if (operations.length > 0) blocks.push(`Commands:\n${commandList(operations, children)}`);
  if (children.length > 0) blocks.push(`Run '${path} COMMAND --help' for more information on a command.`);
  return `${blocks.join("\n\n")}\n`;
}

function commandList(some: readonly Command[], all: readonly Command[]): string {
  const width = Math.max(11, ...all.map((child) => commandName(child).length));
  const sorted = [...some].sort((a, b) => (commandName(a) < commandName(b) ? -1 : 1));
  return sorted.map((child) => `  ${commandName(child).padEnd(width)} ${child.short}`).join("\n");
}

function checkArgs(command: Command, path: string, args: readonly string[]): void {
  const { min, max } = command.args ?? noArgs;
  if (args.length >= min && args.length <= max) return;
  if (max === 0 && command.commands !== undefined) throw new StatusError(1, `\n${usageText(command, path).trimEnd()}`);
  const plural = (count: number) => (count === 1 ? "argument" : "arguments");
  let problem = `requires at least ${min} ${plural(min)}.`;
  if (max === 0) problem = "accepts no arguments.";
  else if (min === max) problem = `requires exactly ${min} ${plural(min)}.`;
  else if (max !== Number.POSITIVE_INFINITY && min > 0) {
    problem = `requires at least ${min} and at most ${max} ${plural(max)}.`;
  } else if (max !== Number.POSITIVE_INFINITY) problem = `requires at most ${max} ${plural(max)}.`;
  const parent = path.slice(0, path.lastIndexOf(" "));
  throw new StatusError(
    1,
    `"${path}" ${problem}\nSee '${path} --help'.\n\nUsage:  ${parent} ${command.use}\n\n${command.short}`,
  );
}

/** An error as docker/client words it (client/request.go checkResponseErr). */
export function daemonError(error: ApiError): string {
  return error instanceof StreamError ? error.message : `Error response from daemon: ${error.message}`;
}

/** A 404 about an object that the client names itself (client/errors.go wrapResponseError). */
export function objectError(error: unknown, kind: string, id: string): unknown {
  return error instanceof ApiError && error.status === 404
    ? new StatusError(1, `Error: No such ${kind}: ${id}`)
    : error;
}

/** The text a command prints for an error of the engine or of itself; anything else is thrown on. */
export function errorText(error: unknown): string {
  if (error instanceof ApiError) return daemonError(error);
  if (error instanceof StatusError) return error.message;
  throw error;
}

/** Runs a command line. @returns the exit status */
export function* execute(root: Command, engine: EngineApi, context: ProgramContext): Proc<number> {
  const err = (text: string) => context.stderr.write(text);
  try {
    const words = globalFlags(root, context.argv.slice(1));
    const { command, path, rest } = locate(root, words[0] === "help" ? [...words.slice(1), "--help"] : words);
    return yield* runCommand(command, path, rest, engine, context);
  } catch (error) {
    const text = errorText(error);
    if (text !== "") err(`${text}\n`);
    return error instanceof StatusError ? error.status : 1;
  }
}

/** Takes the flags in front of the first command away. */
function globalFlags(root: Command, argv: readonly string[]): readonly string[] {
  let parsed: ReturnType<typeof parseFlags>;
  try {
    parsed = parseFlags(GLOBAL_FLAGS, argv, false);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    throw flagFailure(root, "docker", error);
  }
  if (parsed.help) return ["--help"];
  return parsed.flags.bool("version") ? ["--version"] : parsed.args;
}

function flagFailure(command: Command, path: string, error: FlagError): StatusError {
  const missing = error.flag === undefined ? undefined : flagNotEmulated(path, error.flag);
  if (missing !== undefined) return new StatusError(125, missing);
  const usage = command.commands === undefined ? "" : `\n\n${usageText(command, path)}`;
  return new StatusError(125, `${error.message}\nSee '${path} --help'.${usage}`);
}

function* runCommand(
  command: Command,
  path: string,
  words: readonly string[],
  engine: EngineApi,
  context: ProgramContext,
): Proc<number> {
  const out = (text: string) => context.stdout.write(text);
  let parsed: ReturnType<typeof parseFlags>;
  const isRoot = !path.includes(" ");
  try {
    const specs = isRoot ? GLOBAL_FLAGS : (command.flags ?? []);
    parsed = parseFlags(specs, words, command.notInterspersed !== true && command.commands === undefined);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    throw flagFailure(command, path, error);
  }
  const bare = command.helpWithoutFlags === true && !(command.flags ?? []).some((spec) => parsed.flags.has(spec.name));
  if (parsed.help || bare) {
    if (parsed.deprecatedHelp) context.stderr.write("Flag shorthand -h has been deprecated, please use --help\n");
    out(`\n${usageText(command, path)}`);
    return 0;
  }
  if (isRoot && parsed.flags.bool("version")) {
    const version = engine.version();
    out(`Docker version ${String(version["Version"])}, build ${String(version["GitCommit"])}\n`);
    return 0;
  }
  if (command.run === undefined) {
    const [unknown] = parsed.args;
    if (unknown === undefined) {
      context.stderr.write(`\n${usageText(command, path)}`);
      return 0;
    }
    const missing = commandNotEmulated(isRoot ? "" : path.slice(path.indexOf(" ") + 1), unknown);
    if (missing !== undefined) throw new StatusError(1, missing);
    if (isRoot) throw new StatusError(1, `docker: '${unknown}' is not a docker command.\nSee 'docker --help'`);
    throw new StatusError(1, `\n${usageText(command, path).trimEnd()}`);
  }
  checkArgs(command, path, parsed.args);
  const { flags, args } = parsed;
  return (yield* command.run({ engine, context, flags, args, out, err: (text) => context.stderr.write(text) })) ?? 0;
}
