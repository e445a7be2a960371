/** Wireshark's colours of rows, readable in light and dark (WCAG 2.2, contrast AA). */

/** Red, green, blue, each from 0 to 255. */
type Rgb = readonly [number, number, number];

/** WCAG 2.2, success criterion 1.4.3. */
const CONTRAST_AA = 4.5;
/** On a dark page, light backgrounds keep their hue at this lightness, and that much of their saturation. */
const DARK_LIGHTNESS = 0.2;
const DARK_SATURATION = 0.35;
/** Backgrounds lighter than this are turned dark on a dark page; the others are dark already. */
const LIGHT = 0.3;
const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];
const DARK_TEXT: Rgb = [228, 230, 234];

/** How a row is painted: CSS colours. */
export interface RowColors {
  readonly background: string;
  readonly color: string;
}

function rgb(color: number): Rgb {
  return [(color >>> 16) & 255, (color >>> 8) & 255, color & 255];
}

function css([red, green, blue]: Rgb): string {
  return `#${[red, green, blue].map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

/** Relative luminance, 0 to 1 (WCAG 2.2). */
function luminance(color: Rgb): number {
  const [red, green, blue] = color.map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast ratio of two CSS colours, `#rrggbb`, 1 to 21 (WCAG 2.2). */
export function contrast(a: string, b: string): number {
  return ratio(rgb(parseInt(a.slice(1), 16)), rgb(parseInt(b.slice(1), 16)));
}

function ratio(a: Rgb, b: Rgb): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** The same hue, dark. */
function darkened(color: Rgb): Rgb {
  const [most, least] = [Math.max(...color), Math.min(...color)];
  const spread = most - least;
  // HSL: a grey stays grey.
  const middle = (most + least) / 2 / 255;
  const saturation = spread === 0 ? 0 : spread / 255 / (1 - Math.abs(2 * middle - 1));
  const reach = DARK_LIGHTNESS * Math.min(1, saturation) * DARK_SATURATION;
  return color.map((part) => {
    const place = spread === 0 ? 0 : (part - least) / spread; // 0 for the least of the three, 1 for the most
    return 255 * (DARK_LIGHTNESS - reach + 2 * reach * place);
  }) as unknown as Rgb;
}

/** A text colour moved towards white or black until it can be read. */
function readable(text: Rgb, background: Rgb): Rgb {
  const target = ratio(WHITE, background) > ratio(BLACK, background) ? WHITE : BLACK;
  for (let share = 0; share <= 1; share += 0.1) {
    const mixed = text.map((part, i) => Math.round(part + ((target[i] as number) - part) * share)) as unknown as Rgb;
    if (ratio(mixed, background) >= CONTRAST_AA) return mixed;
  }
  return target;
}

/** How a row of these colours is painted. @param background of the rule, 0xrrggbb */
export function rowColors(background: number, foreground: number, dark: boolean): RowColors {
  const back = rgb(background);
  if (!dark || luminance(back) < LIGHT) return { background: css(back), color: css(readable(rgb(foreground), back)) };
  const night = darkened(back);
  return { background: css(night), color: css(readable(DARK_TEXT, night)) };
}
