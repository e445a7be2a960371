/** Networks' colours stand out from both themes' grounds, and from each other for colour-blind eyes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { NETWORK_COLOURS } from "../../../web/page/swarm/colours.ts";

type Rgb = readonly [number, number, number];

/** Linear light of #rrggbb. */
function light(hex: string): Rgb {
  return [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
}

/** Contrast (WCAG 2.2). */
function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const [r, g, bl] = light(hex);
    return 0.2126 * r + 0.7152 * g + 0.0722 * bl;
  };
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** Machado, Oliveira, Fernandes 2009, full severity. */
const EYES: Readonly<Record<string, readonly Rgb[]>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
};

function times(matrix: readonly Rgb[], [r, g, b]: Rgb): Rgb {
  return matrix.map((row) => Math.max(0, row[0] * r + row[1] * g + row[2] * b)) as unknown as Rgb;
}

/** OKLab. */
function lab(rgb: Rgb): Rgb {
  const [l, m, s] = times(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    rgb,
  ).map(Math.cbrt) as unknown as Rgb;
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** The page's grounds, as its style sheet has them. */
function grounds(): { light: string[]; dark: string[] } {
  const css = readFileSync(join(import.meta.dirname, "../../../web/style.css"), "utf8");
  const found = ["back", "panel"].map((name) => new RegExp(`--${name}: light-dark\\((#\\w+), (#\\w+)\\)`).exec(css));
  return { light: found.map((one) => one?.[1] ?? ""), dark: found.map((one) => one?.[2] ?? "") };
}

describe.each(["light", "dark"] as const)("networks' colours on %s ground", (theme) => {
  const colours = NETWORK_COLOURS[theme];

  it("stand out from it by 3 to 1", () => {
    for (const ground of grounds()[theme])
      for (const colour of colours) expect(contrast(colour, ground), `${colour} on ${ground}`).toBeGreaterThan(3);
  });

  it.each(Object.keys(EYES))("differ from each other to eyes with %s", (eyes) => {
    const seen = colours.map((colour) => lab(times(EYES[eyes] as readonly Rgb[], light(colour))));
    for (const [i, a] of seen.entries())
      for (const [j, b] of seen.entries())
        if (i < j)
          expect(Math.hypot(...a.map((v, k) => v - (b[k] as number))), `${colours[i]} ${colours[j]}`).toBeGreaterThan(
            0.1,
          );
  });
});
