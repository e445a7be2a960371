/** What Tab offers behind a command line: programs, their words, names of the engine's objects, files. */
import { type DockerNames, dockerWords } from "./docker.ts";
import { toolWords } from "./tools.ts";

/** What can be typed at a place: on a host, or in a container. */
export interface CompletionSources {
  /** Programs, and the shell's own commands. */
  readonly programs: readonly string[];
  /** Names that docker knows; undefined where there is no docker. */
  readonly docker: DockerNames | undefined;
  /** Network devices. */
  readonly devices: readonly string[];
  /** Names that can be looked up. */
  readonly hosts: readonly string[];
  /** The shell's directory. */
  readonly cwd: string;
  /** Names in a directory, those of directories with a slash behind; undefined when it is none. */
  list(directory: string): readonly string[] | undefined;
  /** The same within a container, by its name or ID. */
  inContainer(container: string): CompletionSources | undefined;
}

/** What fits. */
export interface Completion {
  /** Words, each with what follows it: a blank, or a slash behind a directory. */
  readonly candidates: readonly string[];
  /** The part of the line, at its end, that they replace. */
  readonly word: string;
}

/** Programs that run another one, which begins behind their options. */
const RUNNERS: Readonly<Record<string, RegExp>> = {
  sudo: /^-/,
  time: /^-/,
  nohup: /^-/,
  nsenter: /^-|^\d+$/,
};

/** Completes the last word of a line. */
export function complete(line: string, sources: CompletionSources): Completion {
  const command = /(?:^|[;&|(`]|\$\()\s*([^;&|(`]*)$/.exec(line)?.[1] ?? line;
  const words = command.split(/\s+/);
  const word = words.pop() ?? "";
  const redirected = />+$/.test(words.at(-1) ?? "");
  const offered = redirected ? undefined : commandWords(words, word, sources);
  // Behind `=` stands the value of a long option.
  const part = /^--[\w-]+=(.*)$/s.exec(word)?.[1] ?? word.replace(/^[<>]+/, "");
  const fitting = offered?.filter((candidate) => candidate.startsWith(part)).map(ended);
  return { candidates: fitting ?? files(part, sources), word: part };
}

/** What follows a word that is whole. */
function ended(word: string): string {
  return /[=/]$/.test(word) ? word : `${word} `;
}

/** Words that fit behind others; undefined: files. */
function commandWords(
  before: readonly string[],
  word: string,
  sources: CompletionSources,
): readonly string[] | undefined {
  const [program, ...rest] = before.filter((one, i) => i > 0 || !/^\w+=/.test(one));
  if (program === undefined) return word.includes("/") ? undefined : [...new Set(sources.programs)].sort();
  const options = RUNNERS[program];
  if (options !== undefined) {
    if (word.startsWith("--net=")) return undefined;
    if (program === "nsenter" && (rest.length === 0 || word.startsWith("-"))) return NSENTER_OPTIONS;
    const begin = rest.findIndex((one) => !options.test(one));
    return commandWords(begin < 0 ? [] : rest.slice(begin), word, sources);
  }
  if (program !== "docker" || sources.docker === undefined) return toolWords(program, rest, word, sources);
  const offered = dockerWords(rest, word, sources.docker);
  if (!("container" in offered)) return offered;
  const inside = sources.inContainer(offered.container);
  return inside === undefined ? [] : commandWords(offered.command, word, inside);
}

const NSENTER_OPTIONS = ["-t", "-n", "--target", "--net", "--net=/run/docker/netns/"];

/** Paths that fit. */
function files(word: string, { cwd, list }: CompletionSources): string[] {
  const slash = word.lastIndexOf("/") + 1;
  const [typed, name] = [word.slice(0, slash), word.slice(slash)];
  const directory = typed.startsWith("/") ? typed : `${cwd === "/" ? "" : cwd}/${typed}`;
  const path = directory.length > 1 ? directory.replace(/\/+$/, "") : directory;
  return (list(path) ?? [])
    .filter((one) => one.startsWith(name) && (name.startsWith(".") || !one.startsWith(".")))
    .map((one) => ended(`${typed}${one}`));
}
