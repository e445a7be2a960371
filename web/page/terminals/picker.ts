/** The dialog in which a terminal is chosen among all hosts and their containers. */
import type { TerminalPlace } from "../../session/terminals/protocol.ts";
import { button, type Page } from "../page.ts";

/** Entries that are listed at most; a filter finds the others. */
const MOST = 200;

/** Where a terminal is opened. */
export interface Chosen {
  readonly host: string;
  readonly container?: string;
}

/** What the dialog tells. */
export interface PickerEvents {
  /** @param another a second terminal, where one is open already */
  chosen(place: Chosen, another: boolean): void;
  /** Terminals' text is to be told to a screen reader, or not. */
  reader(on: boolean): void;
}

/** The dialog. */
export class Picker {
  readonly #page: Page;
  readonly #events: PickerEvents;
  readonly #dialog = document.createElement("dialog");
  readonly #filter = document.createElement("input");
  readonly #list = document.createElement("ul");
  readonly #count = document.createElement("p");
  readonly #another = document.createElement("input");
  #all: readonly Chosen[] = [];

  constructor(page: Page, events: PickerEvents) {
    this.#page = page;
    this.#events = events;
    const title = document.createElement("h2");
    Object.assign(title, { id: "picker-title", textContent: "Open a terminal" });
    Object.assign(this.#filter, { type: "search", autocomplete: "off", spellcheck: false });
    this.#filter.setAttribute("aria-label", "Hosts and containers whose names contain");
    this.#filter.placeholder = "host or container";
    this.#filter.addEventListener("input", () => this.#show());
    this.#count.setAttribute("role", "status");
    const reader = document.createElement("input");
    reader.type = "checkbox";
    reader.addEventListener("change", () => events.reader(reader.checked));
    this.#another.type = "checkbox";
    const close = button("Cancel", () => this.#dialog.close());
    this.#dialog.className = "picker";
    this.#dialog.setAttribute("aria-labelledby", title.id);
    this.#dialog.append(
      title,
      this.#filter,
      this.#list,
      this.#count,
      labelled(this.#another, "Another one, beside that which is open"),
      labelled(reader, "Tell a screen reader what terminals print"),
      close,
    );
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    document.body.append(this.#dialog);
  }

  /** Shows it, with what there is now. */
  async open(): Promise<void> {
    this.#all = (await this.#page.session.places()).flatMap(placesOf);
    this.#filter.value = "";
    this.#another.checked = false;
    this.#show();
    this.#dialog.showModal();
    this.#filter.focus();
  }

  #show(): void {
    const words = this.#filter.value.toLowerCase().split(/\s+/);
    const fitting = this.#all.filter((place) => words.every((word) => nameOf(place).toLowerCase().includes(word)));
    const items = fitting.slice(0, MOST).map((place) => {
      const item = document.createElement("li");
      item.append(button(nameOf(place), () => this.#choose(place)));
      return item;
    });
    this.#list.replaceChildren(...items);
    const more = fitting.length - items.length;
    this.#count.textContent = `${fitting.length} of ${this.#all.length}${more > 0 ? `; ${more} not listed` : ""}`;
  }

  #choose(place: Chosen): void {
    this.#dialog.close();
    this.#events.chosen(place, this.#another.checked);
  }

  /** The arrows go through the list, Enter in the filter takes its first entry. */
  #key(event: KeyboardEvent): void {
    const entries = [...this.#list.querySelectorAll("button")];
    const at = entries.indexOf(document.activeElement as HTMLButtonElement);
    const inFilter = document.activeElement === this.#filter;
    if (event.key === "ArrowDown" && (inFilter || at >= 0)) entries[at + 1]?.focus();
    else if (event.key === "ArrowUp" && at >= 0) (entries[at - 1] ?? this.#filter).focus();
    else if (event.key === "Enter" && inFilter) entries[0]?.click();
    else return;
    event.preventDefault();
  }
}

function placesOf({ host, containers }: TerminalPlace): Chosen[] {
  return [{ host }, ...containers.map((container) => ({ host, container }))];
}

function nameOf({ host, container }: Chosen): string {
  return container === undefined ? host : `${host}/${container}`;
}

function labelled(input: HTMLInputElement, text: string): HTMLLabelElement {
  const label = document.createElement("label");
  label.append(input, ` ${text}`);
  return label;
}
