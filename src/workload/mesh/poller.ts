/** Many sockets, one program: what epoll(7) is to programs on Linux. */
import type { TrafficSocket } from "../../kernel/socket-types.ts";
import { type Proc, Signal } from "../../scheduler/process.ts";

/** A socket, and what is called when it has news. */
export class Watch {
  readonly socket: TrafficSocket;
  /** Called after each news; may be exchanged. */
  handler: () => void;
  readonly #poller: Poller;
  #queued = false;

  /** Made by Poller.watch. */
  constructor(poller: Poller, socket: TrafficSocket, handler: () => void) {
    this.#poller = poller;
    this.socket = socket;
    this.handler = handler;
  }

  wake(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#poller.ready(this);
  }

  /** Called by the poller. A socket that was closed has no news. */
  run(): void {
    this.#queued = false;
    if (!this.socket.closed) this.handler();
  }
}

/** Calls back for sockets that have news, in the order in which the kernel told of them, in the program that runs it. */
export class Poller {
  readonly #signal = new Signal();
  #ready: Watch[] = [];

  /** Calls `handler` after each news of a socket from now on, until it is closed. */
  watch(socket: TrafficSocket, handler: () => void): Watch {
    const watch = new Watch(this, socket, handler);
    socket.addWaiter(watch);
    return watch;
  }

  /** Called by a watch whose socket has news. */
  ready(watch: Watch): void {
    this.#ready.push(watch);
    if (this.#ready.length === 1) this.#signal.notify();
  }

  /** The program; it never ends by itself. */
  *run(): Proc<void> {
    for (;;) {
      while (this.#ready.length > 0) {
        const batch = this.#ready;
        this.#ready = [];
        for (const watch of batch) watch.run();
      }
      yield { on: [this.#signal] };
    }
  }
}
