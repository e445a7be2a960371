/** The packet list's looks and keys: only the rows that are in sight exist. */

const ROW_HEIGHT = 20;
/** Rows that are made above and below those in sight. */
const SPARE = 12;
/** Browsers' boxes end somewhere (Firefox: 17.9 million pixels); a longer list is scrolled faster than it moves. */
const MOST_PIXELS = 8_000_000;
/** What Wireshark shows, and where it was captured. */
const COLUMNS = ["No.", "Time", "Source", "Destination", "Protocol", "Length", "Info", "Captured on"] as const;
const NUMBERS: readonly number[] = [0, 1, 5];

/** A row. */
export interface ListRow {
  readonly position: number;
  /** Of its frame, in the recording. */
  readonly index: number;
  readonly cells: readonly string[];
  /** CSS colours, where a rule of colouring holds. */
  readonly colors: { readonly background: string; readonly color: string } | undefined;
}

/** Where rows come from, and who is told of what the user does. */
export interface ListSource {
  /** Rows by position. */
  rows(from: number, count: number): Promise<readonly ListRow[]>;
  selected(position: number): void;
  /** The user wants to look into the packet. */
  entered(): void;
  menu(position: number, place: { readonly x: number; readonly y: number }): void;
  /** Whether the list follows its end from now on. */
  follows(follows: boolean): void;
}

function cells(texts: readonly string[], role: string): HTMLElement[] {
  return texts.map((text, column) => {
    const cell = document.createElement("span");
    cell.textContent = text;
    cell.title = text;
    cell.setAttribute("role", role);
    if (NUMBERS.includes(column)) cell.className = "number";
    return cell;
  });
}

/** The list. */
export class PacketList {
  readonly #source: ListSource;
  /** The grid: its head stays at the upper edge. */
  readonly #scroller = document.createElement("div");
  readonly #head = document.createElement("div");
  readonly #space = document.createElement("div");
  #count = 0;
  /** The selected row's position. */
  #selected: number | undefined;
  #follows = true;
  /** Rows are being asked for; they will be stale when they come. */
  #asking = false;
  #stale = false;
  #asked: { readonly from: number; readonly to: number } | undefined;

  constructor(place: HTMLElement, source: ListSource) {
    this.#source = source;
    this.#head.className = "head";
    this.#head.setAttribute("role", "row");
    this.#head.append(...cells(COLUMNS, "columnheader"));
    Object.assign(this.#scroller, { className: "rows", tabIndex: 0 });
    this.#scroller.setAttribute("role", "grid");
    this.#scroller.setAttribute("aria-label", "Captured packets: arrow keys select, Enter opens");
    this.#space.className = "space";
    this.#space.setAttribute("role", "rowgroup");
    this.#scroller.append(this.#head, this.#space);
    place.append(this.#scroller);
    this.#scroller.addEventListener("scroll", () => this.#scrolled());
    this.#scroller.addEventListener("keydown", (event) => this.#key(event));
    this.#scroller.addEventListener("click", (event) => this.#at(event, (position) => source.selected(position)));
    this.#scroller.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      this.#at(event, (position) => source.menu(position, { x: event.clientX, y: event.clientY }));
    });
    new ResizeObserver(() => this.refresh()).observe(this.#scroller);
  }

  #at(event: Event, action: (position: number) => void): void {
    const row = (event.target as Element).closest<HTMLElement>("[data-position]");
    if (row !== null) action(Number(row.dataset["position"]));
  }

  /** A list longer than a box can be is drawn where it is scrolled to: rows by pixel of the scroll bar. */
  get #height(): number {
    return Math.min(MOST_PIXELS, this.#count * ROW_HEIGHT);
  }

  /** What rows have of the height. */
  get #view(): number {
    return this.#scroller.clientHeight - this.#head.offsetHeight;
  }

  /** The row at the upper edge, with its fraction. */
  get #first(): number {
    const { scrollTop } = this.#scroller;
    const whole = this.#count * ROW_HEIGHT;
    if (whole <= MOST_PIXELS) return scrollTop / ROW_HEIGHT;
    return ((scrollTop / (MOST_PIXELS - this.#view)) * (whole - this.#view)) / ROW_HEIGHT;
  }

  #scrollTo(row: number): void {
    const whole = this.#count * ROW_HEIGHT;
    const top = row * ROW_HEIGHT;
    this.#scroller.scrollTop = whole <= MOST_PIXELS ? top : (top / (whole - this.#view)) * (MOST_PIXELS - this.#view);
  }

  /** How many rows there are now. */
  count(count: number): void {
    if (count === this.#count) return;
    this.#count = count;
    if (this.#selected !== undefined && this.#selected >= count) this.#selected = undefined;
    this.#space.style.height = `${this.#height}px`;
    this.#scroller.setAttribute("aria-rowcount", String(count + 1));
    if (this.#follows) this.#scroller.scrollTop = this.#height;
    this.refresh();
  }

  /** Whether the newest row stays in sight. */
  set follows(follows: boolean) {
    this.#follows = follows;
    if (follows) this.#scroller.scrollTop = this.#height;
  }

  /** The keyboard's place. */
  focus(): void {
    this.#scroller.focus();
  }

  #scrolled(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    const end = scrollTop + clientHeight >= scrollHeight - 2;
    if (this.#follows !== end) {
      this.#follows = end;
      this.#source.follows(end);
    }
    this.#place();
    const [from, to] = this.#sight();
    if (this.#asked === undefined || from < this.#asked.from || to > this.#asked.to) void this.#show();
  }

  /** Rows have changed. */
  refresh(): void {
    void this.#show();
  }

  #sight(): readonly [from: number, to: number] {
    const first = Math.floor(this.#first);
    return [first, Math.min(this.#count, first + Math.ceil(this.#view / ROW_HEIGHT) + 1)];
  }

  /** One request at a time: in a busy run each is old before it is answered. */
  async #show(): Promise<void> {
    this.#stale = true;
    if (this.#asking) return;
    this.#asking = true;
    try {
      while (this.#stale) {
        this.#stale = false;
        await this.#fetch();
      }
    } finally {
      this.#asking = false;
    }
  }

  async #fetch(): Promise<void> {
    const [first, last] = this.#sight();
    const from = Math.max(0, first - SPARE);
    const to = Math.min(this.#count, last + SPARE);
    this.#asked = { from, to };
    const rows = to > from ? await this.#source.rows(from, to - from) : [];
    this.#space.replaceChildren(...rows.filter(({ position }) => position < this.#count).map((row) => this.#row(row)));
    this.#place();
    this.#mark();
  }

  /** Puts rows where they belong; in a list of full height they stay there. */
  #place(): void {
    const shift = this.#count * ROW_HEIGHT <= MOST_PIXELS ? 0 : this.#scroller.scrollTop - this.#first * ROW_HEIGHT;
    for (const row of this.#space.children as Iterable<HTMLElement> & HTMLCollection) {
      const { style, dataset } = row as HTMLElement;
      style.top = `${Number(dataset["position"]) * ROW_HEIGHT + shift}px`;
    }
  }

  #row({ position, index, cells: texts, colors }: ListRow): HTMLElement {
    const element = document.createElement("div");
    element.className = "row";
    element.id = `packet-${position}`;
    Object.assign(element.dataset, { position: String(position), index: String(index) });
    element.setAttribute("role", "row");
    element.setAttribute("aria-rowindex", String(position + 2));
    if (colors !== undefined) {
      element.style.setProperty("--row-back", colors.background);
      element.style.setProperty("--row-text", colors.color);
    }
    element.append(...cells(texts, "gridcell"));
    return element;
  }

  #mark(): void {
    for (const row of this.#space.children)
      row.setAttribute("aria-selected", String(Number((row as HTMLElement).dataset["position"]) === this.#selected));
    if (this.#selected === undefined) this.#scroller.removeAttribute("aria-activedescendant");
    else this.#scroller.setAttribute("aria-activedescendant", `packet-${this.#selected}`);
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#view / ROW_HEIGHT) - 1);
    const at = this.#selected ?? Math.floor(this.#first) - 1;
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.#count - 1,
    };
    const target = targets[event.key];
    if (event.key === "Enter" && this.#selected !== undefined) this.#source.entered();
    else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) this.#menu();
    else if (target === undefined || this.#count === 0) return;
    else this.#source.selected(Math.max(0, Math.min(this.#count - 1, target)));
    event.preventDefault();
  }

  #menu(): void {
    const row = this.#space.querySelector('[aria-selected="true"]');
    if (row === null || this.#selected === undefined) return;
    const { left, bottom } = row.getBoundingClientRect();
    this.#source.menu(this.#selected, { x: left + 60, y: bottom });
  }

  /** Marks a row and brings it into sight; undefined: none is marked. */
  select(position: number | undefined): void {
    this.#selected = position;
    if (position !== undefined) {
      const first = this.#first;
      const fits = this.#view / ROW_HEIGHT;
      if (position < first) this.#scrollTo(position);
      else if (position + 1 > first + fits) this.#scrollTo(position + 1 - fits);
    }
    this.#mark();
    this.#scrolled();
  }
}
