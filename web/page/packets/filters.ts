/** The filter that is on: which frames it finds, while the capture grows. */
import { UserError } from "../../../src/base/errors.ts";
import type { FilterCheck } from "../../dissectors/protocol.ts";
import type { Displayed } from "./displayed.ts";
import { type FrameRange, PART_FRAMES } from "./pacing.ts";

/** Frames that are read from the dissectors at a time: a tenth of a second. */
const CHUNK = 2_000;

/** A part of what a display filter selects. */
export interface FilterChunk {
  /** How many it selects of all that is loaded. */
  readonly matched: number;
  /** Places in the recording. */
  readonly found: readonly number[];
}

/** What finds frames by Wireshark's display filters. */
export interface FilterDissectors {
  readonly ready: boolean;
  /** The capture is too large to be loaded as one. */
  readonly partial: boolean;
  /** What of the recording is loaded; another object each time. */
  readonly loaded: FrameRange | undefined;
  check(text: string): Promise<FilterCheck>;
  /** Loads all that there is by now, where that isn't too much. */
  sync(): Promise<void>;
  /** What a filter selects of what is loaded. */
  select(text: string, skip: number, limit: number): Promise<FilterChunk>;
  /** What a filter selects of a part of the capture, which is loaded for it. @param limit read at a time */
  selectFrom(text: string, range: FrameRange, limit: number): Promise<readonly number[]>;
}

/** What filters need of the page. */
export interface FilterPage {
  /** What finds frames without Wireshark (PacketsApi). */
  search(text: string, from: number): Promise<{ readonly found: Uint32Array; readonly next: number }>;
  /** An action whose error the user is told. */
  attempt(action: Promise<unknown>): void;
}

/** Runs filters over the capture: Wireshark's where its dissectors are loaded, the simple one where not. */
export class Filters {
  readonly #page: FilterPage;
  readonly #dissection: FilterDissectors;
  readonly #displayed: Displayed;
  readonly #changed: () => void;
  #text = "";
  /** Wireshark's syntax, not words. */
  #wireshark = false;
  /** Counts runs: an earlier one ends as soon as it sees that it is one. */
  #run = 0;
  #busy = false;
  /** Frames that have been looked at. */
  #scanned = 0;
  #found: number[] = [];
  #running = false;

  /** @param changed told when other frames are shown */
  constructor(page: FilterPage, dissection: FilterDissectors, displayed: Displayed, changed: () => void) {
    this.#page = page;
    this.#dissection = dissection;
    this.#displayed = displayed;
    this.#changed = changed;
  }

  get text(): string {
    return this.#text;
  }

  /** Frames that the filter hasn't seen yet. */
  get pending(): number {
    return this.#text === "" ? 0 : this.#displayed.all - this.#scanned;
  }

  /** Puts a filter on; an empty one takes it off. @throws UserError when it is wrong */
  async apply(text: string): Promise<void> {
    const wanted = text.trim();
    const wireshark = this.#dissection.ready;
    if (wanted !== "" && wireshark) {
      const { ok, error } = await this.#dissection.check(wanted);
      if (!ok) throw new UserError(error);
    } else if (wanted !== "") await this.#page.search(wanted, Number.MAX_SAFE_INTEGER);
    this.#text = wanted;
    this.#wireshark = wireshark;
    this.#begin();
  }

  /** Another lab: the filter stays. */
  reset(): void {
    this.#begin();
  }

  #begin(): void {
    this.#run++;
    this.#busy = false;
    this.#scanned = 0;
    this.#found = [];
    if (this.#text === "") this.#displayed.clear();
    else this.#displayed.show(this.#found);
    this.#changed();
    this.#go();
  }

  /** The capture has grown. */
  grown(running: boolean): void {
    this.#running = running;
    this.#go();
  }

  /** The dissectors have all of it before them, anew: what was found is found again. */
  reloaded(): void {
    if (this.#text !== "" && this.#wireshark && !this.#dissection.partial && !this.#busy)
      this.#start(() => this.#whole(false));
  }

  #go(): void {
    if (this.#text === "" || this.#busy || this.#scanned >= this.#displayed.all) return;
    if (!this.#wireshark) this.#start(() => this.#words(this.#run));
    else if (!this.#dissection.partial) {
      if (!this.#running) this.#start(() => this.#whole(true));
    } else if (!this.#running || this.#displayed.all - this.#scanned >= PART_FRAMES)
      this.#start(() => this.#pieces(this.#run));
  }

  #start(scan: () => Promise<void>): void {
    const run = this.#run;
    this.#busy = true;
    this.#page.attempt(
      scan().finally(() => {
        if (run !== this.#run) return;
        this.#busy = false;
        this.#changed();
      }),
    );
  }

  #add(found: Iterable<number>, scanned: number): void {
    for (const index of found) this.#found.push(index);
    this.#scanned = scanned;
    this.#changed();
  }

  async #words(run: number): Promise<void> {
    while (this.#scanned < this.#displayed.all) {
      const { found, next } = await this.#page.search(this.#text, this.#scanned);
      if (run !== this.#run || next <= this.#scanned) return;
      this.#add(found, next);
    }
  }

  /**
   * All of the capture is loaded. The first time, what is found is shown as it comes; later, once it is complete.
   * @param sync loads what came since
   */
  async #whole(sync: boolean): Promise<void> {
    const run = this.#run;
    if (sync) await this.#dissection.sync();
    for (let complete = false; !complete; ) {
      const range = this.#dissection.loaded;
      if (run !== this.#run || range === undefined) return;
      const found: number[] = [];
      complete = await this.#collect(run, range, found);
      if (run !== this.#run) return;
      if (!complete) continue;
      this.#scanned = range.to;
      this.#found = found;
      this.#displayed.show(found);
    }
  }

  /** @returns false where something else was loaded meanwhile: what was found is of no use */
  async #collect(run: number, range: FrameRange, found: number[]): Promise<boolean> {
    const shows = this.#found.length === 0;
    for (let matched = Number.POSITIVE_INFINITY; found.length < matched; ) {
      const chunk = await this.#dissection.select(this.#text, found.length, CHUNK);
      if (run !== this.#run || this.#dissection.loaded !== range) return false;
      matched = chunk.matched;
      if (chunk.found.length === 0) return true;
      found.push(...chunk.found);
      if (!shows) continue;
      this.#displayed.show(found);
      this.#changed();
    }
    return true;
  }

  /** Too much to be loaded as one: it is gone through part by part. */
  async #pieces(run: number): Promise<void> {
    while (this.#scanned < this.#displayed.all) {
      const from = this.#scanned;
      const to = Math.min(from + PART_FRAMES, this.#displayed.all);
      const found = await this.#dissection.selectFrom(this.#text, { from, to }, CHUNK);
      if (run !== this.#run) return;
      this.#add(found, to);
    }
  }
}
