/** What both ip programs do to the kernel: link add/set/del, address, route and neighbour changes, route get. */
import {
  broadcastOf,
  type Cidr,
  cidrContains,
  formatIpv4,
  type Ipv4,
  type Mac,
  networkOf,
  parseCidr,
  parseIpv4,
  parseMac,
} from "../../base/addr.ts";
import { ERRNO_TEXT, KernelError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { LinkChange, LinkSpec, NeighState, NetNs, RouteInfo, RouteSpec, Scope } from "../../kernel/types.ts";
import { deviceName } from "../lib/links.ts";
import type { Libc } from "../lib/resolve.ts";
import { glibcText } from "../lib/tool.ts";

/** How a program words the kernel's refusals. */
export interface IpTexts {
  readonly answers: (error: string) => string;
  readonly noDevice: (name: string) => string;
  readonly libc: Libc;
}

/** iproute2's matches(): a command may be shortened. */
export function matchesCommand(word: string, command: string): boolean {
  return word !== "" && command.startsWith(word);
}

/** A wrong argument; the message is complete. */
class ArgumentError extends Error {
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** Words read one after another. */
class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get done(): boolean {
    return this.#at >= this.#words.length;
  }

  next(): string {
    const word = this.#words[this.#at];
    if (word === undefined) throw new ArgumentError('Command line is not complete. Try option "help"\n', 255);
    this.#at++;
    return word;
  }

  peek(): string | undefined {
    return this.#words[this.#at];
  }
}

/** Runs a change; refusals are printed as netlink answers, status 2. */
function apply(context: ProgramContext, texts: IpTexts, change: () => void): number {
  try {
    change();
    return 0;
  } catch (error) {
    if (error instanceof ArgumentError) {
      context.stderr.write(error.message);
      return error.status;
    }
    if (!(error instanceof KernelError)) throw error;
    context.stderr.write(texts.answers(texts.libc === "musl" ? ERRNO_TEXT[error.code] : glibcText(error.code)));
    return 2;
  }
}

function requireDevice(ns: NetNs, name: string, texts: IpTexts): number {
  const found = ns.link.list().find((link) => link.name === name);
  if (found === undefined) throw new ArgumentError(texts.noDevice(name));
  return found.index;
}

function prefix(text: string): Cidr {
  if (text === "default" || text === "any" || text === "all") return { ip: 0, prefix: 0 };
  // 10.0/16 is 10.0.0.0/16 (get_addr_ipv4).
  const [head = "", length] = text.split("/");
  const padded = /^[\d.]+$/.test(head) ? [...head.split("."), "0", "0", "0"].slice(0, 4).join(".") : head;
  const found = parseCidr(length === undefined ? padded : `${padded}/${length}`);
  if (found === undefined) throw new ArgumentError(`Error: any valid prefix is expected rather than "${text}".\n`);
  return found;
}

function ipv4(text: string): Ipv4 {
  const ip = parseIpv4(text);
  if (ip === undefined) throw new ArgumentError(`Error: any valid address is expected rather than "${text}".\n`);
  return ip;
}

function mac(text: string): Mac {
  const found = parseMac(text);
  if (found === undefined) throw new ArgumentError(`"${text}" is invalid lladdr.\n`);
  return found;
}

function whole(text: string, what: string): number {
  if (!/^\d+$/.test(text))
    throw new ArgumentError(`Error: argument "${text}" is wrong: Invalid "${what}" value\n\n`, 255);
  return Number(text);
}

function garbage(word: string): never {
  throw new ArgumentError(`Error: either "dev" is duplicate, or "${word}" is a garbage.\n`, 255);
}

function unknownCommand(word: string, object: string): never {
  throw new ArgumentError(`Command "${word}" is unknown, try "ip ${object} help".\n`, 255);
}

/** A network namespace by the name `ip netns` lists, or the root's as `1`. */
function namespace(ns: NetNs, name: string): NetNs {
  const found =
    name === "1" ? ns.host.root : ns.host.namespaces().find((other) => other !== ns.host.root && other.name === name);
  if (found === undefined)
    throw new ArgumentError(`Error: argument "${name}" is wrong: Invalid "netns" value\n\n`, 255);
  return found;
}

/** `ip address add|del|flush`. */
export function changeAddress(context: ProgramContext, ns: NetNs, words: readonly string[], texts: IpTexts): number {
  return apply(context, texts, () => {
    const [command = "", ...rest] = words;
    const kind = ["add", "change", "replace", "delete", "flush"].find((name) => matchesCommand(command, name));
    if (kind === undefined) unknownCommand(command, "address");
    const read = new Words(rest);
    let local: Cidr | undefined;
    let dev: string | undefined;
    const options: { broadcast?: Ipv4; scope?: Scope } = {};
    while (!read.done) {
      const word = read.next();
      if (word === "dev") dev = read.next();
      else if (word === "local") local = prefix(read.next());
      else if (word === "broadcast" || word === "brd") {
        const value = read.next();
        if (value === "+" && local !== undefined) options.broadcast = broadcastOf(local);
        else if (value !== "-") options.broadcast = ipv4(value);
      } else if (word === "scope") options.scope = read.next() as Scope;
      else if (word === "label" || word === "to") read.next();
      else if (kind === "flush" && dev === undefined && parseCidr(word) === undefined) dev = word;
      else if (local === undefined) local = prefix(word);
      else garbage(word);
    }
    if (dev === undefined) throw new ArgumentError('Not enough information: "dev" argument is required.\n', 255);
    const index = requireDevice(ns, dev, texts);
    if (kind === "flush") {
      for (const info of ns.addr.list(index)) ns.addr.del(index, info.addr);
      return;
    }
    if (local === undefined) throw new ArgumentError("Error: an address is required.\n");
    const address = local;
    if (kind === "delete") {
      ns.addr.del(index, address);
      return;
    }
    const present = ns.addr.list(index).some(({ addr }) => addr.ip === address.ip && addr.prefix === address.prefix);
    if (kind === "replace" && present) return;
    ns.addr.add(index, address, options);
  });
}

/** `ip link add|set|del`. */
export function changeLink(context: ProgramContext, ns: NetNs, words: readonly string[], texts: IpTexts): number {
  return apply(context, texts, () => {
    const [command = "", ...rest] = words;
    const kind = ["add", "set", "delete"].find((name) => matchesCommand(command, name));
    if (kind === undefined) unknownCommand(command, "link");
    const read = new Words(rest);
    if (kind === "add") {
      ns.link.add(linkSpec(ns, read, texts));
      return;
    }
    let dev: string | undefined;
    if (read.peek() === "dev") read.next();
    dev = read.next();
    const index = requireDevice(ns, dev, texts);
    if (kind === "delete") ns.link.del(index);
    else ns.link.set(index, linkChange(ns, read, texts));
  });
}

function linkChange(ns: NetNs, read: Words, texts: IpTexts): LinkChange {
  const change: LinkChange = {};
  while (!read.done) {
    const word = read.next();
    if (word === "up") change.up = true;
    else if (word === "down") change.up = false;
    else if (word === "mtu") change.mtu = whole(read.next(), "mtu");
    else if (word === "address" || word === "addr") change.mac = mac(read.next());
    else if (word === "name") change.name = read.next();
    else if (word === "master") change.master = requireDevice(ns, read.next(), texts);
    else if (word === "nomaster") change.master = 0;
    else if (word === "netns") change.ns = namespace(ns, read.next());
    else if (word === "promisc" || word === "multicast" || word === "arp" || word === "txqueuelen" || word === "qlen")
      read.next();
    else if (word === "type" && read.peek() === "bridge_slave") read.next();
    else if (word === "hairpin") change.hairpin = read.next() === "on";
    else garbage(word);
  }
  return change;
}

/** `ip link add [name] NAME [mtu N] [address MAC] type veth|bridge|vxlan …`. */
function linkSpec(ns: NetNs, read: Words, texts: IpTexts): LinkSpec {
  let name: string | undefined;
  const common: { mac?: Mac; mtu?: number } = {};
  let type: string | undefined;
  while (!read.done && type === undefined) {
    const word = read.next();
    if (word === "type") type = read.next();
    else if (word === "name" || word === "dev") name = read.next();
    else if (word === "mtu") common.mtu = whole(read.next(), "mtu");
    else if (word === "address") common.mac = mac(read.next());
    else if (word === "link") requireDevice(ns, read.next(), texts);
    else if (name === undefined) name = word;
    else garbage(word);
  }
  if (type === undefined) throw new ArgumentError('Not enough information: "type" argument is required\n', 255);
  const chosen = (base: string): string => name ?? freeName(ns, base);
  if (type === "bridge") {
    const spec = { kind: "bridge" as const, name: chosen("bridge"), ...common };
    while (!read.done) {
      const word = read.next();
      if (word === "ageing_time") Object.assign(spec, { ageing: whole(read.next(), "ageing_time") * (SEC / 100) });
      else read.next();
    }
    return spec;
  }
  if (type === "veth") return { kind: "veth", name: chosen("veth"), ...common, peer: vethPeer(ns, read) };
  if (type === "vxlan") return vxlanSpec(chosen("vxlan"), common, read);
  throw new ArgumentError("Error: Unknown device type.\n", 2);
}

function freeName(ns: NetNs, base: string): string {
  const taken = new Set(ns.link.list().map((link) => link.name));
  let n = 0;
  while (taken.has(`${base}${n}`)) n++;
  return `${base}${n}`;
}

function vethPeer(ns: NetNs, read: Words): Extract<LinkSpec, { kind: "veth" }>["peer"] {
  const peer: { name: string; ns?: NetNs; mac?: Mac; mtu?: number } = { name: "" };
  while (!read.done) {
    const word = read.next();
    if (word === "peer") continue;
    if (word === "name") peer.name = read.next();
    else if (word === "netns") peer.ns = namespace(ns, read.next());
    else if (word === "address") peer.mac = mac(read.next());
    else if (word === "mtu") peer.mtu = whole(read.next(), "mtu");
    else if (peer.name === "") peer.name = word;
    else garbage(word);
  }
  if (peer.name === "") peer.name = freeName(peer.ns ?? ns, "veth");
  return peer;
}

function vxlanSpec(name: string, common: { mac?: Mac; mtu?: number }, read: Words): LinkSpec {
  // iproute2 leaves the port to the kernel, whose default is 8472, and learning is on (drivers/net/vxlan).
  const spec: Extract<LinkSpec, { kind: "vxlan" }> = { kind: "vxlan", name, ...common, vni: -1 };
  while (!read.done) {
    const word = read.next();
    const off = word.startsWith("no");
    switch (off ? word.slice(2) : word) {
      case "id":
      case "vni":
        spec.vni = whole(read.next(), "vni");
        break;
      case "dstport":
        spec.port = whole(read.next(), "dstport");
        break;
      case "ageing":
        spec.ageing = whole(read.next(), "ageing") * SEC;
        break;
      case "ttl":
        spec.ttl = read.peek() === "auto" || read.peek() === "inherit" ? (read.next(), 0) : whole(read.next(), "ttl");
        break;
      case "learning":
        spec.learning = !off;
        break;
      case "proxy":
        spec.proxy = !off;
        break;
      case "l2miss":
        spec.l2miss = !off;
        break;
      case "l3miss":
        spec.l3miss = !off;
        break;
      case "udpcsum":
        spec.udpCsum = !off;
        break;
      case "dev":
      case "local":
      case "remote":
      case "group":
        read.next();
        break;
      default:
        throw new ArgumentError(`vxlan: unknown command "${word}"?\n`, 255);
    }
  }
  if (spec.vni < 0) throw new ArgumentError("vxlan: missing virtual network identifier\n", 255);
  return spec;
}

const ROUTE_TYPES: readonly RouteInfo["type"][] = [
  "unicast",
  "local",
  "broadcast",
  "blackhole",
  "unreachable",
  "prohibit",
];

/** `ip route add|del|replace|flush|get`. */
export function changeRoute(context: ProgramContext, ns: NetNs, words: readonly string[], texts: IpTexts): number {
  return apply(context, texts, () => {
    const [command = "", ...rest] = words;
    const kind = ["add", "append", "change", "replace", "delete", "get", "flush"].find((name) =>
      matchesCommand(command, name),
    );
    if (kind === undefined) unknownCommand(command, "route");
    const read = new Words(rest);
    if (kind === "get") {
      routeGet(context, ns, read, texts);
      return;
    }
    const spec = routeSpec(ns, read, texts);
    if (kind === "flush") flushRoutes(ns, spec, rest.includes("cache"));
    else if (kind === "delete") ns.route.del(spec);
    else {
      const metric = spec.metric ?? 0;
      const same = ns.route
        .list("main")
        .find(({ dst, metric: other }) => dst.ip === spec.dst.ip && dst.prefix === spec.dst.prefix && other === metric);
      if (same !== undefined && (kind === "replace" || kind === "change"))
        ns.route.del({ dst: same.dst, metric, dev: same.dev });
      ns.route.add(spec);
    }
  });
}

function routeSpec(ns: NetNs, read: Words, texts: IpTexts): RouteSpec {
  const spec: RouteSpec = { dst: { ip: 0, prefix: 0 } };
  while (!read.done) {
    const word = read.next();
    if (ROUTE_TYPES.includes(word as RouteInfo["type"])) spec.type = word as RouteInfo["type"];
    else if (word === "via") {
      if (read.peek() === "inet") read.next();
      spec.via = ipv4(read.next());
    } else if (word === "dev" || word === "oif") spec.dev = requireDevice(ns, read.next(), texts);
    else if (word === "src") spec.src = ipv4(read.next());
    else if (word === "metric" || word === "preference") spec.metric = whole(read.next(), "metric");
    else if (word === "proto" || word === "protocol") spec.protocol = read.next() as RouteInfo["protocol"];
    else if (word === "scope") spec.scope = read.next() as Scope;
    else if (word === "table" || word === "mtu") read.next();
    else if (word === "cache") continue;
    else spec.dst = networkOf(prefix(word === "to" ? read.next() : word));
  }
  return spec;
}

function flushRoutes(ns: NetNs, spec: RouteSpec, cache: boolean): void {
  if (cache) return;
  for (const info of ns.route.list("main")) {
    if (spec.dev !== undefined && spec.dev !== info.dev) continue;
    if (!cidrContains(spec.dst, info.dst.ip) || info.dst.prefix < spec.dst.prefix) continue;
    ns.route.del({ dst: info.dst, dev: info.dev, metric: info.metric });
  }
}

/** `10.0.1.4 dev eth0 src 10.0.1.2 uid 0` and a line `    cache `. */
function routeGet(context: ProgramContext, ns: NetNs, read: Words, texts: IpTexts): void {
  let target: Ipv4 | undefined;
  let from: Ipv4 | undefined;
  while (!read.done) {
    const word = read.next();
    if (word === "from") from = ipv4(read.next());
    else if (word === "to") target = ipv4(read.next());
    else if (word === "dev" || word === "oif" || word === "iif" || word === "mark") read.next();
    else target = prefix(word).ip;
  }
  if (target === undefined) throw new ArgumentError("need at least a destination address\n");
  const found = ns.route.lookup(target, from);
  const type = found.type === "unicast" ? "" : `${found.type} `;
  const via = found.via === undefined ? "" : `via ${formatIpv4(found.via)} `;
  const source = from === undefined ? "" : `from ${formatIpv4(from)} `;
  const uid = texts.libc === "glibc" ? "uid 0 " : "";
  const local = found.type === "local" ? "<local> " : found.type === "broadcast" ? "<local,brd> " : "";
  const src = `${texts.libc === "musl" ? " " : ""}src ${formatIpv4(found.src)} `;
  context.stdout.write(
    `${type}${formatIpv4(target)} ${source}${via}dev ${deviceName(ns, found.dev)} ${src}${uid}\n    cache ${local}\n`,
  );
}

const NEIGH_STATES: readonly NeighState[] = [
  "INCOMPLETE",
  "REACHABLE",
  "STALE",
  "DELAY",
  "PROBE",
  "FAILED",
  "NOARP",
  "PERMANENT",
  "NONE",
];

/** `ip neigh add|change|replace|del|flush`. */
export function changeNeighbour(context: ProgramContext, ns: NetNs, words: readonly string[], texts: IpTexts): number {
  return apply(context, texts, () => {
    const [command = "", ...rest] = words;
    const kind = ["add", "change", "replace", "delete", "flush"].find((name) => matchesCommand(command, name));
    if (kind === undefined) unknownCommand(command, "neigh");
    const read = new Words(rest);
    let ip: Ipv4 | undefined;
    let address: Mac | undefined;
    let dev: number | undefined;
    let state: NeighState = "PERMANENT";
    let all = false;
    while (!read.done) {
      const word = read.next();
      if (word === "dev") dev = requireDevice(ns, read.next(), texts);
      else if (word === "lladdr") address = mac(read.next());
      else if (word === "nud") state = neighState(read.next());
      else if (word === "all") all = true;
      else ip = ipv4(word === "to" ? read.next() : word);
    }
    if (kind === "flush") {
      if (ip === undefined && dev === undefined && !all) throw new ArgumentError("Flush requires arguments.\n", 255);
      for (const info of ns.neigh.list(dev)) {
        if ((ip === undefined || ip === info.ip) && info.state !== "PERMANENT" && info.state !== "NOARP")
          ns.neigh.del(info.dev, info.ip);
      }
      return;
    }
    if (ip === undefined || dev === undefined)
      throw new ArgumentError("Device and destination are required arguments.\n", 255);
    if (kind === "delete") ns.neigh.del(dev, ip);
    else if (address === undefined) throw new ArgumentError("RTNETLINK answers: Invalid argument\n", 2);
    else ns.neigh.add(dev, ip, address, { state, replace: kind !== "add" });
  });
}

function neighState(text: string): NeighState {
  const name = text.toUpperCase() as NeighState;
  if (!NEIGH_STATES.includes(name))
    throw new ArgumentError(`Error: argument "${text}" is wrong: nud state is bad\n\n`, 255);
  return name;
}
