/** Tables, in the session's worker. */
import type { TableId } from "../../../src/lab/inspect/tables/list.ts";
import type { HostTable } from "../../../src/lab/inspect/tables/table.ts";
import type { SessionContext } from "../context.ts";
import type { Emulation } from "../emulation.ts";
import { turn } from "../time/turn.ts";
import { Agreement, compareTables } from "./compare.ts";
import { MOMENT_HOSTS, Moments, tableKey } from "./moments.ts";
import type { TableChoice, TablesApi, TimedTable } from "./protocol.ts";

/** Hosts that are asked at a time: with more, all tables together could take more memory than there is. */
const BATCH = 64;

const OFF = "the host is switched off";

function queryOf(table: TableId, namespace: string | undefined) {
  return { kind: "table", table, ...(namespace === undefined ? {} : { namespace }) } as const;
}

/** The page may still ask about a host of the lab that was open before. */
function known(emulation: Emulation, host: string): boolean {
  return emulation.plan.hosts.some(({ name }) => name === host);
}

async function read(emulation: Emulation, { host, table, namespace }: TableChoice): Promise<TimedTable> {
  if (!known(emulation, host))
    return { columns: [], rows: [], absent: `there is no host ${host}`, time: emulation.now };
  const [found] = await emulation.inspect([host], queryOf(table, namespace));
  return { ...(found ?? { columns: [], rows: [], absent: OFF }), time: emulation.now };
}

/** @param context holds the emulation */
export function tablesApi(context: SessionContext): TablesApi {
  const kept = new Moments();
  const moments = (): Moments => {
    const { plan, seed } = context.emulation;
    kept.open(plan.name, seed);
    return kept;
  };
  const tableOf = async (choice: TableChoice): Promise<TimedTable> =>
    choice.moment === undefined ? await read(context.emulation, choice) : moments().table(choice.moment, choice);
  return {
    async namespaces(host) {
      const { emulation } = context;
      if (!known(emulation, host)) return [];
      return (await emulation.inspect([host], { kind: "namespaces" }))[0] ?? [];
    },
    table: tableOf,
    compareTables: async (left, right, options) => compareTables(await tableOf(left), await tableOf(right), options),
    async tableOfHosts(table, namespace) {
      const { emulation } = context;
      const hosts = emulation.plan.hosts.map(({ name }) => name);
      const agreement = new Agreement(hosts.length);
      for (let at = 0; at < hosts.length; at += BATCH) {
        // What the page asks meanwhile gets its turn: a pause, above all.
        if (at > 0) await turn();
        const some = hosts.slice(at, at + BATCH);
        const answers = await emulation.inspect(some, queryOf(table, namespace));
        for (const [i, host] of some.entries())
          agreement.add(host, answers[i] ?? { columns: [], rows: [], absent: OFF });
      }
      return agreement.result();
    },
    async keepMoment(first) {
      const { emulation } = context;
      const names = emulation.plan.hosts.map(({ name }) => name);
      const hosts = [...new Set([...names.filter((name) => name === first), ...names])].slice(0, MOMENT_HOSTS);
      // In one question, so that it is one moment.
      const answers = await emulation.inspect(hosts, { kind: "tables" });
      const tables = new Map<string, HostTable>();
      for (const [i, host] of hosts.entries())
        for (const { id, namespace, table } of answers[i] ?? [])
          tables.set(tableKey({ host, table: id, namespace }), table);
      return moments().keep(emulation.now, hosts, tables);
    },
    moments: () => moments().all,
    forgetMoment: (id) => moments().forget(id),
  };
}
