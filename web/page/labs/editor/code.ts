/** The editor proper: CodeMirror with YAML. It is loaded when it is shown for the first time. */
import {
  autocompletion,
  type CompletionContext,
  type CompletionResult,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, Transaction } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { type Completion, completionsAt, namesIn } from "./complete.ts";
import { highlight } from "./highlight.ts";
import { newLine } from "./new-line.ts";
import { placeAt } from "./place.ts";
import { runMarks, setPositions, setRun } from "./run-marks.ts";
import type { RunState } from "./run-state.ts";
import { theme } from "./theme.ts";

/** Who hears of it. */
export interface CodeEvents {
  changed(text: string): void;
  /** Ctrl-Enter. */
  run(): void;
}

const TYPES: Readonly<Record<Completion["type"], string>> = {
  property: "property",
  value: "constant",
  host: "class",
  variable: "variable",
};

/** What fits at the cursor. */
export function complete(context: CompletionContext): CompletionResult | null {
  const text = context.state.doc.toString();
  const variable = context.matchBefore(/\$\{?\w*$/);
  if (variable !== null) {
    const options = namesIn(text).variables.map((name) => ({ label: `$${name}`, type: TYPES.variable }));
    return { from: variable.from, options };
  }
  const place = placeAt(text, context.pos);
  if (place === undefined || (!context.explicit && place.typed === "")) return null;
  const options = completionsAt(place, namesIn(text)).map((one, i) => ({
    ...one,
    type: TYPES[one.type],
    boost: -i / 100,
  }));
  return options.length === 0 ? null : { from: place.from, options, validFor: /^[\w*?"'./ -]*$/ };
}

/** A text that can be edited. */
export class CodeEditor {
  readonly #view: EditorView;
  /** What can be undone. */
  readonly #history = new Compartment();

  constructor(place: HTMLElement, events: CodeEvents) {
    const run = (): boolean => {
      events.run();
      return true;
    };
    const state = EditorState.create({
      extensions: [
        lineNumbers(),
        runMarks(),
        lintGutter(),
        this.#history.of(history()),
        drawSelection({ cursorBlinkRate: 0 }),
        highlightActiveLine(),
        bracketMatching(),
        closeBrackets(),
        yaml(),
        highlight,
        autocompletion({ override: [complete], icons: false }),
        // Tab leaves the editor.
        keymap.of([{ key: "Mod-Enter", run }]),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, { key: "Enter", run: newLine }]),
        keymap.of([...historyKeymap, ...defaultKeymap, ...lintKeymap]),
        EditorView.contentAttributes.of({ "aria-label": "Text of the lab", spellcheck: "false", tabindex: "0" }),
        EditorView.updateListener.of((update) => {
          const loaded = update.transactions.some((one) => one.annotation(Transaction.addToHistory) === false);
          if (update.docChanged && !loaded) events.changed(update.state.doc.toString());
        }),
        theme,
      ],
    });
    this.#view = new EditorView({ state, parent: place });
  }

  get text(): string {
    return this.#view.state.doc.toString();
  }

  /** Another text in place of what stands there; nothing of that can be had back by undoing. */
  load(text: string): void {
    const changes = { from: 0, to: this.#view.state.doc.length, insert: text };
    this.#view.dispatch({
      changes,
      selection: { anchor: 0 },
      annotations: Transaction.addToHistory.of(false),
      effects: [setPositions.of([]), EditorView.scrollIntoView(0), this.#history.reconfigure([])],
    });
    this.#view.dispatch({ effects: this.#history.reconfigure(history()) });
    this.problem(undefined);
  }

  /** Where the steps of the lab that runs stand: lines of the text as it is now. */
  steps(lines: readonly number[]): void {
    this.#view.dispatch({ effects: setPositions.of(lines.map((line) => this.#position(line, 1))) });
  }

  /** How far that run has come. */
  run(state: RunState): void {
    this.#view.dispatch({ effects: setRun.of(state) });
  }

  /** What is wrong with the text; undefined where nothing is. */
  problem(error: { readonly line: number; readonly column: number; readonly problem: string } | undefined): void {
    const { state } = this.#view;
    if (error === undefined) {
      this.#view.dispatch(setDiagnostics(state, []));
      return;
    }
    const from = this.#position(error.line, error.column);
    const line = state.doc.lineAt(from);
    const word = /^(?:"[^"]*"|'[^']*'|[^\s,{}[\]:]+)/.exec(line.text.slice(from - line.from))?.[0] ?? "";
    const to = Math.min(line.to, from + Math.max(1, word.length));
    this.#view.dispatch(setDiagnostics(state, [{ from, to, severity: "error", message: error.problem }]));
  }

  /** Puts the cursor there, and the line into sight. */
  goTo(line: number, column = 1): void {
    const anchor = this.#position(line, column);
    this.#view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
    this.#view.focus();
  }

  #position(line: number, column: number): number {
    const { doc } = this.#view.state;
    const { from, to } = doc.line(Math.max(1, Math.min(line, doc.lines)));
    return Math.min(to, from + column - 1);
  }
}
