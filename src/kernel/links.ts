/** Netlink for links and forwarding databases: what `ip link` and `bridge fdb` do (RTM_NEWLINK …, PF_BRIDGE). */
import { DEV_BRIDGE, DEV_LOOPBACK, DEV_NIC, DEV_VETH, DEV_VXLAN } from "../../assembly/abi.ts";
import type { Ipv4, Mac } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { SEC, type Time } from "../base/time.ts";
import { check, macHigh, macLow, NAME_SIZE, refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import type {
  DevRef,
  FdbApi,
  FdbInfo,
  LinkApi,
  LinkChange,
  LinkInfo,
  LinkKind,
  LinkSpec,
  LinkStats,
  PacketTap,
  VxlanConfig,
} from "./types.ts";

const KINDS: Record<number, LinkKind> = {
  [DEV_LOOPBACK]: "loopback",
  [DEV_VETH]: "veth",
  [DEV_BRIDGE]: "bridge",
  [DEV_VXLAN]: "vxlan",
  [DEV_NIC]: "nic",
};

// NetDev.flags (assembly/link/netdev.ts)
const IFF_UP = 1;
const IFF_PROMISC = 2;

// Flags of a vxlan device (assembly/link/vxlan.ts)
const VXLAN_LEARN = 1;
const VXLAN_PROXY = 2;
const VXLAN_L2MISS = 4;
const VXLAN_L3MISS = 8;
const VXLAN_UDP_CSUM = 16;

/** Linux's default port of a vxlan device (drivers/net/vxlan: vxlan_port 8472, from before RFC 7348). */
const VXLAN_DEFAULT_PORT = 8472;
/** FDB_AGE_DEFAULT of drivers/net/vxlan. */
const VXLAN_DEFAULT_AGEING: Time = 300 * SEC;

// linkInfo's record, see assembly/link/border.ts.
const INFO_KIND = 0;
const INFO_INDEX = 4;
const INFO_FLAGS = 8;
const INFO_MTU = 12;
const INFO_MAC = 16;
const INFO_NAME = 24;
const INFO_MASTER = 44;
const INFO_PORT_NO = 48;
const INFO_PEER_INDEX = 52;
const INFO_PEER_NS = 56;
const INFO_CARRIER = 60;
const INFO_STATS = 64;
const INFO_KIND_DATA = 128;
const INFO_AGEING = 152;

/** Handle of the device that a DevRef names, or ENODEV. */
export function deviceOf(ns: Namespace, dev: DevRef, operation: string): number {
  ns.requireAlive(operation);
  const handle = typeof dev === "number" ? ns.kernel.exports.linkByIndex(ns.handle, dev) : findByName(ns, dev);
  return handle !== 0 ? handle : refuse("ENODEV", operation);
}

function findByName(ns: Namespace, name: string): number {
  if (name === "" || name.length >= NAME_SIZE) return 0;
  const { exports, mem } = ns.kernel;
  mem.putName(exports.scratch(), name);
  return exports.linkByName(ns.handle);
}

/** A dump of devices goes through the hash of their indices (net/core/rtnetlink.c rtnl_dump_ifinfo, NETDEV_HASHENTRIES). */
const INDEX_BUCKETS = 256;

/** Handles of a namespace's devices, in order of creation. */
export function devicesOf(ns: Namespace): number[] {
  const { exports } = ns.kernel;
  const out: number[] = [];
  for (let dev = exports.linkFirst(ns.handle); dev !== 0; dev = exports.linkNextOf(dev)) out.push(dev);
  return out;
}

/** Reads a device's description. */
export function readLink(ns: Namespace, dev: number): LinkInfo {
  const { exports, mem } = ns.kernel;
  const at = exports.linkInfo(dev);
  const kind = KINDS[mem.u32(at + INFO_KIND)];
  assert(kind !== undefined, "device kind", mem.u32(at + INFO_KIND));
  const flags = mem.u32(at + INFO_FLAGS);
  const info = {
    index: mem.u32(at + INFO_INDEX),
    name: mem.name(at + INFO_NAME),
    kind,
    mac: mem.u64(at + INFO_MAC),
    mtu: mem.u32(at + INFO_MTU),
    up: (flags & IFF_UP) !== 0,
    carrier: mem.u32(at + INFO_CARRIER) !== 0,
    promisc: (flags & IFF_PROMISC) !== 0,
    master: mem.u32(at + INFO_MASTER),
    portNo: mem.u32(at + INFO_PORT_NO),
    peerIndex: mem.u32(at + INFO_PEER_INDEX),
    peerNs: ns.kernel.namespaceAt(mem.u32(at + INFO_PEER_NS)),
    stats: readStats(ns, at + INFO_STATS),
  };
  if (kind === "vxlan") return { ...info, vxlan: readVxlan(ns, at) };
  if (kind !== "bridge") return info;
  const defaultPvid = PVIDS.get(ns.kernel)?.get(dev) ?? DEFAULT_PVID;
  return {
    ...info,
    bridge: { ageing: mem.i64(at + INFO_AGEING), portCount: mem.u32(at + INFO_KIND_DATA), defaultPvid },
  };
}

/** A bridge's default PVID (net/bridge/br_vlan.c br_vlan_init). */
const DEFAULT_PVID = 1;
/** Default PVIDs of each kernel's bridges, by device, where they aren't 1. */
const PVIDS = new WeakMap<object, Map<number, number>>();

function setDefaultPvid(kernel: object, dev: number, pvid: number): void {
  const pvids = PVIDS.get(kernel) ?? new Map<number, number>();
  PVIDS.set(kernel, pvids);
  if (pvid === DEFAULT_PVID) pvids.delete(dev);
  else pvids.set(dev, pvid);
}

function readStats(ns: Namespace, at: number): LinkStats {
  const { mem } = ns.kernel;
  return {
    rxPackets: mem.u64(at),
    rxBytes: mem.u64(at + 8),
    rxErrors: mem.u64(at + 16),
    rxDropped: mem.u64(at + 24),
    txPackets: mem.u64(at + 32),
    txBytes: mem.u64(at + 40),
    txErrors: mem.u64(at + 48),
    txDropped: mem.u64(at + 56),
  };
}

function readVxlan(ns: Namespace, at: number): VxlanConfig {
  const { mem } = ns.kernel;
  const flags = mem.u32(at + INFO_KIND_DATA + 8);
  return {
    vni: mem.u32(at + INFO_KIND_DATA),
    port: mem.u32(at + INFO_KIND_DATA + 4),
    learning: (flags & VXLAN_LEARN) !== 0,
    proxy: (flags & VXLAN_PROXY) !== 0,
    l2miss: (flags & VXLAN_L2MISS) !== 0,
    l3miss: (flags & VXLAN_L3MISS) !== 0,
    udpCsum: (flags & VXLAN_UDP_CSUM) !== 0,
    ttl: mem.u32(at + INFO_KIND_DATA + 12),
    tos: mem.u32(at + INFO_KIND_DATA + 16),
    ageing: mem.i64(at + INFO_AGEING),
  };
}

/** `ip link` of a namespace. */
export class Links implements LinkApi {
  readonly #ns: Namespace;

  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  add(spec: LinkSpec): number {
    const operation = `ip link add ${spec.name}`;
    this.#ns.requireAlive(operation);
    requireFreeName(this.#ns, spec.name, operation);
    if (spec.kind === "veth") return this.#addVeth(spec, operation);
    const dev = spec.kind === "bridge" ? this.#newBridge(spec) : this.#newVxlan(spec, operation);
    this.#finish(dev, spec.name, operation);
    return readLink(this.#ns, dev).index;
  }

  #newBridge(spec: Extract<LinkSpec, { kind: "bridge" }>): number {
    const { exports } = this.#ns.kernel;
    const dev = exports.linkNewBridge(this.#ns.handle, spec.ageing ?? -1);
    setDefaultPvid(this.#ns.kernel, dev, spec.defaultPvid ?? DEFAULT_PVID);
    if (spec.mac !== undefined) exports.linkSetMac(dev, macHigh(spec.mac), macLow(spec.mac));
    this.#setMtu(dev, spec.mtu, `ip link add ${spec.name}`);
    return dev;
  }

  #newVxlan(spec: Extract<LinkSpec, { kind: "vxlan" }>, operation: string): number {
    const { exports } = this.#ns.kernel;
    if (!(spec.vni >= 0 && spec.vni < 2 ** 24)) refuse("EINVAL", operation);
    const flags =
      ((spec.learning ?? true) ? VXLAN_LEARN : 0) |
      (spec.proxy ? VXLAN_PROXY : 0) |
      (spec.l2miss ? VXLAN_L2MISS : 0) |
      (spec.l3miss ? VXLAN_L3MISS : 0) |
      ((spec.udpCsum ?? true) ? VXLAN_UDP_CSUM : 0);
    const port = spec.port ?? VXLAN_DEFAULT_PORT;
    const ageing = spec.ageing ?? VXLAN_DEFAULT_AGEING;
    const made = exports.linkNewVxlan(this.#ns.handle, spec.vni, port, flags, spec.ttl ?? 0, spec.tos ?? 0, ageing);
    const dev = check(made, operation);
    this.#setMac(dev, spec.mac);
    this.#setMtu(dev, spec.mtu, operation);
    return dev;
  }

  #addVeth(spec: Extract<LinkSpec, { kind: "veth" }>, operation: string): number {
    const { exports } = this.#ns.kernel;
    const peerNs = spec.peer.ns === undefined ? this.#ns : this.#ns.kernel.namespaceOf(spec.peer.ns);
    peerNs.requireAlive(operation);
    requireFreeName(peerNs, spec.peer.name, operation);
    if (peerNs === this.#ns && spec.peer.name === spec.name) refuse("EEXIST", operation);
    const dev = exports.linkNewVeth(this.#ns.handle, peerNs.handle);
    const peerIndex = readLink(this.#ns, dev).peerIndex;
    const peer = exports.linkByIndex(peerNs.handle, peerIndex);
    this.#setMac(dev, spec.mac);
    this.#setMac(peer, spec.peer.mac);
    this.#setMtu(dev, spec.mtu, operation);
    this.#setMtu(peer, spec.peer.mtu ?? spec.mtu, operation);
    this.#finish(dev, spec.name, operation);
    this.#finish(peer, spec.peer.name, operation, peerNs);
    return readLink(this.#ns, dev).index;
  }

  /** Names a new device and tells the listeners. */
  #finish(dev: number, name: string, operation: string, ns = this.#ns): void {
    const { exports, mem } = ns.kernel;
    mem.putName(exports.scratch(), name);
    check(exports.linkSetName(dev), operation);
    ns.kernel.linkEvent(ns, dev, "add");
  }

  #setMac(dev: number, mac: Mac | undefined): void {
    const value = mac ?? this.#ns.owner.randomMac();
    this.#ns.kernel.exports.linkSetMac(dev, macHigh(value), macLow(value));
  }

  #setMtu(dev: number, mtu: number | undefined, operation: string): void {
    if (mtu === undefined) return;
    const { exports } = this.#ns.kernel;
    const result = exports.linkSetMtu(dev, mtu);
    if (result >= 0) return;
    exports.linkDel(dev);
    check(result, operation);
  }

  set(dev: DevRef, change: LinkChange): void {
    const operation = `ip link set ${dev}`;
    const { exports } = this.#ns.kernel;
    const handle = deviceOf(this.#ns, dev, operation);
    let ns = this.#ns;
    ns.owner.linkChanged();
    if (change.ns !== undefined) ns = this.#move(handle, ns.kernel.namespaceOf(change.ns), operation);
    if (change.mac !== undefined) exports.linkSetMac(handle, macHigh(change.mac), macLow(change.mac));
    if (change.mtu !== undefined) check(exports.linkSetMtu(handle, change.mtu), operation);
    if (change.mac !== undefined || change.mtu !== undefined) exports.inetLinkChanged(handle);
    if (change.name !== undefined) rename(ns, handle, change.name, operation);
    if (change.master !== undefined) this.#setMaster(ns, handle, change.master, operation);
    if (change.hairpin !== undefined) exports.linkSetHairpin(handle, change.hairpin ? 1 : 0);
    if (change.up !== undefined) exports.linkSetUp(handle, change.up ? 1 : 0);
    const visible = change.mac ?? change.mtu ?? change.name ?? change.ns;
    if (visible !== undefined) ns.kernel.linkEvent(ns, handle, "change");
  }

  #move(handle: number, to: Namespace, operation: string): Namespace {
    to.requireAlive(operation);
    const { exports } = this.#ns.kernel;
    const { kind } = readLink(this.#ns, handle);
    // Loopback and bridges belong to their namespace (NETIF_F_NETNS_LOCAL).
    if (kind === "loopback" || kind === "bridge") refuse("EINVAL", operation);
    check(exports.linkSetNs(handle, to.handle), operation);
    return to;
  }

  #setMaster(ns: Namespace, handle: number, master: number, operation: string): void {
    const { exports } = ns.kernel;
    const bridge = master === 0 ? 0 : deviceOf(ns, master, operation);
    if (bridge !== 0 && readLink(ns, bridge).kind !== "bridge") refuse("EOPNOTSUPP", operation);
    if (bridge !== 0 && readLink(ns, handle).master === master) return;
    check(exports.linkSetMaster(handle, bridge), operation);
  }

  del(dev: DevRef): void {
    const operation = `ip link delete ${dev}`;
    const handle = deviceOf(this.#ns, dev, operation);
    const { kind } = readLink(this.#ns, handle);
    if (kind === "loopback" || kind === "nic") refuse("EOPNOTSUPP", operation);
    removeLink(this.#ns, handle);
  }

  list(): LinkInfo[] {
    this.#ns.requireAlive("ip link");
    return devicesOf(this.#ns)
      .map((dev) => readLink(this.#ns, dev))
      .sort((a, b) => (a.index % INDEX_BUCKETS) - (b.index % INDEX_BUCKETS) || b.index - a.index);
  }

  get(dev: DevRef): LinkInfo {
    return readLink(this.#ns, deviceOf(this.#ns, dev, `ip link show ${dev}`));
  }

  tap(dev: DevRef, snaplen: number): PacketTap {
    return this.#ns.kernel.taps.open(deviceOf(this.#ns, dev, `capture on ${dev}`), snaplen);
  }
}

/** Deletes a device, and tells the listeners of it and of a veth's peer. */
export function removeLink(ns: Namespace, handle: number): void {
  const info = readLink(ns, handle);
  const peerHandle = ns.kernel.mem.u32(ns.kernel.exports.linkInfo(handle) + INFO_PEER_NS);
  if (info.kind === "veth" && info.peerIndex !== 0) {
    const peerNs = info.peerNs === undefined ? ns.owner.unpark(peerHandle) : ns.kernel.namespaceOf(info.peerNs);
    ns.kernel.linkEvent(peerNs, ns.kernel.exports.linkByIndex(peerNs.handle, info.peerIndex), "del");
  }
  ns.kernel.linkEvent(ns, handle, "del");
  ns.kernel.exports.linkDel(handle);
}

/** dev_change_name: a device that is up keeps its name. */
function rename(ns: Namespace, handle: number, name: string, operation: string): void {
  const info = readLink(ns, handle);
  if (info.name === name) return;
  if (info.up) refuse("EBUSY", operation);
  requireFreeName(ns, name, operation);
  const { exports, mem } = ns.kernel;
  mem.putName(exports.scratch(), name);
  check(exports.linkSetName(handle), operation);
}

/** dev_valid_name and the look-up that follows it. */
function requireFreeName(ns: Namespace, name: string, operation: string): void {
  const invalid = name === "" || name.length >= NAME_SIZE || name === "." || name === ".." || /[/:\s]/.test(name);
  if (invalid) refuse("EINVAL", operation);
  if (findByName(ns, name) !== 0) refuse("EEXIST", operation);
}

// fdbDump's record, see assembly/link/border.ts.
const FDB_RECORD = 48;
const FDB_BATCH = 5000;
const FDB_LOCAL = 1;
const FDB_PERMANENT = 2;

/** `bridge fdb` of a namespace. */
export class Fdb implements FdbApi {
  readonly #ns: Namespace;

  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  add(
    dev: DevRef,
    mac: Mac,
    options: { dst?: Ipv4; owner?: "self" | "master"; replace?: boolean; append?: boolean },
  ): void {
    const operation = `bridge fdb add on ${dev}`;
    const handle = deviceOf(this.#ns, dev, operation);
    const mode = options.append ? 2 : options.replace ? 1 : 0;
    const master = options.owner === "master" ? 1 : 0;
    check(this.#ns.kernel.exports.fdbAdd(handle, macHigh(mac), macLow(mac), options.dst ?? 0, mode, master), operation);
  }

  del(dev: DevRef, mac: Mac, options: { dst?: Ipv4; owner?: "self" | "master" } = {}): void {
    const operation = `bridge fdb del on ${dev}`;
    const handle = deviceOf(this.#ns, dev, operation);
    const master = options.owner === "master" ? 1 : 0;
    check(this.#ns.kernel.exports.fdbDel(handle, macHigh(mac), macLow(mac), options.dst ?? 0, master), operation);
  }

  /** Entries of vxlan devices (`self`), and a bridge's entries under the port that they belong to (`master`). */
  list(dev?: DevRef): FdbInfo[] {
    this.#ns.requireAlive("bridge fdb");
    const only = dev === undefined ? undefined : deviceOf(this.#ns, dev, `bridge fdb show dev ${dev}`);
    const links = devicesOf(this.#ns).map((handle) => ({ handle, info: readLink(this.#ns, handle) }));
    const wanted = links.find((link) => link.handle === only)?.info;
    const out: FdbInfo[] = [];
    for (const { handle, info } of links) {
      if (info.kind === "vxlan" && (only === undefined || only === handle)) out.push(...this.#dump(handle, info));
      if (info.kind !== "bridge") continue;
      const entries = this.#dump(handle, info);
      out.push(
        ...entries.filter((entry) => wanted === undefined || wanted.index === info.index || entry.dev === wanted.index),
      );
    }
    return out;
  }

  #dump(handle: number, info: LinkInfo): FdbInfo[] {
    const { exports, mem } = this.#ns.kernel;
    const out: FdbInfo[] = [];
    for (;;) {
      const count = exports.fdbDump(handle, out.length);
      const base = exports.scratch();
      for (let i = 0; i < count; i++) {
        const at = base + i * FDB_RECORD;
        const vtep = mem.u32(at + 16);
        out.push({
          mac: mem.u64(at),
          permanent: (mem.u32(at + 8) & (FDB_LOCAL | FDB_PERMANENT)) !== 0,
          dev: info.kind === "bridge" ? mem.u32(at + 12) : info.index,
          owner: info.kind === "bridge" ? "master" : "self",
          dst: info.kind === "vxlan" ? vtep : undefined,
          updated: mem.i64(at + 24),
          used: mem.i64(at + 32),
        });
      }
      if (count < FDB_BATCH) return out;
    }
  }
}
