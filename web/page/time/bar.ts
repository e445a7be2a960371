/** The controls of time, and how the emulation stands. */
import { formatDuration } from "../../../src/base/time.ts";
import type { OpenLab } from "../../session/labs/protocol.ts";
import type { Status } from "../../session/time/protocol.ts";
import { button, element, type Page } from "../page.ts";

const CONTROLS = ["run", "pause", "step", "restart"] as const;
type Control = (typeof CONTROLS)[number];
const TITLES: Record<Control, string> = { run: "Run", pause: "Pause", step: "Step", restart: "Restart" };

/** The bar of buttons. */
export class TimeBar {
  readonly #page: Page;
  readonly #buttons: Record<Control, HTMLButtonElement>;
  readonly #seed = element<HTMLInputElement>("seed");
  #lab: OpenLab | undefined;

  constructor(page: Page, place: HTMLElement) {
    this.#page = page;
    const { session } = page;
    const actions: Record<Control, () => Promise<void>> = {
      run: () => session.run(),
      pause: () => session.pause(),
      step: () => session.step(),
      restart: () => this.#restart(),
    };
    const make = (id: Control): HTMLButtonElement => {
      const made = button(TITLES[id], () => page.attempt(actions[id]()));
      made.id = id;
      made.disabled = true;
      return made;
    };
    this.#buttons = { run: make("run"), pause: make("pause"), step: make("step"), restart: make("restart") };
    place.prepend(...CONTROLS.map((id) => this.#buttons[id]));
    this.#seed.addEventListener("keydown", (event) => {
      if (event.key === "Enter") page.attempt(this.#restart());
    });
    page.hub.on("lab", (lab) => {
      this.#lab = lab;
      this.#seed.value = lab.seed;
    });
    page.hub.on("status", (status) => this.#show(status));
  }

  async #restart(): Promise<void> {
    await this.#page.restart(this.#seed.value);
  }

  #show({ phase, now, step, frames, lost, failures }: Status): void {
    const steps = this.#lab?.steps ?? [];
    const next = phase === "ready" && steps[step] !== undefined ? `; next ${steps[step]}` : "";
    const parts = [
      `${phase}, step ${step} of ${steps.length}`,
      `virtual time ${formatDuration(now)}`,
      `${frames} packets${lost > 0 ? `, ${lost} more not kept` : ""}`,
      ...(failures > 0 ? [`${failures} not as expected`] : []),
    ];
    const place = element("status");
    place.textContent = parts.join(" · ") + next;
    place.dataset["phase"] = phase;
    const going = phase === "running";
    const over = phase === "done";
    const usable: Record<Control, boolean> = {
      run: !going && !over,
      pause: going,
      step: !going && !over,
      restart: true,
    };
    for (const id of CONTROLS) this.#buttons[id].disabled = !usable[id];
  }
}
