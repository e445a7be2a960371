/**
 * Choosing a destination: what each of Linux's schedulers is asked (struct ip_vs_scheduler), by number. All of them look
 * at the destinations newest first, and leave out those that are overloaded or have no weight.
 */
import {
  VS_SCHED_DH, VS_SCHED_FO, VS_SCHED_LBLC, VS_SCHED_LBLCR, VS_SCHED_LC, VS_SCHED_MH, VS_SCHED_NQ, VS_SCHED_OVF, VS_SCHED_RR, VS_SCHED_SED, VS_SCHED_SH, VS_SCHED_WLC,
  VS_SCHED_WRR,
} from "../abi";
import { Dest, Service } from "./records";
import { dhBuild, dhSchedule, shBuild, shSchedule, hashFree } from "./sched-hash";
import { lblcFree, lblcInit, lblcSchedule, lblcrSchedule } from "./sched-lblc";
import { foSchedule, lcSchedule, nqSchedule, ovfSchedule, sedSchedule, wlcSchedule } from "./sched-load";
import { mhBuild, mhFree, mhSchedule } from "./sched-mh";
import { rrDelDest, rrSchedule, wrrChanged, wrrInit, wrrSchedule } from "./sched-rr";

/** A service begins with a scheduler (init_service). */
export function schedBind(svc: Service, sched: u32): void {
  svc.sched = sched;
  svc.pointer = 0;
  if (sched == <u32>VS_SCHED_WRR) wrrInit(svc);
  else if (sched == <u32>VS_SCHED_LBLC || sched == <u32>VS_SCHED_LBLCR) lblcInit(svc);
  else rebuild(svc);
}

/** … and ends with it (done_service). */
export function schedUnbind(svc: Service): void {
  const sched = svc.sched;
  if (sched == <u32>VS_SCHED_DH || sched == <u32>VS_SCHED_SH) hashFree(svc);
  else if (sched == <u32>VS_SCHED_MH) mhFree(svc);
  else if (sched == <u32>VS_SCHED_LBLC || sched == <u32>VS_SCHED_LBLCR) lblcFree(svc);
  svc.pointer = 0;
}

/** Those whose table depends on the list of destinations and their weights. */
function rebuild(svc: Service): void {
  if (svc.sched == <u32>VS_SCHED_SH) shBuild(svc);
  else if (svc.sched == <u32>VS_SCHED_DH) dhBuild(svc);
  else if (svc.sched == <u32>VS_SCHED_MH) mhBuild(svc);
}

/** A destination was added (add_dest). */
export function schedAddDest(svc: Service, _dest: Dest): void {
  if (svc.sched == <u32>VS_SCHED_WRR) wrrChanged(svc);
  else rebuild(svc);
}

/** A destination was taken out of the list, where it stood behind `before` (0 = at the head) (del_dest). */
export function schedDelDest(svc: Service, dest: Dest, before: usize): void {
  if (svc.sched == <u32>VS_SCHED_RR) rrDelDest(svc, dest, before);
  else if (svc.sched == <u32>VS_SCHED_WRR) wrrChanged(svc);
  else rebuild(svc);
}

/** A destination's weight or thresholds changed (upd_dest); dh doesn't look at weights. */
export function schedUpdDest(svc: Service, _dest: Dest): void {
  if (svc.sched == <u32>VS_SCHED_WRR) wrrChanged(svc);
  else if (svc.sched != <u32>VS_SCHED_DH) rebuild(svc);
}

/** The destination for a new connection from `src`:`sport` to `dst`, 0 = there is none (schedule). */
export function schedule(svc: Service, src: u32, sport: u32, dst: u32): usize {
  switch (svc.sched) {
    case VS_SCHED_RR:
      return rrSchedule(svc);
    case VS_SCHED_WRR:
      return wrrSchedule(svc);
    case VS_SCHED_LC:
      return lcSchedule(svc);
    case VS_SCHED_WLC:
      return wlcSchedule(svc);
    case VS_SCHED_FO:
      return foSchedule(svc);
    case VS_SCHED_OVF:
      return ovfSchedule(svc);
    case VS_SCHED_LBLC:
      return lblcSchedule(svc, dst);
    case VS_SCHED_LBLCR:
      return lblcrSchedule(svc, dst);
    case VS_SCHED_DH:
      return dhSchedule(svc, dst);
    case VS_SCHED_SH:
      return shSchedule(svc, src, sport);
    case VS_SCHED_MH:
      return mhSchedule(svc, src, sport);
    case VS_SCHED_SED:
      return sedSchedule(svc);
    case VS_SCHED_NQ:
      return nqSchedule(svc);
    default:
      return 0;
  }
}
