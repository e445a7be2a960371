/** nginx's variables: `$host`, `$request_uri`, … (src/http/ngx_http_variables.c, proxy and upstream modules). */
import { formatIpv4 } from "../../base/addr.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { HttpRequest } from "../server/http.ts";
import { commonLogTime } from "../server/log-time.ts";
import type { Server } from "./config.ts";

/** A request on its way through the server, with what is known of its answer. */
export interface Exchange {
  readonly request: HttpRequest;
  readonly server: Server;
  readonly connection: number;
  /** The normalized path, without the query; changed by internal redirections. */
  uri: string;
  readonly variables: Map<string, string>;
  status: number;
  bodyBytes: number;
  upstreams: readonly string[];
}

function values(context: ProgramContext, exchange: Exchange): Readonly<Record<string, () => string>> {
  const { request, server } = exchange;
  const query = request.target.indexOf("?");
  const forwarded = request.headers.get("x-forwarded-for");
  const remote = formatIpv4(request.client.ip);
  const now = context.os.now();
  return {
    hostname: () => context.hostname,
    host: () => hostOf(exchange),
    http_host: () => request.headers.get("host") ?? "",
    remote_addr: () => remote,
    remote_port: () => String(request.client.port),
    remote_user: () => "-",
    server_addr: () => formatIpv4(request.server.ip),
    server_port: () => String(request.server.port),
    server_name: () => server.names[0] ?? "",
    server_protocol: () => request.version,
    scheme: () => "http",
    request: () => request.line,
    request_method: () => request.method,
    request_uri: () => request.target,
    request_body: () => request.body,
    request_time: () => "0.000",
    uri: () => exchange.uri,
    document_uri: () => exchange.uri,
    args: () => (query < 0 ? "" : request.target.slice(query + 1)),
    query_string: () => (query < 0 ? "" : request.target.slice(query + 1)),
    is_args: () => (query < 0 ? "" : "?"),
    status: () => String(exchange.status),
    body_bytes_sent: () => String(exchange.bodyBytes),
    time_local: () => commonLogTime(now),
    connection: () => String(exchange.connection),
    pid: () => String(context.pid),
    nginx_version: () => "1.25.2",
    proxy_add_x_forwarded_for: () => (forwarded === undefined ? remote : `${forwarded}, ${remote}`),
    upstream_addr: () => (exchange.upstreams.length === 0 ? "-" : exchange.upstreams.join(", ")),
  };
}

/** The host of the request, without its port, else the server's name. */
export function hostOf({ request, server }: Exchange): string {
  const host = (request.headers.get("host") ?? "").replace(/:\d+$/, "").toLowerCase();
  return host === "" ? (server.names[0] ?? "") : host;
}

/** A text with its variables; a header or argument that isn't there is empty, or `-` in a log. */
export function expand(context: ProgramContext, exchange: Exchange, text: string, missing = ""): string {
  if (!text.includes("$")) return text;
  const known = values(context, exchange);
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced: string | undefined, plain: string | undefined) => {
    const name = braced ?? (plain as string);
    const own = exchange.variables.get(name);
    if (own !== undefined) return own;
    const value = known[name]?.();
    if (value !== undefined) return value;
    if (name.startsWith("http_")) return exchange.request.headers.get(name.slice(5).replaceAll("_", "-")) ?? missing;
    if (name.startsWith("arg_")) {
      const query = exchange.request.target.split("?")[1] ?? "";
      const pair = query.split("&").find((one) => one.startsWith(`${name.slice(4)}=`));
      return pair?.slice(name.length - 3) ?? missing;
    }
    return missing;
  });
}
