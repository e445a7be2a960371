/**
 * What libnetwork does differently from one operating system to the other (its files *_linux.go and *_windows.go).
 * Linux stands here; windows.ts has the other one.
 */
import type { DriverNetwork } from "./drivers/driver.ts";
import { GATEWAY_NETWORK, OPTION_BRIDGE_NAME } from "./labels.ts";

/** The parts of libnetwork that belong to an operating system. */
export interface NetworkSystem {
  /** The driver of networks that stay on the host. */
  readonly localDriver: "bridge" | "nat";
  /** Name of the device that such a network has in the host's namespace. */
  deviceName(network: DriverNetwork): string;
  /** There is a network `host`. */
  readonly hasHostNetwork: boolean;
  /** The network that gives overlay-only containers a way out. */
  readonly gatewayNetwork: string;
  /** A docker-proxy serves each published port, and IPv6 through it. */
  readonly portProxies: boolean;
  /** Sysctls of a container's namespace. */
  readonly sandboxSysctls: readonly (readonly [name: string, value: number])[];
}

/** Networks of Docker on Linux. */
export const LINUX_NETWORKS: NetworkSystem = {
  localDriver: "bridge",
  deviceName: ({ id, options }) => options[OPTION_BRIDGE_NAME] ?? `br-${id.slice(0, 12)}`,
  hasHostNetwork: true,
  gatewayNetwork: GATEWAY_NETWORK,
  portProxies: true,
  sandboxSysctls: [],
};
