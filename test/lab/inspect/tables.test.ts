/** Tables of hosts: they hold what the tools print, and looking at them changes nothing, to the last byte of the kernel. */
import { describe, expect, it } from "vitest";
import { Random } from "../../../src/base/random.ts";
import { Host } from "../../../src/kernel/host.ts";
import { TABLES, type TableId } from "../../../src/lab/inspect/tables/list.ts";
import type { HostTable } from "../../../src/lab/inspect/tables/table.ts";
import { createMachine } from "../../../src/lab/machine.ts";
import { runSteps } from "../../../src/lab/run.ts";
import { LabSession } from "../../../src/lab/session.ts";
import { LabTrace } from "../../../src/lab/trace.ts";
import { MemorySink } from "../../../src/pcap-writer/index.ts";
import { loadKernel } from "../../../src/scheduler/node-adapter.ts";
import { galleryLab, labOf } from "../../support/lab.ts";

const ALL = Object.keys(TABLES) as TableId[];
/** SCRATCH_SIZE of assembly/memory: what the kernel's border writes its answers to. */
const SCRATCH = 262_144;

/** Everything that can be looked at on a host at this moment. */
async function readAll(session: LabSession, host: string): Promise<Map<string, HostTable>> {
  const [tables = []] = await session.inspect([host], { kind: "tables" });
  return new Map(
    tables.map(({ id, namespace, table }) => [namespace === undefined ? id : `${id} ${namespace}`, table]),
  );
}

/** The kernel's memory but for the scratch area. */
function memoryOf(kernel: Host["kernel"]): Uint8Array {
  const copy = kernel.mem.bytes.slice();
  const at = kernel.exports.scratch();
  copy.fill(0, at, at + SCRATCH);
  return copy;
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b) === 0 ? -1 : a.findIndex((byte, i) => byte !== b[i]);
}

interface Run {
  readonly trace: Uint8Array;
  readonly looks: number;
  readonly rows: ReadonlyMap<string, number>;
  /** Address in the kernel's memory that a look has changed first, and by reading what. */
  readonly changed: string | undefined;
}

/** Runs a lab. @param chance how often its hosts are looked at, 0 … 1 */
async function run(lab: string, chance: number): Promise<Run> {
  const plan = galleryLab(lab);
  const sink = new MemorySink();
  const trace = new LabTrace(sink, plan, plan.seed);
  const random = new Random("looks");
  const rows = new Map<string, number>();
  let kernel: Host["kernel"] | undefined;
  let looks = 0;
  let changed: string | undefined;
  let session: LabSession | undefined;
  const look = async (): Promise<void> => {
    if (session === undefined || random.float() >= chance) return;
    const host = plan.hosts[random.below(plan.hosts.length)]?.name ?? "";
    const before = kernel === undefined ? undefined : memoryOf(kernel);
    await session.inspect([host], { kind: "census" });
    for (const [name, table] of await readAll(session, host)) {
      looks++;
      const id = name.split(" ")[0] ?? "";
      rows.set(id, Math.max(rows.get(id) ?? 0, table.rows.length));
      for (const row of table.rows) expect(row.length, name).toBe(table.columns.length);
    }
    const after = kernel === undefined ? undefined : memoryOf(kernel);
    if (before === undefined || after === undefined) return;
    const at = firstDifference(before, after);
    if (at >= 0) changed ??= `${host} at ${session.cluster.now}: byte ${at}`;
  };
  session = await LabSession.start(plan, {
    module: await loadKernel(),
    machines: (os, config, emit, disk) => {
      if (os.kernel instanceof Host) kernel = os.kernel.kernel;
      return createMachine(os, config, emit, disk);
    },
    capture: { patterns: ["*/*/*"], snaplen: 262_144, sink: trace },
    breathe: look,
  });
  try {
    const result = await runSteps(session, {});
    expect(result.steps.flatMap((step) => step.failures)).toEqual([]);
    trace.close(result.end);
    return { trace: sink.bytes(), looks, rows, changed };
  } finally {
    await session.close();
  }
}

describe("looking", () => {
  it.each(["services/drop-4789", "encrypted", "services/crash"])(
    "%s: every table at random moments changes no byte of the kernel and none of the trace",
    async (lab) => {
      const [seen, alone] = [await run(lab, 0.15), await run(lab, 0)];
      expect(seen.changed).toBeUndefined();
      expect(seen.looks).toBeGreaterThan(200);
      expect(alone.looks).toBe(0);
      expect(firstDifference(seen.trace, alone.trace)).toBe(-1);
      // Most tables had something to read.
      const empty = ALL.filter((table) => (seen.rows.get(table) ?? 0) === 0);
      const mayBe: readonly string[] = [
        "xfrm-states",
        "xfrm-policies",
        "ipvs",
        "ipvs-connections",
        "balancers",
        "services",
      ];
      expect(empty.filter((table) => !mayBe.includes(table))).toEqual([]);
    },
  );
});

describe("tables", () => {
  it("say why there is nothing", async () => {
    const plan = labOf("hosts: { host1: {} }\nsteps:\n  - host1: systemctl stop docker\n");
    const session = await LabSession.start(plan, { module: await loadKernel(), machines: createMachine });
    try {
      const why = async (table: TableId, namespace?: string): Promise<string | undefined> => {
        const query = { kind: "table", table, ...(namespace === undefined ? {} : { namespace }) } as const;
        return (await session.inspect(["host1"], query))[0]?.absent;
      };
      expect(await why("fdb", "nowhere")).toBe("there is no network namespace nowhere on host1 at this moment");
      expect(await why("tasks")).toBe("this node is not a swarm manager");
      expect(await why("gossip-entries")).toBe("this node takes part in no swarm");
      expect(await why("routes")).toBeUndefined();
      await runSteps(session, {});
      expect(await why("containers")).toBe("the Docker daemon is stopped");
    } finally {
      await session.close();
    }
  });
});
