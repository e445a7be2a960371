/** The strip: the stages of a packet's life from left to right, in a lane for each namespace that it passed. */
import type { Stage } from "../../session/follow/protocol.ts";
import { changeShort, copiesText, layoutOf, type StripLayout, type StripPlace, spanText } from "./model.ts";

const LANE = 36;
const BOX_HEIGHT = 30;
/** What lanes are called stands at the left. */
const LABEL = 130;
const SVG = "http://www.w3.org/2000/svg";

function svg(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function span(className: string, text: string): HTMLElement {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

/** The strip. Arrow keys go along it. */
export class Strip {
  readonly element = document.createElement("div");
  readonly #field = document.createElement("div");
  readonly #chosen: (stage: Stage) => void;
  #stages: readonly Stage[] = [];
  #layout: StripLayout = layoutOf([]);
  #boxes: HTMLElement[] = [];
  #at = 0;

  /** @param chosen told of the user's choice */
  constructor(chosen: (stage: Stage) => void) {
    this.#chosen = chosen;
    this.element.className = "strip";
    this.#field.className = "strip-field";
    this.#field.tabIndex = 0;
    this.#field.setAttribute("role", "listbox");
    this.#field.setAttribute("aria-orientation", "horizontal");
    this.#field.setAttribute("aria-label", "Stages of the packet's life: arrow keys go along");
    this.element.append(this.#field);
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("click", (event) => {
      const at = this.#boxes.indexOf((event.target as Element).closest<HTMLElement>(".strip-box") as HTMLElement);
      if (at >= 0) this.#choose(at);
    });
  }

  focus(): void {
    this.#field.focus({ preventScroll: true });
  }

  show(stages: readonly Stage[]): void {
    this.#stages = stages;
    const layout = layoutOf(stages);
    this.#layout = layout;
    const width = LABEL + layout.width;
    const height = layout.lanes.length * LANE;
    this.#field.style.width = `${width}px`;
    this.#field.style.height = `${height}px`;
    this.#boxes = stages.map((stage, i) => this.#box(stage, i, layout));
    this.#field.replaceChildren(...this.#lanes(layout, width), this.#lines(layout, width, height), ...this.#boxes);
    this.#field.removeAttribute("aria-activedescendant");
  }

  /** Marks a stage; undefined marks none. */
  select(key: number | undefined): void {
    for (const [i, stage] of this.#stages.entries()) {
      const selected = stage.key === key;
      this.#boxes[i]?.setAttribute("aria-selected", String(selected));
      if (!selected) continue;
      this.#at = i;
      this.#field.setAttribute("aria-activedescendant", this.#boxes[i]?.id ?? "");
      this.#reveal(i);
    }
  }

  /** Scrolls so that a box isn't behind the lanes' names. */
  #reveal(at: number): void {
    const { left = 0, width = 0, lane = 0 } = this.#layout.places[at] ?? {};
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.element;
    const right = LABEL + left + width + 8;
    // To the middle, so that what comes before and behind is in sight, too.
    if (left < scrollLeft || right > scrollLeft + clientWidth)
      this.element.scrollLeft = left - (clientWidth - LABEL - width) / 2;
    if (lane * LANE < scrollTop) this.element.scrollTop = lane * LANE;
    else if ((lane + 1) * LANE > scrollTop + clientHeight) this.element.scrollTop = (lane + 1) * LANE - clientHeight;
  }

  #lanes({ lanes }: StripLayout, width: number): HTMLElement[] {
    return lanes.map(({ host, namespace }, i) => {
      const lane = document.createElement("div");
      lane.className = lanes[i - 1]?.host === host ? "strip-lane" : "strip-lane first";
      Object.assign(lane.style, { top: `${i * LANE}px`, width: `${width}px`, height: `${LANE}px` });
      lane.setAttribute("role", "presentation");
      const label = document.createElement("div");
      label.className = "strip-label";
      label.append(span("strip-host", host), span("strip-ns", namespace === "" ? "wire" : namespace));
      label.title = `${host}/${namespace}`;
      lane.append(label);
      return lane;
    });
  }

  /** Lines from stage to stage, with the time between them where time passed. */
  #lines({ places }: StripLayout, width: number, height: number): SVGElement {
    const lines = svg("svg", { width, height, class: "strip-lines", "aria-hidden": "true" });
    for (let i = 1; i < this.#stages.length; i++) {
      const [from, to] = [this.#stages[i - 1] as Stage, this.#stages[i] as Stage];
      const [a, b] = [places[i - 1] as StripPlace, places[i] as StripPlace];
      const [x1, x2] = [LABEL + a.left + a.width, LABEL + b.left];
      const [y1, y2] = [a, b].map(({ lane }) => lane * LANE + LANE / 2) as [number, number];
      const bend = (x1 + x2) / 2;
      const path = `M ${x1} ${y1} H ${bend} V ${y2} H ${x2}`;
      lines.append(svg("path", { d: path, class: from.host === to.host ? "hop" : "hop wire" }));
      if (to.time <= from.time) continue;
      const label = svg("text", { x: bend, y: y1 === y2 ? y1 - 4 : (y1 + y2) / 2 + 4, class: "strip-time" });
      label.textContent = spanText(to.time - from.time);
      lines.append(label);
    }
    return lines;
  }

  #box(stage: Stage, i: number, { places }: StripLayout): HTMLElement {
    const box = document.createElement("div");
    box.className = `strip-box ${stage.kind}`;
    box.id = `strip-${stage.key}`;
    box.setAttribute("role", "option");
    box.setAttribute("aria-selected", "false");
    const { lane, left, width } = places[i] as StripPlace;
    const place = [LABEL + left, lane * LANE + (LANE - BOX_HEIGHT) / 2, width, BOX_HEIGHT].map((px) => `${px}px`);
    Object.assign(box.style, { left: place[0], top: place[1], width: place[2], height: place[3] });
    const copies = copiesText(stage);
    const changed = stage.changes.map(changeShort).join(", ");
    const below = copies !== "" ? copies : changed !== "" ? changed : stage.detail;
    box.append(span("strip-title", stage.title), span(changed === "" ? "strip-below" : "strip-below changed", below));
    box.title = `${stage.title}\n${stage.detail}${changed === "" ? "" : `\n${changed}`}`;
    const where = stage.namespace === "" ? stage.host : `${stage.host}, ${stage.namespace}`;
    box.setAttribute("aria-label", [where, stage.title, stage.detail, changed, copies].filter(Boolean).join("; "));
    return box;
  }

  #choose(at: number): void {
    const stage = this.#stages[at];
    if (stage !== undefined) this.#chosen(stage);
  }

  #key(event: KeyboardEvent): void {
    const last = this.#stages.length - 1;
    const targets: Readonly<Record<string, number>> = {
      ArrowRight: Math.min(last, this.#at + 1),
      ArrowDown: Math.min(last, this.#at + 1),
      ArrowLeft: Math.max(0, this.#at - 1),
      ArrowUp: Math.max(0, this.#at - 1),
      Home: 0,
      End: last,
      Enter: this.#at,
    };
    const target = targets[event.key];
    if (target === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.#choose(target);
  }
}
