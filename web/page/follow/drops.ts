/** Where packets ended that should not have: time, place, reason; each can be followed. */
import type { DropRow } from "../../session/follow/protocol.ts";
import { button, type Page } from "../page.ts";
import type { StageView } from "../stage.ts";
import { momentText } from "./model.ts";

const COLUMNS = ["Time (s)", "Where", "Reason", "Protocol", "Source", "Destination", "Summary"] as const;
/** Drops that are listed at most: the newest. */
const MOST = 500;
/** Wall time between two looks while time runs, ms. */
const PERIOD_MS = 400;

/** The view. */
export class DropsView implements StageView {
  readonly id = "lost";
  readonly title = "Drops";
  readonly #page: Page;
  readonly #follow: (journey: number) => void;
  readonly #root = document.createElement("div");
  readonly #said = document.createElement("p");
  readonly #all = document.createElement("input");
  readonly #body = document.createElement("tbody");
  readonly #button: HTMLButtonElement;
  #rows: readonly DropRow[] = [];
  #at = -1;
  #shown = false;
  #busy = false;
  #stale = true;
  #timer: number | undefined;

  /** @param follow shows a packet's life */
  constructor(page: Page, follow: (journey: number) => void) {
    this.#page = page;
    this.#follow = follow;
    this.#button = button("Follow", () => this.#followChosen());
    this.#button.id = "drop-follow";
    this.#button.disabled = true;
    this.#said.setAttribute("role", "status");
    this.#said.className = "follow-summary";
    this.#root.className = "drops";
    this.#root.append(this.#bar(), this.#said, this.#table());
    page.hub.on("lab", () => this.#changed());
    page.hub.on("status", () => this.#changed());
  }

  mount(panel: HTMLElement): void {
    panel.append(this.#root);
  }

  shown(shown: boolean): void {
    this.#shown = shown;
    if (shown) this.#changed();
    else clearTimeout(this.#timer);
  }

  #bar(): HTMLElement {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Drops");
    const label = document.createElement("label");
    Object.assign(this.#all, { type: "checkbox", id: "drops-all" });
    label.title =
      "OTHERHOST, ARP_CONSUMED, ARP_PROXY_CONSUMED: frames that were flooded to somebody who doesn't want them";
    label.append(this.#all, "Copies for somebody else too");
    this.#all.addEventListener("change", () => this.#changed());
    bar.append(this.#button, label);
    return bar;
  }

  #table(): HTMLElement {
    const scroller = document.createElement("div");
    scroller.className = "journey-table";
    const table = document.createElement("table");
    table.setAttribute("role", "grid");
    table.setAttribute("aria-label", "Dropped packets: arrow keys select, Enter follows");
    const head = document.createElement("tr");
    for (const name of COLUMNS) {
      const cell = document.createElement("th");
      Object.assign(cell, { scope: "col", textContent: name });
      head.append(cell);
    }
    const top = document.createElement("thead");
    top.append(head);
    table.append(top, this.#body);
    this.#body.addEventListener("click", (event) => this.#select(this.#index(event)));
    this.#body.addEventListener("dblclick", () => this.#followChosen());
    this.#body.addEventListener("keydown", (event) => this.#key(event));
    scroller.append(table);
    return scroller;
  }

  #index(event: Event): number {
    const line = (event.target as Element).closest<HTMLTableRowElement>("tbody tr");
    return line === null ? -1 : line.sectionRowIndex;
  }

  #changed(): void {
    this.#stale = true;
    if (!this.#shown || this.#busy || this.#timer !== undefined) return;
    this.#page.attempt(this.#load());
  }

  async #load(): Promise<void> {
    this.#busy = true;
    this.#stale = false;
    try {
      const { rows, total, forgotten } = await this.#page.session.drops(this.#all.checked, MOST);
      const first = total > rows.length ? `, the last ${rows.length} of them here` : "";
      const lost = forgotten === 0 ? "" : `; ${forgotten} older ones are forgotten`;
      this.#said.textContent = `${total} dropped${first}${lost}.`;
      this.#render(rows);
    } finally {
      this.#busy = false;
      this.#timer = window.setTimeout(() => {
        this.#timer = undefined;
        if (this.#stale) this.#changed();
      }, PERIOD_MS);
    }
  }

  #render(rows: readonly DropRow[]): void {
    const same = (row: DropRow | undefined, other: DropRow): boolean =>
      row?.journey === other.journey && row.time === other.time && row.place === other.place;
    if (rows.length === this.#rows.length && rows.every((row, i) => same(this.#rows[i], row))) return;
    const chosen = this.#rows[this.#at];
    const focused = this.#body.contains(document.activeElement);
    this.#rows = rows;
    this.#body.replaceChildren(...rows.map(line));
    this.#at = chosen === undefined ? -1 : rows.findIndex((row) => same(chosen, row));
    this.#mark();
    if (focused) this.#body.rows[Math.max(0, this.#at)]?.focus();
  }

  #mark(): void {
    for (const [i, one] of [...this.#body.rows].entries()) {
      one.tabIndex = i === Math.max(0, this.#at) ? 0 : -1;
      one.setAttribute("aria-selected", String(i === this.#at));
    }
    this.#button.disabled = this.#at < 0;
  }

  #select(at: number): void {
    if (at < 0 || at >= this.#rows.length) return;
    this.#at = at;
    this.#mark();
    this.#body.rows[at]?.focus();
  }

  #followChosen(): void {
    const row = this.#rows[this.#at];
    if (row !== undefined) this.#follow(row.journey);
  }

  #key(event: KeyboardEvent): void {
    const at = this.#index(event);
    const last = this.#rows.length - 1;
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: Math.min(last, at + 1),
      ArrowUp: Math.max(0, at - 1),
      PageDown: Math.min(last, at + 10),
      PageUp: Math.max(0, at - 10),
      Home: 0,
      End: last,
      Enter: at,
    };
    const target = targets[event.key];
    if (target === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.#select(target);
    if (event.key === "Enter") this.#followChosen();
  }
}

function line({ time, place, reason, text, protocol, source, destination, summary }: DropRow): HTMLTableRowElement {
  const made = document.createElement("tr");
  for (const [i, value] of [momentText(time), place, reason, protocol, source, destination, summary].entries()) {
    const cell = document.createElement("td");
    cell.textContent = value;
    cell.title = i === 2 ? `${reason}: ${text}` : value;
    if (i === 0) cell.className = "number";
    if (i === 2) cell.classList.add("reason");
    made.append(cell);
  }
  return made;
}
