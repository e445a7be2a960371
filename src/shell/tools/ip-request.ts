/** The command line of `ip` as its objects read it: words, devices, addresses; refusals as both programs word them. */
import { type Cidr, type Ipv4, parseCidr, parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { LinkInfo, NetNs } from "../../kernel/types.ts";
import { die, errorText } from "../lib/program.ts";
import type { IpStyle, ShowOptions } from "./ip-show.ts";
import { deviceName } from "./link-text.ts";

/** A command line of ip(8) and where it runs. */
export interface Request {
  readonly context: ProgramContext;
  readonly ns: NetNs;
  readonly options: ShowOptions;
  readonly ipv4Only: boolean;
  readonly ipv6Only: boolean;
  readonly words: string[];
}

/** The known word that an abbreviation begins; undefined for none. */
export function expand(word: string, known: readonly string[]): string | undefined {
  return known.find((one) => one.startsWith(word));
}

/** A refusal of the kernel as both ip programs print it; status 2. */
export function netlink(style: IpStyle, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new Answer(`RTNETLINK answers: ${errorText(error, style === "iproute2" ? "glibc" : "musl")}`, 2);
  }
}

/** A message without the program's name in front. */
export class Answer extends Error {
  override name = "Answer";
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** The device of that name; dies as ip(8) does when there is none. */
export function device(request: Request, name: string | undefined): LinkInfo {
  const found = request.ns.link.list().find((link) => link.name === name);
  if (found !== undefined) return found;
  if (request.options.style === "busybox") die(`can't find device '${name ?? ""}'`);
  throw new Answer(`Cannot find device "${name ?? ""}"`, 1);
}

function unknownDevice(request: Request, name: string): never {
  if (request.options.style === "busybox") die(`can't find device '${name}'`);
  throw new Answer(`Device "${name}" does not exist.`, 1);
}

/** The next word; dies when there is none. */
export function take(request: Request, _after: string): string {
  const word = request.words.shift();
  if (word === undefined) throw new Answer(`Command line is not complete. Try option "help"`, 255);
  return word;
}

/** Devices that a listing names: one, or all. */
export function listed(request: Request): readonly LinkInfo[] {
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

/** Reads a prefix; dies as ip(8) does. */
export function prefixOf(request: Request, text: string, what: string): Cidr {
  const parsed = text === "default" || text === "all" || text === "any" ? { ip: 0, prefix: 0 } : parseCidr(text);
  if (parsed !== undefined) return parsed;
  if (request.options.style === "busybox") die(`invalid argument '${text}' to 'ip'`);
  throw new Answer(`Error: ${what} prefix is expected rather than "${text}".`, 1);
}

/** Reads an address; dies as ip(8) does. */
export function addressOf(request: Request, text: string): Ipv4 {
  const ip = parseIpv4(text);
  if (ip !== undefined) return ip;
  if (request.options.style === "busybox") die(`invalid argument '${text}' to 'ip'`);
  throw new Answer(`Error: inet address is expected rather than "${text}".`, 1);
}

/** The namespace of that name; dies when there is none. */
export function namespace(request: Request, name: string): NetNs {
  const found = request.context.os.kernel.namespaces().find((ns) => ns.name === name);
  if (found === undefined) throw new Answer(`Error: argument "${name}" is wrong: Invalid "netns" value\n`, 255);
  return found;
}
