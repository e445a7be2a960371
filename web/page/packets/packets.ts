/** What was captured: the list, and the bytes of the packet that is selected in it. */
import type { Page } from "../page.ts";
import { hexDump } from "./hex-dump.ts";
import { PacketList } from "./list.ts";

/** The packets' part of the page. */
export class PacketsView {
  readonly #page: Page;
  readonly #bytes: HTMLElement;
  #selected: number | undefined;

  constructor(page: Page, place: HTMLElement, bytes: HTMLElement) {
    this.#page = page;
    this.#bytes = bytes;
    // A region that scrolls can be reached with the keyboard.
    bytes.tabIndex = 0;
    bytes.setAttribute("role", "region");
    bytes.setAttribute("aria-label", "Bytes of the selected packet");
    const list = new PacketList(place, {
      rows: (from, count) => page.session.packets(from, count),
      selected: (index) => page.hub.tell("packet", { index }),
    });
    page.hub.on("packet", ({ index }) => {
      list.select(index);
      page.attempt(this.#show(index));
    });
    page.hub.on("lab", () => {
      this.#selected = undefined;
      bytes.textContent = "";
      list.count(0);
    });
    page.hub.on("status", ({ frames }) => list.count(frames));
  }

  async #show(index: number): Promise<void> {
    this.#selected = index;
    const frame = await this.#page.session.frame(index);
    if (this.#selected === index) this.#bytes.textContent = frame === undefined ? "" : hexDump(frame);
  }
}
