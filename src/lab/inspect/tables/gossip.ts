/** What a host knows by gossip: members, nodes, who takes part in which network, and the tables' entries. */
import { formatCidr, formatIpv4, formatMac } from "../../../base/addr.ts";
import type { NetworkController } from "../../../libnetwork/controller.ts";
import { ENDPOINT_TABLE, PEER_TABLE } from "../../../libnetwork/labels.ts";
import type { GossipView } from "../../../libnetwork/networkdb-types.ts";
import { decodeEndpointRecord, decodePeerRecord } from "../../../libnetwork/records.ts";
import { address, duration, type HostTable, KEY, number, type Row, text, time, VOLATILE } from "./table.ts";

const MEMBERS = [
  text("node", KEY),
  address("address", KEY),
  number("port"),
  text("state"),
  number("incarnation"),
  time("since", VOLATILE),
];

/** memberlist's members. */
export function members(view: GossipView): HostTable {
  const rows = view.members().map(({ name, ip, port, state, incarnation, since }): Row => {
    return [name, formatIpv4(ip), port, state, incarnation, since];
  });
  return { columns: MEMBERS, rows };
}

const NODES = [
  text("node", KEY),
  address("address", KEY),
  text("state"),
  number("lamport time", VOLATILE),
  duration("forgotten in", VOLATILE),
];

/** NetworkDB's nodes: active, failed, left. */
export function gossipNodes(view: GossipView): HostTable {
  const rows = view.nodes().map(({ name, ip, state, lTime, reapTime }): Row => {
    return [name, formatIpv4(ip), state, lTime, state === "active" ? "" : reapTime];
  });
  return { columns: NODES, rows };
}

const ATTACHMENTS = [
  text("network", KEY),
  text("node", KEY),
  address("address"),
  text("state"),
  number("lamport time"),
  duration("forgotten in", VOLATILE),
];

function addressOf(view: GossipView): (node: string) => string {
  const known = new Map(view.nodes().map(({ name, ip }) => [name, formatIpv4(ip)]));
  return (node) => known.get(node) ?? "";
}

function networkName(controller: NetworkController): (id: string) => string {
  return (id) => controller.network(id)?.name ?? id;
}

/** Which node takes part in which network. */
export function gossipNetworks(view: GossipView, controller: NetworkController): HostTable {
  const [where, nameOf] = [addressOf(view), networkName(controller)];
  const rows = view.attachments().map(({ node, networkId, lTime, leaving, reapTime }): Row => {
    const state = leaving ? "left" : "joined";
    return [nameOf(networkId), node, where(node), state, lTime, leaving ? reapTime : ""];
  });
  return { columns: ATTACHMENTS, rows };
}

const ENTRIES = [
  text("network", KEY),
  text("table", KEY),
  text("key", KEY),
  text("owner"),
  address("owner's address"),
  number("lamport time"),
  text("tombstone"),
  duration("reaped in", VOLATILE),
  text("value"),
];

/** Entries of NetworkDB's tables, tombstones with them. */
export function gossipEntries(view: GossipView, controller: NetworkController): HostTable {
  const [where, nameOf] = [addressOf(view), networkName(controller)];
  const rows = view.entries().map(({ networkId, table, key, node, lTime, value, deleting, reapTime }): Row => {
    const what = [nameOf(networkId), table, key.slice(0, 12), node, where(node), lTime];
    return [...what, deleting ? "deleted" : "", deleting ? reapTime : "", valueText(table, value)];
  });
  return { columns: ENTRIES, rows };
}

/** A record in words. */
function valueText(table: string, value: Uint8Array): string {
  const unknown = `${value.length} bytes`;
  if (table === PEER_TABLE) {
    const peer = decodePeerRecord(value);
    if (peer === undefined) return unknown;
    return `${formatCidr(peer.endpointIp)} ${formatMac(peer.endpointMac)} at ${formatIpv4(peer.tunnelEndpointIp)}`;
  }
  const record = table === ENDPOINT_TABLE ? decodeEndpointRecord(value) : undefined;
  if (record === undefined) return unknown;
  const { name, endpointIp, serviceName, virtualIp, ingressPorts, aliases, taskAliases, serviceDisabled } = record;
  const ports = ingressPorts.map((one) => ` ${one.publishedPort}:${one.targetPort}/${one.protocol}`).join("");
  const service = serviceName === "" ? "" : ` of ${serviceName} (VIP ${virtualIp})`;
  const names = [...aliases, ...taskAliases].map((alias) => ` alias ${alias}`).join("");
  return `${name} ${endpointIp}${service}${ports}${names}${serviceDisabled ? " disabled" : ""}`;
}
