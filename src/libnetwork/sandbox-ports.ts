/** Published ports of one sandbox: they are on whichever endpoint gives the way out (moby libnetwork/endpoint.go sbJoin, sbLeave; 20.10). */
import { UserError } from "../base/errors.ts";
import type { PortBinding, PublishedPort } from "./drivers/port-mapper.ts";
import type { Endpoint } from "./endpoint.ts";

/** Published ports of the endpoints of a sandbox. */
export class SandboxPorts {
  /** Asked for by the container. */
  readonly #own: readonly PortBinding[];
  /** Brought along by endpoints. */
  readonly #ofEndpoints = new Map<Endpoint, readonly PortBinding[]>();
  #published: { readonly by: Endpoint; readonly ports: readonly PublishedPort[] } | undefined;

  constructor(own: readonly PortBinding[]) {
    this.#own = own;
  }

  /** Of each binding IPv4, then IPv6. */
  published(): readonly PublishedPort[] {
    return this.#published?.ports ?? [];
  }

  attach(endpoint: Endpoint): void {
    const { ports = [] } = endpoint.options;
    if (ports.length > 0 && !endpoint.onGatewayNetwork) this.#ofEndpoints.set(endpoint, ports);
  }

  detach(endpoint: Endpoint): void {
    this.#ofEndpoints.delete(endpoint);
  }

  /** Another endpoint has become the way out. @throws UserError; then the ports are where they were */
  move(to: Endpoint): void {
    const from = this.#published?.by;
    this.revoke();
    try {
      this.publish(to);
    } catch (error) {
      if (from !== undefined) this.publish(from);
      throw error;
    }
  }

  /** ProgramExternalConnectivity. @throws UserError */
  publish(endpoint: Endpoint): void {
    const { network } = endpoint;
    const { driver } = network;
    if (network.internal || driver.programExternalConnectivity === undefined) return;
    const wanted = [...this.#own, ...[...this.#ofEndpoints.values()].flat()];
    try {
      const ports = driver.programExternalConnectivity(network.id, endpoint.id, wanted);
      this.#published = { by: endpoint, ports };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const { name, id } = endpoint;
      throw new UserError(
        `driver failed programming external connectivity on endpoint ${name} (${id}): ${error.message}`,
      );
    }
  }

  /** RevokeExternalConnectivity */
  revoke(): void {
    const by = this.#published?.by;
    this.#published = undefined;
    by?.network.driver.revokeExternalConnectivity?.(by.network.id, by.id);
  }
}
