/** Serves the page's files over HTTP, with the headers that isolate it from other origins. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";

/** What a browser wants to see before it gives a page SharedArrayBuffer (HTML, "cross-origin isolated"). */
export const ISOLATION: Readonly<Record<string, string>> = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/**
 * What the page may do (Content Security Policy): load what stands beside it, compile WebAssembly, and, for terminals and
 * the editor, which make styles of their own, set those. The page says the same of itself, for servers that don't.
 */
export const CONTENT_POLICY =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'";

/** Sent with every file. */
const HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy": `${CONTENT_POLICY}; frame-ancestors 'none'`,
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-cache",
};

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  wasm: "application/wasm",
};

/** Files of a folder by the path in their address. Nothing else can be asked for. */
function filesOf(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  const all = files.map((name): [string, string] => [`/${name.replaceAll("\\", "/")}`, join(folder, name)]);
  return new Map([...all, ["/", join(folder, "index.html")]]);
}

/**
 * @param folder what `npm run build` has made of web/
 * @param port 0 for one that is free
 * @param more headers, beside those of every file
 * @returns once it listens, on this machine's own address only
 * @throws UserError when the port is taken
 */
export async function servePage(folder: string, port: number, more = ISOLATION): Promise<Server> {
  const files = filesOf(folder);
  const server = createServer(({ method, url = "/" }, response) => {
    const file = files.get(url.replace(/[?#].*/s, ""));
    if (method !== "GET" && method !== "HEAD") response.writeHead(405, { Allow: "GET, HEAD" }).end();
    else if (file === undefined) response.writeHead(404, { "Content-Type": "text/plain" }).end("not found\n");
    else {
      const type = TYPES[file.slice(file.lastIndexOf(".") + 1)] ?? "application/octet-stream";
      const body = readFileSync(file);
      response.writeHead(200, { ...HEADERS, ...more, "Content-Type": type, "Content-Length": body.length });
      response.end(method === "GET" ? body : undefined);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE" || error.code === "EACCES";
      reject(taken ? new UserError(`swarmwire view: port ${port} can't be had (${error.code}): try --port N`) : error);
    });
    server.listen(port, "127.0.0.1", resolve);
  });
  return server;
}

/** The address of a server's page. */
export function pageUrl(server: Server): string {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return `http://127.0.0.1:${port}/`;
}
