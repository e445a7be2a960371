/** What stands on a terminal, on its way to the page: kept while nobody looks, for whoever opens it later. */
import { lastLine } from "../../../src/lab/open-terminal.ts";
import type { SessionEvent } from "../protocol.ts";

/** Characters that are kept of a terminal that nobody has opened. */
const KEPT = 64 * 1024;
/** Erases the last line (ECMA-48: carriage return, erase to the end). */
const ERASE = "\r\u001b[J";

/** One terminal's text and prompt. */
export class Screen {
  readonly name: string;
  readonly #tell: (event: SessionEvent) => void;
  #shown = false;
  #log = "";
  #prompt: string | undefined;
  /** The last line of what was printed. */
  #tail = "";

  constructor(name: string, tell: (event: SessionEvent) => void) {
    this.name = name;
    this.#tell = tell;
  }

  /** Whether the page shows it. */
  get shown(): boolean {
    return this.#shown;
  }

  /** What stands in the last line, before the prompt. */
  get tail(): string {
    return this.#tail;
  }

  /** From now on the page shows it, with what was printed before. */
  show(): void {
    this.#shown = true;
    this.#tell({ kind: "output", terminal: this.name, text: this.#log });
    this.#tell({ kind: "prompt", terminal: this.name, prompt: this.#prompt });
  }

  /** The page doesn't show it any more. */
  hide(): void {
    this.#shown = false;
  }

  print(text: string): void {
    if (text === "") return;
    this.#tail = lastLine(this.#tail + text);
    this.#log = (this.#log + text).slice(-KEPT);
    if (this.#shown) this.#tell({ kind: "output", terminal: this.name, text });
  }

  /** What was typed, and stands on the page already, unless it is unseen. The prompt that stands there is in it. */
  echo(text: string, unseen: boolean): void {
    this.#prompt = undefined;
    if (unseen) {
      this.prompt(undefined);
      this.print(text);
      return;
    }
    this.#log = (this.#log + text).slice(-KEPT);
    this.#tail = lastLine(text);
  }

  /** Begins a line, unless one has just begun. */
  newLine(): void {
    if (this.#tail !== "") this.print("\n");
  }

  /** Takes the last line away. */
  eraseTail(): void {
    if (this.#tail === "") return;
    this.print(ERASE);
    this.#tail = "";
  }

  /** Shows where to type; undefined while something runs. */
  prompt(prompt: string | undefined): void {
    this.#prompt = prompt;
    if (prompt !== undefined) this.#tail = "";
    if (this.#shown) this.#tell({ kind: "prompt", terminal: this.name, prompt });
  }
}
