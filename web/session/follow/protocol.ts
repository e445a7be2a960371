/** The lives of packets, between the page and the session's worker. */
import type { Time } from "../../../src/base/time.ts";
import type { EntryQuery, EntryText } from "../../../src/lab/inspect/entry-ref.ts";

/** A header that came (only `to`), went (`to` undefined) or has another value in a field. */
export interface Change {
  readonly layer: string;
  readonly field?: string;
  readonly from?: string | undefined;
  readonly to: string | undefined;
}

/** What a stage is, which is how it is drawn. */
export type StageKind =
  /** A frame on a device. */
  | "frame"
  /** A table said where to. */
  | "decision"
  /** The packet was rewritten, wrapped or unwrapped. */
  | "change"
  /** It stood still. */
  | "wait"
  /** It arrived. */
  | "deliver"
  /** It ended. */
  | "drop";

/** One thing that happened to a packet. */
export interface Stage {
  /** Its place among the records of the journey: names it. */
  readonly key: number;
  readonly time: Time;
  readonly host: string;
  /** As docker users know it: `host`, a container, a network, `ingress_sbox`; "" on the wire. */
  readonly namespace: string;
  readonly device: string;
  readonly kind: StageKind;
  readonly title: string;
  readonly detail: string;
  readonly changes: readonly Change[];
  /** Its place in the packet list, if it is there. */
  readonly index: number | undefined;
  /** Whether its bytes were recorded. */
  readonly bytes: boolean;
  /** The table entry behind it. */
  readonly entry: EntryQuery | undefined;
  /** Of a drop: its reason by name. */
  readonly reason: string | undefined;
  /** What went other ways from here: copies of a flood, fragments. */
  readonly branches: readonly Branch[];
  /** Branches that aren't listed. */
  readonly moreBranches: number;
}

/** A copy that went another way. */
export interface Branch {
  readonly stages: readonly Stage[];
  readonly end: string;
}

/** Another packet that has to do with this one. */
export interface JourneyLink {
  readonly journey: number;
  readonly relation: "sent because of" | "caused" | "answered by" | "answer to";
  readonly time: Time;
  readonly text: string;
}

/** The life of a packet. */
export interface Journey {
  readonly id: number;
  readonly summary: string;
  readonly stages: readonly Stage[];
  readonly end: "delivered" | "dropped" | "under way" | "not recorded";
  readonly endText: string;
  readonly links: readonly JourneyLink[];
  /** Whether every hop was recorded, or only the points of the trace. */
  readonly everyHop: boolean;
}

/** A row of the list of drops. */
export interface DropRow {
  readonly journey: number;
  readonly time: Time;
  /** host/namespace/device */
  readonly place: string;
  readonly reason: string;
  readonly text: string;
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly summary: string;
}

/** Drops, newest last. */
export interface DropList {
  readonly rows: readonly DropRow[];
  /** How many there are that the question asks for, and how many fell out of the record. */
  readonly total: number;
  readonly forgotten: number;
}

/** What is recorded for journeys. */
export interface HopState {
  readonly recording: boolean;
  /** What the next lab will be opened with. */
  readonly wanted: boolean | undefined;
  readonly bytes: number;
  readonly journeys: number;
  readonly drops: number;
  /** Journeys that fell out of the record. */
  readonly forgotten: number;
}

/** What the page asks about lives of packets. */
export interface FollowApi {
  /** The life of a packet of the packet list; undefined when it isn't known any more. */
  follow(index: number): Journey | undefined;
  journey(id: number): Journey | undefined;
  /** The bytes of a stage: a frame, or what a mark kept of a packet, with an Ethernet header of zeroes where there was none. */
  stageBytes(id: number, key: number): Uint8Array | undefined;
  /** @param all with those that were for somebody else, and so meant nothing */
  drops(all: boolean, most: number): DropList;
  /** A table's entry as it stands now, as the tool prints it. */
  entry(host: string, query: EntryQuery): Promise<EntryText | undefined>;
  hops(): HopState;
  /** Whether labs that are opened from now on record every hop; undefined: small ones do. */
  recordHops(wanted: boolean | undefined): void;
}
