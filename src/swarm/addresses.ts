/**
 * Which addresses a node listens on and tells others (moby daemon/cluster/listen_addr.go,
 * listen_addr_linux.go), with the exact refusals. Pure: the host's interfaces are an argument.
 */
import { formatIpv4, type Ipv4, parseCidr, parseIpv4 } from "../base/addr.ts";
import type { NetNs } from "../kernel/types.ts";
import { SwarmError } from "./api/status.ts";

/** A network interface of the host with its global IPv4 addresses, in order. */
export interface SystemInterface {
  readonly name: string;
  /** A real device (a NIC), not a bridge, veth or the like. */
  readonly isDevice: boolean;
  readonly up: boolean;
  readonly addresses: readonly Ipv4[];
}

/** The interfaces of a namespace; loopback and link-local addresses are left out. */
export function readInterfaces(ns: NetNs): SystemInterface[] {
  return ns.link.list().map((link) => ({
    name: link.name,
    isDevice: link.kind === "nic",
    up: link.up,
    addresses: ns.addr
      .list(link.index)
      .map((info) => info.addr.ip)
      .filter(isGlobalUnicast),
  }));
}

function isGlobalUnicast(ip: Ipv4): boolean {
  const first = ip >>> 24;
  return first !== 0 && first !== 127 && first < 224 && ip >>> 16 !== 0xa9fe;
}

/** moby's configError: 400. */
function configError(text: string): SwarmError {
  return new SwarmError(400, text);
}

const BAD_LISTEN = "listen address must be an IP address or network interface (with optional port number)";
const BAD_ADVERTISE =
  "advertise address must be a non-zero IP address or network interface (with optional port number)";
const BAD_DATA_PATH = "data path address must be a non-zero IP address or network interface (without a port number)";
const NO_ADDRESS = "could not find the system's IP address";
const MUST_SPECIFY_LISTEN =
  "must specify a listening address because the address to advertise is not recognized as a system address, and a system's IP address to use could not be uniquely identified";

/** HOST:PORT taken apart. */
export interface HostPort {
  readonly ip: Ipv4;
  readonly port: number;
}

function splitHostPort(text: string): { host: string; port: string } | undefined {
  const match = /^([^:]*):([^:]*)$/.exec(text);
  return match === null ? undefined : { host: match[1] as string, port: match[2] as string };
}

/** The address of an interface, or an IP address; `badText` says what is wrong with anything else. */
function resolveInput(
  interfaces: readonly SystemInterface[],
  text: string,
  zeroIsValid: boolean,
  badText: string,
): Ipv4 {
  const named = interfaces.find((candidate) => candidate.name === text);
  if (named !== undefined) {
    const [first, second] = named.addresses;
    if (first === undefined) throw configError(`interface ${text} has no usable IPv4 or IPv6 address`);
    if (second !== undefined) {
      const both = `${formatIpv4(first)} and ${formatIpv4(second)}`;
      throw configError(`interface ${text} has more than one IPv4 address (${both})`);
    }
    return first;
  }
  const ip = parseIpv4(text);
  if (ip === undefined || (ip === 0 && !zeroIsValid)) throw configError(badText);
  return ip;
}

/** `--listen-addr`: interface or IP, with a port. */
export function resolveListenAddr(interfaces: readonly SystemInterface[], text: string): HostPort {
  const parts = splitHostPort(text);
  if (parts === undefined) throw configError(`could not parse listen address ${text}`);
  const ip = resolveInput(interfaces, parts.host, true, BAD_LISTEN);
  if (!/^\d+$/.test(parts.port)) throw configError(BAD_LISTEN);
  return { ip, port: Number(parts.port) };
}

/** `--advertise-addr`, or the only address that the system has. */
export function resolveAdvertiseAddr(
  interfaces: readonly SystemInterface[],
  text: string,
  listenPort: number,
): HostPort {
  if (text === "") return { ip: resolveSystemAddr(interfaces), port: listenPort };
  const parts = splitHostPort(text);
  const ip = resolveInput(interfaces, parts?.host ?? text, false, BAD_ADVERTISE);
  const port = parts?.port ?? String(listenPort);
  if (!/^\d+$/.test(port)) throw configError(BAD_ADVERTISE);
  return { ip, port: Number(port) };
}

/** `--data-path-addr`; undefined when none is given. */
export function resolveDataPathAddr(interfaces: readonly SystemInterface[], text: string): Ipv4 | undefined {
  return text === "" ? undefined : resolveInput(interfaces, text, false, BAD_DATA_PATH);
}

/** The one address of the one device that has one. */
function resolveSystemAddr(interfaces: readonly SystemInterface[]): Ipv4 {
  let found: { readonly name: string; readonly ip: Ipv4 } | undefined;
  for (const { name, addresses } of interfaces.filter((candidate) => candidate.isDevice && candidate.up)) {
    for (const ip of addresses) {
      if (found !== undefined) throw severalAddresses(found, { name, ip });
      found = { name, ip };
    }
  }
  if (found === undefined) throw configError(NO_ADDRESS);
  return found.ip;
}

function severalAddresses(a: { name: string; ip: Ipv4 }, b: { name: string; ip: Ipv4 }): SwarmError {
  const head = "could not choose an IP address to advertise since this system has multiple addresses on";
  if (a.name === b.name) {
    return configError(`${head} interface ${a.name} (${formatIpv4(a.ip)} and ${formatIpv4(b.ip)})`);
  }
  const both = `${formatIpv4(a.ip)} on ${a.name} and ${formatIpv4(b.ip)} on ${b.name}`;
  return configError(`${head} different interfaces (${both})`);
}

/** The address that the node itself uses: what it listens on, else what it advertises if that is its own. */
export function resolveLocalAddr(interfaces: readonly SystemInterface[], listen: Ipv4, advertise: Ipv4): Ipv4 {
  if (listen !== 0) return listen;
  if (interfaces.some(({ addresses }) => addresses.includes(advertise))) return advertise;
  try {
    return resolveSystemAddr(interfaces);
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error;
    throw configError(MUST_SPECIFY_LISTEN);
  }
}

/** `--data-path-port`: 0 = 4789. */
export function resolveDataPathPort(port: number): number {
  if (port === 0) return 4789;
  if (port < 1024 || port > 49_151) {
    throw configError(`Datapath port number is not in valid range (1024-49151) : ${port}`);
  }
  return port;
}

/** `--default-addr-pool` and its mask length; gives the pools trimmed. */
export function validateAddressPools(pools: readonly string[], subnetSize: number): string[] {
  const size = subnetSize === 0 ? 24 : subnetSize;
  if (pools.length > 0 && size > 29) throw configError(`subnet size is out of range: ${size}`);
  return pools.map((text) => {
    const pool = text.trim();
    const cidr = pool.includes("/") ? parseCidr(pool) : undefined;
    if (cidr === undefined) throw configError(`invalid base pool ${pool}: invalid CIDR address: ${pool}`);
    if (size < cidr.prefix) {
      throw configError(`invalid CIDR: "${pool}". Subnet size is too small for pool: ${size}`);
    }
    return pool;
  });
}

/** HOST[:PORT] of `docker swarm join`, taken apart; the port defaults to 2377. */
export function splitRemoteAddr(text: string): { readonly host: string; readonly port: string } {
  const at = text.lastIndexOf(":");
  return at < 0 ? { host: text, port: "2377" } : { host: text.slice(0, at), port: text.slice(at + 1) || "2377" };
}

/** `IP[:port]` of a manager; the port defaults to 2377. */
export function parseRemoteAddr(text: string): HostPort | undefined {
  const match = /^([^:]+)(?::(\d+))?$/.exec(text);
  const ip = parseIpv4(match?.[1] ?? "");
  const port = Number(match?.[2] ?? 2377);
  return ip === undefined || port > 65_535 ? undefined : { ip, port };
}
