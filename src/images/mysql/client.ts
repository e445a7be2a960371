/** `mysql` and `mysqladmin` 5.7: a connection, statements from -e or standard input, ping. */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { ERRNO_NUMBER, KernelError } from "../../base/errors.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import { connectTcp } from "../../scheduler/io.ts";
import { type Proc, sleep } from "../../scheduler/process.ts";
import { encode } from "../../shell/lib/program.ts";
import { lookup } from "../../shell/lib/resolve.ts";
import { SocketReader } from "../../shell/lib/socket-reader.ts";
import {
  COM,
  loginPacket,
  MysqlError,
  PacketStream,
  type ResultSet,
  readError,
  readGreeting,
  readResult,
} from "./packet.ts";

/** A connection that is logged in. */
export interface MysqlConnection {
  readonly stream: PacketStream;
  readonly version: string;
  /** The server's address. */
  readonly ip: Ipv4;
  query(sql: string): Proc<ResultSet | MysqlError | undefined>;
  ping(): Proc<boolean>;
  close(): void;
}

/** Client errors (errmsg.h). */
const CR_UNKNOWN_HOST = 2005;
const CR_CONN_HOST_ERROR = 2003;
const CR_SERVER_LOST = 2013;

/**
 * Connects and logs in.
 * @returns the error as the client library words it when it can't
 */
export function* connectMysql(
  context: ProgramContext,
  host: string,
  port: number,
  login: { readonly user: string; readonly password: string; readonly database?: string | undefined },
  timeout: Time = 10 * SEC,
): Proc<MysqlConnection | MysqlError> {
  const found = yield* lookup(context, host, "glibc");
  if (!found.ok) return new MysqlError(CR_UNKNOWN_HOST, "HY000", `Unknown MySQL server host '${host}' (-2)`);
  const ip = found.addresses[0] as Ipv4;
  const until = context.os.now() + timeout;
  const refused = (number: number): MysqlError =>
    new MysqlError(CR_CONN_HOST_ERROR, "HY000", `Can't connect to MySQL server on '${host}' (${number})`);
  try {
    const socket = yield* connectTcp(context.ns, ip, port, until);
    socket.setOwner("mysql");
    const stream = new PacketStream(socket, new SocketReader(socket));
    const first = yield* stream.receive(until);
    const hello = first === undefined ? undefined : readGreeting(first);
    if (hello === undefined) {
      socket.close();
      const lost = "Lost connection to MySQL server at 'reading initial communication packet', system error: 0";
      return (first && readError(first)) ?? new MysqlError(CR_SERVER_LOST, "HY000", lost);
    }
    yield* stream.send(loginPacket(login.user, login.password, login.database, hello.scramble));
    const answer = yield* stream.receive(until);
    const error =
      answer === undefined
        ? new MysqlError(CR_SERVER_LOST, "HY000", "Lost connection to MySQL server")
        : readError(answer);
    if (error !== undefined) {
      socket.close();
      return error;
    }
    return {
      stream,
      version: hello.version,
      ip,
      *query(sql) {
        stream.reset();
        yield* stream.send(Uint8Array.of(COM.query, ...encode(sql)));
        const result = yield* readResult(stream);
        return result === "gone"
          ? new MysqlError(CR_SERVER_LOST, "HY000", "Lost connection to MySQL server during query")
          : result;
      },
      *ping() {
        stream.reset();
        yield* stream.send(Uint8Array.of(COM.ping));
        return (yield* stream.receive())?.[0] === 0;
      },
      close: () => socket.close(),
    };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return refused(ERRNO_NUMBER[error.code]);
  }
}

interface Arguments {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly execute: readonly string[];
  readonly table: boolean;
  readonly names: boolean;
  readonly words: readonly string[];
}

function parseArguments(argv: readonly string[]): Arguments {
  const values = new Map<string, string>();
  const execute: string[] = [];
  const words: string[] = [];
  const long: Readonly<Record<string, string>> = {
    host: "h",
    port: "P",
    user: "u",
    password: "p",
    execute: "e",
    table: "t",
    "skip-column-names": "N",
    silent: "s",
  };
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] as string;
    const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(word) ?? /^-([a-zA-Z])(.*)$/s.exec(word);
    if (match === null) {
      words.push(word);
      continue;
    }
    const letter = (match[1] as string).length === 1 ? (match[1] as string) : (long[match[1] as string] ?? "");
    const own = match[2] === undefined || match[2] === "" ? undefined : match[2];
    if (letter === "p") values.set("p", own ?? "");
    else if ("hPue".includes(letter) && letter !== "") {
      const value = own ?? argv[++at] ?? "";
      if (letter === "e") execute.push(value);
      else values.set(letter, value);
    } else values.set(letter, "");
  }
  return {
    host: values.get("h") ?? "127.0.0.1",
    port: Number(values.get("P") ?? 3306),
    user: values.get("u") ?? "root",
    password: values.get("p"),
    execute,
    table: values.has("t"),
    names: !values.has("N"),
    words,
  };
}

function* open(
  context: ProgramContext,
  name: string,
  args: Arguments,
  database?: string,
): Proc<MysqlConnection | undefined> {
  if (args.password !== undefined && args.password !== "")
    context.stderr.write(`${name}: [Warning] Using a password on the command line interface can be insecure.\n`);
  const login = { user: args.user, password: args.password ?? context.env.get("MYSQL_PWD") ?? "", database };
  const connection = yield* connectMysql(context, args.host, args.port, login);
  if (!(connection instanceof MysqlError)) return connection;
  if (name === "mysqladmin") {
    context.stderr.write(`mysqladmin: connect to server at '${args.host}' failed\nerror: '${connection.message}'\n`);
    if (connection.code === CR_CONN_HOST_ERROR)
      context.stderr.write(
        `Check that mysqld is running on ${args.host} and that the port is ${args.port}.\nYou can check this by doing 'telnet ${args.host} ${args.port}'\n`,
      );
  } else context.stderr.write(`ERROR ${connection.code} (${connection.state}): ${connection.message}\n`);
  return undefined;
}

/** mysql(1). */
export const mysql: Program = function* (context) {
  const args = parseArguments(context.argv);
  const connection = yield* open(context, "mysql", args, args.words[0]);
  if (connection === undefined) return 1;
  try {
    const boxed = args.table || (context.tty && args.execute.length > 0);
    const statements = args.execute.length > 0 ? args.execute.join(";") : yield* context.stdin.readAll();
    for (const [at, sql] of statements.split(";").entries()) {
      if (sql.trim() === "") continue;
      const result = yield* connection.query(sql.trim());
      if (result instanceof MysqlError) {
        context.stderr.write(`ERROR ${result.code} (${result.state}) at line ${at + 1}: ${result.message}\n`);
        return 1;
      }
      if (result !== undefined) context.stdout.write(boxed ? box(result) : plain(result, args.names));
    }
    return 0;
  } finally {
    connection.close();
  }
};

function plain({ columns, rows }: ResultSet, names: boolean): string {
  if (rows.length === 0) return "";
  return [...(names ? [columns] : []), ...rows]
    .map((row) => `${row.map((cell) => cell ?? "NULL").join("\t")}\n`)
    .join("");
}

function box({ columns, rows }: ResultSet): string {
  if (rows.length === 0) return "";
  const lines = [columns, ...rows.map((row) => row.map((cell) => cell ?? "NULL"))];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => (line[at] as string).length)));
  const rule = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+\n`;
  const [head, ...body] = lines.map(
    (line) => `|${line.map((cell, at) => ` ${cell.padEnd(widths[at] as number)} `).join("|")}|\n`,
  );
  return `${rule}${head}${rule}${body.join("")}${rule}`;
}

/** mysqladmin(1). */
export const mysqladmin: Program = function* (context) {
  const args = parseArguments(context.argv);
  const [command] = args.words;
  if (command === "ping") {
    // Somebody who is refused has found a server that is alive.
    const login = { user: args.user, password: args.password ?? "", database: undefined };
    const connection = yield* connectMysql(context, args.host, args.port, login);
    if (!(connection instanceof MysqlError)) connection.close();
    else if (connection.code >= 2000)
      return (yield* open(context, "mysqladmin", { ...args, password: undefined })) === undefined ? 1 : 0;
    context.stdout.write("mysqld is alive\n");
    return 0;
  }
  const connection = yield* open(context, "mysqladmin", args);
  if (connection === undefined) return 1;
  try {
    if (command === "version" || command === "status") {
      yield* sleep(context.os, 0);
      context.stdout.write(
        `Server version\t\t${connection.version}\nProtocol version\t10\nConnection\t\t${formatIpv4(connection.ip)} via TCP/IP\nTCP port\t\t${args.port}\n`,
      );
      return 0;
    }
    context.stderr.write(`mysqladmin: Unknown command: '${command ?? ""}'\n`);
    return 1;
  } finally {
    connection.close();
  }
};
