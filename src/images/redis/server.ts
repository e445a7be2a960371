/** `redis-server` 7.2: clients, publish and subscribe, and what it logs (src/server.c, networking.c, pubsub.c). */
import { formatIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { sendTcp } from "../../scheduler/io.ts";
import type { Proc } from "../../scheduler/process.ts";
import { encode, glibcError } from "../../shell/lib/program.ts";
import { SocketReader } from "../../shell/lib/socket-reader.ts";
import { redisTime } from "../server/log-time.ts";
import { type Ending, stopOnTermination, TcpService } from "../server/tcp-service.ts";
import { Keyspace, runCommand, type Surroundings } from "./commands.ts";
import { array, bulk, failed, formatReply, integer, NIL, OK, type Reply, readCommand } from "./resp.ts";

/** What it says of itself. */
export const REDIS_VERSION = "7.2.1";
/** A dead peer is found after this long without a word from it (tcp-keepalive 300). */
const KEEPALIVE = 300 * SEC;

interface Client {
  readonly id: number;
  readonly socket: TcpSocket;
  readonly channels: Set<string>;
  authenticated: boolean;
}

class RedisServer implements Surroundings {
  readonly #context: ProgramContext;
  readonly #port: number;
  readonly #password: string | undefined;
  readonly #db = new Keyspace();
  readonly #clients = new Map<number, Client>();
  readonly #started: number;
  #lastClient = 0;
  #commands = 0;

  constructor(context: ProgramContext, port: number, password: string | undefined) {
    this.#context = context;
    this.#port = port;
    this.#password = password;
    this.#started = context.os.now();
  }

  now(): number {
    return this.#context.os.now();
  }

  log(role: "C" | "M" | "signal-handler", level: string, text: string): void {
    const { pid, os, stdout } = this.#context;
    const who =
      role === "signal-handler"
        ? `${pid}:signal-handler (${unixSeconds(os.now())})`
        : `${pid}:${role} ${redisTime(os.now())}`;
    stdout.write(`${who} ${level} ${text}\n`);
  }

  info(section: string): string {
    const uptime = Math.floor((this.now() - this.#started) / SEC);
    const keys = this.#db.size;
    const sections: Readonly<Record<string, readonly string[]>> = {
      server: [
        "# Server",
        `redis_version:${REDIS_VERSION}`,
        "redis_mode:standalone",
        "os:Linux 6.1.0 x86_64",
        "arch_bits:64",
        `process_id:${this.#context.pid}`,
        `tcp_port:${this.#port}`,
        `uptime_in_seconds:${uptime}`,
        `uptime_in_days:${Math.floor(uptime / 86400)}`,
      ],
      clients: ["# Clients", `connected_clients:${this.#clients.size}`, "blocked_clients:0", "maxclients:10000"],
      stats: [
        "# Stats",
        `total_connections_received:${this.#lastClient}`,
        `total_commands_processed:${this.#commands}`,
      ],
      replication: ["# Replication", "role:master", "connected_slaves:0"],
      keyspace: ["# Keyspace", ...(keys === 0 ? [] : [`db0:keys=${keys},expires=${this.#db.expiring},avg_ttl=0`])],
    };
    const wanted = ["default", "all", "everything"].includes(section) ? Object.keys(sections) : [section];
    return wanted
      .flatMap((name) => (sections[name] === undefined ? [] : [`${sections[name].join("\r\n")}\r\n`]))
      .join("\r\n");
  }

  publish(channel: string, message: string): number {
    let count = 0;
    for (const client of this.#clients.values()) {
      if (!client.channels.has(channel)) continue;
      count++;
      this.#context.os.spawn(
        "redis publish",
        send(client.socket, array([bulk("message"), bulk(channel), bulk(message)])),
      );
    }
    return count;
  }

  *serve(socket: TcpSocket): Proc<void> {
    socket.setNoDelay(true);
    socket.setKeepalive(true, KEEPALIVE, KEEPALIVE / 3, 3);
    const client: Client = { id: ++this.#lastClient, socket, channels: new Set(), authenticated: false };
    this.#clients.set(client.id, client);
    const reader = new SocketReader(socket);
    try {
      for (;;) {
        const words = yield* readCommand(reader);
        if (words === undefined) return;
        if ("wrong" in words) {
          yield* send(socket, failed(`ERR ${words.wrong}`));
          return;
        }
        if (words.length === 0) continue;
        this.#commands++;
        for (const reply of this.#answer(client, words)) yield* send(socket, reply);
        if (words[0]?.toUpperCase() === "QUIT") return;
      }
    } finally {
      this.#clients.delete(client.id);
    }
  }

  #answer(client: Client, words: readonly string[]): Reply[] {
    const [first = "", ...rest] = words;
    const name = first.toUpperCase();
    if (this.#password !== undefined && name === "AUTH") {
      client.authenticated = rest.at(-1) === this.#password;
      return [client.authenticated ? OK : failed("WRONGPASS invalid username-password pair or user is disabled.")];
    }
    if (this.#password !== undefined && !client.authenticated && name !== "QUIT")
      return [failed("NOAUTH Authentication required.")];
    switch (name) {
      case "QUIT":
        return [OK];
      case "HELLO":
        return [failed("NOPROTO unsupported protocol version")];
      case "CLIENT":
        return [this.#client(client, rest)];
      case "SUBSCRIBE":
        return rest.map((channel) => {
          client.channels.add(channel);
          return array([bulk("subscribe"), bulk(channel), integer(client.channels.size)]);
        });
      case "UNSUBSCRIBE": {
        const channels = rest.length > 0 ? rest : [...client.channels];
        if (channels.length === 0) return [array([bulk("unsubscribe"), NIL, integer(0)])];
        return channels.map((channel) => {
          client.channels.delete(channel);
          return array([bulk("unsubscribe"), bulk(channel), integer(client.channels.size)]);
        });
      }
    }
    if (client.channels.size > 0 && name !== "PING")
      return [
        failed(
          `ERR Can't execute '${first.toLowerCase()}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
        ),
      ];
    return [runCommand(this.#db, words, this)];
  }

  #client(client: Client, [sub = ""]: readonly string[]): Reply {
    switch (sub.toUpperCase()) {
      case "ID":
        return integer(client.id);
      case "LIST":
        return bulk(
          [...this.#clients.values()]
            .map(({ id, socket }) => {
              const [remote, local] = [socket.remoteAddress(), socket.localAddress()];
              return `id=${id} addr=${formatIpv4(remote.ip)}:${remote.port} laddr=${formatIpv4(local.ip)}:${local.port} db=0\n`;
            })
            .join(""),
        );
      case "SETNAME":
      case "SETINFO":
        return OK;
      default:
        return failed(`ERR unknown subcommand '${sub}'. Try CLIENT HELP.`);
    }
  }
}

function* send(socket: TcpSocket, reply: Reply): Proc<void> {
  try {
    yield* sendTcp(socket, encode(formatReply(reply)));
  } catch (error) {
    // The client is gone; its reader finds out.
    if (!(error instanceof KernelError)) throw error;
  }
}

/** Options of the command line, and of a configuration file named first: `--port 7000 --requirepass x`. */
function settings(context: ProgramContext): Map<string, string> {
  const words = context.argv.slice(1);
  const found = new Map<string, string>();
  const file = words[0] !== undefined && !words[0].startsWith("-") ? words.shift() : undefined;
  for (const line of file === undefined ? [] : (context.files.read(file) ?? "").split("\n")) {
    const [name, ...value] = line.trim().split(/\s+/);
    if (name !== undefined && name !== "" && !name.startsWith("#")) found.set(name.toLowerCase(), value.join(" "));
  }
  if (file !== undefined) found.set("file", file);
  for (let at = 0; at < words.length; at++) {
    const name = (words[at] as string).replace(/^--/, "").toLowerCase();
    const values: string[] = [];
    while (words[at + 1] !== undefined && !(words[at + 1] as string).startsWith("--"))
      values.push(words[++at] as string);
    found.set(name, values.join(" "));
  }
  return found;
}

/** redis-server(1). */
export const redisServer: Program = function* (context) {
  const options = settings(context);
  if (context.argv[1] === "--version" || context.argv[1] === "-v") {
    context.stdout.write(
      `Redis server v=${REDIS_VERSION} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=7c5d1a1ab8d7d1a9\n`,
    );
    return 0;
  }
  const port = Number(options.get("port") ?? 6379);
  const password = options.get("requirepass");
  const server = new RedisServer(context, port, password === "" ? undefined : password);
  server.log("C", "*", "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
  server.log(
    "C",
    "*",
    `Redis version=${REDIS_VERSION}, bits=64, commit=00000000, modified=0, pid=${context.pid}, just started`,
  );
  if (options.size === 0)
    server.log(
      "C",
      "#",
      "Warning: no config file specified, using the default config. In order to specify a config file use redis-server /path/to/redis.conf",
    );
  else server.log("C", "*", "Configuration loaded");
  server.log("M", "*", "monotonic clock: POSIX clock_gettime");
  const service = new TcpService(context, "redis-server");
  try {
    service.listen(port);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    server.log("M", "#", `Warning: Could not create server TCP listening socket *:${port}: bind: ${glibcError(error)}`);
    server.log("M", "#", `Failed listening on port ${port} (tcp), aborting.`);
    return 1;
  }
  server.log("M", "*", `Running mode=standalone, port=${port}.`);
  server.log("M", "*", "Server initialized");
  server.log("M", "*", "Ready to accept connections tcp");
  const onSignal = (name: string): Ending => {
    const ending = stopOnTermination(name);
    if (ending !== undefined) server.log("signal-handler", "Received", `${name} scheduling shutdown...`);
    return ending;
  };
  yield* service.serve((socket) => server.serve(socket), onSignal);
  server.log("M", "*", "User requested shutdown...");
  server.log("M", "*", "Saving the final RDB snapshot before exiting.");
  server.log("M", "*", "DB saved on disk");
  server.log("M", "#", "Redis is now ready to exit, bye bye...");
  return 0;
};
