/** The mysql:5.7 image: its entrypoint script, and mysqld as far as logging in and asking around go. */
import { formatIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { MS, SEC } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { type Proc, sleep } from "../../scheduler/process.ts";
import { decodeBytes } from "../../shell/lib/program.ts";
import { SocketReader } from "../../shell/lib/socket-reader.ts";
import { isoTime } from "../server/log-time.ts";
import { type Ending, stopOnTermination, TcpService } from "../server/tcp-service.ts";
import {
  COM,
  errorPacket,
  greeting,
  MysqlError,
  nativePassword,
  okPacket,
  PacketStream,
  readLogin,
  resultPackets,
} from "./packet.ts";
import { chooseDatabase, type Databases, type MysqlSession, runStatement } from "./statements.ts";

/** What it says of itself. */
export const MYSQL_VERSION = "5.7.43";
/** What the first start takes on an ordinary machine: files, the temporary server, its end. */
const INITIALIZE = 6 * SEC;
const TEMPORARY = 2 * SEC;
const START = 500 * MS;
/** How long a client may take to log in (connect_timeout). */
const CONNECT_TIMEOUT = 10 * SEC;

function entry(context: ProgramContext, level: string, text: string): void {
  const time = isoTime(context.os.now()).slice(0, 19).replace("T", " ");
  const line = `${time}+00:00 [${level}] [Entrypoint]: ${text}\n`;
  (level === "Note" ? context.stdout : context.stderr).write(line);
}

class Mysqld implements Databases {
  readonly names = new Set(["information_schema", "mysql", "performance_schema", "sys"]);
  readonly version = MYSQL_VERSION;
  readonly hostname: string;
  /** Passwords by user. */
  readonly users = new Map<string, string>();
  readonly #context: ProgramContext;
  readonly #open = new Map<number, MysqlSession>();
  #lastSession = 1;

  constructor(context: ProgramContext) {
    this.#context = context;
    this.hostname = context.hostname;
  }

  now(): number {
    return this.#context.os.now();
  }

  sessions(): readonly MysqlSession[] {
    return [...this.#open.values()];
  }

  log(thread: number, level: string, text: string): void {
    this.#context.stderr.write(`${isoTime(this.now())} ${thread} [${level}] ${text}\n`);
  }

  *serve(socket: TcpSocket): Proc<void> {
    const stream = new PacketStream(socket, new SocketReader(socket));
    const id = ++this.#lastSession;
    const random = this.#context.os.random.fork(`mysql ${this.#context.pid} ${id}`);
    // Scrambles have no zero bytes and no dollar signs.
    const scramble = Uint8Array.from({ length: 20 }, () => 37 + random.below(90));
    yield* stream.send(greeting(this.version, id, scramble));
    const host = formatIpv4(socket.remoteAddress().ip);
    const packet = yield* stream.receive(this.now() + CONNECT_TIMEOUT);
    if (packet === undefined) return;
    const login = readLogin(packet);
    if (login === undefined) {
      yield* stream.send(errorPacket(new MysqlError(1043, "08S01", "Bad handshake")));
      return;
    }
    const session: MysqlSession = { id, user: login.user, host, database: undefined };
    try {
      const password = this.users.get(login.user);
      const right = password === undefined ? undefined : nativePassword(password, scramble);
      const same =
        right !== undefined &&
        right.length === login.answer.length &&
        right.every((byte, at) => byte === login.answer[at]);
      if (!same) {
        const using = login.answer.length > 0 ? "YES" : "NO";
        this.log(id, "Note", `Access denied for user '${login.user}'@'${host}' (using password: ${using})`);
        throw new MysqlError(
          1045,
          "28000",
          `Access denied for user '${login.user}'@'${host}' (using password: ${using})`,
        );
      }
      if (login.database !== undefined) chooseDatabase(login.database, session, this);
    } catch (error) {
      if (!(error instanceof MysqlError)) throw error;
      yield* stream.send(errorPacket(error));
      return;
    }
    yield* stream.send(okPacket());
    this.#open.set(id, session);
    try {
      yield* this.#commands(stream, session);
    } finally {
      this.#open.delete(id);
    }
  }

  *#commands(stream: PacketStream, session: MysqlSession): Proc<void> {
    for (;;) {
      stream.reset();
      const packet = yield* stream.receive();
      if (packet === undefined || packet[0] === COM.quit) return;
      const text = decodeBytes(packet.subarray(1));
      try {
        const result =
          packet[0] === COM.ping
            ? undefined
            : packet[0] === COM.initDb
              ? chooseDatabase(text, session, this)
              : packet[0] === COM.query
                ? runStatement(text, session, this)
                : unknownCommand();
        for (const reply of result === undefined ? [okPacket()] : resultPackets(result)) yield* stream.send(reply);
      } catch (error) {
        if (!(error instanceof MysqlError)) throw error;
        yield* stream.send(errorPacket(error));
      }
    }
  }
}

function unknownCommand(): never {
  throw new MysqlError(1047, "08S01", "Unknown command");
}

/** docker-entrypoint.sh: an empty data directory is filled, and needs a password for root. @returns it went well */
function* initialize(context: ProgramContext, server: Mysqld): Proc<boolean> {
  const { env } = context;
  const root = env.get("MYSQL_ROOT_PASSWORD") ?? "";
  const empty = (env.get("MYSQL_ALLOW_EMPTY_PASSWORD") ?? "") !== "";
  const random = (env.get("MYSQL_RANDOM_ROOT_PASSWORD") ?? "") !== "";
  if (root === "" && !empty && !random) {
    entry(
      context,
      "ERROR",
      "Database is uninitialized and password option is not specified\n    You need to specify one of the following as an environment variable:\n    - MYSQL_ROOT_PASSWORD\n    - MYSQL_ALLOW_EMPTY_PASSWORD\n    - MYSQL_RANDOM_ROOT_PASSWORD",
    );
    return false;
  }
  entry(context, "Note", "Initializing database files");
  yield* sleep(context.os, INITIALIZE);
  entry(context, "Note", "Database files initialized");
  entry(context, "Note", "Starting temporary server");
  yield* sleep(context.os, TEMPORARY);
  entry(context, "Note", "Temporary server started.");
  let password = root;
  if (random && root === "") {
    const letters = context.os.random.fork(`mysql password ${context.hostname}`);
    password = Array.from({ length: 24 }, () => letters.below(36).toString(36)).join("");
    entry(context, "Note", `GENERATED ROOT PASSWORD: ${password}`);
  }
  server.users.set("root", password);
  const database = env.get("MYSQL_DATABASE") ?? "";
  if (database !== "") {
    entry(context, "Note", `Creating database ${database}`);
    server.names.add(database);
  }
  const user = env.get("MYSQL_USER") ?? "";
  if (user !== "" && env.has("MYSQL_PASSWORD")) {
    entry(context, "Note", `Creating user ${user}`);
    server.users.set(user, env.get("MYSQL_PASSWORD") as string);
    if (database !== "") entry(context, "Note", `Giving user ${user} access to schema ${database}`);
  }
  entry(context, "Note", "Stopping temporary server");
  yield* sleep(context.os, TEMPORARY);
  entry(context, "Note", "Temporary server stopped");
  entry(context, "Note", "MySQL init process done. Ready for start up.");
  return true;
}

/** `docker-entrypoint.sh mysqld`. */
export const mysqld: Program = function* (context) {
  const started = `Entrypoint script for MySQL Server ${MYSQL_VERSION}-1.el7 started.`;
  entry(context, "Note", started);
  entry(context, "Note", "Switching to dedicated user 'mysql'");
  entry(context, "Note", started);
  const server = new Mysqld(context);
  if (!(yield* initialize(context, server))) return 1;
  yield* sleep(context.os, START);
  const service = new TcpService(context, "mysqld");
  try {
    service.listen(3306, 0, 80);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    server.log(0, "ERROR", "Can't start server: Bind on TCP/IP port: Address already in use");
    server.log(0, "ERROR", "Aborting");
    return 1;
  }
  server.log(0, "Note", "mysqld: ready for connections.");
  context.stderr.write(
    `Version: '${MYSQL_VERSION}'  socket: '/var/run/mysqld/mysqld.sock'  port: 3306  MySQL Community Server (GPL)\n`,
  );
  const onSignal = (name: string): Ending => {
    const ending = stopOnTermination(name);
    if (ending !== undefined) server.log(0, "Note", "Giving 0 client threads a chance to die gracefully");
    return ending;
  };
  yield* service.serve((socket) => server.serve(socket), onSignal);
  server.log(0, "Note", "mysqld: Shutdown complete");
  return 0;
};
