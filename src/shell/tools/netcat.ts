/** `nc` of busybox (networking/nc.c, with the options of its NC_110_COMPAT build that alpine has). */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { StreamSocket, TcpSocket, UdpSocket } from "../../kernel/socket-types.ts";
import { connectTcp, sendTcp } from "../../scheduler/io.ts";
import type { Proc, Waitable } from "../../scheduler/process.ts";
import { getopt, type Options, UsageError } from "../lib/options.ts";
import {
  busyboxUsage,
  decode,
  decodeBytes,
  die,
  encode,
  errorText,
  TextStream,
  tool,
  waitReady,
} from "../lib/program.ts";
import { lookup } from "../lib/resolve.ts";
import { ShellPipe } from "../sh/pipes.ts";

const usage = busyboxUsage(
  "nc",
  `[OPTIONS] HOST PORT  - connect
nc [OPTIONS] -l -p PORT [HOST] [PORT]  - listen

	-e PROG	Run PROG after connect (must be last)
	-l	Listen mode, for inbound connects
	-lk	With -e, provides persistent server
	-p PORT	Local port
	-s ADDR	Local address
	-w SEC	Timeout for connects and final net reads
	-i SEC	Delay interval for lines sent
	-n	Don't do DNS resolution
	-u	UDP mode
	-v	Verbose
	-z	Zero-I/O mode (scanning)`,
);

/** Largest datagram that a chunk of standard input becomes (nc's buffer). */
const BUFFER = 8192;

/** The command line taken apart: `-e` is the last option, and what follows is the program's. */
function commandLine(argv: readonly string[]): { own: readonly string[]; program: readonly string[] | undefined } {
  const at = argv.findIndex((word, index) => index > 0 && /^-[lknuzv46]*e/.test(word));
  if (at < 0) return { own: argv, program: undefined };
  const word = argv[at] as string;
  const [letters, name] = [word.slice(0, word.indexOf("e")), word.slice(word.indexOf("e") + 1)];
  const program = [...(name === "" ? [] : [name]), ...argv.slice(at + 1)];
  if (program.length === 0) throw new UsageError("option requires an argument -- 'e'");
  return { own: [...argv.slice(0, at), ...(letters === "-" ? [] : [letters])], program };
}

function* main(context: ProgramContext): Proc<number> {
  const { own, program } = commandLine(context.argv);
  const options = getopt(own, "46lknuzvw:p:s:i:");
  const wait = options.number("w");
  const port = Number(options.text("p") ?? (options.has("l") ? options.args.at(-1) : options.args[1]));
  if (options.has("l")) {
    if (!Number.isInteger(port)) die("missing port");
    return yield* options.has("u") ? listenUdp(context, port, wait) : listenTcp(context, port, options, program);
  }
  const [host, portText] = options.args;
  if (host === undefined || portText === undefined) {
    die("");
  }
  const found = yield* lookup(context, host, "musl");
  if (!found.ok) die(`bad address '${host}'`);
  const target = found.addresses[0] as Ipv4;
  const remote = Number(portText);
  if (!Number.isInteger(remote) || remote < 1 || remote > 65535) throw new UsageError(`invalid port '${portText}'`);
  if (options.has("u")) return yield* sendUdp(context, target, remote, wait, options);
  let socket: TcpSocket;
  try {
    const until = wait === undefined ? undefined : context.os.now() + wait * SEC;
    socket = yield* connectTcp(context.ns, target, remote, until);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (options.has("v")) die(`${host} (${formatIpv4(target)}:${remote}): ${errorText(error, "musl")}`);
    if (wait !== undefined && error.code === "ETIMEDOUT") die("timed out");
    die(`can't connect to remote host (${formatIpv4(target)}): ${errorText(error, "musl")}`);
  }
  socket.setOwner("nc");
  if (options.has("v")) context.stderr.write(`${host} (${formatIpv4(target)}:${remote}) open\n`);
  if (options.has("z")) {
    socket.close();
    return 0;
  }
  return yield* program === undefined ? relay(context, socket, wait) : runOn(context, socket, program);
}

/** `-e`: a program whose standard streams are the connection. */
export function* runOn(context: ProgramContext, socket: StreamSocket, program: readonly string[]): Proc<number> {
  const [stdin, out] = [new ShellPipe(), new ShellPipe()];
  const child = context.start(program, { stdin, stdout: out.input, stderr: out.input });
  try {
    if (child === undefined) die(`can't execute '${program[0]}': No such file or directory`);
    for (;;) {
      const printed = out.tryRead();
      if (printed !== undefined) {
        yield* sendTcp(socket, encode(printed));
        continue;
      }
      if (child.status !== undefined) return child.status;
      const data = stdin.closed ? undefined : socket.tryRecv(BUFFER);
      if (data === undefined)
        yield { on: [out, child.exited, ...(stdin.closed ? [] : [socket as unknown as Waitable])] };
      else if (data.length === 0) stdin.close();
      else stdin.push(decodeBytes(data));
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    // The peer has gone: the program's next write would tell it.
    out.breakOff();
    return 1;
  } finally {
    child?.signal("SIGPIPE");
    socket.close();
  }
}

/** Standard input to the socket and back, until the peer closes (or nothing comes for `-w` after the input's end). */
function* relay(context: ProgramContext, socket: TcpSocket, wait: number | undefined): Proc<number> {
  const text = new TextStream();
  let input = true;
  let until: Time | undefined;
  try {
    for (;;) {
      const data = socket.tryRecv(65536);
      if (data !== undefined) {
        if (data.length === 0) return 0;
        context.stdout.write(text.push(data));
        continue;
      }
      const typed = input ? context.stdin.tryRead() : undefined;
      if (typed !== undefined) {
        yield* sendTcp(socket, encode(typed));
        continue;
      }
      if (input && context.stdin.closed) {
        input = false;
        socket.shutdown();
        until = wait === undefined ? undefined : context.os.now() + wait * SEC;
      }
      const on: Waitable[] = [socket as unknown as Waitable];
      if (input) on.push(context.stdin);
      const result = yield* waitReady(context, on, until);
      if (result === "timeout") return 0;
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    die(`read: ${errorText(error, "musl")}`);
  } finally {
    socket.close();
  }
}

function* listenTcp(
  context: ProgramContext,
  port: number,
  options: Options,
  program: readonly string[] | undefined,
): Proc<number> {
  const listener = context.ns.socket.tcp();
  listener.setOwner("nc");
  try {
    listener.bind(0, port);
    listener.listen(1);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    die(`bind: ${errorText(error, "musl")}`);
  }
  try {
    for (;;) {
      let socket = listener.tryAccept();
      while (socket === undefined) {
        yield* waitReady(context, [listener]);
        socket = listener.tryAccept();
      }
      const again = options.has("k") || options.list("l").length > 1;
      if (again && program !== undefined) {
        context.os.spawn("nc", runOn(context, socket, program));
        continue;
      }
      const status = yield* program === undefined
        ? relay(context, socket, options.number("w"))
        : runOn(context, socket, program);
      if (!again) return status;
    }
  } finally {
    listener.close();
  }
}

function* sendUdp(
  context: ProgramContext,
  target: Ipv4,
  port: number,
  wait: number | undefined,
  options: Options,
): Proc<number> {
  const socket = context.ns.socket.udp();
  socket.setOwner("nc");
  try {
    const local = options.number("p");
    if (local !== undefined) socket.bind(0, local);
    socket.connect(target, port);
    if (options.has("z")) {
      socket.send(new Uint8Array(1));
      return 0;
    }
    return yield* relayUdp(context, socket, wait);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    die(`write error: ${errorText(error, "musl")}`);
  } finally {
    socket.close();
  }
}

function* relayUdp(context: ProgramContext, socket: UdpSocket, wait: number | undefined): Proc<number> {
  let until: Time | undefined;
  for (;;) {
    // A refused port ends it without a word.
    if (socket.takeError() !== undefined) return 0;
    const datagram = socket.tryRecv();
    if (datagram !== undefined) {
      context.stdout.write(decode(datagram.data));
      continue;
    }
    const text = context.stdin.tryRead();
    if (text !== undefined) {
      const data = encode(text);
      for (let at = 0; at < data.length; at += BUFFER) socket.send(data.subarray(at, at + BUFFER));
      continue;
    }
    const ended = context.stdin.closed;
    if (ended && wait !== undefined) until ??= context.os.now() + wait * SEC;
    const result = yield* waitReady(context, ended ? [socket] : [socket, context.stdin], until);
    if (result === "timeout") return 0;
  }
}

function* listenUdp(context: ProgramContext, port: number, wait: number | undefined): Proc<number> {
  const socket = context.ns.socket.udp();
  socket.setOwner("nc");
  try {
    socket.bind(0, port);
    for (;;) {
      const datagram = socket.tryRecv();
      if (datagram !== undefined) {
        // The first sender becomes the peer.
        socket.connect(datagram.src, datagram.srcPort);
        context.stdout.write(decode(datagram.data));
        return yield* relayUdp(context, socket, wait);
      }
      yield* waitReady(context, [socket]);
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    die(`bind: ${errorText(error, "musl")}`);
  } finally {
    socket.close();
  }
}

/** busybox's nc. */
export const nc: Program = tool(main, 1, usage);
