/** "Copy link": the address that opens what is open here. */
import { button, type Page } from "../page.ts";

/** How long the button says that it is done, in milliseconds. */
const SAID_MS = 2000;

/** The button. */
export class LinkButton {
  readonly #button: HTMLButtonElement;
  readonly #link: (moment: boolean) => Promise<string>;

  /** @param link the address to copy; to this moment of the run, if that is wanted */
  constructor(page: Page, bar: HTMLElement, link: (moment: boolean) => Promise<string>) {
    this.#link = link;
    this.#button = button("Copy link", () => {});
    this.#button.id = "copy-link";
    this.#button.title =
      "Copies an address that opens this lab with its text, seed and settings; with Shift, at this moment";
    this.#button.addEventListener("click", (event) => page.attempt(this.#copy(event.shiftKey)));
    bar.append(this.#button);
  }

  async #copy(moment: boolean): Promise<void> {
    const link = await this.#link(moment);
    try {
      await navigator.clipboard.writeText(link);
      this.#say("Copied");
    } catch {
      // Where the page isn't served securely there is no clipboard: the user copies by hand.
      this.#show(link);
    }
  }

  #say(text: string): void {
    this.#button.textContent = text;
    setTimeout(() => {
      this.#button.textContent = "Copy link";
    }, SAID_MS);
  }

  #show(link: string): void {
    const dialog = document.createElement("dialog");
    const field = document.createElement("input");
    Object.assign(field, { value: link, readOnly: true, size: 60 });
    field.setAttribute("aria-label", "Link");
    dialog.append(
      field,
      button("Close", () => dialog.close()),
    );
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    field.select();
  }
}
