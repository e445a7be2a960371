/** The drawing's colours: the page's own, and those of networks. */

/**
 * Networks' colours on light and on dark ground: each stands out from the ground by 3 to 1 at least (WCAG 2.2, 1.4.11),
 * and from each other one also for eyes that see no red or no green. A network beyond the last one has the colour of an
 * earlier one; its name tells them apart.
 */
export const NETWORK_COLOURS = {
  light: ["#1067b3", "#c07900", "#106300", "#cd0064", "#1996bc", "#2412f0", "#002f23"],
  dark: ["#46abff", "#e8e84a", "#8fc31f", "#ff4f9e", "#9bf3ff", "#3d6dff", "#558414"],
} as const;

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
