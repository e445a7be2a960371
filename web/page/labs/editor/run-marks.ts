/** Where the lab's steps stand in the text, and how far the run has come: marked beside their lines, also while they move. */
import { type Extension, RangeSet, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, GutterMarker, gutter } from "@codemirror/view";
import type { RunState } from "./run-state.ts";

/** Steps of the lab that runs. */
interface Marks {
  /** Where each begins in the text. */
  readonly positions: readonly number[];
  readonly run: RunState;
}

const NONE: Marks = { positions: [], run: { step: undefined, state: "next" } };

/** Says where the steps stand. */
export const setPositions = StateEffect.define<readonly number[]>();
/** Says how far the run has come. */
export const setRun = StateEffect.define<RunState>();

class StepMarker extends GutterMarker {
  readonly state: RunState["state"];

  constructor(state: RunState["state"]) {
    super();
    this.state = state;
  }

  override eq(other: StepMarker): boolean {
    return this.state === other.state;
  }

  override toDOM(): Node {
    const mark = document.createElement("span");
    mark.textContent = this.state === "running" ? "▶" : "▷";
    mark.title = this.state === "running" ? "This step runs" : "The next step";
    return mark;
  }
}

const MARKERS = { running: new StepMarker("running"), next: new StepMarker("next") } as const;
const LINES = {
  running: Decoration.line({ class: "lab-step running" }),
  next: Decoration.line({ class: "lab-step" }),
} as const;

const marks = StateField.define<Marks>({
  create: () => NONE,
  update(before, transaction) {
    let now = before;
    if (transaction.docChanged)
      now = { ...now, positions: now.positions.map((position) => transaction.changes.mapPos(position)) };
    for (const effect of transaction.effects) {
      if (effect.is(setPositions)) now = { ...now, positions: effect.value };
      if (effect.is(setRun)) now = { ...now, run: effect.value };
    }
    return now;
  },
  provide: (field) =>
    EditorView.decorations.compute([field], (state) => {
      const found = current(state.field(field), state.doc.length);
      if (found === undefined) return Decoration.none;
      return Decoration.set(LINES[found.state].range(state.doc.lineAt(found.position).from));
    }),
});

function current({ positions, run }: Marks, length: number) {
  const position = run.step === undefined ? undefined : positions[run.step];
  return position === undefined || position > length ? undefined : { position, state: run.state };
}

/** The marks, in a gutter and in the text. */
export function runMarks(): Extension {
  return [
    marks,
    gutter({
      class: "lab-run",
      markers: ({ state }) => {
        const found = current(state.field(marks), state.doc.length);
        if (found === undefined) return RangeSet.empty;
        return RangeSet.of(MARKERS[found.state].range(state.doc.lineAt(found.position).from));
      },
      initialSpacer: () => MARKERS.running,
    }),
  ];
}
