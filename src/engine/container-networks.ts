/**
 * A container's networks: planning them at creation, endpoints at start, release at exit (moby
 * daemon/container_operations.go, create.go; 20.10). Connect and disconnect by hand are network-connect.ts.
 */
import { type Ipv4, type Mac, parseIpv4, parseMac } from "../base/addr.ts";
import { shortId } from "../base/ids.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import type { EndpointService } from "../libnetwork/endpoint.ts";
import type { Network } from "../libnetwork/network.ts";
import type { Sandbox } from "../libnetwork/sandbox.ts";
import type { Proc } from "../scheduler/process.ts";
import { ApiError, type ContainerCreateRequest, type EndpointSettings } from "./api.ts";
import type { Container, NetworkAttachment } from "./container.ts";
import type { Events } from "./events.ts";
import type { ContainerNetworking } from "./lifecycle.ts";
import { wantedBindings } from "./ports.ts";
import { isDefect } from "./refusals.ts";

/** How often an attachment is tried whose network another container's end has just removed (findAndAttachNetwork). */
const ATTACH_RETRIES = 5;
const SHARED = "container:";

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

/** A network of users, not one of the Engine's own or a mode. */
export function isUserDefined(mode: string): boolean {
  return !["default", "bridge", "host", "none"].includes(mode) && !mode.startsWith(SHARED);
}

/** The container's network mode; `bridge` where nothing was said. */
export function networkModeOf(container: Container): string {
  const mode = container.request.HostConfig?.NetworkMode ?? "default";
  return mode === "default" || mode === "" ? "bridge" : mode;
}

/** Whether it lives in another container's network namespace. */
export function sharesNetwork(container: Container): boolean {
  return networkModeOf(container).startsWith(SHARED);
}

/** A network that a container is to be on. */
export function newAttachment(settings: EndpointSettings): NetworkAttachment {
  const aliases = settings.Aliases ?? [];
  return { settings, aliases, networkId: undefined, endpointId: undefined, attachedAs: undefined };
}

/** The engine's containers. */
export interface ContainerIndex {
  /** @throws ApiError 404 */
  get(reference: string): Container;
  list(): readonly Container[];
}

/** Networks of containers on one engine. */
export class ContainerNetworks implements ContainerNetworking {
  readonly controller: NetworkController;
  readonly #swarm: AttachmentProvider;
  readonly #containers: ContainerIndex;
  readonly #onAddress: (ip: Ipv4, container: string) => void;
  readonly #events: Events | undefined;

  constructor(
    controller: NetworkController,
    swarm: AttachmentProvider,
    containers: ContainerIndex,
    onAddress: (ip: Ipv4, container: string) => void = () => {},
    events?: Events,
  ) {
    this.#events = events;
    this.#onAddress = onAddress;
    this.controller = controller;
    this.#swarm = swarm;
    this.#containers = containers;
  }

  /** By ID, name, or prefix of the ID, among the networks of this node (daemon/network.go FindNetwork). */
  find(reference: string): Network | undefined {
    const networks = this.controller.networks().filter((network) => network.state !== "deleted");
    const exact = networks.find((network) => network.id === reference);
    if (exact !== undefined || reference === "") return exact;
    const named = networks.filter((network) => network.name === reference);
    const ambiguous = (count: number, how: string): ApiError =>
      new ApiError(400, `network ${reference} is ambiguous (${count} matches found ${how})`);
    if (named.length > 1) throw ambiguous(named.length, "on name");
    if (named[0] !== undefined) return named[0];
    const prefixed = networks.filter((network) => network.id.startsWith(reference));
    if (prefixed.length > 1) throw ambiguous(prefixed.length, "based on ID prefix");
    return prefixed[0];
  }

  check(request: ContainerCreateRequest): void {
    const given = Object.entries(request.NetworkingConfig?.EndpointsConfig ?? {});
    if (given.length > 1) {
      const names = given.map(([name]) => name).join(", ");
      throw new ApiError(400, `Container cannot be connected to network endpoints: ${names}`);
    }
    for (const [, settings] of given) {
      const wished = settings.IPAMConfig?.IPv4Address ?? "";
      if (wished !== "" && parseIpv4(wished) === undefined) throw new ApiError(400, `invalid IPv4 address: ${wished}`);
    }
  }

  plan(container: Container): void {
    if (sharesNetwork(container)) return;
    const mode = networkModeOf(container);
    const known = isUserDefined(mode) ? this.#findUnambiguous(mode) : undefined;
    const name = known?.name ?? mode;
    const given = Object.entries(container.request.NetworkingConfig?.EndpointsConfig ?? {});
    for (const [key, settings] of given) {
      const own = key === mode || key === known?.id || (key === "default" && mode === "bridge");
      container.networks.set(own ? name : key, newAttachment(settings));
    }
    if (given.length === 0) container.networks.set(name, newAttachment({}));
  }

  /** What is ambiguous is told when the container starts. */
  #findUnambiguous(reference: string): Network | undefined {
    try {
      return this.find(reference);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return undefined;
    }
  }

  // ---------------------------------------------------------------------------------------- start, exit

  *allocate(container: Container): Proc<Sandbox> {
    const mode = networkModeOf(container);
    if (mode.startsWith(SHARED)) return this.#join(container, mode.slice(SHARED.length));
    const sandbox = this.#newSandbox(container, mode);
    container.sandbox = sandbox;
    container.sandboxId = sandbox.id;
    container.sandboxKey = sandbox.key;
    // The default network first.
    const names = [...container.networks.keys()];
    for (const name of [...names].sort((a, b) => Number(b === "bridge") - Number(a === "bridge"))) {
      const attachment = container.networks.get(name) as NetworkAttachment;
      const network = yield* this.connectTo(container, name, attachment, sandbox);
      if (network.name !== name) this.#renameKey(container, name, network.name);
    }
    return sandbox;
  }

  #newSandbox(container: Container, mode: string): Sandbox {
    const { HostConfig: host } = container.request;
    const ports = mode === "host" || mode === "none" ? [] : wantedBindings(container);
    return this.controller.newSandbox({
      ...(ports.length > 0 ? { ports } : {}),
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
  }

  /** A network asked for by its ID goes by its name once it is here. */
  #renameKey(container: Container, from: string, to: string): void {
    container.networks = new Map(
      [...container.networks].map(([name, attachment]) => [name === from ? to : name, attachment]),
    );
  }

  /** getNetworkedContainer: the network, name files and hostname of another container. */
  #join(container: Container, reference: string): Sandbox {
    const other = this.#containers.get(reference);
    if (other === container) throw new ApiError(500, "cannot join own network");
    if (!other.running) throw new ApiError(409, `cannot join network of a non running container: ${reference}`);
    if (other.restarting || other.sandbox === undefined)
      throw new ApiError(409, `Container ${reference} is restarting, wait until the container is running`);
    container.hostname = other.hostname;
    container.sandbox = other.sandbox;
    return other.sandbox;
  }

  /** connectToNetwork: finds or attaches to the network, makes an endpoint, joins, and makes the names known. */
  *connectTo(container: Container, name: string, attachment: NetworkAttachment, sandbox: Sandbox): Proc<Network> {
    const { network, address } = yield* this.#findAndAttach(container, name, attachment);
    const userDefined = isUserDefined(network.name);
    this.checkSettings(network.name, attachment.settings);
    attachment.networkId = network.id;
    if (userDefined) attachment.aliases = aliasesOf(container, attachment.settings);
    const wished = attachment.settings.IPAMConfig?.IPv4Address || undefined;
    const ipv4 = address ?? (wished === undefined ? undefined : parseIpv4(wished));
    const mac = this.#macOf(container, network);
    const service = endpointService(container, network);
    const endpoint = network.createEndpoint(container.name, {
      ...(ipv4 === undefined ? {} : { ipv4 }),
      ...(service === undefined ? {} : { service }),
      ...(mac === undefined ? {} : { mac }),
      anonymous: container.anonymous,
      aliases: userDefined ? attachment.aliases : [],
      disableResolution: !userDefined,
    });
    attachment.endpointId = endpoint.id;
    if (endpoint.address !== undefined) this.#onAddress(endpoint.address.ip, container.name);
    endpoint.join(sandbox);
    // A task's is told of when the task runs (ActivateContainerServiceBinding).
    if (!container.managed) sandbox.enableService();
    this.#events?.network(network, "connect", { container: container.id });
    return network;
  }

  /** `--mac-address` is for the network of `docker run`. */
  #macOf(container: Container, network: Network): Mac | undefined {
    const wished = container.request.MacAddress ?? "";
    const mode = networkModeOf(container);
    return wished === "" || (mode !== network.name && mode !== network.id) ? undefined : parseMac(wished);
  }

  /** What only networks of users can do. @throws ApiError 400 */
  checkSettings(name: string, settings: EndpointSettings): void {
    if (isUserDefined(name)) return;
    if ((settings.IPAMConfig?.IPv4Address ?? "") !== "")
      throw new ApiError(400, "user specified IP address is supported on user defined networks only");
    if ((settings.Aliases?.length ?? 0) > 0)
      throw new ApiError(400, "network-scoped alias is supported only for containers in user defined networks");
  }

  /** findAndAttachNetwork: networks of the swarm are attached to first, others must be here. */
  *#findAndAttach(
    container: Container,
    name: string,
    attachment: NetworkAttachment,
  ): Proc<{ network: Network; address: Ipv4 | undefined }> {
    // The ID that was found the first time counts: a new network of the same name is another one.
    const target = (isUserDefined(name) ? attachment.networkId : undefined) ?? name;
    const found = this.find(target);
    if (found !== undefined && (found.scope !== "swarm" || container.managed))
      return { network: found, address: undefined };
    if (container.managed || !this.#swarm.active) throw new ApiError(404, `network ${target} not found`);
    if (found !== undefined && container.networks.get(found.name)?.endpointId !== undefined)
      throw new ApiError(409, `${container.name} is already attached to network ${found.name}`);
    const wished = attachment.settings.IPAMConfig?.IPv4Address ?? "";
    for (let retry = 0; ; retry++) {
      const result = yield* this.#swarm.attachNetwork(target, container.id, wished === "" ? [] : [wished]);
      const network = this.controller.network(result.networkId);
      if (network?.state === "ready") {
        attachment.attachedAs = target;
        return { network, address: result.address };
      }
      yield* this.#detach(target, container.id);
      if (retry === ATTACH_RETRIES)
        throw new ApiError(500, `could not find network ${name} after successful attachment`);
    }
  }

  *release(container: Container): Proc<void> {
    const { ns } = container;
    // A process keeps its network namespace alive: the last one that lives in it ends it.
    const shared = ns !== undefined && this.#containers.list().some((other) => other !== container && other.ns === ns);
    if (sharesNetwork(container)) {
      const owned = ns === this.controller.host || this.controller.sandboxes().some((sandbox) => sandbox.ns === ns);
      if (ns?.alive && !shared && !owned) ns.destroy();
      return;
    }
    container.sandbox?.delete(shared);
    for (const attachment of container.networks.values()) {
      this.#disconnected(container, attachment);
      const { attachedAs } = attachment;
      attachment.endpointId = undefined;
      attachment.attachedAs = undefined;
      if (attachedAs !== undefined) yield* this.#detach(attachedAs, container.id);
    }
  }

  #disconnected(container: Container, { networkId, endpointId }: NetworkAttachment): void {
    const network = networkId === undefined ? undefined : this.controller.network(networkId);
    if (network !== undefined && endpointId !== undefined)
      this.#events?.network(network, "disconnect", { container: container.id });
  }

  /** Takes one endpoint away, and the container off the network. */
  *releaseOne(container: Container, attachment: NetworkAttachment): Proc<void> {
    const { networkId, endpointId, attachedAs } = attachment;
    this.#disconnected(container, attachment);
    attachment.endpointId = undefined;
    attachment.attachedAs = undefined;
    if (networkId !== undefined && endpointId !== undefined)
      this.controller.network(networkId)?.endpoint(endpointId)?.delete(true);
    if (attachedAs !== undefined) yield* this.#detach(attachedAs, container.id);
  }

  /** Tells the manager; a manager that can't be reached is no reason to keep the container's end from being cleaned up. */
  *#detach(target: string, containerId: string): Proc<void> {
    try {
      yield* this.#swarm.detachNetwork(target, containerId);
    } catch (error) {
      if (isDefect(error)) throw error;
      this.controller.log("warning", `error detaching from network ${target}: ${(error as Error).message}`);
    }
  }

  /** Names in DNS and of its namespace follow (libnetwork sandbox.Rename). */
  renamed(container: Container): void {
    const { sandbox } = container;
    if (sandbox === undefined || sharesNetwork(container)) return;
    for (const endpoint of sandbox.endpoints()) {
      if (endpoint.onGatewayNetwork) continue;
      endpoint.rename(container.name);
      if (endpoint.address !== undefined) this.#onAddress(endpoint.address.ip, container.name);
    }
    if (sandbox.kind === "container") sandbox.ns?.rename(container.name);
  }
}

/** What an endpoint of a task is told of its service (buildCreateEndpointOptions). */
function endpointService({ service }: Container, network: Network): EndpointService | undefined {
  if (service === undefined) return undefined;
  const vip = service.virtualIps.get(network.id);
  return {
    id: service.id,
    name: service.name,
    ...(vip === undefined ? {} : { vip }),
    aliases: service.aliases.get(network.id) ?? [],
    ingressPorts: service.ingressPorts,
  };
}

/** What was asked for, then the short ID and the hostname (updateNetworkConfig). */
function aliasesOf(container: Container, settings: EndpointSettings): string[] {
  return [...new Set([...(settings.Aliases ?? []), shortId(container.id), container.hostname])];
}
