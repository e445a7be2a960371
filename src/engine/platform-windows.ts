/**
 * An engine on Windows Server 2022 (moby daemon/*_windows.go, runconfig/hostconfig_windows.go, 20.10). The machine's stack
 * is the same kernel as everywhere; this is what the engine's answers say of it.
 */
import { createWindowsNetworks, NoEncryption, WINDOWS_NETWORKS } from "../libnetwork/windows.ts";
import type { ContainerCreateRequest } from "./api.ts";
import type { EnginePlatform } from "./platform.ts";
import { API_VERSION, ENGINE_VERSION, LOG_PLUGINS } from "./version.ts";

/** `[System.Environment]::OSVersion` without the revision: what manifests of images are compared with. */
const WINDOWS_BUILD = "10.0.20348";
/** What `ver` and banners show. */
export const WINDOWS_VERSION = `${WINDOWS_BUILD}.1668`;
const KERNEL = "10.0 20348 (20348.1.amd64fre.fe_release.210507-1500)";
const MIN_API_VERSION = "1.24";
const ROOT = "C:\\ProgramData\\docker";
const DEFAULT_NETWORK = "nat";
const NETWORK_PLUGINS = ["ics", "internal", "l2bridge", "l2tunnel", "nat", "null", "overlay", "private", "transparent"];
const WINDOWS_LOG_PLUGINS = [...LOG_PLUGINS.filter((name) => name !== "journald"), "etwlogs"].sort();

/** Containers that name no network are on `nat`. */
function containerRequest(request: ContainerCreateRequest): ContainerCreateRequest {
  const { HostConfig: host = {}, NetworkingConfig: networking } = request;
  const { default: own, ...others } = networking?.EndpointsConfig ?? {};
  const mode = host.NetworkMode ?? "default";
  if (mode !== "default" && mode !== "") return request;
  return {
    ...request,
    HostConfig: { ...host, NetworkMode: DEFAULT_NETWORK },
    NetworkingConfig: { EndpointsConfig: { ...(own === undefined ? {} : { [DEFAULT_NETWORK]: own }), ...others } },
  };
}

/** Docker on Windows Server: paths, versions, its default network. */
export const windowsPlatform: EnginePlatform = {
  os: "windows",
  manifest: `windows/amd64 ${WINDOWS_BUILD}`,
  version: {
    Components: [
      {
        Name: "Engine",
        Version: ENGINE_VERSION,
        Details: { ApiVersion: API_VERSION, Arch: "amd64", MinAPIVersion: MIN_API_VERSION, Os: "windows" },
      },
    ],
    MinAPIVersion: MIN_API_VERSION,
    Os: "windows",
    KernelVersion: KERNEL,
  },
  info: {
    Driver: "windowsfilter",
    DriverStatus: [["Windows", ""]],
    Plugins: { Volume: ["local"], Network: NETWORK_PLUGINS, Authorization: null, Log: WINDOWS_LOG_PLUGINS },
    CgroupDriver: "",
    CgroupVersion: "",
    KernelVersion: KERNEL,
    OperatingSystem: `Windows Server 2022 Datacenter Version 2009 (OS Build ${WINDOWS_VERSION.slice(5)})`,
    OSType: "windows",
    DockerRootDir: ROOT,
    DefaultRuntime: "",
    Isolation: "process",
  },
  containerView: (id) => ({
    ResolvConfPath: "",
    HostnamePath: "",
    HostsPath: "",
    LogPath: `${ROOT}\\containers\\${id}\\${id}-json.log`,
    Driver: "windowsfilter",
    Platform: "windows",
    GraphDriver: { Data: { dir: `${ROOT}\\windowsfilter\\${id}` }, Name: "windowsfilter" },
  }),
  networkPlugins: NETWORK_PLUGINS,
  logPlugins: WINDOWS_LOG_PLUGINS,
  networks: WINDOWS_NETWORKS,
  createDefaultNetworks: createWindowsNetworks,
  predefinedNetworks: new Set([DEFAULT_NETWORK, "none", "default"]),
  overlayEncryption: () => new NoEncryption(),
  containerRequest,
};
