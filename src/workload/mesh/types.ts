/**
 * What a mesh is: many hosts, their overlays, containers, services and the traffic between them, as the benchmark
 * `swarmwire bench mesh` makes them. All of it is plain data that survives structured cloning, so that every worker
 * can be given the same plan; what grows with the containers lies in typed arrays.
 */
import type { Cidr, Ipv4 } from "../../base/addr.ts";
import type { Time } from "../../base/time.ts";
import type { IpvsScheduler } from "../../kernel/ipvs-types.ts";
import type { EncryptionKey } from "../../libnetwork/keys.ts";

/** How the hosts come to know of each other's containers. */
export type ControlPlane =
  /** Everything over the wire: joins, gossip, assignments, as in any lab. */
  | "gossip"
  /** Peer tables, addresses, services and keys are placed as they stand after convergence; no daemon runs. */
  | "converged";

/** Kinds of generated traffic. */
export type TrafficKind =
  /** UDP datagrams at a constant rate. */
  | "cbr"
  /** UDP datagrams as a Poisson process. */
  | "poisson"
  /** A TCP connection per request, one request and one response on it (netperf's TCP_CRR). */
  | "rr"
  /** TCP as fast as it goes (iperf3, netperf's TCP_STREAM). */
  | "bulk"
  /** Many senders to one receiver at the same moment: a block each, again when all have it (TCP incast). */
  | "incast";

/** What is asked for; every field has its value (defaults are the command's). */
export interface MeshOptions {
  readonly seed: string;
  readonly control: ControlPlane;
  readonly hosts: number;
  /** In total; they are spread evenly. */
  readonly containers: number;
  /** In total; sources and kinds take turns. */
  readonly flows: number;
  readonly underlay: MeshUnderlay;
  /** Overlay networks. */
  readonly networks: number;
  /** Hosts that each network spans: neighbours in the order of hosts. */
  readonly span: number;
  /** Networks, of the first, that are encrypted. */
  readonly encrypted: number;
  /** Services with a VIP in each network; its containers are shared out to them in turn. 0: none. */
  readonly services: number;
  /** IPVS schedulers that services are given in turn. Docker itself knows `rr` alone. */
  readonly schedulers: readonly IpvsScheduler[];
  /** Kinds that flows are given in turn. */
  readonly traffic: readonly TrafficKind[];
  /** Share of the flows, 0 … 1, that go to a service's VIP instead of a container's own address (not bulk, not incast). */
  readonly vipShare: number;
  /** Of each flow: datagrams or requests a second. */
  readonly rate: number;
  /** Bytes of UDP payload, of a response, or of an incast block. */
  readonly size: number;
  /** How long traffic is made. */
  readonly duration: Time;
}

/** The wires between the hosts. */
export interface MeshUnderlay {
  readonly kind: "flat" | "leaf-spine";
  /** One-way delay of a host's link, ns. */
  readonly latency: Time;
  /** Of a host's link, bits a second. */
  readonly bandwidth: number;
  readonly loss: number;
  readonly mtu: number;
  /** leaf-spine: hosts below each leaf, spines, rate and delay of each link between them. */
  readonly hostsPerLeaf: number;
  readonly spines: number;
  /** leaf-spine: neighbours in the order of hosts are below different leaves, where there are several; default: below the same. */
  readonly apart?: boolean;
  readonly uplinkBandwidth: number;
  readonly uplinkLatency: Time;
}

/** An overlay network. */
export interface MeshNetwork {
  readonly id: string;
  readonly name: string;
  readonly subnet: Cidr;
  readonly gateway: Ipv4;
  readonly vni: number;
  readonly encrypted: boolean;
  /** Hosts with a container on it, ascending. */
  readonly hosts: readonly number[];
  /** Address of its load balancer on each of these hosts. */
  readonly loadBalancers: readonly Ipv4[];
}

/** A service with a VIP. */
export interface MeshService {
  readonly name: string;
  /** Index of its network. */
  readonly network: number;
  readonly vip: Ipv4;
  readonly fwmark: number;
  readonly scheduler: IpvsScheduler;
  /** Its tasks' containers, in the order in which IPVS learns of them. */
  readonly containers: Uint32Array;
  /**
   * The same by host, at the positions of its network's hosts, where they learnt of them in different orders; undefined: all in
   * the order of `containers`.
   */
  readonly orders?: readonly Uint32Array[];
}

/** Generated traffic from a container. */
export interface MeshFlow {
  readonly id: number;
  readonly kind: TrafficKind;
  /** Index of a container. */
  readonly from: number;
  /** Index of a container, or of a service whose VIP is called. */
  readonly to: { readonly container: number } | { readonly service: number };
  /** When it starts, from the start of the traffic. */
  readonly start: Time;
}

/** A whole mesh: the same on every host. Containers are numbered from 0; the arrays go by that number. */
export interface MeshPlan {
  readonly options: MeshOptions;
  readonly networks: readonly MeshNetwork[];
  readonly services: readonly MeshService[];
  readonly containers: {
    readonly count: number;
    /** Ascending: a host's containers lie side by side. */
    readonly host: Uint32Array;
    /** Index of its network. */
    readonly network: Uint32Array;
    readonly ip: Uint32Array;
  };
  readonly flows: readonly MeshFlow[];
  /** The swarm's keys for encrypted networks; a plan without such networks may do without them. */
  readonly keys?: readonly EncryptionKey[];
}

/** Delays in a histogram that all hosts fill alike, see src/workload/histogram.ts: counts by bucket, up to the last octave that has one. */
export interface DelayCounts {
  readonly counts: Uint32Array;
  readonly count: number;
  /** ns. */
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

/** What one host's sockets say about a flow; sender and receiver each know their part. */
export interface FlowReport {
  readonly flow: number;
  /** Sender: datagrams, requests, blocks or (bulk) bytes given to the kernel. */
  readonly sent: number;
  /** Sender: refused by the kernel, or (requests) failed. */
  readonly failed: number;
  /** Receiver: datagrams, blocks or (bulk) bytes that came; sender of requests: answers. */
  readonly received: number;
  /** Bytes of payload received. */
  readonly bytes: number;
  /** Receiver: datagrams behind one that was sent later (RFC 4737 §3.3); absent where there are none. */
  readonly reordered?: number;
  /** Receiver: datagrams that had come before; absent where there are none. */
  readonly duplicates?: number;
}

/** What one host has to say at the end. Plain data: the payload of an event of the host. */
export interface MeshReport {
  readonly kind: "mesh-report";
  readonly flows: readonly FlowReport[];
  /** Delays of all flows of a kind that this host measured: one way for datagrams, request to answer, block to completion. */
  readonly delays: readonly {
    readonly kind: TrafficKind;
    readonly viaVip: boolean;
    readonly encrypted: boolean;
    readonly delays: DelayCounts;
  }[];
  /**
   * What came through each service to each container of this host: datagrams or requests, and in how many connections, as
   * IPVS knows them (datagrams of one pair of ports are one).
   */
  readonly backends: readonly {
    readonly service: number;
    readonly container: number;
    readonly count: number;
    readonly connections: number;
  }[];
  /** Why requests and connections failed, by the kernel's name for it (ECONNREFUSED …); absent where none did. */
  readonly failures?: readonly { readonly kind: TrafficKind; readonly cause: string; readonly count: number }[];
  /** Datagrams to this host's receivers that belong to no flow; absent where there are none. */
  readonly strays?: number;
}
