/** What part of the drawing is in sight. Pixels are CSS pixels from the view's corner. */
import type { Rect } from "./geometry.ts";

/** Of the view that is free around what it was fitted to. */
const MARGIN = 0.03;
/** Pixels a unit at most: a bridge port of some units fills a hand's breadth. */
const MOST = 60;
/** How far one may go away, against the fit of all. */
const LEAST = 0.5;

/** Where one looks, and how closely. */
export class Camera {
  width = 1;
  height = 1;
  /** Pixels a unit. */
  scale = 1;
  /** What stands in the middle of the view. */
  x = 0;
  y = 0;
  #bounds: Rect = { x: 0, y: 0, width: 1, height: 1 };

  /** The whole drawing. */
  setBounds(bounds: Rect): void {
    this.#bounds = bounds;
  }

  /** The view has another size; the middle stays. */
  resize(width: number, height: number): void {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
  }

  #scaleFor({ width, height }: Rect): number {
    return Math.min(this.width / (width * (1 + 2 * MARGIN)), this.height / (height * (1 + 2 * MARGIN)));
  }

  /** Looks at all of a rectangle, or of the drawing. */
  fit(rect: Rect = this.#bounds): void {
    this.scale = Math.min(MOST, this.#scaleFor(rect));
    this.x = rect.x + rect.width / 2;
    this.y = rect.y + rect.height / 2;
  }

  /** Shows that rectangle, without moving where it is in sight and large enough. */
  reveal(rect: Rect): void {
    const { left, top, right, bottom } = this.view();
    const inside = rect.x >= left && rect.y >= top && rect.x + rect.width <= right && rect.y + rect.height <= bottom;
    if (inside) return;
    if (rect.width * this.scale > this.width || rect.height * this.scale > this.height) this.fit(rect);
    else [this.x, this.y] = [rect.x + rect.width / 2, rect.y + rect.height / 2];
    this.#keep();
  }

  /** Moves what is drawn, in pixels. */
  pan(dx: number, dy: number): void {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.#keep();
  }

  /** Goes closer (more than 1) or away; what stands at that pixel stays there. */
  zoom(factor: number, px = this.width / 2, py = this.height / 2): void {
    const [x, y] = [this.toX(px), this.toY(py)];
    const least = LEAST * this.#scaleFor(this.#bounds);
    this.scale = Math.min(MOST, Math.max(least, this.scale * factor));
    this.x = x - (px - this.width / 2) / this.scale;
    this.y = y - (py - this.height / 2) / this.scale;
    this.#keep();
  }

  /** The drawing stays in sight. */
  #keep(): void {
    const { x, y, width, height } = this.#bounds;
    this.x = Math.min(x + width, Math.max(x, this.x));
    this.y = Math.min(y + height, Math.max(y, this.y));
  }

  /** What a pixel shows. */
  toX(px: number): number {
    return this.x + (px - this.width / 2) / this.scale;
  }

  /** What a pixel shows. */
  toY(py: number): number {
    return this.y + (py - this.height / 2) / this.scale;
  }

  /** Where something is shown. */
  pixelX(x: number): number {
    return (x - this.x) * this.scale + this.width / 2;
  }

  /** Where something is shown. */
  pixelY(y: number): number {
    return (y - this.y) * this.scale + this.height / 2;
  }

  /** The part of the drawing that is in sight. */
  view(): { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number } {
    return {
      left: this.toX(0),
      top: this.toY(0),
      right: this.toX(this.width),
      bottom: this.toY(this.height),
    };
  }

  /** Whether any of a rectangle is in sight. */
  sees({ x, y, width, height }: Rect): boolean {
    const { left, top, right, bottom } = this.view();
    return x <= right && x + width >= left && y <= bottom && y + height >= top;
  }
}
