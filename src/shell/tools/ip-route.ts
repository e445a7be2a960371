/** `ip route`: listing, lookup and changes (iproute2 ip/iproute.c). */
import { type Cidr, cidrContains, formatIpv4, type Ipv4 } from "../../base/addr.ts";
import type { RouteSpec } from "../../kernel/types.ts";
import { jsonText, routeJson } from "./ip-json.ts";
import { Answer, addressOf, device, expand, netlink, prefixOf, type Request, take } from "./ip-request.ts";
import { routeLine } from "./ip-show.ts";
import { deviceName } from "./link-text.ts";

/** `ip route`: what it prints. */
export function route(request: Request): string {
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
  // How a route's destination is to fit: the same, within (`root`), or around it (`match`).
  let fit = "exact";
  if (flush && request.words.length === 0) throw new Answer('"ip route flush" requires arguments.', 255);
  while (request.words.length > 0) {
    const word = take(request, "");
    if (word === "table") table = take(request, word);
    else if (word === "cache") table = word;
    else if (word === "dev") dev = device(request, take(request, word)).index;
    else if (word === "exact" || word === "root" || word === "match") fit = word;
    else if (word !== "to") target = prefixOf(request, word, "inet");
  }
  // Linux has had none since 3.6; flushing it is allowed all the same.
  if (table === "cache") return "";
  const routes =
    table === "all"
      ? [...ns.route.list("main"), ...ns.route.list("local")]
      : ns.route.list(table === "local" ? "local" : "main");
  const shown = routes.filter((one) => {
    const within = target === undefined || (one.dst.prefix >= target.prefix && cidrContains(target, one.dst.ip));
    const around = target === undefined || (one.dst.prefix <= target.prefix && cidrContains(one.dst, target.ip));
    const matches = (fit === "match" || within) && (fit === "root" || around);
    return matches && (dev === undefined || one.dev === dev);
  });
  if (!flush && options.json !== undefined)
    return jsonText(
      shown.map((one) => routeJson(ns, one, table === "all")),
      options.json === "pretty",
    );
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
