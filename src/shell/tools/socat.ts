/**
 * `socat` 1.7 for the addresses that servers and clients are built from: TCP-LISTEN, TCP, UDP-LISTEN, UDP-RECVFROM, UDP,
 * PIPE, STDIO, EXEC and SYSTEM, with the options fork, reuseaddr and bind. (https://www.dest-unreach.org/socat)
 */
import { type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { Pipe, type Program, type ProgramContext } from "../../engine/program.ts";
import type { Datagram, TcpSocket, UdpSocket } from "../../kernel/socket-types.ts";
import { connectTcp, sendTcp } from "../../scheduler/io.ts";
import type { Proc, Process, Waitable } from "../../scheduler/process.ts";
import { encode, errorText, TextStream } from "../lib/program.ts";
import { lookup } from "../lib/resolve.ts";

interface Address {
  readonly kind: string;
  readonly args: readonly string[];
  readonly options: ReadonlySet<string>;
}

/** One end of a transfer: texts come from `read`, undefined at its end. */
interface End {
  /** What wakes a reader. */
  readonly source: Waitable;
  /** Text that is there; "" for none yet; undefined at the end. */
  take(): string | undefined;
  write(text: string): Proc<void>;
  /** No more will be written. */
  finish(): void;
  close(): void;
}

class SocatError extends Error {
  override name = "SocatError";
}

/** `TCP4-LISTEN:80,fork,reuseaddr` */
function parseAddress(text: string): Address {
  if (text === "-") return { kind: "STDIO", args: [], options: new Set() };
  const [head = "", ...options] = text.split(/,(?![^"]*"[^"]*$)/);
  const colon = head.indexOf(":");
  const kind = (colon < 0 ? head : head.slice(0, colon)).toUpperCase().replace(/^(TCP|UDP)4/, "$1");
  const rest =
    colon < 0 ? [] : kind === "EXEC" || kind === "SYSTEM" ? [head.slice(colon + 1)] : head.slice(colon + 1).split(":");
  const names: Readonly<Record<string, string>> = {
    "TCP-CONNECT": "TCP",
    "TCP-L": "TCP-LISTEN",
    "UDP-L": "UDP-LISTEN",
    "UDP-CONNECT": "UDP",
    ECHO: "PIPE",
  };
  const known = names[kind] ?? kind;
  const sorts: Readonly<Record<string, number>> = {
    TCP: 2,
    "TCP-LISTEN": 1,
    UDP: 2,
    "UDP-LISTEN": 1,
    "UDP-RECVFROM": 1,
    "UDP-RECV": 1,
    PIPE: 0,
    STDIO: 0,
    EXEC: 1,
    SYSTEM: 1,
  };
  const wanted = sorts[known];
  if (wanted === undefined) throw new SocatError(`unknown device/address "${head}"`);
  if (rest.length < wanted)
    throw new SocatError(`${known}: wrong number of parameters (${rest.length} instead of ${wanted})`);
  return { kind: known, args: rest, options: new Set(options.map((option) => option.toLowerCase())) };
}

function portOf(text: string | undefined): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new SocatError(`getaddrinfo "NULL", "${text}": Servname not supported for ai_socktype`);
  return port;
}

function* resolveHost(context: ProgramContext, name: string): Proc<Ipv4> {
  const literal = parseIpv4(name);
  if (literal !== undefined) return literal;
  const found = yield* lookup(context, name, "musl");
  if (!found.ok) throw new SocatError(`getaddrinfo("${name}", "NULL", {1,0,1,6}, {}): Name does not resolve`);
  return found.addresses[0] as Ipv4;
}

function tcpEnd(socket: TcpSocket): End {
  const text = new TextStream();
  return {
    source: socket as unknown as Waitable,
    take() {
      const data = socket.tryRecv(65536);
      if (data === undefined) return "";
      return data.length === 0 ? undefined : text.push(data);
    },
    *write(chunk) {
      yield* sendTcp(socket, encode(chunk));
    },
    finish: () => socket.shutdown(),
    close: () => socket.close(),
  };
}

function udpEnd(socket: UdpSocket): End {
  return {
    source: socket as unknown as Waitable,
    take() {
      if (socket.takeError() !== undefined) return undefined;
      const datagram = socket.tryRecv();
      return datagram === undefined ? "" : new TextStream().push(datagram.data);
    },
    // biome-ignore lint/correctness/useYield: a datagram is sent at once
    *write(chunk) {
      socket.send(encode(chunk));
    },
    finish: () => {},
    close: () => socket.close(),
  };
}

/** A peer of a shared listening socket: what comes from it is pushed, what is for it is sent by that socket. */
function peerEnd(socket: UdpSocket, first: Datagram, inbox: Pipe): End {
  return {
    source: inbox,
    take: () => inbox.tryRead() ?? (inbox.closed ? undefined : ""),
    // biome-ignore lint/correctness/useYield: a datagram is sent at once
    *write(chunk) {
      socket.sendTo(encode(chunk), first.src, first.srcPort);
    },
    finish: () => {},
    close: () => {},
  };
}

/** What is written comes back. */
function echoEnd(): End {
  const pipe = new Pipe();
  return pipeEnd(pipe, pipe, () => {});
}

function pipeEnd(from: Pipe, to: Pipe, close: () => void): End {
  return {
    source: from,
    take: () => from.tryRead() ?? (from.closed ? undefined : ""),
    // biome-ignore lint/correctness/useYield: the pipe has room
    *write(chunk) {
      to.push(chunk);
    },
    finish: () => to.close(),
    close,
  };
}

function stdioEnd(context: ProgramContext): End {
  const { stdin, stdout } = context;
  return {
    source: stdin,
    take: () => stdin.tryRead() ?? (stdin.closed ? undefined : ""),
    // biome-ignore lint/correctness/useYield: output doesn't block
    *write(chunk) {
      stdout.write(chunk);
    },
    finish: () => {},
    close: () => {},
  };
}

function programEnd(context: ProgramContext, { kind, args }: Address): End {
  const command = args[0] as string;
  const argv = kind === "SYSTEM" ? ["sh", "-c", command] : command.split(/\s+/);
  const [input, output] = [new Pipe(), new Pipe()];
  const child = context.start(argv, { stdin: input, stdout: { write: (text) => output.push(text) } });
  if (child === undefined) throw new SocatError(`execvp("${argv[0]}", "${argv[0]}"): No such file or directory`);
  context.os.spawn(
    "socat wait",
    (function* (): Proc<void> {
      while (child.status === undefined) yield { on: [child.exited] };
      output.close();
    })(),
  );
  return pipeEnd(output, input, () => child.signal("SIGTERM"));
}

/** Opens an address that is no listener. */
function* open(context: ProgramContext, address: Address): Proc<End> {
  switch (address.kind) {
    case "STDIO":
      return stdioEnd(context);
    case "PIPE":
      return echoEnd();
    case "EXEC":
    case "SYSTEM":
      return programEnd(context, address);
    case "TCP": {
      const ip = yield* resolveHost(context, address.args[0] as string);
      const socket = yield* connectTcp(context.ns, ip, portOf(address.args[1]));
      socket.setOwner("socat");
      return tcpEnd(socket);
    }
    default: {
      const ip = yield* resolveHost(context, address.args[0] as string);
      const socket = context.ns.socket.udp();
      socket.setOwner("socat");
      socket.connect(ip, portOf(address.args[1]));
      return udpEnd(socket);
    }
  }
}

/** Copies both ways until both have ended, or one has and nothing came from the other for half a second (-t). */
function* transfer(context: ProgramContext, left: End, right: End): Proc<void> {
  const open = [true, true];
  let until: number | undefined;
  try {
    while (open[0] || open[1]) {
      let moved = false;
      for (const [at, from, to] of [
        [0, left, right],
        [1, right, left],
      ] as const) {
        const text = open[at] ? from.take() : "";
        if (text === undefined) {
          open[at] = false;
          to.finish();
          until = context.os.now() + 500_000_000;
        } else if (text !== "") {
          moved = true;
          yield* to.write(text);
        }
      }
      if (moved || (!open[0] && !open[1])) continue;
      const on = [left.source, right.source].filter((_, at) => open[at]);
      if ((yield until === undefined ? { on } : { on, until }) === undefined) return;
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    context.stderr.write(`${stamp(context)} E read(): ${errorText(error, "musl")}\n`);
  } finally {
    left.close();
    right.close();
  }
}

function stamp(context: ProgramContext): string {
  return `socat[${context.pid}]`;
}

function* serve(context: ProgramContext, address: Address, other: Address): Proc<number> {
  const port = portOf(address.args[0]);
  const fork = address.options.has("fork");
  return yield* address.kind === "TCP-LISTEN"
    ? serveTcp(context, port, fork, other)
    : serveUdp(context, port, fork, other, address.kind === "UDP-RECVFROM");
}

function* serveTcp(context: ProgramContext, port: number, fork: boolean, other: Address): Proc<number> {
  const listener = context.ns.socket.tcp();
  listener.setOwner("socat");
  const children = new Set<Process>();
  try {
    listener.bind(0, port);
    listener.listen(5);
    for (;;) {
      const socket = listener.tryAccept();
      if (socket === undefined) {
        yield { on: [listener as unknown as Waitable] };
        continue;
      }
      const session = connected(context, tcpEnd(socket), other);
      if (!fork) {
        yield* session;
        return 0;
      }
      for (const child of children) if (child.done) children.delete(child);
      children.add(context.os.spawn("socat", session));
    }
  } finally {
    listener.close();
    for (const child of children) child.kill();
  }
}

function* connected(context: ProgramContext, end: End, other: Address): Proc<void> {
  try {
    yield* transfer(context, end, yield* open(context, other));
  } catch (error) {
    if (!(error instanceof SocatError || error instanceof KernelError)) throw error;
    context.stderr.write(`${stamp(context)} E ${error.message}\n`);
  } finally {
    end.close();
  }
}

/** @param once each datagram is a session of its own (UDP-RECVFROM); else each peer is (UDP-LISTEN) */
function* serveUdp(context: ProgramContext, port: number, fork: boolean, other: Address, once: boolean): Proc<number> {
  const socket = context.ns.socket.udp();
  socket.setOwner("socat");
  const sessions = new Map<string, { readonly inbox: Pipe; readonly process: Process }>();
  const all = new Set<Process>();
  try {
    socket.bind(0, port);
    for (;;) {
      const datagram = socket.tryRecv();
      if (datagram === undefined) {
        yield { on: [socket as unknown as Waitable] };
        continue;
      }
      const key = `${datagram.src}:${datagram.srcPort}`;
      let session = sessions.get(key);
      if (session === undefined || session.process.done || once) {
        const inbox = new Pipe();
        const process = context.os.spawn("socat", connected(context, peerEnd(socket, datagram, inbox), other));
        session = { inbox, process };
        for (const one of all) if (one.done) all.delete(one);
        all.add(process);
        sessions.set(key, session);
      }
      session.inbox.push(new TextStream().push(datagram.data));
      if (once) session.inbox.close();
      if (fork) continue;
      while (!session.process.done) yield { on: [session.process.exited] };
      return 0;
    }
  } finally {
    socket.close();
    for (const process of all) process.kill();
  }
}

/** socat(1). */
export const socat: Program = function* (context) {
  const words = context.argv.slice(1).filter((word) => !/^-[a-zA-Z]/.test(word));
  try {
    if (words.length !== 2)
      throw new SocatError(`exactly 2 addresses required (there are ${words.length}); use option "-h" for help`);
    const [first, second] = words.map(parseAddress) as [Address, Address];
    const listens = (address: Address): boolean => /-(LISTEN|RECVFROM|RECV)$/.test(address.kind);
    if (listens(first)) return yield* serve(context, first, second);
    if (listens(second)) return yield* serve(context, second, first);
    const left = yield* open(context, first);
    yield* transfer(context, left, yield* open(context, second));
    return 0;
  } catch (error) {
    if (error instanceof KernelError) context.stderr.write(`${stamp(context)} E ${errorText(error, "musl")}\n`);
    else if (error instanceof SocatError) context.stderr.write(`${stamp(context)} E ${error.message}\n`);
    else throw error;
    return 1;
  }
};
