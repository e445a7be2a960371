/** Which tools there are: those of a Debian 12 host (iproute2, iputils, BIND, curl …) and those of busybox. */
import type { Program } from "../../engine/program.ts";
import { BASIC_TOOLS } from "./basic.ts";
import { bridge } from "./bridge.ts";
import { conntrack } from "./conntrack.ts";
import { curl } from "./curl.ts";
import { dig } from "./dig.ts";
import { httpd } from "./httpd.ts";
import { ipProgram } from "./ip.ts";
import { iptables, iptablesSave } from "./iptables.ts";
import { busyboxArp, ifconfig, netstat, netToolsArp, route } from "./net-state.ts";
import { nc } from "./netcat.ts";
import { nslookup } from "./nslookup.ts";
import { busyboxPing } from "./ping-busybox.ts";
import { iputilsPing } from "./ping-iputils.ts";
import { ss } from "./ss.ts";
import { busyboxSysctl, procpsSysctl } from "./sysctl.ts";
import { TEXT_TOOLS } from "./text.ts";
import { traceroute } from "./traceroute.ts";
import { wget } from "./wget.ts";

/** Tools that are the same on hosts and in containers. */
const COMMON: readonly (readonly [string, Program])[] = [
  ...BASIC_TOOLS,
  ...TEXT_TOOLS,
  ["curl", curl],
  ["dig", dig],
  ["httpd", httpd],
  ["ifconfig", ifconfig],
  ["iptables", iptables],
  ["iptables-save", iptablesSave],
  ["nc", nc],
  ["netstat", netstat],
  ["nslookup", nslookup],
  ["route", route],
  ["traceroute", traceroute],
  ["wget", wget],
];

/** Tools of a host, by name. */
export const hostTools: ReadonlyMap<string, Program> = new Map<string, Program>([
  ...COMMON,
  ["arp", netToolsArp],
  ["bridge", bridge],
  ["conntrack", conntrack],
  ["ip", ipProgram("iproute2")],
  ["ping", iputilsPing],
  ["ss", ss],
  ["sysctl", procpsSysctl],
]);

/** Applets of busybox, by name. */
export const busyboxTools: ReadonlyMap<string, Program> = new Map<string, Program>([
  ...COMMON,
  ["arp", busyboxArp],
  ["ip", ipProgram("busybox")],
  ["ping", busyboxPing],
  ["sysctl", busyboxSysctl],
]);
