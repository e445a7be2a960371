/** The swarm at a glance: the drawing, what is said of what is selected in it, its legend, and the same as tables. */
import "./swarm.css";
import type { SceneUpdate } from "../../session/scene/protocol.ts";
import { button, type Page } from "../page.ts";
import type { StageView } from "../stage.ts";
import { describe, describeFlight, summary } from "./describe.ts";
import { actionOf, KEY_HELP, type SwarmAction } from "./keys.ts";
import { Looker } from "./looker.ts";
import { ContextMenu, type MenuEntry } from "./menu.ts";
import { SwarmModel } from "./model.ts";
import { Outline } from "./outline.ts";
import { keysIn } from "./pick.ts";
import { Picture } from "./picture.ts";
import type { Selection } from "./selection.ts";

/** Devices that have seen a packet are marked for so long, ms, and those that saw the last one until the next comes. */
const TRAIL = 400;

/** What the menu is about: a host, or a container on it. */
interface MenuPlace {
  readonly host: string;
  readonly container: string | undefined;
}

/** The view. */
export class SwarmView implements StageView {
  readonly id = "swarm";
  readonly title = "Swarm";
  readonly #page: Page;
  readonly #looker: Looker;
  readonly #picture = new Picture({
    chosen: (selection) => this.#choose(selection, false),
    hovered: () => this.#describe(),
    chosePacket: (index) => this.#page.hub.tell("packet", { index }),
    followed: (index) => this.#page.hub.tell("follow", { index }),
    opened: (selection) => this.#open(selection),
    menu: (selection, x, y) => this.#openMenu(selection, x, y),
    moved: () => this.#looker.soon(),
  });
  readonly #details = document.createElement("p");
  readonly #summary = document.createElement("output");
  readonly #outline = new Outline((selection) => this.#choose(selection, true));
  readonly #menu = new ContextMenu(this.#picture.canvas);
  #model: SwarmModel | undefined;
  #selection: Selection | undefined;
  #phase = "";

  constructor(page: Page) {
    this.#page = page;
    this.#looker = new Looker({
      scene: (look) => page.session.scene(look),
      near: () => this.#picture.near(),
      took: (update, wall, slow) => this.#took(update, wall, slow),
      failed: (error) => page.attempt(Promise.reject(error)),
    });
    page.hub.on("lab", () => page.attempt(this.#lab()));
    page.hub.on("status", ({ phase }) => {
      this.#phase = phase;
      this.#looker.status(phase === "running" || phase === "replaying");
    });
    page.hub.on("packet", ({ index }) => this.#picture.selectPacket(index));
    page.hub.on("host", ({ host, container }) => this.#told(host, container));
  }

  mount(panel: HTMLElement): void {
    const place = document.createElement("div");
    place.className = "swarm";
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "Drawing");
    const act = (text: string, label: string, action: SwarmAction): HTMLButtonElement => {
      const made = button(text, () => this.#act(action));
      made.title = label;
      made.setAttribute("aria-label", text.length > 1 ? `${text}: ${label}` : label);
      return made;
    };
    this.#outline.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.#act({ kind: "table" });
      this.#picture.canvas.focus();
    });
    bar.append(
      act("+", "Zoom in (+)", { kind: "zoom", factor: 1.25 }),
      act("−", "Zoom out (-)", { kind: "zoom", factor: 0.8 }),
      act("All", "All of it in sight (0)", { kind: "fit" }),
      act("List", "List: the swarm as tables (L)", { kind: "table" }),
      this.#summary,
    );
    this.#details.className = "swarm-details";
    this.#details.setAttribute("role", "status");
    const { canvas } = this.#picture;
    canvas.setAttribute("aria-description", KEY_HELP);
    for (const event of ["focus", "blur"]) canvas.addEventListener(event, () => this.#describe());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    const picture = document.createElement("div");
    picture.className = "swarm-picture";
    picture.append(canvas, this.#details, this.#menu.element);
    place.append(bar, picture, this.#picture.legend, this.#outline.element);
    panel.append(place);
    this.#picture.mount(picture);
  }

  shown(shown: boolean): void {
    this.#looker.show(shown);
    this.#picture.show(shown);
  }

  async #lab(): Promise<void> {
    const topology = await this.#page.session.sceneTopology();
    this.#model = new SwarmModel(topology);
    this.#selection = undefined;
    this.#picture.open(this.#model);
    this.#describe();
    this.#looker.open(topology);
  }

  #took(update: SceneUpdate, wall: number, slow: boolean): void {
    const model = this.#model;
    if (model === undefined) return;
    const before = Math.min(model.now, update.now);
    model.trail = this.#phase === "running" ? (TRAIL * update.span) / Math.max(1, wall) : 0;
    if (model.apply(update)) this.#picture.changed();
    this.#picture.time(before, update.now, this.#phase === "running" && slow ? wall : 0);
    const text = summary(model);
    if (this.#summary.textContent !== text) {
      this.#summary.textContent = text;
      this.#picture.canvas.setAttribute("aria-label", `The swarm: ${text}`);
    }
    this.#describe();
    this.#outline.update(model);
  }

  #describe(): void {
    const model = this.#model;
    const what = this.#picture.hover ?? this.#selection;
    const flight = model?.flights.find(({ packet }) => packet === this.#picture.hoverPacket);
    const found =
      model === undefined
        ? undefined
        : flight !== undefined
          ? describeFlight(model, flight)
          : what && describe(model, what);
    const help = this.#picture.canvas.matches(":focus-visible") ? KEY_HELP : "";
    const text = found === undefined ? help : [found.title, ...found.lines].join("\n");
    if (this.#details.textContent !== text) this.#details.textContent = text;
    // Not over what it is about.
    const left = what === undefined || this.#picture.pixelOf(what)[0] > this.#picture.camera.width / 2;
    this.#details.classList.toggle("right", !left);
  }

  #choose(selection: Selection | undefined, reveal: boolean): void {
    this.#selection = selection;
    this.#picture.select(selection, reveal);
    this.#describe();
    const place = this.#placeOf(selection);
    if (place === undefined) return;
    const { host, container } = place;
    this.#page.hub.tell("host", container === undefined ? { host } : { host, container });
  }

  /** Somebody else chose a host. */
  #told(host: string, container: string | undefined): void {
    const own = this.#placeOf(this.#selection);
    const model = this.#model;
    const state = model?.hosts.find(({ place }) => place.name === host);
    if (state === undefined || (own?.host === host && own.container === container)) return;
    const key = state.scene?.containers.find(({ name, id }) => name === container || id === container)?.id ?? "";
    this.#selection = { host: state.index, key };
    this.#picture.select(this.#selection, true);
    this.#describe();
  }

  #placeOf(selection: Selection | undefined): MenuPlace | undefined {
    const state = this.#model?.hosts[selection?.host ?? -1];
    if (state === undefined || selection === undefined) return undefined;
    const { scene, place } = state;
    const [namespace] = selection.key.split("/").map(Number);
    const id = scene?.namespaces[namespace ?? -1]?.container ?? selection.key;
    return { host: place.name, container: scene?.containers.find((one) => one.id === id)?.name };
  }

  #open(selection: Selection): void {
    const place = this.#placeOf(selection);
    if (place === undefined) return;
    const { host, container } = place;
    this.#page.hub.tell("terminal", container === undefined ? { host } : { host, container });
  }

  #openMenu(selection: Selection, x: number, y: number): void {
    this.#choose(selection, false);
    const place = this.#placeOf(selection);
    if (place === undefined) return;
    const { host, container } = place;
    const entries: MenuEntry[] = [
      { text: `Terminal on ${container ?? host}`, action: () => this.#open(selection) },
      ...(container === undefined
        ? []
        : [{ text: `Terminal on ${host}`, action: () => this.#open({ ...selection, key: "" }) }]),
      { text: `Tables of ${host}`, action: () => this.#tables(selection) },
      { text: "Zoom to it", action: () => this.#picture.zoomTo(selection) },
      { text: "Show all", action: () => this.#act({ kind: "fit" }) },
      { text: `Break ${host}…`, action: () => this.#page.hub.tell("break", { host }) },
    ];
    this.#menu.open(container ?? host, entries, x, y);
  }

  #tables(selection: Selection): void {
    const place = this.#placeOf(selection);
    if (place === undefined) return;
    const scene = this.#model?.hosts[selection.host]?.scene;
    const [number] = selection.key.split("/").map(Number);
    const namespace = scene?.namespaces.find(
      ({ container, name }, i) =>
        container === selection.key || `netns ${name}` === selection.key || (selection.key !== "" && i === number),
    )?.name;
    const table = "fdb";
    const { host } = place;
    this.#page.hub.tell("table", namespace === undefined ? { host, table } : { host, table, namespace });
  }

  #key(event: KeyboardEvent): void {
    const action = actionOf(event, this.#selection !== undefined);
    if (action === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.#act(action);
  }

  #act(action: SwarmAction): void {
    const selection = this.#selection;
    switch (action.kind) {
      case "pan":
      case "zoom":
      case "fit":
        this.#picture.move(action);
        return;
      case "table":
        this.#outline.toggle(this.#model);
        return;
      case "next":
      case "previous":
        this.#step(action.kind === "next" ? 1 : -1);
        return;
      case "enter":
        this.#enter();
        return;
      case "leave":
        this.#leave();
        return;
      case "terminal":
        if (selection !== undefined) this.#open(selection);
        return;
      case "menu":
        if (selection !== undefined) this.#openMenu(selection, ...this.#picture.pixelOf(selection));
    }
  }

  /** To the next host, or to the next thing in the host that was entered. */
  #step(by: number): void {
    const [model, selection] = [this.#model, this.#selection];
    if (model === undefined || selection === undefined) return;
    const { host, key } = selection;
    const count = model.hosts.length;
    if (key === "") {
      this.#choose({ host: (host + by + count) % count, key }, true);
      return;
    }
    const state = model.hosts[host];
    const keys = state === undefined ? [] : keysIn(model, state);
    const next = keys[(keys.indexOf(key) + by + keys.length) % keys.length];
    if (next !== undefined) this.#choose({ host, key: next }, true);
  }

  #enter(): void {
    const [model, selection] = [this.#model, this.#selection];
    if (model === undefined) return;
    if (selection === undefined) {
      this.#choose({ host: this.#picture.firstInSight() ?? 0, key: "" }, true);
      return;
    }
    this.#picture.zoomTo(selection);
    const state = model.hosts[selection.host];
    const first = selection.key === "" && state !== undefined ? keysIn(model, state)[0] : undefined;
    if (first !== undefined) this.#choose({ host: selection.host, key: first }, false);
  }

  #leave(): void {
    const selection = this.#selection;
    if (selection === undefined) return;
    this.#choose(selection.key === "" ? undefined : { ...selection, key: "" }, true);
  }
}
