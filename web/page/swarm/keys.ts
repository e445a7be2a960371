/** What keys do in the drawing. */

/** What a key asks for. */
export type SwarmAction =
  | { readonly kind: "pan"; readonly dx: number; readonly dy: number }
  | { readonly kind: "zoom"; readonly factor: number }
  | { readonly kind: "fit" | "next" | "previous" | "enter" | "leave" | "menu" | "terminal" | "table" };

/** A step with an arrow key, in pixels; with Shift a larger one. */
const STEP = { near: 60, far: 300 } as const;
const ZOOM = 1.25;

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [1, 0],
  ArrowRight: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

const PLAIN: Readonly<Record<string, SwarmAction>> = {
  "+": { kind: "zoom", factor: ZOOM },
  "=": { kind: "zoom", factor: ZOOM },
  "-": { kind: "zoom", factor: 1 / ZOOM },
  "0": { kind: "fit" },
  Enter: { kind: "enter" },
  Escape: { kind: "leave" },
  ContextMenu: { kind: "menu" },
  t: { kind: "terminal" },
  l: { kind: "table" },
};

/** In words, for those who have the drawing read to them and for those who look for help. */
export const KEY_HELP =
  "Arrow keys move, + and - zoom, 0 shows all. Enter selects a host, then goes into it; Tab and Shift+Tab go from one to " +
  "the next; Escape goes back out, then Tab leaves the drawing. T opens a terminal, L the list, Shift+F10 the menu.";

/** A key that was pressed. */
export interface KeyPress {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

/** @param selected whether something is selected: Tab leaves the drawing where nothing is */
export function actionOf(event: KeyPress, selected: boolean): SwarmAction | undefined {
  const { key, shiftKey, ctrlKey, altKey, metaKey } = event;
  if (ctrlKey || altKey || metaKey) return undefined;
  const arrow = ARROWS[key];
  if (arrow !== undefined) {
    const step = shiftKey ? STEP.far : STEP.near;
    return { kind: "pan", dx: arrow[0] * step, dy: arrow[1] * step };
  }
  if (key === "Tab") return selected ? { kind: shiftKey ? "previous" : "next" } : undefined;
  if (key === "F10") return shiftKey ? { kind: "menu" } : undefined;
  if (key === "Escape" && !selected) return undefined;
  return PLAIN[key];
}
