/** Which tools there are: those of a Debian 12 host (iproute2, iputils, BIND, curl …) and those of busybox. */
import type { Program } from "../../engine/program.ts";
import { BASIC_TOOLS, busyboxHostname, debianHostname } from "./basic.ts";
import { brctl } from "./brctl.ts";
import { bridge } from "./bridge.ts";
import { conntrack } from "./conntrack.ts";
import { curl } from "./curl.ts";
import { dig } from "./dig.ts";
import { DIGEST_TOOLS } from "./digests.ts";
import { EVERYDAY_TOOLS } from "./everyday.ts";
import { expr } from "./expr.ts";
import { FILE_TOOLS } from "./files.ts";
import { FILTER_TOOLS } from "./filters.ts";
import { getent } from "./getent.ts";
import { httpd } from "./httpd.ts";
import { ipProgram } from "./ip.ts";
import { iptables, iptablesSave } from "./iptables.ts";
import { ipvsadm } from "./ipvsadm.ts";
import { ab } from "./load/ab.ts";
import { hey } from "./load/hey.ts";
import { ncat } from "./ncat.ts";
import { busyboxArp, ifconfig, netstat, netToolsArp, route } from "./net-state.ts";
import { nc } from "./netcat.ts";
import { nslookup } from "./nslookup.ts";
import { nstat } from "./nstat.ts";
import { busyboxPing } from "./ping-busybox.ts";
import { iputilsPing } from "./ping-iputils.ts";
import { BUSYBOX_PROCESS_TOOLS, HOST_PROCESS_TOOLS } from "./processes.ts";
import { sed } from "./sed.ts";
import { socat } from "./socat.ts";
import { ss } from "./ss.ts";
import { sudo } from "./sudo.ts";
import { busyboxSysctl, procpsSysctl } from "./sysctl.ts";
import { tcpdump } from "./tcpdump/tcpdump.ts";
import { TEXT_TOOLS } from "./text.ts";
import { traceroute } from "./traceroute.ts";
import { wget } from "./wget.ts";

/** Tools that are the same on hosts and in containers. */
const COMMON: readonly (readonly [string, Program])[] = [
  ...BASIC_TOOLS,
  ...DIGEST_TOOLS,
  ...EVERYDAY_TOOLS,
  ...FILE_TOOLS,
  ...FILTER_TOOLS,
  ...TEXT_TOOLS,
  ["ab", ab],
  ["brctl", brctl],
  ["curl", curl],
  ["dig", dig],
  ["expr", expr],
  ["getent", getent],
  ["hey", hey],
  ["httpd", httpd],
  ["ifconfig", ifconfig],
  ["iptables", iptables],
  ["iptables-save", iptablesSave],
  ["nc", nc],
  ["netstat", netstat],
  ["nslookup", nslookup],
  ["route", route],
  ["sed", sed],
  ["socat", socat],
  ["tcpdump", tcpdump],
  ["traceroute", traceroute],
  ["wget", wget],
];

/** Tools of a host, by name. */
export const hostTools: ReadonlyMap<string, Program> = new Map<string, Program>([
  ...COMMON,
  ...HOST_PROCESS_TOOLS,
  ["arp", netToolsArp],
  ["bridge", bridge],
  ["conntrack", conntrack],
  ["hostname", debianHostname],
  ["ip", ipProgram("iproute2")],
  ["ipvsadm", ipvsadm],
  ["ncat", ncat],
  ["nstat", nstat],
  ["ping", iputilsPing],
  ["ss", ss],
  ["sudo", sudo],
  ["sysctl", procpsSysctl],
]);

/** Applets of busybox, by name. */
export const busyboxTools: ReadonlyMap<string, Program> = new Map<string, Program>([
  ...COMMON,
  ...BUSYBOX_PROCESS_TOOLS,
  ["arp", busyboxArp],
  ["hostname", busyboxHostname],
  ["ip", ipProgram("busybox")],
  ["ping", busyboxPing],
  ["sysctl", busyboxSysctl],
]);
