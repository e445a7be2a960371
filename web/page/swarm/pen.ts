/** Draws on the canvas in units of the drawing; texts have one size on the screen, whatever is zoomed. */
import type { Camera } from "./camera.ts";
import type { Rect } from "./geometry.ts";
import type { Palette } from "./palette.ts";

/** Of texts, in pixels. */
export const FONT_SIZE = 11;
/** From one line of text to the next. */
export const LINE_HEIGHT = 14;
const FAMILY = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
/** A text of which fewer characters have room says nothing. */
const LEGIBLE = 6;
/** Space between an edge and a text. */
const PAD = 3;

/** How a line looks. */
export interface Stroke {
  readonly colour: string;
  /** Pixels. */
  readonly width: number;
  readonly dash?: readonly number[];
}

/** A line of text. */
export interface TextLine {
  readonly text: string;
  readonly colour: string;
  readonly bold?: boolean;
}

const SOLID: number[] = [];

/** A canvas, where one looks, and the colours. */
export class Pen {
  readonly context: CanvasRenderingContext2D;
  readonly camera: Camera;
  palette: Palette;
  /** Of a character, in pixels. */
  readonly character: number;
  /** Pixel at which the present origin stands. */
  #left = 0;
  #top = 0;

  constructor(context: CanvasRenderingContext2D, camera: Camera, palette: Palette) {
    this.context = context;
    this.camera = camera;
    this.palette = palette;
    context.font = `${FONT_SIZE}px ${FAMILY}`;
    this.character = context.measureText("0000000000").width / 10;
  }

  /** Begins a picture of that many device pixels a pixel. */
  begin(density: number): void {
    const { context, camera, palette } = this;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.fillStyle = palette.back;
    context.fillRect(0, 0, camera.width, camera.height);
    context.font = `${FONT_SIZE}px ${FAMILY}`;
    context.textBaseline = "alphabetic";
    context.lineJoin = "round";
    this.origin(0, 0);
  }

  /** What is drawn next is told from that point. */
  origin(x: number, y: number): void {
    this.#left = this.camera.pixelX(x);
    this.#top = this.camera.pixelY(y);
  }

  /** Pixels of so many units. */
  px(units: number): number {
    return units * this.camera.scale;
  }

  x(units: number): number {
    return this.#left + units * this.camera.scale;
  }

  y(units: number): number {
    return this.#top + units * this.camera.scale;
  }

  /** Fills a rectangle, from pixel to pixel. */
  fill(rect: Rect, colour: string): void {
    const { context } = this;
    context.fillStyle = colour;
    // Of one size wherever they are: rounded edges would make some of many equal ones a pixel larger.
    context.fillRect(
      Math.round(this.x(rect.x)),
      Math.round(this.y(rect.y)),
      Math.max(1, Math.round(this.px(rect.width))),
      Math.max(1, Math.round(this.px(rect.height))),
    );
  }

  /** Draws a rectangle's edge. */
  frame(rect: Rect, { colour, width, dash = SOLID }: Stroke): void {
    const { context } = this;
    const [x, y] = [Math.round(this.x(rect.x)) + 0.5, Math.round(this.y(rect.y)) + 0.5];
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.setLineDash(dash as number[]);
    context.strokeRect(x, y, Math.round(this.px(rect.width)) - 1, Math.round(this.px(rect.height)) - 1);
    if (dash.length > 0) context.setLineDash(SOLID);
  }

  /** Draws a line. @param points x and y in turns */
  line(points: readonly number[], { colour, width, dash = SOLID }: Stroke): void {
    const { context } = this;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.setLineDash(dash as number[]);
    context.beginPath();
    for (let i = 0; i + 1 < points.length; i += 2) {
      const x = Math.round(this.x(points[i] as number)) + 0.5;
      const y = Math.round(this.y(points[i + 1] as number)) + 0.5;
      if (i === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    }
    context.stroke();
    if (dash.length > 0) context.setLineDash(SOLID);
  }

  /** As much of a text as has room. */
  fit(text: string, width: number): string {
    const most = Math.floor(width / this.character);
    if (text.length <= most) return text;
    return most < 2 ? "" : `${text.slice(0, most - 1)}…`;
  }

  /** A text at a pixel, its baseline there. @param width room for it */
  text({ text, colour, bold = false }: TextLine, x: number, y: number, width = Number.POSITIVE_INFINITY): void {
    const { context } = this;
    const shown = this.fit(text, width);
    if (shown === "") return;
    context.fillStyle = colour;
    if (bold) context.font = `bold ${FONT_SIZE}px ${FAMILY}`;
    context.fillText(shown, x, y);
    if (bold) context.font = `${FONT_SIZE}px ${FAMILY}`;
  }

  /** A text on ground of its own, so that lines behind it don't strike it through. */
  caption(line: TextLine, x: number, y: number): void {
    const { context } = this;
    context.fillStyle = this.palette.back;
    context.fillRect(x - 2, y - FONT_SIZE + 1, line.text.length * this.character + 4, FONT_SIZE + 3);
    this.text(line, x, y);
  }

  /** As many lines of text as have room in a rectangle. */
  lines(rect: Rect, texts: readonly TextLine[]): void {
    const [x, top] = [this.x(rect.x) + PAD, this.y(rect.y)];
    const [width, height] = [this.px(rect.width) - 2 * PAD, this.px(rect.height)];
    const least = Math.min(LEGIBLE, texts[0]?.text.length ?? 0);
    if (width < least * this.character || height < FONT_SIZE) return;
    const room = Math.max(1, Math.floor((height - 1) / LINE_HEIGHT));
    const first = room === 1 ? height / 2 + 4 : LINE_HEIGHT - 2;
    for (const [i, line] of texts.slice(0, room).entries()) this.text(line, x, top + first + i * LINE_HEIGHT, width);
  }

  /** A cross: something is broken here. Its middle and half its width in pixels. */
  cross(x: number, y: number, half: number): void {
    const { context, palette } = this;
    context.strokeStyle = palette.wrong;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x - half, y - half);
    context.lineTo(x + half, y + half);
    context.moveTo(x - half, y + half);
    context.lineTo(x + half, y - half);
    context.stroke();
  }
}
