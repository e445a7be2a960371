/** The RPC over TCP: a manager's port 2377 and the connections to it (grpc-go's http2 client and server). */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { acceptTcp, connectTcp, recvTcp, sendTcp } from "../../scheduler/io.ts";
import type { HostOs } from "../../scheduler/os.ts";
import { Channel, type Proc, type Process } from "../../scheduler/process.ts";
import { RpcError } from "../api/status.ts";
import { goErrnoText, PendingCall, serveCall } from "./call.ts";
import { decodeMessage, encodeMessage } from "./codec.ts";
import {
  decodeHello,
  decodeRequest,
  decodeStatus,
  encodeFrame,
  encodeHello,
  encodeRequest,
  encodeStatus,
  type Frame,
  FrameReader,
  FrameType,
} from "./frame.ts";
import { CertificateChecker } from "./handshake.ts";
import type {
  CallContext,
  ClientConn,
  ClientStream,
  Credentials,
  Listener,
  NodeIdentity,
  Router,
  StreamMethod,
  Transport,
  UnaryMethod,
} from "./transport.ts";

/** grpc-go's minimum time for one attempt to connect. */
const CONNECT_TIMEOUT = 20 * SEC;
const READ_SIZE = 65_536;
/** What Go listens with: net.core.somaxconn, 4096 since Linux 5.4 (net/sock_linux.go maxListenerBacklog). */
const BACKLOG = 4096;

/** The RPC over this host's TCP sockets. */
export class TcpTransport implements Transport {
  readonly #os: HostOs;
  readonly #checker = new CertificateChecker();

  constructor(os: HostOs) {
    this.#os = os;
  }

  listen(ip: Ipv4, port: number, router: Router, credentials: () => Credentials): Listener {
    return new TcpServer(this.#os, this.#checker, { ip, port }, router, credentials);
  }

  dial(ip: Ipv4, port: number, credentials: Credentials): ClientConn {
    return new TcpClient(this.#os, this.#checker, { ip, port }, credentials);
  }
}

interface Address {
  readonly ip: Ipv4;
  readonly port: number;
}

/** Frames out of, and into, one socket: one process each. Killing them closes the socket. */
class FrameLink {
  readonly #socket: TcpSocket;
  readonly #out = new Channel<Uint8Array>();
  readonly #writer: Process;

  constructor(os: HostOs, socket: TcpSocket) {
    this.#socket = socket;
    socket.setOwner("dockerd");
    this.#writer = os.spawn("rpc-writer", this.#write());
  }

  send(type: number, stream: number, body: Uint8Array): void {
    this.#out.push(encodeFrame(type, stream, body));
  }

  /** Hands over every frame until the peer ends the connection, breaks the format, or `onFrame` says stop. */
  *read(onFrame: (frame: Frame) => boolean): Proc<void> {
    const reader = new FrameReader();
    try {
      for (;;) {
        const data = yield* recvTcp(this.#socket, READ_SIZE);
        if (data === undefined || data.length === 0) return;
        const frames = reader.push(data);
        if (frames === undefined || !frames.every(onFrame)) return;
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  close(): void {
    this.#writer.kill();
    this.#socket.close();
  }

  *#write(): Proc<void> {
    try {
      for (;;) {
        const bytes = yield* this.#out.pop();
        if (bytes === undefined) return;
        yield* sendTcp(this.#socket, bytes);
      }
    } catch (error) {
      // A broken connection shows in the reader too, which ends it.
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

class TcpClient implements ClientConn {
  readonly #os: HostOs;
  readonly #checker: CertificateChecker;
  readonly #to: Address;
  readonly #credentials: Credentials;
  readonly #calls = new Map<number, PendingCall>();
  /** Requests that wait for the connection. */
  #queued: { readonly stream: number; readonly body: Uint8Array }[] = [];
  #link: FrameLink | undefined;
  #ready = false;
  #failure: RpcError | undefined;
  #process: Process | undefined;
  #nextStream = 1;

  constructor(os: HostOs, checker: CertificateChecker, to: Address, credentials: Credentials) {
    this.#os = os;
    this.#checker = checker;
    this.#to = to;
    this.#credentials = credentials;
  }

  *call<Req, Res>(method: UnaryMethod<Req, Res>, request: Req, until?: Time): Proc<Res> {
    return (yield* this.#start(method.path, request).response(until)) as Res;
  }

  open<Req, Res>(method: StreamMethod<Req, Res>, request: Req): ClientStream<Res> {
    return this.#start(method.path, request) as ClientStream<unknown> as ClientStream<Res>;
  }

  close(): void {
    this.#process?.kill();
    this.#fail(new RpcError("Canceled", "grpc: the client connection is closing"));
  }

  #start(path: string, request: unknown): PendingCall {
    const stream = this.#nextStream++;
    const call = new PendingCall(() => {
      this.#calls.delete(stream);
      if (this.#ready) this.#link?.send(FrameType.CANCEL, stream, new Uint8Array(0));
    });
    if (this.#failure !== undefined) {
      call.finish(this.#failure);
      return call;
    }
    this.#calls.set(stream, call);
    const body = encodeRequest(path, encodeMessage(request));
    if (this.#ready) this.#link?.send(FrameType.REQUEST, stream, body);
    else this.#queued.push({ stream, body });
    this.#process ??= this.#os.spawn("rpc-client", this.#run());
    return call;
  }

  *#run(): Proc<void> {
    try {
      const socket = yield* this.#connect();
      if (socket === undefined) return;
      this.#link = new FrameLink(this.#os, socket);
      this.#link.send(FrameType.HELLO, 0, encodeHello(this.#credentials.serverName, this.#credentials.certificate));
      yield* this.#link.read((frame) => this.#onFrame(frame));
      this.#fail(new RpcError("Unavailable", "transport is closing"));
    } finally {
      this.#link?.close();
    }
  }

  *#connect(): Proc<TcpSocket | undefined> {
    const until = this.#os.now() + CONNECT_TIMEOUT;
    try {
      return yield* connectTcp(this.#os.kernel.root, this.#to.ip, this.#to.port, until);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const timeout = error.code === "ETIMEDOUT" && this.#os.now() >= until;
      const text = timeout ? "i/o timeout" : `connect: ${goErrnoText(error)}`;
      const address = `${formatIpv4(this.#to.ip)}:${this.#to.port}`;
      this.#connectionError(`transport: Error while dialing dial tcp ${address}: ${text}`);
      return undefined;
    }
  }

  #connectionError(text: string): void {
    this.#fail(new RpcError("Unavailable", `connection error: desc = "${text}"`));
  }

  #onFrame(frame: Frame): boolean {
    if (frame.type === FrameType.HELLO) return this.#onHello(frame);
    const call = this.#calls.get(frame.stream);
    if (call === undefined) return true;
    if (frame.type === FrameType.MESSAGE) {
      const message = decodeMessage(frame.body);
      if (message === undefined) return false;
      call.message(message);
    } else if (frame.type === FrameType.STATUS) {
      this.#calls.delete(frame.stream);
      call.finish(decodeStatus(frame.body));
    }
    return true;
  }

  #onHello(frame: Frame): boolean {
    const problem = this.#checker.serverError(this.#credentials, decodeHello(frame.body).certificate);
    if (problem !== undefined) {
      this.#connectionError(`transport: authentication handshake failed: ${problem}`);
      return false;
    }
    this.#ready = true;
    for (const { stream, body } of this.#queued) {
      if (this.#calls.has(stream)) this.#link?.send(FrameType.REQUEST, stream, body);
    }
    this.#queued = [];
    return true;
  }

  #fail(error: RpcError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#ready = false;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.finish(error);
  }
}

class TcpServer implements Listener {
  readonly #os: HostOs;
  readonly #checker: CertificateChecker;
  readonly #router: Router;
  readonly #credentials: () => Credentials;
  readonly #listener: TcpSocket;
  readonly #connections = new Set<Process>();
  readonly #acceptor: Process;

  constructor(os: HostOs, checker: CertificateChecker, at: Address, router: Router, credentials: () => Credentials) {
    this.#os = os;
    this.#checker = checker;
    this.#router = router;
    this.#credentials = credentials;
    this.#listener = os.kernel.root.socket.tcp();
    this.#listener.setOwner("dockerd");
    this.#listener.bind(at.ip, at.port);
    this.#listener.listen(BACKLOG);
    this.#acceptor = os.spawn("rpc-server", this.#accept());
  }

  close(): void {
    this.#acceptor.kill();
    for (const connection of [...this.#connections]) connection.kill();
    this.#connections.clear();
  }

  *#accept(): Proc<void> {
    try {
      for (;;) {
        const socket = yield* acceptTcp(this.#listener);
        if (socket === undefined) return;
        for (const connection of this.#connections) if (connection.done) this.#connections.delete(connection);
        const connection = new ServerConnection(this.#os, this.#router, socket, this.#checker, this.#credentials());
        this.#connections.add(this.#os.spawn("rpc-connection", connection.run()));
      }
    } finally {
      this.#listener.close();
    }
  }
}

/** One accepted connection: a process per call, all killed with the connection. */
class ServerConnection {
  readonly #os: HostOs;
  readonly #router: Router;
  readonly #socket: TcpSocket;
  readonly #checker: CertificateChecker;
  readonly #credentials: Credentials;
  readonly #calls = new Map<number, Process>();
  readonly #link: FrameLink;
  #identity: NodeIdentity | undefined;
  #greeted = false;

  constructor(os: HostOs, router: Router, socket: TcpSocket, checker: CertificateChecker, credentials: Credentials) {
    this.#os = os;
    this.#router = router;
    this.#socket = socket;
    this.#checker = checker;
    this.#credentials = credentials;
    this.#link = new FrameLink(os, socket);
  }

  *run(): Proc<void> {
    try {
      yield* this.#link.read((frame) => this.#onFrame(frame));
    } finally {
      for (const call of this.#calls.values()) call.kill();
      this.#link.close();
    }
  }

  #onFrame(frame: Frame): boolean {
    switch (frame.type) {
      case FrameType.HELLO:
        return this.#onHello(frame);
      case FrameType.REQUEST:
        return this.#greeted && this.#onRequest(frame);
      case FrameType.CANCEL:
        this.#calls.get(frame.stream)?.kill();
        this.#calls.delete(frame.stream);
        return true;
      default:
        return false;
    }
  }

  #onHello(frame: Frame): boolean {
    const identity = this.#checker.identityOf(this.#credentials.root, decodeHello(frame.body).certificate);
    // A certificate of a foreign root ends the handshake, as TLS's `bad certificate` alert does.
    if (typeof identity === "string") return false;
    this.#identity = identity;
    this.#greeted = true;
    this.#link.send(FrameType.HELLO, 0, encodeHello("", this.#credentials.certificate));
    return true;
  }

  #onRequest(frame: Frame): boolean {
    const request = decodeRequest(frame.body);
    const message = request === undefined ? undefined : decodeMessage(request.message);
    if (request === undefined || message === undefined || this.#calls.has(frame.stream)) return false;
    const context: CallContext = { identity: this.#identity, peerIp: this.#socket.remoteAddress().ip };
    const program = this.#serve(frame.stream, request.path, message, context);
    this.#calls.set(frame.stream, this.#os.spawn(`rpc ${request.path}`, program));
    return true;
  }

  *#serve(stream: number, path: string, request: unknown, context: CallContext): Proc<void> {
    const send = (message: unknown) => this.#link.send(FrameType.MESSAGE, stream, encodeMessage(message));
    const error = yield* serveCall(this.#router, path, request, context, send);
    this.#calls.delete(stream);
    this.#link.send(FrameType.STATUS, stream, encodeStatus(error));
  }
}
