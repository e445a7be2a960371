/** bridge(8) of iproute2 6.1: the forwarding databases and the ports of bridges. */
import { formatIpv4, formatMac, type Ipv4, parseIpv4, parseMac } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { FdbInfo, LinkInfo, NetNs } from "../../kernel/types.ts";
import { die, errorText, Failure, quick } from "../lib/program.ts";
import { below, deviceName, flagsText } from "./link-text.ts";

/** A message without `bridge: ` in front. */
function refuse(context: ProgramContext, message: string, status: number): never {
  context.stderr.write(`${message}\n`);
  throw new Failure("", status);
}

function requireLink(context: ProgramContext, name: string): LinkInfo {
  const link = context.ns.link.list().find((candidate) => candidate.name === name);
  return link ?? refuse(context, `Cannot find device "${name}"`, 1);
}

/** One line of `bridge fdb show` (bridge/fdb.c print_fdb). */
export function fdbLine(ns: NetNs, entry: FdbInfo, stats: boolean, now: number): string {
  const link = ns.link.list().find((candidate) => candidate.index === entry.dev);
  const words = [formatMac(entry.mac), `dev ${deviceName(ns, entry.dev)}`];
  if (entry.dst !== undefined) words.push(`dst ${formatIpv4(entry.dst)}`);
  const netns = link === undefined || entry.dst === undefined ? undefined : below(ns, link)?.netnsId;
  if (netns !== undefined) words.push(`link-netnsid ${netns}`);
  if (stats) words.push(`used ${Math.floor((now - entry.used) / SEC)}/${Math.floor((now - entry.updated) / SEC)}`);
  // A bridge's own entries name the bridge itself as their master.
  const master = link?.kind === "bridge" ? link.index : (link?.master ?? 0);
  words.push(entry.owner === "self" ? "self" : `master ${deviceName(ns, master)}`);
  return `${words.join(" ")} ${entry.permanent ? "permanent" : ""}`;
}

function fdbShow(context: ProgramContext, words: readonly string[], stats: boolean): number {
  const { ns, os } = context;
  let dev: string | undefined;
  let bridge: string | undefined;
  for (let i = 0; i < words.length; i++) {
    if (words[i] === "br" || words[i] === "brport") bridge = words[++i];
    else if (words[i] === "dev") dev = words[++i];
    else if (words[i] !== "dynamic" && words[i] !== "state") dev = words[i];
  }
  if (dev !== undefined) requireLink(context, dev);
  const above = bridge === undefined ? undefined : requireLink(context, bridge).index;
  for (const entry of ns.fdb.list(dev)) {
    const link = ns.link.list().find((candidate) => candidate.index === entry.dev);
    if (above !== undefined && link?.master !== above && link?.index !== above) continue;
    if (words.includes("dynamic") && entry.permanent) continue;
    context.stdout.write(`${fdbLine(ns, entry, stats, os.now())}\n`);
  }
  return 0;
}

/** `bridge fdb add|append|replace|del MAC dev DEV [dst IP] [self|master] [permanent|static|dynamic]`. */
function fdbChange(context: ProgramContext, verb: string, words: readonly string[]): number {
  let mac: number | undefined;
  let dev: string | undefined;
  let dst: Ipv4 | undefined;
  let owner: "self" | "master" = "self";
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "dev") dev = words[++i];
    else if (word === "dst") {
      dst = parseIpv4(words[++i] ?? "");
      if (dst === undefined)
        refuse(context, `Error: any valid address is expected rather than "${words[i] ?? ""}".`, 1);
    } else if (word === "self" || word === "master") owner = word;
    else if (word === "vni" || word === "port" || word === "via" || word === "vlan") i++;
    else if (
      mac === undefined &&
      !/^(local|permanent|static|temp|dynamic|use|router|extern_learn|sticky)$/.test(word)
    ) {
      mac = parseMac(word);
      if (mac === undefined) refuse(context, `Invalid mac address ${word}`, 1);
    }
  }
  if (mac === undefined || dev === undefined) refuse(context, "Device and address are required arguments.", 1);
  const { index } = requireLink(context, dev);
  const { fdb } = context.ns;
  try {
    if (verb === "del") fdb.del(index, mac, { ...(dst === undefined ? {} : { dst }), owner });
    else
      fdb.add(index, mac, {
        ...(dst === undefined ? {} : { dst }),
        owner,
        replace: verb === "replace",
        append: verb === "append",
      });
    return 0;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return refuse(context, `RTNETLINK answers: ${errorText(error, "glibc")}`, 255);
  }
}

/** The ports of all bridges (bridge/link.c print_linkinfo). */
function linkShow(context: ProgramContext, words: readonly string[]): number {
  const { ns } = context;
  const only = words[0] === "dev" ? words[1] : words[0];
  if (only !== undefined) requireLink(context, only);
  for (const link of ns.link.list()) {
    if (link.master === 0 || (only !== undefined && link.name !== only)) continue;
    const name = link.kind === "veth" ? `${link.name}@${below(ns, link)?.text ?? "if0"}` : link.name;
    const state = link.up && link.carrier ? "forwarding" : "disabled";
    const cost = link.kind === "veth" ? 2 : 100;
    const flags = flagsText(ns, link, "iproute2");
    context.stdout.write(
      `${link.index}: ${name}: <${flags}> mtu ${link.mtu} master ${deviceName(ns, link.master)} state ${state} priority 32 cost ${cost} \n`,
    );
  }
  return 0;
}

/** bridge(8) of iproute2. */
export const bridge: Program = quick((outer) => {
  const words = outer.argv.slice(1);
  let context = outer;
  const at = words.findIndex((word) => word === "-n" || word === "-netns");
  if (at >= 0) {
    const [, name = ""] = words.splice(at, 2);
    const ns = outer.os.kernel.namespaces().find((one) => one.name === name);
    if (ns === undefined)
      return refuse(outer, `Cannot open network namespace "${name}": No such file or directory`, 255);
    context = { ...outer, ns };
  }
  const flags = words.filter((word) => word.startsWith("-"));
  const [object = "", verb = "show", ...rest] = words.filter((word) => !word.startsWith("-"));
  if (object !== "" && "fdb".startsWith(object)) {
    if (verb === "show" || verb === "list" || verb === "lst")
      return fdbShow(
        context,
        rest,
        flags.some((flag) => /^-s/.test(flag)),
      );
    const change = ["add", "append", "replace", "del"].find((name) => name === (verb === "delete" ? "del" : verb));
    if (change !== undefined) return fdbChange(context, change, rest);
    return refuse(context, `Command "${verb}" is unknown, try "bridge fdb help".`, 255);
  }
  if (object !== "" && "link".startsWith(object)) {
    if (verb === "show" || verb === "list" || verb === "lst") return linkShow(context, rest);
    return refuse(context, `Command "${verb}" is unknown, try "bridge link help".`, 255);
  }
  return object === ""
    ? die("Usage: bridge [ OPTIONS ] OBJECT { COMMAND | help }", 255)
    : refuse(context, `Object "${object}" is unknown, try "bridge help".`, 255);
});
