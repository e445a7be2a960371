/** One chart: lines over virtual time, a legend with the values at the cursor, and the same numbers as a table. */
import uPlot from "uplot";
import { formatDuration } from "../../../src/base/time.ts";
import type { Chart, ChartMark, Charts } from "../../session/charts/protocol.ts";
import { button } from "../page.ts";
import { save } from "../save.ts";
import { csv, timeText, valueRows, valueText } from "./format.ts";

const HEIGHT = 150;
/** Lines are told apart by their strokes too. */
const DASHES: readonly (readonly number[])[] = [[], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4]];
/** A mark belongs to the cursor when it is so near, pixels. */
const NEAR = 6;
const GUTTER = 74;
const BINARY_STEPS = Array.from({ length: 44 }, (_, power) => 2 ** power);

/** What all charts share: what is seen of time, and where the cursor is. */
export interface Shared {
  /** Seconds; undefined: everything. */
  readonly range: { readonly min: number; readonly max: number } | undefined;
  /** Bucket. */
  readonly cursor: number | undefined;
  /** The user wants to see this part of time; undefined: all. */
  zoom(range: Shared["range"]): void;
  point(bucket: number | undefined): void;
  /** A colour of the page by the name of its custom property. */
  colour(name: string): string;
}

function texts(tag: string, cells: readonly string[]): HTMLElement {
  const row = document.createElement("tr");
  for (const text of cells) {
    const cell = document.createElement(tag);
    cell.textContent = text;
    if (tag === "th") cell.setAttribute("scope", "col");
    row.append(cell);
  }
  return row;
}

/** A chart of the view. */
export class Plot {
  readonly element = document.createElement("section");
  readonly #shared: Shared;
  readonly #place = document.createElement("div");
  readonly #legend = document.createElement("p");
  readonly #table = document.createElement("div");
  readonly #toggle: HTMLButtonElement;
  #plot: uPlot | undefined;
  #names = "";
  #chart: Chart;
  #charts: Charts;

  constructor(chart: Chart, charts: Charts, shared: Shared) {
    this.#chart = chart;
    this.#charts = charts;
    this.#shared = shared;
    const { element } = this;
    element.className = "chart";
    element.id = `chart-${chart.id}`;
    const title = document.createElement("h3");
    title.textContent = chart.title;
    title.id = `chart-title-${chart.id}`;
    element.setAttribute("role", "group");
    element.setAttribute("aria-labelledby", title.id);
    this.#toggle = button("Table", () => this.#showTable(this.#table.hidden !== false));
    this.#toggle.setAttribute("aria-pressed", "false");
    const file = button("CSV", () => save(`${chart.id}.csv`, csv(this.#chart, this.#charts), "text/csv"));
    for (const made of [this.#toggle, file]) made.setAttribute("aria-label", `${made.textContent}: ${chart.title}`);
    const head = document.createElement("div");
    head.className = "bar chart-head";
    head.append(title, this.#toggle, file);
    this.#about(head, chart.about);
    this.#legend.className = "chart-legend";
    this.#place.className = "chart-place";
    this.#place.tabIndex = 0;
    this.#place.setAttribute("role", "group");
    this.#place.setAttribute("aria-label", `${chart.title}: arrow keys move the cursor, + and - zoom, 0 shows all`);
    this.#place.addEventListener("keydown", (event) => this.#key(event));
    this.#table.className = "chart-table";
    this.#table.hidden = true;
    element.append(head, this.#legend, this.#place, this.#table);
    new ResizeObserver(() => this.#resize()).observe(this.#place);
  }

  #about(head: HTMLElement, text: string): void {
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    const words = document.createElement("p");
    summary.textContent = "What is this?";
    words.textContent = text;
    details.append(summary, words);
    head.append(details);
  }

  /** New numbers. */
  set(chart: Chart, charts: Charts): void {
    this.#chart = chart;
    this.#charts = charts;
    const names = chart.series.map(({ name }) => name).join("\n");
    if (this.#plot === undefined || names !== this.#names) this.draw();
    else this.#plot.setData(this.#data(), false);
    this.#names = names;
    this.range();
    this.cursor();
    if (!this.#table.hidden) this.#fillTable();
  }

  /** Draws it anew: with other lines, or in other colours. */
  draw(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    if (this.#place.clientWidth === 0) return;
    this.#plot = new uPlot(this.#options(), this.#data(), this.#place);
  }

  destroy(): void {
    this.#plot?.destroy();
    this.element.remove();
  }

  #resize(): void {
    const width = this.#place.clientWidth;
    if (width === 0) return;
    if (this.#plot === undefined) {
      this.draw();
      this.range();
    } else if (this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT });
  }

  #data(): uPlot.AlignedData {
    const { width, buckets } = this.#charts;
    const times = Array.from({ length: buckets }, (_, i) => (i * width) / 1e9);
    return [times, ...this.#chart.series.map(({ values }) => [...values])];
  }

  #stroke(line: number): string {
    return this.#shared.colour(`--chart-${(line % 9) + 1}`);
  }

  #options(): uPlot.Options {
    const { unit, series } = this.#chart;
    const text = (): string => this.#shared.colour("--dim");
    const grid = { stroke: () => this.#shared.colour("--line"), width: 1 };
    const axis = { stroke: text, grid, ticks: grid, font: '11px system-ui, "DejaVu Sans", sans-serif' };
    const stepped = uPlot.paths.stepped?.({ align: 1 });
    return {
      width: this.#place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: {
        sync: { key: "charts" },
        drag: { x: true, y: false, setScale: false },
        points: { show: false },
        focus: { prox: -1 },
      },
      scales: { x: { time: false }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [
        { ...axis, size: 28, values: (_, splits) => splits.map((split) => `${split} s`) },
        {
          ...axis,
          ...(unit === "bytes" ? { incrs: BINARY_STEPS } : {}),
          size: GUTTER,
          values: (_, splits) => splits.map((split) => valueText(split, unit).replace(/(?:events|packets)\/s$/, "/s")),
        },
      ],
      series: [
        {},
        ...series.map(({ name }, line) => ({
          label: name,
          stroke: () => this.#stroke(line),
          width: 1.5,
          dash: [...(DASHES[line % DASHES.length] ?? [])],
          points: { show: false },
          ...(stepped === undefined ? {} : { paths: stepped }),
        })),
      ],
      hooks: {
        drawClear: [(plot) => this.#background(plot)],
        setSelect: [(plot) => this.#selected(plot)],
        setCursor: [(plot) => this.#pointed(plot)],
      },
    };
  }

  /** Skipped time as bands, steps and faults as lines, below everything. */
  #background(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const x = (seconds: number): number => plot.valToPos(seconds, "x", true);
    const { min = 0, max = 0 } = plot.scales["x"] ?? {};
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = this.#shared.colour("--panel");
    for (const { from, to } of this.#charts.skipped) {
      if (to / 1e9 < min || from / 1e9 > max) continue;
      ctx.fillRect(x(from / 1e9), bbox.top, x(to / 1e9) - x(from / 1e9), bbox.height);
    }
    for (const { time, kind } of this.#charts.marks) {
      if (time / 1e9 < min || time / 1e9 > max) continue;
      const fault = kind === "fault";
      ctx.fillStyle = this.#shared.colour(fault ? "--wrong" : "--edge");
      const at = Math.round(x(time / 1e9));
      // A fault's line goes through, a step's stands on the axis.
      const height = fault ? bbox.height : 8 * devicePixelRatio;
      ctx.fillRect(at, bbox.top + bbox.height - height, Math.max(1, devicePixelRatio), height);
    }
    ctx.restore();
  }

  #selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 4) return;
    this.#shared.zoom({ min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") });
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  #pointed(plot: uPlot): void {
    const { idx } = plot.cursor;
    // Only what the mouse does: moved() below comes here too.
    if (this.#moving || (plot.cursor.event === undefined && idx === undefined)) return;
    this.#shared.point(idx ?? undefined);
  }

  #moving = false;

  /** What is seen of time has changed. */
  range(): void {
    const { buckets, width } = this.#charts;
    const range = this.#shared.range ?? { min: 0, max: Math.max(1e-3, (buckets * width) / 1e9) };
    this.#plot?.setScale("x", range);
    if (!this.#table.hidden) this.#fillTable();
  }

  /** The cursor is elsewhere. */
  cursor(): void {
    const { cursor } = this.#shared;
    this.#say(cursor);
    const plot = this.#plot;
    if (plot === undefined) return;
    this.#moving = true;
    const left = cursor === undefined ? -10 : plot.valToPos((cursor * this.#charts.width) / 1e9, "x");
    if (Math.abs((plot.cursor.left ?? -10) - left) > 1)
      plot.setCursor({ left, top: cursor === undefined ? -10 : 4 }, false);
    this.#moving = false;
  }

  /** The legend: names of lines, with their values at the cursor or at the end. */
  #say(cursor: number | undefined): void {
    const { series, unit } = this.#chart;
    const last = (values: readonly (number | null)[]): number | null =>
      values.findLast((value) => value !== null) ?? null;
    const parts = series.map(({ name, values }, line) => {
      const item = document.createElement("span");
      item.append(
        this.#swatch(line),
        `${name} ${valueText(cursor === undefined ? last(values) : values[cursor], unit)}`,
      );
      return item;
    });
    const where = document.createElement("span");
    where.className = "chart-when";
    where.textContent = this.#where(cursor);
    this.#legend.replaceChildren(where, ...parts);
    if (series.length === 0) this.#legend.append("nothing yet");
  }

  #where(cursor: number | undefined): string {
    if (cursor === undefined) return "last:";
    const { width, marks } = this.#charts;
    const seconds = (cursor * width) / 1e9;
    const plot = this.#plot;
    const range = plot === undefined ? 0 : plot.posToVal(NEAR, "x") - plot.posToVal(0, "x");
    const near = (mark: ChartMark): boolean => Math.abs(mark.time / 1e9 - seconds) <= Math.max(range, width / 1e9);
    const some = marks
      .filter(near)
      .slice(0, 2)
      .map(({ kind, text }) => `${kind === "fault" ? "fault: " : ""}${text}`);
    return `${timeText(seconds, width)}${some.length === 0 ? "" : ` (${some.join("; ")})`}:`;
  }

  /** A piece of the line as it is drawn. */
  #swatch(line: number): SVGSVGElement {
    const namespace = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(namespace, "svg");
    const path = document.createElementNS(namespace, "path");
    svg.setAttribute("class", "chart-swatch");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", "M0 5H22");
    path.setAttribute("stroke", this.#stroke(line));
    path.setAttribute("stroke-dasharray", (DASHES[line % DASHES.length] ?? []).join(" "));
    svg.append(path);
    return svg;
  }

  #showTable(shown: boolean): void {
    this.#table.hidden = !shown;
    this.#toggle.setAttribute("aria-pressed", String(shown));
    if (shown) this.#fillTable();
    else this.#table.replaceChildren();
  }

  #fillTable(): void {
    const { series, unit, title } = this.#chart;
    const { range } = this.#shared;
    const rows = valueRows(this.#chart, this.#charts, range?.min ?? 0, range?.max ?? Number.POSITIVE_INFINITY);
    const table = document.createElement("table");
    const caption = document.createElement("caption");
    caption.textContent = `${title}, ${unit}: ${rows.length} of ${this.#charts.buckets} intervals of ${formatDuration(this.#charts.width)}; in the others nothing was seen`;
    const [head, body] = [document.createElement("thead"), document.createElement("tbody")];
    head.append(texts("th", ["from", ...series.map(({ name }) => name)]));
    body.append(
      ...rows.map(({ time, values }) => {
        return texts("td", [timeText(time, this.#charts.width), ...values.map((value) => valueText(value, unit))]);
      }),
    );
    table.append(caption, head, body);
    const { scrollTop } = this.#table;
    this.#table.replaceChildren(table);
    this.#table.tabIndex = 0;
    this.#table.setAttribute("role", "region");
    this.#table.setAttribute("aria-label", `${title} as a table`);
    this.#table.scrollTop = scrollTop;
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { buckets, width } = this.#charts;
    const { range, cursor } = this.#shared;
    const first = Math.max(0, Math.ceil(((range?.min ?? 0) * 1e9) / width));
    const last = Math.min(buckets - 1, Math.floor(((range?.max ?? Number.POSITIVE_INFINITY) * 1e9) / width));
    const step = event.shiftKey ? 10 : 1;
    const at = cursor ?? last + 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: at - step,
      ArrowRight: at + step,
      Home: first,
      End: last,
    };
    const move = moves[event.key];
    if (move !== undefined) this.#shared.point(Math.max(first, Math.min(last, move)));
    else if (event.key === "+" || event.key === "=") this.#zoomBy(0.5);
    else if (event.key === "-") this.#zoomBy(2);
    else if (event.key === "0") this.#shared.zoom(undefined);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Around the cursor, or the middle. */
  #zoomBy(factor: number): void {
    const { buckets, width } = this.#charts;
    const end = (buckets * width) / 1e9;
    const { min, max } = this.#shared.range ?? { min: 0, max: end };
    const { cursor } = this.#shared;
    const middle = cursor === undefined ? (min + max) / 2 : (cursor * width) / 1e9;
    const half = ((max - min) * factor) / 2;
    const range = { min: Math.max(0, middle - half), max: Math.min(end, middle + half) };
    this.#shared.zoom(range.min <= 0 && range.max >= end ? undefined : range);
  }
}
