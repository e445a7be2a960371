/**
 * Endpoints of services (swarmkit manager/allocator/network.go allocateService, libnetwork cnmallocator
 * AllocateService): ports, then a virtual address on the ingress network if one of them is on the routing mesh, then one
 * on each of the service's networks in the order of its spec. Holds no objects.
 */
import type { NetworkObject, ServiceObject } from "../../api/objects.ts";
import type { Endpoint } from "../../api/services.ts";
import { needsIngress } from "../service-modes.ts";
import { AllocationError, NO_AVAILABLE_IP } from "./ipam.ts";
import type { NetworkAllocator } from "./network-allocator.ts";
import { PortAllocator, portsAllocated } from "./port-allocator.ts";

type VirtualIp = Endpoint["virtualIps"][number];

/** VIPs and ports of services. */
export class ServiceAllocator {
  readonly #networks: NetworkAllocator;
  readonly #ports = new PortAllocator();
  /** Virtual addresses that services hold. */
  readonly #virtualIps = new Map<string, readonly VirtualIp[]>();
  /** Notes that an address or a port became free. */
  readonly #released: () => void;

  constructor(networks: NetworkAllocator, released: () => void) {
    this.#networks = networks;
    this.#released = released;
  }

  /** Whether the service has all that its spec asks for, and nothing else. */
  isAllocated(service: ServiceObject, ingress: NetworkObject | undefined): boolean {
    const { spec, endpoint } = service;
    const held = this.#virtualIps.get(service.id);
    const dnsrr = spec.endpoint?.mode === "dnsrr";
    if (dnsrr && held !== undefined) return false;
    const wanted = wantedNetworks(service, ingress);
    if (!dnsrr && (wanted.length > 0 || needsIngress(service))) {
      if (held === undefined || endpoint === undefined) return false;
      const have = endpoint.virtualIps.map(({ networkId }) => networkId);
      if (have.some((id) => !wanted.includes(id)) || wanted.some((id) => !have.includes(id))) return false;
    } else if (!dnsrr && (held ?? []).length > 0) return false;
    const hasPorts = (spec.endpoint?.ports ?? []).length > 0 || (endpoint?.ports ?? []).length > 0;
    return !hasPorts || portsAllocated(service);
  }

  /** The service's endpoint. Throws AllocationError; then the service holds nothing. */
  allocate(service: ServiceObject, ingress: NetworkObject | undefined): Endpoint {
    // Without an endpoint of the user's, all is made anew.
    if (service.spec.endpoint === undefined && service.endpoint !== undefined) this.deallocate(service.id);
    try {
      if (needsIngress(service) && ingress === undefined) throw new AllocationError("ingress network is missing");
      const ports = service.spec.endpoint === undefined ? [] : this.#ports.allocate(service);
      return { spec: service.spec.endpoint, ports, virtualIps: this.#allocateVirtualIps(service, ingress) };
    } catch (error) {
      this.#drop(service.id);
      throw error;
    }
  }

  /** Takes what the store says that the service has. */
  restore(service: ServiceObject): void {
    this.#ports.restore(service);
    const virtualIps = service.endpoint?.virtualIps ?? [];
    if (virtualIps.length === 0) return;
    for (const { networkId, addr } of virtualIps) if (addr !== "") this.#networks.restoreAddress(networkId, addr);
    this.#virtualIps.set(service.id, virtualIps);
  }

  /** Gives back all that a service has. */
  deallocate(serviceId: string): void {
    this.#drop(serviceId);
    this.#released();
  }

  /** A try that failed frees nothing that would be worth another try. */
  #drop(serviceId: string): void {
    this.#ports.deallocate(serviceId);
    this.#release(this.#virtualIps.get(serviceId) ?? []);
    this.#virtualIps.delete(serviceId);
  }

  #release(virtualIps: readonly VirtualIp[]): void {
    for (const { networkId, addr } of virtualIps) if (addr !== "") this.#networks.releaseAddress(networkId, addr);
  }

  /** What it has on networks that are still wanted stays, and stands first. */
  #allocateVirtualIps(service: ServiceObject, ingress: NetworkObject | undefined): VirtualIp[] {
    const held = this.#virtualIps.get(service.id) ?? [];
    const wanted = service.spec.endpoint?.mode === "dnsrr" ? [] : wantedNetworks(service, ingress);
    const virtualIps = held.filter(({ networkId }) => wanted.includes(networkId));
    const unwanted = held.filter(({ networkId }) => !wanted.includes(networkId));
    this.#release(unwanted);
    if (unwanted.length > 0) this.#released();
    this.#virtualIps.set(service.id, virtualIps);
    for (const networkId of wanted) {
      if (virtualIps.some((one) => one.networkId === networkId)) continue;
      virtualIps.push({ networkId, addr: this.#virtualIp(networkId) });
    }
    if (virtualIps.length === 0) this.#virtualIps.delete(service.id);
    return virtualIps;
  }

  #virtualIp(networkId: string): string {
    if (!this.#networks.isAllocated(networkId)) {
      throw new AllocationError("networkallocator: could not find local network state");
    }
    // On networks of the node itself there is nothing to balance.
    if (this.#networks.isNodeLocal(networkId)) return "";
    try {
      return this.#networks.allocateAddress(networkId, []);
    } catch (error) {
      if (error instanceof AllocationError && error.message === NO_AVAILABLE_IP)
        throw new AllocationError(`${NO_AVAILABLE_IP} while allocating VIP`);
      throw error;
    }
  }
}

/** IDs of the networks on which a service is in VIP mode: ingress, then those of its spec. */
function wantedNetworks(service: ServiceObject, ingress: NetworkObject | undefined): string[] {
  const mesh = needsIngress(service) && ingress !== undefined ? [ingress.id] : [];
  return [...new Set([...mesh, ...service.spec.task.networks.map(({ target }) => target)])];
}
