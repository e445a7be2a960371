/** Addresses, routes, neighbours and FDB entries of a FakeNetNs, as lists on its devices. */
import {
  type Cidr,
  cidrContains,
  formatCidr,
  formatIpv4,
  type Ipv4,
  type Mac,
  networkOf,
} from "../../src/base/addr.ts";
import { type Errno, KernelError } from "../../src/base/errors.ts";
import type {
  AddrApi,
  AddrInfo,
  DevRef,
  FdbApi,
  FdbInfo,
  LinkKind,
  NeighApi,
  NeighInfo,
  NeighState,
  RouteApi,
  RouteInfo,
  RouteSpec,
  VxlanConfig,
} from "../../src/kernel/types.ts";
import type { FakeNetNs } from "./fake-netns.ts";

export function refuse(code: Errno, operation: string): never {
  throw new KernelError(code, operation);
}

/** A device. */
export interface Dev {
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

export class FakeAddrs implements AddrApi {
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

export class FakeRoutes implements RouteApi {
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
    const dev =
      spec.dev !== undefined ? this.#ns.dev(spec.dev) : spec.via === undefined ? undefined : this.#connected(spec.via);
    if (dev === undefined || !dev.up) refuse("ENETUNREACH", "route add");
    this.#added.push({ dst: spec.dst, via: spec.via, dev, protocol: spec.protocol ?? "boot" });
  }

  del(spec: RouteSpec): void {
    const at = this.#added.findIndex(
      (r) => formatCidr(r.dst) === formatCidr(spec.dst) && (spec.via === undefined || r.via === spec.via),
    );
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
          out.push({
            ...base,
            dst: { ip: addr.ip, prefix: 32 },
            dev: d.index,
            src: addr.ip,
            scope: "host",
            protocol: "kernel",
            type: "local",
          });
        }
      }
      return out;
    }
    for (const r of this.#added) {
      out.push({
        ...base,
        dst: r.dst,
        via: r.via,
        dev: r.dev.index,
        src: undefined,
        scope: "global",
        protocol: r.protocol,
        type: "unicast",
      });
    }
    for (const d of this.#ns.devs) {
      if (!d.up || d.kind === "loopback") continue;
      for (const { addr } of d.addrs) {
        out.push({
          ...base,
          dst: networkOf(addr),
          dev: d.index,
          src: addr.ip,
          scope: "link",
          protocol: "kernel",
          type: "unicast",
        });
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

export class FakeNeighbours implements NeighApi {
  readonly #ns: FakeNetNs;

  constructor(ns: FakeNetNs) {
    this.#ns = ns;
  }

  add(ref: DevRef, ip: Ipv4, mac: Mac, options: { state?: NeighState; replace?: boolean } = {}): void {
    const dev = this.#ns.dev(ref);
    const at = dev.neigh.findIndex((n) => n.ip === ip);
    if (at >= 0 && options.replace !== true) refuse("EEXIST", "neigh add");
    if (at >= 0) dev.neigh.splice(at, 1);
    dev.neigh.push({
      dev: dev.index,
      ip,
      mac,
      state: options.state ?? "PERMANENT",
      probes: 0,
      used: 0,
      confirmed: 0,
      updated: 0,
    });
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

export class FakeFdb implements FdbApi {
  readonly #ns: FakeNetNs;

  constructor(ns: FakeNetNs) {
    this.#ns = ns;
  }

  add(
    ref: DevRef,
    mac: Mac,
    options: { dst?: Ipv4; owner?: "self" | "master"; replace?: boolean; append?: boolean },
  ): void {
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
    const at = dev.fdb.findIndex(
      (f) => f.mac === mac && f.owner === owner && (options.dst === undefined || f.dst === options.dst),
    );
    if (at < 0) refuse("ENOENT", "fdb del");
    dev.fdb.splice(at, 1);
  }

  /** Static entries as `bridge fdb show` lists them, the ports' own addresses included. */
  list(ref?: DevRef): FdbInfo[] {
    const devs = ref === undefined ? this.#ns.devs : [this.#ns.dev(ref)];
    return devs.flatMap((d) => {
      const own = {
        dev: d.index,
        mac: d.mac,
        owner: "master",
        dst: undefined,
        permanent: true,
        updated: 0,
        used: 0,
      } as const;
      return d.master === undefined ? d.fdb : [own, ...d.fdb];
    });
  }
}
