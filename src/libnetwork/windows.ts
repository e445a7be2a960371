/**
 * libnetwork on a Windows host (moby libnetwork/drivers_windows.go, drivers/windows, default_gateway_windows.go,
 * daemon/daemon_windows.go initNetworkController; 20.10). The Host Networking Service's `nat` is emulated by a bridge
 * and masquerade, its overlay by that of Linux: what differs is what can be seen, and that encryption is ignored.
 */
import type { Cidr } from "../base/addr.ts";
import { cidrOverlaps } from "../base/addr.ts";
import type { NetworkController } from "./controller.ts";
import type { DriverNetwork } from "./drivers/driver.ts";
import type { OverlayEncryption } from "./drivers/overlay-encryption.ts";
import type { NetworkSystem } from "./system.ts";

/** The default network, which is also the way out of overlay-only containers. */
const NAT_NETWORK = "nat";
/** IP TTL of Windows. */
export const WINDOWS_TTL = 128;

const OPTION_HNS_ID = "com.docker.network.windowsshim.hnsid";
const OPTION_HNS_NAME = "com.docker.network.windowsshim.networkname";

/** Longest name of a device (IFNAMSIZ), without the blank and the brackets of Windows' names. */
function deviceName({ name }: DriverNetwork): string {
  return `vEthernet-${name}`.slice(0, 15);
}

/** Networks of Docker on Windows (HNS). */
export const WINDOWS_NETWORKS: NetworkSystem = {
  localDriver: "nat",
  deviceName,
  hasHostNetwork: false,
  gatewayNetwork: NAT_NETWORK,
  portProxies: false,
  sandboxSysctls: [["net.ipv4.ip_default_ttl", WINDOWS_TTL]],
};

/** The networks that every engine on Windows has: `nat`, which HNS gives a free /20 of 172.16/12, and `none`. */
export function createWindowsNetworks(controller: NetworkController): void {
  const random = controller.random.fork("hns");
  controller.newLocalNetwork({ name: "none", driver: "null" });
  let subnet: Cidr;
  do subnet = { ip: 0xac100000 + random.below(256) * 4096, prefix: 20 };
  while (controller.hostNetworks().some((taken) => cidrOverlaps(taken, subnet)));
  const id = random.hex(32).match(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/) as RegExpMatchArray;
  controller.newLocalNetwork({
    name: NAT_NETWORK,
    driver: "nat",
    ipam: [{ subnet }],
    options: { [OPTION_HNS_ID]: id.slice(1).join("-").toUpperCase(), [OPTION_HNS_NAME]: NAT_NETWORK },
  });
}

/**
 * The overlay driver of Windows knows nothing of the option `encrypted`: it needs no keys, makes no rules, and sends and
 * takes VXLAN in clear. Linux' engines drop that from an encrypted network, and what they send, ESP, ends at a Windows
 * host for want of an association.
 */
export class NoEncryption implements OverlayEncryption {
  readonly hasKeys = true;
  attach(): void {}
  setKeys(): void {}
  updateKeys(): void {}
  checkEncryption(): void {}
  programVni(): void {}
}
