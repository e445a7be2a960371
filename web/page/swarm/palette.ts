/** The drawing's colours: the page's own, and those of networks. */
import { NETWORK_COLOURS } from "./colours.ts";

/** Colours as a canvas takes them. */
export interface Palette {
  readonly back: string;
  readonly panel: string;
  readonly text: string;
  readonly dim: string;
  readonly line: string;
  readonly edge: string;
  readonly mark: string;
  readonly chosen: string;
  readonly wrong: string;
  readonly networks: readonly string[];
}

const PROPERTIES = ["back", "panel", "text", "dim", "line", "edge", "mark", "chosen", "wrong"] as const;

/** Reads the page's custom properties as they are now, in the light or dark theme. */
export function readPalette(place: HTMLElement, dark: boolean): Palette {
  const probe = document.createElement("span");
  place.append(probe);
  const colours = PROPERTIES.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color] as const;
  });
  probe.remove();
  const own = Object.fromEntries(colours) as Record<(typeof PROPERTIES)[number], string>;
  return { ...own, networks: dark ? NETWORK_COLOURS.dark : NETWORK_COLOURS.light };
}

/** A network's colour; those that docker makes by itself have the edges' one. */
export function networkColour(palette: Palette, colour: number | undefined): string {
  if (colour === undefined) return palette.edge;
  return palette.networks[colour % palette.networks.length] as string;
}
