/** Networks in the control API (swarmkit manager/controlapi/network.go, common.go). */
import { cidrContains, parseCidr, parseIpv4 } from "../../base/addr.ts";
import { newSwarmId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { Proc } from "../../scheduler/process.ts";
import {
  type Annotations,
  type IpamConfig,
  isIngressNetwork,
  NEW_META,
  type NetworkObject,
  type NetworkSpec,
  PREDEFINED_LABEL,
  TaskState,
} from "../api/objects.ts";
import { CreateNetwork, type Empty, GetNetwork, ListNetworks, RemoveNetwork } from "../api/rpc.ts";
import { RpcError } from "../api/status.ts";
import type { WriteTx } from "../store/memory.ts";
import type { Router } from "../transport/transport.ts";
import type { ComponentContext } from "./component.ts";
import { needsIngress } from "./service-modes.ts";

/** Drivers that every Engine 20.10 has for swarm networks. */
const NETWORK_DRIVERS = new Set(["", "overlay", "bridge", "host", "ipvlan", "macvlan", "null"]);

/** Networks of the service Control. */
export class NetworkApi {
  readonly #context: ComponentContext;
  readonly #random: Random;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#random = context.random.fork("networks");
  }

  register(router: Router): void {
    router.unary(ListNetworks, () => this.#list());
    router.unary(GetNetwork, (request) => this.#get(request.networkId));
    router.unary(CreateNetwork, (request) => this.#create(request.spec));
    router.unary(RemoveNetwork, (request) => this.#remove(request.networkId));
  }

  *#list(): Proc<{ networks: NetworkObject[] }> {
    return { networks: this.#context.store.view((tx) => tx.all("network")) };
  }

  *#get(networkId: string): Proc<{ network: NetworkObject }> {
    const network = this.#context.store.view((tx) => tx.get("network", networkId));
    if (network === undefined) throw new RpcError("NotFound", `network ${networkId} not found`);
    return { network };
  }

  *#create(spec: NetworkSpec): Proc<{ network: NetworkObject }> {
    validateNetworkSpec(spec);
    const network: NetworkObject = { id: newSwarmId(this.#random), meta: NEW_META, spec };
    yield* this.#context.store.update((tx) => {
      const ingress = spec.ingress ? tx.all("network").find(isIngressNetwork) : undefined;
      if (ingress !== undefined) {
        throw new RpcError("AlreadyExists", `ingress network (${ingress.id}) is already present`);
      }
      tx.create("network", network);
    });
    return yield* this.#get(network.id);
  }

  *#remove(networkId: string): Proc<Empty> {
    const { network } = yield* this.#get(networkId);
    const { name, labels } = network.spec.annotations;
    if (labels[PREDEFINED_LABEL] === "true") {
      const text = `network ${networkId} (${name}) is a swarm predefined network and cannot be removed`;
      throw new RpcError("FailedPrecondition", text);
    }
    yield* this.#context.store.update((tx) => {
      if (isIngressNetwork(network)) checkIngressUnused(tx);
      else checkUnused(tx, networkId);
      if (tx.get("network", networkId) === undefined) throw new RpcError("NotFound", `network ${networkId} not found`);
      tx.remove("network", networkId);
    });
    return {};
  }
}

function checkIngressUnused(tx: WriteTx): void {
  const service = tx.all("service").find(needsIngress);
  if (service === undefined) return;
  const text = `ingress network cannot be removed because service ${service.id} depends on it`;
  throw new RpcError("FailedPrecondition", text);
}

function checkUnused(tx: WriteTx, networkId: string): void {
  const service = tx.by("service", "network", networkId)[0];
  if (service !== undefined) {
    throw new RpcError("FailedPrecondition", `network ${networkId} is in use by service ${service.id}`);
  }
  for (const task of tx.by("task", "network", networkId)) {
    if (task.desiredState <= TaskState.RUNNING && task.status.state <= TaskState.RUNNING) {
      throw new RpcError("FailedPrecondition", `network ${networkId} is in use by task ${task.id}`);
    }
  }
}

/** Names of services and networks. Throws InvalidArgument. */
export function validateAnnotations({ name }: Annotations): void {
  if (name === "") throw new RpcError("InvalidArgument", "meta: name must be provided");
  if (!/^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/.test(name)) {
    throw new RpcError("InvalidArgument", "name must be valid as a DNS name component");
  }
  if (name.length > 63) throw new RpcError("InvalidArgument", "name must be 63 characters or fewer");
}

/** Throws the refusals of controlapi's validateNetworkSpec. */
function validateNetworkSpec(spec: NetworkSpec): void {
  const driver = spec.driverConfig?.name ?? "";
  if (spec.ingress && driver !== "" && driver !== "overlay") {
    throw new RpcError("Unimplemented", "only overlay driver is currently supported for ingress network");
  }
  if (spec.attachable && spec.ingress) {
    throw new RpcError("InvalidArgument", "ingress network cannot be attachable");
  }
  validateAnnotations(spec.annotations);
  if (spec.annotations.labels[PREDEFINED_LABEL] !== undefined) {
    const text = `label ${PREDEFINED_LABEL} is for internally created predefined networks and cannot be applied by users`;
    throw new RpcError("PermissionDenied", text);
  }
  if (!NETWORK_DRIVERS.has(driver)) {
    throw new RpcError("InvalidArgument", `plugin "${driver}" not found`);
  }
  for (const config of spec.ipam?.configs ?? []) validateIpamConfig(config);
}

function invalidIpam(text: string): RpcError {
  return new RpcError("InvalidArgument", `ipam configuration: ${text}`);
}

function validateIpamConfig({ subnet, range, gateway }: IpamConfig): void {
  const cidr = subnet.includes("/") ? parseCidr(subnet) : undefined;
  if (cidr === undefined) throw invalidIpam(`invalid subnet ${subnet}`);
  if (range !== "") {
    const parsed = range.includes("/") ? parseCidr(range) : undefined;
    if (parsed === undefined) throw invalidIpam(`invalid range ${range}`);
    if (!cidrContains(cidr, parsed.ip)) throw invalidIpam(`subnet ${subnet} does not contain range ${range}`);
  }
  if (gateway !== "") {
    const ip = parseIpv4(gateway);
    if (ip === undefined) throw invalidIpam(`invalid gateway ${gateway}`);
    if (!cidrContains(cidr, ip)) throw invalidIpam(`subnet ${subnet} does not contain gateway ${gateway}`);
  }
}
