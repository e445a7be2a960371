/** `redis-cli` 7.2: one command from its arguments, or commands from its input (src/redis-cli.c). */
import type { Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { connectTcp, sendTcp } from "../../scheduler/io.ts";
import { type Proc, sleep } from "../../scheduler/process.ts";
import { getopt, UsageError } from "../../shell/lib/options.ts";
import { encode, glibcError } from "../../shell/lib/program.ts";
import { lookup } from "../../shell/lib/resolve.ts";
import { SocketReader } from "../../shell/lib/socket-reader.ts";
import { formatCommand, type Reply, rawReply, readReply, showReply, splitInline } from "./resp.ts";

interface Connection {
  readonly socket: TcpSocket;
  readonly reader: SocketReader;
}

class RedisCli {
  readonly #context: ProgramContext;
  readonly #host: string;
  readonly #port: number;
  readonly #password: string | undefined;
  readonly #raw: boolean;
  #connection: Connection | undefined;

  constructor(context: ProgramContext, host: string, port: number, password: string | undefined, raw: boolean) {
    this.#context = context;
    this.#host = host;
    this.#port = port;
    this.#password = password;
    this.#raw = raw;
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** False when nobody is there, which was said. */
  *connect(): Proc<boolean> {
    const found = yield* lookup(this.#context, this.#host, "glibc");
    const where = `Could not connect to Redis at ${this.#host}:${this.#port}`;
    if (!found.ok) {
      this.#context.stderr.write(`${where}: Name or service not known\n`);
      return false;
    }
    try {
      const socket = yield* connectTcp(this.#context.ns, found.addresses[0] as Ipv4, this.#port);
      socket.setOwner("redis-cli");
      this.#connection = { socket, reader: new SocketReader(socket) };
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#context.stderr.write(`${where}: ${glibcError(error)}\n`);
      return false;
    }
    if (this.#password !== undefined) {
      const reply = yield* this.#ask(["AUTH", this.#password]);
      if (reply?.kind === "error") this.#context.stderr.write(`AUTH failed: ${reply.text}\n`);
    }
    return true;
  }

  *#ask(words: readonly string[]): Proc<Reply | undefined> {
    const connection = this.#connection as Connection;
    yield* sendTcp(connection.socket, encode(formatCommand(words)));
    return yield* readReply(connection.reader);
  }

  /** Runs a command and prints its reply. @returns it went well */
  *run(words: readonly string[]): Proc<boolean> {
    if (!this.connected && !(yield* this.connect())) return false;
    try {
      const reply = yield* this.#ask(words);
      if (reply === undefined) {
        this.#context.stderr.write("Error: Server closed the connection\n");
        this.close();
        return false;
      }
      this.#print(reply);
      if (words[0]?.toLowerCase() === "subscribe") yield* this.#listen();
      return reply.kind !== "error";
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#context.stderr.write(`Error: ${glibcError(error)}\n`);
      this.close();
      return false;
    }
  }

  /** After SUBSCRIBE everything that comes is printed, until Ctrl-C. */
  *#listen(): Proc<void> {
    for (;;) {
      const reply = yield* readReply((this.#connection as Connection).reader);
      if (reply === undefined) return;
      this.#print(reply);
    }
  }

  #print(reply: Reply): void {
    const text = this.#raw ? rawReply(reply) : showReply(reply);
    this.#context.stdout.write(this.#raw && !text.endsWith("\n") ? `${text}\n` : text);
  }

  close(): void {
    this.#connection?.socket.close();
    this.#connection = undefined;
  }
}

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(
    context.argv,
    "h:p:a:n:r:i:u:",
    { raw: "raw", "no-raw": "tty", "no-auth-warning": "quiet", version: "v" },
    true,
  );
  if (options.has("v")) {
    context.stdout.write("redis-cli 7.2.1\n");
    return 0;
  }
  const [host, port] = [options.text("h") ?? "127.0.0.1", options.number("p") ?? 6379];
  const password = options.text("a") ?? context.env.get("REDISCLI_AUTH");
  if (options.has("a") && !options.has("quiet"))
    context.stderr.write(
      "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n",
    );
  const raw = options.has("raw") || (!context.tty && !options.has("tty"));
  const cli = new RedisCli(context, host, port, password, raw);
  try {
    if (options.args.length > 0) {
      const times = options.number("r") ?? 1;
      let good = true;
      for (let i = 0; i < times && good; i++) {
        if (i > 0) yield* sleep(context.os, Math.round((options.number("i") ?? 0) * 1e9));
        good = yield* cli.run(options.args);
      }
      return good ? 0 : 1;
    }
    return yield* interact(context, cli, host, port);
  } finally {
    cli.close();
  }
}

function* interact(context: ProgramContext, cli: RedisCli, host: string, port: number): Proc<number> {
  if (!(yield* cli.connect()) && !context.tty) return 1;
  for (;;) {
    if (context.tty) context.stdout.write(cli.connected ? `${host}:${port}> ` : "not connected> ");
    const line = yield* context.stdin.readLine();
    if (line === undefined) return 0;
    const words = splitInline(line);
    if (words === undefined) context.stdout.write("Invalid argument(s)\n");
    else if (/^(quit|exit)$/i.test(words[0] ?? "")) return 0;
    else if (words.length > 0) yield* cli.run(words);
  }
}

/** redis-cli(1). */
export const redisCli: Program = function* (context) {
  try {
    return yield* main(context);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const option = context.argv.find((word) => word.startsWith("-")) ?? "";
    context.stderr.write(`Unrecognized option or bad number of args for: '${option}'\n`);
    return 1;
  }
};
