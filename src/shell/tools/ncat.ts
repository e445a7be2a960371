/**
 * Ncat 7.93 of Nmap (ncat/ncat_connect.c, ncat_listen.c): TCP, UDP and SCTP, as a client and as a server. It leaves standard
 * input as that is: with --sctp the client ends at its end, since SCTP knows no half-closed association.
 */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { StreamSocket, UdpSocket } from "../../kernel/socket-types.ts";
import { connectSctp, connectTcp, sendTcp } from "../../scheduler/io.ts";
import type { Proc, Waitable } from "../../scheduler/process.ts";
import { getopt, type Options, UsageError } from "../lib/options.ts";
import { decode, encode, glibcError, TextStream, waitReady } from "../lib/program.ts";
import { lookup } from "../lib/resolve.ts";
import { runOn } from "./netcat.ts";

const VERSION = "Ncat: Version 7.93 ( https://nmap.org/ncat )\n";
const DEFAULT_PORT = 31337;
const BACKLOG = 10;
const CHUNK = 65536;
/** What one read of standard input takes, and so the largest message (DEFAULT_TCP_BUF_LEN). */
const BUFFER = 8192;

type Protocol = "tcp" | "udp" | "sctp";

/** Ends Ncat with `Ncat: MESSAGE` and a status. */
class Quit extends Error {
  override name = "Quit";
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw new Quit(`Invalid port number "${text}". QUITTING.`, 2);
  return port;
}

/** The program of -e or -c. */
function execution(options: Options): readonly string[] | undefined {
  const shell = options.text("c");
  if (shell !== undefined) return ["/bin/sh", "-c", shell];
  const words = options.text("e")?.trim().split(/\s+/);
  return words;
}

const LONG = {
  sctp: "sctp",
  udp: "u",
  listen: "l",
  "keep-open": "k",
  exec: "e",
  "sh-exec": "c",
  "source-port": "p",
  source: "s",
  wait: "w",
  nodns: "n",
  verbose: "v",
  "send-only": "send-only",
  "recv-only": "recv-only",
  "no-shutdown": "no-shutdown",
} as const;

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "46lukne:c:p:s:w:i:vz", LONG);
  if (options.has("u") && options.has("sctp")) throw new Quit("UDP mode and SCTP mode are incompatible. QUITTING.", 2);
  const protocol: Protocol = options.has("sctp") ? "sctp" : options.has("u") ? "udp" : "tcp";
  const { args } = options;
  if (args.length > 2) throw new Quit(`Got more than one port specification: ${args.slice(1).join(" ")}. QUITTING.`, 2);
  if (options.has("v")) context.stderr.write(VERSION);
  if (options.has("l")) {
    // One word: a number is a port, anything else an address.
    const alone = args.length === 1 && /^\d+$/.test(args[0] as string);
    const address = alone ? undefined : args[0];
    const port = portNumber(options.text("p") ?? (alone ? args[0] : args[1]) ?? String(DEFAULT_PORT));
    const ip = address === undefined ? 0 : yield* resolve(context, address);
    return yield* protocol === "udp"
      ? listenUdp(context, ip, port, options)
      : listen(context, protocol, ip, port, options);
  }
  const [name] = args;
  if (name === undefined) throw new Quit("You must specify a host to connect to. QUITTING.", 2);
  const ip = yield* resolve(context, name);
  const port = portNumber(args[1] ?? String(DEFAULT_PORT));
  return yield* protocol === "udp"
    ? clientUdp(context, ip, port, options)
    : client(context, protocol, ip, port, options);
}

function* resolve(context: ProgramContext, name: string): Proc<Ipv4> {
  const found = yield* lookup(context, name, "glibc");
  const ip = found.ok ? found.addresses[0] : undefined;
  if (ip === undefined) throw new Quit(`Could not resolve hostname "${name}": Name or service not known. QUITTING.`, 2);
  return ip;
}

// ------------------------------------------------------------------------------------------------ client

function* client(
  context: ProgramContext,
  protocol: "tcp" | "sctp",
  ip: Ipv4,
  port: number,
  options: Options,
): Proc<number> {
  const wait = options.number("w");
  const until = context.os.now() + (wait ?? 10) * SEC;
  let socket: StreamSocket;
  try {
    socket = yield* (protocol === "sctp" ? connectSctp : connectTcp)(context.ns, ip, port, until);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new Quit(error.code === "ETIMEDOUT" ? "TIMEOUT." : `${glibcError(error)}.`, 1);
  }
  socket.setOwner("ncat");
  if (options.has("v")) context.stderr.write(`Ncat: Connected to ${formatIpv4(ip)}:${port}.\n`);
  if (options.has("z")) {
    socket.close();
    return 0;
  }
  const program = execution(options);
  if (program !== undefined) return yield* runOn(context, socket, program);
  return yield* talk(context, socket, protocol === "sctp" || options.has("send-only"), options);
}

/** Standard input to the socket and back. `endsWithInput`: it is over when standard input is. */
function* talk(context: ProgramContext, socket: StreamSocket, endsWithInput: boolean, options: Options): Proc<number> {
  const text = new TextStream();
  let input = !options.has("recv-only");
  try {
    for (;;) {
      const data = socket.tryRecv(CHUNK);
      if (data !== undefined) {
        if (data.length === 0) return 0;
        if (!options.has("send-only")) context.stdout.write(text.push(data));
        continue;
      }
      const typed = input ? context.stdin.tryRead() : undefined;
      if (typed !== undefined) {
        yield* sendAll(socket, typed);
        continue;
      }
      if (input && context.stdin.closed) {
        input = false;
        if (!options.has("no-shutdown")) socket.shutdown();
        if (endsWithInput) return 0;
        continue;
      }
      const on: Waitable[] = [socket as unknown as Waitable];
      if (input) on.push(context.stdin);
      yield* waitReady(context, on);
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new Quit(`${glibcError(error)}.`, 1);
  } finally {
    socket.close();
  }
}

function* sendAll(socket: StreamSocket, text: string): Proc {
  const data = encode(text);
  for (let at = 0; at < data.length; at += BUFFER) yield* sendTcp(socket, data.subarray(at, at + BUFFER));
}

// ------------------------------------------------------------------------------------------------ server

function listenOn<S extends StreamSocket | UdpSocket>(socket: S, ip: Ipv4, port: number): S {
  socket.setOwner("ncat");
  try {
    socket.bind(ip, port);
    if ("listen" in socket) socket.listen(BACKLOG);
    return socket;
  } catch (error) {
    socket.close();
    if (!(error instanceof KernelError)) throw error;
    throw new Quit(`bind to ${formatIpv4(ip)}:${port}: ${glibcError(error)}. QUITTING.`, 2);
  }
}

/** A server: each client gets a program of its own (-e, -c), or all of them standard input (ncat_listen_stream). */
function* listen(
  context: ProgramContext,
  protocol: "tcp" | "sctp",
  ip: Ipv4,
  port: number,
  options: Options,
): Proc<number> {
  const listener: StreamSocket = listenOn(context.ns.socket[protocol](), ip, port);
  const verbose = options.has("v");
  if (verbose) context.stderr.write(`Ncat: Listening on ${formatIpv4(ip)}:${port}\n`);
  const program = execution(options);
  const keep = options.has("k");
  const server = new Server(context, protocol, options);
  try {
    for (;;) {
      const socket = keep || !server.met ? listener.tryAccept() : undefined;
      if (socket !== undefined) {
        socket.setOwner("ncat");
        server.met = true;
        if (verbose) {
          const peer = socket.remoteAddress();
          context.stderr.write(`Ncat: Connection from ${formatIpv4(peer.ip)}:${peer.port}.\n`);
        }
        // Nobody else may come any more.
        if (!keep) listener.close();
        if (program === undefined) server.clients.add(socket);
        else if (keep) context.os.spawn("ncat", runOn(context, socket, program));
        else return yield* runOn(context, socket, program);
        continue;
      }
      if (yield* server.step()) continue;
      if (server.finished || (server.met && server.clients.size === 0 && !keep)) return 0;
      yield* waitReady(context, [...(listener.closed ? [] : [listener]), ...server.sources()]);
    }
  } finally {
    listener.close();
    for (const socket of server.clients) socket.close();
  }
}

/** Clients that share standard input and output. */
class Server {
  readonly clients = new Set<StreamSocket>();
  /** Somebody has connected. */
  met = false;
  /** Standard input has ended, and with it everything. */
  finished = false;
  readonly #context: ProgramContext;
  readonly #protocol: "tcp" | "sctp";
  readonly #options: Options;
  readonly #texts = new Map<StreamSocket, TextStream>();
  #input: boolean;

  constructor(context: ProgramContext, protocol: "tcp" | "sctp", options: Options) {
    this.#context = context;
    this.#protocol = protocol;
    this.#options = options;
    this.#input = !options.has("recv-only");
  }

  /** Does one thing that can be done now; false when there was none. */
  *step(): Proc<boolean> {
    for (const socket of this.clients) if (this.#receive(socket)) return true;
    if (!this.#input || this.clients.size === 0) return false;
    const typed = this.#context.stdin.tryRead();
    if (typed !== undefined) {
      for (const socket of [...this.clients]) yield* this.#send(socket, typed);
      return true;
    }
    if (!this.#context.stdin.closed) return false;
    this.#input = false;
    if (this.#protocol === "sctp" || this.#options.has("send-only")) this.finished = true;
    else if (!this.#options.has("no-shutdown")) for (const socket of this.clients) socket.shutdown();
    return !this.finished;
  }

  sources(): (StreamSocket | Waitable)[] {
    const reads = this.#input && this.clients.size > 0;
    return [...this.clients, ...(reads ? [this.#context.stdin] : [])];
  }

  #receive(socket: StreamSocket): boolean {
    try {
      const data = socket.tryRecv(CHUNK);
      if (data === undefined) return false;
      if (data.length === 0) this.#drop(socket);
      else if (!this.#options.has("send-only")) this.#context.stdout.write(this.#text(socket).push(data));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#drop(socket);
    }
    return true;
  }

  #text(socket: StreamSocket): TextStream {
    const text = this.#texts.get(socket) ?? new TextStream();
    this.#texts.set(socket, text);
    return text;
  }

  *#send(socket: StreamSocket, text: string): Proc {
    try {
      yield* sendAll(socket, text);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#drop(socket);
    }
  }

  #drop(socket: StreamSocket): void {
    this.clients.delete(socket);
    this.#texts.delete(socket);
    socket.close();
  }
}

// ------------------------------------------------------------------------------------------------ UDP

function* clientUdp(context: ProgramContext, ip: Ipv4, port: number, options: Options): Proc<number> {
  const socket = context.ns.socket.udp();
  socket.setOwner("ncat");
  try {
    socket.connect(ip, port);
    return yield* talkUdp(context, socket, true, options);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new Quit(`${glibcError(error)}.`, 1);
  } finally {
    socket.close();
  }
}

function* talkUdp(context: ProgramContext, socket: UdpSocket, endsWithInput: boolean, options: Options): Proc<number> {
  const wait = options.number("w");
  let until: Time | undefined;
  for (;;) {
    const error = socket.takeError();
    if (error !== undefined) throw new KernelError(error, "recv");
    const datagram = socket.tryRecv();
    if (datagram !== undefined) {
      context.stdout.write(decode(datagram.data));
      continue;
    }
    const typed = context.stdin.tryRead();
    if (typed !== undefined) {
      const data = encode(typed);
      for (let at = 0; at < data.length; at += BUFFER) socket.send(data.subarray(at, at + BUFFER));
      continue;
    }
    const ended = context.stdin.closed;
    if (ended && endsWithInput && wait === undefined) return 0;
    if (ended && wait !== undefined) until ??= context.os.now() + wait * SEC;
    if ((yield* waitReady(context, ended ? [socket] : [socket, context.stdin], until)) === "timeout") return 0;
  }
}

function* listenUdp(context: ProgramContext, ip: Ipv4, port: number, options: Options): Proc<number> {
  const socket = listenOn(context.ns.socket.udp(), ip, port);
  try {
    for (;;) {
      const datagram = socket.tryRecv();
      if (datagram === undefined) {
        yield* waitReady(context, [socket]);
        continue;
      }
      // The first sender becomes the peer.
      socket.connect(datagram.src, datagram.srcPort);
      context.stdout.write(decode(datagram.data));
      return yield* talkUdp(context, socket, false, options);
    }
  } finally {
    socket.close();
  }
}

/** Ncat of Nmap. */
export const ncat: Program = function* (context) {
  try {
    return yield* main(context);
  } catch (error) {
    if (error instanceof Quit) {
      context.stderr.write(`Ncat: ${error.message}\n`);
      return error.status;
    }
    if (!(error instanceof UsageError)) throw error;
    context.stderr.write(`ncat: ${error.message}\nNcat: Unrecognised option. QUITTING.\n`);
    return 2;
  }
};
