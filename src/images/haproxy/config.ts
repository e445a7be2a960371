/** haproxy.cfg: sections and their keywords as far as they are emulated, with HAProxy's messages (src/cfgparse*.c of 2.8). */
import { type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { MS, SEC, type Time } from "../../base/time.ts";

/** `timeout …` lines, ns. */
export interface Timeouts {
  connect: Time;
  client: Time;
  server: Time;
}

/** A server line, or one slot of a server-template. */
export interface ServerSpec {
  readonly name: string;
  /** A name to look up, or a dotted address. */
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly check: boolean;
  readonly inter: Time;
  readonly rise: number;
  readonly fall: number;
  readonly backup: boolean;
  readonly resolvers: string | undefined;
  /** Methods of init-addr: last, libc, none, or an address. */
  readonly initAddr: readonly string[];
  /** One of several that share the name's addresses. */
  readonly template: boolean;
}

/** A `frontend`, `backend` or `listen` section. */
export interface ProxySpec {
  readonly kind: "frontend" | "backend" | "listen";
  readonly name: string;
  mode: "http" | "tcp";
  readonly binds: { readonly ip: Ipv4; readonly port: number }[];
  defaultBackend: string | undefined;
  balance: "roundrobin" | "leastconn" | "source" | "first";
  readonly servers: ServerSpec[];
  readonly timeouts: Timeouts;
  log: boolean;
  logFormat: "http" | "tcp" | "default";
  statsUri: string | undefined;
  forwardFor: boolean;
  httpCheck: boolean;
}

/** A `resolvers` section. */
export interface ResolversSpec {
  readonly name: string;
  readonly nameservers: { readonly ip: Ipv4; readonly port: number }[];
  retries: number;
  resolve: Time;
  retry: Time;
  holdValid: Time;
}

/** A whole configuration, as far as it is understood. */
export interface HaproxyConfig {
  readonly proxies: readonly ProxySpec[];
  readonly resolvers: ReadonlyMap<string, ResolversSpec>;
  readonly logsToStdout: boolean;
}

/** Why it doesn't start: the lines that it prints behind `[ALERT]`. */
export class HaproxyConfigError extends Error {
  override name = "HaproxyConfigError";
}

/** Keywords that change nothing here. */
const IGNORED = new Set(
  (
    "maxconn daemon user group chroot pidfile nbthread master-worker ssl-default-bind-options ssl-default-bind-ciphers tune.bufsize ulimit-n " +
    "hard-stop-after option-dontlognull errorfile http-reuse retries option stats accepted_payload_size parse-resolv-conf hold description " +
    "compression http-request http-response monitor-uri timeout log-tag default-server"
  ).split(" "),
);

const NEW_PROXY: Omit<ProxySpec, "kind" | "name" | "binds" | "servers" | "timeouts"> = {
  mode: "tcp",
  defaultBackend: undefined,
  balance: "roundrobin",
  log: false,
  logFormat: "default",
  statsUri: undefined,
  forwardFor: false,
  httpCheck: false,
};

/** `5s`, `500ms`, `1m`, `3000` (ms). */
function timeOf(text: string | undefined): Time | undefined {
  const match = /^(\d+)(us|ms|s|m|h|d)?$/.exec(text ?? "");
  if (match === null) return undefined;
  const units: Readonly<Record<string, Time>> = {
    us: 1000,
    ms: MS,
    s: SEC,
    m: 60 * SEC,
    h: 3600 * SEC,
    d: 86400 * SEC,
  };
  return Number(match[1]) * (units[match[2] ?? "ms"] as Time);
}

/** @throws HaproxyConfigError */
export function parseHaproxyConfig(file: string, text: string): HaproxyConfig {
  return new Parser(file).parse(text);
}

class Parser {
  readonly #file: string;
  readonly #proxies: ProxySpec[] = [];
  readonly #resolvers = new Map<string, ResolversSpec>();
  #defaults: ProxySpec = this.#newProxy("listen", "defaults", undefined);
  #current: ProxySpec | undefined;
  #section = "";
  #line = 0;
  #stdout = false;

  constructor(file: string) {
    this.#file = file;
  }

  #newProxy(kind: ProxySpec["kind"], name: string, from: ProxySpec | undefined): ProxySpec {
    const timeouts = from === undefined ? { connect: 0, client: 0, server: 0 } : { ...from.timeouts };
    return { ...(from ?? NEW_PROXY), kind, name, binds: [], servers: [], timeouts };
  }

  #fail(text: string): never {
    throw new HaproxyConfigError(`parsing [${this.#file}:${this.#line}] : ${text}`);
  }

  parse(text: string): HaproxyConfig {
    for (const [at, raw] of text.split("\n").entries()) {
      this.#line = at + 1;
      const words = raw
        .replace(/#.*/, "")
        .trim()
        .match(/"[^"]*"|\S+/g);
      if (words !== null) this.#keyword(words.map((word) => word.replace(/^"|"$/g, "")));
    }
    if (this.#proxies.length === 0)
      throw new HaproxyConfigError(`Configuration file has no error but will not start (no listener) => exit(2).`);
    for (const proxy of this.#proxies) this.#check(proxy);
    return { proxies: this.#proxies, resolvers: this.#resolvers, logsToStdout: this.#stdout };
  }

  #check(proxy: ProxySpec): void {
    const { defaultBackend } = proxy;
    if (
      defaultBackend !== undefined &&
      !this.#proxies.some(({ kind, name }) => kind !== "frontend" && name === defaultBackend)
    )
      throw new HaproxyConfigError(
        `Proxy '${proxy.name}': unable to find required default_backend: '${defaultBackend}'.`,
      );
    for (const server of proxy.servers)
      if (server.resolvers !== undefined && !this.#resolvers.has(server.resolvers))
        throw new HaproxyConfigError(
          `backend '${proxy.name}', server '${server.name}': unable to find required resolvers '${server.resolvers}'`,
        );
  }

  #keyword(words: readonly string[]): void {
    const [word = "", ...args] = words;
    if (
      ["global", "defaults", "frontend", "backend", "listen", "resolvers", "program", "userlist", "peers"].includes(
        word,
      )
    ) {
      this.#open(word, args);
      return;
    }
    if (this.#section === "") this.#fail(`unknown keyword '${word}' out of section.`);
    const known =
      this.#section === "global"
        ? this.#global(word, args)
        : this.#section === "resolvers"
          ? this.#resolver(word, args)
          : this.#proxy(this.#current as ProxySpec, word, args);
    if (!known && !IGNORED.has(word)) this.#fail(`unknown keyword '${word}' in '${this.#section}' section`);
  }

  #open(section: string, [name]: readonly string[]): void {
    this.#section = section;
    this.#current = undefined;
    if (section === "global" || section === "program" || section === "userlist" || section === "peers") return;
    if (section === "defaults") {
      this.#defaults = this.#newProxy("listen", "defaults", undefined);
      this.#current = this.#defaults;
      return;
    }
    if (name === undefined) this.#fail(`'${section}' expects an <id> argument`);
    if (section === "resolvers") {
      this.#resolvers.set(name, { name, nameservers: [], retries: 3, resolve: SEC, retry: SEC, holdValid: 10 * SEC });
      return;
    }
    this.#current = this.#newProxy(section as ProxySpec["kind"], name, this.#defaults);
    this.#proxies.push(this.#current);
  }

  #global(word: string, args: readonly string[]): boolean {
    if (word === "log") this.#stdout ||= args[0] === "stdout" || args[0] === "stderr" || args[0] === "fd@1";
    return word === "log";
  }

  #resolver(word: string, args: readonly string[]): boolean {
    const spec = [...this.#resolvers.values()].at(-1) as ResolversSpec;
    if (word === "nameserver") {
      const place = (args[1] ?? "").replace(/^udp@/, "").split(":");
      const ip = parseIpv4(place[0] ?? "");
      if (ip === undefined) this.#fail(`'nameserver' : invalid address: '${place[0] ?? ""}' in '${args[1] ?? ""}'`);
      spec.nameservers.push({ ip, port: Number(place[1] ?? 53) });
    } else if (word === "resolve_retries") spec.retries = Number(args[0]);
    else if (word === "timeout" && args[0] === "resolve") spec.resolve = timeOf(args[1]) ?? spec.resolve;
    else if (word === "timeout" && args[0] === "retry") spec.retry = timeOf(args[1]) ?? spec.retry;
    else if (word === "hold" && args[0] === "valid") spec.holdValid = timeOf(args[1]) ?? spec.holdValid;
    else return false;
    return true;
  }

  #proxy(proxy: ProxySpec, word: string, args: readonly string[]): boolean {
    switch (word) {
      case "mode":
        if (args[0] !== "http" && args[0] !== "tcp") this.#fail(`unknown proxy mode '${args[0] ?? ""}'.`);
        proxy.mode = args[0];
        return true;
      case "bind":
        proxy.binds.push(this.#place(args[0] ?? ""));
        return true;
      case "default_backend":
        proxy.defaultBackend = args[0];
        return true;
      case "balance": {
        const method = args[0] ?? "roundrobin";
        if (
          method !== "roundrobin" &&
          method !== "leastconn" &&
          method !== "source" &&
          method !== "first" &&
          method !== "static-rr"
        )
          this.#fail(`'balance' only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'first' here.`);
        proxy.balance = method === "static-rr" ? "roundrobin" : method;
        return true;
      }
      case "timeout":
        return this.#timeout(proxy, args);
      case "log":
        proxy.log = args[0] === "global" || args[0] === "stdout";
        return true;
      case "option":
        if (args[0] === "httplog" || args[0] === "tcplog") proxy.logFormat = args[0] === "httplog" ? "http" : "tcp";
        if (args[0] === "forwardfor") proxy.forwardFor = true;
        if (args[0] === "httpchk") proxy.httpCheck = true;
        return true;
      case "stats":
        if (args[0] === "uri") proxy.statsUri = args[1];
        else if (args[0] === "enable") proxy.statsUri ??= "/haproxy?stats";
        return true;
      case "server":
        if (args.length < 2) this.#fail(`'server' expects <name> and <addr>[:<port>] as arguments.`);
        proxy.servers.push(this.#server(args[0] as string, args[1] as string, args.slice(2), false));
        return true;
      case "server-template":
        this.#template(proxy, args);
        return true;
      default:
        return false;
    }
  }

  #timeout(proxy: ProxySpec, [which = "", text]: readonly string[]): boolean {
    const time = timeOf(text);
    if (time === undefined) this.#fail(`'timeout ${which}' : unexpected character '${text?.[0] ?? ""}' in argument.`);
    if (which === "connect" || which === "client" || which === "server") proxy.timeouts[which] = time;
    return true;
  }

  #place(text: string): { ip: Ipv4; port: number } {
    const match = /^(?:\*|([\d.]+)|)?:(\d+)$/.exec(text);
    if (match === null) this.#fail(`'bind' : invalid address: '${text}'`);
    return { ip: parseIpv4(match[1] ?? "") ?? 0, port: Number(match[2]) };
  }

  #server(name: string, place: string, options: readonly string[], template: boolean): ServerSpec {
    const [host = "", port] = place.split(":");
    const value = (option: string): string | undefined => {
      const at = options.indexOf(option);
      return at < 0 ? undefined : options[at + 1];
    };
    const known = new Set([
      "check",
      "backup",
      "resolvers",
      "weight",
      "inter",
      "rise",
      "fall",
      "init-addr",
      "maxconn",
      "resolve-prefer",
      "port",
      "cookie",
      "ipv4",
    ]);
    const wrong = options.find((option, at) => !known.has(option) && !known.has(options[at - 1] ?? ""));
    if (wrong !== undefined) this.#fail(`'server ${name}' : unknown keyword '${wrong}'.`);
    return {
      name,
      host,
      port: Number(port ?? 0),
      weight: Number(value("weight") ?? 1),
      check: options.includes("check"),
      inter: timeOf(value("inter")) ?? 2 * SEC,
      rise: Number(value("rise") ?? 2),
      fall: Number(value("fall") ?? 3),
      backup: options.includes("backup"),
      resolvers: value("resolvers"),
      initAddr: (value("init-addr") ?? "last,libc").split(","),
      template,
    };
  }

  #template(proxy: ProxySpec, [prefix, count = "", place, ...options]: readonly string[]): void {
    const [first, last] = count.includes("-") ? count.split("-").map(Number) : [1, Number(count)];
    if (prefix === undefined || place === undefined || !((last as number) >= (first as number)))
      this.#fail("'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.");
    for (let number = first as number; number <= (last as number); number++)
      proxy.servers.push(this.#server(`${prefix}${number}`, place, options, true));
  }
}
