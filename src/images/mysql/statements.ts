/** The statements that the emulated MySQL answers: what clients ask to find out where they are. Data it has none. */
import { unixSeconds } from "../../base/wall-clock.ts";
import { MysqlError, type ResultSet } from "./packet.ts";

/** A session as statements see it. */
export interface MysqlSession {
  readonly id: number;
  readonly user: string;
  readonly host: string;
  database: string | undefined;
}

/** Databases by name. */
export interface Databases {
  readonly names: Set<string>;
  readonly version: string;
  readonly hostname: string;
  readonly sessions: () => readonly MysqlSession[];
  now(): number;
}

type Cell = string | null;

function scalar(expression: string, session: MysqlSession, databases: Databases): Cell | undefined {
  const text = expression.toLowerCase();
  const quoted = /^'(.*)'$/.exec(expression);
  if (quoted !== null) return quoted[1] as string;
  if (/^-?\d+(\.\d+)?$/.test(expression)) return expression;
  const sum = /^(\d+)\s*\+\s*(\d+)$/.exec(expression);
  if (sum !== null) return String(Number(sum[1]) + Number(sum[2]));
  const known: Readonly<Record<string, () => Cell>> = {
    "version()": () => databases.version,
    "@@version": () => databases.version,
    "@@hostname": () => databases.hostname,
    "@@version_comment": () => "MySQL Community Server (GPL)",
    "@@port": () => "3306",
    "@@sql_mode": () =>
      "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION",
    "database()": () => session.database ?? null,
    "schema()": () => session.database ?? null,
    "user()": () => `${session.user}@${session.host}`,
    "current_user()": () => `${session.user}@%`,
    "connection_id()": () => String(session.id),
    "now()": () => new Date(unixSeconds(databases.now()) * 1000).toISOString().slice(0, 19).replace("T", " "),
    null: () => null,
  };
  return known[text.replace(/^@@(global|session)\./, "@@")]?.();
}

function select(list: string, session: MysqlSession, databases: Databases): ResultSet {
  const columns: string[] = [];
  const row: Cell[] = [];
  for (const item of list.split(/,(?![^(']*[)'])/)) {
    const [expression = "", name] = item.trim().split(/\s+as\s+/i);
    const value = scalar(expression, session, databases);
    if (value === undefined) {
      const column = expression.replaceAll("`", "");
      if (expression.startsWith("@@"))
        throw new MysqlError(1193, "HY000", `Unknown system variable '${expression.slice(2)}'`);
      throw new MysqlError(1054, "42S22", `Unknown column '${column}' in 'field list'`);
    }
    columns.push(name ?? (/^'/.test(expression) ? expression.slice(1, -1) : expression));
    row.push(value);
  }
  return { columns, rows: [row] };
}

/** Runs a statement. @returns its rows; undefined for OK. @throws MysqlError */
export function runStatement(sql: string, session: MysqlSession, databases: Databases): ResultSet | undefined {
  const text = sql.trim().replace(/;$/, "").trim();
  if (text === "") throw new MysqlError(1065, "42000", "Query was empty");
  const [verb = ""] = text.toUpperCase().split(/\s+/);
  if (verb === "SET") return undefined;
  const picked = /^SELECT\s+((?:(?!\sFROM\s)[\s\S])+?)(?:\s+LIMIT\s+\d+)?$/i.exec(text);
  if (picked !== null) return select(picked[1] as string, session, databases);
  if (/^SHOW\s+(DATABASES|SCHEMAS)$/i.test(text))
    return { columns: ["Database"], rows: [...databases.names].sort().map((name) => [name]) };
  if (/^SHOW\s+TABLES$/i.test(text)) {
    if (session.database === undefined) throw new MysqlError(1046, "3D000", "No database selected");
    return { columns: [`Tables_in_${session.database}`], rows: [] };
  }
  if (/^SHOW\s+PROCESSLIST$/i.test(text))
    return {
      columns: ["Id", "User", "Host", "db", "Command"],
      rows: databases
        .sessions()
        .map((one) => [String(one.id), one.user, one.host, one.database ?? null, one === session ? "Query" : "Sleep"]),
    };
  const use = /^USE\s+`?([^`\s]+)`?$/i.exec(text);
  if (use !== null) return chooseDatabase(use[1] as string, session, databases);
  const create = /^CREATE\s+(?:DATABASE|SCHEMA)\s+(IF\s+NOT\s+EXISTS\s+)?`?([^`\s]+)`?/i.exec(text);
  if (create !== null) {
    const name = create[2] as string;
    if (databases.names.has(name) && create[1] === undefined)
      throw new MysqlError(1007, "HY000", `Can't create database '${name}'; database exists`);
    databases.names.add(name);
    return undefined;
  }
  const drop = /^DROP\s+(?:DATABASE|SCHEMA)\s+(IF\s+EXISTS\s+)?`?([^`\s]+)`?/i.exec(text);
  if (drop !== null) {
    const name = drop[2] as string;
    if (!databases.names.delete(name) && drop[1] === undefined)
      throw new MysqlError(1008, "HY000", `Can't drop database '${name}'; database doesn't exist`);
    return undefined;
  }
  if (/^(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|GRANT|SHOW|DESCRIBE|EXPLAIN|FLUSH)\b/i.test(text))
    throw new MysqlError(1235, "42000", `This version of MySQL doesn't yet support '${text.slice(0, 60)}'`);
  throw new MysqlError(
    1064,
    "42000",
    `You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near '${text.slice(0, 80)}' at line 1`,
  );
}

/** COM_INIT_DB and USE. */
export function chooseDatabase(name: string, session: MysqlSession, databases: Databases): undefined {
  if (!databases.names.has(name)) throw new MysqlError(1049, "42000", `Unknown database '${name}'`);
  session.database = name;
  return undefined;
}
