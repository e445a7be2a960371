/** The networks every engine has: `none`, `host` and `bridge` (moby daemon/daemon_unix.go initNetworkController, initBridgeDriver). */
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

/** Makes them, docker0 included, in the daemon's order. */
export function createDefaultNetworks(controller: NetworkController): void {
  controller.newLocalNetwork({ name: "none", driver: "null" });
  controller.newLocalNetwork({ name: "host", driver: "host" });
  controller.newLocalNetwork({
    name: DEFAULT_NETWORK,
    driver: "bridge",
    ipam: [{ subnet: controller.ipam.electDefaultPool(controller.hostNetworks()) }],
    options: {
      [OPTION_DEFAULT_BRIDGE]: "true",
      [OPTION_ENABLE_ICC]: "true",
      [OPTION_ENABLE_MASQUERADE]: "true",
      [OPTION_HOST_BINDING]: "0.0.0.0",
      [OPTION_BRIDGE_NAME]: "docker0",
      [OPTION_MTU]: "1500",
    },
  });
}
