/** The labs that come with swarmwire, each with its sentence. */
import { button, type Page } from "../page.ts";

/** The list of labs. */
export class Gallery {
  readonly #page: Page;
  readonly #list: HTMLElement;

  constructor(page: Page, list: HTMLElement) {
    this.#page = page;
    this.#list = list;
    page.hub.on("lab", ({ name }) => this.#mark(name));
  }

  /** Fills it. */
  async load(): Promise<void> {
    for (const { name, description } of await this.#page.session.labs()) {
      const entry = button("", () => this.#page.attempt(this.#page.open(name)));
      const [title, sentence] = [document.createElement("strong"), document.createElement("small")];
      title.textContent = name;
      sentence.textContent = description;
      entry.dataset["lab"] = name;
      entry.append(title, sentence);
      const item = document.createElement("li");
      item.append(entry);
      this.#list.append(item);
    }
  }

  #mark(name: string): void {
    for (const entry of this.#list.querySelectorAll<HTMLElement>("[data-lab]"))
      entry.setAttribute("aria-current", String(entry.dataset["lab"] === name));
  }
}
