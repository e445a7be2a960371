/** The editor's looks, in the page's colours. */
import { EditorView } from "@codemirror/view";

/** For light and dark alike: the colours are the page's own properties. */
export const theme = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--back)", color: "var(--text)", fontSize: "12px" },
  "&.cm-focused": { outline: "2px solid var(--mark)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--dim)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": {
    backgroundColor: "color-mix(in srgb, var(--mark) 7%, transparent)",
  },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--chosen)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--chosen)", outline: "1px solid var(--edge)" },
  ".lab-key": { color: "var(--mark)" },
  ".lab-comment, .lab-mark": { color: "var(--dim)" },
  ".lab-comment": { fontStyle: "italic" },
  ".lab-string": { color: "light-dark(#1a6b2f, #8fd6a0)" },
  ".lab-step": { backgroundColor: "color-mix(in srgb, var(--mark) 12%, transparent)" },
  ".lab-step.running": { backgroundColor: "var(--chosen)", boxShadow: "inset 3px 0 var(--mark)" },
  ".lab-run .cm-gutterElement": { color: "var(--mark)", padding: "0 2px", width: "14px", textAlign: "center" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--text)", border: "1px solid var(--edge)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "16em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--chosen)",
    color: "var(--text)",
  },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "bold" },
  ".cm-completionDetail": { color: "var(--dim)", fontStyle: "normal" },
  ".cm-tooltip .cm-completionInfo": {
    backgroundColor: "var(--panel)",
    border: "1px solid var(--edge)",
    maxWidth: "28em",
  },
  ".cm-diagnostic-error": { borderLeftColor: "var(--wrong)" },
  ".cm-lintRange-error": { backgroundImage: "none", borderBottom: "2px solid var(--wrong)" },
  ".cm-lintPoint-error:after": { borderBottomColor: "var(--wrong)" },
  ".cm-lint-marker-error": { content: '"!"', color: "var(--wrong)", fontWeight: "bold", textAlign: "center" },
});
