/** What the user can keep: the trace, its keys, the transcript. */
import { proxy } from "comlink";
import type { OpenLab } from "../session/labs/protocol.ts";
import { button, type Page } from "./page.ts";
import { canStream, save, saveParts } from "./save.ts";
import { formatSize } from "./size.ts";

/** A trace of more bytes is written part by part where the browser can do that. */
const LARGE = 64 << 20;
/** How often the trace's size is asked for at most, in milliseconds. */
const SIZE_MS = 300;

/** The bar of buttons. */
export class SaveBar {
  readonly #page: Page;
  #lab: OpenLab | undefined;
  #transcript = "";
  readonly #saveTrace: HTMLButtonElement;
  #frames = 0;
  /** Of the trace, about. */
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(page: Page, place: HTMLElement) {
    this.#page = page;
    const make = (id: string, text: string, action: () => Promise<void>): HTMLButtonElement => {
      const made = button(text, () => page.attempt(action()));
      made.id = id;
      made.disabled = true;
      made.setAttribute("aria-label", `Save ${text}`);
      return made;
    };
    this.#saveTrace = make("save-trace", ".pcapng", () => this.#trace());
    const ofFrames = [this.#saveTrace, make("save-keys", ".esp_sa", () => this.#keys())];
    const text = make("save-text", "transcript", async () =>
      save(`${this.#name()}.txt`, this.#transcript, "text/plain"),
    );
    place.append("Save", ...ofFrames, text);
    page.hub.on("lab", (lab) => {
      this.#lab = lab;
      this.#transcript = "";
    });
    page.hub.on("session", (event) => {
      if (event.kind === "output" && event.terminal === undefined) this.#transcript += event.text;
      else if (event.kind === "rewound") this.#transcript = "";
    });
    page.hub.on("status", ({ frames }) => {
      for (const made of ofFrames) made.disabled = frames === 0;
      this.#frames = frames;
      this.#timer ??= setTimeout(() => page.attempt(this.#size()), SIZE_MS);
      text.disabled = false;
    });
  }

  #name(): string {
    return (this.#lab?.name ?? "trace").replaceAll("/", "-");
  }

  /** Says how large the trace is. */
  async #size(): Promise<void> {
    this.#timer = undefined;
    this.#bytes = await this.#page.session.traceBytes();
    this.#saveTrace.textContent = this.#frames === 0 ? ".pcapng" : `.pcapng (${formatSize(this.#bytes)})`;
  }

  async #trace(): Promise<void> {
    if (this.#bytes > LARGE && canStream()) {
      const { session } = this.#page;
      await saveParts(`${this.#name()}.pcapng`, (file) => session.traceParts(proxy((part) => file.write(part))));
      return;
    }
    const { trace } = await this.#page.session.trace();
    save(`${this.#name()}.pcapng`, trace, "application/octet-stream");
  }

  async #keys(): Promise<void> {
    const { keys } = await this.#page.session.trace();
    if (keys === "") throw new Error("Nothing was encrypted in this run: there are no keys.");
    save(`${this.#name()}.pcapng.esp_sa`, keys, "text/plain");
  }
}
