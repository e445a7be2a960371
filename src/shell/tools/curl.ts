/** `curl` 7.88 as far as one request over http goes. */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { MS, SEC, type Time } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type HttpFailure, parseUrl, request } from "../lib/http.ts";
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
} as const;

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "4sSo:OvIim:X:H:d:fLA:w:k", LONG);
  const address = options.args[0];
  if (address === undefined) throw new Failure("try 'curl --help' or 'curl --manual' for more information", 2);
  const start = context.os.now();
  const fail = (code: number, text: string): number => {
    if (!options.has("s") || options.has("S")) context.stderr.write(`curl: (${code}) ${text}\n`);
    return code;
  };
  const url = parseUrl(address);
  if (url === undefined) {
    const scheme = /^(\w+):\/\//.exec(address)?.[1];
    return scheme === undefined
      ? fail(3, "URL using bad/illegal format or missing URL")
      : fail(1, `Protocol "${scheme}" not supported or disabled in libcurl`);
  }
  const found = yield* resolve(context, url.host, "glibc");
  if ("failure" in found) return fail(6, `Could not resolve host: ${url.host}`);
  const ip = found.addresses[0] as Ipv4;
  const limit = options.number("m") ?? options.number("connect-timeout");
  const until = limit === undefined ? start + 300 * SEC : start + Math.round(limit * SEC);
  const note = (text: string) => {
    if (options.has("v")) context.stderr.write(text);
  };
  note(`*   Trying ${formatIpv4(ip)}:${url.port}...\n`);
  const { message, method } = makeRequest(options, url.host, url.port, url.path);
  const response = yield* request(context.ns, ip, url.port, message, {
    owner: "curl",
    until,
    headOnly: method === "HEAD",
  });
  const millis = Math.floor((context.os.now() - start) / MS);
  if ("failure" in response)
    return fail(...failureText(response, url.host, url.port, millis, context.os.now() >= until));
  note(`* Connected to ${url.host} (${formatIpv4(ip)}) port ${url.port} (#0)\n`);
  note(quoteLines(">", message));
  note(quoteLines("<", `${response.head}\r\n\r\n`));
  note("* Closing connection 0\n");
  if (options.has("f") && response.status >= 400)
    return fail(22, `The requested URL returned error: ${response.status}`);
  const head = options.has("I") || options.has("i") ? `${response.head}\r\n\r\n` : "";
  write(context, options, url.path, head + (method === "HEAD" ? "" : response.body));
  context.stdout.write(
    writeOut(options.text("w") ?? "", response.status, encode(response.body).length, context.os.now() - start),
  );
  return response.short ? fail(18, "transfer closed with outstanding read data remaining") : 0;
}

function makeRequest(options: Options, host: string, port: number, path: string): { message: string; method: string } {
  const data = options.list("d").join("&");
  const method = options.text("X") ?? (options.has("I") ? "HEAD" : options.has("d") ? "POST" : "GET");
  const own = options.list("H");
  const named = (name: string) => own.some((line) => line.toLowerCase().startsWith(`${name}:`));
  const lines = [`${method} ${path} HTTP/1.1`];
  if (!named("host")) lines.push(`Host: ${port === 80 ? host : `${host}:${port}`}`);
  if (!named("user-agent")) lines.push(`User-Agent: ${options.text("A") ?? "curl/7.88.1"}`);
  if (!named("accept")) lines.push("Accept: */*");
  lines.push(...own);
  if (options.has("d"))
    lines.push(`Content-Length: ${encode(data).length}`, "Content-Type: application/x-www-form-urlencoded");
  return { message: `${lines.join("\r\n")}\r\n\r\n${data}`, method };
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

/** `-w`: the variables that scripts use most. */
function writeOut(format: string, status: number, size: number, took: Time): string {
  return format
    .replaceAll("%{http_code}", String(status).padStart(3, "0"))
    .replaceAll("%{response_code}", String(status).padStart(3, "0"))
    .replaceAll("%{size_download}", String(size))
    .replaceAll("%{time_total}", (took / SEC).toFixed(6))
    .replaceAll("\\n", "\n")
    .replaceAll("\\t", "\t");
}

export const curl: Program = tool(main, 2);
