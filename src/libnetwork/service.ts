/**
 * Services of a node's networks: which backends a service has on a network, under which firewall mark, and the
 * names that go with them (moby libnetwork/service.go, service_common.go, 20.10). IPVS itself hangs on
 * LoadBalancerProgrammer.
 */
import type { Ipv4 } from "../base/addr.ts";
import type { DaemonLog } from "./log.ts";
import type { Network } from "./network.ts";
import type { PortConfig } from "./records.ts";

/** First firewall mark of a daemon's life (service.go fwMarkCtr). */
export const FIRST_FWMARK = 256;

/** A backend as it is announced: by this node's own endpoint or by `endpoint_table`. */
export interface ServiceBinding {
  readonly serviceName: string;
  readonly serviceId: string;
  readonly endpointId: string;
  readonly containerName: string;
  /** Undefined for dnsrr services. */
  readonly vip: Ipv4 | undefined;
  readonly ingressPorts: readonly PortConfig[];
  readonly serviceAliases: readonly string[];
  readonly taskAliases: readonly string[];
  readonly ip: Ipv4;
}

/** One service on one network of this node. */
export interface LoadBalancer {
  readonly serviceId: string;
  readonly serviceName: string;
  readonly ingressPorts: readonly PortConfig[];
  readonly vip: Ipv4 | undefined;
  readonly fwMark: number;
  /** By endpoint ID. */
  readonly backends: Map<string, { readonly ip: Ipv4; disabled: boolean }>;
}

/** What programs the kernel's load balancer for a network's sandbox. */
export interface LoadBalancerProgrammer {
  /** A backend is there (again); the first one of a balancer makes the service. */
  addBackend(network: Network, balancer: LoadBalancer, ip: Ipv4): void;
  /**
   * A backend is gone.
   * @param removeService it was the last one
   * @param fullRemove false: only its weight becomes 0
   */
  removeBackend(network: Network, balancer: LoadBalancer, ip: Ipv4, removeService: boolean, fullRemove: boolean): void;
}

interface Service {
  readonly balancers: Map<string, LoadBalancer>;
  /** `network ip` → endpoints with that address: more than one while it changes hands. */
  readonly ipToEndpoints: Map<string, Set<string>>;
}

function portsKey(ports: readonly PortConfig[]): string {
  return ports.map((p) => `${p.publishedPort}:${p.targetPort}/${p.protocol.toUpperCase()}`).join(",");
}

function serviceKey(serviceId: string, ports: readonly PortConfig[]): string {
  return `${serviceId} ${portsKey(ports)}`;
}

/** Container names of an endpoint: its name (the one PTR answers), then its aliases (addContainerNameResolution). */
export function addContainerNames(
  network: Network,
  endpointId: string,
  name: string,
  aliases: readonly string[],
  ip: Ipv4,
): void {
  if (network.ingress) return;
  network.records.add(name, endpointId, ip, true);
  for (const alias of aliases) network.records.add(alias, endpointId, ip, false);
}

/** Takes the names of a container that goes out of the records. */
export function removeContainerNames(
  network: Network,
  endpointId: string,
  name: string,
  aliases: readonly string[],
  ip: Ipv4,
): void {
  if (network.ingress) return;
  network.records.remove(name, endpointId, ip, true);
  for (const alias of aliases) network.records.remove(alias, endpointId, ip, false);
}

/** Services, their addresses and tasks (libnetwork/service_common.go). */
export class ServiceBindings {
  readonly #services = new Map<string, Service>();
  readonly #log: DaemonLog;
  readonly #programmer: LoadBalancerProgrammer | undefined;
  #fwMark = FIRST_FWMARK;

  constructor(log: DaemonLog, programmer: LoadBalancerProgrammer | undefined) {
    this.#log = log;
    this.#programmer = programmer;
  }

  add(network: Network, binding: ServiceBinding): void {
    const key = serviceKey(binding.serviceId, binding.ingressPorts);
    const service = this.#services.get(key) ?? { balancers: new Map(), ipToEndpoints: new Map() };
    this.#services.set(key, service);
    let balancer = service.balancers.get(network.id);
    const first = balancer === undefined;
    if (balancer === undefined) {
      const { serviceId, serviceName, ingressPorts, vip } = binding;
      balancer = { serviceId, serviceName, ingressPorts, vip, fwMark: this.#fwMark++, backends: new Map() };
      service.balancers.set(network.id, balancer);
    }
    balancer.backends.set(binding.endpointId, { ip: binding.ip, disabled: false });
    const ipKey = `${network.id} ${binding.ip}`;
    const holders = service.ipToEndpoints.get(ipKey) ?? new Set<string>();
    service.ipToEndpoints.set(ipKey, holders);
    if (holders.has(binding.endpointId) || holders.size > 0)
      this.#transient("addServiceBinding", binding.endpointId, holders.size);
    holders.add(binding.endpointId);
    this.#programmer?.addBackend(network, balancer, binding.ip);
    this.#addNames(network, binding, first);
  }

  /** @param fullRemove false when the backend is only disabled (weight 0) and still serves what is open */
  remove(network: Network, binding: ServiceBinding, fullRemove: boolean): void {
    const key = serviceKey(binding.serviceId, binding.ingressPorts);
    const service = this.#services.get(key);
    const balancer = service?.balancers.get(network.id);
    const backend = balancer?.backends.get(binding.endpointId);
    if (service === undefined || balancer === undefined || backend === undefined) {
      this.#log("warning", `rmServiceBinding ${binding.serviceName} endpoint ${binding.endpointId} was not bound`);
      return;
    }
    if (!fullRemove) backend.disabled = true;
    const { last, left } = this.#unbind(network, service, balancer, binding, fullRemove);
    this.#removeNames(network, binding, last, left > 0);
    if (service.balancers.size === 0) this.#services.delete(key);
  }

  /** @returns whether the balancer is gone with it, and how many other endpoints have the same address */
  #unbind(
    network: Network,
    service: Service,
    balancer: LoadBalancer,
    { endpointId, ip }: { readonly endpointId: string; readonly ip: Ipv4 },
    fullRemove: boolean,
  ): { readonly last: boolean; readonly left: number } {
    if (fullRemove) balancer.backends.delete(endpointId);
    const last = balancer.backends.size === 0;
    if (last) service.balancers.delete(network.id);
    const ipKey = `${network.id} ${ip}`;
    const holders = service.ipToEndpoints.get(ipKey);
    const held = holders?.delete(endpointId) ?? false;
    const left = holders?.size ?? 0;
    if (left === 0) service.ipToEndpoints.delete(ipKey);
    if (!held || left > 0) this.#transient("rmServiceBinding", endpointId, left);
    if (left === 0) this.#programmer?.removeBackend(network, balancer, ip, last, fullRemove);
    return { last, left };
  }

  #transient(what: string, endpointId: string, entries: number): void {
    this.#log("warning", `${what} ${endpointId} possible transient state entries:${entries}`);
  }

  #addNames(network: Network, binding: ServiceBinding, first: boolean): void {
    const { serviceId, ip, vip } = binding;
    addContainerNames(network, binding.endpointId, binding.containerName, binding.taskAliases, ip);
    if (network.ingress) return;
    for (const name of [binding.serviceName, ...binding.serviceAliases]) {
      network.records.add(`tasks.${name}`, serviceId, ip, false);
      if (vip === undefined) network.records.add(name, serviceId, ip, false);
      else if (first) network.records.add(name, serviceId, vip, false);
    }
  }

  #removeNames(network: Network, binding: ServiceBinding, last: boolean, others: boolean): void {
    const { serviceId, ip, vip } = binding;
    if (network.ingress || others) return;
    removeContainerNames(network, binding.endpointId, binding.containerName, binding.taskAliases, ip);
    for (const name of [binding.serviceName, ...binding.serviceAliases]) {
      network.records.remove(`tasks.${name}`, serviceId, ip, false);
      if (vip === undefined) network.records.remove(name, serviceId, ip, false);
      else if (last) network.records.remove(name, serviceId, vip, false);
    }
  }

  /** `LocalLBIndex` of `network inspect -v`: the firewall mark, 0 without a balancer. */
  lbIndex(serviceId: string, networkId: string, ports: readonly PortConfig[]): number {
    return this.#services.get(serviceKey(serviceId, ports))?.balancers.get(networkId)?.fwMark ?? 0;
  }

  /** Balancers of a network, in order of their marks. */
  balancers(networkId: string): LoadBalancer[] {
    const found: LoadBalancer[] = [];
    for (const service of this.#services.values()) {
      const balancer = service.balancers.get(networkId);
      if (balancer !== undefined) found.push(balancer);
    }
    return found.sort((a, b) => a.fwMark - b.fwMark);
  }

  /** Forgets a network's bindings (cleanupServiceBindings). */
  cleanup(network: Network): void {
    for (const [key, service] of this.#services) {
      const balancer = service.balancers.get(network.id);
      if (balancer === undefined) continue;
      for (const [endpointId, { ip }] of [...balancer.backends])
        this.#unbind(network, service, balancer, { endpointId, ip }, true);
      if (service.balancers.size === 0) this.#services.delete(key);
    }
  }
}
