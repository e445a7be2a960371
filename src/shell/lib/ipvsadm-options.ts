/** Command lines of ipvsadm(8) 1.31 (ipvsadm.c parse_options, generic_opt_check): which commands, which options. */
import type { Output } from "../../engine/program.ts";

/** Ends with a message and a status (ipvsadm.c fail). */
export class Refusal extends Error {
  override name = "Refusal";
  readonly status: number;
  constructor(message: string, status = 2) {
    super(message);
    this.status = status;
  }
}

/** Status when main() returns what it does when the kernel refuses: −1. */
export const KERNEL_REFUSED = 255;
/** What ipvsadm is asked to do: one of its command options. */
export type Command =
  | "A"
  | "E"
  | "D"
  | "C"
  | "L"
  | "a"
  | "e"
  | "d"
  | "Z"
  | "S"
  | "R"
  | "set"
  | "start-daemon"
  | "stop-daemon";

/** Names of commands in messages (cmdnames[]). */
const COMMAND_NAMES: Record<Command, string> = {
  A: "add-service",
  E: "edit-service",
  D: "delete-service",
  C: "flush",
  L: "list",
  a: "add-server",
  d: "delete-server",
  e: "edit-server",
  set: "set",
  "start-daemon": "start-daemon",
  "stop-daemon": "stop-daemon",
  R: "restore",
  S: "save",
  Z: "zero",
};

const LONG_COMMANDS: Readonly<Record<string, Command>> = {
  "add-service": "A",
  "edit-service": "E",
  "delete-service": "D",
  clear: "C",
  list: "L",
  "add-server": "a",
  "edit-server": "e",
  "delete-server": "d",
  zero: "Z",
  save: "S",
  restore: "R",
  set: "set",
  "start-daemon": "start-daemon",
  "stop-daemon": "stop-daemon",
};

/** Options with their names in messages (optnames[]); those with `:` take a value, with `?` an optional one. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  n: "numeric",
  c: "connection",
  "t:": "service-address",
  "u:": "service-address",
  "sctp:": "service-address",
  "f:": "service-address",
  "s:": "scheduler",
  "p?": "persistent",
  "M:": "netmask",
  "r:": "real-server",
  m: "forwarding-method",
  g: "forwarding-method",
  i: "forwarding-method",
  "w:": "weight",
  "x:": "u-threshold",
  "y:": "l-threshold",
  timeout: "timeout",
  daemon: "daemon",
  stats: "stats",
  rate: "rate",
  thresholds: "thresholds",
  "persistent-conn": "persistent-conn",
  sort: "sort",
  nosort: "nosort",
  exact: "exact",
  6: "ipv6",
  o: "ops",
  "b:": "sched-flags",
};

const LONG_OPTIONS: Readonly<Record<string, string>> = {
  numeric: "n",
  connection: "c",
  "tcp-service": "t",
  "udp-service": "u",
  "sctp-service": "sctp",
  "fwmark-service": "f",
  scheduler: "s",
  persistent: "p",
  netmask: "M",
  "real-server": "r",
  masquerading: "m",
  gatewaying: "g",
  ipip: "i",
  weight: "w",
  "u-threshold": "x",
  "l-threshold": "y",
  timeout: "timeout",
  daemon: "daemon",
  stats: "stats",
  rate: "rate",
  thresholds: "thresholds",
  "persistent-conn": "persistent-conn",
  sort: "sort",
  nosort: "nosort",
  exact: "exact",
  ipv6: "6",
  ops: "o",
  "sched-flags": "b",
};

/** Options that each command must and may have (commands_v_options[]), by their names in messages. */
const NEEDED: Partial<Record<Command, readonly string[]>> = {
  A: ["service-address"],
  E: ["service-address"],
  D: ["service-address"],
  a: ["service-address", "real-server"],
  d: ["service-address", "real-server"],
  e: ["service-address", "real-server"],
};
const SERVICE_OPTIONS = ["service-address", "scheduler", "persistent", "netmask", "ops", "sched-flags", "ipv6"];
const SERVER_OPTIONS = [
  "service-address",
  "real-server",
  "forwarding-method",
  "weight",
  "u-threshold",
  "l-threshold",
  "ipv6",
];
const LIST_OPTIONS = [
  "numeric",
  "connection",
  "service-address",
  "timeout",
  "daemon",
  "stats",
  "rate",
  "thresholds",
  "persistent-conn",
  "sort",
  "nosort",
  "exact",
  "ipv6",
];
const ALLOWED: Partial<Record<Command, readonly string[]>> = {
  A: SERVICE_OPTIONS,
  E: SERVICE_OPTIONS,
  D: ["service-address", "ipv6"],
  a: SERVER_OPTIONS,
  e: SERVER_OPTIONS,
  d: ["service-address", "real-server", "ipv6"],
  L: LIST_OPTIONS,
  S: ["numeric"],
  Z: ["service-address", "ipv6"],
};

/** A command line, read. */
export interface Line {
  command: Command;
  /** Letters of options with their values. */
  readonly options: Map<string, string>;
  readonly args: string[];
}

function tryHelp(name: string): never {
  throw new Refusal(`Try \`${name} -h' or '${name} --help' for more information.`, KERNEL_REFUSED);
}

/** One word of a command line, as an option letter and, with `=` or behind the letter, its value. */
function* optionsOf(word: string): Generator<{ letter: string; value: string | undefined }> {
  if (word.startsWith("--")) {
    const [long = "", value] = word.slice(2).split(/=(.*)/s);
    yield { letter: LONG_COMMANDS[long] ?? LONG_OPTIONS[long] ?? `?--${long}`, value };
    return;
  }
  for (let rest = word.slice(1); rest !== ""; rest = rest.slice(1)) {
    const letter = rest[0] as string;
    const takes = `${letter}:` in OPTION_NAMES || `${letter}?` in OPTION_NAMES;
    if (takes && rest.length > 1) {
      yield { letter, value: rest.slice(1) };
      return;
    }
    yield { letter, value: undefined };
  }
}

function isCommand(letter: string): letter is Command {
  return Object.hasOwn(COMMAND_NAMES, letter);
}

/** Reads a command line. @throws Refusal */
export function parse(argv: readonly string[], err: Output): Line {
  let command: Command | undefined;
  const options = new Map<string, string>();
  const args: string[] = [];
  const seen = new Set<string>();
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] as string;
    if (!word.startsWith("-") || word === "-") {
      args.push(word);
      continue;
    }
    for (const { letter, value } of optionsOf(word)) {
      if (isCommand(letter) || letter === "l") {
        if (command !== undefined) throw new Refusal("multiple commands specified");
        command = letter === "l" ? "L" : letter;
        continue;
      }
      const key = [letter, `${letter}:`, `${letter}?`].find((one) => one in OPTION_NAMES);
      if (key === undefined) {
        err.write(`${word.startsWith("--") ? word : `-${letter}`}: unknown option\n`);
        tryHelp(argv[0] ?? "ipvsadm");
      }
      const name = OPTION_NAMES[key] as string;
      if (seen.has(name) && name !== "numeric") throw new Refusal(`multiple '${name}' options specified`);
      seen.add(name);
      let text = value;
      const next = argv[at + 1];
      if (text === undefined && key.endsWith(":")) {
        if (next === undefined) {
          err.write(`-${letter}: missing argument\n`);
          tryHelp(argv[0] ?? "ipvsadm");
        }
        text = argv[++at];
      } else if (text === undefined && key.endsWith("?") && next !== undefined && /^\d+$/.test(next)) text = argv[++at];
      options.set(letter, text ?? "");
    }
  }
  if (command === undefined) {
    if (argv.length > 1 && seen.size > 0 && !seen.has("numeric")) tryHelp(argv[0] ?? "ipvsadm");
    command = "L";
  }
  check(command, seen);
  return { command, options, args };
}

function check(command: Command, seen: ReadonlySet<string>): void {
  for (const name of NEEDED[command] ?? []) {
    if (!seen.has(name))
      throw new Refusal(`You need to supply the '${name}' option for the '${COMMAND_NAMES[command]}' command`);
  }
  for (const name of seen) {
    if (!(ALLOWED[command] ?? []).includes(name))
      throw new Refusal(`Illegal '${name}' option with the '${COMMAND_NAMES[command]}' command`);
  }
}
