/** The terminals: the run's transcript and one for each host, as tabs. */
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import { LineEditor } from "./line-editor.ts";

const LIGHT: ITheme = {
  background: "#ffffff",
  foreground: "#1b1f24",
  cursor: "#0b57b0",
  selectionBackground: "#b9d4f7",
  selectionForeground: "#1b1f24",
};
const DARK: ITheme = {
  background: "#16181c",
  foreground: "#e4e6ea",
  cursor: "#7db4ff",
  selectionBackground: "#22395a",
  selectionForeground: "#e4e6ea",
};
const SCROLLBACK = 20_000;
const dark = matchMedia("(prefers-color-scheme: dark)");

/** What the user does on a host's terminal. */
export interface Typing {
  line(host: string, text: string): void;
  key(host: string, key: "interrupt" | "eof"): void;
}

/** One tab. */
interface Tab {
  readonly button: HTMLButtonElement;
  readonly panel: HTMLElement;
  readonly terminal: Terminal;
  readonly fit: FitAddon;
  /** Undefined on the transcript. */
  readonly editor: LineEditor | undefined;
}

/** All tabs of an open lab. */
export class Terminals {
  readonly #list: HTMLElement;
  readonly #panels: HTMLElement;
  readonly #typing: Typing;
  /** By host; the transcript's under undefined. */
  readonly #tabs = new Map<string | undefined, Tab>();

  constructor(list: HTMLElement, panels: HTMLElement, typing: Typing) {
    this.#list = list;
    this.#panels = panels;
    this.#typing = typing;
    new ResizeObserver(() => this.#fit()).observe(panels);
    list.addEventListener("keydown", (event) => this.#arrows(event));
    dark.addEventListener("change", () => {
      for (const { terminal } of this.#tabs.values()) terminal.options.theme = dark.matches ? DARK : LIGHT;
    });
  }

  /** Begins anew, for these hosts. */
  open(hosts: readonly string[]): void {
    for (const { terminal, button, panel } of this.#tabs.values()) {
      terminal.dispose();
      button.remove();
      panel.remove();
    }
    this.#tabs.clear();
    for (const host of [undefined, ...hosts]) this.#tabs.set(host, this.#make(host));
    this.#select(undefined);
  }

  #make(host: string | undefined): Tab {
    const name = host ?? "Transcript";
    const button = document.createElement("button");
    const panel = document.createElement("div");
    Object.assign(button, { type: "button", textContent: name, id: `tab-${name}` });
    button.setAttribute("role", "tab");
    button.setAttribute("aria-controls", `panel-${name}`);
    button.addEventListener("click", () => {
      this.#select(host);
      this.#tabs.get(host)?.terminal.focus();
    });
    Object.assign(panel, { className: "panel", id: `panel-${name}` });
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", button.id);
    this.#list.append(button);
    this.#panels.append(panel);
    const terminal = new Terminal({
      convertEol: true,
      cursorBlink: false,
      disableStdin: host === undefined,
      fontFamily: '"DejaVu Sans Mono", Menlo, Consolas, monospace',
      fontSize: 12,
      minimumContrastRatio: 4.5,
      scrollback: SCROLLBACK,
      theme: dark.matches ? DARK : LIGHT,
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(panel);
    // Tab leaves the terminal, as it leaves everything else on the page.
    terminal.attachCustomKeyEventHandler((event) => event.key !== "Tab");
    return { button, panel, terminal, fit, editor: this.#editor(host, terminal) };
  }

  #editor(host: string | undefined, terminal: Terminal): LineEditor | undefined {
    if (host === undefined) return undefined;
    const editor = new LineEditor({
      write: (text) => terminal.write(text),
      columns: () => terminal.cols,
      line: (text) => this.#typing.line(host, text),
      key: (key) => this.#typing.key(host, key),
    });
    terminal.onData((data) => editor.input(data));
    return editor;
  }

  /** Output for a host's terminal, or the transcript's. */
  print(host: string | undefined, text: string): void {
    const tab = this.#tabs.get(host);
    if (tab?.editor !== undefined) tab.editor.print(text);
    else tab?.terminal.write(text);
  }

  /** The prompt of a host's terminal. */
  prompt(host: string, prompt: string | undefined): void {
    this.#tabs.get(host)?.editor?.prompt(prompt);
  }

  #select(host: string | undefined): void {
    for (const [key, { button, panel }] of this.#tabs) {
      const chosen = key === host;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      panel.hidden = !chosen;
    }
    this.#fit();
  }

  #fit(): void {
    for (const { panel, fit } of this.#tabs.values()) if (!panel.hidden) fit.fit();
  }

  /** Arrow keys go from tab to tab (WAI-ARIA, tabs pattern). */
  #arrows(event: KeyboardEvent): void {
    const tabs = [...this.#tabs];
    const at = tabs.findIndex(([, { button }]) => button === document.activeElement);
    const targets: Readonly<Record<string, number>> = {
      ArrowRight: (at + 1) % tabs.length,
      ArrowLeft: (at + tabs.length - 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    };
    const target = tabs[targets[event.key] ?? -1];
    if (at < 0 || target === undefined) return;
    event.preventDefault();
    this.#select(target[0]);
    target[1].button.focus();
  }
}
