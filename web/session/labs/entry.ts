/** A lab in a list of labs. */
import { parseLabWith } from "../../../src/lab/parse.ts";

/** A lab that comes with swarmwire. */
export interface LabEntry {
  /** As `swarmwire run` takes it. */
  readonly name: string;
  readonly description: string;
  readonly hosts: number;
  readonly steps: number;
  /** Names of its parameters. */
  readonly params: readonly string[];
}

/** @param texts name and text of each lab @returns them by name */
export function labEntries(texts: readonly (readonly [string, string])[]): LabEntry[] {
  return texts
    .map(([name, text]): LabEntry => {
      const { plan, params } = parseLabWith(`${name}.yaml`, text, {});
      const { description, hosts, steps } = plan;
      return { name, description, hosts: hosts.length, steps: steps.length, params: Object.keys(params) };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
