/** What a memberlist is made with, and the numbers it runs by (hashicorp/memberlist config.go DefaultLANConfig). */
import type { Ipv4 } from "../base/addr.ts";
import { MS, SEC } from "../base/time.ts";
import type { Waitable } from "../scheduler/process.ts";
import type { Broadcast } from "./broadcast-queue.ts";
import type { Keyring } from "./keyring.ts";
import type { Member } from "./members.ts";

/** DefaultLANConfig, with the one change that NetworkDB makes (packets of 1400 bytes are also the default). */
export const LAN = {
  port: 7946,
  packetSize: 1400,
  tcpTimeout: 10 * SEC,
  indirectChecks: 3,
  retransmitMult: 4,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  pushPullInterval: 30 * SEC,
  probeInterval: SEC,
  probeTimeout: 500 * MS,
  awarenessMax: 8,
  gossipInterval: 200 * MS,
  gossipNodes: 3,
  gossipToTheDead: 30 * SEC,
  handoffQueueDepth: 1024,
  maxPushPulls: 128,
} as const;

/** Protocol versions in Vsn: understood 1 to 5, spoken 2; the delegate's are 0. */
export const VSN = Uint8Array.of(1, 5, 2, 0, 0, 0);

/** What the user of a memberlist adds to its messages (delegate.go). */
export interface Delegate {
  nodeMeta(): Uint8Array;
  /**
   * A user message came, by UDP or TCP: the bytes from `start` to `end`. Must not block.
   * @param meaning what its sender said that they mean, when that was a host of this worker
   */
  notifyMessage(data: Uint8Array, start: number, end: number, meaning?: unknown): void;
  /** Messages to piggy-back: each costs its length and `overhead`, together at most `limit`. */
  takeBroadcasts(overhead: number, limit: number): Broadcast[];
  /** Whether takeBroadcasts() has something to give, and what tells when that may have changed. */
  readonly broadcastsWait?: () => boolean;
  readonly broadcastsFilled?: readonly Waitable[];
  /** The state sent in a push/pull. */
  localState(join: boolean): Uint8Array;
  mergeRemoteState(state: Uint8Array, join: boolean): void;
}

/** Told of changes in the membership (event_delegate.go). */
export interface MemberEvents {
  /** Also called for this node itself, at the start. */
  joined(member: Member): void;
  /** The member is dead or left. */
  left(member: Member): void;
  /** Its meta data changed. */
  updated(member: Member): void;
}

/** What a node is told (config.go Config); times in ns. */
export interface MemberlistConfig {
  /** Unique in the cluster. */
  readonly name: string;
  /** The address that others are told. */
  readonly advertise: Ipv4;
  /** Local address to listen on; 0 (the default) = any. */
  readonly bind?: Ipv4;
  /** Gossip keys; empty for a cluster in clear. */
  readonly keyring: Keyring;
  readonly delegate: Delegate;
  readonly events: MemberEvents;
  /** UDP payload budget in bytes; default 1400. */
  readonly packetSize?: number;
  /** What the daemon's log gets, in memberlist's words. */
  readonly log?: (level: LogLevel, text: string) => void;
}

/** Severity of a log line. */
export type LogLevel = "debug" | "info" | "warning" | "error";
