/** The run so far as a line, with its steps as marks: a slider that goes to a time. */
import type { Time } from "../../../src/base/time.ts";
import { Scale } from "./scale.ts";
import { clockText } from "./times.ts";

/** A moment on the line. */
export interface Mark {
  readonly time: Time;
  readonly text: string;
}

/** How far arrow keys go, of the whole line. */
const SMALL = 0.01;
const LARGE = 0.1;

function part(name: string): HTMLElement {
  const made = document.createElement("div");
  made.className = name;
  return made;
}

/** The slider. What is chosen on it is gone to by Enter or when the pointer lets go; Escape leaves it. */
export class Timeline {
  readonly #place: HTMLElement;
  readonly #go: (time: Time) => void;
  readonly #past = part("past");
  readonly #marksPart = part("marks");
  readonly #thumb = part("thumb");
  readonly #wanted = part("wanted");
  #marks: readonly Mark[] = [];
  #now: Time = 0;
  #scale = new Scale([], 0);
  /** What is chosen and not gone to yet, 0 … 1. */
  #chosen: number | undefined;

  /** @param go goes to a time */
  constructor(place: HTMLElement, go: (time: Time) => void) {
    this.#place = place;
    this.#go = go;
    place.tabIndex = 0;
    place.setAttribute("role", "slider");
    place.setAttribute("aria-label", "Time: arrows choose, Enter goes there");
    place.setAttribute("aria-valuemin", "0");
    place.append(this.#past, this.#marksPart, this.#wanted, this.#thumb);
    place.addEventListener("keydown", (event) => this.#key(event));
    place.addEventListener("blur", () => this.#choose(undefined));
    place.addEventListener("pointerdown", (event) => {
      place.setPointerCapture(event.pointerId);
      this.#point(event);
    });
    place.addEventListener("pointermove", (event) => {
      if (place.hasPointerCapture(event.pointerId)) this.#point(event);
    });
    place.addEventListener("pointerup", () => this.#enter());
    place.addEventListener("pointercancel", () => this.#choose(undefined));
  }

  /** The moments that are marked. */
  set marks(marks: readonly Mark[]) {
    this.#marks = marks;
    this.#draw();
  }

  /** @param end of the line: as far as the run is known, or goes */
  show(now: Time, end: Time): void {
    this.#now = now;
    if (end !== this.#scale.end) this.#draw(end);
    else this.#move();
  }

  #draw(end: Time = this.#scale.end): void {
    const times = this.#marks.map(({ time }) => time);
    this.#scale = new Scale(times, end);
    const marks = [...new Set(times)].map((time) => {
      const mark = part("mark");
      mark.style.left = this.#percent(time);
      return mark;
    });
    this.#marksPart.replaceChildren(...marks);
    this.#place.setAttribute("aria-valuemax", String(end / 1e9));
    this.#move();
  }

  #percent(time: Time): string {
    return `${(100 * this.#scale.place(time)).toFixed(3)}%`;
  }

  #move(): void {
    this.#past.style.width = this.#percent(this.#now);
    this.#thumb.style.left = this.#percent(this.#now);
    this.#wanted.hidden = this.#chosen === undefined;
    if (this.#chosen !== undefined) this.#wanted.style.left = `${100 * this.#chosen}%`;
    const time = this.#time;
    const mark = this.#marks.findLast((one) => one.time <= time);
    const text = `${clockText(time)} s${mark === undefined ? "" : `, ${mark.text}`}`;
    // A line that moves sixty times a second is not read out: only what is chosen on it.
    if (this.#chosen !== undefined || document.activeElement !== this.#place) {
      this.#place.setAttribute("aria-valuenow", String(time / 1e9));
      this.#place.setAttribute("aria-valuetext", text);
    }
    this.#place.title = this.#chosen === undefined ? "Click or drag to go to a time" : text;
    this.#place.dataset["chosen"] = this.#chosen === undefined ? "" : text;
  }

  get #time(): Time {
    return this.#chosen === undefined ? this.#now : this.#scale.time(this.#chosen);
  }

  #choose(chosen: number | undefined): void {
    this.#chosen = chosen === undefined ? undefined : Math.max(0, Math.min(1, chosen));
    this.#move();
  }

  #point(event: PointerEvent): void {
    const { left, width } = this.#place.getBoundingClientRect();
    this.#choose((event.clientX - left) / width);
  }

  #enter(): void {
    if (this.#chosen === undefined) return;
    const time = this.#time;
    this.#choose(undefined);
    this.#go(time);
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const at = this.#chosen ?? this.#scale.place(this.#now);
    const targets: Readonly<Record<string, number>> = {
      ArrowRight: at + SMALL,
      ArrowUp: at + SMALL,
      ArrowLeft: at - SMALL,
      ArrowDown: at - SMALL,
      PageUp: at + LARGE,
      PageDown: at - LARGE,
      Home: 0,
      End: 1,
    };
    const target = targets[event.key];
    if (target !== undefined) this.#choose(target);
    else if (event.key === "Enter") this.#enter();
    else if (event.key === "Escape" && this.#chosen !== undefined) this.#choose(undefined);
    else return;
    event.preventDefault();
  }
}
