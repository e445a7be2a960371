/** How the emulation goes, over virtual time: charts with one axis. */
import "uplot/dist/uPlot.min.css";
import "./charts.css";
import { formatDuration } from "../../../src/base/time.ts";
import type { Charts } from "../../session/charts/protocol.ts";
import { button, type Page } from "../page.ts";
import type { StageView } from "../stage.ts";
import { timeText } from "./format.ts";
import { Plot, type Shared } from "./plot.ts";

/** Wall time between two looks while time runs, ms; longer where a look takes long. */
const PERIOD_MS = 500;
/** … but no longer than this: a busy worker's answer takes long, too. */
const MOST_MS = 2000;
const COST_FACTOR = 6;
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The view. */
export class ChartsView implements StageView {
  readonly id = "charts";
  readonly title = "Charts";
  readonly #page: Page;
  readonly #root = document.createElement("div");
  readonly #said = document.createElement("p");
  readonly #list = document.createElement("div");
  readonly #all: HTMLButtonElement;
  readonly #go: HTMLButtonElement;
  readonly #probe = document.createElement("span");
  readonly #colours = new Map<string, string>();
  readonly #plots = new Map<string, Plot>();
  readonly #shared: Shared;
  #range: Shared["range"];
  #cursor: number | undefined;
  #width = 0;
  /** Where the cursor was last, virtual ns. */
  #chosen: number | undefined;
  #shown = false;
  #stale = true;
  #busy = false;
  #next = 0;
  #timer: number | undefined;
  /** Counts labs: what was asked of an earlier one is not drawn. */
  #lab = 0;

  constructor(page: Page) {
    this.#page = page;
    this.#root.className = "charts";
    this.#said.className = "charts-said";
    this.#list.className = "charts-list";
    this.#probe.hidden = true;
    this.#all = button("Show all of time", () => this.#zoom(undefined));
    this.#all.id = "charts-all";
    const bar = document.createElement("div");
    bar.className = "bar";
    this.#go = button("Go there", () => this.#goThere());
    this.#go.id = "charts-go";
    this.#go.disabled = true;
    bar.append(this.#said, this.#all, this.#go);
    this.#root.append(bar, this.#list, this.#probe);
    const view = this;
    this.#shared = {
      get range() {
        return view.#range;
      },
      get cursor() {
        return view.#cursor;
      },
      zoom: (range) => this.#zoom(range),
      point: (bucket) => this.#point(bucket),
      colour: (name) => this.#colour(name),
    };
    this.#listen();
  }

  mount(panel: HTMLElement): void {
    panel.append(this.#root);
  }

  shown(shown: boolean): void {
    this.#shown = shown;
    this.#stale = true;
    this.#next = 0;
    if (shown) this.#schedule();
    else clearTimeout(this.#timer);
  }

  #listen(): void {
    const { hub } = this.#page;
    hub.on("lab", () => {
      this.#lab++;
      this.#range = undefined;
      this.#cursor = undefined;
      this.#chosen = undefined;
      this.#go.disabled = true;
      for (const plot of this.#plots.values()) plot.destroy();
      this.#plots.clear();
      this.#stale = true;
      this.#schedule();
    });
    hub.on("status", () => {
      this.#stale = true;
      this.#schedule();
    });
    dark.addEventListener("change", () => {
      this.#colours.clear();
      for (const plot of this.#plots.values()) plot.draw();
      this.#stale = true;
      this.#schedule();
    });
  }

  /** A custom property holds two colours; what is computed of it holds the one that applies. */
  #colour(name: string): string {
    let colour = this.#colours.get(name);
    if (colour === undefined) {
      this.#probe.style.color = `var(${name})`;
      colour = getComputedStyle(this.#probe).color;
      this.#colours.set(name, colour);
    }
    return colour;
  }

  #schedule(): void {
    if (!this.#shown || !this.#stale || this.#busy) return;
    const left = this.#next - performance.now();
    clearTimeout(this.#timer);
    if (left > 0) this.#timer = window.setTimeout(() => this.#schedule(), left);
    else this.#page.attempt(this.#refresh());
  }

  async #refresh(): Promise<void> {
    const began = performance.now();
    const lab = this.#lab;
    this.#busy = true;
    this.#stale = false;
    try {
      const charts = await this.#page.session.charts();
      if (lab === this.#lab) this.#take(charts);
    } finally {
      this.#busy = false;
      this.#next =
        performance.now() + Math.min(Math.max(PERIOD_MS, COST_FACTOR * (performance.now() - began)), MOST_MS);
      this.#schedule();
    }
  }

  #take(charts: Charts): void {
    // A bucket is another one when they have grown.
    if (this.#cursor !== undefined && this.#width > 0)
      this.#cursor = Math.floor((this.#cursor * this.#width) / charts.width);
    this.#width = charts.width;
    for (const chart of charts.charts) {
      let plot = this.#plots.get(chart.id);
      if (plot === undefined) {
        plot = new Plot(chart, charts, this.#shared);
        this.#plots.set(chart.id, plot);
        this.#list.append(plot.element);
      }
      plot.set(chart, charts);
    }
    const skipped = charts.skipped.reduce((sum, { from, to }) => sum + to - from, 0);
    const words = [
      `${timeText(charts.now / 1e9, charts.width)} of virtual time in intervals of ${formatDuration(charts.width)}`,
      ...(skipped > 0
        ? [`${timeText(skipped / 1e9, charts.width)} of quiet time were skipped: shaded, without values`]
        : []),
      ...(charts.marksLost > 0 ? [`${charts.marksLost} more marks are not kept`] : []),
    ];
    this.#said.textContent = words.join(" · ");
    this.#all.disabled = this.#range === undefined;
  }

  #zoom(range: Shared["range"]): void {
    this.#range = range;
    this.#all.disabled = range === undefined;
    for (const plot of this.#plots.values()) plot.range();
  }

  /** The emulation goes to the time at the cursor, by running again if that is past. */
  #goThere(): void {
    if (this.#chosen !== undefined) this.#page.attempt(this.#page.session.jump(this.#chosen));
  }

  #point(bucket: number | undefined): void {
    if (bucket === this.#cursor) return;
    this.#cursor = bucket;
    // The mouse leaves a chart to come here.
    if (bucket !== undefined) this.#chosen = bucket * this.#width;
    this.#go.disabled = this.#chosen === undefined;
    if (this.#chosen !== undefined) this.#go.textContent = `Go to ${timeText(this.#chosen / 1e9, this.#width)}`;
    for (const plot of this.#plots.values()) plot.cursor();
  }
}
