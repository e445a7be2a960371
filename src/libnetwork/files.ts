/**
 * /etc/hosts and /etc/resolv.conf of a container as 20.10 writes them (moby libnetwork/etchosts, resolvconf,
 * sandbox_dns_unix.go).
 */
import { formatIpv4, type Ipv4, parseIpv4 } from "../base/addr.ts";

/** An extra line of /etc/hosts (`--add-host`). */
export interface HostsEntry {
  readonly name: string;
  readonly ip: string;
}

const DEFAULT_HOSTS: readonly HostsEntry[] = [
  { name: "localhost", ip: "127.0.0.1" },
  { name: "localhost ip6-localhost ip6-loopback", ip: "::1" },
  { name: "ip6-localnet", ip: "fe00::0" },
  { name: "ip6-mcastprefix", ip: "ff00::0" },
  { name: "ip6-allnodes", ip: "ff02::1" },
  { name: "ip6-allrouters", ip: "ff02::2" },
];

/** Name servers on a default bridge whose host has none of its own (resolvconf defaultIPv4Dns). */
const FALLBACK_NAMESERVERS: readonly string[] = ["8.8.8.8", "8.8.4.4"];

/** The names of a container's address: `fqdn host`, or the host name alone where there is no domain. */
export function hostsNames(hostname: string, domainname: string): string {
  const fqdn = domainname === "" ? hostname : `${hostname}.${domainname}`;
  const dot = fqdn.indexOf(".");
  return dot < 0 ? fqdn : `${fqdn} ${fqdn.slice(0, dot)}`;
}

/** /etc/hosts: the fixed lines, extra hosts, then one line per endpoint. */
export function hostsFile(extra: readonly HostsEntry[], own: readonly { ip: Ipv4; names: string }[]): string {
  const lines = [...DEFAULT_HOSTS, ...extra].map((e) => `${e.ip}\t${e.name}\n`);
  for (const { ip, names } of own) lines.push(`${formatIpv4(ip)}\t${names}\n`);
  return lines.join("");
}

/** What a resolv.conf says. */
export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** Reads a resolv.conf; comments and unknown lines are left out. The last search line counts. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: string[] = [];
  let options: string[] = [];
  for (const raw of text.split("\n")) {
    const words = raw
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (words[0] === "nameserver" && words[1] !== undefined) nameservers.push(words[1]);
    else if (words[0] === "search") search = words.slice(1);
    else if (words[0] === "options") options = words.slice(1);
  }
  return { nameservers, search, options };
}

/** resolvconf.Build: search line, one line per server, options. */
export function formatResolvConf(conf: ResolvConf): string {
  const lines: string[] = [];
  if (conf.search.length > 0 && conf.search.join(" ") !== ".") lines.push(`search ${conf.search.join(" ")}\n`);
  for (const server of conf.nameservers) lines.push(`nameserver ${server}\n`);
  if (conf.options.length > 0) lines.push(`options ${conf.options.join(" ")}\n`);
  return lines.join("");
}

/** The name server is the host itself: containers cannot use it. */
export function isLoopbackServer(server: string): boolean {
  return server.startsWith("127.") || server === "::1";
}

/**
 * FilterResolvDNS without IPv6: loopback and IPv6 servers of the host are left out, and where none is left the
 * public ones take their place.
 */
export function filterNameservers(servers: readonly string[]): readonly string[] {
  const left = servers.filter((s) => parseIpv4(s) !== undefined && !isLoopbackServer(s));
  return left.length > 0 ? left : FALLBACK_NAMESERVERS;
}

/** Whether the user set ndots himself: then single-label names that nobody knows are not forwarded. */
export function ndotsSet(options: readonly string[]): boolean {
  return options.some((option) => /^ndots:\d+$/.test(option));
}

/** The container's resolv.conf once the embedded server answers for it (sandbox.rebuildDNS). */
export function embeddedResolvConf(conf: ResolvConf, server: string): ResolvConf {
  const options = ndotsSet(conf.options) ? conf.options : [...conf.options, "ndots:0"];
  return { nameservers: [server], search: conf.search, options };
}
