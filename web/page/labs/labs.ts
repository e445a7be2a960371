/** All about labs on the page: the gallery, the user's own, the editor, files and links. */
import { fileName } from "../../../src/lab/link.ts";
import type { LabRequest } from "../../session/labs/protocol.ts";
import { button, element, type Page, showProblem } from "../page.ts";
import { save } from "../save.ts";
import type { Stage } from "../stage.ts";
import { Dialog } from "../time/dialog.ts";
import { Address, type Asked, askedBy, fragmentOf } from "./address.ts";
import { type LabFileShown, LabView } from "./editor/view.ts";
import { chooseFile, type LabText, takeDrops } from "./files.ts";
import { Gallery } from "./gallery.ts";
import { FIRST_LAB } from "./groups.ts";
import { KeptLabs, type TextStorage } from "./kept.ts";

/** What a new lab begins with. */
const NEW_LAB = `description: ""
hosts:
  host1: {}
  host2: {}
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
`;
/** Opened where nothing is asked for. */
const FIRST: LabRequest = { source: { kind: "gallery", name: FIRST_LAB } };

/** Labs. */
export class Labs {
  readonly #page: Page;
  readonly #stage: Stage;
  readonly #kept = new KeptLabs(browserStorage());
  readonly #gallery: Gallery;
  readonly #view: LabView;
  readonly #address: Address;
  readonly #delete: HTMLButtonElement;
  readonly #forgetting = new Dialog("forget", "Delete a lab of yours");
  /** Virtual time. */
  #now = 0;
  /** The last change that there was no room for. */
  #lost = false;

  constructor(page: Page, stage: Stage) {
    this.#page = page;
    this.#stage = stage;
    this.#gallery = new Gallery(page, element("lab-filter"), element("labs"));
    this.#delete = button("Delete…", () => this.#askToForget());
    this.#delete.id = "lab-delete";
    this.#view = new LabView(page, { edited: (file) => this.#edited(file), buttons: this.#buttons() });
    stage.add(this.#view);
    this.#address = new Address((asked) => page.attempt(this.#goTo(asked)), showProblem);
    takeDrops(element("drop-hint"), (file) => page.attempt(this.#take(file)));
    page.hub.on("status", ({ now }) => {
      this.#now = now;
    });
    page.hub.on("lab", ({ request }) => {
      page.attempt(this.#address.show(request));
      this.#listKept();
    });
    addEventListener("beforeunload", (event) => {
      if (this.#lost) event.preventDefault();
    });
    this.#listKept();
  }

  #buttons(): HTMLButtonElement[] {
    const named = (id: string, text: string, action: () => void): HTMLButtonElement =>
      Object.assign(button(text, action), { id });
    return [
      named("lab-new", "New", () => this.#page.attempt(this.#openText({ name: "lab", text: NEW_LAB }))),
      named("lab-file", "Open file…", () => chooseFile((file) => this.#page.attempt(this.#take(file)))),
      named("lab-save", "Save .yaml", () => {
        const { name, text } = this.#view.file;
        save(`${name}.yaml`, text, "text/yaml");
        this.#lost = false;
      }),
      this.#delete,
    ];
  }

  /** Opens what the address asks for. */
  async start(): Promise<void> {
    try {
      await this.#goTo((await askedBy(location.hash)) ?? askedBySearch() ?? { request: FIRST, time: undefined });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // A broken link: what is wrong with it, beside something that works.
      await this.#page.open(FIRST);
      showProblem(error.message);
    }
  }

  async #goTo({ request, time }: Asked): Promise<void> {
    await this.#page.open(request);
    if (time !== undefined) await this.#page.session.jump(time);
  }

  /** A link to what is open. @param moment to where the run is now, too @throws UserError when it would be too long */
  async link(moment: boolean): Promise<string> {
    const request = this.#page.request ?? FIRST;
    return `${location.origin}${location.pathname}#${await fragmentOf(request, moment ? this.#now : undefined)}`;
  }

  /** Writes the run so far as a lab. */
  get saveButton(): HTMLButtonElement {
    const made = button("Save as lab", () => this.#page.attempt(this.#saveRun()));
    return Object.assign(made, {
      id: "save-run",
      title: "The run so far as a lab: its steps, what was typed, what was broken",
    });
  }

  /** The run so far as a lab of the user's own, in the editor. */
  async #saveRun(): Promise<void> {
    const { text, left } = await this.#page.session.savedRun();
    const name = this.#kept.freeName(`${fileName(this.#page.request?.source.name ?? "lab")}-run`);
    this.#lost = !this.#kept.put(name, text);
    this.#view.edit({ name, text });
    this.#listKept();
    this.#stage.choose("lab");
    showProblem(left.length === 0 ? undefined : `What a lab can't say isn't in ${name}: ${left.join("; ")}.`);
  }

  /** A file of the user's. */
  async #take(file: Promise<LabText>): Promise<void> {
    await this.#openText(await file);
  }

  /** Opens a text, or shows what is wrong with it in the editor. It is kept. */
  async #openText({ name: wanted, text }: LabText): Promise<void> {
    const name = this.#kept.text(wanted) === text ? wanted : this.#kept.freeName(wanted);
    this.#lost = !this.#kept.put(name, text);
    this.#listKept();
    const { error } = await this.#page.session.check(name, text, {});
    if (error === undefined) await this.#page.open({ source: { kind: "text", name, text } });
    else {
      this.#view.edit({ name, text });
      showProblem(error.message);
    }
    this.#stage.choose("lab");
  }

  #edited({ name: before, text, own }: LabFileShown): { readonly name: string; readonly note: string } {
    const name = own ? before : this.#kept.freeName(before);
    const isNew = this.#kept.text(name) === undefined;
    this.#lost = !this.#kept.put(name, text);
    if (isNew) this.#listKept(name);
    return { name, note: this.#lost ? "edited; no room to keep it here: save it" : "edited, kept here" };
  }

  #askToForget(): void {
    const { name } = this.#view.file;
    const dialog = this.#forgetting;
    const text = document.createElement("p");
    text.textContent = `${name} is kept in this browser only, and can't be had back.`;
    const forget = button("Delete it", () => {
      dialog.close();
      this.#kept.remove(name);
      this.#listKept();
      this.#page.attempt(this.#page.open(FIRST));
    });
    forget.id = "lab-forget";
    dialog.body.replaceChildren(text, forget);
    dialog.open();
  }

  /** @param open which of the user's own is in the editor */
  #listKept(open = this.#view.file.own ? this.#view.file.name : undefined): void {
    this.#delete.hidden = open === undefined || this.#kept.text(open) === undefined;
    this.#gallery.own(this.#kept.list(), open, (lab) => this.#page.attempt(this.#openText(lab)));
  }
}

/** The browser's storage for this page; undefined where it gives none. */
function browserStorage(): TextStorage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

/** `?lab=NAME`, as addresses said it once. */
function askedBySearch(): Asked | undefined {
  const name = new URLSearchParams(location.search).get("lab");
  return name === null ? undefined : { request: { source: { kind: "gallery", name } }, time: undefined };
}
