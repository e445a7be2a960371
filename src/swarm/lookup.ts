/** How an object of the swarm is found by what a user typed (moby daemon/cluster/helpers.go getNetwork, getNode, getService, getTask). */
import { SwarmError } from "./api/status.ts";

/** By full ID, exact name, then prefix of the ID. Throws 404 and 400 (ambiguous). */
export function lookup<T extends { readonly id: string }>(
  kind: string,
  input: string,
  objects: readonly T[],
  nameOf: (object: T) => string,
): T {
  const byId = objects.find((object) => object.id === input);
  if (byId !== undefined) return byId;
  let found = objects.filter((object) => nameOf(object) === input);
  if (found.length === 0) found = objects.filter((object) => object.id.startsWith(input));
  const [first] = found;
  if (first === undefined) throw new SwarmError(404, `${kind} ${input} not found`);
  if (found.length > 1) throw new SwarmError(400, `${kind} ${input} is ambiguous (${found.length} matches found)`);
  return first;
}
