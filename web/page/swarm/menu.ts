/** A menu at a place of the drawing (WAI-ARIA Authoring Practices, menu pattern). */

/** Something that can be done. */
export interface MenuEntry {
  readonly text: string;
  readonly action: () => void;
}

/** The menu. One is open at a time. */
export class ContextMenu {
  readonly element = document.createElement("div");
  readonly #home: HTMLElement;

  /** @param home has the focus again when it closes */
  constructor(home: HTMLElement) {
    this.#home = home;
    this.element.className = "swarm-menu";
    this.element.hidden = true;
    this.element.setAttribute("role", "menu");
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("focusout", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && this.element.contains(relatedTarget))) this.element.hidden = true;
    });
  }

  /** Opens it there. @param title what it is about */
  open(title: string, entries: readonly MenuEntry[], x: number, y: number): void {
    this.element.setAttribute("aria-label", title);
    const items = entries.map(({ text, action }) => {
      const item = document.createElement("button");
      Object.assign(item, { type: "button", textContent: text, tabIndex: -1 });
      item.setAttribute("role", "menuitem");
      item.addEventListener("click", () => {
        this.close();
        action();
      });
      return item;
    });
    this.element.replaceChildren(...items);
    this.element.hidden = false;
    const { offsetWidth, offsetHeight } = this.element;
    const { clientWidth = 0, clientHeight = 0 } = this.element.parentElement ?? {};
    this.element.style.left = `${Math.max(0, Math.min(x, clientWidth - offsetWidth))}px`;
    this.element.style.top = `${Math.max(0, Math.min(y, clientHeight - offsetHeight))}px`;
    items[0]?.focus();
  }

  close(): void {
    if (this.element.hidden) return;
    this.#home.focus();
    this.element.hidden = true;
  }

  #key(event: KeyboardEvent): void {
    const items = [...this.element.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement as HTMLButtonElement);
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: (at + 1) % items.length,
      ArrowUp: (at + items.length - 1) % items.length,
      Home: 0,
      End: items.length - 1,
    };
    const target = targets[event.key];
    if (target !== undefined) items[target]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
