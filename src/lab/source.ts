/** A lab file's text: YAML checked against the schema, with the means to point into it. */
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { UserError } from "../base/errors.ts";
import { LAB_SCHEMA } from "./schema.ts";
import { applySettings, type Scalar, type Settings } from "./settings.ts";

/** A field of the file, from the top. */
export type Path = readonly (string | number)[];

/** A lab file's text with the means to point into it. */
export class Source {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly doc: Document;
  /** The settings with the types that they have in the file. */
  readonly settings: Readonly<Record<string, Scalar>>;

  /** @param settings values of parameters and fields, in place of the file's own */
  constructor(file: string, text: string, settings: Settings = {}) {
    this.#file = file;
    this.doc = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const error = this.doc.errors[0];
    if (error !== undefined) throw this.#at(error.pos[0], error.message);
    this.#checkAliases();
    this.settings = applySettings(file, this.doc, () => this.#plain(), settings);
  }

  /** The file as plain data that fits the schema. @throws UserError that names line, column, field and what was expected */
  checked(): unknown {
    const raw = this.#plain();
    if (validate(raw)) return raw;
    const error = validate.errors?.[0] as ErrorObject;
    const { extra, expected, atKey } = explain(error);
    throw this.error([...pointerToPath(error.instancePath, raw), ...extra], expected, atKey);
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
  error(path: Path, expected: string, atKey = false): UserError {
    let offset = atKey ? this.#keyOffset(path) : undefined;
    for (let length = path.length; offset === undefined && length >= 0; length--) {
      const node: unknown = length === 0 ? this.doc.contents : this.doc.getIn(path.slice(0, length), true);
      if (isNode(node)) offset = node.range?.[0]; // none: it was set from outside
    }
    return this.#at(offset ?? 0, `${formatPath(path)}: ${expected}`);
  }

  #keyOffset(path: Path): number | undefined {
    const parent: unknown = path.length === 1 ? this.doc.contents : this.doc.getIn(path.slice(0, -1), true);
    if (!isMap(parent)) return undefined;
    const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(path.at(-1)));
    return isNode(pair?.key) ? pair.key.range?.[0] : undefined;
  }

  #at(offset: number, message: string): UserError {
    const { line, col } = this.#lines.linePos(offset);
    return new UserError(`${this.#file}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${message}`);
  }
}

function formatPath(path: Path): string {
  let out = "";
  for (const part of path) out += typeof part === "number" ? `[${part}]` : out === "" ? part : `.${part}`;
  return out === "" ? "lab" : out;
}

const validate = new Ajv2020({
  allErrors: false,
  verbose: true,
  allowUnionTypes: true,
  strict: false,
  useDefaults: false,
}).compile(LAB_SCHEMA);

/** Marks the schema's durations, whose descriptions say what they are for. */
const DURATION = LAB_SCHEMA.properties.pause.pattern;

/** What a schema error means, in one clause. */
function explain(error: ErrorObject): { extra: Path; expected: string; atKey?: boolean } {
  const params = error.params as Record<string, unknown>;
  const schema = error.parentSchema as { properties?: object; pattern?: string; description?: string };
  if (error.propertyName !== undefined)
    return { extra: [error.propertyName], expected: "expected a name of letters, digits and hyphens", atKey: true };
  if (schema.pattern === DURATION)
    return { extra: [], expected: "expected a span of time with its unit, e.g. 50us, 1.5s, 12h" };
  switch (error.keyword) {
    case "additionalProperties": {
      const known = Object.keys(schema.properties ?? {});
      return {
        extra: [String(params["additionalProperty"])],
        expected: `unknown key; expected one of ${known.join(", ")}`,
        atKey: true,
      };
    }
    case "required":
      return { extra: [String(params["missingProperty"])], expected: "missing" };
    case "type":
      return { extra: [], expected: `expected ${[params["type"]].flat().join(" or ")}` };
    case "enum":
      return {
        extra: [],
        expected: `expected one of ${(params["allowedValues"] as unknown[]).map(String).join(", ")}`,
      };
    case "const":
      return { extra: [], expected: `expected ${String(params["allowedValue"])}` };
    case "pattern":
      return {
        extra: [],
        expected:
          schema.description === undefined ? "not in the expected form" : `expected ${lower(schema.description)}`,
      };
    default:
      return { extra: [], expected: error.message ?? "not as expected" };
  }
}

function lower(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, "");
}

function pointerToPath(pointer: string, root: unknown): Path {
  const path: (string | number)[] = [];
  let at = root;
  for (const raw of pointer.split("/").slice(1)) {
    const key = raw.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(at) ? Number(key) : key);
    at = (at as Record<string, unknown>)[key];
  }
  return path;
}
