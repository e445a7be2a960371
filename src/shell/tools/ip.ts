/** The program `ip`: reading its command line and changing what it names (iproute2 6.1, busybox 1.35 ip). */
import {
  broadcastOf,
  type Cidr,
  cidrContains,
  formatIpv4,
  type Ipv4,
  parseCidr,
  parseIpv4,
  parseMac,
} from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { LinkChange, LinkInfo, LinkSpec, NetNs, RouteSpec } from "../../kernel/types.ts";
import { die, errorText, quick } from "../lib/program.ts";
import { addrShow, type IpStyle, linkShow, neighShow, routeLine, type ShowOptions } from "./ip-show.ts";
import { deviceName } from "./link-text.ts";

interface Request {
  readonly context: ProgramContext;
  readonly ns: NetNs;
  readonly options: ShowOptions;
  readonly ipv4Only: boolean;
  readonly words: string[];
}

/** Words by abbreviation, in the order in which ip tries them. */
const OBJECTS = ["address", "addr", "link", "route", "neighbour", "neighbor", "neigh", "netns", "rule"] as const;

function expand(word: string, known: readonly string[]): string | undefined {
  return known.find((one) => one.startsWith(word));
}

/** A refusal of the kernel as both ip programs print it; status 2. */
function netlink(style: IpStyle, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new Answer(`RTNETLINK answers: ${errorText(error, style === "iproute2" ? "glibc" : "musl")}`, 2);
  }
}

/** A message without the program's name in front. */
class Answer extends Error {
  override name = "Answer";
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

function device(request: Request, name: string | undefined): LinkInfo {
  const found = request.ns.link.list().find((link) => link.name === name);
  if (found !== undefined) return found;
  if (request.options.style === "busybox") die(`can't find device '${name ?? ""}'`);
  throw new Answer(`Cannot find device "${name ?? ""}"`, 1);
}

function unknownDevice(request: Request, name: string): never {
  if (request.options.style === "busybox") die(`can't find device '${name}'`);
  throw new Answer(`Device "${name}" does not exist.`, 1);
}

function take(request: Request, _after: string): string {
  const word = request.words.shift();
  if (word === undefined) throw new Answer(`Command line is not complete. Try option "help"`, 255);
  return word;
}

/** Devices that a listing names: one, or all. */
function listed(request: Request): readonly LinkInfo[] {
  const all = request.ns.link.list();
  let name: string | undefined;
  let onlyUp = false;
  for (let word = request.words.shift(); word !== undefined; word = request.words.shift()) {
    if (word === "dev") name = take(request, "dev");
    else if (word === "up") onlyUp = true;
    else if (word === "type" || word === "master") {
      const value = take(request, word);
      const wanted = (link: LinkInfo) =>
        word === "type" ? link.kind === value : deviceName(request.ns, link.master) === value;
      return all.filter(wanted);
    } else name = word;
  }
  if (name === undefined) return onlyUp ? all.filter((link) => link.up) : all;
  const found = all.find((link) => link.name === name);
  return found === undefined ? unknownDevice(request, name) : [found];
}

function prefixOf(request: Request, text: string, what: string): Cidr {
  const parsed = text === "default" || text === "all" || text === "any" ? { ip: 0, prefix: 0 } : parseCidr(text);
  if (parsed !== undefined) return parsed;
  if (request.options.style === "busybox") die(`invalid argument '${text}' to 'ip'`);
  throw new Answer(`Error: ${what} prefix is expected rather than "${text}".`, 1);
}

function addressOf(request: Request, text: string): Ipv4 {
  const ip = parseIpv4(text);
  if (ip !== undefined) return ip;
  if (request.options.style === "busybox") die(`invalid argument '${text}' to 'ip'`);
  throw new Answer(`Error: inet address is expected rather than "${text}".`, 1);
}

// ------------------------------------------------------------------------------------------------ addr

function addr(request: Request): string {
  const verb = expand(request.words[0] ?? "show", [
    "add",
    "change",
    "replace",
    "delete",
    "flush",
    "show",
    "list",
    "lst",
  ]);
  if (verb === undefined && request.words.length > 0)
    return addrShow(request.ns, listed(request), request.options, request.ipv4Only);
  request.words.shift();
  if (verb === "show" || verb === "list" || verb === "lst")
    return addrShow(request.ns, listed(request), request.options, request.ipv4Only);
  const { ns, options } = request;
  if (verb === "flush") {
    for (const link of listed(request)) for (const one of ns.addr.list(link.index)) ns.addr.del(link.index, one.addr);
    return "";
  }
  let local: Cidr | undefined;
  let broadcast: Ipv4 | undefined;
  let wantsBroadcast = false;
  let dev: LinkInfo | undefined;
  let scope: "global" | "link" | "host" | undefined;
  while (request.words.length > 0) {
    const word = take(request, "");
    if (word === "dev") dev = device(request, take(request, "dev"));
    else if (word === "brd" || word === "broadcast") {
      const value = take(request, word);
      if (value === "+") wantsBroadcast = true;
      else broadcast = addressOf(request, value);
    } else if (word === "scope") scope = take(request, word) as "global" | "link" | "host";
    else local = prefixOf(request, word === "local" ? take(request, word) : word, "inet");
  }
  if (dev === undefined) throw new Answer('Not enough information: "dev" argument is required.', 255);
  const target = dev.index;
  if (local === undefined) return "";
  const address = local;
  if (wantsBroadcast) broadcast = broadcastOf(address);
  netlink(options.style, () => {
    if (verb === "delete") ns.addr.del(target, address);
    else
      ns.addr.add(target, address, {
        ...(broadcast === undefined ? {} : { broadcast }),
        ...(scope === undefined ? {} : { scope }),
      });
  });
  return "";
}

// ------------------------------------------------------------------------------------------------ link

function link(request: Request): string {
  const verb = expand(request.words[0] ?? "show", ["add", "set", "delete", "show", "list", "lst"]);
  if (verb === undefined) return linkShow(request.ns, listed(request), request.options);
  request.words.shift();
  if (verb === "add") return linkAdd(request);
  if (verb === "set") return linkSet(request);
  if (verb !== "delete") return linkShow(request.ns, listed(request), request.options);
  const first = take(request, "");
  const target = device(request, first === "dev" ? take(request, "dev") : first);
  netlink(request.options.style, () => request.ns.link.del(target.index));
  return "";
}

function namespace(request: Request, name: string): NetNs {
  const found = request.context.os.kernel.namespaces().find((ns) => ns.name === name);
  if (found === undefined) throw new Answer(`Error: argument "${name}" is wrong: Invalid "netns" value\n`, 255);
  return found;
}

function linkSet(request: Request): string {
  const { ns, options } = request;
  let target: LinkInfo | undefined;
  const changes: LinkChange[] = [];
  while (request.words.length > 0) {
    const word = take(request, "");
    if (word === "dev") target = device(request, take(request, word));
    else if (word === "up" || word === "down") changes.push({ up: word === "up" });
    else if (word === "mtu") changes.push({ mtu: Number(take(request, word)) });
    else if (word === "name") changes.push({ name: take(request, word) });
    else if (word === "master") changes.push({ master: device(request, take(request, word)).index });
    else if (word === "nomaster") changes.push({ master: 0 });
    else if (word === "netns") changes.push({ ns: namespace(request, take(request, word)) });
    else if (word === "address") {
      const mac = parseMac(take(request, word));
      if (mac === undefined) throw new Answer("RTNETLINK answers: Invalid argument", 2);
      changes.push({ mac });
    } else if (target === undefined) target = device(request, word);
    else throw new Answer(`Error: either "dev" is duplicate, or "${word}" is a garbage.`, 255);
  }
  if (target === undefined) throw new Answer('Not enough of information: "dev" argument is required.', 255);
  const index = target.index;
  for (const change of changes) netlink(options.style, () => ns.link.set(index, change));
  return "";
}

function linkAdd(request: Request): string {
  const { ns, options } = request;
  let name = "";
  let mac: number | undefined;
  let mtu: number | undefined;
  let master: LinkInfo | undefined;
  let kind = "";
  while (request.words.length > 0 && kind === "") {
    const word = take(request, "");
    if (word === "type") kind = take(request, word);
    else if (word === "name" || word === "dev") name = take(request, word);
    else if (word === "address") mac = parseMac(take(request, word));
    else if (word === "mtu") mtu = Number(take(request, word));
    else if (word === "master") master = device(request, take(request, word));
    else name = word;
  }
  const common = { name, ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) };
  const spec = linkSpec(request, kind, common);
  netlink(options.style, () => {
    const index = ns.link.add(spec);
    if (master !== undefined) ns.link.set(index, { master: master.index });
  });
  return "";
}

function linkSpec(request: Request, kind: string, common: { name: string; mac?: number; mtu?: number }): LinkSpec {
  if (kind === "bridge") return { kind, ...common };
  if (kind === "veth") {
    const peer: { name: string; ns?: NetNs } = { name: "" };
    while (request.words.length > 0) {
      const word = take(request, "");
      if (word === "name") peer.name = take(request, word);
      else if (word === "netns") peer.ns = namespace(request, take(request, word));
      else if (word !== "peer") peer.name = word;
    }
    return { kind, ...common, peer };
  }
  if (kind !== "vxlan") throw new Answer(`Error: Unknown device type.`, 2);
  let spec: LinkSpec & { kind: "vxlan" } = { kind, ...common, vni: 0 };
  while (request.words.length > 0) {
    const word = take(request, "");
    if (word === "id" || word === "vni") spec = { ...spec, vni: Number(take(request, word)) };
    else if (word === "dstport") spec = { ...spec, port: Number(take(request, word)) };
    else if (word === "ttl") spec = { ...spec, ttl: Number(take(request, word)) || 0 };
    else if (word === "ageing") spec = { ...spec, ageing: Number(take(request, word)) * SEC };
    else if (word === "dev" || word === "local" || word === "srcport") take(request, word);
    else if (word === "learning" || word === "nolearning") spec = { ...spec, learning: word === "learning" };
    else if (word === "proxy" || word === "l2miss" || word === "l3miss") spec = { ...spec, [word]: true };
    else if (word === "udpcsum" || word === "noudpcsum") spec = { ...spec, udpCsum: word === "udpcsum" };
    else throw new Answer(`vxlan: unknown command "${word}"?`, 255);
  }
  return spec;
}

// ------------------------------------------------------------------------------------------------ route

function route(request: Request): string {
  const verb = expand(request.words[0] ?? "show", [
    "add",
    "append",
    "change",
    "replace",
    "delete",
    "get",
    "flush",
    "show",
    "list",
    "lst",
  ]);
  if (request.words.length > 0 && verb !== undefined) request.words.shift();
  const { ns, options } = request;
  if (verb === "get") return routeGet(request);
  if (verb === undefined || verb === "show" || verb === "list" || verb === "lst" || verb === "flush")
    return routeShow(request, verb === "flush");
  const spec = routeSpec(request);
  netlink(options.style, () => {
    if (verb === "replace" || verb === "change") {
      const old = ns.route
        .list("main")
        .find(
          (one) =>
            one.dst.ip === spec.dst.ip && one.dst.prefix === spec.dst.prefix && one.metric === (spec.metric ?? 0),
        );
      if (old !== undefined) ns.route.del({ dst: old.dst, dev: old.dev, metric: old.metric });
    }
    if (verb === "delete") ns.route.del(spec);
    else ns.route.add(spec);
  });
  return "";
}

const ROUTE_TYPES = ["unicast", "blackhole", "unreachable", "prohibit"] as const;

function routeSpec(request: Request): RouteSpec {
  let spec: Partial<RouteSpec> = {};
  while (request.words.length > 0) {
    const word = take(request, "");
    const type = ROUTE_TYPES.find((one) => one === word);
    if (type !== undefined) spec = { ...spec, type };
    else if (word === "via") spec = { ...spec, via: addressOf(request, take(request, word)) };
    else if (word === "dev") spec = { ...spec, dev: device(request, take(request, word)).index };
    else if (word === "src") spec = { ...spec, src: addressOf(request, take(request, word)) };
    else if (word === "metric") spec = { ...spec, metric: Number(take(request, word)) };
    else if (word === "proto") spec = { ...spec, protocol: take(request, word) === "kernel" ? "kernel" : "static" };
    else if (word === "scope") spec = { ...spec, scope: take(request, word) as "link" };
    else spec = { ...spec, dst: prefixOf(request, word === "to" ? take(request, word) : word, "inet") };
  }
  return { ...spec, dst: spec.dst ?? { ip: 0, prefix: 0 } };
}

function routeShow(request: Request, flush: boolean): string {
  const { ns, options } = request;
  let table = "main";
  let dev: number | undefined;
  let target: Cidr | undefined;
  while (request.words.length > 0) {
    const word = take(request, "");
    if (word === "table") table = take(request, word);
    else if (word === "dev") dev = device(request, take(request, word)).index;
    else if (word !== "to" && word !== "exact" && word !== "root") target = prefixOf(request, word, "inet");
  }
  const routes =
    table === "all"
      ? [...ns.route.list("main"), ...ns.route.list("local")]
      : ns.route.list(table === "local" ? "local" : "main");
  const shown = routes.filter((one) => {
    const matches = target === undefined || (one.dst.prefix >= target.prefix && cidrContains(target, one.dst.ip));
    return matches && (dev === undefined || one.dev === dev);
  });
  if (!flush) return shown.map((one) => `${routeLine(ns, one, options.style, table === "all")}\n`).join("");
  for (const one of shown) ns.route.del({ dst: one.dst, dev: one.dev, metric: one.metric });
  return "";
}

function routeGet(request: Request): string {
  const { ns, options } = request;
  let target: Ipv4 | undefined;
  let from: Ipv4 | undefined;
  while (request.words.length > 0) {
    const word = take(request, "");
    if (word === "from") from = addressOf(request, take(request, word));
    else target = addressOf(request, word === "to" ? take(request, word) : word);
  }
  if (target === undefined) throw new Answer("need at least a destination address", 2);
  const wanted = target;
  let line = "";
  netlink(options.style, () => {
    const found = ns.route.lookup(wanted, from);
    const local = found.type === "local";
    const words = [`${local ? "local " : found.type === "broadcast" ? "broadcast " : ""}${formatIpv4(wanted)}`];
    if (from !== undefined) words.push(`from ${formatIpv4(from)}`);
    if (found.via !== undefined) words.push(`via ${formatIpv4(found.via)}`);
    words.push(`dev ${deviceName(ns, found.dev)}`);
    if (from === undefined)
      words.push(options.style === "busybox" ? ` src ${formatIpv4(found.src)}` : `src ${formatIpv4(found.src)}`);
    const pmtu = !local && found.mtu < (ns.link.get(found.dev).mtu ?? 0) ? ` mtu ${found.mtu}` : "";
    const cache = local ? " <local>" : found.type === "broadcast" ? " <local,brd>" : "";
    line =
      options.style === "busybox" ? `${words.join(" ")} \n` : `${words.join(" ")} uid 0 \n    cache${cache}${pmtu} \n`;
  });
  return line;
}

// ------------------------------------------------------------------------------------------------ neigh, netns, rule

function neigh(request: Request): string {
  const verb = expand(request.words[0] ?? "show", [
    "add",
    "change",
    "replace",
    "delete",
    "flush",
    "show",
    "list",
    "lst",
  ]);
  if (request.words.length > 0 && verb !== undefined) request.words.shift();
  const { ns, options, context } = request;
  let ip: Ipv4 | undefined;
  let mac: number | undefined;
  let dev: LinkInfo | undefined;
  let state: "PERMANENT" | "REACHABLE" | "STALE" | "NOARP" = "PERMANENT";
  while (request.words.length > 0) {
    const word = take(request, "");
    if (word === "dev") dev = device(request, take(request, word));
    else if (word === "lladdr") mac = parseMac(take(request, word));
    else if (word === "nud") state = take(request, word).toUpperCase() as typeof state;
    else if (word !== "all") ip = addressOf(request, word === "to" ? take(request, word) : word);
  }
  const entries = ns.neigh.list(dev?.index);
  if (verb === undefined || verb === "show" || verb === "list" || verb === "lst") {
    const shown = entries.filter((entry) => ip === undefined || entry.ip === ip);
    return neighShow(ns, shown, options, context.os.now());
  }
  if (verb === "flush") {
    for (const entry of entries)
      if (entry.state !== "PERMANENT" && entry.state !== "NOARP") ns.neigh.del(entry.dev, entry.ip);
    return "";
  }
  if (dev === undefined || ip === undefined) throw new Answer("Device and destination are required arguments.", 255);
  const target = { dev: dev.index, ip };
  netlink(options.style, () => {
    if (verb === "delete") ns.neigh.del(target.dev, target.ip);
    else if (mac === undefined) throw new KernelError("EINVAL", "neighbour");
    else ns.neigh.add(target.dev, target.ip, mac, { state, replace: verb !== "add" });
  });
  return "";
}

function netns(request: Request): string {
  const verb = request.words.shift() ?? "list";
  const kernel = request.context.os.kernel;
  if (verb === "add" || verb === "a") {
    const name = take(request, verb);
    if (kernel.namespaces().some((ns) => ns.name === name)) {
      throw new Answer(`Cannot create namespace file "/var/run/netns/${name}": File exists`, 1);
    }
    kernel.createNs(name);
    return "";
  }
  if (verb.startsWith("del")) {
    namespace(request, take(request, verb)).destroy();
    return "";
  }
  return kernel
    .namespaces()
    .filter((ns) => ns !== kernel.root)
    .map((ns, at) => `${ns.name} (id: ${at})\n`)
    .join("");
}

const RULES = "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n";

function dispatch(request: Request): string {
  const word = request.words.shift() ?? "";
  const object = word === "" ? undefined : expand(word, OBJECTS);
  switch (object) {
    case "address":
    case "addr":
      return addr(request);
    case "link":
      return link(request);
    case "route":
      return route(request);
    case "neighbour":
    case "neighbor":
    case "neigh":
      return neigh(request);
    case "netns":
      return netns(request);
    case "rule":
      return RULES;
    default:
      if (request.options.style === "busybox") die(`invalid argument '${word}' to 'ip'`);
      throw new Answer(`Object "${word}" is unknown, try "ip help".`, 255);
  }
}

/** The program; `iproute2` on hosts, `busybox` in containers. */
export function ipProgram(style: IpStyle): Program {
  return quick((context) => {
    const words = context.argv.slice(1);
    let ns = context.ns;
    const flags = new Set<string>();
    while (words[0]?.startsWith("-")) {
      const flag = (words.shift() as string).replace(/^-+/, "");
      if (flag === "n" || flag === "netns") {
        const name = words.shift() ?? "";
        const found = context.os.kernel.namespaces().find((one) => one.name === name);
        if (found === undefined) die(`Cannot open network namespace "${name}": No such file or directory`, 255);
        ns = found;
      } else flags.add(flag);
    }
    const has = (...names: readonly string[]) => names.some((name) => flags.has(name));
    const options: ShowOptions = {
      style,
      details: has("d", "details", "det"),
      stats: has("s", "stats", "statistics"),
      oneline: has("o", "oneline"),
      brief: has("br", "brief"),
    };
    if (has("V", "Version")) {
      context.stdout.write("ip utility, iproute2-6.1.0, libbpf 1.1.0\n");
      return 0;
    }
    try {
      context.stdout.write(dispatch({ context, ns, options, ipv4Only: has("4"), words }));
      return 0;
    } catch (error) {
      if (error instanceof KernelError) {
        context.stderr.write(`RTNETLINK answers: ${errorText(error, style === "iproute2" ? "glibc" : "musl")}\n`);
        return 2;
      }
      if (!(error instanceof Answer)) throw error;
      context.stderr.write(`${style === "busybox" ? "ip: " : ""}${error.message}\n`);
      return error.status;
    }
  });
}
