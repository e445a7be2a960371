/**
 * Bulk transfer: a connection that writes as fast as it goes for options.duration, as iperf3 does. What counts is what the
 * receiver has by the end of that time, not what is in a buffer then.
 */
import type { Time } from "../../base/time.ts";
import type { TrafficSocket } from "../../kernel/socket-types.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { Proc } from "../../scheduler/process.ts";
import { BULK_PORT } from "./plan-index.ts";
import type { Watch } from "./poller.ts";
import { causeOf, connect, GREETING, greetingOf, type Route, receive, serve, type TcpTraffic, until } from "./tcp.ts";
import type { MeshFlow } from "./types.ts";

/** As much as a send buffer can take. */
const PIECE = 16 * 1024 * 1024;
const MOST_READ = 256 * 1024;

/**
 * Takes what bulk flows send to a container.
 * @param startOfTraffic asked when a connection comes
 */
export function serveBulk(traffic: TcpTraffic, ns: NetNs, startOfTraffic: () => Time): void {
  serve(traffic, ns, BULK_PORT, (connection, flow) => {
    const end = startOfTraffic() + flow.start + traffic.options.duration;
    traffic.os.spawn("bulk sink", takeBulk(traffic, connection, flow, end));
  });
}

/** Counts what came up to `end`. */
function* takeBulk({ os, results }: TcpTraffic, connection: Watch, flow: MeshFlow, end: Time): Proc<void> {
  const { socket } = connection;
  const counts = results.flow(flow.id);
  // What came behind the greeting; from here on the kernel reads.
  for (let got = receive(socket, MOST_READ); got !== undefined && got !== "end"; ) got = receive(socket, MOST_READ);
  socket.setSink(Number.POSITIVE_INFINITY);
  const count = (): void => {
    counts.bytes = socket.bytesReceived - GREETING;
    counts.received = counts.bytes;
  };
  let counted = false;
  connection.handler = () => {
    if (socket.state === "ESTABLISHED") return;
    if (!counted) count();
    counted = true;
    socket.close();
  };
  connection.handler();
  yield* until(os, end);
  if (counted) return;
  count();
  counted = true;
}

/** The connection of one flow. */
export function* sendBulk({ os, options, poller, results }: TcpTraffic, route: Route, at: Time): Proc<void> {
  const { flow } = route.planned;
  const counts = results.flow(flow.id);
  const fail = (cause: string): void => {
    counts.failed++;
    results.failure("bulk", cause);
  };
  yield* until(os, at + flow.start);
  let socket: TrafficSocket;
  try {
    socket = connect(route);
  } catch (error) {
    fail(causeOf(error));
    return;
  }
  let greeted = false;
  poller.watch(socket, () => {
    try {
      if (socket.state === "SYN_SENT") return;
      if (socket.state !== "ESTABLISHED") {
        fail(socket.takeError() ?? "ECONNRESET");
        socket.close();
        return;
      }
      if (!greeted) socket.trySend(greetingOf(flow));
      greeted = true;
      counts.sent += socket.trySendPattern(PIECE);
    } catch (error) {
      fail(causeOf(error));
      socket.close();
    }
  });
  yield* until(os, at + flow.start + options.duration);
  socket.close();
}
