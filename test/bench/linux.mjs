/**
 * Our roads against the same ones in the kernel that this runs on: network namespaces, veth, bridges, kernel VXLAN,
 * Docker's iptables rules and conntrack, the same datagrams (linux/road.c sends and takes them). CPU time a datagram.
 *
 * Needs root with CAP_NET_ADMIN, iproute2, a C compiler, and iptables for the last road; says what it misses. The
 * namespaces are its own, named after its process, and are deleted whatever happens. Kernels without ESP are common
 * where this runs, so encryption isn't compared.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { road, vethOnly } from "./benches.mjs";
import { CONTAINER_RULES, HOST_RULES } from "./kernel.mjs";
import { cpuNs, inTurn, ratio, summary } from "./measure.mjs";

const SOURCE = fileURLToPath(new URL("linux/road.c", import.meta.url));
const BUILD = fileURLToPath(new URL("../../build/", import.meta.url));
const SIZES = [64, 1024];
/** Datagrams a sample. */
const COUNT = 32_000;
const OWN_COUNT = 100_000;
/** A packet of ours is to cost at most this part of the kernel's CPU. */
const AIM = 1 / 4;
const PREFIX = `sw${process.pid}`;

function call(command, ...words) {
  return execFileSync(command, words, { stdio: ["ignore", "pipe", "pipe"] }).toString();
}

const ip = (text) => call("ip", ...text.split(" "));
const inside = (ns, script, input) =>
  execFileSync("ip", ["netns", "exec", ns, "sh", "-c", script], { input: input ?? "", stdio: "pipe" }).toString();

/** Namespaces of one road, to delete. */
const made = [];

function netns(name) {
  ip(`netns add ${name}`);
  made.push(name);
  ip(`-n ${name} link set lo up`);
  return name;
}

function cleanUp() {
  for (const name of made.splice(0)) {
    try {
      ip(`netns del ${name}`);
    } catch {
      console.error(`network namespace ${name} is left over: ip netns del ${name}`);
    }
  }
}

const mac = (prefix, last) => `${prefix}:${last.toString(16).padStart(2, "0")}`;

/** iptables-save's text as iptables-restore wants it: each table committed. */
function restore(ns, text) {
  const committed = text.trim().replace(/\n\*/g, "\nCOMMIT\n*");
  inside(ns, "iptables-restore", `${committed}\nCOMMIT\n`);
}

/** Two namespaces on a veth pair. */
function vethRoad(tag) {
  const [a, b] = ["a", "b"].map((end) => netns(`${PREFIX}-${tag}-${end}`));
  ip(`link add eth0 netns ${a} type veth peer name eth0 netns ${b}`);
  for (const [ns, last] of [
    [a, 2],
    [b, 4],
  ]) {
    ip(`-n ${ns} addr add 10.0.1.${last}/24 dev eth0`);
    ip(`-n ${ns} link set eth0 up`);
  }
  return { from: a, to: b, wire: [b, "eth0"] };
}

/** A host of overlayHosts() (kernel.mjs), device by device. */
function host(tag, index, rules) {
  const last = 2 + 2 * index;
  const far = 4 - 2 * index;
  const [root, overlay, container] = ["h", "o", "c"].map((kind) => netns(`${PREFIX}-${tag}-${kind}${index}`));
  if (rules) inside(root, "echo 1 > /proc/sys/net/ipv4/ip_forward");
  // Bridges pass what they forward through iptables only where bridge-nf is compiled in or loaded.
  const flag = "/proc/sys/net/bridge/bridge-nf-call-iptables";
  inside(overlay, `if [ -e ${flag} ]; then echo ${rules ? 1 : 0} > ${flag}; fi`);
  ip(`-n ${root} link add vxlan0 type vxlan id 4097 dstport 4789 proxy l2miss l3miss udpcsum`);
  ip(`-n ${root} link set vxlan0 netns ${overlay}`);
  ip(`-n ${overlay} link set vxlan0 mtu 1450 address ${mac("02:aa:00:00:00", 1 + index)}`);
  ip(`-n ${overlay} link add br0 type bridge`);
  ip(`link add veth0 netns ${overlay} mtu 1450 type veth peer name eth0 netns ${container} mtu 1450`);
  ip(`-n ${container} link set eth0 mtu 1450 address ${mac("02:42:0a:00:01", last)}`);
  for (const dev of ["vxlan0", "veth0"]) ip(`-n ${overlay} link set ${dev} master br0 up`);
  ip(`-n ${overlay} addr add 10.0.1.1/24 dev br0`);
  ip(`-n ${overlay} link set br0 up`);
  ip(`-n ${container} addr add 10.0.1.${last}/24 dev eth0`);
  ip(`-n ${container} link set eth0 up`);
  ip(`-n ${overlay} neigh add 10.0.1.${far} lladdr ${mac("02:42:0a:00:01", far)} dev vxlan0 nud permanent`);
  call(
    ...`bridge -n ${overlay} fdb add ${mac("02:42:0a:00:01", far)} dev vxlan0 dst 192.168.77.${12 - index} self permanent`.split(
      " ",
    ),
  );
  ip(`-n ${root} link add docker_gwbridge type bridge`);
  ip(`link add vethgw netns ${root} type veth peer name eth1 netns ${container}`);
  ip(`-n ${root} link set vethgw master docker_gwbridge up`);
  ip(`-n ${root} addr add 172.18.0.1/16 dev docker_gwbridge`);
  ip(`-n ${root} link set docker_gwbridge up`);
  ip(`-n ${container} addr add 172.18.0.2/16 dev eth1`);
  ip(`-n ${container} link set eth1 up`);
  ip(`-n ${container} route add default via 172.18.0.1`);
  if (rules) {
    restore(root, HOST_RULES);
    restore(container, CONTAINER_RULES);
  }
  return { root, overlay, container };
}

/** The road of overlayHosts(): container, bridge, VXLAN, wire (a veth pair), and back up. */
function vxlanRoad(tag, rules) {
  const [a, b] = [0, 1].map((index) => host(tag, index, rules));
  ip(`link add eth0 netns ${a.root} type veth peer name eth0 netns ${b.root}`);
  for (const [index, { root }] of [a, b].entries()) {
    ip(`-n ${root} addr add 192.168.77.${11 + index}/24 dev eth0`);
    ip(`-n ${root} link set eth0 up`);
  }
  return { from: a.container, to: b.container, wire: [b.overlay, "vxlan0"], tracked: rules ? b.root : undefined };
}

/** Packets that a device has received. */
function arrived([ns, dev]) {
  return JSON.parse(ip(`-n ${ns} -s -j link show ${dev}`))[0].stats64.rx.packets;
}

/** Where the kernel's time is per datagram, a sample of each at once. */
function linuxVariant(name, program, way, size) {
  const parts = [];
  return {
    name,
    parts,
    sample() {
      const before = arrived(way.wire);
      const cpu = String(os.cpus().length - 1);
      const words = [way.from, "10.0.1.2", way.to, "10.0.1.4", String(size), String(COUNT), cpu];
      const got = JSON.parse(call(program, ...words));
      if (got.received !== got.sent || got.bytes !== got.received * size)
        throw new Error(`${name}: ${got.received} of ${got.sent} datagrams arrived, ${got.bytes} bytes`);
      // By the device that the road is named after, and seen by conntrack where there are rules.
      if (arrived(way.wire) - before < got.sent) throw new Error(`${name}: not by ${way.wire[1]}`);
      if (way.tracked !== undefined && trackedIn(way.tracked) === 0) throw new Error(`${name}: nothing was tracked`);
      parts.push({ road: (got.sendNs + got.ksoftirqdNs) / got.sent, all: allOf(got) });
      return allOf(got);
    },
  };
}

const allOf = (got) => (got.sendNs + got.recvNs + got.ksoftirqdNs) / got.sent;

function trackedIn(ns) {
  return Number(inside(ns, "cat /proc/sys/net/netfilter/nf_conntrack_count"));
}

function ownVariant(name, variant) {
  variant.run(OWN_COUNT);
  return {
    name,
    check: variant.check,
    sample() {
      const start = cpuNs();
      variant.run(OWN_COUNT);
      return (cpuNs() - start) / OWN_COUNT;
    },
  };
}

/** Why the bench can't run here, or undefined. */
function obstacle() {
  if (os.platform() !== "linux") return "this isn't Linux";
  if (process.getuid() !== 0) return "it needs root with CAP_NET_ADMIN";
  try {
    netns(`${PREFIX}-try`);
    ip(`-n ${PREFIX}-try link add vxlan0 type vxlan id 1 dstport 4789`);
    ip(`-n ${PREFIX}-try link add veth0 type veth peer name veth1`);
    ip(`-n ${PREFIX}-try link add br0 type bridge`);
    return undefined;
  } catch (error) {
    return String(error.stderr || error.message)
      .trim()
      .split("\n")[0];
  } finally {
    cleanUp();
  }
}

function compile() {
  const file = `${BUILD}linux-road`;
  if (existsSync(file) && statSync(file).mtimeMs >= statSync(SOURCE).mtimeMs) return file;
  mkdirSync(BUILD, { recursive: true });
  call("cc", "-O2", SOURCE, "-o", file);
  return file;
}

function iptablesVersion() {
  try {
    return call("iptables", "--version").trim();
  } catch {
    return undefined;
  }
}

/** The roads: [what it is, the kernel's, ours]. */
function roads(program, size, tag, withRules) {
  const list = [
    ["two namespaces, veth", vethRoad(`${tag}v`), vethOnly("veth", false, size)],
    [
      "container to container, VXLAN, no rules",
      vxlanRoad(`${tag}x`, false),
      road("VXLAN", size, { rules: false, bridgeNf: false }),
    ],
  ];
  if (withRules)
    list.push([
      "container to container, VXLAN, Docker's rules, conntrack, bridge-nf",
      vxlanRoad(`${tag}r`, true),
      road("VXLAN, rules", size),
    ]);
  return list.flatMap(([name, way, own]) => [
    linuxVariant(`Linux, ${name}`, program, way, size),
    ownVariant(`swarmwire, ${name}`, own),
  ]);
}

function rows(size, results) {
  const wide = Math.max(...results.map(({ name }) => name.length));
  const lines = [`${size} bytes:`];
  for (const [i, { name, ns, least, most, parts }] of results.entries()) {
    const cost = `${ns.toFixed(0).padStart(6)} ns a packet (${least.toFixed(0)} … ${most.toFixed(0)})`;
    if (parts !== undefined) {
      const { ns: alone } = summary(parts.map(({ road: part }) => part));
      lines.push(`  ${name.padEnd(wide)} ${cost}, ${alone.toFixed(0)} of it up to the receiver's queue`);
      continue;
    }
    const theirs = results[i - 1];
    const queued = summary(theirs.parts.map(({ road: part }) => part));
    const share = `${((100 * ns) / theirs.ns).toFixed(0)} % of the kernel's CPU: ${ratio(theirs, results[i])}`;
    const aim = `aim 25 %: ${ns / theirs.ns <= AIM ? "reached" : "missed"}`;
    lines.push(
      `  ${name.padEnd(wide)} ${cost}, ${share}, ${aim}; without taking them out ${ratio(queued, results[i])}`,
    );
  }
  return lines;
}

/** Measures and prints; returns the results by size. */
export function linuxBench(rounds, json) {
  const why = obstacle();
  if (why !== undefined) {
    if (!json) console.log(`\nAgainst the Linux kernel: skipped, ${why}`);
    return { skipped: why };
  }
  const iptables = iptablesVersion();
  if (!json) {
    const virtual = readFileSync("/proc/cpuinfo", "utf8").includes("hypervisor") ? ", in a virtual machine" : "";
    console.log(
      `\nAgainst the kernel: Linux ${os.release()}${virtual}, ${iptables ?? "no iptables: without its road"}`,
    );
    console.log("  UDP, sendmmsg and recvmmsg of 64, system calls and copies included, which ours doesn't have: its");
    console.log("  generator and sink are in its kernel; CPU of the process and of ksoftirqd");
  }
  const all = {};
  // A signal would leave the namespaces: an exception passes by `finally`.
  const stop = () => {
    cleanUp();
    process.exit(130);
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    const program = compile();
    for (const size of SIZES) {
      const variants = roads(program, size, size, iptables !== undefined);
      const samples = inTurn(variants, rounds);
      for (const variant of variants) variant.check?.();
      const results = variants.map(({ name, parts }, i) => ({ name, parts, ...summary(samples[i]) }));
      all[size] = results;
      if (!json) for (const line of rows(size, results)) console.log(`  ${line}`);
      cleanUp();
    }
  } finally {
    cleanUp();
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
  return all;
}
