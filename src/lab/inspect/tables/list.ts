/** The tables that there are, by name: plain data, which a view can list without reading any. */

/** What a table is about. */
export interface TableEntry {
  readonly title: string;
  /** The command that prints it, or what it is. */
  readonly command: string;
  /** One for each network namespace, or one for the host. */
  readonly scope: "namespace" | "host";
  readonly group: "Links" | "Routing" | "Netfilter" | "IPVS" | "IPsec" | "Sockets" | "Docker" | "Gossip" | "Swarm";
}

/** All tables, in the order in which they are offered. */
export const TABLES = {
  fdb: { title: "FDB", command: "bridge -s fdb show", scope: "namespace", group: "Links" },
  links: { title: "Links", command: "ip -s link", scope: "namespace", group: "Links" },
  addresses: { title: "Addresses", command: "ip address", scope: "namespace", group: "Links" },
  neighbours: { title: "Neighbours", command: "ip -s neigh", scope: "namespace", group: "Routing" },
  routes: { title: "Routes", command: "ip route show table all", scope: "namespace", group: "Routing" },
  sysctls: { title: "Sysctls", command: "sysctl net", scope: "namespace", group: "Routing" },
  conntrack: { title: "Conntrack", command: "conntrack -L", scope: "namespace", group: "Netfilter" },
  iptables: { title: "iptables", command: "iptables-save -c", scope: "namespace", group: "Netfilter" },
  ipvs: { title: "IPVS", command: "ipvsadm -Ln --stats", scope: "namespace", group: "IPVS" },
  "ipvs-connections": { title: "IPVS connections", command: "ipvsadm -Lnc", scope: "namespace", group: "IPVS" },
  "xfrm-states": { title: "xfrm states", command: "ip -s xfrm state", scope: "namespace", group: "IPsec" },
  "xfrm-policies": { title: "xfrm policies", command: "ip -s xfrm policy", scope: "namespace", group: "IPsec" },
  sockets: { title: "Sockets", command: "ss -anp", scope: "namespace", group: "Sockets" },
  counters: { title: "Counters", command: "nstat -as", scope: "namespace", group: "Sockets" },
  drops: { title: "Drops", command: "packets dropped on the host, by reason", scope: "host", group: "Sockets" },
  containers: { title: "Containers", command: "docker ps -a", scope: "host", group: "Docker" },
  networks: { title: "Networks, IPAM", command: "docker network inspect", scope: "host", group: "Docker" },
  endpoints: { title: "Endpoints", command: "docker network inspect", scope: "host", group: "Docker" },
  peers: { title: "Overlay peers", command: "peer database of the overlay driver", scope: "host", group: "Docker" },
  balancers: { title: "Load balancers", command: "docker network inspect -v", scope: "host", group: "Docker" },
  dns: { title: "DNS records", command: "names that 127.0.0.11 answers", scope: "host", group: "Docker" },
  members: { title: "Members", command: "memberlist under NetworkDB", scope: "host", group: "Gossip" },
  "gossip-nodes": { title: "NetworkDB nodes", command: "nodes of NetworkDB", scope: "host", group: "Gossip" },
  "gossip-networks": {
    title: "Network nodes",
    command: "NetworkDB's nodes by network",
    scope: "host",
    group: "Gossip",
  },
  "gossip-entries": { title: "NetworkDB entries", command: "NetworkDB's tables", scope: "host", group: "Gossip" },
  nodes: { title: "Nodes", command: "docker node ls", scope: "host", group: "Swarm" },
  services: { title: "Services", command: "docker service ls", scope: "host", group: "Swarm" },
  tasks: { title: "Tasks", command: "docker service ps", scope: "host", group: "Swarm" },
} as const satisfies Record<string, TableEntry>;

/** Names a table. */
export type TableId = keyof typeof TABLES;

/** Whether there is a table of that name. */
export function isTableId(name: string): name is TableId {
  return Object.hasOwn(TABLES, name);
}
