/**
 * Speed-up by worker threads: the same mesh of hosts, containers and constant-rate flows with 1 worker and with 2, in
 * turn, through the Cluster of dist/ as users run it. Wall time of the traffic alone, medians. Two patterns of traffic:
 * `local` (7 of 8 flows stay within a half of the hosts) and `uniform` (each flow goes anywhere).
 */
import { availableParallelism, cpus } from "node:os";
import { Cluster } from "../../dist/src/scheduler/cluster.js";
import { loadKernel, nodePlatform } from "../../dist/src/scheduler/node-adapter.js";
import { resolveTopology } from "../../dist/src/scheduler/topology.js";
import { median } from "./measure.mjs";
import { underlayMac } from "./workers-machine.mjs";

const MS = 1e6;
const US = 1e3;
/** The parameters of a mesh; `flows` are each host's. */
const MESH = { hosts: 32, flows: 2, rate: 20_000, size: 512, latency: 50 * US };
/** Virtual time of the traffic of a sample. */
const DURATION = { plain: 400 * MS, esp: 200 * MS };
/** What speed-up 2 workers should reach. */
const AIMS = { plain: 1.5, esp: 1.8 };
const START = 10 * MS;

/** Where each flow of each host goes. */
function destinations(pattern, { hosts, flows }) {
  const half = hosts / 2;
  let state = 1;
  const below = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: hosts }, (_, host) =>
    Array.from({ length: flows }, (_, i) => {
      const stays = pattern === "local" && (host * flows + i) % 8 !== 0;
      if (stays) return (host < half ? 0 : half) + ((host + 1 + below(half - 1)) % half);
      return pattern === "local" ? (host + half) % hosts : (host + 1 + below(hosts - 1)) % hosts;
    }),
  );
}

/** A cluster with its traffic about to begin. */
export async function startMesh(pattern, esp, workers, { mesh = MESH, duration, profile = false }) {
  const to = destinations(pattern, mesh);
  const from = to.map((_, host) => to.flatMap((list, sender) => (list.includes(host) ? [sender] : [])));
  const hosts = to.map((list, host) => ({
    name: `h${host}`,
    nics: [{ mac: underlayMac(host), mtu: 1500, latency: mesh.latency, bandwidth: 1e10 }],
    machine: { host, to: list, from: from[host], esp, rate: mesh.rate, size: mesh.size, duration, start: START },
  }));
  const counts = { sent: 0, received: 0 };
  const cluster = await Cluster.create({
    topology: resolveTopology("1", hosts),
    module: await loadKernel(),
    machines: new URL("./workers-machine.mjs", import.meta.url).href,
    workers,
    platform: nodePlatform(),
    profile,
    skip: false,
    onEvent: ({ payload }) => {
      counts.sent += payload.sent;
      counts.received += payload.received;
    },
  });
  await cluster.runUntil(START);
  return { cluster, counts, hosts: hosts.length };
}

/** Runs the traffic; returns what it took and what came of it. */
export async function sample(pattern, kind, workers, options = {}) {
  const duration = options.duration ?? DURATION[kind];
  const run = await startMesh(pattern, kind === "esp", workers, { ...options, duration });
  const { cluster, counts } = run;
  const warm = START + duration / 4;
  await cluster.runUntil(warm);
  const before = await cluster.counters();
  const began = performance.now();
  const cpu = process.cpuUsage();
  await cluster.runUntil(START + duration);
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const after = await cluster.counters();
  await cluster.runUntil(START + duration + 10 * MS);
  for (let host = 0; host < run.hosts; host++) cluster.post(host, cluster.now, {});
  await cluster.runUntil(cluster.now + MS);
  const profiles = await cluster.profile();
  await cluster.stop();
  if (counts.sent === 0 || counts.sent !== counts.received)
    throw new Error(`${pattern} ${kind}, ${workers} workers: ${counts.received} of ${counts.sent} datagrams arrived`);
  const packets = (counts.sent * 3) / 4;
  return {
    wallMs,
    cpuMs: (user + system) / 1000,
    packets,
    windows: after.windows - before.windows,
    counts: `${counts.sent} ${counts.received} ${JSON.stringify(after.drops)}`,
    profiles,
  };
}

/** Measures all variants in turn, prints the ratios. */
export async function workersBench(rounds, json) {
  const variants = ["plain", "esp"].flatMap((kind) => ["local", "uniform"].map((pattern) => ({ kind, pattern })));
  const samples = variants.map(() => ({ 1: [], 2: [] }));
  for (let round = 0; round <= rounds; round++) {
    for (const [i, { kind, pattern }] of variants.entries()) {
      const pair = [];
      for (const workers of [1, 2]) {
        const result = await sample(pattern, kind, workers);
        pair.push(result);
        if (round > 0) samples[i][workers].push(result); // the first round warms up
      }
      if (pair[0].counts !== pair[1].counts) throw new Error(`${pattern} ${kind}: 1 and 2 workers differ`);
    }
  }
  const results = variants.map(({ kind, pattern }, i) => {
    const one = samples[i][1].map(({ wallMs }) => wallMs);
    const two = samples[i][2].map(({ wallMs }) => wallMs);
    const { packets, windows } = samples[i][2][0];
    const pairs = one.map((ms, round) => ms / two[round]);
    return {
      name: `${kind} ${pattern}`,
      packets,
      windows,
      oneMs: median(one),
      twoMs: median(two),
      leastOneMs: Math.min(...one),
      leastTwoMs: Math.min(...two),
      speedUp: median(pairs),
      speedUpOfLeast: Math.min(...one) / Math.min(...two),
      aim: AIMS[kind],
    };
  });
  if (!json) print(results);
  return results;
}

function print(results) {
  const { hosts, flows, rate, size, latency } = MESH;
  console.log(
    `\nWorkers: ${hosts} hosts x ${flows} flows of ${rate} datagrams/s of ${size} bytes, ${latency / US} us between hosts; ` +
      `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} CPUs, Node ${process.versions.node}; wall time, medians (least)`,
  );
  for (const r of results) {
    const ms = (value, least) => `${value.toFixed(0)} (${least.toFixed(0)}) ms`.padStart(16);
    console.log(
      `  ${r.name.padEnd(14)} 1 worker ${ms(r.oneMs, r.leastOneMs)}, 2 workers ${ms(r.twoMs, r.leastTwoMs)}: ` +
        `${r.speedUp.toFixed(2)}x (${r.speedUpOfLeast.toFixed(2)}x), aim ${r.aim}; ${r.packets} datagrams, ${r.windows} windows`,
    );
  }
}
