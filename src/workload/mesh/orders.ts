/**
 * In which order hosts learn of a service's tasks. In swarms that converged over the wire a host knows its own tasks first, as
 * libnetwork adds them when they start; then come those of other hosts, one host after the other as gossip and bulk syncs
 * bring them, which is another order on each host. It matters: IPVS's round robin begins with the newest destination, so with
 * one order for all, the first connections of all hosts would go to the same task.
 */
import type { Random } from "../../base/random.ts";
import { sharedNumbers } from "./rows.ts";
import type { MeshPlan, MeshService } from "./types.ts";

/**
 * A service's containers as each of the hosts learns of them: its own, then host by host as drawn.
 * @param take makes the arrays
 */
export function learntOrders(
  containers: Uint32Array,
  hosts: readonly number[],
  hostOf: MeshPlan["containers"]["host"],
  random: Random,
  take: (count: number) => Uint32Array = (count) => new Uint32Array(count),
): readonly Uint32Array[] {
  const byHost = new Map<number, number[]>();
  for (const container of containers) {
    const host = hostOf[container] as number;
    const own = byHost.get(host);
    if (own === undefined) byHost.set(host, [container]);
    else own.push(container);
  }
  const all = [...byHost.keys()];
  return hosts.map((host) => {
    const others = shuffled(
      all.filter((other) => other !== host),
      random,
    );
    const order = take(containers.length);
    let at = 0;
    for (const from of [host, ...others]) for (const container of byHost.get(from) ?? []) order[at++] = container;
    return order;
  });
}

/** Fisher and Yates' shuffle, in place. */
function shuffled<T>(list: T[], random: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
  return list;
}

/** Services with an order for each host of their networks; all their numbers lie in one block of shared memory. */
export function withLearntOrders(
  services: readonly MeshService[],
  networks: MeshPlan["networks"],
  hostOf: MeshPlan["containers"]["host"],
  random: Random,
): MeshService[] {
  const hostsOf = ({ network }: MeshService): readonly number[] => networks[network]?.hosts ?? [];
  const all = sharedNumbers(services.reduce((sum, one) => sum + one.containers.length * (1 + hostsOf(one).length), 0));
  let used = 0;
  const take = (count: number): Uint32Array => {
    used += count;
    return all.subarray(used - count, used);
  };
  return services.map((service) => {
    const containers = take(service.containers.length);
    containers.set(service.containers);
    return { ...service, containers, orders: learntOrders(containers, hostsOf(service), hostOf, random, take) };
  });
}
