/** The steps of a lab in a list: which one runs, and where each stands in the text. */
import { button } from "../../page.ts";
import type { RunState } from "./run-state.ts";

/** The list. */
export class StepList {
  /** The list's element. */
  readonly element = document.createElement("ol");
  readonly #chosen: (line: number) => void;
  #shown: readonly string[] = [];
  #lines: readonly number[] = [];
  #seen: RunState | undefined;

  /** @param chosen told the line of the step that the user chose */
  constructor(chosen: (line: number) => void) {
    this.#chosen = chosen;
  }

  /** Shows steps, and where they stand. */
  show(steps: readonly string[], lines: readonly number[]): void {
    this.#lines = lines;
    if (steps.length === this.#shown.length && steps.every((text, i) => text === this.#shown[i])) return;
    this.#shown = steps;
    this.element.replaceChildren(
      ...steps.map((text, index) => {
        const item = document.createElement("li");
        const entry = button(text, () => this.#chosen(this.#lines[index] ?? 1));
        entry.title = text;
        item.append(entry);
        return item;
      }),
    );
  }

  /** Marks the step that runs or comes next. @param state undefined where the list isn't that of the run */
  run(state: RunState | undefined): void {
    const moved = state?.step !== this.#seen?.step;
    this.#seen = state;
    for (const [index, item] of [...this.element.children].entries()) {
      const now = state !== undefined && index === state.step;
      const entry = item.firstElementChild;
      item.className = now ? state.state : state?.step === undefined || index < state.step ? "done" : "";
      if (state === undefined) item.className = "";
      if (now) entry?.setAttribute("aria-current", "step");
      else entry?.removeAttribute("aria-current");
      if (now && moved && state.state === "running") item.scrollIntoView({ block: "nearest" });
    }
  }
}
