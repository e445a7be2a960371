/** What was captured, as in Wireshark: filter, list, tree, bytes. */
import "./packets.css";
import type { Page } from "../page.ts";
import { aboutPackets } from "./about.ts";
import { join } from "./completion.ts";
import { DetailsView } from "./details.ts";
import { Displayed } from "./displayed.ts";
import { Dissection } from "./dissection.ts";
import { FilterBar } from "./filter-bar.ts";
import { Filters } from "./filters.ts";
import { PacketList } from "./list.ts";
import { type MenuPlace, openMenu } from "./menu.ts";
import { covers } from "./pacing.ts";
import { rowFilters } from "./row-filters.ts";
import { PacketRows } from "./rows.ts";
import { ListTools } from "./tools.ts";

/** Time stands, and the capture doesn't grow. */
const STANDS: readonly string[] = ["ready", "paused", "done"];

/** Where keys are for typing. */
const TYPING = "input, textarea, select, [contenteditable], .xterm, .cm-editor";

/** The packets' part of the page. */
export class PacketsView {
  readonly #page: Page;
  readonly #displayed = new Displayed();
  readonly #dissection: Dissection;
  readonly #filters: Filters;
  readonly #tools: ListTools;
  readonly #bar: FilterBar;
  readonly #rows: PacketRows;
  readonly #list: PacketList;
  readonly #details: DetailsView;
  #selected: number | undefined;
  /** The selected packet is shown without dissectors, though it could be with them. */
  #plain = false;

  constructor(page: Page, place: HTMLElement, details: HTMLElement) {
    this.#page = page;
    const bar = document.createElement("div");
    bar.className = "packet-bar";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Packet list");
    const grid = document.createElement("div");
    grid.className = "packet-grid";
    place.append(bar, grid);
    this.#dissection = new Dissection(page, {
      state: (state) => {
        this.#tools.dissectors(state);
        this.#details.about = aboutPackets(state);
        if (state.kind === "ready") this.#ready();
        else if (state.kind === "failed") this.#unready();
      },
      loaded: () => this.#loaded(),
    });
    const search = (text: string, from: number) => page.session.search(text, from);
    const filterPage = { search, attempt: (action: Promise<unknown>) => page.attempt(action) };
    this.#filters = new Filters(filterPage, this.#dissection, this.#displayed, () => this.#changed());
    this.#bar = new FilterBar(bar, {
      apply: (text) => this.#filters.apply(text),
      check: (text) => this.#dissection.check(text),
      complete: (begin) => this.#dissection.complete(begin),
      left: () => this.#list.focus(),
    });
    this.#tools = new ListTools(bar, {
      changed: () => {
        grid.dataset["time"] = this.#tools.format;
        this.#list.refresh();
      },
      names: (names) => {
        this.#dissection.names = names;
      },
      follows: (follows) => {
        this.#list.follows = follows;
      },
      load: () => page.attempt(this.#dissection.start()),
    });
    grid.dataset["time"] = this.#tools.format;
    this.#rows = new PacketRows(page, this.#displayed, this.#dissection, this.#tools, () => this.#list.refresh());
    this.#list = new PacketList(grid, {
      rows: (from, count) => this.#rows.rows(from, count),
      selected: (position) => this.#choose(this.#displayed.index(position)),
      entered: () => this.#details.focus(),
      menu: (position, at) => page.attempt(this.#menu(position, at)),
      follows: (follows) => this.#tools.follow(follows),
    });
    this.#details = new DetailsView(details, {
      filter: (text, how, apply) => {
        const joined = join(this.#bar.text, how, text);
        if (apply) this.#bar.set(joined);
        else this.#bar.prepare(joined);
      },
      packet: (index) => this.#choose(index),
    });
    this.#listen();
    page.attempt(this.#dissection.look());
  }

  #listen(): void {
    const { hub } = this.#page;
    hub.on("packet", ({ index }) => this.#show(index));
    hub.on("filter", ({ wireshark, plain }) => this.#bar.setEither(wireshark, plain));
    hub.on("lab", () => {
      this.#selected = undefined;
      this.#dissection.reset();
      this.#displayed.grow(0);
      this.#filters.reset();
      this.#details.clear();
      this.#list.select(undefined);
    });
    hub.on("status", ({ frames, phase }) => {
      const running = !STANDS.includes(phase);
      this.#rows.running = running;
      if (frames < this.#displayed.all) this.#shrunk(frames);
      this.#displayed.grow(frames);
      this.#dissection.status(frames, running);
      this.#filters.grown(running);
      this.#count();
    });
    this.#keys();
  }

  /** Time went back: what was captured later is captured anew. */
  #shrunk(frames: number): void {
    this.#dissection.reset();
    this.#displayed.grow(frames);
    this.#filters.reset();
    if (this.#selected === undefined || this.#selected < frames) return;
    this.#selected = undefined;
    this.#details.clear();
    this.#list.select(undefined);
  }

  /** Other frames are shown, or more of them. */
  #changed(): void {
    this.#count();
    this.#list.refresh();
  }

  #count(): void {
    const { count, all, filtered } = this.#displayed;
    this.#list.count(count);
    this.#tools.counts(count, all, filtered, this.#filters.pending);
  }

  #ready(): void {
    this.#bar.wireshark = true;
    // What was a filter of words is none of Wireshark's.
    if (this.#filters.text !== "") this.#bar.set("");
  }

  /** They are of no use any more. */
  #unready(): void {
    this.#bar.wireshark = false;
    if (this.#filters.text !== "") this.#bar.set("");
    this.#list.refresh();
  }

  #loaded(): void {
    this.#tools.loaded(this.#dissection.loaded, this.#displayed.all);
    this.#list.refresh();
    this.#filters.reloaded();
    if (this.#plain && this.#selected !== undefined) this.#page.attempt(this.#detail(this.#selected));
  }

  /** The user chose a packet. */
  #choose(index: number | undefined): void {
    if (index !== undefined) this.#page.hub.tell("packet", { index });
  }

  /** A packet was chosen, here or elsewhere. */
  #show(index: number): void {
    this.#selected = index;
    this.#list.select(this.#displayed.position(index));
    this.#page.attempt(this.#detail(index));
  }

  async #detail(index: number): Promise<void> {
    const { session } = this.#page;
    const dissection = this.#dissection;
    const [rows, data] = await Promise.all([session.packets(index, 1), session.frame(index)]);
    const [row] = rows;
    if (row === undefined || data === undefined || this.#selected !== index) return;
    const title = `Packet ${index + 1}, on ${row.point}`;
    if (!dissection.ready || dissection.busy || !covers(dissection.loaded, index)) {
      const text = await session.describe(index);
      if (this.#selected !== index) return;
      this.#plain = true;
      this.#details.plain(title, text, data);
    }
    if (!dissection.ready) return;
    await dissection.need(index);
    const details = await dissection.details(index);
    if (details === undefined || this.#selected !== index) return;
    this.#plain = false;
    const part = dissection.partial ? `; read with packets ${details.from + 1} and on, numbered from there` : "";
    this.#details.show(title + part, details, details.from);
  }

  async #menu(position: number, place: MenuPlace): Promise<void> {
    const index = this.#displayed.index(position);
    if (index === undefined) return;
    this.#choose(index);
    const indices = Uint32Array.of(index);
    const [[row], [dissected]] = await Promise.all([
      this.#page.session.packetsAt(indices),
      this.#dissection.rows(indices),
    ]);
    const values = dissected ?? row;
    const filters = values === undefined ? [] : rowFilters(values, this.#dissection.ready);
    openMenu("Packet", place, [
      { text: "Follow packet", action: () => this.#page.hub.tell("follow", { index }) },
      { text: "Show details", action: () => this.#details.focus() },
      ...filters.map(({ title, filter }) => ({
        text: `Apply as filter: ${title}`,
        action: () => this.#bar.set(filter),
      })),
    ]);
  }

  /** Wireshark's keys that work wherever the focus is: next and previous packet, first and last, to the filter. */
  #keys(): void {
    const group = "Packets";
    const { keys } = this.#page;
    keys.add({ key: "/", text: "To the display filter", group, action: () => this.#bar.focus() });
    keys.add({ key: "F8", text: "Next packet (also Ctrl-↓)", group, action: () => this.#step("ArrowDown") });
    keys.add({ key: "F7", text: "Previous packet (also Ctrl-↑)", group, action: () => this.#step("ArrowUp") });
    document.addEventListener("keydown", (event) => {
      const { altKey, metaKey, shiftKey, ctrlKey, target, key } = event;
      if (event.defaultPrevented || !ctrlKey || altKey || metaKey || shiftKey) return;
      if (target instanceof Element && target.closest(TYPING) !== null) return;
      if (this.#step(key)) event.preventDefault();
    });
  }

  /** @returns whether the key goes anywhere */
  #step(key: string): boolean {
    const { count } = this.#displayed;
    const at = this.#selected === undefined ? -1 : this.#displayed.after(this.#selected);
    const shown = this.#selected !== undefined && this.#displayed.position(this.#selected) !== undefined;
    const next = shown || at < 0 ? at + 1 : at;
    const targets: Readonly<Record<string, number>> = { ArrowDown: next, ArrowUp: at - 1, Home: 0, End: count - 1 };
    const target = targets[key];
    if (target === undefined || count === 0) return false;
    this.#choose(this.#displayed.index(Math.max(0, Math.min(count - 1, target))));
    return true;
  }
}
