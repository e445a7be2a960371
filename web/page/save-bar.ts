/** What the user can keep: the trace, its keys, the transcript. */
import type { OpenLab } from "../session/labs/protocol.ts";
import { button, type Page } from "./page.ts";
import { save } from "./save.ts";

/** The bar of buttons. */
export class SaveBar {
  readonly #page: Page;
  #lab: OpenLab | undefined;
  #transcript = "";

  constructor(page: Page, place: HTMLElement) {
    this.#page = page;
    const make = (id: string, text: string, action: () => Promise<void>): HTMLButtonElement => {
      const made = button(text, () => page.attempt(action()));
      made.id = id;
      made.disabled = true;
      return made;
    };
    const ofFrames = [
      make("save-trace", "Save .pcapng", () => this.#trace()),
      make("save-keys", "Save .esp_sa", () => this.#keys()),
    ];
    const text = make("save-text", "Save transcript", async () =>
      save(`${this.#name()}.txt`, this.#transcript, "text/plain"),
    );
    place.append(...ofFrames, text);
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
      text.disabled = false;
    });
  }

  #name(): string {
    return (this.#lab?.name ?? "trace").replaceAll("/", "-");
  }

  async #trace(): Promise<void> {
    const { trace } = await this.#page.session.trace();
    save(`${this.#name()}.pcapng`, trace, "application/octet-stream");
  }

  async #keys(): Promise<void> {
    const { keys } = await this.#page.session.trace();
    if (keys === "") throw new Error("Nothing was encrypted in this run: there are no keys.");
    save(`${this.#name()}.pcapng.esp_sa`, keys, "text/plain");
  }
}
