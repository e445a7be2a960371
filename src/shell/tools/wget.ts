/** `wget` of busybox 1.35 (networking/wget.c): http, to a file or standard output. */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { SEC } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type HttpResponse, parseUrl, request } from "../lib/http.ts";
import { getopt } from "../lib/options.ts";
import { absolutePath, baseName, busyboxUsage, encode, Failure, muslError, tool } from "../lib/program.ts";
import { resolve } from "../lib/resolve.ts";

const usage = busyboxUsage(
  "wget",
  `[-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR]
	[--post-data STR | --post-file FILE] [-Y on/off]
	[--no-check-certificate] [-P DIR] [-U AGENT] [-T SEC] URL...

Retrieve files via HTTP or FTP

	--spider	Only check URL existence: $? is 0 if exists
	--header STR	Add STR (of form 'header: value') to headers
	--post-data STR	Send STR using POST method
	--post-file FILE	Send FILE using POST method
	--no-check-certificate	Don't validate the server's certificate
	-c		Continue retrieval of aborted transfer
	-q		Quiet
	-P DIR		Save to DIR (default .)
	-S    		Show server response
	-T SEC		Network read timeout is SEC seconds
	-O FILE		Save to FILE ('-' for stdout)
	-o LOGFILE	Log messages to FILE
	-U STR		Use STR for User-Agent header
	-Y on/off	Use proxy`,
);

const MAX_REDIRECTIONS = 5;
/** Seconds of silence after which it gives up (default of -T). */
const TIMEOUT = 900;

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "cqSO:T:P:U:Y:", {
    spider: "spider",
    "no-check-certificate": "insecure",
    quiet: "q",
    "output-document": "O",
    timeout: "T",
  });
  const address = options.args[0];
  if (address === undefined) throw new Failure("", 1);
  const quiet = options.has("q");
  const say = (text: string) => {
    if (!quiet) context.stderr.write(text);
  };
  const response = yield* fetch(
    context,
    address,
    (options.number("T") ?? TIMEOUT) * SEC,
    options.text("U") ?? "Wget",
    say,
  );
  if (options.has("S"))
    context.stderr.write(
      `${response.head
        .split("\r\n")
        .map((line) => `  ${line}`)
        .join("\n")}\n`,
    );
  if (response.status !== 200 && response.status !== 206)
    throw new Failure(`server returned error: ${response.statusLine}`);
  if (options.has("spider")) {
    say("remote file exists\n");
    return 0;
  }
  const path = parseUrl(address)?.path.split("?")[0] ?? "/";
  const target = options.text("O") ?? (baseName(path) === "" ? "index.html" : baseName(path));
  const size = encode(response.body).length;
  if (target === "-") {
    say("writing to stdout\n");
    context.stdout.write(response.body);
    say(progress("-", size));
    say("written to stdout\n");
  } else {
    say(`saving to '${target}'\n`);
    const full = absolutePath(context, target);
    if (full !== "/dev/null") context.files.write(full, response.body);
    say(progress(target, size));
    say(`'${target}' saved\n`);
  }
  if (response.short) throw new Failure("connection closed prematurely");
  return 0;
}

/** The last state of the progress bar (libbb progress.c). */
function progress(name: string, size: number): string {
  const scaled = size >= 102400 ? `${Math.floor(size / 1024)}k` : String(size);
  return `\r${name.slice(0, 20).padEnd(20)} 100% |${"*".repeat(32)}| ${scaled.padStart(5)}  0:00:00 ETA\n`;
}

function* fetch(
  context: ProgramContext,
  start: string,
  patience: number,
  agent: string,
  say: (text: string) => void,
): Proc<HttpResponse> {
  let address = start;
  for (let hop = 0; hop <= MAX_REDIRECTIONS; hop++) {
    const url = parseUrl(address);
    if (url === undefined) throw new Failure(`not an http or ftp url: ${address}`);
    const found = yield* resolve(context, url.host, "musl");
    if ("failure" in found) throw new Failure(`bad address '${url.host}'`);
    const ip = found.addresses[0] as Ipv4;
    say(`Connecting to ${url.host} (${formatIpv4(ip)}:${url.port})\n`);
    const host = url.port === 80 ? url.host : `${url.host}:${url.port}`;
    const message = `GET ${url.path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${agent}\r\nConnection: close\r\n\r\n`;
    const response = yield* request(context.ns, ip, url.port, message, {
      owner: "wget",
      until: context.os.now() + patience,
    });
    if ("failure" in response) {
      if (response.failure === "connect" && response.error?.code !== "ETIMEDOUT") {
        throw new Failure(
          `can't connect to remote host (${formatIpv4(ip)}): ${response.error === undefined ? "" : muslError(response.error)}`,
        );
      }
      throw new Failure(
        response.failure === "empty" || response.failure === "reset" ? "error getting response" : "download timed out",
      );
    }
    const location = response.headers.get("location");
    if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return response;
    address = location.startsWith("/") ? `http://${host}${location}` : location;
  }
  throw new Failure("too many redirections");
}

/** busybox's wget. */
export const wget: Program = tool(main, 1, usage);
