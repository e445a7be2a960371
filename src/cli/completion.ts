/** What Tab offers in `swarmwire shell`: commands from docker's own table, names from the host's engine. */
import type { HostNames } from "../lab/protocol.ts";
import { type Command, commandName } from "../shell/docker/command.ts";
import { ROOT } from "../shell/docker/docker.ts";

/** What can be typed on a host. */
export interface CompletionSources {
  readonly hosts: readonly string[];
  /** Programs of a host. */
  readonly programs: readonly string[];
  readonly names: HostNames;
}

const LOCAL_COMMANDS = ["@help", "@hosts", "@wait"];
/** Flags whose value is a name of the engine. */
const FLAG_VALUES: Readonly<Record<string, keyof HostNames>> = { "--network": "networks", "--net": "networks" };

/**
 * Completes the last word of a line.
 * @returns the words that fit, each with the blank that follows it, and the part of the line that they replace
 */
export function complete(line: string, sources: CompletionSources): [string[], string] {
  const command = /(?:^|[;&|]|\$\()\s*([^;&|]*)$/.exec(line)?.[1] ?? line;
  const words = command.split(/\s+/);
  const word = words.pop() ?? "";
  const candidates = candidatesFor(words, word, line.startsWith("@"), sources);
  return [candidates.filter((candidate) => candidate.startsWith(word)).map((candidate) => `${candidate} `), word];
}

function candidatesFor(
  before: readonly string[],
  word: string,
  local: boolean,
  sources: CompletionSources,
): readonly string[] {
  const [program, ...rest] = before;
  if (local) return program === undefined ? [...sources.hosts.map((host) => `@${host}`), ...LOCAL_COMMANDS] : [];
  if (program === undefined) return [...new Set(["docker", "nsenter", ...sources.programs])].sort();
  return program === "docker" ? dockerCandidates(rest, word, sources.names) : [];
}

function dockerCandidates(before: readonly string[], word: string, names: HostNames): readonly string[] {
  let command: Command = ROOT;
  const path: string[] = [];
  let rest = before;
  while (command.commands !== undefined && rest[0] !== undefined) {
    const next: Command | undefined = command.commands.find(
      (child) => commandName(child) === rest[0] || child.aliases?.includes(rest[0] as string),
    );
    if (next === undefined) return [];
    path.push(commandName(next));
    command = next;
    rest = rest.slice(1);
  }
  if (command.commands !== undefined && !word.startsWith("-")) return command.commands.map(commandName).sort();
  if (word.startsWith("-")) {
    const flags = (command.flags ?? []).filter((flag) => flag.hidden !== true).map((flag) => `--${flag.name}`);
    return [...flags, "--help"].sort();
  }
  const value = FLAG_VALUES[rest.at(-1) ?? ""];
  return value === undefined ? argumentsOf(command, path, rest, names) : names[value];
}

/** Names that a command takes, by what its synopsis calls them. */
function argumentsOf(
  command: Command,
  path: readonly string[],
  rest: readonly string[],
  names: HostNames,
): readonly string[] {
  const given = rest.filter((word) => !word.startsWith("-")).length;
  const wanted = command.use.split(" ").filter((part) => /^[A-Z]+$/.test(part));
  const kind = wanted[Math.min(given, wanted.length - 1)] ?? "";
  if (path.join(" ") === "inspect") return [...names.containers, ...names.networks, ...names.images];
  if (path.at(-1) === "create" && path[0] === "network") return [];
  if (kind === "CONTAINER") return names.containers;
  if (kind === "NETWORK") return names.networks;
  return kind === "IMAGE" ? names.images : [];
}
