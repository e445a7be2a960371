/** `ab`, ApacheBench 2.3 (support/ab.c of Apache httpd 2.4). */
import type { Ipv4 } from "../../../base/addr.ts";
import { ERRNO_NUMBER, KernelError } from "../../../base/errors.ts";
import { MS, SEC, type Time } from "../../../base/time.ts";
import type { Program, ProgramContext } from "../../../engine/program.ts";
import { type Proc, type Process, Signal } from "../../../scheduler/process.ts";
import { parseUrl, type Url } from "../../lib/http.ts";
import { getopt, type Options, UsageError } from "../../lib/options.ts";
import { encode, errorText } from "../../lib/program.ts";
import { lookup } from "../../lib/resolve.ts";
import { type Attempt, LoadConnection } from "./connection.ts";

const BANNER =
  "This is ApacheBench, Version 2.3 <$Revision: 1903618 $>\nCopyright 1996 Adam Twiss, Zeus Technology Ltd, http://www.zeustech.net/\nLicensed to The Apache Software Foundation, http://www.apache.org/\n\n";
/** Requests at most when only a time is given (-t implies -n 50000). */
const TIMED_REQUESTS = 50_000;
const USAGE = "Usage: ab [options] [http[s]://]hostname[:port]/path\n";

/** What all connections share. */
interface Run {
  readonly url: Url;
  readonly ip: Ipv4;
  readonly message: Uint8Array;
  readonly requests: number;
  readonly keep: boolean;
  readonly goOn: boolean;
  readonly timeout: Time;
  readonly end: Time | undefined;
  readonly attempts: Attempt[];
  started: number;
  /** What ends it before its time. */
  fatal: string | undefined;
  readonly changed: Signal;
}

function* main(context: ProgramContext): Proc<number> {
  let options: Options;
  try {
    options = getopt(context.argv, "n:c:t:s:b:p:u:T:v:wiX:P:A:C:H:x:y:z:klqrdSeg:Vhm:");
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    context.stderr.write(`ab: ${error.message.replace(/'/g, "'")}\n${USAGE}`);
    return 22;
  }
  if (options.has("V")) {
    context.stdout.write(BANNER.trimEnd().concat("\n"));
    return 0;
  }
  const refuse = (text: string): number => {
    context.stderr.write(`ab: ${text}\n${USAGE}`);
    return 22;
  };
  const [target] = options.args;
  if (target === undefined || options.args.length > 1) return refuse("wrong number of arguments");
  const url = parseUrl(target);
  // ab wants a path: `http://host` is no URL to it.
  if (url === undefined || !/^(?:https?:\/\/)?[^/]+\//.test(target)) return refuse("invalid URL");
  const timed = options.number("t");
  const requests = options.number("n") ?? (timed === undefined ? 1 : TIMED_REQUESTS);
  const clients = options.number("c") ?? 1;
  if (requests < 1) return refuse("Invalid number of requests");
  if (clients < 1) return refuse("Invalid concurrency");
  if (clients > requests) return refuse("Cannot use concurrency level greater than total number of requests");
  context.stdout.write(
    `${BANNER}Benchmarking ${url.host} (be patient)${options.has("q") || requests < 150 ? "..." : "\n"}`,
  );
  const found = yield* lookup(context, url.host, "glibc");
  if (!found.ok) {
    context.stderr.write(`\napr_sockaddr_info_get() for ${url.host}: Name or service not known (670002)\n`);
    return 1;
  }
  const run: Run = {
    url,
    ip: found.addresses[0] as Ipv4,
    message: encode(requestText(options, url)),
    requests,
    keep: options.has("k"),
    goOn: options.has("r"),
    timeout: (options.number("s") ?? 30) * SEC,
    end: timed === undefined ? undefined : context.os.now() + timed * SEC,
    attempts: [],
    started: 0,
    fatal: undefined,
    changed: new Signal(),
  };
  const begun = context.os.now();
  yield* runAll(context, run, clients, options.has("q"));
  if (run.fatal !== undefined) {
    context.stderr.write(`${run.fatal}\n`);
    const done = run.attempts.filter(({ failure }) => failure === undefined).length;
    if (done > 0) context.stdout.write(`Total of ${done} requests completed\n`);
    return 1;
  }
  context.stdout.write(requests < 150 || options.has("q") ? "..done\n" : `Finished ${run.attempts.length} requests\n`);
  context.stdout.write(report(run, clients, context.os.now() - begun, options.has("k")));
  return 0;
}

function requestText(options: Options, url: Url): string {
  const own = options.list("H");
  const named = (name: string): boolean => own.some((line) => line.toLowerCase().startsWith(`${name}:`));
  const method = options.text("m") ?? (options.has("i") ? "HEAD" : "GET");
  const lines = [`${method} ${url.path} HTTP/1.0`];
  if (options.has("k")) lines.push("Connection: Keep-Alive");
  if (!named("host")) lines.push(`Host: ${url.port === 80 ? url.host : `${url.host}:${url.port}`}`);
  if (!named("user-agent")) lines.push("User-Agent: ApacheBench/2.3");
  if (!named("accept")) lines.push("Accept: */*");
  return `${[...lines, ...own].join("\r\n")}\r\n\r\n`;
}

function* runAll(context: ProgramContext, run: Run, clients: number, quiet: boolean): Proc<void> {
  const workers: Process[] = [];
  try {
    for (let i = 0; i < clients; i++) workers.push(context.os.spawn("ab", worker(context, run)));
    const step = Math.max(100, Math.floor(run.requests / 10));
    let told = 0;
    for (;;) {
      for (; !quiet && run.requests >= 150 && told + step <= run.attempts.length; told += step)
        context.stdout.write(`Completed ${told + step} requests\n`);
      if (run.fatal !== undefined || workers.every(({ done }) => done)) return;
      const until = run.end;
      if (until !== undefined && context.os.now() >= until) return;
      yield until === undefined ? { on: [run.changed] } : { on: [run.changed], until };
    }
  } finally {
    for (const one of workers) one.kill();
  }
}

function* worker(context: ProgramContext, run: Run): Proc<void> {
  const connection = new LoadConnection(context, "ab");
  try {
    while (run.started < run.requests && run.fatal === undefined) {
      run.started++;
      const until = context.os.now() + run.timeout;
      const attempt = yield* connection.request(run.ip, run.url.port, run.message, run.keep, until);
      run.attempts.push(attempt);
      run.fatal ??= fatality(run, attempt);
      run.changed.notify();
    }
  } finally {
    connection.close();
    run.changed.notify();
  }
}

/** Errors of the socket end ab, but with -r; a connection that is closed early counts as a failed request. */
function fatality(run: Run, { failure }: Attempt): string | undefined {
  if (failure === undefined || failure.stage === "closed") return undefined;
  if (failure.stage === "timeout") return "apr_pollset_poll: The timeout specified has expired (70007)";
  if (run.goOn || failure.code === undefined) return undefined;
  const error = new KernelError(failure.code, "connect");
  return `apr_socket_recv: ${errorText(error, "glibc")} (${ERRNO_NUMBER[failure.code]})`;
}

function report(run: Run, clients: number, took: Time, keepAlive: boolean): string {
  const { attempts, url } = run;
  const good = attempts.filter(({ failure }) => failure === undefined);
  const length = good[0]?.bodyBytes ?? 0;
  const count = (test: (attempt: Attempt) => boolean): number => attempts.filter(test).length;
  const connect = count(({ failure }) => failure?.stage === "connect");
  const receive = count(({ failure }) => failure?.stage === "receive" || failure?.stage === "send");
  const short = count(
    ({ failure, bodyBytes }) => failure?.stage === "closed" || (failure === undefined && bodyBytes !== length),
  );
  const other = count(({ status, failure }) => failure === undefined && (status < 200 || status > 299));
  const total = good.reduce((sum, { bytes }) => sum + bytes, 0);
  const html = good.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  const seconds = took / SEC;
  const done = attempts.length;
  const field = (name: string, value: string): string => `${`${name}:`.padEnd(24)}${value}\n`;
  const failed = connect + receive + short;
  return [
    "\n\n",
    field("Server Software", good[0]?.server ?? ""),
    field("Server Hostname", url.host),
    field("Server Port", String(url.port)),
    "\n",
    field("Document Path", url.path),
    field("Document Length", `${length} bytes`),
    "\n",
    field("Concurrency Level", String(clients)),
    field("Time taken for tests", `${seconds.toFixed(3)} seconds`),
    field("Complete requests", String(done)),
    field("Failed requests", String(failed)),
    failed > 0 ? `   (Connect: ${connect}, Receive: ${receive}, Length: ${short}, Exceptions: 0)\n` : "",
    other > 0 ? field("Non-2xx responses", String(other)) : "",
    keepAlive ? field("Keep-Alive requests", String(count(({ kept }) => kept))) : "",
    field("Total transferred", `${total} bytes`),
    field("HTML transferred", `${html} bytes`),
    field("Requests per second", `${(done / seconds).toFixed(2)} [#/sec] (mean)`),
    field("Time per request", `${((clients * took) / MS / done).toFixed(3)} [ms] (mean)`),
    field("Time per request", `${(took / MS / done).toFixed(3)} [ms] (mean, across all concurrent requests)`),
    field("Transfer rate", `${(total / 1024 / seconds).toFixed(2)} [Kbytes/sec] received`),
    done > 0 ? times(good) : "",
  ].join("");
}

/** The table of connection times, and percentiles where there was more than one request. */
function times(attempts: readonly Attempt[]): string {
  if (attempts.length === 0) return "";
  const row = (name: string, value: (attempt: Attempt) => Time): string => {
    const sorted = attempts.map((one) => value(one) / MS).sort((a, b) => a - b);
    const mean = sorted.reduce((sum, one) => sum + one, 0) / sorted.length;
    const variance = sorted.reduce((sum, one) => sum + (one - mean) ** 2, 0) / Math.max(1, sorted.length - 1);
    const whole = (number: number, width: number): string => String(Math.round(number)).padStart(width);
    const median = sorted[Math.floor(sorted.length / 2)] as number;
    return `${name.padEnd(12)}${whole(sorted[0] as number, 5)} ${whole(mean, 4)} ${Math.sqrt(variance).toFixed(1).padStart(5)} ${whole(median, 6)} ${whole(sorted.at(-1) as number, 7)}\n`;
  };
  const table =
    "\nConnection Times (ms)\n              min  mean[+/-sd] median   max\n" +
    row("Connect:", (one) => one.connected - one.started) +
    row("Processing:", (one) => one.ended - one.connected) +
    row("Waiting:", (one) => one.answered - one.sent) +
    row("Total:", (one) => one.ended - one.started);
  if (attempts.length < 2) return table;
  const totals = attempts.map((one) => (one.ended - one.started) / MS).sort((a, b) => a - b);
  const lines = [50, 66, 75, 80, 90, 95, 98, 99, 100].map((percent) => {
    const at = Math.min(totals.length - 1, Math.floor((totals.length * percent) / 100));
    const value = Math.round(totals[percent === 100 ? totals.length - 1 : at] as number);
    const label = `${String(percent).padStart(4)}%`;
    return `${label}  ${String(value).padStart(5)}${percent === 100 ? " (longest request)" : ""}\n`;
  });
  return `${table}\nPercentage of the requests served within a certain time (ms)\n${lines.join("")}`;
}

/** ab(1): ApacheBench. */
export const ab: Program = main;
