/**
 * TCP incast, as Phanishayee et al. (FAST '08) and Vasudevan et al. (SIGCOMM '09) make it: a receiver asks all its senders for
 * a block at the same moment, over connections that stay, and asks for the next round when it has them all. A round's delay is
 * from asking to the last block's last byte. A switch or a NIC with a short queue drops then, and one retransmission timeout
 * holds the whole round up.
 */
import type { Time } from "../../base/time.ts";
import { SEC } from "../../base/time.ts";
import type { TrafficSocket } from "../../kernel/socket-types.ts";
import type { NetNs } from "../../kernel/types.ts";
import { type Proc, Signal } from "../../scheduler/process.ts";
import { INCAST_PORT } from "./plan-index.ts";
import type { Watch } from "./poller.ts";
import type { FlowCounts } from "./results.ts";
import { causeOf, connect, GREETING, greetingOf, type Route, receive, serve, type TcpTraffic, until } from "./tcp.ts";
import type { MeshFlow } from "./types.ts";

/** Senders that are not there so long after the last one's start are left out until they are. */
const PATIENCE = 1 * SEC;
/** One byte asks for one block. */
const ASK = new Uint8Array(1);

/** A sender, as the receiver sees it. */
interface Sender {
  readonly flow: MeshFlow;
  readonly socket: TrafficSocket;
  readonly counts: FlowCounts;
  /** Bytes of the connection at which its block is whole; 0 = none is asked for. */
  target: number;
}

/** The receiver of a group: all flows of kind incast to one container. */
export class IncastReceiver {
  readonly #traffic: TcpTraffic;
  readonly #flows: readonly MeshFlow[];
  readonly #senders = new Map<number, Sender>();
  readonly #news = new Signal();
  /** Blocks of this round that are still to come. */
  #missing = 0;
  /** All blocks of this round came so far. */
  #whole = true;

  constructor(traffic: TcpTraffic, ns: NetNs, container: number) {
    this.#traffic = traffic;
    this.#flows = traffic.index.incastTo(container);
    serve(traffic, ns, INCAST_PORT, (connection, flow) => this.#join(connection, flow));
  }

  /**
   * Asks for rounds until the last flow's time is over.
   * @param at when the traffic starts
   */
  *run(at: Time): Proc<void> {
    const { os, options } = this.#traffic;
    const begin = at + Math.max(...this.#flows.map(({ start }) => start));
    yield* this.#wait(() => this.#senders.size === this.#flows.length, begin + PATIENCE);
    while (os.now() < begin + options.duration) {
      // Whoever was late is waited for alone.
      yield* this.#wait(() => this.#senders.size > 0, begin + options.duration);
      if (this.#senders.size > 0) yield* this.#round();
    }
    for (const { socket } of this.#inOrder()) socket.close();
  }

  *#round(): Proc<void> {
    const { os, results } = this.#traffic;
    const started = os.now();
    const senders = this.#inOrder();
    this.#missing = senders.length;
    this.#whole = true;
    for (const sender of senders) this.#ask(sender);
    yield* this.#wait(() => this.#missing === 0);
    const [first] = senders;
    if (this.#whole && first !== undefined) results.delaysOf(first.flow).add(os.now() - started);
  }

  #ask(sender: Sender): void {
    const { socket } = sender;
    sender.target = socket.bytesReceived + this.#traffic.options.size;
    try {
      socket.setSink(sender.target);
      socket.trySend(ASK);
    } catch (error) {
      this.#lose(sender, causeOf(error));
    }
  }

  /** A sender has connected; it is asked from the next round on. */
  #join(connection: Watch, flow: MeshFlow): void {
    const { socket } = connection;
    const sender: Sender = { flow, socket, counts: this.#traffic.results.flow(flow.id), target: 0 };
    socket.setNoDelay(true);
    socket.setSink(Number.POSITIVE_INFINITY);
    this.#senders.set(flow.id, sender);
    connection.handler = () => this.#look(sender);
    this.#news.notify();
  }

  /** A sender's block is whole, or its connection is over. */
  #look(sender: Sender): void {
    const { socket, counts, target } = sender;
    if (target > 0 && socket.bytesReceived >= target) {
      const { size } = this.#traffic.options;
      sender.target = 0;
      counts.received++;
      counts.bytes += size;
      this.#settle();
    }
    if (socket.state !== "ESTABLISHED") this.#lose(sender, socket.takeError() ?? "ECONNRESET");
  }

  #lose(sender: Sender, cause: string): void {
    this.#senders.delete(sender.flow.id);
    this.#traffic.results.failure("incast", cause);
    sender.socket.close();
    if (sender.target === 0) return;
    sender.target = 0;
    this.#whole = false;
    this.#settle();
  }

  #settle(): void {
    this.#missing--;
    if (this.#missing === 0) this.#news.notify();
  }

  #inOrder(): Sender[] {
    return [...this.#senders.values()].sort((a, b) => a.flow.id - b.flow.id);
  }

  *#wait(condition: () => boolean, deadline?: Time): Proc<void> {
    const { os } = this.#traffic;
    while (!condition() && (deadline === undefined || os.now() < deadline))
      yield deadline === undefined ? { on: [this.#news] } : { on: [this.#news], until: deadline };
  }
}

/** A sender: connects, and gives a block for each byte that asks for one, until the receiver closes. */
export function* sendBlocks({ os, options, poller, results }: TcpTraffic, route: Route, at: Time): Proc<void> {
  const { flow } = route.planned;
  const counts = results.flow(flow.id);
  const fail = (cause: string): void => {
    counts.failed++;
    results.failure("incast", cause);
  };
  yield* until(os, at + flow.start);
  try {
    const socket = connect(route);
    socket.setNoDelay(true);
    let greeted = false;
    let left = 0;
    poller.watch(socket, () => {
      try {
        if (socket.state === "SYN_SENT") return;
        if (!greeted && socket.state === "ESTABLISHED") socket.trySend(greetingOf(flow));
        greeted = true;
        const asked = receive(socket, GREETING);
        if (asked === "end") {
          if (socket.state !== "CLOSE_WAIT") fail(socket.takeError() ?? "ECONNRESET");
          socket.close();
          return;
        }
        counts.sent += asked?.length ?? 0;
        left += (asked?.length ?? 0) * options.size;
        if (left > 0) left -= socket.trySendPattern(left);
      } catch (error) {
        fail(causeOf(error));
        socket.close();
      }
    });
  } catch (error) {
    fail(causeOf(error));
  }
}
