/** What the colours and lines of the drawing mean. */
import type { ShownNetwork } from "./networks.ts";
import { networkColour, type Palette } from "./palette.ts";

/** Networks listed at most. */
const MOST = 12;

function entry(swatch: HTMLElement, text: string): HTMLElement {
  const item = document.createElement("li");
  item.append(swatch, text);
  return item;
}

function swatchOf(colour: string, kind: "solid" | "dashed" | "dot" | "cross" | "corner"): HTMLElement {
  const swatch = document.createElement("span");
  swatch.className = `swatch ${kind}`;
  swatch.style.setProperty("--colour", colour);
  swatch.setAttribute("aria-hidden", "true");
  return swatch;
}

/** The legend. */
export class Legend {
  readonly element = document.createElement("ul");
  #shown = "";

  constructor() {
    this.element.className = "swarm-legend";
    this.element.setAttribute("aria-label", "Legend");
  }

  /** Shows these networks. */
  update(networks: readonly ShownNetwork[], palette: Palette, colours: string): void {
    const key = `${colours} ${networks.map(({ name, slot, vnis }) => `${name} ${slot} ${vnis.join()}`).join("|")}`;
    if (key === this.#shown) return;
    this.#shown = key;
    const items = networks.slice(0, MOST).map(({ name, colour, encrypted, vnis, driver, scope, hosts }) => {
      const what = vnis.length > 0 ? `VNI ${vnis.join(" ")}` : scope === "local" && hosts > 1 ? "one a host" : driver;
      const text = `${name} (${what}${encrypted ? ", encrypted" : ""})`;
      return entry(swatchOf(networkColour(palette, colour), encrypted ? "dashed" : "solid"), text);
    });
    if (networks.length > MOST) items.push(entry(swatchOf("transparent", "dot"), `and ${networks.length - MOST} more`));
    this.element.replaceChildren(
      ...items,
      entry(swatchOf(palette.mark, "solid"), "traffic, by thickness"),
      entry(swatchOf(palette.text, "dot"), "packet (square: ESP)"),
      entry(swatchOf(palette.wrong, "cross"), "broken"),
      entry(swatchOf(palette.wrong, "corner"), "last drop"),
    );
  }
}
