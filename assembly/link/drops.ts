/**
 * Where packets were dropped: the last DROP_LOG drops of this worker, with time, place and reason, for
 * programs that show them. The counters per host stand in Host.drops.
 *
 *   record, 32 bytes: +0 time i64 | +8 host u32 | +12 reason u32 | +16 device ptr u32 | +20 ifindex u32 |
 *                     +24 namespace ptr u32 | +28 length u32
 */
import { DROP_ARP_CONSUMED, DROP_ARP_PROXY_CONSUMED, WATCH_DROP } from "../abi";
import { Skb } from "../memory/skb";
import { clock } from "../sim/event";
import { Host } from "../sim/host";
import { note } from "../sim/watch";
import { NetDev } from "./netdev";

/** Drops that are remembered. */
export const DROP_LOG: u32 = 1024;

/** Bytes of a record. */
export const DROP_RECORD: usize = 32;

const log: usize = memory.data(1024 * 32, 16);
/** How many drops there were in all; the newest stands at (dropCount - 1) % DROP_LOG. */
export let dropCount: u64 = 0;

/** Address of the ring of records. */
export function dropLog(): usize {
  return log;
}

/** Remembers a drop (called by dropSkb only). */
export function noteDrop(skb: Skb, reason: u32): void {
  const at = log + <usize>(dropCount % <u64>DROP_LOG) * DROP_RECORD;
  dropCount++;
  store<i64>(at, clock());
  store<u32>(at, changetype<Host>(skb.host).index, 8);
  store<u32>(at, reason, 12);
  store<u32>(at, <u32>skb.dev, 16);
  const dev = changetype<NetDev>(skb.dev);
  store<u32>(at, skb.dev != 0 ? dev.ifindex : 0, 20);
  store<u32>(at, skb.dev != 0 ? <u32>dev.ns : 0, 24);
  store<u32>(at, skb.len, 28);
  if (reason != DROP_ARP_CONSUMED && reason != DROP_ARP_PROXY_CONSUMED) note(WATCH_DROP);
}
