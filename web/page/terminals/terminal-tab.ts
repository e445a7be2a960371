/** A terminal in its tab: xterm.js, with a line editor where somebody may type. */
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import type { History } from "./history.ts";
import { LineEditor, type LineEvents } from "./line-editor.ts";

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

/** How Tab is meant, for whoever doesn't see it. */
const HELP = "Tab completes what is typed. Escape, then Tab, goes on; Shift and Tab goes back.";

/** What is typed, and what Tab offers; undefined on a terminal that only shows. */
export type Typing = Pick<LineEvents, "line" | "key" | "complete"> & { readonly history: History };

/** One terminal. */
export class TerminalTab {
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #editor: LineEditor | undefined;
  readonly #recolour = (): void => {
    this.#terminal.options.theme = dark.matches ? DARK : LIGHT;
  };
  /** Escape was pressed last: the next Tab leaves. */
  #leaving = false;

  /** @param name whose it is, @param reader its text is told to a screen reader */
  constructor(panel: HTMLElement, name: string, reader: boolean, typing?: Typing) {
    const terminal = new Terminal({
      convertEol: true,
      cursorBlink: false,
      disableStdin: typing === undefined,
      fontFamily: '"DejaVu Sans Mono", Menlo, Consolas, monospace',
      fontSize: 12,
      macOptionIsMeta: true,
      minimumContrastRatio: 4.5,
      screenReaderMode: reader,
      scrollback: SCROLLBACK,
      theme: dark.matches ? DARK : LIGHT,
    });
    this.#terminal = terminal;
    terminal.loadAddon(this.#fit);
    terminal.open(panel);
    terminal.textarea?.setAttribute("aria-label", `Terminal ${name}`);
    if (typing !== undefined) terminal.textarea?.setAttribute("aria-description", HELP);
    terminal.attachCustomKeyEventHandler((event) => this.#key(event));
    this.#editor = typing && this.#edit(typing);
    dark.addEventListener("change", this.#recolour);
  }

  #edit({ history, ...typing }: Typing): LineEditor {
    const terminal = this.#terminal;
    const editor = new LineEditor(
      { ...typing, write: (text) => terminal.write(text), columns: () => terminal.cols },
      history,
    );
    terminal.onData((data) => editor.input(data));
    return editor;
  }

  /** @returns whether the key is the terminal's */
  #key(event: KeyboardEvent): boolean {
    if (event.type !== "keydown") return event.key !== "Tab";
    const control = event.ctrlKey && !event.altKey && !event.metaKey;
    if (control && event.key === "c" && this.#terminal.hasSelection()) return false;
    if (control && event.key === "v") return false;
    const leaving = this.#leaving;
    this.#leaving = event.key === "Escape";
    if (event.key !== "Tab") return true;
    if (leaving || event.shiftKey || this.#editor === undefined || this.#editor.empty) return false;
    event.preventDefault();
    this.#editor.input("\t");
    return false;
  }

  /** Prints above what is being typed. */
  print(text: string): void {
    if (this.#editor !== undefined) this.#editor.print(text);
    else this.#terminal.write(text);
  }

  /** Where to type; undefined while something runs. */
  prompt(prompt: string | undefined): void {
    this.#editor?.prompt(prompt);
  }

  /** What it shows is void: all of it comes again. */
  reset(): void {
    this.#editor?.reset();
    this.#terminal.reset();
  }

  focus(): void {
    this.#terminal.focus();
  }

  /** As large as its panel. */
  fit(): void {
    this.#fit.fit();
  }

  /** Whether its text is told to a screen reader. */
  set reader(on: boolean) {
    this.#terminal.options.screenReaderMode = on;
  }

  dispose(): void {
    dark.removeEventListener("change", this.#recolour);
    this.#terminal.dispose();
  }
}
