/** A lab file's text: YAML checked against the schema, with the means to point into it. */
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { UserError } from "../base/errors.ts";
import { formatPath, misfitOf, type Path } from "./misfit.ts";
import { applySettings, paramsOf, type Scalar, type Settings } from "./settings.ts";

/** What is wrong with a lab file, and where. */
export class LabError extends UserError {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** The field and what was expected. */
  readonly problem: string;

  constructor(file: string, line: number, column: number, problem: string) {
    super(`${file}:${line}:${column}: ${problem}`);
    this.file = file;
    this.line = line;
    this.column = column;
    this.problem = problem;
  }

  /** The same error with something said after it. */
  with(note: string): LabError {
    return new LabError(this.file, this.line, this.column, this.problem + note);
  }
}

/** A lab file's text with the means to point into it. */
export class Source {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly doc: Document;
  /** The settings with the types that they have in the file. */
  readonly settings: Readonly<Record<string, Scalar>>;
  /** Its parameters, with the values that stand in it. */
  readonly params: Readonly<Record<string, Scalar>>;

  /** @param settings values of parameters and fields, in place of the file's own */
  constructor(file: string, text: string, settings: Settings = {}) {
    this.#file = file;
    this.doc = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const error = this.doc.errors[0];
    if (error !== undefined) throw this.#at(error.pos[0], error.message);
    this.#checkAliases();
    this.params = Object.fromEntries([...paramsOf(this.doc)].map(([name, { value }]) => [name, value as Scalar]));
    this.settings = applySettings(file, this.doc, () => this.#plain(), settings);
  }

  /** The file as plain data that fits the schema. @throws LabError */
  checked(): unknown {
    const raw = this.#plain();
    const misfit = misfitOf(raw);
    if (misfit === undefined) return raw;
    throw this.error(misfit.path, misfit.expected, misfit.atKey);
  }

  /** @throws UserError for an alias without its anchor */
  #checkAliases(): void {
    visit(this.doc, {
      Alias: (_key, alias) => {
        if (alias.resolve(this.doc) !== undefined) return;
        throw this.#at(alias.range?.[0] ?? 0, `*${alias.source}: no anchor &${alias.source} stands before it`);
      },
    });
  }

  /** @throws UserError for aliases that grow beyond all bounds */
  #plain(): unknown {
    try {
      return this.doc.toJS();
    } catch (error) {
      // yaml's limit on aliases of aliases.
      if (error instanceof ReferenceError) throw this.#at(0, error.message);
      throw error;
    }
  }

  /**
   * An error at a field; where that is missing, at what it is missing from.
   * @param atKey points at its key, not at its value
   */
  error(path: Path, expected: string, atKey = false): LabError {
    const offset = atKey ? this.#keyOffset(path) : undefined;
    return this.#at(offset ?? this.#offset(path), `${formatPath(path)}: ${expected}`);
  }

  /** The line on which a field's value begins, from 1; where that is missing, what it is missing from. */
  line(path: Path): number {
    return this.#lines.linePos(this.#offset(path)).line;
  }

  #offset(path: Path): number {
    for (let length = path.length; length >= 0; length--) {
      const node: unknown = length === 0 ? this.doc.contents : this.doc.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return node.range[0]; // none: it was set from outside
    }
    return 0;
  }

  #keyOffset(path: Path): number | undefined {
    const parent: unknown = path.length === 1 ? this.doc.contents : this.doc.getIn(path.slice(0, -1), true);
    if (!isMap(parent)) return undefined;
    const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(path.at(-1)));
    return isNode(pair?.key) ? pair.key.range?.[0] : undefined;
  }

  #at(offset: number, problem: string): LabError {
    const { line, col } = this.#lines.linePos(offset);
    return new LabError(this.#file, Math.max(line, 1), Math.max(col, 1), problem);
  }
}
