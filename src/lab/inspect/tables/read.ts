/** Reads a table of a host. Nothing that is read changes anything: no event, no packet, no random number, nothing forgotten. */
import type { Engine } from "../../../engine/engine.ts";
import type { NetNs } from "../../../kernel/types.ts";
import type { GossipView } from "../../../libnetwork/networkdb-types.ts";
import type { ReadTx } from "../../../swarm/store/memory.ts";
import type { Inspected } from "../inspect.ts";
import type { NamedTable } from "../protocol.ts";
import * as docker from "./docker.ts";
import * as gossip from "./gossip.ts";
import { ipvs, ipvsConnections } from "./ipvs.ts";
import { addresses, fdb, links } from "./links.ts";
import { TABLES, type TableId } from "./list.ts";
import { findNamespace, namespaces } from "./namespaces.ts";
import { conntrack, iptables } from "./netfilter.ts";
import { neighbours, routes, sysctls } from "./routing.ts";
import { counters, drops, sockets } from "./sockets.ts";
import * as swarm from "./swarm.ts";
import type { HostTable } from "./table.ts";
import { xfrmPolicies, xfrmStates } from "./xfrm.ts";

type Reader = (host: Inspected, namespace: string) => HostTable;

const absent = (why: string): HostTable => ({ columns: [], rows: [], absent: why });

/** A table of a network namespace. @param read given it and the present virtual time */
function ofNamespace(read: (ns: NetNs, now: number) => HostTable): Reader {
  return (host, name) => {
    const ns = findNamespace(host, name);
    if (ns === undefined) return absent(`there is no network namespace ${name} on ${host.os.hostName} at this moment`);
    return read(ns, host.os.now());
  };
}

function ofEngine(read: (engine: Engine) => HostTable): Reader {
  return ({ engine }) => (engine === undefined ? absent("the Docker daemon is stopped") : read(engine));
}

function ofGossip(read: (view: GossipView, controller: Engine["controller"]) => HostTable): Reader {
  return ofEngine(({ controller }) => {
    if (controller.agent === undefined) return absent("this node takes part in no swarm");
    return read(controller.agent.db.view, controller);
  });
}

function ofManager(read: (tx: ReadTx) => HostTable): Reader {
  return ofEngine((engine) => engine.swarm.objects(read) ?? absent("this node is not a swarm manager"));
}

const READERS: Readonly<Record<TableId, Reader>> = {
  fdb: ofNamespace(fdb),
  links: ofNamespace(links),
  addresses: ofNamespace(addresses),
  neighbours: ofNamespace(neighbours),
  routes: ofNamespace(routes),
  sysctls: ofNamespace(sysctls),
  conntrack: ofNamespace(conntrack),
  iptables: ofNamespace(iptables),
  ipvs: ofNamespace(ipvs),
  "ipvs-connections": ofNamespace(ipvsConnections),
  "xfrm-states": ofNamespace(xfrmStates),
  "xfrm-policies": ofNamespace(xfrmPolicies),
  sockets: ofNamespace(sockets),
  counters: ofNamespace(counters),
  drops,
  containers: ofEngine(docker.containers),
  networks: ofEngine(docker.networks),
  endpoints: ofEngine(docker.endpoints),
  peers: ofEngine(docker.peers),
  balancers: ofEngine(docker.balancers),
  dns: ofEngine(docker.dns),
  members: ofGossip(gossip.members),
  "gossip-nodes": ofGossip(gossip.gossipNodes),
  "gossip-networks": ofGossip(gossip.gossipNetworks),
  "gossip-entries": ofGossip(gossip.gossipEntries),
  nodes: ofManager(swarm.nodes),
  services: ofManager(swarm.services),
  tasks: ofManager(swarm.tasks),
};

/** @param namespace of a table that each namespace has; default the host's own */
export function readTable(host: Inspected, table: TableId, namespace = "host"): HostTable {
  return READERS[table](host, namespace);
}

/** All tables, those of each namespace with them. */
export function readTables(host: Inspected): NamedTable[] {
  const spaces = namespaces(host).map(({ name }) => name);
  return (Object.keys(TABLES) as TableId[]).flatMap((id) =>
    (TABLES[id].scope === "host" ? [undefined] : spaces).map((namespace) => {
      return { id, namespace, table: readTable(host, id, namespace) };
    }),
  );
}
