/** A grid of many rows: only those in sight exist (WAI-ARIA Authoring Practices, grid pattern with one active cell). */
import type { GridColumn, GridRow } from "./model.ts";

const ROW_HEIGHT = 20;
/** Cells that changed are marked for so long, ms. */
const CHANGED_MS = 2000;

/** What a grid tells. */
export interface GridListener {
  /** A heading was chosen. */
  sort(column: number): void;
  /** Another cell is active. @param row undefined: none, or the headings @param text the cell's */
  active(row: GridRow | undefined, text: string): void;
  /** Enter, or a double click, on a row. */
  open(row: GridRow): void;
}

/** Which cell is active; row -1 is the headings. */
interface Place {
  readonly row: number;
  readonly column: number;
}

/** The grid. */
export class TableGrid {
  readonly element = document.createElement("div");
  readonly #listener: GridListener;
  readonly #head = document.createElement("div");
  readonly #body = document.createElement("div");
  #columns: readonly GridColumn[] = [];
  #rows: readonly GridRow[] = [];
  #at: Place = { row: 0, column: 0 };
  #template = "";
  /** When cells changed, by row and column. */
  readonly #changed = new Map<string, number>();
  #sort: { readonly column: number; readonly descending: boolean } | undefined;

  constructor(label: string, listener: GridListener) {
    this.#listener = listener;
    const { element } = this;
    element.className = "table-grid";
    element.tabIndex = 0;
    element.setAttribute("role", "grid");
    element.setAttribute("aria-label", label);
    this.#head.className = "table-row table-head";
    this.#head.setAttribute("role", "row");
    this.#body.className = "table-body";
    this.#body.setAttribute("role", "rowgroup");
    element.append(this.#head, this.#body);
    element.addEventListener("scroll", () => this.#show());
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("click", (event) => this.#click(event.target as Element));
    element.addEventListener("dblclick", () => this.#open());
    new ResizeObserver(() => this.#show()).observe(element);
  }

  /** Puts rows in place of those that are shown. @param widths of columns, in characters */
  set(
    columns: readonly GridColumn[],
    rows: readonly GridRow[],
    widths: readonly number[],
    sort: { readonly column: number; readonly descending: boolean } | undefined,
  ): void {
    const active = this.#rows[this.#at.row]?.key;
    const same =
      columns.length === this.#columns.length && columns.every((one, i) => one.title === this.#columns[i]?.title);
    if (!same) {
      this.#at = { row: 0, column: 0 };
      this.#changed.clear();
      this.element.scrollTop = 0;
    }
    this.#columns = columns;
    this.#sort = sort;
    this.#rows = rows;
    // The row that was active stays so, wherever it is now.
    const found = active === undefined || !same ? -1 : rows.findIndex(({ key }) => key === active);
    if (found >= 0) this.#at = { ...this.#at, row: found };
    else if (this.#at.row >= rows.length) this.#at = { ...this.#at, row: Math.max(rows.length - 1, -1) };
    this.#template = widths.map((width) => `calc(${width}ch + 12px)`).join(" ");
    this.element.setAttribute("aria-rowcount", String(rows.length + 1));
    this.element.setAttribute("aria-colcount", String(columns.length));
    this.#body.style.height = `${rows.length * ROW_HEIGHT}px`;
    this.#show();
    this.#tell();
  }

  /** Marks cells for a while. @param cells by row's key and column */
  changed(cells: readonly (readonly [row: string, column: number])[], now: number): void {
    for (const [row, column] of cells) this.#changed.set(`${row}\n${column}`, now);
    for (const [cell, since] of this.#changed) if (now - since > CHANGED_MS) this.#changed.delete(cell);
  }

  get active(): GridRow | undefined {
    return this.#rows[this.#at.row];
  }

  #show(): void {
    const { scrollTop, clientHeight } = this.element;
    const from = Math.max(0, Math.floor(scrollTop / ROW_HEIGHT) - 1);
    const to = Math.min(this.#rows.length, from + Math.ceil(clientHeight / ROW_HEIGHT) + 2);
    this.#head.style.gridTemplateColumns = this.#template;
    this.#head.replaceChildren(...this.#columns.map((column, i) => this.#heading(column, i)));
    const shown: HTMLElement[] = [];
    for (let i = from; i < to; i++) shown.push(this.#row(this.#rows[i] as GridRow, i));
    this.#body.replaceChildren(...shown);
    const cell = this.element.querySelector(".active");
    if (cell === null) this.element.removeAttribute("aria-activedescendant");
    else this.element.setAttribute("aria-activedescendant", cell.id);
  }

  #cell(text: string, role: string, { row, column }: Place): HTMLElement {
    const cell = document.createElement("span");
    cell.textContent = text;
    cell.title = text;
    cell.id = `table-cell-${row}-${column}`;
    cell.dataset["row"] = String(row);
    cell.dataset["column"] = String(column);
    cell.setAttribute("role", role);
    cell.setAttribute("aria-colindex", String(column + 1));
    cell.classList.toggle("number", this.#columns[column]?.right === true);
    cell.classList.toggle("active", row === this.#at.row && column === this.#at.column);
    return cell;
  }

  #heading({ title }: GridColumn, column: number): HTMLElement {
    const sort = this.#sort?.column === column ? this.#sort : undefined;
    const cell = this.#cell(sort === undefined ? title : `${title} ${sort.descending ? "▾" : "▴"}`, "columnheader", {
      row: -1,
      column,
    });
    cell.title = `Sort by ${title === "±" ? "the sign" : title}`;
    cell.setAttribute("aria-sort", sort === undefined ? "none" : sort.descending ? "descending" : "ascending");
    return cell;
  }

  #row({ key, texts, mark, differ }: GridRow, index: number): HTMLElement {
    const row = document.createElement("div");
    row.className = "table-row";
    row.style.top = `${index * ROW_HEIGHT}px`;
    row.style.gridTemplateColumns = this.#template;
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", String(index + 2));
    row.setAttribute("aria-selected", String(index === this.#at.row));
    row.dataset["mark"] = mark;
    for (const [column, text] of texts.entries()) {
      const cell = this.#cell(text, "gridcell", { row: index, column });
      cell.classList.toggle("differs", differ.has(column));
      cell.classList.toggle("changed", this.#changed.has(`${key}\n${column}`));
      row.append(cell);
    }
    return row;
  }

  #move(place: Place): void {
    const row = Math.max(-1, Math.min(this.#rows.length - 1, place.row));
    const column = Math.max(0, Math.min(this.#columns.length - 1, place.column));
    this.#at = { row, column };
    const { element } = this;
    const head = this.#head.offsetHeight;
    const top = row * ROW_HEIGHT;
    if (row >= 0 && top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_HEIGHT > element.scrollTop + element.clientHeight - head)
      element.scrollTop = top + ROW_HEIGHT - element.clientHeight + head;
    this.#show();
    this.#intoSight();
    this.#tell();
  }

  /** Scrolls sideways to the active cell. */
  #intoSight(): void {
    const cell = this.element.querySelector<HTMLElement>(".active");
    if (cell === null) return;
    const { scrollLeft, clientWidth } = this.element;
    if (cell.offsetLeft < scrollLeft) this.element.scrollLeft = cell.offsetLeft;
    else if (cell.offsetLeft + cell.offsetWidth > scrollLeft + clientWidth)
      this.element.scrollLeft = Math.min(cell.offsetLeft, cell.offsetLeft + cell.offsetWidth - clientWidth);
  }

  #tell(): void {
    this.#listener.active(this.active, this.active?.texts[this.#at.column] ?? "");
  }

  #click(target: Element): void {
    const cell = target.closest<HTMLElement>("[data-column]");
    if (cell === null) return;
    const place = { row: Number(cell.dataset["row"]), column: Number(cell.dataset["column"]) };
    this.#move(place);
    if (place.row < 0) this.#listener.sort(place.column);
  }

  #open(): void {
    const { active } = this;
    if (active !== undefined) this.#listener.open(active);
  }

  #key(event: KeyboardEvent): void {
    const { row, column } = this.#at;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_HEIGHT) - 2);
    const all = event.ctrlKey || event.metaKey;
    const targets: Readonly<Record<string, Place>> = {
      ArrowDown: { row: row + 1, column },
      ArrowUp: { row: row - 1, column },
      ArrowRight: { row, column: column + 1 },
      ArrowLeft: { row, column: column - 1 },
      PageDown: { row: row + page, column },
      PageUp: { row: Math.max(0, row - page), column },
      Home: all ? { row: 0, column: 0 } : { row, column: 0 },
      End: all
        ? { row: this.#rows.length - 1, column: this.#columns.length - 1 }
        : { row, column: this.#columns.length - 1 },
    };
    const target = targets[event.key];
    if (target !== undefined) this.#move(target);
    else if (event.key === "Enter" || event.key === " ") {
      if (row < 0) this.#listener.sort(column);
      else if (event.key === "Enter") this.#open();
      else return;
    } else return;
    event.preventDefault();
    // The page's own keys are for when no grid has them.
    event.stopPropagation();
  }
}
