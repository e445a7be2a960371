/** What a reader finds in a capture file. */
import type { Direction } from "./constants.ts";

/** The beginning of a file or, in pcapng, of a section. */
export interface SectionRecord {
  kind: "section";
  format: "pcapng" | "pcap";
  byteOrder: "little" | "big";
  hardware?: string;
  os?: string;
  userApplication?: string;
  comments: string[];
}

/** An interface. Classic pcap has exactly one, made up from the file's header. */
export interface InterfaceRecord {
  kind: "interface";
  /** Its number in the section, from 0. */
  id: number;
  linkType: number;
  snapLength: number;
  name?: string;
  description?: string;
  mac?: string;
  /** Addresses with prefix length, for example `10.0.1.2/24`. */
  ipv4: string[];
  speedBps?: number;
  /** Time units per second: 1e9 for nanoseconds. */
  unitsPerSecond: number;
  comments: string[];
}

/** A packet. */
export interface PacketRecord {
  kind: "packet";
  interfaceId: number;
  /** Whole seconds since 1970. */
  seconds: number;
  /** Nanoseconds in that second. */
  nanos: number;
  /** A view of the file's bytes, not a copy. */
  data: Uint8Array;
  /** Length on the wire. */
  originalLength: number;
  direction: Direction;
  dropCount?: number;
  comments: string[];
}

/** Names from a name resolution block. */
export interface NamesRecord {
  kind: "names";
  entries: { address: string; names: string[] }[];
  comments: string[];
}

/** A moment. */
export interface Time {
  /** Whole seconds since 1970. */
  seconds: number;
  /** Nanoseconds in that second. */
  nanos: number;
}

/** Counters of an interface. */
export interface StatisticsRecord {
  kind: "statistics";
  interfaceId: number;
  time: Time;
  start?: Time;
  end?: Time;
  received?: number;
  dropped?: number;
  filterAccepted?: number;
  osDropped?: number;
  delivered?: number;
  comments: string[];
}

/** Keys from a decryption secrets block. */
export interface SecretsRecord {
  kind: "secrets";
  /** {@link SECRETS_TLS_KEY_LOG} or another type. */
  type: number;
  data: Uint8Array;
  comments: string[];
}

/** Any of them. */
export type CaptureRecord =
  | SectionRecord
  | InterfaceRecord
  | PacketRecord
  | NamesRecord
  | StatisticsRecord
  | SecretsRecord;
