/** `ip link`: listing, making, changing and deleting devices (iproute2 ip/iplink*.c). */
import { parseMac } from "../../base/addr.ts";
import { SEC } from "../../base/time.ts";
import type { LinkChange, LinkInfo, LinkSpec, NetNs } from "../../kernel/types.ts";
import { Answer, device, expand, listed, namespace, netlink, type Request, take } from "./ip-request.ts";
import { linkShow } from "./ip-show.ts";

/** `ip link`: what it prints. */
export function link(request: Request): string {
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
