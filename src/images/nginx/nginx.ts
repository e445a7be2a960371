/** `nginx` 1.25: its command line, master process and signals (src/core/nginx.c, src/os/unix/ngx_process_cycle.c). */
import { KernelError } from "../../base/errors.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { type Proc, sleep } from "../../scheduler/process.ts";
import { serveHttp } from "../server/http.ts";
import { slashTime } from "../server/log-time.ts";
import { type Ending, TcpService } from "../server/tcp-service.ts";
import { loadNginxConfig, type NginxConfig } from "./config.ts";
import { NGINX_VERSION } from "./pages.ts";
import { type Directive, NginxConfigError } from "./parse.ts";
import { HEADER_TIMEOUT, NginxServer } from "./server.ts";

const CONFIG = "/etc/nginx/nginx.conf";
/** Signals of `-s` (nginx.c ngx_signal_handler names them so, too). */
const SIGNAL_OF: Readonly<Record<string, string>> = {
  stop: "SIGTERM",
  quit: "SIGQUIT",
  reload: "SIGHUP",
  reopen: "SIGUSR1",
};
/** The worker's number, behind the master's: the container's entrypoint has used up those between. */
const WORKER = 29;
/** How often binding is tried, and the pause between (ngx_open_listening_sockets). */
const BIND_TRIES = 5;
const BIND_PAUSE = 500_000_000;

interface Arguments {
  readonly config: string;
  readonly global: readonly Directive[];
  readonly signal: string | undefined;
  readonly test: boolean;
  readonly dump: boolean;
  readonly version: boolean;
}

function* main(context: ProgramContext): Proc<number> {
  const args = parseArguments(context);
  if (typeof args === "string") {
    context.stderr.write(`nginx: ${args}\n`);
    return 1;
  }
  if (args.version) {
    context.stderr.write(`nginx version: ${NGINX_VERSION}\n`);
    return 0;
  }
  const loaded = yield* load(context, args);
  if (loaded === undefined) {
    if (args.test) context.stderr.write(`nginx: configuration file ${args.config} test failed\n`);
    return 1;
  }
  if (args.test) {
    context.stderr.write(`nginx: the configuration file ${args.config} syntax is ok\n`);
    context.stderr.write(`nginx: configuration file ${args.config} test is successful\n`);
    if (args.dump) context.stdout.write(`# configuration file ${args.config}:\n${context.files.read(args.config)}\n`);
    return 0;
  }
  if (args.signal !== undefined) return send(context, loaded.config.pid, args.signal);
  return yield* start(context, args, loaded);
}

function parseArguments({ argv }: ProgramContext): Arguments | string {
  let [config, signal, text] = [CONFIG, undefined as string | undefined, ""];
  let [test, dump, version] = [false, false, false];
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] as string;
    if (!word.startsWith("-") || word === "-") return `invalid option: "${word}"`;
    const letter = word[1] as string;
    if ("csgpe".includes(letter)) {
      const value = word.length > 2 ? word.slice(2) : argv[++at];
      if (value === undefined)
        return `option "-${letter}" requires ${letter === "g" ? "parameter" : letter === "s" ? "parameter" : "file name"}`;
      if (letter === "c") config = value.startsWith("/") ? value : `/etc/nginx/${value}`;
      else if (letter === "g") text = value;
      else if (letter === "s") {
        if (SIGNAL_OF[value] === undefined) return `invalid option: "-s ${value}"`;
        signal = value;
      }
    } else if (letter === "t" || letter === "T") [test, dump] = [true, letter === "T"];
    else if (letter === "v" || letter === "V") version = true;
    else if (letter !== "q") return `invalid option: "${letter}"`;
  }
  const global = text.split(";").flatMap((one): Directive[] => {
    const [name, ...args] = one.trim().split(/\s+/);
    return name === undefined || name === "" ? [] : [{ name, args, block: undefined, file: "command line", line: 0 }];
  });
  return { config, global, signal, test, dump, version };
}

/** A configuration with its names looked up; undefined when it is wrong, which was said. */
function* load(context: ProgramContext, args: Arguments): Proc<NginxServer | undefined> {
  try {
    const config: NginxConfig = loadNginxConfig(context.files, args.config, args.global);
    const server = new NginxServer(context, config, context.pid === 1 ? WORKER : context.pid + 1);
    yield* server.upstreams.load(config);
    return server;
  } catch (error) {
    if (!(error instanceof NginxConfigError)) throw error;
    emergency(context, error.message);
    return undefined;
  }
}

/** To the error log, which is standard error in the image, and to standard error. */
function emergency(context: ProgramContext, text: string): void {
  notice(context, "emerg", text);
  context.stderr.write(`nginx: [emerg] ${text}\n`);
}

function notice(context: ProgramContext, level: string, text: string): void {
  context.stderr.write(`${slashTime(context.os.now())} [${level}] ${context.pid}#${context.pid}: ${text}\n`);
}

/** `-s`: to the process that the PID file names. */
function send(context: ProgramContext, pidFile: string, signal: string): number {
  notice(context, "notice", "signal process started");
  const text = context.files.read(pidFile);
  const failed = (why: string): number => {
    notice(context, "error", why);
    context.stderr.write(`nginx: [error] ${why}\n`);
    return 1;
  };
  if (text === undefined) return failed(`open() "${pidFile}" failed (2: No such file or directory)`);
  const master = context.processes().find(({ pid, status }) => pid === Number(text) && status === undefined);
  if (master === undefined) return failed(`invalid PID number "" in "${pidFile}"`);
  master.signal(SIGNAL_OF[signal] as string);
  return 0;
}

function* start(context: ProgramContext, args: Arguments, server: NginxServer): Proc<number> {
  if (!server.config.daemon) return yield* master(context, args, server);
  context.start(
    ["nginx:", "master", "process", ...context.argv],
    {},
    {
      background: true,
      program: (child) => master(child, args, server),
    },
  );
  return 0;
}

function* master(context: ProgramContext, args: Arguments, first: NginxServer): Proc<number> {
  const service = new TcpService(context, "nginx");
  if (!(yield* bind(context, service, first))) return 1;
  let current = first;
  const { pid } = current.config;
  context.files.write(pid, `${context.pid}\n`);
  notice(context, "notice", 'using the "epoll" event method');
  notice(context, "notice", NGINX_VERSION);
  notice(context, "notice", "start worker processes");
  notice(context, "notice", `start worker process ${WORKER}`);
  const onSignal = (name: string): Ending => {
    const number = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGUSR1: 10, SIGTERM: 15 }[name];
    if (number === undefined) return undefined;
    notice(
      context,
      "notice",
      `signal ${number} (${name}) received${name === "SIGHUP" ? ", reconfiguring" : name === "SIGQUIT" ? ", shutting down" : name === "SIGUSR1" ? ", reopening logs" : ", exiting"}`,
    );
    if (name === "SIGHUP") context.os.spawn("nginx reload", reload());
    return name === "SIGQUIT" ? "drain" : name === "SIGTERM" || name === "SIGINT" ? "stop" : undefined;
  };
  const reload = function* (): Proc<void> {
    notice(context, "notice", "reconfiguring");
    const next = yield* load(context, args);
    if (next === undefined) return;
    try {
      service.listenOnly(placesOf(next));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      notice(context, "emerg", `bind() failed (${error.message})`);
      return;
    }
    current = next;
    notice(context, "notice", "start worker processes");
  };
  try {
    yield* service.serve((socket) => connection(current, socket, service), onSignal);
  } finally {
    context.files.remove(pid);
  }
  notice(context, "notice", "exit");
  return 0;
}

/** Each place once; a wildcard covers the addresses of its port. */
function placesOf({ config }: NginxServer): { ip: number; port: number }[] {
  const listens = config.servers.flatMap(({ listens }) => listens);
  const wild = new Set(listens.filter(({ ip }) => ip === 0).map(({ port }) => port));
  const places = new Map<string, { ip: number; port: number }>();
  for (const { ip, port } of listens) {
    const own = wild.has(port) ? 0 : ip;
    places.set(`${own}:${port}`, { ip: own, port });
  }
  return [...places.values()];
}

function* bind(context: ProgramContext, service: TcpService, server: NginxServer): Proc<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      service.listenOnly(placesOf(server));
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const [place] = placesOf(server);
      const number = error.code === "EADDRINUSE" ? "98: Address already in use" : "13: Permission denied";
      emergency(context, `bind() to 0.0.0.0:${place?.port} failed (${number})`);
    }
    if (attempt === BIND_TRIES) {
      emergency(context, "still could not bind()");
      return false;
    }
    yield* sleep(context.os, BIND_PAUSE);
  }
}

function* connection(server: NginxServer, socket: TcpSocket, service: TcpService): Proc<void> {
  const number = server.newConnection();
  const keepaliveTimeout = server.keepaliveTimeout(socket);
  yield* serveHttp(
    socket,
    {
      headerTimeout: HEADER_TIMEOUT,
      keepaliveTimeout,
      maxBody: 1 << 20,
      answer: (request) => server.answer(request, number),
      refuse: (from, status) => server.refusal(from, status),
    },
    service,
  );
}

/** nginx(8): master and workers in one process. */
export const nginx: Program = main;
