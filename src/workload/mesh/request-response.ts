/**
 * Requests and responses, each pair on a connection of its own, as netperf's TCP_CRR makes them: connect, a request of
 * GREETING bytes, a response of options.size bytes, and the client closes. An open loop: requests are a Poisson process, which
 * doesn't wait for answers, so that a slow server meets a queue and not a patient client.
 */
import { assert } from "../../base/errors.ts";
import { SEC, type Time } from "../../base/time.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { Proc } from "../../scheduler/process.ts";
import { REQUEST_PORT } from "./plan-index.ts";
import type { Watch } from "./poller.ts";
import { causeOf, connect, greetingOf, Ports, type Route, receive, serve, type TcpTraffic, until } from "./tcp.ts";

/** Answers requests to a container. */
export function serveRequests(traffic: TcpTraffic, ns: NetNs, container: number): void {
  const { size } = traffic.options;
  serve(traffic, ns, REQUEST_PORT, (connection, flow) => {
    traffic.results.backend(flow.id, container, 1);
    respond(connection, size);
  });
}

/** Writes a response, and closes behind the client. */
function respond(connection: Watch, size: number): void {
  const { socket } = connection;
  let left = size;
  connection.handler = () => {
    try {
      if (left > 0) left -= socket.trySendPattern(left);
    } catch (error) {
      causeOf(error);
      socket.close();
      return;
    }
    if (left === 0 && receive(socket, 1) === "end") socket.close();
  };
  socket.setNoDelay(true);
  connection.handler();
}

/**
 * The requests of one flow.
 * @param at when the traffic starts
 * @param seed of its intervals
 */
export function* sendRequests(
  traffic: TcpTraffic,
  route: Route,
  at: Time,
  seed: readonly [number, number],
): Proc<void> {
  const { os, options } = traffic;
  const { exponential } = os.kernel;
  assert(exponential !== undefined, "a kernel that draws intervals", os.hostName);
  const gap = (n: number): Time => Math.round((SEC / options.rate) * exponential.call(os.kernel, seed, n));
  const start = at + route.planned.flow.start;
  const ports = new Ports(route.planned);
  const greeting = greetingOf(route.planned.flow);
  for (let n = 0, next = start + gap(0); next < start + options.duration; next += gap(++n)) {
    yield* until(os, next);
    request(traffic, route, ports, greeting);
  }
}

/** One request, from its SYN to the last byte of its answer. */
function request({ os, options, poller, results }: TcpTraffic, route: Route, ports: Ports, greeting: Uint8Array): void {
  const { flow } = route.planned;
  const { size } = options;
  const counts = results.flow(flow.id);
  const started = os.now();
  const fail = (cause: string): void => {
    counts.failed++;
    results.failure("rr", cause);
  };
  counts.sent++;
  try {
    const socket = connect(route, ports);
    let asked = false;
    poller.watch(socket, () => {
      try {
        if (!asked && socket.state === "ESTABLISHED") {
          asked = true;
          socket.setSink(size);
          socket.trySend(greeting);
        } else if (asked && socket.bytesReceived >= size) {
          counts.received++;
          counts.bytes += size;
          results.delaysOf(flow).add(os.now() - started);
          socket.close();
        } else if (socket.state !== "SYN_SENT" && socket.state !== "ESTABLISHED") {
          // Reset, refused, timed out, or closed before the answer was whole.
          fail(socket.takeError() ?? "ECONNRESET");
          socket.close();
        }
      } catch (error) {
        fail(causeOf(error));
        socket.close();
      }
    });
  } catch (error) {
    fail(causeOf(error));
  }
}
