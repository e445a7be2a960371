/** The display filter's field: checked as it is typed, completed, remembered (WAI-ARIA combobox pattern). */
import type { FieldName, FilterCheck } from "../../dissectors/protocol.ts";
import { button } from "../page.ts";
import { complete, type NameBegun, nameBefore, remember } from "./completion.ts";
import { keep, recall } from "./settings.ts";

const CHECK_AFTER_MS = 120;
const PLACEHOLDERS = {
  wireshark: "Apply a display filter, for example  icmp && vxlan.vni == 4097",
  words: "Filter by words, host=, src=, dst=, port=, proto=, on= (host/namespace/device); ! before one: not",
} as const;

/** What the field needs of others. */
export interface FilterEvents {
  /** @throws UserError when the filter is wrong */
  apply(text: string): Promise<void>;
  check(text: string): Promise<FilterCheck>;
  complete(begin: string): Promise<readonly FieldName[]>;
  /** The user leaves the field for the list. */
  left(): void;
}

/** A line that the popup offers. */
interface Offer {
  readonly text: string;
  readonly hint: string;
  readonly take: () => void;
}

/** The field, its buttons and its message. */
export class FilterBar {
  readonly #events: FilterEvents;
  readonly #input = document.createElement("input");
  readonly #popup = document.createElement("div");
  readonly #problem = document.createElement("p");
  #wireshark = false;
  #offers: readonly Offer[] = [];
  #at = -1;
  #history: string[];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts changes of the text: answers to older ones are late. */
  #change = 0;

  constructor(place: HTMLElement, events: FilterEvents) {
    this.#events = events;
    const kept = recall("filters");
    this.#history = Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : [];
    const input = this.#input;
    Object.assign(input, { id: "filter", type: "text", autocomplete: "off", spellcheck: false });
    const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false" };
    const more = {
      "aria-controls": "filter-offers",
      "aria-label": "Display filter",
      "aria-describedby": "filter-problem",
    };
    for (const [name, value] of Object.entries({ ...attributes, ...more })) input.setAttribute(name, value);
    Object.assign(this.#popup, { id: "filter-offers", className: "offers", hidden: true });
    this.#popup.setAttribute("role", "listbox");
    this.#popup.setAttribute("aria-label", "Completions");
    Object.assign(this.#problem, { id: "filter-problem", className: "filter-problem", hidden: true });
    this.#problem.setAttribute("role", "status");
    const field = document.createElement("div");
    field.className = "filter";
    field.append(input, this.#popup);
    place.append(
      field,
      button("Apply", () => this.#apply()),
      button("Clear", () => this.set("")),
      this.#problem,
    );
    input.addEventListener("input", () => this.#typed());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => this.#close());
    this.wireshark = false;
  }

  /** Where a message about the filter stands. */
  get problem(): HTMLElement {
    return this.#problem;
  }

  /** Whether it takes Wireshark's syntax, or words. */
  set wireshark(wireshark: boolean) {
    this.#wireshark = wireshark;
    this.#input.placeholder = wireshark ? PLACEHOLDERS.wireshark : PLACEHOLDERS.words;
    this.#input.title = this.#input.placeholder;
  }

  get text(): string {
    return this.#input.value;
  }

  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  /** Puts a filter there and applies it. */
  set(text: string): void {
    this.#input.value = text;
    this.#apply();
  }

  /** Applies one of two filters that say the same: in Wireshark's words with its dissectors, in plain ones without. */
  setEither(wireshark: string, plain: string): void {
    this.set(this.#wireshark ? wireshark : plain);
  }

  /** Puts a filter there for the user to go on with. */
  prepare(text: string): void {
    this.#input.value = text;
    this.#typed();
    this.#input.focus();
  }

  #apply(): void {
    this.#close();
    this.#change++;
    clearTimeout(this.#timer);
    const text = this.#input.value.trim();
    this.#events.apply(text).then(
      () => {
        this.#show(text === "" ? undefined : { ok: true, error: "" });
        if (text === "") return;
        this.#history = remember(this.#history, text);
        keep("filters", this.#history);
      },
      (error: unknown) => this.#show({ ok: false, error: error instanceof Error ? error.message : String(error) }),
    );
  }

  /** Green, red with a message, or neither. */
  #show(check: FilterCheck | undefined): void {
    this.#input.dataset["check"] = check === undefined ? "none" : check.ok ? "ok" : "wrong";
    this.#input.setAttribute("aria-invalid", String(check?.ok === false));
    this.#problem.textContent = check?.ok === false ? check.error : "";
    this.#problem.hidden = check?.ok !== false;
  }

  #typed(): void {
    const change = ++this.#change;
    clearTimeout(this.#timer);
    if (!this.#wireshark || this.#input.value.trim() === "") {
      this.#show(undefined);
      this.#close();
      return;
    }
    this.#timer = setTimeout(() => void this.#look(change), CHECK_AFTER_MS);
  }

  async #look(change: number): Promise<void> {
    const { value, selectionStart } = this.#input;
    const begun = nameBefore(value, selectionStart ?? value.length);
    const [check, fields] = await Promise.all([
      this.#events.check(value.trim()),
      begun === undefined ? [] : this.#events.complete(begun.text),
    ]);
    if (change !== this.#change || document.activeElement !== this.#input) return;
    this.#show(check);
    const offers = begun === undefined ? [] : fields.map((field) => this.#offerOf(field, begun));
    // The name that stands there already is no help.
    if (offers.length === 1 && offers[0]?.text === begun?.text) this.#close();
    else this.#offer(offers);
  }

  #offerOf({ field, name }: FieldName, begun: NameBegun): Offer {
    return {
      text: field,
      hint: name,
      take: () => {
        const { text, cursor } = complete(this.#input.value, begun, field);
        this.#input.value = text;
        this.#input.setSelectionRange(cursor, cursor);
        this.#typed();
      },
    };
  }

  #offer(offers: readonly Offer[]): void {
    this.#offers = offers;
    this.#at = -1;
    this.#popup.replaceChildren(
      ...offers.map(({ text, hint }, place) => {
        const line = document.createElement("div");
        line.id = `filter-offer-${place}`;
        line.setAttribute("role", "option");
        line.setAttribute("aria-selected", "false");
        const about = document.createElement("small");
        about.textContent = hint;
        line.append(text, about);
        // The field keeps the focus.
        line.addEventListener("pointerdown", (event) => event.preventDefault());
        line.addEventListener("click", () => this.#take(place));
        return line;
      }),
    );
    this.#popup.hidden = offers.length === 0;
    this.#input.setAttribute("aria-expanded", String(offers.length > 0));
    this.#input.removeAttribute("aria-activedescendant");
  }

  #close(): void {
    this.#offer([]);
  }

  #take(place: number): void {
    const offer = this.#offers[place];
    this.#close();
    offer?.take();
  }

  #move(place: number): void {
    this.#at = (place + this.#offers.length) % this.#offers.length;
    for (const [i, line] of [...this.#popup.children].entries()) {
      line.setAttribute("aria-selected", String(i === this.#at));
      if (i === this.#at) line.scrollIntoView({ block: "nearest" });
    }
    this.#input.setAttribute("aria-activedescendant", `filter-offer-${this.#at}`);
  }

  /** What was applied before. */
  #remembered(): void {
    this.#offer(this.#history.map((text) => ({ text, hint: "", take: () => this.set(text) })));
    if (this.#offers.length > 0) this.#move(0);
  }

  #key(event: KeyboardEvent): void {
    const open = this.#offers.length > 0;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowDown" && open) this.#move(this.#at + 1);
    else if (event.key === "ArrowUp" && open) this.#move(this.#at - (this.#at < 0 ? 0 : 1));
    else if (event.key === "ArrowDown") this.#remembered();
    else if ((event.key === "Enter" || event.key === "Tab") && this.#at >= 0) this.#take(this.#at);
    else if (event.key === "Enter") this.#apply();
    else if (event.key === "Escape" && open) this.#close();
    else if (event.key === "Escape") this.#events.left();
    else return;
    event.preventDefault();
  }
}
