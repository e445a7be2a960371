/** Tabs that the arrow keys go through (WAI-ARIA Authoring Practices, tabs pattern). */

/** A tab and what it shows. */
export interface Tab {
  readonly button: HTMLButtonElement;
  readonly panel: HTMLElement;
}

/** A row of tabs over their panels; one is shown at a time. */
export class Tabs {
  readonly #list: HTMLElement;
  readonly #panels: HTMLElement;
  readonly #chosen: (key: string) => void;
  readonly #prefix: string;
  readonly #tabs = new Map<string, Tab>();
  #current: string | undefined;

  /**
   * @param chosen told which panel is shown, each time that changes
   * @param prefix begins the ids of its tabs
   */
  constructor(list: HTMLElement, panels: HTMLElement, chosen: (key: string) => void, prefix = "tab") {
    this.#prefix = prefix;
    this.#list = list;
    this.#panels = panels;
    this.#chosen = chosen;
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The tab that is shown. */
  get current(): string | undefined {
    return this.#current;
  }

  /** Adds a tab at the end. The first one is shown. @param key names it in this row, and in its ids */
  add(key: string, title: string): Tab {
    const button = document.createElement("button");
    const panel = document.createElement("div");
    const part = idPart(key);
    const name = `${this.#list.id}-${part}`;
    Object.assign(button, { type: "button", textContent: title, id: `${this.#prefix}-${part}`, tabIndex: -1 });
    button.setAttribute("role", "tab");
    button.setAttribute("aria-controls", name);
    button.setAttribute("aria-selected", "false");
    button.addEventListener("click", () => this.choose(key));
    Object.assign(panel, { className: "panel", id: name, hidden: true });
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", button.id);
    this.#list.append(button);
    this.#panels.append(panel);
    this.#tabs.set(key, { button, panel });
    if (this.#tabs.size === 1) this.choose(key);
    return { button, panel };
  }

  /** Takes a tab away; if it was shown, its neighbour is. */
  remove(key: string): void {
    const keys = [...this.#tabs.keys()];
    const at = keys.indexOf(key);
    const tab = this.#tabs.get(key);
    if (tab === undefined) return;
    const focused = tab.button === document.activeElement;
    tab.button.remove();
    tab.panel.remove();
    this.#tabs.delete(key);
    const neighbour = keys[at + 1] ?? keys[at - 1];
    if (this.#current !== key) return;
    this.#current = undefined;
    if (neighbour === undefined) return;
    this.choose(neighbour);
    if (focused) this.#tabs.get(neighbour)?.button.focus();
  }

  /** Takes all tabs away. */
  clear(): void {
    for (const { button, panel } of this.#tabs.values()) {
      button.remove();
      panel.remove();
    }
    this.#tabs.clear();
    this.#current = undefined;
  }

  /** Shows a tab's panel; nothing where there is none of that key. */
  choose(key: string): void {
    if (!this.#tabs.has(key)) return;
    this.#current = key;
    for (const [other, { button, panel }] of this.#tabs) {
      button.setAttribute("aria-selected", String(other === key));
      button.tabIndex = other === key ? 0 : -1;
      panel.hidden = other !== key;
    }
    this.#chosen(key);
  }

  #key(event: KeyboardEvent): void {
    const keys = [...this.#tabs.keys()];
    const at = keys.findIndex((key) => this.#tabs.get(key)?.button === document.activeElement);
    const targets: Readonly<Record<string, number>> = {
      ArrowRight: (at + 1) % keys.length,
      ArrowLeft: (at + keys.length - 1) % keys.length,
      Home: 0,
      End: keys.length - 1,
    };
    const target = keys[targets[event.key] ?? -1];
    if (at < 0 || target === undefined) return;
    event.preventDefault();
    this.choose(target);
    this.#tabs.get(target)?.button.focus();
  }
}

/** A key as part of an id, in which a blank would stand between two. */
function idPart(key: string): string {
  return key.replace(/[^\w.-]/g, (character) => `_${character.codePointAt(0)?.toString(16)}_`);
}
