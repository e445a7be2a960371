/**
 * What is asked of a plan again and again, in one pass over its containers: those of a host, those of a network, the
 * networks of a host, the services of a network. Rows of numbers in one array each, so that a million containers cost
 * megabytes, and finding a row costs nothing.
 */
import type { MeshPlan } from "./types.ts";

/** Numbers in memory that workers share: a plan that is given to each of them isn't copied for each. */
export function sharedNumbers(count: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(4 * count));
}

/** Rows of numbers of different lengths, one after the other. */
export class Rows {
  readonly #values: Uint32Array;
  readonly #starts: Uint32Array;

  /** @param rowOf number of the row of each value 0 … `count` - 1; within a row values ascend */
  constructor(rows: number, count: number, rowOf: (value: number) => number) {
    this.#starts = new Uint32Array(rows + 1);
    for (let value = 0; value < count; value++) {
      const row = rowOf(value) + 1;
      this.#starts[row] = (this.#starts[row] as number) + 1;
    }
    for (let row = 0; row < rows; row++)
      this.#starts[row + 1] = (this.#starts[row + 1] as number) + (this.#starts[row] as number);
    const next = this.#starts.slice();
    this.#values = new Uint32Array(count);
    for (let value = 0; value < count; value++) {
      const row = rowOf(value);
      const at = next[row] as number;
      this.#values[at] = value;
      next[row] = at + 1;
    }
  }

  /** The values of a row, ascending: a view. */
  row(row: number): Uint32Array {
    return this.#values.subarray(this.#starts[row], this.#starts[row + 1]);
  }
}

/** Rows of a plan, by {@link rowsOf}. */
export interface MeshRows {
  /** Containers of each host. */
  readonly ofHost: Rows;
  /** Containers of each network. */
  readonly ofNetwork: Rows;
  /** Services of each network. */
  readonly services: Rows;
  /** Networks of each host: those with a container there. */
  readonly networks: readonly (readonly number[])[];
}

/** One per plan, for as long as somebody holds the plan. */
const rows = new WeakMap<MeshPlan, MeshRows>();

/** The plan's rows: made at the first call, the same from then on. */
export function rowsOf(plan: MeshPlan): MeshRows {
  const known = rows.get(plan);
  if (known !== undefined) return known;
  const { containers, networks, services, options } = plan;
  const { count, host, network } = containers;
  const ofHost = new Rows(options.hosts, count, (c) => host[c] as number);
  const networksOf: number[][] = Array.from({ length: options.hosts }, () => []);
  for (const [n, { hosts }] of networks.entries()) for (const h of hosts) (networksOf[h] as number[]).push(n);
  const made: MeshRows = {
    ofHost,
    ofNetwork: new Rows(networks.length, count, (c) => network[c] as number),
    services: new Rows(networks.length, services.length, (s) => services[s]?.network as number),
    networks: networksOf,
  };
  rows.set(plan, made);
  return made;
}
