/**
 * What a mesh's session asks of a host's machine, and what the machine tells it. Plain data: it crosses workers. Reports are
 * MeshReport (src/workload/mesh/types.ts).
 */
import type { Cidr, Ipv4 } from "../../base/addr.ts";
import type { Time } from "../../base/time.ts";
import type { IpvsScheduler } from "../../kernel/ipvs-types.ts";
import type { ControlPlane, MeshPlan } from "../../workload/mesh/types.ts";
import type { HostPlan } from "../plan.ts";

/** What the machine of a mesh's host is made with. */
export interface MeshMachineConfig {
  readonly control: ControlPlane;
  /** Converged: what is placed at boot, the same object for all hosts. Gossip: undefined until it is known. */
  readonly plan: MeshPlan | undefined;
  /** The host and its link. */
  readonly host: HostPlan;
}

/** A request of the session, delivered as an event of the host. Beside these a host that runs Docker takes a lab's (src/lab/protocol.ts). */
export type MeshRequest =
  /** On a manager: what the swarm has allocated, answered with `swarm`. */
  | { readonly kind: "mesh-swarm" }
  /** What runs on this host's engine (GET /containers), answered with `containers`. */
  | { readonly kind: "mesh-containers" }
  /** Answered with `tables`. */
  | { readonly kind: "mesh-tables" }
  /** Gives services another IPVS scheduler in this host's load balancers, as `ipvsadm -E` does. Answered with `edited`. */
  | {
      readonly kind: "mesh-schedulers";
      readonly services: readonly { readonly vip: Ipv4; readonly scheduler: IpvsScheduler }[];
    }
  /**
   * Opens the receivers of the plan's flows, and sends a datagram to each host that it shares networks with, so that
   * neither control plane's first packets wait for the wire's ARP. Containers are found by their IDs (gossip), or by where the plan has put them.
   * Answered with `listening`.
   */
  | { readonly kind: "mesh-listen"; readonly plan: MeshPlan; readonly containers: readonly string[] | undefined }
  /** Starts the host's flows. */
  | { readonly kind: "mesh-start"; readonly at: Time }
  /** Answered with a MeshReport. */
  | { readonly kind: "mesh-report" };

/** What a manager says of its swarm (GET /networks, /services, /tasks). */
export interface SwarmView {
  readonly nodes: readonly { readonly id: string; readonly hostname: string; readonly ready: boolean }[];
  readonly networks: readonly {
    readonly id: string;
    readonly name: string;
    readonly subnet: Cidr;
    readonly gateway: Ipv4;
    readonly vni: number;
    readonly encrypted: boolean;
  }[];
  readonly services: readonly {
    readonly id: string;
    readonly name: string;
    /** Undefined for one that has none (`--endpoint-mode dnsrr`). */
    readonly vip: Ipv4 | undefined;
  }[];
  /** Those that are to run. */
  readonly tasks: readonly {
    readonly service: string;
    readonly slot: number;
    readonly node: string;
    readonly running: boolean;
    readonly container: string;
    readonly ip: Ipv4 | undefined;
  }[];
}

/** A container that runs on a host. */
export interface RunningContainer {
  readonly id: string;
  readonly name: string;
  /** Its address on the first network that it is on. */
  readonly ip: Ipv4 | undefined;
}

/** What a host's kernel knows of an overlay network that it takes part in. */
export interface OverlayTables {
  /** Network ID. */
  readonly network: string;
  /** Address of the host's own load balancer there; undefined before it has one. */
  readonly loadBalancer: Ipv4 | undefined;
  /** Addresses with a permanent neighbour on the VXLAN device: what is on other hosts. */
  readonly remote: readonly Ipv4[];
  /** Destinations of each IPVS service of the load balancer, in the order in which it learnt of them. */
  readonly balanced: readonly { readonly vip: Ipv4; readonly destinations: readonly Ipv4[] }[];
  /** Addresses of hosts with which it has IPsec states in both directions; empty when the network isn't encrypted. */
  readonly secured: readonly Ipv4[];
}

/** What a machine tells the session; `id` is the request's. */
export type MeshEvent =
  | { readonly kind: "swarm"; readonly id: number; readonly view: SwarmView }
  | { readonly kind: "containers"; readonly id: number; readonly containers: readonly RunningContainer[] }
  | { readonly kind: "tables"; readonly id: number; readonly tables: readonly OverlayTables[] }
  | { readonly kind: "edited"; readonly id: number; readonly services: number }
  | { readonly kind: "listening"; readonly id: number };
