/** What the carriers share: the client's side of one call, running a handler, errors of the kernel as Go words them. */
import type { KernelError } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import { type Proc, Signal } from "../../scheduler/process.ts";
import { deadlineExceeded, errorText, RpcError } from "../api/status.ts";
import { StoreError } from "../store/memory.ts";
import type { CallContext, ClientStream, Router } from "./transport.ts";

/** A call on the client's side: messages that came, and the status that ends it. */
export class PendingCall implements ClientStream<unknown> {
  readonly #messages: unknown[] = [];
  #status: { readonly error: RpcError | undefined } | undefined;
  readonly #changed = new Signal();
  readonly #onCancel: () => void;

  constructor(onCancel: () => void) {
    this.#onCancel = onCancel;
  }

  get ended(): boolean {
    return this.#status !== undefined;
  }

  message(message: unknown): void {
    this.#messages.push(message);
    this.#changed.notify();
  }

  /** The end; undefined = OK. A second end is ignored. */
  finish(error: RpcError | undefined): void {
    this.#status ??= { error };
    this.#changed.notify();
  }

  *recv(until?: Time): Proc<unknown> {
    for (;;) {
      if (this.#messages.length > 0) return this.#messages.shift();
      if (this.#status !== undefined) throw this.#status.error ?? new RpcError("Unavailable", "EOF");
      const source = yield until === undefined ? { on: [this.#changed] } : { on: [this.#changed], until };
      if (source === undefined && this.#messages.length === 0 && this.#status === undefined) return undefined;
    }
  }

  /** The one response of a unary call. */
  *response(until?: Time): Proc<unknown> {
    let answered = false;
    try {
      const message = yield* this.recv(until);
      if (message === undefined) throw deadlineExceeded();
      answered = true;
      return message;
    } finally {
      if (!answered) this.cancel();
    }
  }

  cancel(): void {
    if (this.#status !== undefined) return;
    this.finish(new RpcError("Canceled", "context canceled"));
    this.#onCancel();
  }
}

/** Runs the handler of a path to its end and tells what came; never throws an expected error. */
export function* serveCall(
  router: Router,
  path: string,
  request: unknown,
  context: CallContext,
  send: (message: unknown) => void,
): Proc<RpcError | undefined> {
  try {
    const handler = router.lookup(path, context);
    if (handler.kind === "unary") send(yield* handler.run(request, context));
    else yield* handler.run(request, context, send);
    return undefined;
  } catch (error) {
    return toRpcError(error);
  }
}

/** A handler's plain error reaches the caller with code Unknown, as in gRPC. Others than expected ones are thrown on. */
function toRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof StoreError) return new RpcError("Unknown", error.message);
  throw error;
}

/** errno texts of Go's syscall package, where they differ from strerror(3) by their first letter only or more. */
export function goErrnoText(error: KernelError): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return "connection refused";
    case "EHOSTUNREACH":
      return "no route to host";
    case "ENETUNREACH":
      return "network is unreachable";
    case "ETIMEDOUT":
      return "connection timed out";
    case "ECONNRESET":
      return "connection reset by peer";
    case "EADDRINUSE":
      return "address already in use";
    case "EADDRNOTAVAIL":
      return "cannot assign requested address";
    default:
      return errorText(error)
        .replace(/^.*: /, "")
        .replace(/^[A-Z]/, (letter) => letter.toLowerCase());
  }
}
