/** Faults by hand, between the page and the session's worker. */
import type { Time } from "../../../src/base/time.ts";

/** What may break in the lab that is open. */
export interface FaultTargets {
  readonly hosts: readonly string[];
  /** The further networks, on which hosts have cards of their own. */
  readonly networks: readonly string[];
  /** Numbers of switches; undefined where the network is one ideal switch. */
  readonly fabric: { readonly leaves: number; readonly spines: number } | undefined;
}

/** A fault as a lab's step would say it: the value of its `fault:`, as plain data. */
export type FaultRequest = Readonly<Record<string, unknown>>;

/** What a fault would do, in words; or why there is no such fault. */
export type FaultCheck =
  | { readonly text: string; readonly error?: undefined }
  | { readonly text?: undefined; readonly error: string };

/** A fault that was made by hand. */
export interface MadeFault {
  readonly time: Time;
  readonly text: string;
}

/** What the page asks about faults. */
export interface FaultsApi {
  faultTargets(): FaultTargets;
  checkFault(fault: FaultRequest): FaultCheck;
  /** Breaks or mends something now. @throws UserError for what can't be */
  makeFault(fault: FaultRequest): void;
  /** Those made by hand in this run so far, in order. */
  madeFaults(): readonly MadeFault[];
}
