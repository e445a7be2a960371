/**
 * The overlay driver: VXLAN networks whose remote endpoints are known from gossip and programmed as permanent
 * neighbour and FDB entries (moby libnetwork/drivers/overlay, 20.10: overlay.go, joinleave.go, ov_endpoint.go,
 * ostweaks_linux.go, peerdb.go).
 */
import { formatCidr, formatIpv4, type Ipv4, macFromIp } from "../../base/addr.ts";
import { assert, KernelError, UserError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { NetNs } from "../../kernel/types.ts";
import { goErrorText } from "../go-errors.ts";
import { PEER_TABLE } from "../labels.ts";
import type { DaemonLog } from "../log.ts";
import type { TableNote } from "../networkdb-types.ts";
import { findLink, NeighborSearchError, setSysctlIfKnown } from "../osl.ts";
import { decodePeerRecord, encodePeerRecord } from "../records.ts";
import {
  createVethPair,
  type Discovery,
  type Driver,
  type DriverNetwork,
  type EndpointInterface,
  type JoinInfo,
} from "./driver.ts";
import type { OverlayEncryption } from "./overlay-encryption.ts";
import { OverlayNetwork, type OverlaySubnet } from "./overlay-network.ts";
import { PeerDb, type PeerEntry } from "./peerdb.ts";

/** Default UDP port of the data path (overlayutils). */
export const VXLAN_PORT = 4789;

/** Limits of the neighbour table, raised when lower (ovConfig). */
const NEIGHBOUR_LIMITS: readonly (readonly [name: string, value: number])[] = [
  ["net.ipv4.neigh.default.gc_thresh1", 8192],
  ["net.ipv4.neigh.default.gc_thresh2", 49152],
  ["net.ipv4.neigh.default.gc_thresh3", 65536],
];

/** Raises the neighbour table's limits where they are lower (applyOSTweaks of the driver). */
export function raiseNeighbourLimits(host: NetNs, log: DaemonLog): void {
  for (const [name, value] of NEIGHBOUR_LIMITS) setSysctlIfKnown(host, name, value, log, (old) => old < value);
}

/** The overlay driver (libnetwork/drivers/overlay). */
export class OverlayDriver implements Driver {
  readonly type = "overlay";
  readonly tables = [PEER_TABLE];
  readonly #host: NetNs;
  readonly #random: Random;
  readonly #log: DaemonLog;
  readonly #encryption: OverlayEncryption | undefined;
  readonly #networks = new Map<string, OverlayNetwork>();
  readonly #peers = new PeerDb();
  #advertiseAddress: Ipv4 | undefined;
  #bindAddress: Ipv4 = 0;
  #port = VXLAN_PORT;
  #probed = false;

  constructor(host: NetNs, random: Random, log: DaemonLog, encryption?: OverlayEncryption) {
    this.#host = host;
    this.#random = random;
    this.#log = log;
    this.#encryption = encryption;
    raiseNeighbourLimits(host, log);
  }

  get advertiseAddress(): Ipv4 | undefined {
    return this.#advertiseAddress;
  }

  /** The network's state, for inspection and tests. */
  network(networkId: string): OverlayNetwork | undefined {
    return this.#networks.get(networkId);
  }

  get peers(): PeerDb {
    return this.#peers;
  }

  discover(event: Discovery): void {
    if (event.kind === "node") {
      this.#advertiseAddress = event.address;
      this.#bindAddress = event.bindAddress;
      this.#port = event.dataPathPort === 0 ? VXLAN_PORT : event.dataPathPort;
      this.#encryption?.attach({
        advertiseAddress: event.address,
        bindAddress: this.#bindAddress,
        dataPathPort: this.#port,
        peerVteps: (id) => [...new Set(this.#peers.entries(id).flatMap((e) => (e.local ? [] : [e.vtep])))],
        hasLocalEndpoints: (id) => (this.#networks.get(id)?.endpoints.size ?? 0) > 0,
      });
    } else if (event.kind === "keys") {
      this.#encryption?.setKeys(event.keys);
    } else {
      this.#encryption?.updateKeys(event);
    }
  }

  /** Book-keeping only: kernel objects come with the first join. */
  createNetwork(network: DriverNetwork): void {
    if (this.#networks.has(network.id))
      throw new UserError(`attempt to create overlay network ${network.id} that already exists`);
    const made = new OverlayNetwork(network, this.#host, this.#log, {
      port: () => this.#port,
      programRules: (vni, encrypted) => this.#encryption?.programVni(vni, encrypted),
    });
    if (made.encrypted && this.#encryption === undefined) {
      throw new UserError(`encryption of overlay networks is not available on this engine (network ${network.name})`);
    }
    this.#networks.set(network.id, made);
  }

  deleteNetwork(networkId: string): void {
    const network = this.#network(networkId);
    for (const id of [...network.endpoints.keys()]) this.deleteEndpoint(networkId, id);
    network.destroySandbox();
    this.#peers.flush(networkId);
    this.#networks.delete(networkId);
  }

  #network(id: string): OverlayNetwork {
    const network = this.#networks.get(id);
    if (network === undefined) throw new UserError(`network id "${id}" not found`);
    return network;
  }

  createEndpoint(networkId: string, endpoint: EndpointInterface): void {
    const network = this.#network(networkId);
    if (network.subnetOf(endpoint.address.ip) === undefined) {
      throw new UserError(`no matching subnet for IP "${formatCidr(endpoint.address)}" in network "${networkId}"`);
    }
    endpoint.mac ??= macFromIp(endpoint.address.ip);
    network.endpoints.set(endpoint.id, {
      id: endpoint.id,
      address: endpoint.address,
      mac: endpoint.mac,
      ifName: undefined,
      overlayIfName: undefined,
    });
  }

  deleteEndpoint(networkId: string, endpointId: string): void {
    const network = this.#network(networkId);
    const endpoint = network.endpoints.get(endpointId);
    network.endpoints.delete(endpointId);
    if (endpoint?.ifName === undefined) return;
    if (findLink(this.#host, endpoint.ifName) !== undefined) this.#host.link.del(endpoint.ifName);
    if (endpoint.overlayIfName !== undefined) network.sandbox?.removeInterface(endpoint.overlayIfName);
  }

  join(networkId: string, endpointId: string, info: JoinInfo): void {
    const network = this.#network(networkId);
    const endpoint = network.endpoints.get(endpointId);
    assert(endpoint !== undefined, "join of an unknown endpoint", endpointId);
    const vtep = this.#advertiseAddress;
    if (vtep === undefined)
      throw new UserError("overlay driver: no advertise address (the node is not part of a swarm)");
    if (network.encrypted && this.#encryption?.hasKeys !== true) {
      throw new UserError("cannot join secure network: encryption keys not present");
    }
    const subnet = network.subnetOf(endpoint.address.ip) as OverlaySubnet;
    this.#joinSandbox(network, subnet);
    network.countJoin();
    const sandbox = network.sandbox;
    assert(sandbox !== undefined, "joined network without a sandbox", networkId);
    const { network: overlayEnd, container } = createVethPair(this.#host, this.#random, network.mtu);
    try {
      sandbox.addInterface(overlayEnd, "veth", { master: subnet.bridgeName });
    } catch (error) {
      // A bridge takes 1023 ports.
      if (!(error instanceof KernelError)) throw error;
      this.#host.link.del(container);
      network.leaveSandbox();
      const what = `error setting interface "${overlayEnd}" master to "${sandbox.findDst(subnet.bridgeName)}"`;
      throw new UserError(`could not add veth pair inside the network sandbox: ${what}: ${goErrorText(error)}`);
    }
    endpoint.ifName = container;
    endpoint.overlayIfName = overlayEnd;
    this.#host.link.set(container, { mac: endpoint.mac });
    for (const other of network.subnets) if (other !== subnet) info.addStaticRoute(other.subnet, subnet.gateway.ip);
    info.setNames(container, "eth");
    this.#peerAdd(networkId, this.#localPeer(endpoint.id, endpoint.address, endpoint.mac, vtep), true);
    if (network.encrypted) this.#encryption?.checkEncryption(networkId, undefined, true, true);
    const record = { endpointIp: endpoint.address, endpointMac: endpoint.mac, tunnelEndpointIp: vtep };
    info.addTableEntry(PEER_TABLE, endpointId, encodePeerRecord(record));
  }

  leave(networkId: string, endpointId: string): void {
    const network = this.#network(networkId);
    const endpoint = network.endpoints.get(endpointId);
    const vtep = this.#advertiseAddress;
    if (endpoint === undefined || vtep === undefined) return;
    this.#peerDelete(networkId, this.#localPeer(endpoint.id, endpoint.address, endpoint.mac, vtep));
    network.leaveSandbox();
  }

  #localPeer(endpointId: string, address: { ip: Ipv4; prefix: number }, mac: number, vtep: Ipv4): PeerEntry {
    return { endpointId, ip: address.ip, prefix: address.prefix, mac, vtep, local: true };
  }

  /** The namespace and the subnet's devices, and the peers known until then when the namespace is new. */
  #joinSandbox(network: OverlayNetwork, subnet: OverlaySubnet): void {
    this.#probeOnce();
    const made = network.ensureSandbox();
    network.ensureSubnet(subnet);
    if (!made) return;
    for (const entry of this.#peers.entries(network.id)) this.#peerAdd(network.id, entry, false);
  }

  /** networkOnceInit: a VXLAN device is made and deleted again, to see that this kernel can. It uses up one ifindex. */
  #probeOnce(): void {
    if (this.#probed) return;
    this.#probed = true;
    this.#host.link.add({ kind: "vxlan", name: "testvxlan", vni: 1 });
    this.#host.link.del("testvxlan");
  }

  eventNotify(note: TableNote): void {
    if (note.table !== PEER_TABLE) {
      this.#log("error", `Unexpected table notification for table ${note.table} received`);
      return;
    }
    const entry = peerOf(note);
    if (entry === undefined) {
      this.#log("error", `Failed to unmarshal peer record: ${note.key}`);
      return;
    }
    // Records about our own endpoints are no peers and must not reach the FDB.
    if (entry.vtep === this.#advertiseAddress) return;
    if (note.type === "delete") this.#peerDelete(note.networkId, entry);
    else this.#peerAdd(note.networkId, entry, true);
  }

  hostIpOf(value: Uint8Array): Ipv4 | undefined {
    return decodePeerRecord(value)?.tunnelEndpointIp;
  }

  /** peerAddOp: into the database, and for a remote peer of a network with a namespace into the kernel. */
  #peerAdd(networkId: string, entry: PeerEntry, updateDb: boolean): void {
    let count = 0;
    if (updateDb) {
      const added = this.#peers.add(networkId, entry);
      count = added.count;
      if (!added.inserted)
        this.#log(
          "warning",
          `Entry already present in db: nid:${networkId} eid:${entry.endpointId} peerIP:${formatIpv4(entry.ip)}`,
        );
      if (added.inserted && count > 1)
        this.#log("warning", `peerDbAdd transient condition - Key:${formatIpv4(entry.ip)} cardinality:${count}`);
    }
    if (entry.local) return;
    const network = this.#networks.get(networkId);
    const sandbox = network?.sandbox;
    if (network === undefined || sandbox === undefined) return;
    const subnet = network.subnetOf(entry.ip);
    if (subnet === undefined) {
      this.#log(
        "warning",
        `Peer add operation failed: couldn't find the subnet "${formatIpv4(entry.ip)}" in network "${networkId}"`,
      );
      return;
    }
    network.ensureSubnet(subnet);
    if (network.encrypted) this.#encryption?.checkEncryption(networkId, entry.vtep, false, true);
    try {
      sandbox.addNeighbor(entry.ip, entry.mac, subnet.vxlanName, false);
      sandbox.addNeighbor(entry.vtep, entry.mac, subnet.vxlanName, true);
    } catch (error) {
      if (!(error instanceof NeighborSearchError)) throw error;
      // Two records for one address: the first one programmed stays active until it is deleted.
      if (count <= 1)
        this.#log(
          "warning",
          `Peer add operation failed: could not add neighbor entry for nid:${networkId} eid:${entry.endpointId} into the sandbox:${error.message}`,
        );
    }
  }

  /** peerDeleteOp: out of the kernel and the database; another record of the same address takes its place. */
  #peerDelete(networkId: string, entry: PeerEntry): void {
    const { deleted, count } = this.#peers.delete(networkId, entry);
    if (!deleted)
      this.#log(
        "warning",
        `Entry was not in db: nid:${networkId} eid:${entry.endpointId} peerIP:${formatIpv4(entry.ip)}`,
      );
    const network = this.#networks.get(networkId);
    const sandbox = network?.sandbox;
    if (network === undefined || sandbox === undefined) return;
    if (network.encrypted) this.#encryption?.checkEncryption(networkId, entry.vtep, entry.local, false);
    if (!entry.local) {
      try {
        sandbox.deleteNeighbor(entry.vtep, entry.mac);
        sandbox.deleteNeighbor(entry.ip, entry.mac);
      } catch (error) {
        if (!(error instanceof NeighborSearchError)) throw error;
        // The record deleted was not the active one.
        if (count > 0) return;
        this.#log(
          "warning",
          `Peer delete operation failed: could not delete neighbor entry for nid:${networkId} eid:${entry.endpointId} into the sandbox:${error.message}`,
        );
        return;
      }
    }
    if (count === 0) return;
    const next = this.#peers.search(networkId, entry.ip);
    if (next !== undefined) this.#peerAdd(networkId, next, false);
  }
}

/** What records say: those who heard the same one hold the same bytes of it. */
const peers = new WeakMap<Uint8Array, PeerEntry>();

/** The endpoint that a record tells of; undefined when it can't be read. */
function peerOf({ key: endpointId, value }: TableNote): PeerEntry | undefined {
  const known = peers.get(value);
  if (known?.endpointId === endpointId) return known;
  const record = decodePeerRecord(value);
  if (record === undefined) return undefined;
  const { endpointIp, endpointMac: mac, tunnelEndpointIp: vtep } = record;
  const entry = { endpointId, ip: endpointIp.ip, prefix: endpointIp.prefix, mac, vtep, local: false };
  peers.set(value, entry);
  return entry;
}
