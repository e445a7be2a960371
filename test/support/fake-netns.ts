/**
 * A host's kernel in memory, for tests of programs that set up networking: netlink, iptables and sysctl as
 * src/kernel/types.ts documents them, kept as plain lists. It forwards no packets; sockets talk within one
 * namespace only (fake-netns-sockets.ts), with the namespace's nat OUTPUT rules applied.
 */
import {
  broadcastOf,
  type Cidr,
  cidrContains,
  formatCidr,
  formatIpv4,
  formatMac,
  type Ipv4,
  type Mac,
  networkOf,
} from "../../src/base/addr.ts";
import { type Errno, KernelError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import type {
  AddrApi,
  AddrInfo,
  ChainInfo,
  ConntrackApi,
  DevRef,
  FdbApi,
  FdbInfo,
  HostKernel,
  IptablesApi,
  LinkApi,
  LinkChange,
  LinkInfo,
  LinkKind,
  LinkSpec,
  LinkStats,
  NeighApi,
  NeighInfo,
  NeighState,
  NetNs,
  RouteApi,
  RouteInfo,
  RouteSpec,
  Rule,
  TableName,
  VxlanConfig,
} from "../../src/kernel/types.ts";
import { FakeSockets, type FakeUpstream } from "./fake-netns-sockets.ts";

function refuse(code: Errno, operation: string): never {
  throw new KernelError(code, operation);
}

interface Dev {
  ns: FakeNetNs;
  index: number;
  name: string;
  kind: LinkKind;
  mac: Mac;
  macIsOwn: boolean;
  mtu: number;
  up: boolean;
  master: Dev | undefined;
  portNo: number;
  peer: Dev | undefined;
  vxlan: VxlanConfig | undefined;
  /** vxlan: the namespace it was made in. */
  home: FakeNetNs | undefined;
  addrs: AddrInfo[];
  neigh: NeighInfo[];
  fdb: FdbInfo[];
}

const NO_STATS: LinkStats = { rxPackets: 0, rxBytes: 0, rxErrors: 0, rxDropped: 0, txPackets: 0, txBytes: 0, txErrors: 0, txDropped: 0 };
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
  readonly conntrack: ConntrackApi = { list: () => [], flush: () => {}, count: () => 0 };
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
    const mac = kind === "loopback" ? 0 : ((this.host.random.u32() & 0xfc00) | 0x0200) * 2 ** 32 + this.host.random.u32();
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
  const mac = dev.kind === "bridge" && !dev.macIsOwn && ports.length > 0 ? Math.min(...ports.map((p) => p.mac)) : dev.mac;
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
    ...(dev.kind === "bridge" ? { bridge: { ageing: 300e9, portCount: ports.length } } : {}),
    portNo: dev.portNo,
    stats: NO_STATS,
  };
}

class FakeAddrs implements AddrApi {
  readonly #ns: FakeNetNs;

  constructor(ns: FakeNetNs) {
    this.#ns = ns;
  }

  add(ref: DevRef, addr: Cidr, options: { broadcast?: Ipv4; scope?: AddrInfo["scope"] } = {}): void {
    const dev = this.#ns.dev(ref);
    if (dev.addrs.some((a) => a.addr.ip === addr.ip && a.addr.prefix === addr.prefix)) refuse("EEXIST", "addr add");
    dev.addrs.push({ dev: dev.index, addr, broadcast: options.broadcast, scope: options.scope ?? "global" });
  }

  del(ref: DevRef, addr: Cidr): void {
    const dev = this.#ns.dev(ref);
    const at = dev.addrs.findIndex((a) => a.addr.ip === addr.ip && a.addr.prefix === addr.prefix);
    if (at < 0) refuse("EADDRNOTAVAIL", "addr del");
    dev.addrs.splice(at, 1);
  }

  list(ref?: DevRef): AddrInfo[] {
    const devs = ref === undefined ? this.#ns.devs : [this.#ns.dev(ref)];
    return devs.flatMap((d) => d.addrs.map((a) => ({ ...a, dev: d.index })));
  }
}

class FakeRoutes implements RouteApi {
  readonly #ns: FakeNetNs;
  #added: { dst: Cidr; via: Ipv4 | undefined; dev: Dev; protocol: RouteInfo["protocol"] }[] = [];

  constructor(ns: FakeNetNs) {
    this.#ns = ns;
  }

  /** Routes over a device that went down, away or elsewhere. */
  dropVia(dev: Dev): void {
    this.#added = this.#added.filter((r) => r.dev !== dev);
  }

  #connected(ip: Ipv4): Dev | undefined {
    return this.#ns.devs.find((d) => d.up && d.addrs.some((a) => cidrContains(a.addr, ip)));
  }

  add(spec: RouteSpec): void {
    if (this.#added.some((r) => formatCidr(r.dst) === formatCidr(spec.dst))) refuse("EEXIST", "route add");
    const dev = spec.dev !== undefined ? this.#ns.dev(spec.dev) : spec.via === undefined ? undefined : this.#connected(spec.via);
    if (dev === undefined || !dev.up) refuse("ENETUNREACH", "route add");
    this.#added.push({ dst: spec.dst, via: spec.via, dev, protocol: spec.protocol ?? "boot" });
  }

  del(spec: RouteSpec): void {
    const at = this.#added.findIndex((r) => formatCidr(r.dst) === formatCidr(spec.dst) && (spec.via === undefined || r.via === spec.via));
    if (at < 0) refuse("ESRCH", "route del");
    this.#added.splice(at, 1);
  }

  list(table: "main" | "local" = "main"): RouteInfo[] {
    const out: RouteInfo[] = [];
    const base = { metric: 0, table, via: undefined } as const;
    if (table === "local") {
      for (const d of this.#ns.devs) {
        if (!d.up) continue;
        for (const { addr } of d.addrs) {
          out.push({ ...base, dst: { ip: addr.ip, prefix: 32 }, dev: d.index, src: addr.ip, scope: "host", protocol: "kernel", type: "local" });
        }
      }
      return out;
    }
    for (const r of this.#added) {
      out.push({ ...base, dst: r.dst, via: r.via, dev: r.dev.index, src: undefined, scope: "global", protocol: r.protocol, type: "unicast" });
    }
    for (const d of this.#ns.devs) {
      if (!d.up || d.kind === "loopback") continue;
      for (const { addr } of d.addrs) {
        out.push({ ...base, dst: networkOf(addr), dev: d.index, src: addr.ip, scope: "link", protocol: "kernel", type: "unicast" });
      }
    }
    return out.sort((a, b) => a.dst.ip - b.dst.ip);
  }

  lookup(dst: Ipv4): ReturnType<RouteApi["lookup"]> {
    const best = this.list("main")
      .filter((r) => cidrContains(r.dst, dst))
      .sort((a, b) => b.dst.prefix - a.dst.prefix)[0];
    if (best === undefined) refuse("ENETUNREACH", `route get ${formatIpv4(dst)}`);
    return { dev: best.dev, via: best.via, src: best.src ?? 0, type: "unicast", mtu: 1500 };
  }
}

class FakeNeighbours implements NeighApi {
  readonly #ns: FakeNetNs;

  constructor(ns: FakeNetNs) {
    this.#ns = ns;
  }

  add(ref: DevRef, ip: Ipv4, mac: Mac, options: { state?: NeighState; replace?: boolean } = {}): void {
    const dev = this.#ns.dev(ref);
    const at = dev.neigh.findIndex((n) => n.ip === ip);
    if (at >= 0 && options.replace !== true) refuse("EEXIST", "neigh add");
    if (at >= 0) dev.neigh.splice(at, 1);
    dev.neigh.push({ dev: dev.index, ip, mac, state: options.state ?? "PERMANENT", probes: 0, used: 0, confirmed: 0, updated: 0 });
  }

  del(ref: DevRef, ip: Ipv4): void {
    const dev = this.#ns.dev(ref);
    const at = dev.neigh.findIndex((n) => n.ip === ip);
    if (at < 0) refuse("ENOENT", "neigh del");
    dev.neigh.splice(at, 1);
  }

  list(ref?: DevRef): NeighInfo[] {
    return (ref === undefined ? this.#ns.devs : [this.#ns.dev(ref)]).flatMap((d) => d.neigh);
  }
}

class FakeFdb implements FdbApi {
  readonly #ns: FakeNetNs;

  constructor(ns: FakeNetNs) {
    this.#ns = ns;
  }

  add(ref: DevRef, mac: Mac, options: { dst?: Ipv4; owner?: "self" | "master"; replace?: boolean; append?: boolean }): void {
    const dev = this.#ns.dev(ref);
    const owner = options.owner ?? "self";
    const at = dev.fdb.findIndex((f) => f.mac === mac && f.owner === owner);
    if (at >= 0 && options.replace !== true && options.append !== true) refuse("EEXIST", "fdb add");
    if (at >= 0 && options.replace === true) dev.fdb.splice(at, 1);
    dev.fdb.push({ dev: dev.index, mac, owner, dst: options.dst, permanent: true, updated: 0, used: 0 });
  }

  del(ref: DevRef, mac: Mac, options: { dst?: Ipv4; owner?: "self" | "master" } = {}): void {
    const dev = this.#ns.dev(ref);
    const owner = options.owner ?? "self";
    const at = dev.fdb.findIndex((f) => f.mac === mac && f.owner === owner && (options.dst === undefined || f.dst === options.dst));
    if (at < 0) refuse("ENOENT", "fdb del");
    dev.fdb.splice(at, 1);
  }

  /** Static entries as `bridge fdb show` lists them, the ports' own addresses included. */
  list(ref?: DevRef): FdbInfo[] {
    const devs = ref === undefined ? this.#ns.devs : [this.#ns.dev(ref)];
    return devs.flatMap((d) => {
      const own = { dev: d.index, mac: d.mac, owner: "master", dst: undefined, permanent: true, updated: 0, used: 0 } as const;
      return d.master === undefined ? d.fdb : [own, ...d.fdb];
    });
  }
}

const BUILT_IN: Record<TableName, readonly string[]> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

interface Chain {
  name: string;
  policy: "ACCEPT" | "DROP" | undefined;
  rules: Rule[];
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === "object" && v !== null && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort()) : v,
  );
}

export class FakeIptables implements IptablesApi {
  readonly #tables = new Map<TableName, Chain[]>();

  #table(table: TableName): Chain[] {
    let chains = this.#tables.get(table);
    if (chains === undefined) {
      chains = BUILT_IN[table].map((name) => ({ name, policy: "ACCEPT" as const, rules: [] }));
      this.#tables.set(table, chains);
    }
    return chains;
  }

  #chain(table: TableName, chain: string): Chain {
    return this.#table(table).find((c) => c.name === chain) ?? refuse("ENOENT", `iptables -t ${table} ${chain}`);
  }

  newChain(table: TableName, chain: string): void {
    if (this.#table(table).some((c) => c.name === chain)) refuse("EEXIST", `iptables -N ${chain}`);
    this.#table(table).push({ name: chain, policy: undefined, rules: [] });
  }

  deleteChain(table: TableName, chain: string): void {
    this.#table(table).splice(this.#table(table).indexOf(this.#chain(table, chain)), 1);
  }

  flush(table: TableName, chain?: string): void {
    for (const c of this.#table(table)) if (chain === undefined || c.name === chain) c.rules = [];
  }

  setPolicy(table: TableName, chain: string, policy: "ACCEPT" | "DROP"): void {
    this.#chain(table, chain).policy = policy;
  }

  append(table: TableName, chain: string, rule: Rule): void {
    this.#checkTarget(table, rule);
    this.#chain(table, chain).rules.push(rule);
  }

  insert(table: TableName, chain: string, rule: Rule, position = 1): void {
    this.#checkTarget(table, rule);
    this.#chain(table, chain).rules.splice(position - 1, 0, rule);
  }

  #checkTarget(table: TableName, rule: Rule): void {
    if (rule.target?.kind === "JUMP") this.#chain(table, rule.target.chain);
  }

  #find(table: TableName, chain: string, rule: Rule): number {
    const chains = this.#tables.get(table)?.find((c) => c.name === chain);
    return chains?.rules.findIndex((r) => canonical(r) === canonical(rule)) ?? -1;
  }

  delete(table: TableName, chain: string, rule: Rule): void {
    const at = this.#find(table, chain, rule);
    if (at < 0) refuse("ENOENT", `iptables -D ${chain}`);
    this.#chain(table, chain).rules.splice(at, 1);
  }

  check(table: TableName, chain: string, rule: Rule): boolean {
    return this.#find(table, chain, rule) >= 0;
  }

  list(table: TableName): ChainInfo[] | undefined {
    const chains = this.#tables.get(table);
    if (chains === undefined) return undefined;
    const built = chains.filter((c) => c.policy !== undefined);
    const own = chains.filter((c) => c.policy === undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
    return [...built, ...own].map((c) => ({
      name: c.name,
      hook: c.policy === undefined ? undefined : (c.name as NonNullable<ChainInfo["hook"]>),
      policy: c.policy,
      packets: 0,
      bytes: 0,
      rules: c.rules.map((r) => ({ ...r, packets: 0, bytes: 0 })),
    }));
  }
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

// ---------------------------------------------------------------------------- iptables-save's notation

function inverted<T>(option: string, match: { value: T; not: boolean } | undefined, format: (value: T) => string): string[] {
  return match === undefined ? [] : [`${match.not ? "! " : ""}${option} ${format(match.value)}`];
}

const CT_ORDER = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"];

/** One rule as iptables-save (1.8.9) prints it, without counters. */
export function formatRule(chain: string, rule: Rule): string {
  const m = rule.match;
  const words = [`-A ${chain}`];
  words.push(...inverted("-s", m.src, formatCidr), ...inverted("-d", m.dst, formatCidr));
  words.push(...inverted("-i", m.inDev, String), ...inverted("-o", m.outDev, String));
  words.push(...inverted("-p", m.protocol, String));
  if (m.addrtypeDst !== undefined) words.push(`-m addrtype --dst-type ${m.addrtypeDst.value}`);
  if (m.ctstate !== undefined) {
    words.push(`-m conntrack --ctstate ${[...m.ctstate.value].sort((a, b) => CT_ORDER.indexOf(a) - CT_ORDER.indexOf(b)).join(",")}`);
  }
  if (m.sport !== undefined || m.dport !== undefined) words.push(`-m ${m.protocol?.value}`);
  words.push(...inverted("--sport", m.sport, (p) => String(p[0])), ...inverted("--dport", m.dport, (p) => String(p[0])));
  const t = rule.target;
  if (t?.kind === "JUMP") words.push(`-j ${t.chain}`);
  else if (t?.kind === "DNAT") words.push(`-j DNAT --to-destination ${t.ip === undefined ? "" : formatIpv4(t.ip)}${t.ports ? `:${t.ports[0]}` : ""}`);
  else if (t?.kind === "SNAT") words.push(`-j SNAT --to-source ${t.ip === undefined ? "" : formatIpv4(t.ip)}${t.ports ? `:${t.ports[0]}` : ""}`);
  else if (t !== undefined) words.push(`-j ${t.kind}`);
  return words.join(" ");
}

/** `iptables-save -t TABLE` without comments and counters; nothing when the table was never used. */
export function iptablesSave(ns: NetNs, table: TableName): string[] {
  const chains = ns.iptables.list(table);
  if (chains === undefined) return [];
  return [
    `*${table}`,
    ...chains.map((c) => `:${c.name} ${c.policy ?? "-"}`),
    ...chains.flatMap((c) => c.rules.map((r) => formatRule(c.name, r))),
    "COMMIT",
  ];
}

/** `address` in `ip`'s notation, for comparisons with golden tables. */
export function formatLink(link: LinkInfo): string {
  return `${link.index}: ${link.name} ${formatMac(link.mac)} mtu ${link.mtu}`;
}
