/** ss(8) of iproute2 6.1: sockets of a namespace, in columns as wide as they need (misc/ss.c render). */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import type { Program } from "../../engine/program.ts";
import type { SocketInfo } from "../../kernel/socket-types.ts";
import { getopt } from "../lib/options.ts";
import { quick } from "../lib/program.ts";

/** sstate_name of ss by the kernel's name of a state. */
const STATES: Readonly<Record<string, string>> = {
  ESTABLISHED: "ESTAB",
  ESTAB: "ESTAB",
  SYN_SENT: "SYN-SENT",
  SYN_RECV: "SYN-RECV",
  FIN_WAIT1: "FIN-WAIT-1",
  FIN_WAIT2: "FIN-WAIT-2",
  TIME_WAIT: "TIME-WAIT",
  CLOSED: "UNCONN",
  UNCONN: "UNCONN",
  CLOSE_WAIT: "CLOSE-WAIT",
  LAST_ACK: "LAST-ACK",
  LISTEN: "LISTEN",
  CLOSING: "CLOSING",
  // Of an SCTP socket (enum sctp_sock_state).
  COOKIE_WAIT: "SYN-SENT",
  COOKIE_ECHOED: "SYN-SENT",
  SHUTDOWN_PENDING: "ESTAB",
  SHUTDOWN_SENT: "ESTAB",
  SHUTDOWN_RECEIVED: "CLOSE-WAIT",
  SHUTDOWN_ACK_SENT: "CLOSE-WAIT",
};

/** sctp_sstate_name of ss: states of an association, which has a line of its own below its socket's. */
const ASSOCIATION_STATES: Readonly<Record<string, string>> = {
  COOKIE_WAIT: "COOKIE_WAIT",
  COOKIE_ECHOED: "COOKIE_ECHOED",
  ESTABLISHED: "ESTAB",
  SHUTDOWN_PENDING: "SHUTDOWN_PENDING",
  SHUTDOWN_SENT: "SHUTDOWN_SENT",
  SHUTDOWN_RECEIVED: "SHUTDOWN_RECEIVED",
  SHUTDOWN_ACK_SENT: "ACK_SENT",
};

/** A socket's state in the words of ss. */
export function socketState({ state }: SocketInfo): string {
  return STATES[state] ?? state;
}

interface Column {
  readonly head: string;
  readonly right: boolean;
  readonly delimiter: string;
}

const COLUMNS: readonly Column[] = [
  { head: "Netid", right: false, delimiter: "" },
  { head: "State", right: false, delimiter: " " },
  { head: "Recv-Q", right: false, delimiter: " " },
  { head: "Send-Q", right: false, delimiter: " " },
  { head: "Local Address:", right: true, delimiter: " " },
  { head: "Port", right: false, delimiter: "" },
  { head: "Peer Address:", right: true, delimiter: " " },
  { head: "Port", right: false, delimiter: "" },
  { head: "Process", right: false, delimiter: "" },
];

function port(number: number): string {
  return number === 0 ? "*" : String(number);
}

function host(ip: Ipv4): string {
  return `${formatIpv4(ip)}:`;
}

function cells(socket: SocketInfo, processes: boolean): string[] {
  const state = socketState(socket);
  const queues = [String(socket.rxQueue), String(socket.txQueue)];
  const local = [host(socket.localIp), port(socket.localPort)];
  const peer = [host(socket.remoteIp), port(socket.remotePort)];
  // The emulation knows a socket's program by name only.
  const process = processes && socket.owner !== "" ? ` users:(("${socket.owner}"))` : "";
  return [socket.protocol === "icmp" ? "icmp" : socket.protocol, state, ...queues, ...local, ...peer, process];
}

/** The lines of a socket: one, and one for the association of an SCTP socket. */
function socketRows(socket: SocketInfo, processes: boolean): string[][] {
  const row = cells(socket, processes);
  const state = socket.protocol === "sctp" ? ASSOCIATION_STATES[socket.state] : undefined;
  return state === undefined ? [row] : [row, ["", `\`- ${state}`, ...row.slice(2, -1), ""]];
}

/** Lines of a table whose columns are as wide as their widest cell. */
function renderSockets(sockets: readonly SocketInfo[], processes: boolean, netid: boolean): string {
  const rows = [COLUMNS.map((column) => column.head), ...sockets.flatMap((socket) => socketRows(socket, processes))];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => (row[i] as string).length)));
  const lines = rows.map((row) =>
    COLUMNS.map((column, i) => {
      if (i === 0 && !netid) return "";
      const text = row[i] as string;
      const delimiter = i === 1 && !netid ? "" : column.delimiter;
      return delimiter + (column.right ? text.padStart(widths[i] as number) : text.padEnd(widths[i] as number));
    }).join(""),
  );
  return `${lines.join("\n")}\n`;
}

/** ss(8) of iproute2. */
export const ss: Program = quick((context) => {
  const options = getopt(context.argv, "natulpwemioHrsSx4", {
    all: "a",
    listening: "l",
    numeric: "n",
    tcp: "t",
    udp: "u",
    raw: "w",
    sctp: "S",
    processes: "p",
    "no-header": "H",
  });
  const kinds = new Set<string>();
  if (options.has("t")) kinds.add("tcp");
  if (options.has("u")) kinds.add("udp");
  if (options.has("S")) kinds.add("sctp");
  if (options.has("w")) kinds.add("raw").add("icmp");
  const wanted = context.ns.socket.list().filter((socket) => {
    if (kinds.size > 0 && !kinds.has(socket.protocol)) return false;
    const listening =
      socket.state === "LISTEN" || (socket.protocol !== "tcp" && socket.protocol !== "sctp" && socket.remotePort === 0);
    return options.has("a") || (options.has("l") ? listening : !listening && socket.state !== "CLOSED");
  });
  const order = ["icmp", "raw", "udp", "tcp", "sctp"];
  const sorted = [...wanted].sort((a, b) => order.indexOf(a.protocol) - order.indexOf(b.protocol));
  const text = renderSockets(sorted, options.has("p"), kinds.size !== 1);
  context.stdout.write(options.has("H") ? text.slice(text.indexOf("\n") + 1) : text);
  return 0;
});
