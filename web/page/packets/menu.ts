/** A menu at a place on the page (WAI-ARIA Authoring Practices, menu pattern). */

/** A line of a menu. */
export interface MenuItem {
  readonly text: string;
  readonly action: () => void;
}

/** Where it opens: its upper left corner. */
export interface MenuPlace {
  readonly x: number;
  readonly y: number;
}

/** Below an element. */
export function below(element: Element): MenuPlace {
  const { left, bottom } = element.getBoundingClientRect();
  return { x: left + 16, y: bottom };
}

/** Opens it; it closes with a choice, Escape, Tab or a click elsewhere, and the focus returns. */
export function openMenu(label: string, { x, y }: MenuPlace, items: readonly MenuItem[]): void {
  const before = document.activeElement as HTMLElement | null;
  const menu = document.createElement("div");
  menu.className = "menu";
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", label);
  const close = (): void => {
    document.removeEventListener("pointerdown", outside, true);
    menu.remove();
    before?.focus();
  };
  const outside = (event: Event): void => {
    if (!menu.contains(event.target as Node)) close();
  };
  const entries = items.map(({ text, action }) => {
    const entry = document.createElement("div");
    entry.textContent = text;
    entry.tabIndex = -1;
    entry.setAttribute("role", "menuitem");
    entry.addEventListener("click", () => {
      close();
      action();
    });
    entry.addEventListener("pointerenter", () => entry.focus());
    return entry;
  });
  menu.append(...entries);
  menu.addEventListener("keydown", (event) => {
    const at = entries.indexOf(document.activeElement as HTMLDivElement);
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: (at + 1) % entries.length,
      ArrowUp: (at + entries.length - 1) % entries.length,
      Home: 0,
      End: entries.length - 1,
    };
    const target = targets[event.key];
    if (target !== undefined) entries[target]?.focus();
    else if (event.key === "Enter" || event.key === " ") entries[at]?.click();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.body.append(menu);
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(0, Math.min(x, innerWidth - width))}px`;
  menu.style.top = `${Math.max(0, Math.min(y, innerHeight - height))}px`;
  document.addEventListener("pointerdown", outside, true);
  entries[0]?.focus();
}
