/**
 * /proc and /sys/class/net as a process sees them: its own namespace's devices, routes, neighbours, sockets and
 * settings, the processes of its container or host (fs/proc, net/core/net-procfs.c, net/ipv4/{fib_trie,arp,tcp_ipv4,udp,proc}.c).
 */
import { formatIpv4, formatMac, type Ipv4 } from "../base/addr.ts";
import { KernelError } from "../base/errors.ts";
import { SEC, type Time } from "../base/time.ts";
import type { SocketInfo } from "../kernel/socket-types.ts";
import type { LinkInfo, NetNs, RouteInfo } from "../kernel/types.ts";
import type { FileSystem, ProcessEntry } from "./program.ts";

/** The kernel's release (golden captures). */
export const KERNEL_RELEASE = "6.1.0-56-amd64";
/** Its build. */
export const KERNEL_BUILD = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2";
const COMPILER = "(gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40)";

/** What the files tell of. */
export interface ProcSource {
  readonly ns: NetNs;
  readonly hostname: string;
  readonly now: () => Time;
  /** Own PID, in its container or on its host. */
  readonly pid: () => number;
  readonly processes: () => readonly ProcessEntry[];
  /** /proc/sys can be written: not in a container, where Docker mounts it read-only. */
  readonly writable: boolean;
}

/** Directories of /proc/sys; each device has one more, under net/ipv4/conf. */
const SYSCTL_DIRECTORIES: ReadonlyMap<string, readonly string[]> = new Map([
  ["/proc/sys", ["kernel", "net"]],
  ["/proc/sys/kernel", ["hostname", "osrelease", "ostype", "version"]],
  ["/proc/sys/net", ["core", "ipv4"]],
  ["/proc/sys/net/core", []],
  ["/proc/sys/net/ipv4", ["conf", "ip_forward"]],
]);
const CONF = "/proc/sys/net/ipv4/conf";

type Files = Map<string, () => string>;

/** Files below others: what those don't have under /proc and /sys/class/net is made when it is read. */
export class ProcFiles implements FileSystem {
  readonly #files: FileSystem;
  readonly #source: ProcSource;

  constructor(files: FileSystem, source: ProcSource) {
    this.#files = files;
    this.#source = source;
  }

  read(path: string): string | undefined {
    const text = this.#files.read(path);
    if (text !== undefined || !/^\/(?:proc|sys)\//.test(path)) return text;
    if (path.startsWith("/proc/sys/")) return sysctlText(this.#source, sysctlName(path));
    return this.#made().get(path)?.();
  }

  /** A setting of /proc/sys is set; other files of /proc can't be written. */
  write(path: string, text: string): void {
    if (!/^\/(?:proc|sys)\//.test(path) || this.#files.read(path) !== undefined) this.#files.write(path, text);
    else if (path.startsWith("/proc/sys/")) {
      if (!this.#source.writable) throw new KernelError("EROFS", "write error");
      // A shell cuts a file before it writes to it.
      if (text.trim() !== "") this.#source.ns.sysctlSet(sysctlName(path), Number(text));
    } else throw new KernelError("EACCES", "write error");
  }

  remove(path: string): boolean {
    return this.#files.remove(path);
  }

  list(directory: string): string[] | undefined {
    const own = this.#files.list(directory);
    if (!/^\/(?:proc|sys)(?:\/|$)/.test(directory)) return own;
    const folder = directory.replace(/\/$/, "");
    const prefix = `${folder}/`;
    const settings = this.#settings(folder);
    if (settings !== undefined) return [...settings].sort();
    const names = new Set([...(own ?? []), ...(folder === "/proc" ? ["sys"] : [])]);
    for (const path of this.#made().keys())
      if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split("/")[0] as string);
    return own === undefined && names.size === 0 ? undefined : [...names].sort();
  }

  /** Names in a directory of /proc/sys. */
  #settings(folder: string): readonly string[] | undefined {
    const devices = this.#source.ns.link.list().map(({ name }) => name);
    if (folder === CONF) return ["all", "default", ...devices];
    if (folder.startsWith(`${CONF}/`) && ["all", "default", ...devices].includes(folder.slice(CONF.length + 1)))
      return [];
    return SYSCTL_DIRECTORIES.get(folder);
  }

  makeDirectory(path: string): boolean {
    return this.#files.makeDirectory(path);
  }

  removeDirectory(path: string): boolean {
    return this.#files.removeDirectory(path);
  }

  #made(): Files {
    const source = this.#source;
    const seconds = () => (source.now() / SEC).toFixed(2);
    const { ns } = source;
    const files: Files = new Map([
      ["/proc/uptime", () => `${seconds()} ${seconds()}\n`],
      ["/proc/loadavg", () => `0.00 0.00 0.00 1/${source.processes().length} ${source.pid()}\n`],
      [
        "/proc/version",
        () => `Linux version ${KERNEL_RELEASE} (debian-kernel@lists.debian.org) ${COMPILER} ${KERNEL_BUILD}\n`,
      ],
      ["/proc/net/dev", () => DEV_HEAD + ns.link.list().map(devLine).join("")],
      ["/proc/net/route", () => `${ROUTE_HEAD.padEnd(ROUTE_WIDTH)}\n${routeLines(ns)}`],
      ["/proc/net/arp", () => ARP_HEAD + arpLines(ns)],
      ["/proc/net/tcp", () => socketTable(ns, "tcp")],
      ["/proc/net/udp", () => socketTable(ns, "udp")],
      ["/proc/net/snmp", () => snmpText(ns.snmp())],
      ["/proc/net/sctp/snmp", () => sctpSnmpText(ns.snmp())],
    ]);
    for (const link of ns.link.list()) addDevice(files, link);
    for (const process of source.processes()) {
      addProcess(files, `/proc/${process.pid}`, process);
      if (process.pid === source.pid()) addProcess(files, "/proc/self", process);
    }
    return files;
  }
}

function sysctlName(path: string): string {
  return path.slice("/proc/sys/".length).replaceAll("/", ".");
}

function sysctlText(source: ProcSource, name: string): string | undefined {
  const kernel: Readonly<Record<string, string>> = {
    "kernel.hostname": source.hostname,
    "kernel.osrelease": KERNEL_RELEASE,
    "kernel.ostype": "Linux",
    "kernel.version": KERNEL_BUILD,
  };
  if (name in kernel) return `${kernel[name]}\n`;
  try {
    return `${source.ns.sysctlGet(name)}\n`;
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

// ------------------------------------------------------------------------------------------------ /proc/net

const DEV_HEAD =
  "Inter-|   Receive                                                |  Transmit\n" +
  " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";

function devLine({ name, stats }: LinkInfo): string {
  const cells: readonly (readonly [value: number, width: number])[] = [
    [stats.rxBytes, 7],
    [stats.rxPackets, 7],
    [stats.rxErrors, 4],
    [stats.rxDropped, 4],
    [0, 4],
    [0, 5],
    [0, 10],
    [0, 9],
    [stats.txBytes, 8],
    [stats.txPackets, 7],
    [stats.txErrors, 4],
    [stats.txDropped, 4],
    [0, 4],
    [0, 5],
    [0, 7],
    [0, 10],
  ];
  return `${name.padStart(6)}: ${cells.map(([value, width]) => String(value).padStart(width)).join(" ")}\n`;
}

function hex(value: number, digits: number): string {
  return (value >>> 0).toString(16).toUpperCase().padStart(digits, "0");
}

/** An address as a number of the network's order read by a little-endian machine. */
function addressHex(ip: Ipv4): string {
  return hex(((ip & 0xff) << 24) | ((ip & 0xff00) << 8) | ((ip >>> 8) & 0xff00) | (ip >>> 24), 8);
}

const ROUTE_HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
const ROUTE_WIDTH = 127;
const [RTF_UP, RTF_GATEWAY, RTF_HOST, RTF_REJECT] = [1, 2, 4, 0x200];

function routeLines(ns: NetNs): string {
  const names = new Map(ns.link.list().map(({ index, name }) => [index, name]));
  const line = (route: RouteInfo): string => {
    const { ip, prefix } = route.dst;
    let flags = RTF_UP;
    if (route.via !== undefined) flags |= RTF_GATEWAY;
    if (prefix === 32) flags |= RTF_HOST;
    if (route.type !== "unicast") flags |= RTF_REJECT;
    const mask = prefix === 0 ? 0 : (-1 << (32 - prefix)) >>> 0;
    const cells = [
      names.get(route.dev) ?? "*",
      addressHex(ip),
      addressHex(route.via ?? 0),
      hex(flags, 4),
      "0",
      "0",
      String(route.metric),
      addressHex(mask),
      "0",
      "0",
      "0",
    ];
    return `${cells.join("\t").padEnd(ROUTE_WIDTH)}\n`;
  };
  return ns.route.list("main").map(line).join("");
}

const ARP_HEAD = "IP address       HW type     Flags       HW address            Mask     Device\n";
const [ATF_COM, ATF_PERM] = [2, 4];

function arpLines(ns: NetNs): string {
  const names = new Map(ns.link.list().map(({ index, name }) => [index, name]));
  const entries = ns.neigh.list().filter(({ state }) => state !== "NOARP");
  const lines = entries.map(({ ip, mac, state, dev }) => {
    const known = mac !== undefined && state !== "FAILED" && state !== "INCOMPLETE";
    const flags = (known ? ATF_COM : 0) | (state === "PERMANENT" ? ATF_PERM : 0);
    const address = known ? formatMac(mac) : "00:00:00:00:00:00";
    return `${formatIpv4(ip).padEnd(16)} 0x${"1".padEnd(10)}0x${flags.toString(16).padEnd(10)}${address}     *        ${names.get(dev) ?? "*"}\n`;
  });
  return lines.join("");
}

/** Numbers of TCP's states (include/net/tcp_states.h). */
const STATES: Readonly<Record<string, number>> = {
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSED: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
};
const SOCKET_WIDTH = { tcp: 149, udp: 127 } as const;
const SOCKET_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

function socketTable(ns: NetNs, protocol: "tcp" | "udp"): string {
  const end = (ip: Ipv4, port: number) => `${addressHex(ip)}:${hex(port, 4)}`;
  const head = protocol === "tcp" ? SOCKET_HEAD : `${SOCKET_HEAD.replace("  sl ", "   sl")} ref pointer drops`;
  const line = (socket: SocketInfo, at: number): string => {
    const state = protocol === "udp" && socket.remotePort === 0 ? 7 : (STATES[socket.state] ?? 1);
    const cells = [
      `${String(at).padStart(protocol === "tcp" ? 4 : 5)}:`,
      end(socket.localIp, socket.localPort),
      end(socket.remoteIp, socket.remotePort),
      hex(state, 2),
      `${hex(socket.txQueue, 8)}:${hex(socket.rxQueue, 8)}`,
      "00:00000000",
      "00000000",
      "0".padStart(5),
      "0".padStart(8),
      "0",
    ];
    return `${cells.join(" ").padEnd(SOCKET_WIDTH[protocol])}\n`;
  };
  const sockets = ns.socket.list().filter((socket) => socket.protocol === protocol);
  return `${head.padEnd(SOCKET_WIDTH[protocol])}\n${sockets.map(line).join("")}`;
}

/** Two lines a group: the names, the values. */
function snmpText(counters: Readonly<Record<string, number>>): string {
  const groups = ["Ip", "Icmp", "Tcp", "Udp"];
  const others = ["IpExt", "TcpExt", "IcmpMsg", "UdpLite"];
  return groups
    .map((group) => {
      const rows = Object.entries(counters).filter(
        ([name]) => name.startsWith(group) && !others.some((other) => name.startsWith(other)),
      );
      const names = rows.map(([name]) => name.slice(group.length));
      return `${group}: ${names.join(" ")}\n${group}: ${rows.map(([, value]) => value).join(" ")}\n`;
    })
    .join("");
}

/** A line a counter (net/sctp/proc.c sctp_snmp_seq_show). */
function sctpSnmpText(counters: Readonly<Record<string, number>>): string {
  const rows = Object.entries(counters).filter(([name]) => name.startsWith("Sctp"));
  return rows.map(([name, value]) => `${name.padEnd(32)}\t${value}\n`).join("");
}

// ------------------------------------------------------------------------------------------------ /sys, processes

function addDevice(files: Files, link: LinkInfo): void {
  const folder = `/sys/class/net/${link.name}`;
  const put = (name: string, value: string | number) => files.set(`${folder}/${name}`, () => `${value}\n`);
  put("address", formatMac(link.mac));
  put("mtu", link.mtu);
  put("ifindex", link.index);
  put("operstate", link.kind === "loopback" ? "unknown" : link.carrier ? "up" : "down");
  put("carrier", link.carrier ? 1 : 0);
  const { stats } = link;
  for (const [name, value] of [
    ["rx_bytes", stats.rxBytes],
    ["rx_packets", stats.rxPackets],
    ["rx_errors", stats.rxErrors],
    ["rx_dropped", stats.rxDropped],
    ["tx_bytes", stats.txBytes],
    ["tx_packets", stats.txPackets],
    ["tx_errors", stats.txErrors],
    ["tx_dropped", stats.txDropped],
  ] as const)
    put(`statistics/${name}`, value);
}

/** TASK_COMM_LEN less the zero at its end. */
const MOST_COMM = 15;

function addProcess(files: Files, folder: string, process: ProcessEntry): void {
  const { argv, pid, ppid } = process;
  const comm = (argv[0] ?? "").replace(/^.*\//, "").slice(0, MOST_COMM);
  files.set(`${folder}/cmdline`, () => argv.map((word) => `${word}\0`).join(""));
  files.set(`${folder}/comm`, () => `${comm}\n`);
  files.set(
    `${folder}/status`,
    () =>
      `Name:\t${comm}\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t${pid}\nNgid:\t0\nPid:\t${pid}\nPPid:\t${ppid}\n` +
      "TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n",
  );
}
