/** `curl` 7.88 as far as one request over http goes. */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { MS, SEC, type Time } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type HttpFailure, type HttpResponse, parseUrl, request, type Url } from "../lib/http.ts";
import { getopt, type Options } from "../lib/options.ts";
import { absolutePath, baseName, encode, Failure, glibcError, tool } from "../lib/program.ts";
import { resolve } from "../lib/resolve.ts";

const LONG = {
  silent: "s",
  "show-error": "S",
  output: "o",
  "remote-name": "O",
  verbose: "v",
  head: "I",
  include: "i",
  "max-time": "m",
  "connect-timeout": "connect-timeout:",
  request: "X",
  header: "H",
  data: "d",
  fail: "f",
  location: "L",
  "user-agent": "A",
  "write-out": "w",
  insecure: "k",
  "no-buffer": "N",
  ipv4: "4",
  version: "version",
  "data-raw": "d",
  "data-binary": "d",
  user: "u",
  referer: "e",
  cookie: "b",
} as const;

/** Most redirections that -L follows (--max-redirs). */
const MAX_REDIRECTIONS = 50;

/** What one transfer came to. */
interface Transfer {
  readonly url: Url;
  readonly ip: Ipv4;
  readonly method: string;
  readonly response: HttpResponse;
  readonly connected: Time;
}

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "4sSo:OvIim:X:H:d:fLA:w:kNu:e:b:", LONG);
  if (options.has("version")) {
    context.stdout.write("curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1\nProtocols: http\n");
    return 0;
  }
  if (options.args.length === 0) throw new Failure("try 'curl --help' or 'curl --manual' for more information", 2);
  let status = 0;
  for (const [at, address] of options.args.entries()) status = yield* fetch(context, options, address, at);
  return status;
}

/** Gets one address, with what it redirects to. @returns curl's exit status */
function* fetch(context: ProgramContext, options: Options, address: string, number: number): Proc<number> {
  const start = context.os.now();
  let redirects = 0;
  let next = address;
  for (;;) {
    const outcome = yield* transfer(context, options, next, start, number + redirects);
    if (Array.isArray(outcome)) {
      const [code, text] = outcome;
      if (!options.has("s") || options.has("S")) context.stderr.write(`curl: (${code}) ${text}\n`);
      context.stdout.write(writeOut(options.text("w") ?? "", { total: context.os.now() - start, code }));
      return code;
    }
    const { url, ip, method, response, connected } = outcome;
    const target = redirection(url, response);
    const head = options.has("I") || options.has("i") ? `${response.head}\r\n\r\n` : "";
    const failed = options.has("f") && response.status >= 400;
    if (options.has("L") && target !== undefined && redirects < MAX_REDIRECTIONS) {
      if (head !== "") write(context, options, url.path, head);
      redirects++;
      next = target;
      continue;
    }
    write(context, options, url.path, failed ? "" : head + (method === "HEAD" ? "" : response.body));
    context.stdout.write(
      writeOut(options.text("w") ?? "", {
        total: context.os.now() - start,
        code: 0,
        status: response.status,
        size: encode(response.body).length,
        headerSize: response.head.length + 4,
        redirect: target,
        redirects,
        remote: `${formatIpv4(ip)}`,
        local: response.local,
        port: url.port,
        connect: connected - start,
        effective: next,
        type: response.headers.get("content-type"),
      }),
    );
    const complain = (code: number, text: string): number => {
      if (!options.has("s") || options.has("S")) context.stderr.write(`curl: (${code}) ${text}\n`);
      return code;
    };
    if (failed) return complain(22, `The requested URL returned error: ${response.status}`);
    if (options.has("L") && target !== undefined)
      return complain(47, `Maximum (${MAX_REDIRECTIONS}) redirects followed`);
    return response.short ? complain(18, "transfer closed with outstanding read data remaining") : 0;
  }
}

/** Where a redirection leads; undefined when it is none. */
function redirection(url: Url, { status, headers }: HttpResponse): string | undefined {
  const location = headers.get("location");
  if (location === undefined || status < 300 || status > 399) return undefined;
  const host = url.port === 80 ? url.host : `${url.host}:${url.port}`;
  return /^https?:/.test(location) ? location : `http://${host}${location.startsWith("/") ? "" : "/"}${location}`;
}

/** One request; its failure as curl's code and text. */
function* transfer(
  context: ProgramContext,
  options: Options,
  address: string,
  begun: Time,
  connection: number,
): Proc<Transfer | [code: number, text: string]> {
  const url = parseUrl(address);
  if (url === undefined) {
    const scheme = /^(\w+):\/\//.exec(address)?.[1];
    return scheme === undefined
      ? [3, "URL using bad/illegal format or missing URL"]
      : [1, `Protocol "${scheme}" not supported or disabled in libcurl`];
  }
  const start = context.os.now();
  const found = yield* resolve(context, url.host, "glibc");
  if ("failure" in found) return [6, `Could not resolve host: ${url.host}`];
  const most = options.number("m");
  const connecting = options.number("connect-timeout") ?? 300;
  const end = most === undefined ? undefined : begun + Math.round(most * SEC);
  const until = Math.min(end ?? Number.MAX_SAFE_INTEGER, start + Math.round(connecting * SEC));
  const note = (text: string): void => {
    if (options.has("v")) context.stderr.write(text);
  };
  const { message, method } = makeRequest(options, url.host, url.port, url.path);
  let last: [number, string] = [7, ""];
  for (const [at, ip] of found.addresses.entries()) {
    note(`*   Trying ${formatIpv4(ip)}:${url.port}...\n`);
    const response = yield* request(context.ns, ip, url.port, message, {
      owner: "curl",
      until,
      readUntil: () => end,
      headOnly: method === "HEAD",
    });
    const millis = Math.floor((context.os.now() - start) / MS);
    if ("failure" in response) {
      const late = context.os.now() >= until;
      last = failureText(response, url.host, url.port, millis, late);
      if (response.failure === "connect" && !late) {
        note(`* connect to ${formatIpv4(ip)} port ${url.port} failed: ${connectError(response)}\n`);
        if (at < found.addresses.length - 1) continue;
      }
      if (response.failure !== "connect") {
        note(`* Connected to ${url.host} (${formatIpv4(ip)}) port ${url.port} (#${connection})\n`);
        note(quoteLines(">", message));
      } else note(`* ${last[1]}\n`);
      note(`* Closing connection ${connection}\n`);
      return last;
    }
    note(`* Connected to ${url.host} (${formatIpv4(ip)}) port ${url.port} (#${connection})\n`);
    note(quoteLines(">", message));
    note(quoteLines("<", `${response.head}\r\n\r\n`));
    const stays =
      response.headers.get("connection")?.toLowerCase() !== "close" && response.headers.has("content-length");
    note(
      stays ? `* Connection #${connection} to host ${url.host} left intact\n` : `* Closing connection ${connection}\n`,
    );
    return { url, ip, method, response, connected: start };
  }
  return last;
}

function connectError({ error }: HttpFailure): string {
  return error === undefined ? "" : glibcError(error);
}

function makeRequest(options: Options, host: string, port: number, path: string): { message: string; method: string } {
  const data = options.list("d").join("&");
  const method = options.text("X") ?? (options.has("I") ? "HEAD" : options.has("d") ? "POST" : "GET");
  const own = options.list("H");
  const named = (name: string) => own.some((line) => line.toLowerCase().startsWith(`${name}:`));
  const lines = [`${method} ${path} HTTP/1.1`];
  if (options.has("u")) lines.push(`Authorization: Basic ${base64(options.text("u") ?? "")}`);
  if (!named("host")) lines.push(`Host: ${port === 80 ? host : `${host}:${port}`}`);
  if (!named("user-agent")) lines.push(`User-Agent: ${options.text("A") ?? "curl/7.88.1"}`);
  if (!named("accept")) lines.push("Accept: */*");
  if (options.has("e")) lines.push(`Referer: ${options.text("e")}`);
  if (options.has("b")) lines.push(`Cookie: ${options.text("b")}`);
  lines.push(...own);
  if (options.has("d"))
    lines.push(`Content-Length: ${encode(data).length}`, "Content-Type: application/x-www-form-urlencoded");
  return { message: `${lines.join("\r\n")}\r\n\r\n${data}`, method };
}

/** RFC 4648 §4. */
function base64(text: string): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const data = encode(text);
  let out = "";
  for (let at = 0; at < data.length; at += 3) {
    const group = ((data[at] ?? 0) << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0);
    for (let i = 0; i < 4; i++) out += at + i > data.length ? "=" : letters[(group >>> (18 - 6 * i)) & 63];
  }
  return out;
}

function failureText(
  response: HttpFailure,
  host: string,
  port: number,
  millis: number,
  late: boolean,
): [number, string] {
  const { failure, error } = response;
  if (failure === "connect") {
    if (late) return [28, `Connection timed out after ${millis} milliseconds`];
    return [7, `Failed to connect to ${host} port ${port} after ${millis} ms: Couldn't connect to server`];
  }
  if (failure === "timeout") return [28, `Operation timed out after ${millis} milliseconds with 0 bytes received`];
  if (failure === "empty") return [52, "Empty reply from server"];
  return [56, `Recv failure: ${error === undefined ? "Connection reset by peer" : glibcError(error)}`];
}

function quoteLines(mark: string, text: string): string {
  return text
    .split("\r\n")
    .slice(0, -1)
    .map((line) => `${mark} ${line}\n`)
    .join("");
}

function write(context: ProgramContext, options: Options, path: string, text: string): void {
  const target = options.text("o") ?? (options.has("O") ? baseName(path.split("?")[0] as string) : "-");
  const full = target === "-" ? "-" : absolutePath(context, target);
  if (full === "-") context.stdout.write(text);
  else if (full !== "/dev/null") context.files.write(full, text);
}

/** What `-w` can ask for. */
interface Outcome {
  readonly total: Time;
  /** curl's exit status. */
  readonly code: number;
  readonly status?: number;
  readonly size?: number;
  readonly headerSize?: number;
  readonly redirect?: string | undefined;
  readonly redirects?: number;
  readonly remote?: string;
  readonly local?: HttpResponse["local"];
  readonly port?: number;
  readonly connect?: Time;
  readonly effective?: string;
  readonly type?: string | undefined;
}

/** `-w`: variables that curl doesn't know are left out, with a word on standard error in the real one. */
function writeOut(format: string, outcome: Outcome): string {
  const status = String(outcome.status ?? 0).padStart(3, "0");
  const seconds = (time: Time | undefined): string => ((time ?? 0) / SEC).toFixed(6);
  const values: Readonly<Record<string, string>> = {
    http_code: status,
    response_code: status,
    size_download: String(outcome.size ?? 0),
    size_header: String(outcome.headerSize ?? 0),
    time_total: seconds(outcome.total),
    time_connect: seconds(outcome.connect),
    time_namelookup: seconds(outcome.connect),
    time_starttransfer: seconds(outcome.total),
    redirect_url: outcome.redirect ?? "",
    num_redirects: String(outcome.redirects ?? 0),
    local_ip: outcome.local === undefined ? "" : formatIpv4(outcome.local.ip),
    local_port: String(outcome.local?.port ?? 0),
    remote_ip: outcome.remote ?? "",
    remote_port: String(outcome.port ?? 0),
    url_effective: outcome.effective ?? "",
    content_type: outcome.type ?? "",
    exitcode: String(outcome.code),
    http_version: "1.1",
  };
  return format
    .replace(/%\{(\w+)\}/g, (_, name: string) => values[name] ?? "")
    .replaceAll("%%", "%")
    .replaceAll("\\n", "\n")
    .replaceAll("\\t", "\t")
    .replaceAll("\\r", "\r");
}

/** curl(1). */
export const curl: Program = tool(main, 2);
