/**
 * What a mesh will take of the kernels' memory, said before it is made: a run that can't fit ends at once, with what
 * helps, instead of after minutes.
 */
import { UserError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import { differentDnsRules, footprint, WORKER_LIMIT } from "../../kernel/footprint.ts";
import type { MeshOptions, TrafficKind } from "./types.ts";

/** Memory that a mesh needs. */
export interface MeshFootprint {
  /** Bytes of all kernels. */
  readonly bytes: number;
  /** Bytes of one worker's kernel, hosts spread evenly. */
  readonly worker: number;
}

/** A kernel takes memory in steps, and packets under way need some. */
const RESERVE = 64 * 2 ** 20;
/** A request's connection, in all kernels on its way (measured with and without a VIP); and how long it is remembered. */
const REQUEST = 1600;
const REMEMBERED = 120 * SEC;
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
  const things = footprint({
    host: hosts,
    engine: hosts,
    identification: flows > 0 ? hosts : 0,
    identificationPage: flows > 0 ? hosts * met(64, (places / hosts) * (span - 1)) : 0,
    network: places,
    container: containers,
    peer: networks * ((span - 1) * each + span * (span - 1)),
    service: places * options.services,
    destination: options.services > 0 ? places * each : 0,
    ...encryption(options, span),
    ...traffic(options),
  });
  const shared = things + requests(options);
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

/** How many of so many things are met when one is drawn at random so often. */
const met = (things: number, draws: number): number => (things === 0 ? 0 : things * (1 - Math.exp(-draws / things)));

const shareOf = ({ traffic }: MeshOptions, ...kinds: readonly TrafficKind[]): number =>
  traffic.filter((kind) => kinds.includes(kind)).length / Math.max(1, traffic.length);

/**
 * A flow has a socket at its sender, is tracked in the namespaces on its way, and wakes those. Receivers listen: a container
 * that is called, and all tasks of a service whose VIP is called, whether anything comes to them or not.
 */
function traffic(options: MeshOptions): Parameters<typeof footprint>[0] {
  const { flows, containers, networks, services, vipShare } = options;
  const listening = (...kinds: readonly TrafficKind[]): number => {
    const own = flows * shareOf(options, ...kinds);
    const toVip = own * vipShare;
    const all = networks * services;
    const tasks = all === 0 ? 0 : (met(all, toVip) * containers) / all;
    return Math.min(containers, tasks + met(containers, own - toVip));
  };
  const [datagrams, requested] = [listening("cbr", "poisson"), listening("rr")];
  const called = met(containers, flows * shareOf(options, "bulk", "incast"));
  return {
    active: Math.min(containers, Math.max(datagrams, requested) + called + met(containers, flows)),
    neighbour: 2 * flows,
    connection: 4 * flows,
    tcpListener: requested + called,
    udpSocket: datagrams + flows,
  };
}

/** Connections of requests: tracked on their way, and in TIME_WAIT for a while after. */
function requests(options: MeshOptions): number {
  const { flows, rate, duration } = options;
  return (flows * shareOf(options, "rr") * rate * Math.min(duration, REMEMBERED) * REQUEST) / SEC;
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
  const less =
    requests(options) > found.bytes / 2
      ? "fewer requests: a shorter duration, a lower rate, fewer flows of rr"
      : "fewer containers, or networks that span fewer hosts";
  throw new UserError(
    `the mesh needs about ${gib(need)} in each of ${workers} ${workers === 1 ? "worker" : "workers"}, which can have ` +
      `${gib(WORKER_LIMIT)}: ${fits ? `use ${enough} workers, or ` : ""}${less}`,
  );
}
