/** Bytes as Wireshark shows them: offset, hexadecimal, ASCII; fields are marked in both, rows in sight exist only. */

const WIDTH = 16;
const LINE_HEIGHT = 18;

/** A stretch of bytes. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** What the user does with bytes. */
export interface ByteEvents {
  /** The mouse is over a byte, or over none. */
  hovered(at: number | undefined): void;
  selected(at: number): void;
}

const MARKS = ["chosen", "hover"] as const;
/** Chosen, or under the mouse. */
export type Mark = (typeof MARKS)[number];

/** Two hexadecimal digits. */
function hex(byte: number, digits = 2): string {
  return byte.toString(16).padStart(digits, "0");
}

function span(text: string, at: number): HTMLElement {
  const made = document.createElement("span");
  made.textContent = text;
  made.dataset["at"] = String(at);
  return made;
}

/** A pane of bytes. */
export class BytesView {
  readonly #pane: HTMLElement;
  readonly #space = document.createElement("div");
  readonly #data: Uint8Array;
  readonly #events: ByteEvents;
  readonly #marks: Record<Mark, ByteRange | undefined> = { chosen: undefined, hover: undefined };

  constructor(pane: HTMLElement, data: Uint8Array, label: string, events: ByteEvents) {
    this.#pane = pane;
    this.#data = data;
    this.#events = events;
    pane.classList.add("hex");
    pane.tabIndex = 0;
    pane.setAttribute("role", "region");
    pane.setAttribute("aria-label", label);
    this.#space.style.height = `${Math.ceil(data.length / WIDTH) * LINE_HEIGHT}px`;
    pane.replaceChildren(this.#space);
    pane.addEventListener("scroll", () => this.#draw());
    pane.addEventListener("keydown", (event) => this.#key(event));
    pane.addEventListener("click", (event) => this.#at(event.target, (at) => events.selected(at)));
    pane.addEventListener("pointermove", ({ target }) => {
      const at = (target as HTMLElement).dataset["at"];
      events.hovered(at === undefined ? undefined : Number(at));
    });
    pane.addEventListener("pointerleave", () => events.hovered(undefined));
    new ResizeObserver(() => this.#draw()).observe(pane);
    this.#draw();
  }

  #at(target: EventTarget | null, action: (at: number) => void): void {
    const at = (target as HTMLElement).dataset["at"];
    if (at !== undefined) action(Number(at));
  }

  /** Marks a stretch. @param show brings it into sight */
  mark(mark: Mark, range: ByteRange | undefined, show = false): void {
    this.#marks[mark] = range;
    if (show && range !== undefined && range.length > 0) this.#reveal(range.start);
    this.#paint();
  }

  #reveal(at: number): void {
    const top = Math.floor(at / WIDTH) * LINE_HEIGHT;
    const { scrollTop, clientHeight } = this.#pane;
    if (clientHeight === 0) return;
    if (top < scrollTop) this.#pane.scrollTop = top;
    else if (top + LINE_HEIGHT > scrollTop + clientHeight) this.#pane.scrollTop = top + LINE_HEIGHT - clientHeight;
    this.#draw();
  }

  #draw(): void {
    const { scrollTop, clientHeight } = this.#pane;
    const first = Math.floor(scrollTop / LINE_HEIGHT);
    const last = Math.min(Math.ceil(this.#data.length / WIDTH), first + Math.ceil(clientHeight / LINE_HEIGHT) + 1);
    const lines: HTMLElement[] = [];
    for (let line = first; line < last; line++) lines.push(this.#line(line));
    this.#space.replaceChildren(...lines);
    this.#paint();
  }

  #line(number: number): HTMLElement {
    const at = number * WIDTH;
    const bytes = [...this.#data.subarray(at, at + WIDTH)];
    const line = document.createElement("div");
    line.className = "line";
    line.style.top = `${number * LINE_HEIGHT}px`;
    const offset = document.createElement("span");
    offset.className = "offset";
    offset.textContent = `${hex(at, 4)}  `;
    line.append(offset);
    for (const [i, byte] of bytes.entries()) line.append(span(`${hex(byte)} `, at + i), i === 7 ? " " : "");
    line.append(" ".repeat(3 * (WIDTH - bytes.length) + (bytes.length <= 7 ? 1 : 0) + 1));
    const printed = (byte: number): string => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·");
    for (const [i, byte] of bytes.entries()) line.append(span(printed(byte), at + i));
    return line;
  }

  #paint(): void {
    for (const cell of this.#space.querySelectorAll<HTMLElement>("[data-at]")) {
      const at = Number(cell.dataset["at"]);
      for (const mark of MARKS) {
        const range = this.#marks[mark];
        cell.classList.toggle(mark, range !== undefined && at >= range.start && at < range.start + range.length);
      }
    }
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#data.length === 0) return;
    const { start, length } = this.#marks.chosen ?? { start: 0, length: 0 };
    const targets: Readonly<Record<string, number>> = {
      ArrowRight: start + Math.max(1, length),
      ArrowLeft: start - 1,
      ArrowDown: start + WIDTH,
      ArrowUp: start - WIDTH,
      Home: 0,
      End: this.#data.length - 1,
    };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    if (target >= 0 && target < this.#data.length) this.#events.selected(target);
  }
}
