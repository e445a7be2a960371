/** The runs of a sweep: the product of the values of all keys, each with seeds of its own, and their identities. */
import { UserError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { parseLabWith } from "../lab/parse.ts";
import type { Scalar, Settings } from "../lab/settings.ts";
import { splitOnce } from "./args.ts";
import { version } from "./version.ts";

/** One run. Plain data: it goes to a process of its own. */
export interface SweepRun {
  /** SHA-256 of lab text, parameters, seed and version, in hexadecimal. */
  readonly identity: string;
  /** What is varied, with the values that it has in this run. */
  readonly parameters: Readonly<Record<string, Scalar>>;
  /** From 1. */
  readonly repeat: number;
  /** The lab's for the first repeat, the lab's with `/N` for repeat N. */
  readonly seed: string;
}

/** A part of a sweep: the runs whose identity modulo `count` is `index`. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

const MOST_RUNS = 100_000;

/** A key and its values, from `KEY=v1,v2`; `\,` is a comma within a value. @throws UserError */
export function parseVary(text: string): readonly [string, readonly string[]] {
  const [key, values] = splitOnce(text);
  if (values === undefined || key === "") throw new UserError(`swarmwire sweep: --vary ${text}: expected KEY=v1,v2,…`);
  return [key, values.split(/(?<!\\),/).map((value) => value.replaceAll("\\,", ","))];
}

/** `i/n`, with i from 0 to n-1. @throws UserError */
export function parseShard(text: string): Shard {
  const [index, count] = (/^(\d+)\/(\d+)$/.exec(text)?.slice(1) ?? []).map(Number);
  if (index === undefined || count === undefined || index >= count)
    throw new UserError(`swarmwire sweep: --shard ${text}: expected i/n with i from 0 to n-1, e.g. 0/4`);
  return { index, count };
}

/** Whether a run belongs to a shard. */
export function inShard(identity: string, { index, count }: Shard): boolean {
  return BigInt(`0x${identity}`) % BigInt(count) === BigInt(index);
}

/** The identity of a run: the same wherever and in whichever sweep it is run. */
export function identityOf(
  text: string,
  parameters: Readonly<Record<string, Scalar>>,
  seed: string,
  of: string = version(),
): string {
  const sorted = Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1));
  const digest = sha256(new TextEncoder().encode(JSON.stringify([text, sorted, seed, of])));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * All runs, repeats innermost, the last key before them.
 * @param file the lab's name, which errors carry
 * @throws UserError for keys and values that the lab doesn't take: all are tried before anything runs
 */
export function planSweep(
  file: string,
  text: string,
  vary: readonly (readonly [string, readonly string[]])[],
  repeats: number,
): SweepRun[] {
  const count = vary.reduce((product, [, values]) => product * values.length, repeats);
  if (count > MOST_RUNS) throw new UserError(`swarmwire sweep: ${count} runs are more than ${MOST_RUNS}`);
  const runs: SweepRun[] = [];
  const known = new Set<string>();
  for (const given of product(vary)) {
    const { plan, settings: parameters } = parseLabWith(file, text, given);
    for (let repeat = 1; repeat <= repeats; repeat++) {
      const seed = repeat === 1 ? plan.seed : `${plan.seed}/${repeat}`;
      const identity = identityOf(text, parameters, seed);
      if (known.has(identity))
        throw new UserError(`swarmwire sweep: --vary gives the same run twice: ${describe(parameters)}`);
      known.add(identity);
      runs.push({ identity, parameters, repeat, seed });
    }
  }
  return runs;
}

function product(vary: readonly (readonly [string, readonly string[]])[]): Settings[] {
  let all: [string, string][][] = [[]];
  const keys = new Set<string>();
  for (const [key, values] of vary) {
    if (keys.has(key)) throw new UserError(`swarmwire sweep: --vary ${key} was given twice`);
    keys.add(key);
    all = all.flatMap((before) => values.map((value): [string, string][] => [...before, [key, value]]));
  }
  return all.map((entries) => Object.fromEntries(entries));
}

/** `hosts=10, encrypted=true`. */
export function describe(parameters: Readonly<Record<string, Scalar>>): string {
  const text = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
  return text.length === 0 ? "as the lab has it" : text.join(", ");
}
