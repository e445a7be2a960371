/** rtnetlink for addresses, routes and neighbours: what `ip address`, `ip route` and `ip neigh` do. */
import * as abi from "../../assembly/abi.ts";
import { type Cidr, cidrContains, formatCidr, formatIpv4, type Ipv4, type Mac } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { deviceOf, readLink } from "./links.ts";
import { check, macHigh, macLow } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import type {
  AddrApi,
  AddrInfo,
  DevRef,
  NeighApi,
  NeighInfo,
  NeighState,
  RouteApi,
  RouteInfo,
  RouteSpec,
  Scope,
} from "./types.ts";

const SCOPES: Record<Scope, number> = {
  global: abi.SCOPE_GLOBAL,
  link: abi.SCOPE_LINK,
  host: abi.SCOPE_HOST,
  nowhere: abi.SCOPE_NOWHERE,
};

const ROUTE_TYPES: Record<RouteInfo["type"], number> = {
  unicast: abi.RTN_UNICAST,
  local: abi.RTN_LOCAL,
  broadcast: abi.RTN_BROADCAST,
  blackhole: abi.RTN_BLACKHOLE,
  unreachable: abi.RTN_UNREACHABLE,
  prohibit: abi.RTN_PROHIBIT,
};

const PROTOCOLS: Record<RouteInfo["protocol"], number> = {
  kernel: abi.RTPROT_KERNEL,
  boot: abi.RTPROT_BOOT,
  static: abi.RTPROT_STATIC,
};

/** Of a route that is added: iproute2's default; of one that is deleted: whatever it has. */
const ANY = 0xffffffff;
/** Table 0: local and broadcast routes go to `local`, others to `main`. */
const BY_TYPE = 0;
/** NLM_F_EXCL: `ip route add`. */
const EXCLUSIVE = 0;

const TABLES: Record<RouteInfo["table"], number> = { main: abi.RT_TABLE_MAIN, local: abi.RT_TABLE_LOCAL };

const NEIGH_STATES: Record<NeighState, number> = {
  NONE: abi.NUD_NONE,
  INCOMPLETE: abi.NUD_INCOMPLETE,
  REACHABLE: abi.NUD_REACHABLE,
  STALE: abi.NUD_STALE,
  DELAY: abi.NUD_DELAY,
  PROBE: abi.NUD_PROBE,
  FAILED: abi.NUD_FAILED,
  NOARP: abi.NUD_NOARP,
  PERMANENT: abi.NUD_PERMANENT,
};

/** The key of a value; a value without a key is an impossible state. */
function keyOf<K extends string>(table: Record<K, number>, value: number): K {
  for (const key in table) if (table[key] === value) return key;
  return assert(false, "number of rtnetlink", value) as never;
}

/** Any of several values for optional numbers: 0 means none. */
function optional(value: number): number | undefined {
  return value === 0 ? undefined : value;
}

/** Reads a dump that comes in batches: `dump` fills scratch from the skip-th record on and says how many. */
export function readDump<T>(ns: Namespace, size: number, dump: (skip: number) => number, read: (at: number) => T): T[] {
  const out: T[] = [];
  for (;;) {
    const count = dump(out.length);
    if (count <= 0) return out;
    const base = ns.kernel.exports.scratch();
    for (let i = 0; i < count; i++) out.push(read(base + i * size));
  }
}

/** `ip address` of a namespace, over the kernel's border. */
export class Addresses implements AddrApi {
  readonly #ns: Namespace;

  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  add(dev: DevRef, addr: Cidr, options: { broadcast?: Ipv4; scope?: Scope } = {}): void {
    const operation = `ip addr add ${formatCidr(addr)} dev ${dev}`;
    const handle = deviceOf(this.#ns, dev, operation);
    // inet_rtm_newaddr; ip-address(8) gives loopback addresses the scope host.
    const scope = options.scope ?? (cidrContains({ ip: 0x7f000000, prefix: 8 }, addr.ip) ? "host" : "global");
    const { exports } = this.#ns.kernel;
    this.#ns.owner.linkChanged();
    check(exports.addressAdd(handle, addr.ip, addr.prefix, options.broadcast ?? 0, SCOPES[scope]), operation);
  }

  del(dev: DevRef, addr: Cidr): void {
    const operation = `ip addr del ${formatCidr(addr)} dev ${dev}`;
    const handle = deviceOf(this.#ns, dev, operation);
    this.#ns.owner.linkChanged();
    check(this.#ns.kernel.exports.addressDel(handle, addr.ip, addr.prefix), operation);
  }

  list(dev?: DevRef): AddrInfo[] {
    const ns = this.#ns;
    ns.requireAlive("ip addr");
    const only = dev === undefined ? undefined : readLink(ns, deviceOf(ns, dev, `ip addr show ${dev}`)).index;
    const { exports, mem } = ns.kernel;
    const all = readDump(
      ns,
      abi.ADDR_RECORD,
      (skip) => exports.addressDump(ns.handle, skip),
      (at) => ({
        dev: mem.u32(at + abi.ADDR_DEV),
        addr: { ip: mem.u32(at + abi.ADDR_IP), prefix: mem.u32(at + abi.ADDR_PREFIX) },
        broadcast: optional(mem.u32(at + abi.ADDR_BROADCAST)),
        scope: keyOf(SCOPES, mem.u32(at + abi.ADDR_SCOPE)),
      }),
    );
    return only === undefined ? all : all.filter((addr) => addr.dev === only);
  }
}

/** `ip route` of a namespace. */
export class Routes implements RouteApi {
  readonly #ns: Namespace;

  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  add(route: RouteSpec): void {
    const operation = `ip route add ${describe(route)}`;
    const { exports } = this.#ns.kernel;
    const dev = this.#device(route, operation);
    const type = ROUTE_TYPES[route.type ?? "unicast"];
    const protocol = PROTOCOLS[route.protocol ?? "boot"];
    const scope = route.scope === undefined ? ANY : SCOPES[route.scope];
    const { ip, prefix } = route.dst;
    const [via, src, metric] = [route.via ?? 0, route.src ?? 0, route.metric ?? 0];
    check(
      exports.routeAdd(this.#ns.handle, ip, prefix, via, dev, src, metric, type, protocol, scope, BY_TYPE, EXCLUSIVE),
      operation,
    );
  }

  del(route: RouteSpec): void {
    const operation = `ip route del ${describe(route)}`;
    const { exports } = this.#ns.kernel;
    const dev = this.#device(route, operation);
    const type = route.type === undefined ? ANY : ROUTE_TYPES[route.type];
    const protocol = route.protocol === undefined ? ANY : PROTOCOLS[route.protocol];
    const scope = route.scope === undefined ? ANY : SCOPES[route.scope];
    const { ip, prefix } = route.dst;
    const [via, src, metric] = [route.via ?? 0, route.src ?? 0, route.metric ?? 0];
    check(
      exports.routeDel(this.#ns.handle, ip, prefix, via, dev, src, metric, type, protocol, scope, BY_TYPE),
      operation,
    );
  }

  #device(route: RouteSpec, operation: string): number {
    this.#ns.requireAlive(operation);
    return route.dev === undefined ? 0 : deviceOf(this.#ns, route.dev, operation);
  }

  list(table: "main" | "local" = "main"): RouteInfo[] {
    const ns = this.#ns;
    ns.requireAlive("ip route");
    const { exports, mem } = ns.kernel;
    return readDump(
      ns,
      abi.ROUTE_RECORD,
      (skip) => exports.routeDump(ns.handle, TABLES[table], skip),
      (at) => ({
        dst: { ip: mem.u32(at + abi.ROUTE_DST), prefix: mem.u32(at + abi.ROUTE_PREFIX) },
        via: optional(mem.u32(at + abi.ROUTE_VIA)),
        dev: mem.u32(at + abi.ROUTE_DEV),
        src: optional(mem.u32(at + abi.ROUTE_SRC)),
        scope: keyOf(SCOPES, mem.u32(at + abi.ROUTE_SCOPE)),
        protocol: keyOf(PROTOCOLS, mem.u32(at + abi.ROUTE_PROTOCOL)),
        type: keyOf(ROUTE_TYPES, mem.u32(at + abi.ROUTE_TYPE)),
        table,
        metric: mem.u32(at + abi.ROUTE_METRIC),
      }),
    );
  }

  lookup(dst: Ipv4, src: Ipv4 = 0): ReturnType<RouteApi["lookup"]> {
    const operation = `ip route get ${formatIpv4(dst)}`;
    this.#ns.requireAlive(operation);
    const { exports, mem } = this.#ns.kernel;
    check(exports.routeGet(this.#ns.handle, dst, src, 0), operation);
    const at = exports.scratch();
    return {
      dev: mem.u32(at + abi.RTGET_DEV),
      via: optional(mem.u32(at + abi.RTGET_VIA)),
      src: mem.u32(at + abi.RTGET_SRC),
      type: keyOf(ROUTE_TYPES, mem.u32(at + abi.RTGET_TYPE)),
      mtu: mem.u32(at + abi.RTGET_MTU),
    };
  }
}

function describe(route: RouteSpec): string {
  const via = route.via === undefined ? "" : ` via ${formatIpv4(route.via)}`;
  return `${formatCidr(route.dst)}${via}${route.dev === undefined ? "" : ` dev ${route.dev}`}`;
}

/** `ip neigh` of a namespace. */
export class Neighbours implements NeighApi {
  readonly #ns: Namespace;

  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  add(dev: DevRef, ip: Ipv4, mac: Mac, options: { state?: NeighState; replace?: boolean } = {}): void {
    const operation = `ip neigh add ${formatIpv4(ip)} dev ${dev}`;
    const handle = deviceOf(this.#ns, dev, operation);
    const state = NEIGH_STATES[options.state ?? "PERMANENT"];
    const replace = options.replace ? 1 : 0;
    check(this.#ns.kernel.exports.neighAdd(handle, ip, macHigh(mac), macLow(mac), state, replace), operation);
  }

  del(dev: DevRef, ip: Ipv4): void {
    const operation = `ip neigh del ${formatIpv4(ip)} dev ${dev}`;
    check(this.#ns.kernel.exports.neighDel(deviceOf(this.#ns, dev, operation), ip), operation);
  }

  list(dev?: DevRef): NeighInfo[] {
    const ns = this.#ns;
    ns.requireAlive("ip neigh");
    const only = dev === undefined ? undefined : readLink(ns, deviceOf(ns, dev, `ip neigh show dev ${dev}`)).index;
    const { exports, mem } = ns.kernel;
    const all = readDump(
      ns,
      abi.NEIGH_RECORD,
      (skip) => exports.neighDump(ns.handle, skip),
      (at) => {
        const state = keyOf(NEIGH_STATES, mem.u32(at + abi.NEIGH_STATE));
        return {
          dev: mem.u32(at + abi.NEIGH_DEV),
          ip: mem.u32(at + abi.NEIGH_IP),
          mac:
            state === "INCOMPLETE" || state === "FAILED" || state === "NONE" ? undefined : mem.u64(at + abi.NEIGH_MAC),
          state,
          probes: mem.u32(at + abi.NEIGH_PROBES),
          used: mem.i64(at + abi.NEIGH_USED),
          confirmed: mem.i64(at + abi.NEIGH_CONFIRMED),
          updated: mem.i64(at + abi.NEIGH_UPDATED),
        };
      },
    );
    return only === undefined ? all : all.filter((neigh) => neigh.dev === only);
  }
}
