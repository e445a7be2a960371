/** sysctl(8): procps on hosts; busybox in containers, where /proc/sys is mounted read-only. */
import { KernelError } from "../../base/errors.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { NetNs } from "../../kernel/types.ts";
import { getopt } from "../lib/options.ts";
import { quick } from "../lib/program.ts";

/** Names that `-a` looks for, in the kernel's order; those the kernel doesn't have are left out. */
const NAMES: readonly string[] = [
  "net.bridge.bridge-nf-call-iptables",
  "net.ipv4.icmp_echo_ignore_all",
  "net.ipv4.icmp_echo_ignore_broadcasts",
  "net.ipv4.icmp_ratelimit",
  "net.ipv4.icmp_ratemask",
  "net.ipv4.ip_default_ttl",
  "net.ipv4.ip_forward",
  "net.ipv4.ip_forward_use_pmtu",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_no_pmtu_disc",
  "net.ipv4.ip_nonlocal_bind",
  "net.ipv4.ipfrag_high_thresh",
  "net.ipv4.ipfrag_time",
  "net.ipv4.neigh.default.gc_thresh1",
  "net.ipv4.neigh.default.gc_thresh2",
  "net.ipv4.neigh.default.gc_thresh3",
  "net.ipv4.vs.am_droprate",
  "net.ipv4.vs.amemthresh",
  "net.ipv4.vs.backup_only",
  "net.ipv4.vs.cache_bypass",
  "net.ipv4.vs.conn_reuse_mode",
  "net.ipv4.vs.conntrack",
  "net.ipv4.vs.drop_entry",
  "net.ipv4.vs.drop_packet",
  "net.ipv4.vs.expire_nodest_conn",
  "net.ipv4.vs.expire_quiescent_template",
  "net.ipv4.vs.ignore_tunneled",
  "net.ipv4.vs.nat_icmp_send",
  "net.ipv4.vs.pmtu_disc",
  "net.ipv4.vs.run_estimation",
  "net.ipv4.vs.schedule_icmp",
  "net.ipv4.vs.secure_tcp",
  "net.ipv4.vs.sloppy_sctp",
  "net.ipv4.vs.sloppy_tcp",
  "net.ipv4.vs.snat_reroute",
  "net.ipv4.vs.sync_persist_mode",
  "net.ipv4.vs.sync_ports",
  "net.ipv4.vs.sync_qlen_max",
  "net.ipv4.vs.sync_refresh_period",
  "net.ipv4.vs.sync_retries",
  "net.ipv4.vs.sync_sock_size",
  "net.ipv4.vs.sync_threshold",
  "net.ipv4.vs.sync_version",
  "net.netfilter.nf_conntrack_count",
  "net.netfilter.nf_conntrack_generic_timeout",
  "net.netfilter.nf_conntrack_icmp_timeout",
  "net.netfilter.nf_conntrack_max",
  "net.netfilter.nf_conntrack_tcp_be_liberal",
  "net.netfilter.nf_conntrack_tcp_loose",
  "net.netfilter.nf_conntrack_tcp_timeout_close",
  "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
  "net.netfilter.nf_conntrack_tcp_timeout_established",
  "net.netfilter.nf_conntrack_tcp_timeout_fin_wait",
  "net.netfilter.nf_conntrack_tcp_timeout_last_ack",
  "net.netfilter.nf_conntrack_tcp_timeout_syn_recv",
  "net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
  "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
  "net.netfilter.nf_conntrack_udp_timeout",
  "net.netfilter.nf_conntrack_udp_timeout_stream",
];
const PER_DEVICE: readonly string[] = [
  "accept_local",
  "arp_accept",
  "arp_announce",
  "arp_filter",
  "arp_ignore",
  "arp_notify",
  "forwarding",
  "proxy_arp",
  "rp_filter",
  "send_redirects",
];
/** Those that hold two numbers. */
const PAIRS: readonly string[] = ["net.ipv4.ip_local_port_range", "net.ipv4.vs.sync_threshold"];

function allNames(ns: NetNs): string[] {
  const devices = [
    "all",
    "default",
    ...ns.link
      .list()
      .map((link) => link.name)
      .sort(),
  ];
  const conf = devices.flatMap((device) => PER_DEVICE.map((name) => `net.ipv4.conf.${device}.${name}`));
  return [...NAMES, ...conf].sort();
}

/** A value as text; undefined for a name that there isn't. */
function read(ns: NetNs, name: string): string | undefined {
  try {
    if (PAIRS.includes(name)) return `${ns.sysctlGet(`${name}.min`)}\t${ns.sysctlGet(`${name}.max`)}`;
    return String(ns.sysctlGet(name));
  } catch (error) {
    if (error instanceof KernelError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function write(ns: NetNs, name: string, text: string): void {
  const numbers = text.trim().split(/\s+/).map(Number);
  if (numbers.some((value) => !Number.isInteger(value))) throw new KernelError("EINVAL", name);
  if (PAIRS.includes(name)) {
    ns.sysctlSet(`${name}.min`, numbers[0] as number);
    ns.sysctlSet(`${name}.max`, numbers[1] ?? (numbers[0] as number));
  } else ns.sysctlSet(name, numbers[0] as number);
}

function main(context: ProgramContext, style: "procps" | "busybox"): number {
  const options = getopt(context.argv, "aenNqwr:", {
    all: "a",
    values: "n",
    names: "N",
    write: "w",
    pattern: "r",
    ignore: "e",
  });
  const { ns, stdout, stderr } = context;
  const print = (name: string, value: string): void => {
    stdout.write(options.has("N") ? `${name}\n` : options.has("n") ? `${value}\n` : `${name} = ${value}\n`);
  };
  if (options.has("a") || options.has("r")) {
    const pattern = new RegExp(options.text("r") ?? "");
    for (const name of allNames(ns)) {
      const value = pattern.test(name) ? read(ns, name) : undefined;
      if (value !== undefined) print(name, value);
    }
    return 0;
  }
  let status = 0;
  const fail = (message: string): void => {
    if (!options.has("e")) stderr.write(`sysctl: ${message}\n`);
    status = 1;
  };
  for (const word of options.args) {
    const [asked = "", value] = word.split(/=(.*)/s);
    const name = asked.trim().replaceAll("/", ".");
    const path = `/proc/sys/${name.replaceAll(".", "/")}`;
    const present = read(ns, name);
    if (present === undefined) {
      fail(
        style === "procps" ? `cannot stat ${path}: No such file or directory` : `error: '${name}' is an unknown key`,
      );
    } else if (value === undefined) print(name, present);
    else if (style === "busybox") fail(`error setting key '${name}': Read-only file system`);
    else {
      try {
        write(ns, name, value);
        if (!options.has("q")) print(name, read(ns, name) ?? value);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        fail(`setting key "${name}": Invalid argument`);
      }
    }
  }
  return status;
}

/** procps's sysctl(8). */
export const procpsSysctl: Program = quick((context) => main(context, "procps"));

/** busybox's sysctl. */
export const busyboxSysctl: Program = quick((context) => main(context, "busybox"));
