/** The terminals: the run's transcript and one for each host, as tabs. */
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import type { Page } from "../page.ts";
import { Tabs } from "../tabs.ts";
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

/** The whole run's transcript. */
const TRANSCRIPT = "Transcript";

/** What a tab shows. */
interface Screen {
  readonly terminal: Terminal;
  readonly fit: FitAddon;
  /** Undefined on the transcript. */
  readonly editor: LineEditor | undefined;
}

/** The terminals of the lab that is open. */
export class TerminalsView {
  readonly #page: Page;
  readonly #tabs: Tabs;
  /** By the tab's key: the host's name, or TRANSCRIPT. */
  readonly #screens = new Map<string, Screen>();

  constructor(page: Page, list: HTMLElement, panels: HTMLElement) {
    this.#page = page;
    this.#tabs = new Tabs(list, panels, () => this.#fit());
    new ResizeObserver(() => this.#fit()).observe(panels);
    page.hub.on("lab", ({ hosts }) => this.#open(hosts));
    page.hub.on("terminal", ({ host }) => {
      this.#tabs.choose(host);
      this.#screens.get(host)?.terminal.focus();
    });
    page.hub.on("session", (event) => {
      if (event.kind === "output") this.#print(event.host ?? TRANSCRIPT, event.text);
      else if (event.kind === "rewound") this.#rewind();
      else if (event.kind === "prompt") this.#screens.get(event.host)?.editor?.prompt(event.prompt);
    });
    dark.addEventListener("change", () => {
      for (const { terminal } of this.#screens.values()) terminal.options.theme = dark.matches ? DARK : LIGHT;
    });
  }

  /** Begins anew, for these hosts. */
  #open(hosts: readonly string[]): void {
    for (const { terminal } of this.#screens.values()) terminal.dispose();
    this.#screens.clear();
    this.#tabs.clear();
    this.#make(TRANSCRIPT, undefined);
    for (const host of hosts) this.#make(host, host);
  }

  /** What they show is void: all of it comes again. */
  #rewind(): void {
    for (const { terminal, editor } of this.#screens.values()) {
      editor?.reset();
      terminal.reset();
    }
  }

  #make(key: string, host: string | undefined): void {
    const { button, panel } = this.#tabs.add(key, key);
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
    button.addEventListener("click", () => terminal.focus());
    this.#screens.set(key, { terminal, fit, editor: this.#editor(host, terminal) });
    this.#fit();
  }

  #editor(host: string | undefined, terminal: Terminal): LineEditor | undefined {
    if (host === undefined) return undefined;
    const { session } = this.#page;
    const editor = new LineEditor({
      write: (text) => terminal.write(text),
      columns: () => terminal.cols,
      line: (text) => this.#page.attempt(session.type(host, text)),
      key: (key) => this.#page.attempt(session.key(host, key)),
    });
    terminal.onData((data) => editor.input(data));
    return editor;
  }

  #print(key: string, text: string): void {
    const screen = this.#screens.get(key);
    if (screen?.editor !== undefined) screen.editor.print(text);
    else screen?.terminal.write(text);
  }

  #fit(): void {
    this.#screens.get(this.#tabs.current ?? "")?.fit.fit();
  }
}
