/** Counters of a run, merged over workers. */
import type { Time } from "../base/time.ts";
import type { PacketCounters } from "../kernel/host.ts";
import type { PartitionCounters } from "./partition.ts";
import type { Topology } from "./topology.ts";

/** Packet counters of a host with its name. */
export interface HostSummary extends PacketCounters {
  readonly name: string;
  /** Drops by reason, reasons that occurred only. */
  readonly drops: Record<string, number>;
}

/** One direction of a link between two switches of a leaf-spine segment. */
export interface LinkSummary {
  readonly segment: string;
  /** Where it leads from and to: `leaf1`, `spine2`; counted from 1. */
  readonly from: string;
  readonly to: string;
  readonly frames: number;
  /** On the wire: with check sequence, preamble and gap. */
  readonly bytes: number;
  /** Frames that found its queue full (counted as WIRE_QUEUE: upwards by the sender, downwards by the receiver). */
  readonly drops: number;
  /** Most bytes that have waited for it. */
  readonly peakBytes: number;
}

/** Counters of a simulation, over all hosts. */
export interface SimCounters {
  readonly time: Time;
  /** Windows that the run was cut into. */
  readonly windows: number;
  /** Packet arrivals and kernel timers handled. */
  readonly events: number;
  readonly packetsMade: number;
  readonly packetsDelivered: number;
  readonly packetsDropped: number;
  /** Frames that went from one host to another over the wire. */
  readonly framesCarried: number;
  /**
   * Frames that went from a device to its peer: over a wire to another host's NIC, from one end of a veth pair to the
   * other, or over a link between switches. A datagram from container to container on another host takes three, and two
   * more where it goes over a spine.
   */
  readonly hops: number;
  /** Bytes that the kernels have in use, and those that they have taken from the system. */
  readonly memory: number;
  readonly memoryHeld: number;
  /** Drops of all hosts by reason. */
  readonly drops: Record<string, number>;
  /** In lab order. */
  readonly hosts: readonly HostSummary[];
  /** Links of leaf-spine segments, by leaf, spine and direction; empty without one. */
  readonly links: readonly LinkSummary[];
}

/** Each link is in one worker's counters. */
function mergeLinks(parts: readonly PartitionCounters[]): LinkSummary[] {
  return parts
    .flatMap((part) => part.links)
    .sort(
      (a, b) =>
        (a.segment < b.segment ? -1 : a.segment > b.segment ? 1 : 0) ||
        a.leaf - b.leaf ||
        a.spine - b.spine ||
        (a.direction === b.direction ? 0 : a.direction === "up" ? -1 : 1),
    )
    .map(({ segment, leaf, spine, direction, ...counters }) => {
      const ends = [`leaf${leaf + 1}`, `spine${spine + 1}`] as const;
      const [from, to] = direction === "up" ? ends : ([ends[1], ends[0]] as const);
      return { segment, from, to, ...counters };
    });
}

/** Counters of all workers as one. */
export function mergeCounters(
  time: Time,
  windows: number,
  parts: readonly PartitionCounters[],
  topology: Topology,
): SimCounters {
  const hosts = parts
    .flatMap((part) => part.hosts)
    .sort((a, b) => a.host - b.host)
    .map((host) => ({ name: topology.hosts[host.host]?.name ?? "", ...host.packets, drops: host.drops }));
  const drops = new Map<string, number>();
  for (const host of hosts) {
    for (const [reason, count] of Object.entries(host.drops)) drops.set(reason, (drops.get(reason) ?? 0) + count);
  }
  const sum = (value: (host: HostSummary) => number): number => hosts.reduce((total, host) => total + value(host), 0);
  const links = mergeLinks(parts);
  const switched = links.reduce((total, { frames }) => total + frames, 0);
  const crossed = parts.reduce((total, part) => total + part.vethHops, 0);
  return {
    time,
    windows,
    events: parts.reduce((total, part) => total + part.events, 0),
    packetsMade: sum((host) => host.made),
    packetsDelivered: sum((host) => host.delivered),
    packetsDropped: sum((host) => host.dropped),
    framesCarried: sum((host) => host.sent),
    hops: sum((host) => host.arrived) + crossed + switched,
    memory: parts.reduce((total, part) => total + part.memory, 0),
    memoryHeld: parts.reduce((total, part) => total + part.memoryHeld, 0),
    drops: Object.fromEntries([...drops].sort(([a], [b]) => (a < b ? -1 : 1))),
    hosts,
    links,
  };
}
