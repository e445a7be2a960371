/** `haproxy` 2.8: its command line, listeners, HTTP and TCP proxying, statistics (src/haproxy.c, http_ana.c, stream.c). */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { MS, SEC, type Time } from "../../base/time.ts";
import type { Image, Program, ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { connectTcp, recvTcp, sendTcp } from "../../scheduler/io.ts";
import { type Proc, type Process, Signal } from "../../scheduler/process.ts";
import { type HttpFailure, type HttpResponse, request as httpRequest } from "../../shell/lib/http.ts";
import { glibcError } from "../../shell/lib/program.ts";
import { debianFiles, debianPrograms } from "../debian.ts";
import { become } from "../server/entrypoint.ts";
import { byteLength, type HttpAnswer, type HttpRequest, httpMessage, REASONS, serveHttp } from "../server/http.ts";
import { commonLogTime } from "../server/log-time.ts";
import { type Ending, TcpService } from "../server/tcp-service.ts";
import { type HaproxyConfig, HaproxyConfigError, type ProxySpec, parseHaproxyConfig } from "./config.ts";
import { Backend, CONNECT_TIMEOUT, type Server } from "./servers.ts";

const DEFAULT_CONFIG = "/usr/local/etc/haproxy/haproxy.cfg";
const VERSION = "2.8.3-86e043a";
const FULL = "HAProxy version 2.8.3-86e043a 2023/09/07 - https://haproxy.org/\n";

class Haproxy {
  readonly #context: ProgramContext;
  readonly #config: HaproxyConfig;
  readonly #backends = new Map<string, Backend>();

  constructor(context: ProgramContext, config: HaproxyConfig) {
    this.#context = context;
    this.#config = config;
    for (const proxy of config.proxies)
      if (proxy.kind !== "frontend")
        this.#backends.set(proxy.name, new Backend(context, proxy, (level, text) => this.#event(level, text)));
  }

  /** A change of a server: to standard error at its level, and to the log. */
  #event(level: string, text: string): void {
    this.#context.stderr.write(
      `[${level}]${" ".repeat(Math.max(1, 9 - level.length))}(${this.#context.pid}) : ${text}\n`,
    );
    if (this.#config.logsToStdout) this.#context.stdout.write(`${text}\n`);
  }

  *run(file: string): Proc<number> {
    for (const backend of this.#backends.values()) yield* backend.start(file);
    const places = new Map<string, { ip: Ipv4; port: number; proxy: ProxySpec }>();
    for (const proxy of this.#config.proxies)
      for (const bind of proxy.binds) places.set(`${bind.ip}:${bind.port}`, { ...bind, proxy });
    const services: { service: TcpService; proxy: ProxySpec }[] = [];
    for (const { ip, port, proxy } of places.values()) {
      const service = new TcpService(this.#context, "haproxy");
      try {
        service.listen(port, ip);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        for (const { service: open } of services) open.closeListeners();
        throw new HaproxyConfigError(
          `Binding [${file}:0] for proxy ${proxy.name}: cannot bind socket (${glibcError(error)}) for [${formatIpv4(ip)}:${port}]`,
        );
      }
      services.push({ service, proxy });
    }
    const upkeep = [...this.#backends.values()].flatMap((backend) => backend.upkeep(this.#config.resolvers));
    const helpers: Process[] = upkeep.map((process) => this.#context.os.spawn("haproxy upkeep", process));
    this.#context.stderr.write(
      `[NOTICE]   (${this.#context.pid}) : New worker (8) forked\n[NOTICE]   (${this.#context.pid}) : Loading success.\n`,
    );
    return yield* this.#serve(services, helpers);
  }

  /** One accept loop a listener; the first one has the signals and hands them on. */
  *#serve(services: readonly { service: TcpService; proxy: ProxySpec }[], helpers: readonly Process[]): Proc<number> {
    const over = new Signal();
    const loops = services.map(({ service, proxy }) =>
      this.#context.os.spawn(
        "haproxy",
        service.serve(
          (socket) => this.#connection(socket, proxy, service),
          () => undefined,
        ),
      ),
    );
    let ending: Ending;
    try {
      while (ending === undefined) {
        const signal = this.#context.signals.tryPop();
        if (signal === "SIGUSR1") ending = "drain";
        else if (signal === "SIGTERM" || signal === "SIGINT") ending = "stop";
        else if (signal === undefined) yield { on: [this.#context.signals, over] };
      }
      for (const { service } of services) service.closeListeners();
      if (ending === "drain")
        while (services.some(({ service }) => service.connections > 0))
          yield { until: this.#context.os.now() + 100 * MS };
      for (const { proxy } of services)
        this.#context.stderr.write(`[WARNING]  (8) : Proxy ${proxy.name} stopped (cumulated conns: FE: 0, BE: 0).\n`);
      return ending === "drain" ? 0 : 143;
    } finally {
      for (const process of [...loops, ...helpers]) process.kill();
    }
  }

  #backendOf(proxy: ProxySpec): Backend | undefined {
    return this.#backends.get(proxy.kind === "listen" ? proxy.name : (proxy.defaultBackend ?? ""));
  }

  *#connection(socket: TcpSocket, proxy: ProxySpec, service: TcpService): Proc<void> {
    if (proxy.mode === "tcp") {
      yield* this.#tcp(socket, proxy);
      return;
    }
    const timeout = proxy.timeouts.client || 60 * SEC;
    yield* serveHttp(
      socket,
      {
        headerTimeout: timeout,
        keepaliveTimeout: timeout,
        answer: (request) => this.#http(request, proxy),
        refuse: () => errorMessage(400, "Your browser sent an invalid request."),
      },
      service,
    );
  }

  *#http(request: HttpRequest, proxy: ProxySpec): Proc<HttpAnswer> {
    const started = this.#context.os.now();
    const backend = this.#backendOf(proxy);
    const uri = proxy.statsUri ?? backend?.spec.statsUri;
    if (uri !== undefined && request.target.split(";")[0] === uri) return { message: this.#stats(), keep: false };
    let flags = "SC";
    let chosen: Server | undefined;
    let message = errorMessage(503, "No server is available to handle this request.");
    let status = 503;
    const tried = new Set<Server>();
    // A server that refuses is tried again and, the last time, another one (retries 3, option redispatch).
    for (let attempt = 0; backend !== undefined && attempt < 4; attempt++) {
      const server = backend.choose(request.client.ip, tried);
      if (server === undefined) break;
      chosen = server;
      const outcome = yield* this.#forward(request, proxy, server);
      if (!("failure" in outcome)) {
        status = outcome.status;
        message = response(request, outcome);
        flags = "--";
        break;
      }
      tried.add(server);
      if (outcome.failure !== "connect") {
        status = outcome.failure === "timeout" ? 504 : 502;
        flags = outcome.failure === "timeout" ? "sH" : "SH";
        message = errorMessage(
          status,
          status === 504
            ? "The server didn't respond in time."
            : "The server returned an invalid or incomplete response.",
        );
        break;
      }
      flags = "SC";
    }
    this.#logHttp(request, proxy, backend, chosen, status, byteLength(message), started, flags);
    return { message, keep: request.keepAlive && status < 500 };
  }

  *#forward(request: HttpRequest, proxy: ProxySpec, server: Server): Proc<HttpResponse | HttpFailure> {
    const { os, ns } = this.#context;
    const lines = [`${request.method} ${request.target} HTTP/1.1`];
    const hidden = new Set(["connection", "keep-alive", "transfer-encoding"]);
    for (const line of request.headerLines)
      if (!hidden.has(line.slice(0, line.indexOf(":")).toLowerCase())) lines.push(line);
    if (proxy.forwardFor) lines.push(`X-Forwarded-For: ${formatIpv4(request.client.ip)}`);
    lines.push("Connection: close");
    server.connections++;
    server.total++;
    try {
      return yield* httpRequest(
        ns,
        server.ip as Ipv4,
        server.spec.port,
        `${lines.join("\r\n")}\r\n\r\n${request.body}`,
        {
          owner: "haproxy",
          until: os.now() + (proxy.timeouts.connect || CONNECT_TIMEOUT),
          readUntil: () => os.now() + (proxy.timeouts.server || 60 * SEC),
          headOnly: request.method === "HEAD",
        },
      );
    } finally {
      server.connections--;
    }
  }

  /** Bytes both ways until one side ends. */
  *#tcp(client: TcpSocket, proxy: ProxySpec): Proc<void> {
    const backend = this.#backendOf(proxy);
    const tried = new Set<Server>();
    const started = this.#context.os.now();
    for (;;) {
      const server = backend?.choose(client.remoteAddress().ip, tried);
      if (server === undefined) {
        client.abort();
        return;
      }
      tried.add(server);
      let socket: TcpSocket;
      try {
        const until = this.#context.os.now() + (proxy.timeouts.connect || CONNECT_TIMEOUT);
        socket = yield* connectTcp(this.#context.ns, server.ip as Ipv4, server.spec.port, until);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        continue;
      }
      socket.setOwner("haproxy");
      server.connections++;
      server.total++;
      const back = this.#context.os.spawn("haproxy", copy(socket, client));
      try {
        yield* copy(client, socket);
        while (!back.done) yield { on: [back.exited] };
      } finally {
        back.kill();
        socket.close();
        server.connections--;
        if (proxy.log && this.#config.logsToStdout) this.#logTcp(client, proxy, backend as Backend, server, started);
      }
      return;
    }
  }

  #logTcp(client: TcpSocket, proxy: ProxySpec, backend: Backend, server: Server, started: Time): void {
    const { ip, port } = client.remoteAddress();
    const took = Math.floor((this.#context.os.now() - started) / MS);
    this.#context.stdout.write(
      `${formatIpv4(ip)}:${port} [${haproxyTime(started)}] ${proxy.name} ${backend.spec.name}/${server.spec.name} 1/0/${took} 0 -- 1/1/0/0/0 0/0\n`,
    );
  }

  #logHttp(
    request: HttpRequest,
    proxy: ProxySpec,
    backend: Backend | undefined,
    server: Server | undefined,
    status: number,
    size: number,
    started: Time,
    flags: string,
  ): void {
    if (!proxy.log || !this.#config.logsToStdout) return;
    const { ip, port } = request.client;
    if (proxy.logFormat !== "http") {
      const local = `${formatIpv4(request.server.ip)}:${request.server.port}`;
      this.#context.stdout.write(`Connect from ${formatIpv4(ip)}:${port} to ${local} (${proxy.name}/HTTP)\n`);
      return;
    }
    const took = Math.floor((this.#context.os.now() - started) / MS);
    const where = `${backend?.spec.name ?? proxy.name}/${server?.spec.name ?? "<NOSRV>"}`;
    this.#context.stdout.write(
      `${formatIpv4(ip)}:${port} [${haproxyTime(started)}] ${proxy.name} ${where} 0/0/0/${took}/${took} ${status} ${size} - - ${flags}-- 1/1/0/0/0 0/0 "${request.line}"\n`,
    );
  }

  /** A plain form of the statistics page. */
  #stats(): string {
    const rows = [...this.#backends.values()].flatMap(({ spec, servers }) =>
      servers.map(({ spec: server, ip, up, total, connections }) => {
        const state = ip === undefined ? "MAINT (resolution)" : up ? (server.check ? "UP" : "no check") : "DOWN";
        return `<tr><td>${spec.name}</td><td>${server.name}</td><td>${ip === undefined ? "" : formatIpv4(ip)}</td><td>${state}</td><td>${connections}</td><td>${total}</td></tr>\n`;
      }),
    );
    const body = `<html><head><title>Statistics Report for HAProxy</title></head>\n<body><h1><a href="http://www.haproxy.org/" style="text-decoration: none;">HAProxy version ${VERSION}</a></h1>\n<h2>Statistics Report for pid 8</h2>\n<table>\n<tr><th>Backend</th><th>Server</th><th>Address</th><th>Status</th><th>Cur</th><th>Total</th></tr>\n${rows.join("")}</table></body></html>\n`;
    return httpMessage(
      "200 OK",
      [
        ["cache-control", "no-cache"],
        ["content-type", "text/html"],
        ["content-length", String(byteLength(body))],
        ["connection", "close"],
      ],
      body,
    );
  }
}

function haproxyTime(time: Time): string {
  return `${commonLogTime(time).replace(" +0000", "")}.${String(Math.floor((time % SEC) / MS)).padStart(3, "0")}`;
}

function* copy(from: TcpSocket, to: TcpSocket): Proc<void> {
  try {
    for (;;) {
      const data = yield* recvTcp(from, 65536);
      if (data === undefined || data.length === 0) break;
      yield* sendTcp(to, data);
    }
    to.shutdown();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    to.abort();
  }
}

function response(request: HttpRequest, { status, statusLine, head, body }: HttpResponse): string {
  const headers: (readonly [string, string | undefined])[] = [];
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (!["connection", "transfer-encoding", "content-length", "keep-alive"].includes(name))
      headers.push([name, line.slice(colon + 1).trim()]);
  }
  if (status !== 204 && status !== 304) headers.push(["content-length", String(byteLength(body))]);
  if (!request.keepAlive) headers.push(["connection", "close"]);
  return httpMessage(statusLine.replace(/^HTTP\/1\.\d /, ""), headers, request.method === "HEAD" ? "" : body);
}

function errorMessage(status: number, text: string): string {
  const title = `${status} ${REASONS[status] ?? ""}`;
  const body = `<html><body><h1>${title}</h1>\n${text}\n</body></html>\n`;
  return httpMessage(
    title,
    [
      ["content-length", String(byteLength(body))],
      ["cache-control", "no-cache"],
      ["content-type", "text/html"],
      ["connection", "close"],
    ],
    body,
  );
}

/** haproxy(1). */
export const haproxy: Program = function* (context) {
  const { argv } = context;
  if (argv.includes("-v")) {
    context.stdout.write(FULL);
    return 0;
  }
  const at = argv.indexOf("-f");
  const file = (at < 0 ? argv[argv.indexOf("--") + 1] : argv[at + 1]) ?? DEFAULT_CONFIG;
  const alert = (text: string): void => {
    context.stderr.write(
      `[NOTICE]   (${context.pid}) : haproxy version is ${VERSION}\n[ALERT]    (${context.pid}) : config : ${text}\n`,
    );
  };
  const path = context.files.list(file) === undefined ? file : `${file}/haproxy.cfg`;
  const text = context.files.read(path);
  if (text === undefined) {
    context.stderr.write(
      `[NOTICE]   (${context.pid}) : haproxy version is ${VERSION}\n[ALERT]    (${context.pid}) : Cannot open configuration file/directory ${file} : No such file or directory\n`,
    );
    return 1;
  }
  try {
    const config = parseHaproxyConfig(path, text);
    if (argv.includes("-c")) {
      context.stdout.write("Configuration file is valid\n");
      return 0;
    }
    return yield* new Haproxy(context, config).run(path);
  } catch (error) {
    if (!(error instanceof HaproxyConfigError)) throw error;
    alert(error.message);
    alert(`Error(s) found in configuration file : ${path}`);
    context.stderr.write(`[ALERT]    (${context.pid}) : config : Fatal errors found in configuration.\n`);
    return 1;
  }
};

const programs = new Map<string, Program>([...debianPrograms(), ["haproxy", haproxy]]);
programs.set("docker-entrypoint.sh", (context) => {
  const [, ...command] = context.argv;
  const first = command[0] ?? "";
  // Options mean haproxy; it runs in the foreground with a master (-W -db).
  const rest = first.startsWith("-") ? command : command.slice(1);
  const argv = first.startsWith("-") || first === "haproxy" ? ["haproxy", "-W", "-db", ...rest] : command;
  return become(context, argv, (name) => programs.get(name));
});

/** `haproxy`. */
export const haproxyImage: Image = {
  id: "sha256:c1bbe1b8b7e3c6a1f3a2c5d4e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819",
  tag: "haproxy:latest",
  cmd: ["haproxy", "-f", DEFAULT_CONFIG],
  entrypoint: ["docker-entrypoint.sh"],
  env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HAPROXY_VERSION=2.8.3"],
  exposed: [],
  workingDir: "/var/lib/haproxy",
  stopSignal: "SIGUSR1",
  sizeBytes: 103_000_000,
  programs,
  files: new Map([...debianFiles(programs), ["/usr/local/etc/haproxy/", ""]]),
};
