/** Tables of this moment, and what differs between two hosts, two moments, or over all hosts. */
import "./tables.css";
import { formatDuration } from "../../../src/base/time.ts";
import { isTableId } from "../../../src/lab/inspect/tables/list.ts";
import { button, type Page, type PageEvents } from "../page.ts";
import { save } from "../save.ts";
import type { StageView } from "../stage.ts";
import { TableGrid } from "./grid.ts";
import { type Arrangement, arrange, copyText, filterFor, type GridRow, type GridTable, widths } from "./model.ts";
import { Pickers } from "./pickers.ts";
import { readShown } from "./shown.ts";

/** Wall time between two looks while time runs, ms; longer where a look takes long. */
const PERIOD_MS = 250;
/** … but no longer than this: a busy worker's answer takes long, too. */
const MOST_MS = 2000;
/** … and of all hosts, which is much work. */
const MOST_ALL_MS = 30_000;
const COST_FACTOR = 8;

function check(
  text: string,
  id: string,
  changed: () => void,
): { readonly label: HTMLElement; readonly box: HTMLInputElement } {
  const label = document.createElement("label");
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", id });
  box.addEventListener("change", changed);
  label.append(box, text);
  return { label, box };
}

/** The view. */
export class TablesView implements StageView {
  readonly id = "tables";
  readonly title = "Tables";
  readonly #page: Page;
  readonly #front: () => void;
  readonly #root = document.createElement("div");
  readonly #said = document.createElement("p");
  readonly #filter = document.createElement("input");
  readonly #differing = check("Differences only", "table-differing", () => this.#render());
  readonly #volatile = check("Counters and timers too", "table-volatile", () => this.#look());
  readonly #terminal = button("Terminal", () => this.#openTerminal(this.#grid.active));
  readonly #packets = button("Packets", () => this.#showPackets());
  readonly #pickers: Pickers;
  readonly #grid: TableGrid;
  #shown = false;
  /** The active cell's text. */
  #address = "";
  #table: GridTable = { columns: [], rows: [] };
  #sort: Arrangement["sort"];
  /** What the table is of, in words. */
  #what = "";
  /** The choice that is shown: cells are marked as changed while it stays the same. */
  #of = "";
  #request = 0;
  #busy = false;
  /** Something may have changed since the last look. */
  #stale = true;
  #next = 0;
  #timer: number | undefined;

  /** @param front brings the view to the front */
  constructor(page: Page, front: () => void) {
    this.#page = page;
    this.#front = front;
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "What is shown");
    this.#pickers = new Pickers(bar, () => this.#look());
    this.#grid = new TableGrid("Table", {
      sort: (column) => this.#sortBy(column),
      active: (row, text) => this.#activated(row, text),
      open: (row) => this.#openTerminal(row),
    });
    this.#said.className = "tables-said";
    this.#said.setAttribute("role", "status");
    this.#root.className = "tables";
    const tools = document.createElement("div");
    tools.className = "tables-tools";
    tools.append(bar, this.#tools());
    this.#root.append(tools, this.#said, this.#grid.element);
    this.#listen();
  }

  mount(panel: HTMLElement): void {
    panel.append(this.#root);
  }

  shown(shown: boolean): void {
    this.#shown = shown;
    if (shown) this.#look();
    else clearTimeout(this.#timer);
  }

  #tools(): HTMLElement {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Rows");
    const label = document.createElement("label");
    Object.assign(this.#filter, {
      type: "search",
      id: "table-filter",
      size: 24,
      autocomplete: "off",
      spellcheck: false,
    });
    this.#filter.title = "Rows with all of these words; -word: without it";
    this.#filter.addEventListener("input", () => this.#render());
    label.append("Filter", this.#filter);
    const keep = button("Keep this moment", () => this.#page.attempt(this.#keep()));
    keep.id = "table-keep";
    const copy = button("Copy", () => this.#page.attempt(this.#copy()));
    copy.id = "table-copy";
    this.#terminal.id = "table-terminal";
    this.#packets.id = "table-packets";
    this.#packets.title = "Packets to and from the address in the active cell";
    bar.append(label, this.#differing.label, this.#volatile.label, keep, copy, this.#terminal, this.#packets);
    return bar;
  }

  #listen(): void {
    const { hub } = this.#page;
    hub.on("lab", ({ hosts }) => {
      this.#pickers.hosts(hosts);
      this.#of = "";
      this.#table = { columns: [], rows: [] };
      this.#render();
      this.#page.attempt(this.#loadMoments());
      this.#look();
    });
    hub.on("status", () => {
      this.#stale = true;
      this.#schedule();
    });
    hub.on("table", (event) => this.#go(event));
  }

  #go({ host, table, namespace }: PageEvents["table"]): void {
    if (!isTableId(table)) return;
    this.#pickers.choose({ host, table, namespace });
    this.#front();
    this.#look();
  }

  async #loadMoments(): Promise<void> {
    this.#pickers.moments(await this.#page.session.moments());
  }

  async #keep(): Promise<void> {
    const moment = await this.#page.session.keepMoment(this.#pickers.choice.host);
    await this.#loadMoments();
    const { hosts, time } = moment;
    const who = hosts.length === 1 ? `of ${hosts[0]}` : `of ${hosts.length} hosts`;
    this.#said.textContent = `Kept: all tables ${who} at ${formatDuration(time)}. Compare with it later.`;
  }

  async #copy(): Promise<void> {
    const rows = arrange(this.#table.rows, this.#arrangement);
    const text = copyText(this.#table.columns, rows);
    // A page that came over plain HTTP from another machine has no clipboard.
    if (navigator.clipboard === undefined) {
      save(`${this.#pickers.choice.table}.txt`, text, "text/plain");
      return;
    }
    await navigator.clipboard.writeText(text);
    this.#said.textContent = `Copied ${rows.length} rows.`;
  }

  /** Looks now. */
  #look(): void {
    this.#stale = true;
    this.#next = 0;
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#shown || !this.#stale || this.#busy) return;
    const left = this.#next - performance.now();
    clearTimeout(this.#timer);
    if (left > 0) this.#timer = window.setTimeout(() => this.#schedule(), left);
    else this.#page.attempt(this.#refresh());
  }

  async #refresh(): Promise<void> {
    const request = ++this.#request;
    const began = performance.now();
    this.#busy = true;
    this.#stale = false;
    try {
      const { choice, against } = this.#pickers;
      if (choice.host === "") return;
      const { session } = this.#page;
      this.#pickers.namespaces(await session.namespaces(choice.host));
      const { table, what } = await readShown(session, this.#pickers.choice, against, {
        volatile: this.#volatile.box.checked,
        momentText: (id) => this.#pickers.momentText(id),
      });
      if (request === this.#request) this.#take(table, what, JSON.stringify([choice, against]));
    } finally {
      this.#busy = false;
      const most = this.#pickers.against.kind === "all" ? MOST_ALL_MS : MOST_MS;
      const took = performance.now() - began;
      this.#next = performance.now() + Math.min(Math.max(PERIOD_MS, COST_FACTOR * took), most);
      this.#schedule();
    }
  }

  #take(table: GridTable, what: string, of: string): void {
    const titles = ({ columns }: GridTable): string => columns.map(({ title }) => title).join();
    if (titles(table) !== titles(this.#table)) this.#sort = undefined;
    if (of === this.#of) this.#markChanges(table);
    this.#of = of;
    this.#table = table;
    this.#what = what;
    this.#render();
  }

  /** Cells whose text is another one than at the last look. */
  #markChanges(table: GridTable): void {
    const before = new Map(this.#table.rows.map((row) => [row.key, row.texts]));
    const cells: [string, number][] = [];
    for (const { key, texts } of table.rows) {
      const old = before.get(key);
      for (const [column, text] of texts.entries()) if (old?.[column] !== text) cells.push([key, column]);
    }
    this.#grid.changed(cells, performance.now());
  }

  get #arrangement(): Arrangement {
    return { filter: this.#filter.value, differing: this.#compares && this.#differing.box.checked, sort: this.#sort };
  }

  get #compares(): boolean {
    return this.#pickers.against.kind !== "nothing";
  }

  #render(): void {
    const { kind } = this.#pickers.against;
    this.#differing.label.hidden = !this.#compares;
    this.#volatile.label.hidden = !this.#compares || kind === "all";
    const rows = arrange(this.#table.rows, this.#arrangement);
    this.#grid.set(this.#table.columns, rows, widths(this.#table), this.#sort);
    const count = rows.length === this.#table.rows.length ? "" : `${rows.length} of `;
    const words = `${count}${this.#table.rows.length} rows · ${this.#what}`;
    if (this.#said.textContent !== words) this.#said.textContent = words;
  }

  /** Ascending, descending, as it came. */
  #sortBy(column: number): void {
    const sort = this.#sort;
    if (sort?.column !== column) this.#sort = { column, descending: false };
    else this.#sort = sort.descending ? undefined : { column, descending: true };
    this.#render();
  }

  /** The container that a row is about, if it is. */
  #containerOf(row: GridRow | undefined): string | undefined {
    if (this.#pickers.choice.table !== "containers") return undefined;
    return row?.texts[this.#table.columns.findIndex(({ title }) => title === "name")];
  }

  #activated(row: GridRow | undefined, text: string): void {
    const filter = filterFor(text);
    this.#address = text;
    this.#packets.disabled = filter === undefined;
    this.#packets.textContent = filter === undefined ? "Packets" : `Packets of ${filter.address}`;
    const where = this.#containerOf(row) ?? this.#pickers.choice.host;
    this.#terminal.textContent = `Terminal on ${where}`;
    this.#terminal.disabled = where === "";
  }

  #showPackets(): void {
    const filter = filterFor(this.#address);
    if (filter !== undefined) this.#page.hub.tell("filter", filter);
  }

  #openTerminal(row: GridRow | undefined): void {
    const container = this.#containerOf(row);
    const { host } = this.#pickers.choice;
    this.#page.hub.tell("terminal", { host, ...(container === undefined ? {} : { container }) });
  }
}
