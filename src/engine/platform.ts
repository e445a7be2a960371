/**
 * What an engine does differently from one operating system to the other (moby's files *_unix.go and *_windows.go).
 * Linux stands here; platform-windows.ts has the other one.
 */
import type { NetNs } from "../kernel/types.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import { createDefaultNetworks } from "../libnetwork/default-networks.ts";
import type { OverlayEncryption } from "../libnetwork/drivers/overlay-encryption.ts";
import { XfrmEncryption } from "../libnetwork/drivers/overlay-xfrm.ts";
import type { DaemonLog } from "../libnetwork/log.ts";
import { LINUX_NETWORKS, type NetworkSystem } from "../libnetwork/system.ts";
import type { ContainerCreateRequest, JsonObject } from "./api.ts";
import { LOG_PLUGINS } from "./version.ts";

/** The parts of an engine that belong to an operating system. */
export interface EnginePlatform {
  readonly os: "linux" | "windows";
  /** What images must be made for, as a registry's refusal names it. */
  readonly manifest: string;
  /** Where `GET /version`, `/info` and `/containers/{id}/json` differ from Linux'. */
  readonly version: JsonObject;
  readonly info: JsonObject;
  containerView(id: string): JsonObject;
  readonly networkPlugins: readonly string[];
  readonly logPlugins: readonly string[];
  readonly networks: NetworkSystem;
  createDefaultNetworks(controller: NetworkController): void;
  /** Networks that the engine keeps for itself, and words of `--network`. */
  readonly predefinedNetworks: ReadonlySet<string>;
  overlayEncryption(host: NetNs, log: DaemonLog): OverlayEncryption;
  /** A request for a container with this system's defaults. */
  containerRequest(request: ContainerCreateRequest): ContainerCreateRequest;
}

/** Docker on Linux. */
export const linuxPlatform: EnginePlatform = {
  os: "linux",
  manifest: "linux/amd64",
  version: {},
  info: {},
  containerView: () => ({}),
  networkPlugins: ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"],
  logPlugins: LOG_PLUGINS,
  networks: LINUX_NETWORKS,
  createDefaultNetworks,
  predefinedNetworks: new Set(["bridge", "host", "none", "default"]),
  overlayEncryption: (host, log) => new XfrmEncryption(host, log),
  containerRequest: (request) => request,
};
