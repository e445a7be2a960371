/**
 * The swarm's RPC as its users see it: methods, connections, routers (gRPC's shape: grpc-go ClientConn,
 * Server; swarmkit's services of api/*.proto). Who carries it — TCP to a manager's 2377, or the local
 * control socket — is chosen behind these interfaces; so is TLS.
 */
import type { Ipv4 } from "../../base/addr.ts";
import type { Time } from "../../base/time.ts";
import type { Proc } from "../../scheduler/process.ts";
import type { NodeRole } from "../api/objects.ts";
import { RpcError } from "../api/status.ts";

/** Who may call a method (swarmkit api/*.proto, tls_authorization options). */
export type Authorization = "anyone" | "node" | "manager";

/** A call with one request and one response. */
export interface UnaryMethod<Req, Res> {
  readonly kind: "unary";
  /** `/docker.swarmkit.v1.<Service>/<Method>`. */
  readonly path: string;
  readonly roles: Authorization;
  /** Never set; carries the types. */
  readonly types?: readonly [Req, Res];
}

/** A call with one request and a stream of responses. */
export interface StreamMethod<Req, Res> {
  readonly kind: "stream";
  readonly path: string;
  readonly roles: Authorization;
  readonly types?: readonly [Req, Res];
}

/** Who is at the other end, from its certificate: CN, OU, O. */
export interface NodeIdentity {
  readonly nodeId: string;
  readonly role: NodeRole;
  readonly organization: string;
}

/** What a handler knows of its call. */
export interface CallContext {
  /** The caller's certificate; undefined when it presented none. */
  readonly identity: NodeIdentity | undefined;
  /** Source address of the connection; undefined on the local socket. */
  readonly peerIp: Ipv4 | undefined;
}

/** Messages of a call, as they come. */
export interface ClientStream<Res> {
  /** The next message; undefined when the deadline came. Throws RpcError when the stream ended. */
  recv(until?: Time): Proc<Res | undefined>;
  cancel(): void;
}

/** A connection to a manager. It is made with the first call; a failed one stays failed. */
export interface ClientConn {
  /** Throws RpcError: the callee's, Unavailable without connection, DeadlineExceeded when `until` came. */
  call<Req, Res>(method: UnaryMethod<Req, Res>, request: Req, until?: Time): Proc<Res>;
  /** Opens a stream; errors come from its recv(). */
  open<Req, Res>(method: StreamMethod<Req, Res>, request: Req): ClientStream<Res>;
  close(): void;
}

/** What the TLS handshake settles: who this side is, and whom it expects. */
export interface Credentials {
  /** This side's certificate in PEM; empty = none is presented. */
  readonly certificate: string;
  /** Root to check the other side against, in PEM; empty = unchecked (while fetching the root CA). */
  readonly root: string;
  /** The name (SNI) that the server's certificate must carry; empty = none. */
  readonly serverName: string;
}

/** Listens on, and connects to, managers. */
export interface Transport {
  /** Throws KernelError EADDRINUSE and the like. */
  listen(ip: Ipv4, port: number, router: Router, credentials: () => Credentials): Listener;
  dial(ip: Ipv4, port: number, credentials: Credentials): ClientConn;
}

/** A server that can be closed. */
export interface Listener {
  /** Stops listening and ends every connection. */
  close(): void;
}

type UnaryHandler = (request: unknown, context: CallContext) => Proc<unknown>;
type StreamHandler = (request: unknown, context: CallContext, send: (message: unknown) => void) => Proc<void>;

/** A handler as a carrier runs it. */
export type Handler =
  | { readonly kind: "unary"; readonly run: UnaryHandler }
  | { readonly kind: "stream"; readonly run: StreamHandler };

/** The methods that a server offers. */
export class Router {
  readonly #handlers = new Map<string, { readonly roles: Authorization; readonly handler: Handler }>();

  unary<Req, Res>(method: UnaryMethod<Req, Res>, run: (request: Req, context: CallContext) => Proc<Res>): void {
    this.#handlers.set(method.path, { roles: method.roles, handler: { kind: "unary", run: run as UnaryHandler } });
  }

  /** The handler's process is killed when the caller goes away: its `finally` blocks clean up. */
  stream<Req, Res>(
    method: StreamMethod<Req, Res>,
    run: (request: Req, context: CallContext, send: (message: Res) => void) => Proc<void>,
  ): void {
    const handler: Handler = { kind: "stream", run: run as StreamHandler };
    this.#handlers.set(method.path, { roles: method.roles, handler });
  }

  /** The handler of a path for a caller. Throws Unimplemented, PermissionDenied. */
  lookup(path: string, context: CallContext): Handler {
    const entry = this.#handlers.get(path);
    const [service, method] = path.slice(1).split("/");
    if (entry === undefined) {
      throw new RpcError("Unimplemented", `unknown method ${method ?? ""} for service ${service ?? ""}`);
    }
    authorize(entry.roles, context);
    return entry.handler;
  }
}

/** swarmkit ca/auth.go AuthorizeForwardedRoleAndOrg. */
function authorize(roles: Authorization, { identity }: CallContext): void {
  if (roles === "anyone") return;
  if (identity === undefined) {
    throw new RpcError(
      "PermissionDenied",
      "Permission denied: unauthorized peer role: no client certificates in request",
    );
  }
  if (roles === "manager" && identity.role !== "manager") {
    throw new RpcError(
      "PermissionDenied",
      "Permission denied: unauthorized peer role: rpc error: code = PermissionDenied desc = Permission denied: remote certificate not part of OUs: [swarm-manager]",
    );
  }
}
