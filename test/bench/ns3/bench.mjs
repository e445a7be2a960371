/**
 * The star of star.mjs against ns-3 (star.cc, compiled here with -O3): CPU time a datagram and a packet-hop.
 *
 * ns-3 is Debian's (ns3, libns3-dev: a release build), and beside it the one that NS3_PREFIX names, a folder with include/
 * and lib/, such as an optimised build. Where there is neither, the bench says so and does nothing. Such a build, from
 * Debian's source package (apt-get source ns3), in its folder ns-3.37:
 *
 *   cmake -G Ninja -S . -B out -DCMAKE_BUILD_TYPE=release -DNS3_NATIVE_OPTIMIZATIONS=ON -DNS3_ASSERT=OFF -DNS3_LOG=OFF \
 *     -DNS3_ENABLED_MODULES="core;network;internet;bridge;csma;point-to-point" -DNS3_OUTPUT_DIRECTORY=PREFIX
 *   ninja -C out
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { inTurn, ratio, summary } from "../measure.mjs";
import { starVariant } from "../star.mjs";

const SOURCE = fileURLToPath(new URL("star.cc", import.meta.url));
const BUILD = fileURLToPath(new URL("../../../build/", import.meta.url));
const MODULES = ["core", "network", "internet", "bridge", "csma", "point-to-point", "traffic-control"];
const HOSTS = 16;
const SIZES = [64, 1024];
/** ns between two datagrams of a host. */
const INTERVAL = 100_000;
const AIM = 8;
const COUNT = { ns3: 16_000, plain: 160_000, vxlan: 80_000, esp: 32_000 };

/** Where a library is, with what ns-3 puts around its modules' names: [folder, "3.37-", "-optimized"]. */
function libraries(folders) {
  for (const folder of folders.filter((each) => existsSync(each))) {
    for (const name of readdirSync(folder)) {
      const found = name.match(/^libns3(.*)-core(-\w+)?\.so$/);
      if (found !== null) return [folder, `${found[1]}-`, found[2] ?? ""];
    }
  }
  return undefined;
}

function candidates() {
  const list = [
    {
      name: "Debian's",
      include: "/usr/include",
      folders: ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"],
    },
  ];
  const prefix = process.env.NS3_PREFIX;
  if (prefix !== undefined)
    list.push({ name: "NS3_PREFIX", include: `${prefix}/include`, folders: [`${prefix}/lib`, `${prefix}/lib64`] });
  return list;
}

/** The compiled programs: [{ name, file }], or why there is none. */
function compileAll() {
  const made = [];
  for (const { name, include, folders } of candidates()) {
    const found = libraries(folders);
    if (!existsSync(`${include}/ns3/core-module.h`) || found === undefined) continue;
    const [folder, before, after] = found;
    const file = `${BUILD}ns3-star-${name.replace(/\W/g, "").toLowerCase()}`;
    const newest = Math.max(...[SOURCE, `${folder}/libns3${before}core${after}.so`].map((at) => statSync(at).mtimeMs));
    if (!existsSync(file) || statSync(file).mtimeMs < newest) {
      mkdirSync(BUILD, { recursive: true });
      const link = MODULES.map((module) => `-lns3${before}${module}${after}`);
      const flags = ["-O3", "-march=native", "-DNDEBUG", "-std=c++17", `-I${include}`, SOURCE, "-o", file];
      try {
        execFileSync("g++", [...flags, `-L${folder}`, `-Wl,-rpath,${folder}`, ...link], { stdio: "pipe" });
      } catch (error) {
        return `star.cc does not compile with ${name} ns-3: ${String(error.stderr || error.message).split("\n")[0]}`;
      }
    }
    made.push({ name: after === "-optimized" ? "own optimised build" : `${name} build`, file });
  }
  return made.length === 0 ? "ns-3 is not installed (apt-get install ns3 libns3-dev g++)" : made;
}

function versions() {
  const line = (command, ...words) => {
    try {
      return execFileSync(command, words, { stdio: "pipe" }).toString().split("\n")[0];
    } catch {
      return "";
    }
  };
  const debian = line("dpkg-query", "-W", "libns3-dev").replace("\t", " ");
  return [debian, line("g++", "--version")].filter((text) => text !== "").join(", ");
}

/** A run of ns-3; every datagram that is measured must have arrived. */
function ns3Run(name, file, link, size, more = []) {
  const args = [`--link=${link}`, `--hosts=${HOSTS}`, `--size=${size}`, `--interval=${INTERVAL}`];
  args.push(`--warm=${COUNT.ns3 / 4}`, `--packets=${COUNT.ns3}`, ...more);
  const got = JSON.parse(execFileSync(file, args, { timeout: 120_000 }).toString());
  if (Math.abs(got.measured - COUNT.ns3) > 2 * HOSTS)
    throw new Error(`${name}: ${got.measured} of ${COUNT.ns3} arrived`);
  if (got.bytes !== got.received * size) throw new Error(`${name}: ${got.bytes} bytes in ${got.received} datagrams`);
  return got;
}

function ns3Variant(build, link, size, more) {
  const name = `${LINKS[link]}${more === undefined ? "" : ", checksums on"}, ${build.name}`;
  const counted = ns3Run(name, build.file, link, size, [...(more ?? []), "--hops"]);
  return {
    name,
    // ARP loses a few datagrams of the start half way: counted over all, rounded.
    hops: Math.round(counted.hops / counted.received),
    sample() {
      const got = ns3Run(name, build.file, link, size, more);
      return got.cpuNs / got.measured;
    },
    build: build.name,
    checksums: more !== undefined,
  };
}

const LINKS = { csma: "ns-3, CSMA and bridge", p2p: "ns-3, point-to-point and a router" };
const OURS = { plain: "swarmwire, UDP host to host", vxlan: "swarmwire, VXLAN", esp: "swarmwire, VXLAN and ESP" };

function variants(builds, size) {
  return [
    ...builds.flatMap((build) => [
      ...Object.keys(LINKS).map((link) => ns3Variant(build, link, size)),
      ns3Variant(build, "csma", size, ["--checksums"]),
    ]),
    ...Object.entries(OURS).map(([over, name]) => starVariant(name, over, HOSTS, size, INTERVAL, COUNT[over])),
  ];
}

function rows(size, results) {
  const wide = Math.max(...results.map(({ name }) => name.length));
  const lines = [`${size} bytes:`];
  for (const { name, ns, least, most, hops } of results) {
    const rate = `${(1e6 / ns).toFixed(0)} k packets/s`.padStart(17);
    const hopRate = `${((hops * 1e6) / ns).toFixed(0)} k hops/s`.padStart(14);
    const cost = `${ns.toFixed(0).padStart(7)} ns a packet (${least.toFixed(0)} … ${most.toFixed(0)})`;
    lines.push(`  ${name.padEnd(wide)} ${cost.padEnd(40)} ${rate}, hops ${hops}, ${hopRate}`);
  }
  return lines;
}

/** Ours against each build: the fastest without checksums, which the aim is held to, and with checksums as ours are. */
function ratios(results) {
  const ours = results.slice(-Object.keys(OURS).length);
  const lines = [];
  for (const build of new Set(results.flatMap((result) => result.build ?? []))) {
    const peers = results.filter((result) => result.build === build && !result.checksums);
    const best = peers.reduce((one, other) => (other.ns < one.ns ? other : one));
    const full = results.find((result) => result.build === build && result.checksums);
    lines.push(`  against "${best.name}" (by the least samples in brackets):`);
    for (const own of ours) {
      const hop = ({ ns, least, hops }) => ({ ns: ns / hops, least: least / hops });
      const reached = best.ns / own.ns >= AIM ? "reached" : "missed";
      const aim = own.name === OURS.vxlan ? `; aim ${AIM}x a packet: ${reached}` : "";
      const more = `, a hop ${ratio(hop(best), hop(own))}; a packet with checksums on ${ratio(full, own)}`;
      lines.push(`    ${own.name}: a packet ${ratio(best, own)}${more}${aim}`);
    }
  }
  return lines;
}

/** Measures and prints; returns the results by size. */
export function ns3Bench(rounds, json) {
  const builds = compileAll();
  if (typeof builds === "string") {
    if (!json) console.log(`\nAgainst ns-3: skipped, ${builds}`);
    return { skipped: builds };
  }
  const all = {};
  if (!json) {
    console.log(
      `\n${HOSTS} hosts behind a switch, each sends UDP to the next, ${1e6 / INTERVAL} datagrams a virtual ms`,
    );
    console.log(`  ${versions()}; ns-3 without checksums unless said, IPv6 and queue disciplines`);
    console.log(
      "  hop: a packet through one device's transmit and its peer's receive; ours have an ideal switch (a hop",
    );
    console.log("  from NIC to NIC) and Docker's rules, conntrack and checksums on every host and in every container");
  }
  for (const size of SIZES) {
    const made = variants(builds, size);
    const samples = inTurn(made, rounds);
    const results = made.map(({ sample, ...about }, i) => ({ ...about, ...summary(samples[i]) }));
    all[size] = results;
    if (!json) for (const line of [...rows(size, results), ...ratios(results)]) console.log(`  ${line}`);
  }
  return all;
}
