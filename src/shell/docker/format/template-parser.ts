/** Syntax of Go's text/template (package text/template/parse). */
import type { Value } from "./template-functions.ts";

/** A bad template, or one that doesn't fit its data, with Go's wording. */
export class TemplateError extends Error {
  override name = "TemplateError";
}

/** What stands for a value in a template. */
export type Operand =
  | { readonly kind: "literal"; readonly value: Value; readonly source: string }
  | { readonly kind: "function"; readonly name: string; readonly source: string }
  | { readonly kind: "field"; readonly path: readonly string[]; readonly source: string }
  | { readonly kind: "variable"; readonly name: string; readonly path: readonly string[]; readonly source: string }
  | { readonly kind: "nested"; readonly pipeline: Pipeline; readonly path: readonly string[]; readonly source: string };

/** Commands joined by `|`. */
export interface Pipeline {
  readonly commands: readonly (readonly Operand[])[];
  /** Names on the left of `:=`. */
  readonly assign: readonly string[];
  readonly source: string;
}

/** What stands between `{{` and `}}`. */
export interface Action {
  readonly kind: "print" | "if" | "range" | "with";
  readonly pipeline: Pipeline;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

/** A piece of a template. */
export type Node = { readonly kind: "text"; readonly text: string } | Action;

/** Text between actions and the actions' insides, with `{{-` and `-}}` applied. */
type Piece = { readonly text: string } | { readonly action: string };

function split(source: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimNext = false;
  while (at <= source.length) {
    const open = source.indexOf("{{", at);
    let text = open < 0 ? source.slice(at) : source.slice(at, open);
    if (trimNext) text = text.trimStart();
    if (open < 0) {
      if (text !== "") pieces.push({ text });
      return pieces;
    }
    const end = closing(source, open + 2);
    if (end < 0) throw new TemplateError("template: :1: unclosed action");
    let action = source.slice(open + 2, end);
    if (/^-\s/.test(action)) {
      action = action.slice(1);
      text = text.trimEnd();
    }
    trimNext = /\s-$/.test(action);
    if (trimNext) action = action.slice(0, -1);
    if (text !== "") pieces.push({ text });
    if (!/^\s*\/\*[\s\S]*\*\/\s*$/.test(action)) pieces.push({ action: action.trim() });
    at = end + 2;
  }
  return pieces;
}

/** Position of the `}}` that ends an action, past quoted strings. */
function closing(source: string, start: number): number {
  let quote = "";
  for (let at = start; at < source.length; at++) {
    const char = source[at] as string;
    if (quote !== "") {
      if (char === "\\" && quote === '"') at++;
      else if (char === quote) quote = "";
    } else if (char === '"' || char === "`") quote = char;
    else if (char === "}" && source[at + 1] === "}") return at;
  }
  return -1;
}

/** Parses a template. @param functions names of the known functions */
export function parseTemplate(source: string, functions: ReadonlySet<string>): Node[] {
  const pieces = split(source);
  let at = 0;
  const block = (inside: boolean): { nodes: Node[]; end: string } => {
    const nodes: Node[] = [];
    while (at < pieces.length) {
      const piece = pieces[at++] as Piece;
      if ("text" in piece) {
        nodes.push({ kind: "text", text: piece.text });
        continue;
      }
      const word = /^(if|range|with|else|end)\b/.exec(piece.action)?.[1];
      if (word === "end" || word === "else") {
        if (!inside) throw new TemplateError(`template: :1: unexpected {{${word}}}`);
        return { nodes, end: piece.action };
      }
      if (word === undefined)
        nodes.push({ kind: "print", pipeline: parsePipeline(piece.action, functions), body: [], otherwise: [] });
      else nodes.push(control(word as "if" | "range" | "with", piece.action.slice(word.length)));
    }
    if (inside) throw new TemplateError("template: :1: unexpected EOF");
    return { nodes, end: "" };
  };
  const control = (kind: "if" | "range" | "with", words: string): Action => {
    const pipeline = parsePipeline(words.trim(), functions);
    const body = block(true);
    if (body.end === "end") return { kind, pipeline, body: body.nodes, otherwise: [] };
    const chained = /^else\s+(if|with)\b(.*)$/s.exec(body.end);
    if (chained !== null) {
      return {
        kind,
        pipeline,
        body: body.nodes,
        otherwise: [control(chained[1] as "if" | "with", chained[2] as string)],
      };
    }
    return { kind, pipeline, body: body.nodes, otherwise: block(true).nodes };
  };
  return block(false).nodes;
}

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*")|`([^`]*)`|(-?\d+(?:\.\d+)?)|(\$\w*(?:\.\w+)*|(?:\.\w+)+|\.)|([A-Za-z_]\w*)|(:=|=|\||,|\(|\)))/y;

interface Token {
  readonly text: string;
  readonly kind: "string" | "number" | "path" | "word" | "sign";
  readonly value?: string;
}

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  let at = 0;
  while (at < source.trimEnd().length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (match === null) {
      const bad = source.slice(at).trimStart()[0] as string;
      throw new TemplateError(`template: :1: unexpected ${JSON.stringify(bad)} in operand`);
    }
    at = TOKEN.lastIndex;
    const [, quoted, raw, number, path, word, sign] = match;
    if (quoted !== undefined) tokens.push({ kind: "string", text: quoted, value: JSON.parse(quoted) as string });
    else if (raw !== undefined) tokens.push({ kind: "string", text: `\`${raw}\``, value: raw });
    else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (path !== undefined) tokens.push({ kind: "path", text: path });
    else if (word !== undefined) tokens.push({ kind: "word", text: word });
    else tokens.push({ kind: "sign", text: sign as string });
  }
  return tokens;
}

function parsePipeline(source: string, functions: ReadonlySet<string>): Pipeline {
  const tokens = tokenize(source);
  const assign: string[] = [];
  const declared = tokens.findIndex((token) => token.text === ":=" || token.text === "=");
  if (declared > 0) {
    for (const token of tokens.splice(0, declared + 1)) if (token.text.startsWith("$")) assign.push(token.text);
  }
  const state = { tokens, at: 0 };
  const commands = parseCommands(state, functions, source);
  if (state.at < tokens.length)
    throw new TemplateError(`template: :1: unexpected ${JSON.stringify(tokens[state.at]?.text)} in command`);
  return { commands, assign, source };
}

function parseCommands(
  state: { tokens: Token[]; at: number },
  functions: ReadonlySet<string>,
  source: string,
): Operand[][] {
  const commands: Operand[][] = [[]];
  for (; state.at < state.tokens.length; state.at++) {
    const token = state.tokens[state.at] as Token;
    const command = commands.at(-1) as Operand[];
    if (token.text === ")" && token.kind === "sign") break;
    if (token.text === "|" && token.kind === "sign") commands.push([]);
    else if (token.text === "(" && token.kind === "sign") {
      state.at++;
      const inner = parseCommands(state, functions, source);
      if (state.tokens[state.at]?.text !== ")") throw new TemplateError("template: :1: unclosed left paren");
      const next = state.tokens[state.at + 1];
      const chained = next?.kind === "path" && next.text.startsWith(".") && next.text !== ".";
      if (chained) state.at++;
      const path = chained ? pathOf(next.text) : [];
      command.push({ kind: "nested", pipeline: { commands: inner, assign: [], source }, path, source });
    } else command.push(operandOf(token, functions));
  }
  if (commands.some((command) => command.length === 0))
    throw new TemplateError("template: :1: missing value for command");
  return commands;
}

function pathOf(text: string): string[] {
  return text.split(".").filter((part) => part !== "");
}

function operandOf(token: Token, functions: ReadonlySet<string>): Operand {
  const source = token.text;
  if (token.kind === "string") return { kind: "literal", value: token.value as string, source };
  if (token.kind === "number") return { kind: "literal", value: Number(source), source };
  if (token.kind === "path") {
    if (!source.startsWith("$")) return { kind: "field", path: pathOf(source), source };
    const [name = "$", ...path] = source.split(".");
    return { kind: "variable", name, path, source };
  }
  if (source === "true" || source === "false") return { kind: "literal", value: source === "true", source };
  if (source === "nil") return { kind: "literal", value: null, source };
  if (token.kind !== "word") throw new TemplateError(`template: :1: unexpected ${JSON.stringify(source)} in operand`);
  if (!functions.has(source)) throw new TemplateError(`template: :1: function ${JSON.stringify(source)} not defined`);
  return { kind: "function", name: source, source };
}
