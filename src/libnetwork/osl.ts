/**
 * A network namespace as libnetwork handles it: interfaces moved in under a numbered name, gateways, static
 * routes and permanent neighbours, all remembered so that they can be taken out again (moby libnetwork/osl,
 * 20.10: namespace_linux.go, interface_linux.go, neigh_linux.go, route_linux.go).
 */
import { broadcastOf, type Cidr, formatIpv4, formatMac, type Ipv4, type Mac } from "../base/addr.ts";
import { KernelError } from "../base/errors.ts";
import type { DevRef, NetNs } from "../kernel/types.ts";
import type { DaemonLog } from "./log.ts";

/** Every address. */
export const ANY: Cidr = { ip: 0, prefix: 0 };

/**
 * Writes a sysctl that this kernel may not have, as libnetwork does: /proc/sys/… missing (a module that isn't
 * loaded) is logged and no error; anything else is.
 * @param needed whether the old value is to be replaced; any other value is, when left out
 * @returns whether the kernel knows the name
 */
export function setSysctlIfKnown(
  ns: NetNs,
  name: string,
  value: number,
  log: DaemonLog,
  needed: (old: number) => boolean = (old) => old !== value,
): boolean {
  try {
    if (needed(ns.sysctlGet(name))) ns.sysctlSet(name, value);
    return true;
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== "ENOENT") throw error;
    log("debug", `sysctl ${name} is not known in ${ns.name}`);
    return false;
  }
}

/** ifindex of a link, or undefined when there is none of that name. */
export function findLink(ns: NetNs, name: string): number | undefined {
  try {
    return ns.link.get(name).index;
  } catch (error) {
    if (error instanceof KernelError && error.code === "ENODEV") return undefined;
    throw error;
  }
}

/** Brings lo up; the kernel gives it 127.0.0.1/8 (net/ipv4/devinet.c inetdev_event). */
function loopbackUp(ns: NetNs): void {
  ns.link.set("lo", { up: true });
}

/** How an interface is set up in a namespace. */
export interface InterfaceOptions {
  readonly mac?: Mac;
  readonly address?: Cidr;
  /** Source name of the bridge in the same namespace that it becomes a port of. */
  readonly master?: string;
  /** The interface is a bridge, made in the namespace itself. */
  readonly bridge?: boolean;
}

/** An interface in a namespace. */
export interface OslInterface {
  /** Its name where it came from, and goes back to. */
  readonly srcName: string;
  readonly dstName: string;
  readonly bridge: boolean;
  readonly address: Cidr | undefined;
}

/** What is wrong with a neighbour operation: the entry is already (`present`) or not there. */
export class NeighborSearchError extends Error {
  override name = "NeighborSearchError";
  readonly present: boolean;
  constructor(ip: Ipv4, mac: Mac, present: boolean) {
    super(`neighbor entry ${present ? "already exists" : "not found"} for IP ${formatIpv4(ip)}, mac ${formatMac(mac)}`);
    this.present = present;
  }
}

interface Neighbor {
  readonly ip: Ipv4;
  readonly mac: Mac;
  readonly bridgeFamily: boolean;
  readonly linkName: string;
  /** The next one with the same last 32 bits of the MAC address. */
  next: Neighbor | undefined;
}

/** A permanent neighbour, or with `bridgeFamily` a permanent FDB entry of the device itself (programNeighbor of neigh_linux.go). */
export function programNeighbor(ns: NetNs, dev: DevRef, ip: Ipv4, mac: Mac, bridgeFamily: boolean): void {
  if (bridgeFamily) ns.fdb.add(dev, mac, { dst: ip, owner: "self", replace: true });
  else ns.neigh.add(dev, ip, mac, { state: "PERMANENT", replace: true });
}

/** A namespace under libnetwork's control. */
export class OslNamespace {
  readonly ns: NetNs;
  /** The host's own namespace: interfaces keep their names and it is never destroyed. */
  readonly isDefault: boolean;
  readonly #log: DaemonLog;
  readonly #interfaces: OslInterface[] = [];
  /** Next number of each prefix (`eth`, `veth`, `br`, `vxlan`); 20.10 never uses one twice. */
  readonly #nextIndex = new Map<string, number>();
  /** By the last 32 bits of the MAC address: a host of a large overlay has thousands. */
  readonly #neighbors = new Map<number, Neighbor>();
  #gateway: Ipv4 | undefined;

  constructor(ns: NetNs, isDefault: boolean, log: DaemonLog) {
    this.ns = ns;
    this.isDefault = isDefault;
    this.#log = log;
    if (!isDefault) loopbackUp(ns);
  }

  get interfaces(): readonly OslInterface[] {
    return this.#interfaces;
  }

  get gateway(): Ipv4 | undefined {
    return this.#gateway;
  }

  /** Name in the namespace of the interface that was called `srcName`, or undefined. */
  findDst(srcName: string): string | undefined {
    return this.#interfaces.find((i) => i.srcName === srcName)?.dstName;
  }

  /** Moves a link of the host's namespace in (or makes a bridge), names it `<prefix><n>`, configures it and brings it up. */
  addInterface(srcName: string, dstPrefix: string, options: InterfaceOptions = {}): OslInterface {
    const { ns } = this;
    let dstName = srcName;
    if (!this.isDefault) {
      const number = this.#nextIndex.get(dstPrefix) ?? 0;
      this.#nextIndex.set(dstPrefix, number + 1);
      dstName = `${dstPrefix}${number}`;
    }
    // The overlay driver takes the default VLAN away (drivers/overlay/ov_network.go setDefaultVLAN).
    if (options.bridge === true) ns.link.add({ kind: "bridge", name: srcName, defaultPvid: 0 });
    else if (!this.isDefault) ns.host.root.link.set(srcName, { ns });
    const dev = ns.link.get(srcName).index;
    ns.link.set(dev, { up: false });
    if (dstName !== srcName) ns.link.set(dev, { name: dstName });
    if (options.mac !== undefined) ns.link.set(dev, { mac: options.mac });
    if (options.address !== undefined) ns.addr.add(dev, options.address, { broadcast: broadcastOf(options.address) });
    if (options.master !== undefined) {
      const master = this.findDst(options.master) ?? options.master;
      ns.link.set(dev, { master: ns.link.get(master).index });
    }
    ns.link.set(dev, { up: true });
    const entry = { srcName, dstName, bridge: options.bridge === true, address: options.address };
    this.#interfaces.push(entry);
    return entry;
  }

  /** Takes an interface out: a bridge is deleted, anything else goes back to the host's namespace under its old name. */
  removeInterface(srcName: string): void {
    const at = this.#interfaces.findIndex((i) => i.srcName === srcName);
    const entry = this.#interfaces[at];
    if (entry === undefined) return;
    this.#interfaces.splice(at, 1);
    const { ns } = this;
    const dev = findLink(ns, entry.dstName);
    // One end of a veth pair is gone when the other one was deleted.
    if (dev === undefined) return;
    ns.link.set(dev, { up: false });
    if (entry.dstName !== entry.srcName) ns.link.set(dev, { name: entry.srcName });
    if (entry.bridge) ns.link.del(dev);
    else if (!this.isDefault) ns.link.set(dev, { ns: ns.host.root });
  }

  /** Another address of an interface, alone in its subnet. @throws KernelError EEXIST */
  addAlias(device: string, ip: Ipv4): void {
    this.ns.addr.add(device, { ip, prefix: 32 });
  }

  removeAlias(device: string, ip: Ipv4): void {
    this.ns.addr.del(device, { ip, prefix: 32 });
  }

  /** `default via GW`. */
  setGateway(gateway: Ipv4): void {
    this.ns.route.add({ dst: ANY, via: gateway, protocol: "boot" });
    this.#gateway = gateway;
  }

  unsetGateway(): void {
    if (this.#gateway === undefined) return;
    this.ns.route.del({ dst: ANY, via: this.#gateway });
    this.#gateway = undefined;
  }

  /** `DST via NEXTHOP` (types.NEXTHOP routes of drivers). */
  addStaticRoute(dst: Cidr, via: Ipv4): void {
    this.ns.route.add({ dst, via, protocol: "boot" });
  }

  removeStaticRoute(dst: Cidr, via: Ipv4): void {
    this.ns.route.del({ dst, via });
  }

  #find(ip: Ipv4, mac: Mac): Neighbor | undefined {
    let neighbor = this.#neighbors.get(mac | 0);
    while (neighbor !== undefined && (neighbor.ip !== ip || neighbor.mac !== mac)) neighbor = neighbor.next;
    return neighbor;
  }

  #forget(gone: Neighbor): void {
    const place = gone.mac | 0;
    const first = this.#neighbors.get(place);
    if (first === gone && gone.next === undefined) this.#neighbors.delete(place);
    else if (first === gone && gone.next !== undefined) this.#neighbors.set(place, gone.next);
    for (let at = first; at !== undefined; at = at.next) if (at.next === gone) at.next = gone.next;
  }

  /**
   * A permanent neighbour (IP → MAC), or with `bridgeFamily` a permanent FDB entry of the device itself (MAC → VTEP ip).
   * Throws NeighborSearchError when the same pair is there.
   */
  addNeighbor(ip: Ipv4, mac: Mac, linkName: string, bridgeFamily: boolean): void {
    if (this.#find(ip, mac) !== undefined) throw new NeighborSearchError(ip, mac, true);
    const dev = this.findDst(linkName);
    if (dev === undefined) throw new Error(`could not find the interface with name ${linkName}`);
    programNeighbor(this.ns, dev, ip, mac, bridgeFamily);
    this.#neighbors.set(mac | 0, { ip, mac, bridgeFamily, linkName, next: this.#neighbors.get(mac | 0) });
  }

  /** Removes what addNeighbor made, and the entry the bridge may have learnt. Throws NeighborSearchError when it is not there. */
  deleteNeighbor(ip: Ipv4, mac: Mac): void {
    const entry = this.#find(ip, mac);
    if (entry === undefined) throw new NeighborSearchError(ip, mac, false);
    const dev = this.findDst(entry.linkName);
    if (dev !== undefined) {
      if (entry.bridgeFamily) {
        this.#tryDelete(() => this.ns.fdb.del(dev, mac, { dst: ip, owner: "self" }), "FDB entry", mac);
        this.#tryDelete(() => this.ns.fdb.del(dev, mac, { owner: "master" }), "bridge FDB entry", mac);
      } else {
        this.#tryDelete(() => this.ns.neigh.del(dev, ip), "neighbor entry", mac);
      }
    }
    this.#forget(entry);
  }

  /** A kernel that refuses a deletion is only worth a line in the log: the entry leaves libnetwork's list all the same. */
  #tryDelete(deletion: () => void, what: string, mac: Mac): void {
    try {
      deletion();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#log("warning", `error while deleting ${what} for mac ${formatMac(mac)}: ${error.message}`);
    }
  }

  /** Ends the namespace; the host's own stays. */
  destroy(): void {
    if (!this.isDefault && this.ns.alive) this.ns.destroy();
  }
}
