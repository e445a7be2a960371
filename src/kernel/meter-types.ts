/** Traffic that the kernel makes and measures by itself (assembly/socket/meter.ts), as programs see it. */
import type { Ipv4 } from "../base/addr.ts";
import type { Time } from "../base/time.ts";
import type { NetNs } from "./types.ts";

/** A stream of measured datagrams. */
export interface DatagramFlow {
  /** What reports call it: 32 bits. */
  readonly flow: number;
  /** Delays are counted together by group, 0 … 31. */
  readonly group: number;
  /** UDP port that it is sent from. */
  readonly port: number;
  readonly to: Ipv4;
  readonly toPort: number;
  /** Bytes of payload; below MEASURED_HEADER the sink can't tell whose they are. */
  readonly size: number;
  /** From now to its start and to its end, ns. */
  readonly startIn: Time;
  readonly endIn: Time;
  /** From one datagram to the next, ns (a Poisson process: the mean); need not be whole. */
  readonly interval: number;
  /** A Poisson process with that seed (two words); undefined: a constant rate, the first datagram at the start. */
  readonly poisson?: readonly [number, number];
}

/** What a flow sent. */
export interface DatagramsSent {
  readonly flow: number;
  readonly sent: number;
  /** Refused by the kernel: no route, a firewall. */
  readonly failed: number;
}

/** What came of a flow to a sink. */
export interface DatagramsSeen {
  readonly flow: number;
  /** The sink's. */
  readonly tag: number;
  readonly count: number;
  /** Of payload. */
  readonly bytes: number;
  /** Those behind one with a higher number (RFC 4737 §3.3), and those that had come before. */
  readonly reordered: number;
  readonly duplicates: number;
}

/** Delays of a group, ns: counts by bucket of src/workload/histogram.ts, up to the last octave that has one. */
export interface GroupDelays {
  readonly group: number;
  readonly counts: Uint32Array;
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

/** One host's measurements. Its sinks and generators live as long as their namespaces. */
export interface TrafficMeter {
  /** Opens a measuring sink on a UDP port of any address. Throws EADDRINUSE. */
  listen(ns: NetNs, port: number, tag: number): void;
  /** Sends a flow through a connected socket; no program is woken. Throws EADDRINUSE, EMSGSIZE. */
  generate(ns: NetNs, flow: DatagramFlow): void;
  /** In the order in which the flows were made. */
  sent(): DatagramsSent[];
  /** In the order of the first datagrams. */
  seen(): DatagramsSeen[];
  /** By group, ascending. */
  delays(): GroupDelays[];
  /** Datagrams to the sinks that belong to no flow. */
  strays(): number;
  /** Frees what was measured once no socket uses it. */
  close(): void;
}
