/**
 * Allocates networks and addresses on them (libnetwork cnmallocator/networkallocator.go with
 * drivers/overlay/ovmanager): a subnet, a gateway and a VNI per IPAM configuration; one address per task and
 * network; one load-balancer address per node and overlay network. Holds no objects: it is given them and
 * gives back what changed.
 */
import { parseIpv4 } from "../../../base/addr.ts";
import type { IpamConfig, NetworkAttachment, NetworkObject, TaskObject } from "../../api/objects.ts";
import { AddressSpace, AllocationError, addressOf, NO_AVAILABLE_IP, type Pool } from "./ipam.ts";
import { NextFit } from "./next-fit.ts";

/** Driver option with the VNIs, one per subnet, separated by commas. */
export const VXLAN_ID_LIST = "com.docker.network.driver.overlay.vxlanid_list";
/** First and last VNI handed out without a wish: 0…4095 overlap VLAN IDs, which Windows can't use. */
export const FIRST_VNI = 4096;
const VNI_LAST = 2 ** 24 - 1;

/** Drivers whose networks live on one node: the manager only records their name. */
const NODE_LOCAL_DRIVERS = new Set(["bridge", "host", "ipvlan", "macvlan", "null"]);

interface NetworkState {
  /** By the subnet's text. */
  readonly pools: Map<string, Pool>;
  readonly vnis: number[];
}

/** Pools, addresses and VNIs of networks (allocator/cnmallocator). */
export class NetworkAllocator {
  readonly #space: AddressSpace;
  readonly #vnis = new NextFit(FIRST_VNI, VNI_LAST);
  readonly #networks = new Map<string, NetworkState>();

  constructor(defaultPools: readonly string[], subnetSize: number) {
    this.#space = new AddressSpace(defaultPools, subnetSize);
  }

  isAllocated(networkId: string): boolean {
    return this.#networks.has(networkId);
  }

  /** True for a network that lives on one node, and has no addresses of the swarm's. */
  isNodeLocal(networkId: string): boolean {
    return this.#networks.get(networkId)?.pools.size === 0;
  }

  /** Gives the network its driver, subnets, gateways and VNIs. Throws AllocationError and leaves nothing taken. */
  allocateNetwork(network: NetworkObject): NetworkObject {
    const driver = network.spec.driverConfig?.name ?? "";
    if (NODE_LOCAL_DRIVERS.has(driver)) {
      this.#networks.set(network.id, { pools: new Map(), vnis: [] });
      return { ...network, driverState: { name: driver, options: network.spec.driverConfig?.options ?? {} } };
    }
    const pools: Pool[] = [];
    const vnis: number[] = [];
    try {
      const configs = this.#allocatePools(network, pools);
      this.#allocateVnis(network, pools, vnis);
      this.#networks.set(network.id, { pools: new Map(pools.map((pool) => [pool.text, pool])), vnis });
      const options = { ...network.spec.driverConfig?.options, [VXLAN_ID_LIST]: vnis.join(",") };
      const ipam = { driver: { name: "default", options: network.spec.ipam?.driver?.options ?? {} }, configs };
      return { ...network, driverState: { name: "overlay", options }, ipam };
    } catch (error) {
      for (const pool of pools) this.#space.release(pool);
      for (const vni of vnis) this.#vnis.release(vni);
      throw error;
    }
  }

  /** Takes what an allocated network of the store has: after a change of leaders. */
  restoreNetwork(network: NetworkObject): void {
    const pools = new Map<string, Pool>();
    for (const config of network.ipam?.configs ?? []) {
      const pool = this.#space.request(config.subnet, config.range);
      const gateway = parseIpv4(config.gateway);
      if (gateway !== undefined) pool.take(gateway);
      pools.set(pool.text, pool);
    }
    const list = network.driverState?.options[VXLAN_ID_LIST] ?? "";
    const vnis = list === "" ? [] : list.split(",").map(Number);
    for (const vni of vnis) this.#vnis.take(vni);
    this.#networks.set(network.id, { pools, vnis });
  }

  /** Gives back subnets and VNIs. False when the network was not allocated. */
  deallocateNetwork(networkId: string): boolean {
    const state = this.#networks.get(networkId);
    if (state === undefined) return false;
    for (const pool of state.pools.values()) this.#space.release(pool);
    for (const vni of state.vnis) this.#vnis.release(vni);
    this.#networks.delete(networkId);
    return true;
  }

  /** An address on a network: one of the wished ones, or the next. */
  allocateAddress(networkId: string, wished: readonly string[]): string {
    const pools = [...(this.#networks.get(networkId)?.pools.values() ?? [])];
    for (const text of wished) {
      const ip = addressOf(text);
      const pool = ip === undefined ? undefined : pools.find((candidate) => candidate.contains(ip));
      if (ip === undefined || pool === undefined) continue;
      pool.take(ip);
      return pool.format(ip);
    }
    if (wished.length > 0) throw new AllocationError(NO_AVAILABLE_IP);
    for (const pool of pools) {
      try {
        return pool.format(pool.next());
      } catch (error) {
        if (!(error instanceof AllocationError)) throw error;
      }
    }
    throw new AllocationError(NO_AVAILABLE_IP);
  }

  /** Takes the addresses that the store shows as given out. */
  restoreAddresses(attachments: readonly NetworkAttachment[]): void {
    for (const { network, addresses } of attachments) {
      for (const address of addresses) this.restoreAddress(network.id, address);
    }
  }

  /** Takes an address that the store shows as given out. */
  restoreAddress(networkId: string, address: string): void {
    try {
      this.allocateAddress(networkId, [address]);
    } catch (error) {
      // Two objects with one address: the first keeps it. A network that is gone holds none.
      if (!(error instanceof AllocationError)) throw error;
    }
  }

  /** Gives back addresses; those of networks that are gone went with them. */
  releaseAddresses(attachments: readonly NetworkAttachment[]): void {
    for (const { network, addresses } of attachments) {
      for (const address of addresses) this.releaseAddress(network.id, address);
    }
  }

  /** Gives back one address. */
  releaseAddress(networkId: string, address: string): void {
    const ip = addressOf(address);
    if (ip === undefined) return;
    for (const pool of this.#networks.get(networkId)?.pools.values() ?? []) if (pool.contains(ip)) pool.release(ip);
  }

  /** One address on every network of a task; all or none. Node-local networks need none. */
  allocateTask(task: TaskObject, attachments: readonly NetworkAttachment[]): NetworkAttachment[] {
    const done: NetworkAttachment[] = [];
    try {
      for (const attachment of attachments) {
        const state = this.#networks.get(attachment.network.id);
        const wished = task.spec.networks.find((config) => config.target === attachment.network.id)?.addresses ?? [];
        const addresses = state?.pools.size === 0 ? [] : [this.#taskAddress(task.id, attachment.network.id, wished)];
        done.push({ ...attachment, addresses });
      }
      return done;
    } catch (error) {
      this.releaseAddresses(done);
      throw error;
    }
  }

  #taskAddress(taskId: string, networkId: string, wished: readonly string[]): string {
    try {
      return this.allocateAddress(networkId, wished);
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      const text = `failed to allocate network IP for task ${taskId} network ${networkId}: ${error.message}`;
      throw new AllocationError(text);
    }
  }

  #allocatePools(network: NetworkObject, pools: Pool[]): IpamConfig[] {
    const wished = network.spec.ipam?.configs ?? [];
    const configs: IpamConfig[] = [];
    for (const config of wished.length > 0 ? wished : [{ subnet: "", range: "", gateway: "" }]) {
      const pool = this.#requestPool(config);
      pools.push(pool);
      let gateway = config.gateway;
      const ip = parseIpv4(gateway);
      if (ip !== undefined) pool.take(ip);
      else gateway = pool.format(pool.next()).replace(/\/.*/, "");
      configs.push({ subnet: pool.text, range: config.range, gateway });
    }
    return configs;
  }

  #requestPool({ subnet, range }: IpamConfig): Pool {
    if (subnet === "") return this.#space.requestAny(range);
    if (subnet.startsWith("0.0.0.0/")) return this.#space.requestSize(Number(subnet.slice(8)), range);
    return this.#space.request(subnet, range);
  }

  #allocateVnis(network: NetworkObject, pools: readonly Pool[], vnis: number[]): void {
    const list = network.spec.driverConfig?.options[VXLAN_ID_LIST] ?? "";
    const wished = list === "" ? [] : list.split(",").map(Number);
    for (const [i, pool] of pools.entries()) {
      const wish = wished[i];
      if (wish === undefined) {
        const vni = this.#vnis.next();
        if (vni === undefined)
          throw new AllocationError(`could not obtain vxlan id for pool ${pool.text}: no bit available`);
        vnis.push(vni);
      } else if (this.#vnis.take(wish)) vnis.push(wish);
      else
        throw new AllocationError(
          `could not obtain vxlan id for pool ${pool.text}: requested bit is already allocated`,
        );
    }
  }
}
