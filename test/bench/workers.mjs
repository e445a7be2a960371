/**
 * Speed-up by worker threads: the same mesh of hosts, containers and constant-rate flows with 1 worker and with 2, in
 * turn, through the Cluster of dist/ as users run it. Wall time, medians. Two patterns of traffic:
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
/** Virtual time of a slice: runs with 1 and with 2 workers take turns slice by slice, so that both meet the same noise. */
const SLICE = { plain: 40 * MS, esp: 10 * MS };
/** Slices that warm up. */
const WARM = 8;
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
async function startMesh(pattern, esp, workers, { mesh = MESH, duration }) {
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
    skip: false,
    onEvent: ({ payload }) => {
      counts.sent += payload.sent;
      counts.received += payload.received;
    },
  });
  await cluster.runUntil(START);
  return { cluster, counts, hosts: hosts.length };
}

/** Lets all hosts count; returns a line that must be the same for any number of workers. */
async function verdict({ cluster, counts, hosts }, name) {
  for (let host = 0; host < hosts; host++) cluster.post(host, cluster.now, {});
  await cluster.runUntil(cluster.now + MS);
  const { drops, events, hosts: perHost } = await cluster.counters();
  if (counts.sent === 0 || counts.sent !== counts.received)
    throw new Error(`${name}: ${counts.received} of ${counts.sent} datagrams arrived`);
  return JSON.stringify([counts, drops, events, perHost]);
}

/** Both runs of a variant, slice by slice in turn: wall time of each slice, ms. */
async function race(kind, pattern, slices) {
  const name = `${kind} ${pattern}`;
  const duration = (slices + WARM) * SLICE[kind];
  const runs = [];
  for (const workers of [1, 2]) runs.push(await startMesh(pattern, kind === "esp", workers, { duration }));
  const times = [[], []];
  let windows = 0;
  for (let slice = 0; slice < slices + WARM; slice++) {
    if (slice === WARM) windows = (await runs[1].cluster.counters()).windows;
    for (const [i, { cluster }] of runs.entries()) {
      const began = performance.now();
      await cluster.runUntil(cluster.now + SLICE[kind]);
      if (slice >= WARM) times[i].push(performance.now() - began);
    }
  }
  windows = (await runs[1].cluster.counters()).windows - windows;
  const verdicts = [];
  for (const run of runs) {
    await run.cluster.runUntil(run.cluster.now + 10 * MS);
    verdicts.push(await verdict(run, name));
  }
  if (verdicts[0] !== verdicts[1]) throw new Error(`${name}: 1 and 2 workers differ`);
  const datagrams = Math.round((runs[0].counts.sent * slices) / (slices + WARM));
  for (const { cluster } of runs) await cluster.stop();
  const [one, two] = times;
  return {
    name,
    slices,
    datagrams,
    windows,
    oneMs: median(one),
    twoMs: median(two),
    leastOneMs: Math.min(...one),
    leastTwoMs: Math.min(...two),
    speedUp: median(one) / median(two),
    speedUpOfLeast: Math.min(...one) / Math.min(...two),
    aim: AIMS[kind],
  };
}

/** Measures all variants, prints the ratios. */
export async function workersBench(rounds, json) {
  const results = [];
  for (const kind of ["plain", "esp"])
    for (const pattern of ["local", "uniform"]) results.push(await race(kind, pattern, 4 * rounds));
  if (!json) print(results);
  return results;
}

function print(results) {
  const { hosts, flows, rate, size, latency } = MESH;
  console.log(
    `\nWorkers: ${hosts} hosts x ${flows} flows of ${rate} datagrams/s of ${size} bytes, ${latency / US} us between hosts; ` +
      `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} CPUs, Node ${process.versions.node}`,
  );
  console.log("  wall time of slices taken in turn, medians (least); the two runs' counters are the same to the byte");
  for (const r of results) {
    const ms = (value, least) => `${value.toFixed(1)} (${least.toFixed(1)}) ms`.padStart(18);
    console.log(
      `  ${r.name.padEnd(14)} 1 worker ${ms(r.oneMs, r.leastOneMs)}, 2 workers ${ms(r.twoMs, r.leastTwoMs)}: ` +
        `${r.speedUp.toFixed(2)}x (${r.speedUpOfLeast.toFixed(2)}x), aim ${r.aim}; ${r.slices} slices, ` +
        `${Math.round(r.datagrams / r.slices)} datagrams and ${Math.round(r.windows / r.slices)} windows each`,
    );
  }
}
