/** A lab as it is run: defaults expanded, names resolved. The file's own shape is schema.ts. */
import type { Cidr, Ipv4 } from "../base/addr.ts";
import type { Time } from "../base/time.ts";
import type { UdpLoad } from "../workload/udp-flow.ts";
import type { FabricPlan } from "./fabric.ts";

/** What a host runs. */
export type HostSystem = "linux" | "windows";

/** A host's card on one of the further networks. */
export interface CardPlan {
  readonly network: string;
  /** `eth1`, `eth2` … in order of the networks. */
  readonly device: string;
  readonly address: Cidr;
  readonly latency: Time;
  readonly bandwidth: number;
  readonly loss: number;
  readonly mtu: number;
}

/** A host and its link. */
export interface HostPlan {
  readonly name: string;
  /** Address of eth0 with the subnet's prefix. */
  readonly address: Cidr;
  /** Address of eth0 behind a 1:1 NAT whose outside has `address`; undefined without one. */
  readonly nat: Cidr | undefined;
  readonly os: HostSystem;
  readonly cards: readonly CardPlan[];
  /** One-way delay, ns. */
  readonly latency: Time;
  /** Bits a second. */
  readonly bandwidth: number;
  /** Probability, 0 … 1. */
  readonly loss: number;
  readonly mtu: number;
  /** Number of its leaf switch, from 0; 0 without a fabric. */
  readonly leaf: number;
  readonly dns: readonly Ipv4[];
}

/** What a fault changes; several things at once are allowed. */
export interface Fault {
  /** A point of the run at which it happens; undefined: at once. */
  readonly at?: Time;
  /** Empty: all (of heal), or none (of partition). */
  readonly hosts: readonly string[];
  /** One of the further networks, whose cards it is about; undefined: all cards. */
  readonly network?: string;
  /** A packet filter, e.g. `udp port 4789`. */
  readonly drop?: string;
  readonly link?: "up" | "down";
  readonly latency?: Time;
  readonly loss?: number;
  readonly crash?: true;
  readonly restart?: true;
  readonly heal?: true;
  readonly partition?: readonly (readonly string[])[];
  /** Switch links instead of hosts: those of a leaf, of a spine, or the one between them; numbers from 1. */
  readonly switches?: { readonly leaf?: number; readonly spine?: number };
}

/** A command line typed on one or more hosts, and what is expected of it. */
export interface CommandStep {
  readonly kind: "command";
  readonly hosts: readonly string[];
  /** Typed on all hosts at the same time; otherwise on one after the other. */
  readonly parallel: boolean;
  /** The container whose open terminal is typed into; undefined = the host's own shell. */
  readonly terminal: string | undefined;
  readonly command: string;
  /** Keeps standard output under this name. */
  readonly as: string | undefined;
  /** Substrings, or regular expressions, of the output. */
  readonly expect: readonly (string | RegExp)[];
  readonly reject: readonly (string | RegExp)[];
  /** The expected status; undefined: any, on a container's terminal. */
  readonly exit: number | undefined;
  /** Typed answers, then end of file. */
  readonly stdin: string | undefined;
  /** Virtual time after which it has failed. */
  readonly timeout: Time;
}

/** Where generated traffic comes from or goes to: a host, or a container on it. */
export interface FlowEnd {
  readonly host: string;
  readonly container: string | undefined;
}

/** Datagrams from one place to another at a fixed rate. */
export interface Flow {
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  /** Where they are sent: an address, or a name that the sender looks up. */
  readonly address: string;
  /** UDP port at the receiver. */
  readonly port: number;
  readonly load: UdpLoad;
}

/** Generated traffic: all flows at the same time. */
export interface WorkloadStep {
  readonly kind: "workload";
  readonly flows: readonly Flow[];
  readonly expect: readonly (string | RegExp)[];
  readonly reject: readonly (string | RegExp)[];
  /** It in words. */
  readonly text: string;
}

/** Prints what the network's switch links have carried since the last time. */
export interface ShowStep {
  readonly kind: "show";
  readonly what: "fabric";
  readonly expect: readonly (string | RegExp)[];
  readonly reject: readonly (string | RegExp)[];
}

/** What is done at one point of a lab. */
export type Step =
  | CommandStep
  | WorkloadStep
  | ShowStep
  | { readonly kind: "wait"; readonly duration: Time }
  /** A point of virtual time, counted from the start of the run. */
  | { readonly kind: "until"; readonly time: Time }
  /** `text` says it in words. */
  | { readonly kind: "fault"; readonly fault: Fault; readonly text: string };

/** A whole lab. */
export interface LabPlan {
  readonly name: string;
  readonly description: string;
  readonly seed: string;
  readonly subnet: Cidr;
  /** The network's switches; undefined: it is one ideal switch. */
  readonly fabric: FabricPlan | undefined;
  readonly hosts: readonly HostPlan[];
  /** Virtual time between two steps. */
  readonly pause: Time;
  readonly steps: readonly Step[];
}
