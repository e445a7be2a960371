/** A program that is one HTTP server: it listens, answers each request by a function, and ends by a signal. */
import { KernelError } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type HttpAnswer, type HttpRequest, serveHttp } from "./http.ts";
import { type Ending, stopOnTermination, TcpService } from "./tcp-service.ts";

/** What a server of plain pages is told. */
export interface PlainServer {
  /** What `ss` shows. */
  readonly name: string;
  readonly keepaliveTimeout?: Time;
  answer(context: ProgramContext, request: HttpRequest): Proc<HttpAnswer> | HttpAnswer;
  /** The message for what is no request. */
  refuse(context: ProgramContext, socket: TcpSocket, status: 400 | 413 | 505): string;
  onSignal?(context: ProgramContext, name: string): Ending;
  /** The exit status after its end. */
  ended?(context: ProgramContext): number;
}

/**
 * Serves on a port until a signal ends it.
 * @param inUse says that the port is taken, and gives the exit status
 */
export function* servePlain(
  context: ProgramContext,
  port: number,
  server: PlainServer,
  inUse: (error: KernelError) => number,
): Proc<number> {
  const service = new TcpService(context, server.name);
  try {
    service.listen(port);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return inUse(error);
  }
  const http = {
    ...(server.keepaliveTimeout === undefined ? {} : { keepaliveTimeout: server.keepaliveTimeout }),
    *answer(request: HttpRequest): Proc<HttpAnswer> {
      const answer = server.answer(context, request);
      return "message" in answer ? answer : yield* answer;
    },
    refuse: (socket: TcpSocket, status: 400 | 413 | 505) => server.refuse(context, socket, status),
  };
  const onSignal = (name: string): Ending => server.onSignal?.(context, name) ?? stopOnTermination(name);
  yield* service.serve((socket) => serveHttp(socket, http, service), onSignal);
  return server.ended?.(context) ?? 0;
}
