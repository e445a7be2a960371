/** What the drawing of the swarm is made from, between the page and the session's worker. */
import type { Time } from "../../../src/base/time.ts";
import type { DeviceCount, HostScene } from "../../../src/lab/inspect/scene.ts";
import type { ChangedWires } from "../../../src/scheduler/wires.ts";

/** A wire from a host to a switch, as the lab has it. */
export interface WirePlan {
  /** The card as capture points call it, without the host: `host/eth0`. */
  readonly point: string;
  /** As faults call it. */
  readonly device: string;
  /** `underlay`, or one of the lab's further networks. */
  readonly segment: string;
  /** In CIDR notation. */
  readonly address: string;
  /** One-way delay, ns. */
  readonly latency: Time;
  /** Bits a second. */
  readonly bandwidth: number;
}

/** A host as the lab has it. */
export interface HostPlace {
  readonly name: string;
  /** Number of its leaf switch, from 0; 0 without a fabric. */
  readonly leaf: number;
  readonly wires: readonly WirePlan[];
}

/** What doesn't change while a lab is open. */
export interface SceneTopology {
  readonly hosts: readonly HostPlace[];
  /** The underlay's switches; undefined: it is one ideal switch. `latency` is that of a link, ns. */
  readonly fabric: { readonly leaves: number; readonly spines: number; readonly latency: Time } | undefined;
}

/** What is asked for. */
export interface SceneLook {
  /** Nothing is known yet. */
  readonly fresh: boolean;
  /** Hosts whose devices' counters are to be seen. */
  readonly near: readonly string[];
  /** How far back packets are to be seen, ns of virtual time; 0: not at all. */
  readonly packets: Time;
}

/** What a wire carries, per second of virtual time since the look before. */
export interface WireRate {
  readonly up: boolean;
  readonly rxBits: number;
  readonly txBits: number;
  readonly rxPackets: number;
  readonly txPackets: number;
}

/** What is new of a host. */
export interface HostUpdate {
  /** Its place in the topology. */
  readonly host: number;
  /** It is switched off. */
  readonly off: boolean;
  /** What it is built of, where that has changed. */
  readonly scene?: HostScene;
  /** In the topology's order. */
  readonly wires: readonly WireRate[];
  /** Packets that it has dropped though they were for it: in all, and since the look before by reason. */
  readonly dropped: number;
  readonly drops: Readonly<Record<string, number>>;
}

/** One direction of a link between a leaf and a spine: numbers from 0. */
export interface FabricRate {
  readonly leaf: number;
  readonly spine: number;
  readonly up: boolean;
  /** Per second of virtual time. */
  readonly bits: number;
  /** Since the look before. */
  readonly drops: number;
}

/** Where a packet goes. */
export interface FlightEnd {
  readonly host: number;
  readonly wire: number;
  /** Of the spine that it takes, from 0; undefined: none. */
  readonly spine?: number;
}

/** A packet on a wire. */
export interface Flight {
  /** Its place in the packet list. */
  readonly packet: number;
  /** Places of hosts in the topology, and of wires in theirs. */
  readonly from: { readonly host: number; readonly wire: number };
  /** Several for a broadcast; none: nobody is known to get it. */
  readonly to: readonly FlightEnd[];
  readonly start: Time;
  /** When it arrives; when it should, if that is still to come. */
  readonly end: Time;
  readonly arrived: boolean;
  readonly length: number;
  readonly protocol: string;
  readonly summary: string;
  /** Of VXLAN. */
  readonly vni: number | undefined;
}

/** A packet seen at a device, not later than the look. */
export interface Sighting {
  readonly host: number;
  /** As capture points call it: `namespace/device`. */
  readonly point: string;
  readonly time: Time;
  readonly out: boolean;
  readonly protocol: string;
  readonly summary: string;
  /** Of VXLAN. */
  readonly vni: number | undefined;
}

/** Where the last packet was dropped that was for whoever dropped it. */
export interface LastDrop {
  readonly host: number;
  /** As capture points call it: `namespace/device`. */
  readonly point: string;
  readonly time: Time;
  /** By its name (src/kernel/reasons.ts). */
  readonly reason: string;
}

/** What is new since the look before. */
export interface SceneUpdate {
  readonly now: Time;
  /** Virtual time since the look before, ns. */
  readonly span: Time;
  readonly hosts: readonly HostUpdate[];
  /** Hosts have changed for which there was no room here: look again. */
  readonly more: boolean;
  readonly links: readonly FabricRate[];
  readonly faults: ChangedWires;
  readonly counts: readonly { readonly host: number; readonly counts: readonly DeviceCount[] }[];
  readonly flights: readonly Flight[];
  readonly sightings: readonly Sighting[];
  /** Undefined: there was none, or not every hop is recorded. */
  readonly lastDrop: LastDrop | undefined;
}

/** What the page asks about the swarm. */
export interface SceneApi {
  sceneTopology(): SceneTopology;
  /** What has changed since the look before. */
  scene(look: SceneLook): Promise<SceneUpdate>;
}
