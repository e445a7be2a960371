/**
 * What a host and a container cost, from 10 hosts to 10,000 with 100 containers each: state placed as after convergence, and a
 * small traffic of requests over it (a TCP connection for each). Each size runs in a process of its own, so that memory is its own.
 *
 *   node test/bench/main.mjs scale          SCALE_HOSTS=10,100 SCALE_WORKERS=2 SCALE_CONTAINERS=100 choose others
 *
 * Ready: the plan made, workers started, all hosts placed. Memory: what the kernels hold (of their Wasm memories), and the
 * process's resident set, when ready and at its largest. Growth: the slope of a line through the logarithms, 1 = linear.
 */
import { execFileSync } from "node:child_process";
import os from "node:os";
import { fileURLToPath } from "node:url";

const SELF = fileURLToPath(import.meta.url);
const SIZES = [10, 100, 1000, 10_000];
const CONTAINERS = 100;
/** Containers of a network, and hosts that it spans. */
const NETWORK = 200;
const SPAN = 5;
/** The aims: 1,000,000 containers on 10,000 hosts, in bytes and seconds. */
const AIM = { hosts: 10_000, bytes: 4 * 2 ** 30, seconds: 60 };
/** Resident set of a host that is allowed for before anything is known, bytes. */
const FIRST_GUESS = 1 << 20;

const MS = 1e6;

function optionsOf(hosts, perHost) {
  const containers = hosts * perHost;
  return {
    seed: "scale",
    control: "converged",
    hosts,
    containers,
    flows: Math.min(1000, containers),
    underlay: { kind: "flat", latency: 50_000, bandwidth: 1e10, loss: 0, mtu: 1500 },
    networks: Math.max(Math.ceil(containers / NETWORK), Math.ceil(hosts / SPAN)),
    span: Math.min(SPAN, hosts),
    encrypted: 0,
    services: 2,
    schedulers: ["rr"],
    traffic: ["rr"],
    vipShare: 0.5,
    rate: 100,
    size: 100,
    duration: 100 * MS,
  };
}

/** One size, in this process: a line of JSON. */
async function measureOne(hosts, perHost, workers) {
  const [{ planMesh }, { Cluster }, { resolveTopology }, node] = await Promise.all([
    import("../../dist/src/workload/mesh/plan.js"),
    import("../../dist/src/scheduler/cluster.js"),
    import("../../dist/src/scheduler/topology.js"),
    import("../../dist/src/scheduler/node-adapter.js"),
  ]);
  const cpu = () => process.cpuUsage().user + process.cpuUsage().system;
  const begin = { wall: performance.now(), cpu: cpu() };
  const plan = planMesh(optionsOf(hosts, perHost));
  const planned = performance.now();
  const specs = Array.from({ length: hosts }, (_, i) => ({ name: `m${i + 1}`, machine: { plan } }));
  const received = { sent: 0, received: 0 };
  const cluster = await Cluster.create({
    topology: resolveTopology(plan.options.seed, specs),
    module: await node.loadKernel(),
    machines: new URL("scale-machine.mjs", import.meta.url).href,
    workers,
    platform: node.nodePlatform(new URL("../../dist/src/worker.js", import.meta.url)),
    skip: false,
    onEvent: ({ payload }) => {
      received.sent += payload.sent ?? 0;
      received.received += payload.received ?? 0;
    },
  });
  await cluster.runUntil(MS);
  const ready = { wall: performance.now(), cpu: cpu() };
  const placed = await cluster.counters();
  const rss = process.memoryUsage().rss;
  for (let host = 0; host < hosts; host++) cluster.post(host, cluster.now, { at: 2 * MS });
  await cluster.runUntil(2 * MS);
  const listening = performance.now();
  await cluster.runUntil(2 * MS + 2 * plan.options.duration + 100 * MS);
  const carried = performance.now();
  const counters = await cluster.counters();
  for (let host = 0; host < hosts; host++) cluster.post(host, cluster.now, "report");
  await cluster.runUntil(cluster.now + MS);
  await cluster.stop();
  console.log(
    JSON.stringify({
      hosts,
      containers: plan.options.containers,
      workers,
      planSeconds: (planned - begin.wall) / 1000,
      readySeconds: (ready.wall - begin.wall) / 1000,
      readyCpuSeconds: (ready.cpu - begin.cpu) / 1e6,
      kernelBytes: placed.memory,
      rssBytes: rss,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      listenSeconds: (listening - ready.wall) / 1000,
      trafficSeconds: (carried - listening) / 1000,
      packets: counters.packetsMade - placed.packetsMade,
      events: counters.events - placed.events,
      ...received,
    }),
  );
}

/** Slope of the least-squares line through the logarithms of (hosts, value). */
function slope(results, value) {
  const points = results.map((result) => [Math.log(result.hosts), Math.log(value(result))]);
  const mean = (i) => points.reduce((sum, point) => sum + point[i], 0) / points.length;
  const [mx, my] = [mean(0), mean(1)];
  const over = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  return over / points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}

const list = (name, usual) => (process.env[name] === undefined ? usual : process.env[name].split(",").map(Number));

function print(results) {
  const columns = ["hosts", "containers", "workers", "ready s", "CPU s", "kernel MiB", "RSS MiB", "peak MiB"];
  const more = ["µs CPU/container", "B kernel/container", "B RSS/container", "packets/s", "answered"];
  const rows = results.map((r) => [
    r.hosts,
    r.containers,
    r.workers,
    r.readySeconds.toFixed(2),
    r.readyCpuSeconds.toFixed(2),
    (r.kernelBytes / 2 ** 20).toFixed(0),
    (r.rssBytes / 2 ** 20).toFixed(0),
    (r.peakRssBytes / 2 ** 20).toFixed(0),
    ((r.readyCpuSeconds * 1e6) / r.containers).toFixed(0),
    (r.kernelBytes / r.containers).toFixed(0),
    (r.peakRssBytes / r.containers).toFixed(0),
    Math.round(r.packets / r.trafficSeconds),
    `${r.received}/${r.sent}`,
  ]);
  const all = [[...columns, ...more], ...rows].map((row) => row.map(String));
  const wide = all[0].map((_, i) => Math.max(...all.map((row) => row[i].length)));
  for (const row of all) console.log(`  ${row.map((cell, i) => cell.padStart(wide[i])).join("  ")}`);
}

function conclude(results) {
  if (results.length > 1) {
    const text = (value) => slope(results, value).toFixed(2);
    const marginal = (a, b, value) => (value(b) - value(a)) / (b.containers - a.containers);
    const [a, b] = results.slice(-2);
    console.log(
      `  growth with the hosts: CPU time ${text((r) => r.readyCpuSeconds)}, kernel memory ${text((r) => r.kernelBytes)}, peak RSS ${text((r) => r.peakRssBytes)}`,
    );
    console.log(
      `  a container more, ${a.hosts} to ${b.hosts} hosts: ${marginal(a, b, (r) => r.readyCpuSeconds * 1e6).toFixed(0)} µs of CPU, ${marginal(a, b, (r) => r.kernelBytes).toFixed(0)} B in the kernel, ${marginal(a, b, (r) => r.peakRssBytes).toFixed(0)} B resident`,
    );
  }
  const largest = results.find(({ hosts, containers }) => hosts === AIM.hosts && containers >= AIM.hosts * CONTAINERS);
  if (largest === undefined) return;
  const { peakRssBytes, readySeconds } = largest;
  console.log(
    `  aims at ${AIM.hosts} hosts: ${(AIM.bytes / 2 ** 30).toFixed(0)} GiB ${peakRssBytes <= AIM.bytes ? "reached" : "missed"} (${(peakRssBytes / 2 ** 30).toFixed(2)}), ready in ${AIM.seconds} s ${readySeconds <= AIM.seconds ? "reached" : "missed"} (${readySeconds.toFixed(1)})`,
  );
}

/** Runs the sizes one after the other, each with each number of workers. */
export function scaleBench(_rounds, json) {
  const [perHost] = list("SCALE_CONTAINERS", [CONTAINERS]);
  const all = [];
  for (const workers of list("SCALE_WORKERS", [1, 2])) {
    const results = [];
    for (const hosts of list("SCALE_HOSTS", SIZES)) {
      const last = results.at(-1);
      const expected = last === undefined ? hosts * FIRST_GUESS : (last.peakRssBytes * hosts) / last.hosts;
      if (expected > os.freemem()) {
        console.error(
          `  ${hosts} hosts with ${workers} workers are left out: about ${(expected / 2 ** 30).toFixed(1)} GiB, of which ${(os.freemem() / 2 ** 30).toFixed(1)} are free`,
        );
        continue;
      }
      const words = ["--max-old-space-size=8192", SELF, String(hosts), String(perHost), String(workers)];
      results.push(JSON.parse(execFileSync(process.execPath, words, { maxBuffer: 1 << 20 }).toString()));
    }
    if (!json && results.length > 0) {
      console.log(
        `\nscale: hosts with ${perHost} containers each, placed, ${workers === 1 ? "1 worker" : `${workers} workers`}`,
      );
      print(results);
      conclude(results);
    }
    all.push(...results);
  }
  return all;
}

if (process.argv[1] === SELF) await measureOne(...process.argv.slice(2, 5).map(Number));
