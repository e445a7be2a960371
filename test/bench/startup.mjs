/**
 * The start of a swarm over the wire: one manager, all others join at the same moment; until every host knows every
 * other one by gossip. Virtual time to convergence against the number of hosts, with memberlist's rule for how often a
 * node sends a broadcast, RetransmitMult · ceil(log10(n + 1)) with RetransmitMult 4 (hashicorp/memberlist util.go
 * retransmitLimit), in gossip rounds of 200 ms; and what the run cost. Each start has a process of its own.
 *
 * SIZES and WORKERS of the environment: "10,30,100" and "1" instead of the defaults; LIMIT: virtual seconds.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const RUN = fileURLToPath(new URL("startup-run.mjs", import.meta.url));
const SIZES = (process.env.SIZES ?? "10,30,100,300,1000").split(",").map(Number);
const WORKERS = Number(process.env.WORKERS ?? 1);
/** Where the time goes, by section; reading the clock that often costs a tenth more. */
const PROFILE = process.env.PROFILE === "1";
const LIMIT = Number(process.env.LIMIT ?? 400);
/** Wall time of the largest start. */
const AIM = { hosts: 1000, seconds: 60 };
const ROUND = 0.2;
const HEAP_MB = 16_000;
const SEC = 1e9;
const MB = 2 ** 20;

const retransmits = (hosts) => 4 * Math.ceil(Math.log10(hosts + 1));
const seconds = (ns) => (ns === null ? null : ns / SEC);

function start(hosts) {
  const options = JSON.stringify({ hosts, workers: WORKERS, limit: LIMIT, profile: PROFILE });
  const { status, stdout, stderr } = spawnSync(process.execPath, [`--max-old-space-size=${HEAP_MB}`, RUN, options], {
    maxBuffer: 256 * MB,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${hosts} hosts: ${stderr}`);
  const run = JSON.parse(stdout);
  const limit = retransmits(hosts);
  const rule = { retransmits: limit, seconds: limit * ROUND };
  const bytes = run.bytes.reduce((sum, count) => sum + count, 0);
  return { ...run, rule, bytesPerHost: bytes / hosts, bytesOfManager: run.bytes[0] };
}

function row(run) {
  const time = ({ half, all }) =>
    `${seconds(half)?.toFixed(1) ?? "-"} … ${seconds(all)?.toFixed(1) ?? "-"}`.padStart(13);
  const cells = [
    String(run.hosts).padStart(6),
    `${run.rule.retransmits} = ${run.rule.seconds.toFixed(1)} s`.padStart(11),
    time(run.joined),
    time(run.members),
    time(run.networkNodes),
    time(run.peers),
    String(run.frames).padStart(9),
    `${(run.bytesPerHost / 1e6).toFixed(2)}`.padStart(7),
    `${(run.mostResident / MB).toFixed(0)}`.padStart(6),
    `${(run.wall.converge / 1000).toFixed(1)}`.padStart(6),
    `${(run.cpu / 1000).toFixed(1)}`.padStart(6),
  ];
  return cells.join("  ");
}

/** Bars on a scale of the longest one. */
function plot(runs) {
  const series = [
    ["rule", "·", ({ rule }) => rule.seconds],
    ["members", "▒", ({ members }) => seconds(members.all)],
    ["peers", "█", ({ peers }) => seconds(peers.all)],
  ];
  const most = Math.max(...runs.flatMap((run) => series.map(([, , value]) => value(run) ?? 0)));
  const lines = runs.flatMap((run) =>
    series.map(([name, mark, value], i) => {
      const length = value(run);
      const label = `${i === 0 ? String(run.hosts).padStart(6) : "      "} ${name.padEnd(8)}`;
      if (length === null) return `${label} not within ${LIMIT} s`;
      return `${label} ${mark.repeat(Math.max(1, Math.round((60 * length) / most)))} ${length.toFixed(1)} s`;
    }),
  );
  return lines;
}

/** How much of the virtual and of the CPU time a tenfold swarm takes more, from the first to the last of the runs. */
function growth(runs, value) {
  const [first, last] = [runs[0], runs.at(-1)];
  return Math.log10(value(last) / value(first)) / Math.log10(last.hosts / first.hosts);
}

/** Measures and prints; returns the runs. */
export function startupBench(_rounds, json) {
  if (!json) {
    console.log("\nThe start of a swarm: all hosts join at the same moment, by gossip over a leaf-spine network");
    console.log(
      `  32 hosts a leaf, 4 spines, ${WORKERS} ${WORKERS === 1 ? "worker" : "workers"}. Virtual seconds since`,
    );
    console.log("  the join until half of the hosts … all of them have joined; know every member; know every node of");
    console.log(
      "  the ingress network; have every other host in ingress' peer table. The pool's subnets are /16: those",
    );
    console.log("  of /24, which are the default, have ingress addresses for 253 nodes.");
    const head = ["hosts", "4⌈log(n+1)⌉", "joined, s", "members, s", "network, s", "peers, s", "frames", "MB/host"];
    const widths = [6, 11, 13, 13, 13, 13, 9, 7];
    const cost = ["RSS,MB", "wall,s", "CPU,s"].map((text) => text.padStart(6));
    console.log(`  ${[...head.map((text, i) => text.padStart(widths[i])), ...cost].join("  ")}`);
  }
  const runs = [];
  for (const hosts of SIZES) {
    const run = start(hosts);
    runs.push(run);
    if (!json) console.log(`  ${row(run)}`);
  }
  const aimed = runs.find(({ hosts }) => hosts === AIM.hosts);
  if (!json) {
    console.log("");
    for (const line of plot(runs)) console.log(`  ${line}`);
    if (runs.length > 1) {
      const [frames, cpu] = [growth(runs, (run) => run.frames), growth(runs, (run) => run.cpu)];
      console.log(`\n  frames grow with hosts^${frames.toFixed(2)}, CPU time with hosts^${cpu.toFixed(2)}`);
    }
    if (aimed !== undefined) {
      const reached = aimed.converged && aimed.wall.converge <= AIM.seconds * 1000;
      console.log(`  aim ${AIM.seconds} s of wall time for ${AIM.hosts} hosts: ${reached ? "reached" : "missed"}`);
    }
  }
  return runs.map(({ progress, bytes, ...run }) => run);
}
