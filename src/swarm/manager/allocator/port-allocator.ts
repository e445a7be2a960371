/**
 * Ports of the routing mesh (swarmkit manager/allocator/portallocator.go): per protocol, a port belongs to one
 * service in the whole cluster; a port that a service doesn't choose comes from 30000…32767, next-fit. Ports in host
 * mode are no business of the allocator.
 */

import { deepEqual } from "../../api/equality.ts";
import type { ServiceObject } from "../../api/objects.ts";
import type { PublishedPort } from "../../api/services.ts";
import { AllocationError } from "./ipam.ts";
import { NextFit } from "./next-fit.ts";

const FIRST_PORT = 1;
const LAST_PORT = 65_535;
const FIRST_DYNAMIC = 30_000;
const LAST_DYNAMIC = 32_767;

/** One protocol's ports. */
class PortSpace {
  readonly #master = new NextFit(FIRST_PORT, LAST_PORT);
  readonly #dynamic = new NextFit(FIRST_DYNAMIC, LAST_DYNAMIC);

  take(port: number): number {
    if (port === 0) {
      const found = this.#dynamic.next();
      if (found === undefined) throw new AllocationError("no bit available");
      this.#master.take(found);
      return found;
    }
    if (!this.#master.take(port)) throw new AllocationError("requested bit is already allocated");
    if (port >= FIRST_DYNAMIC && port <= LAST_DYNAMIC) this.#dynamic.take(port);
    return port;
  }

  release(port: number): void {
    this.#master.release(port);
    this.#dynamic.release(port);
  }
}

/** Published ports of the routing mesh (cnmallocator/portallocator.go). */
export class PortAllocator {
  readonly #spaces = { tcp: new PortSpace(), udp: new PortSpace(), sctp: new PortSpace() };
  /** Ports of the mesh that each service holds. */
  readonly #held = new Map<string, PublishedPort[]>();

  /** The service's ports as they are given: its own choice, else what it had, else the next. Throws AllocationError. */
  allocate(service: ServiceObject): PublishedPort[] {
    const configs = reconcile(service);
    this.deallocate(service.id);
    const held: PublishedPort[] = [];
    this.#held.set(service.id, held);
    try {
      return configs.map((config) => {
        if (config.publishMode === "host") return config;
        const port = { ...config, publishedPort: this.#spaces[config.protocol].take(config.publishedPort) };
        held.push(port);
        return port;
      });
    } catch (error) {
      this.deallocate(service.id);
      throw error;
    }
  }

  /** Takes what the store says that the service has. */
  restore(service: ServiceObject): void {
    const held = (service.endpoint?.ports ?? []).filter((port) => port.publishMode === "ingress");
    for (const { protocol, publishedPort } of held) this.#spaces[protocol].take(publishedPort);
    this.#held.set(service.id, held);
  }

  deallocate(serviceId: string): void {
    for (const { protocol, publishedPort } of this.#held.get(serviceId) ?? []) {
      this.#spaces[protocol].release(publishedPort);
    }
    this.#held.delete(serviceId);
  }
}

function sameButPort(a: PublishedPort, b: PublishedPort): boolean {
  return a.name === b.name && a.protocol === b.protocol && a.targetPort === b.targetPort;
}

/** Takes the port that an allocation gave to a wish out of a list. */
function takeState(states: PublishedPort[], config: PublishedPort): PublishedPort | undefined {
  const at = states.findIndex(
    (state) =>
      sameButPort(state, config) && (config.publishedPort === 0 || state.publishedPort === config.publishedPort),
  );
  return at < 0 ? undefined : states.splice(at, 1)[0];
}

function ingressStates(service: ServiceObject): PublishedPort[] {
  return (service.endpoint?.ports ?? []).filter((port) => port.publishMode === "ingress");
}

/** Ports with a number first; then the others, each with the number that it had (reconcilePortConfigs). */
function reconcile(service: ServiceObject): PublishedPort[] {
  const configs = service.spec.endpoint?.ports ?? [];
  if (service.endpoint === undefined) return [...configs];
  const states = ingressStates(service);
  const fixed = configs.filter((config) => config.publishMode === "host" || config.publishedPort !== 0);
  for (const config of fixed) if (config.publishMode === "ingress") takeState(states, config);
  const open = configs.filter((config) => config.publishMode === "ingress" && config.publishedPort === 0);
  return [...fixed, ...open.map((config) => takeState(states, config) ?? config)];
}

/** Whether a service's ports are as its spec wants them (isPortsAllocated, HostPublishPortsNeedUpdate). */
export function portsAllocated(service: ServiceObject): boolean {
  const { endpoint } = service;
  const wished = service.spec.endpoint?.ports;
  if (endpoint === undefined || wished === undefined) return endpoint === undefined && wished === undefined;
  if (wished.length !== endpoint.ports.length) return false;
  const states = ingressStates(service);
  const byPriority = [...wished].sort((a, b) => Number(a.publishedPort === 0) - Number(b.publishedPort === 0));
  return byPriority.every((config) =>
    config.publishMode === "host"
      ? endpoint.ports.some((port) => deepEqual(port, config))
      : takeState(states, config) !== undefined,
  );
}
