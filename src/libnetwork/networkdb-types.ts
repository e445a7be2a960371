/** What the rest of libnetwork sees of NetworkDB (moby libnetwork/networkdb). */
import type { Ipv4 } from "../base/addr.ts";
import type { Time } from "../base/time.ts";
import type { Channel, Proc } from "../scheduler/process.ts";

/** A change of a table that a watcher is told of. */
export interface TableNote {
  readonly type: "create" | "update" | "delete";
  readonly table: string;
  readonly networkId: string;
  readonly key: string;
  readonly value: Uint8Array;
  /** Gossip name (12 hex digits) of the node that owns the entry. */
  readonly owner: string;
}

/** A member of the cluster or of a network. */
export interface GossipPeer {
  readonly name: string;
  readonly ip: Ipv4;
}

/** One gossip key: 16 bytes for AES-128-GCM, and swarmkit's Lamport tag. */
export interface GossipKey {
  readonly key: Uint8Array;
  readonly tag: number;
}

/** How many others a node knows of, this one included. */
export interface GossipCensus {
  /** Members of memberlist that are neither dead nor gone. */
  readonly members: number;
  /** Active nodes of NetworkDB. */
  readonly nodes: number;
  /** Nodes that take part in a network. */
  readonly networkNodes: number;
}

/** A member as memberlist has it. */
export interface MemberView extends GossipPeer {
  readonly port: number;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly incarnation: number;
  /** When its state changed last. */
  readonly since: Time;
}

/** A node as NetworkDB has it. */
export interface NodeView extends GossipPeer {
  readonly state: "active" | "left" | "failed";
  /** Lamport time of the latest event about it. */
  readonly lTime: number;
  /** For how long one that failed or left is remembered still, as of the last look; 0 for an active one. */
  readonly reapTime: Time;
}

/** A node's part in a network. */
export interface AttachmentView {
  readonly node: string;
  readonly networkId: string;
  readonly lTime: number;
  readonly leaving: boolean;
  /** For how long it is remembered still after it was left, as of the last look. */
  readonly reapTime: Time;
}

/** An entry of a table, or the trace of a deleted one. */
export interface EntryView {
  readonly networkId: string;
  readonly table: string;
  readonly key: string;
  /** Gossip name of the owner. */
  readonly node: string;
  readonly lTime: number;
  readonly value: Uint8Array;
  /** A tombstone. */
  readonly deleting: boolean;
  /** For how long a tombstone is kept still, as of the last look. */
  readonly reapTime: Time;
}

/** All that a node knows, for whoever looks at it: reading changes nothing. */
export interface GossipView {
  members(): readonly MemberView[];
  nodes(): readonly NodeView[];
  attachments(): readonly AttachmentView[];
  /** Tombstones included, by network, table and key. */
  entries(): readonly EntryView[];
}

/** The gossiped tables as their users see them (networkdb.NetworkDB). */
export interface NetworkDb {
  /** 12 hex digits, new each time the agent starts; `Peers[].Name` of `network inspect`. */
  readonly nodeName: string;
  /** Joins the cluster through the given members (managers); retried by the bootstrap rejoin. Returns how many answered. */
  join(members: readonly Ipv4[]): Proc<number>;
  /** Joins a network: event to all, then bulk sync with all its known members. */
  joinNetwork(networkId: string): Proc<void>;
  leaveNetwork(networkId: string): void;
  /** Entries are owned by this node. create throws when the key exists; update and delete when it doesn't. */
  createEntry(table: string, networkId: string, key: string, value: Uint8Array): void;
  updateEntry(table: string, networkId: string, key: string, value: Uint8Array): void;
  deleteEntry(table: string, networkId: string, key: string): void;
  getEntry(table: string, networkId: string, key: string): Uint8Array | undefined;
  /** Live entries of a table, in order of key. */
  entries(table: string, networkId: string): readonly { key: string; value: Uint8Array; owner: string }[];
  /** Notes about foreign entries; starts with a synthetic create for each one known. Close it with unwatch. */
  watch(table: string, networkId: string): Channel<TableNote>;
  unwatch(channel: Channel<TableNote>): void;
  /** Nodes that take part in a network, this one included. */
  networkPeers(networkId: string): readonly GossipPeer[];
  /** How many of them NetworkDB knows. */
  networkSize(networkId: string): number;
  clusterPeers(): readonly GossipPeer[];
  /** The same in numbers, for whoever waits until a cluster has converged. */
  census(networkId: string): GossipCensus;
  readonly view: GossipView;
  /** Installs a key: it decrypts (SetKey). */
  setKey(key: Uint8Array): void;
  /** Makes an installed key the one that encrypts; nothing happens when it isn't installed (SetPrimaryKey). */
  setPrimaryKey(key: Uint8Array): void;
  /** Removes a key (RemoveKey); the one that encrypts stays. */
  removeKey(key: Uint8Array): void;
  /** Leaves the cluster (node leave event, memberlist leave) and closes the sockets. */
  leave(): Proc<void>;
  /** Closes at once, as a crash does. */
  close(): void;
}
