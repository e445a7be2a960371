/** Dialogs: a title, what they show, a button that closes them. */
import { button } from "../page.ts";

/** A modal dialog; Escape closes it, and the focus goes back to where it was. */
export class Dialog {
  readonly body = document.createElement("div");
  readonly #dialog = document.createElement("dialog");

  constructor(id: string, title: string) {
    const heading = document.createElement("h2");
    heading.textContent = title;
    heading.id = `${id}-title`;
    this.#dialog.id = id;
    this.#dialog.setAttribute("aria-labelledby", heading.id);
    this.body.className = "dialog-body";
    this.body.tabIndex = 0;
    const close = button("Close", () => this.close());
    close.autofocus = true;
    this.#dialog.append(heading, this.body, close);
    document.body.append(this.#dialog);
  }

  open(): void {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  close(): void {
    this.#dialog.close();
  }
}

/** A table with a head. Cells are texts or elements. */
export function table(head: readonly string[], rows: readonly (readonly (string | HTMLElement)[])[]): HTMLTableElement {
  const made = document.createElement("table");
  const cells = (tag: "th" | "td", texts: readonly (string | HTMLElement)[]): HTMLTableRowElement => {
    const row = document.createElement("tr");
    for (const text of texts) {
      const cell = document.createElement(tag);
      if (tag === "th") cell.scope = "col";
      cell.append(text);
      row.append(cell);
    }
    return row;
  };
  const [thead, tbody] = [document.createElement("thead"), document.createElement("tbody")];
  thead.append(cells("th", head));
  tbody.append(...rows.map((row) => cells("td", row)));
  made.append(thead, tbody);
  return made;
}
