/** The program `ip`: reading its command line and changing what it names (iproute2 6.1, busybox 1.35 ip). */
import { broadcastOf, type Cidr, type Ipv4, parseMac } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Program } from "../../engine/program.ts";
import type { LinkInfo } from "../../kernel/types.ts";
import { die, errorText, quick } from "../lib/program.ts";
import { IP_USAGE } from "./ip-help.ts";
import { jsonText, linkJson, neighJson } from "./ip-json.ts";
import { link } from "./ip-link.ts";
import {
  Answer,
  addressOf,
  device,
  expand,
  listed,
  namespace,
  netlink,
  prefixOf,
  type Request,
  take,
} from "./ip-request.ts";
import { route } from "./ip-route.ts";
import { addrShow, type IpStyle, isShown, neighShow, type ShowOptions } from "./ip-show.ts";
import { xfrm } from "./ip-xfrm.ts";

/** Words by abbreviation, in the order in which ip tries them. */
const OBJECTS = [
  "address",
  "addr",
  "link",
  "route",
  "neighbour",
  "neighbor",
  "neigh",
  "netns",
  "rule",
  "xfrm",
] as const;

// ------------------------------------------------------------------------------------------------ addr

function showAddresses(request: Request): string {
  const { ns, options, ipv4Only } = request;
  const links = listed(request);
  if (options.json === undefined) return addrShow(ns, links, options, ipv4Only);
  const rows = links.filter((link) => !ipv4Only || ns.addr.list(link.index).length > 0);
  return jsonText(
    rows.map((link) => linkJson(ns, link, options.stats, ns.addr.list(link.index))),
    options.json === "pretty",
  );
}

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
  const shows = verb === undefined || verb === "show" || verb === "list" || verb === "lst";
  if (verb !== undefined) request.words.shift();
  if (shows) return showAddresses(request);
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
    if (options.json !== undefined)
      return jsonText(
        shown.filter(isShown).map((entry) => neighJson(ns, entry)),
        options.json === "pretty",
      );
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

/** There is no IPv6: nothing to list, and nothing that can be changed. */
function ipv6({ words }: Request): string {
  const verb = expand(words[0] ?? "show", [
    "add",
    "change",
    "replace",
    "delete",
    "append",
    "get",
    "flush",
    "show",
    "list",
    "lst",
  ]);
  if (verb === undefined || verb === "show" || verb === "list" || verb === "lst" || verb === "flush") return "";
  throw new KernelError(verb === "get" ? "ENETUNREACH" : "EOPNOTSUPP", "ip -6");
}

/** The screen that says what can be asked. */
class Usage extends Answer {
  override name = "Usage";
}

function dispatch(request: Request): string {
  const word = request.words.shift() ?? "";
  const object = word === "" ? undefined : expand(word, OBJECTS);
  const { style } = request.options;
  if (word === "" || word === "help" || (request.words[0] === "help" && object !== undefined))
    throw new Usage(IP_USAGE[style], style === "busybox" ? 1 : 255);
  if (request.ipv6Only && object !== "link") return ipv6(request);
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
    case "xfrm":
      // busybox's ip has no such object.
      if (request.options.style === "iproute2") return xfrm(request);
      break;
    default:
      break;
  }
  if (request.options.style === "busybox") die(`invalid argument '${word}' to 'ip'`);
  throw new Answer(`Object "${word}" is unknown, try "ip help".`, 255);
}

/** `ip netns exec NAME COMMAND`: the namespace and the command; undefined for every other command line. */
function netnsExec(words: readonly string[]): { name: string; command: readonly string[] } | undefined {
  const [object = "", verb = "", name = "", ...command] = words;
  return object.length > 1 && "netns".startsWith(object) && verb !== "" && "exec".startsWith(verb)
    ? { name, command }
    : undefined;
}

/** The program; `iproute2` on hosts, `busybox` in containers. */
export function ipProgram(style: IpStyle): Program {
  const plain = showOrChange(style);
  return function* (context) {
    const inside = style === "iproute2" ? netnsExec(context.argv.slice(1)) : undefined;
    if (inside === undefined) return yield* plain(context);
    const { name, command } = inside;
    const ns = context.os.kernel.namespaces().find((one) => one.name === name);
    const refuse = (message: string): number => {
      context.stderr.write(`${message}\n`);
      return 255;
    };
    if (name === "") return refuse("No netns name specified");
    if (command.length === 0) return refuse("No command specified");
    if (ns === undefined) return refuse(`Cannot open network namespace "${name}": No such file or directory`);
    if (context.programs.includes(command[0] as string)) return yield* context.exec(command, { ns });
    return refuse(`exec of "${command[0]}" failed: No such file or directory`);
  };
}

/** What busybox's ip knows (libiproute/ip_parse_common_args.c). */
const BUSYBOX_FLAGS = new Set(["o", "oneline", "4", "6", "0"]);

function showOrChange(style: IpStyle): Program {
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
      } else if (flag === "f" || flag === "family") {
        const family = words.shift() ?? "";
        if (family === "inet" || family === "inet6") flags.add(family === "inet" ? "4" : "6");
        else if (family !== "link") die(`unknown protocol family "${family}"`, 255);
      } else if (style === "busybox" && !BUSYBOX_FLAGS.has(flag)) {
        context.stderr.write(`${IP_USAGE.busybox}\n`);
        return 1;
      } else flags.add(flag);
    }
    const has = (...names: readonly string[]) => names.some((name) => flags.has(name));
    const options: ShowOptions = {
      style,
      details: has("d", "details", "det"),
      stats: has("s", "stats", "statistics"),
      oneline: has("o", "oneline"),
      brief: has("br", "brief"),
      json: !has("j", "json", "js") || style === "busybox" ? undefined : has("p", "pretty") ? "pretty" : "line",
    };
    if (has("V", "Version")) {
      context.stdout.write("ip utility, iproute2-6.1.0, libbpf 1.1.0\n");
      return 0;
    }
    try {
      context.stdout.write(dispatch({ context, ns, options, ipv4Only: has("4"), ipv6Only: has("6"), words }));
      return 0;
    } catch (error) {
      if (error instanceof KernelError) {
        context.stderr.write(`RTNETLINK answers: ${errorText(error, style === "iproute2" ? "glibc" : "musl")}\n`);
        return 2;
      }
      if (!(error instanceof Answer)) throw error;
      const head = style === "busybox" && !(error instanceof Usage) ? "ip: " : "";
      context.stderr.write(`${head}${error.message}\n`);
      return error.status;
    }
  });
}
