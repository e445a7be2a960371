/**
 * Schedulers by load: least connections (ip_vs_lc.c), weighted (ip_vs_wlc.c), shortest expected delay (ip_vs_sed.c), never
 * queue (ip_vs_nq.c), weighted failover (ip_vs_fo.c), overflow (ip_vs_ovf.c).
 */
import { DEST_OVERLOAD, Dest, Service, destTotal } from "./records";

/** ip_vs_dest_conn_overhead: an active connection weighs as much as 256 others. */
@inline
export function overhead(dest: Dest): i32 {
  return (dest.active << 8) + destTotal(dest);
}

/** ip_vs_lc_schedule. */
export function lcSchedule(svc: Service): usize {
  let least: usize = 0;
  let low: i32 = 0;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const dest = changetype<Dest>(p);
    if (dest.flags & DEST_OVERLOAD || dest.weight == 0) continue;
    const load = overhead(dest);
    if (least == 0 || load < low) {
      least = p;
      low = load;
    }
  }
  return least;
}

/** The least load for its weight. @param expected the delay that one more would meet (sed), not the present overhead (wlc) */
function leastLoaded(svc: Service, expected: bool): usize {
  let least: usize = 0;
  let low: i64 = 0;
  let weight: i64 = 0;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const dest = changetype<Dest>(p);
    if (dest.flags & DEST_OVERLOAD || (least == 0 && dest.weight <= 0)) continue;
    const load = <i64>(expected ? dest.active + 1 : overhead(dest));
    if (least == 0 || low * <i64>dest.weight > load * weight) {
      least = p;
      low = load;
      weight = dest.weight;
    }
  }
  return least;
}

/** ip_vs_wlc_schedule, which lblc and lblcr have too. */
export function wlcSchedule(svc: Service): usize {
  return leastLoaded(svc, false);
}

/** ip_vs_sed_schedule. */
export function sedSchedule(svc: Service): usize {
  return leastLoaded(svc, true);
}

/** ip_vs_nq_schedule: one that is idle, else as sed. */
export function nqSchedule(svc: Service): usize {
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const dest = changetype<Dest>(p);
    if (!(dest.flags & DEST_OVERLOAD) && dest.weight != 0 && dest.active == 0) return p;
  }
  return sedSchedule(svc);
}

/** ip_vs_fo_schedule: the highest weight. */
export function foSchedule(svc: Service): usize {
  let best: usize = 0;
  let high: i32 = 0;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const dest = changetype<Dest>(p);
    if (dest.flags & DEST_OVERLOAD || dest.weight <= high) continue;
    best = p;
    high = dest.weight;
  }
  return best;
}

/** ip_vs_ovf_schedule: the highest weight that has no more active connections than it weighs. */
export function ovfSchedule(svc: Service): usize {
  let best: usize = 0;
  let high: i32 = 0;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const dest = changetype<Dest>(p);
    if (dest.flags & DEST_OVERLOAD || dest.weight == 0 || dest.active > dest.weight) continue;
    if (best != 0 && dest.weight <= high) continue;
    best = p;
    high = dest.weight;
  }
  return best;
}
