/** What a lab's host is made of, by operating system: its engine, its images, and the programs of its terminal. */
import { type EnginePlatform, linuxPlatform } from "../engine/platform.ts";
import { windowsPlatform } from "../engine/platform-windows.ts";
import type { ImageStore, Program } from "../engine/program.ts";
import { imageStore, windowsImageStore } from "../images/store.ts";
import type { NetNs } from "../kernel/types.ts";
import { WINDOWS_TTL } from "../libnetwork/windows.ts";
import { hostTools } from "../shell/tools/registry.ts";
import { windowsTools } from "../shell/tools/windows/registry.ts";
import type { HostSystem } from "./plan.ts";

/** The parts of a host that belong to its operating system. */
export interface MachineSystem {
  readonly platform: EnginePlatform;
  images(): ImageStore;
  /** Programs of the host, a new map at each call. Its terminal takes lines as a shell of Linux does on either. */
  tools(): Map<string, Program>;
  /** Network namespaces can be entered from the terminal. */
  readonly hasNamespaces: boolean;
  /** Sets up the host's own stack, before its first address. */
  boot(root: NetNs): void;
}

const linux: MachineSystem = {
  platform: linuxPlatform,
  images: () => imageStore(),
  tools: () => new Map(hostTools),
  hasNamespaces: true,
  boot: () => {},
};

const windows: MachineSystem = {
  platform: windowsPlatform,
  images: windowsImageStore,
  tools: () => windowsTools(),
  hasNamespaces: false,
  boot(root) {
    root.sysctlSet("net.ipv4.ip_default_ttl", WINDOWS_TTL);
    // Windows' IPsec takes every ESP packet, and drops what it has no association for without an answer (event 4965).
    root.iptables.append("filter", "INPUT", {
      match: { protocol: { value: "esp", not: false } },
      target: { kind: "DROP" },
    });
  },
};

/** What a host of each system is made of. */
export const SYSTEMS: Readonly<Record<HostSystem, MachineSystem>> = { linux, windows };
