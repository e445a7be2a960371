/** Ways past the list of labs for whoever goes by Tab: seen only while one of them has the focus. */
import { button, element } from "./page.ts";

const PLACES: readonly (readonly [text: string, id: string])[] = [
  ["To the views", "views"],
  ["To the terminals", "tabs"],
  ["To the packets", "packets"],
];
const FOCUSABLE = "button:not(:disabled), input, select, [tabindex='0']";

/** Adds them in front of everything else. */
export function addSkips(): void {
  const place = document.createElement("nav");
  place.className = "skips";
  place.setAttribute("aria-label", "On this page");
  for (const [text, id] of PLACES) place.append(button(text, () => go(element(id))));
  document.body.prepend(place);
}

/** To the first thing there that takes the focus: of tabs, that which is chosen. */
function go(place: HTMLElement): void {
  const targets = [...place.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((one) => one.checkVisibility());
  (targets.find((one) => one.tabIndex >= 0) ?? targets[0])?.focus();
}
