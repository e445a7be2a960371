/** Undo and redo: what was typed in one go is one step back. */
import {
  type ChangeSet,
  type EditorSelection,
  type Extension,
  StateEffect,
  StateField,
  Transaction,
} from "@codemirror/state";
import type { Command, EditorView, KeyBinding } from "@codemirror/view";

/** Changes that came closer to each other than this, in milliseconds, are undone together. */
const TOGETHER_MS = 500;
const MOST_STEPS = 1000;

/** A way back, and where the cursor stood there. */
interface Step {
  readonly changes: ChangeSet;
  readonly selection: EditorSelection;
}

interface Steps {
  readonly undone: readonly Step[];
  readonly done: readonly Step[];
  /** When the last of the user's changes came, and what kind of change it was. */
  readonly time: number;
  readonly kind: string;
}

const NONE: Steps = { undone: [], done: [], time: 0, kind: "" };

/** Marks transactions that go back, or forth again. */
const moved = StateEffect.define<"undo" | "redo">();

const steps = StateField.define<Steps>({
  create: () => NONE,
  update(before, transaction) {
    const way = transaction.effects.find((effect) => effect.is(moved))?.value as "undo" | "redo" | undefined;
    if (!transaction.docChanged) return before;
    if (transaction.annotation(Transaction.addToHistory) === false) return NONE;
    const step: Step = {
      changes: transaction.changes.invert(transaction.startState.doc),
      selection: transaction.startState.selection,
    };
    if (way === "undo")
      return { ...before, done: before.done.slice(0, -1), undone: [...before.undone, step], kind: "" };
    if (way === "redo")
      return { ...before, done: [...before.done, step], undone: before.undone.slice(0, -1), kind: "" };
    const time = transaction.annotation(Transaction.time) ?? 0;
    const kind = transaction.annotation(Transaction.userEvent) ?? "";
    const last = before.done.at(-1);
    const joins = last !== undefined && kind !== "" && kind === before.kind && time - before.time < TOGETHER_MS;
    const done = joins
      ? [...before.done.slice(0, -1), { changes: step.changes.compose(last.changes), selection: last.selection }]
      : [...before.done, step].slice(-MOST_STEPS);
    return { undone: [], done, time, kind };
  },
});

function move(way: "undo" | "redo"): Command {
  return ({ state, dispatch }: EditorView) => {
    const step = state.field(steps)[way === "undo" ? "done" : "undone"].at(-1);
    if (step === undefined) return false;
    const { changes, selection } = step;
    dispatch(state.update({ changes, selection, effects: moved.of(way), scrollIntoView: true }));
    return true;
  };
}

/** Its keys. */
export const historyKeys: readonly KeyBinding[] = [
  { key: "Mod-z", run: move("undo"), preventDefault: true },
  { key: "Mod-y", mac: "Mod-Shift-z", run: move("redo"), preventDefault: true },
  { key: "Mod-Shift-z", run: move("redo"), preventDefault: true },
];

/** What the editor remembers. A change without `addToHistory` begins anew. */
export function history(): Extension {
  return steps;
}
