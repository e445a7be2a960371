/**
 * Benchmarks of the kernel. CPU time of the process, warmed up, variants taken in turn, the median of their samples.
 *
 *   node test/bench/main.mjs [BENCH]... [--rounds N] [--json]
 *
 * BENCH is road, encrypted, parts, tunnel, events, tcp, crypto, workers, ns3, linux, scale or startup; without one, all but
 * the last two, which take minutes.
 *
 * What they are compared with stands in PEERS and, where it can be, is measured in the same run. None of it is a test.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { cpuNs, median } from "./measure.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const words = process.argv.slice(2);
const json = words.includes("--json");
const at = words.indexOf("--rounds");
const ROUNDS = at < 0 ? 11 : Number(words[at + 1]);
const names = words.filter((word, i) => !word.startsWith("--") && (at < 0 || i !== at + 1));

/** The kernel with the pieces below its border (assembly/units.ts), compiled when its sources are newer. */
function units() {
  const out = "build/units.wasm";
  const built = existsSync(root + out) ? statSync(root + out).mtimeMs : 0;
  const sources = readdirSync(`${root}assembly`, { recursive: true }).filter((name) => name.endsWith(".ts"));
  if (sources.some((name) => statSync(`${root}assembly/${name}`).mtimeMs > built)) {
    const compiler = `${root}node_modules/assemblyscript/bin/asc.js`;
    execFileSync(process.execPath, [compiler, "assembly/units.ts", "--target", "release", "--outFile", out], {
      cwd: root,
    });
  }
  return root + out;
}

process.env.KERNEL_WASM ??= units();
const { BENCHES, PEERS } = await import("./benches.mjs");
const { cryptoBench } = await import("./crypto.mjs");
const { workersBench } = await import("./workers.mjs");
const { ns3Bench } = await import("./ns3/bench.mjs");
const { linuxBench } = await import("./linux.mjs");
const { scaleBench } = await import("./scale.mjs");
const { startupBench } = await import("./startup.mjs");
/** Those that measure and print by themselves: against other processes, or over threads. */
const AGAINST = {
  crypto: cryptoBench,
  workers: workersBench,
  ns3: ns3Bench,
  linux: linuxBench,
  scale: scaleBench,
  startup: startupBench,
};

/** Runs variants in turn: each is { name, unit, run(count) → what it did }. */
function measure(variants) {
  const samples = variants.map(() => []);
  const counts = variants.map((variant) => {
    // Warm up for 0.3 s of CPU, then take as many as give a sample of about 0.1 s.
    const start = cpuNs();
    let count = 0;
    while (cpuNs() - start < 3e8) {
      variant.run(variant.step);
      count += variant.step;
    }
    return Math.max(variant.step, Math.ceil(count / 3 / variant.step) * variant.step);
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, variant] of variants.entries()) {
      const start = cpuNs();
      variant.run(counts[i]);
      samples[i].push((cpuNs() - start) / counts[i]);
    }
  }
  return variants.map((variant, i) => {
    variant.check?.();
    const ns = median(samples[i]);
    return {
      name: variant.name,
      ns,
      least: Math.min(...samples[i]),
      most: Math.max(...samples[i]),
      goal: variant.goal,
      peers: variant.peers ?? [],
      note: variant.note,
    };
  });
}

function print(title, results, unit) {
  console.log(`\n${title}`);
  const wide = Math.max(...results.map((result) => result.name.length));
  for (const { name, ns, least, most, goal, peers } of results) {
    const rate = 1e9 / ns >= 1e6 ? `${(1e9 / ns / 1e6).toFixed(2)} M` : `${(1e9 / ns / 1e3).toFixed(1)} k`;
    const ratios = peers.map((peer) => `${(PEERS[peer].ns / ns).toFixed(2)}x ${PEERS[peer].name}`);
    if (goal !== undefined) ratios.unshift(`goal ${goal} ns: ${ns <= goal ? "reached" : "missed"}`);
    console.log(
      `  ${name.padEnd(wide)} ${ns.toFixed(1).padStart(8)} ns/${unit} (${least.toFixed(1)} … ${most.toFixed(1)}), ${rate}/s  ${ratios.join(", ")}`,
    );
  }
}

/** Those that take minutes, and gigabytes: only when they are asked for. Each size runs once. */
const LONG = ["startup", "scale"];
const usual = [...Object.keys(BENCHES), ...Object.keys(AGAINST)].filter((name) => !LONG.includes(name));
const chosen = names.length === 0 ? usual : names;
const all = {};
if (!json) {
  const cpu = os.cpus()[0]?.model ?? "unknown";
  const how = chosen.every((name) => LONG.includes(name)) ? "" : `; median of ${ROUNDS} samples, CPU time`;
  console.log(`${cpu}, ${os.cpus().length} cores; Node ${process.versions.node}, V8 ${process.versions.v8}${how}`);
}
for (const name of chosen) {
  if (AGAINST[name] !== undefined) {
    all[name] = await AGAINST[name](ROUNDS, json);
    continue;
  }
  const bench = BENCHES[name];
  if (bench === undefined) {
    console.error(`no benchmark "${name}"; there are ${[...Object.keys(BENCHES), ...Object.keys(AGAINST)].join(", ")}`);
    process.exit(2);
  }
  const results = measure(bench.variants());
  all[name] = results;
  if (!json) {
    print(bench.title, results, bench.unit);
    for (const line of bench.comment?.(results) ?? []) console.log(`  ${line}`);
  }
}
if (json) console.log(JSON.stringify(all));
