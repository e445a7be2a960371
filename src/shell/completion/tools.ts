/** What Tab offers behind the tools of a host: iproute2's words, options, devices, names that can be looked up. */
import type { CompletionSources } from "./complete.ts";

/** Objects of `ip`, and the words that may stand behind each. */
const IP: Readonly<Record<string, readonly string[]>> = {
  addr: ["add", "change", "del", "flush", "list", "replace", "show"],
  link: ["add", "del", "list", "set", "show"],
  neigh: ["add", "change", "del", "flush", "list", "replace", "show"],
  netns: ["add", "del", "exec", "list"],
  route: ["add", "append", "change", "del", "flush", "get", "list", "replace", "show"],
  rule: ["list", "show"],
  xfrm: ["policy", "state"],
};
const IP_OPTIONS = ["-brief", "-details", "-family", "-json", "-oneline", "-pretty", "-statistics", "-4"];
const IP_WORDS: Readonly<Record<string, readonly string[]>> = {
  addr: ["broadcast", "dev", "local", "scope"],
  link: ["address", "dev", "down", "master", "mtu", "name", "nomaster", "type", "up"],
  neigh: ["dev", "lladdr", "nud", "to"],
  netns: [],
  route: ["default", "dev", "metric", "proto", "scope", "src", "table", "via"],
  rule: [],
  xfrm: ["count", "delete", "deleteall", "flush", "list"],
};
const BRIDGE: Readonly<Record<string, readonly string[]>> = {
  fdb: ["add", "append", "del", "replace", "show"],
  link: ["show"],
};
const FDB_WORDS = ["br", "brport", "dev", "dst", "dynamic", "master", "permanent", "self", "static"];
/** Words behind which a device stands. */
const BEFORE_DEVICE = new Set(["dev", "br", "brport", "master", "-i", "--interface", "-o", "-I"]);
const LINK_TYPES = ["bridge", "dummy", "veth", "vxlan"];

/** Options of programs that take little else. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  conntrack: ["--count", "--delete", "--dport", "--dump", "--dst", "--flush", "--proto", "--sport", "--src", "--state"],
  ipvsadm: [
    "--add-server",
    "--add-service",
    "--clear",
    "--connection",
    "--delete-server",
    "--delete-service",
    "--edit-server",
    "--edit-service",
    "--list",
    "--numeric",
    "--rate",
    "--save",
    "--stats",
    "--timeout",
    "--zero",
    "-C",
    "-L",
    "-Ln",
    "-S",
    "-Z",
    "-l",
    "-n",
  ],
  "iptables-save": ["-c", "-t"],
  ss: ["--all", "--listening", "--numeric", "--processes", "--tcp", "--udp", "-a", "-l", "-n", "-p", "-t", "-u"],
};
const IPTABLES_OPTIONS = ["-A", "-D", "-F", "-I", "-L", "-N", "-P", "-S", "-X", "-Z", "-j", "-n", "-t", "-v"];
const TABLES = ["filter", "mangle", "nat", "raw"];
const CHAINS = [
  "DOCKER",
  "DOCKER-INGRESS",
  "DOCKER-ISOLATION-STAGE-1",
  "DOCKER-ISOLATION-STAGE-2",
  "DOCKER-USER",
  "FORWARD",
  "INPUT",
  "OUTPUT",
  "POSTROUTING",
  "PREROUTING",
];
const TARGETS = ["ACCEPT", "DNAT", "DROP", "LOG", "MARK", "MASQUERADE", "REDIRECT", "REJECT", "RETURN", "SNAT"];
const SYSTEMCTL = ["is-active", "restart", "start", "status", "stop"];

/** Programs whose arguments are names that can be looked up. */
const ASKS_HOSTS = new Set([
  "ab",
  "curl",
  "dig",
  "getent",
  "hey",
  "nc",
  "ncat",
  "nslookup",
  "ping",
  "traceroute",
  "wget",
]);

/** @returns words that fit; undefined: files */
export function toolWords(
  program: string,
  rest: readonly string[],
  word: string,
  sources: CompletionSources,
): readonly string[] | undefined {
  const last = rest.at(-1) ?? "";
  if (word.includes("/") && !ASKS_HOSTS.has(program)) return undefined;
  if (program === "ip" && last !== "exec") return ipWords(rest, word, sources.devices);
  if (program === "bridge") return objectWords(BRIDGE, { fdb: FDB_WORDS }, rest, sources.devices);
  if (BEFORE_DEVICE.has(last) && program !== "docker" && !program.startsWith("ip")) return sources.devices;
  if (program === "tcpdump") return word.startsWith("-") ? ["-c", "-e", "-i", "-n", "-r", "-v", "-w", "-x"] : undefined;
  if (program === "iptables") return iptablesWords(last, word, sources.devices);
  if (program === "systemctl") return rest.length === 0 ? SYSTEMCTL : ["docker"];
  if (program === "service") return rest.length === 0 ? ["docker"] : ["restart", "start", "status", "stop"];
  if (ASKS_HOSTS.has(program)) return sources.hosts;
  if (program === "brctl")
    return rest.length === 0 ? ["addbr", "addif", "delbr", "delif", "show", "showmacs"] : sources.devices;
  return OPTIONS[program];
}

function ipWords(rest: readonly string[], word: string, devices: readonly string[]): readonly string[] {
  const words = rest.filter((one) => !one.startsWith("-"));
  if (word.startsWith("-") && words.length === 0) return IP_OPTIONS;
  return objectWords(IP, IP_WORDS, words, devices);
}

/** An object, its verb, then its words and devices; objects and verbs may stand shortened. */
function objectWords(
  objects: Readonly<Record<string, readonly string[]>>,
  words: Readonly<Record<string, readonly string[]>>,
  rest: readonly string[],
  devices: readonly string[],
): readonly string[] {
  const [object] = rest;
  if (object === undefined) return Object.keys(objects);
  const name = Object.keys(objects).find((one) => one.startsWith(object) || object.startsWith(one)) ?? "";
  const last = rest.at(-1) ?? "";
  if (rest.length === 1) return [...(objects[name] ?? []), "help"].sort();
  if (BEFORE_DEVICE.has(last)) return devices;
  if (last === "type") return LINK_TYPES;
  const devicesToo = name === "link" && rest.length === 2 ? devices : [];
  return [...(words[name] ?? []), ...devicesToo];
}

function iptablesWords(last: string, word: string, devices: readonly string[]): readonly string[] {
  if (last === "-t" || last === "--table") return TABLES;
  if (last === "-j" || last === "--jump") return [...TARGETS, ...CHAINS];
  if (BEFORE_DEVICE.has(last)) return devices;
  if (/^-[ADFILNPSXZ]/.test(last)) return CHAINS;
  return word.startsWith("-") ? IPTABLES_OPTIONS : [];
}
