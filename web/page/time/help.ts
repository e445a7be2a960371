/** The list of keys. */
import { type Keys, keyName } from "../keys.ts";
import type { Page } from "../page.ts";
import { Dialog, table } from "./dialog.ts";

/** Keys that belong to a part of the page, and work while the focus is in it. */
const LOCAL: readonly (readonly [string, string])[] = [
  ["Tab, Shift+Tab", "go through the page; in a terminal, Tab completes what is typed"],
  ["arrow keys", "in lists, trees and rows of tabs; on the timeline, choose a time, and Enter goes there"],
];

/** Shows all keys of the page, as they are registered. */
export class Help {
  readonly #keys: Keys;
  readonly #dialog = new Dialog("help", "Keys");

  constructor(page: Page) {
    this.#keys = page.keys;
    page.keys.add({ key: "?", text: "list the keys", group: "Page", action: () => this.open() });
  }

  open(): void {
    const keys = this.#keys.list();
    const parts = [...new Set(keys.map(({ group }) => group))].flatMap((group) => {
      const heading = document.createElement("h3");
      heading.textContent = group;
      const shortcuts = keys.filter((key) => key.group === group);
      const rows = shortcuts.map(({ key, text }) => [kbd(keyName(key)), text]);
      return [heading, table(["Key", "What it does"], rows)];
    });
    const heading = document.createElement("h3");
    heading.textContent = "Where the focus is";
    const local = LOCAL.map(([key, text]) => [kbd(key), text]);
    const note = document.createElement("p");
    note.textContent = "While a field or a terminal has the focus, these keys are text.";
    this.#dialog.body.replaceChildren(note, ...parts, heading, table(["Key", "What it does"], local));
    this.#dialog.open();
  }
}

function kbd(text: string): HTMLElement {
  const made = document.createElement("kbd");
  made.textContent = text;
  return made;
}
