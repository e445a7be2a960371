/** The networks every engine has: `none`, `host` and `bridge` (moby daemon/daemon_unix.go initNetworkController, initBridgeDriver). */
import { networkOf } from "../base/addr.ts";
import type { NetworkController } from "./controller.ts";
import {
  DEFAULT_NETWORK,
  OPTION_BRIDGE_NAME,
  OPTION_DEFAULT_BRIDGE,
  OPTION_ENABLE_ICC,
  OPTION_ENABLE_MASQUERADE,
  OPTION_HOST_BINDING,
  OPTION_MTU,
} from "./labels.ts";
import type { IpamConfig } from "./network.ts";
import { findLink } from "./osl.ts";

const DEFAULT_BRIDGE = "docker0";

/** docker0 keeps the address it has; a new one gets the first pool that is free (netutils.ElectInterfaceAddresses). */
function electAddress(controller: NetworkController): IpamConfig {
  const { host, ipam } = controller;
  const own = findLink(host, DEFAULT_BRIDGE) === undefined ? undefined : host.addr.list(DEFAULT_BRIDGE)[0]?.addr;
  if (own === undefined) return { subnet: ipam.electDefaultPool(controller.hostNetworks()) };
  return { subnet: networkOf(own), gateway: own.ip };
}

/** Makes them, docker0 included, in the daemon's order. */
export function createDefaultNetworks(controller: NetworkController): void {
  controller.newLocalNetwork({ name: "none", driver: "null" });
  controller.newLocalNetwork({ name: "host", driver: "host" });
  controller.newLocalNetwork({
    name: DEFAULT_NETWORK,
    driver: "bridge",
    ipam: [electAddress(controller)],
    options: {
      [OPTION_DEFAULT_BRIDGE]: "true",
      [OPTION_ENABLE_ICC]: "true",
      [OPTION_ENABLE_MASQUERADE]: "true",
      [OPTION_HOST_BINDING]: "0.0.0.0",
      [OPTION_BRIDGE_NAME]: DEFAULT_BRIDGE,
      [OPTION_MTU]: "1500",
    },
  });
}
