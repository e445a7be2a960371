/** `docker network connect` and `disconnect` (moby daemon/network.go, container_operations.go ConnectToNetwork, DisconnectFromNetwork; 20.10). */
import { parseIpv4 } from "../base/addr.ts";
import type { Network } from "../libnetwork/network.ts";
import type { Proc } from "../scheduler/process.ts";
import { ApiError, type EndpointSettings } from "./api.ts";
import type { Container } from "./container.ts";
import { type ContainerNetworks, networkModeOf, newAttachment, sharesNetwork } from "./container-networks.ts";
import { isDefect } from "./refusals.ts";

const SHARED_NETWORK =
  "container sharing network namespace with another container or host cannot be connected to any other network";
const HOST_NETWORK = "container cannot be disconnected from host network or connected to host network";
const NO_NETWORK = "container cannot be connected to multiple networks with one of the networks in private (none) mode";

/** Puts containers on networks, and takes them off, by hand. */
export class NetworkConnector {
  readonly #networks: ContainerNetworks;

  constructor(networks: ContainerNetworks) {
    this.#networks = networks;
  }

  /** A stopped container's network is only noted; one that runs gets an interface. */
  *connect(container: Container, reference: string, settings: EndpointSettings): Proc<void> {
    const wished = settings.IPAMConfig?.IPv4Address ?? "";
    if (wished !== "" && parseIpv4(wished) === undefined) throw new ApiError(400, `invalid IPv4 address: ${wished}`);
    yield* container.lock.run(this.#connect(container, reference, settings));
  }

  *#connect(container: Container, reference: string, settings: EndpointSettings): Proc<void> {
    const { sandbox } = container;
    const known = this.#networks.find(reference);
    if (sandbox === undefined) {
      this.#checkRemoval(container);
      if (known !== undefined) this.#checkCompatible(container, known, settings);
      const name = known?.name ?? reference;
      if (container.networks.has(name) && known?.scope !== "swarm") return;
      container.networks.set(name, { ...newAttachment(settings), networkId: known?.id });
      return;
    }
    if (sharesNetwork(container)) throw new ApiError(400, SHARED_NETWORK);
    if (known !== undefined) this.#checkCompatible(container, known, settings);
    const attachment = newAttachment(settings);
    try {
      const network = yield* this.#networks.connectTo(container, known?.name ?? reference, attachment, sandbox);
      container.networks.set(network.name, attachment);
    } catch (error) {
      if (!isDefect(error)) yield* this.#networks.releaseOne(container, attachment);
      throw error;
    }
  }

  #checkRemoval(container: Container): void {
    if (container.removing || container.removed)
      throw new ApiError(
        500,
        `Container ${container.id} is marked for removal and cannot be connected or disconnected to the network`,
      );
  }

  /** updateNetworkSettings: networks that can't stand beside each other. */
  #checkCompatible(container: Container, network: Network, settings: EndpointSettings): void {
    this.#networks.checkSettings(network.name, settings);
    if (sharesNetwork(container)) throw new ApiError(400, SHARED_NETWORK);
    const onHost = networkModeOf(container) === "host";
    if (!onHost && network.type === "host") throw new ApiError(400, HOST_NETWORK);
    for (const name of container.networks.keys()) {
      if (name === network.name) continue;
      if (name === "host" || network.type === "host") throw new ApiError(400, SHARED_NETWORK);
      if (name === "none" || network.name === "none") throw new ApiError(400, NO_NETWORK);
    }
  }

  *disconnect(container: Container, reference: string): Proc<void> {
    yield* container.lock.run(this.#disconnect(container, reference));
  }

  *#disconnect(container: Container, reference: string): Proc<void> {
    const known = this.#networks.find(reference);
    const name = known?.name ?? reference;
    const attachment = container.networks.get(name);
    if (!container.running) {
      this.#checkRemoval(container);
      if (attachment === undefined)
        throw new ApiError(500, `container ${container.id} is not connected to the network ${name}`);
      container.networks.delete(name);
      return;
    }
    if (known === undefined) throw new ApiError(404, `network ${reference} not found`);
    if (networkModeOf(container) === "host" && known.type === "host") throw new ApiError(400, HOST_NETWORK);
    if (attachment?.endpointId === undefined)
      throw new ApiError(500, `container ${container.id} is not connected to network ${name}`);
    container.networks.delete(name);
    yield* this.#networks.releaseOne(container, attachment);
  }

  /** `disconnect -f` of a container that is no more: an endpoint that was left behind (ForceEndpointDelete). */
  forceDelete(container: string, reference: string): void {
    const network = this.#networks.find(reference);
    if (network === undefined) throw new ApiError(404, `network ${reference} not found`);
    const endpoint = network.endpointByName(container);
    if (endpoint === undefined) throw new ApiError(404, `endpoint ${container} not found`);
    endpoint.delete(true);
  }
}
