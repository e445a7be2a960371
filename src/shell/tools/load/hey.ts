/** `hey` (rakyll/hey 0.1.4): a number of workers, each at a rate; what went wrong is counted by its cause. */
import { formatIpv4, type Ipv4 } from "../../../base/addr.ts";
import { type Errno, KernelError } from "../../../base/errors.ts";
import { parseDuration, SEC, type Time } from "../../../base/time.ts";
import type { Program, ProgramContext } from "../../../engine/program.ts";
import { type Proc, type Process, sleep } from "../../../scheduler/process.ts";
import { parseUrl, type Url } from "../../lib/http.ts";
import { encode, errorText } from "../../lib/program.ts";
import { lookup } from "../../lib/resolve.ts";
import { type Attempt, LoadConnection, type Stage } from "./connection.ts";

const USAGE = `Usage: hey [options...] <url>

Options:
  -n  Number of requests to run. Default is 200.
  -c  Number of workers to run concurrently. Total number of requests cannot
      be smaller than the concurrency level. Default is 50.
  -q  Rate limit, in queries per second (QPS) per worker. Default is no rate limit.
  -z  Duration of application to send requests. When duration is reached,
      application stops and exits. If duration is specified, n is ignored.
      Examples: -z 10s -z 3m.
  -m  HTTP method, one of GET, POST, PUT, DELETE, HEAD, OPTIONS.
  -H  Custom HTTP header.
  -t  Timeout for each request in seconds. Default is 20, use 0 for infinite.
  -d  HTTP request body.
  -host	HTTP Host header.

  -disable-keepalive    Disable keep-alive, prevents re-use of TCP
                        connections between different HTTP requests.
`;

interface Settings {
  readonly url: Url;
  readonly shown: string;
  readonly ip: Ipv4;
  readonly message: Uint8Array;
  readonly requests: number;
  readonly workers: number;
  /** Time between two requests of a worker; 0: none. */
  readonly pause: Time;
  readonly end: Time | undefined;
  readonly timeout: Time | undefined;
  readonly keep: boolean;
}

/** Go's flags: one dash or two, a value behind it or behind `=`. */
function flagsOf(argv: readonly string[]): { values: Map<string, string[]>; args: string[] } | string {
  const values = new Map<string, string[]>();
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] as string;
    const match = /^--?([a-zA-Z][\w-]*)(?:=(.*))?$/.exec(word);
    if (match === null) return { values, args: argv.slice(at) };
    const name = match[1] as string;
    if (["disable-keepalive", "disable-compression", "disable-redirects", "h2"].includes(name)) values.set(name, []);
    else if (!"ncqzmHtdo".includes(name) && !["host", "A", "T", "U", "a", "x", "cpus"].includes(name))
      return `flag provided but not defined: -${name}`;
    else {
      const value = match[2] ?? argv[++at];
      if (value === undefined) return `flag needs an argument: -${name}`;
      values.set(name, [...(values.get(name) ?? []), value]);
    }
  }
  return { values, args: [] };
}

function* settingsOf(context: ProgramContext): Proc<Settings | string> {
  const flags = flagsOf(context.argv);
  if (typeof flags === "string") return `${flags}\n${USAGE}`;
  const { values, args } = flags;
  const number = (name: string, fallback: number): number => Number(values.get(name)?.[0] ?? fallback);
  const [target] = args;
  if (target === undefined) return USAGE;
  const url = parseUrl(target);
  if (url === undefined || !target.startsWith("http://")) return `parse "${target}": invalid URI for request\n`;
  const workers = number("c", 50);
  const length = values.get("z")?.[0];
  const duration = length === undefined ? undefined : parseDuration(length);
  if (length !== undefined && duration === undefined)
    return `invalid value "${length}" for flag -z: parse error\n${USAGE}`;
  const requests = duration === undefined ? number("n", 200) : Number.POSITIVE_INFINITY;
  if (!(workers > 0) || !(requests > 0)) return "-n and -c cannot be smaller than 1.\n";
  if (requests < workers) return "-n cannot be less than -c.\n";
  const found = yield* lookup(context, url.host, "musl");
  if (!found.ok) return `dial tcp: lookup ${url.host}: no such host\n`;
  const keep = !values.has("disable-keepalive");
  const body = values.get("d")?.[0] ?? "";
  const lines = [
    `${values.get("m")?.[0] ?? "GET"} ${url.path} HTTP/1.1`,
    `Host: ${values.get("host")?.[0] ?? (url.port === 80 ? url.host : `${url.host}:${url.port}`)}`,
    "User-Agent: hey/0.0.1",
    `Content-Length: ${encode(body).length}`,
    ...(keep ? [] : ["Connection: close"]),
    ...(values.get("H") ?? []),
  ];
  const rate = number("q", 0);
  const timeout = number("t", 20);
  return {
    url,
    shown: target,
    ip: found.addresses[0] as Ipv4,
    message: encode(`${lines.join("\r\n")}\r\n\r\n${body}`),
    requests,
    workers,
    pause: rate > 0 ? Math.round(SEC / rate) : 0,
    end: duration === undefined ? undefined : context.os.now() + duration,
    timeout: timeout === 0 ? undefined : timeout * SEC,
    keep,
  };
}

function* main(context: ProgramContext): Proc<number> {
  const settings = yield* settingsOf(context);
  if (typeof settings === "string") {
    context.stderr.write(settings);
    return 1;
  }
  const begun = context.os.now();
  const attempts: Attempt[] = [];
  const workers: Process[] = [];
  const share = Math.floor(settings.requests / settings.workers);
  try {
    for (let i = 0; i < settings.workers; i++)
      workers.push(context.os.spawn("hey", worker(context, settings, i, share, attempts)));
    for (const one of workers) while (!one.done) yield { on: [one.exited, context.signals] };
  } finally {
    for (const one of workers) one.kill();
  }
  context.stdout.write(report(settings, attempts, context.os.now() - begun));
  return 0;
}

/** Workers begin one after the other within a pause, so that requests are spread evenly. */
function* worker(
  context: ProgramContext,
  settings: Settings,
  number: number,
  share: number,
  into: Attempt[],
): Proc<void> {
  const { os } = context;
  const connection = new LoadConnection(context, "hey");
  let next = os.now() + Math.floor((settings.pause * number) / settings.workers);
  try {
    for (let i = 0; i < share; i++) {
      if (next > os.now()) yield* sleep(os, next - os.now());
      if (settings.end !== undefined && os.now() >= settings.end) return;
      // A ticker that was missed is not made up for (time.Tick drops ticks).
      next =
        settings.pause === 0 ? 0 : next + settings.pause * Math.max(1, Math.ceil((os.now() - next) / settings.pause));
      const until = settings.timeout === undefined ? undefined : os.now() + settings.timeout;
      into.push(yield* connection.request(settings.ip, settings.url.port, settings.message, settings.keep, until));
    }
  } finally {
    connection.close();
  }
}

/** As Go's net/http says what went wrong. */
function errorOf({ shown, ip, url }: Settings, stage: Stage, code: Errno | undefined): string {
  const place = `${formatIpv4(ip)}:${url.port}`;
  const reason = code === undefined ? "" : errorText(new KernelError(code, "connect"), "glibc").toLowerCase();
  const get = `Get "${shown}": `;
  switch (stage) {
    case "connect":
      return `${get}dial tcp ${place}: connect: ${reason}`;
    case "send":
      return `${get}write tcp ${place}: write: ${reason}`;
    case "receive":
      return `${get}read tcp ${place}: read: ${reason}`;
    case "closed":
      return `${get}EOF`;
    case "timeout":
      return `${get}context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
  }
}

function report(settings: Settings, attempts: readonly Attempt[], took: Time): string {
  const good = attempts.filter(({ failure }) => failure === undefined);
  const statuses = new Map<number, number>();
  for (const { status } of good) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  const errors = new Map<string, number>();
  for (const { failure } of attempts) {
    if (failure === undefined) continue;
    const text = errorOf(settings, failure.stage, failure.code);
    errors.set(text, (errors.get(text) ?? 0) + 1);
  }
  const bytes = good.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  const spans = good.map(({ started, ended }) => (ended - started) / SEC).sort((a, b) => a - b);
  const mean = spans.reduce((sum, span) => sum + span, 0) / Math.max(1, spans.length);
  const text = (seconds: number): string => seconds.toFixed(4);
  const lines = ["", "Summary:", `  Total:\t${text(took / SEC)} secs`];
  if (good.length > 0) {
    lines.push(`  Slowest:\t${text(spans.at(-1) as number)} secs`, `  Fastest:\t${text(spans[0] as number)} secs`);
    lines.push(`  Average:\t${text(mean)} secs`, `  Requests/sec:\t${text(attempts.length / (took / SEC))}`, "  ");
    if (bytes > 0)
      lines.push(`  Total data:\t${bytes} bytes`, `  Size/request:\t${Math.floor(bytes / good.length)} bytes`);
    lines.push(
      "",
      ...histogram(spans),
      "",
      "",
      "Latency distribution:",
      ...percentiles(spans),
      "",
      ...details(good),
      "",
    );
    lines.push(
      "Status code distribution:",
      ...byCount(statuses).map(([status, n]) => `  [${status}]\t${n} responses`),
      "",
    );
  } else lines.push(`  Requests/sec:\t${text(attempts.length / (took / SEC))}`, "  ", "");
  if (errors.size > 0)
    lines.push("Error distribution:", ...byCount(errors).map(([error, n]) => `  [${n}]\t${error}`), "");
  return `${lines.join("\n")}\n`;
}

function byCount<T extends number | string>(counts: ReadonlyMap<T, number>): [T, number][] {
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

function histogram(spans: readonly number[]): string[] {
  const [first, last] = [spans[0] as number, spans.at(-1) as number];
  const width = (last - first) / 10;
  const limits = Array.from({ length: 11 }, (_, i) => (i === 10 ? last : first + width * i));
  const counts = limits.map(() => 0);
  let at = 0;
  for (const span of spans) {
    while (at < 10 && span > (limits[at] as number)) at++;
    counts[at] = (counts[at] as number) + 1;
  }
  const most = Math.max(...counts);
  return [
    "Response time histogram:",
    ...limits.map(
      (limit, i) =>
        `  ${limit.toFixed(3)} [${counts[i]}]\t|${"■".repeat(Math.round(((counts[i] as number) * 40) / most))}`,
    ),
  ];
}

function percentiles(spans: readonly number[]): string[] {
  return [10, 25, 50, 75, 90, 95, 99].flatMap((percent) => {
    const span = spans[Math.min(spans.length - 1, Math.floor((spans.length * percent) / 100))] as number;
    return span > 0 ? [`  ${percent}% in ${span.toFixed(4)} secs`] : [];
  });
}

function details(good: readonly Attempt[]): string[] {
  const line = (name: string, value: (attempt: Attempt) => Time): string => {
    const spans = good.map((one) => value(one) / SEC);
    const mean = spans.reduce((sum, span) => sum + span, 0) / spans.length;
    const [least, most] = spans.reduce(
      ([low, high], span) => [Math.min(low, span), Math.max(high, span)],
      [Number.POSITIVE_INFINITY, 0],
    );
    return `  ${name}:\t${mean.toFixed(4)} secs, ${(least as number).toFixed(4)} secs, ${(most as number).toFixed(4)} secs`;
  };
  return [
    "Details (average, fastest, slowest):",
    line("DNS+dialup", (one) => one.connected - one.started),
    line("DNS-lookup", () => 0),
    line("req write", (one) => one.sent - one.connected),
    line("resp wait", (one) => one.answered - one.sent),
    line("resp read", (one) => one.ended - one.answered),
  ];
}

/** hey(1). */
export const hey: Program = main;
