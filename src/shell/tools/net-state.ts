/** The older views of a namespace: arp, ifconfig, route, netstat (busybox 1.35; arp of net-tools on hosts). */
import { formatIpv4, formatMac, maskOf } from "../../base/addr.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { SocketInfo } from "../../kernel/socket-types.ts";
import type { LinkInfo, NeighInfo, RouteInfo } from "../../kernel/types.ts";
import { getopt } from "../lib/options.ts";
import { die, quick } from "../lib/program.ts";
import { deviceName } from "./link-text.ts";

function neighbours(context: ProgramContext, dev: string | undefined): NeighInfo[] {
  const { ns } = context;
  return ns.neigh.list().filter((entry) => {
    if (entry.state === "NONE" || entry.state === "NOARP") return false;
    return dev === undefined || deviceName(ns, entry.dev) === dev;
  });
}

function known(entry: NeighInfo): boolean {
  return entry.mac !== undefined && entry.state !== "FAILED" && entry.state !== "INCOMPLETE";
}

/** busybox: `? (10.0.1.4) at 02:42:0a:00:01:04 [ether]  on eth0`. */
export const busyboxArp: Program = quick((context) => {
  const options = getopt(context.argv, "anvi:H:A:");
  for (const entry of neighbours(context, options.text("i"))) {
    const at = known(entry) && entry.mac !== undefined ? `${formatMac(entry.mac)} [ether]` : "<incomplete>";
    const permanent = entry.state === "PERMANENT" ? " PERM" : "";
    context.stdout.write(`? (${formatIpv4(entry.ip)}) at ${at}${permanent}  on ${deviceName(context.ns, entry.dev)}\n`);
  }
  return 0;
});

/** net-tools: a table. */
export const netToolsArp: Program = quick((context) => {
  const options = getopt(context.argv, "anevi:H:A:");
  const entries = neighbours(context, options.text("i"));
  if (entries.length === 0) return 0;
  context.stdout.write("Address                  HWtype  HWaddress           Flags Mask            Iface\n");
  for (const entry of entries) {
    const dev = deviceName(context.ns, entry.dev);
    const head = `${formatIpv4(entry.ip).padEnd(23)}  `;
    if (known(entry) && entry.mac !== undefined) {
      const flags = entry.state === "PERMANENT" ? "CM" : "C";
      context.stdout.write(
        `${head}${"ether".padEnd(8)}${formatMac(entry.mac).padEnd(20)}${flags.padEnd(6)}${"".padEnd(15)} ${dev}\n`,
      );
    } else
      context.stdout.write(
        `${head}${"".padEnd(8)}${"(incomplete)".padEnd(20)}${"".padEnd(6)}${"".padEnd(15)} ${dev}\n`,
      );
  }
  return 0;
});

/** `(1.4 KiB)` as ifconfig scales bytes. */
function scaled(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024 || unit === "GiB") return `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value} B`;
}

function interfaceText(context: ProgramContext, link: LinkInfo): string {
  const { stats } = link;
  const loop = link.kind === "loopback";
  const mac = loop ? "" : `  HWaddr ${formatMac(link.mac).toUpperCase()}`;
  const lines = [`${link.name.padEnd(9)} Link encap:${loop ? "Local Loopback" : "Ethernet"}${mac}  `];
  const address = context.ns.addr.list(link.index)[0];
  if (address !== undefined) {
    const broadcast = address.broadcast === undefined ? "" : `  Bcast:${formatIpv4(address.broadcast)}`;
    lines.push(`inet addr:${formatIpv4(address.addr.ip)}${broadcast}  Mask:${formatIpv4(maskOf(address.addr.prefix))}`);
  }
  const flags = [
    link.up ? "UP" : "",
    loop ? "LOOPBACK" : "BROADCAST",
    link.carrier ? "RUNNING" : "",
    link.promisc ? "PROMISC" : "",
    loop ? "" : "MULTICAST",
  ];
  const queue = loop || link.kind === "nic" ? 1000 : 0;
  lines.push(
    `${flags.filter((flag) => flag !== "").join(" ")}  MTU:${link.mtu}  Metric:1`,
    `RX packets:${stats.rxPackets} errors:${stats.rxErrors} dropped:${stats.rxDropped} overruns:0 frame:0`,
    `TX packets:${stats.txPackets} errors:${stats.txErrors} dropped:${stats.txDropped} overruns:0 carrier:0`,
    `collisions:0 txqueuelen:${queue} `,
    `RX bytes:${stats.rxBytes} (${scaled(stats.rxBytes)})  TX bytes:${stats.txBytes} (${scaled(stats.txBytes)})`,
  );
  return `${lines.join("\n          ")}\n\n`;
}

/** ifconfig(8). */
export const ifconfig: Program = quick((context) => {
  const options = getopt(context.argv, "as");
  const [name, ...change] = options.args;
  const { ns, stdout } = context;
  if (name === undefined) {
    const all = ns.link.list().filter((link) => options.has("a") || link.up);
    // ifconfig sorts by name with lo last among its kind; busybox prints in the order of names.
    for (const link of all.sort((a, b) => (a.name < b.name ? -1 : 1))) stdout.write(interfaceText(context, link));
    return 0;
  }
  const link = ns.link.list().find((candidate) => candidate.name === name);
  if (link === undefined) die(`${name}: error fetching interface information: Device not found`);
  if (change.length === 0) stdout.write(interfaceText(context, link));
  else if (change[0] === "up" || change[0] === "down") ns.link.set(link.index, { up: change[0] === "up" });
  else if (change[0] === "mtu") ns.link.set(link.index, { mtu: Number(change[1]) });
  else die(`bad argument '${change[0]}'`);
  return 0;
});

function routeFlags(route: RouteInfo): string {
  const host = route.dst.prefix === 32 ? "H" : "";
  if (route.type === "unreachable" || route.type === "prohibit" || route.type === "blackhole") return "!";
  return `U${route.via === undefined ? "" : "G"}${host}`;
}

/** The kernel's routing table as route(8) and `netstat -r` print it. */
function routes(context: ProgramContext, netstat: boolean): string {
  const columns = netstat ? "Flags   MSS Window  irtt Iface" : "Flags Metric Ref    Use Iface";
  let out = `Kernel IP routing table\nDestination     Gateway         Genmask         ${columns}\n`;
  for (const route of context.ns.route.list("main")) {
    const gateway = formatIpv4(route.via ?? 0);
    const head = `${formatIpv4(route.dst.ip).padEnd(15)} ${gateway.padEnd(15)} ${formatIpv4(maskOf(route.dst.prefix)).padEnd(16)}`;
    const dev = route.dev === 0 ? "*" : deviceName(context.ns, route.dev);
    const flags = routeFlags(route).padEnd(6);
    out += netstat
      ? `${head}${flags}${"0".padStart(5)} ${"0".padEnd(5)} ${"0".padStart(6)} ${dev}\n`
      : `${head}${flags}${String(route.metric).padEnd(6)} ${"0".padEnd(2)} ${"0".padStart(7)} ${dev}\n`;
  }
  return out;
}

/** route(8). */
export const route: Program = quick((context) => {
  const options = getopt(context.argv, "ne");
  if (options.args.length > 0) die("SIOCADDRT: Operation not permitted");
  context.stdout.write(routes(context, options.has("e")));
  return 0;
});

function socketLine(socket: SocketInfo, programs: boolean): string {
  const local = `${formatIpv4(socket.localIp)}:${socket.localPort === 0 ? "*" : socket.localPort}`;
  const peer = `${formatIpv4(socket.remoteIp)}:${socket.remotePort === 0 ? "*" : socket.remotePort}`;
  const state = socket.protocol === "tcp" ? socket.state : socket.remotePort === 0 ? "" : "ESTABLISHED";
  // What ss shows for a listener is the longest its queue may be; /proc/net/tcp has nothing there.
  const txQueue = socket.state === "LISTEN" ? 0 : socket.txQueue;
  const queues = `${String(socket.rxQueue).padStart(6)} ${String(txQueue).padStart(6)}`;
  const owner = programs ? (socket.owner === "" ? "-" : socket.owner).padEnd(20) : "";
  return `${socket.protocol}   ${queues} ${local.padEnd(23)} ${peer.padEnd(23)} ${state.padEnd(12)}${owner}\n`;
}

/** netstat(8). */
export const netstat: Program = quick((context) => {
  const options = getopt(context.argv, "laentuwxrWpi");
  if (options.has("r")) {
    context.stdout.write(routes(context, true));
    return 0;
  }
  const wanted = options.has("t") || options.has("u") || options.has("w");
  const what = options.has("l") ? "only servers" : options.has("a") ? "servers and established" : "w/o servers";
  const programs = options.has("p");
  context.stdout.write(`Active Internet connections (${what})\n`);
  context.stdout.write(
    `Proto Recv-Q Send-Q Local Address           Foreign Address         State       ${programs ? "PID/Program name    " : ""}\n`,
  );
  for (const protocol of ["tcp", "udp", "raw"] as const) {
    if (wanted && !options.has(protocol === "raw" ? "w" : (protocol[0] as string))) continue;
    for (const socket of context.ns.socket.list()) {
      const listening = socket.state === "LISTEN" || (socket.protocol !== "tcp" && socket.remotePort === 0);
      const shown = options.has("a") || options.has("l") === listening;
      if (socket.protocol === protocol && shown) context.stdout.write(socketLine(socket, programs));
    }
  }
  return 0;
});
