/** Names as one sandbox sees them over its networks (moby libnetwork/sandbox.go ResolveName, resolveName; 20.10). */
import type { Ipv4 } from "../base/addr.ts";
import type { Endpoint } from "./endpoint.ts";

/** Endpoints in the order in which their networks are asked: overlay, then ingress, then local ones. */
export function lookupOrder(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const rank = (e: Endpoint): number => (e.network.ingress ? 1 : e.network.scope === "swarm" ? 0 : 2);
  return [...endpoints].sort((a, b) => rank(a) - rank(b));
}

/**
 * `a.b.c` is looked for as a.b.c on any network, a.b on network c, a on network b.c; links before records.
 * @returns undefined when no network knows the name
 */
export function lookupName(order: readonly Endpoint[], name: string): Ipv4[] | undefined {
  const labels = name.split(".");
  for (let cut = labels.length; cut > 0; cut--) {
    const host = labels.slice(0, cut).join(".");
    const networkName = labels.slice(cut).join(".");
    for (const viaLinks of [true, false]) {
      const found = resolveOn(order, host, networkName, viaLinks);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** One candidate over the networks in order: the first that knows it wins. */
function resolveOn(
  order: readonly Endpoint[],
  host: string,
  networkName: string,
  viaLinks: boolean,
): Ipv4[] | undefined {
  for (const endpoint of order) {
    if (networkName !== "" && networkName !== endpoint.network.name) continue;
    const link = endpoint.options.links?.get(host);
    if ((link !== undefined) !== viaLinks) continue;
    const addresses = endpoint.network.records.resolveName(link ?? host);
    if (addresses !== undefined) return addresses;
  }
  return undefined;
}
