/** The life of one packet: over all its hops and changes, on one strip, with a table of the same. */
import "./follow.css";
import type { Journey, JourneyLink, Stage } from "../../session/follow/protocol.ts";
import { button, type Page } from "../page.ts";
import type { StageView } from "../stage.ts";
import { StageDetail } from "./detail.ts";
import { momentText, spanText } from "./model.ts";
import { Strip } from "./strip.ts";
import { JourneyTable } from "./table.ts";

const HINT =
  "Choose a packet in the list and press f, or follow a drop: its life is shown here, hop by hop, with what decided about it.";

/** The view. */
export class FollowView implements StageView {
  readonly id = "follow";
  readonly title = "Packet";
  readonly #page: Page;
  readonly #front: () => void;
  readonly #root = document.createElement("div");
  readonly #summary = document.createElement("p");
  readonly #links = document.createElement("div");
  readonly #strip: Strip;
  readonly #table: JourneyTable;
  readonly #detail: StageDetail;
  readonly #every = document.createElement("input");
  readonly #button: HTMLButtonElement;
  #selected: number | undefined;
  #journey: Journey | undefined;
  #request = 0;

  /** @param front brings the view to the front */
  constructor(page: Page, front: () => void) {
    this.#page = page;
    this.#front = front;
    const choose = (stage: Stage): void => this.#choose(stage);
    this.#strip = new Strip(choose);
    this.#table = new JourneyTable(choose);
    this.#detail = new StageDetail(page);
    this.#button = button("Follow the selected packet", () => this.#followSelected());
    this.#button.id = "follow-selected";
    this.#button.title = "f";
    this.#button.disabled = true;
    this.#summary.className = "follow-summary";
    this.#summary.setAttribute("role", "status");
    this.#summary.textContent = HINT;
    this.#links.className = "follow-links";
    const body = document.createElement("div");
    body.className = "follow-body";
    body.append(this.#table.element, this.#detail.element);
    this.#root.className = "follow";
    this.#root.append(this.#bar(), this.#summary, this.#links, this.#strip.element, body);
    this.#listen();
  }

  mount(panel: HTMLElement): void {
    panel.append(this.#root);
  }

  /** Shows a packet's life. */
  open(journey: number): void {
    this.#page.attempt(this.#load(this.#page.session.journey(journey)));
  }

  #bar(): HTMLElement {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Which packet");
    const label = document.createElement("label");
    Object.assign(this.#every, { type: "checkbox", id: "record-hops" });
    label.title =
      "What happens to packets between the points of the trace is kept, the newest 64 MiB of it. The trace stays as it is.";
    label.append(this.#every, "Record every hop");
    this.#every.addEventListener("change", () => this.#page.attempt(this.#record(this.#every.checked)));
    bar.append(this.#button, label);
    return bar;
  }

  /** What is recorded is decided when a lab is opened: it is opened again. */
  async #record(every: boolean): Promise<void> {
    await this.#page.session.recordHops(every);
    await this.#page.restart();
  }

  #listen(): void {
    const { hub, keys, session } = this.#page;
    hub.on("packet", ({ index }) => {
      this.#selected = index;
      this.#button.disabled = false;
    });
    hub.on("follow", ({ index }) => this.#page.attempt(this.#load(session.follow(index))));
    hub.on("lab", () => {
      this.#clear();
      this.#page.attempt(this.#state());
    });
    keys.add({
      key: "f",
      text: "Follow the selected packet: its life over all hops",
      group: "Packets",
      action: () => this.#followSelected(),
    });
  }

  async #state(): Promise<void> {
    const { recording } = await this.#page.session.hops();
    this.#every.checked = recording;
  }

  #followSelected(): void {
    if (this.#selected !== undefined) this.#page.hub.tell("follow", { index: this.#selected });
  }

  #clear(): void {
    this.#request++;
    this.#selected = undefined;
    this.#journey = undefined;
    this.#button.disabled = true;
    this.#summary.textContent = HINT;
    this.#links.replaceChildren();
    this.#strip.show([]);
    this.#table.show([]);
    this.#detail.clear();
  }

  async #load(asked: Promise<Journey | undefined>): Promise<void> {
    const request = ++this.#request;
    this.#front();
    const journey = await asked;
    if (request !== this.#request) return;
    this.#journey = journey;
    this.#root.dataset["end"] = journey?.end ?? "";
    this.#summary.textContent = journey === undefined ? "This packet is not remembered any more." : summaryOf(journey);
    const stages = journey?.stages ?? [];
    this.#links.replaceChildren(...(journey?.links ?? []).map((link) => this.#link(link)));
    this.#strip.show(stages);
    this.#table.show(stages);
    this.#detail.clear();
    const last = stages.at(-1);
    if (last !== undefined) this.#choose(last);
    this.#strip.focus();
  }

  #link({ journey, relation, time, text }: JourneyLink): HTMLElement {
    const made = button(`${relation}: ${text}`, () => this.open(journey));
    made.title = `at ${momentText(time)} s`;
    return made;
  }

  #choose(stage: Stage): void {
    const journey = this.#journey;
    if (journey === undefined) return;
    this.#strip.select(stage.key);
    this.#table.select(stage.key);
    this.#page.attempt(this.#detail.show(journey, stage));
    if (stage.index !== undefined) this.#page.hub.tell("packet", { index: stage.index });
  }
}

function summaryOf({ summary, end, endText, stages, everyHop }: Journey): string {
  const first = stages[0]?.time ?? 0;
  const took = (stages.at(-1)?.time ?? first) - first;
  const what = end === "delivered" || end === "dropped" ? endText : `${end}: ${endText}`;
  const less = everyHop ? "" : " Only the points of the trace were recorded.";
  return `${summary}. ${what}; ${stages.length} stages in ${spanText(took)}.${less}`;
}
