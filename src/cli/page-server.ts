/** Serves the page's files over HTTP, with the headers that isolate it from other origins. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { DISSECTORS_FOLDER, DISSECTORS_MANIFEST, type DissectorsPiece } from "./dissectors.ts";

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

/** The script in which the dissectors run: what binds their functions is JavaScript that they make as they start. */
const DISSECTORS_SCRIPT = /^\/assets\/dissectors-[^/]*\.js$/;

/** A worker's policy is that of its script. @param name of a file, in its address */
function policyOf(name: string): string {
  const policy = `${CONTENT_POLICY}; frame-ancestors 'none'`;
  return DISSECTORS_SCRIPT.test(name) ? policy.replace("'wasm-unsafe-eval'", "'unsafe-eval'") : policy;
}

/** Sent with every file. */
const HEADERS: Readonly<Record<string, string>> = {
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-cache",
};

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  wasm: "application/wasm",
  json: "application/json",
  gz: "application/gzip",
};

/** Contents by the path in their address: a file, or a text. */
type Served = ReadonlyMap<string, { readonly path: string } | { readonly text: string }>;

/** Files of a folder. Nothing else can be asked for, but for the dissectors, where the folder has none of its own. */
function filesOf(folder: string, piece: DissectorsPiece | undefined): Served {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  const all = files.map((name) => [`/${name.replaceAll("\\", "/")}`, { path: join(folder, name) }] as const);
  const served = new Map<string, { readonly path: string } | { readonly text: string }>(all);
  served.set("/", { path: join(folder, "index.html") });
  if (served.has(`/${DISSECTORS_FOLDER}/wiregasm.js`)) return served;
  for (const [name, path] of piece?.files ?? []) served.set(`/${name}`, { path });
  // Whatever was built there once: the page is told what is there now.
  served.set(`/${DISSECTORS_MANIFEST}`, { text: piece?.manifest ?? "{}\n" });
  return served;
}

/**
 * @param folder what `npm run build` has made of web/
 * @param port 0 for one that is free
 * @param more headers, beside those of every file
 * @param dissectors those to serve where the folder has none
 * @returns once it listens, on this machine's own address only
 * @throws UserError when the port is taken
 */
export async function servePage(
  folder: string,
  port: number,
  more = ISOLATION,
  dissectors?: DissectorsPiece,
): Promise<Server> {
  const files = filesOf(folder, dissectors);
  const server = createServer(({ method, url = "/" }, response) => {
    const name = url.replace(/[?#].*/s, "");
    const file = files.get(name);
    if (method !== "GET" && method !== "HEAD") response.writeHead(405, { Allow: "GET, HEAD" }).end();
    else if (file === undefined) response.writeHead(404, { "Content-Type": "text/plain" }).end("not found\n");
    else {
      const extension = name === "/" ? "html" : name.slice(name.lastIndexOf(".") + 1);
      const type = TYPES[extension] ?? "application/octet-stream";
      const body = "path" in file ? readFileSync(file.path) : Buffer.from(file.text);
      const own = { "Content-Security-Policy": policyOf(name), "Content-Type": type, "Content-Length": body.length };
      response.writeHead(200, { ...HEADERS, ...more, ...own });
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
