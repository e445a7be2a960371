/**
 * Captured frames on their way to a writer. Each worker hands over chunks of raw records as
 * its kernel wrote them, in order of time; here they are merged into one total order,
 * (time, host index, per-host number), which does not depend on how hosts are shared out to workers.
 */
import type { Ipv4, Mac } from "../base/addr.ts";
import { FOREVER, type Time } from "../base/time.ts";
import { type CapturedFrame, RecordCursor } from "../kernel/capture-records.ts";
import type { PacketMark } from "../kernel/marks.ts";

export type { CapturedFrame, PacketMark };

/** A device that is captured on; becomes one interface of the capture file. */
export interface CapturePoint {
  /** Host index in the upper 16 bits, per-host number from 1 (and CAP_HOP) in the lower ones: the same for any number of workers. */
  readonly id: number;
  /** It is captured for the lives of packets only (CaptureConfig.hops): no pattern asks for it. */
  readonly hop?: boolean;
  readonly hostIndex: number;
  readonly host: string;
  readonly namespace: string;
  readonly device: string;
  readonly mac: Mac;
  readonly mtu: number;
  /** Nominal speed, bits per second; 0 where the device has none. */
  readonly speed: number;
  /** When capturing began. */
  readonly since: Time;
}

/** An IPsec association that a host made while frames were captured: what somebody who reads them needs to decrypt them. */
export interface CapturedSa {
  readonly time: Time;
  readonly hostIndex: number;
  /** Per host, from 0. */
  readonly seq: number;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly spi: number;
  /** AES key and the 4-byte salt after it. */
  readonly key: Uint8Array;
  /** Bytes of the integrity check value. */
  readonly icvBytes: number;
}

/** A network namespace that marks speak of. */
export interface MarkedNamespace {
  readonly hostIndex: number;
  /** Host-unique. */
  readonly number: number;
  /** As capture points have it; another one when the namespace is renamed. */
  readonly name: string;
  readonly since: Time;
}

/** Takes captured frames in total order. A point is announced before its first frame. */
export interface CaptureSink {
  point(point: CapturePoint): void;
  frame(frame: CapturedFrame): void;
  /** Quiet time was skipped; `frames` is about how many all hosts would have sent in it. No frame lies between the two times. */
  skipped?(from: Time, to: Time, frames: number): void;
  /** Associations come in order of time, then of hosts; those of a batch of windows before its frames. */
  association?(sa: CapturedSa): void;
  /** What happened to a packet, in one order with the frames; only where marks were asked for (CaptureConfig.hops). */
  mark?(mark: PacketMark): void;
  /** A namespace has a name, before the first mark of it at that time or later. */
  namespace?(namespace: MarkedNamespace): void;
}

/** What a worker delivers after a batch of windows. */
export interface CaptureBatch {
  /** Raw records, whole ones, one chunk after the other. */
  readonly chunks: readonly Uint8Array[];
  readonly points: readonly CapturePoint[];
  readonly associations: readonly CapturedSa[];
  readonly namespaces: readonly MarkedNamespace[];
}

/**
 * Delivers what all workers captured up to a common time. Points come before frames of the same or a later time.
 */
export function mergeCaptures(batches: readonly CaptureBatch[], sink: CaptureSink): void {
  if (sink.association !== undefined) {
    const associations = batches.flatMap((batch) => batch.associations);
    associations.sort((a, b) => a.time - b.time || a.hostIndex - b.hostIndex || a.seq - b.seq);
    for (const sa of associations) sink.association(sa);
  }
  const points = batches.flatMap((batch) => batch.points).sort((a, b) => a.since - b.since || a.id - b.id);
  const namespaces = batches.flatMap((batch) => batch.namespaces);
  namespaces.sort((a, b) => a.since - b.since || a.hostIndex - b.hostIndex || a.number - b.number);
  let nextPoint = 0;
  let nextNamespace = 0;
  /** What stands before the records of a time. */
  const announce = (time: Time): void => {
    for (let p = points[nextPoint]; p !== undefined && p.since <= time; p = points[++nextPoint]) sink.point(p);
    for (let n = namespaces[nextNamespace]; n !== undefined && n.since <= time; n = namespaces[++nextNamespace])
      sink.namespace?.(n);
  };
  let cursors = batches.map((batch) => new RecordCursor(batch.chunks)).filter((cursor) => cursor.next());
  const group: (CapturedFrame | PacketMark)[] = [];
  while (cursors.length > 0) {
    let time = FOREVER;
    for (const cursor of cursors) if (cursor.time < time) time = cursor.time;
    announce(time);
    if (takeAll(cursors, time, group)) cursors = cursors.filter((cursor) => !cursor.ended);
    // The kernel's order among hosts at one instant is its worker's; this one is everybody's.
    if (group.length > 1) group.sort((a, b) => a.hostIndex - b.hostIndex || a.seq - b.seq);
    for (const record of group) {
      if ("kind" in record) sink.mark?.(record);
      else sink.frame(record);
    }
    group.length = 0;
  }
  announce(FOREVER);
}

/** Moves the records at `time` into `group`; true when a cursor came to its end. */
function takeAll(cursors: readonly RecordCursor[], time: Time, group: (CapturedFrame | PacketMark)[]): boolean {
  let anyEnded = false;
  for (const cursor of cursors) {
    while (cursor.time === time) {
      group.push(cursor.isMark ? cursor.mark() : cursor.frame());
      if (cursor.next()) continue;
      anyEnded = true;
      break;
    }
  }
  return anyEnded;
}

/** Translates a shell-like pattern with `*` and `?` over `host/namespace/device` names. */
export class CapturePatterns {
  readonly #patterns: readonly RegExp[];

  /** @param patterns e.g. `*\/host/eth0`; a `*` does not reach over a slash, a lone `*` is everything */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((pattern) => {
      if (pattern === "*") return /^/;
      const source = pattern
        .replace(/[.+^${}()|[\]\\]/g, "\\$&")
        .replaceAll("*", "[^/]*")
        .replaceAll("?", "[^/]");
      return new RegExp(`^${source}$`);
    });
  }

  matches(host: string, namespace: string, device: string): boolean {
    const name = `${host}/${namespace}/${device}`;
    return this.#patterns.some((pattern) => pattern.test(name));
  }
}
