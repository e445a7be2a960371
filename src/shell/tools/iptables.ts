/** iptables and iptables-save 1.8.9 (nf_tables) over a namespace's tables. */
import { KernelError } from "../../base/errors.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { ChainInfo, HookName, IptablesApi, TableName } from "../../kernel/types.ts";
import { IptablesError, parseRule } from "../lib/iptables-parse.ts";
import { type ListOptions, listChain, saveRule } from "../lib/iptables-text.ts";
import { getopt } from "../lib/options.ts";
import { quick } from "../lib/program.ts";

const VERSION = "1.8.9";

const TABLES: readonly TableName[] = ["raw", "mangle", "nat", "filter"];

/** Built-in chains of each table. */
const BUILT_IN: Readonly<Record<TableName, readonly HookName[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

/** A refusal that is printed without version: `iptables: message`, status 1. */
class Refusal extends Error {
  override name = "Refusal";
}

const NO_CHAIN = "No chain/target/match by that name.";
const BAD_RULE = "Bad rule (does a matching rule exist in that chain?).";

/** Chains of a table; of one never used, its built-in ones as they would be. */
function chainsOf(api: IptablesApi, table: TableName): readonly ChainInfo[] {
  const empty = (name: HookName): ChainInfo => ({
    name,
    hook: name,
    policy: "ACCEPT",
    packets: 0,
    bytes: 0,
    rules: [],
  });
  return api.list(table) ?? BUILT_IN[table].map(empty);
}

/** `-A`, `--append` … by their letter. */
const LONG: Readonly<Record<string, string>> = {
  "--append": "-A",
  "--insert": "-I",
  "--delete": "-D",
  "--check": "-C",
  "--flush": "-F",
  "--new-chain": "-N",
  "--new": "-N",
  "--delete-chain": "-X",
  "--policy": "-P",
  "--list": "-L",
  "--list-rules": "-S",
  "--rename-chain": "-E",
  "--zero": "-Z",
  "--replace": "-R",
};

interface Command {
  table: TableName;
  letter: string;
  chain: string | undefined;
  /** `-I CHAIN N`, `-D CHAIN N`, `-L CHAIN N`. */
  position: number | undefined;
  policy: string | undefined;
  verbose: boolean;
  numeric: boolean;
  lineNumbers: boolean;
  exact: boolean;
  /** The words of the rule. */
  readonly rule: string[];
}

function readCommand(argv: readonly string[]): Command {
  const command: Command = {
    table: "filter",
    letter: "",
    chain: undefined,
    position: undefined,
    policy: undefined,
    verbose: false,
    numeric: false,
    lineNumbers: false,
    exact: false,
    rule: [],
  };
  const words = argv.slice(1).flatMap(splitFlags);
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const letter = LONG[word] ?? word;
    if (word === "-t" || word === "--table") command.table = tableOf(words.shift());
    else if (word === "-v" || word === "--verbose") command.verbose = true;
    else if (word === "-n" || word === "--numeric") command.numeric = true;
    else if (word === "-x" || word === "--exact") command.exact = true;
    else if (word === "--line-numbers") command.lineNumbers = true;
    else if (word === "-w" || word === "--wait") {
      if (/^\d+$/.test(words[0] ?? "")) words.shift();
    } else if (command.letter === "" && /^-[AIDCFNXPLSEZR]$/.test(letter)) {
      command.letter = letter.slice(1);
      if (words[0] !== undefined && !words[0].startsWith("-")) command.chain = words.shift();
      if ("IDLRZ".includes(command.letter) && /^\d+$/.test(words[0] ?? "")) command.position = Number(words.shift());
      if (command.letter === "P") command.policy = words.shift();
    } else command.rule.push(word);
  }
  return command;
}

/** `-nvL` → `-n -v -L`; other words stay. */
function splitFlags(word: string): string[] {
  return /^-[nvxLSFXZ]{2,}$/.test(word) ? [...word.slice(1)].map((flag) => `-${flag}`) : [word];
}

function tableOf(name: string | undefined): TableName {
  const table = TABLES.find((known) => known === name);
  if (table === undefined)
    throw new IptablesError(
      `table '${name ?? ""}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.`,
      false,
    );
  return table;
}

function run(context: ProgramContext, command: Command): void {
  const api = context.ns.iptables;
  const { table, chain } = command;
  const exists = (name: string): boolean => chainsOf(api, table).some((known) => known.name === name);
  if (command.letter === "") throw new IptablesError("no command specified");
  if (command.letter === "L" || command.letter === "S") {
    context.stdout.write(show(api, command));
    return;
  }
  if (command.letter === "Z") {
    zero(api, command, exists);
    return;
  }
  if (command.letter === "F") {
    if (chain !== undefined && !exists(chain)) throw new Refusal(NO_CHAIN);
    api.flush(table, chain);
    return;
  }
  if (command.letter === "X") {
    deleteChains(api, command);
    return;
  }
  if (chain === undefined) throw new IptablesError(`option "-${command.letter}" requires an argument`);
  if (command.letter === "N") {
    if (exists(chain)) throw new Refusal("Chain already exists.");
    if (chain.length > 28) throw new IptablesError(`chain name \`${chain}' too long (must be under 29 chars)`);
    api.newChain(table, chain);
    return;
  }
  if (!exists(chain)) {
    if (command.letter === "P") throw new Refusal("Bad built-in chain name.");
    if (command.letter === "D") throw new Refusal(BAD_RULE);
    throw new Refusal(NO_CHAIN);
  }
  if (command.letter === "P") setPolicy(api, command, chain);
  else changeRule(api, command, chain, exists);
}

function zero(api: IptablesApi, { table, chain, position }: Command, exists: (name: string) => boolean): void {
  if (chain !== undefined && !exists(chain)) throw new Refusal(NO_CHAIN);
  // A table that nothing has used yet has no counters.
  if (api.list(table) !== undefined) api.zero(table, chain, position);
}

function setPolicy(api: IptablesApi, command: Command, chain: string): void {
  const hook = BUILT_IN[command.table].find((name) => name === chain);
  if (hook === undefined) throw new Refusal("Bad built-in chain name.");
  if (command.policy !== "ACCEPT" && command.policy !== "DROP")
    throw new Refusal("Bad policy name. Run `dmesg' for more information.");
  api.setPolicy(command.table, hook, command.policy);
}

function deleteChains(api: IptablesApi, command: Command): void {
  const own = chainsOf(api, command.table).filter((chain) => chain.policy === undefined);
  const doomed = command.chain === undefined ? own : own.filter((chain) => chain.name === command.chain);
  if (command.chain !== undefined && doomed.length === 0) throw new Refusal(NO_CHAIN);
  for (const chain of doomed) {
    const why =
      chain.rules.length > 0
        ? "Directory not empty"
        : referencesTo(api, command.table, chain.name) > 0
          ? "Device or resource busy"
          : undefined;
    if (why !== undefined) throw new IptablesError(` CHAIN_DEL failed (${why}): chain ${chain.name}`, false);
    api.deleteChain(command.table, chain.name);
  }
}

function referencesTo(api: IptablesApi, table: TableName, name: string): number {
  const rules = chainsOf(api, table).flatMap((chain) => chain.rules);
  return rules.filter((rule) => rule.target?.kind === "JUMP" && rule.target.chain === name).length;
}

function changeRule(api: IptablesApi, command: Command, chain: string, exists: (name: string) => boolean): void {
  const { table, letter, position } = command;
  const present = chainsOf(api, table).find((known) => known.name === chain)?.rules ?? [];
  if (letter === "D" && position !== undefined) {
    const old = present[position - 1];
    if (old === undefined) throw new Refusal("Index of deletion too big.");
    deleteAt(api, table, chain, position);
    return;
  }
  const rule = parseRule(command.rule, exists);
  if (letter === "A") api.append(table, chain, rule);
  else if (letter === "I") {
    if ((position ?? 1) > present.length + 1 || position === 0) throw new Refusal("Index of insertion too big.");
    api.insert(table, chain, rule, position ?? 1);
  } else if (letter === "D") {
    try {
      api.delete(table, chain, rule);
    } catch (error) {
      if (error instanceof KernelError && error.code === "ENOENT") throw new Refusal(BAD_RULE);
      throw error;
    }
  } else if (letter === "C") {
    if (!api.check(table, chain, rule)) throw new Refusal(BAD_RULE);
  } else if (letter === "R" && position !== undefined) {
    if (present[position - 1] === undefined) throw new Refusal("Index of replacement too big.");
    deleteAt(api, table, chain, position);
    api.insert(table, chain, rule, position);
  } else throw new IptablesError(`unknown option "-${letter}"`);
}

/**
 * Deletes the rule at a position. The kernel's door deletes the first equal rule; of equal rules it is the same one
 * to a packet which of them goes.
 */
function deleteAt(api: IptablesApi, table: TableName, chain: string, position: number): void {
  const rule = chainsOf(api, table).find((known) => known.name === chain)?.rules[position - 1];
  if (rule === undefined) return;
  const { packets: _packets, bytes: _bytes, ...plain } = rule;
  api.delete(table, chain, plain);
}

function show(api: IptablesApi, command: Command): string {
  const all = chainsOf(api, command.table);
  const shown = command.chain === undefined ? all : all.filter((chain) => chain.name === command.chain);
  if (shown.length === 0) throw new Refusal(NO_CHAIN);
  if (command.letter === "S") {
    const heads = shown.map((chain) =>
      chain.policy === undefined ? `-N ${chain.name}` : `-P ${chain.name} ${chain.policy}`,
    );
    const rules = shown.flatMap((chain) => chain.rules.map((rule) => saveRule(chain.name, rule)));
    return `${[...heads, ...rules].join("\n")}\n`;
  }
  const options: ListOptions = command;
  return shown.map((chain) => listChain(chain, referencesTo(api, command.table, chain.name), options)).join("\n");
}

/** iptables(8). */
export const iptables: Program = quick((context) => {
  const { argv, stderr, stdout } = context;
  if (argv[1] === "-V" || argv[1] === "--version") {
    stdout.write(`iptables v${VERSION} (nf_tables)\n`);
    return 0;
  }
  try {
    run(context, readCommand(argv));
    return 0;
  } catch (error) {
    if (error instanceof Refusal) {
      stderr.write(`iptables: ${error.message}\n`);
      return 1;
    }
    if (error instanceof KernelError) {
      stderr.write(
        `iptables: ${error.code === "ENOENT" ? NO_CHAIN : `${error.message.slice(error.message.lastIndexOf(": ") + 2)}.`}\n`,
      );
      return 1;
    }
    if (!(error instanceof IptablesError)) throw error;
    stderr.write(`iptables v${VERSION} (nf_tables): ${error.message}\n`);
    if (error.hint) stderr.write("Try `iptables -h' or 'iptables --help' for more information.\n");
    return 2;
  }
});

/** `Fri Nov 20 09:45:46 2026` (ctime(3)). */
function ctime(seconds: number): string {
  const [day = "", date = "", month, year, time] = new Date(seconds * 1000).toUTCString().split(" ");
  return `${day.slice(0, 3)} ${month} ${date.replace(/^0/, " ")} ${time} ${year}`;
}

/** One table as iptables-save writes it, without its two comment lines. */
export function saveTable(table: TableName, chains: readonly ChainInfo[], counters: boolean): string {
  // The nf_tables backend keeps no counters of policies: always 0.
  const heads = chains.map((chain) => `:${chain.name} ${chain.policy ?? "-"} [0:0]`);
  const rules = chains.flatMap((chain) =>
    chain.rules.map((rule) => `${counters ? `[${rule.packets}:${rule.bytes}] ` : ""}${saveRule(chain.name, rule)}`),
  );
  return `${[`*${table}`, ...heads, ...rules, "COMMIT"].join("\n")}\n`;
}

/** Tables in the order in which they are saved (nft lists them by name order of its own table array). */
const SAVE_ORDER: readonly TableName[] = ["mangle", "raw", "filter", "nat"];

/** iptables-save(8). */
export const iptablesSave: Program = quick((context) => {
  const options = getopt(context.argv, "ct:", { counters: "c", table: "t" });
  const only = options.text("t");
  const date = ctime(unixSeconds(context.os.now()));
  for (const table of SAVE_ORDER) {
    const chains = context.ns.iptables.list(table);
    if (chains === undefined || (only !== undefined && only !== table)) continue;
    context.stdout.write(`# Generated by iptables-save v${VERSION} (nf_tables) on ${date}\n`);
    context.stdout.write(saveTable(table, chains, options.has("c")));
    context.stdout.write(`# Completed on ${date}\n`);
  }
  return 0;
});
