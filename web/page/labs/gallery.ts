/** The labs that come with swarmwire, in groups, each with its sentence; a field narrows the list down. */
import "./gallery.css";
import type { LabEntry } from "../../session/labs/entry.ts";
import { button, type Page } from "../page.ts";
import { GALLERY } from "./gallery-list.ts";
import { galleryGroups, matches } from "./groups.ts";
import type { KeptLab } from "./kept.ts";

/** The list of labs. */
export class Gallery {
  readonly #page: Page;
  readonly #place: HTMLElement;
  readonly #entries: { readonly lab: LabEntry; readonly item: HTMLElement }[] = [];
  readonly #groups: HTMLDetailsElement[] = [];
  readonly #none = document.createElement("p");
  /** The user's own labs. */
  readonly #own = document.createElement("details");

  /** @param filter the field, @param place the groups come here */
  constructor(page: Page, filter: HTMLInputElement, place: HTMLElement) {
    this.#page = page;
    this.#place = place;
    Object.assign(this.#own, { open: true, hidden: true });
    place.append(this.#own);
    for (const { title, labs } of galleryGroups(GALLERY)) this.#group(title, labs);
    Object.assign(this.#none, { textContent: "No lab has all of these words.", hidden: true, className: "none" });
    place.append(this.#none);
    filter.addEventListener("input", () => this.#narrow(filter.value));
    page.hub.on("lab", ({ request: { source } }) => this.#mark(source.kind === "gallery" ? source.name : undefined));
  }

  /** Lists the user's own labs. @param open the one that is open @param chosen told which one the user wants */
  own(labs: readonly KeptLab[], open: string | undefined, chosen: (lab: KeptLab) => void): void {
    const summary = document.createElement("summary");
    const list = document.createElement("ul");
    summary.textContent = `Yours (${labs.length})`;
    for (const lab of labs) {
      const { name } = lab;
      const entry = button("", () => chosen(lab));
      const title = document.createElement("strong");
      title.textContent = name;
      entry.append(title);
      entry.dataset["own"] = name;
      if (name === open) entry.setAttribute("aria-current", "true");
      const item = document.createElement("li");
      item.append(entry);
      list.append(item);
    }
    this.#own.replaceChildren(summary, list);
    this.#own.hidden = labs.length === 0;
  }

  #group(title: string, labs: readonly LabEntry[]): void {
    const group = document.createElement("details");
    const summary = document.createElement("summary");
    const list = document.createElement("ul");
    group.open = true;
    summary.textContent = `${title} (${labs.length})`;
    for (const lab of labs) list.append(this.#entry(lab));
    group.append(summary, list);
    this.#groups.push(group);
    this.#place.append(group);
  }

  #entry(lab: LabEntry): HTMLElement {
    const entry = button("", () =>
      this.#page.attempt(this.#page.open({ source: { kind: "gallery", name: lab.name } })),
    );
    const [title, sentence, size] = ["strong", "small", "small"].map((tag) => document.createElement(tag));
    if (title === undefined || sentence === undefined || size === undefined) return entry;
    title.textContent = lab.name.replace(/^.*\//, "");
    sentence.textContent = lab.description;
    size.className = "size";
    size.textContent = `${lab.hosts} ${lab.hosts === 1 ? "host" : "hosts"}, ${lab.steps} steps`;
    entry.dataset["lab"] = lab.name;
    entry.title = lab.name;
    entry.append(title, sentence, size);
    const item = document.createElement("li");
    item.append(entry);
    this.#entries.push({ lab, item });
    return item;
  }

  #narrow(words: string): void {
    let shown = 0;
    for (const { lab, item } of this.#entries) {
      item.hidden = !matches(lab, words);
      if (!item.hidden) shown++;
    }
    for (const group of this.#groups) {
      group.hidden = group.querySelector("li:not([hidden])") === null;
      if (words.trim() !== "") group.open = true;
    }
    this.#none.hidden = shown > 0;
  }

  #mark(name: string | undefined): void {
    for (const entry of this.#place.querySelectorAll<HTMLElement>("[data-lab]")) {
      const open = entry.dataset["lab"] === name;
      if (open) {
        entry.setAttribute("aria-current", "true");
        entry.scrollIntoView({ block: "nearest" });
      } else entry.removeAttribute("aria-current");
    }
  }
}
