/**
 * Quiet time: a swarm at rest sends probes, heartbeats and syncs, and nothing else happens for hours. Such time is
 * skipped, not run, and what comes after is as if it had been run.
 *
 * How. Programs mark the deadlines of their upkeep (Wait.upkeep), and say by an Upkeep when they are at rest and
 * what a rest does to them. When all hosts are at rest, when for SETTLE nothing has happened but upkeep, and when
 * nothing is due for long enough, the clock is set forward by a multiple of QUANTUM, to WARM_UP or a little more
 * before the next appointment: a program's other deadline, a kernel timer that upkeep doesn't move, a fault, the
 * end of the wait. The rest is run in full. So three things make the state right:
 *
 * - *What counts or remembers for ever* is computed: each kind of upkeep replays, without packets, what all its hosts
 *   would have done (Upkeep.replay): sequence numbers, the order and place of the probe ring, Lamport clocks, whom each
 *   random choice would have met, when the next heartbeat is due.
 * - *What forgets* (neighbours, conntrack and TIME_WAIT entries, ephemeral ports, IP identifications, round-trip
 *   times) is carried along by the kernel's clock, which stands still during a skip (assembly/quiet.ts), and then takes on
 *   the very state it would have had while the last WARM_UP is run: everything it draws depends on the time and not
 *   on its past, and everything it remembers of upkeep is younger than that.
 * - *What nobody refreshes* runs out within SETTLE and WARM_UP, is a kernel timer and so an appointment, or is aged by the
 *   skip (an established connection that rests longer).
 *
 * State, then, is: what hosts' commands print (docker, ip, bridge, conntrack, ss, iptables without counters), what
 * programs know, and every frame sent from WARM_UP before the end of the wait on, to the byte. Not part of it are:
 *
 * - counters of packets and bytes: devices, SNMP, sockets, rules, the run's own totals. They count what was run;
 * - what grows with the traffic of the connections to port 2377, which stay open: sequence numbers, IP identifications,
 *   windows, numbers of calls. They go on from where they were, so frames of these connections differ in those fields and
 *   in checksums, not in their times and lengths;
 * - upkeep that two hosts begin within the time of one round trip: its order is that of its beginnings.
 *
 * When a host has failed there is no rest (its peers call it every second for a day), nor while a wire loses frames by
 * chance: such time is run. So is everything when the cluster is made with `skip: false`.
 */
import { FOREVER, MINUTE, MS, type Time } from "../base/time.ts";
import { gridAfter } from "./window.ts";

/** Only upkeep for so long before a skip: nobody still waits for an answer to what went before. */
export const SETTLE: Time = 2 * MINUTE;
/**
 * At least so much of a quiet time is run at its end. With SETTLE it is more than conntrack's generic timeout (10 min),
 * the longest but for established connections; than the memory of upkeep (conntrack and TIME_WAIT 120 s); and it
 * holds two beginnings of the kernel's periods of 300 s.
 */
export const WARM_UP: Time = 10 * MINUTE;
/** Skips are multiples of it, and so of the period of the kernel's neighbour tables (15 s). */
export const QUANTUM: Time = MINUTE / 2;
/** How often a rest is looked for, in virtual time. */
export const LOOK_PERIOD: Time = MINUTE;
/** A host is never at rest for long: after a look that came at a bad moment, so much later the next one… */
export const LOOK_AGAIN: Time = 37 * MS;
/** …but only so often. */
export const LOOKS = 40;

/**
 * A part of a host that keeps itself up by traffic: memberlist and NetworkDB, the swarm's heartbeats. `S` survives
 * structured cloning.
 */
export interface Upkeep<S = unknown> {
  /** Parts of one kind on all hosts keep each other up; their replay() is the same function. */
  readonly kind: string;
  /** Why it isn't at rest: something is under way, or wrong; undefined when it is. */
  unrest(): string | undefined;
  /** All of it that a rest changes. Called when everything is at rest. */
  state(): S;
  /**
   * What the states of this kind on all hosts become when upkeep alone runs after `from`, up to and including `to`.
   * Pure: every worker computes it anew, each for all hosts.
   */
  replay(states: readonly HostState<S>[], from: Time, to: Time): readonly S[];
  /** Takes its state after the skip; the clock stands at its end. Its upkeep waits end with TIME_SKIPPED right after. */
  resume(state: S): void;
}

/** One host's part of a kind of upkeep. Several parts of a host stand in the order in which they were added. */
export interface HostState<S = unknown> {
  readonly host: number;
  readonly state: S;
}

/** What a worker says of its hosts when it is asked whether they are at rest. */
export interface QuietReport {
  /** Why they aren't; undefined when they are. */
  readonly unrest: string | undefined;
  /** Until when nothing is due but upkeep. */
  readonly until: Time;
  /** When something happened last that wasn't upkeep. */
  readonly disturbed: Time;
  /** Frames that its hosts have sent so far. */
  readonly frames: number;
  /** Upkeep of its hosts, by kind. Empty when they aren't at rest. */
  readonly upkeep: Readonly<Record<string, readonly HostState[]>>;
}

/** The order to skip: the same for all workers. */
export interface SkipOrder {
  readonly from: Time;
  readonly to: Time;
  /** Upkeep of all hosts, by kind, in order of host. */
  readonly upkeep: Readonly<Record<string, readonly HostState[]>>;
}

/**
 * Where a skip from `now` ends; undefined when none is possible now.
 * @param limit until when nothing comes from outside
 */
export function skipEnd(reports: readonly QuietReport[], now: Time, limit: Time): Time | undefined {
  let end = limit;
  for (const report of reports) {
    if (report.unrest !== undefined || now - report.disturbed < SETTLE) return undefined;
    end = Math.min(end, report.until);
  }
  if (end >= FOREVER) return undefined;
  const span = Math.floor((end - WARM_UP - now) / QUANTUM) * QUANTUM;
  return span > 0 ? now + span : undefined;
}

/** The upkeep of all workers' hosts, by kind, in order of host: what a skip is computed from. */
export function mergeUpkeep(reports: readonly QuietReport[]): Record<string, HostState[]> {
  const merged = new Map<string, HostState[]>();
  for (const { upkeep } of reports) {
    for (const [kind, states] of Object.entries(upkeep)) merged.set(kind, [...(merged.get(kind) ?? []), ...states]);
  }
  const kinds = [...merged].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(kinds.map(([kind, states]) => [kind, states.sort((a, b) => a.host - b.host)]));
}

/** A rest that was found. */
export interface Rest {
  readonly order: SkipOrder;
  /** About how many frames all hosts would send in it. */
  readonly frames: number;
}

/** When a rest is looked for, and what was seen at such times. */
export class RestLooks {
  #next: Time = LOOK_PERIOD;
  /** How often it was tried in vain since the last multiple of LOOK_PERIOD. */
  #tried = 0;
  /** Frames sent up to the last such multiple, and that time. */
  #seen = { time: 0, frames: 0 };

  /** When it is looked for next. */
  get next(): Time {
    return this.#next;
  }

  /**
   * Looks for a rest.
   * @param end until when nothing comes from outside
   * @param ahead when somebody is going to do something: a skip doesn't go so far, but whether a rest is looked for, and
   *   when again, is as if nobody knew
   * @param ask asks every worker
   */
  async look(now: Time, end: Time, ahead: Time, ask: () => Promise<readonly QuietReport[]>): Promise<Rest | undefined> {
    const worthwhile = skipEnd([], now, end) !== undefined;
    const reports = worthwhile ? await ask() : [];
    const known = worthwhile ? skipEnd(reports, now, end) : undefined;
    const to = known !== undefined && known > ahead ? skipEnd(reports, now, ahead) : known;
    const frames = reports.reduce((sum, report) => sum + report.frames, 0);
    const { time, frames: before } = this.#seen;
    if (worthwhile && this.#tried === 0 && to === undefined) this.#seen = { time: now, frames };
    const restless = reports.some(({ unrest }) => unrest !== undefined);
    const again = worthwhile && to === undefined && this.#tried < LOOKS && restless;
    this.#tried = again ? this.#tried + 1 : 0;
    this.#next = again ? now + LOOK_AGAIN : gridAfter(to ?? now, LOOK_PERIOD);
    if (to === undefined) return undefined;
    const rate = now > time ? (frames - before) / (now - time) : 0;
    const order = { from: now, to, upkeep: mergeUpkeep(reports) };
    return { order, frames: Math.round(rate * (to - now)) };
  }
}
