/** What TCP servers in containers share: listeners, one process a connection, signals, and a graceful end. */
import { KernelError } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { TcpSocket, Wakeable } from "../../kernel/socket-types.ts";
import { type Proc, type Process, Signal, type Waitable } from "../../scheduler/process.ts";

/** What a signal makes of a server: nothing more is accepted and connections end by themselves, or all ends at once. */
export type Ending = "drain" | "stop" | undefined;

/** Serves connections. A connection that fails ends only itself. */
export class TcpService {
  readonly #context: ProgramContext;
  readonly #name: string;
  readonly #listeners = new Map<string, TcpSocket>();
  readonly #clients = new Set<Process>();
  /** Notified when the server begins to end: connections that wait for a request end then. */
  readonly drained = new Signal();
  #draining = false;

  /** @param name what `ss` shows */
  constructor(context: ProgramContext, name: string) {
    this.#context = context;
    this.#name = name;
  }

  now(): Time {
    return this.#context.os.now();
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Connections that are served now. */
  get connections(): number {
    for (const client of this.#clients) if (client.done) this.#clients.delete(client);
    return this.#clients.size;
  }

  /** Throws EADDRINUSE and the like. */
  listen(port: number, ip = 0, backlog = 511): void {
    const listener = this.#context.ns.socket.tcp();
    listener.setOwner(this.#name);
    try {
      listener.bind(ip, port);
      listener.listen(backlog);
    } catch (error) {
      listener.close();
      throw error;
    }
    this.#listeners.set(`${ip}:${port}`, listener);
  }

  /** Listens there and nowhere else: sockets of before that stay wanted stay open. */
  listenOnly(places: readonly { readonly ip: number; readonly port: number }[], backlog = 511): void {
    const wanted = new Set(places.map(({ ip, port }) => `${ip}:${port}`));
    for (const [key, listener] of this.#listeners) {
      if (wanted.has(key)) continue;
      listener.close();
      this.#listeners.delete(key);
    }
    for (const { ip, port } of places) if (!this.#listeners.has(`${ip}:${port}`)) this.listen(port, ip, backlog);
  }

  closeListeners(): void {
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
  }

  /** Accepts until a signal says otherwise. */
  *serve(handler: (socket: TcpSocket) => Proc<void>, onSignal: (name: string) => Ending): Proc<void> {
    const { signals } = this.#context;
    try {
      for (;;) {
        for (const listener of this.#listeners.values()) {
          for (let socket = listener.tryAccept(); socket !== undefined; socket = listener.tryAccept())
            this.#clients.add(this.#context.os.spawn(this.#name, this.#connection(socket, handler)));
        }
        const signal = signals.tryPop();
        if (signal !== undefined) {
          const ending = onSignal(signal);
          if (ending === "stop") return;
          if (ending === "drain") this.#drain();
          continue;
        }
        const running = this.connections;
        if (this.#draining && running === 0) return;
        const ends = this.#draining ? [...this.#clients].map((client) => client.exited) : [];
        const listeners = [...this.#listeners.values()].map((listener) => listener as Wakeable as Waitable);
        yield { on: [...listeners, signals, ...ends] };
      }
    } finally {
      this.closeListeners();
      for (const client of this.#clients) client.kill();
    }
  }

  #drain(): void {
    this.#draining = true;
    this.closeListeners();
    this.drained.notify();
  }

  *#connection(socket: TcpSocket, handler: (socket: TcpSocket) => Proc<void>): Proc<void> {
    try {
      yield* handler(socket);
    } catch (error) {
      // A client that resets its connection.
      if (!(error instanceof KernelError)) throw error;
    } finally {
      socket.close();
    }
  }
}

/** Servers that know only how to end at once. */
export function stopOnTermination(signal: string): Ending {
  return ["SIGTERM", "SIGINT", "SIGQUIT"].includes(signal) ? "stop" : undefined;
}
