/** One stage in full: what changed, the table entry behind it as it stands now, the bytes. */
import { formatDuration } from "../../../src/base/time.ts";
import { DROP_REASON_TEXTS } from "../../../src/kernel/reason-texts.ts";
import { entryCommand } from "../../../src/lab/inspect/entry-ref.ts";
import type { Journey, Stage } from "../../session/follow/protocol.ts";
import { button, type Page } from "../page.ts";
import { hexDump } from "./hex-dump.ts";
import { changeText, momentText } from "./model.ts";

function heading(text: string): HTMLElement {
  const made = document.createElement("h3");
  made.textContent = text;
  return made;
}

function paragraph(text: string): HTMLElement {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

function pre(text: string, label: string): HTMLElement {
  const made = document.createElement("pre");
  made.textContent = text;
  made.tabIndex = 0;
  made.setAttribute("role", "region");
  made.setAttribute("aria-label", label);
  return made;
}

/** The stage that is chosen. */
export class StageDetail {
  readonly element = document.createElement("div");
  readonly #page: Page;
  /** Answers to older questions are late. */
  #request = 0;

  constructor(page: Page) {
    this.#page = page;
    this.element.className = "stage-detail";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "region");
    this.element.setAttribute("aria-label", "The chosen stage");
  }

  clear(): void {
    this.#request++;
    this.element.replaceChildren();
  }

  async show(journey: Journey, stage: Stage): Promise<void> {
    const request = ++this.#request;
    const parts = this.#texts(stage);
    const { entry } = stage;
    const answer = entry === undefined ? undefined : await this.#page.session.entry(stage.host, entry);
    const bytes = stage.bytes ? await this.#page.session.stageBytes(journey.id, stage.key) : undefined;
    if (request !== this.#request) return;
    if (entry !== undefined) {
      const { text = "", time } = answer ?? {};
      const { table } = entry.ref;
      const command = entryCommand(entry.ref);
      const gone = answer === undefined ? "the namespace is gone" : "no such entry";
      const when = time === undefined ? "" : `, as it stands at ${formatDuration(time)}`;
      const open = button(`Table: ${table}`, () => {
        const { host, namespace } = stage;
        this.#page.hub.tell("table", { host, table, namespace });
      });
      open.id = "stage-table";
      parts.push(heading(`${command}${when}`), pre(text === "" ? `(${gone})` : text.trimEnd(), command), open);
    }
    if (bytes !== undefined) parts.push(heading("Bytes"), pre(hexDump(bytes), "Bytes of the packet at this stage"));
    this.element.replaceChildren(...parts);
  }

  #texts(stage: Stage): HTMLElement[] {
    const { title, detail, host, namespace, device, time, changes, reason } = stage;
    const place = [host, namespace, device].filter(Boolean).join("/");
    const parts = [heading(title), paragraph(`${place}, at ${momentText(time)} s`), paragraph(detail)];
    const text = reason === undefined ? undefined : DROP_REASON_TEXTS[reason];
    if (text !== undefined && text !== detail) parts.push(paragraph(text));
    if (changes.length > 0) {
      const list = document.createElement("ul");
      list.append(
        ...changes.map((change) => {
          const item = document.createElement("li");
          item.textContent = changeText(change);
          return item;
        }),
      );
      parts.push(heading("Changed"), list);
    }
    return parts;
  }
}
