/**
 * The manager's control socket (a unix socket in reality): the Engine and the node's own agent call the
 * local manager through it, without TCP and without TLS (swarmkit manager/manager.go, node/node.go).
 */
import type { Time } from "../../base/time.ts";
import type { HostRuntime, Proc } from "../../scheduler/process.ts";
import { PendingCall, serveCall } from "./call.ts";
import type { CallContext, ClientConn, ClientStream, Router, StreamMethod, UnaryMethod } from "./transport.ts";

/** A connection to this node's own manager, without a wire. */
export class LocalConn implements ClientConn {
  readonly #os: HostRuntime;
  readonly #router: Router;
  readonly #context: CallContext;
  readonly #calls = new Set<PendingCall>();

  /** @param context the identity that the manager sees: the node itself */
  constructor(os: HostRuntime, router: Router, context: CallContext) {
    this.#os = os;
    this.#router = router;
    this.#context = context;
  }

  *call<Req, Res>(method: UnaryMethod<Req, Res>, request: Req, until?: Time): Proc<Res> {
    return (yield* this.#start(method.path, request).response(until)) as Res;
  }

  open<Req, Res>(method: StreamMethod<Req, Res>, request: Req): ClientStream<Res> {
    return this.#start(method.path, request) as ClientStream<unknown> as ClientStream<Res>;
  }

  close(): void {
    for (const call of [...this.#calls]) call.cancel();
  }

  #start(path: string, request: unknown): PendingCall {
    const call: PendingCall = new PendingCall(() => {
      this.#calls.delete(call);
      process.kill();
    });
    this.#calls.add(call);
    const process = this.#os.spawn(`rpc ${path}`, this.#serve(call, path, request));
    return call;
  }

  *#serve(call: PendingCall, path: string, request: unknown): Proc<void> {
    const error = yield* serveCall(this.#router, path, request, this.#context, (message) => call.message(message));
    this.#calls.delete(call);
    call.finish(error);
  }
}
