/** The canvas: draws when something has changed, and hears the pointer. */
import type { Time } from "../../../src/base/time.ts";
import { Camera } from "./camera.ts";
import { type Drawn, draw } from "./draw.ts";
import { packetAt } from "./draw-flights.ts";
import { HOST } from "./geometry.ts";
import type { SwarmAction } from "./keys.ts";
import { Legend } from "./legend.ts";
import type { SwarmModel } from "./model.ts";
import { readPalette } from "./palette.ts";
import { Pen } from "./pen.ts";
import { pick, placeOf } from "./pick.ts";
import type { Selection } from "./selection.ts";

/** A press that moves so many pixels is no click. */
const CLICK = 4;
/** Hosts whose devices are looked at closely at most. */
const MOST_NEAR = 12;
/** From this width on a host's devices have room for their counters. */
const NEAR_WIDTH = 700;
/** Of a wheel's step, which is about 100, in zoom. */
const WHEEL = 0.0018;

/** Who is told of what the user does. */
export interface PictureListener {
  chosen(selection: Selection | undefined): void;
  hovered(): void;
  /** A packet on a wire, by its place in the packet list. */
  chosePacket(packet: number): void;
  /** Its life is to be seen. */
  followed(packet: number): void;
  /** By a double click. */
  opened(selection: Selection): void;
  menu(selection: Selection, x: number, y: number): void;
  /** Another part is in sight. */
  moved(): void;
}

/** The drawing on its canvas. */
export class Picture {
  readonly canvas = document.createElement("canvas");
  readonly camera = new Camera();
  readonly #listener: PictureListener;
  readonly #legend = new Legend();
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #pen: Pen | undefined;
  #model: SwarmModel | undefined;
  #selection: Selection | undefined;
  #hover: Selection | undefined;
  #hoverPacket: number | undefined;
  #drawn: Drawn = { hosts: 0, inside: [], packets: [] };
  #packet: number | undefined;
  /** The user has not moved it: it shows all, also when its size changes. */
  #fitted = true;
  #planned = false;
  #shown = false;
  /** Packets move from one time to another while so many ms pass. */
  #film = { from: 0, to: 0, wall: 0, start: 0 };
  #density = 1;

  constructor(listener: PictureListener) {
    this.#listener = listener;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", "The swarm");
    this.#dark.addEventListener("change", () => this.#recolour());
    this.#calm.addEventListener("change", () => this.changed());
    this.#hearPointer();
  }

  get legend(): HTMLElement {
    return this.#legend.element;
  }

  /** What the pointer is at. */
  get hover(): Selection | undefined {
    return this.#hover;
  }

  /** The packet that the pointer is at, by its place in the packet list. */
  get hoverPacket(): number | undefined {
    return this.#hoverPacket;
  }

  /** Puts it to work, in the element that gives it its size. */
  mount(place: HTMLElement): void {
    const context = this.canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Error("this browser gives the page no canvas to draw on");
    this.#pen = new Pen(context, this.camera, readPalette(place, this.#dark.matches));
    new ResizeObserver(() => this.#resize(place)).observe(place);
  }

  #resize({ clientWidth, clientHeight }: HTMLElement): void {
    if (clientWidth === 0 || clientHeight === 0) return;
    this.#density = devicePixelRatio;
    this.canvas.width = Math.round(clientWidth * this.#density);
    this.canvas.height = Math.round(clientHeight * this.#density);
    this.camera.resize(clientWidth, clientHeight);
    if (this.#fitted) this.camera.fit();
    // At once: a canvas that has got its size is empty.
    this.#draw();
  }

  #recolour(): void {
    const place = this.canvas.parentElement;
    if (this.#pen !== undefined && place !== null) this.#pen.palette = readPalette(place, this.#dark.matches);
    this.changed();
  }

  /** Another lab is open. */
  open(model: SwarmModel): void {
    this.#model = model;
    this.#selection = undefined;
    this.#hover = undefined;
    this.#packet = undefined;
    this.#hoverPacket = undefined;
    this.#film = { from: 0, to: 0, wall: 0, start: 0 };
    this.camera.setBounds(model.layout.bounds);
    this.camera.fit();
    this.#fitted = true;
    this.changed();
  }

  /** Whether it is in sight. */
  show(shown: boolean): void {
    this.#shown = shown;
    if (shown) this.changed();
  }

  /** Virtual time goes on from there to there while so many ms pass; 0: at once. */
  time(from: Time, to: Time, wall: number): void {
    const steps = this.#calm.matches ? 0 : Math.min(1000, wall);
    const still = this.#film.to === to && steps === 0;
    this.#film = { from, to, wall: steps, start: performance.now() };
    if (!still) this.changed();
  }

  /** Draws with the next frame of the screen. */
  changed(): void {
    if (this.#planned || !this.#shown) return;
    this.#planned = true;
    requestAnimationFrame(() => {
      this.#planned = false;
      this.#draw();
    });
  }

  #draw(): void {
    const [pen, model] = [this.#pen, this.#model];
    if (pen === undefined || model === undefined || !this.#shown) return;
    const { from, to, wall, start } = this.#film;
    const part = wall === 0 ? 1 : Math.min(1, (performance.now() - start) / wall);
    const time = from + part * (to - from);
    const still = this.#calm.matches;
    this.#drawn = draw(pen, model, {
      selection: this.#selection,
      packet: this.#packet,
      time,
      still,
      density: this.#density,
    });
    this.#legend.update(model.networks.list(), pen.palette, String(this.#dark.matches));
    const { dataset } = this.canvas;
    dataset["hosts"] = String(this.#drawn.hosts);
    dataset["inside"] = String(this.#drawn.inside.length);
    dataset["packets"] = String(this.#drawn.packets.length);
    if (part < 1 && model.flights.length > 0) this.changed();
  }

  /** Hosts whose devices' counters have room. */
  near(): string[] {
    if (this.camera.scale * HOST.width < NEAR_WIDTH) return [];
    return this.#drawn.inside.slice(0, MOST_NEAR).map(({ place }) => place.name);
  }

  /** A host that is in sight. */
  firstInSight(): number | undefined {
    return this.#model?.hosts.find(({ box: { x, y } }) => this.camera.sees({ x, y, ...HOST }))?.index;
  }

  /** Marks something. @param reveal brings it into sight */
  select(selection: Selection | undefined, reveal: boolean): void {
    this.#selection = selection;
    const rect = selection === undefined || this.#model === undefined ? undefined : placeOf(this.#model, selection);
    if (reveal && rect !== undefined) {
      this.camera.reveal(rect);
      this.#moved();
    }
    this.changed();
  }

  /** Marks a packet, by its place in the packet list, while it is on a wire. */
  selectPacket(packet: number): void {
    this.#packet = packet;
    this.changed();
  }

  /** Fills the view with something, with some of what is around it where it is small. */
  zoomTo(selection: Selection): void {
    const rect = this.#model === undefined ? undefined : placeOf(this.#model, selection);
    if (rect === undefined) return;
    const room = selection.key === "" ? 0.05 : 0.6;
    const { x, y, width, height } = rect;
    const [dx, dy] = [room * width, room * height];
    this.camera.fit({ x: x - dx, y: y - dy, width: width + 2 * dx, height: height + 2 * dy });
    this.#moved();
  }

  /** Where something is shown. */
  pixelOf(selection: Selection): [number, number] {
    const rect = this.#model === undefined ? undefined : placeOf(this.#model, selection);
    if (rect === undefined) return [0, 0];
    return [this.camera.pixelX(rect.x + rect.width / 2), this.camera.pixelY(rect.y + rect.height / 2)];
  }

  /** Moves, zooms, or shows all. */
  move(action: SwarmAction): void {
    if (action.kind === "pan") this.camera.pan(action.dx, action.dy);
    else if (action.kind === "zoom") this.camera.zoom(action.factor);
    else if (action.kind === "fit") this.camera.fit();
    this.#moved();
    this.#fitted = action.kind === "fit";
  }

  #moved(): void {
    this.#fitted = false;
    this.changed();
    this.#listener.moved();
  }

  #at(event: MouseEvent): Selection | undefined {
    if (this.#model === undefined) return undefined;
    const { offsetX, offsetY } = event;
    return pick(this.#model, this.camera.toX(offsetX), this.camera.toY(offsetY), this.camera.scale);
  }

  #hearPointer(): void {
    const { canvas } = this;
    let press: { readonly x: number; readonly y: number; moved: boolean } | undefined;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      press = { x: event.offsetX, y: event.offsetY, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (press === undefined) {
        this.#hovers(this.#at(event), packetAt(this.#drawn.packets, event.offsetX, event.offsetY));
        return;
      }
      const [dx, dy] = [event.offsetX - press.x, event.offsetY - press.y];
      if (!press.moved && Math.hypot(dx, dy) < CLICK) return;
      press = { x: event.offsetX, y: event.offsetY, moved: true };
      this.camera.pan(dx, dy);
      this.#moved();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (press?.moved === false) this.#click(event);
      press = undefined;
    });
    canvas.addEventListener("pointercancel", () => {
      press = undefined;
    });
    canvas.addEventListener("pointerleave", () => this.#hovers(undefined));
    canvas.addEventListener("dblclick", (event) => {
      const packet = packetAt(this.#drawn.packets, event.offsetX, event.offsetY);
      const found = this.#at(event);
      if (packet !== undefined) this.#listener.followed(packet);
      else if (found !== undefined) this.#listener.opened(found);
    });
    canvas.addEventListener("contextmenu", (event) => {
      const found = this.#at(event);
      // A menu key sends one too, after its keydown was taken.
      event.preventDefault();
      if (found !== undefined && event.button === 2) this.#listener.menu(found, event.offsetX, event.offsetY);
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
        this.camera.zoom(Math.exp(-event.deltaY * lines * WHEEL), event.offsetX, event.offsetY);
        this.#moved();
      },
      { passive: false },
    );
  }

  #click(event: MouseEvent): void {
    const packet = packetAt(this.#drawn.packets, event.offsetX, event.offsetY);
    if (packet === undefined) this.#listener.chosen(this.#at(event));
    else this.#listener.chosePacket(packet);
  }

  #hovers(selection: Selection | undefined, packet?: number): void {
    const same = selection?.host === this.#hover?.host && selection?.key === this.#hover?.key;
    if (same && packet === this.#hoverPacket) return;
    this.#hover = selection;
    this.#hoverPacket = packet;
    this.#listener.hovered();
  }
}
