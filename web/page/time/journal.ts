/** What was done and what comes again: the timeline's marks, and their table. */
import type { Time } from "../../../src/base/time.ts";
import { faultText } from "../../../src/lab/fault-text.ts";
import type { JournalAction, JournalEntry } from "../../session/time/journal.ts";
import { button } from "../page.ts";
import { Dialog, table } from "./dialog.ts";
import type { Mark } from "./timeline.ts";
import { clockText } from "./times.ts";

/** An action in one line. @param step what the lab's next step is */
export function actionText(action: JournalAction, step: string): string {
  switch (action.kind) {
    case "step":
      return step;
    case "begin":
      return `a terminal on ${action.terminal.name}`;
    case "line":
      return `typed on ${action.terminal.name}: ${action.line}`;
    case "key":
      return `${action.key === "eof" ? "Ctrl-D" : "Ctrl-C"} on ${action.terminal.name}`;
    case "close":
      return `${action.terminal.name} closed`;
    case "fault":
      return `fault ${faultText(action.fault)}`;
    case "pass":
      return `time passes until ${clockText(action.end)} s`;
  }
}

/** Each entry with its text. @param steps of the lab, in one line each */
export function marksOf(entries: readonly JournalEntry[], steps: readonly string[]): Mark[] {
  let step = 0;
  return entries.map(({ time, action }) => {
    if (action.kind === "step") step++;
    return { time, text: actionText(action, `step ${step}: ${steps[step - 1] ?? ""}`) };
  });
}

/** The table, in a dialog: each row can be gone to. */
export class JournalDialog {
  readonly #jump: (time: Time) => void;
  readonly #dialog = new Dialog("journal", "What was done");

  /** @param jump goes to a time */
  constructor(jump: (time: Time) => void) {
    this.#jump = jump;
  }

  /** @param done how many of the marks are behind now */
  open(marks: readonly Mark[], done: number): void {
    const rows = marks.map(({ time, text }, i) => {
      const go = button(clockText(time), () => this.#go(time));
      go.title = `Go to ${clockText(time)} s`;
      return [go, text, i < done ? "done" : "comes again"];
    });
    const none = document.createElement("p");
    none.textContent = "Nothing so far.";
    this.#dialog.body.replaceChildren(rows.length > 0 ? table(["Time (s)", "What", ""], rows) : none);
    this.#dialog.open();
  }

  #go(time: Time): void {
    this.#dialog.close();
    this.#jump(time);
  }
}
