/** Keys that do something wherever the focus is, unless something there takes them: a field, a terminal, a dialog. */

/** A key and what it does. */
export interface Shortcut {
  /** As KeyboardEvent.key has it: `.`, `n`, `N` (with Shift), ` ` (the space bar). Never with Ctrl, Alt or Meta. */
  readonly key: string;
  /** What it does, in a few words, for the list of keys. */
  readonly text: string;
  /** The heading that it stands under there. */
  readonly group: string;
  action(): void;
}

/** Where keys are text. */
const TEXT =
  "input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [contenteditable], .xterm, .cm-editor";
/** Where the space bar presses something. */
const PRESSABLE = "button, a[href], summary, [role=button], [role=tab], [role=option], input";

/** What a key is called where keys are listed. */
export function keyName(key: string): string {
  return key === " " ? "Space" : key;
}

/** All keys of the page. */
export class Keys {
  readonly #shortcuts = new Map<string, Shortcut>();

  constructor() {
    document.addEventListener("keydown", (event) => this.#take(event));
  }

  /** Registers one. Two for the same key are a mistake. */
  add(shortcut: Shortcut): void {
    if (this.#shortcuts.has(shortcut.key)) throw new Error(`the key ${keyName(shortcut.key)} is taken`);
    this.#shortcuts.set(shortcut.key, shortcut);
  }

  /** All of them, in the order in which they came. */
  list(): readonly Shortcut[] {
    return [...this.#shortcuts.values()];
  }

  #take(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const shortcut = this.#shortcuts.get(event.key);
    const target = event.target instanceof Element ? event.target : undefined;
    if (shortcut === undefined || target?.closest(TEXT) || document.querySelector("dialog[open]") !== null) return;
    if (event.key === " " && target?.closest(PRESSABLE)) return;
    event.preventDefault();
    shortcut.action();
  }
}
