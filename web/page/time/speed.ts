/** How fast time goes: chosen, and reached. */
import type { Status } from "../../session/time/protocol.ts";
import type { Page } from "../page.ts";
import { measuredText, nextSpeed, SPEEDS, speedText } from "./times.ts";

/** A list of speeds, and what this machine makes of the one that is chosen. */
export class SpeedControl {
  readonly element = document.createElement("span");
  readonly #page: Page;
  readonly #select = document.createElement("select");
  readonly #reached = document.createElement("span");

  /** @param group heading of its keys */
  constructor(page: Page, group: string) {
    this.#page = page;
    const label = document.createElement("label");
    this.#select.id = "speed";
    for (const speed of SPEEDS) this.#select.append(new Option(speedText(speed), String(speed)));
    this.#select.value = String(Number.POSITIVE_INFINITY);
    this.#select.title = "Virtual time per second; typed commands go at 10s/s at most ([ and ])";
    this.#select.addEventListener("change", () => this.#choose(Number(this.#select.value)));
    label.append("Speed ", this.#select);
    this.#reached.className = "reached";
    this.element.className = "group";
    this.element.append(label, this.#reached);
    const change = (up: boolean): void => this.#choose(nextSpeed(Number(this.#select.value), up));
    page.keys.add({ key: "[", text: "slower", group, action: () => change(false) });
    page.keys.add({ key: "]", text: "faster", group, action: () => change(true) });
  }

  #choose(speed: number): void {
    this.#select.value = String(speed);
    this.#page.attempt(this.#page.session.speed(speed));
  }

  show({ phase, reached, behind }: Status): void {
    const text = phase === "running" && reached > 0 ? measuredText(reached) : "";
    this.#reached.textContent = behind && text !== "" ? `${text}, no faster` : text;
    this.#reached.title = behind
      ? "This machine can't follow the speed that was chosen"
      : "Reached over the last second";
  }
}
