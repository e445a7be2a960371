/**
 * A container's networks: planning them at creation, endpoints at start, release at exit, connect and
 * disconnect while it runs (moby daemon/container_operations.go, 20.10).
 */
import { type Ipv4, parseIpv4 } from "../base/addr.ts";
import { shortId } from "../base/ids.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import type { Network } from "../libnetwork/network.ts";
import type { Sandbox } from "../libnetwork/sandbox.ts";
import type { Proc } from "../scheduler/process.ts";
import { ApiError, type EndpointSettings } from "./api.ts";
import type { Container, NetworkAttachment } from "./container.ts";
import type { ContainerNetworking } from "./containers.ts";

/** The swarm as standalone containers need it (moby daemon/cluster ClusterProvider). */
export interface AttachmentProvider {
  /** The node is part of a swarm. */
  readonly active: boolean;
  /** Waits until the manager has given the container an address on an attachable network, and the network is here. */
  attachNetwork(
    target: string,
    containerId: string,
    addresses: readonly string[],
  ): Proc<{ networkId: string; address: Ipv4 | undefined }>;
  detachNetwork(target: string, containerId: string): Proc<void>;
}

/** The network a container is on when nothing is said, and the modes that aren't networks of users. */
export function isUserDefined(mode: string): boolean {
  return mode !== "bridge" && mode !== "host" && mode !== "none" && !mode.startsWith("container:");
}

export function networkModeOf(container: Container): string {
  const mode = container.request.HostConfig?.NetworkMode ?? "default";
  return mode === "default" || mode === "" ? "bridge" : mode;
}

export class ContainerNetworks implements ContainerNetworking {
  readonly #controller: NetworkController;
  readonly #swarm: AttachmentProvider;
  readonly #containers: (reference: string) => Container;
  readonly #onAddress: (ip: Ipv4, container: string) => void;

  constructor(
    controller: NetworkController,
    swarm: AttachmentProvider,
    containers: (reference: string) => Container,
    onAddress: (ip: Ipv4, container: string) => void = () => {},
  ) {
    this.#onAddress = onAddress;
    this.#controller = controller;
    this.#swarm = swarm;
    this.#containers = containers;
  }

  /** By ID, name, or prefix of the ID, among the networks of this node (daemon/network.go FindNetwork). */
  find(reference: string): Network | undefined {
    const networks = this.#controller.networks().filter((network) => network.state !== "deleted");
    const exact =
      networks.find((network) => network.id === reference) ?? networks.find((network) => network.name === reference);
    if (exact !== undefined || reference === "") return exact;
    const matches = networks.filter((network) => network.id.startsWith(reference));
    if (matches.length > 1)
      throw new ApiError(400, `network ${reference} is ambiguous (${matches.length} matches found on name)`);
    return matches[0];
  }

  plan(container: Container): void {
    const mode = networkModeOf(container);
    const given = container.request.NetworkingConfig?.EndpointsConfig ?? {};
    const settings: Record<string, EndpointSettings> = { ...given };
    if (mode.startsWith("container:")) {
      this.#containers(mode.slice("container:".length));
      return;
    }
    if (Object.keys(given).length > 1) {
      const list = Object.keys(given);
      throw new ApiError(400, `Container cannot be connected to network endpoints: ${list.join(", ")}`);
    }
    if (!(mode in settings)) settings[mode] = {};
    for (const [name, value] of Object.entries(settings)) {
      this.#check(name, value);
      container.networks.set(name, {
        settings: value,
        networkId: undefined,
        endpointId: undefined,
        attachedAs: undefined,
      });
    }
  }

  #check(name: string, settings: EndpointSettings): void {
    const wished = settings.IPAMConfig?.IPv4Address;
    if (wished !== undefined && wished !== "" && parseIpv4(wished) === undefined)
      throw new ApiError(400, `invalid IPv4 address: ${wished}`);
    if (!isUserDefined(name) && wished !== undefined && wished !== "") {
      throw new ApiError(400, "user specified IP address is supported on user defined networks only");
    }
    if (!isUserDefined(name) && (settings.Aliases?.length ?? 0) > 0) {
      throw new ApiError(400, "network-scoped alias is supported only for containers in user defined networks");
    }
  }

  *allocate(container: Container): Proc<Sandbox> {
    const mode = networkModeOf(container);
    if (mode.startsWith("container:")) return this.#joined(mode.slice("container:".length));
    const { HostConfig: host } = container.request;
    const sandbox = this.#controller.newSandbox({
      containerId: container.id,
      name: container.name,
      hostname: container.hostname,
      kind: mode === "host" ? "host" : "container",
      ...(host?.Dns === undefined ? {} : { dns: host.Dns }),
      ...(host?.DnsSearch === undefined ? {} : { dnsSearch: host.DnsSearch }),
      ...(host?.DnsOptions === undefined ? {} : { dnsOptions: host.DnsOptions }),
      extraHosts: (host?.ExtraHosts ?? []).map((entry) => {
        const at = entry.indexOf(":");
        return { name: entry.slice(0, at), ip: entry.slice(at + 1) };
      }),
    });
    container.sandbox = sandbox;
    for (const [name, attachment] of container.networks) yield* this.#connect(container, name, attachment, sandbox);
    return sandbox;
  }

  #joined(reference: string): Sandbox {
    const other = this.#containers(reference);
    if (!other.running || other.sandbox === undefined) {
      throw new ApiError(409, `cannot join network of a non running container: ${other.id}`);
    }
    return other.sandbox;
  }

  /** connectToNetwork: finds or attaches to the network, makes an endpoint, joins, and makes the names known. */
  *#connect(container: Container, name: string, attachment: NetworkAttachment, sandbox: Sandbox): Proc<void> {
    const { network, address } = yield* this.#findAndAttach(container, name, attachment);
    attachment.networkId = network.id;
    const wished = attachment.settings.IPAMConfig?.IPv4Address;
    const ipv4 = address ?? (wished === undefined ? undefined : parseIpv4(wished));
    const userDefined = isUserDefined(name);
    const endpoint = network.createEndpoint(container.name, {
      ...(ipv4 === undefined ? {} : { ipv4 }),
      aliases: userDefined ? [...new Set([...(attachment.settings.Aliases ?? []), shortId(container.id)])] : [],
      disableResolution: !userDefined,
    });
    attachment.endpointId = endpoint.id;
    if (endpoint.address !== undefined) this.#onAddress(endpoint.address.ip, container.name);
    endpoint.join(sandbox);
    sandbox.enableService();
  }

  /** findAndAttachNetwork: networks of the swarm are attached to first, others must be here. */
  *#findAndAttach(
    container: Container,
    name: string,
    attachment: NetworkAttachment,
  ): Proc<{ network: Network; address: Ipv4 | undefined }> {
    const found = this.find(name);
    if (found !== undefined && (found.scope !== "swarm" || container.managed))
      return { network: found, address: undefined };
    if (!this.#swarm.active) throw new ApiError(404, `network ${name} not found`);
    const wished = attachment.settings.IPAMConfig?.IPv4Address;
    const target = found?.id ?? name;
    const result = yield* this.#swarm.attachNetwork(target, container.id, wished === undefined ? [] : [wished]);
    attachment.attachedAs = target;
    const network = this.#controller.network(result.networkId);
    if (network === undefined) {
      yield* this.#swarm.detachNetwork(target, container.id);
      throw new ApiError(404, `network ${name} not found`);
    }
    return { network, address: result.address };
  }

  *release(container: Container): Proc<void> {
    if (networkModeOf(container).startsWith("container:")) return;
    container.sandbox?.delete();
    for (const attachment of container.networks.values()) {
      const { attachedAs } = attachment;
      attachment.endpointId = undefined;
      attachment.networkId = undefined;
      attachment.attachedAs = undefined;
      if (attachedAs !== undefined) yield* this.#detach(attachedAs, container.id);
    }
  }

  /** Tells the manager; a manager that can't be reached is no reason to keep the container's end from being cleaned up. */
  *#detach(target: string, containerId: string): Proc<void> {
    try {
      yield* this.#swarm.detachNetwork(target, containerId);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#controller.log("warning", `error detaching from network ${target}: ${error.message}`);
    }
  }

  // -------------------------------------------------------------------------------- connect, disconnect

  *connect(container: Container, reference: string, settings: EndpointSettings): Proc<void> {
    const mode = networkModeOf(container);
    if (mode.startsWith("container:"))
      throw new ApiError(
        400,
        "container sharing network namespace with another container or host cannot be connected to any other network",
      );
    if (mode === "host")
      throw new ApiError(403, "container cannot be disconnected from host network or connected to host network");
    const known = this.find(reference);
    const name = known?.name ?? reference;
    this.#check(name, settings);
    const present = container.networks.get(name);
    if (container.running) {
      if (present?.endpointId !== undefined) {
        throw new ApiError(403, `endpoint with name ${container.name} already exists in network ${name}`);
      }
      const attachment: NetworkAttachment = {
        settings,
        networkId: undefined,
        endpointId: undefined,
        attachedAs: undefined,
      };
      if (container.sandbox === undefined) throw new ApiError(409, `Container ${container.id} is not running`);
      yield* this.#connect(container, name, attachment, container.sandbox);
      container.networks.set(name, attachment);
    } else if (present === undefined) {
      container.networks.set(name, { settings, networkId: known?.id, endpointId: undefined, attachedAs: undefined });
    }
  }

  *disconnect(container: Container, reference: string): Proc<void> {
    const known = this.find(reference);
    const name = known?.name ?? reference;
    const attachment = container.networks.get(name);
    if (attachment === undefined)
      throw new ApiError(500, `container ${container.id} is not connected to network ${name}`);
    container.networks.delete(name);
    const { networkId, endpointId, attachedAs } = attachment;
    if (networkId === undefined || endpointId === undefined) return;
    this.#controller.network(networkId)?.endpoint(endpointId)?.delete(true);
    if (attachedAs !== undefined) yield* this.#detach(attachedAs, container.id);
  }
}
