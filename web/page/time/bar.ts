/** The controls of time, and how the emulation stands. */
import "./time.css";
import { formatDuration, type Time } from "../../../src/base/time.ts";
import type { OpenLab } from "../../session/labs/protocol.ts";
import type { Status } from "../../session/time/protocol.ts";
import { button, element, type Page } from "../page.ts";
import { CONTROLS, type Control, TEXTS, usable } from "./controls.ts";
import { Help } from "./help.ts";
import { JournalDialog, marksOf } from "./journal.ts";
import { SpeedControl } from "./speed.ts";
import { statusText } from "./status-text.ts";
import { type Mark, Timeline } from "./timeline.ts";
import { clockText, parseTime } from "./times.ts";

const GROUP = "Time";

function group(label: string, ...parts: readonly (Node | string)[]): HTMLElement {
  const made = document.createElement("span");
  made.className = "group";
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", label);
  made.append(...parts);
  return made;
}

/** The bar. */
export class TimeBar {
  readonly #page: Page;
  readonly #buttons: Readonly<Record<Control, HTMLButtonElement>>;
  readonly #actions: Readonly<Record<Control, () => Promise<void>>>;
  readonly #seed = element<HTMLInputElement>("seed");
  readonly #goTo = document.createElement("input");
  readonly #clock = element("clock");
  readonly #counts = element("counts");
  readonly #speed: SpeedControl;
  readonly #timeline: Timeline;
  readonly #journal: JournalDialog;
  /** Actions that the session hasn't taken in yet. */
  #asked = 0;
  #marks: readonly Mark[] = [];
  #lab: OpenLab | undefined;
  #status: Status | undefined;
  /** The journal that was asked for last, by its length. */
  #entries = "";

  constructor(page: Page, place: HTMLElement) {
    this.#page = page;
    const { session } = page;
    page.keys.add({ key: " ", text: "run, pause", group: GROUP, action: () => this.#toggle() });
    this.#actions = {
      run: () => session.run(),
      pause: () => session.pause(),
      step: () => session.step(),
      event: () => session.single("event"),
      packet: () => session.single("packet"),
      drop: () => session.single("drop"),
      back: () => session.back("step"),
      "back-packet": () => session.back("packet"),
      "back-event": () => session.back("event"),
    };
    this.#buttons = Object.fromEntries(CONTROLS.map((id) => [id, this.#button(id)])) as Record<
      Control,
      HTMLButtonElement
    >;
    this.#speed = new SpeedControl(page, GROUP);
    this.#timeline = new Timeline(element("timeline"), (time) => this.#jump(time));
    this.#journal = new JournalDialog((time) => this.#jump(time));
    const help = new Help(page);
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", GROUP);
    place.prepend(...this.#parts());
    element("tools").append(
      button("Journal", () => this.#journal.open(this.#marks, this.#status?.done ?? 0)),
      button("Keys", () => help.open()),
    );
    this.#registerKeys();
    page.hub.on("lab", (lab) => this.#open(lab));
    page.hub.on("status", (status) => this.#show(status));
  }

  #button(id: Control): HTMLButtonElement {
    const { text, title, key } = TEXTS[id];
    const made = button(text, () => this.#do(id));
    made.id = id;
    made.title = key === undefined ? `${title} (Space)` : `${title} (${key})`;
    // A button that was pressed keeps the focus, also when it can't be pressed again.
    made.setAttribute("aria-disabled", "true");
    if (key !== undefined)
      this.#page.keys.add({ key, text: title.toLowerCase(), group: GROUP, action: () => this.#do(id) });
    return made;
  }

  #parts(): HTMLElement[] {
    const { run, pause, step, event, packet, drop, back } = this.#buttons;
    const restart = button("Restart", () => this.#restart());
    restart.id = "restart";
    this.#seed.addEventListener("keydown", (pressed) => {
      if (pressed.key === "Enter") this.#restart();
    });
    const label = document.createElement("label");
    Object.assign(this.#goTo, { id: "go-to", type: "text", size: 8, placeholder: "1.5s, +2h", autocomplete: "off" });
    this.#goTo.spellcheck = false;
    this.#goTo.title = "A virtual time, or one from now on with a sign; Enter goes there (g)";
    this.#goTo.addEventListener("keydown", (pressed) => {
      if (pressed.key === "Enter") this.#typed();
      else if (pressed.key === "Escape") this.#goTo.blur();
    });
    label.append("Go to ", this.#goTo);
    return [
      group("Run", run, pause),
      group("Forward by one", "Forward", step, packet, event, drop),
      group("Back by one", "Back", back, this.#buttons["back-packet"], this.#buttons["back-event"]),
      label,
      this.#speed.element,
      restart,
    ];
  }

  #registerKeys(): void {
    const { keys } = this.#page;
    keys.add({ key: "g", text: "go to a time", group: GROUP, action: () => this.#goTo.select() });
    const journal = (): void => this.#journal.open(this.#marks, this.#status?.done ?? 0);
    keys.add({ key: "j", text: "list what was done, to go back to", group: GROUP, action: journal });
  }

  #do(id: Control): void {
    if (this.#status !== undefined && usable(id, this.#status)) this.#attempt(this.#actions[id]());
  }

  /** While the session hasn't taken it in, the bar is busy: what it shows will be out of date. */
  #attempt(action: Promise<unknown>): void {
    const standing = element("standing");
    this.#asked++;
    standing.setAttribute("aria-busy", "true");
    const taken = action.finally(() => {
      this.#asked--;
      standing.setAttribute("aria-busy", String(this.#asked > 0));
    });
    this.#page.attempt(taken);
  }

  #toggle(): void {
    if (this.#status !== undefined) this.#do(usable("pause", this.#status) ? "pause" : "run");
  }

  #restart(): void {
    this.#page.attempt(this.#page.restart(this.#seed.value));
  }

  #jump(time: Time): void {
    this.#attempt(this.#page.session.jump(time));
  }

  #typed(): void {
    const time = parseTime(this.#goTo.value, this.#status?.now ?? 0);
    this.#goTo.setAttribute("aria-invalid", String(time === undefined));
    if (time === undefined) {
      this.#page.attempt(Promise.reject(new Error(`go to: expected a time, such as 1.5s, 2h, 12.25 or +10ms`)));
      return;
    }
    this.#goTo.blur();
    this.#jump(time);
  }

  #open(lab: OpenLab): void {
    this.#lab = lab;
    this.#seed.value = lab.seed;
    this.#entries = "";
    this.#marks = [];
    this.#timeline.marks = [];
  }

  #show(status: Status): void {
    this.#status = status;
    const place = element("status");
    const text = statusText(status, this.#lab?.steps ?? []);
    // It is read out when it changes: what runs along stands elsewhere.
    if (place.textContent !== text) place.textContent = place.title = text;
    place.dataset["phase"] = status.phase;
    this.#clock.textContent = `${clockText(status.now)} s`;
    this.#clock.title = formatDuration(status.now);
    const { frames, lost, skipped } = status;
    this.#counts.textContent = [
      `${frames} packets${lost > 0 ? `, ${lost} more not kept` : ""}`,
      ...(skipped > 0 ? [`${formatDuration(skipped)} skipped`] : []),
    ].join(" · ");
    for (const id of CONTROLS) this.#buttons[id].setAttribute("aria-disabled", String(!usable(id, status)));
    this.#speed.show(status);
    this.#timeline.show(status.now, Math.max(status.known, status.target ?? 0));
    void this.#mark(status);
  }

  /** Marks what has come to the journal. */
  async #mark({ done, ahead, phase }: Status): Promise<void> {
    const entries = `${done} ${ahead}`;
    if (entries === this.#entries || phase === "replaying") return;
    this.#entries = entries;
    const journal = await this.#page.session.journal();
    if (entries !== this.#entries) return;
    this.#marks = marksOf(journal, this.#lab?.steps ?? []);
    this.#timeline.marks = this.#marks;
  }
}
