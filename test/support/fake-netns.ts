/**
 * A host's kernel in memory, for tests of programs that set up networking: netlink, iptables and sysctl as
 * src/kernel/types.ts documents them, kept as plain lists. It forwards no packets; sockets talk within one
 * namespace only (fake-netns-sockets.ts), with the namespace's nat OUTPUT rules applied.
 */
import { broadcastOf, type Cidr, formatCidr, formatIpv4, type Ipv4 } from "../../src/base/addr.ts";
import { Random } from "../../src/base/random.ts";
import type {
  AddrApi,
  ConntrackApi,
  DevRef,
  FdbApi,
  HostKernel,
  LinkApi,
  LinkChange,
  LinkInfo,
  LinkKind,
  LinkSpec,
  LinkStats,
  NeighApi,
  NetNs,
} from "../../src/kernel/types.ts";
import { FakeIptables, iptablesSave } from "./fake-netns-iptables.ts";
import { FakeIpvs } from "./fake-netns-ipvs.ts";
import { FakeSockets, type FakeUpstream } from "./fake-netns-sockets.ts";
import { type Dev, FakeAddrs, FakeFdb, FakeNeighbours, FakeRoutes, refuse } from "./fake-netns-tables.ts";
import { FakeXfrm } from "./fake-netns-xfrm.ts";

const NO_STATS: LinkStats = {
  rxPackets: 0,
  rxBytes: 0,
  rxErrors: 0,
  rxDropped: 0,
  txPackets: 0,
  txBytes: 0,
  txErrors: 0,
  txDropped: 0,
};
const DEFAULT_MTU: Record<LinkKind, number> = { loopback: 65536, veth: 1500, bridge: 1500, vxlan: 1450, nic: 1500 };

export class FakeHostKernel implements HostKernel {
  readonly name: string;
  readonly index: number;
  readonly root: FakeNetNs;
  readonly random: Random;
  readonly #namespaces: FakeNetNs[] = [];
  /** DNS servers outside, by address. */
  readonly upstream = new Map<Ipv4, FakeUpstream>();

  /** With an eth0 of the given address, ip_forward 0. */
  constructor(name: string, index: number, address: Cidr) {
    this.name = name;
    this.index = index;
    this.random = new Random(`fake/${name}`);
    this.root = new FakeNetNs(this, "host", undefined);
    this.#namespaces.push(this.root);
    this.root.link.set("lo", { up: true });
    this.root.addDev("eth0", "nic");
    this.root.addr.add("eth0", address, { broadcast: broadcastOf(address) });
    this.root.link.set("eth0", { up: true });
  }

  createNs(name: string): FakeNetNs {
    const ns = new FakeNetNs(this, name, this.root);
    this.#namespaces.push(ns);
    return ns;
  }

  namespaces(): readonly FakeNetNs[] {
    return [...this.#namespaces];
  }

  readonly #parked = new Map<number, FakeNetNs>();

  park(ns: NetNs): number {
    const id = this.#parked.size + 1;
    this.#parked.set(id, ns as FakeNetNs);
    this.forget(ns as FakeNetNs);
    return id;
  }

  unpark(id: number): FakeNetNs {
    const ns = this.#parked.get(id) as FakeNetNs;
    this.#parked.delete(id);
    this.#namespaces.push(ns);
    return ns;
  }

  parked(): readonly { readonly id: number; readonly name: string }[] {
    return [...this.#parked].map(([id, ns]) => ({ id, name: ns.name }));
  }

  forget(ns: FakeNetNs): void {
    this.#namespaces.splice(this.#namespaces.indexOf(ns), 1);
  }

  drops(): Record<string, number> {
    return {};
  }
}

export class FakeNetNs implements NetNs {
  readonly host: FakeHostKernel;
  readonly link: LinkApi;
  readonly addr: AddrApi;
  readonly route: FakeRoutes;
  readonly neigh: NeighApi;
  readonly fdb: FdbApi;
  readonly iptables = new FakeIptables();
  readonly conntrack: ConntrackApi = { list: () => [], delete: () => [], flush: () => {}, count: () => 0 };
  readonly xfrm = new FakeXfrm();
  readonly ipvs = new FakeIpvs();
  readonly socket: FakeSockets;
  readonly devs: Dev[] = [];
  readonly #sysctls: Map<string, number>;
  #name: string;
  #alive = true;
  #nextIndex = 1;

  constructor(host: FakeHostKernel, name: string, parent: FakeNetNs | undefined) {
    this.host = host;
    this.#name = name;
    this.#sysctls = new Map([
      ["net.ipv4.ip_forward", parent?.sysctlGet("net.ipv4.ip_forward") ?? 0],
      ["net.bridge.bridge-nf-call-iptables", 0],
      ["net.ipv4.neigh.default.gc_thresh1", 128],
      ["net.ipv4.neigh.default.gc_thresh2", 512],
      ["net.ipv4.neigh.default.gc_thresh3", 1024],
      ["net.ipv4.vs.conn_reuse_mode", 1],
      ["net.ipv4.vs.expire_nodest_conn", 0],
      ["net.ipv4.vs.expire_quiescent_template", 0],
      ["net.ipv4.vs.conntrack", 0],
    ]);
    this.link = new FakeLinks(this);
    this.addr = new FakeAddrs(this);
    this.route = new FakeRoutes(this);
    this.neigh = new FakeNeighbours(this);
    this.fdb = new FakeFdb(this);
    this.socket = new FakeSockets(this);
    this.addDev("lo", "loopback");
  }

  get name(): string {
    return this.#name;
  }

  get alive(): boolean {
    return this.#alive;
  }

  rename(name: string): void {
    this.#name = name;
  }

  destroy(): void {
    this.#alive = false;
    for (const dev of [...this.devs]) this.removeDev(dev);
    this.socket.closeAll();
    this.host.forget(this);
  }

  sysctlGet(name: string): number {
    const device = /^net\.ipv4\.conf\.([^.]+)\.(route_localnet|arp_ignore|arp_announce)$/.exec(name)?.[1];
    if (device !== undefined && this.devs.some((d) => d.name === device)) return this.#sysctls.get(name) ?? 0;
    return this.#sysctls.get(name) ?? refuse("ENOENT", `sysctl ${name}`);
  }

  sysctlSet(name: string, value: number): void {
    this.sysctlGet(name);
    this.#sysctls.set(name, value);
  }

  snmp(): Record<string, number> {
    return {};
  }

  dev(ref: DevRef): Dev {
    const dev = this.devs.find((d) => d.name === ref || d.index === ref);
    return dev ?? refuse("ENODEV", `device ${ref}`);
  }

  freeIndex(wanted?: number): number {
    if (wanted !== undefined && !this.devs.some((d) => d.index === wanted)) {
      return wanted;
    }
    while (this.devs.some((d) => d.index === this.#nextIndex)) this.#nextIndex++;
    return this.#nextIndex++;
  }

  addDev(name: string, kind: LinkKind): Dev {
    if (!this.#alive) refuse("ENOENT", `add ${name}`);
    if (name.length > 15) refuse("EINVAL", `add ${name}`);
    if (this.devs.some((d) => d.name === name)) refuse("EEXIST", `add ${name}`);
    const mac =
      kind === "loopback" ? 0 : ((this.host.random.u32() & 0xfc00) | 0x0200) * 2 ** 32 + this.host.random.u32();
    const dev: Dev = {
      ns: this,
      index: this.freeIndex(),
      name,
      kind,
      mac,
      macIsOwn: false,
      mtu: DEFAULT_MTU[kind],
      up: false,
      master: undefined,
      portNo: 0,
      peer: undefined,
      vxlan: undefined,
      home: undefined,
      addrs: [],
      neigh: [],
      fdb: [],
    };
    this.devs.push(dev);
    return dev;
  }

  /** Takes a device (and a veth's peer) away; ports of a bridge are released. */
  removeDev(dev: Dev): void {
    const at = dev.ns.devs.indexOf(dev);
    if (at < 0) return;
    dev.ns.devs.splice(at, 1);
    for (const other of dev.ns.devs) if (other.master === dev) other.master = undefined;
    const { peer } = dev;
    dev.peer = undefined;
    if (peer !== undefined) peer.ns.removeDev(peer);
  }
}

class FakeLinks implements LinkApi {
  readonly #ns: FakeNetNs;

  tap(): never {
    throw new Error("the fake kernel has no packet sockets");
  }

  constructor(ns: FakeNetNs) {
    this.#ns = ns;
  }

  add(spec: LinkSpec): number {
    if (spec.kind === "veth") {
      const dev = this.#ns.addDev(spec.name, "veth");
      const peer = ((spec.peer.ns as FakeNetNs | undefined) ?? this.#ns).addDev(spec.peer.name, "veth");
      dev.peer = peer;
      peer.peer = dev;
      dev.mac = spec.mac ?? dev.mac;
      peer.mac = spec.peer.mac ?? peer.mac;
      dev.mtu = spec.mtu ?? dev.mtu;
      peer.mtu = spec.peer.mtu ?? dev.mtu;
      return dev.index;
    }
    if (spec.kind === "vxlan") {
      const port = spec.port ?? 8472;
      for (const ns of this.#ns.host.namespaces()) {
        const taken = ns.devs.some((d) => d.vxlan?.vni === spec.vni && d.vxlan.port === port && d.home === this.#ns);
        if (taken) refuse("EEXIST", `add ${spec.name}`);
      }
    }
    const dev = this.#ns.addDev(spec.name, spec.kind);
    dev.mtu = spec.mtu ?? dev.mtu;
    if (spec.mac !== undefined) {
      dev.mac = spec.mac;
      dev.macIsOwn = true;
    }
    if (spec.kind === "vxlan") {
      const { vni, port = 8472, learning = true, proxy = false, l2miss = false, l3miss = false } = spec;
      const { udpCsum = true, ttl = 0, tos = 0, ageing = 300e9 } = spec;
      dev.vxlan = { vni, port, learning, proxy, l2miss, l3miss, udpCsum, ttl, tos, ageing };
      dev.home = this.#ns;
    }
    return dev.index;
  }

  set(ref: DevRef, change: LinkChange): void {
    const dev = this.#ns.dev(ref);
    if (change.ns !== undefined) this.#move(dev, change.ns as FakeNetNs);
    if (change.mac !== undefined) {
      dev.mac = change.mac;
      dev.macIsOwn = true;
    }
    if (change.mtu !== undefined) dev.mtu = change.mtu;
    if (change.name !== undefined) {
      if (dev.up && dev.kind !== "veth") refuse("EBUSY", `rename ${dev.name}`);
      if (dev.ns.devs.some((d) => d !== dev && d.name === change.name)) refuse("EEXIST", `rename ${dev.name}`);
      dev.name = change.name;
    }
    if (change.master !== undefined) this.#enslave(dev, change.master);
    if (change.up !== undefined) this.#setUp(dev, change.up);
  }

  #setUp(dev: Dev, up: boolean): void {
    dev.up = up;
    if (up && dev.kind === "loopback" && dev.addrs.length === 0) {
      dev.addrs.push({ dev: dev.index, addr: { ip: 0x7f000001, prefix: 8 }, broadcast: undefined, scope: "host" });
    }
    if (!up) dev.ns.route.dropVia(dev);
  }

  #enslave(dev: Dev, master: number): void {
    if (master === 0) {
      dev.master = undefined;
      dev.portNo = 0;
      return;
    }
    const bridge = dev.ns.dev(master);
    if (bridge.kind !== "bridge") refuse("EINVAL", `enslave ${dev.name}`);
    const ports = dev.ns.devs.filter((d) => d.master === bridge);
    if (ports.length >= 1023) refuse("EXFULL", `enslave ${dev.name}`);
    dev.master = bridge;
    dev.portNo = 1;
    while (ports.some((p) => p.portNo === dev.portNo)) dev.portNo++;
    bridge.mtu = Math.min(...[...ports, dev].map((p) => p.mtu));
  }

  #move(dev: Dev, target: FakeNetNs): void {
    if (!target.alive) refuse("ENOENT", `move ${dev.name}`);
    if (target.devs.some((d) => d.name === dev.name)) refuse("EEXIST", `move ${dev.name}`);
    dev.ns.route.dropVia(dev);
    dev.ns.devs.splice(dev.ns.devs.indexOf(dev), 1);
    dev.index = target.freeIndex(dev.index);
    dev.ns = target;
    dev.up = false;
    dev.master = undefined;
    dev.addrs = [];
    dev.neigh = [];
    target.devs.push(dev);
  }

  del(ref: DevRef): void {
    const dev = this.#ns.dev(ref);
    dev.ns.route.dropVia(dev);
    this.#ns.removeDev(dev);
  }

  list(): LinkInfo[] {
    return [...this.#ns.devs].sort((a, b) => a.index - b.index).map((d) => info(d));
  }

  get(ref: DevRef): LinkInfo {
    return info(this.#ns.dev(ref));
  }
}

function info(dev: Dev): LinkInfo {
  const ports = dev.ns.devs.filter((d) => d.master === dev);
  const mac =
    dev.kind === "bridge" && !dev.macIsOwn && ports.length > 0 ? Math.min(...ports.map((p) => p.mac)) : dev.mac;
  const carrier = dev.kind === "bridge" ? dev.up && ports.some((p) => p.up) : dev.up && (dev.peer?.up ?? true);
  return {
    index: dev.index,
    name: dev.name,
    kind: dev.kind,
    mac,
    mtu: dev.mtu,
    up: dev.up,
    carrier,
    promisc: false,
    master: dev.master?.index ?? 0,
    peerIndex: dev.peer?.index ?? 0,
    peerNs: dev.peer?.ns ?? dev.home,
    ...(dev.vxlan === undefined ? {} : { vxlan: dev.vxlan }),
    ...(dev.kind === "bridge" ? { bridge: { ageing: 300e9, portCount: ports.length, defaultPvid: 1 } } : {}),
    portNo: dev.portNo,
    stats: NO_STATS,
  };
}

/** All that a host holds, as lines, to compare two moments. Socket ports and MACs are left out. */
export function dumpHost(host: FakeHostKernel): string[] {
  const lines: string[] = [];
  for (const ns of host.namespaces()) {
    lines.push(`namespace ${ns.name}`);
    for (const l of ns.link.list()) lines.push(`link ${l.name} ${l.kind} mtu ${l.mtu} up ${l.up} master ${l.master}`);
    for (const a of ns.addr.list()) lines.push(`addr ${formatCidr(a.addr)}`);
    for (const r of ns.route.list()) lines.push(`route ${formatCidr(r.dst)}`);
    for (const n of ns.neigh.list()) lines.push(`neigh ${formatIpv4(n.ip)}`);
    for (const f of ns.fdb.list()) lines.push(`fdb ${f.owner} ${f.dst ?? ""}`);
    for (const table of ["raw", "mangle", "nat", "filter"] as const) lines.push(...iptablesSave(ns, table));
    lines.push(`sockets ${ns.socket.list().length}`);
  }
  return lines;
}
