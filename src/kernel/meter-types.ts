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

/**
 * A stream of requests, each on a TCP connection of its own: connect, a request, a response, and the client closes. Requests
 * are a Poisson process and don't wait for each other.
 */
export interface RequestFlow {
  readonly flow: number;
  readonly group: number;
  /** Source ports, taken in turn: the first, the distance to the next, and how many. */
  readonly ports: { readonly first: number; readonly step: number; readonly count: number };
  readonly to: Ipv4;
  readonly toPort: number;
  /** Bytes of the response that it waits for. */
  readonly response: number;
  readonly startIn: Time;
  readonly endIn: Time;
  /** Mean, ns. */
  readonly interval: number;
  readonly seed: readonly [number, number];
}

/** What a flow sent. */
export interface TrafficSent {
  readonly flow: number;
  /** Datagrams or requests. */
  readonly sent: number;
  /** Refused by the kernel (no route, a firewall), or without an answer. */
  readonly failed: number;
  /** Whole answers, and their bytes. */
  readonly received: number;
  readonly bytes: number;
}

/** What came of a flow to a sink or a server. */
export interface TrafficSeen {
  readonly flow: number;
  /** The sink's or the server's. */
  readonly tag: number;
  /** Datagrams or connections. */
  readonly count: number;
  /** Of payload. */
  readonly bytes: number;
  /** Those behind one with a higher number (RFC 4737 §3.3), and those that had come before. */
  readonly reordered: number;
  readonly duplicates: number;
}

/** Delays of a group, ns (of datagrams one way, of requests from the SYN to the answer's last byte): counts by bucket of src/workload/histogram.ts, up to the last octave that has one. */
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
  /** Answers requests to a TCP port of any address with so many bytes each. Throws EADDRINUSE. */
  serve(ns: NetNs, port: number, tag: number, response: number): void;
  /** Sends requests; no program is woken. */
  request(ns: NetNs, flow: RequestFlow): void;
  /** In the order in which the flows were made. */
  sent(): TrafficSent[];
  /** In the order of the first datagrams or connections. */
  seen(): TrafficSeen[];
  /** Why requests failed, by the kernel's name for it. */
  failures(): { readonly cause: string; readonly count: number }[];
  /** By group, ascending. */
  delays(): GroupDelays[];
  /** Datagrams to the sinks that belong to no flow. */
  strays(): number;
  /** Frees what was measured once no socket uses it. */
  close(): void;
}
