/** Sockets, protocol counters, and why packets were dropped. */
import { formatIpv4 } from "../../../base/addr.ts";
import type { NetNs } from "../../../kernel/types.ts";
import { socketState } from "../../../shell/tools/ss.ts";
import type { Inspected } from "../inspect.ts";
import { address, type HostTable, KEY, number, type Row, text, VOLATILE } from "./table.ts";

const SOCKETS = [
  text("netid", KEY),
  text("state"),
  number("recv-q", VOLATILE),
  number("send-q", VOLATILE),
  address("local", KEY),
  address("peer", KEY),
  text("process"),
];

/** `ss -anp`; a socket's program is known by its name only. */
export function sockets(ns: NetNs): HostTable {
  const end = (ip: number, port: number): string => `${formatIpv4(ip)}:${port === 0 ? "*" : port}`;
  const rows = ns.socket.list().map((socket): Row => {
    const { protocol, rxQueue, txQueue, localIp, localPort, remoteIp, remotePort, owner } = socket;
    const queues = [protocol, socketState(socket), rxQueue, txQueue];
    return [...queues, end(localIp, localPort), end(remoteIp, remotePort), owner];
  });
  return { columns: SOCKETS, rows };
}

const COUNTERS = [text("name", KEY), number("value", VOLATILE)];

/** Those that have counted something, in order of name; /proc/net/xfrm_stat's with them. */
export function counters(ns: NetNs): HostTable {
  const all = [...Object.entries(ns.snmp()), ...Object.entries(ns.xfrm.stat())];
  const rows = all.filter(([, value]) => value > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  return { columns: COUNTERS, rows };
}

const DROPS = [text("reason", KEY), number("packets", VOLATILE), text("kind")];

/** Packets that ended on the host, by reason; some end where they should. */
export function drops({ os }: Inspected): HostTable {
  const rows = Object.entries(os.kernel.drops()).map(([reason, count]): Row => {
    return [reason, count, reason.endsWith("_CONSUMED") ? "consumed" : "lost"];
  });
  return { columns: DROPS, rows };
}
