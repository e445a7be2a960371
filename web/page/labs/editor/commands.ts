/** What keys do in a lab's text: lines that begin where they should, comments, indentation. */
import { type ChangeSpec, EditorSelection, type EditorState } from "@codemirror/state";
import type { Command, KeyBinding } from "@codemirror/view";

const INDENT = "  ";

/** What a line begins with that comes behind another: as deep as that, or deeper behind a key without a value. */
export function indentAfter(line: string): string {
  const indent = /^ */.exec(line)?.[0] ?? "";
  const dashes = /^ *((?:- +)*)/.exec(line)?.[1] ?? "";
  const opens = /:\s*(?:[|>][-+\d]*)?\s*(?:#.*)?$/.test(line) && !line.trimStart().startsWith("#");
  return indent + " ".repeat(dashes.length) + (opens ? INDENT : "");
}

const newLine: Command = ({ state, dispatch }) => {
  const change = state.changeByRange((range) => {
    const line = state.doc.lineAt(range.from);
    const insert = `\n${indentAfter(line.text.slice(0, range.from - line.from))}`;
    return {
      changes: { from: range.from, to: range.to, insert },
      range: EditorSelection.cursor(range.from + insert.length),
    };
  });
  dispatch(state.update(change, { scrollIntoView: true, userEvent: "input" }));
  return true;
};

/** The lines that are selected. */
function selectedLines(state: EditorState) {
  const numbers = new Set<number>();
  for (const { from, to } of state.selection.ranges)
    for (let n = state.doc.lineAt(from).number; n <= state.doc.lineAt(to).number; n++) numbers.add(n);
  return [...numbers].map((number) => state.doc.line(number));
}

function changeLines(
  change: (line: { readonly from: number; readonly text: string }) => ChangeSpec | undefined,
): Command {
  return ({ state, dispatch }) => {
    const changes = selectedLines(state).flatMap((line) => change(line) ?? []);
    if (changes.length > 0) dispatch(state.update({ changes, userEvent: "input.indent" }));
    return true;
  };
}

const toggleComment: Command = (view) => {
  const lines = selectedLines(view.state).filter(({ text }) => text.trim() !== "");
  const all = lines.every(({ text }) => /^\s*#/.test(text));
  const column = Math.min(...lines.map(({ text }) => /^ */.exec(text)?.[0].length ?? 0));
  const run = changeLines(({ from, text }) => {
    const mark = /^(\s*)# ?/.exec(text);
    if (text.trim() === "") return undefined;
    if (!all) return { from: from + column, insert: "# " };
    return mark === null ? undefined : { from: from + (mark[1]?.length ?? 0), to: from + mark[0].length };
  });
  return run(view);
};

const deeper = changeLines(({ from, text }) => (text === "" ? undefined : { from, insert: INDENT }));
const shallower = changeLines(({ from, text }) => {
  const spaces = Math.min(INDENT.length, /^ */.exec(text)?.[0].length ?? 0);
  return spaces === 0 ? undefined : { from, to: from + spaces };
});

/** The editor's own keys; all others are the browser's. Tab leaves the editor. */
export const editingKeys: readonly KeyBinding[] = [
  { key: "Enter", run: newLine },
  { key: "Mod-/", run: toggleComment },
  { key: "Mod-]", run: deeper },
  { key: "Mod-[", run: shallower },
];
