/** What Tab offers behind `docker`: its own table of commands and flags, and names of the engine's objects. */
import { type Command, commandName } from "../docker/command.ts";
import { ROOT } from "../docker/docker.ts";
import type { FlagSpec } from "../docker/flags.ts";

/** Names of what an engine has; on a manager, of what its swarm has too. */
export interface DockerNames {
  readonly containers: readonly string[];
  readonly networks: readonly string[];
  readonly images: readonly string[];
  readonly services: readonly string[];
  readonly nodes: readonly string[];
  readonly stacks: readonly string[];
}

/** A command for a container: the words of it that stand there. */
export interface InContainer {
  readonly container: string;
  readonly command: readonly string[];
}

/** What a synopsis calls the names of objects. */
const KINDS: Readonly<Record<string, keyof DockerNames>> = {
  CONTAINER: "containers",
  NETWORK: "networks",
  IMAGE: "images",
  SERVICE: "services",
  NODE: "nodes",
  STACK: "stacks",
};

/** Flags whose value is a name of the engine. */
const FLAG_NAMES: Readonly<Record<string, keyof DockerNames>> = {
  network: "networks",
  net: "networks",
  "network-add": "networks",
  "network-rm": "networks",
};

/** Flags whose value is one of a few words. */
const FLAG_WORDS: Readonly<Record<string, readonly string[]>> = {
  availability: ["active", "drain", "pause"],
  driver: ["bridge", "overlay"],
  "endpoint-mode": ["dnsrr", "vip"],
  mode: ["global", "global-job", "replicated", "replicated-job"],
  restart: ["always", "no", "on-failure", "unless-stopped"],
  "restart-condition": ["any", "none", "on-failure"],
  role: ["manager", "worker"],
  scope: ["local", "swarm"],
  "update-failure-action": ["continue", "pause", "rollback"],
  "update-order": ["start-first", "stop-first"],
};

/** @param before words behind `docker`, @param word the one that is completed */
export function dockerWords(
  before: readonly string[],
  word: string,
  names: DockerNames,
): readonly string[] | InContainer {
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
  return flagValue(command, rest, word, names) ?? argumentWords(command, path, rest, word, names);
}

/** The flag of which the word is the value: `--flag word`, `-f word`, or `--flag=word`. */
function flagValue(
  { flags = [] }: Command,
  rest: readonly string[],
  word: string,
  names: DockerNames,
): readonly string[] | undefined {
  const assigned = /^--([\w-]+)=/.exec(word)?.[1];
  const name = assigned ?? /^--?([\w-]+)$/.exec(rest.at(-1) ?? "")?.[1];
  if (name === undefined) return undefined;
  const flag = flags.find((one) => one.name === name || (assigned === undefined && one.short === name));
  if (flag?.type === undefined) return undefined;
  const kind = FLAG_NAMES[flag.name];
  if (kind !== undefined) return names[kind];
  return FLAG_WORDS[flag.name] ?? [];
}

function argumentWords(
  command: Command,
  path: readonly string[],
  rest: readonly string[],
  word: string,
  names: DockerNames,
): readonly string[] | InContainer {
  const given = argumentsOf(rest, command);
  const runs = path.at(-1) === "exec" || path.at(-1) === "run";
  if (path.at(-1) === "exec" && given[0] !== undefined) return { container: given[0], command: given.slice(1) };
  if (runs && given.length > 0) return [];
  if (word.startsWith("-")) {
    const flags = (command.flags ?? []).filter((flag) => flag.hidden !== true).map((flag) => `--${flag.name}`);
    return [...flags, "--help"].sort();
  }
  if (path.join(" ") === "inspect") return [...names.containers, ...names.networks, ...names.images, ...names.services];
  if (path.join(" ") === "swarm join-token") return ["manager", "worker"];
  if (path.at(-1) === "create" && path[0] === "network") return [];
  if (path.join(" ") === "service scale") return names.services.map((name) => `${name}=`);
  const wanted = command.use
    .split(" ")
    .slice(1)
    .filter((part) => part !== "[OPTIONS]");
  const parts = (wanted[Math.min(given.length, wanted.length - 1)] ?? "").replace(/[[\].]/g, "").split("|");
  const kind = KINDS[parts.find((part) => part in KINDS) ?? ""];
  return kind === undefined ? [] : names[kind];
}

/** Words that are neither flags nor their values. */
function argumentsOf(rest: readonly string[], { flags = [], notInterspersed = false }: Command): string[] {
  const given: string[] = [];
  for (let i = 0; i < rest.length; i++) {
    const one = rest[i] as string;
    if (!one.startsWith("-") || (notInterspersed && given.length > 0)) given.push(one);
    else if (!one.includes("=") && takesValue(one, flags)) i++;
  }
  return given;
}

/** Whether the next word is the flag's value; of letters together the last one says so. */
function takesValue(word: string, flags: readonly FlagSpec[]): boolean {
  const name = word.startsWith("--") ? word.slice(2) : word.slice(-1);
  return flags.some((flag) => flag.type !== undefined && (flag.name === name || flag.short === name));
}
