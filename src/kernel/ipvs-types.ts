/**
 * The fourth part of netlink that libnetwork uses: the generic netlink family IPVS, virtual services and their destinations
 * in a network namespace. Types only; `ipvs.ts` implements them over the Wasm module. Refusals throw KernelError with
 * Linux's errno name (EEXIST, ESRCH, ENOENT for an unknown scheduler).
 */
import type { Ipv4 } from "../base/addr.ts";
import type { Time } from "../base/time.ts";

/** Protocols that IPVS balances. */
export type IpvsProtocol = "tcp" | "udp" | "sctp";

/** Names of Linux's schedulers (net/netfilter/ipvs/ip_vs_*.c). */
export const IPVS_SCHEDULERS = [
  "rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "twos",
] as const; // biome-ignore format: one table
/** Name of a scheduler, as ipvsadm takes it. */
export type IpvsScheduler = (typeof IPVS_SCHEDULERS)[number];

/** What identifies a virtual service: a firewall mark, or protocol, address and port (0 = every port). */
export type IpvsServiceId =
  | { readonly fwmark: number }
  | { readonly protocol: IpvsProtocol; readonly address: Ipv4; readonly port: number };

/** A service to add or to change (IPVS_CMD_NEW_SERVICE, SET_SERVICE). */
export interface IpvsServiceSpec {
  readonly id: IpvsServiceId;
  readonly scheduler: IpvsScheduler;
  /** Persistence in seconds under a netmask; absent = none. */
  readonly persistent?: { readonly timeoutSec: number; readonly netmask: Ipv4 };
  /** `--ops`. */
  readonly onePacket?: boolean;
  /** `-b sh-fallback,sh-port`, `mh-fallback,mh-port`: IP_VS_SVC_F_SCHED1 (fallback) and SCHED2 (port). */
  readonly schedulerFlags?: readonly ("fallback" | "port")[];
}

/** How a destination is reached: `-m`, `-g`, `-i` of ipvsadm. */
export type IpvsForwarding = "masq" | "local" | "tunnel" | "direct";

/** A destination to add or to change (IPVS_CMD_NEW_DEST, SET_DEST). */
export interface IpvsDestinationSpec {
  readonly address: Ipv4;
  /** 0 = the packet's own port. */
  readonly port: number;
  readonly forwarding: IpvsForwarding;
  readonly weight: number;
  /** Thresholds of connections; 0 = none. */
  readonly upper?: number;
  readonly lower?: number;
}

/** Packet and byte counters of a service or a destination. */
export interface IpvsStats {
  readonly connections: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** A real server as `ipvsadm -Ln --stats` tells it. */
export interface IpvsDestinationInfo extends IpvsDestinationSpec {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly persistentConnections: number;
  readonly stats: IpvsStats;
}

/** A service as the kernel lists it; destinations in the order of its list: newest first. */
export interface IpvsServiceInfo extends IpvsServiceSpec {
  readonly stats: IpvsStats;
  readonly destinations: readonly IpvsDestinationInfo[];
}

/** A connection or a persistence template, as /proc/net/ip_vs_conn shows it, in order of the buckets. */
export interface IpvsConnection {
  readonly protocol: IpvsProtocol | "ip";
  readonly client: { readonly ip: Ipv4; readonly port: number };
  readonly virtual: { readonly ip: Ipv4; readonly port: number };
  readonly destination: { readonly ip: Ipv4; readonly port: number };
  /** The kernel's word: ESTABLISHED, SYN_RECV, UDP, NONE … */
  readonly state: string;
  /** Time left, ns. */
  readonly expires: Time;
  /** Firewall mark of its service; 0 = none. */
  readonly fwmark: number;
}

/** Timeouts that can be set, in seconds: of established TCP connections, of closing ones, of UDP flows. */
export interface IpvsTimeouts {
  readonly tcp: number;
  readonly tcpFin: number;
  readonly udp: number;
}

/** IPVS of one network namespace. `net.ipv4.vs.*` are sysctls of the namespace. */
export interface IpvsApi {
  addService(spec: IpvsServiceSpec): void;
  updateService(spec: IpvsServiceSpec): void;
  removeService(id: IpvsServiceId): void;
  addDestination(service: IpvsServiceId, spec: IpvsDestinationSpec): void;
  updateDestination(service: IpvsServiceId, spec: IpvsDestinationSpec): void;
  removeDestination(service: IpvsServiceId, address: Ipv4, port: number): void;
  /** In the order of /proc/net/ip_vs: services by address first, then by mark, by bucket. */
  services(): IpvsServiceInfo[];
  service(id: IpvsServiceId): IpvsServiceInfo | undefined;
  connections(): IpvsConnection[];
  /** `ipvsadm -C`. */
  flush(): void;
  /** `ipvsadm -Z`: of one service, or of all. */
  zero(id?: IpvsServiceId): void;
  /** Counters of the namespace since the last `zero()` (/proc/net/ip_vs_stats). */
  stats(): IpvsStats;
  /** `ipvsadm --set`; 0 = unchanged. */
  setTimeouts(timeouts: IpvsTimeouts): void;
  timeouts(): IpvsTimeouts;
}
