/** Colours of a lab's text. They come from the page's own style, so that both themes have them. */
import { syntaxTree } from "@codemirror/language";
import { RangeSetBuilder } from "@codemirror/state";
import { Decoration, type DecorationSet, type EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view";

/** Classes by what YAML's grammar calls the parts of a text. */
const CLASSES: Readonly<Record<string, string>> = {
  Comment: "lab-comment",
  Key: "lab-key",
  QuotedLiteral: "lab-string",
  BlockLiteralHeader: "lab-mark",
  Anchor: "lab-mark",
  Alias: "lab-mark",
  Tag: "lab-mark",
  "[": "lab-mark",
  "]": "lab-mark",
  "{": "lab-mark",
  "}": "lab-mark",
  ",": "lab-mark",
  ":": "lab-mark",
  "-": "lab-mark",
};

const MARKS = new Map(Object.entries(CLASSES).map(([name, style]) => [name, Decoration.mark({ class: style })]));

function marksOf(view: EditorView): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  const tree = syntaxTree(view.state);
  for (const { from, to } of view.visibleRanges)
    tree.iterate({
      from,
      to,
      enter: (node) => {
        const mark = MARKS.get(node.name);
        if (mark === undefined || node.from === node.to) return true;
        builder.add(node.from, node.to, mark);
        return false;
      },
    });
  return builder.finish();
}

/** Keeps the colours of what is in sight. */
export const highlight = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    #tree: unknown;

    constructor(view: EditorView) {
      this.decorations = marksOf(view);
      this.#tree = syntaxTree(view.state);
    }

    update(update: ViewUpdate): void {
      const tree = syntaxTree(update.state);
      if (!update.docChanged && !update.viewportChanged && tree === this.#tree) return;
      this.#tree = tree;
      this.decorations = marksOf(update.view);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);
