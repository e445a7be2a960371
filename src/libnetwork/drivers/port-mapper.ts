/**
 * Published ports of one bridge network's containers: a port of the host, the firewall's rules and a docker-proxy for
 * each (moby libnetwork/portmapper/mapper.go, drivers/bridge/port_mapping.go, 20.10).
 */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import type { HostOs } from "../../scheduler/os.ts";
import type { DaemonLog } from "../log.ts";
import { addPortRules, type ForwardedPort, removePortRules } from "./bridge-iptables.ts";
import { PortAllocationError, type PortAllocator, type PortProtocol } from "./port-allocator.ts";
import { startProxy, type UserlandProxy } from "./userland-proxy.ts";

/** How often another free port is tried where none was asked for (maxAllocatePortAttempts). */
const ATTEMPTS = 10;
const ANY_IPV6 = "::";

/** A port of the container to be published on the host. */
export interface PortBinding {
  readonly protocol: PortProtocol;
  readonly containerPort: number;
  /** The host's address; left out where the user named none: the network's default, and IPv6 as well if that is any address. */
  readonly hostIp?: Ipv4;
  /** 0 = a free one. */
  readonly hostPort: number;
  /** Last port of a range of which any will do; `hostPort` when left out. */
  readonly hostPortEnd?: number;
}

/** A port as it was published. */
export interface PublishedPort {
  readonly protocol: PortProtocol;
  readonly containerPort: number;
  /** `0.0.0.0`, `::` or an address of the host. */
  readonly hostIp: string;
  readonly hostPort: number;
}

/** What the ports of all bridges share. */
export interface PortMapperOptions {
  readonly os: HostOs;
  readonly log: DaemonLog;
  readonly allocator: PortAllocator;
  /** A docker-proxy holds each port, and IPv6 clients are served through it (Linux). */
  readonly proxies: boolean;
}

interface Mapping {
  readonly published: PublishedPort;
  /** Undefined for IPv6, which has no rules here. */
  readonly forwarded: ForwardedPort | undefined;
  readonly proxy: UserlandProxy | undefined;
}

/** Published ports of one endpoint, from mapPorts. */
export type PortMappings = readonly Mapping[];

/** Publishes ports of containers: allocation, rules, userland proxy (libnetwork/portmapper). */
export class PortMapper {
  readonly #options: PortMapperOptions;
  readonly #bridge: string;
  /** Address of bindings that name none (`host_binding_ipv4`). */
  readonly #defaultIp: Ipv4;

  constructor(options: PortMapperOptions, bridge: string, defaultIp: Ipv4) {
    this.#options = options;
    this.#bridge = bridge;
    this.#defaultIp = defaultIp;
  }

  /** Publishes all ports or none. @throws UserError with the text of the first one that can't be */
  map(containerIp: Ipv4, bindings: readonly PortBinding[]): PortMappings {
    const mappings: Mapping[] = [];
    try {
      for (const binding of bindings) {
        mappings.push(this.#allocate(containerIp, binding, binding.hostIp ?? this.#defaultIp));
        // A container without an IPv6 address is reached over IPv6 through its proxy.
        if (binding.hostIp === undefined && this.#defaultIp === 0 && this.#options.proxies)
          mappings.push(this.#allocate(containerIp, binding, undefined));
      }
    } catch (error) {
      this.unmap(mappings);
      throw error;
    }
    return mappings;
  }

  unmap(mappings: PortMappings): void {
    const { allocator, os } = this.#options;
    for (const { published, forwarded, proxy } of mappings) {
      proxy?.stop();
      if (forwarded !== undefined) removePortRules(os.kernel.root.iptables, this.#bridge, forwarded);
      allocator.release(published.hostIp, published.protocol, published.hostPort);
    }
  }

  /** @param hostIp undefined = IPv6 */
  #allocate(containerIp: Ipv4, binding: PortBinding, hostIp: Ipv4 | undefined): Mapping {
    const first = binding.hostPort;
    const last = binding.hostPortEnd ?? first;
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#mapRange(containerIp, binding, hostIp, first, last);
      } catch (error) {
        const what = `Failed to allocate and map port${first === last ? "" : ` ${first}-${last}`}`;
        this.#options.log("warning", `${what}: ${(error as Error).message}`);
        // A port that was chosen will not be free a moment later.
        if ((first !== 0 && first === last) || error instanceof PortAllocationError || attempt === ATTEMPTS)
          throw error;
      }
    }
  }

  #mapRange(containerIp: Ipv4, binding: PortBinding, hostIp: Ipv4 | undefined, first: number, last: number): Mapping {
    const { os, allocator, proxies } = this.#options;
    const { protocol, containerPort } = binding;
    const address = hostIp === undefined ? ANY_IPV6 : formatIpv4(hostIp);
    const hostPort = allocator.request(address, protocol, first, last);
    const published = { protocol, containerPort, hostIp: address, hostPort };
    if (hostIp === undefined) return { published, forwarded: undefined, proxy: undefined };
    const forwarded = { protocol, hostIp, hostPort, containerIp, containerPort };
    const { iptables } = os.kernel.root;
    try {
      addPortRules(iptables, this.#bridge, forwarded);
      return { published, forwarded, proxy: proxies ? startProxy(os, forwarded) : undefined };
    } catch (error) {
      // The port is given back last, so that the next attempt takes another one.
      removePortRules(iptables, this.#bridge, forwarded);
      allocator.release(address, protocol, hostPort);
      throw error;
    }
  }
}
