/** IPVS of a FakeNetNs: services and destinations as lists, without connections. */
import type {
  IpvsApi,
  IpvsDestinationInfo,
  IpvsDestinationSpec,
  IpvsServiceId,
  IpvsServiceInfo,
  IpvsServiceSpec,
} from "../../src/kernel/ipvs-types.ts";
import { refuse } from "./fake-netns-tables.ts";

const NO_STATS = { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };

function keyOf(id: IpvsServiceId): string {
  return "fwmark" in id ? `FWM ${id.fwmark}` : `${id.protocol} ${id.address}:${id.port}`;
}

interface Service {
  spec: IpvsServiceSpec;
  /** Newest first, as the kernel keeps them. */
  destinations: IpvsDestinationSpec[];
}

export class FakeIpvs implements IpvsApi {
  readonly #services = new Map<string, Service>();

  #service(id: IpvsServiceId): Service {
    return this.#services.get(keyOf(id)) ?? refuse("ESRCH", `ipvs service ${keyOf(id)}`);
  }

  addService(spec: IpvsServiceSpec): void {
    if (this.#services.has(keyOf(spec.id))) refuse("EEXIST", `ipvs service ${keyOf(spec.id)}`);
    this.#services.set(keyOf(spec.id), { spec, destinations: [] });
  }

  updateService(spec: IpvsServiceSpec): void {
    this.#service(spec.id).spec = spec;
  }

  removeService(id: IpvsServiceId): void {
    this.#service(id);
    this.#services.delete(keyOf(id));
  }

  #find(service: Service, address: number, port: number): number {
    return service.destinations.findIndex((d) => d.address === address && d.port === port);
  }

  addDestination(id: IpvsServiceId, spec: IpvsDestinationSpec): void {
    const service = this.#service(id);
    if (this.#find(service, spec.address, spec.port) >= 0) refuse("EEXIST", "ipvs destination");
    service.destinations.unshift(spec);
  }

  updateDestination(id: IpvsServiceId, spec: IpvsDestinationSpec): void {
    const service = this.#service(id);
    const at = this.#find(service, spec.address, spec.port);
    if (at < 0) refuse("ENOENT", "ipvs destination");
    service.destinations[at] = spec;
  }

  removeDestination(id: IpvsServiceId, address: number, port: number): void {
    const service = this.#service(id);
    const at = this.#find(service, address, port);
    if (at < 0) refuse("ENOENT", "ipvs destination");
    service.destinations.splice(at, 1);
  }

  services(): IpvsServiceInfo[] {
    return [...this.#services.values()].map(({ spec, destinations }) => ({
      ...spec,
      stats: NO_STATS,
      destinations: destinations.map(
        (d): IpvsDestinationInfo => ({
          ...d,
          activeConnections: 0,
          inactiveConnections: 0,
          persistentConnections: 0,
          stats: NO_STATS,
        }),
      ),
    }));
  }

  service(id: IpvsServiceId): IpvsServiceInfo | undefined {
    return this.services().find((s) => keyOf(s.id) === keyOf(id));
  }

  connections(): never[] {
    return [];
  }

  flush(): void {
    this.#services.clear();
  }

  zero(): void {}

  stats(): typeof NO_STATS {
    return NO_STATS;
  }

  setTimeouts(): void {}

  timeouts(): { tcp: number; tcpFin: number; udp: number } {
    return { tcp: 900, tcpFin: 120, udp: 300 };
  }
}
