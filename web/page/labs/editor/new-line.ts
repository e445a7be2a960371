/** Enter in a lab's text: the next line begins where it should. */
import { EditorSelection } from "@codemirror/state";
import type { Command } from "@codemirror/view";

const INDENT = "  ";

/** What a line begins with that comes behind another: as deep as that, or deeper behind a key without a value. */
export function indentAfter(line: string): string {
  const indent = /^ */.exec(line)?.[0] ?? "";
  const dashes = /^ *((?:- +)*)/.exec(line)?.[1] ?? "";
  const opens = /:\s*(?:[|>][-+\d]*)?\s*(?:#.*)?$/.test(line) && !line.trimStart().startsWith("#");
  return indent + " ".repeat(dashes.length) + (opens ? INDENT : "");
}

/** A new line, as deep as indentAfter() says. */
export const newLine: Command = ({ state, dispatch }) => {
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
