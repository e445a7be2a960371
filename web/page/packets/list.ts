/** The packet list: only the rows that are in sight exist; the worker is asked for them. */
import type { PacketRow } from "../../session/packets/protocol.ts";

const ROW_HEIGHT = 20;
const COLUMNS = ["No.", "Time (s)", "Source", "Destination", "Protocol", "Length", "Summary", "Captured on"] as const;

/** Where rows come from, and who is told of the user's choice. */
export interface PacketSource {
  rows(from: number, count: number): Promise<readonly PacketRow[]>;
  selected(index: number): void;
}

function cells(texts: readonly string[], role: string): HTMLElement[] {
  return texts.map((text, column) => {
    const cell = document.createElement("span");
    cell.textContent = text;
    cell.title = text;
    cell.setAttribute("role", role);
    if ([0, 1, 5].includes(column)) cell.className = "number";
    return cell;
  });
}

/** The list. */
export class PacketList {
  readonly #source: PacketSource;
  readonly #scroller = document.createElement("div");
  readonly #space = document.createElement("div");
  #count = 0;
  #selected: number | undefined;
  /** The newest request for rows; answers to older ones are late. */
  #request = 0;

  constructor(place: HTMLElement, source: PacketSource) {
    this.#source = source;
    const head = document.createElement("div");
    head.className = "row head";
    head.setAttribute("role", "row");
    head.append(...cells(COLUMNS, "columnheader"));
    Object.assign(this.#scroller, { className: "rows", tabIndex: 0 });
    this.#scroller.setAttribute("role", "rowgroup");
    this.#scroller.setAttribute("aria-label", "Packets: arrow keys select");
    this.#scroller.append(this.#space);
    place.setAttribute("role", "grid");
    place.setAttribute("aria-label", "Captured packets");
    place.append(head, this.#scroller);
    this.#scroller.addEventListener("scroll", () => void this.#show());
    this.#scroller.addEventListener("keydown", (event) => this.#key(event));
    this.#scroller.addEventListener("click", (event) => {
      const row = (event.target as Element).closest<HTMLElement>("[data-index]");
      if (row !== null) this.#source.selected(Number(row.dataset["index"]));
    });
    new ResizeObserver(() => void this.#show()).observe(this.#scroller);
  }

  /** How many there are now; 0 begins anew. */
  count(count: number): void {
    if (count === this.#count) return;
    const { scrollTop, clientHeight } = this.#scroller;
    const follows = this.#selected === undefined && scrollTop + clientHeight >= this.#count * ROW_HEIGHT - ROW_HEIGHT;
    if (count < this.#count) this.#selected = undefined;
    this.#count = count;
    this.#space.style.height = `${count * ROW_HEIGHT}px`;
    this.#scroller.parentElement?.setAttribute("aria-rowcount", String(count + 1));
    if (follows) this.#scroller.scrollTop = count * ROW_HEIGHT;
    void this.#show();
  }

  async #show(): Promise<void> {
    const request = ++this.#request;
    const { scrollTop, clientHeight } = this.#scroller;
    const from = Math.floor(scrollTop / ROW_HEIGHT);
    const wanted = Math.min(this.#count - from, Math.ceil(clientHeight / ROW_HEIGHT) + 1);
    const rows = wanted > 0 ? await this.#source.rows(from, wanted) : [];
    if (request === this.#request) this.#space.replaceChildren(...rows.map((row) => this.#row(row)));
  }

  #row(row: PacketRow): HTMLElement {
    const element = document.createElement("div");
    element.className = "row";
    element.id = `packet-${row.index}`;
    element.dataset["index"] = String(row.index);
    element.style.top = `${row.index * ROW_HEIGHT}px`;
    element.setAttribute("role", "row");
    element.setAttribute("aria-rowindex", String(row.index + 2));
    element.setAttribute("aria-selected", String(row.index === this.#selected));
    const time = (row.time / 1e9).toFixed(6);
    const texts = [String(row.index + 1), time, row.source, row.destination, row.protocol, String(row.length)];
    element.append(...cells([...texts, row.summary, row.point], "gridcell"));
    return element;
  }

  #key(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / ROW_HEIGHT) - 1);
    const at = this.#selected ?? Math.floor(this.#scroller.scrollTop / ROW_HEIGHT) - 1;
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.#count - 1,
    };
    const target = targets[event.key];
    if (target === undefined || this.#count === 0) return;
    event.preventDefault();
    this.#source.selected(Math.max(0, Math.min(this.#count - 1, target)));
  }

  /** Marks a row, and brings it into sight. */
  select(index: number): void {
    this.#selected = index;
    const { scrollTop, clientHeight } = this.#scroller;
    const top = index * ROW_HEIGHT;
    if (top < scrollTop) this.#scroller.scrollTop = top;
    else if (top + ROW_HEIGHT > scrollTop + clientHeight) this.#scroller.scrollTop = top + ROW_HEIGHT - clientHeight;
    this.#scroller.setAttribute("aria-activedescendant", `packet-${index}`);
    void this.#show();
  }
}
