/**
 * What the mesh's TCP traffic shares: sockets from a flow's own ports, listeners, and the greeting by which a receiver learns
 * whose connection it is (behind a service's load balancer the address doesn't say it).
 */
import type { Ipv4 } from "../../base/addr.ts";
import { assert, KernelError } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import type { TrafficSocket } from "../../kernel/socket-types.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { HostOs } from "../../scheduler/os.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type PlanIndex, type PlannedFlow, sourcePorts } from "./plan-index.ts";
import type { Poller, Watch } from "./poller.ts";
import type { HostResults } from "./results.ts";
import type { MeshFlow, MeshOptions } from "./types.ts";

/** What a kind of traffic is given of its host. */
export interface TcpTraffic {
  readonly os: HostOs;
  readonly options: MeshOptions;
  readonly index: PlanIndex;
  readonly poller: Poller;
  readonly results: HostResults;
}

/** Where a flow's connections come from and go to. */
export interface Route {
  readonly planned: PlannedFlow;
  readonly ns: NetNs;
  readonly to: Ipv4;
  readonly port: number;
}

/** Bytes that a connection begins with: who is there. */
export const GREETING = 32;
const MAGIC = 0x4d575357;
/** As many as somaxconn takes. */
const BACKLOG = 4096;

function openSocket(ns: NetNs): TrafficSocket {
  assert(ns.socket.trafficTcp !== undefined, "a kernel that makes traffic", ns.name);
  return ns.socket.trafficTcp();
}

/** The name of a refusal; other errors go on. */
export function causeOf(error: unknown): string {
  if (error instanceof KernelError) return error.code;
  throw error;
}

/**
 * Listens, and hands each connection over once its greeting is there; one that doesn't greet is reset.
 * @param accepted is given the connection, of which nothing but the greeting was read, and the flow that it belongs to
 */
export function serve(
  { poller, index }: TcpTraffic,
  ns: NetNs,
  port: number,
  accepted: (connection: Watch, flow: MeshFlow) => void,
): void {
  const listener = openSocket(ns);
  listener.bind(0, port);
  listener.listen(BACKLOG);
  poller.watch(listener, () => {
    for (let socket = listener.tryAccept(); socket !== undefined; socket = listener.tryAccept()) {
      const connection = poller.watch(socket, () => greet(connection, index, accepted));
      greet(connection, index, accepted);
    }
  });
}

/** Reads a connection's greeting. A client writes it at once, and no MTU is too small for it, so that it comes in one piece. */
function greet(connection: Watch, index: PlanIndex, accepted: (connection: Watch, flow: MeshFlow) => void): void {
  const { socket } = connection;
  const got = receive(socket, GREETING);
  if (got === undefined) return;
  const flow = got === "end" ? undefined : index.flow(flowIn(got));
  if (flow === undefined) socket.abort();
  else accepted(connection, flow);
}

/** The flow that a greeting names, -1 for what is none. */
function flowIn(bytes: Uint8Array): number {
  if (bytes.length < GREETING) return -1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(0, true) === MAGIC ? view.getUint32(4, true) : -1;
}

/** The greeting of a flow's connections. */
export function greetingOf({ id }: MeshFlow): Uint8Array {
  const bytes = new Uint8Array(GREETING);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, id, true);
  return bytes;
}

/** Reads what is there: undefined when that is nothing, "end" when nothing more will come. */
export function receive(socket: TrafficSocket, most: number): Uint8Array | "end" | undefined {
  try {
    const got = socket.tryRecv(most);
    return got?.length === 0 ? "end" : got;
  } catch (error) {
    causeOf(error);
    return "end";
  }
}

/** Starts a flow's connection; what it comes to is the socket's news. @throws KernelError ENETUNREACH … */
export function connect({ planned, ns, to, port }: Route): TrafficSocket {
  const socket = openSocket(ns);
  try {
    socket.bind(0, sourcePorts(planned).first);
    socket.connect(to, port);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Waits for an instant. */
export function* until(os: HostOs, time: Time): Proc<void> {
  while (os.now() < time) yield { until: time };
}
