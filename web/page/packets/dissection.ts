/** Wireshark's dissectors, as the packet list uses them: loaded on demand, and kept up with a capture that grows. */
import { proxy, type Remote, transfer, wrap } from "comlink";
import type {
  CaptureFile,
  DissectedRow,
  DissectorsApi,
  FieldName,
  FilterCheck,
  PacketDetails,
} from "../../dissectors/protocol.ts";
import type { Page } from "../page.ts";
import type { FilterChunk, FilterDissectors } from "./filters.ts";
import { covers, type FrameRange, loadDue, rangeAround, WHOLE_FRAMES } from "./pacing.ts";

/** What stands beside the page, as the build wrote it; nothing in it where there are no dissectors. */
const MANIFEST = "dissectors.json";
const FOLDER = "dissectors/";

/** How the dissectors stand. Sizes are bytes. */
export type DissectorsState =
  | { readonly kind: "absent" }
  | { readonly kind: "offered"; readonly size: number }
  | { readonly kind: "fetching"; readonly size: number; readonly came: number }
  | { readonly kind: "ready"; readonly version: string }
  | { readonly kind: "failed"; readonly size: number; readonly message: string };

/** Who is told. */
export interface DissectionEvents {
  state(state: DissectorsState): void;
  /** Another part of the capture is loaded, or more of it. */
  loaded(): void;
}

/** The dissectors' worker and what is loaded in it. */
export class Dissection implements FilterDissectors {
  readonly #page: Page;
  readonly #events: DissectionEvents;
  #state: DissectorsState = { kind: "absent" };
  #worker: { readonly worker: Worker; readonly remote: Remote<DissectorsApi> } | undefined;
  #size = 0;
  /** What is asked of the worker, one after the other. */
  #tail: Promise<unknown> = Promise.resolve();
  /** Counts labs: what is loaded of an earlier one is of no use. */
  #epoch = 0;
  #loaded: FrameRange | undefined;
  #loads = 0;
  #frames = 0;
  #running = false;
  #names = false;
  #ended = 0;
  #cost = 0;

  constructor(page: Page, events: DissectionEvents) {
    this.#page = page;
    this.#events = events;
  }

  get ready(): boolean {
    return this.#state.kind === "ready";
  }

  /** What of the recording Wireshark has before it. */
  get loaded(): FrameRange | undefined {
    return this.#loaded;
  }

  /** Something is being loaded: the worker answers nothing else meanwhile. */
  get busy(): boolean {
    return this.#loads > 0;
  }

  /** The capture is too large to be loaded as one. */
  get partial(): boolean {
    return this.#frames > WHOLE_FRAMES;
  }

  #set(state: DissectorsState): void {
    this.#state = state;
    this.#events.state(state);
  }

  /** Looks whether they stand beside the page. */
  async look(): Promise<void> {
    const response = await fetch(new URL(MANIFEST, document.baseURI));
    const manifest: unknown = response.ok ? await response.json() : {};
    const size = (manifest as { bytes?: unknown }).bytes;
    this.#set(typeof size === "number" ? { kind: "offered", size } : { kind: "absent" });
  }

  /** Fetches and starts them. */
  async start(): Promise<void> {
    if (this.#state.kind !== "offered" && this.#state.kind !== "failed") return;
    const { size } = this.#state;
    this.#size = size;
    this.#set({ kind: "fetching", size, came: 0 });
    const worker = new Worker(new URL("../../dissectors/dissectors.ts", import.meta.url), {
      type: "module",
      name: "dissectors",
    });
    worker.addEventListener("error", (event) => this.#failed(event.message || "their worker died"));
    const remote = wrap<DissectorsApi>(worker);
    try {
      const progress = proxy((came: number) => {
        if (this.#state.kind === "fetching") this.#set({ kind: "fetching", size, came });
      });
      const { version } = await remote.start(new URL(FOLDER, document.baseURI).href, progress);
      this.#worker = { worker, remote };
      this.#set({ kind: "ready", version });
      this.#reconsider();
    } catch (error) {
      worker.terminate();
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  #failed(message: string): void {
    this.#worker?.worker.terminate();
    this.#worker = undefined;
    this.#loaded = undefined;
    this.#set({ kind: "failed", size: this.#size, message });
  }

  get #remote(): Remote<DissectorsApi> {
    if (this.#worker === undefined) throw new Error("the dissectors aren't loaded");
    return this.#worker.remote;
  }

  #enqueue<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(job);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Another lab is open. */
  reset(): void {
    this.#epoch++;
    this.#loaded = undefined;
    this.#frames = 0;
    this.#cost = 0;
  }

  /** How the capture stands. */
  status(frames: number, running: boolean): void {
    this.#frames = frames;
    this.#running = running;
    this.#reconsider();
  }

  /** Whether addresses are shown by name. */
  set names(names: boolean) {
    this.#names = names;
    this.#loaded = undefined;
    this.#reconsider();
  }

  #reconsider(): void {
    if (!this.ready || this.busy) return;
    const since = performance.now() - this.#ended;
    const [frames, running, loaded, cost] = [this.#frames, this.#running, this.#loaded, this.#cost];
    if (loadDue({ frames, running, loaded, since, cost })) this.#page.attempt(this.sync());
  }

  async #load({ from, to: wanted }: FrameRange): Promise<void> {
    const epoch = this.#epoch;
    const names = this.#names;
    this.#loads++;
    const begun = performance.now();
    try {
      const { trace, keys, to } = await this.#page.session.tracePart(from, wanted);
      if (epoch !== this.#epoch || to === from) return;
      this.#loaded = undefined;
      const frames = await this.#read({ trace, keys, names });
      if (frames !== to - from) throw new Error(`Wireshark has read ${frames} of ${to - from} frames`);
      if (epoch === this.#epoch && names === this.#names) this.#loaded = { from, to };
    } finally {
      this.#loads--;
      this.#ended = performance.now();
      this.#cost = this.#ended - begun;
    }
  }

  /** What goes wrong here goes wrong in their code, which is of no use after it. */
  async #read(capture: CaptureFile): Promise<number> {
    try {
      return await this.#remote.load(transfer(capture, [capture.trace.buffer]));
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  /** Loads all that there is by now, where that isn't too much. */
  async sync(): Promise<void> {
    const before = this.#loaded;
    await this.#enqueue(async () => {
      const { to } = this.#loaded ?? { to: 0 };
      if (this.partial || this.#frames === 0 || to >= this.#frames) return;
      await this.#load({ from: 0, to: this.#frames });
    });
    if (before !== this.#loaded) this.#events.loaded();
    this.#reconsider();
  }

  /** Loads what holds a packet, if it isn't loaded. */
  async need(index: number): Promise<void> {
    if (covers(this.#loaded, index)) return;
    await this.#enqueue(async () => {
      if (!covers(this.#loaded, index) && index < this.#frames) await this.#load(rangeAround(index, this.#frames));
    });
    this.#events.loaded();
  }

  /** Wireshark's rows of these frames, as far as they can be had at once. */
  async rows(indices: Uint32Array): Promise<readonly (DissectedRow | undefined)[]> {
    if (!this.ready || this.busy) return [];
    return this.#enqueue(async () => {
      const range = this.#loaded;
      if (range === undefined) return [];
      const asked = indices.filter((index) => covers(range, index));
      const rows = await this.#remote.rows(asked.map((index) => index - range.from));
      const found = new Map<number, DissectedRow>();
      for (const [i, row] of rows.entries()) found.set(asked[i] as number, row);
      return [...indices].map((index) => found.get(index));
    });
  }

  /** A packet in full; undefined where it isn't loaded. Frames that it speaks of are places in the recording. */
  async details(index: number): Promise<(PacketDetails & { readonly from: number }) | undefined> {
    return this.#enqueue(async () => {
      const range = this.#loaded;
      if (range === undefined || !covers(range, index)) return undefined;
      return { ...(await this.#remote.details(index - range.from)), from: range.from };
    });
  }

  /** What a display filter selects of what is loaded. */
  async select(text: string, skip: number, limit: number): Promise<FilterChunk> {
    return this.#enqueue(async () => {
      const range = this.#loaded;
      if (range === undefined) return { matched: 0, found: [] };
      const begun = performance.now();
      const { matched, frames } = await this.#remote.filter(text, skip, limit);
      // What a filter takes after a load counts as the load's.
      this.#ended = performance.now();
      this.#cost += this.#ended - begun;
      return { matched, found: Array.from(frames, (frame) => frame + range.from) };
    });
  }

  /** What a display filter selects of a part of the capture, which is loaded for it. */
  async selectFrom(text: string, range: FrameRange, limit: number): Promise<readonly number[]> {
    return this.#enqueue(async () => {
      await this.#load(range);
      const found: number[] = [];
      for (let matched = Number.POSITIVE_INFINITY; found.length < matched; ) {
        const chunk = await this.#remote.filter(text, found.length, limit);
        if (chunk.frames.length === 0) break;
        matched = chunk.matched;
        for (const frame of chunk.frames) found.push(frame + range.from);
      }
      return found;
    });
  }

  /** Whether a display filter is right. */
  check(text: string): Promise<FilterCheck> {
    return this.#enqueue(() => this.#remote.check(text));
  }

  /** Names that begin so. */
  complete(begin: string): Promise<readonly FieldName[]> {
    return this.#enqueue(() => this.#remote.complete(begin));
  }
}
