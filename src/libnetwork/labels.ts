/** Option keys and fixed names of libnetwork (moby libnetwork/netlabel, drivers/bridge/labels.go, default_gateway.go). */

/** A map of driver options as the API and swarmkit carry it. */
export type Options = Readonly<Record<string, string>>;

/** Options of drivers, as `docker network create -o` takes them. */
export const OPTION_MTU = "com.docker.network.driver.mtu";
export const OPTION_VXLAN_IDS = "com.docker.network.driver.overlay.vxlanid_list";
export const OPTION_ENCRYPTED = "encrypted";
export const OPTION_DSR = "dsr";
export const OPTION_BRIDGE_NAME = "com.docker.network.bridge.name";
export const OPTION_ENABLE_ICC = "com.docker.network.bridge.enable_icc";
export const OPTION_ENABLE_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade";
export const OPTION_DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge";
export const OPTION_HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4";

/** NetworkDB tables (libnetwork agent.go, drivers/overlay/overlay.go). */
export const ENDPOINT_TABLE = "endpoint_table";
export const PEER_TABLE = "overlay_peer_table";

/** The bridge network that gives overlay-only containers a way out. */
export const GATEWAY_NETWORK = "docker_gwbridge";

/** The daemon's default network; the embedded resolver and service discovery are off on it. */
export const DEFAULT_NETWORK = "bridge";
