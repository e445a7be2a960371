/** `swarmwire bench` as people use it: the compiled command, in processes of its own. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { benchCommand } from "../../src/cli/bench.ts";
import { readAll, readPackets } from "../../src/pcap-writer/index.ts";

const BIN = join(import.meta.dirname, "../../bin/swarmwire.js");
let folder = "";

beforeAll(() => {
  if (!existsSync(join(import.meta.dirname, "../../dist/src/cli/main.js"))) throw new Error("npm run build first");
  folder = mkdtempSync(join(tmpdir(), "swarmwire-bench-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function bench(...args: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, "bench", ...args], {
    encoding: "utf8",
    input: "",
    maxBuffer: 1 << 26,
  });
  return { status, out: stdout, err: stderr };
}

interface Json {
  readonly machine: Record<string, unknown>;
  readonly [key: string]: unknown;
}

function json(...args: string[]): Json {
  const { status, out, err } = bench("mesh", "--json", ...args);
  expect([status, err]).toEqual([0, ""]);
  expect(out.trimEnd()).not.toContain("\n");
  return JSON.parse(out) as Json;
}

const SMALL = ["--hosts", "8", "--rate", "100", "--duration", "200ms"];

describe("help and mistakes", () => {
  it("lists what there is, and says more of each", () => {
    const { status: listed, out: list, err } = bench();
    expect([listed, err]).toEqual([0, ""]);
    expect(list).toMatch(/^Usage: swarmwire bench \[NAME\] \[flags\]\n\n {2}mesh {2}many hosts, /);
    const { status, out } = bench("mesh", "--help");
    expect(status).toBe(0);
    expect(out).toMatch(/--hosts N +hosts \(default 16\)\n/);
    expect(out).toContain("A hop is a frame that a device has sent and its peer has received");
  });

  it.each<[string[], RegExp]>([
    [["frob"], /^swarmwire bench: there is no benchmark frob; see swarmwire bench --help$/],
    [["mesh", "x"], /^swarmwire bench mesh: unexpected x$/],
    [["mesh", "--frob"], /^swarmwire bench mesh: unknown flag --frob; see swarmwire bench mesh --help$/],
    [["mesh", "--hosts", "0"], /^swarmwire bench mesh: --hosts 0: expected a number from 1 /],
    [["mesh", "--hosts", "100000"], /^swarmwire bench mesh: --hosts 100000: expected a number from 1 to /],
    [["mesh", "--control", "magic"], /^swarmwire bench mesh: --control magic: expected one of gossip, converged$/],
    [["mesh", "--traffic", "cbr,x"], /^swarmwire bench mesh: --traffic x: expected one of cbr, poisson, rr, bulk, inc/],
    [["mesh", "--scheduler", "best"], /^swarmwire bench mesh: --scheduler best: expected one of rr, wrr, /],
    [
      ["mesh", "--services", "0", "--scheduler", "rr"],
      /^swarmwire bench mesh: --scheduler needs --services 1 or more$/,
    ],
    [["mesh", "--services", "0", "--vip", "1"], /^swarmwire bench mesh: --vip: 1 given, expected 0, as there are no /],
    [["mesh", "--vip", "120%"], /^swarmwire bench mesh: --vip 120%: expected a share like 1% or 0.01$/],
    [["mesh", "--loss", "lots"], /^swarmwire bench mesh: --loss lots: expected a share like 1% or 0.01$/],
    [["mesh", "--latency", "5"], /^swarmwire bench mesh: --latency 5: expected a time like 50us or 1s$/],
    [["mesh", "--bandwidth", "10"], /^swarmwire bench mesh: --bandwidth 10: expected a rate like 10Gbit or 100mbit$/],
    [["mesh", "--size", "big"], /^swarmwire bench mesh: --size big: expected bytes like 1500, 64K or 4GiB$/],
    [["mesh", "--rate", "-1"], /^swarmwire bench mesh: --rate -1: expected how many a second, a number above 0$/],
    [["mesh", "--spines", "2"], /^swarmwire bench mesh: --spines needs --underlay leaf-spine$/],
    [["mesh", "--racks", "far"], /^swarmwire bench mesh: --racks needs --underlay leaf-spine$/],
    [["mesh", "--encrypted", "some"], /^swarmwire bench mesh: --encrypted some: expected a number from 0 /],
    [
      ["mesh", "--encrypted", "99"],
      /^swarmwire bench mesh: --encrypted: 99 given, expected a whole number from 0 to 4$/,
    ],
    [["mesh", "--span", "2", "--networks", "3"], /^swarmwire bench mesh: --networks: 3 given, expected 8 at least, /],
    [["mesh", "--workers", "65"], /^swarmwire bench mesh: --workers 65: expected a number from 1 to 64$/],
    [["mesh", "--memory", "much"], /^swarmwire bench mesh: --memory much: expected bytes like 1500, 64K or 4GiB$/],
    [
      ["mesh", "--hosts", "1000", "--containers", "100000", "--traffic", "cbr", "--memory", "400M", "--workers", "2"],
      /^swarmwire bench mesh: the mesh takes about 0\.\d+ GiB \(.* in the kernels of 2 workers, .* besides\), and 0\.39 GiB are allowed: about \d+ hosts with \d+ containers and \d+ flows would fit$/,
    ],
    [["mesh", "--capture", "x"], /^swarmwire bench mesh: --capture needs --pcap FILE$/],
    [["mesh", "--pcap", "-"], /^swarmwire bench mesh: --pcap - is for swarmwire run/],
    [["mesh", "--pcap", "/nosuch/x"], /^\/nosuch\/x: ENOENT/],
  ])("%j: one clear line", async (args, message) => {
    const error = await benchCommand(args).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toMatch(message);
    expect((error as UserError).message).not.toContain("\n");
  });

  it("end with status 2", () => {
    expect(bench("mesh", "--hosts", "100000")).toEqual({
      status: 2,
      out: "",
      err: expect.stringMatching(/^swarmwire bench mesh: --hosts 100000: expected .*\n$/),
    });
  });
});

describe("results", () => {
  it("tables: control plane and shape first, then phases, packets, flows, delays, balance, memory", () => {
    const { status, out, err } = bench(
      "mesh",
      ...SMALL,
      "--traffic",
      "cbr,rr",
      "--scheduler",
      "rr,wlc",
      "--services",
      "2",
    );
    expect([status, err]).toEqual([0, ""]);
    const parts = out.split("\n\n");
    expect(parts[0]).toMatch(
      /^mesh, control plane converged: 8 hosts, 80 containers, 32 flows\n2 networks over 5 hosts each, none encrypted, 2 services each \(rr, wlc\); flat underlay \(10Gbit, 50µs\)$/,
    );
    expect(parts[1]).toMatch(/^phase +virtual time +wall time\nstart +1s +\d+\.\d{3} s\ntraffic .*\ndrain +2s /);
    expect(parts[2]).toMatch(
      /^ +number +a second of wall time\npackets made +[\d,]+ +[\d,]+\nframes from host to host /,
    );
    expect(parts[3]).toMatch(
      /^traffic +to +flows +sent +failed +received +least +median +most +fairness\ncbr +direct /,
    );
    expect(parts[4]).toMatch(/^delays +to +number +p50 +p90 +p99 +p99\.9 +max\ncbr +direct +plain +\d/);
    expect(parts[5]).toMatch(
      /^scheduler +services +backends +received +connections +least +mean +most +variation\nrr +2 +40 /,
    );
    expect(parts[6]).toMatch(/^memory \(\d workers?\)\nkernel structures +\d+\.\d MiB\n/);
  });

  it("--json: one object; the same for 1, 2 and 4 workers but for what stands in machine, and so is the trace", () => {
    const flags = [...SMALL, "--traffic", "cbr,poisson,rr", "--encrypted", "1", "--loss", "0.1%", "--services", "2"];
    const runs = [1, 2, 4].map((workers) => {
      const path = join(folder, `w${workers}.pcapng`);
      const result = json(...flags, "--workers", String(workers), "--pcap", path, "--snaplen", "96");
      return { result, trace: readFileSync(path), path };
    });
    const [one, ...others] = runs.map(({ result: { machine, ...rest } }) => ({ machine, rest }));
    expect(others.map(({ rest }) => rest)).toEqual([one?.rest, one?.rest]);
    expect(runs.map(({ trace }) => trace.equals(runs[0]?.trace as Buffer))).toEqual([true, true, true]);
    expect(readPackets(runs[0]?.trace as Buffer).length).toBeGreaterThan(1000);
    expect(existsSync(`${runs[0]?.path}.esp_sa`)).toBe(true);
    expect(one?.machine).toMatchObject({
      workers: 1,
      wall: { start: expect.any(Number), traffic: expect.any(Number) },
    });
    expect(others.map(({ machine }) => machine["workers"])).toEqual([2, 4]);
    expect(one?.rest).toMatchObject({
      bench: "mesh",
      control: "converged",
      cut: false,
      options: { hosts: 8, containers: 80, flows: 32, encrypted: 1, underlay: { kind: "flat", loss: 0.001 } },
      phases: [{ name: "start", virtual: 1e9 }, { name: "traffic" }, { name: "drain", virtual: 2e9 }],
      packets: { made: expect.any(Number), hops: expect.any(Number) },
    });
    expect(one?.rest["flows"]).toHaveLength(32);
    expect(one?.rest["services"]).toHaveLength(4);
    expect(json(...flags, "--seed", "other")["flows"]).not.toEqual(one?.rest["flows"]);
  });

  it("counts hops: a datagram over a flat wire takes three, over a spine two more", () => {
    const flags = ["--hosts", "2", "--containers", "2", "--flows", "1", "--services", "0", "--traffic", "cbr"];
    const hopsOf = (...more: string[]): number => {
      const few = json(...flags, "--rate", "100", ...more)["packets"] as { hops: number };
      const many = json(...flags, "--rate", "1100", ...more)["packets"] as { hops: number };
      return (many.hops - few.hops) / 1000;
    };
    expect(hopsOf()).toBe(3);
    expect(hopsOf("--underlay", "leaf-spine", "--per-leaf", "1")).toBe(5);
  });

  it("links between switches, the busiest first", () => {
    const { out } = bench("mesh", ...SMALL, "--underlay", "leaf-spine", "--per-leaf", "4", "--racks", "far");
    expect(out).toContain(
      "leaf-spine underlay (10Gbit, 50µs; 4 hosts a leaf, neighbours apart, 4 spines, uplinks 40Gbit, 5µs)",
    );
    expect(out).toMatch(/\nlink +frames +bytes +load +dropped +most waiting\n(leaf|spine)\d > (leaf|spine)\d +\d+ /);
    expect(out).toContain("8 links less busy");
  });
});

describe("interruption", () => {
  it("Ctrl-C: the results so far, a whole trace, status 130", async () => {
    const path = join(folder, "cut.pcapng");
    const args = ["bench", "mesh", "--hosts", "8", "--duration", "1000s", "--pcap", path, "--workers", "2"];
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    const begun = setInterval(() => {
      if (!existsSync(path) || readFileSync(path).length < 1 << 20) return;
      clearInterval(begun);
      child.kill("SIGINT");
    }, 50);
    const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
    clearInterval(begun);
    expect(status).toBe(130);
    expect(err).toMatch(/^swarmwire: interrupted at .* of virtual time\n$/);
    expect(out).toMatch(/^mesh, control plane converged: 8 hosts/);
    expect(out).toContain("Stopped before the end: these are the results so far.\n");
    expect(out).toMatch(/\ncbr +direct +plain +\d+ +[\d,]+/);
    const { records, error } = readAll(readFileSync(path));
    expect(error).toBeUndefined();
    const told = Number(/, (\d+) packets\. Open it/.exec(out)?.[1]);
    expect(records.filter((record) => record.kind === "packet")).toHaveLength(told);
  });
});
