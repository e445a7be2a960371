/** Sweeps: which runs there are and what they are known by; the command, in processes of its own. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { timeLeft } from "../../src/cli/sweep.ts";
import { identityOf, inShard, parseShard, parseVary, planSweep } from "../../src/cli/sweep-plan.ts";
import { formatCsv, formatJson, formatTable, type RunResult } from "../../src/cli/sweep-results.ts";

const BIN = join(import.meta.dirname, "../../bin/swarmwire.js");
const TEXT = `seed: 5
params: { size: 100, broken: false }
hosts: { a: {}, b: {} }
network: { loss: 0 }
steps:
  - a: "! $broken"
  - workload: { from: a, to: b, rate: 100, size: $size, for: 2s }
  - workload: { from: b, to: a, rate: 10 }
`;
const LONG = `hosts: { a: {}, b: {} }
params: { time: 1s }
steps:
  - fault: { host: b, loss: 0.01 }
  - a: ping -c 3 192.168.77.12 || true
  - a: ping -q -i 0.01 192.168.77.12 -w 100000 & sleep 0.1
  - wait: $time
`;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "swarmwire-sweep-"));
  writeFileSync(join(folder, "lab.yaml"), TEXT);
  writeFileSync(join(folder, "long.yaml"), LONG);
});
afterAll(() => rmSync(folder, { recursive: true }));

function swarmwire(...args: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { encoding: "utf8", cwd: folder });
  return { status, out: stdout, err: stderr };
}

const vary = (...texts: string[]) => texts.map(parseVary);

describe("the plan", () => {
  it("is the product of all values, with seeds of their own for repeats", () => {
    const runs = planSweep("x.yaml", TEXT, vary("size=1,2", "network.loss=0,1%"), 2);
    expect(runs.map(({ parameters, repeat, seed }) => [...Object.values(parameters), repeat, seed])).toEqual([
      [1, 0, 1, "5"],
      [1, 0, 2, "5/2"],
      [1, "1%", 1, "5"],
      [1, "1%", 2, "5/2"],
      [2, 0, 1, "5"],
      [2, 0, 2, "5/2"],
      [2, "1%", 1, "5"],
      [2, "1%", 2, "5/2"],
    ]);
    expect(new Set(runs.map(({ identity }) => identity)).size).toBe(8);
    expect(planSweep("x.yaml", TEXT, vary("seed=8"), 2).map(({ seed }) => seed)).toEqual(["8", "8/2"]);
    expect(planSweep("x.yaml", TEXT, [], 1)).toMatchObject([{ parameters: {}, repeat: 1, seed: "5" }]);
  });

  it("knows a run by lab, parameters, seed and version, and by nothing else", () => {
    const id = identityOf(TEXT, { a: 1, b: true }, "5", "1.0");
    // sha256sum of the JSON text ["x",[["a",1],["b",true]],"5","1.0"]
    expect(identityOf("x", { a: 1, b: true }, "5", "1.0")).toBe(
      "355e74c0461a65f0884285744e24651c4fc2d595609c398ff0a32316a1b0fbb5",
    );
    expect(identityOf(TEXT, { b: true, a: 1 }, "5", "1.0")).toBe(id);
    const others = [
      identityOf(`${TEXT} `, { a: 1, b: true }, "5", "1.0"),
      identityOf(TEXT, { a: 2, b: true }, "5", "1.0"),
      identityOf(TEXT, { a: 1, b: "true" }, "5", "1.0"),
      identityOf(TEXT, { a: 1, b: true }, "6", "1.0"),
      identityOf(TEXT, { a: 1, b: true }, "5", "1.1"),
    ];
    expect(new Set([id, ...others]).size).toBe(6);
    // A sweep with more repeats, or other values beside, has the same runs in it.
    const few = planSweep("x.yaml", TEXT, vary("size=1"), 1).map(({ identity }) => identity);
    const more = planSweep("x.yaml", TEXT, vary("size=7,1"), 3).map(({ identity }) => identity);
    expect(more).toContain(few[0]);
  });

  it("shards share all runs out", () => {
    const runs = planSweep("x.yaml", TEXT, vary("size=1,2,3"), 20);
    const shards = [0, 1, 2].map((i) => runs.filter(({ identity }) => inShard(identity, parseShard(`${i}/3`))));
    expect(shards.flat().length).toBe(60);
    expect(new Set(shards.flat()).size).toBe(60);
    for (const shard of shards) expect(shard.length).toBeGreaterThan(8);
    expect(inShard("0f", { index: 3, count: 4 })).toBe(true);
    expect(inShard("0f", { index: 0, count: 4 })).toBe(false);
  });

  it("says what is wrong before anything runs", () => {
    expect(parseVary("opt=,a\\,b,c=d")).toEqual(["opt", ["", "a,b", "c=d"]]);
    expect(() => parseVary("size")).toThrow("--vary size: expected KEY=v1,v2,…");
    for (const text of ["2/2", "1", "-1/2", "0/0", "a/b"]) expect(() => parseShard(text)).toThrow("expected i/n");
    const plan = (...texts: string[]) => planSweep("x.yaml", TEXT, vary(...texts), 1);
    expect(() => plan("size=1,01")).toThrow("--vary gives the same run twice: size=1");
    expect(() => plan("size=1", "size=2")).toThrow("--vary size was given twice");
    expect(() => plan("size=1,x")).toThrow("x.yaml: size=x: expected a number");
    expect(() => plan("sise=1")).toThrow("there is no sise to set; there are the parameters size, broken, and seed");
    expect(() => plan("size=1", "params.size=2")).toThrow("x.yaml: params.size is set twice");
    expect(() => plan("steps.1.workload.rate=1", "steps[1].workload.rate=2")).toThrow("is set twice");
    expect(() => planSweep("x.yaml", TEXT, vary("size=1,2"), 1_000_000)).toThrow("2000000 runs are more than 100000");
  });

  it("estimates the time that is left by what runs of the same parameters took", () => {
    expect(timeLeft(new Map(), ["a"], 2)).toBeUndefined();
    const took = new Map([
      ["a", [100, 300]],
      ["b", [1000]],
    ]);
    expect(timeLeft(took, ["a", "b"], 1)).toBe(1200);
    expect(timeLeft(took, ["a", "a", "a", "b"], 2)).toBe(800);
    expect(timeLeft(new Map([["a", [100, 300]]]), ["new"], 4)).toBe(200);
    expect(timeLeft(took, [], 2)).toBe(0);
  });
});

describe("results", () => {
  const flow = { step: 1, from: "a", to: "b", address: "x", sent: 10, received: 9, lost: 1, failed: 0 };
  const base = { lab: "x.yaml", version: "1", identity: "00", seed: "5", steps: 2, failed: [], virtualTime: 2.5e9 };
  const results: RunResult[] = [
    {
      ...base,
      parameters: { opt: 'say "a,b"', n: 1 },
      ...{
        repeat: 1,
        ok: true,
        wallTime: 12,
        frames: 30,
        events: 40,
        drops: { WIRE_LOSS: 1 },
        workloads: [flow, flow],
      },
    },
    {
      ...base,
      parameters: { opt: "", n: 20 },
      ...{ repeat: 2, ok: false, wallTime: 1234, frames: 3, events: 4, drops: { ARP: 2 }, workloads: [flow] },
    },
  ];

  it("as CSV: a column for each parameter, reason and flow", () => {
    expect(formatCsv(results)).toBe(
      [
        "opt,n,repeat,seed,ok,failed_steps,virtual_ns,wall_ms,frames,events,drops,drops.ARP,drops.WIRE_LOSS,sent,received,lost,flow1.sent,flow1.received,flow1.lost,flow2.sent,flow2.received,flow2.lost",
        '"say ""a,b""",1,1,5,true,0,2500000000,12,30,40,1,0,1,20,18,2,10,9,1,10,9,1',
        ",20,2,5,false,0,2500000000,1234,3,4,2,2,0,10,9,1,10,9,1,,,",
        "",
      ].join("\n"),
    );
  });

  it("as JSON and as a table", () => {
    expect(JSON.parse(formatJson(results))).toEqual(results);
    expect(JSON.parse(formatJson([]))).toEqual([]);
    expect(formatTable(results.map((result) => ({ ...result, workloads: [] })))).toBe(
      [
        "opt         n  repeat  seed  ok     failed_steps  virtual  wall  frames  events  drops",
        'say "a,b"   1       1  5     true              0  2.5s     12ms      30      40      1',
        "           20       2  5     false             0  2.5s     1.2s       3       4      2",
        "",
      ].join("\n"),
    );
  });
});

describe("the command", () => {
  it("runs what isn't finished, and gives what swarmwire run gives", () => {
    const args = ["sweep", "lab.yaml", "--vary", "size=64,1400", "--vary", "network.loss=0,10%", "--out", "first"];
    const once = swarmwire(...args, "--csv");
    expect([once.status, once.err]).toEqual([0, ""]);
    const rows = once.out.trimEnd().split("\n");
    expect(rows).toHaveLength(5);
    expect(rows.slice(1).map((row) => row.split(",").slice(0, 6).join())).toEqual([
      "64,0,1,5,true,0",
      "64,10%,1,5,true,0",
      "1400,0,1,5,true,0",
      "1400,10%,1,5,true,0",
    ]);

    const all = JSON.parse(swarmwire(...args, "--json").out) as RunResult[];
    const lossy = all[3] as RunResult;
    const set = ["--set", "size=1400", "--set", "network.loss=10%"];
    const lines = swarmwire("run", "lab.yaml", ...set, "--json")
      .out.trimEnd()
      .split("\n");
    const end = JSON.parse(lines.at(-1) as string);
    const { framesCarried, events, drops } = end.counters;
    expect([lossy.frames, lossy.events, lossy.virtualTime]).toEqual([framesCarried, events, end.time]);
    expect(drops).toMatchObject(lossy.drops);
    expect(lossy.drops["WIRE_LOSS"]).toBeGreaterThan(5);
    const flows = lines.flatMap((line) => JSON.parse(line).flows ?? []);
    expect(lossy.workloads.map(({ step: _step, ...flow }) => flow)).toEqual(flows);
    expect(lossy.workloads.map(({ sent }) => sent)).toEqual([200, 10]);
    expect(all[0]?.workloads.map(({ lost }) => lost)).toEqual([0, 0]);
    expect(lossy.workloads[0]?.lost).toBeGreaterThan(5);

    // Files that are there are taken as they are; a broken one isn't a result.
    const files = readdirSync(join(folder, "first")).sort();
    expect(files).toEqual(all.map(({ identity }) => `${identity}.json`).sort());
    const path = (i: number): string => join(folder, "first", `${all[i]?.identity}.json`);
    writeFileSync(path(0), JSON.stringify({ ...all[0], frames: 4711 }));
    writeFileSync(path(1), "{");
    const times = [2, 3].map((i) => statSync(path(i)).mtimeMs);
    const again = swarmwire(...args, "--repeat", "2", "--json");
    expect([again.status, again.err]).toEqual([0, ""]);
    const more = JSON.parse(again.out) as RunResult[];
    expect(more.map(({ repeat, seed }) => [repeat, seed])).toEqual(
      Array(4)
        .fill([
          [1, "5"],
          [2, "5/2"],
        ])
        .flat(),
    );
    expect(more[0]?.frames).toBe(4711);
    expect({ ...more[2], wallTime: 0 }).toEqual({ ...all[1], wallTime: 0 });
    expect([2, 3].map((i) => statSync(path(i)).mtimeMs)).toEqual(times);
    // Another seed loses other packets.
    expect(more[7]?.drops).not.toEqual(more[6]?.drops);
    expect(swarmwire(...args).out).toMatch(/\n4 of 4 runs have results, 4 of them from before; all as expected\. /);
  });

  it("shards in one folder make the whole", () => {
    const args = ["sweep", "lab.yaml", "--vary", "size=1,2,3", "--out", "shards"];
    const parts = ["0/2", "1/2"].map((shard) => JSON.parse(swarmwire(...args, "--shard", shard, "--json").out));
    const whole = JSON.parse(swarmwire(...args, "--json").out) as RunResult[];
    expect(whole.map(({ parameters }) => parameters)).toEqual([{ size: 1 }, { size: 2 }, { size: 3 }]);
    expect(parts.flat().sort((a, b) => a.parameters.size - b.parameters.size)).toEqual(whole);
    expect(swarmwire(...args).out).toContain("3 of 3 runs have results, 3 of them from before");
  });

  it("a run that isn't as expected: which, where and why; status 1, also when it is from before", () => {
    const args = ["sweep", "lab.yaml", "--vary", "broken=false,true", "--out", "broken"];
    const { status, out, err } = swarmwire(...args);
    expect(status).toBe(1);
    expect(err).toBe("✗ broken=true, repeat 1: step 1 (a$ ! true): exit status 1, expected 0\n");
    expect(out).toContain(
      "2 of 2 runs have results, 0 of them from before; 1 not as expected. They stand in broken.\n",
    );
    expect(swarmwire(...args)).toMatchObject({ status: 1, err: "" });
  });

  it.each<[string[], RegExp]>([
    [["sweep"], /^swarmwire sweep: which lab\?\n$/],
    [["sweep", "lab.yaml", "x"], /^swarmwire sweep: one lab at a time; unexpected x\n$/],
    [["sweep", "lab.yaml", "--jobs", "0"], /--jobs 0: expected a number from 1 to 1024\n$/],
    [["sweep", "lab.yaml", "--json", "--csv"], /exclude each other\n$/],
    [["sweep", "lab.yaml", "--out", "lab.yaml/x"], /^swarmwire sweep: --out lab\.yaml\/x: ENOTDIR/],
    [["sweep", "lab.yaml", "--vary", "sise=1"], /^lab\.yaml: there is no sise to set; there are the parameters size/],
    [["run", "lab.yaml", "--set", "size"], /^swarmwire run: --set size: expected KEY=VALUE\n$/],
    [["run", "lab.yaml", "--set", "size=1", "--set", "size=2"], /^swarmwire run: --set size was given twice\n$/],
    [["run", "lab.yaml", "--set", "size=-1"], /^lab\.yaml:7:\d+: steps\[1\]\.workload.* \(with size=-1\)\n$/],
  ])("%j: status 2 and one line", (args, message) => {
    const { status, out, err } = swarmwire(...args);
    expect([status, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
  });

  /** Starts a sweep whose first run is short and whose second is not, and waits for the first. */
  async function underWay(out: string) {
    const args = ["sweep", "long.yaml", "--vary", "time=1s,10000h", "--jobs", "1", "--out", out];
    const child = spawn(process.execPath, [BIN, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    let err = "";
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    const finished = (): string[] => {
      try {
        return readdirSync(join(folder, out));
      } catch {
        return [];
      }
    };
    const children = (): number[] =>
      readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
        .trim()
        .split(" ")
        .filter(Boolean)
        .map(Number);
    while (child.exitCode === null && (finished().length === 0 || children().length === 0))
      await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { child, ended, finished, children, said: () => err };
  }

  it.skipIf(process.platform !== "linux")("Ctrl-C leaves what is finished, and ends what runs", async () => {
    const { child, ended, finished, children, said } = await underWay("stopped");
    const [own] = children();
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(said()).toBe(
      "swarmwire: interrupted: 1 of 2 runs are finished and stand in stopped; the same command goes on with the rest\n",
    );
    expect(finished()).toHaveLength(1);
    expect(() => process.kill(own as number, 0)).toThrow("ESRCH");
  });

  it.skipIf(process.platform !== "linux")("a run whose process dies has no result, and is run again", async () => {
    const { ended, finished, children, said } = await underWay("killed");
    process.kill(children()[0] as number, "SIGKILL");
    expect(await ended).toBe(1);
    expect(said()).toBe("✗ time=10000h, repeat 1: no result: its process was ended by SIGKILL\n");
    expect(finished()).toHaveLength(1);
  });
});

describe("run --profile", () => {
  it("ends with a table, and in the JSON end object; without it there is neither", () => {
    const table = swarmwire("run", "lab.yaml", "--profile", "--quiet").out;
    expect(table).toMatch(/^wall time, ms +sum\nkernel \(Wasm\): packets, timers +\d+\.\d +\d+\.\d %\n/);
    expect(table).toMatch(/\nprograms +\d/);
    expect(table).toMatch(/\ntotal +\d+\.\d\n$/);
    expect(swarmwire("run", "lab.yaml", "--quiet").out).toBe("");
    const two = swarmwire("run", "lab.yaml", "--profile", "--workers", "2").out;
    expect(two).toMatch(/\nwall time, ms +main +worker 0 +worker 1 +sum\n/);
    const end = (...args: string[]) =>
      JSON.parse(
        swarmwire("run", "lab.yaml", "--json", ...args)
          .out.trimEnd()
          .split("\n")
          .at(-1) as string,
      );
    const { profile, counters } = end("--profile");
    const plain = end();
    expect(profile.threads).toMatchObject([{ thread: "main" }]);
    expect(profile.sum.programs).toBeGreaterThan(0);
    expect(counters).toEqual(plain.counters);
    expect(plain).not.toHaveProperty("profile");
  });
});
