/**
 * The way out for containers whose networks give none: an endpoint on docker_gwbridge, made and removed by
 * libnetwork itself (moby libnetwork/default_gateway.go, default_gateway_linux.go, 20.10).
 */
import { UserError } from "../base/errors.ts";
import type { NetworkController } from "./controller.ts";
import type { Endpoint } from "./endpoint.ts";
import { GATEWAY_NETWORK, OPTION_BRIDGE_NAME, OPTION_ENABLE_ICC, OPTION_ENABLE_MASQUERADE } from "./labels.ts";
import type { Network } from "./network.ts";
import type { Sandbox } from "./sandbox.ts";

/** Longest container ID that is taken whole into an endpoint's name. */
const MAX_NAME = 12;

/** The sandbox's endpoint on docker_gwbridge. */
export function gatewayNetworkEndpoint(sandbox: Sandbox): Endpoint | undefined {
  return sandbox.endpoints().find((e) => e.onGatewayNetwork);
}

/** At least one endpoint leads outside by intention, and none has a gateway of its own. */
export function needsDefaultGateway(sandbox: Sandbox): boolean {
  let needed = false;
  for (const endpoint of sandbox.endpoints()) {
    if (endpoint.onGatewayNetwork || endpoint.network.special || endpoint.network.internal) continue;
    if (endpoint.options.loadBalancer === true && !endpoint.network.ingress) return false;
    if (endpoint.gateway !== undefined) return false;
    needed = true;
  }
  return needed;
}

/** `gateway_` and the container's ID if it is short, else the sandbox's first 12 digits. */
function endpointName(sandbox: Sandbox): string {
  const { containerId } = sandbox;
  if (containerId.length <= MAX_NAME) return `gateway_${containerId}`;
  // Load balancers of networks with long names go by the name of their namespace.
  return `gateway_${sandbox.kind === "ingress" ? sandbox.dockerNetnsName : sandbox.id.slice(0, MAX_NAME)}`;
}

/** Creates docker_gwbridge on first need: no traffic between its containers, masquerading. */
function createGatewayNetwork(controller: NetworkController): Network {
  return controller.newLocalNetwork({
    name: GATEWAY_NETWORK,
    driver: "bridge",
    options: {
      [OPTION_ENABLE_ICC]: "false",
      [OPTION_ENABLE_MASQUERADE]: "true",
      [OPTION_BRIDGE_NAME]: GATEWAY_NETWORK,
    },
  });
}

/** Gives the sandbox its endpoint on docker_gwbridge. @throws UserError */
export function setupDefaultGateway(sandbox: Sandbox): void {
  const { controller } = sandbox;
  const network = controller.networkByName(controller.system.gatewayNetwork) ?? createGatewayNetwork(controller);
  const failed = (what: string, error: unknown): unknown =>
    error instanceof UserError
      ? new UserError(`container ${sandbox.containerId}: endpoint ${what} on GW Network failed: ${error.message}`)
      : error;
  let endpoint: Endpoint;
  try {
    endpoint = network.createEndpoint(endpointName(sandbox), { anonymous: true });
  } catch (error) {
    throw failed("create", error);
  }
  try {
    endpoint.join(sandbox);
  } catch (error) {
    endpoint.delete(true);
    throw failed("join", error);
  }
}

/** Takes that endpoint away. */
export function clearDefaultGateway(sandbox: Sandbox): void {
  gatewayNetworkEndpoint(sandbox)?.delete(true);
}
