/** What stands beside the filter: times, colours, names, following the end; the dissectors and how they stand. */
import { button } from "../page.ts";
import type { DissectorsState } from "./dissection.ts";
import type { FrameRange } from "./pacing.ts";
import { keep, recall } from "./settings.ts";
import { TIME_FORMATS, type TimeFormat } from "./time-format.ts";

/** Who is told of the user's choices. */
export interface ToolEvents {
  /** Rows look otherwise from now on. */
  changed(): void;
  names(names: boolean): void;
  follows(follows: boolean): void;
  /** The dissectors are wanted. */
  load(): void;
}

const number = new Intl.NumberFormat("en");
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

/** The tools. */
export class ListTools {
  readonly #events: ToolEvents;
  readonly #time = document.createElement("select");
  readonly #counts = document.createElement("span");
  readonly #dissectors = document.createElement("span");
  readonly #load: HTMLButtonElement;
  readonly #follow: HTMLButtonElement;
  readonly #colors: HTMLButtonElement;
  readonly #names: HTMLButtonElement;
  #version = "";

  constructor(place: HTMLElement, events: ToolEvents) {
    this.#events = events;
    this.#counts.id = "displayed";
    this.#dissectors.id = "dissectors";
    this.#dissectors.setAttribute("role", "status");
    this.#time.setAttribute("aria-label", "Time is shown as");
    this.#time.append(...Object.entries(TIME_FORMATS).map(([value, text]) => new Option(text, value)));
    const kept = recall("time");
    if (typeof kept === "string" && kept in TIME_FORMATS) this.#time.value = kept;
    this.#time.addEventListener("change", () => {
      keep("time", this.#time.value);
      events.changed();
    });
    this.#follow = this.#toggle("Auto scroll", "Keep the newest packet in sight", true, (on) => events.follows(on));
    this.#colors = this.#toggle("Colours", "Wireshark's colouring rules", recall("colors") !== false, (on) => {
      keep("colors", on);
      events.changed();
    });
    this.#names = this.#toggle("Names", "Resolve network addresses", false, (on) => events.names(on));
    this.#load = button("", () => {
      keep("dissectors", true);
      events.load();
    });
    this.#load.id = "load-dissectors";
    this.#load.hidden = true;
    this.#colors.hidden = true;
    this.#names.hidden = true;
    place.append(this.#time, this.#follow, this.#colors, this.#names, this.#load, this.#dissectors, this.#counts);
  }

  #toggle(text: string, title: string, on: boolean, changed: (on: boolean) => void): HTMLButtonElement {
    const made = button(text, () => {
      const now = made.getAttribute("aria-pressed") !== "true";
      made.setAttribute("aria-pressed", String(now));
      changed(now);
    });
    made.title = title;
    made.setAttribute("aria-pressed", String(on));
    return made;
  }

  get format(): TimeFormat {
    return this.#time.value as TimeFormat;
  }

  get colors(): boolean {
    return this.#colors.getAttribute("aria-pressed") === "true";
  }

  /** The list follows its end, or not any more. */
  follow(follows: boolean): void {
    this.#follow.setAttribute("aria-pressed", String(follows));
  }

  /** How many frames are shown. @param pending those that the filter hasn't seen yet */
  counts(shown: number, all: number, filtered: boolean, pending: number): void {
    const of = filtered
      ? `${number.format(shown)} of ${number.format(all)} displayed`
      : `${number.format(all)} packets`;
    this.#counts.textContent = pending > 0 ? `${of}; ${number.format(pending)} to look at` : of;
  }

  /** How the dissectors stand. */
  dissectors(state: DissectorsState): void {
    const offered = state.kind === "offered" || state.kind === "failed";
    this.#load.hidden = !offered;
    if (offered) this.#load.textContent = `Load Wireshark's dissectors (${megabytes(state.size)} MB)`;
    this.#colors.hidden = state.kind !== "ready";
    this.#names.hidden = state.kind !== "ready";
    this.#dissectors.dataset["state"] = state.kind;
    switch (state.kind) {
      case "absent":
        this.#dissectors.textContent = "swarmwire's own summaries";
        return;
      case "offered":
        this.#dissectors.textContent = "";
        // Whoever loaded them once wants them again; the lab comes first.
        if (recall("dissectors") === true) this.#events.load();
        return;
      case "fetching":
        this.#dissectors.textContent = `Loading dissectors: ${megabytes(state.came)} of ${megabytes(state.size)} MB`;
        return;
      case "failed":
        this.#dissectors.textContent = `No dissectors: ${state.message}`;
        return;
      case "ready":
        this.#version = `Wireshark ${state.version}`;
        this.#dissectors.textContent = this.#version;
    }
  }

  /** What of the capture Wireshark has before it. */
  loaded(range: FrameRange | undefined, all: number): void {
    if (range === undefined) return;
    const part = range.from > 0 || range.to < all;
    const span = `${number.format(range.from + 1)}–${number.format(range.to)}`;
    this.#dissectors.textContent = part ? `${this.#version}: packets ${span}` : this.#version;
  }
}
