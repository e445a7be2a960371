/** Each scheduler's choices against those of a real kernel (J-ipvs-schedulers): 20 clients, 10 ports each, 5 servers. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatIpv4 } from "../../src/base/addr.ts";
import type { IpvsScheduler } from "../../src/kernel/ipvs-types.ts";
import { farm, serve, service, VIP } from "../ipvs/net.ts";
import { goldenAvailable, goldenFolder, goldenText, goldenTitle } from "../support/golden.ts";
import { ip, kernelBuilt, pass } from "../support/kernel.ts";

const SCENARIO = "J-ipvs-schedulers";

function files(end: string): string[] {
  if (!goldenAvailable) return [];
  return readdirSync(join(goldenFolder, SCENARIO))
    .filter((name) => name.endsWith(end))
    .sort();
}

interface Table {
  scheduler: IpvsScheduler;
  flags: ("fallback" | "port")[];
  weights: number[];
  /** Client address, port, server. */
  choices: (readonly [string, number, string])[];
}

function parse(text: string): Table {
  const [, scheduler, flags = "", weights = ""] =
    /sched=(\S+) flags=(\S+) weights=\[(.*?)\] fwmark=None vip=10\.1\.0\.1:80/.exec(text) ?? [];
  return {
    scheduler: scheduler as IpvsScheduler,
    flags: (["fallback", "port"] as const).filter((flag) => flags.includes(`-${flag}`)),
    weights: weights.split(", ").map(Number),
    choices: [...text.matchAll(/^(\d\S+) (\d+) (\d\S+)$/gm)].map(
      ([, client = "", port, chosen = ""]) => [client, Number(port), chosen] as const,
    ),
  };
}

/** The server of each datagram, in the order in which they are sent. */
async function choices(table: Table): Promise<string[]> {
  const { kernel, director, client, conserved } = await farm();
  serve(director, service("udp"), table.weights, { scheduler: table.scheduler, schedulerFlags: table.flags });
  for (const [address, port] of table.choices) {
    const socket = client.socket.udp();
    socket.bind(ip(address), port);
    socket.sendTo(new Uint8Array(5), ip(VIP), 80);
    pass(kernel, 1e5);
    socket.close();
  }
  const chosen = new Map(
    director.ipvs
      .connections()
      .map((one) => [`${formatIpv4(one.client.ip)} ${one.client.port}`, formatIpv4(one.destination.ip)]),
  );
  expect(conserved()).toBe(true);
  return table.choices.map(([address, port]) => chosen.get(`${address} ${port}`) ?? "none");
}

describe.skipIf(!kernelBuilt || !goldenAvailable)(goldenTitle("IPVS schedulers choose as Linux does"), () => {
  it("there are tables of all schedulers", () => {
    const schedulers = new Set(files(".txt").map((name) => parse(goldenText(`${SCENARIO}/${name}`)).scheduler));
    expect([...schedulers].sort()).toEqual(["dh", "fo", "lc", "mh", "rr", "sed", "sh", "wlc", "wrr"]);
  });

  it.each(files(".txt"))("%s", async (name) => {
    const table = parse(goldenText(`${SCENARIO}/${name}`));
    expect(table.choices).toHaveLength(200);
    expect(await choices(table)).toEqual(table.choices.map(([, , chosen]) => chosen));
  });

  /** `label total [per server] choices`: also of the schedulers whose tables weren't kept. */
  const summary = goldenAvailable ? goldenText(`${SCENARIO}/summary.log`) : "";
  const lines = [...summary.matchAll(/^udp-(\w+)-(equal|weighted) 200 \[(.*?)\] ([1-5]{40})$/gm)];
  it.each(lines.map(([, scheduler = "", kind = "", counts = "", first = ""]) => ({ scheduler, kind, counts, first })))(
    "summary: $scheduler, $kind",
    async ({ scheduler, kind, counts, first }) => {
      const clients = Array.from({ length: 20 }, (_, i) => `10.2.0.${i + 1}`);
      const table: Table = {
        scheduler: scheduler as IpvsScheduler,
        flags: [],
        weights: kind === "equal" ? [1, 1, 1, 1, 1] : [1, 2, 3, 4, 5],
        choices: clients.flatMap((address) => Array.from({ length: 10 }, (_, i) => [address, 40000 + i, ""] as const)),
      };
      const servers = (await choices(table)).map((address) => address.slice(-1));
      expect(servers.slice(0, 40).join("")).toBe(first);
      const count = ["1", "2", "3", "4", "5"].map((server) => servers.filter((one) => one === server).length);
      expect(count.join(", ")).toBe(counts);
    },
  );

  it.each(files(".err"))("%s: the kernel has no such scheduler", async (name) => {
    expect(goldenText(`${SCENARIO}/${name}`)).toBe("Scheduler or persistence engine not found\n");
    const { director } = await farm();
    const scheduler = /udp-(\w+)-/.exec(name)?.[1] as IpvsScheduler;
    expect(() => director.ipvs.addService({ id: service("udp"), scheduler })).toThrow(
      expect.objectContaining({ code: "ENOENT" }),
    );
  });
});
