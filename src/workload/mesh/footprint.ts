/**
 * What a mesh will take of the kernels' memory, said before it is made: a run that can't fit ends at once, with what
 * helps, instead of after minutes.
 */
import { UserError } from "../../base/errors.ts";
import { differentDnsRules, footprint, WORKER_LIMIT } from "../../kernel/footprint.ts";
import type { MeshOptions } from "./types.ts";

/** Memory that a mesh needs. */
export interface MeshFootprint {
  /** Bytes of all kernels. */
  readonly bytes: number;
  /** Bytes of one worker's kernel, hosts spread evenly. */
  readonly worker: number;
}

/** A kernel takes memory in steps, and packets under way need some. */
const RESERVE = 64 * 2 ** 20;
/** How uneven hosts may be spread over workers. */
const UNEVEN = 1.1;

/**
 * Estimates the kernels' memory of a mesh whose hosts and containers are spread evenly over its networks and workers.
 * What the daemons of a real swarm hold outside the kernels is not in it.
 */
export function meshFootprint(options: MeshOptions, workers: number): MeshFootprint {
  const { hosts, containers, networks, flows, control } = options;
  const each = containers / networks;
  const span = Math.min(options.span, each);
  /** Networks on hosts. */
  const places = networks * span;
  const shared = footprint({
    host: hosts,
    engine: hosts,
    identification: flows > 0 ? hosts : 0,
    network: places,
    container: containers,
    peer: networks * ((span - 1) * each + span * (span - 1)),
    service: places * options.services,
    destination: options.services > 0 ? places * each : 0,
    ...encryption(options, span),
    ...traffic(flows, containers),
  });
  const dns = control === "gossip" ? dnsServers((containers + places) / workers) : 0;
  return { bytes: shared + workers * (dns + footprint({ worker: 1 })), worker: shared / workers + dns };
}

/** DNS servers of so many sandboxes of a real swarm: their sockets, and rules for whatever ports they have got. */
function dnsServers(sandboxes: number): number {
  const sockets = footprint({ udpSocket: sandboxes, tcpListener: sandboxes, active: sandboxes });
  return sockets + footprint({ dnsRules: differentDnsRules(sandboxes) });
}

/** Associations of each ordered pair of hosts that share an encrypted network; networks span neighbours, so pairs meet once. */
function encryption({ encrypted, hosts }: MeshOptions, span: number): { association: number; policy: number } {
  const pairs = Math.min(encrypted * span * (span - 1), hosts * (hosts - 1));
  return { association: 4 * pairs, policy: pairs };
}

/** A flow has a socket at each end, is tracked in the namespaces on its way, and wakes those. */
function traffic(flows: number, containers: number): Parameters<typeof footprint>[0] {
  const ends = 2 * flows;
  return {
    active: Math.min(ends, containers),
    neighbour: ends,
    connection: 2 * ends,
    tcpListener: ends,
    udpSocket: ends,
  };
}

/**
 * Refuses a mesh that can't fit.
 * @throws UserError that says what it needs, what there is, and what helps
 */
export function requireMeshMemory(options: MeshOptions, workers: number): MeshFootprint {
  const found = meshFootprint(options, workers);
  const need = found.worker * UNEVEN + RESERVE;
  if (need <= WORKER_LIMIT) return found;
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  let enough = workers;
  while (enough < 64 && meshFootprint(options, enough).worker * UNEVEN + RESERVE > WORKER_LIMIT) enough++;
  const fits = meshFootprint(options, enough).worker * UNEVEN + RESERVE <= WORKER_LIMIT;
  throw new UserError(
    `the mesh needs about ${gib(need)} in each of ${workers} ${workers === 1 ? "worker" : "workers"}, which can have ` +
      `${gib(WORKER_LIMIT)}: ${fits ? `use ${enough} workers, or ` : ""}fewer containers, or networks that span fewer hosts`,
  );
}
