/**
 * What a run of a mesh takes of the machine's memory, said before it begins: the kernels' part is known to some percent
 * (src/workload/mesh/footprint.ts), that of programs is what was measured of runs of 16 to 1,000 hosts, generously.
 */
import { UserError } from "../../base/errors.ts";
import { meshFootprint, requireMeshMemory } from "../../workload/mesh/footprint.ts";
import type { MeshOptions } from "../../workload/mesh/types.ts";

/** Node itself, the modules, the compiled kernel, JavaScript's young generation. */
const PROCESS = 110 * 2 ** 20;
/** A thread besides the first with its isolate. With several workers the first thread only coordinates. */
const THREAD = 70 * 2 ** 20;
/** A host's objects: scheduler, kernel doors, NIC, its part of the topology. */
const HOST = 24 * 2 ** 10;
/** A container in a plan: typed arrays, of which every thread has a copy, with orders on the hosts of its network. */
const CONTAINER = 40;
/** A flow in a plan, and what is measured of it. */
const FLOW = 600;
/** Gossip: a host's engine, agent and gossip; and what each host knows of each other one. */
const DAEMON = 1.5 * 2 ** 20;
const MEMBER = 1536;
/** Gossip: a container's objects. */
const TASK = 24 * 2 ** 10;
/** Bytes that a run takes, about. */
export interface MeshMemory {
  /** In the workers' kernels. */
  readonly kernels: number;
  /** Besides: Node, JavaScript. */
  readonly programs: number;
  readonly total: number;
}

/** Estimates what a run takes. */
export function meshMemory(options: MeshOptions, workers: number): MeshMemory {
  const { hosts, containers, flows, control } = options;
  const threads = workers === 1 ? 1 : workers + 1;
  const kernels = meshFootprint(options, workers).bytes;
  const plan = CONTAINER * containers + FLOW * flows;
  const daemons = control === "converged" ? 0 : DAEMON * hosts + MEMBER * hosts * hosts + TASK * containers;
  const programs = PROCESS + (threads - 1) * THREAD + HOST * hosts + threads * plan + daemons;
  return { kernels, programs, total: kernels + programs };
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(bytes < 10 * 2 ** 30 ? 2 : 1)} GiB`;

/**
 * Refuses a mesh that doesn't fit.
 * @param limit bytes
 * @param what whose limit it is, in words, `of memory are free` for example
 * @throws UserError that says what it takes, what there is, and what would fit
 */
export function requireMemory(options: MeshOptions, workers: number, limit: number, what: string): MeshMemory {
  const found = meshMemory(options, workers);
  if (found.total > limit) {
    const parts = `${gib(found.kernels)} in the kernels of ${workers} ${workers === 1 ? "worker" : "workers"}, ${gib(found.programs)} besides`;
    throw new UserError(
      `the mesh takes about ${gib(found.total)} (${parts}), and ${gib(limit)} ${what}: ${fitting(options, workers, limit)}`,
    );
  }
  requireMeshMemory(options, workers);
  return found;
}

/** The largest mesh of the same proportions that fits, in words. */
function fitting(options: MeshOptions, workers: number, limit: number): string {
  const scaled = (share: number): MeshOptions => {
    const part = (number: number): number => Math.max(1, Math.floor(number * share));
    const { hosts, containers, flows, networks, encrypted } = options;
    return {
      ...options,
      ...{ hosts: part(hosts), containers: part(containers), flows: Math.floor(flows * share) },
      ...{ networks: part(networks), encrypted: Math.floor(encrypted * share) },
    };
  };
  let [low, high] = [0, 1];
  for (let i = 0; i < 30; i++) {
    const middle = (low + high) / 2;
    if (meshMemory(scaled(middle), workers).total <= limit) low = middle;
    else high = middle;
  }
  const { hosts, containers, flows } = scaled(low);
  if (meshMemory(scaled(low), workers).total > limit) return "not even one host would fit";
  const tidy = (number: number): number => Number(number.toPrecision(2));
  return `about ${tidy(hosts)} hosts with ${tidy(containers)} containers and ${tidy(flows)} flows would fit`;
}
