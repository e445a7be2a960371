/** Where packets have been seen lately: on which devices, and where the last one was dropped. */
import type { Time } from "../../../src/base/time.ts";
import type { DropHop, Hop } from "../follow/hop-log.ts";
import { FOR_OTHERS } from "../follow/tree.ts";
import { dissect } from "../packets/dissect.ts";
import { vniOf } from "./flights.ts";
import type { LastDrop, Sighting } from "./protocol.ts";

/** Devices told of at most. */
const MOST = 400;
/** pcapng's epb_flags: received by the device. */
const INBOUND = 1;

/** What was recorded of packets on their way. */
export interface HopSource {
  /** The last frames on all devices, in order. */
  readonly recent: readonly Hop[];
  readonly drops: readonly DropHop[];
}

/** The last packet at each device since then, in the order of their times. */
export function sightings({ recent }: HopSource, from: Time): Sighting[] {
  const last = new Map<string, Sighting>();
  for (let i = recent.length - 1; i >= 0 && last.size < MOST; i--) {
    const { time, hostIndex, namespace, device, frame } = recent[i] as Hop;
    if (time < from) break;
    const point = `${namespace}/${device}`;
    const key = `${hostIndex}/${point}`;
    if (frame === undefined || last.has(key)) continue;
    const { protocol, summary } = dissect(frame.data);
    const out = frame.direction !== INBOUND;
    last.set(key, { host: hostIndex, point, time, out, protocol, summary, vni: vniOf(frame.data) });
  }
  return [...last.values()].reverse();
}

/** Where a packet was dropped last that was for whoever dropped it. */
export function lastDrop({ drops }: HopSource): LastDrop | undefined {
  const found = drops.findLast(({ mark }) => !FOR_OTHERS.has(mark.reason));
  if (found === undefined) return undefined;
  const { time, hostIndex, namespace, device } = found.hop;
  return { host: hostIndex, point: `${namespace}/${device}`, time, reason: found.mark.reason };
}
