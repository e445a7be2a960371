/** A lab as it is run: defaults expanded, names resolved. The file's own shape is schema.ts. */
import type { Cidr, Ipv4 } from "../base/addr.ts";
import type { Time } from "../base/time.ts";

/** A host and its link. */
export interface HostPlan {
  readonly name: string;
  /** Address of eth0 with the subnet's prefix. */
  readonly address: Cidr;
  /** One-way delay, ns. */
  readonly latency: Time;
  /** Bits a second. */
  readonly bandwidth: number;
  /** Probability, 0 … 1. */
  readonly loss: number;
  readonly mtu: number;
  readonly dns: readonly Ipv4[];
}

/** What a fault changes; several things at once are allowed. */
export interface Fault {
  /** Empty: all (of heal), or none (of partition). */
  readonly hosts: readonly string[];
  /** A packet filter, e.g. `udp port 4789`. */
  readonly drop?: string;
  readonly link?: "up" | "down";
  readonly latency?: Time;
  readonly loss?: number;
  readonly crash?: true;
  readonly restart?: true;
  readonly heal?: true;
  readonly partition?: readonly (readonly string[])[];
}

/** A command line typed on one or more hosts, and what is expected of it. */
export interface CommandStep {
  readonly kind: "command";
  readonly hosts: readonly string[];
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

/** What is done at one point of a lab. */
export type Step =
  | CommandStep
  | { readonly kind: "wait"; readonly duration: Time }
  /** `text` says it in words. */
  | { readonly kind: "fault"; readonly fault: Fault; readonly text: string };

/** A whole lab. */
export interface LabPlan {
  readonly name: string;
  readonly description: string;
  readonly seed: string;
  readonly subnet: Cidr;
  readonly hosts: readonly HostPlan[];
  /** Virtual time between two steps. */
  readonly pause: Time;
  readonly steps: readonly Step[];
}
