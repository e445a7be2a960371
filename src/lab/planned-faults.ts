/** Faults of a lab that are to happen at a point of the run, whatever runs then. */
import { FOREVER, type Time } from "../base/time.ts";
import type { Grant, Pace, PartReport } from "../scheduler/pace.ts";
import type { Fault } from "./plan.ts";

/**
 * Holds time at each of them, as somebody would who breaks something by hand at that moment: so the run is the same as
 * one in which somebody did. Goes around the pace of whoever looks on.
 */
export class PlannedFaults implements Pace {
  readonly #inner: Pace | undefined;
  readonly #planned: { readonly time: Time; readonly fault: Fault }[] = [];
  /** Makes a fault happen now. */
  apply: (fault: Fault) => void = () => {};

  constructor(inner: Pace | undefined) {
    this.#inner = inner;
  }

  /** A fault for a time that is still to come. */
  add(time: Time, fault: Fault): void {
    this.#planned.push({ time, fault });
    this.#planned.sort((a, b) => a.time - b.time); // stable: those of one time keep their order
  }

  ahead(): Time {
    return Math.min(this.#planned[0]?.time ?? FOREVER, this.#inner?.ahead?.() ?? FOREVER);
  }

  grant(now: Time, limit: Time): Grant | undefined | Promise<Grant | undefined> {
    for (let next = this.#planned[0]; next !== undefined && next.time <= now; next = this.#planned[0]) {
      this.#planned.shift();
      this.apply(next.fault);
    }
    const end = this.#planned[0]?.time ?? FOREVER;
    const shorten = (grant: Grant | undefined) => grant && { ...grant, until: Math.min(grant.until, end) };
    const asked = this.#inner === undefined ? { until: end } : this.#inner.grant(now, Math.min(limit, end));
    return asked instanceof Promise ? asked.then(shorten) : shorten(asked);
  }

  ran(report: PartReport): void {
    this.#inner?.ran?.(report);
  }

  skipped(from: Time, to: Time): void {
    this.#inner?.skipped?.(from, to);
  }
}
